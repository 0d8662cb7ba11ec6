//! The report: one file of HTML with everything in it, drawings as SVG, no
//! script and no request to anywhere, so that it can be mailed, kept as a build
//! artifact and printed.

mod axis;
mod canvas;
mod closes;
mod distribution;
mod escape;
mod glossary;
mod over_time;
pub(crate) mod percentiles;
pub(crate) mod run;
mod targets;

use std::fmt::{self, Display, Formatter, Write};

use crate::{
    outcome::{Outcome, Unit},
    quantity,
    results::{Results, Unmeasured},
};
pub(crate) use escape::Escaped;

const STYLE: &str = include_str!("style.css");

/// The page of some results.
#[derive(Debug)]
pub(crate) struct Page<'a>(pub(crate) &'a Results);

impl Display for Page<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let results = self.0;
        let title = match (results.outcomes.as_slice(), results.unmeasured.as_slice()) {
            ([only], []) => only.title.clone(),
            (outcomes, unmeasured) => format!("{} runs", outcomes.len() + unmeasured.len()),
        };
        head(f, &format!("Load report: {title}"))?;
        write!(f, "<header><h1>{}</h1><p>{}</p></header>\n<main>", Escaped(&title), verdict(results))?;
        if results.outcomes.len() + results.unmeasured.len() > 1 {
            index(f, results)?;
        }
        for (number, outcome) in results.outcomes.iter().enumerate() {
            run::write(f, number, outcome, results.outcomes.len() > 1)?;
        }
        f.write_str("</main>\n")?;
        foot(f)
    }
}

/// The head of a page.
pub(crate) fn head(to: &mut dyn Write, title: &str) -> fmt::Result {
    write!(
        to,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        Escaped(title)
    )
}

/// The end of a page.
pub(crate) fn foot(to: &mut dyn Write) -> fmt::Result {
    let version = env!("CARGO_PKG_VERSION");
    write!(to, "<footer><p class=\"faint\">albeit-load {version}</p></footer>\n</body>\n</html>\n")
}

/// How all of it ended, at a glance.
fn verdict(results: &Results) -> String {
    let failed = results.outcomes.iter().filter(|outcome| !outcome.passed()).count();
    let runs = results.outcomes.len() + results.unmeasured.len();
    match (failed, results.unmeasured.len()) {
        (0, 0) if runs == 1 => badge("good", "held"),
        (0, 0) => badge("good", &format!("all {runs} held")),
        (0, not) => badge("bad", &format!("{not} of {runs} not measured")),
        (_, 0) if runs == 1 => badge("bad", "failed"),
        (_, 0) => badge("bad", &format!("{failed} of {runs} failed")),
        (_, not) => badge("bad", &format!("{failed} of {runs} failed, {not} not measured")),
    }
}

/// A word in a frame.
pub(crate) fn badge(class: &str, text: &str) -> String {
    format!("<span class=\"verdict {class}\">{}</span>", Escaped(text))
}

/// A table of all runs, each with a link to its part.
fn index(to: &mut dyn Write, results: &Results) -> fmt::Result {
    to.write_str(
        "<nav aria-label=\"Runs\"><table class=\"wide\"><thead><tr><th>Run</th><th>Scenario</th><th>Verdict</th>\
         <th class=\"value\">Took</th></tr></thead><tbody>\n",
    )?;
    for (number, outcome) in results.outcomes.iter().enumerate() {
        let Outcome { title, scenario, seconds, .. } = outcome;
        let (class, word) = run::word(outcome);
        writeln!(
            to,
            "<tr><td><a href=\"#run-{}\">{}</a></td><td data-name=\"Scenario\"><code>{}</code></td>\
             <td class=\"{class}\">{}</td><td class=\"value\" data-name=\"Took\">{}</td></tr>",
            number + 1,
            Escaped(title),
            Escaped(scenario),
            Escaped(word),
            quantity::display(*seconds, Unit::Seconds)
        )?;
    }
    for Unmeasured { scenario, title, error } in &results.unmeasured {
        writeln!(
            to,
            "<tr><td>{}</td><td data-name=\"Scenario\"><code>{}</code></td><td class=\"bad\">not measured</td>\
             <td>{}</td></tr>",
            Escaped(title),
            Escaped(scenario),
            Escaped(error)
        )?;
    }
    to.write_str("</tbody></table></nav>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{outcome::Better, sample};

    #[test]
    fn a_report_asks_nobody_for_anything() {
        let page = Page(&Results { outcomes: vec![sample::full()], ..Results::new() }).to_string();
        for outside in ["<script", "<link", "<img", "@import", "url(", "http://", "https://"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn each_part_of_an_outcome_is_in_its_report() {
        let page = Page(&Results { outcomes: vec![sample::full()], ..Results::new() }).to_string();
        for part in [
            "a bit of each",
            "ws://127.0.0.1:8080/ws",
            "1 of 2 expectations failed",
            "close code",
            "answer: how often which time",
            "so many waited at most so long",
            "How old connections were when they ended",
            "answers over time",
            "127.0.0.1:9002",
            "connection refused",
            "connections idle until they are cut",
        ] {
            assert!(page.contains(part), "{part}");
        }
    }

    #[test]
    fn several_runs_have_an_index() {
        let mut results = Results { outcomes: vec![sample::empty(), sample::full()], ..Results::new() };
        results.unmeasured.push(Unmeasured {
            scenario: "hold".to_owned(),
            title: "many".to_owned(),
            error: "connection refused".to_owned(),
        });
        let page = Page(&results).to_string();
        for part in ["href=\"#run-2\"", "id=\"run-2\"", "1 of 3 failed, 1 not measured"] {
            assert!(page.contains(part), "{part}");
        }
    }

    #[test]
    fn hostile_text_stays_text() {
        const HOSTILE: &str = "</title></svg><script>alert(1)</script>\" onload='x'";
        let name = || HOSTILE.to_owned();
        let mut outcome = sample::full();
        outcome.title = name();
        outcome.scenario = name();
        outcome.url = name();
        outcome.protocol = name();
        outcome.started = name();
        outcome.method = name();
        outcome.settings.insert(name(), name());
        outcome.expect(HOSTILE, HOSTILE, HOSTILE, false);
        outcome.figure(HOSTILE, 1.0, Unit::Count, Better::Lower);
        outcome.histograms.iter_mut().for_each(|histogram| histogram.name = name());
        outcome.series.iter_mut().for_each(|series| {
            series.name = name();
            series.plot = name();
        });
        outcome.targets.insert(name(), 7);
        outcome.closes.iter_mut().for_each(|close| close.how = name());
        outcome.error(HOSTILE);
        let mut results = Results { outcomes: vec![outcome, sample::empty()], ..Results::new() };
        results.unmeasured.push(Unmeasured { scenario: name(), title: name(), error: name() });
        let page = Page(&results).to_string();
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("\" onload"), "{page}");
        assert_eq!(page.matches("</title>").count(), 1 + page.matches("<title>").count() - 1);
    }
}
