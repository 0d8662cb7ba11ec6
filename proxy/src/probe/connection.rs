//! Connections to what is measured: opened within the budget, spoken HTTP/1.1 on.

use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::{Buf as _, BytesMut};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Ending, Endpoint, Unmeasured,
    answer::{self, Answer, Reading},
    budget::Budget,
};
use crate::error_chain::chain;

/// Opens connections to one endpoint.
pub(super) struct Dialer<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) budget: &'a Budget,
    /// The address that answered first, so that all measurements meet the same peer.
    pub(super) addr: SocketAddr,
    /// Of endpoints over TLS: how the handshake is made.
    pub(super) tls: Option<TlsConnector>,
}

impl Dialer<'_> {
    /// Opens a connection, with TLS if the endpoint has it.
    pub(super) async fn connect(&self) -> Result<Connection, Unmeasured> {
        let tcp = self.connect_tcp().await?;
        let Some(tls) = &self.tls else { return Ok(Connection::new(Io::Plain(tcp))) };
        let stream = self.handshake(tls, tcp).await?;
        Ok(Connection::new(Io::Tls(Box::new(stream))))
    }

    /// Opens a connection without TLS, whatever the endpoint has.
    pub(super) async fn connect_tcp(&self) -> Result<TcpStream, Unmeasured> {
        self.budget.take_connection()?;
        let limit = self.budget.answer(Instant::now());
        let unreachable = |error: &io::Error| Unmeasured::Unreachable(error.to_string());
        let connected = timeout(limit, TcpStream::connect(self.addr)).await;
        let tcp = connected.map_err(|_| Unmeasured::NoAnswer(limit))?.map_err(|error| unreachable(&error))?;
        // What is measured are single small writes.
        tcp.set_nodelay(true).map_err(|error| unreachable(&error))?;
        Ok(tcp)
    }

    /// Makes a handshake on a new connection.
    pub(super) async fn handshake(
        &self,
        tls: &TlsConnector,
        tcp: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Unmeasured> {
        let limit = self.budget.answer(Instant::now());
        let name = ServerName::try_from(self.endpoint.host.clone())
            .map_err(|error| Unmeasured::Handshake(error.to_string()))?;
        let done = timeout(limit, tls.connect(name, tcp)).await.map_err(|_| Unmeasured::NoAnswer(limit))?;
        done.map_err(|error| Unmeasured::Handshake(chain(&error)))
    }

    /// A GET request of the endpoint's path, with these header lines besides `Host`.
    pub(super) fn get(&self, lines: &str) -> String {
        let Endpoint { path, .. } = self.endpoint;
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{USER_AGENT}{lines}\r\n", self.endpoint.authority())
    }

    /// Sends `request` on a connection of its own and reads the answer.
    pub(super) async fn ask(&self, request: &[u8]) -> Result<Answer, Unmeasured> {
        let mut connection = self.connect().await?;
        connection.exchange(request, self.budget).await
    }
}

/// Says in the target's log who asked.
pub(super) const USER_AGENT: &str = concat!("User-Agent: albeit-doctor/", env!("CARGO_PKG_VERSION"), "\r\n");

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// An open connection, with what was read and not used yet.
pub(super) struct Connection {
    io: Io,
    unread: BytesMut,
}

impl Connection {
    fn new(io: Io) -> Self {
        Self { io, unread: BytesMut::new() }
    }

    /// Bytes read and not yet consumed.
    pub(super) fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// Takes the first `count` of the bytes read.
    pub(super) fn consume(&mut self, count: usize) {
        self.unread.advance(count.min(self.unread.len()));
    }

    /// Reads once. `Some` is how the peer ended its stream.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was read is kept.
    pub(super) async fn read(&mut self) -> Option<Ending> {
        match self.io.read_buf(&mut self.unread).await {
            Ok(0) => Some(Ending::Fin),
            Ok(_) => None,
            Err(error) => Some(Ending::of(&error)),
        }
    }

    /// Writes all bytes.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Ending> {
        let written = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        written.await.map_err(|error| Ending::of(&error))
    }

    /// Sends FIN, over TLS after a close notification, and goes on reading.
    pub(super) async fn finish(&mut self) -> Result<(), Ending> {
        self.io.shutdown().await.map_err(|error| Ending::of(&error))
    }

    /// Sends `request` and reads the answer within the budget.
    ///
    /// Both at once: a peer that refuses a request answers before it has read it all, and may have closed
    /// its side by then.
    pub(super) async fn exchange(&mut self, request: &[u8], budget: &Budget) -> Result<Answer, Unmeasured> {
        let limit = budget.answer(Instant::now());
        let Self { io, unread } = self;
        let (mut reader, mut writer) = tokio::io::split(io);
        let write = async {
            // If it fails, what the peer says is still read.
            drop(writer.write_all(request).await);
            drop(writer.flush().await);
        };
        let both = async {
            let mut read = pin!(read_answer(&mut reader, unread));
            tokio::select! {
                answer = &mut read => answer,
                () = write => read.await,
            }
        };
        timeout(limit, both).await.unwrap_or(Err(Unmeasured::NoAnswer(limit)))
    }

    /// Reads an answer within the budget.
    pub(super) async fn answer(&mut self, budget: &Budget) -> Result<Answer, Unmeasured> {
        let limit = budget.answer(Instant::now());
        let read = read_answer(&mut self.io, &mut self.unread);
        timeout(limit, read).await.unwrap_or(Err(Unmeasured::NoAnswer(limit)))
    }
}

async fn read_answer(
    reader: &mut (impl AsyncRead + Unpin),
    unread: &mut BytesMut,
) -> Result<Answer, Unmeasured> {
    let mut stream = answer::Stream::Open;
    let mut ending = Ending::Fin;
    loop {
        match answer::read(unread, stream) {
            Reading::Whole(answer, length) => {
                unread.advance(length);
                return Ok(answer);
            }
            Reading::Malformed => return Err(Unmeasured::NotHttp),
            Reading::Partial if stream == answer::Stream::Ended => {
                return Err(Unmeasured::ClosedEarly(ending));
            }
            Reading::Partial => {}
        }
        match reader.read_buf(unread).await {
            Ok(0) => stream = answer::Stream::Ended,
            Ok(_) => {}
            Err(error) => {
                ending = Ending::of(&error);
                stream = answer::Stream::Ended;
            }
        }
    }
}
