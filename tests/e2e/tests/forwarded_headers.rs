//! Headers as a target sees them: X-Forwarded-*, Host, X-Amzn-Trace-Id.

use std::net::Ipv6Addr;

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, Target, ca::ALL_VERSIONS, forward, http2::Http2,
    ports::HeldPort,
};
use anyhow::{Context as _, Result};

fn is_root(value: &str) -> bool {
    let mut parts = value.trim_start_matches("Root=").split('-');
    let version = parts.next() == Some("1");
    let hex = |part: Option<&str>, length: usize| {
        part.is_some_and(|p| p.len() == length && p.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    value.starts_with("Root=")
        && version
        && hex(parts.next(), 8)
        && hex(parts.next(), 24)
        && parts.next().is_none()
}

#[tokio::test]
async fn a_plain_request_gets_all_forwarded_headers() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    albeit.get("/plain").await?;
    let seen = target.request(1).await?;
    assert_eq!(seen.header("x-forwarded-for")?, "127.0.0.1");
    assert_eq!(seen.header("x-forwarded-proto")?, "http");
    assert_eq!(seen.header("x-forwarded-port")?, albeit.listener(0)?.port().to_string());
    assert_eq!(seen.header("host")?, albeit.listener(0)?.to_string());
    assert!(is_root(seen.header("x-amzn-trace-id")?), "{:?}", seen.head);
    let record = albeit.record("/plain").await?;
    assert_eq!(record["trace_id"], seen.header("x-amzn-trace-id")?);
    Ok(())
}

#[tokio::test]
async fn client_sent_ones_are_appended_to_or_overwritten() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let headers = [
        "X-Forwarded-For: 203.0.113.7, 198.51.100.1",
        "X-Forwarded-For: 192.0.2.9",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Port: 1",
        "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678;custom=yes",
    ];
    let response = albeit.client().await?.get_with("/sent", &headers).await?;
    let seen = target.request(1).await?;
    assert_eq!(seen.header("x-forwarded-for")?, "203.0.113.7, 198.51.100.1, 192.0.2.9, 127.0.0.1");
    assert_eq!(seen.header("x-forwarded-proto")?, "http");
    assert_eq!(seen.header("x-forwarded-port")?, albeit.listener(0)?.port().to_string());
    let trace = seen.header("x-amzn-trace-id")?;
    let rest = trace.strip_prefix("Self=1-").with_context(|| trace.to_owned())?;
    let (_, rest) = rest.split_once(';').with_context(|| trace.to_owned())?;
    assert_eq!(rest, "Root=1-67891233-abcdef012345678912345678;custom=yes");
    assert!(response.headers("x-amzn-trace-id").is_empty(), "{:?}", response.head);
    Ok(())
}

#[tokio::test]
async fn the_client_port_is_added_when_the_attribute_says_so() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?;
    let config = config.with_attribute("routing.http.xff_client_port.enabled", true);
    let albeit = Albeit::start(config).await?;
    let mut client = albeit.client().await?;
    client.get("/port").await?;
    assert_eq!(target.request(1).await?.header("x-forwarded-for")?, client.local_addr().to_string());
    Ok(())
}

#[tokio::test]
async fn preserve_and_remove_modes_leave_or_drop_the_client_sent_list() -> Result<()> {
    for (mode, expected) in [("preserve", vec!["203.0.113.7"]), ("remove", vec![])] {
        let target = Target::saying("ok")?;
        let config = Config::forwarding_to(&[target.addr()])?;
        let albeit =
            Albeit::start(config.with_attribute("routing.http.xff_header_processing.mode", mode)).await?;
        albeit.client().await?.get_with("/mode", &["X-Forwarded-For: 203.0.113.7"]).await?;
        assert_eq!(target.request(1).await?.headers("x-forwarded-for"), expected, "{mode}");
    }
    Ok(())
}

#[tokio::test]
async fn host_is_lower_cased_and_gets_the_listener_port() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let port = albeit.listener(0)?.port();
    let mut client = albeit.client().await?;
    for (number, (sent, seen)) in
        [("Example.TEST", format!("example.test:{port}")), ("example.test:81", "example.test:81".to_owned())]
            .into_iter()
            .enumerate()
    {
        client.send(format!("GET / HTTP/1.1\r\nHost: {sent}\r\n\r\n")).await?;
        client.response().await?;
        assert_eq!(target.request(number + 1).await?.header("host")?, seen);
    }
    Ok(())
}

#[tokio::test]
async fn host_passes_unchanged_when_preserved() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?;
    let config = config.with_attribute("routing.http.preserve_host_header.enabled", true);
    let albeit = Albeit::start(config).await?;
    let mut client = albeit.client().await?;
    client.send("GET / HTTP/1.1\r\nHost: Example.TEST\r\n\r\n").await?;
    client.response().await?;
    assert_eq!(target.request(1).await?.header("host")?, "Example.TEST");
    Ok(())
}

#[tokio::test]
async fn an_http_2_request_looks_like_any_other_to_the_target() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::saying("ok")?;
    let config = Config::try_new()?.with_group(Group::new("web", &[target.addr()])).with_https(&ca)?;
    let albeit = Albeit::start(config).await?;
    let addr = albeit.listener(0)?;
    let h2 = Http2::connect(addr, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await?;
    let uri = format!("https://localhost:{}/two?x=1", addr.port());
    h2.get(&uri, &[("x-forwarded-for", "203.0.113.7"), ("cookie", "a=1"), ("cookie", "b=2")]).await?;
    let seen = target.request(1).await?;
    assert_eq!(seen.line(), "GET /two?x=1 HTTP/1.1");
    assert_eq!(seen.header("x-forwarded-for")?, "203.0.113.7, 127.0.0.1");
    assert_eq!(seen.header("x-forwarded-proto")?, "https");
    assert_eq!(seen.header("x-forwarded-port")?, addr.port().to_string());
    assert_eq!(seen.header("host")?, format!("localhost:{}", addr.port()));
    // RFC 9113 section 8.2.3: split cookies are joined before HTTP/1.1.
    assert_eq!(seen.header("cookie")?, "a=1; b=2");
    Ok(())
}

#[tokio::test]
async fn an_ipv6_client_stands_bare_or_in_brackets_with_its_port() -> Result<()> {
    let Ok(held) = HeldPort::on(Ipv6Addr::LOCALHOST.into()) else {
        return Ok(()); // This machine has no IPv6.
    };
    let target = Target::saying("ok")?;
    let config = Config::try_new()?
        .with_group(Group::new("web", &[target.addr()]))
        .with_listener(Listener::on(held, "HTTP", forward("web")));
    let mut albeit = Albeit::start(config.clone()).await?;
    albeit.get("/bare").await?;
    assert_eq!(target.request(1).await?.header("x-forwarded-for")?, "::1");
    assert!(albeit.stop().await?.success());
    let albeit = Albeit::start(config.with_attribute("routing.http.xff_client_port.enabled", true)).await?;
    let mut client = Client::connect(albeit.listener(0)?).await?;
    client.get("/port").await?;
    let expected = format!("[::1]:{}", client.local_addr().port());
    assert_eq!(target.request(2).await?.header("x-forwarded-for")?, expected);
    Ok(())
}

#[tokio::test]
async fn hop_by_hop_headers_end_at_the_balancer() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let headers =
        ["Connection: keep-alive, X-Mine", "X-Mine: 1", "Keep-Alive: timeout=5", "Upgrade: h2c", "X-Kept: 1"];
    albeit.client().await?.get_with("/hops", &headers).await?;
    let seen = target.request(1).await?;
    for gone in ["x-mine", "keep-alive", "upgrade"] {
        assert!(seen.headers(gone).is_empty(), "{gone} in {:?}", seen.head);
    }
    assert_eq!(seen.header("x-kept")?, "1");
    Ok(())
}
