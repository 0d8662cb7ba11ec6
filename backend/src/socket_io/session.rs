//! What one client may send: it joins a namespace, and only then speaks in it.

use std::collections::HashSet;

use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::decoder::Decoder;
use super::packet::{Body, Malformed, Packet, Payload};

/// What a client wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// To join a namespace. Answer with [`Session::connected`] when it does.
    Connect {
        /// The namespace.
        namespace: String,
        /// Its credentials; empty when it sent none.
        auth: Map<String, Value>,
    },
    /// That an event is handled.
    Event {
        /// The namespace.
        namespace: String,
        /// Under which it wants an acknowledgement.
        id: Option<u64>,
        /// Name and arguments.
        payload: Payload,
    },
    /// To acknowledge an event of the server.
    Ack {
        /// The namespace.
        namespace: String,
        /// As in the event.
        id: u64,
        /// The arguments.
        payload: Payload,
    },
    /// To leave a namespace, which it has left already.
    Disconnect {
        /// The namespace.
        namespace: String,
    },
}

/// Why the connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A message that is no packet.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A packet for a namespace that the client has not joined, or joined
    /// already, or that only a server sends.
    #[error("packet at the wrong time")]
    State,
    /// No namespace was joined in time.
    #[error("no namespace joined in time")]
    ConnectTimeout,
}

/// The state of one client.
#[derive(Debug)]
pub struct Session {
    decoder: Decoder,
    namespaces: HashSet<String>,
    /// Until when a first namespace must be joined.
    connect_by: Option<Instant>,
}

impl Session {
    /// A client that has joined nothing, and must by then.
    #[must_use]
    pub fn new(connect_by: Instant) -> Self {
        Self { decoder: Decoder::default(), namespaces: HashSet::new(), connect_by: Some(connect_by) }
    }

    /// A text message, which must be UTF-8.
    ///
    /// # Errors
    ///
    /// The connection is to be closed.
    pub fn handle_text(&mut self, text: &[u8]) -> Result<Option<Received>, Fault> {
        let text = std::str::from_utf8(text).map_err(|_| Malformed::Payload)?;
        let packet = self.decoder.text(text)?;
        packet.map(|packet| self.receive(packet)).transpose()
    }

    /// A binary message.
    ///
    /// # Errors
    ///
    /// The connection is to be closed.
    pub fn handle_binary(&mut self, binary: Bytes) -> Result<Option<Received>, Fault> {
        let packet = self.decoder.binary(binary)?;
        packet.map(|packet| self.receive(packet)).transpose()
    }

    fn receive(&mut self, packet: Packet) -> Result<Received, Fault> {
        let Packet { namespace, body } = packet;
        let joined = self.namespaces.contains(&namespace);
        Ok(match body {
            Body::Connect(auth) if !joined => Received::Connect { namespace, auth },
            Body::Event { id, payload } if joined => Received::Event { namespace, id, payload },
            Body::Ack { id, payload } if joined => Received::Ack { namespace, id, payload },
            Body::Disconnect if joined => {
                self.namespaces.remove(&namespace);
                Received::Disconnect { namespace }
            }
            Body::Connect(_)
            | Body::Event { .. }
            | Body::Ack { .. }
            | Body::Disconnect
            | Body::ConnectError(_) => return Err(Fault::State),
        })
    }

    /// The client has joined a namespace.
    pub fn connected(&mut self, namespace: &str) {
        self.connect_by = None;
        self.namespaces.insert(namespace.to_owned());
    }

    /// The server has put the client out of a namespace.
    pub fn disconnected(&mut self, namespace: &str) {
        self.namespaces.remove(namespace);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.connect_by
    }

    /// Time has passed.
    ///
    /// # Errors
    ///
    /// The connection is to be closed.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Fault> {
        match self.connect_by {
            Some(at) if now >= at => Err(Fault::ConnectTimeout),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Duration;

    use super::*;

    fn session() -> (Session, Instant) {
        let now = Instant::now();
        (Session::new(now + Duration::from_secs(45)), now)
    }

    #[test]
    fn a_namespace_is_joined_before_it_is_used() {
        let (mut session, _) = session();
        for text in [r#"2["a"]"#, "30[]", "1", r#"4{"message":"a"}"#] {
            assert_eq!(session.handle_text(text.as_bytes()), Err(Fault::State), "{text}");
        }
        let connect = session.handle_text(br#"0/chat,{"token":"t"}"#).unwrap();
        assert!(matches!(connect, Some(Received::Connect { namespace, .. }) if namespace == "/chat"));
        // Not joined until it is let in.
        assert_eq!(session.handle_text(br#"2/chat,["a"]"#), Err(Fault::State));
        session.connected("/chat");
        assert!(matches!(session.handle_text(br#"2/chat,["a"]"#), Ok(Some(Received::Event { .. }))));
        assert_eq!(session.handle_text(b"0/chat,"), Err(Fault::State));
        assert_eq!(session.handle_text(br#"2["a"]"#), Err(Fault::State));
    }

    #[test]
    fn a_namespace_is_left_by_either_side() {
        let (mut session, _) = session();
        session.connected("/chat");
        let left = session.handle_text(b"1/chat,");
        assert_eq!(left, Ok(Some(Received::Disconnect { namespace: "/chat".to_owned() })));
        assert_eq!(session.handle_text(b"1/chat,"), Err(Fault::State));
        session.connected("/chat");
        session.disconnected("/chat");
        assert_eq!(session.handle_text(br#"2/chat,["a"]"#), Err(Fault::State));
    }

    #[test]
    fn a_first_namespace_is_joined_in_time() {
        let (mut session, now) = session();
        let late = now + Duration::from_secs(45);
        assert_eq!(session.poll_timeout(), Some(late));
        assert_eq!(session.handle_timeout(now), Ok(()));
        assert_eq!(session.handle_timeout(late), Err(Fault::ConnectTimeout));
        session.connected("/");
        assert_eq!(session.handle_timeout(late), Ok(()));
        assert_eq!(session.poll_timeout(), None);
    }
}
