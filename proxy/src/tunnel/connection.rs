//! What a tunnel asks of a connection besides its bytes.

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::client;

/// One end of a tunnel: a stream of bytes that may have a TCP connection below it.
pub trait Connection: AsyncRead + AsyncWrite + Unpin {
    /// The TCP connection that carries the bytes, if the tunnel may ask it for what bytes do not
    /// tell: keepalive packets.
    fn tcp(&self) -> Option<&TcpStream> {
        None
    }
}

impl Connection for TcpStream {
    fn tcp(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl Connection for client::TlsStream<TcpStream> {
    fn tcp(&self) -> Option<&TcpStream> {
        Some(self.get_ref().0)
    }
}

impl<C: Connection + ?Sized> Connection for Box<C> {
    fn tcp(&self) -> Option<&TcpStream> {
        (**self).tcp()
    }
}
