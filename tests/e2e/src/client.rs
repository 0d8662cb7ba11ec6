//! An HTTP/1.1 client that sends exactly the bytes it is told and shows exactly
//! the bytes it gets, over TCP or TLS.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, pki_types::ServerName};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::TlsConnector;

use crate::wait::{SOON, within};

/// A byte stream to the balancer.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What the TLS handshake agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// Application protocol, `None` if the server chose none.
    pub alpn: Option<String>,
    /// TLS version.
    pub version: ProtocolVersion,
    /// Cipher suite, in IANA's words.
    pub cipher: String,
    /// Whether the session was resumed.
    pub resumed: bool,
    /// The server's leaf certificate, DER.
    pub leaf: Vec<u8>,
}

/// A connection to the balancer.
pub struct Client {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    local: SocketAddr,
    host: String,
    /// What TLS agreed on; `None` on plain TCP.
    pub tls: Option<Negotiated>,
}

/// A response, byte for byte.
#[derive(Debug, Clone)]
pub struct Response {
    /// The head with the empty line at its end.
    pub head: String,
    /// The status code.
    pub status: u16,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Response {
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

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `name=value` of the cookie `name` that the response sets, ready for a `Cookie` header.
    ///
    /// # Errors
    /// When the response does not set it, or more than once.
    pub fn cookie(&self, name: &str) -> Result<String> {
        let prefix = format!("{name}=");
        let mut found = self.headers("set-cookie").into_iter().filter(|cookie| cookie.starts_with(&prefix));
        let cookie = found.next().with_context(|| format!("no cookie {name} in {:?}", self.head))?;
        ensure!(found.next().is_none(), "cookie {name} is set twice in {:?}", self.head);
        Ok(cookie.split(';').next().unwrap_or_default().to_owned())
    }
}

/// Whether a response has a body: one to HEAD does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// As the head says.
    Expected,
    /// Never: the request was HEAD.
    None,
}

impl Client {
    /// Connects over TCP.
    ///
    /// # Errors
    /// When the connection is refused.
    pub async fn connect(addr: SocketAddr) -> Result<Self> {
        Self::over(within(SOON, "connect", TcpStream::connect(addr)).await??)
    }

    /// Connects over TCP from another address of this host, such as 127.0.0.5.
    ///
    /// # Errors
    /// When the host does not have the address, or the connection is refused.
    pub async fn connect_from(source: impl Into<IpAddr>, addr: SocketAddr) -> Result<Self> {
        let source = source.into();
        let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(SocketAddr::new(source, 0)).with_context(|| format!("connect from {source}"))?;
        Self::over(within(SOON, "connect", socket.connect(addr)).await??)
    }

    /// A client of a connection that is there.
    ///
    /// # Errors
    /// When it is gone.
    pub fn over(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        let (local, host) = (stream.local_addr()?, stream.peer_addr()?.to_string());
        Ok(Self { stream: Box::new(stream), buffer: Vec::new(), local, host, tls: None })
    }

    /// Connects over TLS with the server name `name`.
    ///
    /// # Errors
    /// When the connection is refused or the handshake fails.
    pub async fn connect_tls(addr: SocketAddr, name: &str, config: Arc<ClientConfig>) -> Result<Self> {
        Self::connect(addr).await?.start_tls(name, config).await
    }

    /// The TLS handshake on a connection that has carried nothing yet.
    ///
    /// # Errors
    /// When the handshake fails.
    pub async fn start_tls(self, name: &str, config: Arc<ClientConfig>) -> Result<Self> {
        let local = self.local;
        let (_, port) = self.host.rsplit_once(':').context("no port")?;
        let host = format!("{name}:{port}");
        let (stream, negotiated) = handshake(self.into_stream()?, name, config).await?;
        Ok(Self { stream: Box::new(stream), buffer: Vec::new(), local, host, tls: Some(negotiated) })
    }

    /// The client's own address, as the balancer sees it.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What [`Client::get`] sends as Host: the name or address connected to, with the port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        within(SOON, "send", async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        })
        .await??;
        Ok(())
    }

    /// Sends GET for `path` and reads the response.
    ///
    /// # Errors
    /// When there is no well-formed response.
    pub async fn get(&mut self, path: &str) -> Result<Response> {
        self.get_with(path, &[]).await
    }

    /// The same with further header lines.
    ///
    /// # Errors
    /// When there is no well-formed response.
    pub async fn get_with(&mut self, path: &str, headers: &[&str]) -> Result<Response> {
        let mut head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        self.send(format!("{head}\r\n")).await?;
        self.response().await
    }

    /// Reads a response.
    ///
    /// # Errors
    /// When the connection ends first or nothing comes soon.
    pub async fn response(&mut self) -> Result<Response> {
        self.response_within(SOON, Body::Expected).await
    }

    /// Reads a response to `request` within `limit`.
    ///
    /// # Errors
    /// When the connection ends first or the deadline passes.
    pub async fn response_within(&mut self, limit: Duration, body: Body) -> Result<Response> {
        within(limit, "response", self.read_response(body)).await?
    }

    async fn read_response(&mut self, body: Body) -> Result<Response> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let got = self.fill().await?;
            ensure!(got > 0, "closed after {:?}", String::from_utf8_lossy(&self.buffer));
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.with_context(|| format!("no status in {head:?}"))?;
        let mut response = Response { head, status, body: Vec::new() };
        let bodiless = status < 200 || status == 204 || status == 304;
        if body == Body::Expected && !bodiless {
            response.body = self.read_body(&response).await?;
        }
        Ok(response)
    }

    async fn read_body(&mut self, response: &Response) -> Result<Vec<u8>> {
        if let Some(length) = response.headers("content-length").first() {
            return self.take(length.parse()?).await;
        }
        let mut body = Vec::new();
        if response.headers("transfer-encoding").is_empty() {
            while self.fill().await? > 0 {}
            return Ok(std::mem::take(&mut self.buffer));
        }
        loop {
            let size = self.take_line().await?;
            let size =
                usize::from_str_radix(size.trim(), 16).with_context(|| format!("chunk size {size:?}"))?;
            body.extend(self.take(size).await?);
            self.take_line().await?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    /// Reads exactly `length` bytes.
    ///
    /// # Errors
    /// When the connection ends first or they do not come soon.
    pub async fn read_exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        within(SOON, "bytes", self.take(length)).await?
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < length {
            let got = self.fill().await?;
            ensure!(got > 0, "closed after {} of {length} bytes", self.buffer.len());
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn take_line(&mut self) -> Result<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            let got = self.fill().await?;
            ensure!(got > 0, "closed inside a chunked body");
        }
    }

    async fn fill(&mut self) -> Result<usize> {
        Ok(self.stream.read_buf(&mut self.buffer).await?)
    }

    /// Sends the end of the stream and goes on reading.
    ///
    /// # Errors
    /// When the connection is closed already.
    pub async fn finish_writing(&mut self) -> Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// Waits within `limit` until the balancer closes (FIN, `close_notify` or RST); what came before.
    ///
    /// # Errors
    /// When the connection is still open at the deadline.
    pub async fn closed_within(&mut self, limit: Duration) -> Result<Vec<u8>> {
        // A reset is a close as well.
        within(limit, "close by the balancer", async {
            while matches!(self.fill().await, Ok(n) if n > 0) {}
        })
        .await?;
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Waits until the balancer closes; what came before.
    ///
    /// # Errors
    /// When it has not closed soon.
    pub async fn closed(&mut self) -> Result<Vec<u8>> {
        self.closed_within(SOON).await
    }

    /// Gives the bare stream away, for a protocol on top.
    ///
    /// # Errors
    /// When bytes were read that the caller has not seen.
    pub fn into_stream(self) -> Result<Box<dyn Stream>> {
        if !self.buffer.is_empty() {
            bail!("{} unread bytes", self.buffer.len());
        }
        Ok(self.stream)
    }
}

/// Opens a TLS connection.
///
/// # Errors
/// When the connection is refused or the handshake fails.
pub async fn connect_tls(
    addr: SocketAddr,
    name: &str,
    config: Arc<ClientConfig>,
) -> Result<(tokio_rustls::client::TlsStream<TcpStream>, Negotiated)> {
    let stream = within(SOON, "connect", TcpStream::connect(addr)).await??;
    stream.set_nodelay(true)?;
    handshake(stream, name, config).await
}

async fn handshake<S: Stream>(
    stream: S,
    name: &str,
    config: Arc<ClientConfig>,
) -> Result<(tokio_rustls::client::TlsStream<S>, Negotiated)> {
    let name = ServerName::try_from(name.to_owned())?;
    let stream = within(SOON, "TLS handshake", TlsConnector::from(config).connect(name, stream)).await??;
    let session = stream.get_ref().1;
    let leaf = session.peer_certificates().and_then(|chain| chain.first()).context("no certificate")?;
    let negotiated = Negotiated {
        alpn: session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
        version: session.protocol_version().context("no version")?,
        cipher: format!("{:?}", session.negotiated_cipher_suite().context("no cipher suite")?.suite()),
        resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        leaf: leaf.to_vec(),
    };
    Ok((stream, negotiated))
}

/// Connects to `addr` and closes with RST at once.
///
/// # Errors
/// When the connection is refused.
pub async fn connect_and_reset(addr: SocketAddr, bytes: &[u8]) -> Result<()> {
    let mut stream = within(SOON, "connect", TcpStream::connect(addr)).await??;
    stream.write_all(bytes).await?;
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    Ok(())
}
