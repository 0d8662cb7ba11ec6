//! What was measured, beside what is declared, for people and for programs.

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json as object};

use super::{
    json::setting,
    text::{line, visible},
};
use crate::{
    doctor::measured::{Measured, Row},
    probe::Seconds,
};

const STRONG: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const DIFFERENT: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));

/// A block of lines for each endpoint.
pub(super) fn text(all: &[Measured]) -> String {
    let mut text = String::new();
    for measured in all {
        let (at, subject) = (visible(&measured.at), visible(&measured.subject));
        line(&mut text, format_args!("{STRONG}measured at {at}{STRONG:#} ({subject})"));
        let width = measured.rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
        for row in &measured.rows {
            let (name, value) = (row.name, visible(&row.value));
            line(&mut text, format_args!("    {name:width$}  {value}{}", declared(row)));
        }
        let (took, connections) = (Seconds(measured.took), measured.connections);
        line(&mut text, format_args!("    {DIM}in {took} with {connections} connections{DIM:#}\n"));
    }
    text
}

fn declared(row: &Row) -> String {
    let Some(declared) = &row.declared else { return String::new() };
    let (key, written, place) =
        (visible(&declared.key), visible(&declared.written), visible(&declared.place.to_string()));
    if row.difference.is_some() {
        format!("  {DIFFERENT}declared: {key} = {written}{DIFFERENT:#} ({place})")
    } else {
        format!("  {DIM}as declared: {key} = {written} ({place}){DIM:#}")
    }
}

/// An array with an object for each endpoint.
pub(super) fn json(all: &[Measured]) -> Value {
    let one = |measured: &Measured| {
        let rows = measured.rows.iter().map(|row| {
            object!({
                "name": row.name,
                "value": row.value,
                "declared": row.declared.as_ref().map(setting),
                "differs": row.difference.is_some(),
            })
        });
        object!({
            "at": *measured.at,
            "subject": measured.subject,
            "values": rows.collect::<Vec<_>>(),
            "seconds": measured.took.as_secs_f64(),
            "connections": measured.connections,
        })
    };
    all.iter().map(one).collect()
}
