//! A comparison as one page of HTML: figures side by side, curves in one plot.

use std::fmt::{self, Display, Formatter, Write};

use super::{
    judge::{Change, Comparison, FigureComparison, RunComparison},
    table::{moved, shown},
};
use crate::{
    html::{self, Escaped, percentiles},
    outcome::Outcome,
    quantity,
    results::Results,
};

/// The page.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    /// What was judged.
    pub(crate) comparison: &'a Comparison,
    /// The results that are the measure.
    pub(crate) before: &'a Results,
    /// The results that were held to it.
    pub(crate) after: &'a Results,
}

impl Display for Page<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Comparison { tolerance, runs, only_before, only_after, unmeasured } = self.comparison;
        html::head(f, "Load report: comparison")?;
        let verdict = if self.comparison.is_worse() {
            html::badge("bad", "worse than before")
        } else {
            html::badge("good", "no worse than before")
        };
        let tolerance = quantity::number(tolerance * 100.0);
        write!(
            f,
            "<header><h1>Before and after</h1><p>{verdict} <span class=\"faint\">tolerance {tolerance} %</span></p></header>\n<main>"
        )?;
        for title in only_before {
            writeln!(f, "<p>Only in the first file, not compared: {}</p>", Escaped(title))?;
        }
        for title in only_after {
            writeln!(f, "<p>Only in the second file, not compared: {}</p>", Escaped(title))?;
        }
        for run in unmeasured {
            writeln!(f, "<p><b>{}</b> was not measured: {}</p>", Escaped(&run.title), Escaped(&run.error))?;
        }
        for run in runs {
            if let (Some(before), Some(after)) =
                (self.before.outcomes.get(run.before), self.after.outcomes.get(run.after))
            {
                section(f, run, before, after)?;
            }
        }
        f.write_str("</main>\n")?;
        html::foot(f)
    }
}

fn section(to: &mut dyn Write, run: &RunComparison, before: &Outcome, after: &Outcome) -> fmt::Result {
    let (class, word) = match run {
        _ if run.is_worse() => ("bad", "worse"),
        _ if run.differs() => ("warn", "other settings: not judged"),
        _ => ("good", "no worse"),
    };
    write!(to, "<section><h2>{}</h2><p>{}</p>", Escaped(&run.title), html::badge(class, word))?;
    to.write_str("<dl class=\"facts\">")?;
    for (name, outcome) in [("Before", before), ("After", after)] {
        let started = outcome.started.replace('T', " ").replace('Z', " UTC");
        write!(
            to,
            "<dt>{name}</dt><dd>{}, {}</dd>",
            Escaped(&outcome.url),
            Escaped(html::run::without_fraction(&started))
        )?;
    }
    for difference in &run.settings {
        write!(to, "<dt>Setting</dt><dd>{}</dd>", Escaped(shown(difference)))?;
    }
    to.write_str("</dl>")?;
    for (class, word, texts) in [("bad", "Broken", &run.broken), ("good", "Mended", &run.mended)] {
        for text in texts {
            write!(to, "<p>{} {}</p>", html::badge(class, word), Escaped(text))?;
        }
    }
    figures(to, &run.figures)?;
    let mut plots = String::new();
    for now in &after.histograms {
        if let Some(then) = before.histograms.iter().find(|histogram| histogram.name == now.name) {
            let curves = [("c0", "before", then), ("c1", "after", now)];
            percentiles::draw(&mut plots, &format!("{}: percentiles", now.name), &curves)?;
        }
    }
    if !plots.is_empty() {
        write!(to, "<div class=\"plots\">{plots}</div>")?;
    }
    to.write_str("</section>\n")
}

fn figures(to: &mut dyn Write, figures: &[FigureComparison]) -> fmt::Result {
    if figures.is_empty() {
        return Ok(());
    }
    to.write_str(
        "<h3>Figures</h3><table class=\"wide\"><thead><tr><th>Figure</th><th>Verdict</th><th class=\"value\">Before</th>\
         <th class=\"value\">After</th><th class=\"value\">Change</th></tr></thead><tbody>\n",
    )?;
    for FigureComparison { name, before, after, unit, change } in figures {
        let (class, word) = match change {
            Change::Worse => ("bad", "✗ worse"),
            Change::Better => ("good", "✓ better"),
            Change::Same => ("faint", "same"),
            Change::NotJudged => ("faint", "not judged"),
        };
        writeln!(
            to,
            "<tr><td><code>{}</code></td><td class=\"{class}\">{word}</td><td class=\"value\" data-name=\"Before\">{}</td>\
             <td class=\"value\" data-name=\"After\">{}</td><td class=\"value\" data-name=\"Change\">{}</td></tr>",
            Escaped(name),
            quantity::display(*before, *unit),
            quantity::display(*after, *unit),
            moved(*before, *after)
        )?;
    }
    to.write_str("</tbody></table>\n")
}
