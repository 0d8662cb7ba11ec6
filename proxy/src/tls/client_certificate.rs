//! A client's certificate in the words of headers and logs.
//!
//! ELB page: "Mutual authentication with TLS in Application Load Balancer", HTTP
//! headers. Names are written as RFC 2253 says, in OpenSSL's spelling: the most
//! specific part first, attributes by their short names, every byte that is not
//! plain ASCII as `\XX`. The page says that `+`, `=` and `/` of a PEM stay as they
//! are, and shows `%3D` in its examples: this follows what it says.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use rustls::pki_types::CertificateDer;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};
use x509_parser::{
    asn1_rs::{Any, Tag},
    certificate::X509Certificate,
    time::ASN1Time,
    x509::X509Name,
};

use super::certificate_choice;

/// Characters of a PEM's lines.
const PEM_LINE: usize = 64;
const ISO_8601: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// What targets and logs are told of a client's certificate; written once for each connection.
///
/// All values are ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject's distinguished name (RFC 2253).
    pub subject: HeaderValue,
    /// The issuer's distinguished name (RFC 2253).
    pub issuer: HeaderValue,
    /// The serial number in hexadecimal digits, two for each byte.
    pub serial_number: HeaderValue,
    /// `NotBefore=…;NotAfter=…`, in UTC.
    pub validity: HeaderValue,
    /// URL-encoded PEM, of as much as `scope` says.
    pub pem: HeaderValue,
    /// The mode it was accepted in: a certificate that only passed through must never be taken for one that was verified.
    pub scope: PemScope,
}

/// How much of the chain becomes [`ClientCertificate::pem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PemScope {
    /// The leaf (verify).
    Leaf,
    /// Everything the client sent, leaf first (passthrough).
    Chain,
}

impl ClientCertificate {
    /// Describes the certificate that a client sent with `intermediates`; `None` if it cannot be read.
    #[must_use]
    pub fn new(
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        scope: PemScope,
    ) -> Option<Self> {
        let parsed = certificate_choice::parse(leaf)?;
        let mut pem = String::new();
        push_pem(&mut pem, leaf);
        if scope == PemScope::Chain {
            for certificate in intermediates {
                push_pem(&mut pem, certificate);
            }
        }
        Some(Self {
            subject: HeaderValue::try_from(rfc2253(parsed.subject())).ok()?,
            issuer: HeaderValue::try_from(rfc2253(parsed.issuer())).ok()?,
            serial_number: HeaderValue::try_from(serial_number(&parsed)).ok()?,
            validity: HeaderValue::try_from(validity(&parsed)).ok()?,
            pem: HeaderValue::try_from(pem).ok()?,
            scope,
        })
    }
}

/// Appends a certificate as PEM, with everything but letters, digits and `-._~+=/` percent-encoded.
fn push_pem(text: &mut String, der: &[u8]) {
    let base64 = STANDARD.encode(der);
    text.reserve(base64.len() + base64.len() / 16 + 96);
    text.push_str("-----BEGIN%20CERTIFICATE-----%0A");
    let mut rest = base64.as_str();
    while let Some((line, after)) = rest.split_at_checked(PEM_LINE.min(rest.len()))
        && !line.is_empty()
    {
        text.push_str(line);
        text.push_str("%0A");
        rest = after;
    }
    text.push_str("-----END%20CERTIFICATE-----%0A");
}

/// DER has a zero byte before a serial number whose first bit is set: it is not part of the number.
fn serial_number(certificate: &X509Certificate<'_>) -> String {
    let bytes = certificate.raw_serial();
    let bytes = match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        bytes => bytes,
    };
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn validity(certificate: &X509Certificate<'_>) -> String {
    let validity = certificate.validity();
    format!("NotBefore={};NotAfter={}", iso_8601(validity.not_before), iso_8601(validity.not_after))
}

fn iso_8601(time: ASN1Time) -> String {
    let time: OffsetDateTime = time.to_datetime();
    time.format(ISO_8601).unwrap_or_default()
}

/// A distinguished name as RFC 2253 writes it.
fn rfc2253(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|rdn| {
            let attributes = rdn.iter().map(|attribute| {
                let oid = attribute.attr_type().to_id_string();
                match short_name(&oid) {
                    Some(short) => format!("{short}={}", value(attribute.attr_value())),
                    // What the value means is not known either.
                    None => format!("{oid}={}", hexadecimal(attribute.attr_value())),
                }
            });
            attributes.collect::<Vec<_>>().join("+")
        })
        .collect();
    parts.reverse();
    parts.join(",")
}

/// OpenSSL's short names of the attributes that names are made of.
fn short_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.13" => "description",
        "2.5.4.15" => "businessCategory",
        "2.5.4.17" => "postalCode",
        "2.5.4.41" => "name",
        "2.5.4.42" => "GN",
        "2.5.4.43" => "initials",
        "2.5.4.44" => "generationQualifier",
        "2.5.4.45" => "x500UniqueIdentifier",
        "2.5.4.46" => "dnQualifier",
        "2.5.4.65" => "pseudonym",
        "2.5.4.97" => "organizationIdentifier",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        "1.2.840.113549.1.9.2" => "unstructuredName",
        "1.3.6.1.4.1.311.60.2.1.1" => "jurisdictionL",
        "1.3.6.1.4.1.311.60.2.1.2" => "jurisdictionST",
        "1.3.6.1.4.1.311.60.2.1.3" => "jurisdictionC",
        _ => return None,
    })
}

fn value(value: &Any<'_>) -> String {
    match decoded(value) {
        Some(text) => escaped(&text),
        None => hexadecimal(value),
    }
}

/// The text of a string type; `None` for any other type, and for what breaks its type's rules.
fn decoded(value: &Any<'_>) -> Option<String> {
    let data = value.data;
    match value.tag() {
        Tag::Utf8String => std::str::from_utf8(data).ok().map(str::to_owned),
        // Latin 1, which ASCII types are a part of.
        Tag::PrintableString | Tag::Ia5String | Tag::T61String | Tag::NumericString | Tag::VisibleString => {
            Some(data.iter().copied().map(char::from).collect())
        }
        Tag::BmpString => {
            let units: Vec<u16> =
                data.as_chunks::<2>().0.iter().map(|&unit| u16::from_be_bytes(unit)).collect();
            String::from_utf16(&units).ok()
        }
        Tag::UniversalString => {
            let units = data.as_chunks::<4>().0.iter();
            units.map(|&unit| char::from_u32(u32::from_be_bytes(unit))).collect()
        }
        _ => None,
    }
}

/// RFC 2253 section 2.4.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let last = text.len().saturating_sub(1);
    for (at, byte) in text.bytes().enumerate() {
        let is_edge_space = byte == b' ' && (at == 0 || at == last);
        let is_first_hash = byte == b'#' && at == 0;
        if is_edge_space || is_first_hash || b",+\"\\<>;".contains(&byte) {
            escaped.push('\\');
            escaped.push(char::from(byte));
        } else if byte == b' ' || byte.is_ascii_graphic() {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("\\{byte:02X}"));
        }
    }
    escaped
}

/// `#` and the value's DER in hexadecimal digits.
fn hexadecimal(value: &Any<'_>) -> String {
    let mut der = vec![value.header.raw_tag().and_then(<[u8]>::first).copied().unwrap_or_default()];
    match u8::try_from(value.data.len()) {
        Ok(short) if short < 0x80 => der.push(short),
        _ => {
            let length = value.data.len().to_be_bytes();
            let significant: Vec<u8> = length.into_iter().skip_while(|&byte| byte == 0).collect();
            der.push(0x80 | u8::try_from(significant.len()).unwrap_or_default());
            der.extend(significant);
        }
    }
    der.extend_from_slice(value.data);
    der.iter().fold("#".to_owned(), |text, byte| text + &format!("{byte:02X}"))
}

#[cfg(test)]
mod tests;
