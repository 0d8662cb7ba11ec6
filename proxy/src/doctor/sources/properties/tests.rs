use proptest::prelude::*;

use super::*;
use crate::doctor::{configuration::Document, setting::Place};

fn setting(key: &str, value: &str) -> Setting<String> {
    Setting::new(value.to_owned(), key, value, Place::default_of("a test"))
}

fn application(files: &[(&str, &str)], environment: &[(&str, &str)], command: &str) -> Application {
    let properties = files.iter().map(|(key, value)| ((*key).into(), setting(key, value))).collect();
    Application {
        configuration: Some(Configuration {
            family: "application".into(),
            documents: vec![Document { holds: Holds::Always, properties }],
        }),
        environment: environment
            .iter()
            .map(|(key, value)| ((*key).to_owned(), setting(key, value)))
            .collect(),
        command: vec![setting("command", command)],
        ..Application::default()
    }
}

#[track_caller]
fn check(application: &Application, key: &str, expected: &str) {
    let outside = |name: &str| (name == "OUTSIDE").then(|| "o".to_owned());
    let found = Properties::of(application, &outside).first(&[key]);
    assert_eq!(found.map(|setting| setting.value).as_deref(), Some(expected));
}

#[test]
fn keys_are_relaxed() {
    for written in ["server.tomcat.keepAliveTimeout", "server.tomcat.keep_alive_timeout"] {
        check(&application(&[(written, "1s")], &[], ""), "server.tomcat.keep-alive-timeout", "1s");
    }
    for variable in ["SERVER_TOMCAT_KEEPALIVETIMEOUT", "SERVER_TOMCAT_KEEP_ALIVE_TIMEOUT"] {
        check(&application(&[], &[(variable, "1s")], ""), "server.tomcat.keep-alive-timeout", "1s");
    }
}

#[test]
fn arguments_count_more_than_variables_and_these_more_than_files() {
    let (files, environment) =
        ([("server.port", "1")], [("SERVER_PORT", "2"), ("JAVA_OPTS", "-Dserver.port=3")]);
    check(&application(&files, &[], ""), "server.port", "1");
    check(&application(&files, &environment[..1], ""), "server.port", "2");
    check(&application(&files, &environment, ""), "server.port", "3");
    check(&application(&files, &environment, "java -jar a.jar \"--server.port=4\""), "server.port", "4");
}

#[test]
fn placeholders_are_looked_up_in_environment_and_files() {
    let application = application(
        &[
            ("a", "${IN}-${b:x}-${c.d}-${OUTSIDE}-${none:${IN:y}}"),
            ("c.d", "d"),
            ("circle", "${circle}"),
            ("none", "${NOWHERE}"),
            ("open", "${a"),
        ],
        &[("IN", "i")],
        "",
    );
    check(&application, "c.d", "d");
    check(&application, "circle", "${circle}");
    check(&application, "none", "${NOWHERE}");
    check(&application, "open", "${a");
    let application = Application { configuration: None, ..application };
    check(
        &Application {
            environment: [
                ("A".to_owned(), setting("A", "${IN}${b:x}${OUTSIDE}${n:${IN:y}}")),
                ("IN".to_owned(), setting("IN", "i")),
            ]
            .into(),
            ..application
        },
        "a",
        "ixoi",
    );
}

#[test]
fn placeholders_cannot_grow_without_bound() {
    let long = "x".repeat(LONGEST);
    let values: Vec<_> =
        (0..7).map(|number| (format!("a{number}"), format!("${{a{0}}}${{a{0}}}", number + 1))).collect();
    let mut files: Vec<_> = values.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    files.push(("a7", &long));
    check(&application(&files, &[], ""), "a0", "${a1}${a1}");
    files.pop();
    files.push(("a7", "x"));
    let properties = Properties::of(&application(&files, &[], ""), &|_| None);
    drop((0..1000).map(|_| properties.first(&["a0"])).collect::<Vec<_>>());
    assert_eq!(properties.left.get(), 0);
}

#[test]
fn a_setting_of_the_environment_is_below_its_section() {
    let below = |name: &str| {
        let application = application(&[], &[(name, "x")], "");
        Properties::of(&application, &|_| None).below(&["server.ssl.key-store"]).is_some()
    };
    assert!(below("SERVER_SSL_KEY_STORE") && below("SERVER_SSL_KEYSTORE") && below("SERVER_SSL_KEYSTORE_0"));
    assert!(!below("SERVER_SSL_KEYSTORES"));
}

#[test]
fn expressions_name_profiles() {
    let active = ["prod".to_owned(), "eu".to_owned()];
    for (expression, expected) in [
        ("prod", true),
        ("!prod", false),
        ("prod & us", false),
        ("test | eu & !us", true),
        ("default", false),
    ] {
        assert_eq!(matches(expression, &active), expected, "{expression}");
    }
    assert!(matches("default", &[]) && !matches("prod", &[]));
}

proptest! {
    #[test]
    fn no_value_is_too_much(key in "[a-z.\\[\\]-]{0,20}", value in "[a-z${}:]{0,40}|.{0,20}") {
        let application = application(&[(&key, &value)], &[("IN", &value)], &value);
        let properties = Properties::of(&application, &|_| None);
        drop((properties.first(&[&key]), properties.below(&[&key]), properties.all_of_files()));
    }
}
