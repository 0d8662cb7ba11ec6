//! The hand-over of a connection from HTTP to a WebSocket.

use std::sync::Arc;

use http::Request;
use hyper_util::rt::TokioIo;
use tokio_util::task::TaskTracker;

use crate::endpoint::{self, Services};
use crate::ws::{Socket, Stream};

use super::connection::Connection;
use super::timed_io::TimedIo;

/// What is spoken on a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    Stomp,
    Echo,
}

/// Starts the task of a WebSocket.
pub(super) struct Upgrade {
    pub(super) connection: Arc<Connection>,
    pub(super) tasks: TaskTracker,
}

impl Upgrade {
    /// Takes the connection over once the 101 response is written.
    pub(super) fn start(self, mut request: Request<()>, services: Arc<Services>, to: Carrier) {
        let upgraded = hyper::upgrade::on(&mut request);
        let Self { connection, tasks } = self;
        tasks.spawn(async move {
            let upgraded = match upgraded.await {
                Ok(upgraded) => upgraded,
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::debug!(error, "connection broke during the handshake");
                    return;
                }
            };
            let Ok(parts) = upgraded.downcast::<TokioIo<TimedIo>>() else {
                tracing::error!("an upgraded connection is not one of ours");
                return;
            };
            let stream = Stream::new(parts.io.into_inner().into_inner(), parts.read_buf);
            let jitter = rand::random::<f64>();
            match to {
                Carrier::Echo => {
                    let limit = services.config.websocket.echo_message_size_limit;
                    endpoint::serve_echo(Socket::new(stream, limit), &services, jitter).await;
                }
                Carrier::Stomp => {
                    let socket = Socket::new(stream, services.stomp_message_limit());
                    let session = format!("{:016x}", rand::random::<u64>());
                    endpoint::serve_stomp(socket, services, session, jitter).await;
                }
            }
            drop(connection);
        });
    }
}
