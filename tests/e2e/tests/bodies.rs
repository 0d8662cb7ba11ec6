//! Request and response bodies on their way: framing, both directions at once,
//! and what becomes of a request when one side stops in the middle.

use std::time::Duration;

use albeit_e2e::{
    Albeit, Ca, Client, Config, Step, Target,
    ca::ALL_VERSIONS,
    http2::Http2,
    target::{self, Gate, ok, response},
    wait::{SOON, within},
};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn in_front_of(target: &Target) -> Result<Albeit> {
    Albeit::start(Config::forwarding_to(&[target.addr()])?).await
}

/// An idle timeout of 1 s: 10 s divided by 10.
async fn one_second(target: &Target) -> Result<Albeit> {
    let config = Config::forwarding_to(&[target.addr()])?.with_attribute("idle_timeout.timeout_seconds", 10);
    Albeit::start(config.with_time_scale(10)).await
}

/// A second listener with TLS, and how to reach it.
async fn with_tls(target: &Target, alpn: &str) -> Result<(Albeit, std::sync::Arc<rustls::ClientConfig>)> {
    let ca = Ca::try_new()?;
    let config = Config::forwarding_to(&[target.addr()])?.with_https(&ca)?;
    Ok((Albeit::start(config).await?, ca.client(&[alpn], ALL_VERSIONS)?))
}

fn silent() -> Result<Target> {
    Target::start(|_| vec![Step::Pause(Duration::from_secs(60))])
}

/// The bytes of one test body in chunks: `hello, world`.
const CHUNKS: &str = "5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n";

/// Sends an upload in pieces, in segments of their own.
async fn upload(client: &mut Client, path: &str, pieces: &[&str]) -> Result<()> {
    client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")).await?;
    let mut rhythm = tokio::time::interval(Duration::from_millis(4));
    for piece in pieces {
        rhythm.tick().await;
        client.send(piece).await?;
    }
    Ok(())
}

/// Checks the `number`th upload at the target. Bytes too many behind the one before it would be a
/// request of their own, in its place.
async fn check_upload(target: &Target, number: usize, body: &str) -> Result<target::Request> {
    let seen = target.request(number + 1).await?;
    ensure!(seen.line() == format!("POST /{number} HTTP/1.1"), "{}", seen.head);
    ensure!(seen.header("transfer-encoding")? == "chunked", "{}", seen.head);
    ensure!(seen.body == body.as_bytes(), "{:?}", String::from_utf8_lossy(&seen.body));
    Ok(seen)
}

#[tokio::test]
async fn chunks_arrive_whole_wherever_the_segments_end() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = in_front_of(&target).await?;
    let mut client = albeit.client().await?;
    let mut cuts: Vec<Vec<&str>> =
        (1..CHUNKS.len()).map(|at| <[&str; 2]>::from(CHUNKS.split_at(at)).to_vec()).collect();
    cuts.push(vec!["5", "\r\n", "hello", "\r\n", "7", "\r\n", ", world", "\r\n", "0", "\r\n\r\n"]);
    cuts.push(vec!["5\r", "\nhel", "lo\r", "\n7\r\n, world\r\n0\r", "\n\r", "\n"]);
    for (number, pieces) in cuts.iter().enumerate() {
        upload(&mut client, &format!("/{number}"), pieces).await?;
        assert_eq!(client.response().await?.status, 200, "{pieces:?}");
        let seen =
            check_upload(&target, number, "hello, world").await.with_context(|| format!("{pieces:?}"))?;
        assert_eq!((seen.connection, seen.number), (0, number), "not on the pooled connection");
    }
    // After the last upload too the connections carry another request.
    assert_eq!(client.get("/after").await?.status, 200);
    let after = target.request(cuts.len() + 1).await?;
    assert_eq!((after.line(), after.connection), ("GET /after HTTP/1.1", 0));
    Ok(())
}

#[tokio::test]
async fn chunks_arrive_whole_one_byte_at_a_time() -> Result<()> {
    let bytes: Vec<&str> = CHUNKS.split("").filter(|byte| !byte.is_empty()).collect();
    for listener in [0, 1] {
        let target = Target::saying("ok")?;
        let (albeit, tls) = with_tls(&target, "http/1.1").await?;
        let addr = albeit.listener(listener)?;
        let mut client = match listener {
            0 => Client::connect(addr).await?,
            _ => Client::connect_tls(addr, "localhost", tls).await?,
        };
        // The second body is empty: its terminator alone.
        for (number, (pieces, body)) in
            [(&bytes[..], "hello, world"), (&["0", "\r", "\n\r", "\n"], ""), (&bytes, "hello, world")]
                .into_iter()
                .enumerate()
        {
            upload(&mut client, &format!("/{number}"), pieces).await?;
            assert_eq!(client.response().await?.status, 200);
            let seen = check_upload(&target, number, body).await?;
            assert_eq!((seen.connection, seen.number), (0, number), "not on the pooled connection");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_request_in_the_same_segment_as_the_terminator_is_served() -> Result<()> {
    let target = Target::start(|request| vec![Step::Send(ok(request.path()))])?;
    let albeit = in_front_of(&target).await?;
    let mut client = albeit.client().await?;
    upload(&mut client, "/0", &["5\r\nhello", "\r\n0\r\n\r\nGET /pipelined HTTP/1.1\r\nHost: a\r\n\r\n"])
        .await?;
    assert_eq!(client.response().await?.text(), "/0");
    assert_eq!(client.response().await?.text(), "/pipelined");
    check_upload(&target, 0, "hello").await?;
    assert_eq!(target.request(2).await?.line(), "GET /pipelined HTTP/1.1");
    Ok(())
}

#[tokio::test]
async fn http_2_bodies_of_unknown_length_arrive_in_chunks() -> Result<()> {
    let target = Target::saying("ok")?;
    let (albeit, tls) = with_tls(&target, "h2").await?;
    let addr = albeit.listener(1)?;
    let h2 = Http2::connect(addr, "localhost", tls).await?;
    let bodies: [&[&'static str]; 4] =
        [&["hello"], &["hel", "lo, ", "world"], &["with a late end", ""], &[""]];
    for (number, pieces) in bodies.iter().enumerate() {
        let frames = pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect();
        let uri = format!("https://localhost:{}/{number}", addr.port());
        let answer = h2.send_pieces(Request::post(uri).body(frames)?).await?;
        assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (200, &b"ok"[..]));
        check_upload(&target, number, &pieces.concat()).await.with_context(|| format!("{pieces:?}"))?;
    }
    assert_eq!(target.requests().len(), bodies.len());
    Ok(())
}

#[tokio::test]
async fn a_target_silent_after_a_whole_body_gets_the_client_504() -> Result<()> {
    let target = silent()?;
    let albeit = one_second(&target).await?;
    let mut client = albeit.client().await?;
    client.send("POST /silent HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await?;
    assert_eq!(client.response().await?.status, 504);
    let mut client = albeit.client().await?;
    upload(&mut client, "/silent-chunks", &[CHUNKS]).await?;
    assert_eq!(client.response().await?.status, 504);
    assert_eq!(albeit.record("/silent ").await?["elb_status_code"], "504");
    assert_eq!(albeit.record("/silent-chunks").await?["elb_status_code"], "504");
    Ok(())
}

#[tokio::test]
async fn chunks_that_stall_get_408() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = one_second(&target).await?;
    for (number, pieces) in
        [&["5\r\nhel"][..], &["5\r\nhello\r\n"], &["5\r\nhello\r\n0\r\n"], &[]].iter().enumerate()
    {
        let mut client = albeit.client().await?;
        upload(&mut client, &format!("/stalls-{number}"), pieces).await?;
        let answer = client.response().await?;
        assert_eq!((answer.status, answer.header("connection")?), (408, "close"), "{pieces:?}");
        client.closed().await?;
        assert_eq!(albeit.record(&format!("/stalls-{number}")).await?["elb_status_code"], "408");
    }
    assert_eq!(target.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_after_a_whole_body_is_logged_as_460() -> Result<()> {
    let target = silent()?;
    let albeit = in_front_of(&target).await?;
    for (number, framing) in
        ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
            .into_iter()
            .enumerate()
    {
        let path = format!("/left-{number}");
        let mut client = albeit.client().await?;
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\n{framing}")).await?;
        target.request(number + 1).await?;
        drop(client);
        let record = albeit.record(&path).await?;
        assert_eq!((record["elb_status_code"].as_str(), record["target_status_code"].as_str()), ("460", "-"));
        assert_eq!(record["target:port"], target.addr().to_string());
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_inside_the_body_is_logged_as_400() -> Result<()> {
    let target = Target::start_at_heads(|_| vec![Step::Collect, Step::Close])?;
    let albeit = in_front_of(&target).await?;
    for (number, framing) in
        ["Content-Length: 5\r\n\r\nhel", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]
            .into_iter()
            .enumerate()
    {
        let path = format!("/half-{number}");
        let mut client = albeit.client().await?;
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\n{framing}")).await?;
        target.request(number + 1).await?;
        drop(client);
        assert_eq!(albeit.record(&path).await?["elb_status_code"], "400");
        // The target learns that no more will come: half a request is nothing to pool.
        target.tunnelled(|seen| seen.ended == number + 1).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_early_refusal_reaches_the_client_and_its_connection_is_not_used_again() -> Result<()> {
    let target = Target::start_at_heads(|request| {
        let refused = response("401 Unauthorized", &["Connection: keep-alive"], "who are you?");
        vec![Step::Send(if request.path() == "/upload" { refused } else { ok("welcome") })]
    })?;
    let albeit = in_front_of(&target).await?;
    let mut client = albeit.client().await?;
    client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n0123456789").await?;
    let answer = client.response().await?;
    assert_eq!((answer.status, answer.text()), (401, "who are you?".to_owned()));

    let other = albeit.get("/other").await?;
    assert_eq!((other.status, other.text()), (200, "welcome".to_owned()));
    let seen = target.request(2).await?;
    assert_eq!((seen.line(), seen.connection, seen.number), ("GET /other HTTP/1.1", 1, 0));
    // What the client still sends belongs to no request.
    client.closed().await?;
    assert_eq!(albeit.record("/upload").await?["elb_status_code"], "401");
    Ok(())
}

/// More than all buffers on the way hold together.
const ECHOED: usize = 8 << 20;

/// A target that sends a body of [`ECHOED`] bytes back while it comes. It starts late, when the client
/// has sent all it can, and reads no further before what it has sent is read: a balancer that waits
/// for it to take the request would wait for ever.
fn echoing() -> Result<Target> {
    // It goes on echoing whatever comes: no connection for a second request.
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {ECHOED}\r\n\r\n");
    Target::start_at_heads(move |_| {
        vec![
            Step::LimitSendBuffer(32 * 1024),
            Step::Send(head.clone().into_bytes()),
            Step::Pause(Duration::from_millis(300)),
            Step::Relay,
        ]
    })
}

fn patterned() -> Vec<u8> {
    (0..=250_u8).cycle().take(ECHOED).collect()
}

/// Sends and receives at the same time; what came after the head of the response.
async fn echo(client: Client, body: &[u8]) -> Result<Vec<u8>> {
    let head =
        format!("POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {ECHOED}\r\n\r\n");
    let (mut reading, mut writing) = tokio::io::split(client.into_stream()?);
    let mut received = Vec::new();
    let send = async {
        writing.write_all(head.as_bytes()).await?;
        writing.write_all(body).await?;
        writing.flush().await
    };
    let both = async { tokio::join!(send, reading.read_to_end(&mut received)) };
    let (sent, read) = within(SOON, "echo", both).await?;
    sent?;
    read?;
    let end = received.windows(4).position(|window| window == b"\r\n\r\n").context("no head")?;
    ensure!(received.starts_with(b"HTTP/1.1 200 OK\r\n"), "no 200");
    Ok(received.split_off(end + 4))
}

#[tokio::test]
async fn a_target_may_answer_while_it_receives() -> Result<()> {
    let target = echoing()?;
    let (albeit, tls) = with_tls(&target, "http/1.1").await?;
    let body = patterned();
    let plain = albeit.client().await?;
    let secure = Client::connect_tls(albeit.listener(1)?, "localhost", tls).await?;
    for client in [plain, secure] {
        let echoed = echo(client, &body).await?;
        assert!(echoed == body, "{} bytes came back, or others", echoed.len());
    }
    for record in albeit.records("/echo", 2).await? {
        assert_eq!(record["elb_status_code"], "200");
        assert!(
            record.number("received_bytes")? > ECHOED as f64 && record.number("sent_bytes")? > ECHOED as f64
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_target_may_answer_http_2_while_it_receives() -> Result<()> {
    let target = echoing()?;
    let (albeit, tls) = with_tls(&target, "h2").await?;
    let addr = albeit.listener(1)?;
    let h2 = Http2::connect(addr, "localhost", tls).await?;
    let body = Bytes::from(patterned());
    let request = Request::post(format!("https://localhost:{}/echo", addr.port())).body(body.clone())?;
    let answer = h2.send(request).await?;
    assert_eq!(answer.status(), 200);
    assert!(answer.body() == &body, "{} bytes came back, or others", answer.body().len());
    Ok(())
}

#[tokio::test]
async fn expect_is_answered_at_once_and_the_connection_lives_on() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = in_front_of(&target).await?;
    let mut client = albeit.client().await?;
    for (number, (framing, body)) in
        [("Content-Length: 5", "hello"), ("Transfer-Encoding: chunked", CHUNKS), ("Content-Length: 3", "bye")]
            .into_iter()
            .enumerate()
    {
        client
            .send(format!("PUT /{number} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{framing}\r\n\r\n"))
            .await?;
        let interim = client.response().await?;
        assert_eq!(interim.status, 100, "{}", interim.head);
        client.send(body).await?;
        let answer = client.response().await?;
        assert_eq!((answer.status, answer.text()), (200, "ok".to_owned()));
        let seen = target.request(number + 1).await?;
        assert!(seen.headers("expect").is_empty(), "{}", seen.head);
        assert_eq!((seen.path(), seen.connection), (format!("/{number}").as_str(), 0));
    }
    assert_eq!(target.requests().iter().map(|seen| seen.body.len()).collect::<Vec<_>>(), [5, 12, 3]);
    assert_eq!(client.get("/after").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn the_client_sees_each_part_of_a_response_as_it_comes() -> Result<()> {
    let gate = Gate::default();
    let held = gate.clone();
    let target = Target::start(move |_| {
        let half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst".to_vec();
        vec![Step::Send(half), Step::Await(held.clone()), Step::Send(b"later".to_vec())]
    })?;
    let (albeit, tls) = with_tls(&target, "http/1.1").await?;
    let plain = albeit.client().await?;
    let secure = Client::connect_tls(albeit.listener(1)?, "localhost", tls).await?;
    let mut clients = [plain, secure];
    for client in &mut clients {
        client.send("GET /parts HTTP/1.1\r\nHost: a\r\n\r\n").await?;
        let mut seen = Vec::new();
        // The other half is not even sent before all of this has come.
        while !seen.ends_with(b"\r\n\r\nfirst") {
            seen.extend(client.read_exactly(1).await?);
        }
        assert!(seen.starts_with(b"HTTP/1.1 200 OK\r\n"), "{:?}", String::from_utf8_lossy(&seen));
    }
    gate.open();
    for client in &mut clients {
        assert_eq!(client.read_exactly(5).await?, b"later");
    }
    Ok(())
}
