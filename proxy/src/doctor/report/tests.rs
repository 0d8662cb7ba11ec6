//! The same two findings in each format.

use std::sync::Arc;

use super::*;
use crate::doctor::{
    finding::{Finding, Severity},
    setting::{Evidence, Place},
};

fn evidence(key: &str, written: &str, place: Place) -> Evidence {
    Evidence { key: key.into(), written: written.into(), place }
}

fn examination() -> Examination {
    let file: Arc<str> = "application.yml".into();
    let race = Finding {
        code: "keep-alive-race",
        severity: Severity::Error,
        subject: "target group web".to_owned(),
        problem: "application chat closes idle connections after 20 s, load balancer alb keeps them for 60 s"
            .to_owned(),
        symptom: "sporadic 502".to_owned(),
        fix: "set server.tomcat.keep-alive-timeout to 70s".to_owned(),
        evidence: vec![
            evidence("server.tomcat.keep-alive-timeout", "20s", Place::File { file, line: 4, column: 5 }),
            evidence("idle_timeout.timeout_seconds", "60", Place::default_of("an Application Load Balancer")),
        ],
    };
    let lived_with = Finding { subject: "target group \u{1b}[2Jold".to_owned(), ..race.clone() };
    Examination {
        findings: vec![race],
        ignored: vec![(lived_with, "goes in May".to_owned())],
        notes: vec!["nothing is known of what runs in target group b".to_owned()],
        measured: Vec::new(),
        scope: "1 load balancer, 1 listener, 1 target group, 1 application".to_owned(),
    }
}

#[test]
fn text_shows_both_settings_with_their_places() {
    let plain = anstream::adapter::strip_str(&text(&examination())).to_string();
    insta::assert_snapshot!(plain, @r"
    error[keep-alive-race]: the target's keep-alive timeout is not longer than the idle timeout
      target group web: application chat closes idle connections after 20 s, load balancer alb keeps them for 60 s
        --> application.yml:4:5  server.tomcat.keep-alive-timeout = 20s
        --> not set: idle_timeout.timeout_seconds = 60 (default of an Application Load Balancer)
      you see: sporadic 502
      fix:     set server.tomcat.keep-alive-timeout to 70s
      more:    docs/findings/keep-alive-race.md

    note: nothing is known of what runs in target group b
    ignored: keep-alive-race (target group \u{1b}[2Jold): goes in May
    1 load balancer, 1 listener, 1 target group, 1 application: 1 error, 1 ignored
    ");
}

#[test]
fn what_files_say_cannot_lead_a_terminal() {
    assert!(text(&examination()).contains(r"target group \u{1b}[2Jold"));
    assert_eq!(visible("a\u{202e}b\n\u{e4}"), r"a\u{202e}b\n\u{e4}".replace(r"\u{e4}", "\u{e4}"));
}

#[test]
fn json_keeps_every_part() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&json(&examination())["findings"][0]).unwrap(), @r#"
    {
      "code": "keep-alive-race",
      "fix": "set server.tomcat.keep-alive-timeout to 70s",
      "page": "docs/findings/keep-alive-race.md",
      "problem": "application chat closes idle connections after 20 s, load balancer alb keeps them for 60 s",
      "settings": [
        {
          "column": 5,
          "file": "application.yml",
          "key": "server.tomcat.keep-alive-timeout",
          "line": 4,
          "value": "20s"
        },
        {
          "default_of": "an Application Load Balancer",
          "key": "idle_timeout.timeout_seconds",
          "value": "60"
        }
      ],
      "severity": "error",
      "subject": "target group web",
      "symptom": "sporadic 502",
      "title": "the target's keep-alive timeout is not longer than the idle timeout"
    }
    "#);
    let whole = json(&examination());
    assert_eq!(
        (whole["errors"].as_u64(), whole["findings"][1]["ignored"].as_str()),
        (Some(1), Some("goes in May"))
    );
}

#[test]
fn sarif_has_a_rule_a_place_and_a_suppression() {
    let sarif = sarif(&examination());
    let run = &sarif["runs"][0];
    let result = &run["results"][0];
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(result["ruleId"], "keep-alive-race");
    assert_eq!(place["artifactLocation"]["uri"], "application.yml");
    assert_eq!(place["region"]["startLine"], 4);
    assert_eq!(run["results"][1]["suppressions"][0]["justification"], "goes in May");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["id"] == "keep-alive-race"));
}

#[test]
fn sarif_names_files_as_uris() {
    let mut examination = examination();
    let mut named = |file: &str| {
        examination.findings[0].evidence[0].place = Place::File { file: file.into(), line: 1, column: 1 };
        let sarif = sarif(&examination);
        let location = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        location["artifactLocation"]["uri"].as_str().unwrap().to_owned()
    };
    assert_eq!(named("./lab/a b#1.yml"), "lab/a%20b%231.yml");
    assert_eq!(named("/srv/\u{e4}.yml"), "file:///srv/%C3%A4.yml");
}
