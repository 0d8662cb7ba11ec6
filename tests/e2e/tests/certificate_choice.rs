//! Several certificates that fit a host name: the best one that the client can use.

use albeit_e2e::{
    Albeit, Ca, Config, Listener, albeit::binary, ca::Certificate, client::connect_tls,
    client_certificate::taking_anything, process,
};
use anyhow::Result;
use rcgen::{KeyPair, RsaKeySize, SignatureAlgorithm, date_time_ymd};
use rustls::{
    SignatureScheme::{self, ECDSA_NISTP256_SHA256, ECDSA_NISTP384_SHA384, RSA_PSS_SHA256},
    SupportedProtocolVersion,
    pki_types::{CertificateDer, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use serde_json::{Value, json};

fn fixed() -> Value {
    json!({ "fixed_response": { "status_code": "200", "content_type": "text/plain", "message_body": "ok" } })
}

fn ecdsa(algorithm: &'static SignatureAlgorithm) -> Result<KeyPair> {
    Ok(KeyPair::generate_for(algorithm)?)
}

/// A balancer whose HTTPS listener has these certificates.
async fn serving(config: Config, certificates: &[&Certificate]) -> Result<Albeit> {
    let names: Vec<&str> = certificates.iter().map(|certificate| certificate.name.as_str()).collect();
    let listener = Listener::https(&names, fixed())?;
    let config = certificates
        .iter()
        .fold(config, |config, certificate| config.with_certificate(Certificate::clone(certificate)));
    Albeit::start(config.with_listener(listener)).await
}

/// Which certificate a client gets that asks for `name` and offers `schemes`.
async fn shown<'a>(
    albeit: &Albeit,
    certificates: &[&'a Certificate],
    name: &str,
    schemes: &[SignatureScheme],
    version: &'static SupportedProtocolVersion,
) -> Result<&'a str> {
    let tls = taking_anything(schemes, &[version])?;
    let (_, negotiated) = connect_tls(albeit.listener(0)?, name, tls).await?;
    for certificate in certificates {
        if CertificateDer::from_pem_file(&certificate.certificate)?.as_ref() == negotiated.leaf {
            return Ok(&certificate.name);
        }
    }
    anyhow::bail!("a certificate of someone else")
}

#[tokio::test]
async fn the_best_certificate_that_the_client_can_use_is_shown() -> Result<()> {
    let ca = Ca::try_new()?;
    let config = Config::try_new()?;
    let dir = config.dir().to_owned();
    let rsa_key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048)?;
    let default = ca.issue(&dir, "default", &["default.test"])?;
    let rsa = ca.issue_with(&dir, "rsa", &["www.a.test"], &rsa_key, |_| {})?;
    let p256 = ca.issue_with(&dir, "p256", &["*.a.test"], &ecdsa(&rcgen::PKCS_ECDSA_P256_SHA256)?, |_| {})?;
    let p384 = ca.issue_with(&dir, "p384", &["*.a.test"], &ecdsa(&rcgen::PKCS_ECDSA_P384_SHA384)?, |_| {})?;
    let expired =
        ca.issue_with(&dir, "expired", &["*.a.test"], &ecdsa(&rcgen::PKCS_ECDSA_P384_SHA384)?, |params| {
            params.not_after = date_time_ymd(2024, 1, 1);
        })?;
    let all = [&default, &rsa, &expired, &p256, &p384];
    let albeit = serving(config, &all).await?;

    for version in [&TLS13, &TLS12] {
        let shown = async |name, schemes: &[_]| shown(&albeit, &all, name, schemes, version).await;
        let every = [ECDSA_NISTP384_SHA384, ECDSA_NISTP256_SHA256, RSA_PSS_SHA256];
        // ECDSA by a wildcard before RSA by the name itself; not expired first, then the longer key.
        assert_eq!(shown("www.a.test", &every).await?, "p384");
        assert_eq!(shown("www.a.test", &[ECDSA_NISTP256_SHA256, RSA_PSS_SHA256]).await?, "p256");
        assert_eq!(shown("www.a.test", &[RSA_PSS_SHA256]).await?, "rsa");
        assert_eq!(shown("mail.a.test", &every).await?, "p384");
        // Nothing fits, neither the apex of a wildcard nor two labels below it.
        for name in ["a.test", "x.www.a.test", "b.test"] {
            assert_eq!(shown(name, &every).await?, "default", "{name}");
        }
    }
    // No SNI, which an address cannot be in.
    let every = [ECDSA_NISTP384_SHA384, ECDSA_NISTP256_SHA256, RSA_PSS_SHA256];
    assert_eq!(shown(&albeit, &all, "127.0.0.1", &every, &TLS13).await?, "default");
    Ok(())
}

#[tokio::test]
async fn the_log_names_the_certificate_that_was_shown() -> Result<()> {
    let ca = Ca::try_new()?;
    let config = Config::try_new()?;
    let dir = config.dir().to_owned();
    let rsa_key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048)?;
    let rsa = ca.issue_with(&dir, "rsa", &["localhost"], &rsa_key, |_| {})?;
    let ecdsa = ca.issue(&dir, "ecdsa", &["localhost"])?;
    let albeit = serving(config, &[&rsa, &ecdsa]).await?;
    for (scheme, name) in [(ECDSA_NISTP256_SHA256, "ecdsa"), (RSA_PSS_SHA256, "rsa")] {
        let tls = taking_anything(&[scheme], &[&TLS13])?;
        let mut client = albeit_e2e::Client::connect_tls(albeit.listener(0)?, "localhost", tls).await?;
        client.get(&format!("/choice/{name}")).await?;
        let record = albeit.record(&format!("/choice/{name}")).await?;
        assert!(record["chosen_cert_arn"].contains(name), "{record:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_ed25519_certificate_is_refused_by_name() -> Result<()> {
    let ca = Ca::try_new()?;
    let config = Config::try_new()?;
    let key = ecdsa(&rcgen::PKCS_ED25519)?;
    let certificate = ca.issue_with(config.dir(), "odd", &["localhost"], &key, |_| {})?;
    let config = config.with_certificate(certificate).with_listener(Listener::https(&["odd"], fixed())?);
    config.write()?;
    let output = process::run(&binary()?, ["check", "-c", "albeit.yaml"], config.dir()).await?;
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("certificates[0].certificate: certificate \"odd\""), "{stderr}");
    assert!(stderr.contains("neither RSA nor ECDSA; ELB takes no others, Ed25519 included"), "{stderr}");
    Ok(())
}
