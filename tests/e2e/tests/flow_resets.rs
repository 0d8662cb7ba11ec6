//! Resets: one end's shows at the other, is counted as its own, and leaves nothing behind.

use std::{
    fs,
    io::ErrorKind,
    sync::Arc,
    time::{Duration, SystemTime},
};

use albeit_e2e::{
    Albeit,
    access_log::{Log, Record},
    eventually,
    flow::{FlowTarget, connect, expect_reset, metric, only_flow, pass, records, reset},
    wait::{SOON, within},
};
use anyhow::{Context as _, Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
};

/// Who resets, and what is counted of it.
async fn passes_on_a_reset(by_client: bool) -> Result<()> {
    let target = FlowTarget::start()?;
    let albeit = Albeit::start(target.network()?).await?;
    let (mut client, mut upstream) = target.flow(&albeit).await?;
    pass(&mut client, &mut upstream, b"up").await?;
    pass(&mut upstream, &mut client, b"down").await?;
    if by_client {
        reset(client)?;
        expect_reset(&mut upstream).await?;
    } else {
        reset(upstream)?;
        expect_reset(&mut client).await?;
    }
    let record = only_flow(&albeit).await?;
    let (reason, counts) =
        if by_client { ("client_reset", [1.0, 0.0, 0.0]) } else { ("target_reset", [0.0, 1.0, 0.0]) };
    assert_eq!(record["close_reason"], reason);
    let names = ["TCP_Client_Reset_Count", "TCP_Target_Reset_Count", "TCP_ELB_Reset_Count"];
    for (name, count) in names.into_iter().zip(counts) {
        metric(&albeit, name, count).await?;
    }
    metric(&albeit, "ActiveFlowCount", 0.0).await
}

#[tokio::test]
async fn a_reset_by_the_client_resets_the_target() -> Result<()> {
    passes_on_a_reset(true).await
}

#[tokio::test]
async fn a_reset_by_the_target_resets_the_client() -> Result<()> {
    passes_on_a_reset(false).await
}

#[tokio::test]
async fn a_reset_after_the_own_end_of_stream_is_passed_on_too() -> Result<()> {
    let target = FlowTarget::start()?;
    let albeit = Albeit::start(target.network()?).await?;
    for by_client in [true, false] {
        let (client, upstream) = target.flow(&albeit).await?;
        let (mut one, mut other) = if by_client { (client, upstream) } else { (upstream, client) };
        one.shutdown().await?;
        assert_eq!(within(SOON, "the end", other.read(&mut [0])).await??, 0);
        reset(one)?;
        // Reading is over: the reset shows in writing.
        eventually(SOON, "a reset", || async {
            let result = other.try_write(b"more");
            ensure!(result.is_err(), "written");
            Ok(())
        })
        .await?;
    }
    let records = records(&albeit, Log::Flow, 2).await?;
    let reasons: Vec<&str> = records.iter().map(|record| record["close_reason"].as_str()).collect();
    assert_eq!(reasons, ["client_reset", "target_reset"]);
    Ok(())
}

/// How a flow ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    ClientFin,
    TargetFin,
    ClientReset,
    TargetReset,
}

impl End {
    const ALL: [Self; 4] = [Self::ClientFin, Self::TargetFin, Self::ClientReset, Self::TargetReset];

    const fn close_reason(self) -> &'static str {
        match self {
            Self::ClientFin => "client_fin",
            Self::TargetFin => "target_fin",
            Self::ClientReset => "client_reset",
            Self::TargetReset => "target_reset",
        }
    }
}

/// What the two ends of a flow do.
#[derive(Debug, Clone, Copy)]
struct Plan {
    up: usize,
    down: usize,
    end: End,
    /// When whoever ends it does so.
    after: Duration,
}

/// Bytes in front of what a client sends, by which the target knows its plan.
const NUMBER: usize = 4;

/// Draws plans: the same for the same seed.
fn plans(seed: u64, count: usize) -> Vec<Plan> {
    let mut state = seed;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or_default() % below
    };
    let plan = |_| {
        let size = 1 << draw(18);
        let after = Duration::from_micros(u64::try_from(draw(3000)).unwrap_or_default());
        Plan { up: NUMBER + draw(size), down: draw(size), end: End::ALL[draw(4)], after }
    };
    (0..count).map(plan).collect()
}

/// Plays one end of a flow: sends `bytes`, reads `expected` bytes to the end, and ends first if it `leads`.
async fn finish(stream: TcpStream, bytes: Vec<u8>, expected: usize, lead: Option<Duration>) -> Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let mut got = Vec::new();
    if let Some(after) = lead {
        let writing = async {
            writer.write_all(&bytes).await?;
            tokio::time::sleep(after).await;
            writer.shutdown().await
        };
        tokio::try_join!(writing, reader.read_to_end(&mut got))?;
    } else {
        tokio::try_join!(writer.write_all(&bytes), reader.read_to_end(&mut got))?;
        writer.shutdown().await?;
    }
    ensure!(got.len() == expected, "{} bytes came, not {expected}", got.len());
    Ok(())
}

/// Plays the end that is reset: it must notice, in reading or in writing.
async fn suffer(stream: TcpStream, bytes: Vec<u8>) -> Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let mut got = Vec::new();
    let (written, read) = tokio::join!(writer.write_all(&bytes), reader.read_to_end(&mut got));
    let is_reset = |error: std::io::Error| error.kind() == ErrorKind::ConnectionReset;
    let (written, read) = (written.err().map(is_reset), read.err().map(is_reset));
    ensure!(written == Some(true) || read == Some(true), "no reset: {written:?} {read:?}");
    Ok(())
}

/// Plays the end that resets.
async fn break_off(mut stream: TcpStream, bytes: &[u8], after: Duration) -> Result<()> {
    // What the peer does not take in time is not sent.
    drop(tokio::time::timeout(after, stream.write_all(bytes)).await);
    tokio::time::sleep(after).await;
    reset(stream)
}

async fn play_client(albeit: std::net::SocketAddr, number: usize, plan: Plan) -> Result<()> {
    let stream = connect(albeit).await?;
    let mut bytes = u32::try_from(number)?.to_be_bytes().to_vec();
    bytes.resize(plan.up, b'u');
    match plan.end {
        End::ClientFin => finish(stream, bytes, plan.down, Some(plan.after)).await,
        End::TargetFin => finish(stream, bytes, plan.down, None).await,
        End::ClientReset => break_off(stream, &bytes, plan.after).await,
        End::TargetReset => suffer(stream, bytes).await,
    }
}

async fn play_target(mut stream: TcpStream, plans: Arc<Vec<Plan>>) -> Result<()> {
    let mut number = [0; NUMBER];
    match stream.read_exact(&mut number).await {
        Ok(_) => {}
        // The client was quicker with its reset.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let plan = *plans.get(usize::try_from(u32::from_be_bytes(number))?).context("no such plan")?;
    let bytes = vec![b'd'; plan.down];
    match plan.end {
        End::ClientFin => finish(stream, bytes, plan.up - NUMBER, None).await,
        End::TargetFin => finish(stream, bytes, plan.up - NUMBER, Some(plan.after)).await,
        End::ClientReset => suffer(stream, bytes).await,
        End::TargetReset => break_off(stream, &bytes, plan.after).await,
    }
}

/// Runs one flow for each plan, many at a time; fails when one end of any does not see what it should.
async fn play(albeit: &Albeit, target: &FlowTarget, plans: &Arc<Vec<Plan>>) -> Result<()> {
    const AT_A_TIME: usize = 64;
    let (permits, listener) = (Arc::new(Semaphore::new(AT_A_TIME)), albeit.listener(0)?);
    let (mut clients, mut upstreams) = (JoinSet::new(), JoinSet::new());
    for (number, &plan) in plans.iter().enumerate() {
        let permits = Arc::clone(&permits);
        clients.spawn(async move {
            let _permit = permits.acquire().await?;
            let played = within(2 * SOON, "client's end", play_client(listener, number, plan)).await?;
            played.with_context(|| format!("client's end of flow {number}: {plan:?}"))
        });
    }
    for _ in plans.iter() {
        let stream = target.accept().await?;
        let plans = Arc::clone(plans);
        upstreams.spawn(async move { within(2 * SOON, "target's end", play_target(stream, plans)).await? });
    }
    clients.join_all().await.into_iter().chain(upstreams.join_all().await).collect()
}

/// Checks that the log tells of every flow how it ended and, where it ended by itself, every byte.
fn agrees(records: &[Record], plans: &[Plan]) -> Result<()> {
    let line = |reason: &str, up: usize, down: usize| {
        let bytes = if reason.ends_with("_fin") { format!(" {up} {down}") } else { String::new() };
        format!("{reason}{bytes}")
    };
    let mut expected: Vec<String> =
        plans.iter().map(|plan| line(plan.end.close_reason(), plan.up, plan.down)).collect();
    let mut seen = Vec::new();
    for record in records {
        let (up, down) = (record["received_bytes"].parse()?, record["sent_bytes"].parse()?);
        seen.push(line(&record["close_reason"], up, down));
    }
    expected.sort_unstable();
    seen.sort_unstable();
    let wrong = expected.iter().zip(&seen).find(|(expected, seen)| expected != seen);
    ensure!(wrong.is_none(), "expected and seen first differ at {wrong:?}");
    Ok(())
}

/// Open sockets and threads of the balancer. Not pipes, some of which it keeps to use them again.
fn sockets_and_threads(albeit: &Albeit) -> Result<(usize, usize)> {
    let process = format!("/proc/{}", albeit.process.pid());
    let links =
        fs::read_dir(format!("{process}/fd"))?.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let sockets = links.filter(|link| link.to_string_lossy().starts_with("socket:"));
    Ok((sockets.count(), fs::read_dir(format!("{process}/task"))?.count()))
}

#[tokio::test]
async fn two_thousand_flows_with_random_ends_under_load_leave_nothing_behind() -> Result<()> {
    const FLOWS: usize = 2000;
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.subsec_nanos();
    println!("seed {seed}");
    let target = FlowTarget::start()?;
    let albeit = Albeit::start(target.network()?).await?;
    let mut played = plans(!u64::from(seed), 100);
    play(&albeit, &target, &Arc::new(played.clone())).await?;
    metric(&albeit, "ActiveFlowCount", 0.0).await?;
    let before = sockets_and_threads(&albeit)?;
    let plans = Arc::new(plans(seed.into(), FLOWS));
    play(&albeit, &target, &plans).await.with_context(|| format!("seed {seed}"))?;
    played.extend(plans.iter());
    let records = records(&albeit, Log::Flow, played.len()).await?;
    agrees(&records, &played).with_context(|| format!("seed {seed}"))?;

    metric(&albeit, "ActiveFlowCount", 0.0).await?;
    let bytes: f64 = records
        .iter()
        .map(|r| Ok(r.number("received_bytes")? + r.number("sent_bytes")?))
        .sum::<Result<f64>>()?;
    metric(&albeit, "ProcessedBytes", bytes).await?;
    for (end, name) in
        [(End::ClientReset, "TCP_Client_Reset_Count"), (End::TargetReset, "TCP_Target_Reset_Count")]
    {
        let count = u32::try_from(played.iter().filter(|plan| plan.end == end).count())?;
        metric(&albeit, name, count.into()).await?;
    }
    metric(&albeit, "TCP_ELB_Reset_Count", 0.0).await?;
    eventually(SOON, "sockets and threads as before", || async {
        let now = sockets_and_threads(&albeit)?;
        ensure!(now.0 <= before.0 && now.1 <= before.1, "{now:?}, before {before:?}");
        Ok(())
    })
    .await
}
