//! The dashboard: a page that shows what the balancer does while it does it, and the server-sent events that
//! tell it.
//!
//! `GET /events` begins with an event `configuration`, which comes again whenever what is in force changes, and
//! a `tick`, which comes every second. One task makes them, only while somebody watches, and all streams share
//! what it makes.

mod assets;
mod configuration;
mod publish;
mod rates;
mod streams;
mod tick;

use std::{sync::Arc, time::SystemTime};

use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub(super) use self::{
    assets::{PREFIX, asset, page, wants_page},
    publish::publish,
    tick::milliseconds,
};
use self::{publish::Published, streams::Streams};
use super::{
    AdminState,
    answer::{Answer, with_error, with_type},
    api_error::ApiError,
    findings::Findings,
};
use crate::{access_log::Recent, time_scale::TimeScale};

/// What the dashboard works with.
#[derive(Debug)]
pub struct Dashboard {
    pub(super) started: SystemTime,
    scale: TimeScale,
    pub(super) findings: Findings,
    streams: Streams,
    pub(super) recent: Arc<Recent>,
    published: Mutex<Option<Published>>,
}

impl Dashboard {
    /// Of a process that began at `started`, whose timers are divided by `scale` and whose last requests are in
    /// `recent`.
    #[must_use]
    pub fn new(started: SystemTime, scale: TimeScale, recent: Arc<Recent>) -> Self {
        Self {
            started,
            scale,
            findings: Findings::default(),
            streams: Streams::default(),
            recent,
            published: Mutex::default(),
        }
    }
}

/// `GET /events`: a stream that `cut` is cancelled for when its reader is too slow.
pub(super) async fn events(state: &AdminState, cut: CancellationToken) -> Answer {
    publish::refresh(state).await;
    let Some(stream) = state.dashboard.streams.open(cut) else {
        let message = format!("there are {} streams, the most there may be", streams::MOST);
        let error = ApiError::new("ServiceUnavailable", message);
        return with_error(&error.with_status(StatusCode::SERVICE_UNAVAILABLE));
    };
    let answer = with_type("", "text/event-stream");
    let mut answer = answer.map(|_| stream.boxed_unsync());
    // For proxies that would wait for a whole answer.
    answer.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
