//! `albeit-backend` as a process.

use std::{ffi::OsStr, net::SocketAddr, sync::Arc};

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
        let backend = Self::start_with(instance, &[]).await?;
        eventually(SOON, "a healthy backend", || async {
            let response = Client::connect(backend.addr()).await?.get("/health").await?;
            ensure!(response.status == 200, "health is {}", response.status);
            Ok(())
        })
        .await
        .with_context(|| format!("backend {instance}: {}", backend.process.stderr()))?;
        Ok(backend)
    }

    /// Starts a backend with further arguments and waits until it says that it listens.
    ///
    /// # Errors
    /// When it does not soon.
    pub async fn start_with(instance: &str, arguments: &[&OsStr]) -> Result<Self> {
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
        let args = args.iter().map(OsStr::new).chain(arguments.iter().copied());
        let process = Process::spawn(instance, &binary, args, dir.path())?;
        let backend = Self { process, instance: instance.to_owned(), port, _dir: dir };
        backend.says("listening").await?;
        Ok(backend)
    }

    /// Waits until its log has `text`.
    ///
    /// # Errors
    /// When it has not soon; the error has the log.
    pub async fn says(&self, text: &str) -> Result<()> {
        eventually(SOON, text, || async {
            let log = self.process.stderr();
            ensure!(log.contains(text), "backend {} says: {log}", self.instance);
            Ok(())
        })
        .await
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.port.addr()
    }
}
