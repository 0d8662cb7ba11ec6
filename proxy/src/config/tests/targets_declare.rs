//! What is said of targets: checked, and kept beside the model.

use std::time::Duration;

use super::{FILES, check, load};

/// A target group with further keys.
fn target_group(settings: &str) -> String {
    super::target_group(&format!("protocol: HTTP\n{settings}"))
}

#[test]
fn what_is_said_of_targets_is_kept_beside_the_model() {
    let text = "targets_declare:
  application: [cert.pem, key.pem]
  keep_alive_timeout: 75s
  max_request_header_size: 8192
  heartbeat_interval: 25s
  shutdown_grace: 1500ms
  proxy_protocol: true
  proxies: [60s, 2m]";
    let loaded = load(&target_group(text)).unwrap();
    let declared = &loaded.targets_declare[&0];
    assert_eq!(declared.application, [FILES.path().join("cert.pem"), FILES.path().join("key.pem")]);
    assert_eq!(declared.keep_alive_timeout, Some(Duration::from_secs(75)));
    assert_eq!(declared.shutdown_grace, Some(Duration::from_millis(1500)));
    assert_eq!((declared.max_request_header_size, declared.proxy_protocol), (Some(8192), Some(true)));
    assert_eq!(declared.proxies, [Duration::from_secs(60), Duration::from_secs(120)]);
    assert_eq!((declared.stop_timeout, declared.max_connections), (None, None));
    let place = loaded.places.position("target_groups[0].targets_declare.keep_alive_timeout").unwrap();
    assert!(place.line > 1, "{place:?}");
    assert_eq!(loaded.model, load(&target_group("")).unwrap().model, "nothing runs otherwise");
}

#[test]
fn one_file_needs_no_list() {
    let loaded = load(&target_group("targets_declare: { application: cert.pem }")).unwrap();
    assert_eq!(loaded.targets_declare[&0].application, [FILES.path().join("cert.pem")]);
    assert!(load(&target_group("")).unwrap().targets_declare.is_empty());
}

#[test]
fn a_file_that_is_elsewhere_keeps_nobody_from_starting() {
    let loaded = load(&target_group("targets_declare: { application: gone.yml }")).unwrap();
    assert_eq!(loaded.targets_declare[&0].application, [FILES.path().join("gone.yml")]);
    let [warning] = loaded.warnings.as_slice() else { panic!("one warning: {:?}", loaded.warnings) };
    assert_eq!(warning.path, "target_groups[0].targets_declare.application");
    assert!(warning.message.contains("gone.yml: No such file or directory"), "{}", warning.message);
}

#[test]
fn mistakes_are_those_of_every_setting() {
    check(
        &target_group("targets_declare: { keepalive_timeout: 75s }"),
        &[
            "target_groups[0].targets_declare.keepalive_timeout: unknown key \"keepalive_timeout\", expected one of \
           \"application\", \"keep_alive_timeout\", \"max_request_header_size\", \"max_connections\", \
           \"heartbeat_interval\", \"longest_request\", \"shutdown_grace\", \"stop_timeout\", \"tcp_keepalive\", \
           \"proxy_protocol\", \"proxies\"",
        ],
    );
    check(
        &target_group("targets_declare: { application: 1, keep_alive_timeout: 75 }"),
        &[
            "target_groups[0].targets_declare.application: invalid type: integer `1`, expected a file or a list of files",
            "target_groups[0].targets_declare.keep_alive_timeout: invalid type: integer `75`, expected a duration \
             with its unit, such as 30s, 5m or 500ms",
        ],
    );
}
