//! A MariaDB server as a process. `scripts/install-peers` installs it where that
//! is allowed; a test that lacks it says so and goes on.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use crate::harness::soon;

/// A MariaDB server with the database `chat`, whose user is `ann` with the
/// password `secret`. It is killed when this is dropped.
pub(crate) struct MariaDb {
    dir: TempDir,
    program: PathBuf,
    address: Ipv4Addr,
    port: u16,
    process: Child,
}

/// A program in PATH, or where Debian has servers.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Both programs insist on being told when they run as root.
fn user() -> Vec<&'static str> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if is_root { vec!["--user=root"] } else { Vec::new() }
}

impl MariaDb {
    /// Starts a server. None, with a note, if there is none.
    pub(crate) async fn start() -> Option<Self> {
        let (Some(install), Some(program)) = (program("mariadb-install-db"), program("mariadbd")) else {
            eprintln!("SKIPPED the message store in MySQL: mariadbd is missing (scripts/install-peers)");
            return None;
        };
        let dir = tempfile::Builder::new().prefix("albeit-mariadb-").tempdir().unwrap();
        let made = Command::new(install)
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", dir.path().join("data").display()))
            .args(user())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // An address of its own, where nobody else takes the port meanwhile.
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 180 + high % 64, middle, low);
        let port = TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port();
        let process = spawn(&program, &dir, address, port);
        let server = Self { dir, program, address, port, process };
        for statement in [
            "CREATE DATABASE chat",
            "CREATE USER ann IDENTIFIED BY 'secret'",
            "GRANT ALL ON chat.* TO ann",
            // The anonymous user would win over ann.
            "DELETE FROM mysql.global_priv WHERE User = ''",
            "FLUSH PRIVILEGES",
        ] {
            server.execute(statement).await;
        }
        Some(server)
    }

    /// As the store is told, without the password.
    pub(crate) fn url(&self) -> String {
        format!("mysql://ann@{}:{}/chat", self.address, self.port)
    }

    /// As its administrator.
    pub(crate) async fn execute(&self, statement: &'static str) {
        let mut connection = self.connection().await;
        soon(sqlx::query(statement).execute(&mut connection)).await.unwrap();
        soon(connection.close()).await.unwrap();
    }

    /// The administrator's connection, as soon as the server takes it.
    pub(crate) async fn connection(&self) -> MySqlConnection {
        let options = MySqlConnectOptions::new().socket(self.dir.path().join("socket")).username("root");
        soon(async {
            loop {
                match options.connect().await {
                    Ok(connection) => return connection,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        })
        .await
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again, with what it had written.
    pub(crate) fn restart(&mut self) {
        self.process = spawn(&self.program, &self.dir, self.address, self.port);
    }

    /// Stops or continues the process, while its sockets stay open.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        if self.process.kill().is_ok() {
            self.process.wait().unwrap();
        }
    }
}

fn spawn(program: &PathBuf, dir: &TempDir, address: Ipv4Addr, port: u16) -> Child {
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    Command::new(program)
        .args(["--no-defaults", "--skip-log-bin", "--innodb-buffer-pool-size=16M"])
        .arg(format!("--datadir={}", dir.path().join("data").display()))
        .arg(format!("--socket={}", dir.path().join("socket").display()))
        .args([format!("--bind-address={address}"), format!("--port={port}")])
        .args(user())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}
