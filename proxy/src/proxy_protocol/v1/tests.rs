use super::{
    super::tests::{addresses, refused, whole},
    *,
};

#[track_caller]
fn check(line: &str, expected: Option<Addresses>) {
    let bytes = format!("{line}\r\nGET / HTTP/1.1\r\n\r\n").into_bytes();
    let (header, len) = whole(&bytes);
    assert_eq!(header, Header { command: Command::Proxy, addresses: expected, tlvs: Tlvs::default() });
    assert_eq!(len, line.len() + 2);
}

#[test]
fn a_line_names_both_ends() {
    check(
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443",
        Some(addresses("192.168.0.1:56324", "192.168.0.11:443")),
    );
    check(
        "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535",
        Some(addresses("255.255.255.255:65535", "255.255.255.255:65535")),
    );
    check("PROXY TCP4 0.0.0.0 0.0.0.0 0 0", Some(addresses("0.0.0.0:0", "0.0.0.0:0")));
    check(
        "PROXY TCP6 2001:DB8::7 2001:db8:0:1:0:0:0:9 41520 443",
        Some(addresses("[2001:db8::7]:41520", "[2001:db8:0:1::9]:443")),
    );
    let ones = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let end = format!("[{ones}]:65535");
    check(&format!("PROXY TCP6 {ones} {ones} 65535 65535"), Some(addresses(&end, &end)));
}

#[test]
fn an_ipv4_mapped_address_is_read_as_ipv4() {
    check("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:c000:208 1 2", Some(addresses("192.0.2.7:1", "192.0.2.8:2")));
}

#[test]
fn whatever_follows_unknown_is_ignored() {
    check("PROXY UNKNOWN", None);
    check("PROXY UNKNOWN ", None);
    check("PROXY UNKNOWN \r \n UDP4 ☃", None);
    let ones = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    check(&format!("PROXY UNKNOWN {ones} {ones} 65535 65535"), None);
}

#[test]
fn a_line_may_have_one_hundred_and_seven_bytes() {
    let line = format!("PROXY UNKNOWN {}", "x".repeat(91));
    assert_eq!(line.len() + 2, 107);
    check(&line, None);
    refused(format!("{line}x\r\n").as_bytes(), Malformed::LineTooLong);
    refused(format!("PROXY TCP4 {}", "1".repeat(200)).as_bytes(), Malformed::LineTooLong);
}

#[test]
fn another_protocol_is_refused_at_its_first_wrong_byte() {
    for line in
        ["PROXY U\rx", "PROXY UDP4", "PROXY tcp4", "PROXY TCP5", "PROXY  ", "PROXY \r\n", "PROXY UNKNOWNS"]
    {
        refused(line.as_bytes(), Malformed::Protocol);
    }
    for line in ["PROXY TCP \r\n", "PROXY UNKNOW\r\n", "PROXY TCP42 "] {
        refused(line.as_bytes(), Malformed::Protocol);
    }
}

#[test]
fn a_byte_that_is_in_no_address_is_refused_at_once() {
    for (line, byte) in [
        ("PROXY TCP4 192.0.2.7 192.0.2.8 1 2\n", b'\n'),
        ("PROXY TCP4 192.0.2.7 192.0.2.8 1 2\rG", b'\r'),
        ("PROXY TCP4 192.0.2.7\t", b'\t'),
        ("PROXY TCP4 192.0.2.7 192.0.2.8 +", b'+'),
        ("PROXY TCP6 fe80::1%", b'%'),
        ("PROXY TCP6 [", b'['),
        ("PROXY TCP4 \0", 0),
        ("PROXY TCP4 \u{e9}", 0xC3),
    ] {
        refused(line.as_bytes(), Malformed::Byte(byte));
    }
}

#[test]
fn other_than_four_fields_are_refused() {
    for (line, count) in [
        ("PROXY TCP4\r\n", 0),
        ("PROXY TCP4 \r\n", 1),
        ("PROXY TCP4 192.0.2.7 192.0.2.8 1\r\n", 3),
        ("PROXY TCP4 192.0.2.7 192.0.2.8 1 2 \r\n", 5),
        ("PROXY TCP4 192.0.2.7  192.0.2.8 1 2\r\n", 5),
        ("PROXY TCP4  192.0.2.7 192.0.2.8 1 2\r\n", 5),
        ("PROXY TCP4 192.0.2.7 192.0.2.8 1 2 3 4\r\n", 6),
    ] {
        refused(line.as_bytes(), Malformed::FieldCount(count));
    }
}

#[test]
fn an_address_of_another_form_or_family_is_refused() {
    for (protocol, good, bad) in [
        ("TCP4", "192.0.2.7", "192.0.2"),
        ("TCP4", "192.0.2.7", "192.0.2.256"),
        ("TCP4", "192.0.2.7", "192.0.2.07"),
        ("TCP4", "192.0.2.7", "192.0.2.7.1"),
        ("TCP4", "192.0.2.7", "c0.0.2.7"),
        ("TCP4", "192.0.2.7", "2001:db8::7"),
        ("TCP4", "192.0.2.7", ""),
        ("TCP6", "2001:db8::7", "2001:db8::1::7"),
        ("TCP6", "2001:db8::7", "2001:db8:7"),
        ("TCP6", "2001:db8::7", "02001:db8::7"),
        ("TCP6", "2001:db8::7", "192.0.2.7"),
    ] {
        let line =
            |source: &str, destination: &str| format!("PROXY {protocol} {source} {destination} 1 2\r\n");
        refused(line(bad, good).as_bytes(), Malformed::Address(End::Source));
        refused(line(good, bad).as_bytes(), Malformed::Address(End::Destination));
    }
}

#[test]
fn a_port_of_another_form_is_refused() {
    for bad in ["65536", "080", "00", "a", "1.5", "", "184467440737095516160"] {
        let line = |source: &str, destination: &str| {
            format!("PROXY TCP4 192.0.2.7 192.0.2.8 {source} {destination}\r\n")
        };
        refused(line(bad, "1").as_bytes(), Malformed::Port(End::Source));
        refused(line("1", bad).as_bytes(), Malformed::Port(End::Destination));
    }
}
