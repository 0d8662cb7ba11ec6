//! What is known of an accepted client connection.

use std::{net::SocketAddr, sync::Arc};

use tokio::time::Instant;

use super::{closing::Closing, connections::Listed, meter::Meter, usage::Usage};
use crate::{access_log::record::ConnTraceId, metrics::OpenConnection, tls::accept::TlsInfo};

/// A client connection after accept and handshake.
#[derive(Debug)]
pub struct Connection {
    /// The TCP peer.
    pub client: SocketAddr,
    /// The address the client reached.
    pub local: SocketAddr,
    /// What TLS agreed on; `None` in clear text.
    pub tls: Option<TlsInfo>,
    /// Byte counts and activity.
    pub meter: Arc<Meter>,
    /// When its time is over: `client_keep_alive.seconds` as it was at its start, whatever a reload brings.
    pub expires: Instant,
    /// `conn_trace_id` of the logs.
    pub trace_id: ConnTraceId,
    /// Cancelled when its listener goes, by reload or shutdown: the request in hand is the last.
    pub closing: Closing,
    /// What has been done with it, for the admin API.
    pub usage: Usage,
    /// Lists it among the open connections until it is dropped.
    pub listed: Listed,
    /// Counts it as open, as a WebSocket too, until it is dropped.
    pub open: OpenConnection,
}

impl Connection {
    /// Whether the client came over IPv6; an IPv4 address in the clothes of IPv6 does not count.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.client.ip().to_canonical().is_ipv6()
    }
}
