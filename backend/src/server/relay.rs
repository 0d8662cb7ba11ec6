//! Brings what other instances published to the clients of this one.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::endpoint::{Content, Services};
use crate::relay::{Delivery, Resync};

/// Runs the relay until `stop`, and then until it has published what waits.
pub(super) async fn run(services: Arc<Services>, stop: CancellationToken) {
    let (work, mut deliveries) = services.relay.run(stop);
    let deliver = async {
        while let Some(delivery) = deliveries.recv().await {
            match delivery {
                Delivery::Message(received) => services.receive(received).await,
                Delivery::Resync(resync) => {
                    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
                    let notice = Bytes::from(resync.to_json());
                    let content = Content::new(Resync::DESTINATION.to_owned(), headers, notice);
                    services.publish_here(&content).await;
                }
            }
        }
    };
    tokio::join!(work, deliver);
}
