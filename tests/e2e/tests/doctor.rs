//! `albeit doctor` as its users meet it: files in, findings and exit status out.

mod inputs;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use albeit_e2e::{albeit, process};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use self::inputs::{Dump, Kind};

/// Runs the doctor in a directory with files.
async fn run(files: &[(&str, &str)], args: &[&str]) -> Result<Output> {
    let dir = tempfile::tempdir()?;
    for (name, text) in files {
        fs::write(dir.path().join(name), text)?;
    }
    let args = ["doctor"].iter().chain(args).copied();
    process::run(&albeit::binary()?, &args.collect::<Vec<_>>(), dir.path()).await
}

/// What it says about files that are all given, as JSON.
async fn examine(files: &[(&str, &str)]) -> Result<Value> {
    let names = files.iter().map(|(name, _)| *name);
    let output = run(files, &["--format", "json"].into_iter().chain(names).collect::<Vec<_>>()).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).with_context(|| said)
}

/// The findings that are more than information: code, severity, and of each setting `file:line key`.
fn serious(found: &Value) -> Vec<String> {
    let findings = found["findings"].as_array().into_iter().flatten();
    findings.filter(|finding| finding["severity"] != "info").map(shown).collect()
}

fn shown(finding: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let settings = finding["settings"].as_array().into_iter().flatten();
    let settings = settings.map(|it| match it["file"].as_str() {
        Some(file) => format!("{file}:{} {}={}", it["line"], text(&it["key"]), text(&it["value"])),
        None => format!("({}) {}={}", text(&it["default_of"]), text(&it["key"]), text(&it["value"])),
    });
    let (severity, code) = (text(&finding["severity"]), text(&finding["code"]));
    format!("{severity} {code}: {}; {}", settings.collect::<Vec<_>>().join(", "), text(&finding["fix"]))
}

/// Checks that a dump and an application.yml lead to a finding, to none besides that is serious, and to none any more
/// when `fix` is done.
async fn check(
    dump: Dump,
    application: &str,
    expected: &str,
    fix: impl FnOnce(Dump) -> (Dump, String),
) -> Result<()> {
    let files = |dump: &Dump, application: &str| {
        [("elbv2.json".to_owned(), dump.text()), ("application.yml".to_owned(), application.to_owned())]
    };
    let given = files(&dump, application);
    let given: Vec<_> = given.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let found = examine(&given).await?;
    let all: Vec<_> = found["findings"].as_array().into_iter().flatten().map(shown).collect();
    ensure!(all.iter().any(|finding| finding == expected), "{expected}\nis not among\n{}", all.join("\n"));
    let others: Vec<_> = serious(&found).into_iter().filter(|finding| finding != expected).collect();
    ensure!(others.is_empty(), "besides {expected}:\n{}", others.join("\n"));

    let (dump, application) = fix(dump);
    let fixed = files(&dump, &application);
    let fixed: Vec<_> = fixed.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let found = examine(&fixed).await?;
    let code = expected.split([' ', ':']).nth(1).unwrap_or_default();
    let left: Vec<_> = found["findings"].as_array().into_iter().flatten().map(shown).collect();
    ensure!(!left.iter().any(|it| it.contains(&format!(" {code}:"))), "after the fix:\n{}", left.join("\n"));
    ensure!(serious(&found).is_empty(), "after the fix:\n{}", left.join("\n"));
    Ok(())
}

/// A sound application: what the cases below add to.
const SOUND: &str = "server:
  shutdown: graceful
  forward-headers-strategy: native
  tomcat:
    keep-alive-timeout: 75s
";

fn sound(more: &str) -> String {
    format!("{SOUND}{more}")
}

fn alb() -> Dump {
    Dump::new(Kind::Application)
}

#[tokio::test]
async fn a_sound_system_has_no_finding_that_is_serious() -> Result<()> {
    let application = sound("app:\n  websocket:\n    heartbeat-interval: 25000\n");
    for dump in [alb(), Dump::new(Kind::Network)] {
        let found = examine(&[("elbv2.json", &dump.text()), ("application.yml", &application)]).await?;
        ensure!(serious(&found).is_empty(), "{found:#}");
    }
    Ok(())
}

#[tokio::test]
async fn websockets_that_end_after_60_s() -> Result<()> {
    let with = |interval| sound(&format!("app:\n  websocket:\n    heartbeat-interval: {interval}\n"));
    check(alb(), &with(60_000), "error heartbeat-idle-timeout: \
         application.yml:8 app.websocket.heartbeat-interval=60000, \
         elbv2.json:14 idle_timeout.timeout_seconds=60; \
         set app.websocket.heartbeat-interval to at most 30000, or idle_timeout.timeout_seconds to more than 120", |dump| (dump, with(25_000))).await
}

#[tokio::test]
async fn polling_whose_session_is_unknown_elsewhere() -> Result<()> {
    let application =
        sound("app:\n  websocket:\n    sockjs:\n      enabled: true\n    heartbeat-interval: 25000\n");
    let sticky = |dump: Dump| (dump.group("stickiness.enabled", "true"), application.clone());
    check(
        alb(),
        &application,
        "error polling-without-stickiness: \
         elbv2.json:63 stickiness.enabled=false, \
         application.yml:9 app.websocket.sockjs.enabled=true, \
         elbv2.json:70 TargetHealthDescriptions=2 registered; \
         set stickiness.enabled to true with the type lb_cookie, or let clients use WebSocket only",
        sticky,
    )
    .await
}

#[tokio::test]
async fn sessions_that_outlive_stickiness() -> Result<()> {
    let application = sound("  servlet:\n    session:\n      timeout: 30m\n");
    let dump = |duration| {
        alb().group("stickiness.enabled", "true").group("stickiness.lb_cookie.duration_seconds", duration)
    };
    check(
        dump("300"),
        &application,
        "warning stickiness-shorter-than-session: \
         elbv2.json:67 stickiness.lb_cookie.duration_seconds=300, \
         application.yml:8 server.servlet.session.timeout=30m; \
         set stickiness.lb_cookie.duration_seconds to more than 1800 s, such as 86400",
        |_| (dump("86400"), application.clone()),
    )
    .await
}

#[tokio::test]
async fn sessions_in_memory_that_are_lost() -> Result<()> {
    let application = sound("  servlet:\n    session:\n      timeout: 30m\n");
    check(
        alb(),
        &application,
        "error session-in-memory-without-stickiness: \
         elbv2.json:63 stickiness.enabled=false, \
         application.yml:8 server.servlet.session.timeout=30m, \
         elbv2.json:70 TargetHealthDescriptions=2 registered; \
         keep sessions in a store that all instances share, or set stickiness.enabled to true",
        |dump| (dump, sound("spring:\n  session:\n    store-type: redis\n")),
    )
    .await
}

#[tokio::test]
async fn a_502_now_and_then() -> Result<()> {
    let with = |timeout: &str| SOUND.replace("75s", timeout);
    check(
        alb(),
        &with("20000"),
        "error keep-alive-race: \
         application.yml:5 server.tomcat.keep-alive-timeout=20000, \
         elbv2.json:14 idle_timeout.timeout_seconds=60; \
         set server.tomcat.keep-alive-timeout to more than 60 s, such as 70000",
        |dump| (dump, with("70000")),
    )
    .await
}

#[tokio::test]
async fn requests_that_die_at_a_deployment() -> Result<()> {
    let application = SOUND.replace("graceful", "immediate");
    check(alb(), &application, "warning shutdown-not-graceful: \
         application.yml:2 server.shutdown=immediate, \
         (an Application Load Balancer) deregistration_delay.timeout_seconds=300; \
         let it finish its requests at SIGTERM: server.shutdown to graceful, and wait some seconds before it stops to listen", |dump| (dump, SOUND.to_owned())).await
}

#[tokio::test]
async fn deployments_that_wait_for_five_minutes() -> Result<()> {
    let application = sound("spring:\n  mvc:\n    async:\n      request-timeout: 10s\n");
    let fix = |dump: Dump| (dump.group("deregistration_delay.timeout_seconds", "35"), application.clone());
    check(
        alb(),
        &application,
        "info deregistration-delay-default: \
         (an Application Load Balancer) deregistration_delay.timeout_seconds=300, \
         application.yml:9 spring.mvc.async.request-timeout=10s; \
         set deregistration_delay.timeout_seconds to 15",
        fix,
    )
    .await
}

#[tokio::test]
async fn connections_that_a_network_load_balancer_forgets() -> Result<()> {
    let with = |more: &str| sound(&format!("app:\n  websocket:\n    endpoint: /ws\n{more}"));
    let dump = Dump::new(Kind::Network);
    check(
        dump,
        &with(""),
        "warning nlb-keepalive: \
         (Linux) net.ipv4.tcp_keepalive_time=7200, \
         (a Network Load Balancer) tcp.idle_timeout.seconds=350, \
         application.yml:8 app.websocket.endpoint=/ws; \
         set net.ipv4.tcp_keepalive_time to less than 350 s, such as 117; or send heartbeats as often",
        |dump| (dump, with("    heartbeat-interval: 30s\n")),
    )
    .await
}

#[tokio::test]
async fn a_proxy_protocol_header_that_nobody_reads() -> Result<()> {
    let dump = Dump::new(Kind::Network).group("proxy_protocol_v2.enabled", "true");
    check(
        dump,
        SOUND,
        "warning proxy-protocol-one-sided: \
         elbv2.json:62 proxy_protocol_v2.enabled=true; \
         switch the PROXY protocol on in the application, or set proxy_protocol_v2.enabled to false",
        |_| (Dump::new(Kind::Network), SOUND.to_owned()),
    )
    .await
}

#[tokio::test]
async fn health_checks_of_a_path_that_is_not_there() -> Result<()> {
    let application = sound(
        "  servlet:\n    context-path: /shop\nmanagement:\n  endpoint:\n    health:\n      enabled: true\n",
    );
    let fix = |dump: Dump| (dump.health_path("/shop/actuator/health"), application.clone());
    check(
        alb(),
        &application,
        "warning health-check-path: \
         elbv2.json:40 HealthCheckPath=/actuator/health, \
         application.yml:11 management.endpoint.health.enabled=true; \
         set HealthCheckPath to /shop/actuator/health",
        fix,
    )
    .await
}

#[tokio::test]
async fn new_targets_that_stay_idle() -> Result<()> {
    let application = sound("app:\n  websocket:\n    heartbeat-interval: 25000\n");
    let fix = |dump: Dump| {
        (dump.group("load_balancing.algorithm.type", "least_outstanding_requests"), application.clone())
    };
    check(alb(), &application, "info round-robin-long-connections: \
         (an Application Load Balancer) load_balancing.algorithm.type=round_robin, \
         application.yml:8 app.websocket.heartbeat-interval=25000; \
         set load_balancing.algorithm.type to least_outstanding_requests, and close connections now and then at a random age", fix).await
}

#[tokio::test]
async fn redirects_to_http() -> Result<()> {
    let application = SOUND.replace("native", "none");
    check(alb(), &application, "warning forwarded-headers-ignored: \
         application.yml:3 server.forward-headers-strategy=none, \
         elbv2.json:31 Protocol=HTTPS; \
         set server.forward-headers-strategy to native (or trust the proxy), for the load balancer's subnets only", |dump| (dump, SOUND.to_owned())).await
}

/// The race, with the two lines that it is between.
fn race() -> (String, String) {
    (alb().text(), SOUND.replace("75s", "20000"))
}

#[tokio::test]
async fn the_exit_status_is_that_of_the_worst_finding_that_is_denied() -> Result<()> {
    let (dump, racing) = race();
    let insecure = SOUND.replace("native", "none");
    for (application, args, expected) in [
        (SOUND, &[][..], 0),
        (&racing, &[], 4),
        (&racing, &["--deny", "nothing"], 0),
        (&insecure, &[], 0),
        (&insecure, &["--deny", "warnings"], 3),
        (SOUND, &["--deny", "infos"], 3),
        (&racing, &["--deny", "warnings", "--ignore", "keep-alive-race=measured, there is none"], 0),
        (&racing, &["--ignore", "header-limit=cookies are small"], 4),
        (&racing, &["--deny", "everything"], 2),
    ] {
        let files = [("elbv2.json", dump.as_str()), ("application.yml", application)];
        let args: Vec<_> = ["elbv2.json", "application.yml"].iter().chain(args).copied().collect();
        let output = run(&files, &args).await?;
        ensure!(output.status.code() == Some(expected), "{args:?}: {output:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_ignored_is_told_with_its_reason_until_its_day() -> Result<()> {
    let (dump, application) = race();
    for (until, expected) in [("2999-01-01", 0), ("2020-01-01", 4)] {
        let list =
            format!("- code: keep-alive-race\n  reason: the target is replaced in May\n  until: {until}\n");
        let files =
            [("elbv2.json", dump.as_str()), ("application.yml", &application), ("ignore.yaml", &list)];
        let output = run(&files, &["--ignore-file", "ignore.yaml", "elbv2.json", "application.yml"]).await?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(output.status.code() == Some(expected), "{text}");
        ensure!(text.contains("the target is replaced in May") == (expected == 0), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn text_has_no_colour_where_there_is_no_terminal() -> Result<()> {
    let (dump, application) = race();
    let files = [("elbv2.json", dump.as_str()), ("application.yml", &application)];
    let output = run(&files, &["elbv2.json", "application.yml"]).await?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(!text.contains('\u{1b}'), "{text:?}");
    for line in [
        "error[keep-alive-race]: the target's keep-alive timeout is not longer than the idle timeout",
        "    --> application.yml:5:5  server.tomcat.keep-alive-timeout = 20000",
        "  fix:     set server.tomcat.keep-alive-timeout to more than 60 s, such as 70000",
        "  more:    docs/findings/keep-alive-race.md",
        "1 load balancer, 1 listener, 1 target group, 1 application: 1 error, 1 for information",
    ] {
        ensure!(text.lines().any(|it| it == line), "{line}\nis not in\n{text}");
    }
    Ok(())
}

#[tokio::test]
async fn sarif_has_what_code_hosts_need() -> Result<()> {
    let (dump, application) = race();
    let files = [("elbv2.json", dump.as_str()), ("application.yml", &application)];
    let output = run(&files, &["--format", "sarif", "elbv2.json", "application.yml"]).await?;
    let sarif: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(sarif["version"] == "2.1.0" && sarif["$schema"].is_string(), "{sarif:#}");
    let run = &sarif["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().context("no rules")?;
    let results = run["results"].as_array().context("no results")?;
    ensure!(!results.is_empty());
    for result in results {
        ensure!(rules.iter().any(|rule| rule["id"] == result["ruleId"]), "{result:#}");
        ensure!(["error", "warning", "note"].iter().any(|level| result["level"] == *level), "{result:#}");
        ensure!(result["message"]["text"].is_string(), "{result:#}");
    }
    let race = results.iter().find(|result| result["ruleId"] == "keep-alive-race").context("no race")?;
    let place = &race["locations"][0]["physicalLocation"];
    ensure!(place["artifactLocation"]["uri"] == "application.yml", "{place:#}");
    ensure!(place["region"]["startLine"] == 5, "{place:#}");
    Ok(())
}

#[tokio::test]
async fn files_that_cannot_be_used_are_all_told() -> Result<()> {
    let files = [("broken.json", "{\"a\": "), ("other.yaml", "colour: red\n"), ("application.yml", SOUND)];
    let output = run(&files, &["broken.json", "other.yaml", "gone.tf", "application.yml"]).await?;
    ensure!(output.status.code() == Some(2) && output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stderr)?;
    for file in ["broken.json", "other.yaml: is neither", "gone.tf: cannot be read"] {
        ensure!(said.contains(file), "{file} is not in\n{said}");
    }
    Ok(())
}

/// Configurations with a mistake on purpose: what their systems really have.
const KNOWN: [(&str, &str); 4] = [
    ("a-auction/alb.yaml", "error keep-alive-race:"),
    ("c-keep-alive-race/alb.yaml", "error keep-alive-race:"),
    ("d-chat/alb.yaml", "warning relay-in-memory:"),
    ("e-spring-stomp/alb.yaml", "error keep-alive-race:"),
];

/// The YAML files of a directory, and of those below it.
fn yaml_files(dir: &Path, below: bool) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if below && path.is_dir() {
            files.extend(yaml_files(&path, below)?);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    Ok(files)
}

#[tokio::test]
async fn our_own_configurations_are_sound() -> Result<()> {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf");
    let mut files = yaml_files(&conf, false)?;
    files.extend(yaml_files(&conf.join("reference"), true)?);
    ensure!(files.len() > 15, "only {files:?}");
    for file in files {
        let name = file.strip_prefix(&conf)?.to_string_lossy().into_owned();
        let args = ["doctor", "--format", "json", &name];
        let output = process::run(&albeit::binary()?, &args, &conf).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let found: Value =
            serde_json::from_slice(&output.stdout).with_context(|| format!("{name}: {said}"))?;
        let serious = serious(&found);
        let known = KNOWN.iter().find(|(known, _)| name.ends_with(known));
        let is_known = |finding: &String| known.is_some_and(|(_, start)| finding.starts_with(start));
        let is_expected = serious.len() == usize::from(known.is_some()) && serious.iter().all(is_known);
        ensure!(is_expected, "{name}: {serious:?}");
    }
    Ok(())
}
