//! Each status code that ELB documents as its own, with each documented cause: what the client gets, what the
//! record says, and which metrics count it (ELB page "Troubleshoot your Application Load Balancers").

mod authentication;
mod configuration;
mod gone;
mod protocols;
mod requests;
mod targets;
mod timeouts;

use albeit_e2e::{Config, Group, Step, Target, target::Gate};
use anyhow::Result;

/// `400 Bad Request`.
const BAD_REQUEST: &str = "400 Bad Request";
/// `408 Request Time-out`.
const REQUEST_TIMEOUT: &str = "408 Request Time-out";
/// `502 Bad Gateway`.
const BAD_GATEWAY: &str = "502 Bad Gateway";
/// `504 Gateway Time-out`.
const GATEWAY_TIMEOUT: &str = "504 Gateway Time-out";

/// An idle timeout of a second: 10 s divided by 10. The 10 s to connect to a target and to agree on TLS with it
/// become a second too.
fn one_second(config: Config) -> Config {
    config.with_attribute("idle_timeout.timeout_seconds", 10).with_time_scale(10)
}

/// A target that never answers.
fn silent() -> Result<Target> {
    Target::start_at_heads(|_| vec![Step::Await(Gate::default())])
}

/// A group `name` whose targets are healthy as long as `checked` is.
fn checked_at(name: &str, addr: std::net::SocketAddr, checked: &Target) -> Group {
    Group::new(name, &[addr]).with_health("port", checked.addr().port()).with_health("protocol", "HTTP")
}
