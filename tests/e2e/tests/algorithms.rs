//! Routing algorithms, automatic target weights, slow start, and the states of a target group.

use std::net::SocketAddr;

use albeit_e2e::{
    Albeit, Config, Group, Step, Target,
    albeit::TargetHealth,
    target::{ok, response, switching_protocols},
    wait::{SOON, eventually},
    websocket,
};
use anyhow::{Context as _, Result, ensure};

fn targets(count: usize) -> Result<(Vec<Target>, Vec<SocketAddr>)> {
    let targets: Vec<Target> = (0..count)
        .map(|n| {
            Target::start(move |request| match request.path() {
                "/ws" => vec![Step::Send(switching_protocols()), Step::Relay],
                _ => vec![Step::Send(ok(&n.to_string()))],
            })
        })
        .collect::<Result<_>>()?;
    let addrs = targets.iter().map(Target::addr).collect();
    Ok((targets, addrs))
}

fn config(targets: &[SocketAddr], change: impl FnOnce(Group) -> Group) -> Result<Config> {
    Ok(Config::forwarding_to(targets)?.map_group(change))
}

fn algorithm(group: Group, algorithm: &str) -> Group {
    group.with_attribute("load_balancing.algorithm.type", algorithm)
}

/// How many of `requests` each target answers, in turn on one connection.
async fn shares(albeit: &Albeit, targets: usize, requests: usize) -> Result<Vec<usize>> {
    let mut shares = vec![0; targets];
    let mut client = albeit.client().await?;
    for _ in 0..requests {
        let answer: usize = client.get("/").await?.text().parse()?;
        *shares.get_mut(answer).context("a target")? += 1;
    }
    Ok(shares)
}

#[tokio::test]
async fn round_robin_takes_turns() -> Result<()> {
    let (_targets, addrs) = targets(3)?;
    let albeit = Albeit::start(config(&addrs, |group| group)?).await?;
    assert_eq!(shares(&albeit, 3, 60).await?, [20; 3]);
    Ok(())
}

#[tokio::test]
async fn least_outstanding_requests_counts_open_websockets() -> Result<()> {
    let (_targets, addrs) = targets(3)?;
    let albeit =
        Albeit::start(config(&addrs, |group| algorithm(group, "least_outstanding_requests"))?).await?;
    let mut open = Vec::new();
    // As many as targets, and one more each: they spread evenly, for they stay open.
    for round in 1..=2 {
        for _ in 0..3 {
            let mut client = albeit.client().await?;
            websocket::upgrade(&mut client, "/ws").await?;
            open.push(client);
        }
        let outstanding: Vec<u64> = albeit.targets().await?.iter().map(|t| t.outstanding).collect();
        assert_eq!(outstanding, [round; 3]);
    }
    drop(open.drain(..2));
    let free = eventually(SOON, "two places", || async {
        let targets = albeit.targets().await?;
        let free: Vec<usize> =
            (0..3).filter(|&n| targets.get(n).is_some_and(|t| t.outstanding < 2)).collect();
        ensure!(targets.iter().map(|t| t.outstanding).sum::<u64>() == 4, "{targets:?}");
        Ok(free)
    })
    .await?;
    // The balancer shows its targets by address: requests go to those with room, and nowhere else.
    let room: Vec<String> = albeit.targets().await?.iter().map(|t| t.addr.clone()).collect();
    let room: Vec<&String> = free.iter().filter_map(|&place| room.get(place)).collect();
    let shares = shares(&albeit, 3, 12).await?;
    for (addr, share) in addrs.iter().zip(shares) {
        assert_eq!(share > 0, room.contains(&&addr.to_string()), "{addr}: {share}");
    }
    Ok(())
}

#[tokio::test]
async fn weighted_random_spreads_requests() -> Result<()> {
    let (_targets, addrs) = targets(3)?;
    let albeit = Albeit::start(config(&addrs, |group| algorithm(group, "weighted_random"))?).await?;
    let shares = shares(&albeit, 3, 300).await?;
    // Six standard deviations of a fair draw.
    assert!(shares.iter().all(|share| (52..=148).contains(share)), "{shares:?}");
    assert_ne!(shares, [100; 3], "that is no chance");
    Ok(())
}

fn mitigating(group: Group) -> Group {
    algorithm(group, "weighted_random").with_attribute("load_balancing.algorithm.anomaly_mitigation", "on")
}

async fn wait_for_anomaly(albeit: &Albeit, addr: SocketAddr, expected: [&str; 2]) -> Result<()> {
    eventually(SOON, &format!("anomaly detection to say {expected:?}"), || async {
        // What is judged are requests.
        shares(albeit, 3, 30).await?;
        let targets = albeit.targets().await?;
        let target = targets.iter().find(|t| t.addr == addr.to_string()).context("the target")?;
        ensure!([target.anomaly.as_str(), target.mitigation.as_str()] == expected, "{target:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_target_that_fails_unlike_the_others_gets_less_until_it_recovers() -> Result<()> {
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let state = std::sync::Arc::clone(&broken);
    let sick = Target::start(move |_| {
        let failing = state.load(std::sync::atomic::Ordering::Relaxed);
        let status = if failing { "500 Internal Server Error" } else { "200 OK" };
        vec![Step::Send(response(status, &[], "0"))]
    })?;
    let well = [Target::saying("1")?, Target::saying("2")?];
    let addrs = [sick.addr(), well[0].addr(), well[1].addr()];
    // Targets are judged each 100 ms.
    let albeit = Albeit::start(config(&addrs, mitigating)?.with_time_scale(50)).await?;
    wait_for_anomaly(&albeit, sick.addr(), ["anomalous", "yes"]).await?;
    eventually(SOON, "the target to lose its share", || async {
        let share = shares(&albeit, 3, 90).await?[0];
        ensure!(share <= 15, "{share} of 90");
        let metrics = albeit.metrics().await?;
        let seen = (metrics.cloudwatch("AnomalousHostCount")?, metrics.cloudwatch("MitigatedHostCount")?);
        ensure!(seen == (1.0, 1.0), "{seen:?}");
        Ok(())
    })
    .await?;
    broken.store(false, std::sync::atomic::Ordering::Relaxed);
    wait_for_anomaly(&albeit, sick.addr(), ["normal", "no"]).await?;
    let share = shares(&albeit, 3, 300).await?[0];
    assert!((52..=148).contains(&share), "{share} of 300");
    Ok(())
}

#[tokio::test]
async fn a_connection_error_is_an_anomaly_too() -> Result<()> {
    let (mut targets, addrs) = targets(3)?;
    // Checks each 30 s / 10: the target is not found unhealthy so soon, with ten failures to come.
    let albeit = Albeit::start(config(&addrs, mitigating)?.with_time_scale(10)).await?;
    targets.get_mut(0).context("a target")?.stop().await;
    eventually(SOON, "an anomalous target", || async {
        for _ in 0..30 {
            albeit.get("/").await?;
        }
        let all = albeit.targets().await?;
        let sick = all.iter().find(|t| t.addr == addrs[0].to_string()).context("the target")?;
        ensure!((sick.state.as_str(), sick.anomaly.as_str()) == ("healthy", "anomalous"), "{sick:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn so_are_connections_that_end_without_an_answer_and_nonsense() -> Result<()> {
    for steps in [vec![Step::Close], vec![Step::Send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec())]] {
        let sick = Target::start(move |_| steps.clone())?;
        let well = [Target::saying("1")?, Target::saying("2")?];
        let addrs = [sick.addr(), well[0].addr(), well[1].addr()];
        // Health checks pass; targets are judged each 100 ms.
        let albeit = Albeit::start(config(&addrs, mitigating)?.with_time_scale(50)).await?;
        eventually(SOON, "an anomalous target", || async {
            for _ in 0..30 {
                albeit.get("/").await?;
            }
            let all = albeit.targets().await?;
            let sick = all.iter().find(|t| t.addr == addrs[0].to_string()).context("the target")?;
            ensure!((sick.state.as_str(), sick.anomaly.as_str()) == ("healthy", "anomalous"), "{sick:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

fn all_healthy(count: usize) -> impl Fn(&[TargetHealth]) -> bool {
    move |all| all.len() == count && all.iter().all(|t| t.state == "healthy")
}

#[tokio::test]
async fn a_target_that_joins_begins_slowly() -> Result<()> {
    let (_targets, addrs) = targets(3)?;
    // A ramp of 900 s / 10.
    let slow = |group: Group| group.with_attribute("slow_start.duration_seconds", 900);
    let first = config(&addrs[..2], slow)?.with_time_scale(10);
    let mut albeit = Albeit::start(first.clone()).await?;
    // The first batch is not ramped.
    assert_eq!(shares(&albeit, 3, 40).await?, [20, 20, 0]);
    albeit.reload(first.clone().map_group(|group| group.with_targets(&addrs))).await?;
    albeit.wait_for_targets("the new target healthy", all_healthy(3)).await?;
    let begun = shares(&albeit, 3, 100).await?[2];
    assert!(begun <= 10, "{begun} of 100 at the beginning");
    // Without slow start it has its share at once.
    let off =
        first.map_group(|group| group.with_targets(&addrs).with_attribute("slow_start.duration_seconds", 0));
    albeit.reload(off).await?;
    eventually(SOON, "an even spread", || async {
        let shares = shares(&albeit, 3, 60).await?;
        ensure!(shares == [20; 3], "{shares:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_ramp_ends() -> Result<()> {
    let (_targets, addrs) = targets(2)?;
    // A ramp of 30 s / 60.
    let slow = |group: Group| group.with_attribute("slow_start.duration_seconds", 30);
    let first = config(&addrs[..1], slow)?.with_time_scale(60);
    let mut albeit = Albeit::start(first.clone()).await?;
    albeit.reload(first.map_group(|group| group.with_targets(&addrs))).await?;
    albeit.wait_for_targets("the new target healthy", all_healthy(2)).await?;
    eventually(SOON, "an even spread", || async {
        let shares = shares(&albeit, 2, 40).await?;
        ensure!(shares == [20; 2], "{shares:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn thresholds_decide_fail_open_and_the_states_of_the_group() -> Result<()> {
    let (targets, addrs) = targets(3)?;
    for target in &targets[..2] {
        target.set_health(500);
    }
    let health = "target_group_health";
    let group = config(&addrs, |group| {
        group
            .with_health("interval", "5s")
            .with_health("timeout", "4s")
            .with_health("unhealthy_threshold", 2)
            .with_attribute(&format!("{health}.unhealthy_state_routing.minimum_healthy_targets.count"), 2)
            .with_attribute(&format!("{health}.dns_failover.minimum_healthy_targets.count"), 2)
    })?;
    let mut albeit = Albeit::start_unsettled(group.with_time_scale(10)).await?;
    let settled = |all: &[TargetHealth]| all.iter().filter(|t| t.state == "unhealthy").count() == 2;
    albeit.wait_for_targets("two unhealthy", settled).await?;
    // One healthy target is fewer than two: all get requests.
    assert_eq!(shares(&albeit, 3, 30).await?, [10; 3]);
    let states = async |albeit: &Albeit| -> Result<[f64; 4]> {
        let metrics = albeit.metrics().await?;
        Ok([
            metrics.cloudwatch("HealthyStateRouting")?,
            metrics.cloudwatch("UnhealthyStateRouting")?,
            metrics.cloudwatch("HealthyStateDNS")?,
            metrics.cloudwatch("UnhealthyStateDNS")?,
        ])
    };
    assert_eq!(states(&albeit).await?, [0.0, 1.0, 0.0, 1.0]);
    for target in &targets {
        target.set_health(200);
    }
    albeit.wait_for_targets("all healthy", all_healthy(3)).await?;
    assert_eq!(states(&albeit).await?, [1.0, 0.0, 1.0, 0.0]);
    Ok(())
}
