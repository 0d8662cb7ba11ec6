//! Resets: one end's shows at the other, is counted as its own, and leaves nothing behind.

use std::{fs, sync::Arc, time::SystemTime};

use albeit_e2e::{
    Albeit, Ca,
    access_log::{Log, Record},
    ca::ALL_VERSIONS,
    client::connect_tls,
    eventually,
    flow::{FlowTarget, connect, expect_reset, metric, only_flow, pass, records, reset},
    random_flows::{ClientEnd, End, Plan, plans, play},
    wait::{SOON, within},
};
use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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

/// Runs `count` flows and some before them, and checks what is left and known of them.
async fn random_ends<C, F>(
    albeit: &Albeit,
    target: &FlowTarget,
    connect: impl Fn() -> F + Clone + Send + Sync + 'static,
    count: usize,
) -> Result<()>
where
    C: ClientEnd + 'static,
    F: Future<Output = Result<C>> + Send,
{
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.subsec_nanos();
    println!("seed {seed}");
    let mut played = plans(!u64::from(seed), 100);
    play(connect.clone(), target, &Arc::new(played.clone())).await.with_context(|| format!("seed {seed}"))?;
    metric(albeit, "ActiveFlowCount", 0.0).await?;
    let before = sockets_and_threads(albeit)?;
    let plans = Arc::new(plans(seed.into(), count));
    play(connect, target, &plans).await.with_context(|| format!("seed {seed}"))?;
    played.extend(plans.iter());
    let records = records(albeit, Log::Flow, played.len()).await?;
    agrees(&records, &played).with_context(|| format!("seed {seed}"))?;

    metric(albeit, "ActiveFlowCount", 0.0).await?;
    let bytes = |record: &Record| Ok(record.number("received_bytes")? + record.number("sent_bytes")?);
    metric(albeit, "ProcessedBytes", records.iter().map(bytes).sum::<Result<f64>>()?).await?;
    for (end, name) in
        [(End::ClientReset, "TCP_Client_Reset_Count"), (End::TargetReset, "TCP_Target_Reset_Count")]
    {
        let count = u32::try_from(played.iter().filter(|plan| plan.end == end).count())?;
        metric(albeit, name, count.into()).await?;
    }
    metric(albeit, "TCP_ELB_Reset_Count", 0.0).await?;
    eventually(SOON, "sockets and threads as before", || async {
        let now = sockets_and_threads(albeit)?;
        ensure!(now.0 <= before.0 && now.1 <= before.1, "{now:?}, before {before:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn two_thousand_flows_with_random_ends_under_load_leave_nothing_behind() -> Result<()> {
    let target = FlowTarget::start()?;
    let albeit = Albeit::start(target.network()?).await?;
    let listener = albeit.listener(0)?;
    random_ends(&albeit, &target, move || connect(listener), 2000).await
}

#[tokio::test]
async fn hundreds_of_flows_through_tls_with_random_ends_under_load_leave_nothing_behind() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, FlowTarget::start()?);
    let albeit = Albeit::start(target.network()?.with_tls(&ca)?).await?;
    let (listener, tls) = (albeit.listener(1)?, ca.client(&[], ALL_VERSIONS)?);
    let connect = move || {
        let connecting = connect_tls(listener, "localhost", tls.clone());
        async move { Ok(connecting.await?.0) }
    };
    random_ends(&albeit, &target, connect, 500).await
}
