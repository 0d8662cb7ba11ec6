//! One HTTP health check over a connection of its own.
//!
//! ELB page: "Health checks for Application Load Balancer target groups".
//! `GET` with `User-Agent: ELB-HealthChecker/2.0`, `Host` the target's IP (with
//! its port unless 80) and `Connection: close`; only the status line and
//! headers are read, up to [`MAX_HEAD`] bytes. Never part of metrics or access
//! logs, never on the connections that carry traffic.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use async_trait::async_trait;
use http::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::Outcome;
use crate::model::HealthCheck;

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

/// Checks over HTTP/1.1 in clear text.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpChecker;

#[async_trait]
impl Checker for HttpChecker {
    async fn check(&self, addr: SocketAddr, settings: &HealthCheck, limit: Duration) -> Outcome {
        match timeout(limit, probe(addr, &settings.path)).await {
            Err(_elapsed) => Outcome::Timeout,
            Ok(Err(error)) => {
                tracing::debug!(%addr, %error, "health check failed");
                Outcome::Failed
            }
            Ok(Ok(status)) if settings.matcher.matches(status) => Outcome::Passed,
            Ok(Ok(status)) => Outcome::ResponseCodeMismatch(status.as_u16()),
        }
    }
}

/// Sends the request and reads the final status.
async fn probe(addr: SocketAddr, path: &str) -> io::Result<StatusCode> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    stream.write_all(request(addr, path).as_bytes()).await?;
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

fn request(addr: SocketAddr, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\
         Accept-Encoding: gzip, compressed\r\n\r\n",
        host(addr)
    )
}

/// The Host header: the port only when it is not HTTP's default.
fn host(addr: SocketAddr) -> String {
    match (addr.ip(), addr.port()) {
        (IpAddr::V4(ip), 80) => ip.to_string(),
        (IpAddr::V6(ip), 80) => format!("[{ip}]"),
        _ => addr.to_string(),
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
