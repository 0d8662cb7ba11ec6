//! Every file of `conf/` loads, and says what it will do.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::super::{load, summary};
use crate::model::{listener::ProxyProtocolMode, target_group::TargetId};

/// `conf/` of the repository.
fn conf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf")
}

fn yaml_files(dir: &Path) -> Vec<PathBuf> {
    files(dir, "yaml").into_iter().filter(|path| is_balancers(path)).collect()
}

fn files(dir: &Path, kind: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Prometheus and Grafana have files of their own there.
            if !path.ends_with("prometheus") && !path.ends_with("grafana") {
                found.extend(files(&path, kind));
            }
        } else if path.extension().is_some_and(|extension| extension == kind) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Files of the backend and of `albeit-load` are loaded by their own tests.
fn is_balancers(path: &Path) -> bool {
    fs::read_to_string(path).unwrap().lines().any(|line| line == "load_balancers:")
}

/// A copy of `conf/` beside certificates, as after `albeit certs`.
fn copy_with_certificates(to: &Path) -> Vec<PathBuf> {
    let certs = to.join("certs");
    fs::create_dir(&certs).unwrap();
    let leaf = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(certs.join("localhost.pem"), leaf.cert.pem()).unwrap();
    fs::write(certs.join("ca.pem"), leaf.cert.pem()).unwrap();
    fs::write(certs.join("localhost-key.pem"), leaf.signing_key.serialize_pem()).unwrap();
    fs::write(certs.join("stickiness.key"), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
    let token = certs.join("token");
    fs::write(&token, "token-of-a-test\n").unwrap();
    let from = conf();
    // What is declared of targets need only be there.
    for file in files(&from, "yml") {
        let copy = to.join("conf").join(file.strip_prefix(&from).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(file, copy).unwrap();
    }
    let mut copies = Vec::new();
    for file in yaml_files(&from) {
        let copy = to.join("conf").join(file.strip_prefix(&from).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        // Certificates and secrets of the container image stand at fixed places.
        let text = fs::read_to_string(&file).unwrap();
        let text = text.replace("/etc/albeit/certs", certs.to_str().unwrap());
        let text = text.replace("/run/secrets/admin/secret", token.to_str().unwrap());
        let text = in_place_of_deployed(text, &certs);
        fs::write(&copy, text).unwrap();
        copies.push(copy);
    }
    copies
}

/// Files that deployments name by variables have their places in `certs` here.
fn in_place_of_deployed(mut text: String, certs: &Path) -> String {
    for (deployed, here) in [
        ("${ALBEIT_SECRETS:-/run/albeit}/site.pem", "localhost.pem"),
        ("${ALBEIT_SECRETS:-/run/albeit}/site-key.pem", "localhost-key.pem"),
        ("${ALBEIT_SECRETS:-/run/albeit}/stickiness.key", "stickiness.key"),
        ("${ALBEIT_SECRETS:-/run/albeit}/admin-token", "token"),
        ("${ALBEIT_CERTS:-/etc/albeit/tls}/tls.crt", "localhost.pem"),
        ("${ALBEIT_CERTS:-/etc/albeit/tls}/tls.key", "localhost-key.pem"),
        ("${ALBEIT_STICKINESS_KEY:-/etc/albeit/stickiness/stickiness.key}", "stickiness.key"),
        ("${ALBEIT_ADMIN_TOKEN_FILE:-/etc/albeit/admin/token}", "token"),
        ("${ALBEIT_TLS_DIR:-/etc/albeit/tls}/${SITE:-www.example.com}.pem", "localhost.pem"),
        ("${ALBEIT_TLS_DIR:-/etc/albeit/tls}/${SITE:-www.example.com}-key.pem", "localhost-key.pem"),
    ] {
        text = text.replace(deployed, certs.join(here).to_str().unwrap());
    }
    text
}

#[test]
fn every_file_loads_without_any_environment() {
    let dir = tempfile::tempdir().unwrap();
    let files = copy_with_certificates(dir.path());
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        if let Err(errors) = load(&file, &|_| None) {
            panic!("{errors}");
        }
    }
}

#[test]
fn the_development_file_does_what_the_readme_says() {
    let dir = tempfile::tempdir().unwrap();
    copy_with_certificates(dir.path());
    let dev = load(&dir.path().join("conf/dev.yaml"), &|_| None).unwrap();
    assert_eq!(dev.warnings, []);
    insta::assert_snapshot!(summary(&dev.model), @r"
    load balancer websocket-alb (application)
      HTTPS on 127.0.0.1:8443, ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09, certificates localhost, default: forward to websocket-tg
      HTTP on 127.0.0.1:8080, default: redirect 301 to HTTPS://#{host}:8443/#{path}?#{query}
    load balancer websocket-nlb (network)
      TLS on 127.0.0.1:33335, ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09, certificates localhost, default: forward to flows-tg
    target group websocket-tg: health check /actuator/health every 5 s, lb_cookie for 86400 s
      127.0.0.1:9001
      127.0.0.1:9002
    target group flows-tg: TCP, health check TCP every 5 s
      127.0.0.1:9001
      127.0.0.1:9002
    admin API on 127.0.0.1:9901
    ");
}

#[test]
fn the_four_ways_to_a_backend_are_four_files_without_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    copy_with_certificates(dir.path());
    let load = |name: &str| {
        let loaded = load(&dir.path().join("conf").join(name), &|_| None).unwrap();
        assert_eq!(loaded.warnings, [], "{name}");
        loaded.model
    };
    load("topology-alb.yaml");
    load("topology-nlb-tls.yaml");
    load("topology-nlb-tcp.yaml");
    insta::assert_snapshot!(summary(&load("topology-nlb-alb.yaml")), @r"
    load balancer websocket-nlb (network)
      TCP on 127.0.0.1:33335, default: forward to to-alb
    load balancer websocket-alb (application)
      HTTPS on 127.0.0.1:58080, ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09, certificates localhost, 1 rule, default: forward to websocket-tg
    target group to-alb: TCP, health check HTTPS /actuator/health every 5 s
      load balancer websocket-alb, port 58080
    target group websocket-tg: health check /actuator/health every 5 s, lb_cookie for 86400 s
      127.0.0.1:9001
      127.0.0.1:9002
    admin API on 127.0.0.1:9901
    ");
}

#[test]
fn a_process_in_front_and_one_behind_fit_together() {
    let dir = tempfile::tempdir().unwrap();
    copy_with_certificates(dir.path());
    let load = |name: &str| load(&dir.path().join("conf").join(name), &|_| None).unwrap();
    let (front, behind) = (load("topology-nlb-alb-front.yaml"), load("topology-nlb-alb-behind.yaml"));
    assert_eq!((&front.warnings, &behind.warnings), (&vec![], &vec![]));
    let group = &front.model.target_groups[0];
    assert!(group.attributes.flows.proxy_protocol_v2 && group.health_check.proxy_protocol_v2);
    let listener = &behind.model.load_balancers[0].listeners[0];
    assert_eq!(group.targets[0].port, listener.bind.port());
    let TargetId::Ip(target) = group.targets[0].id else { panic!("{:?}", group.targets) };
    let source = &listener.attributes.proxy_protocol;
    assert_eq!((target, source.mode), (listener.bind.ip(), ProxyProtocolMode::Required));
    assert!(source.trusted.iter().any(|cidr| cidr.contains(&target)), "the front's own address");
    assert_ne!(front.model.admin.bind, behind.model.admin.bind);
}

#[test]
fn the_development_ports_follow_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    copy_with_certificates(dir.path());
    let env = |name: &str| match name {
        "ALBEIT_HTTPS_PORT" => Some("18443".to_owned()),
        "ALBEIT_ADMIN_BIND" => Some("127.0.0.1:19901".to_owned()),
        "ALBEIT_BACKEND_2_PORT" => Some("19002".to_owned()),
        _ => None,
    };
    let model = load(&dir.path().join("conf/dev.yaml"), &env).unwrap().model;
    let text = summary(&model);
    for expected in
        ["HTTPS on 127.0.0.1:18443", "#{host}:18443/", "127.0.0.1:19002", "admin API on 127.0.0.1:19901"]
    {
        assert!(text.contains(expected), "no {expected} in\n{text}");
    }
}
