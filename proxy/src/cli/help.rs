//! What `--help` and the man pages teach beyond the list of options: examples, signals, exit statuses.

mod lessons;

use clap::Command;

pub(super) use self::lessons::LESSONS;
use super::exit::Exit;

/// Where the rest is written.
const PAGE: &str = "docs/cli.md";

/// What a group of commands is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To serve.
    Run,
    /// To see what a running load balancer does.
    Look,
    /// To change it while it runs.
    Act,
    /// To find mistakes before clients do.
    Find,
    /// To work on the machine of a developer.
    Develop,
}

impl Purpose {
    /// In the order in which they are shown.
    const ALL: [Self; 5] = [Self::Run, Self::Look, Self::Act, Self::Find, Self::Develop];

    const fn title(self) -> &'static str {
        match self {
            Self::Run => "Run load balancers",
            Self::Look => "Look at a running one",
            Self::Act => "Act on a running one",
            Self::Find => "Find mistakes",
            Self::Develop => "Develop and install",
        }
    }
}

/// What is taught of one command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lesson {
    /// Its name.
    pub(super) command: &'static str,
    /// Its group in the overview.
    pub(super) purpose: Purpose,
    /// What for, and the command line.
    pub(super) examples: &'static [(&'static str, &'static str)],
    /// Signals, and what they do.
    pub(super) signals: &'static [(&'static str, &'static str)],
    /// Exit statuses, and what they mean here.
    pub(super) statuses: &'static [(Exit, &'static str)],
    /// Environment variables besides those of the options.
    pub(super) environment: &'static [(&'static str, &'static str)],
    /// The page to go on with.
    pub(super) page: &'static str,
}

/// The command line with all that is taught.
pub(super) fn teach(command: Command) -> Command {
    let overview = overview(&command);
    let statuses = table(&Exit::ALL.map(|exit| (exit.code().to_string(), exit.meaning())));
    let mut command = command
        .subcommand_value_name("COMMAND")
        .subcommand_help_heading("COMMANDS")
        .help_template(format!(
            "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{overview}\n\nOptions:\n{{options}}{{after-help}}"
        ))
        .after_help(format!("'albeit COMMAND --help' has examples. All of it: {PAGE}"))
        .after_long_help(format!(
            "Exit status:\n{statuses}\n'albeit COMMAND --help' has examples. All of it: {PAGE}"
        ));
    for lesson in LESSONS {
        let taught = lesson.text();
        command = command.mut_subcommand(lesson.command, |command| command.after_long_help(taught));
    }
    command
}

/// What `albeit` says when it is not told what to do.
pub(super) fn welcome(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    format!(
        "{about}.\n\n{}\n\nTo begin: 'albeit dev' runs a demo, 'albeit COMMAND --help' has examples, \
         {PAGE} has all of it.",
        overview(command)
    )
}

/// The commands, grouped by what they are for.
fn overview(command: &Command) -> String {
    let about = |name: &str| {
        let found = command.get_subcommands().find(|it| it.get_name() == name);
        found.and_then(Command::get_about).map(ToString::to_string).unwrap_or_default()
    };
    let of = |purpose: Purpose| {
        let lessons = LESSONS.iter().filter(move |lesson| lesson.purpose == purpose);
        let rows: Vec<_> = lessons.map(|lesson| (lesson.command.to_owned(), about(lesson.command))).collect();
        format!("{}:\n{}", purpose.title(), table(&rows))
    };
    Purpose::ALL.map(of).join("\n").trim_end().to_owned()
}

impl Lesson {
    /// What stands below the options in `--help`.
    fn text(&self) -> String {
        let mut text = String::from("Examples:\n");
        for (index, (what_for, line)) in self.examples.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            text.push_str(&format!("{gap}  # {what_for}\n  $ {line}\n"));
        }
        if !self.signals.is_empty() {
            text.push_str(&format!("\nSignals:\n{}", table(self.signals)));
        }
        if !self.environment.is_empty() {
            text.push_str(&format!("\nEnvironment:\n{}", table(self.environment)));
        }
        let statuses: Vec<_> =
            self.statuses.iter().map(|(exit, meaning)| (exit.code().to_string(), *meaning)).collect();
        text.push_str(&format!("\nExit status:\n{}\nMore: {}", table(&statuses), self.page));
        text
    }
}

/// Two columns, indented.
fn table(rows: &[(impl AsRef<str>, impl AsRef<str>)]) -> String {
    let width = rows.iter().map(|(first, _)| first.as_ref().chars().count()).max().unwrap_or_default();
    rows.iter().map(|(first, second)| format!("  {:width$}  {}\n", first.as_ref(), second.as_ref())).collect()
}

#[cfg(test)]
mod tests;
