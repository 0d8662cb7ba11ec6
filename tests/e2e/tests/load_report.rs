//! `albeit-load`'s results: reports, comparisons, scenario files, exit statuses.

use std::{
    fs,
    path::{Path, PathBuf},
};

use albeit_e2e::{Step, Target, eventually, process, process::Process, target::ok, wait::SOON};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

/// What the program said and how it ended.
#[derive(Debug)]
struct Ended {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

async fn load(dir: &Path, arguments: &[&str]) -> Result<Ended> {
    let binary = process::binary("ALBEIT_LOAD_BIN", "albeit-load")?;
    let output = process::run(&binary, arguments, dir).await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ended { status: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
}

/// A directory with `before.json` and a slower, failing `after.json`.
fn results() -> Result<TempDir> {
    let dir = tempfile::tempdir()?;
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../load/fixtures");
    for name in ["before.json", "after.json"] {
        fs::copy(fixtures.join(name), dir.path().join(name)).with_context(|| name.to_owned())?;
    }
    Ok(dir)
}

#[track_caller]
fn check(ended: &Ended, status: i32, part: &str) {
    assert_eq!(ended.status, Some(status), "{ended:?}");
    assert!(ended.stdout.contains(part) || ended.stderr.contains(part), "{part} in {ended:?}");
}

#[tokio::test]
async fn a_report_is_text_html_junit_and_one_json() -> Result<()> {
    let dir = results()?;
    let files = ["--html", "all.html", "--junit", "all.xml", "--json", "all.json"];
    let ended = load(dir.path(), &[&["report", "before.json", "after.json"], &files[..]].concat()).await?;
    check(&ended, 1, "3 of 4 runs held");
    assert!(!ended.stdout.contains('\u{1b}'), "no colours without a terminal: {ended:?}");
    let html = fs::read_to_string(dir.path().join("all.html"))?;
    assert!(html.contains("1 of 4 failed") && html.matches("<svg").count() == 12, "{html}");
    let junit = fs::read_to_string(dir.path().join("all.xml"))?;
    assert_eq!((junit.matches("<testsuite ").count(), junit.matches("<failure ").count()), (4, 1));
    let json: Value = serde_json::from_str(&fs::read_to_string(dir.path().join("all.json"))?)?;
    assert_eq!(json["outcomes"].as_array().map(Vec::len), Some(4));
    Ok(())
}

#[tokio::test]
async fn json_on_standard_output_stands_alone() -> Result<()> {
    let dir = results()?;
    let ended = load(dir.path(), &["report", "before.json", "--json", "-"]).await?;
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    let json: Value = serde_json::from_str(&ended.stdout)?;
    assert_eq!(json["version"], 1);
    Ok(())
}

#[tokio::test]
async fn a_limit_fails_a_result_that_is_beyond_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../load/fixtures/before.json");
    let mut json: Value = serde_json::from_str(&fs::read_to_string(fixture)?)?;
    json["outcomes"].as_array_mut().context("outcomes")?.truncate(1);
    fs::write(dir.path().join("one.json"), json.to_string())?;
    for (limit, status, part) in [
        ("p99<=1s", 0, "ok     limit p99"),
        ("p99<=1ms", 1, "FAILED limit p99"),
        ("p98<=1ms", 2, "no figure \"p98\" (have: answers_per_second,"),
        ("p99=1ms", 2, "a limit is NAME<=VALUE"),
    ] {
        check(&load(dir.path(), &["report", "one.json", "--limit", limit]).await?, status, part);
    }
    Ok(())
}

#[tokio::test]
async fn a_regression_fails_a_comparison() -> Result<()> {
    let dir = results()?;
    let compare = async |arguments: &[&str]| load(dir.path(), &[&["compare"], arguments].concat()).await;
    check(&compare(&["before.json", "before.json"]).await?, 0, "no worse than before");
    let ended = compare(&["before.json", "after.json", "--html", "c.html", "--json", "c.json"]).await?;
    check(&ended, 1, "broken no request failed");
    let json: Value = serde_json::from_str(&fs::read_to_string(dir.path().join("c.json"))?)?;
    assert_eq!(json["runs"][0]["broken"].as_array().map(Vec::len), Some(1));
    assert!(fs::read_to_string(dir.path().join("c.html"))?.contains("line c1"));
    let faster = compare(&["after.json", "before.json"]).await?;
    check(&faster, 0, "mended no request failed");
    Ok(())
}

#[tokio::test]
async fn results_measured_otherwise_are_not_judged() -> Result<()> {
    let dir = results()?;
    let other = fs::read_to_string(dir.path().join("after.json"))?
        .replace("\"rate\": \"333\"", "\"rate\": \"500\"")
        .replace("\"connections\": \"40\"", "\"connections\": \"41\"")
        .replace("\"passed\": false", "\"passed\": true");
    fs::write(dir.path().join("other.json"), other)?;
    let ended = load(dir.path(), &["compare", "before.json", "other.json"]).await?;
    check(&ended, 2, "other settings, not judged: rate 333 → 500");
    Ok(())
}

#[tokio::test]
async fn files_of_other_kinds_are_refused_with_the_reason() -> Result<()> {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("old.json"), r#"{"version": 0, "outcomes": []}"#)?;
    fs::write(dir.path().join("text.json"), "p99 = 5")?;
    check(&load(dir.path(), &["report", "old.json"]).await?, 2, "version 0, and this program reads 1");
    check(&load(dir.path(), &["report", "text.json"]).await?, 2, "text.json is no result of albeit-load");
    check(&load(dir.path(), &["compare", "old.json", "none.json"]).await?, 2, "old.json");
    check(&load(dir.path(), &["report", "none.json"]).await?, 2, "cannot read none.json");
    Ok(())
}

#[tokio::test]
async fn a_wrong_scenario_file_is_refused_before_anything_runs() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = "runs:\n  - scenario: echo\n    url: ws://127.0.0.1:9/\n    options: { mesages: 5 }\n";
    fs::write(dir.path().join("ci.yaml"), file)?;
    check(
        &load(dir.path(), &["run", "ci.yaml"]).await?,
        2,
        "ci.yaml:4:16: runs[0].options.mesages: no option of echo",
    );
    fs::write(dir.path().join("good.yaml"), file.replace("mesages", "messages"))?;
    check(&load(dir.path(), &["run", "--check", "good.yaml"]).await?, 0, "");
    Ok(())
}

#[tokio::test]
async fn a_service_that_does_not_come_up_is_not_measured() -> Result<()> {
    let dir = tempfile::tempdir()?;
    // A port of an address that no other test takes.
    let file = "wait_for: { url: 'http://127.99.0.8:9/', deadline: 300ms }\n\
                runs:\n  - { name: one, scenario: echo, url: 'ws://127.99.0.8:9/' }\n";
    fs::write(dir.path().join("ci.yaml"), file)?;
    let ended = load(dir.path(), &["run", "ci.yaml", "--junit", "ci.xml"]).await?;
    check(&ended, 3, "one: not measured: http://127.99.0.8:9/ is not up within 300ms");
    let junit = fs::read_to_string(dir.path().join("ci.xml"))?;
    assert!(junit.contains("errors=\"1\"") && junit.contains("is not up within"), "{junit}");
    Ok(())
}

#[tokio::test]
async fn a_refusal_fails_an_expectation_and_a_mistake_does_not() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let ended = load(dir.path(), &["echo", "ws://127.99.0.8:9/", "--protocol", "stomp"]).await?;
    check(&ended, 1, "connection refused");
    check(&load(dir.path(), &["echo"]).await?, 2, "<URL>");
    check(&load(dir.path(), &["ecko", "ws://127.99.0.8:9/"]).await?, 2, "unrecognized subcommand");
    Ok(())
}

#[tokio::test]
async fn ctrl_c_ends_a_run_early_and_what_it_has_is_told() -> Result<()> {
    let (dir, target) = (tempfile::tempdir()?, Target::start(|_| vec![Step::Send(ok("ok"))])?);
    let binary = process::binary("ALBEIT_LOAD_BIN", "albeit-load")?;
    let touch = |name: &str| format!("touch {}", dir.path().join(name).display());
    let (url, gone, back) = (format!("http://{}/", target.addr()), touch("gone"), touch("back"));
    // The target goes after three seconds; six are left for the signal.
    let arguments =
        ["drain", &url, "--web-sockets", "0", "--for", "9s", "--trigger", &gone, "--restore", &back];
    let mut load = Process::spawn("load", &binary, arguments, dir.path())?;
    eventually(SOON, "the target to go", async || {
        ensure!(dir.path().join("gone").exists());
        Ok(())
    })
    .await?;
    load.signal("INT").await?;
    assert_eq!(load.exited(SOON).await?.code(), Some(130), "{}", load.stderr());
    let said = load.stdout();
    assert!(said.contains("FAILED run to the end") && said.contains("× 200"), "{said}");
    assert!(dir.path().join("back").exists(), "the target is brought back");
    Ok(())
}

#[tokio::test]
async fn a_place_for_results_is_looked_for_before_anything_is_measured() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let arguments = ["echo", "ws://127.99.0.8:9/", "--json", "none/result.json"];
    check(&load(dir.path(), &arguments).await?, 2, "cannot write none/result.json: no directory none");
    Ok(())
}
