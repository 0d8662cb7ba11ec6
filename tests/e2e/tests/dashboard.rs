//! The dashboard of a running balancer: its page, what is configured, and what happens.

use std::time::Duration;

use albeit_e2e::{
    Albeit, Client, Config, Events, Group, Step, Target, eventually,
    target::{ok, switching_protocols},
    wait::SOON,
    websocket::upgrade,
    within,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// The members of the first target of the group `web` in a tick.
fn first_target(tick: &Value) -> &Value {
    &tick["TargetGroups"][0]["Targets"][0]
}

async fn ask(albeit: &Albeit, path: &str, accept: &str) -> Result<albeit_e2e::Response> {
    let mut client = Client::connect(albeit.config.admin.addr()).await?;
    client.get_with(path, &[&format!("Accept: {accept}")]).await
}

#[tokio::test]
async fn a_browser_gets_the_page_and_a_program_the_index() -> Result<()> {
    let target = Target::saying("ok")?;
    // Reading needs no token.
    let config = Config::forwarding_to(&[target.addr()])?.with_admin("token", "secret-of-the-test");
    let albeit = Albeit::start(config).await?;
    let page = ask(&albeit, "/", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8").await?;
    assert_eq!((page.status, page.header("content-type")?), (200, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy")?.starts_with("default-src 'none';"));
    let page = page.text();
    for rest in page.split("=\"/dashboard/").skip(1) {
        let name = rest.split('"').next().context("an open quote")?;
        assert_eq!(ask(&albeit, &format!("/dashboard/{name}"), "*/*").await?.status, 200, "{name}");
    }
    let index: Value = serde_json::from_slice(&ask(&albeit, "/", "*/*").await?.body)?;
    assert!(index["Version"].is_string() && index["StartTime"].is_string(), "{index}");
    let mut events = Events::open(&albeit).await?;
    let configuration = events.next("configuration").await?;
    assert_eq!(
        (&configuration["TokenRequired"], &configuration["ActionsAllowed"]),
        (&json!(true), &json!(true))
    );
    // Actions do.
    let headers = ["Host: localhost", "Content-Type: application/json"];
    let (status, _) = albeit.try_act("POST", "/reload", &headers, &json!({})).await?;
    assert_eq!(status, 401);
    Ok(())
}

#[tokio::test]
async fn the_configuration_comes_again_when_it_changes() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?.with_attribute("idle_timeout.timeout_seconds", 70);
    let mut albeit = Albeit::start(config.clone()).await?;
    let mut events = Events::open(&albeit).await?;
    let idle = |configuration: &Value| {
        configuration["LoadBalancers"][0]["Attributes"]["idle_timeout.timeout_seconds"].clone()
    };
    let first = events.next("configuration").await?;
    assert_eq!(idle(&first), "70");
    assert!(first["Findings"].is_array(), "{first}");
    albeit.reload(config.with_attribute("idle_timeout.timeout_seconds", 80)).await?;
    events.find("configuration", |it| idle(it) == "80").await?;
    let change = json!({
        "LoadBalancerArn": first["LoadBalancers"][0]["LoadBalancerArn"],
        "Attributes": [{ "Key": "idle_timeout.timeout_seconds", "Value": "90" }],
    });
    albeit.act("PUT", "/attributes", &change).await?;
    let overridden = events.find("configuration", |it| idle(it) == "90").await?;
    assert_eq!(overridden["Overrides"]["LoadBalancers"][0]["LoadBalancerName"], "e2e-alb");
    Ok(())
}

#[tokio::test]
async fn ticks_tell_requests_stickiness_web_sockets_and_health() -> Result<()> {
    let target = Target::start(|request| {
        if request.headers("upgrade").is_empty() {
            vec![Step::Send(ok("ok"))]
        } else {
            vec![Step::Send(switching_protocols()), Step::Relay]
        }
    })?;
    let group = |group: Group| {
        let group = group.with_lb_cookie().with_health("interval", "5s").with_health("timeout", "4s");
        group.with_health("unhealthy_threshold", 2)
    };
    let mut config = Config::forwarding_to(&[target.addr()])?.map_group(group);
    config.time_scale = 5;
    let albeit = Albeit::start(config).await?;
    let mut events = Events::open(&albeit).await?;
    events.next("tick").await?;
    let cookie = albeit.get("/first").await?.cookie("AWSALB")?;
    let mut client = albeit.client().await?;
    client.get_with("/again", &[&format!("Cookie: {cookie}")]).await?;
    let mut socket = albeit.client().await?;
    upgrade(&mut socket, "/socket").await?;
    let tick = events
        .find("tick", |tick| {
            let target = first_target(tick);
            target["RequestCount"] == 3 && target["OpenWebSockets"] == 1
        })
        .await?;
    assert_eq!(first_target(&tick)["StickyRequestCount"], 1);
    assert_eq!((&tick["Phase"], &tick["LoadBalancers"][0]["OpenWebSockets"]), (&json!("ready"), &json!(1)));
    assert_eq!(
        tick["Rules"].as_object().map(|rules| rules.values().collect::<Vec<_>>()),
        Some(vec![&json!(3)])
    );
    let quantiles = &tick["TargetGroups"][0]["TargetResponseTime"];
    assert!(quantiles["P50"].as_f64() > Some(0.0), "{quantiles}");
    target.set_health(500);
    let is_unhealthy = |tick: &Value| first_target(tick)["TargetHealth"]["State"] == "unhealthy";
    let tick = events.find("tick", is_unhealthy).await?;
    assert_eq!(first_target(&tick)["TargetHealth"]["Reason"], "Target.ResponseCodeMismatch");
    Ok(())
}

#[tokio::test]
async fn draining_is_told_with_what_is_left_of_it() -> Result<()> {
    let target = Target::start(|_| vec![Step::Send(switching_protocols()), Step::Relay])?;
    let config = Config::forwarding_to(&[target.addr()])?
        .map_group(|group| group.with_attribute("deregistration_delay.timeout_seconds", 600));
    let albeit = Albeit::start(config).await?;
    let mut socket = albeit.client().await?;
    upgrade(&mut socket, "/socket").await?;
    let mut events = Events::open(&albeit).await?;
    albeit.act("POST", "/targets/drain", &json!({ "TargetGroupName": "web" })).await?;
    let is_draining = |tick: &Value| first_target(tick)["TargetHealth"]["State"] == "draining";
    let tick = events.find("tick", is_draining).await?;
    let draining = first_target(&tick);
    let left = draining["DeregistrationRemainingSeconds"].as_f64().context("no seconds")?;
    assert!((500.0..=600.0).contains(&left), "{draining}");
    assert_eq!(draining["OpenWebSockets"], 1);
    let metrics = albeit.admin("/metrics").await?.text();
    let gauge = metrics.lines().find(|line| line.starts_with("albeit_draining_host_count{"));
    assert!(gauge.is_some_and(|line| line.ends_with(" 1")), "{gauge:?}");
    Ok(())
}

#[tokio::test]
async fn a_502_is_told_with_what_it_means() -> Result<()> {
    let target = Target::start(|request| match request.path() {
        "/ok" => vec![Step::Send(ok("ok"))],
        _ => vec![Step::Close],
    })?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    // A failure is kept though nobody watches, a success is not.
    assert_eq!(albeit.get("/ok").await?.status, 200);
    assert_eq!(albeit.get("/broken").await?.status, 502);
    // An entry is made just after the answer.
    let kept = eventually(SOON, "the failure is kept", || async {
        let kept = albeit.list("/requests", "Requests").await?;
        ensure!(!kept.is_empty(), "no entry");
        Ok(kept)
    })
    .await?;
    assert_eq!(kept.len(), 1, "{kept:?}");
    let mut events = Events::open(&albeit).await?;
    events.next("tick").await?;
    let mut client = albeit.client().await?;
    client.get("/ok").await?;
    client.get("/race").await?;
    let of =
        |path: &'static str| move |it: &Value| it["Request"].as_str().is_some_and(|it| it.contains(path));
    let success = events.find("request", of("/ok")).await?;
    assert_eq!((&success["ElbStatusCode"], &success["Meaning"]["Severity"]), (&json!(200), &json!("ok")));
    let broken = events.find("request", of("/race")).await?;
    assert_eq!((&broken["ElbStatusCode"], &broken["TargetStatusCode"]), (&json!(502), &Value::Null));
    let title = "The target closed an idle connection as the request came";
    assert_eq!(broken["Meaning"]["Title"], title, "{broken}");
    assert_eq!(broken["Meaning"]["More"], "docs/findings/keep-alive-race.md");
    let logged = albeit.record("/race").await?;
    assert_eq!(broken["ConnTraceId"], logged["conn_trace_id"]);
    assert!(broken["Line"].as_str().is_some_and(|line| line.contains("/race")), "{broken}");
    let listed = albeit.list("/requests?Errors=true", "Requests").await?;
    assert_eq!(listed.first().map(|it| &it["Number"]), Some(&broken["Number"]));
    let counted = |tick: &Value| {
        tick["LoadBalancers"][0]["ElbResponses"]
            == json!([{ "Cause": "TargetClosed", "Status": 502, "Count": 2 }])
    };
    events.find("tick", counted).await?;
    Ok(())
}

#[tokio::test]
async fn a_web_socket_that_idles_says_so() -> Result<()> {
    let target = Target::start(|_| vec![Step::Send(switching_protocols()), Step::Relay])?;
    let config = Config::forwarding_to(&[target.addr()])?.with_attribute("idle_timeout.timeout_seconds", 1);
    let albeit = Albeit::start(config).await?;
    let mut events = Events::open(&albeit).await?;
    let mut socket = albeit.client().await?;
    upgrade(&mut socket, "/socket").await?;
    let ended = events.find("request", |it| it["Type"] == "ws").await?;
    assert_eq!(ended["Meaning"]["Title"], "The idle timeout cut the WebSocket", "{ended}");
    assert_eq!((&ended["Failed"], &ended["ElbStatusCode"]), (&json!(true), &json!(101)));
    Ok(())
}

#[tokio::test]
async fn the_seventeenth_stream_is_refused() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(Events::open(&albeit).await?);
    }
    let refused = albeit.admin("/events").await?;
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("ServiceUnavailable"), "{}", refused.text());
    open.pop();
    eventually(SOON, "room for another", || Events::open(&albeit)).await?;
    Ok(())
}

#[tokio::test]
async fn open_streams_do_not_hold_up_the_end() -> Result<()> {
    let target = Target::saying("ok")?;
    let mut albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut events = Events::open(&albeit).await?;
    events.next("tick").await?;
    // A reader that reads nothing.
    let _silent = Events::open(&albeit).await?;
    let status = within(Duration::from_secs(10), "the end", albeit.stop()).await??;
    ensure!(status.success(), "{status}");
    events.ended().await
}
