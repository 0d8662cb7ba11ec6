//! How long how many waited at most: percentiles in nines, of one run or of two.

use std::fmt::{self, Write};

use super::{
    axis::{Axis, Scale},
    canvas::{self, BOTTOM, LEFT, RIGHT, TOP},
};
use crate::{
    outcome::{Histogram, Unit},
    text::as_f64,
};

/// Draws them all, each with its class and its name.
pub(crate) fn draw(to: &mut dyn Write, title: &str, curves: &[(&str, &str, &Histogram)]) -> fmt::Result {
    let points: Vec<(&str, Vec<(f64, f64)>)> =
        curves.iter().map(|(class, _, histogram)| (*class, curve(histogram))).collect();
    let all = || points.iter().flat_map(|(_, points)| points);
    let times = || all().map(|(_, time)| *time).filter(|time| *time > 0.0);
    let (lowest, highest) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
    if lowest > highest {
        return Ok(());
    }
    let most = all()
        .map(|(percentile, _)| *percentile)
        .filter(|percentile| *percentile < 100.0)
        .fold(90.0, f64::max);
    let x = Axis::new(Scale::Nines, (0.0, most), (LEFT, RIGHT));
    let y = Axis::new(Scale::Log, (lowest * 0.8, highest * 1.15), (BOTTOM, TOP));
    canvas::open(to, title, "so many waited at most so long", canvas::HEIGHT)?;
    canvas::upwards(to, y, Unit::Milliseconds, "time, logarithmic")?;
    canvas::across(to, x, Unit::Percent, "percentile", BOTTOM)?;
    for (class, points) in &points {
        write!(to, "<path class=\"line {class}\" d=\"")?;
        for (number, (percentile, time)) in points.iter().enumerate() {
            let step = if number == 0 { 'M' } else { 'L' };
            write!(to, "{step}{:.1} {:.1}", x.at(*percentile), y.at(*time))?;
        }
        to.write_str("\"/>")?;
    }
    let legend: Vec<(&str, String)> =
        curves.iter().map(|(class, name, _)| (*class, (*name).to_owned())).collect();
    canvas::close(to, if curves.len() > 1 { &legend } else { &[] })
}

/// Percentile and time, rising: upper bounds of buckets, and the percentiles that are told.
fn curve(histogram: &Histogram) -> Vec<(f64, f64)> {
    let count: u64 = histogram.buckets.iter().map(|(_, count)| count).sum();
    let mut below = 0;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (bound, held) in histogram.buckets.iter().filter(|(_, held)| *held > 0) {
        below += held;
        points.push((as_f64(below) / as_f64(count) * 100.0, *bound));
    }
    let highest = histogram.percentiles.iter().map(|(_, time)| *time).fold(f64::NAN, f64::max);
    points.extend(&histogram.percentiles);
    points.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
    // A bucket's bound may lie above the percentile that falls into it.
    let mut ceiling = if highest.is_finite() { highest } else { f64::INFINITY };
    for point in points.iter_mut().rev() {
        ceiling = ceiling.min(point.1);
        point.1 = ceiling;
    }
    points.dedup();
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_curve_only_rises() {
        let points = curve(&sample::histogram("answer", 1.0));
        assert!(points.len() > 10);
        for pair in points.windows(2) {
            assert!(pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1, "{pair:?}");
        }
    }

    #[test]
    fn two_curves_have_a_legend() {
        let (one, other) = (sample::histogram("answer", 1.0), sample::histogram("answer", 2.0));
        let mut to = String::new();
        draw(&mut to, "answer", &[("c0", "before", &one), ("c1", "after", &other)]).unwrap();
        assert!(to.contains("line c0") && to.contains("<li class=\"c1\">after</li>"), "{to}");
    }
}
