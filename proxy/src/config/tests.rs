//! Configuration files, good and bad, as people write them.

mod authenticate;
mod conf_files;
mod features;
mod load_balancer_target;
mod mistakes;
mod network;
mod not_yet;
mod routing;
mod target_groups;
mod targets_declare;
mod tls;
mod traces;
mod weighted_groups;

use std::{path::Path, sync::LazyLock};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{ConfigErrors, Loaded, parse};

/// A directory with the files that configurations name.
static FILES: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    for name in ["cert.pem", "key.pem", "sticky.key"] {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    dir
});

fn env(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("8443".to_owned()),
        "GROUP" => Some("web".to_owned()),
        "ON" => Some("true".to_owned()),
        _ => None,
    }
}

fn load(yaml: &str) -> Result<Loaded, ConfigErrors> {
    parse(yaml, FILES.path(), "alb.yaml", &env)
}

/// What is wrong with `yaml`, without the places, which other tests look at.
fn errors(yaml: &str) -> Vec<String> {
    let Err(errors) = load(yaml) else { return Vec::new() };
    errors
        .mistakes()
        .iter()
        .map(|mistake| match mistake.path.as_str() {
            "" => mistake.message.clone(),
            path => format!("{path}: {}", mistake.message),
        })
        .collect()
}

#[track_caller]
fn check(yaml: &str, expected: &[&str]) {
    assert_eq!(errors(yaml), expected, "in\n{yaml}");
}

/// A load balancer with a plain listener: `settings` are further keys of the listener.
fn http_listener(settings: &str) -> String {
    format!(
        "load_balancers:
  - name: edge
    listeners:
      - protocol: HTTP
        port: 80
        {}
target_groups:
  - {{ name: web, protocol: HTTP, port: 8080 }}
",
        settings.replace('\n', "\n        ")
    )
}

/// As [`http_listener`], with `action` as the default action.
fn default_action(action: &str) -> String {
    http_listener(&format!("default_actions:\n  - {}", action.replace('\n', "\n    ")))
}

/// As [`http_listener`], with one rule that has `conditions`.
fn conditions(conditions: &str) -> String {
    http_listener(&format!(
        "default_actions: [{{ forward: {{ target_group: web }} }}]
rules:
  - priority: 1
    actions: [{{ forward: {{ target_group: web }} }}]
    conditions: {conditions}"
    ))
}

/// An HTTPS listener with further settings.
fn https_listener(settings: &str) -> String {
    format!(
        "certificates:
  - {{ name: main, certificate: cert.pem, private_key: key.pem }}
load_balancers:
  - name: edge
    listeners:
      - protocol: HTTPS
        port: 443
        ssl_policy: ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09
        {}
target_groups:
  - {{ name: web, protocol: HTTP, port: 8080 }}
",
        settings.replace('\n', "\n        ")
    )
}

/// A target group `web` with `settings`, used by a load balancer.
fn target_group(settings: &str) -> String {
    format!(
        "load_balancers:
  - name: edge
    listeners:
      - {{ protocol: HTTP, port: 80, default_actions: [{{ forward: {{ target_group: web }} }}] }}
target_groups:
  - name: web
    {}
",
        settings.replace('\n', "\n    ")
    )
}

/// A load balancer with attributes.
fn load_balancer_attributes(attributes: &str) -> String {
    format!(
        "load_balancers:
  - name: edge
    attributes: {{ {attributes} }}
    listeners:
      - {{ protocol: HTTP, port: 80, default_actions: [{{ fixed_response: {{ status_code: 200 }} }}] }}
"
    )
}

/// Where the mistakes of `yaml` are shown, as people see them.
fn shown(yaml: &str) -> String {
    load(yaml).unwrap_err().to_string().replace(FILES.path().to_str().unwrap(), "DIR")
}

#[test]
fn a_file_that_cannot_be_read_is_one_error() {
    let missing = FILES.path().join("missing.yaml");
    let error = super::load(&missing, &env).unwrap_err();
    assert_eq!(error.mistakes().len(), 1);
    assert!(error.to_string().contains("cannot be read"), "{error}");
    assert!(super::load(Path::new("/"), &env).is_err());
}

#[test]
fn a_file_without_an_end_is_refused() {
    let error = super::load(Path::new("/dev/zero"), &env).unwrap_err();
    assert!(error.to_string().contains("is larger than 4194304 bytes"), "{error}");
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let shown = shown("\"a\\e[31m\\nb\": 1\nload_balancers: []\n");
    assert!(shown.contains("a\\u{1b}[31m\\nb"), "{shown}");
    assert_eq!(shown.lines().count(), 3, "{shown}");
}

/// Whatever the text: a model, or mistakes that take one line each and lie within the text.
#[track_caller]
fn check_shape(text: &str) {
    let Err(errors) = load(text) else { return };
    let mistakes = errors.mistakes();
    assert!(!mistakes.is_empty());
    assert_eq!(errors.to_string().split('\n').count(), mistakes.len() + 1);
    let lines = text.split(['\n', '\r']).count() + 1;
    for position in mistakes.iter().filter_map(|mistake| mistake.position) {
        assert!(
            position.line >= 1 && position.line <= lines && position.column >= 1,
            "{position:?} in {text:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_makes_parsing_panic(text in "\\PC{0,200}") {
        check_shape(&text);
    }

    #[test]
    fn no_yaml_like_text_makes_parsing_panic(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "load_balancers", "target_groups", "listeners", "name", "forward", "rules", "attributes", ":", ": ",
                "- ", "\n", "\n  ", "\n    ", "[", "]", "{", "}", ", ", "\"", "'", "|", ">", "&a ", "*a", "!t ", "#",
                "${PORT}", "${", "1", "-1", "true", "~", "30s", "\t", "?", "<<", "---\n", "...\n", "%", "@", "é", "\u{1}",
            ]),
            0..60,
        )
    ) {
        check_shape(&pieces.concat());
    }

    #[test]
    fn no_damage_to_a_good_file_makes_parsing_panic(at in 0_usize..4000, length in 0_usize..40, put in "\\PC{0,6}") {
        let good = include_str!("../../../conf/alb.yaml");
        let mut chars: Vec<char> = good.chars().collect();
        let start = at.min(chars.len());
        let end = (start + length).min(chars.len());
        chars.splice(start..end, put.chars());
        check_shape(&chars.into_iter().collect::<String>());
    }
}
