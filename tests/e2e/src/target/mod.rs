//! A scripted target: a TCP server that records each request byte by byte and
//! answers with whatever a test tells it, however wrong.

mod connection;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    ports::HeldPort,
    wait::{SOON, within},
};

/// What a target does next with a connection.
#[derive(Debug, Clone)]
pub enum Step {
    /// Writes these bytes.
    Send(Vec<u8>),
    /// Waits for this long.
    Pause(Duration),
    /// Waits until the test opens the gate.
    Await(Gate),
    /// From now on the system keeps about this many bytes unsent: writing more waits for the balancer to read.
    LimitSendBuffer(usize),
    /// Sends FIN and goes on reading.
    FinishWriting,
    /// Sends back all that comes, until end of stream; recorded in [`Target::tunnelled`].
    Relay,
    /// Reads until end of stream; recorded in [`Target::tunnelled`].
    Collect,
    /// Closes the connection.
    Close,
    /// Closes the connection with RST.
    Reset,
}

/// What a target reads before its script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// The whole request.
    Requests,
    /// The head alone.
    Heads,
}

/// A condition that a test sets once.
#[derive(Debug, Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Gate {
    /// Lets everybody who waits, now or later, go on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is open.
    pub async fn wait(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        drop(self.0.subscribe().wait_for(|open| *open).await);
    }
}

/// A request as the target received it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The head's bytes, with the empty line at its end.
    pub head: String,
    /// The body, chunks joined; empty for a target that reads heads only.
    pub body: Vec<u8>,
    /// Number of the connection it came on, from 0, health checks not counted.
    pub connection: usize,
    /// Its number on this connection, from 0.
    pub number: usize,
}

impl Request {
    /// The request line.
    #[must_use]
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The path and query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    /// All values of a header, in order.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// The one value of a header.
    ///
    /// # Errors
    /// When it is missing or there are several.
    pub fn header(&self, name: &str) -> Result<&str> {
        let values = self.headers(name);
        ensure!(values.len() == 1, "{name} has {} values in {:?}", values.len(), self.head);
        values.first().copied().context("no value")
    }
}

type Script = dyn Fn(&Request) -> Vec<Step> + Send + Sync;

struct Shared {
    reads: Reads,
    script: Box<Script>,
    requests: watch::Sender<Vec<Request>>,
    tunnelled: watch::Sender<Tunnelled>,
    connections: AtomicUsize,
    health_status: AtomicU16,
    health_silent: AtomicBool,
    health_checks: watch::Sender<Vec<String>>,
}

/// What came through after an upgrade.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tunnelled {
    /// All bytes, of all tunnels together.
    pub bytes: Vec<u8>,
    /// How many tunnels have ended.
    pub ended: usize,
}

/// A running scripted target.
pub struct Target {
    port: HeldPort,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Target {
    /// Starts a target that runs `script` for each request that is no health check.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(script: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static) -> Result<Self> {
        Self::start_reading(Reads::Requests, script)
    }

    /// Starts a target that runs `script` before it reads a request's body: it stays for
    /// [`Step::Relay`] and [`Step::Collect`].
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start_at_heads(script: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static) -> Result<Self> {
        Self::start_reading(Reads::Heads, script)
    }

    fn start_reading(
        reads: Reads,
        script: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            reads,
            script: Box::new(script),
            requests: watch::Sender::default(),
            tunnelled: watch::Sender::default(),
            connections: AtomicUsize::new(0),
            health_status: AtomicU16::new(200),
            health_silent: AtomicBool::new(false),
            health_checks: watch::Sender::default(),
        });
        let mut target = Self { port: HeldPort::try_new()?, shared, tasks: JoinSet::new() };
        target.resume()?;
        Ok(target)
    }

    /// A target that answers 200 with `body` to everything.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn saying(body: &str) -> Result<Self> {
        let answer = ok(body);
        Self::start(move |_| vec![Step::Send(answer.clone())])
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Closes the listening socket and all connections: from now on connecting is refused.
    pub async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Listens (again).
    ///
    /// # Errors
    /// When the port cannot be listened on.
    pub fn resume(&mut self) -> Result<()> {
        let listener = self.port.listen()?;
        self.tasks.spawn(connection::accept(listener, Arc::clone(&self.shared)));
        Ok(())
    }

    /// Answers health checks with this status from now on.
    pub fn set_health(&self, status: u16) {
        self.shared.health_silent.store(false, Ordering::Relaxed);
        self.shared.health_status.store(status, Ordering::Relaxed);
    }

    /// Leaves health checks without an answer from now on.
    pub fn silence_health(&self) {
        self.shared.health_silent.store(true, Ordering::Relaxed);
    }

    /// Heads of the health checks received so far.
    #[must_use]
    pub fn health_checks(&self) -> Vec<String> {
        self.shared.health_checks.borrow().clone()
    }

    /// The requests received so far, health checks left out.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.borrow().clone()
    }

    /// Waits until `count` requests have come, and gives the last of them.
    ///
    /// # Errors
    /// When they have not come soon.
    pub async fn request(&self, count: usize) -> Result<Request> {
        let mut requests = self.shared.requests.subscribe();
        let what = format!("request {count} at the target");
        let seen = within(SOON, &what, requests.wait_for(|seen| seen.len() >= count)).await??;
        seen.get(count - 1).cloned().context("no such request")
    }

    /// Waits until what came through tunnels is as wanted.
    ///
    /// # Errors
    /// When it is not soon.
    pub async fn tunnelled(&self, wanted: impl Fn(&Tunnelled) -> bool) -> Result<Tunnelled> {
        let mut tunnelled = self.shared.tunnelled.subscribe();
        let result = within(SOON, "bytes through the tunnel", tunnelled.wait_for(|t| wanted(t))).await;
        let seen = result.map(|found| found.map(|t| t.clone())).with_context(|| {
            let now = self.shared.tunnelled.borrow();
            format!("{} bytes came, {} tunnels ended", now.bytes.len(), now.ended)
        })??;
        Ok(seen)
    }
}

/// A 200 response with this body.
#[must_use]
pub fn ok(body: &str) -> Vec<u8> {
    response("200 OK", &[], body)
}

/// A response with a `Content-Length`.
#[must_use]
pub fn response(status: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The answer to a WebSocket upgrade by [`crate::websocket::UPGRADE_KEY`].
#[must_use]
pub fn switching_protocols() -> Vec<u8> {
    let accept = crate::websocket::UPGRADE_ACCEPT;
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}
