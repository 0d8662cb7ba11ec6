//! Access log lines. Pure, without allocation besides the line itself.
//!
//! ELB page: "Access log entries". In quoted fields double quotes, backslashes
//! and everything that is not printable ASCII become `\xHH`, so that a line is
//! one line and splits at spaces outside quotes, whatever clients send.

use std::{
    fmt::Display,
    io::Write as _,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use time::OffsetDateTime;

use super::record::{ChosenCertificate, ConnTraceId, MatchedRule, Record, RequestLine};

/// A user agent is cut after this many bytes: 8 KB.
pub const MAX_USER_AGENT: usize = 8 * 1024;

/// Appends the line of `record`, with its line feed, to `out`.
pub fn alb(record: &Record<'_>, out: &mut Vec<u8>) {
    let last = record.targets.last();
    word(out, record.kind.as_str());
    timestamp(out, record.time);
    out.push(b' ');
    word(out, record.elb);
    display(out, record.client);
    out.push(b' ');
    optional(out, last.map(|target| target.addr));
    seconds(out, record.request_processing_time);
    seconds(out, record.target_processing_time);
    seconds(out, record.response_processing_time);
    match record.elb_status_code {
        // A request caught by GOAWAY.
        Some(0) => word(out, "000"),
        status => optional(out, status),
    }
    optional(out, last.and_then(|target| target.status_code));
    decimal(out, record.received_bytes);
    out.push(b' ');
    decimal(out, record.sent_bytes);
    out.push(b' ');
    request(out, &record.request);
    quoted(out, record.user_agent.map(|agent| agent.get(..MAX_USER_AGENT).unwrap_or(agent)));
    word(out, record.ssl_cipher.unwrap_or("-"));
    word(out, record.ssl_protocol.unwrap_or("-"));
    word(out, record.target_group_arn.unwrap_or("-"));
    quoted(out, record.trace_id);
    quoted(out, record.domain_name.map(str::as_bytes));
    quoted(
        out,
        match record.chosen_cert {
            ChosenCertificate::None => None,
            ChosenCertificate::Arn(arn) => Some(arn.as_bytes()),
            ChosenCertificate::SessionReused => Some(b"session-reused"),
        },
    );
    match record.matched_rule {
        MatchedRule::NotReached => word(out, "-"),
        MatchedRule::EvaluationError => word(out, "-1"),
        MatchedRule::Default => word(out, "0"),
        MatchedRule::Priority(priority) => optional(out, Some(priority)),
    }
    timestamp(out, record.request_creation_time);
    out.push(b' ');
    tail(record, out);
}

/// Fields 23 to 34.
fn tail(record: &Record<'_>, out: &mut Vec<u8>) {
    list(out, record.actions_executed, b',', |out, action| out.extend_from_slice(action.as_str().as_bytes()));
    quoted(out, record.redirect_url.map(str::as_bytes));
    quoted(out, record.error_reason.map(str::as_bytes));
    list(out, record.targets, b' ', |out, target| display(out, target.addr));
    list(out, record.targets, b' ', |out, target| match target.status_code {
        Some(code) => decimal(out, code.into()),
        None => out.push(b'-'),
    });
    quoted(out, record.classification.map(|class| class.as_str().as_bytes()));
    quoted(out, record.classification_reason.map(str::as_bytes));
    conn_trace_id(out, record.conn_trace_id);
    quoted(out, record.transformed_host);
    quoted(out, record.transformed_uri);
    quoted(out, record.request_transform_status.map(str::as_bytes));
    match record.ip_address {
        Some(ip) => display(out, ip),
        None => out.push(b'-'),
    }
    out.push(b'\n');
}

/// A bare field and the space after it.
fn word(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(b' ');
}

/// A bare field that may be missing, and the space after it.
fn optional(out: &mut Vec<u8>, value: Option<impl Display>) {
    match value {
        Some(value) => display(out, value),
        None => out.push(b'-'),
    }
    out.push(b' ');
}

/// A quoted field that may be missing, and the space after it.
fn quoted(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    out.push(b'"');
    escaped(out, bytes.unwrap_or(b"-"));
    out.extend_from_slice(b"\" ");
}

/// A quoted list, `"-"` when empty, and the space after it.
fn list<T>(out: &mut Vec<u8>, items: &[T], separator: u8, write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'"');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(separator);
        }
        write(out, item);
    }
    if items.is_empty() {
        out.push(b'-');
    }
    out.extend_from_slice(b"\" ");
}

fn request(out: &mut Vec<u8>, request: &RequestLine<'_>) {
    out.push(b'"');
    match *request {
        RequestLine::Readable { method, scheme, host, port, path_and_query, version } => {
            escaped(out, method.as_bytes());
            out.push(b' ');
            out.extend_from_slice(scheme.as_str().as_bytes());
            out.extend_from_slice(b"://");
            escaped(out, host);
            if !has_port(host) {
                out.push(b':');
                decimal(out, port.into());
            }
            escaped(out, path_and_query);
            out.push(b' ');
            out.extend_from_slice(version.as_str().as_bytes());
        }
        RequestLine::Unreadable { scheme, local } => {
            out.extend_from_slice(b"- ");
            out.extend_from_slice(scheme.as_str().as_bytes());
            out.extend_from_slice(b"://");
            display::<SocketAddr>(out, local);
            out.extend_from_slice(b"- -");
        }
    }
    out.extend_from_slice(b"\" ");
}

/// Whether a host ends in `:port`; the colons of an IPv6 literal are inside brackets.
fn has_port(host: &[u8]) -> bool {
    let digits = host.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && host.iter().rev().nth(digits) == Some(&b':')
}

/// Copies runs of harmless bytes at once and escapes the others.
fn escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or(b'0');
    let harmless = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    let mut rest = bytes;
    while !rest.is_empty() {
        let run = rest.iter().position(|&byte| !harmless(byte)).unwrap_or(rest.len());
        let (plain, other) = rest.split_at(run);
        out.extend_from_slice(plain);
        rest = match other.split_first() {
            Some((&byte, rest)) => {
                out.extend_from_slice(&[b'\\', b'x', digit(byte >> 4), digit(byte & 0xf)]);
                rest
            }
            None => other,
        };
    }
}

/// Seconds with three decimals, cut, and the space after it; `-1` for no time.
fn seconds(out: &mut Vec<u8>, time: Option<Duration>) {
    if let Some(time) = time {
        decimal(out, time.as_secs());
        out.push(b'.');
        padded::<3>(out, time.subsec_millis());
        out.push(b' ');
    } else {
        word(out, "-1");
    }
}

/// ISO 8601 with microseconds in UTC: `2018-07-02T22:23:00.186641Z`.
fn timestamp(out: &mut Vec<u8>, time: SystemTime) {
    let time = OffsetDateTime::from(time);
    padded::<4>(out, time.year().unsigned_abs());
    out.push(b'-');
    padded::<2>(out, u8::from(time.month()).into());
    out.push(b'-');
    padded::<2>(out, time.day().into());
    out.push(b'T');
    padded::<2>(out, time.hour().into());
    out.push(b':');
    padded::<2>(out, time.minute().into());
    out.push(b':');
    padded::<2>(out, time.second().into());
    out.push(b'.');
    padded::<6>(out, time.microsecond());
    out.push(b'Z');
}

fn conn_trace_id(out: &mut Vec<u8>, ConnTraceId(id): ConnTraceId) {
    display(out, format_args!("TID_{id:016x} "));
}

fn decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    out.extend(digits.iter().skip(20 - used));
}

/// The last `WIDTH` decimal digits of `value`.
fn padded<const WIDTH: usize>(out: &mut Vec<u8>, mut value: u32) {
    let mut digits = [b'0'; WIDTH];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
    out.extend_from_slice(&digits);
}

fn display<T: Display>(out: &mut Vec<u8>, value: T) {
    // Writing to a Vec does not fail.
    write!(out, "{value}").unwrap_or_default();
}

#[cfg(test)]
mod tests;
