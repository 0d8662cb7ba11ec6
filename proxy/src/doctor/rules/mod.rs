//! The rules: one file each, named by its code.
//!
//! A rule looks at what is known and says what clashes; it says nothing about
//! what nobody told. The code is the name of the page `docs/findings/CODE.md`.

mod app_cookie_reserved_name;
mod app_cookie_web_socket;
mod app_cookie_weighted_forward;
mod attribute_not_applicable;
mod attribute_out_of_range;
mod authenticate_on_web_socket;
mod certificate_expires;
mod client_keep_alive;
mod deregistration_delay_default;
mod deregistration_delay_short;
mod drop_invalid_header_fields;
mod forwarded_headers_ignored;
mod header_limit;
mod health_check_host;
mod health_check_path;
mod health_check_redirect;
mod health_check_slow_detection;
mod health_check_start_up;
mod health_check_timeout_interval;
mod heartbeat_idle_timeout;
mod http2_web_socket;
mod idle_timeout_hop;
mod keep_alive_race;
mod measured_differs;
mod method_get_without_head;
mod nlb_alb_idle;
mod nlb_hairpin;
mod nlb_keepalive;
mod no_heartbeat;
mod path_pattern_case;
mod polling_without_stickiness;
mod proxy_protocol_one_sided;
mod redirect_loop;
mod redirect_to_http;
mod relay_in_memory;
mod request_longer_than_idle_timeout;
mod round_robin_long_connections;
mod session_in_memory_without_stickiness;
mod shutdown_grace_stop_timeout;
mod shutdown_not_graceful;
mod slow_start_algorithm;
mod socket_io_ping;
mod sockjs_disconnect_delay;
mod sockjs_heartbeat;
mod source_ip_behind_proxy;
mod source_ip_stickiness_tls;
mod stickiness_cross_zone_off;
mod stickiness_http_cors;
mod stickiness_shorter_than_session;
mod stickiness_weighted_random;
mod target_tls;
mod tls_policy_old;
mod unreachable_rule;
mod weighted_forward_without_stickiness;

use super::{
    finding::{Finding, Severity},
    system::System,
};

/// A rule of the doctor.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its code, in lower case with hyphens.
    pub code: &'static str,
    /// How bad its findings are at most.
    pub severity: Severity,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// Adds what it finds.
    pub(super) check: fn(&System, &mut Vec<Finding>),
}

/// The rule of a code.
#[must_use]
pub fn of(code: &str) -> Option<&'static Rule> {
    ALL.iter().find(|rule| rule.code == code)
}

/// All rules, by code.
pub const ALL: &[Rule] = &[
    app_cookie_reserved_name::RULE,
    app_cookie_web_socket::RULE,
    app_cookie_weighted_forward::RULE,
    attribute_not_applicable::RULE,
    attribute_out_of_range::RULE,
    authenticate_on_web_socket::RULE,
    certificate_expires::RULE,
    client_keep_alive::RULE,
    deregistration_delay_default::RULE,
    deregistration_delay_short::RULE,
    drop_invalid_header_fields::RULE,
    forwarded_headers_ignored::RULE,
    header_limit::RULE,
    health_check_host::RULE,
    health_check_path::RULE,
    health_check_redirect::RULE,
    health_check_slow_detection::RULE,
    health_check_start_up::RULE,
    health_check_timeout_interval::RULE,
    heartbeat_idle_timeout::RULE,
    http2_web_socket::RULE,
    idle_timeout_hop::RULE,
    keep_alive_race::RULE,
    measured_differs::RULE,
    method_get_without_head::RULE,
    nlb_alb_idle::RULE,
    nlb_hairpin::RULE,
    nlb_keepalive::RULE,
    no_heartbeat::RULE,
    path_pattern_case::RULE,
    polling_without_stickiness::RULE,
    proxy_protocol_one_sided::RULE,
    redirect_loop::RULE,
    redirect_to_http::RULE,
    relay_in_memory::RULE,
    request_longer_than_idle_timeout::RULE,
    round_robin_long_connections::RULE,
    session_in_memory_without_stickiness::RULE,
    shutdown_grace_stop_timeout::RULE,
    shutdown_not_graceful::RULE,
    slow_start_algorithm::RULE,
    socket_io_ping::RULE,
    sockjs_disconnect_delay::RULE,
    sockjs_heartbeat::RULE,
    source_ip_behind_proxy::RULE,
    source_ip_stickiness_tls::RULE,
    stickiness_cross_zone_off::RULE,
    stickiness_http_cors::RULE,
    stickiness_shorter_than_session::RULE,
    stickiness_weighted_random::RULE,
    target_tls::RULE,
    tls_policy_old::RULE,
    unreachable_rule::RULE,
    weighted_forward_without_stickiness::RULE,
];

#[cfg(test)]
mod tests;
