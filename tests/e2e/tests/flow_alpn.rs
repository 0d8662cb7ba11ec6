//! ALPN policies of TLS listeners: what clients get, and what the access log says of it.

use albeit_e2e::{
    Albeit, Ca, Config,
    access_log::Log,
    ca::ALL_VERSIONS,
    client::connect_tls,
    flow::{Greeter, records},
};
use anyhow::{Context as _, Result, ensure};

/// What clients may offer.
const OFFERS: [&[&str]; 5] = [&["h2", "http/1.1"], &["http/1.1", "h2"], &["http/1.1"], &["foo"], &[]];

/// Checks what a listener with `policy` agrees on with each of the offers.
async fn check(policy: &str, expected: [Option<&str>; 5]) -> Result<()> {
    let (ca, target) = (Ca::try_new()?, Greeter::start("hello")?);
    let mut config = Config::network(&[target.addr()])?.with_tls(&ca)?;
    config.listeners = vec![config.listeners.remove(1).with("alpn_policy", policy)];
    let albeit = Albeit::start(config).await?;
    for (count, (offer, expected)) in OFFERS.into_iter().zip(expected).enumerate() {
        let tls = ca.client(offer, ALL_VERSIONS)?;
        let (client, negotiated) = connect_tls(albeit.listener(0)?, "localhost", tls).await?;
        assert_eq!(negotiated.alpn.as_deref(), expected, "{policy}: {offer:?}");
        drop(client);
        let record = records(&albeit, Log::TlsConnection, count + 1).await?.pop().context("no record")?;
        let offered: Vec<String> = offer.iter().map(|name| format!("\"{name}\"")).collect();
        let listed = if offer.is_empty() || policy == "None" { "-".to_owned() } else { offered.join(",") };
        assert_eq!(record["alpn_client_preference_list"], listed, "{policy}: {offer:?}");
        assert_eq!(record["alpn_fe_protocol"], expected.unwrap_or("-"), "{policy}: {offer:?}");
        ensure!(record["alpn_be_protocol"] == "-", "{record:?}");
    }
    Ok(())
}

#[tokio::test]
async fn without_a_policy_nothing_is_agreed_on() -> Result<()> {
    check("None", [None; 5]).await
}

#[tokio::test]
async fn http1only_agrees_on_http_1_1_alone() -> Result<()> {
    let http1 = Some("http/1.1");
    check("HTTP1Only", [http1, http1, http1, None, None]).await
}

#[tokio::test]
async fn http2only_agrees_on_h2_alone() -> Result<()> {
    check("HTTP2Only", [Some("h2"), Some("h2"), None, None, None]).await
}

#[tokio::test]
async fn http2optional_prefers_http_1_1() -> Result<()> {
    let http1 = Some("http/1.1");
    check("HTTP2Optional", [http1, http1, http1, None, None]).await
}

#[tokio::test]
async fn http2preferred_prefers_h2() -> Result<()> {
    check("HTTP2Preferred", [Some("h2"), Some("h2"), Some("http/1.1"), None, None]).await
}
