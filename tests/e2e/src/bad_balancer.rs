//! A balancer that does wrong on purpose, its targets included: what a tool that
//! finds faults must find.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use socket2::SockRef;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

use crate::{ports::HeldPort, target::response};

/// What a WebSocket's key is hashed with (RFC 6455 section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Time between two looks for the file that makes it drop all.
const LOOKS: Duration = Duration::from_millis(10);

/// The file's name.
const DROP: &str = "drop";

/// What it does wrong. By default nothing: it answers, upgrades, and binds clients by a cookie.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Cuts what is silent for so long.
    pub cut_after: Option<Duration>,
    /// Cuts a WebSocket that is so old, however busy it is.
    pub cut_at_age: Option<Duration>,
    /// Cuts with RST instead of FIN.
    pub reset: bool,
    /// Answers 502 to a request that comes so long after the one before it, or later.
    pub bad_gateway_after: Option<Duration>,
    /// Answers as another target each time, whatever the cookie says.
    pub forgets_clients: bool,
}

/// A running bad balancer.
pub struct BadBalancer {
    port: HeldPort,
    /// Where the file appears that makes it cut every connection.
    dir: TempDir,
    _tasks: JoinSet<()>,
}

struct Shared {
    faults: Faults,
    /// Requests so far.
    requests: AtomicUsize,
    /// Counts the drops.
    drops: watch::Sender<usize>,
}

impl BadBalancer {
    /// Starts it.
    ///
    /// # Errors
    /// When no port or directory can be had.
    pub fn start(faults: Faults) -> Result<Self> {
        let port = HeldPort::try_new()?;
        let listener = port.listen()?;
        let drops = watch::Sender::default();
        let shared = Arc::new(Shared { faults, requests: AtomicUsize::new(0), drops });
        let dir = tempfile::Builder::new().prefix("albeit-e2e-").tempdir()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(drop_on_demand(dir.path().join(DROP), Arc::clone(&shared)));
        tasks.spawn(accept(listener, shared));
        Ok(Self { port, dir, _tasks: tasks })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// A shell command that makes it cut every connection with RST.
    #[must_use]
    pub fn drop_command(&self) -> String {
        format!("touch '{}'", self.dir.path().join(DROP).display())
    }
}

async fn drop_on_demand(file: PathBuf, shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(LOOKS).await;
        if fs::remove_file(&file).is_ok() {
            shared.drops.send_modify(|drops| *drops += 1);
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // A client that goes is no fault.
            drop(
                Connection { stream, buffer: Vec::new(), used: Instant::now(), served: 0, shared }
                    .serve()
                    .await,
            );
        });
        while connections.try_join_next().is_some() {}
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// When the last answer was sent.
    used: Instant,
    /// Requests on it so far.
    served: usize,
    shared: Arc<Shared>,
}

impl Connection {
    async fn serve(mut self) -> Result<()> {
        let mut drops = self.shared.drops.subscribe();
        drops.mark_unchanged();
        let dropped = tokio::select! {
            served = self.requests() => return served,
            _ = drops.changed() => true,
        };
        self.end(dropped)
    }

    async fn requests(&mut self) -> Result<()> {
        let faults = self.shared.faults;
        loop {
            let Some(head) = self.head().await? else { return self.end(faults.reset) };
            let late = faults.bad_gateway_after.is_some_and(|after| self.used.elapsed() >= after);
            let number = self.shared.requests.fetch_add(1, Ordering::Relaxed);
            if let Some(key) = header(&head, "sec-websocket-key") {
                self.stream.write_all(accepting(key).as_bytes()).await?;
                return self.web_socket().await;
            } else if late && number > 0 {
                let body = "<html>502 Bad Gateway</html>";
                self.stream.write_all(&response("502 Bad Gateway", &["Server: awselb/2.0"], body)).await?;
            } else {
                self.stream.write_all(&self.named(&head, number)).await?;
            }
            self.used = Instant::now();
            self.served += 1;
        }
    }

    /// The next head; none at the end, or when it is cut.
    async fn head(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return Ok(Some(String::from_utf8(head)?));
            }
            let reading = self.stream.read_buf(&mut self.buffer);
            let read = match self.shared.faults.cut_after {
                None => reading.await?,
                Some(after) => match timeout_at(self.used + after, reading).await {
                    Ok(read) => read?,
                    Err(_) => return Ok(None),
                },
            };
            if read == 0 {
                return Ok(None);
            }
        }
    }

    /// Answers as the target that the cookie names, or as the next one.
    fn named(&self, head: &str, number: usize) -> Vec<u8> {
        let cookie = header(head, "cookie").and_then(|cookie| cookie.strip_prefix("AWSALB="));
        let turn = if self.shared.faults.forgets_clients { self.served } else { number };
        let next = if turn.is_multiple_of(2) { "bad-1" } else { "bad-2" };
        let name = cookie.filter(|_| !self.shared.faults.forgets_clients).unwrap_or(next);
        let cookie = format!("Set-Cookie: AWSALB={name}; Expires=Sat, 01 Jan 2050 00:00:00 GMT; Path=/");
        response("200 OK", &[&cookie], &format!(r#"{{"instance":"{name}"}}"#))
    }

    /// Reads and says nothing, until the client goes or it is cut.
    async fn web_socket(&mut self) -> Result<()> {
        let Faults { cut_after, cut_at_age, reset, .. } = self.shared.faults;
        let far = Duration::from_secs(3600);
        let opened = Instant::now();
        let mut used = opened;
        loop {
            let cut = (used + cut_after.unwrap_or(far)).min(opened + cut_at_age.unwrap_or(far));
            self.buffer.clear();
            tokio::select! {
                () = sleep_until(cut) => return self.end(reset),
                read = self.stream.read_buf(&mut self.buffer) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    used = Instant::now();
                }
            }
        }
    }

    /// The connection ends when it is dropped: with RST if it must.
    fn end(&self, reset: bool) -> Result<()> {
        if reset {
            SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).context("linger")?;
        }
        Ok(())
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn accepting(key: &str) -> String {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    let accept = STANDARD.encode(hash);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}
