//! Logs of Network Load Balancers that stay empty.
//!
//! ELB page: "Access logs for your Network Load Balancer": access logs are created
//! only if the load balancer has a TLS listener.

use super::{context::Context, path::Path};
use crate::model::{Listener, LoadBalancerType, load_balancer::LoadBalancerAttributes};

/// Warns of access logs that are on but have nothing to tell.
pub(super) fn warn(
    kind: LoadBalancerType,
    attributes: &LoadBalancerAttributes,
    listeners: &[Listener],
    at: &Path,
    cx: &mut Context<'_>,
) {
    for key in without_effect(kind, attributes, listeners) {
        let at = at.key("attributes").key(key);
        cx.report.warn(
            &at,
            "has no effect without a TLS listener: TCP listeners have a flow log, albeit.flow_logs.s3.enabled",
        );
    }
}

/// The attributes that switch on an access log without a line.
fn without_effect(
    kind: LoadBalancerType,
    attributes: &LoadBalancerAttributes,
    listeners: &[Listener],
) -> impl Iterator<Item = &'static str> {
    let has_lines = match kind {
        LoadBalancerType::Application => true,
        LoadBalancerType::Network => listeners.iter().any(|listener| listener.protocol.is_tls()),
    };
    let file = attributes.access_logs.is_some().then_some("access_logs.s3.enabled");
    let stdout = attributes.access_logs_stdout.then_some("albeit.access_logs.stdout.enabled");
    [file, stdout].into_iter().flatten().filter(move |_| !has_lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config,
        model::{LogDestination, listener::ListenerProtocol},
    };

    fn listener(protocol: ListenerProtocol) -> Listener {
        let text = "
target_groups: [{ name: web, protocol: HTTP, port: 80, targets: [{ id: 127.0.0.1 }] }]
load_balancers:
  - name: edge
    listeners: [{ protocol: HTTP, port: 80, default_actions: [{ forward: { target_group: web } }] }]
";
        let mut model = config::parse(text, std::path::Path::new("/"), "f", &|_| None).unwrap().model;
        let mut listener = model.load_balancers[0].listeners.remove(0);
        listener.protocol = protocol;
        listener
    }

    #[test]
    fn an_access_log_of_a_network_load_balancer_needs_a_tls_listener() {
        let bucket = LogDestination { bucket: "logs".into(), prefix: String::new() };
        let on = LoadBalancerAttributes {
            access_logs: Some(bucket.clone()),
            access_logs_stdout: true,
            ..LoadBalancerAttributes::default()
        };
        let network = LoadBalancerType::Network;
        let empty = |kind, attributes: &LoadBalancerAttributes, protocols: &[ListenerProtocol]| {
            let listeners: Vec<Listener> = protocols.iter().copied().map(listener).collect();
            without_effect(kind, attributes, &listeners).collect::<Vec<_>>()
        };
        let (tcp, tls) = (ListenerProtocol::Tcp, ListenerProtocol::Tls);
        let both = ["access_logs.s3.enabled", "albeit.access_logs.stdout.enabled"];
        assert_eq!(empty(network, &on, &[tcp, tcp]), both);
        assert_eq!(empty(network, &on, &[tcp, tls]), [""; 0]);
        assert_eq!(empty(LoadBalancerType::Application, &on, &[ListenerProtocol::Http]), [""; 0]);
        let flows = LoadBalancerAttributes { flow_logs: Some(bucket), ..LoadBalancerAttributes::default() };
        assert_eq!(empty(network, &flows, &[tcp]), [""; 0]);
    }
}
