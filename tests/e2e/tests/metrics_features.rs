//! Metrics of single features by their `CloudWatch` names: exact counts after known traffic.

mod run;

use std::time::Duration;

use albeit_e2e::{
    Albeit, Client, Config, Step, Target,
    client::connect_and_reset,
    eventually,
    metrics::Metrics,
    target::{Gate, switching_protocols},
    wait::SOON,
    websocket::upgrade,
};
use anyhow::{Context as _, Result, ensure};

/// The metrics of an Application Load Balancer that have a meaning here.
const NAMES: [&str; 50] = [
    "ActiveConnectionCount",
    "AnomalousHostCount",
    "AppCookieNonStickinessCount",
    "ClientTLSNegotiationErrorCount",
    "DesyncMitigationMode_NonCompliant_Request_Count",
    "DroppedInvalidHeaderRequestCount",
    "ELBAuthError",
    "ELBAuthFailure",
    "ELBAuthLatency",
    "ELBAuthRefreshTokenSuccess",
    "ELBAuthSuccess",
    "ELBAuthUserClaimsSizeExceeded",
    "ForwardedInvalidHeaderRequestCount",
    "GrpcRequestCount",
    "HTTPCode_ELB_3XX_Count",
    "HTTPCode_ELB_4XX_Count",
    "HTTPCode_ELB_500_Count",
    "HTTPCode_ELB_502_Count",
    "HTTPCode_ELB_503_Count",
    "HTTPCode_ELB_504_Count",
    "HTTPCode_ELB_5XX_Count",
    "HTTPCode_Target_2XX_Count",
    "HTTPCode_Target_3XX_Count",
    "HTTPCode_Target_4XX_Count",
    "HTTPCode_Target_5XX_Count",
    "HTTP_Fixed_Response_Count",
    "HTTP_Redirect_Count",
    "HTTP_Redirect_Url_Limit_Exceeded_Count",
    "HealthyHostCount",
    "HealthyStateDNS",
    "HealthyStateRouting",
    "IPv6ProcessedBytes",
    "IPv6RequestCount",
    "JWTValidationFailureCount",
    "JWTValidationSuccessCount",
    "MitigatedHostCount",
    "NewConnectionCount",
    "NonStickyRequestCount",
    "ProcessedBytes",
    "RejectedConnectionCount",
    "RequestCount",
    "RequestCountPerTarget",
    "RuleEvaluations",
    "TargetConnectionErrorCount",
    "TargetResponseTime",
    "TargetTLSNegotiationErrorCount",
    "UnHealthyHostCount",
    "UnhealthyRoutingRequestCount",
    "UnhealthyStateDNS",
    "UnhealthyStateRouting",
];

#[track_caller]
fn check(metrics: &Metrics, expected: &[(&str, f64)]) -> Result<()> {
    for (name, count) in expected {
        let found = metrics.cloudwatch(name)?;
        ensure!((found - count).abs() < f64::EPSILON, "{name} is {found}, not {count}");
    }
    Ok(())
}

async fn counts(albeit: &Albeit, expected: &[(&str, f64)]) -> Result<()> {
    eventually(SOON, "the expected counts", || async { check(&albeit.metrics().await?, expected) }).await
}

#[tokio::test]
async fn every_metric_is_there_from_the_start() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let metrics = albeit.metrics().await?;
    for name in NAMES {
        let is_state = ["HealthyHostCount", "HealthyStateDNS", "HealthyStateRouting"].contains(&name);
        check(&metrics, &[(name, f64::from(u8::from(is_state)))])?;
    }
    Ok(())
}

#[tokio::test]
async fn the_target_response_time_is_that_of_the_access_log() -> Result<()> {
    let pause = || Step::Pause(Duration::from_millis(200));
    let target = Target::start(move |request| match request.path() {
        "/broken" => vec![pause(), Step::Close],
        _ => {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
            vec![pause(), Step::Send(head.to_vec()), pause(), Step::Send(b"body".to_vec())]
        }
    })?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut client = albeit.client().await?;
    for _ in 0..3 {
        assert_eq!(client.get("/whole").await?.status, 200);
    }
    // No response headers, no time.
    assert_eq!(client.get("/broken").await?.status, 502);
    let mut logged = 0.0;
    for record in albeit.records("/whole", 3).await? {
        logged += record.number("target_processing_time")?;
    }
    let metrics = albeit.metrics().await?;
    let name = metrics.named_after("TargetResponseTime")?;
    assert_eq!(metrics.sum(&format!("{name}_count"), ""), 3.0);
    let sum = metrics.sum(&format!("{name}_sum"), "");
    // The log has milliseconds; the second pause comes after the head.
    assert!((sum - logged).abs() <= 0.003 && sum >= 0.6, "{sum} seconds, {logged} logged");
    Ok(())
}

/// Upgrades at `path`; the balancer then has one WebSocket open.
async fn open(albeit: &Albeit, path: &str) -> Result<Client> {
    let mut client = albeit.client().await?;
    upgrade(&mut client, path).await?;
    eventually(SOON, "an open WebSocket", || async {
        ensure!(albeit.metrics().await?.sum("albeit_open_websockets", "") == 1.0);
        Ok(())
    })
    .await?;
    Ok(client)
}

#[tokio::test]
async fn websockets_are_counted_by_what_ended_them() -> Result<()> {
    let (closing, resetting) = (Gate::default(), Gate::default());
    let gates = (closing.clone(), resetting.clone());
    let target = Target::start(move |request| {
        let end = match request.path() {
            "/target" => vec![Step::Await(gates.0.clone()), Step::Close],
            "/error" => vec![Step::Await(gates.1.clone()), Step::Reset],
            _ => vec![Step::Relay],
        };
        [vec![Step::Send(switching_protocols())], end].concat()
    })?;
    let config = Config::forwarding_to(&[target.addr()])?
        .with_attribute("idle_timeout.timeout_seconds", 3)
        .map_group(|group| group.with_attribute("deregistration_delay.timeout_seconds", 1));
    let without = config.clone().map_group(|group| group.with_targets(&[]));
    let mut albeit = Albeit::start(config).await?;
    for reason in ["client", "target", "error", "idle_timeout", "deregistration"] {
        let mut client = open(&albeit, &format!("/{reason}")).await?;
        match reason {
            "target" => closing.open(),
            "error" => resetting.open(),
            "client" => client.finish_writing().await?,
            "deregistration" => albeit.reload(without.clone()).await?,
            _ => {}
        }
        client.closed().await?;
        drop(client);
        let name = format!("albeit_websockets_closed_by_{reason}_total");
        eventually(SOON, reason, || async {
            let metrics = albeit.metrics().await?;
            ensure!(metrics.sum(&name, "") == 1.0 && metrics.sum("albeit_open_websockets", "") == 0.0);
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Lets the balancer open no file beyond `limit`.
async fn limit_files(albeit: &Albeit, limit: u32) -> Result<()> {
    let (pid, limit) = (albeit.process.pid().to_string(), format!("--nofile={limit}:"));
    let status = tokio::process::Command::new("prlimit").args(["--pid", &pid, &limit]).status().await;
    ensure!(status.context("prlimit")?.success(), "prlimit {limit}");
    Ok(())
}

#[tokio::test]
async fn connections_beyond_what_the_system_allows_are_rejected() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    counts(&albeit, &[("RejectedConnectionCount", 0.0)]).await?;
    limit_files(&albeit, 3).await?;
    connect_and_reset(albeit.listener(0)?, b"").await?;
    let mut waiting = albeit.client().await?;
    eventually(SOON, "a line about it", || async {
        ensure!(albeit.process.stderr().contains("accepting connections failed"));
        Ok(())
    })
    .await?;
    // Time for several more tries, of which nobody is told.
    tokio::time::sleep(Duration::from_millis(300)).await;
    limit_files(&albeit, 1024).await?;
    // The system has kept it.
    assert_eq!(waiting.get("/").await?.status, 200);
    counts(&albeit, &[("RejectedConnectionCount", 1.0)]).await?;
    assert_eq!(albeit.process.stderr().matches("accepting connections failed").count(), 1);
    Ok(())
}
