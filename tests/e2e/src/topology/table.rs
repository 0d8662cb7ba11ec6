//! The comparison as a table, in Markdown, so that it reads the same in a terminal and in a document.

use super::{
    Way,
    facts::{EXPECTED, Facts},
};

/// What is known without looking, for those who choose.
const STATED: &[(&str, [&str; 5])] = &[
    ("OSI layer", ["7", "4 (and TLS)", "4", "4, then 7", "4, then 7"]),
    ("the client connects to", ["HTTPS 58080", "TLS 33335", "TCP 33335", "TCP 33335", "TCP 33335"]),
    ("unit of balancing", ["request", "flow", "flow", "request", "request"]),
    ("where certificates are kept", ["Albeit", "Albeit", "each target", "Albeit", "Albeit, behind"]),
];

/// The table of what is expected of every way.
#[must_use]
pub fn expected() -> Vec<String> {
    let measured = EXPECTED.iter().map(|(row, values)| (row.title(), values.map(str::to_owned)));
    aligned(stated().chain(measured))
}

/// The table of what was found, with measured times below.
#[must_use]
pub fn found(facts: &[Facts]) -> Vec<String> {
    let row = |value: &dyn Fn(&Facts) -> String| {
        let mut cells = [const { String::new() }; 5];
        for (cell, facts) in cells.iter_mut().zip(facts) {
            *cell = value(facts);
        }
        cells
    };
    let measured = EXPECTED.iter().map(|(of, _)| (of.title(), row(&|facts| facts.value(*of).to_owned())));
    let latency = [
        ("p50 of a request", row(&|facts| format!("{:.2} ms", facts.request_ms))),
        ("p50 of TCP, TLS, request", row(&|facts| format!("{:.2} ms", facts.connection_ms))),
    ];
    aligned(stated().chain(measured).chain(latency))
}

fn stated() -> impl Iterator<Item = (&'static str, [String; 5])> {
    STATED.iter().map(|(title, values)| (*title, values.map(str::to_owned)))
}

fn aligned(rows: impl Iterator<Item = (&'static str, [String; 5])>) -> Vec<String> {
    let head = ("", Way::ALL.map(|way| way.title().to_owned()));
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let mut widths = [0; 6];
    for (title, cells) in &rows {
        for (width, cell) in
            widths.iter_mut().zip(std::iter::once(*title).chain(cells.iter().map(String::as_str)))
        {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut lines: Vec<String> = Vec::new();
    for (title, cells) in &rows {
        let cells = std::iter::once(*title).chain(cells.iter().map(String::as_str));
        let padded: Vec<String> = cells.zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        lines.push(format!("| {} |", padded.join(" | ")));
        if lines.len() == 1 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
            lines.push(format!("|{}|", rules.join("|")));
        }
    }
    lines
}
