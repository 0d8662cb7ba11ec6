//! A scenario file, read: what is to be run.
//!
//! Options have the names that they have on the command line, and the command
//! line's own parser reads them: what it refuses is a mistake of that line.

use std::time::Duration;

use super::{
    expand::expand,
    options::{self, Options},
    problem::{Problem, Problems, Reader, joined},
    tree::{self, Node, Place, Value},
};
use crate::{
    arguments::Scenario,
    limit::{Bound, Limit},
    target::{Target, duration},
};

/// What a file says.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What must answer before the first run.
    pub(crate) wait_for: Option<WaitFor>,
    /// What is run, one after the other.
    pub(crate) runs: Vec<PlannedRun>,
}

/// One run.
#[derive(Debug)]
pub(crate) struct PlannedRun {
    /// What the report calls it: no other run is called so.
    pub(crate) name: String,
    /// The scenario's name.
    pub(crate) scenario_name: String,
    /// The scenario and what it is told.
    pub(crate) scenario: Scenario,
    /// What must answer before it.
    pub(crate) wait_for: Option<WaitFor>,
    /// What its figures are held to, each with where it stands.
    pub(crate) limits: Vec<PlacedLimit>,
}

/// A limit that knows where it stands.
#[derive(Debug)]
pub(crate) struct PlacedLimit {
    pub(crate) place: Place,
    pub(crate) path: String,
    pub(crate) limit: Limit,
}

/// Something that must answer.
#[derive(Debug)]
pub(crate) struct WaitFor {
    /// What is asked.
    pub(crate) target: Target,
    /// How long it may take until it answers.
    pub(crate) deadline: Duration,
    /// The one status that counts; without it, each below 500 does.
    pub(crate) status: Option<u16>,
}

/// How long a service may take to come up, unless a file says otherwise.
const DEADLINE: Duration = Duration::from_secs(60);

/// Reads a file's text.
///
/// # Errors
///
/// Everything that is wrong with it.
pub(crate) fn read(
    file: &str,
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Plan, Problems> {
    let mut reader = Reader::default();
    let plan = match tree::parse(text) {
        Ok(mut root) => {
            expand_all(&mut reader, &mut root, "", variable);
            reader.plan(&root)
        }
        Err(error) => {
            reader.wrong(error.place, "", error.message);
            None
        }
    };
    match plan {
        Some(plan) if reader.problems.is_empty() => Ok(plan),
        _ => {
            reader.problems.sort_by_key(|problem| problem.place);
            Err(Problems { file: file.to_owned(), all: reader.problems })
        }
    }
}

fn expand_all(reader: &mut Reader, node: &mut Node, path: &str, variable: &dyn Fn(&str) -> Option<String>) {
    match &mut node.value {
        Value::Null => {}
        Value::Scalar(text) => match expand(text, variable) {
            Ok(expanded) => *text = expanded,
            Err(error) => reader.wrong(node.place, path, error.to_string()),
        },
        Value::List(items) => {
            for (number, item) in items.iter_mut().enumerate() {
                expand_all(reader, item, &format!("{path}[{number}]"), variable);
            }
        }
        Value::Map(entries) => {
            for (key, node) in entries {
                expand_all(reader, node, &joined(path, key), variable);
            }
        }
    }
}

/// What stands for runs that do not say it themselves.
#[derive(Debug, Default)]
struct Defaults {
    url: Option<String>,
    options: Options,
}

impl Reader {
    fn plan(&mut self, root: &Node) -> Option<Plan> {
        let mut plan = Plan { wait_for: None, runs: Vec::new() };
        let mut defaults = Defaults::default();
        let mut listed = None;
        for (key, node) in self.map(root, "", &["defaults", "wait_for", "runs"]) {
            match key {
                "defaults" => defaults = self.defaults(node),
                "wait_for" => plan.wait_for = self.wait_for(node, "wait_for"),
                _ => listed = Some(node),
            }
        }
        let Some(listed) = listed else {
            self.wrong(root.place, "runs", "is missing: the list of what to run");
            return None;
        };
        if matches!(&listed.value, Value::List(runs) if runs.is_empty()) {
            self.wrong(listed.place, "runs", "is empty");
        }
        for (number, node) in self.list(listed, "runs").iter().enumerate() {
            let path = format!("runs[{number}]");
            let Some(run) = self.run(node, &path, &mut defaults) else { continue };
            if plan.runs.iter().any(|other| other.name == run.name) {
                let message = format!("another run is called {:?}: reports are compared by name", run.name);
                self.wrong(node.place, &joined(&path, "name"), message);
            }
            plan.runs.push(run);
        }
        for unused in defaults.options.unused() {
            self.problems.push(unused);
        }
        Some(plan)
    }

    fn defaults(&mut self, node: &Node) -> Defaults {
        let mut defaults = Defaults::default();
        for (key, node) in self.map(node, "defaults", &["url", "options"]) {
            match key {
                "url" => defaults.url = self.text(node, "defaults.url").map(str::to_owned),
                _ => defaults.options = Options::read(self, node, "defaults.options"),
            }
        }
        defaults
    }

    fn run(&mut self, node: &Node, path: &str, defaults: &mut Defaults) -> Option<PlannedRun> {
        let keys = ["name", "scenario", "url", "options", "limits", "wait_for"];
        let (mut name, mut scenario, mut url) = (None, None, defaults.url.clone());
        let (mut options, mut limits, mut wait_for) = (Options::default(), Vec::new(), None);
        for (key, node) in self.map(node, path, &keys) {
            let path = joined(path, key);
            match key {
                "name" => name = self.text(node, &path).map(str::to_owned),
                "scenario" => scenario = self.text(node, &path).map(|name| (name.to_owned(), node.place)),
                "url" => url = self.text(node, &path).map(str::to_owned),
                "options" => options = Options::read(self, node, &path),
                "limits" => limits = self.limits(node, &path),
                _ => wait_for = self.wait_for(node, &path),
            }
        }
        let Some((scenario, place)) = scenario else {
            self.wrong(node.place, &joined(path, "scenario"), "is missing");
            return None;
        };
        let Some(command) = options::command(&scenario) else {
            let message = format!("no scenario {scenario:?} (have: {})", options::scenarios().join(", "));
            self.wrong(place, &joined(path, "scenario"), message);
            return None;
        };
        let Some(url) = url else {
            self.wrong(node.place, &joined(path, "url"), "is missing, here and in defaults");
            return None;
        };
        let before = self.problems.len();
        let arguments = options.arguments(self, &command, &mut defaults.options);
        if self.problems.len() > before {
            return None;
        }
        match options::parse(&scenario, &url, arguments) {
            Ok(parsed) => Some(PlannedRun {
                name: name.unwrap_or_else(|| scenario.clone()),
                scenario_name: scenario,
                scenario: parsed,
                wait_for,
                limits,
            }),
            Err(error) => {
                let (option, message) = options::explain(&error);
                let option = option
                    .map_or_else(|| joined(path, "url"), |option| joined(&joined(path, "options"), &option));
                let place = options.place(&option).unwrap_or(node.place);
                self.problems.push(Problem { place, path: option, message });
                None
            }
        }
    }

    fn limits(&mut self, node: &Node, path: &str) -> Vec<PlacedLimit> {
        let mut limits = Vec::new();
        for (figure, node) in self.entries(node, path) {
            let path = joined(path, figure);
            for (bound, node) in self.map(node, &path, &["max", "min", "exactly"]) {
                let path = joined(&path, bound);
                let Some(text) = self.text(node, &path) else { continue };
                let bound = match bound {
                    "max" => Bound::Max,
                    "min" => Bound::Min,
                    _ => Bound::Exactly,
                };
                match text.parse() {
                    Ok(value) => {
                        let limit = Limit { figure: figure.to_owned(), bound, value };
                        limits.push(PlacedLimit { place: node.place, path, limit });
                    }
                    Err(message) => self.wrong(node.place, &path, message),
                }
            }
        }
        limits
    }

    fn wait_for(&mut self, node: &Node, path: &str) -> Option<WaitFor> {
        let (mut url, mut deadline, mut status) = (None, DEADLINE, None);
        let mut arguments = Vec::new();
        for (key, node) in self.map(node, path, &["url", "deadline", "status", "ca", "insecure"]) {
            let path = joined(path, key);
            let Some(text) = self.text(node, &path) else { continue };
            match key {
                "url" => url = Some(text),
                "deadline" => match duration(text) {
                    Ok(read) => deadline = read,
                    Err(message) => self.wrong(node.place, &path, message),
                },
                "status" => match text.parse() {
                    Ok(read @ 100..=599) => status = Some(read),
                    _ => self.wrong(node.place, &path, "a status is a number from 100 to 599"),
                },
                "ca" => arguments.push(format!("--ca={text}")),
                _ if text == "true" => arguments.push("--insecure".to_owned()),
                _ => {}
            }
        }
        let Some(url) = url else {
            self.wrong(node.place, &joined(path, "url"), "is missing");
            return None;
        };
        match options::target(url, arguments) {
            Ok(target) => Some(WaitFor { target, deadline, status }),
            Err(error) => {
                self.wrong(node.place, path, options::explain(&error).1);
                None
            }
        }
    }
}
