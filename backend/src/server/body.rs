//! Bodies: of requests, read in bounds, and of responses, whole or as a stream.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Duration, timeout};

use super::response::{self, Answer};

/// The parts of a body, as they come.
pub(super) type Parts = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// The body of a response.
pub(super) enum Reply {
    /// In one piece.
    Whole(Full<Bytes>),
    /// In parts, each of which is sent at once.
    Parts(Parts),
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(body) => f.debug_tuple("Whole").field(body).finish(),
            Self::Parts(_) => f.debug_tuple("Parts").finish_non_exhaustive(),
        }
    }
}

impl Default for Reply {
    fn default() -> Self {
        Self::Whole(Full::default())
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(body) => Pin::new(body).poll_frame(cx),
            Self::Parts(parts) => parts.as_mut().poll_next(cx).map(|part| Some(Ok(Frame::data(part?)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Parts(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Parts(_) => SizeHint::default(),
        }
    }
}

/// Reads a body and counts its bytes. Each part may take as long as
/// `patience`.
pub(super) async fn swallow(body: Incoming, limit: u64, patience: Duration) -> Result<u64, Answer> {
    let mut bytes = 0;
    read(body, patience, |part| {
        bytes += u64::try_from(part.len()).unwrap_or(u64::MAX);
        bytes <= limit
    })
    .await?;
    Ok(bytes)
}

/// Reads a body of at most `limit` bytes. Each part may take as long as
/// `patience`.
pub(super) async fn collect(body: Incoming, limit: usize, patience: Duration) -> Result<Bytes, Answer> {
    let mut bytes = BytesMut::new();
    read(body, patience, |part| {
        bytes.extend_from_slice(part);
        bytes.len() <= limit
    })
    .await?;
    Ok(bytes.freeze())
}

/// Reads a body to its end, or until `take` has had enough.
async fn read(
    mut body: Incoming,
    patience: Duration,
    mut take: impl FnMut(&[u8]) -> bool,
) -> Result<(), Answer> {
    while !body.is_end_stream() {
        let frame = match timeout(patience, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(response::fatal(StatusCode::BAD_REQUEST, "malformed body")),
            Err(_) => return Err(response::fatal(StatusCode::REQUEST_TIMEOUT, "body came too slowly")),
        };
        if frame.data_ref().is_some_and(|part| !take(part)) {
            return Err(response::fatal(StatusCode::PAYLOAD_TOO_LARGE, "body too large"));
        }
    }
    Ok(())
}
