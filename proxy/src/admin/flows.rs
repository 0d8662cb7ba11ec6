//! `/flows`: the open flows of network load balancers, in the order they began. ELB tells nothing of the kind.
//!
//! Bytes are those passed on so far, TLS taken off. A flow that an application load balancer of this process
//! serves is among `/connections` as well.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    AdminState,
    api_error::ApiError,
    connections::{client_of, seconds, timestamp},
    control::InForce,
    listeners,
    query::{Query, answer, present},
    target_groups, targets,
};
use crate::{model::Model, nlb::OpenFlow, tls::accept::TlsInfo};

/// Parameters besides those of paging.
pub(super) const PARAMETERS: &[&str] = &["ListenerArn", "TargetGroupArn", "Client"];

/// The flows of a listener, of a target group or of a client address, or all.
pub(super) fn list(
    state: &AdminState,
    in_force: &InForce,
    query: &Query,
    now: Instant,
) -> Result<Value, ApiError> {
    let listener = query.one("ListenerArn")?;
    if let Some(arn) = listener {
        listeners::by_arn(&in_force.model, arn)?;
    }
    let group = query.one("TargetGroupArn")?;
    if group.is_some() {
        target_groups::by_arn_or_name(&in_force.model, group, None)?;
    }
    let client = client_of(query)?;
    let wanted = |flow: &OpenFlow| {
        listener.is_none_or(|arn| flow.listener.arn == arn)
            && group.is_none_or(|arn| flow.target.get().is_some_and(|(group, _)| group.arn == arn))
            && client.is_none_or(|ip| flow.client.ip().to_canonical() == ip.to_canonical())
    };
    let (from, size) = (query.marker()?, query.page_size()?);
    let (mut page, mut next) = (Vec::new(), None);
    state.flows.visit(from, |flow| {
        if wanted(flow) {
            if page.len() == size {
                next = Some(flow.number().to_string());
                return false;
            }
            page.push(describe(&in_force.model, flow, now));
        }
        true
    });
    Ok(answer("Flows", page, next))
}

fn describe(model: &Model, flow: &OpenFlow, now: Instant) -> Value {
    let (received, sent) = flow.bytes();
    let target = flow.target.get();
    present(json!({
        "FlowId": flow.number().to_string(),
        "ListenerArn": flow.listener.arn,
        "Protocol": flow.listener.protocol.as_str().to_ascii_uppercase(),
        "Client": flow.client.to_string(),
        "Destination": flow.destination.to_string(),
        "Local": Some(flow.local).filter(|local| *local != flow.destination).as_ref().map(SocketAddr::to_string),
        "Target": target.map(|(_, target)| {
            json!({ "Id": targets::id(target.addr(), target.load_balancer(), model), "Port": target.addr().port() })
        }),
        "TargetGroupArn": target.map(|(group, _)| &group.arn),
        "Tls": flow.tls.get().map(|info| tls(info)),
        "BeginTime": timestamp(flow.begun_at),
        "AgeSeconds": seconds(now.saturating_duration_since(flow.begun)),
        "ReceivedBytes": received,
        "SentBytes": sent,
        "IdleSeconds": seconds(flow.idle(now)),
    }))
}

fn tls(info: &TlsInfo) -> Value {
    present(json!({
        "Protocol": info.protocol,
        "Cipher": info.cipher,
        "KeyExchange": info.key_exchange,
        "ServerName": info.server_name,
        "Alpn": info.alpn,
        "CertificateArn": info.chosen_certificate,
    }))
}
