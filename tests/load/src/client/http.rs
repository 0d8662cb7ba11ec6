//! One HTTP/1.1 connection that is kept alive (RFC 9112).
//!
//! Written here rather than taken from a library: a load test must tell FIN from
//! RST, and one before the answer from one within it, at no cost per request.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::connection::{Connection, Connector, Timings};
use super::failure::Failure;
use super::framing::Framing;

/// Largest head of an answer, in bytes.
const MAX_HEAD: usize = 256 * 1024;

/// Largest body that is kept whole, in bytes.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// Room for each read, in bytes.
const READ: usize = 16 * 1024;

/// Most headers of an answer.
const MAX_HEADERS: usize = 200;

/// What to ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// Path and query.
    pub(crate) path: &'a str,
    /// Besides `Host`, the target's own, and `Content-Length` where there is a body.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

impl<'a> Request<'a> {
    /// GET without further headers.
    pub(crate) fn get(path: &'a str) -> Self {
        Self { method: "GET", path, headers: &[], body: &[] }
    }
}

/// Status and headers of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) status: u16,
    bytes: Bytes,
    /// When its first byte was there.
    pub(crate) first_byte: Instant,
}

impl Head {
    /// The first header of a name, however it is written.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    /// All headers of a name.
    pub(crate) fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.bytes.split(|byte| *byte == b'\n').skip(1).filter_map(move |line| {
            let (key, value) = str::from_utf8(line).ok()?.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: Bytes,
    /// When the request was written.
    pub(crate) sent: Instant,
    /// When its last byte was there.
    pub(crate) done: Instant,
}

/// A connection to ask on, one request at a time.
#[derive(Debug)]
pub(crate) struct Http {
    connection: Connection,
    host: String,
    /// Of every request.
    headers: Arc<[(String, String)]>,
    patience: Duration,
    read: BytesMut,
    write: Vec<u8>,
    framing: Framing,
    is_kept: bool,
}

impl Http {
    /// Connects; the `number` chooses the address that the connection comes from.
    ///
    /// # Errors
    /// How connecting failed.
    pub(crate) async fn connect(connector: &Connector, number: usize) -> Result<Self, Failure> {
        Ok(Self::on(connector.connect(number).await?, connector))
    }

    /// Speaks on a connection that is there.
    pub(crate) fn on(connection: Connection, connector: &Connector) -> Self {
        Self {
            connection,
            host: connector.authority().to_owned(),
            headers: Arc::clone(connector.headers()),
            patience: connector.patience(),
            read: BytesMut::new(),
            write: Vec::new(),
            framing: Framing::Done,
            is_kept: true,
        }
    }

    /// How long it took to connect.
    pub(crate) fn timings(&self) -> Timings {
        self.connection.timings()
    }

    /// Whether another request may follow: the answer is read, and the server did
    /// not say that it closes.
    pub(crate) fn is_reusable(&self) -> bool {
        self.is_kept && self.framing == Framing::Done
    }

    /// Asks, and reads the whole answer, within the patience.
    ///
    /// # Errors
    /// [`Failure::Fin`] and [`Failure::Reset`] before the first byte of an answer,
    /// [`Failure::Truncated`] after it. The connection is of no use then.
    pub(crate) async fn request(&mut self, request: &Request<'_>) -> Result<Response, Failure> {
        timeout(self.patience, self.request_patiently(request)).await.unwrap_or(Err(Failure::TimedOut))
    }

    async fn request_patiently(&mut self, request: &Request<'_>) -> Result<Response, Failure> {
        self.send(request).await?;
        let sent = Instant::now();
        let head = self.head(request.method).await?;
        let body = self.body().await?;
        Ok(Response { head, body, sent, done: Instant::now() })
    }

    /// Writes a request; [`Self::head`] reads its answer.
    ///
    /// # Errors
    /// When the request cannot be written. That the server has closed may show
    /// when reading only.
    pub(crate) async fn send(&mut self, request: &Request<'_>) -> Result<(), Failure> {
        let Self { write, host, headers, .. } = self;
        write.clear();
        for part in [request.method, " ", request.path, " HTTP/1.1\r\nHost: ", host, "\r\n"] {
            write.extend_from_slice(part.as_bytes());
        }
        let always = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in always.chain(request.headers.iter().copied()) {
            for part in [name, ": ", value, "\r\n"] {
                write.extend_from_slice(part.as_bytes());
            }
        }
        if !request.body.is_empty() || !matches!(request.method, "GET" | "HEAD" | "OPTIONS" | "DELETE") {
            write.extend_from_slice(format!("Content-Length: {}\r\n", request.body.len()).as_bytes());
        }
        write.extend_from_slice(b"\r\n");
        write.extend_from_slice(request.body);
        self.connection.write_all(&self.write).await?;
        self.connection.flush().await?;
        Ok(())
    }

    /// Reads status and headers of an answer to a request of this method.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub(crate) async fn head(&mut self, method: &str) -> Result<Head, Failure> {
        if self.read.is_empty() {
            self.fill().await?;
        }
        let first_byte = Instant::now();
        loop {
            match parse(&self.read)? {
                // An interim answer: the one that counts follows.
                Some((length, 100 | 102..200, _)) => drop(self.read.split_to(length)),
                Some((length, status, is_kept)) => {
                    let bytes = self.read.split_to(length).freeze();
                    let head = Head { status, bytes, first_byte };
                    self.is_kept = is_kept && !says(&head, "connection", "close");
                    self.framing = Framing::of(&head, method)?;
                    return Ok(head);
                }
                None if self.read.len() > MAX_HEAD => return Err(Failure::protocol("endless headers")),
                None => self.fill().await.map_err(within_answer)?,
            }
        }
    }

    /// The next piece of the body; none when it has ended.
    ///
    /// # Errors
    /// [`Failure::Truncated`] when the connection ends before it.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(piece) = self.framing.take(&mut self.read)? {
                return Ok(Some(piece));
            }
            if self.framing == Framing::Done {
                return Ok(None);
            }
            match self.fill().await {
                Err(Failure::Fin) if self.framing == Framing::UntilClose => {
                    self.framing = Framing::Done;
                    self.is_kept = false;
                    return Ok(None);
                }
                filled => filled.map_err(within_answer)?,
            }
        }
    }

    /// The rest of the body.
    ///
    /// # Errors
    /// As [`Self::piece`], and when it is longer than 64 MiB.
    pub(crate) async fn body(&mut self) -> Result<Bytes, Failure> {
        let Some(first) = self.piece().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.piece().await? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(piece) = self.piece().await? {
            all.extend_from_slice(&piece);
            if all.len() > MAX_BODY {
                return Err(Failure::protocol("a body of more than 64 MiB"));
            }
        }
        Ok(all.freeze())
    }

    /// Waits until the server ends the idle connection, however long that takes.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn ended(&mut self) -> Failure {
        loop {
            if !self.read.is_empty() {
                let status = parse(&self.read).ok().flatten().map(|(_, status, _)| status);
                // Some servers answer 408 before they close.
                return status.map_or_else(|| Failure::protocol("bytes unasked for"), Failure::Status);
            }
            if let Err(failure) = self.fill().await {
                return failure;
            }
        }
    }

    /// The connection, after an upgrade: what came behind the head is read next.
    pub(crate) fn into_connection(mut self) -> Connection {
        self.connection.put_back(self.read.freeze());
        self.connection
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        self.read.reserve(READ);
        match self.connection.read_buf(&mut self.read).await? {
            0 => Err(Failure::Fin),
            _ => Ok(()),
        }
    }
}

/// An end within an answer is another matter than one before it.
fn within_answer(failure: Failure) -> Failure {
    match failure {
        Failure::Fin | Failure::Reset => Failure::Truncated,
        other => other,
    }
}

/// Length of a head, its status, and whether its version keeps connections.
fn parse(bytes: &[u8]) -> Result<Option<(usize, u16, bool)>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => {
            let status = response.code.unwrap_or_default();
            Ok(Some((length, status, response.version == Some(1))))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(Failure::Protocol(format!("no HTTP answer: {error}"))),
    }
}

/// Whether a list in a header has an element.
pub(super) fn says(head: &Head, name: &str, element: &str) -> bool {
    head.headers(name).any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(element)))
}
