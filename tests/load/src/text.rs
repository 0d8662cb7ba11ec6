//! Results for people, on a terminal or in a log.

use std::fmt::{self, Display};

use anstyle::{AnsiColor, Style};

use crate::{
    outcome::{Expectation, Histogram, Outcome, Unit},
    quantity,
    results::{Results, Unmeasured},
};

/// What a part is called.
pub(crate) const TITLE: Style = Style::new().bold();
/// What is as it should be.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What is not.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What matters less.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// Characters of the longest bar of a table of percentiles.
const BAR: f64 = 40.0;

/// Text in a style. Whoever prints it drops the style where no terminal reads.
pub(crate) struct Styled<T>(pub(crate) Style, pub(crate) T);

impl<T: Display> Display for Styled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(style, text) = self;
        write!(f, "{style}{text}{style:#}")
    }
}

/// All results: each run, and a line of how many held if there are several.
#[derive(Debug)]
pub(crate) struct Text<'a>(pub(crate) &'a Results);

/// One run that measured something.
#[derive(Debug)]
pub(crate) struct OutcomeText<'a>(pub(crate) &'a Outcome);

/// One run that did not.
#[derive(Debug)]
pub(crate) struct UnmeasuredText<'a>(pub(crate) &'a Unmeasured);

/// How many runs held, if there are several.
#[derive(Debug)]
pub(crate) struct Total<'a>(pub(crate) &'a Results);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for outcome in &self.0.outcomes {
            write!(f, "{}", OutcomeText(outcome))?;
        }
        for unmeasured in &self.0.unmeasured {
            write!(f, "{}", UnmeasuredText(unmeasured))?;
        }
        write!(f, "{}", Total(self.0))
    }
}

impl Display for OutcomeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_outcome(f, self.0)?;
        writeln!(f)
    }
}

impl Display for UnmeasuredText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unmeasured { title, error, .. } = self.0;
        let (title, error) = (printable(title), printable(error));
        writeln!(f, "{}: {} {error}\n", Styled(TITLE, title), Styled(BAD, "not measured:"))
    }
}

impl Display for Total<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let results = self.0;
        let runs = results.outcomes.len() + results.unmeasured.len();
        if runs < 2 {
            return Ok(());
        }
        let held = results.outcomes.iter().filter(|outcome| outcome.passed()).count();
        let style = if results.passed() { GOOD } else { BAD };
        writeln!(f, "{}", Styled(style, format!("{held} of {runs} runs held")))
    }
}

fn write_outcome(to: &mut impl fmt::Write, outcome: &Outcome) -> fmt::Result {
    let Outcome { title, url, protocol, seconds, method, .. } = outcome;
    let seconds = quantity::display(*seconds, Unit::Seconds);
    let protocol = printable(protocol);
    writeln!(to, "{}\n  {} ({protocol}, {seconds})", Styled(TITLE, printable(title)), printable(url))?;
    writeln!(to, "  {}", Styled(FAINT, printable(method)))?;
    if !outcome.expectations.is_empty() {
        writeln!(to)?;
        let width = width(outcome.expectations.iter().map(|expectation| expectation.name.as_str()));
        for expectation in &outcome.expectations {
            write_expectation(to, expectation, width)?;
        }
    }
    if !outcome.figures.is_empty() {
        writeln!(to)?;
        let width = width(outcome.figures.keys().map(String::as_str));
        for (name, figure) in &outcome.figures {
            let value = quantity::display(figure.value, figure.unit);
            writeln!(to, "  {:width$}  {value:>10}", printable(name))?;
        }
    }
    for histogram in &outcome.histograms {
        writeln!(to)?;
        write_percentiles(to, histogram)?;
    }
    write_counts(to, outcome)
}

fn write_expectation(to: &mut impl fmt::Write, expectation: &Expectation, width: usize) -> fmt::Result {
    let Expectation { name, expected, measured, passed } = expectation;
    let (style, word) = if *passed { (GOOD, "ok    ") } else { (BAD, "FAILED") };
    let (name, expected, measured) = (printable(name), printable(expected), printable(measured));
    writeln!(to, "  {} {name:width$}  {measured} (expected {expected})", Styled(style, word))
}

fn write_percentiles(to: &mut impl fmt::Write, histogram: &Histogram) -> fmt::Result {
    let Histogram { name, count, mean, percentiles, .. } = histogram;
    let mean = quantity::display(*mean, Unit::Milliseconds);
    writeln!(to, "  {} ({} times, mean {mean})", printable(name), quantity::number(as_f64(*count)))?;
    let longest = percentiles.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    for (percentile, value) in percentiles {
        let length = if longest > 0.0 { (value / longest * BAR).round() } else { 0.0 };
        let bar: String =
            std::iter::repeat_n('#', (0..40).filter(|step| f64::from(*step) < length).count()).collect();
        let value = quantity::display(*value, Unit::Milliseconds);
        writeln!(to, "    {:>7}  {value:>10}  {}", format!("{percentile} %"), Styled(FAINT, bar))?;
    }
    Ok(())
}

fn write_counts(to: &mut impl fmt::Write, outcome: &Outcome) -> fmt::Result {
    let mut closes = std::collections::BTreeMap::<String, u64>::new();
    for close in &outcome.closes {
        let code = close.code.map_or_else(String::new, |code| format!(" {code}"));
        *closes.entry(format!("{}{code}", close.how)).or_default() += 1;
    }
    let mut first = true;
    for (name, counts) in [("closed", &closes), ("targets", &outcome.targets), ("errors", &outcome.errors)] {
        if counts.is_empty() {
            continue;
        }
        let each: Vec<String> = counts
            .iter()
            .map(|(what, count)| format!("{} × {}", quantity::number(as_f64(*count)), printable(what)))
            .collect();
        let gap = if std::mem::take(&mut first) { "\n" } else { "" };
        writeln!(to, "{gap}  {name}: {}", each.join(", "))?;
    }
    Ok(())
}

/// Without what would steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The length of the longest name.
pub(crate) fn width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(|name| name.chars().count()).max().unwrap_or(0)
}

/// A count as a number to calculate with; beyond 2⁵³ digits are lost, and no run counts so far.
#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
pub(crate) const fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[track_caller]
    fn plain(results: &Results) -> String {
        anstream::adapter::strip_str(&Text(results).to_string()).to_string()
    }

    #[test]
    fn an_outcome_reads_from_verdict_to_details() {
        let results = Results { outcomes: vec![sample::full()], ..Results::new() };
        insta::assert_snapshot!(plain(&results), @r"
        a bit of each
          ws://127.0.0.1:8080/ws (plain, 61.5 s)
          connections idle until they are cut

          ok     cut by the idle timeout  60.02 s (expected 60 s ± 1 s)
          FAILED close code               1006 (expected 1001)

          answers                 90 000
          answers_per_second      1480/s
          memory                   83 MB
          p50                     1.2 ms
          p99                    8.75 ms

          answer (6006 times, mean 1.9 ms)
               50 %      1.6 ms  #
               90 %      4.4 ms  ####
               99 %     12.1 ms  ##########
             99.9 %     33.3 ms  #############################
              100 %     46.7 ms  ########################################

          closed: 2 × FIN, 1 × RST, 2 × close frame 1001
          targets: 44 900 × 127.0.0.1:9001, 45 100 × 127.0.0.1:9002
          errors: 3 × connection refused
        ");
    }

    #[test]
    fn several_runs_end_with_how_many_held() {
        let mut results = Results { outcomes: vec![sample::empty(), sample::full()], ..Results::new() };
        assert!(plain(&results).ends_with("1 of 2 runs held\n"));
        results.unmeasured.push(Unmeasured {
            scenario: "hold".to_owned(),
            title: "many".to_owned(),
            error: "connection refused".to_owned(),
        });
        let text = plain(&results);
        assert!(text.contains("many: not measured: connection refused"), "{text}");
        assert!(text.ends_with("1 of 3 runs held\n"), "{text}");
    }

    #[test]
    fn what_a_service_says_does_not_steer_the_terminal() {
        let mut outcome = sample::empty();
        outcome.error("\u{1b}[2Jgone\r\n");
        outcome.expect("\u{1b}]0;title\u{7}", "a\nb", "c\td", true);
        let text = Text(&Results { outcomes: vec![outcome], ..Results::new() }).to_string();
        assert!(
            !text.contains("\u{1b}[2J") && !text.contains("\u{1b}]") && !text.contains('\u{7}'),
            "{text:?}"
        );
    }
}
