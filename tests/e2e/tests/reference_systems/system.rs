//! A system of `conf/reference/`, started with its own files.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::PathBuf, sync::Arc};

use albeit_e2e::{
    Client, Response, albeit,
    ca::{ALL_VERSIONS, trusting},
    eventually,
    process::{self, Process},
    topology::{
        ports::{Name, Ports},
        stage::{Directory, TARGET_CERTIFICATE, TARGET_KEY, repository},
    },
    wait::SOON,
    websocket::WebSocket,
};
use anyhow::{Context as _, Result, ensure};
use rustls::ClientConfig;
use serde_json::Value;

use super::token;

/// What is started of a system.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    /// The load balancer's file, below `conf/`.
    pub(super) balancer: String,
    /// The instances' file, below `conf/`; without one the test has targets of its own.
    pub(super) backend: Option<String>,
    /// Environment of all processes.
    pub(super) environment: Vec<(&'static str, String)>,
    /// Whether the instances end TLS, with the certificate of the directory: the files name it relative to the
    /// working directory, which is the test's.
    pub(super) instances_end_tls: bool,
    /// All timers are divided by it; 0 is 1.
    pub(super) time_scale: u32,
}

/// The running processes of a system.
pub(super) struct System {
    // Before the directory: processes write into it to their end.
    balancer: Process,
    /// `backend-1` and `backend-2`.
    pub(super) instances: Vec<Process>,
    pub(super) ports: Ports,
    pub(super) dir: Directory,
}

impl Plan {
    /// The files of a folder of `conf/reference/`.
    pub(super) fn of(folder: &str, backend: &str) -> Self {
        Self {
            balancer: format!("reference/{folder}/alb.yaml"),
            backend: Some(format!("reference/{folder}/{backend}")),
            ..Self::default()
        }
    }

    pub(super) fn with(mut self, variable: &'static str, value: &impl ToString) -> Self {
        self.environment.push((variable, value.to_string()));
        self
    }

    pub(super) const fn scaled(mut self, by: u32) -> Self {
        self.time_scale = by;
        self
    }

    /// Starts the instances, then the load balancer, and waits until all targets are healthy.
    pub(super) async fn start(self) -> Result<System> {
        let dir = Directory::try_new().await?;
        copy_folder_of(&self.balancer, &dir)?;
        let ports = Ports::held()?;
        let scale = self.time_scale.max(1).to_string();
        let mut environment: Vec<(&str, PathBuf)> =
            ports.environment(Name::Admin).into_iter().map(|(name, value)| (name, value.into())).collect();
        for name in ["ALBEIT_ADDRESS", "ALBEIT_BACKEND_1", "ALBEIT_BACKEND_2"] {
            environment.push((name, "127.0.0.1".into()));
        }
        environment.push(("ALBEIT_HTTP_PORT", ports.number(Name::Https).to_string().into()));
        environment.push(("JWT_SECRET", token::SECRET.into()));
        if self.instances_end_tls {
            environment.push(("SERVER_SSL_CERTIFICATE", dir.path().join(TARGET_CERTIFICATE)));
            environment.push(("SERVER_SSL_CERTIFICATEPRIVATEKEY", dir.path().join(TARGET_KEY)));
        }
        environment.extend(self.environment.iter().map(|(name, value)| (*name, value.into())));

        let mut instances = Vec::new();
        for (number, port) in [(1, Name::Backend1), (2, Name::Backend2)] {
            let Some(file) = &self.backend else { break };
            let (name, port) = (format!("backend-{number}"), ports.number(port).to_string());
            let file = dir.path().join("conf").join(file);
            let file = file.to_str().context("not UTF-8")?;
            let args = ["--config", file, "--port", &port, "--address", "127.0.0.1", "--instance", &name];
            let args = args.into_iter().chain(["--reuse-port", "--time-scale", &scale]);
            let binary = process::binary("ALBEIT_BACKEND_BIN", "albeit-backend")?;
            let instance = Process::spawn_with(&name, &binary, args, dir.path(), &environment)?;
            eventually(SOON, "an instance listens", || async {
                ensure!(instance.stderr().contains("server: listening"), "{name}: {}", instance.stderr());
                Ok(())
            })
            .await?;
            instances.push(instance.quiet());
        }
        let file = dir.path().join("conf").join(&self.balancer);
        let file = file.to_str().context("not UTF-8")?;
        let args = ["run", "-c", file, "--reuse-port", "--time-scale", &scale];
        let balancer = Process::spawn_with("albeit", &albeit::binary()?, args, dir.path(), &environment)?;
        let mut system = System { balancer: balancer.quiet(), instances, ports, dir };
        let healthy = eventually(SOON, "every target is healthy", || async {
            let states = system.states().await?;
            ensure!(!states.is_empty() && states.values().all(|state| state == "healthy"), "{states:?}");
            Ok(())
        })
        .await;
        for process in system.instances.iter_mut().chain([&mut system.balancer]) {
            process.still_running()?;
        }
        healthy?;
        Ok(system)
    }
}

/// Copies what the system's folder has. The files of [`Directory`] itself are those of the four ways.
fn copy_folder_of(file: &str, dir: &Directory) -> Result<()> {
    let folder = file.rsplit_once('/').map_or("reference/b-nlb-or-alb", |(folder, _)| folder);
    let (from, to) = (repository().join("conf").join(folder), dir.path().join("conf").join(folder));
    fs::create_dir_all(&to)?;
    for entry in fs::read_dir(&from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

impl System {
    /// Where clients of an Application Load Balancer connect to.
    pub(super) fn front(&self) -> SocketAddr {
        self.ports.addr(Name::Https)
    }

    /// Client settings that trust the development certificates.
    pub(super) fn tls(&self) -> Result<Arc<ClientConfig>> {
        let read = |file: &str| fs::read_to_string(self.dir.path().join(file));
        trusting(&(read("certs/ca.pem")? + &read("certs/targets/ca.pem")?), &["http/1.1"], ALL_VERSIONS)
    }

    /// A client over TLS.
    pub(super) async fn client(&self) -> Result<Client> {
        Client::connect_tls(self.front(), "localhost", self.tls()?).await
    }

    /// GET over TLS on a new connection, with further header lines.
    pub(super) async fn get(&self, path: &str, headers: &[&str]) -> Result<Response> {
        self.client().await?.get_with(path, headers).await
    }

    /// POST likewise.
    pub(super) async fn post(&self, path: &str, headers: &[&str], body: &str) -> Result<Response> {
        let mut client = self.client().await?;
        let mut head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n");
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        client.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await?;
        client.response().await
    }

    /// A WebSocket over TLS.
    pub(super) async fn web_socket(&self, path: &str, headers: &[(&str, &str)]) -> Result<WebSocket> {
        WebSocket::open(self.client().await?, path, headers).await
    }

    /// `AWSALB=…` that binds a client to each instance, by the instance's name.
    pub(super) async fn cookies(&self) -> Result<BTreeMap<String, String>> {
        let mut cookies = BTreeMap::new();
        for _ in 0..50 {
            let answer = self.get("/whoami", &[]).await?;
            cookies.insert(text(&json(&answer)?, "/instance"), answer.cookie("AWSALB")?);
            if cookies.len() == self.instances.len() {
                break;
            }
        }
        ensure!(cookies.len() == self.instances.len(), "all of 50 requests went to {cookies:?}");
        Ok(cookies)
    }

    /// GET on the admin API.
    pub(super) async fn admin(&self, path: &str) -> Result<Value> {
        json(&Client::connect(self.ports.addr(Name::Admin)).await?.get(path).await?)
    }

    /// State of each target by its port.
    pub(super) async fn states(&self) -> Result<BTreeMap<u64, String>> {
        let answer = self.admin("/targets").await?;
        let targets = answer
            .pointer("/TargetGroups/0/TargetHealthDescriptions")
            .and_then(Value::as_array)
            .with_context(|| format!("{answer}"))?;
        let port =
            |target: &Value| target.pointer("/Target/Port").and_then(Value::as_u64).unwrap_or_default();
        Ok(targets.iter().map(|target| (port(target), text(target, "/TargetHealth/State"))).collect())
    }

    /// A metric of an instance, its series summed: `instance` counts from 0.
    pub(super) async fn metric(&self, instance: usize, name: &str) -> Result<f64> {
        let port = if instance == 0 { Name::Backend1 } else { Name::Backend2 };
        let text = Client::connect(self.ports.addr(port)).await?.get("/metrics").await?.text();
        let values =
            text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' ')?.1.parse().ok());
        let values: Vec<f64> = values.collect();
        ensure!(!values.is_empty(), "no {name} in {text}");
        Ok(values.iter().sum())
    }
}

/// The body as JSON.
pub(super) fn json(response: &Response) -> Result<Value> {
    serde_json::from_slice(&response.body).with_context(|| format!("{} {}", response.head, response.text()))
}

/// A text in JSON; empty if there is none.
pub(super) fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
