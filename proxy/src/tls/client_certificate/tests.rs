use rcgen::{
    CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SerialNumber,
    string::{BmpString, PrintableString, TeletexString},
};

use super::*;

fn made(name: DistinguishedName, serial: &[u8]) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.serial_number = Some(SerialNumber::from_slice(serial));
    params.not_before = time::macros::datetime!(2023-09-21 01:50:17 UTC);
    params.not_after = time::macros::datetime!(2054-09-20 01:50:17 UTC);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
}

fn name(attributes: &[(DnType, DnValue)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (kind, value) in attributes {
        name.push(kind.clone(), value.clone());
    }
    name
}

fn utf8(text: &str) -> DnValue {
    DnValue::Utf8String(text.to_owned())
}

#[track_caller]
fn check(attributes: &[(DnType, DnValue)], expected: &str) {
    let certificate = made(name(attributes), &[1]);
    let described = ClientCertificate::new(&certificate, &[], PemScope::Leaf).unwrap();
    assert_eq!(described.subject, expected);
    assert_eq!(described.issuer, expected);
}

#[test]
fn names_are_written_backwards_with_short_names() {
    let printable = |text: &str| DnValue::PrintableString(PrintableString::try_from(text).unwrap());
    check(
        &[
            (DnType::CountryName, printable("US")),
            (DnType::StateOrProvinceName, utf8("Washington")),
            (DnType::LocalityName, utf8("Seattle")),
            (DnType::OrganizationName, utf8("mTLS")),
            (DnType::OrganizationalUnitName, utf8("rootCA")),
            (DnType::CommonName, utf8("rootcamtls.com")),
        ],
        "CN=rootcamtls.com,OU=rootCA,O=mTLS,L=Seattle,ST=Washington,C=US",
    );
    check(&[], "");
}

#[test]
fn what_would_be_misread_is_escaped() {
    check(&[(DnType::CommonName, utf8(" a, b+\"c\\d<e>f;g "))], r#"CN=\ a\, b\+\"c\\d\<e\>f\;g\ "#);
    check(&[(DnType::CommonName, utf8("#1 a#b"))], r"CN=\#1 a#b");
    check(&[(DnType::CommonName, utf8("a\r\nX: y"))], r"CN=a\0D\0AX: y");
    check(&[(DnType::CommonName, utf8("Zoë"))], r"CN=Zo\C3\AB");
    let latin = DnValue::TeletexString(TeletexString::try_from("plain").unwrap());
    check(&[(DnType::OrganizationName, latin)], "O=plain");
    let wide = DnValue::BmpString(BmpString::try_from("ë").unwrap());
    check(&[(DnType::OrganizationName, wide)], r"O=\C3\AB");
}

#[test]
fn an_attribute_without_a_name_is_written_in_hexadecimal() {
    let unknown = DnType::CustomDnType(vec![1, 2, 3, 4]);
    check(&[(unknown.clone(), utf8("ab"))], "1.2.3.4=#0C026162");
    let long = utf8(&"a".repeat(200));
    check(&[(unknown, long)], &format!("1.2.3.4=#0C81C8{}", "61".repeat(200)));
}

#[test]
fn serial_numbers_have_two_digits_for_each_byte() {
    let serial = |bytes: &[u8]| {
        let certificate = made(name(&[]), bytes);
        ClientCertificate::new(&certificate, &[], PemScope::Leaf).unwrap().serial_number
    };
    assert_eq!(serial(&[0x03, 0xa5, 0xb1]), "03A5B1");
    // Needs a zero before it in DER.
    assert_eq!(serial(&[0xfe, 0xf2, 0x57]), "FEF257");
}

#[test]
fn the_validity_is_in_utc() {
    let certificate = made(name(&[]), &[1]);
    let described = ClientCertificate::new(&certificate, &[], PemScope::Leaf).unwrap();
    assert_eq!(described.validity, "NotBefore=2023-09-21T01:50:17Z;NotAfter=2054-09-20T01:50:17Z");
}

#[test]
fn a_pem_keeps_plus_equals_and_slash() {
    // Three bytes of 0xfb give `+/v7`-like text; one more gives padding.
    let mut text = String::new();
    push_pem(&mut text, &[[0xfb, 0xff].as_slice(), &[0; 47]].concat());
    assert_eq!(
        text,
        format!(
            "-----BEGIN%20CERTIFICATE-----%0A+/8{}%0AAA==%0A-----END%20CERTIFICATE-----%0A",
            "A".repeat(61)
        )
    );
}

#[test]
fn the_scope_says_how_much_of_the_chain_is_written() {
    let (leaf, issuer) = (made(name(&[]), &[1]), made(name(&[]), &[2]));
    let count = |scope| {
        let chain = std::slice::from_ref(&issuer);
        let described = ClientCertificate::new(&leaf, chain, scope).unwrap();
        described.pem.to_str().unwrap().matches("BEGIN").count()
    };
    assert_eq!((count(PemScope::Leaf), count(PemScope::Chain)), (1, 2));
    let garbage = CertificateDer::from(b"\x30\x03abc".as_slice());
    assert_eq!(ClientCertificate::new(&garbage, &[], PemScope::Leaf), None);
}

proptest::proptest! {
    #[test]
    fn any_text_becomes_plain_ascii(text in ".{0,40}") {
        let escaped = escaped(&text);
        proptest::prop_assert!(escaped.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let der = CertificateDer::from(bytes);
        proptest::prop_assert_eq!(ClientCertificate::new(&der, &[], PemScope::Chain), None);
    }
}
