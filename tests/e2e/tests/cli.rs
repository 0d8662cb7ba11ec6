//! The commands that look at a running balancer and act on it, what they print, and their exit statuses.

mod logs;
mod shells;
mod tokens;

use std::{
    net::SocketAddr,
    process::{Output, Stdio},
};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Step, Target,
    albeit::binary,
    eventually, process,
    target::{Gate, ok, switching_protocols},
    wait::{SOON, within},
    websocket::upgrade,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

const DELAY: &str = "deregistration_delay.timeout_seconds";

/// What a command did.
#[derive(Debug)]
struct Done {
    status: i32,
    stdout: String,
    stderr: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

impl Done {
    /// Fails unless it ended with this status.
    fn with(self, status: i32) -> Result<Self> {
        ensure!(self.status == status, "exit status {}, not {status}: {self:#?}", self.status);
        Ok(self)
    }

    fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("{self:#?}"))
    }
}

/// Runs `albeit` without a load balancer.
async fn alone(args: &[&str]) -> Result<Done> {
    let dir = tempfile::tempdir()?;
    Ok(process::run(&binary()?, args, dir.path()).await?.into())
}

/// A command against `albeit`, not yet started.
fn command(albeit: &Albeit, line: &str) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.args(line.split_whitespace()).args(["--admin", &albeit.config.admin.addr().to_string()]);
    command.env_remove("NO_COLOR").kill_on_drop(true);
    Ok(command)
}

/// Runs a command against `albeit`.
async fn run(albeit: &Albeit, line: &str) -> Result<Done> {
    Ok(command(albeit, line)?.output().await?.into())
}

fn checked_quickly(targets: &[SocketAddr]) -> Result<Config> {
    let config = Config::forwarding_to(targets)?.with_time_scale(10);
    Ok(config.map_group(|group| {
        group.with_health("interval", "5s").with_health("timeout", "2s").with_health("unhealthy_threshold", 2)
    }))
}

#[tokio::test]
async fn status_tells_health_by_its_exit_status() -> Result<()> {
    let (first, second) = (Target::saying("first")?, Target::saying("second")?);
    let config = checked_quickly(&[first.addr(), second.addr()])?.with_https(&Ca::try_new()?)?;
    let mut albeit = Albeit::start(config).await?;
    let (one, two) = (first.addr().to_string(), second.addr().to_string());
    let shown = run(&albeit, "status").await?.with(0)?.stdout;
    for expected in ["ready", "e2e-alb", "HTTPS", "web", &one, &two, "healthy", "localhost", "days"] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    assert!(!shown.contains('\u{1b}'), "no terminal: {shown:?}");
    let coloured = run(&albeit, "status --color always").await?.stdout;
    assert!(coloured.contains("\u{1b}[32mhealthy\u{1b}[0m"), "{coloured:?}");

    let status = run(&albeit, "status --json").await?.with(0)?.json()?;
    assert_eq!((&status["Health"], &status["Phase"]), (&"ok".into(), &"ready".into()));
    assert_eq!(status["LoadBalancers"][0]["ActiveConnectionCount"].as_u64(), Some(0), "{status}");
    assert_eq!(status["TargetGroups"][0]["Targets"][0]["State"], "healthy");

    first.set_health(500);
    albeit.wait_for_targets("one unhealthy", |all| all.iter().any(|it| it.state == "unhealthy")).await?;
    let shown = run(&albeit, "status").await?.with(3)?.stdout;
    assert!(
        shown.contains(&format!("! target web/{one} is unhealthy (Target.ResponseCodeMismatch)")),
        "{shown}"
    );
    second.set_health(500);
    albeit.wait_for_targets("both unhealthy", |all| all.iter().all(|it| it.state == "unhealthy")).await?;
    let status = run(&albeit, "status --json").await?.with(4)?.json()?;
    assert_eq!(status["Problems"][0], "target group web has no healthy target", "{status}");
    Ok(())
}

#[tokio::test]
async fn drain_waits_for_the_request_that_runs() -> Result<()> {
    let gate = Gate::default();
    let opened = gate.clone();
    let slow = Target::start(move |request| match request.path() {
        "/slow" => vec![Step::Await(opened.clone()), Step::Send(ok("done"))],
        _ => vec![Step::Send(ok("slow"))],
    })?;
    let other = Target::saying("other")?;
    let mut albeit = Albeit::start(Config::forwarding_to(&[slow.addr()])?).await?;
    let mut client = albeit.client().await?;
    client.send(format!("GET /slow HTTP/1.1\r\nHost: {}\r\n\r\n", client.host())).await?;
    slow.request(1).await?;
    let registered = run(&albeit, &format!("register web/{} --wait", other.addr())).await?.with(0)?;
    assert!(registered.stderr.contains("healthy"), "{registered:?}");

    let late = run(&albeit, &format!("drain {} --wait --timeout 1s", slow.addr())).await?.with(5)?;
    assert!(late.stderr.contains("1 in flight") && late.stderr.contains("still drains"), "{late:?}");
    albeit.wait_for_targets("it drains", |all| all.iter().any(|it| it.state == "draining")).await?;
    run(&albeit, "status").await?.with(0)?;
    let waiting = command(&albeit, &format!("drain web/{} --wait", slow.addr()))?.output();
    let finish = async {
        gate.open();
        client.response().await
    };
    let (drained, response) = tokio::join!(waiting, finish);
    assert_eq!(response?.text(), "done");
    let drained = Done::from(drained?).with(0)?;
    assert!(drained.stdout.contains("is empty"), "{drained:?}");
    // As with ELB it is shown until the delay is over.
    let addr = slow.addr().to_string();
    let targets = albeit.targets().await?;
    let left = targets.iter().find(|target| target.addr == addr).context("gone")?;
    assert_eq!((left.state.as_str(), left.outstanding), ("draining", 0));
    Ok(())
}

#[tokio::test]
async fn a_target_that_is_not_clear_is_not_drained() -> Result<()> {
    let (first, second) = (Target::saying("first")?, Target::saying("second")?);
    let albeit = Albeit::start(Config::forwarding_to(&[first.addr(), second.addr()])?).await?;
    let ip = first.addr().ip();
    for target in [ip.to_string(), format!("web/{ip}")] {
        let refused = run(&albeit, &format!("drain {target}")).await?.with(2)?;
        for place in [format!("web/{}", first.addr()), format!("web/{}", second.addr())] {
            assert!(refused.stderr.contains(&place), "{place} in {refused:?}");
        }
    }
    for (line, expected) in [
        ("drain 192.0.2.1", "there is no target 192.0.2.1 (have: web/"),
        ("drain web/nowhere.test", "there is no target web/nowhere.test"),
        ("drain nope/192.0.2.1", "there is no target nope/192.0.2.1"),
        ("register nope/192.0.2.1:80", "there is no target group nope (have: web)"),
        ("drain a/b/c:d", "is not a port"),
    ] {
        let refused = run(&albeit, line).await?.with(2)?;
        assert!(refused.stderr.contains(expected), "{expected} in {refused:?}");
    }
    assert!(albeit.targets().await?.iter().all(|target| target.state == "healthy"));
    Ok(())
}

#[tokio::test]
async fn reload_shows_the_mistakes_as_check_does() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = checked_quickly(&[target.addr()])?;
    let albeit = Albeit::start(config.clone()).await?;
    config
        .clone()
        .with_attribute("idle_timeout.timeout_seconds", 5000)
        .with_attribute("nonsense", 1)
        .write()?;
    let file = config.file();
    let file = file.to_str().context("UTF-8")?;
    let checked = alone(&["check", "-c", file]).await?.with(2)?;
    // Without --admin the file tells where albeit is, mistakes or not.
    let refused = alone(&["reload", "-c", file]).await?.with(2)?;
    assert_eq!(refused.stderr, format!("{}Nothing has changed.\n", checked.stderr));
    assert_eq!(albeit.get("/").await?.status, 200);

    config.clone().with_attribute("idle_timeout.timeout_seconds", 500).write()?;
    assert_eq!(run(&albeit, "reload --wait").await?.with(0)?.stdout, "reloaded\n");
    // With --wait the exit status is that of the outcome.
    let unhealthy = Target::saying("ok")?;
    unhealthy.set_health(500);
    config.map_group(|group| group.with_targets(&[target.addr(), unhealthy.addr()])).write()?;
    let reloaded = run(&albeit, "reload --wait").await?.with(3)?;
    assert!(reloaded.stderr.contains(&format!("web/{} is unhealthy", unhealthy.addr())), "{reloaded:?}");
    Ok(())
}

#[tokio::test]
async fn connections_lists_an_open_websocket_with_its_countdown() -> Result<()> {
    let target = Target::start(|_| vec![Step::Send(switching_protocols()), Step::Relay])?;
    let config =
        Config::forwarding_to(&[target.addr()])?.with_attribute("idle_timeout.timeout_seconds", 4000);
    let albeit = Albeit::start(config).await?;
    let _idle = albeit.client().await?;
    let mut socket = albeit.client().await?;
    upgrade(&mut socket, "/socket").await?;
    let client = socket.local_addr().to_string();
    let line = format!("connections --websocket --target {} --order idle", target.addr());
    let shown = eventually(SOON, "the WebSocket", || async {
        let shown = run(&albeit, &line).await?.with(0)?.stdout;
        ensure!(shown.contains("1 connection\n"), "{shown}");
        Ok(shown)
    })
    .await?;
    for expected in ["CUT IN", client.as_str(), "websocket", &target.addr().to_string(), "1h 6m"] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    let all = run(&albeit, "connections --json").await?.with(0)?.json()?;
    assert_eq!(all.as_array().map(Vec::len), Some(2), "{all}");
    let one = run(&albeit, "connections --json --order age --limit 1 --client 127.0.0.1").await?.json()?;
    assert_eq!(one.as_array().map(Vec::len), Some(1), "{one}");
    let none = run(&albeit, "connections --client 192.0.2.1").await?.with(0)?.stdout;
    assert_eq!(none, "0 connections\n");

    // --watch looks until it is interrupted.
    let mut watching = command(&albeit, "connections --watch")?.stdout(Stdio::piped()).spawn()?;
    let pid = watching.id().context("it has ended")?.to_string();
    let mut lines = BufReader::new(watching.stdout.take().context("no pipe")?).lines();
    for _ in 0..2 {
        let seen = async {
            while lines.next_line().await?.context("it has ended")? != "2 connections" {}
            anyhow::Ok(())
        };
        within(SOON, "a look", seen).await??;
    }
    ensure!(Command::new("kill").args(["-s", "INT", &pid]).status().await?.success(), "kill");
    ensure!(within(SOON, "its end", watching.wait()).await??.success(), "exit status");
    socket.send("still open").await?;
    assert_eq!(socket.read_exactly(10).await?, b"still open");
    Ok(())
}

#[tokio::test]
async fn a_target_comes_back_after_a_drain() -> Result<()> {
    let (first, second) = (Target::saying("first")?, Target::saying("second")?);
    let config = Config::forwarding_to(&[first.addr(), second.addr()])?
        .map_group(|group| group.with_attribute(DELAY, 3600));
    let albeit = Albeit::start(config).await?;
    let addr = first.addr();
    run(&albeit, &format!("drain {addr}")).await?.with(0)?;
    run(&albeit, &format!("register {addr} --wait")).await?.with(0)?;
    let mut client = Client::connect(albeit.listener(0)?).await?;
    let mut said = Vec::new();
    for _ in 0..4 {
        said.push(client.get("/").await?.text());
    }
    assert!(said.contains(&"first".to_owned()), "{said:?}");
    Ok(())
}
