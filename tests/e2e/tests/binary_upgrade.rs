//! Upgrade of the program: another process takes the sockets, the old one drains, and no client notices.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Generations, Group, Listener, LoadBalancer, Step, Target,
    albeit::binary,
    ca::ALL_VERSIONS,
    eventually, forward,
    generations::{is_running, signal},
    target::{ok, switching_protocols},
    wait::SOON,
    websocket::{MASKED_HELLO, upgrade},
};
use anyhow::{Context as _, Result, ensure};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Says its name, and relays WebSockets.
fn named(name: &'static str) -> Result<Target> {
    Target::start(move |request| {
        if request.headers("upgrade").is_empty() {
            vec![Step::Send(ok(name))]
        } else {
            vec![Step::Send(switching_protocols()), Step::Relay]
        }
    })
}

/// HTTP, HTTPS and, in front of the first target alone, a TCP listener; clients stick to targets.
fn config(ca: &Ca, targets: &[Target]) -> Result<Config> {
    let addrs: Vec<SocketAddr> = targets.iter().map(Target::addr).collect();
    let config = Config::forwarding_to(&addrs)?.map_group(Group::with_lb_cookie).with_https(ca)?;
    let network = LoadBalancer::new("e2e-nlb", "network", vec![Listener::tcp(forward("flows"))?]);
    Ok(config.with_group(Group::tcp("flows", &addrs[..1])).with_load_balancer(network))
}

/// The address of the TCP listener.
fn tcp_listener(config: &Config) -> Result<SocketAddr> {
    let listener = config.others.first().and_then(|other| other.listeners.first());
    Ok(listener.context("no TCP listener")?.addr())
}

/// Clients that are at work all the time; each fails with the first request that does.
struct Clients {
    tasks: JoinSet<Result<()>>,
    /// How often each has been served.
    served: Vec<Arc<AtomicUsize>>,
}

impl Clients {
    fn start(config: &Config, tls: &Arc<ClientConfig>) -> Result<Self> {
        let [http, https] = [0, 1].map(|index| config.listeners[index].addr());
        let tcp = tcp_listener(config)?;
        let mut clients = Self { tasks: JoinSet::new(), served: Vec::new() };
        for _ in 0..2 {
            clients.add(async move |served| {
                loop {
                    done(&Client::connect(http).await?.get("/new").await?, &served)?;
                }
            });
            let tls = Arc::clone(tls);
            clients.add(async move |served| {
                loop {
                    let mut client = Client::connect_tls(https, "localhost", Arc::clone(&tls)).await?;
                    done(&client.get("/tls").await?, &served)?;
                }
            });
            clients.add(async move |served| {
                loop {
                    until_told_to_close(http, &served).await?;
                }
            });
        }
        for addr in [http, tcp] {
            clients.add(async move |served| {
                let mut socket = Client::connect(addr).await?;
                upgrade(&mut socket, "/echo").await?;
                loop {
                    echoes(&mut socket).await?;
                    served.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
        }
        Ok(clients)
    }

    /// A client that does `work`, which does not end, and counts how often it was served.
    fn add<F>(&mut self, work: impl FnOnce(Arc<AtomicUsize>) -> F)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let served = Arc::new(AtomicUsize::new(0));
        self.served.push(Arc::clone(&served));
        self.tasks.spawn(work(served));
    }

    /// Waits until each client was served some more times, and none has failed.
    async fn are_served(&mut self) -> Result<()> {
        let counts = |all: &[Arc<AtomicUsize>]| -> Vec<usize> {
            all.iter().map(|one| one.load(Ordering::Relaxed)).collect()
        };
        let before = counts(&self.served);
        let served = &self.served;
        let all_served = eventually(SOON, "work for every client", || async {
            let now = counts(served);
            ensure!(now.iter().zip(&before).all(|(now, before)| *now >= before + 3), "{before:?} {now:?}");
            Ok(())
        });
        tokio::select! {
            all = all_served => all,
            failed = self.tasks.join_next() => {
                failed.context("no clients")??.context("a client failed")
            }
        }
    }
}

fn done(response: &albeit_e2e::Response, served: &AtomicUsize) -> Result<()> {
    ensure!(response.status == 200, "{}", response.head);
    served.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Asks on one connection until it is told that it was the last time.
async fn until_told_to_close(addr: SocketAddr, served: &AtomicUsize) -> Result<()> {
    let mut client = Client::connect(addr).await?;
    loop {
        let response = client.get("/kept").await?;
        done(&response, served)?;
        if response.headers("connection").contains(&"close") {
            return Ok(());
        }
    }
}

/// A WebSocket that stays with the process that serves now.
async fn open_socket(albeit: &Albeit) -> Result<Client> {
    let mut socket = albeit.client().await?;
    upgrade(&mut socket, "/stays").await?;
    Ok(socket)
}

async fn echoes(socket: &mut Client) -> Result<()> {
    socket.send(MASKED_HELLO).await?;
    ensure!(socket.read_exactly(MASKED_HELLO.len()).await? == MASKED_HELLO, "no echo");
    Ok(())
}

#[tokio::test]
async fn three_upgrades_under_load_lose_no_connection() -> Result<()> {
    let (ca, targets) = (Ca::try_new()?, [named("one")?, named("two")?]);
    let mut generations = Generations::start(config(&ca, &targets)?).await?;
    let tls = ca.client(&[], ALL_VERSIONS)?;
    let mut clients = Clients::start(&generations.albeit.config, &tls)?;
    clients.are_served().await?;
    let first = generations.albeit.get("/stick").await?;
    let (cookie, target) = (format!("Cookie: {}", first.cookie("AWSALB")?), first.text());

    let mut sockets = vec![(generations.current()?, open_socket(&generations.albeit).await?)];
    for _ in 0..3 {
        let pid = generations.upgrade().await?;
        clients.are_served().await?;
        // Neither cookies nor session tickets end with the process that made them.
        let https = generations.albeit.listener(1)?;
        for _ in 0..4 {
            let mut client = Client::connect_tls(https, "localhost", Arc::clone(&tls)).await?;
            assert!(client.tls.as_ref().is_some_and(|tls| tls.resumed));
            assert_eq!(client.get_with("/stick", &[&cookie]).await?.text(), target);
        }
        sockets.push((pid, open_socket(&generations.albeit).await?));
    }
    clients.are_served().await?;
    // Those of the clients' that were there from the beginning still run, and keep the first process.
    clients.tasks.shutdown().await;
    for (pid, mut socket) in sockets {
        assert!(is_running(pid));
        echoes(&mut socket).await?;
        drop(socket);
        if pid != generations.current()? {
            generations.ended(pid).await?;
        }
    }
    let metrics = generations.albeit.metrics().await?;
    assert!((metrics.sum("albeit_config_reloads_total", "") - 0.0).abs() < 0.1, "it is a new process");
    assert!((metrics.sum("albeit_upgrades_total", "") - 3.0).abs() < 0.1, "what was counted is passed on");
    let log = generations.albeit.process.stderr();
    // Three listeners and the admin API, three times.
    assert_eq!(log.matches("socket inherited").count(), 12, "{log}");
    assert!(!log.contains("inherited socket closed"), "{log}");
    Ok(())
}

#[tokio::test]
async fn an_upgrade_that_fails_changes_nothing() -> Result<()> {
    let target = named("one")?;
    let config = Config::forwarding_to(&[target.addr()])?;
    let program = config.dir().join("albeit");
    symlink(binary()?, &program)?;
    let mut generations = Generations::start_from(&program, config, &[]).await?;
    let mut socket = open_socket(&generations.albeit).await?;
    let file = generations.albeit.config.file();
    let good = fs::read_to_string(&file)?;

    // A configuration that cannot be used.
    fs::write(&file, good.replacen("target_group", "target_groop", 1))?;
    generations.ask().await?;
    generations
        .logged("upgrade failed, this process serves on error=\"the new process cannot serve:")
        .await?;
    failures(&generations, 1).await?;
    fs::write(&file, &good)?;
    // A program that is none, and one that is not there.
    fs::remove_file(&program)?;
    fs::write(&program, "#!/bin/sh\nexit 3\n")?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    generations.ask().await?;
    generations.logged("the new process has ended (exit status: 3) before it was ready").await?;
    failures(&generations, 2).await?;
    fs::remove_file(&program)?;
    generations.ask().await?;
    generations.logged(&format!("cannot start {}", program.display())).await?;
    failures(&generations, 3).await?;
    assert_eq!(generations.albeit.get("/").await?.text(), "one");
    echoes(&mut socket).await?;

    // What the path leads to now counts, not what was there at the start.
    symlink(binary()?, &program)?;
    generations.upgrade().await?;
    assert_eq!(generations.albeit.get("/").await?.text(), "one");
    echoes(&mut socket).await
}

/// Waits until the process that serves has counted so many failures.
async fn failures(generations: &Generations, expected: u32) -> Result<()> {
    eventually(SOON, "a failed upgrade", || async {
        let failures = generations.albeit.metrics().await?.sum("albeit_upgrade_failures_total", "");
        ensure!((failures - f64::from(expected)).abs() < 0.1, "{failures}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_was_changed_at_run_time_outlives_an_upgrade() -> Result<()> {
    let targets = [named("one")?, named("two")?];
    let addrs: Vec<SocketAddr> = targets.iter().map(Target::addr).collect();
    let mut generations = Generations::start(Config::forwarding_to(&addrs[..1])?).await?;
    let albeit = &generations.albeit;
    let register = json!({ "TargetGroupName": "web", "Targets": [id(addrs[1])] });
    albeit.act("POST", "/targets/register", &register).await?;
    let forced = json!({ "TargetGroupName": "web", "Targets": [id(addrs[0])], "State": "unhealthy" });
    albeit.act("POST", "/targets/health", &forced).await?;
    let before = albeit.resource("/overrides").await?;
    eventually(SOON, "the second target alone", || async {
        let answers = [generations.albeit.get("/").await?.text(), generations.albeit.get("/").await?.text()];
        ensure!(answers == ["two", "two"], "{answers:?}");
        Ok(())
    })
    .await?;
    generations.upgrade().await?;
    assert_eq!(generations.albeit.resource("/overrides").await?, before);
    for _ in 0..4 {
        assert_eq!(generations.albeit.get("/").await?.text(), "two");
    }
    Ok(())
}

fn id(target: SocketAddr) -> Value {
    json!({ "Id": target.ip(), "Port": target.port() })
}

#[tokio::test]
async fn sigterm_ends_a_process_that_drains_after_an_upgrade_as_usual() -> Result<()> {
    let target = named("one")?;
    let mut config = Config::forwarding_to(&[target.addr()])?;
    config.drain = "1s".to_owned();
    let mut generations = Generations::start(config).await?;
    let old = generations.current()?;
    let mut idle = generations.albeit.client().await?;
    idle.get("/").await?;
    let mut socket = open_socket(&generations.albeit).await?;
    generations.upgrade().await?;
    generations.logged("another process serves from now on").await?;
    // There is no hurry: the next request on an idle connection is still served, and is its last.
    assert_eq!(idle.get("/").await?.header("connection")?, "close");
    signal(old, "TERM").await?;
    socket.closed().await?;
    generations.ended(old).await?;
    assert_eq!(generations.albeit.get("/").await?.text(), "one");
    Ok(())
}

#[tokio::test]
async fn the_program_is_found_again_by_the_name_it_was_called_by() -> Result<()> {
    let target = named("one")?;
    let program = PathBuf::from("albeit");
    let path = binary()?.parent().context("no directory")?.to_owned();
    let config = Config::forwarding_to(&[target.addr()])?;
    let mut generations = Generations::start_from(&program, config, &[("PATH", search(path)?)]).await?;
    generations.upgrade().await?;
    assert_eq!(generations.albeit.get("/").await?.text(), "one");
    Ok(())
}

/// `PATH` with `first` in front.
fn search(first: PathBuf) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(first).chain(std::env::split_paths(&path));
    Ok(std::env::join_paths(all)?.into())
}
