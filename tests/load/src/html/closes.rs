//! Ends of connections: how old each was, and how it ended.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

use super::{
    axis::{Axis, Scale},
    canvas::{self, LEFT, RIGHT, TOP},
    escape::Escaped,
};
use crate::{
    outcome::{Close, Unit},
    quantity,
    text::as_f64,
};

/// Dots that are drawn of one kind; of more, every so many-th is.
const DOTS: usize = 400;

/// Height of the row of one kind.
const ROW: f64 = 44.0;

/// The shortest stretch of time that is drawn, in seconds.
const SPAN: f64 = 1.0;

/// Draws them.
pub(crate) fn draw(to: &mut dyn Write, closes: &[Close]) -> fmt::Result {
    let mut kinds: BTreeMap<(&str, Option<u16>), Vec<f64>> = BTreeMap::new();
    for close in closes.iter().filter(|close| close.age.is_finite()) {
        kinds.entry((&close.how, close.code)).or_default().push(close.age);
    }
    if kinds.is_empty() {
        return Ok(());
    }
    let rows = as_f64(u64::try_from(kinds.len()).unwrap_or(1));
    let bottom = TOP + rows * ROW;
    let x = Axis::new(Scale::Linear, span(kinds.values().flatten().copied()), (LEFT, RIGHT));
    let total = quantity::number(as_f64(u64::try_from(closes.len()).unwrap_or(0)));
    canvas::open(to, "How old connections were when they ended", &format!("{total} ended"), bottom + 47.0)?;
    canvas::across(to, x, Unit::Seconds, "age of the connection", bottom)?;
    for (row, ((how, code), ages)) in (0_u32..).zip(&kinds) {
        let top = TOP + f64::from(row) * ROW;
        let code = code.map_or_else(String::new, |code| format!(" {code}"));
        let count = quantity::number(as_f64(u64::try_from(ages.len()).unwrap_or(0)));
        write!(
            to,
            "<path class=\"grid\" d=\"M{LEFT} {top:.1}H{RIGHT}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{count} ×</text>\
             <text class=\"row\" x=\"{:.1}\" y=\"{:.1}\">{}{code}</text>",
            LEFT - 6.0,
            top + 13.0,
            LEFT + 4.0,
            top + 13.0,
            Escaped(how)
        )?;
        dots(to, class(how), ages, x, top)?;
    }
    canvas::close(to, &[])
}

/// Dots of one kind, spread over the height of their row so that equal ages show.
fn dots(to: &mut dyn Write, class: &str, ages: &[f64], x: Axis, top: f64) -> fmt::Result {
    let every = ages.len().div_ceil(DOTS).max(1);
    for (number, age) in (0_u32..).zip(ages.iter().step_by(every)) {
        // Steps of the golden ratio: neighbours lie far apart, and each report looks the same.
        let spread = (f64::from(number) * 0.618_034).fract();
        let (x, y) = (x.at(*age), top + 20.0 + spread * (ROW - 26.0));
        write!(to, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>")?;
    }
    Ok(())
}

/// The stretch that all ages lie in, with room on both sides, and from zero if that is near.
fn span(ages: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let lowest = ages.clone().fold(f64::INFINITY, f64::min);
    let highest = ages.fold(0.0, f64::max);
    let room = ((highest - lowest) * 0.08).max(SPAN / 2.0);
    let low = (lowest - room).max(0.0);
    (if low < highest * 0.3 { 0.0 } else { low }, highest + room)
}

/// The colour of an end.
pub(crate) fn class(how: &str) -> &'static str {
    match how {
        "close frame" => "good",
        "FIN" => "c0",
        "RST" => "bad",
        _ => "faint",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ages: &[f64], expected: (f64, f64)) {
        assert_eq!(span(ages.iter().copied()), expected);
    }

    #[test]
    fn the_span_shows_how_ages_differ() {
        check(&[60.0, 60.5], (59.5, 61.0));
        check(&[5.0, 105.0], (0.0, 113.0));
        check(&[0.0], (0.0, 0.5));
    }

    #[test]
    fn of_many_ends_some_are_drawn() {
        let close =
            |age: f64| Close { at: age, age, idle: 0.0, how: "RST".to_owned(), code: None, target: None };
        let closes: Vec<Close> = (0..15_000_u32).map(|age| close(f64::from(age) / 1000.0)).collect();
        let mut to = String::new();
        draw(&mut to, &closes).unwrap();
        let dots = to.matches("<circle").count();
        assert!((200..=DOTS).contains(&dots), "{dots}");
        assert!(to.contains("15\u{202f}000 ×"), "{to}");
    }
}
