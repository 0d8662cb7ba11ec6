//! What can be wrong with a header.

use std::fmt;

use thiserror::Error;

use super::MAX_LEN;

/// Bytes that begin like a header and are none. The sender's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Version 1: neither `TCP4`, `TCP6` nor `UNKNOWN`.
    #[error("PROXY line names an unknown protocol")]
    Protocol,
    /// Version 1: a byte that is in no address and no port, such as a CR or LF alone.
    #[error("PROXY line contains byte {0:#04x}")]
    Byte(u8),
    /// Version 1: no CRLF within the 107 bytes that the longest line has.
    #[error("PROXY line does not end within 107 bytes")]
    LineTooLong,
    /// Version 1: not two addresses and two ports with one space between them.
    #[error("PROXY line has {0} fields after its protocol, not 4")]
    FieldCount(usize),
    /// Version 1: not an address of the family that the line names.
    #[error("PROXY line's {0} address is malformed")]
    Address(End),
    /// Version 1: not a decimal number up to 65535 without leading zeros.
    #[error("PROXY line's {0} port is malformed")]
    Port(End),
    /// Version 2's signature with another version.
    #[error("PROXY header has version {0}, not 2")]
    Version(u8),
    /// Version 2: neither LOCAL (0) nor PROXY (1).
    #[error("PROXY header has unknown command {0}")]
    Command(u8),
    /// Version 2: not UNSPEC (0), INET (1), INET6 (2) or UNIX (3).
    #[error("PROXY header has unknown address family {0}")]
    Family(u8),
    /// Version 2: not UNSPEC (0), STREAM (1) or DGRAM (2).
    #[error("PROXY header has unknown transport {0}")]
    Transport(u8),
    /// Version 2: a header of this many bytes, more than [`MAX_LEN`].
    #[error("PROXY header has {0} bytes, more than {MAX_LEN}")]
    TooLong(usize),
    /// Version 2: too short for the addresses of its family.
    #[error("PROXY header leaves {found} bytes for addresses that take {needed}")]
    AddressesCut {
        /// Bytes after the fixed part.
        found: usize,
        /// What the family takes.
        needed: usize,
    },
    /// Version 2: the TLV that begins at this byte of the header does not end within it.
    #[error("PROXY header ends within the TLV at byte {0}")]
    TlvCut(usize),
    /// Version 2: a CRC32C of this many bytes instead of 4.
    #[error("PROXY header has a checksum of {0} bytes, not 4")]
    ChecksumLength(usize),
    /// Version 2: the header's CRC32C is another.
    #[error("PROXY header has checksum {found:#010x}, not {computed:#010x}")]
    Checksum {
        /// The one in the header.
        found: u32,
        /// The right one.
        computed: u32,
    },
}

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client's.
    Source,
    /// The one the client connected to.
    Destination,
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
        })
    }
}
