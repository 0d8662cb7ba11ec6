//! `albeit man`: the manual pages, made of the same texts as `--help`.

use std::{fs, io, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Command};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use super::{
    command, complain,
    exit::Exit,
    help::{LESSONS, Lesson},
    say,
};

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The command whose page is written to standard output; else that of albeit itself.
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Option<String>,
    /// Write all pages into this directory instead, which is made.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Writes one page, or all.
pub(super) fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let mut all = command().disable_help_subcommand(true);
    all.build();
    if let Some(dir) = &args.dir {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        for command in [&all].into_iter().chain(all.get_subcommands()) {
            let (name, page) = page(command)?;
            let file = dir.join(name);
            fs::write(&file, page).with_context(|| format!("cannot write {}", file.display()))?;
        }
        return Ok(Exit::Done.into());
    }
    let wanted = match &args.command {
        None => Some(&all),
        Some(name) => all.find_subcommand(name),
    };
    let Some(wanted) = wanted else {
        complain("albeit: there is no such command; 'albeit' lists them");
        return Ok(Exit::Wrong.into());
    };
    say(String::from_utf8_lossy(&page(wanted)?.1).trim_end());
    Ok(Exit::Done.into())
}

/// The name of a page's file, and the page.
fn page(command: &Command) -> io::Result<(String, Vec<u8>)> {
    let lesson = LESSONS.iter().find(|lesson| lesson.command == command.get_name());
    let version = command.get_version().unwrap_or(env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(format!("albeit {version}")).manual("Albeit");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut roff = Roff::default();
    match lesson {
        Some(lesson) => teach(&mut roff, lesson),
        None => {
            man.render_subcommands_section(&mut page)?;
            roff.control("SH", ["EXIT STATUS"]);
            list(&mut roff, Exit::ALL.map(|exit| (exit.code().to_string(), exit.meaning())));
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    let others = LESSONS.iter().filter(|it| it.command != command.get_name());
    let others: Vec<_> = others.map(|it| format!("albeit-{}(1)", it.command)).collect();
    let own = if lesson.is_some() { "albeit(1), " } else { "" };
    roff.text([roman(format!("{own}{}", others.join(", ")))]);
    roff.to_writer(&mut page)?;
    Ok((man.get_filename(), page))
}

fn teach(roff: &mut Roff, lesson: &Lesson) {
    roff.control("SH", ["EXAMPLES"]);
    for (what_for, line) in lesson.examples {
        roff.control("TP", []);
        roff.text([roman(*what_for)]);
        roff.text([bold(*line)]);
    }
    for (heading, rows) in [("SIGNALS", lesson.signals), ("ENVIRONMENT", lesson.environment)] {
        if !rows.is_empty() {
            roff.control("SH", [heading]);
            list(roff, rows.iter().map(|(name, text)| ((*name).to_owned(), *text)));
        }
    }
    roff.control("SH", ["EXIT STATUS"]);
    list(roff, lesson.statuses.iter().map(|(exit, text)| (exit.code().to_string(), *text)));
    roff.control("SH", ["FILES"]);
    roff.text([roman(lesson.page)]);
}

fn list(roff: &mut Roff, rows: impl IntoIterator<Item = (String, &'static str)>) {
    for (name, text) in rows {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(text)]);
    }
}
