//! Who a STOMP client is, and what it may send.

use std::sync::Arc;

use crate::app::Rejection;
use crate::auth::Client;
use crate::stomp::{Frame, Headers};

use super::Services;

/// Decides on a CONNECT frame, whose headers may hold secrets (`login`,
/// `passcode`, `Authorization`): the client, with its principal if it proved
/// one, now or in the handshake.
///
/// A [`Rejection`] ends the session with an ERROR frame.
#[expect(clippy::unnecessary_wraps, reason = "everybody may connect")]
pub(super) fn authenticate(
    _services: &Services,
    client: &Arc<Client>,
    _headers: &Headers,
) -> Result<Arc<Client>, Rejection> {
    Ok(Arc::clone(client))
}

/// Decides on a frame before it is handled, CONNECT included.
///
/// A [`Rejection`] ends the session with an ERROR frame.
#[expect(clippy::unnecessary_wraps, reason = "every frame is admitted")]
pub(super) fn admit(_services: &Services, _client: &Client, _frame: &Frame) -> Result<(), Rejection> {
    Ok(())
}
