//! What is known of an accepted client connection.

use std::{net::SocketAddr, sync::Arc};

use super::meter::Meter;
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
    /// `conn_trace_id` of the logs.
    pub trace_id: ConnTraceId,
    /// Counts it as open, as a WebSocket too, until it is dropped.
    pub open: OpenConnection,
}
