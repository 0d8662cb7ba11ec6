//! Version 2: a signature, version and command, family and transport, length,
//! addresses, TLVs (section 2.2).

use std::net::{IpAddr, SocketAddr};

use super::{Addresses, Command, HEADER_LIMIT, Header, HeaderError, Start, Version, begins};

/// How each header begins: no other protocol does.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes before the addresses.
const FIXED: usize = 16;

pub(super) fn parse(bytes: &[u8]) -> Result<Start, HeaderError> {
    if !begins(bytes, SIGNATURE) {
        return Ok(Start::NoHeader);
    }
    let fixed = bytes.get(SIGNATURE.len()..).unwrap_or_default();
    let Some(&[version_command, family, high, low]) = fixed.first_chunk() else {
        return Ok(Start::Partial);
    };
    if version_command >> 4 != 2 {
        return Err(HeaderError::Version(version_command >> 4));
    }
    let command = match version_command & 0x0f {
        0 => Command::Local,
        1 => Command::Proxy,
        unknown => return Err(HeaderError::Command(unknown)),
    };
    let length = u16::from_be_bytes([high, low]);
    let size = FIXED + usize::from(length);
    if size > HEADER_LIMIT {
        return Err(HeaderError::TooLong(size));
    }
    // LOCAL: whatever else it says is ignored.
    if command == Command::Proxy && usize::from(length) < addresses_size(family)? {
        return Err(HeaderError::TooShort(length));
    }
    let Some(block) = bytes.get(FIXED..size) else {
        return Ok(Start::Partial);
    };
    let addresses = match (command, family) {
        (Command::Proxy, 0x11) => ends::<4>(block),
        (Command::Proxy, 0x21) => ends::<16>(block),
        (Command::Local | Command::Proxy, _) => None,
    };
    Ok(Start::Header(size, Header { version: Version::V2, command, addresses }))
}

/// Bytes that the addresses of a family take.
fn addresses_size(family: u8) -> Result<usize, HeaderError> {
    match family {
        0x00 => Ok(0),
        0x11 | 0x12 => Ok(12),
        0x21 | 0x22 => Ok(36),
        0x31 | 0x32 => Ok(216),
        _ => Err(HeaderError::Family(family)),
    }
}

/// Source and destination with addresses of `N` bytes each.
fn ends<const N: usize>(block: &[u8]) -> Option<Addresses>
where
    IpAddr: From<[u8; N]>,
{
    let (source, block) = block.split_first_chunk::<N>()?;
    let (destination, block) = block.split_first_chunk::<N>()?;
    let (source_port, block) = block.split_first_chunk()?;
    let destination_port = block.first_chunk()?;
    Some(Addresses {
        source: SocketAddr::new(IpAddr::from(*source), u16::from_be_bytes(*source_port)),
        destination: SocketAddr::new(IpAddr::from(*destination), u16::from_be_bytes(*destination_port)),
    })
}
