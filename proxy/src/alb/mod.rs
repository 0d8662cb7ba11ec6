//! The application load balancer's data plane: HTTP requests and WebSocket upgrades.
//!
//! The HTTP engine is Pingora's sessions for HTTP/1.1 and HTTP/2 towards
//! clients and HTTP/1.1 towards targets; HTTP/2 towards targets is the `h2` crate's
//! ([`http2_target`]). The loop around them is ours, so that
//! each failure, header and timer is decided here and nowhere else:
//! [`connection`] reads requests, [`exchange`] carries one through its phases,
//! [`forward`] talks to the target, [`transfer`] carries the bodies, [`upgrade`] hands WebSockets to the
//! tunnel, [`context`] writes the log record, [`error`] maps causes to statuses.

pub mod authenticate;
pub mod connect;
pub mod connection;
pub mod context;
pub mod elb_errors;
pub mod elb_response;
pub mod error;
pub mod exchange;
mod fault;
pub mod forward;
pub mod grpc;
pub mod http1;
pub mod http1_head;
pub mod http2;
pub mod http2_target;
pub mod inspect;
pub mod meaning;
mod recent;
pub mod request;
pub mod response;
pub mod response_headers;
mod retry;
pub mod rule_hits;
pub mod state;
pub mod stickiness;
pub mod target_stream;
pub mod tls_headers;
pub mod traced;
pub mod transfer;
pub mod transforms;
pub mod upgrade;
pub mod weighted_target_groups;
