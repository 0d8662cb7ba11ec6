//! Sockets that were open before the process began: those of systemd's socket
//! activation (`sd_listen_fds(3)`), and those that the process before this one
//! hands over when the program is upgraded. Both come in the same way, by
//! `LISTEN_FDS`.
//!
//! A socket belongs to the listener that is configured for its local address. A
//! listener without a socket opens its own; a socket without a listener is closed.
//! What is not a listening TCP socket is refused as a whole: a unit that passes it
//! says something else than was meant.

use std::{
    env, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    os::{
        fd::{OwnedFd, RawFd},
        unix::net::UnixStream,
    },
};

use listenfd::ListenFd;
use socket2::SockRef;

/// The name, in `LISTEN_FDNAMES`, of the socket over which the process before this one is spoken with.
pub const PREDECESSOR: &str = "albeit-predecessor";

/// The first descriptor that is passed on; `SD_LISTEN_FDS_START`.
pub const FIRST: RawFd = 3;

/// The sockets that the process was started with and that nobody has taken yet.
#[derive(Debug, Default)]
pub struct Inherited(Vec<Socket>);

#[derive(Debug)]
struct Socket {
    name: Name,
    address: SocketAddr,
    /// Whether it takes connections over IPv4 as well, to any address.
    is_dual_stack: bool,
    listener: TcpListener,
}

/// How a descriptor is named in messages: `descriptor 3 ("albeit.socket")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    descriptor: usize,
    text: String,
}

/// A descriptor that was passed on and is of no use. The fault of who started the process.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// Something else than a TCP socket.
    #[error("{name} that the process was started with is no TCP socket")]
    NotTcp {
        /// Which.
        name: Name,
        /// What is wrong with it.
        source: io::Error,
    },
    /// A TCP socket that accepts no connections, such as one of a unit with `Accept=yes`.
    #[error(
        "{name} that the process was started with does not listen; systemd's socket unit needs ListenStream= and Accept=no"
    )]
    NotListening {
        /// Which.
        name: Name,
    },
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "descriptor {}", self.descriptor)?;
        if self.text.is_empty() { Ok(()) } else { write!(f, " (\"{}\")", self.text) }
    }
}

impl Inherited {
    /// Takes what `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES` say out of the environment: the listening
    /// sockets, and the connection to the process before this one, if it is an upgrade.
    ///
    /// To be called once, before the process has a second thread.
    ///
    /// # Errors
    ///
    /// [`InheritError`] for the first descriptor that is no listening TCP socket.
    pub fn from_env() -> Result<(Self, Option<UnixStream>), InheritError> {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut descriptors = ListenFd::from_env();
        let (mut sockets, mut predecessor) = (Vec::new(), None);
        for index in 0..descriptors.len() {
            let text = names.next().unwrap_or_default().to_owned();
            let name = Name { descriptor: index.saturating_add(3), text };
            if name.text == PREDECESSOR {
                let socket = descriptors.take_unix_listener(index);
                let socket = socket.map_err(|source| InheritError::NotTcp { name, source })?;
                predecessor = socket.map(|socket| UnixStream::from(OwnedFd::from(socket)));
                continue;
            }
            let listener = descriptors.take_tcp_listener(index);
            match listener {
                Ok(Some(listener)) => sockets.push(Socket::try_new(name, listener)?),
                Ok(None) => {}
                Err(source) => return Err(InheritError::NotTcp { name, source }),
            }
        }
        Ok((Self(sockets), predecessor))
    }

    /// The socket that listens at `address`, if there is one.
    pub fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let place = self.0.iter().position(|socket| socket.serves(address))?;
        let Socket { name, listener, .. } = self.0.swap_remove(place);
        tracing::info!(%address, %name, "socket inherited");
        Some(listener)
    }

    /// Closes the sockets that nobody has taken, and says so.
    pub fn close(&mut self) {
        for Socket { name, address, .. } in self.0.drain(..) {
            tracing::warn!(%address, %name, "inherited socket closed: no listener is configured for its address");
        }
    }
}

impl Socket {
    fn try_new(name: Name, listener: TcpListener) -> Result<Self, InheritError> {
        let socket = SockRef::from(&listener);
        if !socket.is_listener().unwrap_or_default() {
            return Err(InheritError::NotListening { name });
        }
        let address = listener.local_addr();
        let address = address.map_err(|source| InheritError::NotTcp { name: name.clone(), source })?;
        let is_all = address.ip() == Ipv6Addr::UNSPECIFIED;
        let is_dual_stack = is_all && !socket.only_v6().unwrap_or(true);
        Ok(Self { name, address, is_dual_stack, listener })
    }

    /// Whether it does what a socket bound to `address` would do. `[::]` takes connections over IPv4 too, unless
    /// it is told otherwise, and is what `ListenStream=443` of a socket unit means.
    fn serves(&self, address: SocketAddr) -> bool {
        let is_all_ipv4 = address.ip() == Ipv4Addr::UNSPECIFIED;
        self.address == address
            || (is_all_ipv4 && self.is_dual_stack && self.address.port() == address.port())
    }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Type};

    use super::*;

    fn name(text: &str) -> Name {
        Name { descriptor: 3, text: text.to_owned() }
    }

    /// `only [::]:0` takes no IPv4.
    fn inherited(address: &str) -> (Inherited, u16) {
        let only_v6 = address.starts_with("only ");
        let address: SocketAddr = address.trim_start_matches("only ").parse().unwrap();
        let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        if address.is_ipv6() {
            socket.set_only_v6(only_v6).unwrap();
        }
        socket.bind(&address.into()).unwrap();
        socket.listen(1).unwrap();
        let listener = TcpListener::from(socket);
        let port = listener.local_addr().unwrap().port();
        (Inherited(vec![Socket::try_new(name("s"), listener).unwrap()]), port)
    }

    #[track_caller]
    fn check(inherited_at: &str, wanted: &str, expected: bool) {
        let (mut inherited, port) = inherited(inherited_at);
        let wanted = SocketAddr::new(wanted.parse().unwrap(), port);
        assert_eq!(inherited.take(wanted).is_some(), expected, "{inherited_at} for {wanted}");
        assert_eq!(inherited.take(wanted).map(drop), None, "each is taken once");
    }

    #[test]
    fn a_socket_is_for_the_listener_at_its_address() {
        check("127.0.0.1:0", "127.0.0.1", true);
        check("127.0.0.1:0", "127.0.0.2", false);
        check("127.0.0.1:0", "0.0.0.0", false);
        check("0.0.0.0:0", "0.0.0.0", true);
        // It would take more than the listener is configured for.
        check("0.0.0.0:0", "127.0.0.1", false);
        check("[::]:0", "::", true);
        check("[::]:0", "0.0.0.0", true);
        check("only [::]:0", "0.0.0.0", false);
        check("[::1]:0", "0.0.0.0", false);
    }

    #[test]
    fn a_socket_that_does_not_listen_is_refused() {
        let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let refused = Socket::try_new(name("web.socket"), socket.into()).unwrap_err().to_string();
        assert!(refused.starts_with("descriptor 3 (\"web.socket\") that the process"), "{refused}");
    }
}
