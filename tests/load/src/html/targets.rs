//! How answers or connections spread over targets, as bars.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

use super::{
    canvas::{self, WIDTH},
    escape::Escaped,
};
use crate::{quantity, text::as_f64};

/// Targets that have a bar of their own: the busiest.
const BARS: usize = 24;

/// Height of one target's row.
const ROW: f64 = 36.0;

/// Draws them.
pub(crate) fn draw(to: &mut dyn Write, targets: &BTreeMap<String, u64>) -> fmt::Result {
    let highest = targets.values().copied().max().unwrap_or(0);
    if highest == 0 {
        return Ok(());
    }
    let total: u64 = targets.values().sum();
    let mut busiest: Vec<(&str, u64)> = targets.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    if busiest.len() > BARS {
        busiest.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        busiest.truncate(BARS);
    }
    let left_out = targets.len() - busiest.len();
    let about = match left_out {
        0 if targets.len() == 1 => "one target".to_owned(),
        0 => format!("{} targets", targets.len()),
        _ => format!("the busiest {BARS} of {}", targets.len()),
    };
    let rows = as_f64(u64::try_from(busiest.len()).unwrap_or(1));
    canvas::open(to, "Targets", &about, rows * ROW + 8.0)?;
    for (row, (name, count)) in (0_u32..).zip(busiest) {
        let top = f64::from(row) * ROW;
        let share = as_f64(count) / as_f64(total) * 100.0;
        let length = (as_f64(count) / as_f64(highest) * (WIDTH - 4.0)).max(1.5);
        write!(
            to,
            "<text class=\"row\" x=\"2\" y=\"{y:.1}\">{}</text>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{} · {} %</text>\
             <path class=\"area c0\" d=\"M2 {:.1}h{length:.1}v10h-{length:.1}Z\"/>",
            Escaped(name),
            WIDTH - 2.0,
            quantity::number(as_f64(count)),
            quantity::number(share),
            top + 20.0,
            y = top + 15.0
        )?;
    }
    canvas::close(to, &[])
}
