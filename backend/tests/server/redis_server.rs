//! A real Redis for one test, and a proxy before it.
//!
//! Redis listens on a socket in a directory of its own, the proxy on a port that
//! it holds: a Redis that is killed comes back under the same address.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use albeit_backend::config::{Config, RelayMode};
use futures_util::StreamExt;
use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionAddr, IntoConnectionInfo};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep};

use crate::harness::{Running, soon, start, until};

/// Between two looks at a state.
const LOOK: Duration = Duration::from_millis(10);

/// A Redis.
pub(crate) struct Redis {
    pub(crate) dir: TempDir,
    arguments: Vec<OsString>,
    process: Option<Child>,
    proxy: Proxy,
}

/// Forwards, unless told to swallow.
struct Proxy {
    port: u16,
    is_hole: Arc<watch::Sender<bool>>,
    _tasks: JoinSet<()>,
}

impl Redis {
    /// Starts a Redis that keeps nothing on disk.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        let proxy = Proxy::start(socket.clone()).await;
        let mut all: Vec<OsString> = ["--port", "0", "--save", ""].map(OsString::from).into();
        all.extend(["--unixsocket".into(), socket.into(), "--dir".into(), dir.path().into()]);
        all.extend(arguments.iter().map(OsString::from));
        let mut redis = Self { dir, arguments: all, process: None, proxy };
        redis.revive().await;
        redis
    }

    /// Starts it again, and waits until it answers.
    pub(crate) async fn revive(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(&self.arguments).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        self.process = Some(command.spawn().expect("redis-server: see scripts/install-peers"));
        soon(async {
            while self.connect().await.is_none() {
                sleep(LOOK).await;
            }
        })
        .await;
    }

    async fn connect(&self) -> Option<MultiplexedConnection> {
        let info = ConnectionAddr::Unix(self.dir.path().join("s")).into_connection_info().ok()?;
        let mut connection = Client::open(info).ok()?.get_multiplexed_async_connection().await.ok()?;
        match redis::cmd("PING").exec_async(&mut connection).await {
            Err(error) if error.code() != Some("NOAUTH") => None,
            _ => Some(connection),
        }
    }

    /// Ends it without a word.
    pub(crate) async fn kill(&mut self) {
        soon(self.process.take().unwrap().kill()).await.unwrap();
        std::fs::remove_file(self.dir.path().join("s")).unwrap();
    }

    /// Sends it a signal, as `STOP` and `CONT`.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.process.as_ref().unwrap().id().unwrap();
        let signal = format!("-{name}");
        let status = soon(Command::new("kill").args([&signal, &id.to_string()]).status()).await;
        assert!(status.unwrap().success());
    }

    /// Whether what is sent through the proxy vanishes.
    pub(crate) fn swallow(&self, is_hole: bool) {
        self.proxy.is_hole.send_replace(is_hole);
    }

    /// Runs a command, not through the proxy.
    pub(crate) async fn run<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let mut connection = soon(self.connect()).await.unwrap();
        let mut built = redis::Cmd::new();
        for argument in command {
            built.arg(argument);
        }
        soon(built.query_async(&mut connection)).await.unwrap()
    }

    /// Runs commands with a password.
    pub(crate) async fn run_as(&self, password: &str, commands: &[&[&str]]) {
        let mut connection = soon(self.connect()).await.unwrap();
        let auth: &[&str] = &["AUTH", password];
        for command in std::iter::once(&auth).chain(commands) {
            let mut built = redis::Cmd::new();
            for argument in *command {
                built.arg(argument);
            }
            soon(built.exec_async(&mut connection)).await.unwrap();
        }
    }

    /// Listens to a pattern: channel and text of each message.
    pub(crate) async fn listen(&self, pattern: &str) -> Listener {
        let info = ConnectionAddr::Unix(self.dir.path().join("s")).into_connection_info().unwrap();
        let mut messages = soon(Client::open(info).unwrap().get_async_pubsub()).await.unwrap();
        soon(messages.psubscribe(pattern)).await.unwrap();
        Listener(messages)
    }

    /// The channels that anyone subscribes to.
    pub(crate) async fn channels(&self) -> Vec<String> {
        let mut channels: Vec<String> = self.run(&["PUBSUB", "CHANNELS"]).await;
        channels.sort();
        channels
    }

    /// Lets a server relay through this Redis.
    pub(crate) fn relay(&self, config: &mut Config) {
        // Its announcements would be among the messages that are counted.
        config.presence.enabled = false;
        config.relay.mode = RelayMode::Redis;
        // Its announcements would count as messages.
        config.presence.enabled = false;
        config.relay.redis.host = "127.0.0.1".to_owned();
        config.relay.redis.port = self.proxy.port;
        config.relay.redis.reconnect.min = Duration::from_millis(20);
        config.relay.redis.ping_interval = Duration::from_millis(200);
    }

    /// A server of this name, connected.
    pub(crate) async fn instance(&self, name: &str, change: impl FnOnce(&mut Config)) -> Running {
        let server = start(|config| {
            config.instance = name.to_owned();
            self.relay(config);
            change(config);
        });
        connected(&server, true).await;
        server
    }
}

/// Someone who listens.
pub(crate) struct Listener(redis::aio::PubSub);

impl Listener {
    pub(crate) async fn recv(&mut self) -> Option<(String, String)> {
        let message = self.0.on_message().next().await?;
        Some((message.get_channel_name().to_owned(), message.get_payload().ok()?))
    }
}

/// Waits until a server is connected to Redis, or is not.
pub(crate) async fn connected(server: &Running, expected: bool) {
    until(|| server.services.relay.status().unwrap().is_connected == expected).await;
}

impl Proxy {
    async fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_hole = Arc::new(watch::Sender::new(false));
        let holes = Arc::clone(&is_hole);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let (socket, hole) = (socket.clone(), holes.subscribe());
                connections.spawn(async move {
                    let Ok(far) = UnixStream::connect(socket).await else { return };
                    let (near_read, near_write) = near.into_split();
                    let (far_read, far_write) = far.into_split();
                    // The end of one direction ends both.
                    tokio::select! {
                        () = forward(near_read, far_write, hole.clone()) => {}
                        () = forward(far_read, near_write, hole) => {}
                    }
                });
            }
        });
        Self { port, is_hole, _tasks: tasks }
    }
}

async fn forward(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut hole: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 65_536];
    while let Ok(count) = from.read(&mut buffer).await {
        if count == 0 || hole.wait_for(|is_hole| !is_hole).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
