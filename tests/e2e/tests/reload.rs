//! Reload on SIGHUP, and when files change.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, Step, Target, access_log,
    ca::ALL_VERSIONS,
    eventually, forward,
    target::{Gate, ok, switching_protocols},
    wait::SOON,
    websocket::upgrade,
};
use anyhow::{Result, bail, ensure};
use serde_json::json;
use tokio::{io::AsyncReadExt as _, task::JoinSet};

fn fixed(body: &str) -> serde_json::Value {
    json!({ "fixed_response": { "status_code": "200", "content_type": "text/plain", "message_body": body } })
}

async fn answers(albeit: &Albeit, path: &str, expected: &str) -> Result<()> {
    eventually(SOON, &format!("{expected:?} at {path}"), || async {
        let answer = albeit.get(path).await?;
        ensure!(answer.text() == expected, "{} {}", answer.status, answer.text());
        Ok(())
    })
    .await
}

/// Clients that request without a pause, half of them over one connection, until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    clients: JoinSet<Result<()>>,
}

impl Load {
    fn on(addr: std::net::SocketAddr) -> Self {
        let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut clients = JoinSet::new();
        for number in 0..4 {
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            clients.spawn(async move {
                let mut client = Client::connect(addr).await?;
                while !stop.load(Ordering::Relaxed) {
                    if number % 2 == 0 {
                        client = Client::connect(addr).await?;
                    }
                    let answer = client.get("/load").await?;
                    ensure!(answer.status == 200, "status {}", answer.status);
                    served.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        Self { stop, served, clients }
    }

    /// Waits until `more` further requests have been served.
    async fn goes_on(&self, more: usize) -> Result<()> {
        let start = self.served.load(Ordering::Relaxed);
        eventually(SOON, "served requests", || async {
            let served = self.served.load(Ordering::Relaxed);
            ensure!(served >= start + more, "{} of {more}", served - start);
            Ok(())
        })
        .await
    }

    async fn stop(mut self) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client??;
        }
        Ok(self.served.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn under_load_no_request_fails_and_no_websocket_is_cut() -> Result<()> {
    let answering = |request: &albeit_e2e::target::Request| {
        if request.headers("upgrade").is_empty() {
            vec![Step::Send(ok("ok"))]
        } else {
            vec![Step::Send(switching_protocols()), Step::Relay]
        }
    };
    let (first, second) = (Target::start(answering)?, Target::start(answering)?);
    let both = Config::forwarding_to(&[first.addr(), second.addr()])?;
    let one = both.clone().map_group(|g| g.with_targets(&[first.addr()]));
    let mut albeit = Albeit::start(both.clone()).await?;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        let mut client = albeit.client().await?;
        upgrade(&mut client, "/socket").await?;
        sockets.push(client);
    }
    let load = Load::on(albeit.listener(0)?);
    for round in 0..10 {
        let (next, targets) = if round % 2 == 0 { (&one, 1) } else { (&both, 2) };
        let rule = json!({ "path_pattern": [format!("/round-{round}")] });
        let mut next = next.clone();
        next.listeners =
            next.listeners.into_iter().map(|l| l.with_rule(1, rule.clone(), fixed("here"))).collect();
        albeit.reload(next).await?;
        answers(&albeit, &format!("/round-{round}"), "here").await?;
        let healthy = |all: &[albeit_e2e::albeit::TargetHealth]| {
            all.iter().filter(|t| t.state == "healthy").count() == targets
        };
        albeit.wait_for_targets("the wanted targets healthy", healthy).await?;
        load.goes_on(50).await?;
    }
    let served = load.stop().await?;
    assert!(served >= 500, "{served}");
    for socket in &mut sockets {
        socket.send("alive").await?;
        assert_eq!(socket.read_exactly(5).await?, b"alive");
    }
    Ok(())
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_reported() -> Result<()> {
    let config = Config::try_new()?.with_listener(Listener::http(fixed("before"))?);
    let file = config.file();
    let mut albeit = Albeit::start(config.clone()).await?;
    for bad in ["{", "load_balancers: [{ name: x, type: application, colour: red }]", ""] {
        let before = albeit.process.stderr().len();
        fs::write(&file, bad)?;
        albeit.process.signal("HUP").await?;
        eventually(SOON, "a report of the failed reload", || async {
            let log = albeit.process.stderr();
            let new = log.get(before..).unwrap_or_default();
            ensure!(new.contains("ERROR") && new.contains("reload"), "{new}");
            Ok(())
        })
        .await?;
        assert_eq!(albeit.get("/").await?.text(), "before", "{bad:?}");
    }
    let mut good = config;
    good.listeners =
        good.listeners.into_iter().map(|l| l.with("default_actions", json!([fixed("after")]))).collect();
    albeit.reload(good).await?;
    answers(&albeit, "/", "after").await
}

#[tokio::test]
async fn a_changed_file_is_taken_over_without_being_told() -> Result<()> {
    let config = Config::try_new()?.with_listener(Listener::http(fixed("before"))?);
    let albeit = Albeit::start(config.clone()).await?;
    let count = async |name: &str| -> Result<f64> { Ok(albeit.metrics().await?.sum(name, "")) };
    let is_refused = async |times: f64| {
        eventually(SOON, "the refusal", || async {
            let failures = count("albeit_config_reload_failures_total").await?;
            ensure!((failures - times).abs() < 0.1, "{failures}");
            Ok(())
        })
        .await
    };
    fs::write(config.file(), "load_balancers: [{ colour: red }]")?;
    is_refused(1.0).await?;
    let stderr = albeit.process.stderr();
    assert!(stderr.contains("reload refused") && stderr.contains("colour"), "{stderr}");
    assert_eq!(albeit.get("/").await?.text(), "before");
    fs::remove_file(config.file())?;
    is_refused(2.0).await?;

    let mut good = config;
    good.listeners =
        good.listeners.into_iter().map(|l| l.with("default_actions", json!([fixed("after")]))).collect();
    good.write()?;
    answers(&albeit, "/", "after").await?;
    // Each state of the file was tried once.
    assert!((count("albeit_config_reload_failures_total").await? - 2.0).abs() < 0.1);
    assert!((count("albeit_config_reloads_total").await? - 1.0).abs() < 0.1);
    Ok(())
}

#[tokio::test]
async fn certificates_are_read_again() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::saying("ok")?;
    let config = Config::try_new()?.with_group(Group::new("web", &[target.addr()])).with_https(&ca)?;
    let mut albeit = Albeit::start(config.clone()).await?;
    let shown = async |albeit: &Albeit| -> Result<Vec<u8>> {
        let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
        let client = Client::connect_tls(albeit.listener(0)?, "localhost", tls).await?;
        Ok(client.tls.map(|tls| tls.leaf).unwrap_or_default())
    };
    let old = shown(&albeit).await?;
    let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    let mut open = Client::connect_tls(albeit.listener(0)?, "localhost", tls).await?;
    ca.issue(config.dir(), "localhost", &["localhost"])?;
    assert_eq!(shown(&albeit).await?, old, "not before the reload");
    albeit.reload(config).await?;
    eventually(SOON, "the new certificate", || async {
        ensure!(shown(&albeit).await? != old, "still the old one");
        Ok(())
    })
    .await?;
    assert_eq!(open.get("/").await?.status, 200, "open connections go on");
    Ok(())
}

#[tokio::test]
async fn nothing_else_that_is_broken_holds_up_a_certificate() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::saying("ok")?;
    let config = Config::try_new()?.with_group(Group::new("web", &[target.addr()])).with_https(&ca)?;
    let albeit = Albeit::start(config.clone()).await?;
    let shown = async || -> Result<Vec<u8>> {
        let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
        let client = Client::connect_tls(albeit.listener(0)?, "localhost", tls).await?;
        Ok(client.tls.map(|tls| tls.leaf).unwrap_or_default())
    };
    let is_renewed = async |old: &[u8]| {
        eventually(SOON, "the new certificate", || async {
            ensure!(shown().await? != old, "still the old one");
            Ok(())
        })
        .await
    };
    let first = shown().await?;
    let logs = config.dir().join("logs");
    fs::remove_dir_all(&logs)?;
    fs::write(&logs, "in the way")?;
    ca.issue(config.dir(), "localhost", &["localhost"])?;
    is_renewed(&first).await?;

    let second = shown().await?;
    fs::write(config.file(), "{")?;
    ca.issue(config.dir(), "localhost", &["localhost"])?;
    is_renewed(&second).await
}

#[tokio::test]
async fn listeners_come_and_go() -> Result<()> {
    let first = Listener::http(fixed("first"))?;
    let second = Listener::http(fixed("second"))?;
    let config = Config::try_new()?.with_listener(first);
    let mut albeit = Albeit::start(config.clone()).await?;
    let mut kept = albeit.client().await?;
    assert!(Client::connect(second.addr()).await.is_err());

    albeit.reload(config.clone().with_listener(second.clone())).await?;
    eventually(SOON, "the second listener", || async {
        let answer = Client::connect(second.addr()).await?.get("/").await?;
        ensure!(answer.text() == "second", "{}", answer.text());
        Ok(())
    })
    .await?;
    albeit.reload(config).await?;
    eventually(SOON, "the end of the second listener", || async {
        match Client::connect(second.addr()).await {
            Ok(_) => bail!("still accepting"),
            Err(_) => Ok(()),
        }
    })
    .await?;
    assert_eq!(kept.get("/").await?.text(), "first", "a connection from before both reloads");
    Ok(())
}

#[tokio::test]
async fn a_removed_listener_ends_its_requests_and_keeps_its_websockets() -> Result<()> {
    let gate = Gate::default();
    let held = gate.clone();
    let target = Target::start(move |request| match request.path() {
        "/socket" => vec![Step::Send(switching_protocols()), Step::Relay],
        "/in-flight" => vec![Step::Await(held.clone()), Step::Send(ok("done"))],
        _ => vec![Step::Send(ok("ok"))],
    })?;
    let config = Config::forwarding_to(&[target.addr()])?;
    let removed = Listener::http(forward("web"))?;
    let addr = removed.addr();
    let mut albeit = Albeit::start(config.clone().with_listener(removed)).await?;
    let mut kept = albeit.client().await?;
    kept.get("/").await?;
    let mut idle = Client::connect(addr).await?;
    idle.get("/").await?;
    let mut socket = Client::connect(addr).await?;
    upgrade(&mut socket, "/socket").await?;
    let mut busy = Client::connect(addr).await?;
    busy.send("GET /in-flight HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    target.request(4).await?;

    albeit.reload(config).await?;
    assert!(idle.closed().await?.is_empty());
    gate.open();
    let answer = busy.response().await?;
    assert_eq!((answer.status, answer.text()), (200, "done".to_owned()));
    assert_eq!(answer.header("connection")?, "close");
    assert!(busy.closed().await?.is_empty());
    socket.send("alive").await?;
    assert_eq!(socket.read_exactly(5).await?, b"alive");
    assert_eq!(kept.get("/").await?.status, 200, "a connection of the other listener");
    Ok(())
}

/// A log that a reload has moved away gets what was begun under it, at its close and at shutdown.
#[tokio::test]
async fn websockets_are_logged_where_they_were_opened() -> Result<()> {
    const OPEN: usize = 100;
    let target = Target::start(|request| match request.path() {
        "/moved" => vec![Step::Send(ok("ok"))],
        _ => vec![Step::Send(switching_protocols()), Step::Relay],
    })?;
    let mut config = Config::forwarding_to(&[target.addr()])?;
    config.drain = "1s".to_owned();
    let mut albeit = Albeit::start(config.clone()).await?;
    let mut closing = albeit.client().await?;
    upgrade(&mut closing, "/closed-later").await?;
    let mut open = Vec::new();
    for _ in 0..OPEN {
        let mut client = albeit.client().await?;
        upgrade(&mut client, "/open-to-the-end").await?;
        open.push(client);
    }

    let elsewhere = config.dir().join("elsewhere");
    albeit.reload(config.clone().with_attribute("access_logs.s3.bucket", json!(elsewhere))).await?;
    eventually(SOON, "a record in the new place", || async {
        albeit.get("/moved").await?;
        ensure!(!access_log::read(&elsewhere)?.is_empty(), "none yet");
        Ok(())
    })
    .await?;
    closing.finish_writing().await?;
    closing.closed().await?;
    assert_eq!(albeit.record("/closed-later").await?["elb_status_code"], "101");
    assert!(albeit.stop().await?.success());
    // The process has gone: what is not written now never will be.
    let written = access_log::read(&config.dir().join("logs"))?;
    let at_the_end = written.iter().filter(|record| record.request().contains("/open-to-the-end")).count();
    assert_eq!(at_the_end, OPEN);
    let moved = access_log::read(&elsewhere)?;
    assert!(moved.iter().all(|record| record.request().contains("/moved")), "{moved:?}");
    Ok(())
}

/// The writer of the old log is held up by standard output that nobody reads, until all else has ended.
#[tokio::test]
async fn the_end_waits_for_the_writer_of_a_log_that_was_moved_away() -> Result<()> {
    const LINES: usize = 300;
    let target = Target::start(|request| match request.path() {
        "/socket" => vec![Step::Send(switching_protocols()), Step::Relay],
        _ => vec![Step::Send(ok("ok"))],
    })?;
    let mut config = Config::forwarding_to(&[target.addr()])?;
    config.drain = "1s".to_owned();
    let copied = config.clone().with_attribute("albeit.access_logs.stdout.enabled", true);
    let (mut albeit, mut stdout) = Albeit::start_piped(copied).await?;
    let mut socket = albeit.client().await?;
    upgrade(&mut socket, "/socket").await?;
    let mut client = albeit.client().await?;
    for _ in 0..LINES {
        // More than a pipe holds.
        client.get("/a-long-path-that-fills-the-pipe-to-standard-output-which-nobody-reads-yet").await?;
    }
    let elsewhere = config.dir().join("elsewhere");
    albeit.reload(config.clone().with_attribute("access_logs.s3.bucket", json!(elsewhere))).await?;
    eventually(SOON, "a record in the new place", || async {
        albeit.get("/moved").await?;
        ensure!(!access_log::read(&elsewhere)?.is_empty(), "none yet");
        Ok(())
    })
    .await?;
    albeit.process.signal("TERM").await?;
    socket.closed().await?;
    let mut copy = Vec::new();
    stdout.read_to_end(&mut copy).await?;
    assert!(albeit.process.exited(SOON).await?.success());
    // The process has gone: what is not written now never will be.
    let mut written = albeit.access_log()?;
    // Logged before the reload took effect.
    written.retain(|record| !record.request().contains("/moved"));
    assert_eq!(written.len(), LINES + 1);
    let copied = String::from_utf8(copy)?.lines().filter(|line| !line.contains("/moved")).count();
    assert_eq!(copied, LINES + 1);
    Ok(())
}

#[tokio::test]
async fn health_survives_a_reload() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?;
    let mut albeit = Albeit::start(config.clone()).await?;
    // From now on checks would fail to tell, so a forgotten state shows.
    target.silence_health();
    let mut changed = config;
    let rule = json!({ "path_pattern": ["/new"] });
    changed.listeners =
        changed.listeners.into_iter().map(|l| l.with_rule(1, rule.clone(), fixed("new"))).collect();
    albeit.reload(changed).await?;
    answers(&albeit, "/new", "new").await?;
    let targets = albeit.targets().await?;
    assert!(targets.iter().all(|t| t.state == "healthy"), "{targets:?}");
    Ok(())
}
