//! The part of one run.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

use super::{badge, closes, distribution, escape::Escaped, glossary, over_time, percentiles, targets};
use crate::{
    outcome::{Better, Expectation, Figure, Outcome, Unit},
    quantity,
    text::as_f64,
};

/// Writes it; `titled` when the page has several.
pub(crate) fn write(to: &mut dyn Write, number: usize, outcome: &Outcome, titled: bool) -> fmt::Result {
    let first = if number == 0 { " class=\"first\"" } else { "" };
    write!(to, "<section id=\"run-{}\"{first}>", number + 1)?;
    if titled {
        write!(to, "<h2>{}</h2>", Escaped(&outcome.title))?;
    }
    let (class, word) = word(outcome);
    writeln!(to, "<p>{}</p>", badge(class, &word))?;
    facts(to, outcome)?;
    expectations(to, &outcome.expectations)?;
    figures(to, &outcome.figures)?;
    plots(to, outcome)?;
    errors(to, &outcome.errors)?;
    settings(to, outcome)?;
    to.write_str("</section>\n")
}

/// The class and the words of a verdict.
pub(crate) fn word(outcome: &Outcome) -> (&'static str, String) {
    let all = outcome.expectations.len();
    let failed = outcome.expectations.iter().filter(|expectation| !expectation.passed).count();
    match (failed, all) {
        (0, 0) => ("good", "measured, nothing expected".to_owned()),
        (0, 1) => ("good", "the expectation held".to_owned()),
        (0, _) => ("good", format!("all {all} expectations held")),
        (1, 1) => ("bad", "the expectation failed".to_owned()),
        _ => ("bad", format!("{failed} of {all} expectations failed")),
    }
}

fn facts(to: &mut dyn Write, outcome: &Outcome) -> fmt::Result {
    let Outcome { scenario, url, protocol, started, seconds, .. } = outcome;
    let started = started.replace('T', " ").replace('Z', " UTC");
    let facts = [
        ("Scenario", scenario.clone()),
        ("Measured", url.clone()),
        ("Protocol", protocol.clone()),
        ("Started", without_fraction(&started)),
        ("Took", quantity::display(*seconds, Unit::Seconds)),
    ];
    to.write_str("<dl class=\"facts\">")?;
    for (name, value) in facts {
        write!(to, "<dt>{name}</dt><dd>{}</dd>", Escaped(value))?;
    }
    to.write_str("</dl>\n")
}

/// A moment without parts of a second.
pub(crate) fn without_fraction(moment: &str) -> String {
    match moment.split_once('.') {
        Some((whole, rest)) => whole.to_owned() + rest.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => moment.to_owned(),
    }
}

fn expectations(to: &mut dyn Write, expectations: &[Expectation]) -> fmt::Result {
    if expectations.is_empty() {
        return Ok(());
    }
    to.write_str(
        "<h3>Expectations</h3><table class=\"wide\"><thead><tr><th>Verdict</th><th>What</th><th>Expected</th>\
         <th>Measured</th></tr></thead><tbody>\n",
    )?;
    for Expectation { name, expected, measured, passed } in expectations {
        let (class, word) = if *passed { ("good", "✓ held") } else { ("bad", "✗ failed") };
        writeln!(
            to,
            "<tr><td class=\"{class}\">{word}</td><td>{}</td><td data-name=\"Expected\">{}</td>\
             <td data-name=\"Measured\">{}</td></tr>",
            Escaped(name),
            Escaped(expected),
            Escaped(measured)
        )?;
    }
    to.write_str("</tbody></table>\n")
}

fn figures(to: &mut dyn Write, figures: &BTreeMap<String, Figure>) -> fmt::Result {
    if figures.is_empty() {
        return Ok(());
    }
    to.write_str(
        "<h3>Figures</h3><table class=\"figures\"><thead><tr><th>Figure</th><th class=\"value\">Value</th>\
         <th>What it says</th></tr></thead><tbody>\n",
    )?;
    for (name, Figure { value, unit, better }) in figures {
        let better = match better {
            Better::Lower => "less is better",
            Better::Higher => "more is better",
            Better::Neither => "",
        };
        let meaning = glossary::meaning(name).unwrap_or("");
        let between = if meaning.is_empty() || better.is_empty() { "" } else { "; " };
        writeln!(
            to,
            "<tr><td><code>{}</code></td><td class=\"value\">{}</td><td class=\"faint\">{meaning}{between}{better}</td></tr>",
            Escaped(name),
            quantity::display(*value, *unit)
        )?;
    }
    to.write_str("</tbody></table>\n")
}

fn plots(to: &mut dyn Write, outcome: &Outcome) -> fmt::Result {
    let mut plots = String::new();
    for histogram in &outcome.histograms {
        distribution::draw(&mut plots, histogram)?;
        let title = format!("{}: percentiles", histogram.name);
        percentiles::draw(&mut plots, &title, &[("c0", &histogram.name, histogram)])?;
    }
    closes::draw(&mut plots, &outcome.closes)?;
    over_time::draw(&mut plots, &outcome.series)?;
    targets::draw(&mut plots, &outcome.targets)?;
    if plots.is_empty() {
        return Ok(());
    }
    write!(to, "<div class=\"plots\">\n{plots}</div>\n")
}

fn errors(to: &mut dyn Write, errors: &BTreeMap<String, u64>) -> fmt::Result {
    if errors.is_empty() {
        return Ok(());
    }
    to.write_str("<h3>Errors</h3><table><thead><tr><th>What</th><th class=\"value\">How often</th></tr></thead><tbody>\n")?;
    for (kind, count) in errors {
        let count = quantity::number(as_f64(*count));
        writeln!(to, "<tr><td>{}</td><td class=\"value\">{count}</td></tr>", Escaped(kind))?;
    }
    to.write_str("</tbody></table>\n")
}

fn settings(to: &mut dyn Write, outcome: &Outcome) -> fmt::Result {
    write!(to, "<h3>How it was measured</h3><p>{}</p>", Escaped(&outcome.method))?;
    to.write_str("<dl class=\"facts\">")?;
    for (name, value) in &outcome.settings {
        write!(to, "<dt><code>{}</code></dt><dd>{}</dd>", Escaped(name), Escaped(value))?;
    }
    to.write_str("</dl>\n")
}
