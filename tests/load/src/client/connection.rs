//! TCP connections, with TLS if the URL says so.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::{Buf, Bytes};
use http::{HeaderName, HeaderValue, Uri};
use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::failure::Failure;
use super::sources::Sources;
use super::trust::Trust;
use crate::target::Target;

/// Makes connections to the server of one URL.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    uri: Uri,
    server: SocketAddr,
    tls: Option<Tls>,
    sources: Sources,
    headers: Arc<[(String, String)]>,
    /// Longest time that connecting, and each later step, may take.
    patience: Duration,
}

#[derive(Debug, Clone)]
struct Tls {
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl Connector {
    /// Looks the host of a target's URL up. Unless the target names addresses to
    /// connect from, they suit the server: [`Sources::for_server`].
    ///
    /// # Errors
    /// When the URL is none of `http`, `https`, `ws` or `wss`, its host is unknown,
    /// certificates cannot be read, or a header is none.
    pub(crate) async fn for_target(target: &Target) -> Result<Self> {
        let uri: Uri = target.url.parse().with_context(|| format!("the URL {}", target.url))?;
        let host = uri.host().context("the URL has no host")?;
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let (is_secure, port) = match uri.scheme_str() {
            Some("http" | "ws") => (false, 80),
            Some("https" | "wss") => (true, 443),
            _ => bail!("the URL must start with http://, https://, ws:// or wss://"),
        };
        let address = (bare.clone(), uri.port_u16().unwrap_or(port));
        let unknown = || format!("no address of {bare}");
        let mut found = tokio::net::lookup_host(address).await.with_context(unknown)?;
        let server = found.next().with_context(unknown)?;
        let tls = if is_secure {
            let config = Trust::of(target).client_config()?;
            Some(Tls { name: ServerName::try_from(bare).context("the URL's host")?, config })
        } else {
            None
        };
        let sources = target.source_addresses.clone().unwrap_or_else(|| Sources::for_server(server));
        let headers = target.headers.iter().map(|line| header(line)).collect::<Result<_>>()?;
        Ok(Self { uri, server, tls, sources, headers, patience: target.patience })
    }

    /// The same, with TLS sessions of its own: they resume none of others.
    pub(crate) fn with_resumption(&self, resumption: Resumption) -> Self {
        let mut other = self.clone();
        if let Some(tls) = &mut other.tls {
            let mut config = ClientConfig::clone(&tls.config);
            config.resumption = resumption;
            tls.config = Arc::new(config);
        }
        other
    }

    /// The URL given at first.
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Host and port, as in a `Host` header.
    pub(crate) fn authority(&self) -> &str {
        self.uri.authority().map_or("", http::uri::Authority::as_str)
    }

    /// The path and query of the URL.
    pub(crate) fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
    }

    /// Headers that every request carries.
    pub(crate) fn headers(&self) -> &Arc<[(String, String)]> {
        &self.headers
    }

    /// Longest time that a step may take.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Whether the URL is that of a WebSocket.
    pub(crate) fn is_web_socket(&self) -> bool {
        matches!(self.uri.scheme_str(), Some("ws" | "wss"))
    }

    /// Whether connections have TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Connects, and shakes hands by TLS if the URL says so. The `number` of the
    /// connection chooses its address.
    ///
    /// # Errors
    /// How it failed, within the connector's patience.
    pub(crate) async fn connect(&self, number: usize) -> Result<Connection, Failure> {
        timeout(self.patience, self.connect_patiently(number)).await.unwrap_or(Err(Failure::TimedOut))
    }

    async fn connect_patiently(&self, number: usize) -> Result<Connection, Failure> {
        let started = Instant::now();
        let socket = if self.server.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(source) = self.sources.nth(number) {
            // The port is chosen when connecting: then it only has to be free
            // towards this server.
            setsockopt(&socket, IpBindAddressNoPort, &true).map_err(io::Error::from)?;
            socket.bind((source, 0).into())?;
        }
        let stream = socket.connect(self.server).await?;
        stream.set_nodelay(true)?;
        let tcp = started.elapsed();
        let Some(Tls { name, config }) = &self.tls else {
            let timings = Timings { tcp, tls: None, is_resumed: false };
            return Ok(Connection { stream: Stream::Plain(stream), unread: Bytes::new(), timings });
        };
        let started = Instant::now();
        let stream = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream).await?;
        let is_resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        let timings = Timings { tcp, tls: Some(started.elapsed()), is_resumed };
        Ok(Connection { stream: Stream::Tls(Box::new(stream)), unread: Bytes::new(), timings })
    }
}

/// `NAME: VALUE` as its two parts.
fn header(line: &str) -> Result<(String, String)> {
    let (name, value) = line.split_once(':').with_context(|| format!("no header: {line}"))?;
    let wrong = || format!("no header: {line}");
    let name: HeaderName = name.trim().parse().with_context(wrong)?;
    HeaderValue::from_str(value.trim()).with_context(wrong)?;
    Ok((name.as_str().to_owned(), value.trim().to_owned()))
}

/// How long it took to connect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timings {
    /// From the SYN to its answer.
    pub(crate) tcp: Duration,
    /// The TLS handshake, if there was one.
    pub(crate) tls: Option<Duration>,
    /// TLS went on with an earlier session.
    pub(crate) is_resumed: bool,
}

/// A connection; bytes that were read too early can be put back.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    unread: Bytes,
    timings: Timings,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// How long it took to connect.
    pub(crate) fn timings(&self) -> Timings {
        self.timings
    }

    /// Gives bytes back that belong to what is read next.
    pub(crate) fn put_back(&mut self, bytes: Bytes) {
        self.unread = bytes;
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.has_remaining() {
            let count = self.unread.remaining().min(buffer.remaining());
            buffer.put_slice(&self.unread.split_to(count));
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
