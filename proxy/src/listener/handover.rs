//! Connections that a network load balancer hands over to a listener of an
//! application load balancer of the same process.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use tokio::time::Instant;

use super::{
    Planes,
    application::{self, Accepted},
    front::Plane,
};
use crate::{client_socket::ClientSocket, nlb};

impl nlb::Handover for Planes {
    fn hand_over(
        &self,
        address: SocketAddr,
        socket: ClientSocket,
        client: SocketAddr,
    ) -> Result<nlb::Serving, ClientSocket> {
        let front = reached_at(&self.running.lock(), address).map(|listener| listener.front.load_full());
        let Some(front) = front else {
            return Err(socket);
        };
        let Plane::Application(state) = &front.plane else {
            return Err(socket);
        };
        let (closing, state) = (front.closing.clone(), Arc::clone(state));
        let accepted = Accepted { socket, client, local: Some(address), at: Instant::now(), closing };
        Ok(Box::pin(application::serve(accepted, state, Arc::clone(&self.alb))))
    }
}

/// Who listens at `address`: the one on that very address, else the one on all of its kind.
fn reached_at<T>(listeners: &HashMap<SocketAddr, T>, address: SocketAddr) -> Option<&T> {
    let all: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    listeners.get(&address).or_else(|| listeners.get(&SocketAddr::new(all, address.port())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_very_address_comes_before_all_addresses_of_its_kind() {
        let names = ["127.0.0.1:80", "0.0.0.0:80", "[::]:80", "[::1]:81"];
        let listeners: HashMap<SocketAddr, &str> =
            names.iter().map(|name| (name.parse().unwrap(), *name)).collect();
        for (address, expected) in [
            ("127.0.0.1:80", Some("127.0.0.1:80")),
            ("127.0.0.2:80", Some("0.0.0.0:80")),
            ("[::1]:80", Some("[::]:80")),
            ("[::1]:81", Some("[::1]:81")),
            ("[::2]:81", None),
            ("127.0.0.1:81", None),
        ] {
            assert_eq!(reached_at(&listeners, address.parse().unwrap()).copied(), expected, "{address}");
        }
    }
}
