//! A directory with `conf/` and `certs/` as a newcomer has it, and the
//! processes of one way in it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use rustls::ClientConfig;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    Way,
    ports::{Name, Ports},
};
use crate::{
    access_log::{self, Log, Record},
    albeit,
    ca::{ALL_VERSIONS, trusting},
    client::Client,
    process::{self, Process},
    wait::{SOON, eventually},
};

/// Certificate of the targets where they end TLS, below the directory.
pub const TARGET_CERTIFICATE: &str = "certs/targets/localhost.pem";
/// Its key.
pub const TARGET_KEY: &str = "certs/targets/localhost-key.pem";
/// Certificate of the load balancers.
const CERTIFICATE: &str = "certs/localhost.pem";

/// The running processes of one way.
#[derive(Debug)]
pub struct Stage {
    /// Which way.
    pub way: Way,
    /// Its ports.
    pub ports: Ports,
    /// `--time-scale` of the load balancers.
    pub time_scale: u32,
    // Before the directory: processes write into it to their end.
    balancers: Vec<Process>,
    targets: Vec<Process>,
    dir: Directory,
}

/// The directory that the commands run in. Clones share it.
#[derive(Debug, Clone)]
pub struct Directory(Arc<TempDir>);

impl Directory {
    /// Copies the files of `conf/` and makes development certificates, as `albeit certs` does.
    ///
    /// # Errors
    /// When a file cannot be made, or `albeit` is not built.
    pub async fn try_new() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("albeit-topology-").tempdir()?;
        fs::create_dir(dir.path().join("conf"))?;
        for file in Way::ALL.iter().flat_map(|way| way.files()) {
            fs::copy(repository().join("conf").join(file), dir.path().join("conf").join(file))
                .with_context(|| format!("copy conf/{file}"))?;
        }
        for certificates in ["certs", "certs/targets"] {
            let args = ["certs", "--dir", certificates];
            let made = process::run(&albeit::binary()?, args, dir.path()).await?;
            ensure!(made.status.success(), "albeit certs: {}", String::from_utf8_lossy(&made.stderr));
        }
        Ok(Self(Arc::new(dir)))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Removes the logs.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn without_logs(&self) -> Result<()> {
        let logs = self.path().join("logs");
        if logs.exists() {
            fs::remove_dir_all(logs)?;
        }
        Ok(())
    }
}

/// The root of the sources.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Stage {
    /// Starts targets and load balancers and waits until every target is healthy. No logs are there yet.
    ///
    /// # Errors
    /// When a port is taken, a process ends, or is not there soon.
    pub async fn start(way: Way, dir: &Directory, ports: Ports, time_scale: u32) -> Result<Self> {
        dir.without_logs()?;
        ports.check_free(way)?;
        let mut stage =
            Self { way, ports, time_scale, balancers: Vec::new(), targets: Vec::new(), dir: dir.clone() };
        stage.start_targets()?;
        stage.until_targets_listen().await?;
        let admins: Vec<Name> =
            if way.files().len() > 1 { vec![Name::AdminFront, Name::Admin] } else { vec![Name::Admin] };
        // What is behind comes first, so that the first look at it finds it.
        for (file, admin) in way.files().iter().zip(&admins).rev() {
            stage.start_balancer(file, *admin)?;
            stage.until_healthy(*admin).await.with_context(|| format!("conf/{file}"))?;
        }
        Ok(stage)
    }

    fn start_targets(&mut self) -> Result<()> {
        let binary = process::binary("ALBEIT_BACKEND_BIN", "albeit-backend")?;
        for (number, name) in [("1", Name::Backend1), ("2", Name::Backend2)] {
            let port = self.ports.number(name).to_string();
            let mut arguments = self.way.backend_arguments(number, &port);
            for argument in arguments.iter_mut().filter(|argument| argument.starts_with("certs/")) {
                *argument = self.dir.path().join(&argument).to_string_lossy().into_owned();
            }
            if self.ports.are_held() {
                arguments.push("--reuse-port".to_owned());
            }
            let target = Process::spawn(&format!("backend-{number}"), &binary, arguments, self.dir.path())?;
            self.targets.push(target.quiet());
        }
        Ok(())
    }

    /// A check that comes too early is repeated only after its interval.
    async fn until_targets_listen(&mut self) -> Result<()> {
        for name in [Name::Backend1, Name::Backend2] {
            let connect = || Client::connect(self.ports.addr(name));
            let listening = eventually(SOON, "a target listens", connect).await;
            for target in &mut self.targets {
                target.still_running()?;
            }
            listening?;
        }
        Ok(())
    }

    fn start_balancer(&mut self, file: &str, admin: Name) -> Result<()> {
        let config = self.dir.path().join("conf").join(file);
        let mut arguments = vec!["run".to_owned(), "-c".to_owned(), config.to_string_lossy().into_owned()];
        if self.time_scale != 1 {
            arguments.extend(["--time-scale".to_owned(), self.time_scale.to_string()]);
        }
        if self.ports.are_held() {
            arguments.push("--reuse-port".to_owned());
        }
        let variables: Vec<(&str, PathBuf)> =
            self.ports.environment(admin).into_iter().map(|(name, value)| (name, value.into())).collect();
        let name = file.trim_end_matches(".yaml");
        let process = Process::spawn_with(name, &albeit::binary()?, arguments, self.dir.path(), &variables)?;
        self.balancers.push(process.quiet());
        Ok(())
    }

    async fn until_healthy(&mut self, admin: Name) -> Result<()> {
        let looked = eventually(SOON, "every target is healthy", || async {
            let answer = Client::connect(self.ports.addr(admin)).await?.get("/targets").await?;
            let states = states(&serde_json::from_slice(&answer.body)?);
            ensure!(!states.is_empty() && states.iter().all(|state| state == "healthy"), "{states:?}");
            Ok(())
        })
        .await;
        for process in self.balancers.iter_mut().chain(&mut self.targets) {
            process.still_running()?;
        }
        looked
    }

    /// Where clients connect to.
    #[must_use]
    pub fn front(&self) -> std::net::SocketAddr {
        self.ports.addr(if self.way == Way::Alb { Name::Https } else { Name::Nlb })
    }

    /// Client settings that trust the load balancers' certificate and the targets'.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn tls(&self, alpn: &[&str]) -> Result<Arc<ClientConfig>> {
        let read = |file: &str| fs::read_to_string(self.dir.path().join(file));
        trusting(&(read("certs/ca.pem")? + &read("certs/targets/ca.pem")?), alpn, ALL_VERSIONS)
    }

    /// Whose certificate this is (DER): `balancer`, `target` or `unknown`.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn owner_of(&self, leaf: &[u8]) -> Result<&'static str> {
        use rustls::pki_types::{CertificateDer, pem::PemObject as _};
        for (file, owner) in [(CERTIFICATE, "balancer"), (TARGET_CERTIFICATE, "target")] {
            if CertificateDer::from_pem_file(self.dir.path().join(file))?.as_ref() == leaf {
                return Ok(owner);
            }
        }
        Ok("unknown")
    }

    /// The lines of a log so far.
    ///
    /// # Errors
    /// When a line does not have the log's fields.
    pub fn log(&self, log: Log) -> Result<Vec<Record>> {
        access_log::read_log(&self.dir.path().join("logs"), log)
    }

    /// Ends every process, the load balancers in order (SIGTERM). The logs stay.
    ///
    /// # Errors
    /// When a process has not ended soon, or a load balancer not well.
    pub async fn stop(&mut self) -> Result<()> {
        for balancer in &mut self.balancers {
            balancer.signal("TERM").await?;
            let status = balancer.exited(SOON).await?;
            ensure!(status.success(), "ended with {status}: {}", balancer.stderr());
        }
        // They would spread the end of their WebSockets over many seconds.
        for target in &mut self.targets {
            target.signal("KILL").await?;
            target.exited(SOON).await?;
        }
        Ok(())
    }
}

fn states(answer: &Value) -> Vec<String> {
    let groups = answer.pointer("/TargetGroups").and_then(Value::as_array).into_iter().flatten();
    let targets = groups.filter_map(|group| group.get("TargetHealthDescriptions")?.as_array()).flatten();
    let state = |target: &Value| target.pointer("/TargetHealth/State")?.as_str().map(str::to_owned);
    targets.map(|target| state(target).unwrap_or_default()).collect()
}
