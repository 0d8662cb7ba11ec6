//! A STOMP over WebSocket service to stand behind an Application or Network
//! Load Balancer.
//!
//! To a client it is a Spring STOMP endpoint with an in-memory broker; to an
//! operator a Spring Boot service with Tomcat's settings, actuator health and
//! Prometheus metrics. As a library it serves any [`app::Application`]:
//!
//! ```no_run
//! use std::sync::Arc;
//! use albeit_backend::{app::Demo, config::Config, server::Server};
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::bind(Config::default(), Arc::new(Demo::new("b1")))?;
//! println!("http://{}/", server.local_addr());
//! server.run(CancellationToken::new()).await;
//! # Ok(())
//! # }
//! ```
//!
//! Cores of protocols ([`stomp`], [`sock_js`], …), the [`broker`], the [`relay`],
//! the [`store`] and the [`app`] do not know each other; [`endpoint`] joins them,
//! and [`server`] puts it all on sockets. The layers are written down, and
//! checked, in `tests/e2e/tests/tidy.rs`.

pub mod app;
pub mod auth;
pub mod broker;
pub mod config;
pub mod endpoint;
pub mod engine_io;
pub mod health;
pub mod limits;
pub mod link;
pub mod logging;
pub mod metrics;
pub mod presence;
pub mod proxy_protocol;
pub mod relay;
pub mod reload;
pub mod server;
pub mod sock_js;
pub mod socket_io;
pub mod stomp;
pub mod store;
pub mod tls;
pub mod transport;
pub mod ws;
