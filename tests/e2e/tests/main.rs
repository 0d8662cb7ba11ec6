//! End-to-end tests of the balancer, one module per topic.

#[cfg(test)]
mod access_log;
#[cfg(test)]
mod admin_act;
#[cfg(test)]
mod admin_network;
#[cfg(test)]
mod admin_read;
#[cfg(test)]
mod alb_targets;
#[cfg(test)]
mod albeit_lab;
#[cfg(test)]
mod algorithms;
#[cfg(test)]
mod app_cookie;
#[cfg(test)]
mod backend_tls;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod binary_upgrade;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod certificate_choice;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod client_address;
#[cfg(test)]
mod compose_file;
#[cfg(test)]
mod conditions;
#[cfg(test)]
mod config_cli;
#[cfg(test)]
mod connection_log;
#[cfg(test)]
mod dashboard;
#[cfg(test)]
mod deployment;
#[cfg(test)]
mod desync;
#[cfg(test)]
mod dev;
#[cfg(test)]
mod docs_site;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod flow_alpn;
#[cfg(test)]
mod flow_draining;
#[cfg(test)]
mod flow_protocols;
#[cfg(test)]
mod flow_resets;
#[cfg(test)]
mod flow_resumption;
#[cfg(test)]
mod flow_routing;
#[cfg(test)]
mod flow_shutdown;
#[cfg(test)]
mod flow_timers;
#[cfg(test)]
mod flow_tls;
#[cfg(test)]
mod flows;
#[cfg(test)]
mod forwarded_headers;
#[cfg(test)]
mod grpc;
#[cfg(test)]
mod handover;
#[cfg(test)]
mod health;
#[cfg(test)]
mod health_check_log;
#[cfg(test)]
mod hold;
#[cfg(test)]
mod http2_targets;
#[cfg(test)]
mod https_targets;
#[cfg(test)]
mod jwt;
#[cfg(test)]
mod keep_alive_race;
#[cfg(test)]
mod lessons;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod load_core;
#[cfg(test)]
mod load_report;
#[cfg(test)]
mod load_scenarios;
#[cfg(test)]
mod log_files;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod metrics_features;
#[cfg(test)]
mod mixed_log;
#[cfg(test)]
mod monitoring;
#[cfg(test)]
mod mtls;
#[cfg(test)]
mod oidc;
#[cfg(test)]
mod parity_gaps;
#[cfg(test)]
mod probe;
#[cfg(test)]
mod proxy_protocol_in;
#[cfg(test)]
mod proxy_protocol_out;
#[cfg(test)]
mod reference_systems;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod response_headers;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod smuggling;
#[cfg(test)]
mod statuses;
#[cfg(test)]
mod stickiness;
#[cfg(test)]
mod systemd;
#[cfg(test)]
mod target_health;
#[cfg(test)]
mod timeouts;
#[cfg(test)]
mod tls_headers;
#[cfg(test)]
mod tls_policies;
#[cfg(test)]
mod tls_sni;
#[cfg(test)]
mod topologies;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod transforms;
#[cfg(test)]
mod upgrade;
#[cfg(test)]
mod websocket;
#[cfg(test)]
mod weighted_groups;
