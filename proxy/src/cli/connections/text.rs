//! Connections for people.

use super::{
    super::table::{BAD, Cell, DIM, PLAIN, Table, WARNING, bytes, span},
    Listed,
};

/// Seconds to the cut from which on it is shown in a louder colour.
const SOON: f64 = 60.0;
/// The same, louder still.
const VERY_SOON: f64 = 10.0;

/// A table, and of how many it is. Styles are always written.
pub(super) fn text(total: usize, listed: &[Listed]) -> String {
    let mut table =
        Table::new(["CLIENT", "PROTOCOL", "TARGET", "AGE", "IDLE", "CUT IN", "RECEIVED", "SENT", "REQUESTS"]);
    for Listed { connection, .. } in listed {
        let left = connection.seconds_to_idle_timeout;
        let style = match left {
            _ if left < VERY_SOON => BAD,
            _ if left < SOON => WARNING,
            _ => PLAIN,
        };
        table.push([
            Cell::from(&connection.client),
            Cell::from(&connection.protocol),
            Cell::from(
                connection.web_socket_target.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            ),
            Cell::from(span(connection.age_seconds)),
            Cell::from(span(connection.idle_seconds)),
            Cell::new(span(left), style),
            Cell::from(bytes(connection.received_bytes)),
            Cell::from(bytes(connection.sent_bytes)),
            Cell::from(connection.request_count),
        ]);
    }
    let noun = if total == 1 { "connection" } else { "connections" };
    let count = if listed.len() == total {
        format!("{total} {noun}")
    } else {
        format!("{} of {total} {noun}", listed.len())
    };
    let table = if table.is_empty() { String::new() } else { table.render() };
    format!("{table}{DIM}{count}{DIM:#}\n")
}
