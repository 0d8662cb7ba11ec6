//! Tables for people. Styles are always written: whoever prints them takes them away where there is no
//! terminal. What stands in a cell has no control characters.

use anstyle::{AnsiColor, Color, Style};

use crate::doctor::report::visible;

pub(super) const PLAIN: Style = Style::new();
pub(super) const STRONG: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const GOOD: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Green)));
pub(super) const WARNING: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Yellow)));
pub(super) const BAD: Style = Style::new().bold().fg_color(Some(Color::Ansi(AnsiColor::Red)));

/// Between columns.
const GAP: usize = 2;

/// Text in one style.
#[derive(Debug, Clone)]
pub(super) struct Cell(String, Style);

impl Cell {
    pub(super) fn new(text: impl AsRef<str>, style: Style) -> Self {
        Self(visible(text.as_ref()), style)
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text.to_string(), PLAIN)
    }
}

/// Rows of as many cells as there are columns.
#[derive(Debug)]
pub(super) struct Table<const COLUMNS: usize>(Vec<[Cell; COLUMNS]>);

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table with these titles.
    pub(super) fn new(titles: [&str; COLUMNS]) -> Self {
        Self(vec![titles.map(|title| Cell::new(title, DIM))])
    }

    pub(super) fn push(&mut self, row: [Cell; COLUMNS]) {
        self.0.push(row);
    }

    /// Whether there are only titles.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.len() < 2
    }

    /// All rows, a line each.
    pub(super) fn render(&self) -> String {
        let mut widths = [0; COLUMNS];
        for row in &self.0 {
            for (width, Cell(text, _)) in widths.iter_mut().zip(row) {
                *width = text.chars().count().max(*width);
            }
        }
        let mut lines = String::new();
        for row in &self.0 {
            let mut padding = 0;
            for (Cell(text, style), width) in row.iter().zip(widths) {
                if !text.is_empty() {
                    lines.push_str(&" ".repeat(padding));
                    lines.push_str(&format!("{style}{text}{style:#}"));
                    padding = 0;
                }
                padding += width + GAP - text.chars().count();
            }
            lines.push('\n');
        }
        lines
    }
}

/// A time span in its two largest units.
pub(super) fn span(seconds: f64) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let total = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    let mut smaller = UNITS.iter().skip(1).copied().chain([(1, "s")]);
    for (size, unit) in UNITS {
        let Some((next, next_unit)) = smaller.next() else { break };
        if total >= size {
            return match (total % size) / next {
                0 => format!("{}{unit}", total / size),
                rest => format!("{}{unit} {rest}{next_unit}", total / size),
            };
        }
    }
    format!("{total}s")
}

/// Bytes in the largest unit that fits.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fitting = UNITS.into_iter().find(|(size, _)| count >= *size);
    fitting.map_or_else(
        || format!("{count} B"),
        |(size, unit)| format!("{}.{} {unit}", count / size, count % size * 10 / size),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["TARGET", "STATE", "WHY"]);
        assert!(table.is_empty());
        table.push(["10.0.0.1:8080".into(), Cell::new("healthy", GOOD), "".into()]);
        table.push(["".into(), Cell::new("\u{1b}[31mé", BAD), "because".into()]);
        let text = anstream::adapter::strip_str(&table.render()).to_string();
        insta::assert_snapshot!(text, @r"
        TARGET         STATE        WHY
        10.0.0.1:8080  healthy
                       \u{1b}[31mé  because
        ");
        assert!(table.render().contains("\u{1b}[32mhealthy\u{1b}[0m"));
    }

    #[test]
    fn spans_and_sizes_are_short() {
        let spans = [0.4, 59.9, 60.0, 61.0, 3_600.0, 7_384.0, 90_000.0].map(span);
        assert_eq!(spans, ["0s", "59s", "1m", "1m 1s", "1h", "2h 3m", "1d 1h"]);
        assert_eq!([0, 1023, 1536, 5 << 20].map(bytes), ["0 B", "1023 B", "1.5 KiB", "5.0 MiB"]);
    }
}
