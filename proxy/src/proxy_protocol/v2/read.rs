//! Reading version 2, from any sender.
//!
//! Where the specification says that the block after the fixed part is to be
//! discarded (LOCAL) or its addresses ignored (UNSPEC), it may hold anything.
//! TLVs are then read if there are any: AWS's health checks name IPv4, carry no
//! addresses and begin with the checksum; other senders fill in addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{
    super::{Addresses, Command, Header, MAX_LEN, Malformed, Parsed, Tlv, Tlvs},
    CHECKSUM_LEN, CRC32C, FIXED_LEN, LOCAL, PROXY, SIGNATURE, VERSION,
};

const UNSPEC: u8 = 0;
const INET: u8 = 1;
const INET6: u8 = 2;
const UNIX: u8 = 3;
const STREAM: u8 = 1;
const DGRAM: u8 = 2;

/// Two addresses and two ports.
const INET_LEN: usize = 2 * 4 + 2 * 2;
const INET6_LEN: usize = 2 * 16 + 2 * 2;
/// Two paths.
const UNIX_LEN: usize = 2 * 108;

/// What is behind the fixed part.
#[derive(Debug, Clone, Copy)]
enum Block {
    Ipv4,
    Ipv6,
    /// So many bytes of addresses that are no TCP ends. The specification lets a receiver treat
    /// them as unspecified.
    Other(usize),
    /// Perhaps so many bytes of addresses; in any case nothing that counts.
    Ignored(usize),
}

/// Reads a header from bytes that begin with [`SIGNATURE`].
pub(in super::super) fn read(bytes: &[u8]) -> Result<Parsed<'_>, Malformed> {
    let mut fixed = bytes.iter().copied().skip(SIGNATURE.len());
    let Some(version_and_command) = fixed.next() else { return Ok(Parsed::Incomplete) };
    let command = command(version_and_command)?;
    let Some(family_and_transport) = fixed.next() else { return Ok(Parsed::Incomplete) };
    let block = block(command, family_and_transport)?;
    let (Some(high), Some(low)) = (fixed.next(), fixed.next()) else { return Ok(Parsed::Incomplete) };
    let len = FIXED_LEN + usize::from(u16::from_be_bytes([high, low]));
    if len > MAX_LEN {
        return Err(Malformed::TooLong(len));
    }
    block.check_length(len - FIXED_LEN)?;
    let Some((bytes, _)) = bytes.split_at_checked(len) else { return Ok(Parsed::Incomplete) };
    let (_, rest) = bytes.split_at_checked(FIXED_LEN).unwrap_or_default();
    let tlvs = block.tlvs(rest)?;
    check_sum(bytes, tlvs)?;
    Ok(Parsed::Header { header: Header { command, addresses: block.addresses(rest), tlvs }, len })
}

fn command(byte: u8) -> Result<Command, Malformed> {
    match (byte & 0xF0, byte & 0x0F) {
        (VERSION, LOCAL) => Ok(Command::Local),
        (VERSION, PROXY) => Ok(Command::Proxy),
        (VERSION, other) => Err(Malformed::Command(other)),
        (other, _) => Err(Malformed::Version(other >> 4)),
    }
}

fn block(command: Command, byte: u8) -> Result<Block, Malformed> {
    let (family, transport) = (byte >> 4, byte & 0x0F);
    let addresses_len = match family {
        INET => INET_LEN,
        INET6 => INET6_LEN,
        UNIX => UNIX_LEN,
        _ => 0,
    };
    match (command, family, transport) {
        (Command::Local, ..) => Ok(Block::Ignored(addresses_len)),
        (_, INET, STREAM) => Ok(Block::Ipv4),
        (_, INET6, STREAM) => Ok(Block::Ipv6),
        (_, INET | INET6, DGRAM) | (_, UNIX, STREAM | DGRAM) => Ok(Block::Other(addresses_len)),
        (_, UNSPEC, UNSPEC | STREAM | DGRAM) | (_, INET | INET6 | UNIX, UNSPEC) => {
            Ok(Block::Ignored(addresses_len))
        }
        (_, UNSPEC | INET | INET6 | UNIX, other) => Err(Malformed::Transport(other)),
        (_, other, _) => Err(Malformed::Family(other)),
    }
}

impl Block {
    /// Bytes of addresses that must be there.
    const fn addresses_len(self) -> usize {
        match self {
            Self::Ipv4 => INET_LEN,
            Self::Ipv6 => INET6_LEN,
            Self::Other(len) => len,
            Self::Ignored(_) => 0,
        }
    }

    const fn check_length(self, found: usize) -> Result<(), Malformed> {
        let needed = self.addresses_len();
        if found < needed { Err(Malformed::AddressesCut { found, needed }) } else { Ok(()) }
    }

    fn tlvs(self, rest: &[u8]) -> Result<Tlvs<'_>, Malformed> {
        let after = |len: usize| Tlvs::try_new(rest.get(len..).unwrap_or_default(), FIXED_LEN + len);
        match self {
            Self::Ignored(len) => Ok(after(0).or_else(|_| after(len)).unwrap_or_default()),
            Self::Ipv4 | Self::Ipv6 | Self::Other(_) => after(self.addresses_len()),
        }
    }

    fn addresses(self, rest: &[u8]) -> Option<Addresses> {
        match self {
            Self::Ipv4 => ends::<4, Ipv4Addr>(rest),
            Self::Ipv6 => ends::<16, Ipv6Addr>(rest),
            Self::Other(_) | Self::Ignored(_) => None,
        }
    }
}

fn ends<const LEN: usize, A: From<[u8; LEN]> + Into<IpAddr>>(rest: &[u8]) -> Option<Addresses> {
    let (source, rest) = rest.split_first_chunk::<LEN>()?;
    let (destination, rest) = rest.split_first_chunk::<LEN>()?;
    let (source_port, rest) = rest.split_first_chunk::<2>()?;
    let (destination_port, _) = rest.split_first_chunk::<2>()?;
    let end = |address: &[u8; LEN], port: &[u8; 2]| {
        SocketAddr::new(A::from(*address).into(), u16::from_be_bytes(*port))
    };
    Some(Addresses::new(end(source, source_port), end(destination, destination_port)))
}

/// Compares the checksum, if there is one, with that of the header in which its own four bytes are zero.
fn check_sum(header: &[u8], tlvs: Tlvs<'_>) -> Result<(), Malformed> {
    for (tlv, rest) in tlvs.with_rests().filter(|(tlv, _)| tlv.kind == Tlv::CRC32C) {
        let length = tlv.value.len();
        let field =
            <[u8; CHECKSUM_LEN]>::try_from(tlv.value).map_err(|_| Malformed::ChecksumLength(length))?;
        let before = header.len().saturating_sub(rest.len() + CHECKSUM_LEN);
        let mut digest = CRC32C.digest();
        digest.update(header.get(..before).unwrap_or_default());
        digest.update(&[0; CHECKSUM_LEN]);
        digest.update(rest);
        let (found, computed) = (u32::from_be_bytes(field), digest.finalize());
        if found != computed {
            return Err(Malformed::Checksum { found, computed });
        }
    }
    Ok(())
}
