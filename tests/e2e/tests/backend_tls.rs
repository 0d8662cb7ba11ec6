//! The backend as the target of a TCP listener: TLS ends there, and the PROXY
//! protocol tells it the client.

use std::{ffi::OsStr, sync::Arc};

use albeit_e2e::{
    Backend, Ca, Client,
    ca::{ALL_VERSIONS, Certificate},
    process,
    wait::SOON,
    websocket::WebSocket,
};
use anyhow::{Context as _, Result};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A backend with a certificate for `backend.test`, and what its clients need.
struct Secure {
    backend: Backend,
    ca: Ca,
    certificate: Certificate,
    tls: Arc<ClientConfig>,
    dir: TempDir,
}

impl Secure {
    async fn start(arguments: &[&str]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("albeit-e2e-").tempdir()?;
        let ca = Ca::try_new()?;
        let certificate = ca.issue(dir.path(), "backend", &["backend.test"])?;
        let mut all = vec![
            OsStr::new("--ssl-certificate"),
            certificate.certificate.as_os_str(),
            OsStr::new("--ssl-certificate-private-key"),
            certificate.private_key.as_os_str(),
        ];
        all.extend(arguments.iter().map(OsStr::new));
        let backend = Backend::start_with("b1", &all).await?;
        let tls = ca.client(&["h2", "http/1.1"], ALL_VERSIONS)?;
        Ok(Self { backend, ca, certificate, tls, dir })
    }

    async fn client(&self) -> Result<Client> {
        Client::connect_tls(self.backend.addr(), "backend.test", Arc::clone(&self.tls)).await
    }

    /// The certificate that new connections get, DER.
    async fn leaf(&self) -> Result<Vec<u8>> {
        Ok(self.client().await?.tls.context("TLS")?.leaf)
    }
}

#[tokio::test]
async fn https_and_websockets_are_served_and_the_log_says_so() -> Result<()> {
    let secure = Secure::start(&[]).await?;
    secure.backend.says("tls=true").await?;
    let mut client = secure.client().await?;
    assert_eq!(client.tls.as_ref().context("TLS")?.alpn.as_deref(), Some("http/1.1"));
    let seen: Value = serde_json::from_str(&client.get("/whoami").await?.text())?;
    assert_eq!(seen["tls"]["server_name"], "backend.test");
    assert_eq!(seen["tls"]["protocol"], "TLSv1.3");
    let mut echo = WebSocket::open(secure.client().await?, "/echo", &[]).await?;
    echo.echo(vec![7; 100_000]).await
}

#[tokio::test]
async fn sighup_takes_up_a_new_certificate_and_a_websocket_stays_open() -> Result<()> {
    let mut secure = Secure::start(&[]).await?;
    let mut echo = WebSocket::open(secure.client().await?, "/echo", &[]).await?;
    let old = secure.leaf().await?;
    secure.ca.issue(secure.dir.path(), "backend", &["backend.test"])?;
    secure.backend.process.signal("HUP").await?;
    secure.backend.says("certificate reloaded").await?;
    let new = secure.leaf().await?;
    assert_ne!(old, new);
    echo.echo(b"still here".to_vec()).await?;

    std::fs::write(&secure.certificate.private_key, "no key")?;
    secure.backend.process.signal("HUP").await?;
    secure.backend.says("certificate not reloaded, the old one stays in force").await?;
    secure.backend.says("backend-key.pem: holds no private key in PEM").await?;
    assert_eq!(secure.leaf().await?, new);
    echo.echo(b"still here".to_vec()).await?;
    secure.backend.process.still_running()
}

#[tokio::test]
async fn sighup_without_a_certificate_does_not_end_the_backend() -> Result<()> {
    let mut backend = Backend::start("b1").await?;
    backend.process.signal("HUP").await?;
    backend.says("SIGHUP: there is nothing to read again").await?;
    backend.process.still_running()
}

#[tokio::test]
async fn a_proxy_header_before_tls_names_the_client() -> Result<()> {
    let arguments = ["--proxy-protocol", "required", "--proxy-protocol-trusted-peers", "127.0.0.0/8"];
    let secure = Secure::start(&arguments).await?;
    let mut client = Client::connect(secure.backend.addr()).await?;
    client.send("PROXY TCP4 198.51.100.7 192.0.2.1 56324 443\r\n").await?;
    let mut client = client.start_tls("backend.test", Arc::clone(&secure.tls)).await?;
    let seen: Value = serde_json::from_str(&client.get("/whoami").await?.text())?;
    assert_eq!(seen["forwarded"], json!({ "client": "198.51.100.7", "proto": "https", "port": 443 }));
    assert_eq!(
        seen["proxy_protocol"],
        json!({
            "version": 1,
            "command": "PROXY",
            "source": "198.51.100.7:56324",
            "destination": "192.0.2.1:443"
        })
    );
    // The log names that client too.
    client.send("GET / HTTP/1.1\r\n\r\n").await?;
    assert_eq!(client.response().await?.status, 400);
    secure.backend.says("malformed request remote=198.51.100.7:56324").await
}

#[tokio::test]
async fn a_bad_certificate_refuses_the_start_with_2_before_a_socket_opens() -> Result<()> {
    let dir = tempfile::Builder::new().prefix("albeit-e2e-").tempdir()?;
    let certificate = Ca::try_new()?.issue(dir.path(), "backend", &["backend.test"])?;
    let missing = dir.path().join("none.pem");
    let arguments = [
        OsStr::new("--port"),
        OsStr::new("0"),
        OsStr::new("--ssl-certificate"),
        certificate.certificate.as_os_str(),
        OsStr::new("--ssl-certificate-private-key"),
        missing.as_os_str(),
    ];
    let binary = process::binary("ALBEIT_BACKEND_BIN", "albeit-backend")?;
    let mut backend = process::Process::spawn("b1", &binary, arguments, dir.path())?;
    assert_eq!(backend.exited(SOON).await?.code(), Some(2));
    let said = backend.stderr();
    let expected = format!(
        "server.ssl.certificate-private-key: {}: cannot be read: No such file or directory",
        missing.display()
    );
    assert!(said.contains(&expected), "{said}");
    assert!(!said.contains("listening"), "{said}");
    Ok(())
}
