//! `/listeners`: the members of `DescribeListeners`, and the address, which ELB's listeners do not have.

use serde_json::{Value, json};

use super::{
    api_error::ApiError,
    control::InForce,
    load_balancers,
    query::{Query, present},
    rules,
};
use crate::model::{
    Listener, LoadBalancer, LoadBalancerType, Model,
    listener::{ListenerTls, MutualAuthentication},
};

/// Parameters besides those of paging.
pub(super) const PARAMETERS: &[&str] = &["LoadBalancerArn", "ListenerArns"];

/// The listeners of a load balancer, or by ARN, or all.
pub(super) fn list(in_force: &InForce, query: &Query) -> Result<Value, ApiError> {
    let model = &in_force.model;
    let (load_balancer, arns) = (query.one("LoadBalancerArn")?, query.all("ListenerArns"));
    if let Some(arn) = load_balancer {
        load_balancers::by_arn(model, arn)?;
    }
    for arn in &arns {
        by_arn(model, arn)?;
    }
    let wanted = all(model).filter(|(owner, listener)| {
        load_balancer.is_none_or(|arn| owner.arn == arn)
            && (arns.is_empty() || arns.contains(&listener.arn.as_str()))
    });
    query.page("Listeners", wanted.map(|(owner, listener)| describe(model, owner, listener)))
}

/// All listeners with their load balancers.
pub(super) fn all(model: &Model) -> impl Iterator<Item = (&LoadBalancer, &Listener)> {
    model
        .load_balancers
        .iter()
        .flat_map(|owner| owner.listeners.iter().map(move |listener| (owner, listener)))
}

/// A listener with its place in the model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'m> {
    /// Index of its load balancer.
    pub(super) load_balancer: usize,
    /// Its index there.
    pub(super) index: usize,
    /// The listener.
    pub(super) listener: &'m Listener,
}

/// The listener with this ARN.
pub(super) fn by_arn<'m>(model: &'m Model, arn: &str) -> Result<Found<'m>, ApiError> {
    let mut listeners = model.load_balancers.iter().enumerate().flat_map(|(load_balancer, owner)| {
        let listeners = owner.listeners.iter().enumerate();
        listeners.map(move |(index, listener)| Found { load_balancer, index, listener })
    });
    let found = listeners.find(|found| found.listener.arn == arn);
    found.ok_or_else(|| ApiError::new("ListenerNotFound", "One or more listeners not found"))
}

fn describe(model: &Model, owner: &LoadBalancer, listener: &Listener) -> Value {
    let tls = listener.tls.as_ref();
    // ALPN policies are a matter of TLS listeners, mutual authentication of HTTPS listeners.
    let of_flows = owner.kind == LoadBalancerType::Network;
    // As in the API, only the default certificate stands here: `/certificates` has them all.
    let default_certificate = tls
        .and_then(|tls| tls.certificates.first())
        .and_then(|index| model.certificate(*index))
        .map(|certificate| json!([{ "CertificateArn": certificate.arn }]));
    present(json!({
        "ListenerArn": listener.arn,
        "LoadBalancerArn": owner.arn,
        "Protocol": listener.protocol.as_str(),
        "Port": listener.bind.port(),
        "Address": listener.bind.ip(),
        "SslPolicy": tls.map(|tls| tls.policy.name),
        "Certificates": default_certificate,
        "AlpnPolicy": tls.filter(|_| of_flows).map(|tls| [tls.alpn_policy.as_str()]),
        "MutualAuthentication": tls.filter(|_| !of_flows).map(|tls| mutual_authentication(model, tls)),
        "DefaultActions": rules::actions(model, &listener.default_actions),
    }))
}

fn mutual_authentication(model: &Model, tls: &ListenerTls) -> Value {
    match tls.mutual_authentication {
        MutualAuthentication::Off => json!({ "Mode": "off" }),
        MutualAuthentication::Passthrough => json!({ "Mode": "passthrough" }),
        MutualAuthentication::Verify {
            trust_store,
            ignore_client_certificate_expiry,
            advertise_trust_store_ca_names,
        } => json!({
            "Mode": "verify",
            "TrustStoreArn": model.trust_stores.get(trust_store.0).map(|store| &store.arn),
            "IgnoreClientCertificateExpiry": ignore_client_certificate_expiry,
            "TrustStoreAssociationStatus": "active",
            "AdvertiseTrustStoreCaNames": if advertise_trust_store_ca_names { "on" } else { "off" },
        }),
    }
}
