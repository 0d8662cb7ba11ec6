//! A client hello of an old version, and what a server's first record says to it.
//!
//! RFC 2246 and 4346 (TLS 1.0 and 1.1), RFC 5246 (1.2), RFC 8422 (elliptic
//! curves). The library speaks TLS 1.2 and 1.3 only; whether a server would still
//! speak an older version shows in the first record it answers with.

/// A version that is asked for in this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OldVersion {
    Tls10,
    Tls11,
}

impl OldVersion {
    const fn wire(self) -> [u8; 2] {
        match self {
            Self::Tls10 => [3, 1],
            Self::Tls11 => [3, 2],
        }
    }
}

/// What the server's first record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// A server hello with the version that was asked for.
    Accepted,
    /// An alert, with its description (RFC 5246 section 7.2).
    Refused(u8),
    /// More bytes are needed.
    Partial,
    /// Not what a server answers.
    Malformed,
}

/// Suites that servers of these versions have: ECDHE and RSA with AES in CBC mode, and 3DES.
const SUITES: [u16; 9] = [
    0xc009, // ECDHE_ECDSA_WITH_AES_128_CBC_SHA
    0xc00a, // ECDHE_ECDSA_WITH_AES_256_CBC_SHA
    0xc013, // ECDHE_RSA_WITH_AES_128_CBC_SHA
    0xc014, // ECDHE_RSA_WITH_AES_256_CBC_SHA
    0x0033, // DHE_RSA_WITH_AES_128_CBC_SHA
    0x0039, // DHE_RSA_WITH_AES_256_CBC_SHA
    0x002f, // RSA_WITH_AES_128_CBC_SHA
    0x0035, // RSA_WITH_AES_256_CBC_SHA
    0x000a, // RSA_WITH_3DES_EDE_CBC_SHA
];
/// Says that the client knows secure renegotiation (RFC 5746 section 3.3).
const RENEGOTIATION_SUITE: u16 = 0x00ff;
/// secp256r1, secp384r1, secp521r1.
const GROUPS: [u16; 3] = [23, 24, 25];
/// SHA-256 and SHA-1 with ECDSA and RSA. Old versions do not know them; without them, newer servers refuse the
/// hello for that and not for its version.
const SCHEMES: [u16; 4] = [0x0403, 0x0401, 0x0203, 0x0201];

/// The record with the client hello; `name` is the server name, if the host has one.
pub(super) fn client_hello(version: OldVersion, name: Option<&str>, random: [u8; 32]) -> Vec<u8> {
    let mut body = version.wire().to_vec();
    body.extend(random);
    // No session.
    body.push(0);
    let suites = [&numbers(&SUITES)[..], &RENEGOTIATION_SUITE.to_be_bytes()].concat();
    body.extend(with_length16(&suites));
    // No compression.
    body.extend([1, 0]);
    let mut extensions = Vec::new();
    if let Some(name) = name {
        let entry = [&[0][..], &with_length16(name.as_bytes())].concat();
        extensions.extend(extension(0, &with_length16(&entry)));
    }
    extensions.extend(extension(10, &with_length16(&numbers(&GROUPS))));
    // Points are not compressed.
    extensions.extend(extension(11, &[1, 0]));
    extensions.extend(extension(13, &with_length16(&numbers(&SCHEMES))));
    body.extend(with_length16(&extensions));
    let length = length16(&body);
    let handshake = [&[1, 0][..], &length, &body].concat();
    // The version of the first record is that of the oldest TLS, whatever the hello asks for.
    [&[22, 3, 1][..], &with_length16(&handshake)].concat()
}

fn numbers(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn length16(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes()
}

fn with_length16(bytes: &[u8]) -> Vec<u8> {
    [&length16(bytes)[..], bytes].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &with_length16(content)].concat()
}

/// Reads the start of what a server answers.
pub(super) fn read(bytes: &[u8], asked: OldVersion) -> Reply {
    match bytes {
        // Record head, then level and description.
        [21, 3, _, _, _, _, description, ..] => Reply::Refused(*description),
        // Record head, then type and length of the message, then its version.
        [22, 3, _, _, _, 2, _, _, _, major, minor, ..] => {
            if [*major, *minor] == asked.wire() {
                Reply::Accepted
            } else {
                // What answers with another version has refused this one.
                Reply::Refused(PROTOCOL_VERSION)
            }
        }
        [] | [21 | 22] => Reply::Partial,
        [21 | 22, 3, ..] if bytes.len() < 11 => Reply::Partial,
        _ => Reply::Malformed,
    }
}

/// The alert by which a server refuses a version.
pub(super) const PROTOCOL_VERSION: u8 = 70;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hello_has_consistent_lengths() {
        for name in [None, Some("a.example")] {
            let hello = client_hello(OldVersion::Tls11, name, [7; 32]);
            assert_eq!(hello[..3], [22, 3, 1]);
            assert_eq!(usize::from(u16::from_be_bytes([hello[3], hello[4]])), hello.len() - 5);
            assert_eq!(hello[5], 1, "a client hello");
            assert_eq!(hello[6], 0);
            assert_eq!(usize::from(u16::from_be_bytes([hello[7], hello[8]])), hello.len() - 9);
            assert_eq!(hello[9..11], [3, 2]);
        }
    }

    /// The library refuses the hello for its version, and for nothing before that.
    #[test]
    fn the_library_reads_the_hello() {
        let hello = client_hello(OldVersion::Tls10, Some("a.example"), [7; 32]);
        let mut acceptor = rustls::server::Acceptor::default();
        acceptor.read_tls(&mut hello.as_slice()).unwrap();
        let refused = acceptor.accept().err().map(|(error, _)| error);
        assert!(!matches!(refused, Some(rustls::Error::InvalidMessage(_))), "{refused:?}");
    }

    #[test]
    fn the_first_record_tells() {
        let server_hello = |minor: u8| [22, 3, minor, 0, 80, 2, 0, 0, 76, 3, minor];
        assert_eq!(read(&server_hello(1), OldVersion::Tls10), Reply::Accepted);
        assert_eq!(read(&server_hello(2), OldVersion::Tls10), Reply::Refused(PROTOCOL_VERSION));
        assert_eq!(read(&[21, 3, 1, 0, 2, 2, 70], OldVersion::Tls10), Reply::Refused(70));
        assert_eq!(read(&[21, 3, 1, 0, 2], OldVersion::Tls10), Reply::Partial);
        assert_eq!(read(b"HTTP/1.1 400", OldVersion::Tls10), Reply::Malformed);
        assert_eq!(read(&[22, 3, 1, 0, 80, 99, 0, 0, 0, 3, 1], OldVersion::Tls10), Reply::Malformed);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            read(&bytes, OldVersion::Tls10);
        }
    }
}
