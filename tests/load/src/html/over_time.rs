//! Figures over time: counts stacked upon each other, others as dots.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

use super::{
    axis::{Axis, Scale},
    canvas::{self, BOTTOM, LEFT, RIGHT, TOP},
};
use crate::{
    outcome::{Series, Unit},
    quantity,
};

/// Steps that a drawing has at most; longer runs have longer steps.
const STEPS: u32 = 120;

/// Dots of one line at most; of more, every so many-th is drawn.
const DOTS: usize = 600;

/// The plot whose points are drawn as marks in all others: when something was done.
const MOMENTS: &str = "moments";

/// Draws each plot that series belong to.
pub(crate) fn draw(to: &mut dyn Write, series: &[Series]) -> fmt::Result {
    let mut plots: BTreeMap<&str, Vec<&Series>> = BTreeMap::new();
    for line in series.iter().filter(|line| !line.points.is_empty()) {
        plots.entry(&line.plot).or_default().push(line);
    }
    let mut moments: Vec<(f64, &str)> = Vec::new();
    for line in plots.remove(MOMENTS).into_iter().flatten() {
        let finite = line.points.iter().filter(|(second, _)| second.is_finite());
        moments.extend(finite.map(|(second, _)| (*second, line.name.as_str())));
    }
    moments.sort_by(|one, other| one.0.total_cmp(&other.0));
    for (name, lines) in plots {
        plot(to, name, &lines, &moments)?;
    }
    Ok(())
}

fn plot(to: &mut dyn Write, name: &str, lines: &[&Series], moments: &[(f64, &str)]) -> fmt::Result {
    let Some(unit) = lines.first().map(|line| line.unit) else { return Ok(()) };
    let stacked = matches!(unit, Unit::Count | Unit::PerSecond);
    let end = lines.iter().flat_map(|line| &line.points).map(|(second, _)| *second).fold(0.0, f64::max) + 1.0;
    let end = moments.iter().map(|(second, _)| *second).fold(end, f64::max);
    let step = (end / f64::from(STEPS)).max(1.0).ceil();
    let sampled: Vec<Vec<f64>> = lines.iter().map(|line| sample(&line.points, step, end)).collect();
    let steps = sampled.first().map_or(0, Vec::len);
    let sum = |index: usize| sampled.iter().filter_map(|values| values.get(index)).sum::<f64>();
    let highest = if stacked {
        (0..steps).map(sum).fold(0.0, f64::max)
    } else {
        sampled.iter().flatten().copied().fold(0.0, f64::max)
    };
    let x = Axis::new(Scale::Linear, (0.0, end), (LEFT, RIGHT));
    let y = Axis::from_zero(highest, (BOTTOM, TOP));
    let title = format!("{name} over time");
    let about = if stacked && step > 1.0 { format!("means of {step} s") } else { String::new() };
    canvas::open(to, &title, &about, canvas::HEIGHT)?;
    let high = if unit == Unit::PerSecond { "each second" } else { quantity::name(unit) };
    canvas::upwards(to, y, unit, if unit == Unit::Count { "" } else { high })?;
    canvas::across(to, x, Unit::Seconds, "since the start", BOTTOM)?;
    let classes: Vec<String> =
        lines.iter().enumerate().map(|(number, line)| class(&line.name, number)).collect();
    if stacked {
        stack(to, &classes, &sampled, step, (x, y))?;
    } else {
        for (class, line) in classes.iter().zip(lines) {
            let every = line.points.len().div_ceil(DOTS).max(1);
            for (second, value) in line.points.iter().step_by(every).filter(|(_, value)| value.is_finite()) {
                write!(
                    to,
                    "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>",
                    x.at(*second),
                    y.at(*value)
                )?;
            }
        }
    }
    canvas::marks(to, x, moments.iter().map(|(second, name)| (*second, (*name).to_owned())))?;
    let legend: Vec<(&str, String)> =
        classes.iter().zip(lines).map(|(class, line)| (class.as_str(), legend(line))).collect();
    canvas::close(to, &legend)
}

/// Steps of each kind upon those of the kind before. What is there is seen: a
/// single failure among thousands is a pixel and a half high.
fn stack(
    to: &mut dyn Write,
    classes: &[String],
    sampled: &[Vec<f64>],
    step: f64,
    (x, y): (Axis, Axis),
) -> fmt::Result {
    let mut floor = vec![y.base(); sampled.first().map_or(0, Vec::len)];
    for (class, values) in classes.iter().zip(sampled) {
        write!(to, "<path class=\"area {class}\" d=\"")?;
        for ((index, value), floor) in
            (0_u32..).zip(values).zip(&mut floor).filter(|((_, value), _)| **value > 0.0)
        {
            let height = (y.base() - y.at(*value)).max(1.5);
            let (left, right) = (x.at(f64::from(index) * step), x.at(f64::from(index + 1) * step));
            write!(to, "M{left:.1} {floor:.1}H{right:.1}V{:.1}H{left:.1}Z", *floor - height)?;
            *floor -= height;
        }
        to.write_str("\"/>")?;
    }
    Ok(())
}

/// Means over steps of so many seconds.
fn sample(points: &[(f64, f64)], step: f64, end: f64) -> Vec<f64> {
    let mut sums: BTreeMap<u32, (f64, u32)> = BTreeMap::new();
    let slot = |second: f64| (0..STEPS).find(|slot| second < f64::from(slot + 1) * step);
    for (second, value) in points.iter().filter(|(_, value)| value.is_finite()) {
        if let Some(slot) = slot(*second) {
            let (sum, count) = sums.entry(slot).or_default();
            *sum += value;
            *count += 1;
        }
    }
    (0..STEPS)
        .take_while(|slot| f64::from(*slot) * step < end)
        .map(|slot| sums.get(&slot).map_or(0.0, |(sum, count)| sum / f64::from(*count)))
        .collect()
}

/// The colour of a line: of statuses and of failures by their kind, of others in turn.
fn class(name: &str, number: usize) -> String {
    let failed = ["reset", "refused", "error", "timeout", "timed out", "rst", "failed", "lost", "-"];
    let lower = name.to_lowercase();
    match name.as_bytes() {
        [b'1' | b'2', b'0'..=b'9', b'0'..=b'9', ..] => "good".to_owned(),
        [b'3', b'0'..=b'9', b'0'..=b'9', ..] => "c0".to_owned(),
        [b'4', b'0'..=b'9', b'0'..=b'9', ..] => "warn".to_owned(),
        [b'5', b'0'..=b'9', b'0'..=b'9', ..] => "bad".to_owned(),
        _ if lower == "ok" || lower == "open" || lower == "established" => "good".to_owned(),
        _ if failed.iter().any(|word| lower.contains(word)) => "bad".to_owned(),
        _ => format!("c{}", number % 6),
    }
}

/// The name, and how many that was or how high it went.
fn legend(line: &Series) -> String {
    let highest = line.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let sum: f64 = line.points.iter().map(|(_, value)| *value).sum();
    match line.unit {
        Unit::PerSecond if is_each_second(&line.points) => {
            format!("{} ({})", line.name, quantity::number(sum))
        }
        unit @ (Unit::PerSecond | Unit::Count) => {
            format!("{} (up to {})", line.name, quantity::display(highest, unit))
        }
        _ => format!("{} ({} ×)", line.name, line.points.len()),
    }
}

/// Whether there is a point for each second, so that rates add up to a count.
fn is_each_second(points: &[(f64, f64)]) -> bool {
    points.windows(2).all(|pair| matches!(pair, [(one, _), (next, _)] if (next - one - 1.0).abs() < 1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_is_drawn_in_longer_steps() {
        let points: Vec<(f64, f64)> = (0..600_u32).map(|second| (f64::from(second), 10.0)).collect();
        let sampled = sample(&points, 5.0, 600.0);
        assert_eq!(sampled.len(), 120);
        assert!(sampled.iter().all(|value| (value - 10.0).abs() < 1e-9));
    }

    #[test]
    fn statuses_have_the_colour_of_their_kind() {
        for (name, expected) in
            [("200", "good"), ("302", "c0"), ("404", "warn"), ("502", "bad"), ("Reset", "bad")]
        {
            assert_eq!(class(name, 3), expected, "{name}");
        }
        assert_eq!(class("open connections", 7), "c1");
    }

    #[test]
    fn times_are_dots_where_they_were_measured() {
        let gaps = Series {
            plot: "gaps".to_owned(),
            name: "502".to_owned(),
            unit: Unit::Seconds,
            points: vec![(1.0, 4.9), (9.5, 5.1)],
        };
        let mut to = String::new();
        draw(&mut to, &[gaps]).unwrap();
        assert_eq!(to.matches("<circle class=\"bad\"").count(), 2, "{to}");
        assert!(to.contains("502 (2 ×)"), "{to}");
    }

    #[test]
    fn rates_add_up_to_a_count_if_there_is_one_for_each_second() {
        let line = |points: &[(f64, f64)]| Series {
            plot: "answers".to_owned(),
            name: "200".to_owned(),
            unit: Unit::PerSecond,
            points: points.to_vec(),
        };
        assert_eq!(legend(&line(&[(0.0, 50.0), (1.0, 40.0)])), "200 (90)");
        assert_eq!(legend(&line(&[(0.0, 50.0), (0.5, 40.0)])), "200 (up to 50/s)");
    }

    #[test]
    fn moments_are_marks_in_the_other_plots() {
        let series = |plot: &str, name: &str, unit: Unit, points: &[(f64, f64)]| Series {
            plot: plot.to_owned(),
            name: name.to_owned(),
            unit,
            points: points.to_vec(),
        };
        let answers = series("answers", "200", Unit::PerSecond, &[(0.0, 50.0), (9.0, 50.0)]);
        let gone = series("moments", "deregistered", Unit::Count, &[(3.0, 1.0)]);
        let mut to = String::new();
        draw(&mut to, &[answers, gone.clone()]).unwrap();
        assert_eq!(
            (to.matches("<figure>").count(), to.matches("path class=\"mark\"").count()),
            (1, 1),
            "{to}"
        );
        assert!(to.contains(">deregistered</text>"), "{to}");
        let mut to = String::new();
        draw(&mut to, &[gone]).unwrap();
        assert_eq!(to, "");
    }

    #[test]
    fn one_failure_among_thousands_is_seen() {
        let series = |name: &str, value: f64| Series {
            plot: "answers".to_owned(),
            name: name.to_owned(),
            unit: Unit::PerSecond,
            points: vec![(0.0, value)],
        };
        let mut to = String::new();
        draw(&mut to, &[series("200", 5000.0), series("502", 1.0)]).unwrap();
        assert!(to.contains("502 (1)") && to.contains("area bad\" d=\"M"), "{to}");
    }
}
