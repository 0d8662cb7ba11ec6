use super::{plan, problem::Problems};

#[track_caller]
fn wrong(text: &str) -> String {
    let problems = plan::read("ci.yaml", text, &|_| None).map(|_| ()).expect_err("problems").to_string();
    // Scenarios and their options come and go.
    let told = |line: &str| match line.split_once(" (have: ") {
        Some((told, _)) if told.contains("no scenario") || told.contains("no option") => told.to_owned(),
        _ => line.to_owned(),
    };
    problems.lines().map(told).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn read(text: &str) -> Result<plan::Plan, Problems> {
    plan::read("ci.yaml", text, &|name| (name == "HOST").then(|| "127.0.0.1:8080".to_owned()))
}

#[test]
fn a_file_is_what_the_command_line_would_be() {
    let plan = read(
        "wait_for: { url: 'http://${HOST}/health', deadline: 5s, status: 200 }
defaults:
  url: ws://${HOST}/ws
  options: { protocol: stomp, patience: 3s, bursts: 7 }
runs:
  - scenario: echo
    options: { messages: 50, header: ['A: 1', 'B: 2'], insecure: true }
  - name: to many
    scenario: fan-out
    url: wss://elsewhere/ws
    limits: { p99: { max: 200ms }, deliveries: { min: 10, max: 10_000 } }
",
    )
    .unwrap();
    let wait = plan.wait_for.unwrap();
    assert_eq!((wait.target.url.as_str(), wait.status), ("http://127.0.0.1:8080/health", Some(200)));
    let [echo, many] = plan.runs.as_slice() else { panic!("two runs") };
    let echoed = format!("{:?}", echo.scenario);
    for part in [
        "url: \"ws://127.0.0.1:8080/ws\"",
        "messages: 50",
        "Stomp",
        "\"A: 1\", \"B: 2\"",
        "insecure: true",
        "patience: 3s",
    ] {
        assert!(echoed.contains(part), "{part} in {echoed}");
    }
    assert_eq!((echo.name.as_str(), many.name.as_str()), ("echo", "to many"));
    let other = format!("{:?}", many.scenario);
    assert!(other.contains("wss://elsewhere/ws") && other.contains("bursts: 7"), "{other}");
    let limits: Vec<String> = many.limits.iter().map(|placed| placed.limit.to_string()).collect();
    assert_eq!(limits, ["p99<=200ms", "deliveries>=10", "deliveries<=10000"]);
}

#[test]
fn all_mistakes_are_told_with_path_and_line() {
    insta::assert_snapshot!(
        wrong(
            "defaults:
  url: ws://127.0.0.1:1/ws
  options: { no-such-option: 1 }
run: []
runs:
  - scenario: ecko
  - scenario: echo
    options:
      mesages: 50
  - scenario: echo
    name: second
    options:
      messages: many
    limits:
      p99: { maximum: 5 }
      p50: { max: soon }
  - scenario: echo
    options: { insecure: perhaps, patience: { a: b } }
  - name: nothing
  - just text
  - { scenario: echo, name: twice, url: '${NOWHERE}' }
  - { scenario: hold, name: twice }
"
        ),
        @r#"
        ci.yaml:3:14: defaults.options.no-such-option: no scenario of this file has this option
        ci.yaml:4:1: run: unknown key (have: defaults, wait_for, runs)
        ci.yaml:6:5: runs[0].scenario: no scenario "ecko"
        ci.yaml:9:7: runs[1].options.mesages: no option of echo
        ci.yaml:13:7: runs[2].options.messages: invalid value 'many' for '--messages <MESSAGES>': invalid digit found in string
        ci.yaml:15:14: runs[2].limits.p99.maximum: unknown key (have: max, min, exactly)
        ci.yaml:16:14: runs[2].limits.p50.max: "soon" is no number with a unit, such as 200ms, 5% or 64KiB
        ci.yaml:18:16: runs[3].options.insecure: is true or false
        ci.yaml:18:35: runs[3].options.patience: an option has a value or a list of them
        ci.yaml:19:5: runs[4].scenario: is missing
        ci.yaml:20:5: runs[5]: here stands a map, `key: value`
        ci.yaml:20:5: runs[5].scenario: is missing
        ci.yaml:21:36: runs[6].url: the environment variable NOWHERE is not set (`${NOWHERE:-value}` gives a default)
        ci.yaml:22:5: runs[7].name: another run is called "twice": reports are compared by name
        "#
    );
}

#[test]
fn what_is_no_scenario_file_says_why() {
    insta::assert_snapshot!(wrong(""), @"ci.yaml:1:1: the file is empty");
    insta::assert_snapshot!(wrong("runs: 5"), @"ci.yaml:1:1: runs: here stands a list");
    insta::assert_snapshot!(wrong("runs: []"), @"ci.yaml:1:1: runs: is empty");
    insta::assert_snapshot!(wrong("runs: [}"), @"ci.yaml:1:8: while parsing a node, did not find expected node content");
    insta::assert_snapshot!(wrong("defaults: { url: x }"), @"ci.yaml:1:1: runs: is missing: the list of what to run");
    insta::assert_snapshot!(wrong("wait_for: { url: 'http://a', status: 900, deadline: 5 }\nruns: [{scenario: echo, url: 'ws://a'}]"), @r"
    ci.yaml:1:30: wait_for.status: a status is a number from 100 to 599
    ci.yaml:1:43: wait_for.deadline: a duration is a number with its unit, such as 500ms, 30s, 5m or 1h
    ");
    insta::assert_snapshot!(wrong("runs:\n  - scenario: echo"), @"ci.yaml:2:5: runs[0].url: is missing, here and in defaults");
}
