//! The balancer under test as a process.

use std::{
    ffi::OsString,
    fs,
    net::{IpAddr, SocketAddr},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::process::ChildStdout;

use crate::{
    access_log::{self, Log, Record},
    client::{Client, Response},
    config::Config,
    metrics::Metrics,
    process::{self, Process},
    wait::{SOON, eventually},
};

/// The binary `albeit`.
///
/// # Errors
/// When the test's own path is unknown.
pub fn binary() -> Result<PathBuf> {
    process::binary("ALBEIT_BIN", "albeit")
}

/// A running `albeit run`.
#[derive(Debug)]
pub struct Albeit {
    /// The process.
    pub process: Process,
    /// The configuration it was started or last reloaded with.
    pub config: Config,
}

/// A target as the admin API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetHealth {
    /// Address and port; of a load balancer its ARN and the port.
    pub addr: String,
    /// `initial`, `healthy`, `unhealthy`, `draining` or `unused`.
    pub state: String,
    /// Reason code, such as `Target.Timeout`; empty without one.
    pub reason: String,
    /// Description; empty without one.
    pub description: String,
    /// Requests and tunnels in flight.
    pub outstanding: u64,
    /// `Result` of anomaly detection; empty for a draining target.
    pub anomaly: String,
    /// `MitigationInEffect`: `yes` or `no`; empty for a draining target.
    pub mitigation: String,
}

impl Albeit {
    /// Starts the balancer and waits until it is ready and every target is healthy.
    ///
    /// # Errors
    /// When it ends or is not there soon.
    pub async fn start(config: Config) -> Result<Self> {
        let mut albeit = Self::start_unsettled(config).await?;
        albeit
            .wait_for_targets("all targets healthy", |all| all.iter().all(|t| t.state == "healthy"))
            .await?;
        Ok(albeit)
    }

    /// Starts the balancer and waits until it is ready, whatever the targets' health.
    ///
    /// # Errors
    /// When it ends or is not ready soon.
    pub async fn start_unsettled(config: Config) -> Result<Self> {
        let environment: Vec<_> = config.trusted.iter().map(|file| ("SSL_CERT_FILE", file.clone())).collect();
        let args = arguments(&config)?;
        let process = Process::spawn_with("albeit", &binary()?, args, config.dir(), &environment)?;
        let mut albeit = Self { process, config };
        albeit.wait_ready().await?;
        Ok(albeit)
    }

    /// Starts the balancer without the capability `CAP_NET_ADMIN`, which few services have, and waits until
    /// every target is healthy.
    ///
    /// # Errors
    /// When it ends or is not there soon.
    pub async fn start_without_net_admin(config: Config) -> Result<Self> {
        const WITHOUT: [&str; 6] =
            ["--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "--ambient-caps", "-net_admin"];
        let mut args: Vec<OsString> = WITHOUT.map(OsString::from).to_vec();
        args.push(binary()?.into());
        args.extend(arguments(&config)?.into_iter().map(OsString::from));
        // Only root has it, and only root can be without it.
        let is_root = fs::metadata("/proc/self")?.uid() == 0;
        let (program, args) =
            if is_root { (Path::new("setpriv").to_owned(), args) } else { (binary()?, args.split_off(7)) };
        let process = Process::spawn("albeit", &program, args, config.dir())?;
        let mut albeit = Self { process, config };
        albeit.wait_ready().await?;
        albeit
            .wait_for_targets("all targets healthy", |all| all.iter().all(|t| t.state == "healthy"))
            .await?;
        Ok(albeit)
    }

    /// Starts the balancer, waits until it is ready, and gives its standard output to the caller.
    ///
    /// # Errors
    /// When it ends or is not ready soon.
    pub async fn start_piped(config: Config) -> Result<(Self, ChildStdout)> {
        let (process, stdout) =
            Process::spawn_piped("albeit", &binary()?, arguments(&config)?, config.dir())?;
        let mut albeit = Self { process, config };
        albeit.wait_ready().await?;
        Ok((albeit, stdout))
    }

    /// Starts `program`, which is the balancer or starts it, with `before` in front of the balancer's arguments
    /// and `after` behind them, and with further environment variables. Does not wait.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(
        config: Config,
        (program, before): (&Path, &[&str]),
        after: &[&str],
        environment: &[(&str, PathBuf)],
    ) -> Result<Self> {
        let args = arguments(&config)?;
        let args = before.iter().copied().chain(args.iter().map(String::as_str)).chain(after.iter().copied());
        let process = Process::spawn_with("albeit", program, args, config.dir(), environment)?;
        Ok(Self { process, config })
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it ends or is not ready soon.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let deadline = tokio::time::Instant::now() + SOON;
        loop {
            self.process.still_running()?;
            let readiness = self.admin("/readyz").await;
            match readiness {
                Ok(response) if response.status == 200 => return Ok(()),
                _ if tokio::time::Instant::now() < deadline => {}
                other => bail!("not ready within {SOON:?}: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Address of the first HTTP or HTTPS listener at `index` of the configuration.
    ///
    /// # Errors
    /// When there are fewer listeners.
    pub fn listener(&self, index: usize) -> Result<SocketAddr> {
        Ok(self.config.listeners.get(index).context("no such listener")?.addr())
    }

    /// A plain TCP client of the first listener.
    ///
    /// # Errors
    /// When the connection is refused.
    pub async fn client(&self) -> Result<Client> {
        Client::connect(self.listener(0)?).await
    }

    /// GET on a new connection to the first listener.
    ///
    /// # Errors
    /// When there is no well-formed response.
    pub async fn get(&self, path: &str) -> Result<Response> {
        self.client().await?.get(path).await
    }

    /// GET on the admin API.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn admin(&self, path: &str) -> Result<Response> {
        let mut client = Client::connect(self.config.admin.addr()).await?;
        client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await?;
        client.response().await
    }

    /// All metrics.
    ///
    /// # Errors
    /// When the admin API does not answer.
    pub async fn metrics(&self) -> Result<Metrics> {
        Ok(Metrics::parse(&self.admin("/metrics").await?.text()))
    }

    /// All targets of all groups.
    ///
    /// # Errors
    /// When the admin API does not answer in the agreed form.
    pub async fn targets(&self) -> Result<Vec<TargetHealth>> {
        let answer: Value = serde_json::from_slice(&self.admin("/targets").await?.body)?;
        let groups = answer.pointer("/TargetGroups").and_then(Value::as_array).context("no TargetGroups")?;
        let targets =
            groups.iter().filter_map(|group| group.get("TargetHealthDescriptions")?.as_array()).flatten();
        targets.map(TargetHealth::from_json).collect()
    }

    /// Waits until the targets are as `wanted`.
    ///
    /// # Errors
    /// When they are not soon: shows how they are instead.
    pub async fn wait_for_targets(
        &mut self,
        what: &str,
        wanted: impl Fn(&[TargetHealth]) -> bool,
    ) -> Result<Vec<TargetHealth>> {
        let probe = || async {
            let targets = self.targets().await?;
            ensure!(wanted(&targets), "targets are {targets:?}");
            Ok(targets)
        };
        let result = eventually(SOON, what, probe).await;
        self.process.still_running()?;
        result
    }

    /// Puts `config` in the place of the old one and asks for a reload (SIGHUP).
    /// Does not wait: poll for what the reload changes.
    ///
    /// # Errors
    /// When the file cannot be written or the process is gone.
    pub async fn reload(&mut self, config: Config) -> Result<()> {
        config.write()?;
        self.config = config;
        self.process.signal("HUP").await
    }

    /// All access log records so far.
    ///
    /// # Errors
    /// When a line is not a record of 34 fields.
    pub fn access_log(&self) -> Result<Vec<Record>> {
        access_log::read(&self.config.dir().join("logs"))
    }

    /// All lines so far of one of the logs.
    ///
    /// # Errors
    /// When a line does not have the log's fields.
    pub fn log(&self, log: Log) -> Result<Vec<Record>> {
        access_log::read_log(&self.config.dir().join("logs"), log)
    }

    /// Waits for the one record whose request line contains `needle`.
    ///
    /// # Errors
    /// When there is none soon, or more than one.
    pub async fn record(&self, needle: &str) -> Result<Record> {
        let mut found = self.records(needle, 1).await?;
        found.pop().context("no record")
    }

    /// Waits until exactly `count` records' request lines contain `needle`.
    ///
    /// # Errors
    /// When there are fewer or more after a while.
    pub async fn records(&self, needle: &str, count: usize) -> Result<Vec<Record>> {
        eventually(SOON, &format!("{count} access log records with {needle}"), || async {
            let mut records = self.access_log()?;
            let all = records.len();
            records.retain(|record| record.request().contains(needle));
            ensure!(records.len() == count, "{} of {all} records match: {records:?}", records.len());
            Ok(records)
        })
        .await
    }

    /// SIGTERM, then the exit status.
    ///
    /// # Errors
    /// When it has not ended soon.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        self.process.signal("TERM").await?;
        self.process.exited(SOON).await
    }
}

/// Writes the configuration and says how to start with it.
fn arguments(config: &Config) -> Result<Vec<String>> {
    config.write()?;
    let file = config.file();
    let file = file.to_str().context("the directory's name is not UTF-8")?;
    let scale = config.time_scale.to_string();
    let args = ["run", "-c", file, "--reuse-port", "--drain", &config.drain, "--time-scale", &scale];
    Ok(args.map(String::from).to_vec())
}

impl TargetHealth {
    /// Reads one `TargetHealthDescription`.
    fn from_json(target: &Value) -> Result<Self> {
        let at = |path: &str| target.pointer(path).with_context(|| format!("no {path} in {target}"));
        let text = |path: &str| at(path).ok().and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = text("/Target/Id");
        let port = u16::try_from(at("/Target/Port")?.as_u64().context("not a port")?)?;
        // The target may be a load balancer.
        let addr = id.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port).to_string());
        Ok(Self {
            addr: addr.unwrap_or_else(|_| format!("{id}:{port}")),
            state: text("/TargetHealth/State"),
            reason: text("/TargetHealth/Reason"),
            description: text("/TargetHealth/Description"),
            outstanding: at("/OutstandingRequests")?.as_u64().context("not a number")?,
            anomaly: text("/AnomalyDetection/Result"),
            mitigation: text("/AnomalyDetection/MitigationInEffect"),
        })
    }
}
