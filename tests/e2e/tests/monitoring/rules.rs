//! The rules: accepted by `promtool`, each alert tested on both sides of its threshold and described.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use albeit_e2e::prometheus::Promtool;
use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_yaml::Value;
use tempfile::TempDir;

use super::{all_rules, files, list, promql::Expression, promtool, repository, text, yaml};

/// How many `promtool` run side by side.
const AT_ONCE: usize = 2;

#[tokio::test]
async fn the_configuration_and_the_rules_are_accepted() -> Result<()> {
    let Some(tool) = Promtool::find() else { return Ok(()) };
    let dir = repository("conf/prometheus");
    let (accepted, said) = promtool(&tool, &dir, &["check", "config", "prometheus.yml"]).await?;
    ensure!(accepted && said.contains("rule files found"), "{said}");
    for file in files("conf/prometheus/rules", "yml")? {
        let file = file.to_str().context("not UTF-8")?;
        let (accepted, said) =
            promtool(&tool, &dir, &["check", "rules", "--lint=all", "--lint-fatal", file]).await?;
        ensure!(accepted, "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn every_alert_fires_at_its_threshold_and_not_below() -> Result<()> {
    let Some(tool) = Promtool::find() else { return Ok(()) };
    let tests = stream::iter(files("conf/prometheus/tests", "yml")?).map(|file| {
        let tool = &tool;
        async move {
            let dir = file.parent().context("no directory")?;
            let name = file.to_str().context("not UTF-8")?;
            let (passed, said) = promtool(tool, dir, &["test", "rules", name]).await?;
            ensure!(passed, "{said}");
            Ok(())
        }
    });
    tests.buffer_unordered(AT_ONCE).try_collect::<()>().await
}

/// A test that cannot fail proves nothing: without its `for`, or at the threshold instead of beyond it, each
/// alert fails its own tests.
#[tokio::test]
async fn an_alert_that_is_changed_fails_its_tests() -> Result<()> {
    let Some(tool) = Promtool::find() else { return Ok(()) };
    let mut mutants = Vec::new();
    for (file, rule) in all_rules()? {
        let alert = text(&rule, "alert").to_owned();
        if !alert.is_empty() {
            mutants.extend(mutations(&rule).into_iter().map(|mutant| (file.clone(), alert.clone(), mutant)));
        }
    }
    ensure!(mutants.len() > 40, "only {} mutants", mutants.len());
    let runs = stream::iter(mutants).map(|(file, alert, mutant)| {
        let tool = &tool;
        async move {
            let dir = tempfile::Builder::new().prefix("albeit-e2e-").tempdir()?;
            write_mutant(&dir, &file, &alert, &mutant)?;
            let (passed, said) = promtool(tool, dir.path(), &["test", "rules", "test.yml"]).await?;
            ensure!(!passed, "the tests of {alert} do not see that it is {mutant:?}");
            ensure!(said.contains(&alert), "{alert}: {said}");
            Ok(())
        }
    });
    runs.buffer_unordered(AT_ONCE).try_collect::<()>().await
}

/// The alert with one thing changed, for each thing.
fn mutations(alert: &Value) -> Vec<Value> {
    let expression = text(alert, "expr");
    let mut mutants = Vec::new();
    for (from, to) in [(" > ", " >= "), (" < ", " <= "), (" == 0", " == 1"), (" == 1", " == 0")] {
        if expression.contains(from) {
            let mut mutant = alert.clone();
            mutant["expr"] = expression.replace(from, to).into();
            mutants.push(mutant);
        }
    }
    if alert.get("for").is_some() {
        let mut mutant = alert.clone();
        mutant["for"] = "0s".into();
        mutants.push(mutant);
    }
    mutants
}

/// Writes `test.yml` with the tests of this alert, and the rules that they load with the mutant in its place.
fn write_mutant(dir: &TempDir, file: &Path, alert: &str, mutant: &Value) -> Result<()> {
    let (test_file, mut tests) = tests_of(alert)?;
    let mut names = Vec::new();
    let dir_of_tests = test_file.parent().context("no directory")?;
    for rules in list(&tests, "rule_files") {
        let source = dir_of_tests.join(rules.as_str().context("a name")?);
        let name = source.file_name().context("no name")?.to_owned();
        let mut groups = yaml(&source)?;
        if file.file_name() == Some(&name) {
            for group in groups["groups"].as_sequence_mut().context("groups")? {
                for rule in group["rules"].as_sequence_mut().context("rules")? {
                    if text(rule, "alert") == alert {
                        *rule = mutant.clone();
                    }
                }
            }
        }
        fs::write(dir.path().join(&name), serde_yaml::to_string(&groups)?)?;
        names.push(Value::from(name.to_string_lossy()));
    }
    tests["rule_files"] = names.into();
    fs::write(dir.path().join("test.yml"), serde_yaml::to_string(&tests)?)?;
    Ok(())
}

/// The file with tests of this alert, reduced to those.
fn tests_of(alert: &str) -> Result<(PathBuf, Value)> {
    for file in files("conf/prometheus/tests", "yml")? {
        let mut all = yaml(&file)?;
        let cases = all["tests"].as_sequence_mut().context("tests")?;
        cases.retain(|case| list(case, "promql_expr_test").iter().any(|look| looks_at(look, alert)));
        if !cases.is_empty() {
            return Ok((file, all));
        }
    }
    anyhow::bail!("no test of {alert}")
}

fn looks_at(look: &Value, alert: &str) -> bool {
    text(look, "expr") == format!("ALERTS{{alertname=\"{alert}\"}}")
}

#[test]
fn every_alert_is_tested_on_both_sides_and_described() -> Result<()> {
    let page = fs::read_to_string(repository("docs/monitoring.md"))?;
    let headings: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let mut names = BTreeSet::new();
    for (_, rule) in all_rules()? {
        let alert = text(&rule, "alert");
        if alert.is_empty() {
            continue;
        }
        ensure!(names.insert(alert.to_owned()), "{alert} is there twice");
        let (_, tests) = tests_of(alert)?;
        let looks = list(&tests, "tests").iter().flat_map(|case| list(case, "promql_expr_test"));
        let looks: Vec<&Value> = looks.filter(|look| looks_at(look, alert)).collect();
        let is_firing = |look: &Value| {
            list(look, "exp_samples").iter().any(|it| text(it, "labels").contains("\"firing\""))
        };
        ensure!(looks.iter().any(|look| is_firing(look)), "no test sees {alert} fire");
        ensure!(looks.iter().any(|look| !is_firing(look)), "no test sees {alert} not fire");
        described(alert, &rule, &headings)?;
    }
    let described: BTreeSet<String> =
        headings.into_iter().filter(|heading| !heading.contains(' ')).map(str::to_owned).collect();
    let unknown: Vec<&String> = described.difference(&names).collect();
    ensure!(unknown.is_empty(), "docs/monitoring.md has alerts that there are not: {unknown:?}");
    Ok(())
}

/// The annotations are there, the runbook leads to a heading, and templates name labels that the alert has.
fn described(alert: &str, rule: &Value, headings: &BTreeSet<&str>) -> Result<()> {
    let severity = text(&rule["labels"], "severity");
    ensure!(["warning", "critical"].contains(&severity), "{alert}: severity {severity:?}");
    let annotations = &rule["annotations"];
    for key in ["summary", "description"] {
        ensure!(text(annotations, key).len() > 10, "{alert} has no {key}");
    }
    let anchor = format!("docs/monitoring.md#{}", alert.to_lowercase());
    ensure!(text(annotations, "runbook_url") == anchor, "{alert}: {}", text(annotations, "runbook_url"));
    ensure!(headings.contains(alert), "docs/monitoring.md has no heading {alert}");
    let grouping = Expression::parse(text(rule, "expr"))?.grouping;
    for after in text(annotations, "description").split("$labels.").skip(1) {
        let label: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        // An expression that does not group keeps what the scrape gave.
        let scraped = ["instance", "job"].contains(&label.as_str());
        let replaced = text(rule, "expr").contains(&format!("\"{label}\""));
        let recorded = text(rule, "expr").starts_with("job:") && label == "job";
        let kept = grouping.is_empty() && scraped;
        ensure!(
            kept || recorded || replaced || grouping.contains(&label),
            "{alert} describes {label}, which it does not have"
        );
    }
    Ok(())
}
