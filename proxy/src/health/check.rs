//! One health check over a connection of its own.
//!
//! ELB pages: "Health checks for Application Load Balancer target groups",
//! "Health checks for Network Load Balancer target groups". `GET` with `User-Agent: ELB-HealthChecker/2.0`, `Host` the target's IP (with
//! its port unless it is the protocol's default) and `Connection: close`; only
//! the status line and headers are read, up to [`MAX_HEAD`] bytes. Groups of
//! protocol version HTTP2 are asked in HTTP/2, by prior knowledge if in clear
//! text; those of GRPC by a call with an empty message, whose `grpc-status`
//! counts. Certificates are not validated.
//!
//! Checks of a network load balancer have its own address and port as `Host`. A
//! TCP check passes when the connection is established, and closes it (FIN) at
//! once. With PROXY protocol on, each check begins with a header that says LOCAL,
//! in clear text before TLS too. Never part of metrics or access logs,
//! never on the connections that carry traffic.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use async_trait::async_trait;
use http::StatusCode;
use parking_lot::Mutex;
use rustix::io::Errno;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::Outcome;
use crate::{
    model::{
        HealthCheck, HealthCheckProtocol,
        target_group::{Matcher, ProtocolVersion},
    },
    proxy_protocol,
    tls::target::{HandshakeError, TargetTls},
};

mod http2;

/// How a check names itself.
const USER_AGENT: &str = "ELB-HealthChecker/2.0";

/// Largest response head a check reads: 16 KiB, as much as fits any sane health page's headers.
pub const MAX_HEAD: usize = 16 * 1024;

/// Headers beyond this count make a response unreadable.
const MAX_HEADERS: usize = 100;

/// Makes health checks. The registry takes one, so that tests can script health without sockets.
#[async_trait]
pub trait Checker: Send + Sync + 'static {
    /// Checks the target at `addr` (the health check port is already chosen) within `limit`.
    async fn check(&self, addr: SocketAddr, settings: &HealthCheck, limit: Duration) -> Outcome;
}

/// Checks over HTTP/1.1 and HTTP/2, in clear text and TLS, and of whether a connection can be established.
#[derive(Debug, Default)]
pub struct HttpChecker {
    /// TLS settings by policy and version, made when they are first needed.
    tls: Mutex<Vec<(&'static str, ProtocolVersion, TargetTls)>>,
}

#[async_trait]
impl Checker for HttpChecker {
    async fn check(&self, addr: SocketAddr, settings: &HealthCheck, limit: Duration) -> Outcome {
        match timeout(limit, self.probe(addr, settings, limit)).await {
            Err(_elapsed) => Outcome::Timeout,
            Ok(Err(error)) => {
                tracing::debug!(%addr, %error, "health check failed");
                failure(&error)
            }
            Ok(Ok(answer)) => judge(answer, &settings.matcher),
        }
    }
}

/// What a target's answer says about its health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// A connection is all that was asked for.
    Connected,
    /// The status of a response.
    Http(StatusCode),
    /// `grpc-status`, if there was one.
    Grpc(Option<u16>),
}

fn judge(answer: Answer, matcher: &Matcher) -> Outcome {
    match answer {
        Answer::Connected => Outcome::Connected,
        Answer::Http(status) if matcher.matches(status) => Outcome::Passed(status.as_u16()),
        Answer::Http(status) => Outcome::ResponseCodeMismatch(status.as_u16()),
        Answer::Grpc(Some(code)) if matcher.matches_code(code) => Outcome::Passed(code),
        Answer::Grpc(Some(code)) => Outcome::GrpcUnexpectedStatus(code),
        Answer::Grpc(None) => Outcome::GrpcStatusHeaderEmpty,
    }
}

fn failure(error: &io::Error) -> Outcome {
    if Errno::from_io_error(error).is_some_and(is_ours) {
        return Outcome::InternalError;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Outcome::ConnectionReset,
        io::ErrorKind::TimedOut => Outcome::Timeout,
        _ => Outcome::TargetError,
    }
}

/// Whether an error of the system is a want of ours: files, local ports, memory.
fn is_ours(error: Errno) -> bool {
    matches!(error, Errno::MFILE | Errno::NFILE | Errno::ADDRNOTAVAIL | Errno::NOBUFS | Errno::NOMEM)
}

/// A connection to a target, in clear text or TLS.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl HttpChecker {
    /// Connects, asks and reads the answer.
    async fn probe(&self, addr: SocketAddr, settings: &HealthCheck, limit: Duration) -> io::Result<Answer> {
        let mut tcp = TcpStream::connect(addr).await?;
        tcp.set_nodelay(true)?;
        let own = tcp.local_addr()?;
        let introduced = introduce(&mut tcp, settings).await;
        let stream: Box<dyn Io> = match settings.protocol {
            HealthCheckProtocol::Tcp => {
                // There was a connection: what the target makes of it is not asked.
                drop(tcp.shutdown().await);
                return Ok(Answer::Connected);
            }
            HealthCheckProtocol::Http => {
                introduced?;
                Box::new(tcp)
            }
            HealthCheckProtocol::Https => {
                introduced?;
                let connected = self.tls(settings)?.connect(addr.ip(), tcp, limit).await;
                connected.map_err(|error| match error {
                    HandshakeError::TimedOut => io::ErrorKind::TimedOut.into(),
                    HandshakeError::Failed(error) => error,
                })?
            }
        };
        let host = host(addr, own.ip(), settings);
        match settings.protocol_version {
            ProtocolVersion::Http1 => http1(stream, &host, settings).await.map(Answer::Http),
            ProtocolVersion::Http2 | ProtocolVersion::Grpc => http2::probe(stream, &host, settings).await,
        }
    }

    fn tls(&self, settings: &HealthCheck) -> io::Result<TargetTls> {
        let (policy, version) = (settings.tls_policy, settings.protocol_version);
        let mut made = self.tls.lock();
        if let Some((_, _, tls)) = made.iter().find(|it| (it.0, it.1) == (policy.name, version)) {
            return Ok(tls.clone());
        }
        let tls = TargetTls::try_new(policy, version).map_err(io::Error::other)?;
        made.push((policy.name, version, tls.clone()));
        Ok(tls)
    }
}

/// Sends the PROXY protocol header, if the group's targets expect one.
async fn introduce(tcp: &mut TcpStream, settings: &HealthCheck) -> io::Result<()> {
    if settings.proxy_protocol_v2 {
        tcp.write_all(&proxy_protocol::v2::local()).await?;
    }
    Ok(())
}

/// Sends the request in HTTP/1.1 and reads the final status.
async fn http1(mut stream: Box<dyn Io>, host: &str, settings: &HealthCheck) -> io::Result<StatusCode> {
    stream.write_all(request(host, settings).as_bytes()).await?;
    stream.flush().await?;
    let mut head = Vec::with_capacity(1024);
    loop {
        if let Some(status) = final_status(&mut head)? {
            return Ok(status);
        }
        if head.len() >= MAX_HEAD {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "response head too large"));
        }
        if (&mut stream).take(1024).read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn request(host: &str, settings: &HealthCheck) -> String {
    format!(
        "GET {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: {USER_AGENT}\r\n\
         Accept-Encoding: gzip, compressed\r\n\r\n",
        settings.path,
    )
}

/// The Host header: the target at `addr`, its port only when it is not the protocol's default; or address and
/// port of the network load balancer. One that listens on all addresses is at `own`, the check's end.
fn host(addr: SocketAddr, own: IpAddr, settings: &HealthCheck) -> String {
    if let Some(listener) = settings.host {
        let ip = if listener.ip().is_unspecified() { own } else { listener.ip() };
        return SocketAddr::new(ip, listener.port()).to_string();
    }
    let default = if settings.protocol == HealthCheckProtocol::Https { 443 } else { 80 };
    match addr.ip() {
        _ if addr.port() != default => addr.to_string(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The status of the final response once its head is complete; interim (1xx) responses are removed.
fn final_status(head: &mut Vec<u8>) -> io::Result<Option<StatusCode>> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed =
            response.parse(head).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let (httparse::Status::Complete(length), Some(code)) = (parsed, response.code) else {
            return Ok(None);
        };
        let status =
            StatusCode::from_u16(code).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if !status.is_informational() {
            return Ok(Some(status));
        }
        head.drain(..length);
    }
}

#[cfg(test)]
mod tests;
