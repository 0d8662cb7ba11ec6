//! One drawing: its size, its frame, its axes.

use std::fmt::{self, Write};

use super::{axis, axis::Axis, escape::Escaped};
use crate::{outcome::Unit, text::as_f64};

/// Width of every drawing, in its own pixels; pages scale it.
pub(crate) const WIDTH: f64 = 480.0;
/// Height of a drawing with two axes.
pub(crate) const HEIGHT: f64 = 266.0;
/// Where the field of a drawing begins and ends.
pub(crate) const LEFT: f64 = 62.0;
/// Right end of the field, with room for half of the last label.
pub(crate) const RIGHT: f64 = WIDTH - 26.0;
/// Upper end of the field, below labels of lines.
pub(crate) const TOP: f64 = 36.0;
/// Lower end of the field.
pub(crate) const BOTTOM: f64 = HEIGHT - 47.0;

/// Width of a letter, the widest of a phone's.
const LETTER: f64 = 9.0;

/// Opens a drawing with what it is called.
pub(crate) fn open(to: &mut dyn Write, title: &str, about: &str, height: f64) -> fmt::Result {
    write!(
        to,
        "<figure><figcaption><b>{}</b> <span>{}</span></figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\">",
        Escaped(title),
        Escaped(about),
        Escaped(title)
    )
}

/// Closes it, below it a legend: class and name of each kind.
pub(crate) fn close(to: &mut dyn Write, legend: &[(&str, String)]) -> fmt::Result {
    to.write_str("</svg>")?;
    if !legend.is_empty() {
        to.write_str("<ul class=\"legend\">")?;
        for (class, name) in legend {
            write!(to, "<li class=\"{}\">{}</li>", Escaped(class), Escaped(name))?;
        }
        to.write_str("</ul>")?;
    }
    to.write_str("</figure>\n")
}

/// The axis to the right, below the field.
pub(crate) fn across(to: &mut dyn Write, axis: Axis, unit: Unit, title: &str, bottom: f64) -> fmt::Result {
    for tick in axis.ticks() {
        let (x, label) = (axis.at(tick), axis::label(tick, unit));
        write!(
            to,
            "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            bottom + 20.0
        )?;
    }
    write!(
        to,
        "<path class=\"axis\" d=\"M{LEFT} {bottom}H{RIGHT}\"/>\
         <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(LEFT, RIGHT),
        bottom + 40.0,
        Escaped(title)
    )
}

/// The axis upwards, left of the field.
pub(crate) fn upwards(to: &mut dyn Write, axis: Axis, unit: Unit, title: &str) -> fmt::Result {
    for tick in axis.ticks() {
        let (y, label) = (axis.at(tick), axis::label(tick, unit));
        write!(
            to,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 6.0,
            y + 4.0
        )?;
    }
    write!(to, "<text class=\"name\" x=\"4\" y=\"12\">{}</text>", Escaped(title))
}

/// A line up at each value, its name at the top where there is room for it.
pub(crate) fn marks(
    to: &mut dyn Write,
    axis: Axis,
    marks: impl IntoIterator<Item = (f64, String)>,
) -> fmt::Result {
    let mut taken = f64::NEG_INFINITY;
    for (value, name) in marks {
        let at = axis.at(value);
        write!(to, "<path class=\"mark\" d=\"M{at:.1} {TOP}V{BOTTOM}\"/>")?;
        let half = as_f64(u64::try_from(name.chars().count()).unwrap_or(4)) * LETTER / 2.0;
        let middle = at.min(WIDTH - 4.0 - half).max(half);
        if middle - half > taken {
            write!(
                to,
                "<text class=\"mark\" x=\"{middle:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                TOP - 5.0,
                Escaped(name)
            )?;
            taken = middle + half;
        }
    }
    Ok(())
}
