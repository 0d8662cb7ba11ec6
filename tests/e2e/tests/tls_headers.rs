//! x-amzn-tls-version and x-amzn-tls-cipher-suite, as a target sees them.

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, Target, ca::ALL_VERSIONS, forward, http2::Http2,
};
use anyhow::Result;
use rustls::version::{TLS12, TLS13};
use serde_json::json;

const ATTRIBUTE: &str = "routing.http.x_amzn_tls_version_and_cipher_suite.enabled";
/// The last ones are the same names to a target that makes variables of them.
const SPOOFED: [&str; 4] = [
    "X-Amzn-Tls-Version: spoofed",
    "x-amzn-tls-cipher-suite: spoofed",
    "X_Amzn_Tls_Version: spoofed",
    "x.amzn.tls_cipher-suite: spoofed",
];

fn config(target: &Target) -> Result<Config> {
    Ok(Config::try_new()?.with_group(Group::new("web", &[target.addr()])))
}

#[tokio::test]
async fn targets_are_told_version_and_cipher_suite() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, Target::saying("ok")?);
    let albeit = Albeit::start(config(&target)?.with_https(&ca)?.with_attribute(ATTRIBUTE, true)).await?;
    let expected =
        [(&TLS13, "TLSv1.3", "TLS_AES_128_GCM_SHA256"), (&TLS12, "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")];
    for (requests, (version, name, cipher)) in expected.into_iter().enumerate() {
        let tls = ca.client(&["http/1.1"], &[version])?;
        let mut client = Client::connect_tls(albeit.listener(0)?, "localhost", tls).await?;
        client.get_with(&format!("/{name}"), &SPOOFED).await?;
        let seen = target.request(requests + 1).await?;
        assert_eq!(seen.header("x-amzn-tls-version")?, name);
        assert_eq!(seen.header("x-amzn-tls-cipher-suite")?, cipher);
        assert!(!seen.head.contains("spoofed"), "{:?}", seen.head);
        let record = albeit.record(&format!("/{name} ")).await?;
        assert_eq!((record["ssl_protocol"].as_str(), record["ssl_cipher"].as_str()), (name, cipher));
    }
    let h2 = Http2::connect(albeit.listener(0)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await?;
    let spoofed = [("x-amzn-tls-version", "spoofed"), ("x_amzn_tls_version", "spoofed")];
    h2.get("https://localhost/h2", &spoofed).await?;
    let seen = target.request(3).await?;
    assert!(!seen.head.contains("spoofed"), "{:?}", seen.head);
    assert_eq!(seen.header("x-amzn-tls-version")?, "TLSv1.3");
    assert_eq!(seen.header("x-amzn-tls-cipher-suite")?, "TLS_AES_128_GCM_SHA256");
    Ok(())
}

#[tokio::test]
async fn in_clear_text_there_is_nothing_to_tell_and_nothing_to_spoof() -> Result<()> {
    let target = Target::saying("ok")?;
    let plain = config(&target)?.with_listener(Listener::http(forward("web"))?);
    let albeit = Albeit::start(plain.with_attribute(ATTRIBUTE, true)).await?;
    albeit.client().await?.get_with("/", &SPOOFED).await?;
    let seen = target.request(1).await?;
    assert!(!seen.head.contains("spoofed"), "{:?}", seen.head);
    Ok(())
}

#[tokio::test]
async fn without_the_attribute_the_clients_headers_pass() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, Target::saying("ok")?);
    let albeit = Albeit::start(config(&target)?.with_https(&ca)?).await?;
    let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    let mut client = Client::connect_tls(albeit.listener(0)?, "localhost", tls).await?;
    client
        .get_with(
            "/",
            &["X-Amzn-Tls-Version: from another", "X-Amzn-Mtls-Clientcert: from another", "X_Amzn: other"],
        )
        .await?;
    let seen = target.request(1).await?;
    assert_eq!(seen.header("x-amzn-tls-version")?, "from another");
    assert_eq!(seen.header("x-amzn-mtls-clientcert")?, "from another");
    assert_eq!(seen.header("x_amzn")?, "other");
    assert!(seen.headers("x-amzn-tls-cipher-suite").is_empty(), "{:?}", seen.head);
    Ok(())
}

#[tokio::test]
async fn a_listener_can_rename_them() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, Target::saying("ok")?);
    let config = config(&target)?.with_attribute(ATTRIBUTE, true);
    let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
    let names = json!({
        "routing.http.request.x_amzn_tls_version.header_name": "Custom-TLS",
        "routing.http.request.x_amzn_tls_cipher_suite.header_name": "Custom_Cipher",
    });
    let listener = Listener::https(&["localhost"], forward("web"))?.with("attributes", names);
    let albeit = Albeit::start(config.with_certificate(certificate).with_listener(listener)).await?;
    let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    let mut client = Client::connect_tls(albeit.listener(0)?, "localhost", tls).await?;
    let spoofed = ["custom-tls: spoofed", "Custom_TLS: spoofed", "custom-cipher: spoofed"];
    client.get_with("/", &[SPOOFED.as_slice(), &spoofed].concat()).await?;
    let seen = target.request(1).await?;
    assert!(seen.head.contains("\r\nCustom-TLS: TLSv1.3\r\n"), "{:?}", seen.head);
    assert!(seen.head.contains("\r\nCustom_Cipher: TLS_AES_128_GCM_SHA256\r\n"), "{:?}", seen.head);
    assert!(!seen.head.contains("spoofed") && !seen.head.contains("Amzn-Tls"), "{:?}", seen.head);
    Ok(())
}
