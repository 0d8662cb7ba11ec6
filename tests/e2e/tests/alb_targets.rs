//! Application load balancers as targets of network load balancers of the same
//! process (target type `alb`).

use std::{io, time::Duration};

use albeit_e2e::{
    Albeit, Client, Config, Group, Listener, LoadBalancer, Step, Target,
    access_log::Log,
    albeit::TargetHealth,
    config::LOAD_BALANCER,
    eventually, forward,
    target::{ok, switching_protocols},
    wait::SOON,
    websocket::upgrade,
};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

fn fixed(status: u16, body: &str) -> Value {
    json!({ "fixed_response": { "status_code": status, "content_type": "text/plain", "message_body": body } })
}

/// `behind`'s first listener as the only target of a network load balancer, whose one listener is `front`.
fn stacked(behind: Config, front: &Listener) -> Config {
    let port = behind.listeners[0].addr().port();
    let logs = behind.dir().join("logs");
    let nlb = LoadBalancer::new("e2e-nlb", "network", vec![front.clone()])
        .with_attribute("albeit.flow_logs.s3.enabled", true)
        .with_attribute("albeit.flow_logs.s3.bucket", json!(logs))
        .with_attribute("albeit.access_logs.files", "plain");
    behind.with_group(Group::alb("to-alb", LOAD_BALANCER, port)).with_load_balancer(nlb)
}

fn front() -> Result<Listener> {
    Listener::tcp(forward("to-alb"))
}

/// A target that answers requests and relays after upgrades.
fn relaying() -> Result<Target> {
    Target::start(|request| {
        if request.headers("upgrade").is_empty() {
            vec![Step::Send(ok("ok"))]
        } else {
            vec![Step::Send(switching_protocols()), Step::Relay]
        }
    })
}

async fn answers(front: &Listener, path: &str, expected: &str) -> Result<()> {
    eventually(SOON, &format!("{expected:?} at {path}"), || async {
        let answer = Client::connect(front.addr()).await?.get(path).await?;
        ensure!(answer.text() == expected, "{} {}", answer.status, answer.text());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_connection_is_one_flow_here_and_its_requests_are_requests_there() -> Result<()> {
    let (target, front) = (Target::saying("passed")?, front()?);
    let albeit = Albeit::start(stacked(Config::forwarding_to(&[target.addr()])?, &front)).await?;
    let mut client = Client::connect(front.addr()).await?;
    let local = client.local_addr().to_string();
    for path in ["/first", "/second"] {
        assert_eq!(client.get(path).await?.text(), "passed");
    }
    drop(client);
    for path in ["/first", "/second"] {
        assert_eq!(albeit.record(path).await?["client:port"], local);
    }
    let flows = eventually(SOON, "a flow record", || async {
        let flows = albeit.log(Log::Flow)?;
        ensure!(flows.len() == 1, "{flows:?}");
        Ok(flows)
    })
    .await?;
    let flow = &flows[0];
    assert_eq!(flow["client:port"], local);
    assert_eq!(flow["destination:port"], front.addr().to_string());
    assert_eq!(flow["target:port"], albeit.listener(0)?.to_string());
    assert_eq!(flow["close_reason"], "client_fin");
    let metrics = albeit.metrics().await?;
    assert_eq!(metrics.network_cloudwatch("NewFlowCount_TCP")?, 1.0);
    let bytes = flow.number("received_bytes")? + flow.number("sent_bytes")?;
    assert_eq!(metrics.network_cloudwatch("ProcessedBytes")?, bytes);
    assert_eq!(target.requests().len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_flow_that_idles_is_forgotten_before_the_application_load_balancer_closes_it() -> Result<()> {
    let target = Target::saying("passed")?;
    let front = front()?.with_attribute("tcp.idle_timeout.seconds", 60);
    let behind = Config::forwarding_to(&[target.addr()])?
        .with_attribute("idle_timeout.timeout_seconds", 4000)
        .with_time_scale(50);
    let albeit = Albeit::start(stacked(behind, &front)).await?;
    let mut client = Client::connect(front.addr()).await?;
    assert_eq!(client.get("/").await?.status, 200);
    let record = eventually(SOON, "a record of the flow", || async {
        let mut flows = albeit.log(Log::Flow)?;
        ensure!(flows.len() == 1, "{flows:?}");
        Ok(flows.remove(0))
    })
    .await?;
    assert_eq!(record["close_reason"], "idle_timeout");
    assert!(record.number("connection_time")? >= 1200.0, "{record:?}");
    let mut stream = client.into_stream()?;
    let mut byte = [0];
    let silence = timeout(Duration::from_millis(200), stream.read(&mut byte)).await;
    assert!(silence.is_err(), "the client is not told: {silence:?}");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    let answer = timeout(SOON, stream.read(&mut byte)).await?;
    assert_eq!(answer.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionReset));
    assert_eq!(target.requests().len(), 1, "what came too late does not pass");
    Ok(())
}

#[tokio::test]
async fn the_application_load_balancer_closes_what_idles_longer_than_it_allows() -> Result<()> {
    let (target, front) = (Target::saying("passed")?, front()?);
    let behind = Config::forwarding_to(&[target.addr()])?
        .with_attribute("idle_timeout.timeout_seconds", 50)
        .with_time_scale(50);
    let albeit = Albeit::start(stacked(behind, &front)).await?;
    let mut client = Client::connect(front.addr()).await?;
    assert_eq!(client.get("/").await?.status, 200);
    let mut stream = client.into_stream()?;
    assert_eq!(timeout(SOON, stream.read(&mut [0])).await??, 0, "FIN");
    drop(stream);
    eventually(SOON, "a record of the flow", || async {
        let flows = albeit.log(Log::Flow)?;
        ensure!(flows.len() == 1 && flows[0]["close_reason"] != "idle_timeout", "{flows:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn health_checks_ask_the_listener_whose_errors_make_it_unhealthy() -> Result<()> {
    let front = front()?;
    let listener = Listener::http(fixed(503, "closed"))?;
    let behind = Config::try_new()?.with_listener(listener.clone()).with_time_scale(20);
    let mut config = stacked(behind, &front);
    config.groups = config
        .groups
        .into_iter()
        .map(|group| group.with_health("interval", "5s").with_health("unhealthy_threshold", 2))
        .map(|group| group.with_health("timeout", "4s").with_health("healthy_threshold", 2))
        .collect();
    let mut albeit = Albeit::start_unsettled(config.clone()).await?;
    let unhealthy = |all: &[TargetHealth]| all.iter().all(|target| target.state == "unhealthy");
    let targets = albeit.wait_for_targets("an unhealthy load balancer", unhealthy).await?;
    assert_eq!(targets[0].reason, "Target.ResponseCodeMismatch");
    assert!(targets[0].addr.contains(&format!("loadbalancer/app/{LOAD_BALANCER}/")), "{targets:?}");
    answers(&front, "/", "closed").await?;
    let metrics = albeit.metrics().await?;
    assert!(
        metrics.network_cloudwatch("UnhealthyRoutingFlowCount")? >= 1.0,
        "a group without healthy targets"
    );
    let open = listener.with("default_actions", json!([fixed(200, "open")]));
    config.listeners = vec![open];
    albeit.reload(config).await?;
    let healthy = |all: &[TargetHealth]| all.iter().all(|target| target.state == "healthy");
    albeit.wait_for_targets("a healthy load balancer", healthy).await?;
    answers(&front, "/", "open").await
}

#[tokio::test]
async fn a_reload_of_the_listener_keeps_flows_and_acts_on_their_next_requests() -> Result<()> {
    let (target, front) = (relaying()?, front()?);
    let config = stacked(Config::forwarding_to(&[target.addr()])?, &front);
    let mut albeit = Albeit::start(config.clone()).await?;
    let mut kept = Client::connect(front.addr()).await?;
    assert_eq!(kept.get("/new").await?.text(), "ok");
    let mut socket = Client::connect(front.addr()).await?;
    upgrade(&mut socket, "/socket").await?;
    let mut changed = config.clone();
    changed.listeners = vec![config.listeners[0].clone().with_rule(
        1,
        json!({ "path_pattern": ["/new"] }),
        fixed(200, "from the rule"),
    )];
    albeit.reload(changed).await?;
    answers(&front, "/new", "from the rule").await?;
    assert_eq!(kept.get("/new").await?.text(), "from the rule");
    socket.send("alive").await?;
    assert_eq!(socket.read_exactly(5).await?, b"alive");
    Ok(())
}

#[tokio::test]
async fn a_reload_that_takes_the_targets_listener_away_is_refused() -> Result<()> {
    let front = front()?;
    let behind = Config::try_new()?.with_listener(Listener::http(fixed(200, "still here"))?);
    let config = stacked(behind, &front);
    let mut albeit = Albeit::start(config.clone()).await?;
    let mut kept = Client::connect(front.addr()).await?;
    assert_eq!(kept.get("/").await?.text(), "still here");
    let mut without = config.clone();
    without.listeners = vec![config.listeners[0].moved()?];
    albeit.reload(without).await?;
    eventually(SOON, "a report of the refused reload", || async {
        let log = albeit.process.stderr();
        let port = config.listeners[0].addr().port().to_string();
        ensure!(log.lines().any(|line| line.contains("ERROR") && line.contains(&port)), "{log}");
        Ok(())
    })
    .await?;
    assert_eq!(kept.get("/").await?.text(), "still here");
    answers(&front, "/", "still here").await
}

#[tokio::test]
async fn a_reload_that_replaces_the_target_by_others_leads_new_flows_there() -> Result<()> {
    let (target, front) = (relaying()?, front()?);
    let config = stacked(Config::forwarding_to(&[target.addr()])?, &front);
    let mut albeit = Albeit::start(config.clone()).await?;
    let mut socket = Client::connect(front.addr()).await?;
    upgrade(&mut socket, "/socket").await?;
    let direct = Target::saying("without rules")?;
    let mut replaced = config.clone();
    replaced.listeners.clear();
    replaced.groups = vec![Group::tcp("flows", &[direct.addr()])];
    replaced.others[0].listeners = vec![front.clone().with("default_actions", json!([forward("flows")]))];
    albeit.reload(replaced).await?;
    answers(&front, "/", "without rules").await?;
    socket.send("alive").await?;
    assert_eq!(socket.read_exactly(5).await?, b"alive", "a flow that was begun before");
    Ok(())
}
