//! The example of `conf/reference/doctor/`: what its owners' files lead to, and what is left after the fixes.

use std::{fs, path::Path};

use time::macros::date;

use super::{diagnose, examination::Examination, sources};

/// The findings of some codes in some files of the example, each with the places to look at, and all notes.
fn findings(files: &[&str], codes: &[&str], change: impl Fn(&str) -> String) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/reference/doctor");
    let directory = tempfile::tempdir().unwrap();
    let paths: Vec<_> = files.iter().map(|name| directory.path().join(name)).collect();
    for (name, path) in files.iter().zip(&paths) {
        fs::write(path, change(&fs::read_to_string(examples.join(name)).unwrap())).unwrap();
    }
    let system = sources::read_all(paths.iter().map(|path| &**path), &|_| None).unwrap();
    let mut lines = Vec::new();
    for finding in diagnose(&system).iter().filter(|finding| codes.contains(&finding.code)) {
        lines.push(format!("{} {}: {}", finding.severity, finding.code, finding.subject));
        let evidence = finding.evidence.iter();
        lines.extend(evidence.map(|it| format!("  {} = {} ({})", it.key, it.written, it.place)));
    }
    let notes = Examination::of(&system, &[], date!(2026 - 01 - 01)).notes;
    lines.extend(notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n").replace(&format!("{}/", directory.path().display()), "")
}

const RACE: &str = "keep-alive-race";
const SESSIONS: &str = "session-in-memory-without-stickiness";

#[test]
fn a_dump_and_the_application_are_enough() {
    let found = findings(&["elbv2-dump.json", "application.yml"], &[RACE, SESSIONS], str::to_owned);
    insta::assert_snapshot!(found, @"
    error keep-alive-race: target group websocket-tg
      server.tomcat.keep-alive-timeout = 20000 (application.yml:7:5)
      idle_timeout.timeout_seconds = 60 (elbv2-dump.json:51:13)
    error session-in-memory-without-stickiness: target group websocket-tg
      stickiness.enabled = false (elbv2-dump.json:326:13)
      server.servlet.session.timeout = 30m (application.yml:12:7)
      TargetHealthDescriptions = 2 registered (elbv2-dump.json:380:5)
    ");
}

#[test]
fn a_task_definition_and_its_service_tell_more() {
    let files = ["elbv2-dump.json", "application.yml", "ecs-task-definition.json", "ecs-services.json"];
    insta::assert_snapshot!(findings(&files, &[SESSIONS], str::to_owned), @"
    error session-in-memory-without-stickiness: target group websocket-tg
      stickiness.enabled = false (elbv2-dump.json:326:13)
      server.servlet.session.timeout = 30m (application.yml:12:7)
      desiredCount = 2 (ecs-services.json:15:13)
    ");
}

#[test]
fn terraform_tells_as_much() {
    insta::assert_snapshot!(findings(&["main.tf", "variables.tf"], &[RACE], str::to_owned), @"
    error keep-alive-race: target group websocket-tg
      SERVER_TOMCAT_KEEPALIVETIMEOUT = 20000 (main.tf:70:52)
      aws_lb.websocket.idle_timeout = 3600 (main.tf:13:3)
    ");
    let fixed = |text: &str| text.replace("value = \"20000\"", "value = \"3700000\"");
    assert_eq!(findings(&["main.tf", "variables.tf"], &[RACE], fixed), "");
}

#[test]
fn what_was_fixed_is_found_no_more() {
    let fixed = |text: &str| {
        let sticky = "\"Key\": \"stickiness.enabled\",\n            \"Value\": \"";
        text.replace("keep-alive-timeout: 20000", "keep-alive-timeout: 70000")
            .replace(&format!("{sticky}false"), &format!("{sticky}true"))
    };
    assert_eq!(findings(&["elbv2-dump.json", "application.yml"], &[RACE, SESSIONS], fixed), "");
}

#[test]
fn what_sources_could_not_use_is_noted() {
    let only_balancers = |text: &str| text.split_inclusive("\n}\n").next().unwrap().to_owned();
    insta::assert_snapshot!(findings(&["elbv2-dump.json"], &[], only_balancers), @"note: elbv2-dump.json:8:13: ELB's defaults are assumed for load balancer websocket-alb: no answer of describe-load-balancer-attributes tells its attributes");
}
