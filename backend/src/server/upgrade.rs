//! The hand-over of a connection from HTTP to a WebSocket.

use std::future::Future;
use std::sync::Arc;

use http::Request;
use hyper_util::rt::TokioIo;
use tokio_util::task::TaskTracker;

use crate::ws::Stream;

use super::connection::Connection;
use super::timed_io::TimedIo;

/// Starts the task of a WebSocket.
pub(super) struct Upgrade {
    pub(super) connection: Arc<Connection>,
    pub(super) tasks: TaskTracker,
}

impl Upgrade {
    /// Takes the connection over once the 101 response is written, and serves
    /// it in a task of its own.
    pub(super) fn start<F, S>(self, mut request: Request<()>, serve: F)
    where
        F: FnOnce(Stream) -> S + Send + 'static,
        S: Future<Output = ()> + Send,
    {
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
            serve(Stream::new(parts.io.into_inner().into_inner(), parts.read_buf)).await;
            drop(connection);
        });
    }
}
