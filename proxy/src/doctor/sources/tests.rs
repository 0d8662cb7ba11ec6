//! What sources have in common.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::doctor::{setting::Setting, system::Application};

/// Reads files that are given as text, and resolves.
pub(super) fn system(files: &[(&str, &str)], env: &dyn Fn(&str) -> Option<String>) -> System {
    let mut system = System::default();
    for (name, text) in files {
        let file: Arc<str> = (*name).into();
        if let Err(error) = add(&file, text, Path::new(name), env, &mut system) {
            panic!("{error}");
        }
    }
    resolve(&mut system, env);
    system
}

/// The one application of some files.
#[track_caller]
pub(super) fn application(files: &[(&str, &str)]) -> Application {
    let mut applications = system(files, &|_| None).applications;
    let application = applications.pop().expect("no application");
    assert!(applications.is_empty(), "{applications:?} besides {application:?}");
    application
}

/// `key = written (place)`.
pub(super) fn shown<T>(setting: Option<&Setting<T>>) -> String {
    setting.map_or_else(
        || "-".to_owned(),
        |setting| format!("{} = {} ({})", setting.key, setting.written, setting.place),
    )
}

#[test]
fn every_file_that_cannot_be_used_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let files = [
        dir.path().join("gone.yml"),
        file("list.yaml", "- 1"),
        file("broken.yml", "a: [1"),
        file("application.yml", "server: { port: 9000 }"),
        file("alb.yaml", "load_balancers: []"),
    ];
    let errors = read_all(files.iter().map(PathBuf::as_path), &|_| None).unwrap_err();
    let errors: Vec<_> = errors
        .iter()
        .map(|error| error.to_string().replace(&format!("{}/", dir.path().display()), ""))
        .map(|error| error.lines().next().unwrap_or_default().to_owned())
        .collect();
    insta::assert_debug_snapshot!(errors, @r#"
    [
        "gone.yml: cannot be read",
        "list.yaml: is neither a configuration of Albeit or albeit-backend, nor an application.yml or .properties of Spring, a compose file, an ECS task definition, Terraform, or JSON of `aws elbv2 describe-*`",
        "broken.yml:2:1: while parsing a flow sequence, expected ',' or ']'",
        "alb.yaml:1:1: load_balancers: at least one load balancer is needed",
    ]
    "#);
    let system = read_all([files[3].as_path()], &|_| None).unwrap();
    assert_eq!(system.applications.len(), 1);
}

proptest! {
    #[test]
    fn no_text_is_too_much(
        name in prop::sample::select(vec!["a.yaml", "application.yml", "application-x.properties", "compose.yml"]),
        text in "(?s).{0,200}|[a-z:\\[\\]{} \n,.&*$-]{0,100}",
    ) {
        let mut system = System::default();
        drop(add(&name.into(), &text, Path::new(name), &|_| None, &mut system));
        resolve(&mut system, &|_| None);
    }

    #[test]
    fn no_tree_of_known_keys_is_too_much(
        name in prop::sample::select(vec!["a.yaml", "application.yml", "compose.yml"]),
        lines in prop::collection::vec((0usize..4, prop::sample::select(KEYS.to_vec()), prop::sample::select(VALUES.to_vec())), 0..12),
    ) {
        let text: String =
            lines.iter().map(|(depth, key, value)| format!("{}{key}: {value}\n", "  ".repeat(*depth))).collect();
        let mut system = System::default();
        drop(add(&name.into(), &text, Path::new(name), &|_| None, &mut system));
        resolve(&mut system, &|_| None);
    }
}

/// Keys that sources look for.
const KEYS: &[&str] = &[
    "load_balancers",
    "target_groups",
    "services",
    "web",
    "environment",
    "healthcheck",
    "deploy",
    "replicas",
    "command",
    "image",
    "ports",
    "stop_grace_period",
    "server",
    "tomcat",
    "keep-alive-timeout",
    "spring",
    "profiles",
    "stomp",
    "heart-beat",
    "sockjs",
    "websocket",
    "ping-interval",
    "port",
    "name",
];
/// Values of every kind.
const VALUES: &[&str] = &[
    "",
    "1",
    "-1",
    "20s",
    "[1, 2]",
    "[a: b]",
    "{ a: b }",
    "${a}",
    "${a:${b}}",
    "'8080:80'",
    "node a.js",
    "~",
];
