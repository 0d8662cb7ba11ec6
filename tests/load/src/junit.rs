//! Results as JUnit XML: each run a suite, each expectation a case.

use std::fmt::{self, Display};

use crate::{
    html::Escaped,
    outcome::{Expectation, Outcome},
    results::{Results, Unmeasured},
};

/// The file of some results.
#[derive(Debug)]
pub(crate) struct Junit<'a>(pub(crate) &'a Results);

impl Display for Junit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"albeit-load\">")?;
        for outcome in &self.0.outcomes {
            suite(f, outcome)?;
        }
        for Unmeasured { scenario, title, error } in &self.0.unmeasured {
            let (scenario, title, error) = (Escaped(scenario), Escaped(title), Escaped(error));
            writeln!(
                f,
                "  <testsuite name=\"{title}\" tests=\"1\" failures=\"0\" errors=\"1\">\n    \
                 <testcase classname=\"{scenario}\" name=\"it could be measured\"><error message=\"{error}\"/></testcase>\n  \
                 </testsuite>"
            )?;
        }
        writeln!(f, "</testsuites>")
    }
}

fn suite(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let Outcome { title, scenario, url, started, seconds, expectations, .. } = outcome;
    let failures = expectations.iter().filter(|expectation| !expectation.passed).count();
    // JUnit's moments have neither parts of a second nor a zone.
    let moment = started.get(..19).unwrap_or(started);
    writeln!(
        f,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" time=\"{seconds:.3}\" \
         timestamp=\"{}\">\n    <properties><property name=\"url\" value=\"{}\"/></properties>",
        Escaped(title),
        expectations.len().max(1),
        Escaped(moment),
        Escaped(url)
    )?;
    let scenario = Escaped(scenario);
    if expectations.is_empty() {
        writeln!(
            f,
            "    <testcase classname=\"{scenario}\" name=\"it could be measured\" time=\"{seconds:.3}\"/>"
        )?;
    }
    for Expectation { name, expected, measured, passed } in expectations {
        let (name, expected, measured) = (Escaped(name), Escaped(expected), Escaped(measured));
        write!(f, "    <testcase classname=\"{scenario}\" name=\"{name}\"")?;
        if *passed {
            writeln!(f, "/>")?;
        } else {
            writeln!(f, "><failure message=\"{measured}, expected {expected}\"/></testcase>")?;
        }
    }
    writeln!(f, "  </testsuite>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn each_expectation_is_a_case() {
        let mut outcome = sample::full();
        outcome.expect("limit p99<=5", "<= 5", "8.75 ms & more", false);
        let mut results = Results { outcomes: vec![outcome, sample::empty()], ..Results::new() };
        results.unmeasured.push(Unmeasured {
            scenario: "hold".to_owned(),
            title: "many".to_owned(),
            error: "connection refused".to_owned(),
        });
        insta::assert_snapshot!(Junit(&results), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="albeit-load">
          <testsuite name="a bit of each" tests="3" failures="2" errors="0" time="61.500" timestamp="2026-01-02T03:04:05">
            <properties><property name="url" value="ws://127.0.0.1:8080/ws"/></properties>
            <testcase classname="idle-cut" name="cut by the idle timeout"/>
            <testcase classname="idle-cut" name="close code"><failure message="1006, expected 1001"/></testcase>
            <testcase classname="idle-cut" name="limit p99&lt;=5"><failure message="8.75 ms &amp; more, expected &lt;= 5"/></testcase>
          </testsuite>
          <testsuite name="idle-cut" tests="1" failures="0" errors="0" time="61.500" timestamp="2026-01-02T03:04:05">
            <properties><property name="url" value="ws://127.0.0.1:8080/ws"/></properties>
            <testcase classname="idle-cut" name="it could be measured" time="61.500"/>
          </testsuite>
          <testsuite name="many" tests="1" failures="0" errors="1">
            <testcase classname="hold" name="it could be measured"><error message="connection refused"/></testcase>
          </testsuite>
        </testsuites>
        "#);
    }
}
