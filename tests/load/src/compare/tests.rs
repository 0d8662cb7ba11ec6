use super::{
    judge::{Change, Comparison, change},
    page::Page,
    table::Table,
};
use crate::{
    outcome::{Better, Outcome, Unit},
    results::{Results, Unmeasured},
    sample,
};

#[track_caller]
fn check((before, after): (f64, f64), unit: Unit, better: Better, expected: Change) {
    assert_eq!(change(before, after, unit, better, 0.1), expected, "{before} → {after}");
}

fn results(outcomes: Vec<Outcome>) -> Results {
    Results { outcomes, ..Results::new() }
}

/// The full sample, slower and broken.
fn slower() -> Outcome {
    let mut outcome = sample::full();
    outcome.figure("p99", 12.0, Unit::Milliseconds, Better::Lower);
    outcome.figure("answers_per_second", 1700.0, Unit::PerSecond, Better::Higher);
    outcome.figure("answers", 1.0, Unit::Count, Better::Neither);
    outcome.expectations.iter_mut().for_each(|expectation| expectation.passed ^= true);
    outcome.histograms = vec![sample::histogram("answer", 1.4)];
    outcome
}

fn text(before: &Results, after: &Results) -> String {
    anstream::adapter::strip_str(&Table(&Comparison::new(before, after, 0.1)).to_string()).to_string()
}

#[test]
fn a_regression_is_beyond_tolerance_and_noise() {
    use Better::{Higher, Lower, Neither};
    check((100.0, 109.0), Unit::Milliseconds, Lower, Change::Same);
    check((100.0, 111.0), Unit::Milliseconds, Lower, Change::Worse);
    check((100.0, 89.0), Unit::Milliseconds, Lower, Change::Better);
    check((0.3, 0.4), Unit::Milliseconds, Lower, Change::Same);
    check((1000.0, 880.0), Unit::PerSecond, Higher, Change::Worse);
    check((1000.0, 1200.0), Unit::PerSecond, Higher, Change::Better);
    check((0.0, 1.0), Unit::Count, Lower, Change::Worse);
    check((0.0, 0.0), Unit::Count, Lower, Change::Same);
    check((5.0, 500.0), Unit::Count, Neither, Change::NotJudged);
    check((5.0, f64::NAN), Unit::Seconds, Lower, Change::Worse);
}

#[test]
fn two_results_read_side_by_side() {
    let before = results(vec![sample::full(), Outcome { title: "gone".to_owned(), ..sample::empty() }]);
    let after = results(vec![slower(), Outcome { title: "new".to_owned(), ..sample::empty() }]);
    insta::assert_snapshot!(text(&before, &after), @r"
    a bit of each
      broken cut by the idle timeout: 60.02 s (expected 60 s ± 1 s)
      mended close code: 1006 (expected 1001)
             answers                 90 000 →          1     -100 %
      better answers_per_second      1480/s →     1700/s    +14.9 %
      same   memory                   83 MB →      83 MB        0 %
      same   p50                     1.2 ms →     1.2 ms        0 %
      worse  p99                    8.75 ms →      12 ms    +37.1 %

    gone: only in the first file, not compared

    new: only in the second file, not compared

    worse than before (tolerance 10 %)
    ");
}

#[test]
fn the_same_is_no_worse() {
    let before = results(vec![sample::full()]);
    assert!(!Comparison::new(&before, &before, 0.0).is_worse());
}

#[test]
fn other_settings_are_told_and_not_judged() {
    let mut other = slower();
    other.expectations.clear();
    other.settings.insert("connections".to_owned(), "200".to_owned());
    other.protocol = "stomp".to_owned();
    let (before, after) = (results(vec![sample::full()]), results(vec![other]));
    assert!(!Comparison::new(&before, &after, 0.1).is_worse());
    let text = text(&before, &after);
    assert!(text.contains("other settings, not judged: connections 20 → 200\n"), "{text}");
    assert!(text.contains("other settings, not judged: protocol plain → stomp\n"), "{text}");
}

#[test]
fn a_run_that_is_no_longer_measured_is_worse() {
    let before = results(vec![sample::full()]);
    let title = sample::full().title;
    let run = Unmeasured { scenario: "x".to_owned(), title, error: "refused".to_owned() };
    let after = Results { unmeasured: vec![run], ..Results::new() };
    assert!(Comparison::new(&before, &after, 0.1).is_worse());
}

#[test]
fn the_page_has_both_curves_in_one_plot() {
    let (before, after) = (results(vec![sample::full()]), results(vec![slower()]));
    let comparison = Comparison::new(&before, &after, 0.1);
    let page = Page { comparison: &comparison, before: &before, after: &after }.to_string();
    for part in ["worse than before", "line c0", "line c1", "✗ worse", "Broken"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<script"));
}
