//! Findings as text for people. Styles are always written: whoever prints them
//! takes them away where there is no terminal.

use std::fmt;

use anstyle::{AnsiColor, Style};

use super::Examination;
use crate::doctor::{
    examination::plural,
    finding::{Finding, Severity},
    rules,
    setting::{Evidence, Place},
};

const STRONG: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// The whole examination.
#[must_use]
pub fn text(examination: &Examination) -> String {
    let mut text = super::measured::text(&examination.measured);
    for finding in &examination.findings {
        text.push_str(&one(finding));
        text.push('\n');
    }
    for note in &examination.notes {
        line(&mut text, format_args!("{DIM}note: {}{DIM:#}", visible(note)));
    }
    for (finding, reason) in &examination.ignored {
        let (code, subject) = (finding.code, visible(&finding.subject));
        line(&mut text, format_args!("{DIM}ignored: {code} ({subject}): {}{DIM:#}", visible(reason)));
    }
    line(&mut text, format_args!("{}: {}", examination.scope, summary(examination)));
    text
}

fn summary(examination: &Examination) -> String {
    let counted = [Severity::Error, Severity::Warning]
        .map(|severity| (examination.count(severity), plural(examination.count(severity), severity.name())));
    let mut parts: Vec<String> =
        counted.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
    if examination.count(Severity::Info) > 0 {
        parts.push(format!("{} for information", examination.count(Severity::Info)));
    }
    if !examination.ignored.is_empty() {
        parts.push(format!("{} ignored", examination.ignored.len()));
    }
    if parts.is_empty() { "nothing found".to_owned() } else { parts.join(", ") }
}

fn one(finding: &Finding) -> String {
    let mut text = String::new();
    let style = colour(finding.severity);
    let title = rules::of(finding.code).map_or("", |rule| rule.title);
    line(
        &mut text,
        format_args!(
            "{style}{}[{}]{style:#}{STRONG}: {title}{STRONG:#}",
            finding.severity.name(),
            finding.code
        ),
    );
    line(&mut text, format_args!("  {}: {}", visible(&finding.subject), visible(&finding.problem)));
    for evidence in &finding.evidence {
        let Evidence { key, written, place } = evidence;
        let (key, written) = (visible(key), visible(written));
        let (before, after) = match place {
            Place::Default { of } => ("not set: ".to_owned(), format!(" (default of {})", visible(of))),
            place => (format!("{}  ", visible(&place.to_string())), String::new()),
        };
        line(
            &mut text,
            format_args!("    {DIM}-->{DIM:#} {before}{STRONG}{key} = {written}{STRONG:#}{after}"),
        );
    }
    line(&mut text, format_args!("  you see: {}", visible(&finding.symptom)));
    line(&mut text, format_args!("  fix:     {}", visible(&finding.fix)));
    line(&mut text, format_args!("  more:    {DIM}{}{DIM:#}", finding.page()));
    text
}

const fn colour(severity: Severity) -> Style {
    let colour = match severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
        Severity::Info => AnsiColor::Cyan,
    };
    Style::new().bold().fg_color(Some(anstyle::Color::Ansi(colour)))
}

pub(super) fn line(text: &mut String, arguments: fmt::Arguments<'_>) {
    text.push_str(&arguments.to_string());
    text.push('\n');
}

/// Text of a file without control characters, which could lead a terminal, and without those that turn the
/// direction of writing, which could show something else.
#[must_use]
pub fn visible(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .flat_map(|c| {
            let is_escaped = c.is_control() || turns(c);
            let escaped = is_escaped.then(|| c.escape_default());
            let plain = (!is_escaped).then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}
