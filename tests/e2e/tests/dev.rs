//! `albeit dev` with `conf/dev.yaml`: what a user gets who types `make run`.

use std::{fs, path::Path, time::Duration};

use albeit_e2e::{
    Client,
    albeit::binary,
    ca::{ALL_VERSIONS, trusting},
    eventually,
    ports::HeldPort,
    process::Process,
    wait::SOON,
};
use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

/// The variables of `conf/dev.yaml`, in the order of [`Dev::ports`].
const VARIABLES: [&str; 5] = [
    "${ALBEIT_HTTPS_PORT:-8443}",
    "${ALBEIT_HTTP_PORT:-8080}",
    "${ALBEIT_BACKEND_1_PORT:-9001}",
    "${ALBEIT_BACKEND_2_PORT:-9002}",
    "${ALBEIT_ADMIN_BIND:-127.0.0.1:9901}",
];

/// Five seconds until a backend is started again, and two health checks.
const COMING_BACK: Duration = Duration::from_secs(40);

struct Dev {
    process: Process,
    ports: [u16; 5],
    dir: TempDir,
}

impl Dev {
    /// `albeit dev` shares its ports with nobody, so they are only free as far as
    /// one can tell: it is tried again when it ends.
    async fn start() -> Result<Self> {
        let mut last = None;
        for _ in 0..3 {
            let mut dev = Self::launch()?;
            let ready = eventually(SOON, "the demo page", || dev.whoami()).await;
            match ready {
                Ok(_) => return Ok(dev),
                Err(error) if dev.process.still_running().is_ok() => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no attempt")?)
    }

    fn launch() -> Result<Self> {
        let held: Vec<HeldPort> = (0..5).map(|_| HeldPort::try_new()).collect::<Result<_>>()?;
        let ports: [u16; 5] = std::array::from_fn(|n| held[n].port());
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
        drop(held);
        let args = ["dev", "-c", file.to_str().context("UTF-8")?, "--drain", "5s"];
        let process = Process::spawn("albeit-dev", &binary()?, args, dir.path())?;
        Ok(Self { process, ports, dir })
    }

    async fn client(&self) -> Result<Client> {
        let ca = fs::read_to_string(self.dir.path().join("certs/ca.pem"))?;
        let tls = trusting(&ca, &["http/1.1"], ALL_VERSIONS)?;
        Client::connect_tls(([127, 0, 0, 1], self.ports[0]).into(), "localhost", tls).await
    }

    async fn whoami(&self) -> Result<String> {
        let answer = self.client().await?.get("/whoami").await?;
        ensure!(answer.status == 200, "{}", answer.status);
        Ok(answer.text())
    }
}

#[tokio::test]
async fn one_command_gives_tls_two_backends_and_a_redirect() -> Result<()> {
    let mut dev = Dev::start().await?;
    let [https, http, first, second, _admin] = dev.ports;
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

/// The process whose command line has `--port PORT`.
fn process_on(port: u16) -> Result<u32> {
    let wanted = format!("--port\0{port}\0");
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let pid = path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        let command = fs::read(path.join("cmdline")).unwrap_or_default();
        if let (Some(pid), true) = (pid, String::from_utf8_lossy(&command).contains(&wanted)) {
            return Ok(pid);
        }
    }
    bail!("no process on port {port}")
}

#[tokio::test]
async fn a_backend_that_is_killed_comes_back_and_the_other_serves_meanwhile() -> Result<()> {
    let dev = Dev::start().await?;
    let first = dev.ports[2];
    let killed = process_on(first)?;
    let status = tokio::process::Command::new("kill").args(["-9", &killed.to_string()]).status().await?;
    ensure!(status.success());
    eventually(SOON, "the backend's end", || async {
        ensure!(Client::connect(([127, 0, 0, 1], first).into()).await.is_err());
        Ok(())
    })
    .await?;
    eventually(SOON, "an answer of the other backend", || async {
        let who = dev.whoami().await?;
        ensure!(who.contains("backend-2"), "{who}");
        Ok(())
    })
    .await?;
    eventually(COMING_BACK, "the backend again", || async {
        let who = dev.whoami().await?;
        ensure!(who.contains("backend-1"), "{who}");
        Ok(())
    })
    .await?;
    assert_ne!(process_on(first)?, killed);
    Ok(())
}
