//! Who a client of a namespace is.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::app::gateway::Refusal;
use crate::auth::{self, Client};
use crate::endpoint::Services;

/// The client that a namespace gets to know: with the principal that the token
/// of its `auth` names, or that of its handshake.
pub(super) async fn authenticate(
    services: &Services,
    client: &Client,
    credentials: &Map<String, Value>,
) -> Result<Arc<Client>, Refusal> {
    let token = credentials.get("token").and_then(Value::as_str);
    let token = token.and_then(|token| auth::of_connect(std::iter::once(("authorization", token))));
    services.identify(client, token.as_ref()).await.map_err(|error| Refusal(error.to_string()))
}
