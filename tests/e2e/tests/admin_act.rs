//! What can be done through the admin API, and by whom.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use albeit_e2e::{
    Albeit, Client, Config, Step, Target, eventually,
    target::{ok, switching_protocols},
    wait::SOON,
    websocket::upgrade,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

const ACTING: [&str; 2] = ["Host: localhost", "Content-Type: application/json"];

fn targets(targets: &[SocketAddr]) -> Value {
    let targets: Vec<_> = targets.iter().map(|it| json!({ "Id": it.ip(), "Port": it.port() })).collect();
    json!({ "TargetGroupName": "web", "Targets": targets })
}

fn force(target: SocketAddr, state: &str) -> Value {
    json!({
        "TargetGroupName": "web",
        "Targets": [{ "Id": target.ip(), "Port": target.port() }],
        "State": state,
    })
}

async fn arn(albeit: &Albeit, path: &str, list: &str, member: &str) -> Result<String> {
    let first = albeit.list(path, list).await?.into_iter().next().context("an empty list")?;
    first.get(member).and_then(Value::as_str).map(str::to_owned).context("no ARN")
}

/// Sends requests without a pause until dropped; any that fails is found by [`Load::stop`].
struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<Result<()>>,
}

impl Load {
    fn on(addr: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for fresh in [true, false] {
            let stop = Arc::clone(&stop);
            clients.spawn(async move {
                let mut client = Client::connect(addr).await?;
                while !stop.load(Ordering::Relaxed) {
                    if fresh {
                        client = Client::connect(addr).await?;
                    }
                    let status = client.get("/load").await?.status;
                    ensure!(status == 200, "status {status}");
                }
                Ok(())
            });
        }
        Self { stop, clients }
    }

    async fn stop(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client??;
        }
        Ok(())
    }
}

/// Waits until `target` has got `more` further requests.
async fn gets(target: &Target, more: usize) -> Result<()> {
    target.request(target.requests().len() + more).await.map(drop)
}

/// Waits until `target` gets no more, however much the others get.
async fn gets_none(target: &Target, other: &Target) -> Result<()> {
    eventually(SOON, "no more requests", || async {
        let before = target.requests().len();
        gets(other, 50).await?;
        let now = target.requests().len();
        ensure!(now == before, "{} more", now - before);
        Ok(())
    })
    .await
}

/// Which bodies ten requests get.
async fn said(albeit: &Albeit) -> Result<Vec<String>> {
    let mut client = albeit.client().await?;
    let mut said = Vec::new();
    for _ in 0..10 {
        said.push(client.get("/").await?.text());
    }
    said.sort();
    said.dedup();
    Ok(said)
}

#[tokio::test]
async fn under_load_targets_come_and_go_without_a_failed_request() -> Result<()> {
    let (first, second) = (Target::saying("first")?, Target::saying("second")?);
    let mut albeit = Albeit::start(Config::forwarding_to(&[first.addr()])?).await?;
    let load = Load::on(albeit.listener(0)?);
    for _ in 0..3 {
        albeit.act("POST", "/targets/register", &targets(&[second.addr()])).await?;
        gets(&second, 20).await?;
        albeit.act("POST", "/targets/deregister", &targets(&[first.addr()])).await?;
        gets_none(&first, &second).await?;
        albeit.act("POST", "/targets/register", &targets(&[first.addr()])).await?;
        gets(&first, 20).await?;
        albeit.act("POST", "/targets/deregister", &targets(&[second.addr()])).await?;
        gets_none(&second, &first).await?;
    }
    load.stop().await?;
    let second = second.addr().to_string();
    let all = albeit.wait_for_targets("both known", |all| all.len() >= 2).await?;
    let draining = all.iter().find(|target| target.addr == second).context("gone")?;
    assert_eq!(
        (draining.state.as_str(), draining.reason.as_str()),
        ("draining", "Target.DeregistrationInProgress")
    );
    Ok(())
}

#[tokio::test]
async fn a_drained_groups_websockets_live_until_the_delay_is_over() -> Result<()> {
    let upgrading = || Target::start(|_| vec![Step::Send(switching_protocols()), Step::Relay]);
    let (old, new) = (upgrading()?, Target::saying("new")?);
    // 30 s divided by 10.
    let config = Config::forwarding_to(&[old.addr()])?
        .with_time_scale(10)
        .map_group(|group| group.with_attribute("deregistration_delay.timeout_seconds", 30));
    let mut albeit = Albeit::start(config).await?;
    let mut socket = albeit.client().await?;
    upgrade(&mut socket, "/socket").await?;
    let asked = Instant::now();
    albeit.act("POST", "/targets/drain", &json!({ "TargetGroupName": "web" })).await?;
    let all = albeit.targets().await?;
    assert_eq!((all.len(), all[0].state.as_str(), all[0].outstanding), (1, "draining", 1));
    assert_eq!(albeit.get("/none").await?.status, 503);
    albeit.act("POST", "/targets/register", &targets(&[new.addr()])).await?;
    let new_addr = new.addr().to_string();
    albeit
        .wait_for_targets("the new one", |all| {
            all.iter().any(|it| it.addr == new_addr && it.state == "healthy")
        })
        .await?;
    assert_eq!(albeit.get("/new").await?.text(), "new");
    socket.send("alive").await?;
    assert_eq!(socket.read_exactly(5).await?, b"alive");
    socket.closed().await?;
    let lived = asked.elapsed();
    assert!((Duration::from_millis(2900)..Duration::from_secs(6)).contains(&lived), "{lived:?}");
    let closed = albeit.metrics().await?.sum("albeit_websockets_closed_by_deregistration_total", "");
    assert!((closed - 1.0).abs() < f64::EPSILON, "{closed}");
    albeit.wait_for_targets("the old one gone", |all| all.len() == 1).await?;
    Ok(())
}

#[tokio::test]
async fn forced_health_moves_traffic_and_lasts_over_a_reload() -> Result<()> {
    let (first, second) = (Target::saying("first")?, Target::saying("second")?);
    let config = Config::forwarding_to(&[first.addr(), second.addr()])?;
    let albeit = Albeit::start(config).await?;
    assert_eq!(said(&albeit).await?, ["first", "second"]);
    albeit.act("POST", "/targets/health", &force(first.addr(), "unhealthy")).await?;
    assert_eq!(said(&albeit).await?, ["second"]);
    let addr = first.addr().to_string();
    let shown = albeit.targets().await?.into_iter().find(|target| target.addr == addr).context("gone")?;
    assert_eq!((shown.state.as_str(), shown.reason.as_str()), ("unhealthy", "Albeit.AdministrativeOverride"));
    albeit.act("POST", "/reload", &json!({})).await?;
    assert_eq!(said(&albeit).await?, ["second"]);
    albeit.act("POST", "/targets/health", &force(first.addr(), "auto")).await?;
    assert_eq!(said(&albeit).await?, ["first", "second"]);
    // A target that fails its checks gets traffic when an operator says so.
    albeit.act("POST", "/targets/health", &force(second.addr(), "unhealthy")).await?;
    albeit.act("POST", "/targets/health", &force(first.addr(), "unhealthy")).await?;
    albeit.act("POST", "/targets/health", &force(second.addr(), "healthy")).await?;
    assert_eq!(said(&albeit).await?, ["second"]);
    albeit.act("DELETE", "/overrides", &json!({})).await?;
    assert_eq!(said(&albeit).await?, ["first", "second"]);
    Ok(())
}

#[tokio::test]
async fn a_changed_attribute_is_in_force_for_the_next_request_and_over_reloads() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?;
    let mut albeit = Albeit::start(config.clone()).await?;
    let group = arn(&albeit, "/target-groups", "TargetGroups", "TargetGroupArn").await?;
    let load_balancer = arn(&albeit, "/load-balancers", "LoadBalancers", "LoadBalancerArn").await?;
    let mut client = albeit.client().await?;
    assert!(client.get("/1").await?.cookie("AWSALB").is_err());
    let change =
        json!({ "TargetGroupArn": group, "Attributes": [{ "Key": "stickiness.enabled", "Value": "true" }] });
    let answer = albeit.act("PUT", "/attributes", &change).await?;
    let attributes = answer["Attributes"].as_array().context("no attributes")?;
    assert!(attributes.contains(&json!({ "Key": "stickiness.enabled", "Value": "true" })));
    client.get("/2").await?.cookie("AWSALB")?;

    // The file changes on disk: nothing looks at it but a reload, which leaves the override on top.
    let on_disk = config.clone().with_attribute("routing.http.xff_header_processing.mode", "remove");
    on_disk.write()?;
    let change = json!({
        "LoadBalancerArn": load_balancer,
        "Attributes": [{ "Key": "routing.http.xff_client_port.enabled", "Value": "true" }],
    });
    albeit.act("PUT", "/attributes", &change).await?;
    client.get("/3").await?.cookie("AWSALB")?;
    let expected = client.local_addr().to_string();
    assert_eq!(target.request(3).await?.header("x-forwarded-for")?, expected);
    albeit.act("POST", "/reload", &json!({})).await?;
    client.get("/4").await?.cookie("AWSALB")?;
    assert!(target.request(4).await?.headers("x-forwarded-for").is_empty());

    let overrides = albeit.resource("/overrides").await?;
    assert_eq!(
        overrides["TargetGroups"][0]["Attributes"],
        json!([{ "Key": "stickiness.enabled", "Value": "true" }])
    );
    albeit.act("DELETE", "/overrides", &json!({})).await?;
    assert!(client.get("/5").await?.cookie("AWSALB").is_err());
    let wrong = json!({ "TargetGroupArn": group, "Attributes": [{ "Key": "deregistration_delay.timeout_seconds", "Value": "9999" }] });
    let (status, answer) = albeit.try_act("PUT", "/attributes", &ACTING, &wrong).await?;
    assert_eq!((status, &answer["Error"]["Code"]), (400, &json!("ValidationError")));
    assert_eq!(
        answer["Error"]["Message"],
        "'deregistration_delay.timeout_seconds' value '9999' must be between '0-3600' inclusive"
    );
    albeit.process.still_running()
}

#[tokio::test]
async fn with_a_token_only_its_bearer_may_act() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?;
    let file = config.dir().join("token");
    std::fs::write(&file, "a-token-of-some-length\n")?;
    let config = config.with_admin("token_file", file.to_str().context("not UTF-8")?);
    let albeit = Albeit::start(config).await?;
    let drain = json!({ "TargetGroupName": "web" });
    let attempt = |authorization: Option<&'static str>| {
        let mut headers = ACTING.to_vec();
        headers.extend(authorization);
        let (albeit, drain) = (&albeit, &drain);
        async move { albeit.try_act("POST", "/targets/drain", &headers, drain).await }
    };
    for (authorization, code) in [
        (None, "MissingAuthenticationToken"),
        (Some("Authorization: Bearer a-token-of-some-lengtH"), "InvalidClientTokenId"),
        (Some("Authorization: Basic YQ=="), "MissingAuthenticationToken"),
    ] {
        let (status, answer) = attempt(authorization).await?;
        assert_eq!((status, &answer["Error"]["Code"]), (401, &json!(code)));
    }
    assert_eq!(albeit.targets().await?[0].state, "healthy");
    // Reading needs none, and a new token is in force with a reload.
    assert_eq!(albeit.admin("/connections").await?.status, 200);
    std::fs::write(&file, "another-token-of-some-length")?;
    let reload = [ACTING.as_slice(), &["Authorization: Bearer a-token-of-some-length"]].concat();
    assert_eq!(albeit.try_act("POST", "/reload", &reload, &json!({})).await?.0, 200);
    assert_eq!(attempt(Some("Authorization: Bearer a-token-of-some-length")).await?.0, 401);
    assert_eq!(attempt(Some("Authorization: Bearer another-token-of-some-length")).await?.0, 200);
    assert_eq!(albeit.targets().await?[0].state, "draining");
    let metrics = albeit.metrics().await?;
    let counted = |status| {
        metrics.sum("albeit_admin_actions_total", &format!("action=\"DrainTargets\",status=\"{status}\""))
    };
    assert!((counted(401) - 4.0).abs() < f64::EPSILON && (counted(200) - 1.0).abs() < f64::EPSILON);
    Ok(())
}

#[tokio::test]
async fn a_page_in_a_browser_on_this_machine_may_not_act() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let drain = json!({ "TargetGroupName": "web" });
    for (headers, status) in [
        (vec!["Host: evil.example", "Content-Type: application/json"], 403),
        (vec!["Host: localhost", "Content-Type: application/json", "Origin: http://evil.example"], 403),
        (vec!["Host: localhost", "Content-Type: text/plain"], 415),
        (vec!["Host: localhost"], 415),
    ] {
        assert_eq!(
            albeit.try_act("POST", "/targets/drain", &headers, &drain).await?.0,
            status,
            "{headers:?}"
        );
    }
    assert_eq!(albeit.targets().await?[0].state, "healthy");
    Ok(())
}

#[tokio::test]
async fn a_reload_with_mistakes_names_them_and_keeps_the_old() -> Result<()> {
    let target = Target::start(|_| vec![Step::Send(ok("ok"))])?;
    let config = Config::forwarding_to(&[target.addr()])?;
    let albeit = Albeit::start(config.clone()).await?;
    config
        .clone()
        .with_attribute("idle_timeout.timeout_seconds", 5000)
        .with_attribute("nonsense", 1)
        .write()?;
    let (status, answer) = albeit.try_act("POST", "/reload", &ACTING, &json!({})).await?;
    assert_eq!((status, &answer["Error"]["Code"]), (400, &json!("InvalidConfigurationRequest")));
    let mistakes = answer["Error"]["Mistakes"].as_array().context("no mistakes")?;
    let idle =
        mistakes.iter().find(|it| it["Path"] == "load_balancers[0].attributes.idle_timeout.timeout_seconds");
    let idle = idle.with_context(|| format!("{answer}"))?;
    assert_eq!(
        idle["Message"],
        "'idle_timeout.timeout_seconds' value '5000' must be between '1-4000' inclusive"
    );
    assert!(idle["Line"].as_u64() > Some(1) && idle["Column"].as_u64() > Some(1), "{idle}");
    assert_eq!(mistakes.len(), 2);
    assert_eq!(albeit.get("/").await?.status, 200);
    config.with_attribute("idle_timeout.timeout_seconds", 500).write()?;
    let answer = albeit.act("POST", "/reload", &json!({})).await?;
    assert_eq!(answer, json!({ "Warnings": [] }));
    let load_balancer = arn(&albeit, "/load-balancers", "LoadBalancers", "LoadBalancerArn").await?;
    let attributes =
        albeit.list(&format!("/attributes?LoadBalancerArn={load_balancer}"), "Attributes").await?;
    assert!(attributes.contains(&json!({ "Key": "idle_timeout.timeout_seconds", "Value": "500" })));
    let metrics = albeit.metrics().await?;
    for name in ["albeit_config_reloads_total", "albeit_config_reload_failures_total"] {
        assert!((metrics.sum(name, "") - 1.0).abs() < f64::EPSILON, "{name}");
    }
    Ok(())
}
