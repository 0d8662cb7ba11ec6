use std::{collections::BTreeSet, fs, path::Path};

use clap::CommandFactory as _;

use super::*;
use crate::cli::Cli;

fn taught() -> Command {
    teach(Cli::command())
}

fn names(command: &Command) -> BTreeSet<String> {
    command.get_subcommands().map(|it| it.get_name().to_owned()).filter(|name| name != "help").collect()
}

#[test]
fn every_command_has_one_lesson() {
    let lessons: Vec<String> = LESSONS.iter().map(|lesson| lesson.command.to_owned()).collect();
    assert_eq!(lessons.len(), names(&taught()).len());
    assert_eq!(lessons.into_iter().collect::<BTreeSet<_>>(), names(&taught()));
}

#[test]
fn every_lesson_has_two_worked_examples_that_the_command_line_takes() {
    for Lesson { command, examples, .. } in LESSONS {
        assert!(examples.len() >= 2, "{command}");
        for (_, line) in *examples {
            let own = line.split("&&").flat_map(|part| part.split(['|', ';', '>', '<'])).map(str::trim);
            for part in own.map(|part| part.trim_start_matches('(').trim_end_matches(')')) {
                if !part.starts_with("albeit ") {
                    continue;
                }
                let parsed = taught().try_get_matches_from(part.split_whitespace());
                assert!(parsed.is_ok(), "{part}: {}", parsed.unwrap_err());
            }
            assert!(line.contains(&format!("albeit {command}")), "{line}");
        }
    }
}

#[test]
fn every_lesson_explains_success_and_every_status_is_explained_somewhere() {
    for Lesson { command, statuses, .. } in LESSONS {
        assert_eq!(statuses.first().map(|(exit, _)| *exit), Some(Exit::Done), "{command}");
        assert!(statuses.is_sorted_by_key(|(exit, _)| *exit), "{command}");
    }
    let explained: BTreeSet<Exit> =
        LESSONS.iter().flat_map(|lesson| lesson.statuses).map(|(exit, _)| *exit).collect();
    assert_eq!(explained, BTreeSet::from(Exit::ALL));
}

/// `docs/cli.md` has a section for each command that names each of its options, and the table of exit statuses.
#[test]
fn the_page_and_the_help_agree() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let page = fs::read_to_string(page).unwrap();
    let mut sections: BTreeSet<String> = BTreeSet::new();
    for section in page.split("\n## ").filter_map(|section| section.strip_prefix("`albeit ")) {
        let (name, text) = section.split_once('`').unwrap();
        sections.insert(name.to_owned());
        let taught = taught();
        let command = taught.find_subcommand(name).unwrap_or_else(|| panic!("no command {name}"));
        for option in command.get_arguments().filter_map(|argument| argument.get_long()) {
            let named = text.contains(&format!("--{option}"));
            // What many commands share has a section of its own.
            let is_shared =
                ["admin", "config", "token-file", "color", "log-format", "help", "version"].contains(&option);
            assert!(named || is_shared, "docs/cli.md: albeit {name} does not tell of --{option}");
        }
    }
    assert_eq!(sections, names(&taught()), "docs/cli.md has a section for each command");
    for exit in Exit::ALL {
        let row = format!("| {} | {} |", exit.code(), exit.meaning());
        assert!(page.contains(&row), "docs/cli.md: no row\n{row}");
    }
    for variable in ["ALBEIT_ADMIN", "ALBEIT_ADMIN_TOKEN", "ALBEIT_ADMIN_TOKEN_FILE", "ALBEIT_LOG_FORMAT"] {
        assert!(page.contains(&format!("`{variable}`")), "docs/cli.md does not tell of {variable}");
    }
}

#[test]
fn the_overview_is_short_and_grouped() {
    let text = welcome(&taught());
    assert!(text.lines().count() <= 32 && text.lines().all(|line| line.chars().count() <= 110), "{text}");
    let positions: Vec<_> = Purpose::ALL.iter().map(|purpose| text.find(purpose.title()).unwrap()).collect();
    assert!(positions.is_sorted());
}
