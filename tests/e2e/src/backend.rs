//! `albeit-backend` as a process.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{
    client::Client,
    ports::HeldPort,
    process::{self, Process},
    wait::{SOON, eventually},
};

/// A running backend.
#[derive(Debug)]
pub struct Backend {
    /// The process.
    pub process: Process,
    /// Its name in `/whoami`.
    pub instance: String,
    port: HeldPort,
    _dir: Arc<TempDir>,
}

impl Backend {
    /// Starts a backend and waits until `/health` answers 200.
    ///
    /// # Errors
    /// When it is not there soon.
    pub async fn start(instance: &str) -> Result<Self> {
        let dir = Arc::new(tempfile::Builder::new().prefix("albeit-e2e-").tempdir()?);
        let port = HeldPort::try_new()?;
        let number = port.port().to_string();
        let args = [
            "--port",
            &number,
            "--address",
            "127.0.0.1",
            "--instance",
            instance,
            "--reuse-port",
            "--drain",
            "2s",
        ];
        let binary = process::binary("ALBEIT_BACKEND_BIN", "albeit-backend")?;
        let process = Process::spawn(instance, &binary, args, dir.path())?;
        let backend = Self { process, instance: instance.to_owned(), port, _dir: dir };
        eventually(SOON, "a healthy backend", || async {
            let response = Client::connect(backend.addr()).await?.get("/health").await?;
            ensure!(response.status == 200, "health is {}", response.status);
            Ok(())
        })
        .await
        .with_context(|| format!("backend {instance}: {}", backend.process.stderr()))?;
        Ok(backend)
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.port.addr()
    }
}
