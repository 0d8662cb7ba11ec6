//! Clients: what connects, speaks a protocol, and tells how it ended.
//!
//! A [`Connector`](connection::Connector) is made once from a URL; each client
//! takes it and a *number*, which chooses the local address. A client's end is
//! part of what it is asked for: every failure says whether it was RST, FIN, a
//! close frame, a status or the patience of this end.
//!
//! | client | made by | speaks |
//! |---|---|---|
//! | [`connection::Connection`] | `connector.connect(number)` | TCP, TLS |
//! | [`http::Http`] | `Http::connect(&connector, number)` | `request(&Request)`; or `send`, `head`, `piece`; `ended()` waits for an idle end |
//! | [`requester::Requester`] | `Requester::new(&connector, number, cookies)` | HTTP with a cookie jar |
//! | [`web_socket::WebSocket`] | `WebSocket::connect(&connector, number)` | `send_text`, `ping`, `next() -> Event` |
//! | [`stomp::Stomp`] | `Stomp::connect(&connector, number, heart_beat)` | `subscribe`, `queue_send`, `flush`, `next() -> Event`; over SockJS by `Stomp::on` |
//! | [`sock_js::SockJs`] | `SockJs::connect(&connector, number, transport, cookies)` | `queue`, `flush`, `next() -> Event` |
//! | [`socket_io::SocketIo`] | `SocketIo::connect(&connector, number, transport, &options)` | `queue_emit`, `flush`, `next() -> Event` |
//! | [`messenger::Messenger`] | `Messenger::connect(…)` | any of them, for scenarios that take each protocol |
//!
//! Errors on the way up are a [`failure::Failure`]; an open WebSocket, or what is
//! on one, ends with a [`web_socket::Closed`]: how, and when. Every wait for an
//! answer ends after the connector's patience, but `next()` waits as long as it
//! takes.

pub(crate) mod connection;
pub(crate) mod cookies;
pub(crate) mod failure;
mod framing;
pub(crate) mod heart_beat;
pub(crate) mod http;
pub(crate) mod messenger;
pub(crate) mod requester;
pub(crate) mod sock_js;
pub(crate) mod socket_io;
pub(crate) mod sources;
pub(crate) mod stomp;
#[cfg(test)]
mod tests;
pub(crate) mod trust;
pub(crate) mod web_socket;
