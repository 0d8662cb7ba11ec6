//! Version 1: `PROXY TCP4 198.51.100.7 192.0.2.1 56324 443\r\n` (section 2.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Addresses, Command, Header, HeaderError, Start, Version, begins};

/// How each line begins.
const MARK: &[u8] = b"PROXY ";

/// Longest line with its CR LF (section 2.1).
const LINE_LIMIT: usize = 107;

pub(super) fn parse(bytes: &[u8]) -> Result<Start, HeaderError> {
    if !begins(bytes, MARK) {
        return Ok(Start::NoHeader);
    }
    let Some(end) = bytes.iter().take(LINE_LIMIT).position(|&byte| byte == b'\n') else {
        return if bytes.len() < LINE_LIMIT { Ok(Start::Partial) } else { Err(HeaderError::Unending) };
    };
    let addresses = bytes
        .get(..end)
        .and_then(|line| line.strip_suffix(b"\r"))
        .and_then(|line| line.strip_prefix(MARK))
        .and_then(fields)
        .ok_or(HeaderError::Line)?;
    Ok(Start::Header(end + 1, Header { version: Version::V1, command: Command::Proxy, addresses }))
}

/// What stands between `PROXY ` and the end of the line; the outer None for
/// what is malformed, the inner one for `UNKNOWN`.
fn fields(line: &[u8]) -> Option<Option<Addresses>> {
    let text = std::str::from_utf8(line).ok()?;
    let (protocol, rest) = text.split_once(' ').unwrap_or((text, ""));
    match protocol {
        // What follows may be anything and must be ignored.
        "UNKNOWN" => Some(None),
        "TCP4" => addresses(rest, |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)).map(Some),
        "TCP6" => addresses(rest, |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)).map(Some),
        _ => None,
    }
}

fn addresses(fields: &str, ip: impl Fn(&str) -> Option<IpAddr>) -> Option<Addresses> {
    let mut fields = fields.split(' ');
    let source = ip(fields.next()?)?;
    let destination = ip(fields.next()?)?;
    let source = SocketAddr::new(source, port(fields.next()?)?);
    let destination = SocketAddr::new(destination, port(fields.next()?)?);
    fields.next().is_none().then_some(Addresses { source, destination })
}

/// Digits alone, without a sign or a leading zero.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}
