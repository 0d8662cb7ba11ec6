//! WebSocket upgrades and the tunnel after them.

use std::{sync::Arc, time::Duration};

use albeit_e2e::{
    Albeit, Backend, Ca, Client, Config, Step, Target,
    ca::ALL_VERSIONS,
    target::{Gate, response, switching_protocols},
    wait::{SOON, eventually},
    websocket::{HELLO, MASKED_HELLO, WebSocket, upgrade, upgrade_request},
};
use anyhow::{Context as _, Result, ensure};
use rustls::ClientConfig;
use tokio::time::Instant;
use tokio_websockets::Message;

/// A target that upgrades and sends back what comes.
fn relaying() -> Result<Target> {
    Target::start(|_| vec![Step::Send(switching_protocols()), Step::Relay])
}

async fn in_front_of(target: &Target) -> Result<Albeit> {
    Albeit::start(Config::forwarding_to(&[target.addr()])?).await
}

/// A listener without and one with TLS in front of a backend, and a TLS client's settings.
async fn echo_site() -> Result<(Backend, Albeit, Arc<ClientConfig>)> {
    let ca = Ca::try_new()?;
    let backend = Backend::start("b1").await?;
    let config = Config::forwarding_to(&[backend.addr()])?.with_https(&ca)?;
    let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    Ok((backend, Albeit::start(config).await?, tls))
}

async fn echo_sizes(client: Client) -> Result<()> {
    let mut socket = WebSocket::open(client, "/echo", &[]).await?;
    for size in [1, 125, 126, 1000, 16 * 1024, 65_535, 65_536, 1 << 20] {
        let payload: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
        socket.echo(payload).await.with_context(|| format!("{size} bytes"))?;
    }
    Ok(())
}

#[tokio::test]
async fn messages_of_1_byte_to_1_mib_come_back_in_clear_text() -> Result<()> {
    let (_backend, albeit, _) = echo_site().await?;
    echo_sizes(albeit.client().await?).await
}

#[tokio::test]
async fn messages_of_1_byte_to_1_mib_come_back_through_tls() -> Result<()> {
    let (_backend, albeit, tls) = echo_site().await?;
    echo_sizes(Client::connect_tls(albeit.listener(1)?, "localhost", tls).await?).await
}

#[tokio::test]
async fn a_frame_in_the_same_segment_as_the_upgrade_request_is_not_lost() -> Result<()> {
    let (_backend, albeit, tls) = echo_site().await?;
    let plain = albeit.client().await?;
    let secure = Client::connect_tls(albeit.listener(1)?, "localhost", tls).await?;
    for mut client in [plain, secure] {
        let host = client.host().to_owned();
        let mut bytes = upgrade_request(&host, "/echo", &[]);
        bytes.extend(MASKED_HELLO);
        client.send(bytes).await?;
        assert_eq!(client.response().await?.status, 101);
        assert_eq!(client.read_exactly(HELLO.len()).await?, HELLO);
    }
    Ok(())
}

#[tokio::test]
async fn bytes_in_the_same_segment_as_the_101_are_not_lost() -> Result<()> {
    let target = Target::start(|_| vec![Step::Send([&switching_protocols(), HELLO].concat()), Step::Relay])?;
    let albeit = in_front_of(&target).await?;
    let mut client = albeit.client().await?;
    upgrade(&mut client, "/").await?;
    assert_eq!(client.read_exactly(HELLO.len()).await?, HELLO);
    client.send(MASKED_HELLO).await?;
    assert_eq!(client.read_exactly(MASKED_HELLO.len()).await?, MASKED_HELLO);
    Ok(())
}

#[tokio::test]
async fn the_client_may_finish_first_and_still_read() -> Result<()> {
    let gate = Gate::default();
    let held = gate.clone();
    // Collects until the client has finished, and only then speaks.
    let target = Target::start(move |_| {
        vec![
            Step::Send(switching_protocols()),
            Step::Collect,
            Step::Await(held.clone()),
            Step::Send(b"last words".to_vec()),
            Step::Close,
        ]
    })?;
    let albeit = in_front_of(&target).await?;
    let mut client = albeit.client().await?;
    upgrade(&mut client, "/").await?;
    client.send("to the target").await?;
    client.finish_writing().await?;
    let seen = target.tunnelled(|t| t.ended == 1).await?;
    assert_eq!(seen.bytes, b"to the target");
    gate.open();
    assert_eq!(client.closed().await?, b"last words");
    Ok(())
}

#[tokio::test]
async fn the_target_may_finish_first_and_still_read() -> Result<()> {
    let target = Target::start(|_| {
        vec![
            Step::Send(switching_protocols()),
            Step::Send(b"all I have".to_vec()),
            Step::FinishWriting,
            Step::Collect,
            Step::Close,
        ]
    })?;
    let albeit = in_front_of(&target).await?;
    let mut client = albeit.client().await?;
    upgrade(&mut client, "/").await?;
    assert_eq!(client.closed().await?, b"all I have");
    client.send("still here").await?;
    client.finish_writing().await?;
    let seen = target.tunnelled(|t| t.ended == 1).await?;
    assert_eq!(seen.bytes, b"still here");
    Ok(())
}

#[tokio::test]
async fn a_refusal_passes_through_and_is_logged_as_http() -> Result<()> {
    let target = Target::start(|_| vec![Step::Send(response("403 Forbidden", &["X-Why: origin"], "no"))])?;
    let albeit = in_front_of(&target).await?;
    let mut client = albeit.client().await?;
    let host = client.host().to_owned();
    client.send(upgrade_request(&host, "/refused", &[])).await?;
    let refusal = client.response().await?;
    assert_eq!((refusal.status, refusal.text()), (403, "no".to_owned()));
    assert_eq!(refusal.header("x-why")?, "origin");
    let record = albeit.record("/refused").await?;
    assert_eq!((record["type"].as_str(), record["elb_status_code"].as_str()), ("http", "403"));
    Ok(())
}

#[tokio::test]
async fn an_idle_websocket_is_cut_at_the_idle_timeout() -> Result<()> {
    let target = relaying()?;
    // 10 s divided by 10.
    let config = Config::forwarding_to(&[target.addr()])?.with_attribute("idle_timeout.timeout_seconds", 10);
    let albeit = Albeit::start(config.with_time_scale(10)).await?;
    let mut client = albeit.client().await?;
    upgrade(&mut client, "/").await?;
    client.send("x").await?;
    client.read_exactly(1).await?;
    let last_byte = Instant::now();
    let left = client.closed().await?;
    let idle = last_byte.elapsed();
    // ELB cuts TCP and sends no close frame.
    assert!(left.is_empty(), "{left:?}");
    assert!((Duration::from_millis(900)..Duration::from_millis(1100)).contains(&idle), "{idle:?}");
    target.tunnelled(|t| t.ended == 1).await?;
    Ok(())
}

/// Steady bytes in one direction for three idle timeouts.
async fn stays_open_while(
    target: &Target,
    mut busy: impl AsyncFnMut(&mut Client) -> Result<()>,
) -> Result<()> {
    let config = Config::forwarding_to(&[target.addr()])?.with_attribute("idle_timeout.timeout_seconds", 10);
    let albeit = Albeit::start(config.with_time_scale(10)).await?;
    let mut client = albeit.client().await?;
    upgrade(&mut client, "/").await?;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(3) {
        busy(&mut client).await?;
    }
    Ok(())
}

#[tokio::test]
async fn bytes_from_the_client_alone_keep_it_open() -> Result<()> {
    let target = Target::start(|_| vec![Step::Send(switching_protocols()), Step::Collect])?;
    let mut sent = 0;
    let mut rhythm = tokio::time::interval(Duration::from_millis(300));
    stays_open_while(&target, async |client| {
        rhythm.tick().await;
        sent += 1;
        client.send("p").await?;
        target.tunnelled(|t| t.bytes.len() == sent).await?;
        Ok(())
    })
    .await?;
    ensure!(sent >= 9, "only {sent} bytes");
    Ok(())
}

#[tokio::test]
async fn bytes_from_the_target_alone_keep_it_open() -> Result<()> {
    let target = Target::start(|_| {
        let beat = [Step::Pause(Duration::from_millis(300)), Step::Send(b"p".to_vec())];
        let mut steps = vec![Step::Send(switching_protocols())];
        steps.extend(beat.iter().cycle().take(200).cloned());
        steps
    })?;
    stays_open_while(&target, async |client| {
        client.read_exactly(1).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn websocket_pings_keep_it_open() -> Result<()> {
    let backend = Backend::start("b1").await?;
    let config = Config::forwarding_to(&[backend.addr()])?.with_attribute("idle_timeout.timeout_seconds", 10);
    let albeit = Albeit::start(config.with_time_scale(10)).await?;
    let mut socket = WebSocket::open(albeit.client().await?, "/echo", &[]).await?;
    let mut rhythm = tokio::time::interval(Duration::from_millis(300));
    for _ in 0..10 {
        rhythm.tick().await;
        socket.send(Message::ping("beat")).await?;
        while !socket.next().await?.is_pong() {}
    }
    socket.echo(b"still there".to_vec()).await
}

#[tokio::test]
async fn a_record_is_written_at_close_with_the_bytes_of_the_whole_connection() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = relaying()?;
    let config = Config::forwarding_to(&[target.addr()])?.with_https(&ca)?;
    let albeit = Albeit::start(config).await?;
    let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    let plain = albeit.client().await?;
    let secure = Client::connect_tls(albeit.listener(1)?, "localhost", tls).await?;
    for (kind, mut client) in [("ws", plain), ("wss", secure)] {
        let path = format!("/logged-{kind}");
        let request = upgrade_request(client.host(), &path, &[]).len();
        let head = upgrade(&mut client, &path).await?.head.len();
        client.send(vec![b'x'; 10_000]).await?;
        client.read_exactly(10_000).await?;
        let early = albeit.access_log()?;
        ensure!(!early.iter().any(|r| r.request().contains(&path)), "logged before it closed");
        client.finish_writing().await?;
        client.closed().await?;
        let record = albeit.record(&path).await?;
        assert_eq!(record["type"], kind);
        assert_eq!(
            (record["elb_status_code"].as_str(), record["target_status_code"].as_str()),
            ("101", "101")
        );
        assert_eq!(record["received_bytes"], (request + 10_000).to_string());
        assert_eq!(record["sent_bytes"], (head + 10_000).to_string());
    }
    Ok(())
}

#[tokio::test]
async fn a_target_that_resets_ends_the_client_connection() -> Result<()> {
    let gate = Gate::default();
    let held = gate.clone();
    let target = Target::start(move |_| {
        vec![Step::Send(switching_protocols()), Step::Await(held.clone()), Step::Reset]
    })?;
    let albeit = in_front_of(&target).await?;
    let mut client = albeit.client().await?;
    upgrade(&mut client, "/reset").await?;
    gate.open();
    client.closed().await?;
    assert_eq!(albeit.record("/reset").await?["elb_status_code"], "101");
    Ok(())
}

#[tokio::test]
async fn a_client_that_stops_reading_stops_the_target_and_loses_nothing() -> Result<()> {
    const SIZE: usize = 32 << 20;
    let target = Target::start(|_| {
        vec![
            Step::Send(switching_protocols()),
            Step::Send(vec![b'z'; SIZE]),
            Step::Send(b"end".to_vec()),
            Step::Close,
        ]
    })?;
    let albeit = in_front_of(&target).await?;
    let mut client = albeit.client().await?;
    upgrade(&mut client, "/").await?;
    let before = resident_kib(&albeit)?;
    // The sockets' buffers fill up; the balancer must not take the rest into its own memory.
    let mut last = 0;
    let mut quiet = 0;
    eventually(SOON, "a steady amount of memory", || {
        let now = resident_kib(&albeit);
        let result = now.and_then(|now| {
            quiet = if now == last { quiet + 1 } else { 0 };
            last = now;
            ensure!(quiet > 10, "still growing");
            ensure!(now < before + 8 * 1024, "grew from {before} to {now} KiB");
            Ok(())
        });
        async { result }
    })
    .await?;
    let all = client.read_exactly(SIZE + 3).await?;
    assert!(all.ends_with(b"zend"));
    Ok(())
}

fn resident_kib(albeit: &Albeit) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", albeit.process.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
