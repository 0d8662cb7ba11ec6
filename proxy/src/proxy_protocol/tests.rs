use std::net::{IpAddr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

/// The header that `bytes` begin with, found in no prefix that is shorter than it.
#[track_caller]
pub(super) fn whole(bytes: &[u8]) -> (Header<'_>, usize) {
    let Ok(Parsed::Header { header, len }) = parse(bytes) else {
        panic!("{} is {:?}", bytes.escape_ascii(), parse(bytes))
    };
    for end in 0..len {
        assert_eq!(parse(&bytes[..end]), Ok(Parsed::Incomplete), "the first {end} of {len}");
    }
    assert_eq!(parse(&bytes[..len]), Ok(Parsed::Header { header, len }));
    (header, len)
}

/// `bytes` are refused with `expected`; each prefix is too, or is still incomplete.
#[track_caller]
pub(super) fn refused(bytes: &[u8], expected: Malformed) {
    assert_eq!(parse(bytes), Err(expected), "{}", bytes.escape_ascii());
    let decided =
        (0..bytes.len()).map(|end| parse(&bytes[..end])).find(|parsed| *parsed != Ok(Parsed::Incomplete));
    assert_eq!(decided.unwrap_or(Err(expected)), Err(expected), "a prefix of {}", bytes.escape_ascii());
}

pub(super) fn addresses(source: &str, destination: &str) -> Addresses {
    Addresses { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

#[test]
fn what_begins_like_neither_version_is_no_header() {
    for bytes in [
        b"G".as_slice(),
        b"\0",
        b"\n",
        b"proxy TCP4 ",
        b"PATCH / HTTP/1.1\r\n\r\n",
        b"PROXYTCP4",
        b"\r\nGET / HTTP/1.1\r\n\r\n",
        b"\r\n\r\n\0\r\nQUIT\r\n",
        b"\x16\x03\x01\x02\0",
    ] {
        assert_eq!(parse(bytes), Ok(Parsed::NotProxy), "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_may_still_become_a_header_is_incomplete() {
    for bytes in [b"".as_slice(), b"P", b"PROXY", b"\r", b"\r\n\r\n\0\r\nQUIT", v2::SIGNATURE] {
        assert_eq!(parse(bytes), Ok(Parsed::Incomplete), "{}", bytes.escape_ascii());
    }
}

#[test]
fn only_the_first_of_several_headers_is_read() {
    let mut bytes = b"PROXY UNKNOWN\r\n".to_vec();
    bytes.extend(v2::local());
    let (header, len) = whole(&bytes);
    assert_eq!((header.command, len), (Command::Proxy, 15));
    let (header, len) = whole(&bytes[len..]);
    assert_eq!((header.command, len), (Command::Local, v2::LEN));
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
        any::<[u8; 4]>().prop_map(|octets| IpAddr::V6(std::net::Ipv4Addr::from(octets).to_ipv6_mapped())),
    ]
}

fn end() -> impl Strategy<Value = SocketAddr> {
    (ip(), any::<u16>()).prop_map(SocketAddr::from)
}

/// Bytes that begin like a header and go on in any way.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let block = prop::collection::vec(any::<u8>(), 0..300);
    let random = prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        random,
        "PROXY (TCP4|TCP6|UNKNOWN)?[ 0-9a-f:.\r\nX]{0,120}".prop_map(String::into_bytes),
        (0x1E..0x24_u8, any::<u8>(), any::<bool>(), block).prop_map(|(command, family, is_exact, block)| {
            let length = if is_exact { block.len() } else { block.len() * 2 + 1 };
            let mut bytes = v2::SIGNATURE.to_vec();
            bytes.extend([command, family]);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            bytes.extend(block);
            bytes
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_written_is_read_back(source in end(), destination in end(), rest: Vec<u8>) {
        let mut bytes = v2::proxy(source, destination).to_vec();
        bytes.extend(rest);
        let (header, len) = whole(&bytes);
        prop_assert_eq!(header.command, Command::Proxy);
        prop_assert_eq!(header.addresses, Some(Addresses::new(source, destination)));
        prop_assert_eq!(len, v2::LEN);
    }

    #[test]
    fn a_line_is_read_back(source: [u16; 2], destination: [u16; 2], octets: [[u8; 16]; 2], rest: Vec<u8>) {
        let [from, to] = octets.map(Ipv6Addr::from);
        let mut bytes = format!("PROXY TCP6 {from} {to} {} {}\r\n", source[0], destination[0]).into_bytes();
        let written = bytes.len();
        bytes.extend(rest);
        let (header, len) = whole(&bytes);
        let [source, destination] = [(from, source[0]), (to, destination[0])].map(SocketAddr::from);
        prop_assert_eq!(header.addresses, Some(Addresses::new(source, destination)));
        prop_assert_eq!(len, written);
    }

    /// A flip of the command, the family or the checksum's type can turn the header into one without
    /// addresses or checksum, but never into one that says something else.
    #[test]
    fn no_flipped_bit_changes_the_addresses(source in end(), destination in end(), at in 0..v2::LEN, bit in 0..8) {
        let mut bytes = v2::proxy(source, destination);
        bytes[at] ^= 1_u8 << bit;
        if let Ok(Parsed::Header { header, .. }) = parse(&bytes) {
            let expected = Addresses::new(source, destination);
            prop_assert!(header.addresses.is_none_or(|addresses| addresses == expected), "{header:?}");
        }
    }

    #[test]
    fn a_flipped_bit_of_an_address_a_port_or_the_padding_is_noticed(
        source in end(), destination in end(), bit in 0..8, at in prop_oneof![16..28_usize, 62..v2::LEN],
    ) {
        let mut bytes = v2::proxy(source, destination);
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(matches!(parse(&bytes), Err(Malformed::Checksum { .. })), "{:?}", parse(&bytes));
    }

    #[test]
    fn what_is_decided_stays_decided(bytes in hostile()) {
        let verdicts: Vec<_> = (0..=bytes.len()).map(|end| parse(&bytes[..end])).collect();
        let undecided = verdicts.iter().take_while(|verdict| **verdict == Ok(Parsed::Incomplete)).count();
        let (_, decided) = verdicts.split_at(undecided);
        if let Some(first) = decided.first() {
            prop_assert!(decided.iter().all(|verdict| verdict == first), "{:?}", decided);
        }
        if let Some(Ok(Parsed::Header { len, .. })) = decided.first() {
            prop_assert_eq!(*len, undecided);
        }
    }
}
