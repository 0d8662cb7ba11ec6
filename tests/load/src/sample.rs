//! Outcomes to test with.

use std::collections::BTreeMap;

use crate::outcome::{Better, Close, Histogram, Outcome, SCHEMA, Series, Unit};

/// An outcome without any result.
pub(crate) fn empty() -> Outcome {
    Outcome {
        schema: SCHEMA,
        scenario: "idle-cut".to_owned(),
        title: "idle-cut".to_owned(),
        url: "ws://127.0.0.1:8080/ws".to_owned(),
        protocol: "plain".to_owned(),
        started: "2026-01-02T03:04:05Z".to_owned(),
        seconds: 61.5,
        method: "connections idle until they are cut".to_owned(),
        settings: BTreeMap::from([("connections".to_owned(), "20".to_owned())]),
        expectations: Vec::new(),
        figures: BTreeMap::new(),
        histograms: Vec::new(),
        series: Vec::new(),
        targets: BTreeMap::new(),
        closes: Vec::new(),
        errors: BTreeMap::new(),
    }
}

/// An outcome with something of each kind.
pub(crate) fn full() -> Outcome {
    let mut outcome = Outcome { title: "a bit of each".to_owned(), ..empty() };
    outcome.expect("cut by the idle timeout", "60 s ± 1 s", "60.02 s", true);
    outcome.expect("close code", "1001", "1006", false);
    outcome.figure("p50", 1.2, Unit::Milliseconds, Better::Lower);
    outcome.figure("p99", 8.75, Unit::Milliseconds, Better::Lower);
    outcome.figure("answers_per_second", 1480.0, Unit::PerSecond, Better::Higher);
    outcome.figure("answers", 90_000.0, Unit::Count, Better::Neither);
    outcome.figure("memory", 83e6, Unit::Bytes, Better::Lower);
    outcome.histograms.push(histogram("answer", 1.0));
    outcome.series.push(series("200", 1500.0));
    outcome.series.push(series("502", 12.0));
    outcome.targets.insert("127.0.0.1:9001".to_owned(), 44_900);
    outcome.targets.insert("127.0.0.1:9002".to_owned(), 45_100);
    for (number, how) in ["close frame", "FIN", "RST", "FIN", "close frame"].into_iter().enumerate() {
        let age = 59.5 + 0.25 * f64::from(u8::try_from(number).unwrap());
        let code = (how == "close frame").then_some(1001);
        let how = how.to_owned();
        outcome.closes.push(Close { at: age + 0.5, age, idle: age, how, code, target: None });
    }
    outcome.errors.insert("connection refused".to_owned(), 3);
    outcome
}

/// A distribution with a long tail; `factor` stretches it.
pub(crate) fn histogram(name: &str, factor: f64) -> Histogram {
    let counts = [3, 20, 130, 610, 1400, 1700, 1100, 560, 260, 120, 55, 26, 12, 6, 3, 1];
    let bound = |step: usize| factor * 0.3 * 1.4_f64.powi(i32::try_from(step).unwrap());
    Histogram {
        name: name.to_owned(),
        count: counts.iter().sum(),
        mean: 1.9 * factor,
        percentiles: [(50.0, 1.6), (90.0, 4.4), (99.0, 12.1), (99.9, 33.3), (100.0, 46.7)]
            .map(|(percentile, value)| (percentile, value * factor))
            .to_vec(),
        buckets: counts.into_iter().enumerate().map(|(step, count)| (bound(step), count)).collect(),
    }
}

/// Answers a second for a minute, with a dip.
fn series(name: &str, rate: f64) -> Series {
    let points = (0..60_u8).map(|second| (f64::from(second), if second == 30 { rate / 3.0 } else { rate }));
    Series {
        plot: "answers".to_owned(),
        name: name.to_owned(),
        unit: Unit::PerSecond,
        points: points.collect(),
    }
}
