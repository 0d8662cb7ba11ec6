//! A distribution of times, as bars over a logarithmic axis.

use std::fmt::{self, Write};

use super::{
    axis::{Axis, Scale},
    canvas::{self, BOTTOM, LEFT, RIGHT, TOP},
};
use crate::{
    outcome::{Histogram, Unit},
    quantity,
    text::as_f64,
};

/// Percentiles that are marked.
const MARKED: [f64; 3] = [50.0, 99.0, 99.9];

/// Bars with their ends, in milliseconds.
struct Bar {
    from: f64,
    to: f64,
    count: u64,
}

/// Draws it.
pub(crate) fn draw(to: &mut dyn Write, histogram: &Histogram) -> fmt::Result {
    let bars = bars(&histogram.buckets);
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else { return Ok(()) };
    let highest = bars.iter().map(|bar| bar.count).max().unwrap_or(1);
    let x = Axis::new(Scale::Log, (first.from, last.to), (LEFT, RIGHT));
    let y = Axis::from_zero(as_f64(highest), (BOTTOM, TOP));
    let about = format!(
        "{} times, mean {}",
        quantity::number(as_f64(histogram.count)),
        quantity::display(histogram.mean, Unit::Milliseconds)
    );
    canvas::open(to, &format!("{}: how often which time", histogram.name), &about, canvas::HEIGHT)?;
    canvas::upwards(to, y, Unit::Count, "times counted")?;
    canvas::across(to, x, Unit::Milliseconds, "time, logarithmic", BOTTOM)?;
    for bar in bars.iter().filter(|bar| bar.count > 0) {
        let (left, right) = (x.at(bar.from), x.at(bar.to));
        // One of a million is still to be seen.
        let top = y.at(as_f64(bar.count)).min(BOTTOM - 1.5);
        write!(
            to,
            "<path class=\"bar\" d=\"M{left:.1} {BOTTOM}V{top:.1}H{:.1}V{BOTTOM}Z\"><title>{} in {} – {}</title></path>",
            (right - 1.0).max(left + 0.5),
            quantity::number(as_f64(bar.count)),
            quantity::display(bar.from, Unit::Milliseconds),
            quantity::display(bar.to, Unit::Milliseconds)
        )?;
    }
    let marked = histogram.percentiles.iter().filter(|(percentile, _)| MARKED.contains(percentile));
    let marks = marked.map(|(percentile, value)| (*value, format!("p{percentile}")));
    canvas::marks(to, x, marks)?;
    canvas::close(to, &[])
}

/// Buckets with both ends, without empty ones before and after.
fn bars(buckets: &[(f64, u64)]) -> Vec<Bar> {
    let growth = match buckets {
        [(first, _), (second, _), ..] if *first > 0.0 && second > first => second / first,
        _ => 1.25,
    };
    let mut before = None;
    let mut bars = Vec::new();
    for (to, count) in buckets {
        let from = before.unwrap_or(to / growth);
        before = Some(*to);
        bars.push(Bar { from, to: *to, count: *count });
    }
    let filled = |bar: &Bar| bar.count > 0 && bar.to > 0.0 && bar.to.is_finite();
    let first = bars.iter().position(filled).unwrap_or(bars.len());
    let last = bars.iter().rposition(filled).map_or(0, |last| last + 1);
    bars.truncate(last);
    bars.drain(..first.min(last));
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_join_and_end_where_times_do() {
        let bars = bars(&[(1.0, 0), (2.0, 3), (4.0, 0), (8.0, 1), (16.0, 0)]);
        let ends: Vec<(f64, f64, u64)> = bars.iter().map(|bar| (bar.from, bar.to, bar.count)).collect();
        assert_eq!(ends, [(1.0, 2.0, 3), (2.0, 4.0, 0), (4.0, 8.0, 1)]);
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let mut to = String::new();
        let histogram = Histogram {
            name: "none".to_owned(),
            count: 0,
            mean: 0.0,
            percentiles: vec![],
            buckets: vec![(1.0, 0)],
        };
        draw(&mut to, &histogram).unwrap();
        assert_eq!(to, "");
    }
}
