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

use super::{
    accept::{HandshakeError, TlsInfo, TlsListener, describe},
    negotiation::{self, Notes},
};

/// What a client asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientRequest {
    /// The name it wants to reach.
    pub server_name: Option<Box<str>>,
    /// What it offers by ALPN, if the listener has an ALPN policy.
    pub alpn: Vec<Vec<u8>>,
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
        let handshake = negotiation::noting(async {
            let start = LazyConfigAcceptor::new(Acceptor::default(), client).await?;
            let hello = start.client_hello();
            request.server_name = hello.server_name().map(Box::from);
            let mut config = &self.config;
            if let Some(without_alpn) = &self.without_alpn {
                request.alpn = hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
                if !request.alpn.iter().any(|offered| config.alpn_protocols.contains(offered)) {
                    config = without_alpn;
                }
            }
            start.into_stream(Arc::clone(config)).await
        });
        let (stream, notes): (_, Notes) = match tokio::time::timeout(limit, handshake).await {
            Err(_) => return Err(HandshakeError::TimedOut),
            Ok((Err(error), notes)) => return Err(HandshakeError::failed(error, &notes)),
            Ok((Ok(stream), notes)) => (stream, notes),
        };
        let info = describe(stream.get_ref().1, &notes);
        Ok((Box::new(stream), info))
    }
}
