//! What people look at in operation: the rules in `conf/prometheus` and the dashboards in `conf/grafana` are
//! valid, tested and documented, and ask for metrics that there are.

mod dashboards;
mod live;
mod promql;
mod rules;

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use albeit_e2e::prometheus::Promtool;
use anyhow::{Context as _, Result, ensure};
use serde_yaml::Value;

/// The directory of this name in the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The files with this ending, in the order of their names.
fn files(dir: &str, ending: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(repository(dir))?.map(|entry| Ok(entry?.path()));
    let mut files: Vec<PathBuf> = entries.collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|found| found == ending));
    files.sort();
    ensure!(!files.is_empty(), "no *.{ending} in {dir}");
    Ok(files)
}

fn yaml(file: &Path) -> Result<Value> {
    serde_yaml::from_str(&fs::read_to_string(file)?).with_context(|| file.display().to_string())
}

/// A list in a YAML value; empty if it is not there.
fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_sequence).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// All rules, with the file that each is in.
fn all_rules() -> Result<Vec<(PathBuf, Value)>> {
    let mut rules = Vec::new();
    for file in files("conf/prometheus/rules", "yml")? {
        let groups = yaml(&file)?;
        let of_file = list(&groups, "groups").iter().flat_map(|group| list(group, "rules"));
        rules.extend(of_file.map(|rule| (file.clone(), rule.clone())));
    }
    Ok(rules)
}

/// Runs `promtool`: whether it was content, and what it said.
async fn promtool(tool: &Promtool, dir: &Path, arguments: &[&str]) -> Result<(bool, String)> {
    let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
    let output = tool.run(dir, &arguments).await?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}
