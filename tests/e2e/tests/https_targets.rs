//! Target groups of protocol HTTPS: TLS to targets, its limits, and what it carries.

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, Step, Target, TlsFront,
    ca::ALL_VERSIONS,
    forward,
    http2::Http2,
    ports::HeldPort,
    target::{ok, switching_protocols},
    tls_front::untrustworthy,
    websocket::{self, HELLO, MASKED_HELLO},
};
use anyhow::Result;
use bytes::Bytes;
use rustls::{ProtocolVersion, version};
use tokio::{io::AsyncWriteExt as _, task::JoinSet};

/// The group `web` with one HTTPS target.
fn group(addr: std::net::SocketAddr) -> Group {
    Group::new("web", &[addr]).speaking("HTTPS", "HTTP1")
}

/// Behind a listener whose policy has TLS 1.3, and so the targets' too.
async fn in_front_of(ca: &Ca, front: &TlsFront) -> Result<Albeit> {
    Albeit::start(Config::try_new()?.with_group(group(front.addr())).with_https(ca)?).await
}

async fn client(ca: &Ca, albeit: &Albeit) -> Result<Client> {
    Client::connect_tls(albeit.listener(0)?, "localhost", ca.client(&["http/1.1"], ALL_VERSIONS)?).await
}

#[tokio::test]
async fn any_certificate_will_do_and_the_connection_is_kept() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::saying("over TLS")?;
    let front = TlsFront::start(target.addr(), untrustworthy(ALL_VERSIONS, &[])?)?;
    let albeit = in_front_of(&ca, &front).await?;
    let mut client = client(&ca, &albeit).await?;
    assert_eq!(client.get("/one").await?.text(), "over TLS");
    assert_eq!(client.get("/two").await?.text(), "over TLS");
    let (first, second) = (target.request(1).await?, target.request(2).await?);
    assert_eq!((first.number, second.number), (0, 1), "the connection was not kept");
    assert_eq!(second.connection, first.connection);
    assert_eq!(first.header("x-forwarded-proto")?, "https");
    // Health checks have connections, and handshakes, of their own.
    let handshake = front.handshake(2).await?;
    assert_eq!((handshake.server_name, handshake.alpn), (None, Vec::new()));
    assert_eq!(handshake.version, Some(ProtocolVersion::TLSv1_3));

    let record = albeit.record("/two").await?;
    assert_eq!(record["target:port"], front.addr().to_string());
    assert_eq!((&*record["elb_status_code"], &*record["target_status_code"]), ("200", "200"));
    assert!(record.number("target_processing_time")? >= 0.0);
    assert!(target.health_checks().first().is_some_and(|head| head.starts_with("GET /health ")));
    assert_eq!(albeit.metrics().await?.cloudwatch("TargetTLSNegotiationErrorCount")?, 0.0);
    Ok(())
}

#[tokio::test]
async fn sessions_are_resumed() -> Result<()> {
    for version in [&version::TLS13, &version::TLS12] {
        let ca = Ca::try_new()?;
        let target = Target::start(|_| vec![Step::Send(ok("bye")), Step::Close])?;
        let front = TlsFront::start(target.addr(), untrustworthy(&[version], &[])?)?;
        let albeit = in_front_of(&ca, &front).await?;
        let mut client = client(&ca, &albeit).await?;
        assert_eq!(client.get("/one").await?.status, 200);
        let first = front.handshake(2).await?;
        assert!(!first.resumed, "{first:?}");
        // Until the target's close has arrived, the next request would be lost on its connection.
        albeit_e2e::eventually(albeit_e2e::wait::SOON, "a resumed session", || async {
            let mut client = self::client(&ca, &albeit).await?;
            client.get("/two").await?;
            let handshakes = front.handshakes();
            anyhow::ensure!(handshakes.len() > 2 && handshakes[2].resumed, "{handshakes:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn large_bodies_pass_both_ways() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::start_at_heads(|_| {
        vec![Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n".to_vec()), Step::Relay]
    })?;
    let front = TlsFront::start(target.addr(), untrustworthy(ALL_VERSIONS, &[])?)?;
    let albeit = in_front_of(&ca, &front).await?;
    let body: Vec<u8> = (0..8_u32 << 20).map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[2]).collect();
    let client = Http2::connect(albeit.listener(0)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await?;
    let request = http::Request::post("https://localhost/echo").body(Bytes::from(body.clone()))?;
    let response = client.send(request).await?;
    assert_eq!(response.status(), 200);
    assert!(*response.body() == body, "the echo differs");
    Ok(())
}

#[tokio::test]
async fn a_websocket_passes() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::start(|_| {
        vec![Step::Send(switching_protocols()), Step::Send(HELLO.to_vec()), Step::Collect]
    })?;
    let front = TlsFront::start(target.addr(), untrustworthy(ALL_VERSIONS, &[])?)?;
    let albeit = in_front_of(&ca, &front).await?;
    let mut client = client(&ca, &albeit).await?;
    websocket::upgrade(&mut client, "/ws").await?;
    assert_eq!(client.read_exactly(HELLO.len()).await?, HELLO);
    client.send(MASKED_HELLO.to_vec()).await?;
    target.tunnelled(|tunnelled| tunnelled.bytes == MASKED_HELLO).await?;
    drop(client);
    target.tunnelled(|tunnelled| tunnelled.ended == 1).await?;
    let record = albeit.record("/ws").await?;
    assert_eq!((&*record["type"], &*record["elb_status_code"]), ("wss", "101"));
    Ok(())
}

#[tokio::test]
async fn the_policy_towards_targets_goes_by_the_listeners() -> Result<()> {
    let target = Target::saying("ok")?;
    let front = TlsFront::start(target.addr(), untrustworthy(&[&version::TLS13], &[])?)?;
    // Without an HTTPS listener, or with one of an old policy, targets are spoken TLS 1.2 with.
    let config =
        Config::try_new()?.with_group(group(front.addr())).with_listener(Listener::http(forward("web"))?);
    let albeit = Albeit::start_unsettled(config).await?;
    let refused = albeit.get("/refused").await?;
    assert_eq!((refused.status, refused.header("server")?), (502, "awselb/2.0"));
    assert_eq!(albeit.metrics().await?.cloudwatch("TargetTLSNegotiationErrorCount")?, 1.0);
    let record = albeit.record("/refused").await?;
    assert_eq!((&*record["elb_status_code"], &*record["target_status_code"]), ("502", "-"));
    assert_eq!(record["target:port"], front.addr().to_string());
    assert!(front.handshakes().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_target_that_speaks_no_tls_gets_502() -> Result<()> {
    let port = HeldPort::try_new()?;
    let listener = port.listen()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Whether it is still listened to makes no difference.
            drop(stream.write_all(b"220 mail.test ESMTP\r\n").await);
        }
    });
    let config =
        Config::try_new()?.with_group(group(port.addr())).with_listener(Listener::http(forward("web"))?);
    let albeit = Albeit::start_unsettled(config).await?;
    assert_eq!(albeit.get("/").await?.status, 502);
    let metrics = albeit.metrics().await?;
    assert_eq!(metrics.cloudwatch("TargetTLSNegotiationErrorCount")?, 1.0);
    assert_eq!(metrics.cloudwatch("TargetConnectionErrorCount")?, 0.0);
    assert_eq!(metrics.cloudwatch("HTTPCode_ELB_502_Count")?, 1.0);
    Ok(())
}

#[tokio::test]
async fn a_handshake_of_more_than_10_seconds_gets_504() -> Result<()> {
    // It waits for the end of a request head, which a ClientHello is not.
    let target = Target::saying("never")?;
    let config = Config::try_new()?
        .with_group(group(target.addr()))
        .with_listener(Listener::http(forward("web"))?)
        .with_time_scale(10);
    let albeit = Albeit::start_unsettled(config).await?;
    let began = tokio::time::Instant::now();
    assert_eq!(albeit.get("/slow").await?.status, 504);
    assert!(began.elapsed().as_millis() >= 1000, "{:?}", began.elapsed());
    assert_eq!(albeit.metrics().await?.cloudwatch("TargetTLSNegotiationErrorCount")?, 1.0);
    assert_eq!(albeit.record("/slow").await?["target_processing_time"], "-1");
    Ok(())
}

#[tokio::test]
async fn health_checks_speak_the_protocol_they_are_told() -> Result<()> {
    let target = Target::saying("ok")?;
    let front = TlsFront::start(target.addr(), untrustworthy(ALL_VERSIONS, &[])?)?;
    let plain = Group::new("plain", &[target.addr()]).with_health("protocol", "HTTPS");
    let tls = Group::new("tls", &[front.addr()]).with_health("protocol", "HTTPS");
    let by_default =
        Group::new("default", &[front.addr()]).speaking("HTTPS", "HTTP1").without_health("protocol");
    let impatient = |group: Group| {
        group.with_health("interval", "5s").with_health("timeout", "2s").with_health("unhealthy_threshold", 2)
    };
    let mut config = Config::try_new()?.with_time_scale(20);
    for (group, name) in [(plain, "plain"), (tls, "tls"), (by_default, "default")] {
        config = config.with_group(impatient(group)).with_listener(Listener::http(forward(name))?);
    }
    let mut albeit = Albeit::start_unsettled(config).await?;
    let states = ["unhealthy", "healthy", "unhealthy"];
    let targets = albeit
        .wait_for_targets("health by protocol", |all| {
            all.iter().map(|t| t.state.as_str()).eq(by_name(states))
        })
        .await?;
    assert!(targets.iter().any(|t| t.reason == "Target.FailedHealthChecks" || t.reason == "Target.Timeout"));
    Ok(())
}

/// Groups come by name: default, plain, tls.
fn by_name([plain, tls, default]: [&str; 3]) -> [&str; 3] {
    [default, plain, tls]
}
