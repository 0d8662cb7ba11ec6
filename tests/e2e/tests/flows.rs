//! Flows through TCP and TLS listeners: bytes as they are, one record each.

use std::time::Duration;

use albeit_e2e::{
    Albeit, Ca, Config, Listener, Target,
    access_log::Log,
    ca::ALL_VERSIONS,
    client::Client,
    flow::{
        FlowTarget, connect, expect, expect_refusal, expect_silence, metric, only_flow, pass, records, to_end,
    },
    forward,
    ports::HeldPort,
    wait::{SOON, within},
};
use anyhow::{Context as _, Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A megabyte ten times: more than all buffers on the way hold together.
const MUCH: usize = 10 << 20;

#[tokio::test]
async fn a_request_passes_a_tcp_listener_untouched_and_is_one_flow() -> Result<()> {
    let target = Target::saying("passed")?;
    let albeit = Albeit::start(Config::network(&[target.addr()])?).await?;
    let mut client = albeit.client().await?;
    let local = client.local_addr();
    let response = client.get("/whole").await?;
    assert_eq!(response.status, 200);
    drop(client);
    let record = only_flow(&albeit).await?;
    assert_eq!(record["type"], "tcp");
    assert_eq!(record["client:port"], local.to_string());
    assert_eq!(record["target:port"], target.addr().to_string());
    assert_eq!(record["close_reason"], "client_fin");
    assert_eq!(record["sent_bytes"], (response.head.len() + response.body.len()).to_string());
    Ok(())
}

#[tokio::test]
async fn a_tls_listener_takes_tls_off_and_logs_what_was_agreed() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, Target::saying("passed")?);
    let albeit = Albeit::start(Config::network(&[target.addr()])?.with_tls(&ca)?).await?;
    let tls = ca.client(&[], ALL_VERSIONS)?;
    let mut client = Client::connect_tls(albeit.listener(1)?, "localhost", tls).await?;
    assert_eq!(client.get("/inside").await?.status, 200);
    drop(client);
    let record = records(&albeit, Log::TlsConnection, 1).await?.pop().context("no record")?;
    assert_eq!(record["domain_name"], "localhost");
    assert_eq!(record["tls_protocol_version"], "tlsv13");
    assert_eq!(record["alpn_client_preference_list"], "-");
    assert_eq!(only_flow(&albeit).await?["type"], "tls");
    Ok(())
}

#[tokio::test]
async fn either_side_may_end_its_stream_and_still_be_sent_more() -> Result<()> {
    let target = FlowTarget::start()?;
    let albeit = Albeit::start(target.network()?).await?;
    for first in ["client_fin", "target_fin"] {
        let (client, upstream) = target.flow(&albeit).await?;
        let (mut first_to_end, mut other) =
            if first == "client_fin" { (client, upstream) } else { (upstream, client) };
        first_to_end.write_all(b"last words").await?;
        first_to_end.shutdown().await?;
        assert_eq!(to_end(&mut other).await?, b"last words");
        pass(&mut other, &mut first_to_end, b"and yet").await?;
        expect_silence(&mut first_to_end, Duration::from_millis(200)).await?;
        pass(&mut other, &mut first_to_end, b"there is more").await?;
        other.shutdown().await?;
        assert_eq!(to_end(&mut first_to_end).await?, b"");
    }
    let records = records(&albeit, Log::Flow, 2).await?;
    let seen: Vec<[&str; 3]> = records
        .iter()
        .map(|r| [r["close_reason"].as_str(), r["received_bytes"].as_str(), r["sent_bytes"].as_str()])
        .collect();
    assert_eq!(seen, [["client_fin", "10", "20"], ["target_fin", "20", "10"]]);
    Ok(())
}

#[tokio::test]
async fn a_target_may_speak_first() -> Result<()> {
    let target = FlowTarget::start()?;
    let albeit = Albeit::start(target.network()?).await?;
    let (mut client, mut upstream) = target.flow(&albeit).await?;
    pass(&mut upstream, &mut client, b"220 ready\r\n").await?;
    pass(&mut client, &mut upstream, b"HELO\r\n").await?;
    pass(&mut upstream, &mut client, b"250 so you are\r\n").await
}

#[tokio::test]
async fn what_a_client_sends_before_there_is_a_target_reaches_it() -> Result<()> {
    let (queue, target) = (HeldPort::try_new()?, FlowTarget::start()?);
    let config = target.network()?.map_group(|group| group.with_targets(&[queue.addr()]));
    let listener = queue.listen_full().await?;
    let albeit = Albeit::start(config).await?;
    let mut client = connect(albeit.listener(0)?).await?;
    client.write_all(b"early").await?;
    client.shutdown().await?;
    // Its own end does not end it.
    expect_silence(&mut client, Duration::from_millis(300)).await?;
    let mut upstream = listener.accept_last().await?;
    assert_eq!(to_end(&mut upstream).await?, b"early");
    pass(&mut upstream, &mut client, b"not too late").await
}

/// Bytes without a period that a mistake could hide in.
fn bytes(seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..MUCH).map(next).collect()
}

/// Sends everything and reads to the end, a piece at a time with pauses between them.
async fn exchange(stream: TcpStream, sent: Vec<u8>, pause: Duration) -> Result<Vec<u8>> {
    let (mut reader, mut writer) = stream.into_split();
    let writing = async {
        writer.write_all(&sent).await?;
        writer.shutdown().await
    };
    let reading = async {
        let (mut all, mut piece) = (Vec::with_capacity(MUCH), vec![0; 1 << 18]);
        loop {
            let got = reader.read(&mut piece).await?;
            if got == 0 {
                return Ok(all);
            }
            all.extend(piece.iter().take(got));
            tokio::time::sleep(pause).await;
        }
    };
    let (_, all) = within(4 * SOON, "an exchange", async { tokio::try_join!(writing, reading) }).await??;
    Ok(all)
}

#[tokio::test]
async fn ten_megabytes_each_way_arrive_exactly_at_a_slow_reader() -> Result<()> {
    let target = FlowTarget::start()?;
    let albeit = Albeit::start(target.network()?).await?;
    let (client, upstream) = target.flow(&albeit).await?;
    let (up, down) = (bytes(1), bytes(2));
    let slow = Duration::from_millis(10);
    let (at_client, at_target) = tokio::try_join!(
        exchange(client, up.clone(), slow),
        exchange(upstream, down.clone(), Duration::ZERO)
    )?;
    ensure!(at_client == down && at_target == up, "bytes differ");
    let record = only_flow(&albeit).await?;
    assert_eq!(record["received_bytes"], MUCH.to_string());
    assert_eq!(record["sent_bytes"], MUCH.to_string());
    for name in ["ProcessedBytes", "ProcessedBytes_TCP"] {
        metric(&albeit, name, 2.0 * 10_485_760.0).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_flow_log_line_says_who_when_and_how_much() -> Result<()> {
    let target = FlowTarget::start()?;
    let albeit = Albeit::start(target.network()?).await?;
    let (mut client, mut upstream) = target.flow(&albeit).await?;
    let name = client.local_addr()?.to_string();
    pass(&mut client, &mut upstream, b"four").await?;
    pass(&mut upstream, &mut client, b"eleven here").await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(client);
    assert_eq!(to_end(&mut upstream).await?, b"");
    drop(upstream);
    let record = only_flow(&albeit).await?;
    ensure!(record["elb"].starts_with("net/e2e-alb/"), "{record:?}");
    ensure!(record["target_group_arn"].contains(":targetgroup/flows/"), "{record:?}");
    ensure!(record["listener"].len() == 16, "{record:?}");
    let connection_time = record.number("connection_time")?;
    ensure!((300.0..10_000.0).contains(&connection_time), "{record:?}");
    ensure!(record.number("connect_time")? <= connection_time, "{record:?}");
    ensure!(record["flow_creation_time"] < record["time"], "{record:?}");
    for (field, value) in [
        ("version", "1.0"),
        ("client:port", &name),
        ("destination:port", &albeit.listener(0)?.to_string()),
        ("target:port", &target.addr().to_string()),
        ("received_bytes", "4"),
        ("sent_bytes", "11"),
    ] {
        assert_eq!(record[field], value, "{field}");
    }
    Ok(())
}

#[tokio::test]
async fn a_flow_without_any_target_is_reset() -> Result<()> {
    let albeit = Albeit::start(Config::network(&[])?).await?;
    expect_refusal(albeit.listener(0)?).await?;
    let record = only_flow(&albeit).await?;
    assert_eq!(record["close_reason"], "no_target");
    assert_eq!((record["target:port"].as_str(), record["connect_time"].as_str()), ("-", "-"));
    metric(&albeit, "TCP_ELB_Reset_Count", 1.0).await?;
    metric(&albeit, "ActiveFlowCount", 0.0).await
}

#[tokio::test]
async fn a_flow_whose_target_refuses_is_reset() -> Result<()> {
    let (nobody, target) = (HeldPort::try_new()?, FlowTarget::start()?);
    let config = target.network()?.map_group(|group| group.with_targets(&[nobody.addr()]));
    let albeit = Albeit::start(config).await?;
    expect_refusal(albeit.listener(0)?).await?;
    let record = only_flow(&albeit).await?;
    assert_eq!(record["close_reason"], "connect_failed");
    assert_eq!(record["target:port"], nobody.addr().to_string());
    assert_eq!(record["connect_time"], "-");
    metric(&albeit, "TCP_ELB_Reset_Count", 1.0).await
}

#[tokio::test]
async fn each_listener_forwards_to_its_own_group() -> Result<()> {
    let targets = [FlowTarget::start()?, FlowTarget::start()?];
    let config = targets[0].network()?.with_group(targets[1].group("second"));
    let config = config.with_listener(Listener::tcp(forward("second"))?);
    let config = config.with_listener(Listener::tcp(forward("flows"))?);
    let albeit = Albeit::start(config).await?;
    for (listener, target) in [(0, 0), (1, 1), (2, 0)] {
        let (mut client, mut upstream) = targets[target].flow_through(&albeit, listener).await?;
        pass(&mut client, &mut upstream, b"here").await?;
        drop((client, upstream));
        let records = records(&albeit, Log::Flow, listener + 1).await?;
        let record = records.last().context("no record")?;
        assert_eq!(record["destination:port"], albeit.listener(listener)?.to_string());
        assert_eq!(record["target:port"], targets[target].addr().to_string());
        let same = records.iter().filter(|other| other["listener"] == record["listener"]);
        assert_eq!(same.count(), 1, "{records:?}");
    }
    Ok(())
}

#[tokio::test]
async fn flows_are_counted_when_they_begin_while_they_last_and_by_their_bytes() -> Result<()> {
    let target = FlowTarget::start()?;
    let albeit = Albeit::start(target.network()?).await?;
    let mut flows = Vec::new();
    for count in [1.0, 2.0, 3.0] {
        flows.push(target.flow(&albeit).await?);
        for name in ["NewFlowCount", "NewFlowCount_TCP", "ActiveFlowCount", "ActiveFlowCount_TCP"] {
            metric(&albeit, name, count).await?;
        }
    }
    for (client, upstream) in &mut flows {
        client.write_all(b"12345").await?;
        expect(upstream, b"12345").await?;
    }
    flows.pop();
    metric(&albeit, "ActiveFlowCount", 2.0).await?;
    flows.clear();
    for (name, count) in [
        ("ActiveFlowCount", 0.0),
        ("ActiveFlowCount_TCP", 0.0),
        ("NewFlowCount", 3.0),
        ("NewFlowCount_TLS", 0.0),
        ("ProcessedBytes", 15.0),
        ("TCP_Client_Reset_Count", 0.0),
        ("TCP_Target_Reset_Count", 0.0),
        ("TCP_ELB_Reset_Count", 0.0),
    ] {
        metric(&albeit, name, count).await?;
    }
    Ok(())
}
