//! A scripted target: a TCP server that records each request byte by byte and
//! answers with whatever a test tells it, however wrong.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

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

    async fn wait(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        drop(self.0.subscribe().wait_for(|open| *open).await);
    }
}

/// A request as the target received it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The head's bytes, with the empty line at its end.
    pub head: String,
    /// The body, chunks joined.
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
        Self::start_on(HeldPort::try_new()?, script)
    }

    /// The same on a given port.
    ///
    /// # Errors
    /// When the port cannot be listened on.
    pub fn start_on(
        port: HeldPort,
        script: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            script: Box::new(script),
            requests: watch::Sender::default(),
            tunnelled: watch::Sender::default(),
            connections: AtomicUsize::new(0),
            health_status: AtomicU16::new(200),
            health_silent: AtomicBool::new(false),
            health_checks: watch::Sender::default(),
        });
        let mut target = Self { port, shared, tasks: JoinSet::new() };
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
        self.tasks.spawn(accept(listener, Arc::clone(&self.shared)));
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

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

/// Serves one connection until its end; a failing peer ends it too.
async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut connection = Connection { stream, buffer: Vec::new(), index: None, served: 0 };
    while let Ok(Some(request)) = connection.read_request(&shared).await {
        if !matches!(connection.answer(request, &shared).await, Ok(true)) {
            break;
        }
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Number of the connection, given with its first request that is no health check.
    index: Option<usize>,
    served: usize,
}

impl Connection {
    async fn fill(&mut self) -> Result<usize> {
        Ok(self.stream.read_buf(&mut self.buffer).await?)
    }

    /// The next request, or `None` at the end of the stream.
    async fn read_request(&mut self, shared: &Shared) -> Result<Option<Request>> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut request = Request { head, body: Vec::new(), connection: 0, number: self.served };
        request.body = self.read_body(&request).await?;
        if !is_health_check(&request) {
            let index = *self.index.get_or_insert_with(|| shared.connections.fetch_add(1, Ordering::Relaxed));
            request.connection = index;
            self.served += 1;
        }
        Ok(Some(request))
    }

    async fn read_body(&mut self, request: &Request) -> Result<Vec<u8>> {
        if let Some(length) = request.headers("content-length").first() {
            return self.take(length.parse()?).await;
        }
        let mut body = Vec::new();
        if !request.headers("transfer-encoding").is_empty() {
            loop {
                let size = self.take_line().await?;
                let size = usize::from_str_radix(size.trim(), 16)?;
                body.extend(self.take(size).await?);
                self.take_line().await?;
                if size == 0 {
                    break;
                }
            }
        }
        Ok(body)
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < length {
            ensure!(self.fill().await? > 0, "the request ends early");
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn take_line(&mut self) -> Result<String> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            ensure!(self.fill().await? > 0, "the request ends early");
        }
    }

    /// Answers one request; whether the connection goes on.
    async fn answer(&mut self, request: Request, shared: &Shared) -> Result<bool> {
        if is_health_check(&request) {
            shared.health_checks.send_modify(|checks| checks.push(request.head));
            if shared.health_silent.load(Ordering::Relaxed) {
                self.collect(shared, Echo::Off).await?;
                return Ok(false);
            }
            let status = shared.health_status.load(Ordering::Relaxed);
            self.stream.write_all(&response(&format!("{status} Scripted"), &[], "")).await?;
            return Ok(true);
        }
        let steps = (shared.script)(&request);
        shared.requests.send_modify(|requests| requests.push(request));
        for step in steps {
            match step {
                Step::Send(bytes) => self.stream.write_all(&bytes).await?,
                Step::Pause(time) => tokio::time::sleep(time).await,
                Step::Await(gate) => gate.wait().await,
                Step::FinishWriting => self.stream.shutdown().await?,
                Step::Relay => self.tunnel(shared, Echo::On).await?,
                Step::Collect => self.tunnel(shared, Echo::Off).await?,
                Step::Close => return Ok(false),
                Step::Reset => {
                    SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn tunnel(&mut self, shared: &Shared, echo: Echo) -> Result<()> {
        let result = self.collect(shared, echo).await;
        shared.tunnelled.send_modify(|tunnelled| tunnelled.ended += 1);
        result
    }

    async fn collect(&mut self, shared: &Shared, echo: Echo) -> Result<()> {
        loop {
            let bytes = std::mem::take(&mut self.buffer);
            if matches!(echo, Echo::On) {
                self.stream.write_all(&bytes).await?;
            }
            shared.tunnelled.send_modify(|tunnelled| tunnelled.bytes.extend(bytes));
            if self.fill().await? == 0 {
                return Ok(());
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Echo {
    On,
    Off,
}

fn is_health_check(request: &Request) -> bool {
    request.headers("user-agent").iter().any(|agent| agent.starts_with("ELB-HealthChecker/"))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
