//! The server over real loopback sockets, through the library's interface.

#[cfg(test)]
mod auth;
#[cfg(test)]
mod auth_sessions;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod destinations;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod health;
#[cfg(test)]
mod http;
#[cfg(test)]
mod instances;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod mariadb;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod presence;
#[cfg(test)]
mod proxy_protocol;
#[cfg(test)]
mod redis_server;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod relay_cluster;
#[cfg(test)]
mod relay_failures;
#[cfg(test)]
mod relay_streams;
#[cfg(test)]
mod rooms;
#[cfg(test)]
mod slow_handler;
#[cfg(test)]
mod sock_js;
#[cfg(test)]
mod sock_js_client;
#[cfg(test)]
mod sock_js_http;
#[cfg(test)]
mod sock_js_users;
#[cfg(test)]
mod sock_js_web_socket;
#[cfg(test)]
mod socket_io;
#[cfg(test)]
mod socket_io_gateway;
#[cfg(test)]
mod socket_io_relay;
#[cfg(test)]
mod socket_io_upgrade;
#[cfg(test)]
mod stomp;
#[cfg(test)]
mod stomp_acknowledge;
#[cfg(test)]
mod stomp_carrier;
#[cfg(test)]
mod store;
#[cfg(test)]
mod store_mysql;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod tls_client;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod users;
#[cfg(test)]
mod web_socket;
