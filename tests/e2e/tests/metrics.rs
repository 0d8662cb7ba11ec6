//! Metrics by their `CloudWatch` names: the counts equal the traffic.

use albeit_e2e::{
    Albeit, Config, Group, Listener, Step, Target, eventually, forward,
    target::{response, switching_protocols},
    wait::SOON,
    websocket::upgrade,
};
use anyhow::{Result, ensure};
use serde_json::json;

async fn counts(albeit: &Albeit, expected: &[(&str, f64)]) -> Result<()> {
    eventually(SOON, "the expected counts", || async {
        let metrics = albeit.metrics().await?;
        for (name, count) in expected {
            let found = metrics.cloudwatch(name)?;
            ensure!((found - count).abs() < f64::EPSILON, "{name} is {found}, not {count}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn counts_equal_traffic() -> Result<()> {
    let target = Target::start(|request| match request.path() {
        "/201" => vec![Step::Send(response("201 Created", &[], ""))],
        "/404" => vec![Step::Send(response("404 Not Found", &[], ""))],
        "/500" => vec![Step::Send(response("500 Oops", &[], ""))],
        "/close" => vec![Step::Close],
        _ => vec![Step::Send(response("302 Found", &["Location: /"], ""))],
    })?;
    let fixed = json!({ "fixed_response": { "status_code": "200" } });
    let redirect = json!({ "redirect": { "host": "elsewhere.test", "status_code": "HTTP_302" } });
    let listener = Listener::http(forward("web"))?
        .with_rule(1, json!({ "path_pattern": ["/fixed"] }), fixed)
        .with_rule(2, json!({ "path_pattern": ["/redirect"] }), redirect)
        .with_rule(3, json!({ "path_pattern": ["/empty"] }), forward("empty"));
    let config = Config::try_new()?
        .with_group(Group::new("web", &[target.addr()]))
        .with_group(Group::new("empty", &[]))
        .with_listener(listener);
    let albeit = Albeit::start(config).await?;
    let mut client = albeit.client().await?;
    for (path, times) in [
        ("/201", 5),
        ("/302", 4),
        ("/404", 3),
        ("/500", 2),
        ("/close", 2),
        ("/fixed", 3),
        ("/redirect", 2),
        ("/empty", 1),
    ] {
        for _ in 0..times {
            client.get(path).await?;
        }
    }
    counts(
        &albeit,
        &[
            ("HTTPCode_Target_2XX_Count", 5.0),
            ("HTTPCode_Target_3XX_Count", 4.0),
            ("HTTPCode_Target_4XX_Count", 3.0),
            ("HTTPCode_Target_5XX_Count", 2.0),
            ("HTTPCode_ELB_502_Count", 2.0),
            ("HTTPCode_ELB_503_Count", 1.0),
            ("HTTPCode_ELB_504_Count", 0.0),
            ("HTTPCode_ELB_5XX_Count", 3.0),
            ("HTTP_Fixed_Response_Count", 3.0),
            ("HTTP_Redirect_Count", 2.0),
            // One from the client, and two to the target, which closed both.
            ("NewConnectionCount", 3.0),
            ("ActiveConnectionCount", 1.0),
            ("HealthyHostCount", 1.0),
        ],
    )
    .await
}

#[tokio::test]
async fn an_open_websocket_is_an_active_connection_and_bytes_are_counted() -> Result<()> {
    let target = Target::start(|_| vec![Step::Send(switching_protocols()), Step::Relay])?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut client = albeit.client().await?;
    upgrade(&mut client, "/").await?;
    // ELB counts the connection from the client and the one to the target.
    counts(&albeit, &[("ActiveConnectionCount", 2.0), ("NewConnectionCount", 2.0)]).await?;
    client.send(vec![0; 100_000]).await?;
    client.read_exactly(100_000).await?;
    client.finish_writing().await?;
    client.closed().await?;
    counts(&albeit, &[("ActiveConnectionCount", 0.0), ("NewConnectionCount", 2.0)]).await?;
    eventually(SOON, "processed bytes", || async {
        let bytes = albeit.metrics().await?.cloudwatch("ProcessedBytes")?;
        ensure!((200_000.0..202_000.0).contains(&bytes), "{bytes}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn refused_connections_to_targets_are_counted() -> Result<()> {
    let checked = Target::saying("ok")?;
    let port = albeit_e2e::ports::HeldPort::try_new()?;
    let config = Config::forwarding_to(&[port.addr()])?;
    let albeit = Albeit::start(config.map_group(|g| g.with_health("port", checked.addr().port()))).await?;
    for _ in 0..3 {
        albeit.get("/").await?;
    }
    counts(&albeit, &[("TargetConnectionErrorCount", 3.0), ("HTTPCode_ELB_502_Count", 3.0)]).await
}
