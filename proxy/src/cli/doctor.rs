//! `albeit doctor`.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use time::{Date, OffsetDateTime};

use super::{complain, exit::Exit, logging::ColorArg, probe::ProbeArgs};
use crate::{
    doctor::{
        examination::Examination,
        finding::Severity,
        ignore::{self, Ignored},
        report, sources,
        system::System,
    },
    error_chain::chain,
};

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// What describes the system: any number of configurations of Albeit and albeit-backend, Spring's
    /// application.yml or .properties, compose files, ECS task definitions, Terraform (`show -json` or .tf), and
    /// JSON of `aws elbv2 describe-*`. What a file is shows by its content.
    #[arg(value_name = "FILE", required_unless_present = "probe")]
    files: Vec<PathBuf>,
    /// How findings are written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write them to this file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Which findings make the exit status other than 0.
    #[arg(long, value_enum, default_value_t = Deny::Errors)]
    deny: Deny,
    /// Findings to live with, as a YAML list of code, reason, and optionally subject and until.
    #[arg(long, value_name = "FILE")]
    ignore_file: Vec<PathBuf>,
    /// A finding to live with.
    #[arg(long, value_name = "CODE=REASON", value_parser = Ignored::parse)]
    ignore: Vec<Ignored>,
    #[command(flatten)]
    color: ColorArg,
    #[command(flatten)]
    probe: ProbeArgs,
}

/// How findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people; coloured on a terminal.
    Text,
    /// For programs.
    Json,
    /// For code hosts: SARIF 2.1.0.
    Sarif,
}

/// Which findings are not put up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// None.
    Nothing,
    /// Errors.
    Errors,
    /// Warnings and errors.
    Warnings,
    /// All.
    Infos,
}

impl Deny {
    const fn denies(self, severity: Severity) -> bool {
        match (self, severity) {
            (Self::Nothing, _) => false,
            (Self::Errors, _) => matches!(severity, Severity::Error),
            (Self::Warnings, _) => !matches!(severity, Severity::Info),
            (Self::Infos, _) => true,
        }
    }
}

/// Reads what there is, looks at it, and tells.
pub(super) fn doctor(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    args.color.apply();
    let (mut system, ignore) = match read(args) {
        Ok(read) => read,
        Err(complaints) => {
            complaints.iter().flat_map(|text| text.lines()).for_each(|line| complain(&report::visible(line)));
            return Ok(Exit::Wrong.into());
        }
    };
    if let Err(unknown) = args.probe.take_in(&mut system)? {
        complain(&unknown.to_string());
        return Ok(Exit::Wrong.into());
    }
    let examination = Examination::of(&system, &ignore, today());
    write(args, &examination)?;
    Ok(status(args.deny, &examination))
}

fn today() -> Date {
    OffsetDateTime::now_utc().date()
}

/// Everything that the arguments name; else all that is wrong with it.
fn read(args: &DoctorArgs) -> Result<(System, Vec<Ignored>), Vec<String>> {
    let mut complaints = Vec::new();
    let files = args.files.iter().map(PathBuf::as_path);
    let system = sources::read_all(files, &|name| std::env::var(name).ok()).unwrap_or_else(|errors| {
        complaints.extend(errors.iter().map(|error| chain(error)));
        System::default()
    });
    let mut ignored = args.ignore.clone();
    for path in &args.ignore_file {
        let file = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => match ignore::read(&file.into(), &text) {
                Ok(entries) => ignored.extend(entries),
                Err(error) => complaints.push(error.to_string()),
            },
            Err(error) => complaints.push(format!("{file}: cannot be read: {error}")),
        }
    }
    if complaints.is_empty() { Ok((system, ignored)) } else { Err(complaints) }
}

fn write(args: &DoctorArgs, examination: &Examination) -> anyhow::Result<()> {
    use std::io::Write as _;
    let written = match args.format {
        Format::Text => report::text(examination),
        Format::Json => format!("{:#}\n", report::json(examination)),
        Format::Sarif => format!("{:#}\n", report::sarif(examination)),
    };
    match &args.output {
        Some(path) => fs::write(path, anstream::adapter::strip_str(&written).to_string())
            .with_context(|| format!("cannot write {}", path.display())),
        // A closed output is nothing to fail over.
        None => {
            drop(anstream::stdout().lock().write_all(written.as_bytes()));
            Ok(())
        }
    }
}

fn status(deny: Deny, examination: &Examination) -> ExitCode {
    match examination.worst().filter(|worst| deny.denies(*worst)) {
        None => Exit::Done.into(),
        Some(Severity::Error) => Exit::Error.into(),
        Some(Severity::Warning | Severity::Info) => Exit::Warning.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_severity_is_denied_from_its_level_on() {
        let denied = |deny: Deny| {
            [Severity::Info, Severity::Warning, Severity::Error].map(|severity| deny.denies(severity))
        };
        assert_eq!(denied(Deny::Nothing), [false, false, false]);
        assert_eq!(denied(Deny::Errors), [false, false, true]);
        assert_eq!(denied(Deny::Warnings), [false, true, true]);
        assert_eq!(denied(Deny::Infos), [true, true, true]);
    }
}
