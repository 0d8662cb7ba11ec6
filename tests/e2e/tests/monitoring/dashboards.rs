//! The dashboards: what Grafana needs to load them is there, and every expression is one.

use std::{collections::BTreeSet, fs, path::PathBuf};

use albeit_e2e::prometheus::Promtool;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{files, list, promtool, repository, text, yaml};

/// A query of a panel, an annotation or a variable, its variables replaced.
#[derive(Debug)]
pub(super) struct Query {
    /// Dashboard and panel.
    pub(super) place: String,
    pub(super) expression: String,
    /// Labels that the legend names.
    pub(super) legend: Vec<String>,
}

fn dashboards() -> Result<Vec<(PathBuf, Value)>> {
    let read = |file: PathBuf| {
        let dashboard = serde_json::from_str(&fs::read_to_string(&file)?);
        Ok((file.clone(), dashboard.with_context(|| file.display().to_string())?))
    };
    files("conf/grafana/dashboards", "json")?.into_iter().map(read).collect()
}

fn array<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn string<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Names between double braces.
fn placeholders(legend: &str) -> Vec<String> {
    let names = legend.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
    names.map(|(name, _)| name.trim().to_owned()).collect()
}

/// The expression as Prometheus gets it when everything is chosen.
fn without_variables(expression: &str) -> String {
    let mut replaced = expression.replace("$__rate_interval", "1m");
    for variable in ["$load_balancer", "$target_group", "$instance"] {
        replaced = replaced.replace(&format!("\"{variable}\""), "\".*\"");
    }
    replaced
}

/// All queries of all dashboards.
pub(super) fn queries() -> Result<Vec<Query>> {
    let mut queries = Vec::new();
    for (file, dashboard) in dashboards()? {
        let file = file.file_stem().context("no name")?.to_string_lossy().into_owned();
        let query = |title: &str, expression: &str, legend: &str| Query {
            place: format!("{file}: {title}"),
            expression: without_variables(expression),
            legend: placeholders(legend),
        };
        for panel in array(&dashboard, "/panels") {
            for target in array(panel, "/targets") {
                let (expression, legend) = (string(target, "/expr"), string(target, "/legendFormat"));
                queries.push(query(string(panel, "/title"), expression, legend));
            }
        }
        for annotation in array(&dashboard, "/annotations/list") {
            queries.push(query("annotation", string(annotation, "/expr"), ""));
        }
        for variable in array(&dashboard, "/templating/list") {
            let inner = string(variable, "/query/query").strip_prefix("label_values(");
            let inner = inner.and_then(|rest| rest.strip_suffix(')')).context("no label_values()")?;
            let (series, label) = inner.rsplit_once(", ").context("no label")?;
            queries.push(query("variable", series, &format!("{{{{{label}}}}}")));
        }
    }
    Ok(queries)
}

#[test]
fn dashboards_have_what_grafana_needs() -> Result<()> {
    let sources = yaml(&repository("conf/grafana/provisioning/datasources/prometheus.yml"))?;
    let sources: Vec<&str> = list(&sources, "datasources").iter().map(|source| text(source, "uid")).collect();
    let providers = yaml(&repository("conf/grafana/provisioning/dashboards/albeit.yml"))?;
    ensure!(list(&providers, "providers").len() == 1, "one folder of dashboards");
    let mut uids = BTreeSet::new();
    for (file, dashboard) in dashboards()? {
        let name = file.display();
        ensure!(uids.insert(string(&dashboard, "/uid").to_owned()), "{name}: its uid is taken");
        let mut identifiers = BTreeSet::new();
        let mut occupied: Vec<[u64; 4]> = Vec::new();
        for panel in array(&dashboard, "/panels") {
            let title = string(panel, "/title");
            let id = panel.get("id").and_then(Value::as_u64).context("no id")?;
            ensure!(identifiers.insert(id), "{name}: {title} has the id of another panel");
            let at = |key: &str| panel.pointer(&format!("/gridPos/{key}")).and_then(Value::as_u64);
            let place = [at("x"), at("y"), at("w"), at("h")].map(Option::unwrap_or_default);
            ensure!(place[0] + place[2] <= 24 && place[3] > 0, "{name}: {title} is not in the grid");
            ensure!(!occupied.iter().any(|other| overlap(other, &place)), "{name}: {title} is above another");
            occupied.push(place);
            ensure!(!title.is_empty(), "{name}: a panel without a title");
            if string(panel, "/type") != "row" {
                ensure!(!string(panel, "/description").is_empty(), "{name}: {title} is not described");
                ensure!(
                    !string(panel, "/fieldConfig/defaults/unit").is_empty(),
                    "{name}: {title} has no unit"
                );
                ensure!(!array(panel, "/targets").is_empty(), "{name}: {title} shows nothing");
            }
        }
        ensure!(!array(&dashboard, "/links").is_empty(), "{name} leads nowhere");
        every_source_is_provisioned(&dashboard, &sources).context(name.to_string())?;
    }
    for (file, dashboard) in dashboards()? {
        let internal =
            array(&dashboard, "/links").iter().filter_map(|it| string(it, "/url").strip_prefix("/d/"));
        for uid in internal {
            ensure!(uids.contains(uid), "{} leads to {uid}", file.display());
        }
    }
    Ok(())
}

fn overlap([x, y, w, h]: &[u64; 4], [x2, y2, w2, h2]: &[u64; 4]) -> bool {
    x < &(x2 + w2) && x2 < &(x + w) && y < &(y2 + h2) && y2 < &(y + h)
}

fn every_source_is_provisioned(value: &Value, sources: &[&str]) -> Result<()> {
    match value {
        Value::Object(members) => {
            if let Some(source) = members.get("datasource") {
                let uid = string(source, "/uid");
                ensure!(sources.contains(&uid), "datasource {uid:?} is none of {sources:?}");
            }
            members.values().try_for_each(|member| every_source_is_provisioned(member, sources))
        }
        Value::Array(items) => items.iter().try_for_each(|item| every_source_is_provisioned(item, sources)),
        _ => Ok(()),
    }
}

/// Descriptions and links name chapters of the documentation that there are.
#[test]
fn chapters_that_dashboards_name_are_there() -> Result<()> {
    let page = fs::read_to_string(repository("docs/monitoring.md"))?;
    let headings =
        page.lines().filter_map(|line| Some(line.strip_prefix('#')?.trim_start_matches('#').trim()));
    let anchors: BTreeSet<String> = headings.map(|title| title.to_lowercase().replace(' ', "-")).collect();
    for file in files("conf/grafana/dashboards", "json")? {
        let source = fs::read_to_string(&file)?;
        let mut found = 0;
        for rest in source.split("docs/monitoring.md#").skip(1) {
            let anchor: String =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            ensure!(anchors.contains(&anchor), "{}: no chapter {anchor}", file.display());
            found += 1;
        }
        ensure!(found > 0, "{} names no chapter", file.display());
    }
    Ok(())
}

#[tokio::test]
async fn every_expression_of_the_dashboards_is_one() -> Result<()> {
    let Some(tool) = Promtool::find() else { return Ok(()) };
    let dir = tempfile::Builder::new().prefix("albeit-e2e-").tempdir()?;
    let check = |queries: Vec<String>| {
        let rules: Vec<Value> = (0..)
            .zip(queries)
            .map(|(n, expression)| serde_json::json!({ "record": format!("panel:{n}"), "expr": expression }))
            .collect();
        let file = dir.path().join("panels.yml");
        // JSON is YAML.
        let text = serde_json::json!({ "groups": [{ "name": "panels", "rules": rules }] }).to_string();
        let (tool, dir) = (&tool, dir.path());
        async move {
            fs::write(file, text)?;
            promtool(tool, dir, &["check", "rules", "panels.yml"]).await
        }
    };
    let expressions: Vec<String> = queries()?.into_iter().map(|query| query.expression).collect();
    ensure!(expressions.len() > 100, "only {} expressions", expressions.len());
    ensure!(!expressions.iter().any(|it| it.contains('$')), "a variable that is not known: {expressions:?}");
    let (accepted, said) = check(expressions).await?;
    ensure!(accepted, "{said}");
    let (accepted, said) = check(vec!["sum by (a (up)".to_owned()]).await?;
    ensure!(!accepted, "promtool takes anything: {said}");
    Ok(())
}
