//! What a client sees of HTTP/2 settings, connection lives and headers that no other topic shows.

use std::{sync::Arc, time::Duration};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, Step, Target,
    ca::ALL_VERSIONS,
    eventually, forward,
    raw_http2::{Answer, RawHttp2},
    target::{Gate, ok, switching_protocols},
    wait::SOON,
    websocket::upgrade,
};
use anyhow::{Result, ensure};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

/// The header fields of a GET.
fn get(path: &[u8]) -> [(&'static [u8], &[u8]); 4] {
    [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", path)]
}

/// An HTTPS listener alone in front of `target`, and settings of a client that speaks HTTP/2.
async fn secure(
    target: &Target,
    change: impl FnOnce(Config) -> Config,
) -> Result<(Albeit, Arc<ClientConfig>)> {
    let ca = Ca::try_new()?;
    let config = Config::try_new()?.with_group(Group::new("web", &[target.addr()])).with_https(&ca)?;
    Ok((Albeit::start(change(config)).await?, ca.client(&["h2"], ALL_VERSIONS)?))
}

async fn http2(albeit: &Albeit, tls: &Arc<ClientConfig>) -> Result<RawHttp2> {
    RawHttp2::connect(albeit.listener(0)?, "localhost", Arc::clone(tls)).await
}

fn fixed(body: &str) -> Value {
    json!({ "fixed_response": { "status_code": "200", "content_type": "text/plain", "message_body": body } })
}

#[tokio::test]
async fn without_http2_alpn_offers_http_1_1_alone() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, Target::saying("ok")?);
    let config = Config::try_new()?.with_group(Group::new("web", &[target.addr()])).with_https(&ca)?;
    let albeit = Albeit::start(config.with_attribute("routing.http2.enabled", false)).await?;
    let addr = albeit.listener(0)?;
    let both = ca.client(&["h2", "http/1.1"], ALL_VERSIONS)?;
    let mut client = Client::connect_tls(addr, "localhost", both).await?;
    let alpn = client.tls.as_ref().and_then(|tls| tls.alpn.clone());
    assert_eq!(alpn.as_deref(), Some("http/1.1"));
    assert_eq!(client.get("/").await?.text(), "ok");
    assert_eq!(albeit.record("/").await?["type"], "https");
    // One that speaks nothing else has nothing to speak.
    let refused = Client::connect_tls(addr, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await;
    let reason = format!("{:#}", refused.err().expect("no protocol in common"));
    assert!(reason.contains("NoApplicationProtocol"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn http2_is_not_spoken_in_clear_text() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut client = albeit.client().await?;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
    let answer = client.response().await?;
    assert!(answer.head.starts_with("HTTP/1.1 ") && answer.status >= 400, "{}", answer.head);
    client.closed().await?;
    let mut client = albeit.client().await?;
    let upgrade = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"];
    assert_eq!(client.get_with("/h2c", &upgrade).await?.text(), "ok");
    let request = target.request(1).await?;
    assert!(request.headers("upgrade").is_empty(), "{}", request.head);
    Ok(())
}

#[tokio::test]
async fn a_connection_has_128_streams_and_no_extended_connect() -> Result<()> {
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    const ENABLE_PUSH: u16 = 2;
    const ENABLE_CONNECT_PROTOCOL: u16 = 8;
    const REFUSED_STREAM: u32 = 7;
    let gate = Gate::default();
    let held = gate.clone();
    let target = Target::start(move |_| vec![Step::Await(held.clone()), Step::Send(ok("ok"))])?;
    let (albeit, tls) = secure(&target, |config| config).await?;
    let mut client = http2(&albeit, &tls).await?;
    let settings = client.settings().await?;
    let value = |id| settings.iter().find(|(given, _)| *given == id).map(|(_, value)| *value);
    assert_eq!(value(MAX_CONCURRENT_STREAMS), Some(128));
    assert!(value(ENABLE_CONNECT_PROTOCOL).is_none_or(|on| on == 0), "{settings:?}");
    assert!(value(ENABLE_PUSH).is_none_or(|on| on == 0), "{settings:?}");
    for number in 0..=128 {
        client.send(2 * number + 1, &get(b"/"), b"").await?;
    }
    assert_eq!(client.answer(2 * 128 + 1).await?, Answer::Reset(REFUSED_STREAM));
    target.request(128).await?;
    gate.open();
    client.responses(128).await?;
    assert_eq!(target.requests().len(), 128);
    Ok(())
}

#[tokio::test]
async fn http2_pings_are_no_activity() -> Result<()> {
    let target = Target::saying("ok")?;
    // 10 s divided by 10.
    let idle = |config: Config| config.with_attribute("idle_timeout.timeout_seconds", 10).with_time_scale(10);
    let (albeit, tls) = secure(&target, idle).await?;
    let mut client = http2(&albeit, &tls).await?;
    client.send(1, &get(b"/"), b"").await?;
    assert_eq!(client.answer(1).await?, Answer::Response(200));
    let started = Instant::now();
    let (mut rhythm, mut pings) = (tokio::time::interval(Duration::from_millis(100)), 0);
    while client.ping().await.is_ok() {
        pings += 1;
        rhythm.tick().await;
    }
    let lived = started.elapsed();
    assert!((Duration::from_millis(800)..Duration::from_millis(1500)).contains(&lived), "{lived:?}");
    ensure!(pings >= 5, "only {pings} pings");
    Ok(())
}

/// Reloads with `config` and a rule for `/reloaded`, and waits for it.
async fn reload(albeit: &mut Albeit, mut config: Config) -> Result<()> {
    let reloaded = json!({ "path_pattern": ["/reloaded"] });
    config.listeners =
        config.listeners.into_iter().map(|l| l.with_rule(1, reloaded.clone(), fixed("new"))).collect();
    albeit.reload(config).await?;
    eventually(SOON, "the new rule", || async {
        let answer = albeit.get("/reloaded").await?.text();
        ensure!(answer == "new", "{answer}");
        Ok(())
    })
    .await
}

/// A client keep-alive duration that, divided by 60, is as many seconds, and no idle timeout to speak of.
fn keep_alive(config: Config, seconds: u32) -> Config {
    config
        .with_attribute("client_keep_alive.seconds", seconds * 60)
        .with_attribute("idle_timeout.timeout_seconds", 4000)
        .with_time_scale(60)
}

#[tokio::test]
async fn after_the_client_keep_alive_duration_http2_gets_goaway_with_one_more_request() -> Result<()> {
    let target = Target::saying("ok")?;
    let (albeit, tls) = secure(&target, |config| keep_alive(config, 1)).await?;
    let mut client = http2(&albeit, &tls).await?;
    let started = Instant::now();
    client.send(1, &get(b"/first"), b"").await?;
    assert_eq!(client.answer(1).await?, Answer::Response(200));
    // The end of the time alone is not told.
    sleep_until(started + Duration::from_millis(1300)).await;
    client.ping().await?;
    assert!(!client.told_to_go());
    client.send(3, &get(b"/more"), b"").await?;
    assert_eq!(client.answer_despite_goaway(3).await?, Answer::Response(200));
    client.closed().await?;
    assert!(client.told_to_go());
    assert_eq!(albeit.record("/more").await?["elb_status_code"], "200");
    Ok(())
}

#[tokio::test]
async fn a_connection_keeps_the_client_keep_alive_duration_it_began_with() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, Target::saying("ok")?);
    let config = keep_alive(Config::forwarding_to(&[target.addr()])?.with_https(&ca)?, 60);
    let shorter = keep_alive(config.clone(), 1);
    let mut albeit = Albeit::start(config).await?;
    let mut old = albeit.client().await?;
    let tls = ca.client(&["h2"], ALL_VERSIONS)?;
    let mut old2 = RawHttp2::connect(albeit.listener(1)?, "localhost", tls).await?;
    assert_eq!(old.get("/").await?.text(), "ok");
    old2.send(1, &get(b"/"), b"").await?;
    assert_eq!(old2.answer(1).await?, Answer::Response(200));

    reload(&mut albeit, shorter).await?;
    let mut new = albeit.client().await?;
    let accepted = Instant::now();
    sleep_until(accepted + Duration::from_millis(1300)).await;
    assert_eq!(new.get("/").await?.header("connection")?, "close");
    let answer = old.get("/reloaded").await?;
    assert!(answer.text() == "new" && !answer.headers("connection").contains(&"close"), "{}", answer.head);
    old2.send(3, &get(b"/reloaded"), b"").await?;
    assert_eq!(old2.answer(3).await?, Answer::Response(200));
    old2.ping().await?;
    assert!(!old2.told_to_go());
    Ok(())
}

#[tokio::test]
async fn an_open_connection_takes_a_new_idle_timeout_with_its_next_request() -> Result<()> {
    let target = Target::saying("ok")?;
    let idle = |config: Config, seconds| config.with_attribute("idle_timeout.timeout_seconds", seconds);
    let config = Config::forwarding_to(&[target.addr()])?.with_time_scale(10);
    let mut albeit = Albeit::start(idle(config.clone(), 4000)).await?;
    let mut client = albeit.client().await?;
    assert_eq!(client.get("/").await?.text(), "ok");
    // 10 s divided by 10.
    let shorter = idle(config, 10);
    reload(&mut albeit, shorter).await?;
    assert_eq!(client.get("/reloaded").await?.text(), "new");
    let answered = Instant::now();
    assert!(client.closed().await?.is_empty());
    let idle = answered.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_millis(1500)).contains(&idle), "{idle:?}");
    Ok(())
}

#[tokio::test]
async fn the_trace_id_is_logged_and_never_on_responses() -> Result<()> {
    let target = Target::start(|request| match request.path() {
        "/socket" => vec![Step::Send(switching_protocols()), Step::Relay],
        _ => vec![Step::Send(ok("ok"))],
    })?;
    let listener = Listener::http(forward("web"))?
        .with_rule(1, json!({ "path_pattern": ["/fixed"] }), fixed("x"))
        .with_rule(2, json!({ "path_pattern": ["/nobody"] }), forward("nobody"));
    let config = Config::try_new()?
        .with_group(Group::new("web", &[target.addr()]))
        .with_group(Group::new("nobody", &[]))
        .with_listener(listener);
    let albeit = Albeit::start(config).await?;
    for (path, status) in [("/forwarded", 200), ("/fixed", 200), ("/nobody", 503)] {
        let answer = albeit.get(path).await?;
        assert_eq!(answer.status, status);
        assert!(answer.headers("x-amzn-trace-id").is_empty(), "{}", answer.head);
    }
    let sent = target.request(1).await?;
    assert_eq!(sent.header("x-amzn-trace-id")?, albeit.record("/forwarded").await?["trace_id"]);

    let mut socket = albeit.client().await?;
    let answer = upgrade(&mut socket, "/socket").await?;
    assert!(answer.headers("x-amzn-trace-id").is_empty(), "{}", answer.head);
    drop(socket);
    let sent = target.request(2).await?;
    let trace_id = sent.header("x-amzn-trace-id")?;
    assert!(trace_id.starts_with("Root=1-"), "{trace_id}");
    assert_eq!(trace_id, albeit.record("/socket").await?["trace_id"]);
    Ok(())
}

#[tokio::test]
async fn a_client_that_asks_to_close_is_closed() -> Result<()> {
    let target = Target::saying("ok")?;
    let listener =
        Listener::http(forward("web"))?.with_rule(1, json!({ "path_pattern": ["/fixed"] }), fixed("x"));
    let config = Config::try_new()?.with_group(Group::new("web", &[target.addr()])).with_listener(listener);
    let albeit = Albeit::start(config).await?;
    for path in ["/", "/fixed"] {
        let mut client = albeit.client().await?;
        let answer = client.get_with(path, &["Connection: close"]).await?;
        assert_eq!((answer.status, answer.header("connection")?), (200, "close"), "{path}");
        assert!(client.closed().await?.is_empty());
    }
    // The connection to the target is another one, and stays.
    albeit.get("/").await?;
    let (first, second) = (target.request(1).await?, target.request(2).await?);
    assert_eq!((first.connection, first.number, second.number), (second.connection, 0, 1));
    Ok(())
}

#[tokio::test]
async fn folded_header_lines_are_refused() -> Result<()> {
    let target = Target::saying("ok")?;
    for mode in ["monitor", "defensive", "strictest"] {
        let config = Config::forwarding_to(&[target.addr()])?;
        let config = config.with_attribute("routing.http.desync_mitigation_mode", mode);
        let albeit = Albeit::start(config).await?;
        for (number, fold) in [" folded", "\tfolded"].into_iter().enumerate() {
            let mut client = albeit.client().await?;
            client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n{fold}\r\n\r\n")).await?;
            assert_eq!(client.response().await?.status, 400, "{mode}");
            client.closed().await?;
            let records = albeit.records("", number + 1).await?;
            assert!(records.iter().all(|record| record["elb_status_code"] == "400"), "{records:?}");
        }
    }
    assert!(target.requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn the_time_of_the_body_counts_as_the_targets() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut client = albeit.client().await?;
    client.send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst").await?;
    sleep_until(Instant::now() + Duration::from_millis(700)).await;
    client.send("after").await?;
    assert_eq!(client.response().await?.status, 200);
    let record = albeit.record("/slow").await?;
    assert!(record.number("target_processing_time")? >= 0.6, "{record:?}");
    assert!(record.number("request_processing_time")? < 0.5, "{record:?}");
    let metrics = albeit.metrics().await?;
    let seconds = metrics.sum(&format!("{}_sum", metrics.named_after("TargetResponseTime")?), "");
    assert!((seconds - record.number("target_processing_time")?).abs() < 0.01, "{seconds}, {record:?}");
    Ok(())
}

#[tokio::test]
async fn streams_of_one_client_count_one_each() -> Result<()> {
    let gate = Gate::default();
    let held = gate.clone();
    let script = move |_: &_| vec![Step::Await(held.clone()), Step::Send(ok("ok"))];
    let (first, second) = (Target::start(script.clone())?, Target::start(script)?);
    let ca = Ca::try_new()?;
    let group = Group::new("web", &[first.addr(), second.addr()])
        .with_attribute("load_balancing.algorithm.type", "least_outstanding_requests");
    let mut albeit = Albeit::start(Config::try_new()?.with_group(group).with_https(&ca)?).await?;
    let mut client = http2(&albeit, &ca.client(&["h2"], ALL_VERSIONS)?).await?;
    for number in 0..6 {
        client.send(2 * number + 1, &get(b"/"), b"").await?;
    }
    albeit.wait_for_targets("three streams each", |all| all.iter().all(|t| t.outstanding == 3)).await?;
    gate.open();
    client.responses(6).await?;
    albeit.wait_for_targets("none left", |all| all.iter().all(|t| t.outstanding == 0)).await?;
    Ok(())
}
