//! The scenarios of `albeit-load` about timeouts, both ways: against Albeit as it
//! should be configured, and against what must make them fail.

use std::{ffi::OsStr, time::Duration};

use albeit_e2e::{
    Albeit, Backend, BadBalancer, Config, Faults, Group, Listener, Load, Step, Target, forward, target::ok,
};
use anyhow::{Result, ensure};
use serde_json::Value;

/// What times are divided by: 60 s are 2 s.
const SCALE: &str = "30";

async fn backend(instance: &str) -> Result<Backend> {
    Backend::start_with(instance, &["--time-scale", SCALE].map(OsStr::new)).await
}

/// Two backends behind a group that `change` has set.
async fn site(change: impl Fn(Group) -> Group) -> Result<(Vec<Backend>, Albeit)> {
    let backends = vec![backend("b1").await?, backend("b2").await?];
    let addrs: Vec<_> = backends.iter().map(Backend::addr).collect();
    let config = Config::try_new()?
        .with_group(change(Group::new("web", &addrs)))
        .with_listener(Listener::http(forward("web"))?)
        .with_time_scale(SCALE.parse()?);
    Ok((backends, Albeit::start(config).await?))
}

fn url(scheme: &str, albeit: &Albeit, path: &str) -> Result<String> {
    Ok(format!("{scheme}://{}{path}", albeit.listener(0)?))
}

/// Runs a scenario that must pass.
async fn passes(arguments: &[&str]) -> Result<Load> {
    let load = Load::run(arguments).await?;
    ensure!(load.passed, "{arguments:?} failed: {:#}", load.outcome);
    Ok(load)
}

/// Runs a scenario of which an expectation must break, with these words in what was measured.
async fn fails(arguments: &[&str], expectation: &str, words: &str) -> Result<()> {
    let load = Load::run(arguments).await?;
    ensure!(!load.passed, "{arguments:?} passed: {:#}", load.outcome);
    let measured = load.broken(expectation)?;
    ensure!(measured.contains(words), "{expectation}: {measured}");
    Ok(())
}

#[tokio::test]
async fn idle_cut_finds_the_idle_timeout() -> Result<()> {
    let (_backends, albeit) = site(|group| group).await?;
    let url = url("ws", &albeit, "/echo")?;
    let arguments = ["idle-cut", &url, "--time-scale", SCALE, "--tolerance", "20s", "--connections", "3"];
    let load = passes(&arguments).await?;
    let idle = load.figure("idle_median")?;
    ensure!((55.0..80.0).contains(&idle), "{idle} s");
    ensure!(
        load.outcome.pointer("/closes/2/how").and_then(Value::as_str) == Some("FIN"),
        "{:#}",
        load.outcome
    );
    let load = passes(&[&arguments[..], &["--http"]].concat()).await?;
    ensure!(load.figure("closed")? == 3.0, "{:#}", load.outcome);
    Ok(())
}

#[tokio::test]
async fn idle_cut_fails_on_what_cuts_early_or_at_all() -> Result<()> {
    let cut_after = Some(Duration::from_millis(500));
    let bad = BadBalancer::start(Faults { cut_after, reset: true, ..Faults::default() })?;
    let url = format!("ws://{}/", bad.addr());
    let scaled = ["idle-cut", &url, "--time-scale", SCALE, "--tolerance", "15s"];
    fails(&scaled, "cut after silence", "10 RST").await?;
    fails(&[&scaled[..], &["--expect", "none", "--for", "30s"]].concat(), "not cut", "10 RST").await?;
    fails(&[&scaled[..], &["--http"]].concat(), "cut after silence", "10 RST").await
}

#[tokio::test]
async fn idle_cut_expects_none_where_nothing_cuts() -> Result<()> {
    let good = BadBalancer::start(Faults::default())?;
    let url = format!("ws://{}/", good.addr());
    passes(&["idle-cut", &url, "--time-scale", SCALE, "--expect", "none", "--for", "30s"]).await?;
    let arguments = ["idle-cut", &url, "--time-scale", SCALE, "--expect", "20s"];
    fails(&arguments, "cut after silence", "none was cut; 10 open").await
}

#[tokio::test]
async fn keepalive_race_passes_where_targets_keep_connections() -> Result<()> {
    let target = Target::saying("hello")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let url = url("http", &albeit, "/")?;
    let load = passes(&["keepalive-race", &url, "--gap", "50ms..250ms", "--steps", "5"]).await?;
    ensure!(load.figure("requests")? == 20.0, "{:#}", load.outcome);
    Ok(())
}

#[tokio::test]
async fn keepalive_race_fails_where_targets_close_on_reuse() -> Result<()> {
    let closing = |request: &albeit_e2e::target::Request| {
        if request.number == 0 { vec![Step::Send(ok("hi"))] } else { vec![Step::Close] }
    };
    let target = Target::start(closing)?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let url = url("http", &albeit, "/")?;
    fails(
        &["keepalive-race", &url, "--gap", "50ms..60ms", "--steps", "3"],
        "no 502",
        "from awselb/2.0: <html>",
    )
    .await
}

#[tokio::test]
async fn keepalive_race_tells_the_gaps() -> Result<()> {
    let bad_gateway_after = Some(Duration::from_millis(400));
    let bad = BadBalancer::start(Faults { bad_gateway_after, ..Faults::default() })?;
    let url = format!("http://{}/", bad.addr());
    let sweep = ["keepalive-race", &url, "--keep-alive", "10s", "--gap", "2s..18s", "--steps", "2"];
    let arguments = [&sweep[..], &["--time-scale", SCALE]].concat();
    let load = Load::run(&arguments).await?;
    ensure!(!load.passed && load.figure("bad_gateway")? >= 4.0, "{:#}", load.outcome);
    ensure!(load.figure("gap_max")? >= 18.0, "{:#}", load.outcome);
    let paced = ["--pace", "--gap", "15s..18s", "--method", "POST"];
    let load = Load::run(
        &["keepalive-race", &url, "--time-scale", SCALE, "--steps", "2"]
            .iter()
            .chain(&paced)
            .copied()
            .collect::<Vec<_>>(),
    )
    .await?;
    ensure!(load.figure("bad_gateway")? == 8.0, "{:#}", load.outcome);
    Ok(())
}

/// `heartbeat` at 25 s for 2 min through an idle timeout of 60 s.
async fn beats(protocol: &str, path: &str, more: &[&str]) -> Result<Load> {
    let (_backends, albeit) = site(Group::with_lb_cookie).await?;
    let url = url("ws", &albeit, path)?;
    let arguments = ["heartbeat", &url, "--protocol", protocol, "--time-scale", SCALE, "--for", "2m"];
    passes(&[&arguments[..], more].concat()).await
}

#[tokio::test]
async fn heartbeat_keeps_plain_web_sockets_open() -> Result<()> {
    let load = beats("plain", "/echo", &[]).await?;
    ensure!(load.figure("alive")? == 10.0 && load.figure("pong_p50")? > 0.0, "{:#}", load.outcome);
    Ok(())
}

#[tokio::test]
async fn heartbeat_keeps_stomp_open_and_measures_the_server() -> Result<()> {
    let load = beats("stomp", "/ws", &["--idle-timeout", "80s"]).await?;
    ensure!(load.figure("server_beats")? >= 20.0, "{:#}", load.outcome);
    Ok(())
}

#[tokio::test]
async fn heartbeat_keeps_sock_js_open() -> Result<()> {
    beats("sock-js", "/ws", &[]).await.map(drop)
}

#[tokio::test]
async fn heartbeat_keeps_socket_io_open_and_measures_the_server() -> Result<()> {
    let load = beats("socket-io", "/socket.io/", &["--idle-timeout", "80s"]).await?;
    let mean = load.figure("server_interval_mean")?;
    ensure!((20.0..40.0).contains(&mean), "{mean} s");
    Ok(())
}

#[tokio::test]
async fn heartbeat_fails_when_beats_are_too_rare_or_of_no_use() -> Result<()> {
    let (_backends, albeit) = site(|group| group).await?;
    let url = url("ws", &albeit, "/echo")?;
    let rare = ["heartbeat", &url, "--time-scale", SCALE, "--interval", "90s", "--for", "3m"];
    fails(&rare, "all live", "10 FIN").await?;

    let cut_at_age = Some(Duration::from_secs(1));
    let bad = BadBalancer::start(Faults { cut_at_age, reset: true, ..Faults::default() })?;
    let url = format!("ws://{}/", bad.addr());
    let often = ["heartbeat", &url, "--time-scale", SCALE, "--interval", "5s", "--for", "1m"];
    fails(&often, "all live", "10 RST").await?;
    fails(&[&often[..], &["--idle-timeout", "60s"]].concat(), "server heart-beats", "none came").await
}

#[tokio::test]
async fn sticky_passes_with_cookies() -> Result<()> {
    let (_backends, albeit) = site(Group::with_lb_cookie).await?;
    for (protocol, path) in [("plain", "/whoami"), ("sock-js", "/ws"), ("socket-io", "/socket.io/")] {
        let url = url("http", &albeit, path)?;
        let load =
            passes(&["sticky", &url, "--protocol", protocol, "--clients", "16", "--requests", "3"]).await?;
        ensure!(load.figure("moved")? == 0.0 && load.figure("targets")? == 2.0, "{:#}", load.outcome);
        ensure!(load.figure("control_targets")? == 2.0, "{:#}", load.outcome);
        let cookie = load.outcome.pointer("/settings/cookie AWSALB").and_then(Value::as_str);
        ensure!(cookie.is_some_and(|attributes| attributes.contains("Expires=")), "{:#}", load.outcome);
    }
    Ok(())
}

#[tokio::test]
async fn sticky_fails_without_stickiness_or_cookies() -> Result<()> {
    let (_backends, albeit) = site(|group| group).await?;
    let plain = url("http", &albeit, "/whoami")?;
    fails(&["sticky", &plain, "--clients", "16"], "one target for each client", "of 16 moved").await?;
    let socket_io = url("http", &albeit, "/socket.io/")?;
    let arguments = ["sticky", &socket_io, "--protocol", "socket-io", "--clients", "16", "--requests", "3"];
    fails(&arguments, "sessions", "400 Session ID unknown").await?;

    let (_others, sticky) = site(Group::with_lb_cookie).await?;
    let socket_io = url("http", &sticky, "/socket.io/")?;
    let arguments = [
        "sticky",
        &socket_io,
        "--protocol",
        "socket-io",
        "--cookies",
        "refuse",
        "--clients",
        "16",
        "--requests",
        "3",
    ];
    fails(&arguments, "sessions", "400 Session ID unknown").await
}

#[tokio::test]
async fn sticky_fails_when_the_cookie_is_not_heeded() -> Result<()> {
    let bad = BadBalancer::start(Faults { forgets_clients: true, ..Faults::default() })?;
    let url = format!("http://{}/", bad.addr());
    fails(&["sticky", &url, "--clients", "10"], "one target for each client", "moved").await?;
    let good = BadBalancer::start(Faults::default())?;
    passes(&["sticky", &format!("http://{}/", good.addr()), "--clients", "10"]).await.map(drop)
}

/// `drain` of the first of two backends, whose group gives 300 s as is expected, or as it is told.
async fn drain(deregistration_delay: u64, more: &[&str]) -> Result<Load> {
    let (backends, mut albeit) =
        site(|group| group.with_attribute("deregistration_delay.timeout_seconds", deregistration_delay))
            .await?;
    let url = url("ws", &albeit, "/echo")?;
    let admin = format!("http://{}", albeit.config.admin.addr());
    let target = backends[0].addr().to_string();
    let arguments = ["drain", &url, "--path", "/whoami", "--time-scale", SCALE, "--for", "90s"];
    let admin = ["--admin", &admin, "--target-group", "web", "--target", &target];
    let load = Load::run(&[&arguments[..], &admin, more].concat()).await?;
    // It is registered again.
    albeit
        .wait_for_targets("two healthy targets", |all| {
            all.iter().filter(|t| t.state == "healthy").count() == 2
        })
        .await?;
    Ok(load)
}

#[tokio::test]
async fn drain_passes_when_the_delay_is_kept() -> Result<()> {
    let load = drain(300, &[]).await?;
    ensure!(load.passed, "{:#}", load.outcome);
    ensure!(load.figure("requests")? > 50.0 && load.figure("failed")? == 0.0, "{:#}", load.outcome);
    let moments = load.outcome.get("series").and_then(Value::as_array).map_or(0, |series| {
        series.iter().filter(|one| one.get("plot").and_then(Value::as_str) == Some("moments")).count()
    });
    ensure!(moments == 2, "{:#}", load.outcome);
    Ok(())
}

#[tokio::test]
async fn drain_lets_web_sockets_end_after_the_delay() -> Result<()> {
    let load = drain(30, &["--deregistration-delay", "30s"]).await?;
    ensure!(load.passed && load.figure("cut_after_delay")? >= 1.0, "{:#}", load.outcome);
    Ok(())
}

#[tokio::test]
async fn drain_fails_when_web_sockets_are_cut_early() -> Result<()> {
    let load = drain(0, &[]).await?;
    ensure!(load.broken("WebSockets drain")?.contains("cut early"), "{:#}", load.outcome);
    Ok(())
}

#[tokio::test]
async fn drain_fails_when_a_target_is_killed() -> Result<()> {
    let (backends, albeit) = site(|group| group).await?;
    let url = url("ws", &albeit, "/echo")?;
    let pid = backends[0].process.pid().to_string();
    let killed = ["--signal", "SIGKILL", "--pid", &pid];
    let arguments = ["drain", &url, "--path", "/whoami", "--time-scale", SCALE, "--for", "60s"];
    let load = Load::run(&[&arguments[..], &killed].concat()).await?;
    ensure!(load.broken("no request fails")?.contains("502"), "{:#}", load.outcome);
    ensure!(load.broken("WebSockets drain")?.contains("cut early"), "{:#}", load.outcome);
    Ok(())
}

#[tokio::test]
async fn reload_goes_unnoticed() -> Result<()> {
    let (_backends, albeit) = site(|group| group).await?;
    let url = url("ws", &albeit, "/echo")?;
    let pid = albeit.process.pid().to_string();
    let arguments =
        ["reload", &url, "--pid", &pid, "--path", "/whoami", "--time-scale", SCALE, "--every", "15s"];
    let load = passes(&arguments).await?;
    ensure!(load.figure("requests")? > 50.0 && load.figure("cut")? == 0.0, "{:#}", load.outcome);
    let log = albeit.process.stderr();
    ensure!(log.matches("reloaded").count() >= 3, "{log}");
    Ok(())
}

#[tokio::test]
async fn reload_fails_when_connections_are_dropped() -> Result<()> {
    let bad = BadBalancer::start(Faults::default())?;
    let url = format!("ws://{}/", bad.addr());
    let command = bad.drop_command();
    let arguments = ["reload", &url, "--trigger", &command, "--times", "1", "--every", "1s"];
    fails(&arguments, "no WebSocket is cut", "10 cut (10 RST)").await
}
