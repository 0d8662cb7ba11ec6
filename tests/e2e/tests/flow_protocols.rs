//! Protocols on top of flows, between clients and servers that know of none: WebSocket, HTTP/2, Redis.

use std::time::Duration;

use albeit_e2e::{
    Albeit, Backend, Ca, Client, Config, H2Target, Listener,
    access_log::Log,
    ca::ALL_VERSIONS,
    flow::{connect, expect, expect_silence, records},
    forward,
    h2_target::{Call, read_all},
    http2::Http2,
    redis::Redis,
    wait::{SOON, within},
    websocket::WebSocket,
};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Request, Response};
use tokio::{io::AsyncWriteExt as _, task::JoinSet};

/// Sends messages through an open WebSocket and back.
async fn echo(client: Client) -> Result<()> {
    let mut socket = WebSocket::open(client, "/echo", &[]).await?;
    for size in [1, 126, 65_536, 1 << 20] {
        socket.echo((0..=u8::MAX).cycle().take(size).collect()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_websocket_passes_tcp_and_tls_listeners() -> Result<()> {
    let (ca, backend) = (Ca::try_new()?, Backend::start("b1").await?);
    let albeit = Albeit::start(Config::network(&[backend.addr()])?.with_tls(&ca)?).await?;
    echo(albeit.client().await?).await?;
    let tls = ca.client(&[], ALL_VERSIONS)?;
    echo(Client::connect_tls(albeit.listener(1)?, "localhost", tls).await?).await?;
    let records = records(&albeit, Log::Flow, 2).await?;
    for (record, kind) in records.iter().zip(["tcp", "tls"]) {
        assert_eq!(record["type"], kind);
        ensure!(record.number("received_bytes")? > 1_114_000.0, "{record:?}");
        ensure!(record.number("sent_bytes")? > 1_114_000.0, "{record:?}");
    }
    Ok(())
}

/// A target that speaks HTTP/2 by prior knowledge and answers with the path.
fn http2_target() -> Result<H2Target> {
    H2Target::start(100, |Call { request, mut respond, .. }| async move {
        let mut body = respond.send_response(Response::new(()), false)?;
        body.send_data(Bytes::from(request.uri().path().to_owned()), true)?;
        Ok(())
    })
}

#[tokio::test]
async fn http_2_by_prior_knowledge_passes_a_tcp_listener() -> Result<()> {
    let target = http2_target()?;
    let albeit = Albeit::start(Config::network(&[target.addr()])?).await?;
    let stream = connect(albeit.listener(0)?).await?;
    let (sender, connection) = h2::client::handshake(stream).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { drop(connection.await) });
    let mut sender = sender.ready().await?;
    let mut answers = Vec::new();
    for number in 0..20 {
        let request = Request::get(format!("http://localhost/{number}")).body(())?;
        answers.push((number, sender.send_request(request, true)?.0));
    }
    for (number, answer) in answers {
        let mut body = within(SOON, "an answer", answer).await??.into_body();
        let (bytes, _) = within(SOON, "a body", read_all(&mut body)).await??;
        assert_eq!(bytes, format!("/{number}").into_bytes());
    }
    Ok(())
}

#[tokio::test]
async fn http_2_agreed_on_by_alpn_passes_a_tls_listener() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, http2_target()?);
    let mut config = Config::network(&[target.addr()])?.with_tls(&ca)?;
    config.listeners = vec![config.listeners.remove(1).with("alpn_policy", "HTTP2Preferred")];
    let albeit = Albeit::start(config).await?;
    let client = Http2::connect(albeit.listener(0)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await?;
    for path in ["/one", "/two"] {
        let answer = client.get(&format!("https://localhost{path}"), &[]).await?;
        assert_eq!(answer.body(), path);
    }
    drop(client);
    let record = records(&albeit, Log::TlsConnection, 1).await?.pop().context("no record")?;
    assert_eq!(record["alpn_fe_protocol"], "h2");
    Ok(())
}

#[tokio::test]
async fn redis_clients_that_pipeline_block_and_subscribe_are_served_for_minutes() -> Result<()> {
    let Some(redis) = Redis::start().await? else { return Ok(()) };
    let group = albeit_e2e::Group::tcp("redis", &[redis.addr()]);
    let mut config = Config::network(&[])?.with_time_scale(20);
    config.groups = vec![group.with_health("interval", "300s").with_health("timeout", "120s")];
    let listener = Listener::tcp(forward("redis"))?.with_attribute("tcp.idle_timeout.seconds", 60);
    config.listeners = vec![listener];
    let albeit = Albeit::start(config).await?;
    let listener = albeit.listener(0)?;
    let open = || connect(listener);

    let mut pipelining = open().await?;
    pipelining.write_all("INCR counter\r\n".repeat(2000).as_bytes()).await?;
    let answers: String = (1..=2000).map(|number| format!(":{number}\r\n")).collect();
    expect(&mut pipelining, answers.as_bytes()).await?;

    let (mut blocking, mut subscribed) = (open().await?, open().await?);
    blocking.write_all(b"BLPOP work 0\r\n").await?;
    subscribed.write_all(b"SUBSCRIBE news\r\n").await?;
    expect(&mut subscribed, b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n").await?;
    // Over two idle timeouts, in which only the server's keepalive packets pass.
    expect_silence(&mut subscribed, Duration::from_secs(7)).await?;
    pipelining.write_all(b"RPUSH work it\r\nPUBLISH news today\r\n").await?;
    expect(&mut blocking, b"*2\r\n$4\r\nwork\r\n$2\r\nit\r\n").await?;
    expect(&mut subscribed, b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\ntoday\r\n").await?;
    expect(&mut pipelining, b":1\r\n:1\r\n").await?;
    ensure!(albeit.log(Log::Flow)?.is_empty(), "flows ended");
    Ok(())
}
