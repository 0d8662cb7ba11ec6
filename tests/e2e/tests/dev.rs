//! `albeit dev` with `conf/dev.yaml`: what a user gets who types `make run`.

use std::{fs, net::TcpListener, path::Path, time::Duration};

use albeit_e2e::{
    Client,
    albeit::binary,
    ca::{ALL_VERSIONS, trusting},
    eventually,
    ports::HeldPort,
    process::Process,
    wait::SOON,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

/// The variables of `conf/dev.yaml`, in the order of [`Dev::ports`].
const VARIABLES: [&str; 6] = [
    "${ALBEIT_HTTPS_PORT:-8443}",
    "${ALBEIT_HTTP_PORT:-8080}",
    "${ALBEIT_BACKEND_1_PORT:-9001}",
    "${ALBEIT_BACKEND_2_PORT:-9002}",
    "${ALBEIT_ADMIN_BIND:-127.0.0.1:9901}",
    "${ALBEIT_NLB_PORT:-33335}",
];

struct Dev {
    process: Process,
    ports: [u16; 6],
    dir: TempDir,
}

/// Ports that are free at the moment.
fn free_ports() -> Result<[u16; 6]> {
    let held: Vec<HeldPort> = (0..6).map(|_| HeldPort::try_new()).collect::<Result<_>>()?;
    Ok(std::array::from_fn(|n| held[n].port()))
}

impl Dev {
    /// `albeit dev` shares its ports with nobody, so they are only free as far as
    /// one can tell: it is tried again when it ends.
    async fn start(args: &[&str]) -> Result<Self> {
        let mut last = None;
        for _ in 0..3 {
            let mut dev = Self::launch(free_ports()?, args)?;
            let ready = eventually(SOON, "the demo page", || dev.whoami()).await;
            match ready {
                Ok(_) => return Ok(dev),
                Err(error) if dev.process.still_running().is_ok() => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no attempt")?)
    }

    fn launch(ports: [u16; 6], args: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let conf = dir.path().join("conf");
        fs::create_dir(&conf)?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/dev.yaml");
        let mut text = fs::read_to_string(source)?;
        for (variable, port) in VARIABLES.iter().zip(ports) {
            ensure!(text.contains(variable), "conf/dev.yaml has no {variable}");
            let value =
                if variable.contains("BIND") { format!("127.0.0.1:{port}") } else { port.to_string() };
            text = text.replace(variable, &value);
        }
        let file = conf.join("dev.yaml");
        fs::write(&file, text)?;
        let args = [&["dev", "-c", file.to_str().context("UTF-8")?, "--drain", "5s"], args].concat();
        let process = Process::spawn("albeit-dev", &binary()?, args, dir.path())?;
        Ok(Self { process, ports, dir })
    }

    async fn client(&self) -> Result<Client> {
        let ca = fs::read_to_string(self.dir.path().join("certs/ca.pem"))?;
        let tls = trusting(&ca, &["http/1.1"], ALL_VERSIONS)?;
        Client::connect_tls(([127, 0, 0, 1], self.ports[0]).into(), "localhost", tls).await
    }

    /// The same through the network load balancer.
    async fn network_client(&self) -> Result<Client> {
        let ca = fs::read_to_string(self.dir.path().join("certs/ca.pem"))?;
        let tls = trusting(&ca, &["http/1.1"], ALL_VERSIONS)?;
        Client::connect_tls(([127, 0, 0, 1], self.ports[5]).into(), "localhost", tls).await
    }

    /// State of the target on the second backend's port, as the admin API shows it.
    async fn second_target(&self) -> Result<String> {
        let [_, _, _, second, admin, _] = self.ports;
        let mut client = Client::connect(([127, 0, 0, 1], admin).into()).await?;
        let answer: Value = serde_json::from_slice(&client.get("/targets").await?.body)?;
        let targets = answer.pointer("/TargetGroups/0/TargetHealthDescriptions").and_then(Value::as_array);
        let target = targets.context("no targets")?.iter().find(|t| t["Target"]["Port"] == second);
        let state = target.and_then(|target| target.pointer("/TargetHealth/State")).and_then(Value::as_str);
        state.map(str::to_owned).with_context(|| format!("no state of {second} in {answer}"))
    }

    async fn second_target_is(&self, wanted: &str) -> Result<()> {
        eventually(SOON, &format!("second backend {wanted}"), || async {
            let state = self.second_target().await?;
            ensure!(state == wanted, "{state}");
            Ok(())
        })
        .await
    }

    /// Which backend answers.
    async fn instance(&self) -> Result<&'static str> {
        let who = self.whoami().await?;
        let found = ["backend-1", "backend-2"].into_iter().find(|name| who.contains(name));
        found.with_context(|| format!("no instance in {who}"))
    }

    async fn whoami(&self) -> Result<String> {
        let answer = self.client().await?.get("/whoami").await?;
        ensure!(answer.status == 200, "{}", answer.status);
        Ok(answer.text())
    }
}

#[tokio::test]
async fn one_command_gives_tls_two_backends_and_a_redirect() -> Result<()> {
    let mut dev = Dev::start(&[]).await?;
    let [https, http, first, second, _admin, _nlb] = dev.ports;
    // Both backends answer in turn as long as no cookie is sent.
    eventually(SOON, "both backends", || async {
        let pair = [dev.whoami().await?, dev.whoami().await?];
        let seen = |name: &str| pair.iter().any(|who| who.contains(name));
        ensure!(seen("backend-1") && seen("backend-2"), "{pair:?}");
        Ok(())
    })
    .await?;
    let page = dev.client().await?.get("/").await?;
    assert!(page.header("content-type")?.starts_with("text/html"), "{}", page.head);

    let mut plain = Client::connect(([127, 0, 0, 1], http).into()).await?;
    plain.send("GET /a?b=c HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let moved = plain.response().await?;
    let location = format!("https://localhost:{https}/a?b=c");
    assert_eq!((moved.status, moved.header("location")?), (301, location.as_str()));

    let said = dev.process.stdout() + &dev.process.stderr();
    assert!(said.contains(&format!("https://localhost:{https}/")), "{said}");

    dev.process.signal("TERM").await?;
    assert!(dev.process.exited(SOON).await?.success());
    for port in [https, http, first, second] {
        assert!(Client::connect(([127, 0, 0, 1], port).into()).await.is_err(), "{port} is still open");
    }
    Ok(())
}

#[tokio::test]
async fn a_backend_that_is_killed_comes_back_and_the_other_serves_meanwhile() -> Result<()> {
    // Health checks every half second; 1.5 s before the next start.
    let mut dev = Dev::start(&["--time-scale", "10"]).await?;
    dev.second_target_is("healthy").await?;
    let argument = dev.ports[3].to_string();
    let killed = Instant::now();
    let old = dev.process.kill_child(&argument).await?;
    dev.second_target_is("unhealthy").await?;
    let other = dev.instance().await?;
    for _ in 0..3 {
        assert_eq!(dev.instance().await?, other);
    }
    dev.second_target_is("healthy").await?;
    let away = killed.elapsed();
    assert!(away >= Duration::from_millis(1500), "{away:?}");
    assert_ne!(dev.process.child(&argument)?, old);
    eventually(SOON, "an answer of the new process", || async {
        let instance = dev.instance().await?;
        ensure!(instance != other, "{instance}");
        Ok(())
    })
    .await?;
    dev.process.signal("TERM").await?;
    assert!(dev.process.exited(SOON).await?.success());
    Ok(())
}

#[tokio::test]
async fn a_taken_backend_port_is_named_with_the_variable_to_change() -> Result<()> {
    let mut ports = free_ports()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    ports[2] = taken.local_addr()?.port();
    let mut dev = Dev::launch(ports, &[])?;
    assert_eq!(dev.process.exited(SOON).await?.code(), Some(1));
    let said = dev.process.stderr();
    for expected in [&format!("127.0.0.1:{}", ports[2]), "ALBEIT_BACKEND_1_PORT"] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    Ok(())
}

#[tokio::test]
async fn the_network_load_balancer_leads_to_the_same_backends_without_forwarded_headers() -> Result<()> {
    let mut dev = Dev::start(&[]).await?;
    let answer = dev.network_client().await?.get("/whoami").await?;
    assert_eq!(answer.status, 200);
    let who = answer.text();
    ensure!(who.contains("backend-1") || who.contains("backend-2"), "{who}");
    ensure!(!who.to_ascii_lowercase().contains("x-forwarded-for"), "{who}");
    assert!(answer.headers("set-cookie").is_empty());
    dev.process.signal("TERM").await?;
    assert!(dev.process.exited(SOON).await?.success());
    Ok(())
}
