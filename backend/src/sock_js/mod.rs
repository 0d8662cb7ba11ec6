//! SockJS 0.3.3, the part without I/O: addresses, frames in and out, and the
//! two pages. What a receiver is given, and when, is up to `endpoint`; headers
//! and status codes are up to `server`.

pub mod client;
mod form;
pub mod frame;
mod page;
mod url;

use rand::Rng;

pub use form::field;
pub use page::{Etag, iframe};
pub use url::{Callback, CallbackError, Route, Transport, route};

/// The greeting at the endpoint's own address.
pub const GREETING: &str = "Welcome to SockJS!\n";

/// What `/info` tells a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// Whether it may try a WebSocket.
    pub web_socket: bool,
    /// Whether it must use transports that send cookies, which a balancer may
    /// bind it by.
    pub cookie_needed: bool,
}

impl Info {
    /// The answer, with entropy, of which a browser may have too little.
    #[must_use]
    pub fn to_json(self, dice: &mut impl Rng) -> String {
        let Self { web_socket, cookie_needed } = self;
        let entropy: u32 = dice.random();
        format!(
            "{{\"websocket\":{web_socket},\"origins\":[\"*:*\"],\"cookie_needed\":{cookie_needed},\
             \"entropy\":{entropy}}}"
        )
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn info_tells_what_is_served_and_gives_entropy_anew() {
        let mut dice = StdRng::seed_from_u64(1);
        let info = Info { web_socket: true, cookie_needed: false };
        let [first, second] = [(); 2].map(|()| info.to_json(&mut dice));
        let parsed: serde_json::Value = serde_json::from_str(&first).unwrap();
        assert_eq!(parsed["websocket"], true);
        assert_eq!(parsed["cookie_needed"], false);
        assert_eq!(parsed["origins"], serde_json::json!(["*:*"]));
        assert!(parsed["entropy"].as_u64().unwrap() <= u64::from(u32::MAX));
        assert_ne!(first, second);
    }
}
