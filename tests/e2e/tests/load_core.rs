//! `albeit-load` against real services: it measures, and it fails when it should.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use albeit_e2e::{Albeit, Backend, Ca, Config, Step, Target, process, target};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// What one run of the program ended with.
struct Measured {
    status: i32,
    outcome: Value,
    stderr: String,
}

/// Runs `albeit-load` with these arguments and `--json -`.
async fn load(arguments: &[&str]) -> Result<Measured> {
    let binary = process::binary("ALBEIT_LOAD_BIN", "albeit-load")?;
    let arguments = arguments.iter().chain(&["--json", "-"]);
    let output = process::run(&binary, arguments, &std::env::temp_dir()).await?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let results = serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default();
    let outcome = results.pointer("/outcomes/0").cloned().unwrap_or_default();
    Ok(Measured { status: output.status.code().context("a signal")?, outcome, stderr })
}

impl Measured {
    fn figure(&self, name: &str) -> Result<f64> {
        let figure = self.outcome.pointer(&format!("/figures/{name}/value")).and_then(Value::as_f64);
        figure.with_context(|| format!("no figure {name}: {}{}", self.outcome, self.stderr))
    }

    /// Names of the expectations that failed.
    fn failed(&self) -> Vec<&str> {
        let all = self.outcome.get("expectations").and_then(Value::as_array);
        let failed = all.into_iter().flatten().filter(|one| one["passed"] == false);
        failed.filter_map(|one| one["name"].as_str()).collect()
    }

    /// All that had to hold did.
    #[track_caller]
    fn held(&self) {
        assert_eq!((self.status, self.failed()), (0, vec![]), "{}{}", self.outcome, self.stderr);
    }

    /// These expectations failed, and nothing else.
    #[track_caller]
    fn broke(&self, expectations: &[&str]) {
        assert_eq!(self.failed(), expectations, "{}{}", self.outcome, self.stderr);
        assert_eq!(self.status, 1);
    }
}

/// A backend that lets clients publish to a topic, which few services do.
async fn open_topic(name: &str, dir: &Path) -> Result<Backend> {
    let file = dir.join("backend.yml");
    fs::write(&file, "stomp: { client-publish-to-topic: allow }\n")?;
    Backend::start_with(name, &["--config".as_ref(), file.as_os_str()]).await
}

/// An address where nobody listens: a port on an address that no other test takes.
const DEAD: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 99, 0, 9)), 9);

#[tokio::test]
async fn throughput_counts_answers_by_target() -> Result<()> {
    let backends = [Backend::start("one").await?, Backend::start("two").await?];
    let albeit = Albeit::start(Config::forwarding_to(&backends.each_ref().map(Backend::addr))?).await?;
    let url = format!("http://{}/whoami", albeit.listener(0)?);
    let run = load(&["throughput", &url, "--connections", "4", "--rate", "200", "--for", "1s"]).await?;
    run.held();
    // Due at 0, 5, 10 ms and so on, whatever the machine does.
    assert_eq!(run.figure("answers")?.round(), 200.0);
    let targets = run.outcome["targets"].as_object().context("targets")?;
    let answers: Vec<_> = targets.values().filter_map(Value::as_u64).collect();
    assert_eq!((answers.len(), answers.iter().sum::<u64>()), (2, 200), "{targets:?}");
    assert_eq!(run.outcome["series"][0]["name"], "200");
    ensure!(run.outcome["method"].as_str().is_some_and(|text| text.starts_with("open loop")));
    Ok(())
}

#[tokio::test]
async fn throughput_fails_when_all_targets_are_dead() -> Result<()> {
    let albeit = Albeit::start_unsettled(Config::forwarding_to(&[DEAD])?).await?;
    let url = format!("http://{}/", albeit.listener(0)?);
    let run = load(&["throughput", &url, "--connections", "2", "--for", "500ms"]).await?;
    run.broke(&["answers", "failures"]);
    ensure!(run.outcome.pointer("/errors/status 502").is_some(), "{}", run.outcome);
    ensure!(run.outcome["method"].as_str().is_some_and(|text| text.starts_with("closed loop")));
    Ok(())
}

#[tokio::test]
async fn a_stall_shows_in_latencies_at_a_rate() -> Result<()> {
    // The first answer takes a second; the next requests were due meanwhile.
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let target = Target::start(move |request| {
        let answer = Step::Send(target::ok("ok"));
        let stalls = request.path() == "/stall" && is_first.swap(false, std::sync::atomic::Ordering::Relaxed);
        if stalls { vec![Step::Pause(std::time::Duration::from_secs(1)), answer] } else { vec![answer] }
    })?;
    let url = format!("http://{}/stall", target.addr());
    let run = load(&["throughput", &url, "--connections", "1", "--rate", "20", "--for", "1s"]).await?;
    run.held();
    // Half of them waited at least half a second; of a closed loop one in twenty would have.
    ensure!(run.figure("p50")? >= 400.0, "{}", run.outcome);
    ensure!(run.figure("late_starts")? >= 10.0, "{}", run.outcome);
    Ok(())
}

#[tokio::test]
async fn web_sockets_echo_on_several_threads_over_tls() -> Result<()> {
    let (backend, ca) = (Backend::start("one").await?, Ca::try_new()?);
    let config = Config::forwarding_to(&[backend.addr()])?.with_https(&ca)?;
    let file = config.dir().join("ca.pem");
    fs::write(&file, ca.pem())?;
    let albeit = Albeit::start(config).await?;
    let url = format!("wss://localhost:{}/echo", albeit.listener(1)?.port());
    let base = ["throughput", &url, "--connections", "4", "--threads", "2", "--for", "500ms"];
    let trusted = load(&[&base[..], &["--ca", file.to_str().context("UTF-8")?]].concat()).await?;
    trusted.held();
    ensure!(trusted.figure("answers")? > 0.0);
    // Nobody else trusts the authority.
    let untrusted = load(&base).await?;
    ensure!(untrusted.status != 0, "{}", untrusted.outcome);
    load(&[&base[..], &["--insecure"]].concat()).await?.held();
    Ok(())
}

#[tokio::test]
async fn handshakes_are_full_or_resumed() -> Result<()> {
    let (backend, ca) = (Backend::start("one").await?, Ca::try_new()?);
    let albeit = Albeit::start(Config::forwarding_to(&[backend.addr()])?.with_https(&ca)?).await?;
    let url = format!("https://localhost:{}/whoami", albeit.listener(1)?.port());
    let base = ["handshakes", &url, "--insecure", "--rate", "50", "--concurrency", "4", "--for", "1s"];
    let full = load(&base).await?;
    full.held();
    assert_eq!(full.figure("handshakes")?.round(), 50.0);
    ensure!(full.figure("tls_p50")? > 0.0);
    let resumed = load(&[&base[..], &["--resume"]].concat()).await?;
    resumed.held();
    ensure!(resumed.figure("resumed")? >= 45.0, "{}", resumed.outcome);
    Ok(())
}

#[tokio::test]
async fn handshakes_go_up_to_each_protocol() -> Result<()> {
    let backend = Backend::start("one").await?;
    for (path, protocol) in
        [("/echo", "plain"), ("/ws", "stomp"), ("/ws", "sock-js"), ("/socket.io/", "socket-io")]
    {
        let url = format!("ws://{}{path}", backend.addr());
        let arguments = [
            "handshakes",
            &url,
            "--protocol",
            protocol,
            "--rate",
            "20",
            "--concurrency",
            "2",
            "--for",
            "500ms",
        ];
        let run = load(&arguments).await?;
        run.held();
        assert_eq!(run.figure("handshakes")?.round(), 10.0, "{protocol}");
    }
    let refused = load(&["handshakes", &format!("http://{DEAD}/"), "--for", "200ms"]).await?;
    refused.broke(&["handshakes", "failures"]);
    ensure!(refused.outcome.pointer("/errors/refused").is_some(), "{}", refused.outcome);
    Ok(())
}

#[tokio::test]
async fn fan_out_reaches_every_subscriber_once() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let backend = open_topic("one", dir.path()).await?;
    let pid = backend.process.pid().to_string();
    for (path, protocol) in [("/ws", "stomp"), ("/ws", "sock-js"), ("/socket.io/", "socket-io")] {
        let url = format!("ws://{}{path}", backend.addr());
        let base = ["fan-out", &url, "--protocol", protocol, "--subscribers", "20", "--pid", &pid];
        let bursts =
            load(&[&base[..], &["--bursts", "5", "--burst", "3", "--warm-up", "1"]].concat()).await?;
        bursts.held();
        assert_eq!(bursts.figure("deliveries")?.round(), 300.0, "{protocol}");
        assert_eq!(bursts.figure("lost")?.round(), 0.0);
        ensure!(bursts.figure("cpu_per_delivery_us")? >= 0.0);
        let paced = load(&[&base[..], &["--rate", "20", "--for", "500ms"]].concat()).await?;
        paced.held();
        assert_eq!(paced.figure("deliveries")?.round(), 200.0, "{protocol}");
    }
    Ok(())
}

#[tokio::test]
async fn fan_out_fails_when_messages_are_lost() -> Result<()> {
    // Two instances without a relay between them: each knows its own subscribers only.
    let dir = tempfile::tempdir()?;
    let backends = [open_topic("one", dir.path()).await?, open_topic("two", dir.path()).await?];
    let albeit = Albeit::start(Config::forwarding_to(&backends.each_ref().map(Backend::addr))?).await?;
    let url = format!("ws://{}/ws", albeit.listener(0)?);
    let arguments =
        ["fan-out", &url, "--protocol", "stomp", "--subscribers", "8", "--bursts", "1", "--patience", "2s"];
    let run = load(&arguments).await?;
    run.broke(&["messages are published", "deliveries"]);
    // The publisher's own instance has some of them.
    ensure!(run.figure("lost")? > 0.0 && run.figure("deliveries")? > 0.0, "{}", run.outcome);
    Ok(())
}

#[tokio::test]
async fn fan_out_says_why_nothing_is_published() -> Result<()> {
    let backend = Backend::start("one").await?;
    let url = format!("ws://{}/ws", backend.addr());
    let run = load(&["fan-out", &url, "--protocol", "stomp", "--subscribers", "2"]).await?;
    run.broke(&["messages are published", "deliveries"]);
    let published = run.outcome["expectations"][2]["measured"].as_str().context("what was published")?;
    ensure!(published.contains("STOMP ERROR"), "{published}");
    Ok(())
}

#[tokio::test]
async fn echo_measures_round_trips() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let backend = open_topic("one", dir.path()).await?;
    for (path, protocol) in [("/echo", "plain"), ("/ws", "stomp"), ("/socket.io/", "socket-io")] {
        let url = format!("ws://{}{path}", backend.addr());
        let run = load(&["echo", &url, "--protocol", protocol, "--messages", "50"]).await?;
        run.held();
        assert_eq!(run.outcome["histograms"][0]["count"], 50, "{protocol}");
    }
    Ok(())
}

#[tokio::test]
async fn hold_says_how_connections_end() -> Result<()> {
    let backend = Backend::start("one").await?;
    let config = Config::forwarding_to(&[backend.addr()])?;
    let albeit = Albeit::start(config.with_attribute("idle_timeout.timeout_seconds", 2)).await?;
    let url = format!("ws://{}/echo", albeit.listener(0)?);
    let base = ["hold", &url, "--connections", "5", "--for", "20s"];
    // The idle timeout ends all of them, which ends the run.
    let silent = load(&base).await?;
    silent.broke(&["connections stay open"]);
    let closes = silent.outcome["closes"].as_array().context("closes")?;
    assert_eq!(closes.len(), 5);
    for close in closes {
        assert_eq!((&close["how"], &close["code"]), (&"FIN".into(), &1006.into()), "{close}");
        // The balancer counts from an earlier moment than a client that had to wait for a processor.
        ensure!(close["idle"].as_f64().is_some_and(|idle| idle >= 1.0), "{close}");
    }
    Ok(())
}

#[tokio::test]
async fn hold_measures_memory_of_connections_that_stay() -> Result<()> {
    let backend = Backend::start("one").await?;
    let pid = backend.process.pid().to_string();
    let url = format!("ws://{}/ws", backend.addr());
    let base = ["hold", &url, "--protocol", "stomp", "--connections", "50", "--for", "1s", "--pid", &pid];
    let run = load(&base).await?;
    run.held();
    assert_eq!(run.figure("connections")?.round(), 50.0);
    ensure!(run.figure("memory")? > 0.0);
    Ok(())
}

#[tokio::test]
async fn a_connection_with_heart_beats_outlives_the_idle_timeout() -> Result<()> {
    let backend = Backend::start("one").await?;
    let config = Config::forwarding_to(&[backend.addr()])?;
    let albeit = Albeit::start(config.with_attribute("idle_timeout.timeout_seconds", 2)).await?;
    let url = format!("ws://{}/echo", albeit.listener(0)?);
    let run = load(&["hold", &url, "--connections", "5", "--for", "4s", "--heart-beat", "200ms"]).await?;
    run.held();
    Ok(())
}

#[tokio::test]
async fn wrong_arguments_end_with_two() -> Result<()> {
    for (arguments, message) in [
        (&["throughput", "http://127.0.0.1/", "--rate", "0"][..], "above zero"),
        (&["throughput", "http://127.0.0.1/", "--protocol", "stomp"], "take fan-out"),
        (&["fan-out", "ws://127.0.0.1/ws"], "--protocol"),
        (&["handshakes", "http://127.0.0.1/", "--resume"], "--resume is of TLS"),
        (&["hold", "ws://127.0.0.1/ws", "--connections", "100000000"], "file descriptors"),
    ] {
        let run = load(arguments).await?;
        assert_eq!(run.status, 2, "{arguments:?}: {}", run.stderr);
        ensure!(run.stderr.contains(message), "{arguments:?}: {}", run.stderr);
    }
    Ok(())
}
