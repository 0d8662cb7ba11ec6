//! What a certificate says of itself, for people.

use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer, public_key::PublicKey,
};

/// The facts of a certificate, as ACM's `DescribeCertificate` names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateDetails {
    /// Distinguished name.
    pub subject: String,
    /// Distinguished name of who signed it.
    pub issuer: String,
    /// Hex digits by pairs, with colons.
    pub serial: String,
    /// DNS names, and IP addresses.
    pub subject_alternative_names: Vec<String>,
    /// Start of its validity; `None` if it is no time that exists.
    pub not_before: Option<OffsetDateTime>,
    /// End of its validity.
    pub not_after: Option<OffsetDateTime>,
    /// `RSA_2048`, `EC_prime256v1` and so on; the object identifier of any other.
    pub key_algorithm: String,
}

impl CertificateDetails {
    /// Of a certificate in DER; `None` if it is none.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let time =
            |time: x509_parser::time::ASN1Time| OffsetDateTime::from_unix_timestamp(time.timestamp()).ok();
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        let alternatives = alternatives.iter().flat_map(|extension| &extension.value.general_names);
        Some(Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            serial: certificate.raw_serial_as_string(),
            subject_alternative_names: alternatives.filter_map(name).collect(),
            not_before: time(certificate.validity().not_before),
            not_after: time(certificate.validity().not_after),
            key_algorithm: key_algorithm(&certificate),
        })
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(v4) => Some(std::net::Ipv4Addr::from(v4).to_string()),
            Err(_) => <[u8; 16]>::try_from(*bytes).ok().map(|v6| std::net::Ipv6Addr::from(v6).to_string()),
        },
        _ => None,
    }
}

fn key_algorithm(certificate: &X509Certificate<'_>) -> String {
    let key = certificate.public_key();
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => format!("RSA_{}", rsa.key_size()),
        Ok(PublicKey::EC(point)) => match point.key_size() {
            256 => "EC_prime256v1".to_owned(),
            384 => "EC_secp384r1".to_owned(),
            _ => "EC_secp521r1".to_owned(),
        },
        _ => key.algorithm.algorithm.to_id_string(),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    #[test]
    fn a_certificate_is_described() {
        let mut params =
            CertificateParams::new(vec!["a.test".to_owned(), "*.b.test".to_owned(), "10.0.0.1".to_owned()])
                .unwrap();
        params.distinguished_name.push(DnType::CommonName, "a.test");
        params.not_before = rcgen::date_time_ymd(2024, 1, 2);
        params.not_after = rcgen::date_time_ymd(2034, 5, 6);
        params.serial_number = Some(0x1234_u64.into());
        for (algorithm, name) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, "EC_prime256v1"),
            (&rcgen::PKCS_ECDSA_P384_SHA384, "EC_secp384r1"),
            (&rcgen::PKCS_RSA_SHA256, "RSA_2048"),
        ] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let details = CertificateDetails::of(certificate.der()).unwrap();
            assert_eq!(details.key_algorithm, name);
            assert!(details.subject.contains("CN=a.test"), "{}", details.subject);
            assert_eq!(details.issuer, details.subject);
            assert_eq!(details.serial, "12:34");
            assert_eq!(details.subject_alternative_names, ["a.test", "*.b.test", "10.0.0.1"]);
            assert_eq!(
                details.not_after.map(|end| end.to_string()).as_deref(),
                Some("2034-05-06 0:00:00.0 +00:00:00")
            );
        }
        assert_eq!(CertificateDetails::of(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
