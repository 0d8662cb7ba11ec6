//! Reading version 1: one line of text (specification, section 2.1).
//!
//! As strict as the specification: one space between fields, no leading zeros,
//! CRLF. Addresses are what `inet_pton` takes, so an IPv6 one may end in four
//! decimal numbers (`::ffff:192.0.2.1`): senders write it so. After `UNKNOWN`
//! anything may stand. Nothing here writes version 1: a Network Load Balancer
//! does not either.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use super::{Addresses, Command, End, Header, Malformed, Parsed, Tlvs};

/// What a line begins with.
pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// Bytes of the longest line, CRLF included.
const LINE_LIMIT: usize = 107;
const CRLF: &[u8] = b"\r\n";
const UNKNOWN: &[u8] = b"UNKNOWN";
const TCP4: &[u8] = b"TCP4";
const TCP6: &[u8] = b"TCP6";

/// Reads a line of which [`SIGNATURE`] is already gone.
pub(super) fn read(bytes: &[u8]) -> Result<Parsed<'_>, Malformed> {
    let (window, _) = bytes.split_at_checked(LINE_LIMIT - SIGNATURE.len()).unwrap_or((bytes, &[]));
    let end = window.windows(CRLF.len()).position(|pair| pair == CRLF);
    // A CR at the end may be the first half of the CRLF.
    let line = end.map_or_else(|| window.strip_suffix(b"\r").unwrap_or(window), |end| window.split_at(end).0);
    let mut words = line.splitn(2, |&byte| byte == b' ');
    let (protocol, fields) = (words.next().unwrap_or_default(), words.next());
    if fields.is_none() && end.is_none() {
        let may_become = [TCP4, TCP6, UNKNOWN].iter().any(|known| known.starts_with(protocol));
        return if may_become { Ok(Parsed::Incomplete) } else { Err(Malformed::Protocol) };
    }
    let strays = |byte: &&u8| !(byte.is_ascii_hexdigit() || b":. ".contains(byte));
    match protocol {
        TCP4 | TCP6 => {
            if let Some(&stray) = fields.unwrap_or_default().iter().find(strays) {
                return Err(Malformed::Byte(stray));
            }
        }
        UNKNOWN => {}
        _ => return Err(Malformed::Protocol),
    }
    let Some(end) = end else {
        let is_full = window.len() + SIGNATURE.len() == LINE_LIMIT;
        return if is_full { Err(Malformed::LineTooLong) } else { Ok(Parsed::Incomplete) };
    };
    let addresses = match protocol {
        TCP4 => Some(addresses::<Ipv4Addr>(fields)?),
        TCP6 => Some(addresses::<Ipv6Addr>(fields)?),
        _ => None,
    };
    let header = Header { command: Command::Proxy, addresses, tlvs: Tlvs::default() };
    Ok(Parsed::Header { header, len: SIGNATURE.len() + end + CRLF.len() })
}

/// Two addresses and two ports.
fn addresses<A: FromStr + Into<IpAddr>>(fields: Option<&[u8]>) -> Result<Addresses, Malformed> {
    let mut words = fields.into_iter().flat_map(|fields| fields.split(|&byte| byte == b' '));
    let [Some(source), Some(destination), Some(source_port), Some(destination_port)] =
        std::array::from_fn(|_| words.next())
    else {
        return Err(Malformed::FieldCount(field_count(fields)));
    };
    if words.next().is_some() {
        return Err(Malformed::FieldCount(field_count(fields)));
    }
    let source = address::<A>(source).ok_or(Malformed::Address(End::Source))?;
    let destination = address::<A>(destination).ok_or(Malformed::Address(End::Destination))?;
    let source_port = port(source_port).ok_or(Malformed::Port(End::Source))?;
    let destination_port = port(destination_port).ok_or(Malformed::Port(End::Destination))?;
    Ok(Addresses::new(SocketAddr::new(source, source_port), SocketAddr::new(destination, destination_port)))
}

fn field_count(fields: Option<&[u8]>) -> usize {
    fields.map_or(0, |fields| fields.split(|&byte| byte == b' ').count())
}

fn address<A: FromStr + Into<IpAddr>>(word: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(word).ok()?.parse::<A>().ok().map(Into::into)
}

fn port(word: &[u8]) -> Option<u16> {
    let is_canonical = matches!(word, b"0" | [b'1'..=b'9', ..]);
    std::str::from_utf8(word).ok().filter(|_| is_canonical)?.parse().ok()
}

#[cfg(test)]
mod tests;
