//! `albeit dev`: two backends and the balancer, from a clean checkout.

use std::{
    convert::Infallible,
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
    DevArgs, complain, logging,
    run::{Signals, refuse, runtime},
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
/// How long a backend that has ended stays away: two health checks of `conf/dev.yaml` and some.
const BACKEND_PAUSE: Duration = Duration::from_secs(15);
/// What to do about a port that is taken.
const PORTS_HINT: &str = "conf/dev.yaml takes its ports from ALBEIT_HTTPS_PORT, ALBEIT_HTTP_PORT, \
                          ALBEIT_NLB_PORT, ALBEIT_ADMIN_BIND, ALBEIT_BACKEND_1_PORT and ALBEIT_BACKEND_2_PORT.";
/// How long backends may take to end after they were told to.
const BACKEND_FAREWELL: Duration = Duration::from_secs(10);

/// Makes certificates if there are none, starts the backends and the balancer, prints where they are.
pub(super) fn dev(args: &DevArgs) -> anyhow::Result<ExitCode> {
    logging::start(args.logging);
    make_certificates(&args.config)?;
    let options = Options {
        config: args.config.clone(),
        scale: args.scale.time_scale,
        port_sharing: PortSharing::Exclusive,
        drain: args.drain,
    };
    runtime()?.block_on(async {
        let tickets = prepare::tickets()?;
        let prepared = match prepare::prepare(&options.config, &tickets, prepare::Purpose::Serve) {
            Ok(prepared) => prepared,
            Err(error) => return Ok(refuse(&error.into())),
        };
        let mut signals = Signals::new()?;
        let mut backends = Backends::start(&prepared.model, args)?;
        tokio::select! {
            listening = backends.until_listening() => listening?,
            () = signals.end() => return Ok(ExitCode::SUCCESS),
        }
        let server = match Server::start(options).await {
            Ok(server) => server,
            Err(error) => {
                let status = refuse(&error);
                complain(PORTS_HINT);
                return Ok(status);
            }
        };
        say(&welcome(&prepared.model));
        tokio::select! {
            () = signals.serve(&server) => {}
            never = backends.keep_running() => match never {},
        }
        let status = signals.shut_down(server).await;
        if status == ExitCode::SUCCESS {
            tokio::select! {
                () = backends.stop() => {}
                () = signals.end() => {}
            }
        }
        Ok(status)
    })
}

/// The configuration names files in `../certs`; what is missing there is made.
fn make_certificates(config: &Path) -> anyhow::Result<()> {
    let dir = config.parent().unwrap_or_else(|| Path::new("")).join("../certs");
    let made = development::create(&dir, SystemTime::now(), &mut rand::rng());
    made.with_context(|| format!("cannot make development certificates in {}", dir.display()))?;
    Ok(())
}

/// A backend process.
struct Backend {
    name: String,
    address: SocketAddr,
    command: Command,
    child: Child,
    /// [`BACKEND_PAUSE`], scaled.
    pause: Duration,
}

/// All backend processes: one for each target of the configuration.
struct Backends(Vec<Backend>);

/// `albeit-backend` stands beside this program.
fn backend_program() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("albeit-backend");
    if !program.is_file() {
        bail!("{} is missing: build it with `cargo build --release`, or use `make run`", program.display());
    }
    Ok(program)
}

impl Backends {
    fn start(model: &Model, args: &DevArgs) -> anyhow::Result<Self> {
        let program = backend_program()?;
        let mut targets: Vec<&Target> = Vec::new();
        for target in model.target_groups.iter().flat_map(|group| &group.targets) {
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        let mut backends = Vec::new();
        for target in targets {
            let TargetId::Ip(ip) = target.id else {
                continue;
            };
            let address = SocketAddr::new(ip, target.port);
            // A backend would say the same, but of its own settings.
            if let Err(error) = std::net::TcpListener::bind(address) {
                bail!("cannot start a backend on {address}: {error}. {PORTS_HINT}");
            }
            backends.push(Backend::start(&program, backends.len() + 1, address, args)?);
        }
        Ok(Self(backends))
    }

    /// Waits until all backends can be connected to.
    async fn until_listening(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + BACKEND_START;
        for Backend { name, address, child, .. } in &mut self.0 {
            while TcpStream::connect(*address).await.is_err() {
                if let Some(status) = child.try_wait()? {
                    bail!("{name} has ended: {status}");
                }
                if Instant::now() > deadline {
                    bail!("{name} does not listen on {address}");
                }
                tokio::time::sleep(BACKEND_POLL).await;
            }
        }
        Ok(())
    }

    /// Starts a backend again some time after it ended: long enough to see what its clients go through.
    async fn keep_running(&mut self) -> Infallible {
        let running = self.0.iter_mut().map(Backend::keep_running);
        futures_util::future::join_all(running).await;
        std::future::pending().await
    }

    /// Asks all to end and waits for them.
    async fn stop(&mut self) {
        for backend in &self.0 {
            backend.terminate();
        }
        let deadline = Instant::now() + BACKEND_FAREWELL;
        for Backend { name, child, .. } in &mut self.0 {
            if tokio::time::timeout_at(deadline, child.wait()).await.is_err() {
                tracing::warn!(backend = %name, "did not end in time and is killed");
            }
        }
    }
}

impl Backend {
    fn start(program: &Path, number: usize, address: SocketAddr, args: &DevArgs) -> anyhow::Result<Self> {
        let name = format!("backend-{number}");
        let mut command = Command::new(program);
        command
            .args(["--address", &address.ip().to_string(), "--port", &address.port().to_string()])
            .args(["--drain", &format!("{}ms", args.drain.as_millis())])
            .args(["--log-format", args.logging.log_format.as_str(), "--color", args.logging.color.as_str()])
            .args(["--instance", &name, "--time-scale", &args.scale.time_scale.divisor().to_string()])
            .stdin(Stdio::null())
            // Ctrl-C is for the balancer, which drains before its targets go.
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let pause = args.scale.time_scale.apply(BACKEND_PAUSE);
        Ok(Self { name, address, command, child, pause })
    }

    async fn keep_running(&mut self) {
        loop {
            let ended = match self.child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            tracing::warn!(backend = %self.name, ended, "started again in {:?}", self.pause);
            tokio::time::sleep(self.pause).await;
            match self.command.spawn() {
                Ok(child) => self.child = child,
                Err(error) => tracing::error!(backend = %self.name, %error, "cannot be started again"),
            }
        }
    }

    /// Sends SIGTERM.
    fn terminate(&self) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            // It may have ended meanwhile, which is as well.
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap_or_default();
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
            ListenerProtocol::Tls => {
                format!(
                    "  https://localhost:{port}/whoami  the same backends through a network load balancer\n"
                )
            }
            ListenerProtocol::Tcp => format!("  TCP port {port}\n"),
        };
        text.push_str(&line);
    }
    if let Some(admin) = model.admin.bind {
        text.push_str(&format!("  http://{admin}/  dashboard; also healthz, readyz, metrics and more\n"));
    }
    text.push_str("Ctrl-C drains and ends.\n");
    text
}
