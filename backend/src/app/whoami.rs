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
    })
}
