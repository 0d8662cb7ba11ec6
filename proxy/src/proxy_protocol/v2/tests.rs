use super::{
    super::{
        Addresses, Command, Header, MAX_LEN, Malformed, Parsed, Tlvs, parse,
        tests::{addresses, refused, whole},
    },
    *,
};

/// A client's connection through a VPC endpoint, as AWS publishes it.
const PRIVATE_LINK: &[u8; LEN] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x54\
    \xac\x1f\x07\x71\xac\x1f\x0a\x1f\xc8\xf2\0\x50\
    \x03\0\x04\xe8\xd6\x89\x2d\
    \xea\0\x17\x01vpce-08d2bf15fac5001c9\
    \x04\0\x24\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const VPC_ENDPOINT: &str = "vpce-08d2bf15fac5001c9";

/// The bytes up to the padding, and how long that is.
#[track_caller]
fn check(written: [u8; LEN], begins: &[u8], padding: u8) {
    let (begin, rest) = written.split_at(begins.len());
    assert_eq!(begin.escape_ascii().to_string(), begins.escape_ascii().to_string());
    let (head, zeros) = rest.split_at(3);
    assert_eq!(head, [0x04, 0, padding]);
    assert_eq!(zeros, vec![0; usize::from(padding)]);
}

fn end(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A header with any command, family and block.
fn header(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[VERSION | command, family], &length, block].concat()
}

const ADDRESSES: &[u8] = b"\xc0\0\x02\x07\xc6\x33\x64\x09\xa2\x30\x01\xbb";

#[test]
fn the_published_header_is_written() {
    let mut draft = Draft::proxy(end("172.31.7.113:51442"), end("172.31.10.31:80"));
    draft.push_tlv_head(Tlv::AWS, 1 + VPC_ENDPOINT.len());
    draft.push(&[Tlv::AWS_VPC_ENDPOINT_ID]);
    draft.push(VPC_ENDPOINT.as_bytes());
    assert_eq!(draft.finish(), *PRIVATE_LINK);
}

#[test]
fn the_published_header_is_read() {
    let (header, len) = whole(PRIVATE_LINK);
    assert_eq!((header.command, len), (Command::Proxy, LEN));
    assert_eq!(header.addresses, Some(addresses("172.31.7.113:51442", "172.31.10.31:80")));
    assert_eq!(header.tlvs.vpc_endpoint_id(), Some(VPC_ENDPOINT));
    let kinds: Vec<_> = header.tlvs.iter().map(|tlv| (tlv.kind, tlv.value.len())).collect();
    assert_eq!(kinds, [(Tlv::CRC32C, 4), (Tlv::AWS, 23), (Tlv::NOOP, 36)]);
}

#[test]
fn a_health_check_is_written_as_it_was_captured() {
    let begins = b"\r\n\r\n\0\r\nQUIT\n\x20\x11\0\x54\x03\0\x04\xbc\xe5\x95\x1f";
    check(local(), begins, 74);
    let bytes = local();
    let (header, len) = whole(&bytes);
    assert_eq!((header.command, header.addresses, len), (Command::Local, None, LEN));
    assert_eq!(header.tlvs.iter().count(), 2);
}

#[test]
fn a_client_of_ipv4_is_written_so_even_if_its_address_is_mapped() {
    let begins = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x54\
        \xc0\0\x02\x07\xc6\x33\x64\x09\xa2\x30\x01\xbb\x03\0\x04\xd6\x3d\xf9\xbf";
    check(proxy(end("192.0.2.7:41520"), end("198.51.100.9:443")), begins, 62);
    check(proxy(end("[::ffff:192.0.2.7]:41520"), end("[::ffff:198.51.100.9]:443")), begins, 62);
}

#[test]
fn a_client_of_ipv6_shortens_the_padding() {
    let begins = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x54\
        \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\
        \x20\x01\x0d\xb8\0\0\0\x01\0\0\0\0\0\0\0\x09\
        \xa2\x30\x01\xbb\x03\0\x04\xa4\xdb\xe7\xe5";
    check(proxy(end("[2001:db8::7]:41520"), end("[2001:db8:0:1::9]:443")), begins, 38);
}

#[test]
fn an_end_of_ipv4_is_mapped_if_the_other_is_of_ipv6() {
    let begins = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x54\
        \0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x07\
        \x20\x01\x0d\xb8\0\0\0\x01\0\0\0\0\0\0\0\x09\
        \xa2\x30\x01\xbb\x03\0\x04\x64\x4c\x33\xf9";
    let written = proxy(end("192.0.2.7:41520"), end("[2001:db8:0:1::9]:443"));
    check(written, begins, 38);
    let (header, _) = whole(&written);
    assert_eq!(header.addresses, Some(addresses("192.0.2.7:41520", "[2001:db8:0:1::9]:443")));
}

#[test]
fn a_header_needs_neither_tlvs_nor_checksum() {
    let bytes = header(PROXY, TCP_IPV4, ADDRESSES);
    let (header, len) = whole(&bytes);
    assert_eq!(header.addresses, Some(addresses("192.0.2.7:41520", "198.51.100.9:443")));
    assert_eq!((header.tlvs, len), (Tlvs::default(), 28));
}

#[test]
fn known_tlvs_are_told_and_unknown_ones_passed_over() {
    let tlvs = b"\xe0\0\0\x01\0\x02h2\xf7\0\x01x\x02\0\x09a.example\x05\0\x03\0\x01\x02\xea\0\x01\x02\xea\0\x02\x01v";
    let bytes = header(PROXY, TCP_IPV4, &[ADDRESSES, tlvs].concat());
    let (Header { tlvs, .. }, _) = whole(&bytes);
    assert_eq!(tlvs.alpn(), Some(b"h2".as_slice()));
    assert_eq!(tlvs.authority(), Some("a.example"));
    assert_eq!(tlvs.unique_id(), Some(b"\0\x01\x02".as_slice()));
    assert_eq!(tlvs.vpc_endpoint_id(), Some("v"));
    assert_eq!(tlvs.value(0xF7), Some(b"x".as_slice()));
    assert_eq!(tlvs.value(0x30), None);
}

#[test]
fn a_name_that_is_no_text_is_not_told() {
    let bytes = header(PROXY, TCP_IPV4, &[ADDRESSES, b"\x02\0\x01\xff\xea\0\x03\x01v\n"].concat());
    let (Header { tlvs, .. }, _) = whole(&bytes);
    assert_eq!((tlvs.authority(), tlvs.vpc_endpoint_id()), (None, None));
}

#[test]
fn addresses_that_are_no_tcp_ends_are_passed_over() {
    for (family, len) in [(0x12, 12), (0x22, 36), (0x31, 216), (0x32, 216)] {
        let bytes = header(PROXY, family, &[vec![b'/'; len], b"\x01\0\x01x".to_vec()].concat());
        let (header, _) = whole(&bytes);
        assert_eq!((header.command, header.addresses), (Command::Proxy, None), "{family:#x}");
        assert_eq!(header.tlvs.alpn(), Some(b"x".as_slice()), "{family:#x}");
    }
}

#[test]
fn an_ignored_block_may_hold_addresses_or_tlvs_or_anything() {
    let cases = [(LOCAL, 0x00), (LOCAL, 0x11), (LOCAL, 0xFF), (PROXY, 0x00), (PROXY, 0x01), (PROXY, 0x10)];
    for (command, family) in cases {
        for (block, alpn) in [
            (b"".as_slice(), None),
            (b"\x01\0\x01x", Some(b"x".as_slice())),
            (b"\xff\xff\xff\xff\xff", None),
            (ADDRESSES, None),
        ] {
            let bytes = header(command, family, block);
            let (header, len) = whole(&bytes);
            assert_eq!((header.addresses, header.tlvs.alpn()), (None, alpn), "{command} {family:#x}");
            assert_eq!(len, FIXED_LEN + block.len());
        }
    }
    let bytes = header(LOCAL, TCP_IPV4, &[ADDRESSES, b"\x01\0\x01x"].concat());
    let (header, _) = whole(&bytes);
    assert_eq!((header.addresses, header.tlvs.alpn()), (None, Some(b"x".as_slice())));
}

#[test]
fn another_version_command_family_or_transport_is_refused_at_its_byte() {
    let begin = |bytes: &[u8]| [SIGNATURE, bytes].concat();
    refused(&begin(&[0x11]), Malformed::Version(1));
    refused(&begin(&[0x31]), Malformed::Version(3));
    refused(&begin(&[0x22]), Malformed::Command(2));
    refused(&begin(&[0x2F]), Malformed::Command(15));
    refused(&begin(&[0x21, 0x41]), Malformed::Family(4));
    refused(&begin(&[0x21, 0xF0]), Malformed::Family(15));
    refused(&begin(&[0x21, 0x13]), Malformed::Transport(3));
    refused(&begin(&[0x21, 0x0F]), Malformed::Transport(15));
}

#[test]
fn a_header_may_have_four_thousand_and_ninety_six_bytes() {
    let padding = MAX_LEN - FIXED_LEN - ADDRESSES.len() - Tlv::HEAD_LEN;
    let padded = |padding: usize| [ADDRESSES, &[Tlv::NOOP], &length(padding), &vec![0; padding]].concat();
    let (_, len) = whole(&header(PROXY, TCP_IPV4, &padded(padding)));
    assert_eq!(len, MAX_LEN);
    let longer = header(PROXY, TCP_IPV4, &padded(padding + 1));
    refused(&longer[..FIXED_LEN], Malformed::TooLong(MAX_LEN + 1));
    refused(&[SIGNATURE, b"\x20\0\xff\xff"].concat(), Malformed::TooLong(FIXED_LEN + 0xFFFF));
}

#[test]
fn a_block_too_short_for_its_addresses_is_refused_before_it_comes() {
    for (family, needed) in [(0x11, 12), (0x21, 36), (0x12, 12), (0x22, 36), (0x31, 216), (0x32, 216)] {
        let found = needed - 1;
        let bytes = header(PROXY, family, &vec![0; found]);
        refused(&bytes[..FIXED_LEN], Malformed::AddressesCut { found, needed });
    }
}

#[test]
fn a_tlv_that_ends_beyond_the_header_is_refused() {
    for (tlvs, at) in [
        (b"\x01".as_slice(), 28),
        (b"\x01\0", 28),
        (b"\x01\0\x01", 28),
        (b"\x01\xff\xff", 28),
        (b"\x01\0\0\x02\0\x02x", 31),
    ] {
        refused(&header(PROXY, TCP_IPV4, &[ADDRESSES, tlvs].concat()), Malformed::TlvCut(at));
    }
}

#[test]
fn a_checksum_has_four_bytes() {
    for (tlv, length) in [(b"\x03\0\0".as_slice(), 0), (b"\x03\0\x03abc", 3), (b"\x03\0\x05abcde", 5)] {
        refused(&header(PROXY, TCP_IPV4, &[ADDRESSES, tlv].concat()), Malformed::ChecksumLength(length));
        refused(&header(LOCAL, 0, tlv), Malformed::ChecksumLength(length));
    }
}

#[test]
fn a_wrong_checksum_is_refused_wherever_it_stands() {
    let mut bytes = *PRIVATE_LINK;
    bytes[19] ^= 1;
    let Err(Malformed::Checksum { found, computed }) = parse(&bytes) else { panic!("accepted") };
    assert_eq!(found, 0xE8D6_892D);
    assert_ne!(computed, found);
    refused(&bytes, Malformed::Checksum { found, computed });

    let mut check_of_health = local();
    check_of_health[LEN - 1] = 1;
    assert!(matches!(parse(&check_of_health), Err(Malformed::Checksum { found: 0xBCE5_951F, .. })));

    // Behind another TLV.
    let tlvs = b"\x01\0\x02h2\x03\0\x04\0\0\0\0\x04\0\0";
    let mut bytes = header(PROXY, TCP_IPV4, &[ADDRESSES, tlvs].concat());
    let at = bytes.len() - 7;
    let sum = CRC32C.checksum(&bytes).to_be_bytes();
    bytes[at..at + 4].copy_from_slice(&sum);
    whole(&bytes);
    bytes[31] ^= 1;
    assert!(matches!(parse(&bytes), Err(Malformed::Checksum { .. })));
}

#[test]
fn the_proxied_bytes_are_left_alone() {
    let bytes = [PRIVATE_LINK.as_slice(), b"\r\n\r\n\0"].concat();
    assert!(matches!(parse(&bytes), Ok(Parsed::Header { len: LEN, .. })));
    let Addresses { source, .. } = whole(&bytes).0.addresses.unwrap();
    assert_eq!(source.port(), 51442);
}
