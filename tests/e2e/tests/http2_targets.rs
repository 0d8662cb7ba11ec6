//! Target groups of protocol version HTTP2: streams side by side, bodies both
//! ways, resets, GOAWAY, limits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, H2Target, TlsFront,
    ca::ALL_VERSIONS,
    eventually,
    h2_target::{self, Call, read_all, send_all},
    http2::Http2,
    ports::HeldPort,
    target::Gate,
    tls_front::untrustworthy,
    wait::SOON,
    within,
};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::{task::JoinSet, time::Instant};

/// The group `web` with one target of protocol version HTTP2 in clear text.
fn group(target: &H2Target) -> Group {
    Group::new("web", &[target.addr()]).speaking("HTTP", "HTTP2")
}

/// An HTTPS listener in front of `group`, with settings of the test.
async fn in_front_of(ca: &Ca, group: Group, settings: impl FnOnce(Config) -> Config) -> Result<Albeit> {
    Albeit::start(settings(Config::try_new()?.with_group(group).with_https(ca)?)).await
}

async fn client(ca: &Ca, albeit: &Albeit) -> Result<Http2> {
    Http2::connect(albeit.listener(0)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await
}

/// A client that sees frames.
async fn frames(ca: &Ca, albeit: &Albeit) -> Result<(h2::client::SendRequest<Bytes>, JoinSet<()>)> {
    h2_target::connect(albeit.listener(0)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await
}

fn get(path: &str) -> Result<Request<()>> {
    Ok(Request::get(format!("https://localhost{path}")).body(())?)
}

fn post(path: &str) -> Result<Request<()>> {
    Ok(Request::post(format!("https://localhost{path}")).body(())?)
}

/// Answers with `body` at once.
fn say(mut call: Call, body: &'static str) -> Result<()> {
    let response = Response::builder().header("content-type", "text/plain").body(())?;
    call.respond.send_response(response, false)?.send_data(Bytes::from_static(body.as_bytes()), true)?;
    Ok(())
}

fn saying(body: &'static str) -> Result<H2Target> {
    H2Target::start(100, move |call| async move { say(call, body) })
}

#[tokio::test]
async fn a_request_arrives_in_http2() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = saying("two")?;
    let front = TlsFront::start(target.addr(), untrustworthy(ALL_VERSIONS, &["h2"])?)?;
    let tls = Group::new("web", &[front.addr()]).speaking("HTTPS", "HTTP2");
    for (number, (group, scheme)) in [(group(&target), "http"), (tls, "https")].into_iter().enumerate() {
        let albeit = in_front_of(&ca, group, |config| config).await?;
        let client = client(&ca, &albeit).await?;
        let port = albeit.listener(0)?.port();
        let fields = [("x-own", "1"), ("cookie", "a=b"), ("cookie", "c=d"), ("user-agent", "test")];
        let response = client.get("https://LocalHost/path?query", &fields).await?;
        assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"two"[..]));

        let seen = target.request(number + 1).await?;
        assert_eq!(seen.method, "GET");
        assert_eq!(seen.uri.to_string(), format!("{scheme}://localhost:{port}/path?query"));
        let header = |name: &str| seen.headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(header("x-forwarded-proto"), Some("https"));
        assert_eq!(header("x-forwarded-port"), Some(port.to_string().as_str()));
        assert!(header("x-amzn-trace-id").is_some_and(|id| id.starts_with("Root=1-")));
        assert_eq!((header("x-own"), header("cookie")), (Some("1"), Some("a=b; c=d")));
        assert_eq!((header("host"), header("transfer-encoding")), (None, None));

        let record = albeit.record("/path?query").await?;
        assert_eq!(
            (&*record["type"], &*record["elb_status_code"], &*record["target_status_code"]),
            ("h2", "200", "200")
        );
        assert!(record.number("target_processing_time")? >= 0.0);
        assert!(record.number("response_processing_time")? >= 0.0);
        let metrics = albeit.metrics().await?;
        assert_eq!(metrics.cloudwatch("RequestCount")?, 1.0);
        assert_eq!(metrics.cloudwatch("HTTPCode_Target_2XX_Count")?, 1.0);
        assert_eq!(metrics.cloudwatch("GrpcRequestCount")?, 0.0);
    }
    assert!(front.handshakes().iter().all(|handshake| handshake.alpn == ["h2"]), "{:?}", front.handshakes());
    let checks = target.health_checks();
    let check = checks.first().context("no health check")?;
    assert_eq!(check.uri.to_string(), format!("http://{}/health", target.addr()));
    assert_eq!(
        check.headers.get("user-agent").map(HeaderValue::as_bytes),
        Some(&b"ELB-HealthChecker/2.0"[..])
    );
    Ok(())
}

#[tokio::test]
async fn http_1_1_requests_get_464() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = saying("never")?;
    let albeit = in_front_of(&ca, group(&target), |config| config).await?;
    let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    let mut client = Client::connect_tls(albeit.listener(0)?, "localhost", tls).await?;
    let refused = client.get("/old").await?;
    assert_eq!((refused.status, refused.header("server")?), (464, "awselb/2.0"));
    let record = albeit.record("/old").await?;
    assert_eq!((&*record["elb_status_code"], &*record["target:port"]), ("464", "-"));
    let metrics = albeit.metrics().await?;
    assert_eq!(metrics.cloudwatch("HTTPCode_ELB_4XX_Count")?, 1.0);
    assert_eq!(metrics.cloudwatch("RequestCount")?, 0.0);
    assert!(target.requests().is_empty());
    // The connection is as good as before.
    assert_eq!(client.get("/again").await?.status, 464);
    Ok(())
}

#[tokio::test]
async fn bodies_pass_both_ways_at_once_and_the_head_may_end_the_stream() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = H2Target::start(100, |mut call| async move {
        if call.request.uri().path() == "/empty" {
            call.respond.send_response(Response::builder().status(204).body(())?, true)?;
            return Ok(());
        }
        let mut stream = call.respond.send_response(Response::new(()), false)?;
        let body = call.request.body_mut();
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            send_all(&mut stream, piece).await?;
        }
        stream.send_data(Bytes::new(), true)?;
        Ok(())
    })?;
    let albeit = in_front_of(&ca, group(&target), |config| config).await?;
    let client = client(&ca, &albeit).await?;
    let body: Vec<u8> = (0..8_u32 << 20).map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[2]).collect();
    let request = Request::post("https://localhost/echo").body(Bytes::from(body.clone()))?;
    let response = client.send(request).await?;
    assert!(*response.body() == body, "{} bytes came back", response.body().len());
    let pieces: Vec<Bytes> = (0..500).map(|_| Bytes::from_static(b"a piece ")).collect();
    let response = client.send_pieces(Request::post("https://localhost/pieces").body(pieces)?).await?;
    assert_eq!(response.body().len(), 4000);
    assert_eq!(client.get("https://localhost/empty", &[]).await?.status(), 204);
    let (mut sender, _connection) = frames(&ca, &albeit).await?;
    let (response, _) = sender.send_request(get("/empty")?, true)?;
    assert!(response.await?.body().is_end_stream(), "an empty body was sent by itself");

    let record = albeit.record("/echo").await?;
    assert!(record.number("received_bytes")? >= 8_388_608.0 && record.number("sent_bytes")? >= 8_388_608.0);
    Ok(())
}

#[tokio::test]
async fn trailers_of_a_response_are_passed_on() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = H2Target::start(100, |mut call| async move {
        let mut stream = call.respond.send_response(Response::new(()), false)?;
        stream.send_data(Bytes::from_static(b"body"), false)?;
        let trailers = [("x-checksum", "1"), ("x-late", "2")];
        let trailers = trailers
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
        stream.send_trailers(HeaderMap::from_iter(trailers))?;
        Ok(())
    })?;
    let albeit = in_front_of(&ca, group(&target), |config| config).await?;
    let (mut sender, _connection) = frames(&ca, &albeit).await?;
    let (response, _) = sender.send_request(get("/")?, true)?;
    let mut response = within(SOON, "response", response).await??;
    let (body, trailers) = within(SOON, "body", read_all(response.body_mut())).await??;
    assert_eq!(body, b"body");
    let trailers = trailers.context("no trailers")?;
    assert_eq!((trailers.len(), trailers["x-late"].as_bytes()), (2, &b"2"[..]));
    Ok(())
}

#[tokio::test]
async fn streams_share_a_connection_until_it_is_full() -> Result<()> {
    let ca = Ca::try_new()?;
    let gate = Gate::default();
    let held = gate.clone();
    let target = H2Target::start(2, move |call| {
        let gate = held.clone();
        async move {
            gate.wait().await;
            say(call, "late")
        }
    })?;
    let albeit = in_front_of(&ca, group(&target), |config| config).await?;
    let client = Arc::new(client(&ca, &albeit).await?);
    let mut requests = JoinSet::new();
    for number in 0..5 {
        let client = Arc::clone(&client);
        requests.spawn(async move { client.get(&format!("https://localhost/{number}"), &[]).await });
        target.request(number + 1).await?;
    }
    let mut counts = std::collections::BTreeMap::new();
    target.requests().iter().for_each(|seen| *counts.entry(seen.connection).or_insert(0) += 1);
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [2, 2, 1]);
    gate.open();
    while let Some(response) = requests.join_next().await {
        assert_eq!(response??.status(), 200);
    }
    // There is room again: nothing new is opened.
    client.get("https://localhost/after", &[]).await?;
    let connections: std::collections::BTreeSet<_> =
        target.requests().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections.len(), 3);
    Ok(())
}

#[tokio::test]
async fn hundreds_of_streams_at_a_time() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = H2Target::start(100, |mut call| async move {
        let (body, _) = read_all(call.request.body_mut()).await?;
        let mut stream = call.respond.send_response(Response::new(()), false)?;
        send_all(&mut stream, body.into()).await?;
        stream.send_data(Bytes::new(), true)?;
        Ok(())
    })?;
    let albeit = in_front_of(&ca, group(&target), |config| config).await?;
    let mut requests = JoinSet::new();
    for _ in 0..8 {
        let client = Arc::new(client(&ca, &albeit).await?);
        for number in 0..100 {
            let client = Arc::clone(&client);
            let body = Bytes::from(format!("{number} ").repeat(1000));
            requests.spawn(async move {
                let response = client.send(Request::post("https://localhost/").body(body.clone())?).await?;
                ensure!(response.body() == &body, "{number} came back different");
                Ok(())
            });
        }
    }
    while let Some(result) = requests.join_next().await {
        result??;
    }
    assert_eq!(target.requests().len(), 800);
    Ok(())
}

#[tokio::test]
async fn a_reset_by_the_target_is_502_before_the_head_and_passed_on_after_it() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = H2Target::start(100, |mut call| async move {
        if call.request.uri().path() == "/before" {
            call.respond.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
        let mut stream = call.respond.send_response(Response::new(()), false)?;
        stream.send_data(Bytes::from_static(b"half"), false)?;
        // The client has the head before the reset is sent.
        call.request.body_mut().data().await.context("no sign")??;
        stream.send_reset(Reason::ENHANCE_YOUR_CALM);
        Ok(())
    })?;
    let albeit = in_front_of(&ca, group(&target), |config| config).await?;
    let client = client(&ca, &albeit).await?;
    let refused = client.get("https://localhost/before", &[]).await?;
    assert_eq!(
        (refused.status().as_u16(), refused.headers()["server"].as_bytes()),
        (502, &b"awselb/2.0"[..])
    );
    let record = albeit.record("/before").await?;
    assert_eq!((&*record["elb_status_code"], &*record["target_status_code"]), ("502", "-"));
    assert!(record.number("target_processing_time")? >= 0.0);
    assert_eq!(record["response_processing_time"], "-1");

    let (mut sender, _connection) = frames(&ca, &albeit).await?;
    let (response, mut stream) = sender.send_request(post("/after")?, false)?;
    let mut response = within(SOON, "response", response).await??;
    stream.send_data(Bytes::from_static(b"go"), false)?;
    let ended = within(SOON, "reset", read_all(response.body_mut())).await?;
    assert_eq!(ended.unwrap_err().reason(), Some(Reason::ENHANCE_YOUR_CALM));
    assert_eq!(albeit.record("/after").await?["elb_status_code"], "200");
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_resets_the_targets_stream() -> Result<()> {
    let ca = Ca::try_new()?;
    let cancelled = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&cancelled);
    let target = H2Target::start(100, move |mut call| {
        let counter = Arc::clone(&counter);
        async move {
            let answered = call.request.uri().path() == "/after";
            let reset = if answered {
                let mut stream = call.respond.send_response(Response::new(()), false)?;
                std::future::poll_fn(|cx| stream.poll_reset(cx)).await?
            } else {
                std::future::poll_fn(|cx| call.respond.poll_reset(cx)).await?
            };
            if reset == Reason::CANCEL {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }
    })?;
    let albeit = in_front_of(&ca, group(&target), |config| config).await?;
    let (mut sender, _connection) = frames(&ca, &albeit).await?;
    let (response, mut stream) = sender.send_request(get("/before")?, true)?;
    target.request(1).await?;
    stream.send_reset(Reason::CANCEL);
    drop(response);
    assert_eq!(albeit.record("/before").await?["elb_status_code"], "460");

    let (response, mut stream) = sender.send_request(post("/after")?, false)?;
    let response = within(SOON, "response", response).await??;
    stream.send_reset(Reason::CANCEL);
    drop(response);
    assert_eq!(albeit.record("/after").await?["elb_status_code"], "200");
    eventually(SOON, "both streams reset at the target", || async {
        ensure!(cancelled.load(Ordering::Relaxed) == 2);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn silence_is_504_before_the_head_and_a_reset_after_it() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = H2Target::start(100, |mut call| async move {
        if call.request.uri().path() == "/after" {
            let _stream = call.respond.send_response(Response::new(()), false)?;
            std::future::pending::<()>().await;
        }
        std::future::pending::<Result<()>>().await
    })?;
    let settings = |config: Config| config.with_attribute("idle_timeout.timeout_seconds", 1);
    let albeit = in_front_of(&ca, group(&target), settings).await?;
    let (mut sender, _connection) = frames(&ca, &albeit).await?;
    let (response, _) = sender.send_request(get("/before")?, true)?;
    assert_eq!(within(SOON, "504", response).await??.status(), 504);
    assert_eq!(albeit.record("/before").await?["target_processing_time"], "-1");
    // The request is not there in full, and the target waits for it.
    let (response, _stream) = sender.send_request(post("/unfinished")?, false)?;
    assert_eq!(within(SOON, "408", response).await??.status(), 408);
    let (response, _) = sender.send_request(get("/after")?, true)?;
    let mut response = within(SOON, "response", response).await??;
    assert!(within(SOON, "reset", read_all(response.body_mut())).await?.is_err());
    Ok(())
}

#[tokio::test]
async fn after_silence_the_next_request_goes_on_a_new_connection() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = H2Target::start(100, |call| async move {
        match call.request.uri().path() {
            "/dead" => std::future::pending().await,
            _ => say(call, "ok"),
        }
    })?;
    let settings = |config: Config| config.with_attribute("idle_timeout.timeout_seconds", 1);
    let albeit = in_front_of(&ca, group(&target), settings).await?;
    let client = client(&ca, &albeit).await?;
    assert_eq!(client.get("https://localhost/dead", &[]).await?.status(), 504);
    let dead = target.request(1).await?.connection;
    assert_eq!(client.get("https://localhost/next", &[]).await?.status(), 200);
    let next = target.request(2).await?.connection;
    assert_ne!(next, dead);
    client.get("https://localhost/third", &[]).await?;
    assert_eq!(target.request(3).await?.connection, next);
    Ok(())
}

#[tokio::test]
async fn a_connection_told_to_go_away_ends_with_what_it_has() -> Result<()> {
    let ca = Ca::try_new()?;
    let gate = Gate::default();
    let held = gate.clone();
    let target = H2Target::start(100, move |call| {
        let gate = held.clone();
        async move {
            if call.request.uri().path() == "/slow" {
                gate.wait().await;
            }
            say(call, "ok")
        }
    })?;
    let albeit = in_front_of(&ca, group(&target), |config| config).await?;
    let client = Arc::new(client(&ca, &albeit).await?);
    let mut slow = JoinSet::new();
    let other = Arc::clone(&client);
    slow.spawn(async move { other.get("https://localhost/slow", &[]).await });
    let first = target.request(1).await?.connection;
    target.go_away();
    // Until GOAWAY has arrived, requests still join the connection, and it serves them.
    eventually(SOON, "a new connection", || async {
        ensure!(client.get("https://localhost/next", &[]).await?.status() == 200);
        let seen = target.requests().pop().context("no request")?;
        ensure!(seen.connection != first);
        Ok(())
    })
    .await?;
    gate.open();
    assert_eq!(slow.join_next().await.context("no task")???.status(), 200);
    Ok(())
}

#[tokio::test]
async fn an_idle_connection_is_closed_at_the_idle_timeout() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = saying("ok")?;
    let settings = |config: Config| config.with_attribute("idle_timeout.timeout_seconds", 1);
    let albeit = in_front_of(&ca, group(&target), settings).await?;
    let connections = || async { albeit.metrics().await?.cloudwatch("ActiveConnectionCount") };
    assert_eq!(client(&ca, &albeit).await?.get("https://localhost/", &[]).await?.status(), 200);
    eventually(SOON, "no connection left", || async {
        let open = connections().await?;
        ensure!(open == 0.0, "{open} connections");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_end_of_the_deregistration_delay_cuts_streams() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = H2Target::start(100, |_call| std::future::pending())?;
    let delayed = |target: &H2Target| group(target).with_attribute("deregistration_delay.timeout_seconds", 1);
    let mut albeit = in_front_of(&ca, delayed(&target), |config| config).await?;
    let (mut sender, _connection) = frames(&ca, &albeit).await?;
    let (response, _) = sender.send_request(get("/cut")?, true)?;
    target.request(1).await?;
    let without = albeit.config.clone().map_group(|group| group.with_targets(&[]));
    albeit.reload(without).await?;
    assert_eq!(within(SOON, "502", response).await??.status(), 502);
    assert_eq!(albeit.record("/cut").await?["elb_status_code"], "502");
    Ok(())
}

#[tokio::test]
async fn a_target_that_speaks_http_1_1_gets_502() -> Result<()> {
    let ca = Ca::try_new()?;
    let target =
        albeit_e2e::Target::start(|_| vec![albeit_e2e::Step::Send(albeit_e2e::target::ok("what?"))])?;
    let config = Config::try_new()?
        .with_group(Group::new("web", &[target.addr()]).speaking("HTTP", "HTTP2"))
        .with_https(&ca)?;
    let albeit = Albeit::start_unsettled(config).await?;
    assert_eq!(client(&ca, &albeit).await?.get("https://localhost/", &[]).await?.status(), 502);
    Ok(())
}

#[tokio::test]
async fn a_target_that_says_nothing_to_the_greeting_is_given_up() -> Result<()> {
    let ca = Ca::try_new()?;
    // Greeted by nobody: what connects is only held, or closed at once.
    for (is_closed, status) in [(false, 504), (true, 502)] {
        let port = HeldPort::try_new()?;
        let listener = port.listen()?;
        let mut target = JoinSet::new();
        let (left, mut has_left) = tokio::sync::watch::channel(0);
        target.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let left = left.clone();
                if is_closed {
                    continue;
                }
                connections.spawn(async move {
                    // A reset is an end like another.
                    drop(tokio::io::copy(&mut stream, &mut tokio::io::sink()).await);
                    left.send_modify(|count| *count += 1);
                });
            }
        });
        // Ten seconds, divided; health checks are few.
        let group =
            Group::new("web", &[port.addr()]).speaking("HTTP", "HTTP2").with_health("interval", "300s");
        let config = Config::try_new()?.with_group(group).with_https(&ca)?.with_time_scale(20);
        let albeit = Albeit::start_unsettled(config).await?;
        let begun = Instant::now();
        assert_eq!(client(&ca, &albeit).await?.get("https://localhost/", &[]).await?.status(), status);
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(1000), "{took:?}");
        assert_eq!(albeit.metrics().await?.cloudwatch("TargetConnectionErrorCount")?, 1.0, "{status}");
        if !is_closed {
            // The first is the health check's.
            within(SOON, "both connections closed", has_left.wait_for(|count| *count >= 2)).await??;
        }
    }
    Ok(())
}

#[tokio::test]
async fn response_headers_over_32_kb_get_502() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = H2Target::start(100, |mut call| async move {
        let size = call.request.uri().path().trim_start_matches('/').parse()?;
        let response = Response::builder().header("x-big", "x".repeat(size)).body(())?;
        call.respond.send_response(response, true)?;
        Ok(())
    })?;
    let albeit = in_front_of(&ca, group(&target), |config| config).await?;
    let client = client(&ca, &albeit).await?;
    // The client itself takes no head of more than 16 KiB.
    for (size, status) in [(15_000, 200), (33_000, 502), (100_000, 502), (15_000, 200)] {
        let response = client.get(&format!("https://localhost/{size}"), &[]).await?;
        assert_eq!(response.status().as_u16(), status, "{size}");
    }
    Ok(())
}

#[tokio::test]
async fn a_shutdown_lets_streams_end_and_closes_connections_to_targets() -> Result<()> {
    let ca = Ca::try_new()?;
    let gate = Gate::default();
    let held = gate.clone();
    let target = H2Target::start(100, move |call| {
        let gate = held.clone();
        async move {
            gate.wait().await;
            say(call, "done")
        }
    })?;
    let mut albeit = in_front_of(&ca, group(&target), |config| config).await?;
    let client = client(&ca, &albeit).await?;
    let mut requests = JoinSet::new();
    requests.spawn(async move { client.get("https://localhost/last", &[]).await });
    target.request(1).await?;
    albeit.process.signal("TERM").await?;
    gate.open();
    let response = requests.join_next().await.context("no task")???;
    assert_eq!(response.body(), "done");
    assert!(albeit.process.exited(SOON).await?.success());
    Ok(())
}

#[tokio::test]
async fn stickiness_binds_streams_to_a_target() -> Result<()> {
    let ca = Ca::try_new()?;
    let targets = [saying("a")?, saying("b")?];
    let addrs: Vec<_> = targets.iter().map(H2Target::addr).collect();
    let group = Group::new("web", &addrs).speaking("HTTP", "HTTP2").with_lb_cookie();
    let albeit = in_front_of(&ca, group, |config| config).await?;
    let client = client(&ca, &albeit).await?;
    let first = client.get("https://localhost/", &[]).await?;
    let cookies = first.headers().get_all("set-cookie").iter();
    let cookies: Vec<_> = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next()).collect();
    assert!(cookies.iter().any(|cookie| cookie.starts_with("AWSALB=")), "{cookies:?}");
    for _ in 0..4 {
        let again = client.get("https://localhost/", &[("cookie", &cookies.join("; "))]).await?;
        assert_eq!(again.body(), first.body());
    }
    Ok(())
}
