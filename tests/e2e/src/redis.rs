//! A Redis server as a process. `scripts/install-peers` installs it where that is
//! allowed; a test that lacks it says so and goes on.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use anyhow::Result;
use tempfile::TempDir;

use crate::{
    flow::connect,
    ports::HeldPort,
    process::Process,
    wait::{SOON, eventually},
};

/// A running `redis-server`.
#[derive(Debug)]
pub struct Redis {
    addr: SocketAddr,
    _process: Process,
    _dir: Arc<TempDir>,
}

impl Redis {
    /// Starts a server that keeps nothing and sends TCP keepalive packets every second; `None`, with a note,
    /// if there is none.
    ///
    /// # Errors
    /// When it is not there soon.
    #[expect(clippy::print_stderr, reason = "test runners show it on request")]
    pub async fn start() -> Result<Option<Self>> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|dir| dir.join("redis-server").is_file()) {
            eprintln!("SKIPPED flows to Redis: redis-server is missing (scripts/install-peers)");
            return Ok(None);
        }
        let dir = Arc::new(tempfile::Builder::new().prefix("albeit-e2e-").tempdir()?);
        // It does not share a held port, so it gets an address that nobody else has.
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        let addr = HeldPort::on(Ipv4Addr::new(127, 100 + high, middle, low).into())?.addr();
        let (ip, port) = (addr.ip().to_string(), addr.port().to_string());
        let args = ["--bind", &ip, "--port", &port, "--save", "", "--tcp-keepalive", "1", "--dir"];
        let args = args.into_iter().map(Path::new).chain([dir.path()]);
        let process = Process::spawn("redis", Path::new("redis-server"), args, dir.path())?;
        eventually(SOON, "Redis", || connect(addr)).await?;
        Ok(Some(Self { addr, _process: process, _dir: dir }))
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }
}
