//! Whether this process may do what `preserve_client_ip.enabled` asks of it.
//!
//! ELB page: "Edit target group attributes for your Network Load Balancer"
//! (client IP preservation). To connect to a target from the client's address is
//! a privilege on Linux; without it every flow would fail, so such a
//! configuration is not served at all.

use std::io;

use crate::{
    config::{Mistake, Places},
    model::{Model, TargetGroup, TargetGroupProtocol, TargetType},
};

/// The groups of `model` whose flows are to have the client's address, if `try_it` says that they cannot.
pub(super) fn impossible(
    model: &Model,
    places: &Places,
    try_it: impl FnOnce() -> io::Result<()>,
) -> Vec<Mistake> {
    let groups = model.target_groups.iter().enumerate();
    let wanting: Vec<usize> =
        groups.filter(|(_, group)| connects_as_clients(group)).map(|(i, _)| i).collect();
    if wanting.is_empty() {
        return Vec::new();
    }
    let Err(error) = try_it() else { return Vec::new() };
    let message = format!(
        "this process cannot connect from clients' addresses ({error}): it needs the capability CAP_NET_ADMIN, and \
         targets whose answers come back through this host; or tell targets the address by \
         proxy_protocol_v2.enabled instead"
    );
    let path = |index: &usize| format!("target_groups[{index}].attributes.preserve_client_ip.enabled");
    wanting.iter().map(|index| places.mistake(path(index), message.clone())).collect()
}

/// Whether connections to the group's targets are made from the clients' addresses. Those to application load
/// balancers are handed over as they are, which needs no privilege.
fn connects_as_clients(group: &TargetGroup) -> bool {
    let carries_flows = matches!(group.protocol, TargetGroupProtocol::Tcp | TargetGroupProtocol::Tls);
    carries_flows && group.target_type != TargetType::Alb && group.attributes.flows.preserve_client_ip
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn found(attributes: &str, try_it: impl FnOnce() -> io::Result<()>) -> Vec<String> {
        let text = format!(
            "
target_groups:
  - {{ name: other, protocol: TCP, port: 1, targets: [{{ id: 127.0.0.1 }}] }}
  - {{ name: flows, protocol: TCP, port: 1, attributes: {{ {attributes} }}, targets: [{{ id: 127.0.0.1 }}] }}
load_balancers:
  - name: edge
    type: network
    listeners:
      - {{ protocol: TCP, port: 80, default_actions: [{{ forward: {{ target_group: flows }} }}] }}
"
        );
        let loaded = config::parse(&text, Path::new(""), "f.yaml", &|_| None).unwrap();
        let mistakes = impossible(&loaded.model, &loaded.places, try_it);
        mistakes.iter().map(|mistake| mistake.in_file("f.yaml")).collect()
    }

    fn forbidden() -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    #[test]
    fn a_process_that_may_not_is_told_where_it_should_and_what_to_do() {
        let found = found("preserve_client_ip.enabled: true", forbidden);
        let [mistake] = found.as_slice() else { panic!("{found:?}") };
        let place = "f.yaml:4:58: target_groups[1].attributes.preserve_client_ip.enabled: ";
        assert!(mistake.starts_with(place), "{mistake}");
        for advice in ["permission denied", "CAP_NET_ADMIN", "proxy_protocol_v2.enabled"] {
            assert!(mistake.contains(advice), "{mistake}");
        }
    }

    #[test]
    fn nothing_is_tried_that_nobody_asks_for() {
        let found = found("proxy_protocol_v2.enabled: true", || panic!("tried"));
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn a_process_that_may_is_told_nothing() {
        assert_eq!(found("preserve_client_ip.enabled: true", || Ok(())), [""; 0]);
    }
}
