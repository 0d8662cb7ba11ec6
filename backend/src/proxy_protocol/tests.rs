//! Headers whole, in pieces, and broken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A version 2 header.
fn v2(version_command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap();
    [SIGNATURE, &[version_command, family], &length.to_be_bytes(), block].concat()
}

fn ends(source: &str, destination: &str) -> Option<Addresses> {
    Some(Addresses { source: source.parse().unwrap(), destination: destination.parse().unwrap() })
}

#[track_caller]
fn check(header: &[u8], version: Version, command: Command, addresses: Option<Addresses>) {
    let expected = Start::Header(header.len(), Header { version, command, addresses });
    let text = header.escape_ascii();
    assert_eq!(parse(header), Ok(expected), "{text}");
    assert_eq!(parse(&[header, header].concat()), Ok(expected), "{text} twice");
    for length in 0..header.len() {
        assert_eq!(parse(&header[..length]), Ok(Start::Partial), "{length} bytes of {text}");
    }
}

#[track_caller]
fn fails(bytes: &[u8], expected: HeaderError) {
    let text = bytes.escape_ascii();
    assert_eq!(parse(bytes), Err(expected), "{text}");
    let more = [bytes, b"GET / HTTP/1.1\r\n\r\n"].concat();
    assert_eq!(parse(&more), Err(expected), "{text} and more");
}

#[test]
fn version_1_is_read() {
    let v1 = |line: &str, addresses| check(line.as_bytes(), Version::V1, Command::Proxy, addresses);
    v1("PROXY TCP4 198.51.100.7 192.0.2.1 56324 443\r\n", ends("198.51.100.7:56324", "192.0.2.1:443"));
    v1("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", ends("0.0.0.0:0", "255.255.255.255:65535"));
    v1("PROXY TCP6 2001:db8::7 ::1 1 2\r\n", ends("[2001:db8::7]:1", "[::1]:2"));
    v1("PROXY UNKNOWN\r\n", None);
    v1("PROXY UNKNOWN ffff::1 whatever\t1 2\r\n", None);
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(107 - 16));
    v1(&longest, None);
}

#[test]
fn a_line_that_is_not_as_written_is_malformed() {
    for line in [
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        "PROXY TCP4 1.2.3.4\r1.2.3.4 1 2\r\n",
        "PROXY UNKNOWN\n",
        "PROXY UNKNOWN\u{e9}\r\n",
    ] {
        fails(line.as_bytes(), HeaderError::Line);
    }
    fails(b"PROXY TCP4 \xff 1.2.3.4 1 2\r\n", HeaderError::Line);
    let endless = format!("PROXY UNKNOWN {}", "f".repeat(107 - 14));
    fails(endless.as_bytes(), HeaderError::Unending);
    // One byte too long, though it ends.
    fails(format!("PROXY UNKNOWN {}\r\n", "f".repeat(108 - 16)).as_bytes(), HeaderError::Unending);
}

#[test]
fn version_2_is_read() {
    let v2_is = |bytes: &[u8], command, addresses| check(bytes, Version::V2, command, addresses);
    let four = [198, 51, 100, 7, 192, 0, 2, 1, 0xdc, 0x04, 1, 0xbb];
    let four_ends = ends("198.51.100.7:56324", "192.0.2.1:443");
    v2_is(&v2(0x21, 0x11, &four), Command::Proxy, four_ends);
    let tlvs = [0x03, 0, 4, 0xa9, 0xb8, 0x7e, 0x8f, 0x04, 0, 3, 0, 0, 0];
    v2_is(&v2(0x21, 0x11, &[&four[..], &tlvs].concat()), Command::Proxy, four_ends);
    let mut six = [0; 36];
    six[..2].copy_from_slice(&[0x20, 0x01]);
    six[15] = 7;
    six[31] = 1;
    six[33] = 1;
    six[35] = 2;
    v2_is(&v2(0x21, 0x21, &six), Command::Proxy, ends("[2001::7]:1", "[::1]:2"));
    // Addresses that are none of TCP, and none at all.
    for (family, size) in [(0x00, 0), (0x00, 5), (0x12, 12), (0x22, 36), (0x31, 216), (0x32, 216)] {
        v2_is(&v2(0x21, family, &vec![1; size]), Command::Proxy, None);
    }
    // What a LOCAL header says besides is ignored, whatever it is.
    for (family, block) in [(0x00, &[][..]), (0x11, &four), (0x11, &[1]), (0xff, &[9; 3])] {
        v2_is(&v2(0x20, family, block), Command::Local, None);
    }
    v2_is(&v2(0x21, 0x11, &vec![1; HEADER_LIMIT - 16]), Command::Proxy, ends("1.1.1.1:257", "1.1.1.1:257"));
}

#[test]
fn version_2_with_impossible_values_is_malformed_at_once() {
    let block = [0; 12];
    fails(&v2(0x11, 0x11, &block), HeaderError::Version(1));
    fails(&v2(0x22, 0x11, &block), HeaderError::Command(2));
    for family in [0x01, 0x10, 0x13, 0x20, 0x33, 0x41, 0xff] {
        fails(&v2(0x21, family, &block), HeaderError::Family(family));
    }
    fails(&v2(0x21, 0x11, &block[1..]), HeaderError::TooShort(11));
    fails(&v2(0x21, 0x21, &[0; 35]), HeaderError::TooShort(35));
    fails(&v2(0x21, 0x31, &[0; 215]), HeaderError::TooShort(215));
    // Before a byte of what it announces has come.
    let too_long = v2(0x20, 0x00, &vec![0; HEADER_LIMIT - 15]);
    fails(&too_long[..16], HeaderError::TooLong(HEADER_LIMIT + 1));
}

#[test]
fn anything_else_is_no_header_as_soon_as_it_differs() {
    for bytes in [
        &b"G"[..],
        b"\x16\x03\x01",
        b"PROPFIND / HTTP/1.1",
        b"PROXY\r\n",
        b"\r\nGET",
        b"\r\n\r\n\0\r\nQUIT\r",
    ] {
        let text = bytes.escape_ascii();
        assert_eq!(parse(bytes), Ok(Start::NoHeader), "{text}");
    }
    for bytes in [&b""[..], b"P", b"PRO", b"\r\n", b"\r\n\r\n\0\r\nQUIT\n"] {
        assert_eq!(parse(bytes), Ok(Start::Partial), "{}", bytes.escape_ascii());
    }
}

fn ip(is_v6: bool) -> BoxedStrategy<IpAddr> {
    if is_v6 {
        any::<Ipv6Addr>().prop_map(IpAddr::V6).boxed()
    } else {
        any::<Ipv4Addr>().prop_map(IpAddr::V4).boxed()
    }
}

fn addresses() -> impl Strategy<Value = Addresses> {
    any::<bool>().prop_flat_map(|is_v6| (ip(is_v6), any::<u16>(), ip(is_v6), any::<u16>())).prop_map(
        |(source, source_port, destination, destination_port)| Addresses {
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
        },
    )
}

/// As a sender writes them.
fn written(version: Version, Addresses { source, destination }: Addresses, tlvs: &[u8]) -> Vec<u8> {
    let protocol = if source.is_ipv6() { "TCP6" } else { "TCP4" };
    let (from, to) = (source.ip(), destination.ip());
    if version == Version::V1 {
        let (from_port, to_port) = (source.port(), destination.port());
        return format!("PROXY {protocol} {from} {to} {from_port} {to_port}\r\n").into_bytes();
    }
    let octets = |ip| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    let block = [octets(from), octets(to), ports, tlvs.to_vec()].concat();
    v2(0x21, if source.is_ipv6() { 0x21 } else { 0x11 }, &block)
}

proptest! {
    #[test]
    fn what_a_sender_writes_is_read_however_it_is_split(
        addresses in addresses(),
        is_v1 in any::<bool>(),
        tlvs in prop::collection::vec(any::<u8>(), 0..300),
        after in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let version = if is_v1 { Version::V1 } else { Version::V2 };
        let header = written(version, addresses, &tlvs);
        let all = [&header[..], &after].concat();
        let expected = Header { version, command: Command::Proxy, addresses: Some(addresses) };
        for length in 0..=all.len() {
            let start = parse(&all[..length]);
            if length < header.len() {
                prop_assert_eq!(start, Ok(Start::Partial));
            } else {
                prop_assert_eq!(start, Ok(Start::Header(header.len(), expected)));
            }
        }
    }

    #[test]
    fn more_bytes_never_change_a_verdict(
        mark in prop_oneof![Just(&b"PROXY "[..]), Just(SIGNATURE), Just(&b""[..])],
        bytes in prop::collection::vec(any::<u8>(), 0..150),
    ) {
        let all = [mark, &bytes].concat();
        let mut verdict = None;
        for length in 0..=all.len() {
            let start = parse(&all[..length]);
            if let Some(verdict) = &verdict {
                prop_assert_eq!(&start, verdict);
            } else if start != Ok(Start::Partial) {
                if let Ok(Start::Header(size, _)) = start {
                    prop_assert!(size == length && size <= HEADER_LIMIT);
                }
                verdict = Some(start);
            }
        }
    }
}
