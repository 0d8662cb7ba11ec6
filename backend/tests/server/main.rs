//! The server over real loopback sockets, through the library's interface.

#[cfg(test)]
mod drain;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod http;
#[cfg(test)]
mod slow_handler;
#[cfg(test)]
mod stomp;
#[cfg(test)]
mod web_socket;
