use std::fs;

use super::*;
use crate::{config, server::prepare::tickets};

const HTTPS: &str = "
certificates: [{ name: site, certificate: site.pem, private_key: site.pem }]
target_groups: [{ name: web, protocol: HTTP, port: 80, targets: [{ id: 127.0.0.1 }] }]
load_balancers:
  - name: edge
    type: application
    listeners:
      - protocol: HTTPS
        port: 8443
        certificates: [site]
        default_actions: [{ forward: { target_group: web } }]
";

#[test]
fn a_listener_without_its_certificate_is_not_served_in_clear_text() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("site.pem"), "").unwrap();
    let model = config::parse(HTTPS, dir.path(), "f", &|_| None).unwrap().model;
    let made = tls_listeners(&model.load_balancers[0], &[], &[], &tickets().unwrap());
    let error = made.unwrap_err();
    assert!(matches!(error, PrepareError::Incomplete { .. }), "{error}");
    let text = error.to_string();
    assert_eq!(text, "listener 0.0.0.0:8443 of load balancer \"edge\" lacks a certificate or trust store");
}
