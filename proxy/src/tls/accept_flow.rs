//! The handshake with a client of a TLS listener of a network load balancer.
//!
//! ELB pages: "TLS listeners for your Network Load Balancer" (ALPN policies),
//! "Access logs for your Network Load Balancer": what the client asked for is
//! logged, whether or not it got it. A client that offers no protocol of the
//! ALPN policy is served without one.

use std::{sync::Arc, time::Duration};

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use super::accept::{HandshakeError, TlsInfo, TlsListener, within};

/// Bytes of `alpn_client_preference_list` in the access log.
const MAX_PREFERENCE_LIST: usize = 256;

/// What a client asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientRequest {
    /// The name it wants to reach.
    pub server_name: Option<Box<str>>,
    /// What it offers by ALPN, if the listener has an ALPN policy: the first names, as far as they are logged.
    pub alpn: Vec<Vec<u8>>,
}

/// As many names as the log can show: a client may offer thousands, and they are kept as long as the flow.
fn loggable<'a>(offered: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    // Each has two quotes and a comma in the log.
    const AROUND: usize = 3;
    let mut room = MAX_PREFERENCE_LIST;
    let fits = |name: &&[u8]| {
        let has_room = room > 0;
        room = room.saturating_sub(name.len() + AROUND);
        has_room
    };
    offered.take_while(fits).map(<[u8]>::to_vec).collect()
}

impl TlsListener {
    /// Performs the handshake within `limit`; `request` has what the client asked for, as far as it came.
    ///
    /// # Errors
    ///
    /// When the client is too slow or agrees to nothing.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the connection is lost with the future.
    pub async fn accept_flow<C: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: C,
        limit: Duration,
        request: &mut ClientRequest,
    ) -> Result<(Box<TlsStream<C>>, TlsInfo), HandshakeError> {
        let handshake = async {
            let start = LazyConfigAcceptor::new(Acceptor::default(), client).await?;
            let hello = start.client_hello();
            request.server_name = hello.server_name().map(Box::from);
            let mut config = &self.config;
            if let Some(without_alpn) = &self.without_alpn {
                let offered = || hello.alpn().into_iter().flatten();
                request.alpn = loggable(offered());
                if !offered().any(|name| config.alpn_protocols.iter().any(|known| known == name)) {
                    config = without_alpn;
                }
            }
            start.into_stream(Arc::clone(config)).await
        };
        within(limit, handshake).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_list_without_end_no_more_is_kept_than_is_logged() {
        let few: [&[u8]; 2] = [b"h2", b"http/1.1"];
        assert_eq!(loggable(few.into_iter()), few.map(<[u8]>::to_vec));
        let many = loggable(std::iter::repeat_n(b"x".as_slice(), 32_000));
        assert_eq!(many.len(), 64, "four bytes each in 256");
        let long = [b'x'; 255];
        assert_eq!(loggable(std::iter::repeat_n(long.as_slice(), 250)).len(), 1);
    }
}
