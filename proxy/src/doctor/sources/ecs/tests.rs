//! What is understood of ECS.

use proptest::prelude::*;

use super::super::aws::tests::{notes, system_of};
use crate::doctor::{setting::Setting, system::Application};

const DEFINITION: &str = include_str!("../../../../../conf/reference/doctor/ecs-task-definition.json");
const SERVICES: &str = include_str!("../../../../../conf/reference/doctor/ecs-services.json");
const ELB: &str = include_str!("../../../../../conf/reference/doctor/elbv2-dump.json");

#[track_caller]
fn one(files: &[(&str, &str)]) -> Application {
    let system = system_of(files).unwrap();
    assert_eq!(notes(&system), [""; 0]);
    let [application] = system.applications.try_into().unwrap();
    application
}

/// `KEY = WRITTEN at PLACE`.
fn told<T>(setting: Option<&Setting<T>>) -> String {
    setting.map_or_else(|| "-".to_owned(), |it| format!("{} = {} at {}", it.key, it.written, it.place))
}

#[test]
fn a_container_is_an_application() {
    let application = one(&[("task.json", DEFINITION)]);
    assert_eq!((application.name.as_str(), application.target_groups.len()), ("websocket-app", 0));
    let Application { port, image, shutdown, startup, environment, .. } = &application;
    let lines = [
        told(port.as_ref()),
        told(image.as_ref()),
        told(shutdown.stop_timeout.as_ref()),
        told(startup.start_period.as_ref()),
        told(startup.interval.as_ref()),
        told(startup.timeout.as_ref()),
        told(startup.retries.as_ref()),
        told(environment.get("SPRING_PROFILES_ACTIVE")),
        told(environment.get("JWT_SECRET")),
    ];
    insta::assert_snapshot!(lines.join("\n"), @"
    containerPort = 8080 at task.json:17:23
    image = 123456789012.dkr.ecr.eu-central-1.amazonaws.com/websocket-app:1.8.3 at task.json:14:17
    stopTimeout = 30 at task.json:60:17
    healthCheck.startPeriod = 60 at task.json:47:21
    healthCheck.interval = 15 at task.json:44:21
    healthCheck.timeout = 5 at task.json:45:21
    healthCheck.retries = 3 at task.json:46:21
    SPRING_PROFILES_ACTIVE = prod at task.json:20:57
    JWT_SECRET = arn:aws:secretsmanager:eu-central-1:123456789012:secret:jwt-GhIjKl at task.json:39:25
    ");
}

#[test]
fn a_service_ties_a_container_to_its_target_group() {
    for files in [
        [("task.json", DEFINITION), ("services.json", SERVICES), ("elb.json", ELB)],
        [("elb.json", ELB), ("services.json", SERVICES), ("task.json", DEFINITION)],
    ] {
        let application = one(&files);
        assert_eq!(application.target_groups, ["websocket-tg"]);
        assert_eq!(application.instances.as_ref().unwrap().value, 2);
        assert_eq!(application.startup.health_check_grace_period.as_ref().unwrap().value.as_secs(), 0);
        assert_eq!(application.shutdown.stop_timeout.as_ref().unwrap().value.as_secs(), 30);
    }
}

#[test]
fn a_service_says_something_without_its_task_definition() {
    let application = one(&[("services.json", SERVICES)]);
    assert_eq!(
        (application.name.as_str(), &*application.target_groups),
        ("websocket-app", &["websocket-tg".to_owned()][..])
    );
    assert_eq!(application.port.as_ref().unwrap().value, 8080);
}

#[test]
fn what_is_registered_is_read_with_the_defaults() {
    let application = one(&[(
        "task.json",
        r#"{"family": "web", "containerDefinitions": [
             {"name": "log-router", "image": "fluent-bit"},
             {"name": "app", "entryPoint": ["node"], "command": ["server.js", "--keep-alive"], "healthCheck": {},
              "portMappings": [{"containerPort": 3000}],
              "systemControls": [{"namespace": "net.ipv4.tcp_keepalive_time", "value": "200"}]}]}"#,
    )]);
    let command: Vec<_> = application.command.iter().map(|word| word.value.as_str()).collect();
    assert_eq!(command, ["node", "server.js", "--keep-alive"]);
    let Application { shutdown, startup, tcp_keepalive, .. } = &application;
    let lines = [
        told(shutdown.stop_timeout.as_ref()),
        told(startup.start_period.as_ref()),
        told(startup.interval.as_ref()),
        told(startup.retries.as_ref()),
        told(tcp_keepalive.as_ref()),
    ];
    insta::assert_snapshot!(lines.join("\n"), @"
    stopTimeout = 30 at default of Amazon ECS
    healthCheck.startPeriod = 0 at default of Amazon ECS
    healthCheck.interval = 30 at default of Amazon ECS
    healthCheck.retries = 3 at default of Amazon ECS
    net.ipv4.tcp_keepalive_time = 200 at task.json:5:79
    ");
}

#[track_caller]
fn stop_timeout(of_task: &str, of_container: &str, expected: Option<u64>) {
    let text = format!("{{{of_task} \"containerDefinitions\": [{{\"name\": \"app\"{of_container}}}]}}");
    let stop_timeout = one(&[("task.json", &text)]).shutdown.stop_timeout;
    assert_eq!(stop_timeout.map(|timeout| timeout.value.as_secs()), expected);
}

#[test]
fn fargate_stops_after_two_minutes_at_the_latest() {
    const FARGATE: &str = r#""requiresCompatibilities": ["EC2", "FARGATE"],"#;
    stop_timeout("", ", \"stopTimeout\": 300", Some(300));
    stop_timeout(FARGATE, ", \"stopTimeout\": 300", Some(120));
    stop_timeout(FARGATE, "", Some(30));
    stop_timeout(FARGATE, ", \"stopTimeout\": \"soon\"", None);
}

#[test]
fn a_later_revision_of_the_family_stands_in() {
    let later = DEFINITION.replace("websocket-service:42", "websocket-service:43");
    assert_eq!(one(&[("task.json", &later), ("services.json", SERVICES)]).target_groups, ["websocket-tg"]);
    let other = DEFINITION.replace("websocket-service", "other-service");
    assert_eq!(
        system_of(&[("task.json", &other), ("services.json", SERVICES)]).unwrap().applications.len(),
        2
    );
}

#[test]
fn a_compose_file_is_none_of_ecs() {
    // The time between SIGTERM and SIGKILL would be 30 s with ECS.
    let application = one(&[("compose.json", r#"{"services": {"web": {"image": "web"}}}"#)]);
    assert_eq!(application.shutdown.stop_timeout.as_ref().unwrap().value.as_secs(), 10);
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(
        member in "taskDefinition|containerDefinitions|services",
        text in r#"[\[\]{}:,"\\a-c0-9 \n-]{0,60}"#,
    ) {
        drop(system_of(&[("a.json", &format!("{{\"{member}\": {text}}}"))]));
    }
}
