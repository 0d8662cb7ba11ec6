//! Security policies on the wire: versions, cipher suites and their order, groups, what is never offered.

use std::path::Path;

use albeit_e2e::{
    Albeit, Ca, Client, Config, Listener,
    albeit::binary,
    ca::ALL_VERSIONS,
    client::connect_tls,
    client_certificate::{taking_anything, taking_anything_with},
    process,
};
use anyhow::Result;
use rcgen::KeyPair;
use rustls::{
    ClientConnection, NamedGroup, SignatureScheme, SupportedProtocolVersion,
    crypto::{
        CryptoProvider, SupportedKxGroup,
        aws_lc_rs::{self, kx_group},
    },
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use serde_json::{Value, json};

const SCHEMES: [SignatureScheme; 2] =
    [SignatureScheme::ECDSA_NISTP384_SHA384, SignatureScheme::ECDSA_NISTP256_SHA256];

fn fixed() -> Value {
    json!({ "fixed_response": { "status_code": "200", "content_type": "text/plain", "message_body": "ok" } })
}

/// A balancer with a listener for each policy, all with a P-384 certificate.
async fn serving(policies: &[&str]) -> Result<Albeit> {
    let ca = Ca::try_new()?;
    let mut config = Config::try_new()?;
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384)?;
    let certificate = ca.issue_with(config.dir(), "localhost", &["localhost"], &key, |_| {})?;
    config = config.with_certificate(certificate);
    for policy in policies {
        let policy = format!("ELBSecurityPolicy-{policy}");
        config = config.with_listener(Listener::https(&["localhost"], fixed())?.with("ssl_policy", policy));
    }
    Albeit::start(config).await
}

/// Cipher suite and group that a client with every suite agrees on; `None` if it is refused.
async fn agreed(
    albeit: &Albeit,
    listener: usize,
    version: &'static SupportedProtocolVersion,
) -> Result<Option<(String, NamedGroup)>> {
    let provider = aws_lc_rs::default_provider();
    // The client prefers what the server should not choose for its sake.
    let cipher_suites = provider.cipher_suites.iter().rev().copied().collect();
    // The first one comes with its share, and that of its classical half.
    let kx_groups =
        vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    let provider = CryptoProvider { cipher_suites, kx_groups, ..provider };
    let tls = taking_anything_with(provider, &SCHEMES, &[version])?;
    let Ok((stream, negotiated)) = connect_tls(albeit.listener(listener)?, "localhost", tls).await else {
        return Ok(None);
    };
    let group = stream.get_ref().1.negotiated_key_exchange_group().map(SupportedKxGroup::name);
    Ok(group.map(|group| (negotiated.cipher, group)))
}

#[tokio::test]
async fn each_family_agrees_on_what_it_prefers() -> Result<()> {
    const AES128: &str = "TLS13_AES_128_GCM_SHA256";
    const AES256: &str = "TLS13_AES_256_GCM_SHA384";
    const ECDHE128: &str = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    const ECDHE256: &str = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    use NamedGroup::{X25519, X25519MLKEM768, secp256r1, secp384r1};
    // Of several groups the client's favourite is taken, unless it has sent its share for another.
    let expected = [
        ("TLS13-1-2-Res-2021-06", Some((AES128, X25519)), Some((ECDHE128, X25519))),
        ("TLS13-1-2-Res-PQ-2025-09", Some((AES128, X25519MLKEM768)), Some((ECDHE128, X25519))),
        ("TLS13-1-3-2021-06", Some((AES128, X25519)), None),
        ("FS-1-2-Res-2020-10", None, Some((ECDHE128, X25519))),
        ("2016-08", None, Some((ECDHE128, X25519))),
        ("TLS13-1-2-Res-FIPS-2023-04", Some((AES128, secp256r1)), Some((ECDHE128, secp256r1))),
        ("TLS13-1-2-RFC9151-FIPS-2023-07", Some((AES256, secp384r1)), Some((ECDHE256, secp384r1))),
        ("TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07", Some((AES256, secp256r1)), Some((ECDHE256, secp256r1))),
        ("TLS13-1-3-FIPS-PQ-2025-09", Some((AES128, X25519MLKEM768)), None),
    ];
    let policies: Vec<&str> = expected.iter().map(|(policy, ..)| *policy).collect();
    let albeit = serving(&policies).await?;
    for (listener, (policy, tls13, tls12)) in expected.into_iter().enumerate() {
        for (version, expected) in [(&TLS13, tls13), (&TLS12, tls12)] {
            let agreed = agreed(&albeit, listener, version).await?;
            let expected = expected.map(|(cipher, group)| (cipher.to_owned(), group));
            assert_eq!(agreed, expected, "{policy} {:?}", version.version);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_strict_rfc_9151_policy_takes_no_small_keys() -> Result<()> {
    let ca = Ca::try_new()?;
    let config = Config::try_new()?;
    let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
    let policy = "ELBSecurityPolicy-TLS13-1-2-RFC9151-FIPS-2023-07";
    let listener = Listener::https(&["localhost"], fixed())?.with("ssl_policy", policy);
    let config = config.with_certificate(certificate).with_listener(listener);
    config.write()?;
    let output = process::run(&binary()?, ["check", "-c", "albeit.yaml"], config.dir()).await?;
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let expected = format!(
        "load_balancers[0].listeners[0].certificates[0]: {policy} needs a P-384 key, or an RSA key of 3072 bits or more"
    );
    assert!(stderr.contains(&expected), "{stderr}");

    // And to the letter of it: no signature but with SHA-384.
    let albeit = serving(&["TLS13-1-2-RFC9151-FIPS-2023-07"]).await?;
    let tls = taking_anything(&[SignatureScheme::ECDSA_NISTP256_SHA256], ALL_VERSIONS)?;
    assert!(connect_tls(albeit.listener(0)?, "localhost", tls).await.is_err());
    Ok(())
}

#[tokio::test]
async fn early_data_are_not_offered() -> Result<()> {
    let ca = Ca::try_new()?;
    let mut config = Config::try_new()?;
    let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
    config = config.with_certificate(certificate).with_listener(Listener::https(&["localhost"], fixed())?);
    let albeit = Albeit::start(config).await?;
    let mut tls = rustls::ClientConfig::clone(ca.client(&["http/1.1"], &[&TLS13])?.as_ref());
    tls.enable_early_data = true;
    let tls = std::sync::Arc::new(tls);
    let mut client = Client::connect_tls(albeit.listener(0)?, "localhost", tls.clone()).await?;
    // Reading a response also reads the tickets before it.
    assert_eq!(client.get("/").await?.status, 200);
    let mut next = ClientConnection::new(tls.clone(), ServerName::try_from("localhost")?)?;
    assert!(next.early_data().is_none(), "the ticket allows early data");
    let client = Client::connect_tls(albeit.listener(0)?, "localhost", tls).await?;
    assert!(client.tls.is_some_and(|tls| tls.resumed), "but it resumes the session");
    Ok(())
}

/// What `openssl s_client` says; `None` where it is not installed.
async fn s_client(albeit: &Albeit, options: &[&str]) -> Result<Option<(bool, String)>> {
    let openssl = Path::new("/usr/bin/openssl");
    if !openssl.exists() {
        return Ok(None);
    }
    let address = albeit.listener(0)?.to_string();
    let args = [&["s_client", "-connect", &address, "-servername", "localhost"], options].concat();
    let output = process::run(openssl, args, albeit.config.dir()).await?;
    let text = [output.stdout, output.stderr].concat();
    Ok(Some((output.status.success(), String::from_utf8_lossy(&text).into_owned())))
}

#[tokio::test]
async fn openssl_sees_the_servers_order_and_no_old_version() -> Result<()> {
    let albeit = serving(&["TLS13-1-2-2021-06"]).await?;
    let ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256";
    let Some((success, text)) = s_client(&albeit, &["-tls1_2", "-cipher", ciphers]).await? else {
        return Ok(());
    };
    assert!(success, "{text}");
    assert!(text.contains("Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"), "{text}");
    let refused = [
        ["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"],
        // Part of the policy on ELB, left out here with a warning.
        ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"],
        ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
    ];
    for options in refused {
        let answer = s_client(&albeit, &options).await?;
        assert!(answer.is_some_and(|(success, _)| !success), "{options:?}");
    }
    let warned = albeit.process.stderr();
    assert!(warned.contains("does not offer ECDHE-ECDSA-AES128-SHA256"), "{warned}");
    Ok(())
}
