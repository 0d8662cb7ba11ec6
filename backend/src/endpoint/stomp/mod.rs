//! STOMP over any carrier: one task with socket, session and outbox.
//!
//! [`connection`] is the loop of that task, [`frames`] does what the client asks
//! for as far as [`guard`] lets it, [`writer`] writes what waits.
//!
//! Everything for the client goes through the outbox, so that receipts and
//! deliveries keep one order; what waits there is written in batches. One frame
//! of the client is processed at a time. A blocked write arms the send-time
//! limit, whether or not anything more is sent.

mod acknowledge;
mod attending;
mod connection;
mod frames;
mod guard;
mod writer;

use std::sync::Arc;

use tokio::time::Instant;

use crate::metrics::Active;
use crate::ws::CloseCode;

use super::{Carrier, Opened, Services};

use connection::Connection;
use frames::finish;

/// How a connection ends: close code, reason.
type Closing = (CloseCode, &'static str);

/// Serves one STOMP session until its carrier closes.
// Not async itself, and boxed where it ends: what is moved on the way is not
// part of the size of every connection that idles.
pub fn serve<C: Carrier>(
    carrier: C,
    services: Arc<Services>,
    opened: Opened,
) -> impl Future<Output = ()> + Send + use<C> {
    let active = Active::new(&services.metrics.websocket_connections_active);
    let aborting = services.lifecycle.aborting().clone();
    let mut connection = Connection::new(carrier, services, opened);
    async move {
        let _active = active;
        let closing = tokio::select! {
            closing = connection.run() => closing,
            () = aborting.cancelled() => return,
        };
        let ending = Box::pin(end(connection, closing));
        tokio::select! {
            () = ending => {}
            () = aborting.cancelled() => {}
        }
    }
}

/// Closes the carrier, while the last message of the client reaches its
/// receivers.
async fn end<C: Carrier>(connection: Connection<C>, closing: Option<Closing>) {
    // Deliveries end here, before the closing handshake.
    let Connection { carrier, outbox, subscriptions, processing, services, .. } = connection;
    drop((subscriptions, outbox));
    let close = async {
        if let Some((code, reason)) = closing {
            let deadline = Instant::now() + services.config.websocket.close_timeout;
            carrier.close(code, reason, deadline).await;
        }
    };
    futures_util::future::join(close, finish(processing)).await;
}
