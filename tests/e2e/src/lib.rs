//! Harness of the end-to-end tests: real processes, real sockets, no fixed
//! ports, a deadline on every wait.
//!
//! A test builds a [`config::Config`], starts [`albeit::Albeit`] in front of
//! scripted [`target::Target`]s or real [`backend::Backend`]s, and talks to it
//! with [`client::Client`], [`http2::Http2`] or [`websocket`]. The harness
//! knows the product only by its binaries, its YAML and its sockets.

pub mod access_log;
pub mod admin;
pub mod albeit;
pub mod backend;
pub mod bad_balancer;
pub mod browser;
pub mod ca;
pub mod client;
pub mod client_certificate;
pub mod config;
pub mod elb_error;
pub mod events;
pub mod flow;
pub mod generations;
pub mod grpc;
pub mod h2_target;
pub mod http2;
pub mod idp;
pub mod load;
pub mod log_tools;
pub mod metrics;
pub mod namespace;
pub mod otlp;
pub mod peers;
pub mod ports;
pub mod process;
pub mod prometheus;
pub mod proxy_protocol;
pub mod random_flows;
pub mod raw_http2;
pub mod redis;
pub mod target;
pub mod tls_front;
pub mod topology;
pub mod wait;
pub mod websocket;
pub mod wire;

pub use self::{
    albeit::Albeit,
    backend::Backend,
    bad_balancer::{BadBalancer, Faults},
    browser::Browser,
    ca::Ca,
    client::{Client, Response},
    config::{Config, Group, Listener, LoadBalancer, forward},
    elb_error::{Answer, ElbError, ElbErrors},
    events::Events,
    generations::Generations,
    h2_target::H2Target,
    idp::Idp,
    load::Load,
    otlp::Collector,
    target::{Step, Target},
    tls_front::TlsFront,
    wait::{eventually, within},
};
