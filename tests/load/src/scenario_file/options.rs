//! Options of a scenario file as arguments of the command line.

use clap::{
    ArgAction, Args as _, Command, FromArgMatches as _, Subcommand as _,
    error::{ContextKind, ContextValue},
};

use super::{
    problem::{Problem, Reader, joined},
    tree::{Node, Place, Value},
};
use crate::{arguments::Scenario, target::Target};

/// Options as a file gives them.
#[derive(Debug, Default)]
pub(crate) struct Options {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    place: Place,
    path: String,
    /// One for each time that the option is given.
    values: Vec<String>,
    used: bool,
}

/// All scenarios as commands.
fn commands() -> Command {
    Scenario::augment_subcommands(
        Command::new("albeit-load").no_binary_name(true).disable_help_subcommand(true),
    )
}

/// Names of scenarios.
pub(crate) fn scenarios() -> Vec<String> {
    commands().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// The command of a scenario.
pub(crate) fn command(scenario: &str) -> Option<Command> {
    commands().find_subcommand(scenario).cloned()
}

/// What the command line makes of a run.
///
/// # Errors
///
/// The command line's own.
pub(crate) fn parse(scenario: &str, url: &str, arguments: Vec<String>) -> Result<Scenario, clap::Error> {
    let mut all = vec![scenario.to_owned()];
    all.extend(arguments);
    all.extend(["--".to_owned(), url.to_owned()]);
    Scenario::from_arg_matches(&commands().try_get_matches_from(all)?)
}

/// What the command line makes of a target.
///
/// # Errors
///
/// The command line's own.
pub(crate) fn target(url: &str, mut arguments: Vec<String>) -> Result<Target, clap::Error> {
    arguments.extend(["--".to_owned(), url.to_owned()]);
    let command = Target::augment_args(Command::new("wait_for").no_binary_name(true));
    Target::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// The option that the command line refused, if it was one, and why.
pub(crate) fn explain(error: &clap::Error) -> (Option<String>, String) {
    let option = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument
            .strip_prefix("--")
            .map(|argument| argument.split([' ', '=', '[']).next().unwrap_or(argument).to_owned()),
        _ => None,
    };
    let rendered = error.to_string();
    let lines: Vec<&str> =
        rendered.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:")).collect();
    let message = lines.join(" ").replace("error: ", "");
    let message = message.split("For more information").next().unwrap_or(&message).trim().to_owned();
    (option, message)
}

impl Options {
    /// Reads a map of them.
    pub(crate) fn read(reader: &mut Reader, node: &Node, path: &str) -> Self {
        let mut entries = Vec::new();
        for (name, node) in reader.entries(node, path) {
            let path = joined(path, name);
            let values = match &node.value {
                Value::Scalar(text) => vec![text.clone()],
                Value::List(items) => {
                    items.iter().filter_map(|item| reader.text(item, &path)).map(str::to_owned).collect()
                }
                Value::Null | Value::Map(_) => {
                    reader.wrong(node.place, &path, "an option has a value or a list of them");
                    continue;
                }
            };
            entries.push(Entry { name: name.to_owned(), place: node.place, path, values, used: false });
        }
        Self { entries }
    }

    /// Where the option of this path stands.
    pub(crate) fn place(&self, path: &str) -> Option<Place> {
        self.entries.iter().find(|entry| entry.path == path).map(|entry| entry.place)
    }

    /// As arguments of a command, those of `defaults` that it has included.
    pub(crate) fn arguments(
        &self,
        reader: &mut Reader,
        command: &Command,
        defaults: &mut Self,
    ) -> Vec<String> {
        let mut arguments = Vec::new();
        for entry in &self.entries {
            if !entry.add(reader, command, &mut arguments) {
                let have: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
                let message = format!("no option of {} (have: {})", command.get_name(), have.join(", "));
                reader.wrong(entry.place, &entry.path, message);
            }
        }
        for entry in &mut defaults.entries {
            if self.entries.iter().any(|own| own.name == entry.name) {
                entry.used = true;
            } else {
                entry.used |= entry.add(reader, command, &mut arguments);
            }
        }
        arguments
    }

    /// Options that no command had.
    pub(crate) fn unused(&self) -> Vec<Problem> {
        let unused = self.entries.iter().filter(|entry| !entry.used);
        unused
            .map(|Entry { place, path, .. }| Problem {
                place: *place,
                path: path.clone(),
                message: "no scenario of this file has this option".to_owned(),
            })
            .collect()
    }
}

impl Entry {
    /// Adds its arguments; false when the command has no such option.
    fn add(&self, reader: &mut Reader, command: &Command, to: &mut Vec<String>) -> bool {
        let Self { name, place, path, values, .. } = self;
        let Some(argument) = command.get_arguments().find(|argument| argument.get_long() == Some(name))
        else {
            return false;
        };
        if matches!(argument.get_action(), ArgAction::SetTrue) {
            match values.as_slice() {
                [on] if on == "true" => to.push(format!("--{name}")),
                [off] if off == "false" => {}
                _ => reader.wrong(*place, path, "is true or false"),
            }
        } else {
            to.extend(values.iter().map(|value| format!("--{name}={value}")));
        }
        true
    }
}
