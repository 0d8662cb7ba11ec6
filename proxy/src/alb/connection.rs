//! A client's connection from its first byte to its last.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{
    http1, http2,
    state::{ListenerState, Shared},
};
use crate::{
    client::{ClientStream, Connection},
    tls::accept::TlsInfo,
};

/// Serves the requests of one connection until it closes.
///
/// Each request works with the state that `listener` holds when it begins, so
/// a reload reaches connections that are already open.
pub async fn serve(
    shared: Arc<Shared>,
    listener: Arc<ArcSwap<ListenerState>>,
    connection: Arc<Connection>,
    stream: ClientStream,
) {
    if connection.tls.as_ref().is_some_and(TlsInfo::is_http2) {
        http2::serve(shared, listener, connection, stream).await;
    } else {
        http1::serve(shared, listener, connection, stream).await;
    }
}
