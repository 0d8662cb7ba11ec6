//! Where a value lies on a plot, and where its axis has ticks.

use crate::{outcome::Unit, quantity};

/// How values spread over an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    /// Evenly.
    Linear,
    /// Each decade as long as the next; values are above zero.
    Log,
    /// Percentiles: from 90 to 99 as far as from 99 to 99.9.
    Nines,
}

/// One axis: from values to pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Axis {
    scale: Scale,
    values: (f64, f64),
    pixels: (f64, f64),
}

/// Ticks that an axis of common length has room for.
const TICKS: f64 = 5.0;

/// Percentiles that have a tick.
const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 99.999];

impl Axis {
    /// From the first value at the first pixel to the second at the second.
    /// Bounds that make no axis (equal, not finite, a logarithm of nothing) are
    /// moved apart.
    pub(crate) fn new(scale: Scale, values: (f64, f64), pixels: (f64, f64)) -> Self {
        let (mut low, mut high) = values;
        if !(low.is_finite() && high.is_finite()) {
            (low, high) = (0.0, 1.0);
        }
        match scale {
            Scale::Log => {
                low = if low > 0.0 { low } else { 1e-3 };
                high = if high > low { high } else { low * 10.0 };
            }
            Scale::Linear if high <= low => high = low + 1.0,
            Scale::Nines => (low, high) = (0.0, high.clamp(90.0, 99.9999)),
            Scale::Linear => {}
        }
        Self { scale, values: (low, high), pixels }
    }

    /// A linear axis from zero to a round number above the value.
    pub(crate) fn from_zero(highest: f64, pixels: (f64, f64)) -> Self {
        let highest = if highest.is_finite() && highest > 0.0 { highest } else { 1.0 };
        let step = nice_step(highest);
        Self::new(Scale::Linear, (0.0, (highest / step).ceil() * step), pixels)
    }

    fn position(self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).log10(),
            Scale::Nines => -(1.0 - value / 100.0).max(1e-9).log10(),
        }
    }

    /// The pixel of a value; what lies outside is moved to the end of the axis.
    pub(crate) fn at(self, value: f64) -> f64 {
        let (low, high) = (self.position(self.values.0), self.position(self.values.1));
        let part = ((self.position(value) - low) / (high - low)).clamp(0.0, 1.0);
        let (first, last) = self.pixels;
        first + part * (last - first)
    }

    /// The first pixel: where bars stand.
    pub(crate) const fn base(self) -> f64 {
        self.pixels.0
    }

    /// Values that have a tick, lowest first.
    pub(crate) fn ticks(self) -> Vec<f64> {
        let (low, high) = self.values;
        match self.scale {
            Scale::Linear => {
                let step = nice_step(high - low);
                let first = (low / step).ceil();
                (0..=10_u8)
                    .map(|count| (first + f64::from(count)) * step)
                    .take_while(|tick| *tick <= high + step * 1e-6)
                    .collect()
            }
            Scale::Log => log_ticks(low, high),
            Scale::Nines => PERCENTILES.into_iter().filter(|tick| *tick <= high).collect(),
        }
    }
}

/// 1, 2 or 5 times a power of ten, such that a span has about five steps.
fn nice_step(span: f64) -> f64 {
    let rough = span / TICKS;
    let decade = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().find(|step| rough <= step * decade * 1.000_001);
    step.unwrap_or(10.0) * decade
}

/// Each power of ten; between them 2 and 5 if there are few, every other if there are many.
fn log_ticks(low: f64, high: f64) -> Vec<f64> {
    let decades = (high / low).log10();
    let within: &[f64] = match decades {
        _ if decades < 1.0 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
        _ if decades < 2.5 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    let every = if decades > 7.0 { 2 } else { 1 };
    (-9_i32..=12)
        .filter(|exponent| exponent % every == 0)
        .flat_map(|exponent| within.iter().map(move |factor| factor * 10_f64.powi(exponent)))
        .filter(|tick| (low * 0.999_999..=high * 1.000_001).contains(tick))
        .collect()
}

/// A tick as it is written: in the unit that reads best for this one value.
pub(crate) fn label(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Count | Unit::PerSecond => short(value),
        // All digits: 99.99 is not 100.
        Unit::Percent => format!("{value} %"),
        Unit::Milliseconds | Unit::Microseconds | Unit::Seconds | Unit::Bytes => {
            quantity::display(value, unit)
        }
    }
}

/// Thousands and millions as `k` and `M`: a tick has little room.
fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size >= 1e6 => format!("{}M", quantity::number(value / 1e6)),
        _ if size >= 1e4 => format!("{}k", quantity::number(value / 1e3)),
        _ => quantity::number(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(axis: Axis, unit: Unit, expected: &str) {
        let labels: Vec<String> = axis.ticks().into_iter().map(|tick| label(tick, unit)).collect();
        assert_eq!(labels.join(" "), expected);
    }

    fn axis(scale: Scale, low: f64, high: f64) -> Axis {
        Axis::new(scale, (low, high), (0.0, 100.0))
    }

    #[test]
    fn ticks_are_round_numbers() {
        check(axis(Scale::Linear, 0.0, 61.0), Unit::Seconds, "0 s 20 s 40 s 60 s");
        check(axis(Scale::Linear, 59.4, 60.8), Unit::Seconds, "59.5 s 60 s 60.5 s");
        check(Axis::from_zero(1530.0, (0.0, 1.0)), Unit::PerSecond, "0 500 1000 1500 2000");
        check(Axis::from_zero(43_000.0, (0.0, 1.0)), Unit::Count, "0 10k 20k 30k 40k 50k");
        check(Axis::from_zero(3.0, (0.0, 1.0)), Unit::Count, "0 1 2 3");
    }

    #[test]
    fn ticks_of_a_logarithm_fit_its_length() {
        check(axis(Scale::Log, 0.08, 120.0), Unit::Milliseconds, "100 µs 1 ms 10 ms 100 ms");
        check(axis(Scale::Log, 0.9, 60.0), Unit::Milliseconds, "1 ms 2 ms 5 ms 10 ms 20 ms 50 ms");
        check(axis(Scale::Log, 2.0, 4.0), Unit::Milliseconds, "2 ms 3 ms 4 ms");
    }

    #[test]
    fn percentiles_come_in_nines() {
        check(axis(Scale::Nines, 0.0, 99.95), Unit::Percent, "50 % 90 % 99 % 99.9 %");
        let axis = axis(Scale::Nines, 0.0, 99.0);
        assert!((axis.at(90.0) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn an_axis_of_one_value_has_a_length() {
        for scale in [Scale::Linear, Scale::Log, Scale::Nines] {
            for values in [(0.0, 0.0), (5.0, 5.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
                let axis = axis(scale, values.0, values.1);
                assert!(axis.at(values.0.max(0.0)).is_finite(), "{axis:?}");
                assert!(!axis.ticks().is_empty(), "{axis:?}");
            }
        }
    }
}
