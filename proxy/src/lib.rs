//! Albeit: a self-hosted load balancer that behaves like an AWS Application
//! or Network Load Balancer.
//!
//! The modules and what each may use are in `ARCHITECTURE.md`; a tidy test
//! holds them to it.

pub mod access_log;
pub mod admin;
pub mod alb;
pub mod authenticate;
pub mod balance;
pub mod cli;
pub mod client;
pub mod client_socket;
pub mod config;
pub mod cut;
pub mod desync;
pub mod doctor;
pub mod error_chain;
pub mod fault;
pub mod flow;
pub mod headers;
pub mod health;
pub mod listener;
pub mod metrics;
pub mod model;
pub mod nlb;
pub mod probe;
pub mod proxy_protocol;
pub mod rules;
pub mod server;
pub mod stickiness;
pub mod target_groups;
pub mod tasks;
pub mod time_scale;
pub mod tls;
pub mod traces;
pub mod tunnel;
