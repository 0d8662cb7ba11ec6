//! `albeit dev`: two backends and the balancer, from a clean checkout.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::{Duration, SystemTime},
};

use anyhow::{Context, bail};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::Instant,
};

use super::{
    DevArgs,
    run::{Signals, refuse, runtime, start_logging},
    say,
};
use crate::{
    listener::PortSharing,
    model::{ListenerProtocol, Model, Target, target_group::TargetId},
    server::{Options, Server, prepare},
    tls::development,
};

/// How long backends may take until they listen.
const BACKEND_START: Duration = Duration::from_secs(10);
/// How often it is tried meanwhile.
const BACKEND_POLL: Duration = Duration::from_millis(20);
/// How long backends may take to end after they were told to.
const BACKEND_FAREWELL: Duration = Duration::from_secs(10);

/// Makes certificates if there are none, starts the backends and the balancer, prints where they are.
pub(super) fn dev(args: &DevArgs) -> anyhow::Result<ExitCode> {
    start_logging();
    make_certificates(&args.config)?;
    let options = Options {
        config: args.config.clone(),
        scale: args.scale.time_scale,
        port_sharing: PortSharing::Exclusive,
        drain: args.drain,
    };
    runtime()?.block_on(async {
        let tickets = prepare::tickets()?;
        let prepared = match prepare::prepare(&options.config, &tickets) {
            Ok(prepared) => prepared,
            Err(error) => return Ok(refuse(&error.into())),
        };
        let mut signals = Signals::new()?;
        let mut backends = start_backends(&prepared.model, args)?;
        tokio::select! {
            listening = backends.until_listening() => listening?,
            () = signals.end() => return Ok(ExitCode::SUCCESS),
        }
        let server = match Server::start(options).await {
            Ok(server) => server,
            Err(error) => return Ok(refuse(&error)),
        };
        say(&welcome(&prepared.model));
        let ended = tokio::select! {
            () = signals.serve(&server) => Ok(()),
            error = backends.first_to_end() => Err(error),
        };
        let status = signals.shut_down(server).await;
        if status == ExitCode::SUCCESS {
            tokio::select! {
                () = backends.stop() => {}
                () = signals.end() => {}
            }
        }
        ended.map(|()| status)
    })
}

/// The configuration names files in `../certs`; what is missing there is made.
fn make_certificates(config: &Path) -> anyhow::Result<()> {
    let dir = config.parent().unwrap_or_else(|| Path::new("")).join("../certs");
    let made = development::create(&dir, SystemTime::now(), &mut rand::rng());
    made.with_context(|| format!("cannot make development certificates in {}", dir.display()))?;
    Ok(())
}

/// The backend processes, with where they listen.
struct Backends {
    addresses: Vec<SocketAddr>,
    children: Vec<(String, Child)>,
}

fn start_backends(model: &Model, args: &DevArgs) -> anyhow::Result<Backends> {
    let program = backend_program()?;
    let targets: BTreeSet<&Target> = model.target_groups.iter().flat_map(|group| &group.targets).collect();
    let mut backends = Backends { addresses: Vec::new(), children: Vec::new() };
    for (number, target) in targets.into_iter().enumerate() {
        let TargetId::Ip(address) = &target.id else {
            continue;
        };
        let instance = format!("backend-{}", number + 1);
        let child = Command::new(&program)
            .args(["--address", &address.to_string(), "--port", &target.port.to_string()])
            .args(["--drain", &format!("{}ms", args.drain.as_millis())])
            .args(["--instance", &instance, "--time-scale", &args.scale.time_scale.divisor().to_string()])
            .stdin(Stdio::null())
            // Ctrl-C is for the balancer, which drains before its targets go.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        backends.addresses.push(SocketAddr::new(*address, target.port));
        backends.children.push((instance, child));
    }
    Ok(backends)
}

/// `albeit-backend` stands beside this program.
fn backend_program() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("albeit-backend");
    if !program.is_file() {
        bail!("{} is missing: build it with `cargo build --release`, or use `make run`", program.display());
    }
    Ok(program)
}

impl Backends {
    /// Waits until all backends can be connected to.
    async fn until_listening(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + BACKEND_START;
        for address in self.addresses.clone() {
            while TcpStream::connect(address).await.is_err() {
                if Instant::now() > deadline {
                    bail!("a backend does not listen on {address}");
                }
                tokio::select! {
                    error = self.first_to_end() => return Err(error),
                    () = tokio::time::sleep(BACKEND_POLL) => {}
                }
            }
        }
        Ok(())
    }

    /// Waits for a backend to end by itself, which it should not.
    async fn first_to_end(&mut self) -> anyhow::Error {
        if self.children.is_empty() {
            return std::future::pending().await;
        }
        let ends = self.children.iter_mut().map(|(name, child)| {
            Box::pin(async move {
                let status = child.wait().await;
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                anyhow::anyhow!("{name} has ended: {status}")
            })
        });
        futures_util::future::select_all(ends).await.0
    }

    /// Asks all to end and waits for them.
    async fn stop(&mut self) {
        for (_, child) in &self.children {
            if let Some(pid) =
                child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw)
            {
                // It may have ended meanwhile, which is as well.
                rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap_or_default();
            }
        }
        let deadline = Instant::now() + BACKEND_FAREWELL;
        for (name, child) in &mut self.children {
            if tokio::time::timeout_at(deadline, child.wait()).await.is_err() {
                tracing::warn!(backend = %name, "did not end in time and is killed");
            }
        }
    }
}

fn welcome(model: &Model) -> String {
    let mut text = String::from("\nAlbeit is running:\n");
    for listener in model.load_balancers.iter().flat_map(|load_balancer| &load_balancer.listeners) {
        let port = listener.bind.port();
        let line = match listener.protocol {
            ListenerProtocol::Https => {
                format!(
                    "  https://localhost:{port}/  demo page, STOMP at /ws, /echo, /whoami\n  \
                 curl --cacert certs/ca.pem https://localhost:{port}/whoami\n"
                )
            }
            ListenerProtocol::Http => format!("  http://localhost:{port}/\n"),
            ListenerProtocol::Tcp | ListenerProtocol::Tls => {
                format!("  {} port {port}\n", listener.protocol.as_str())
            }
        };
        text.push_str(&line);
    }
    if let Some(admin) = model.admin.bind {
        text.push_str(&format!("  http://{admin}/  healthz, readyz, metrics, targets\n"));
    }
    text.push_str("Ctrl-C drains and ends.\n");
    text
}
