//! `/whoami`: what the server saw of a request, as JSON, to look at a balancer
//! from behind.

use std::net::SocketAddr;

use http::request::Parts;
use serde::Serialize;

use crate::auth::Forwarded;

/// The connection that a request came on.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Connection {
    /// Counts the connections of this process from 1.
    pub id: u64,
    /// Requests on it so far, this one included.
    pub requests: u64,
}

/// TLS that ended here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tls<'a> {
    /// `TLSv1.2` or `TLSv1.3`.
    pub protocol: &'a str,
    /// IANA's name of the cipher suite.
    pub cipher: String,
    /// SNI.
    pub server_name: Option<&'a str>,
    /// The application protocol agreed on.
    pub alpn: Option<&'a str>,
}

/// What a balancer said of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ProxyProtocol {
    /// 1 or 2.
    pub version: u8,
    /// `PROXY` or `LOCAL`.
    pub command: &'static str,
    /// The client, if the header names it.
    pub source: Option<SocketAddr>,
    /// What the client connected to.
    pub destination: Option<SocketAddr>,
}

/// Where a request came from.
#[derive(Debug, Clone)]
pub struct Origin<'a> {
    /// Name of this instance.
    pub instance: &'a str,
    /// The peer of the connection: the balancer.
    pub remote: SocketAddr,
    /// The server's end of the connection.
    pub local: SocketAddr,
    /// The client as trusted proxies told it.
    pub forwarded: &'a Forwarded,
    /// The connection.
    pub connection: Connection,
    /// TLS, if it ended here.
    pub tls: Option<Tls<'a>>,
    /// The PROXY protocol header, if there was one.
    pub proxy_protocol: Option<ProxyProtocol>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    instance: &'a str,
    method: &'a str,
    uri: String,
    version: String,
    remote_addr: String,
    local_addr: String,
    headers: Vec<(&'a str, String)>,
    body_bytes: u64,
    forwarded: ForwardedReport<'a>,
    connection: Connection,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<&'a Tls<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_protocol: Option<ProxyProtocol>,
}

#[derive(Debug, Serialize)]
struct ForwardedReport<'a> {
    client: String,
    proto: &'a str,
    port: u16,
}

/// The report as JSON. Headers keep their order, except that lines of one name
/// stand together where the first one stood. Bytes that are not UTF-8 are
/// replaced.
///
/// # Errors
///
/// Never in practice: every value has a JSON form.
pub fn report(request: &Parts, body_bytes: u64, origin: &Origin<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    serde_json::to_vec_pretty(&Report {
        instance: origin.instance,
        method: request.method.as_str(),
        uri: request.uri.to_string(),
        version: format!("{:?}", request.version),
        remote_addr: origin.remote.to_string(),
        local_addr: origin.local.to_string(),
        headers: request.headers.iter().map(|(n, value)| (n.as_str(), text(value))).collect(),
        body_bytes,
        forwarded: ForwardedReport {
            client: origin.forwarded.client.to_string(),
            proto: origin.forwarded.proto.as_str(),
            port: origin.forwarded.port,
        },
        connection: origin.connection,
        tls: origin.tls.as_ref(),
        proxy_protocol: origin.proxy_protocol,
    })
}
