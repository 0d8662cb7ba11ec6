//! The request headers that tell targets of the client's TLS: version, cipher suite, certificate.
//!
//! ELB pages: "Edit attributes for your Application Load Balancer"
//! (`routing.http.x_amzn_tls_version_and_cipher_suite.enabled`), "Mutual
//! authentication with TLS in Application Load Balancer", "HTTP header
//! modification". Whatever a client sends under a name that the load balancer
//! sets, or one that a target may not tell from it ([`super::reserved`]), is
//! removed, also when there is nothing to set in its place, such as the
//! certificate of a client that has none: targets trust these headers. ELB's pages
//! do not say so. Where the load balancer sets none of them they pass like any
//! other header, so that one behind another keeps what the first one says.

use super::reserved::ReservedNames;
use crate::model::listener::{MutualAuthentication, RequestHeaderNames};
use bytes::Bytes;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsField {
    /// `TLSv1.2` or `TLSv1.3`.
    Version,
    /// OpenSSL's name of the cipher suite.
    CipherSuite,
    /// The whole chain of the client's certificate (passthrough).
    Clientcert,
    /// Serial number of the client's certificate (verify).
    SerialNumber,
    /// Its issuer (verify).
    Issuer,
    /// Its subject (verify).
    Subject,
    /// Its validity (verify).
    Validity,
    /// The certificate itself (verify).
    Leaf,
}

/// The headers of one listener, decided at load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsHeaders {
    /// Names as they are written, with what they say.
    pub set: Box<[(Bytes, TlsField)]>,
    /// Names that clients cannot set.
    pub reserved: ReservedNames,
}

impl TlsHeaders {
    /// The headers of a listener with `mutual_authentication`, `Off` in clear text.
    ///
    /// `version_and_cipher_suite` is the attribute of the load balancer; where it is on, its names are
    /// reserved on listeners in clear text too.
    #[must_use]
    pub fn new(
        version_and_cipher_suite: bool,
        mutual_authentication: MutualAuthentication,
        names: &RequestHeaderNames,
    ) -> Self {
        let usual = RequestHeaderNames::default();
        let mut set = Vec::new();
        let mut reserved = Vec::new();
        if version_and_cipher_suite {
            set.extend([
                (&names.tls_version, TlsField::Version),
                (&names.tls_cipher_suite, TlsField::CipherSuite),
            ]);
            reserved.extend([&usual.tls_version, &usual.tls_cipher_suite]);
        }
        let verified = [
            (&names.mtls_serial_number, TlsField::SerialNumber),
            (&names.mtls_issuer, TlsField::Issuer),
            (&names.mtls_subject, TlsField::Subject),
            (&names.mtls_validity, TlsField::Validity),
            (&names.mtls_leaf, TlsField::Leaf),
        ];
        match mutual_authentication {
            MutualAuthentication::Off => {}
            MutualAuthentication::Passthrough => set.push((&names.mtls_clientcert, TlsField::Clientcert)),
            MutualAuthentication::Verify { .. } => set.extend(verified),
        }
        if mutual_authentication != MutualAuthentication::Off {
            // Those of the other mode too: a target cannot know which one is on.
            reserved.extend(verified.map(|(name, _)| name));
            reserved.extend([
                &names.mtls_clientcert,
                &usual.mtls_serial_number,
                &usual.mtls_issuer,
                &usual.mtls_subject,
                &usual.mtls_validity,
                &usual.mtls_leaf,
                &usual.mtls_clientcert,
            ]);
        }
        reserved.extend(set.iter().map(|(name, _)| *name));
        Self {
            set: set.into_iter().map(|(name, field)| (Bytes::from(name.clone()), field)).collect(),
            reserved: ReservedNames::new(reserved.into_iter().map(String::as_str)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TrustStoreIndex;

    const VERIFY: MutualAuthentication = MutualAuthentication::Verify {
        trust_store: TrustStoreIndex(0),
        ignore_client_certificate_expiry: false,
        advertise_trust_store_ca_names: false,
    };

    #[track_caller]
    fn check(
        attribute: bool,
        mutual: MutualAuthentication,
        names: &RequestHeaderNames,
        set: &[&str],
        reserved: &[&str],
    ) {
        let headers = TlsHeaders::new(attribute, mutual, names);
        let written: Vec<&[u8]> = headers.set.iter().map(|(name, _)| name.as_ref()).collect();
        assert_eq!(written, set.iter().map(|name| name.as_bytes()).collect::<Vec<_>>());
        assert_eq!(headers.reserved, ReservedNames::new(reserved.iter().copied()));
    }

    const MTLS: [&str; 6] = [
        "x-amzn-mtls-clientcert",
        "x-amzn-mtls-clientcert-issuer",
        "x-amzn-mtls-clientcert-leaf",
        "x-amzn-mtls-clientcert-serial-number",
        "x-amzn-mtls-clientcert-subject",
        "x-amzn-mtls-clientcert-validity",
    ];

    #[test]
    fn a_listener_sets_and_reserves_what_is_on() {
        let names = RequestHeaderNames::default();
        check(false, MutualAuthentication::Off, &names, &[], &[]);
        let tls = ["X-Amzn-Tls-Version", "X-Amzn-Tls-Cipher-Suite"];
        check(
            true,
            MutualAuthentication::Off,
            &names,
            &tls,
            &["x-amzn-tls-cipher-suite", "x-amzn-tls-version"],
        );
        check(false, MutualAuthentication::Passthrough, &names, &["X-Amzn-Mtls-Clientcert"], &MTLS);
        let verified = [
            "X-Amzn-Mtls-Clientcert-Serial-Number",
            "X-Amzn-Mtls-Clientcert-Issuer",
            "X-Amzn-Mtls-Clientcert-Subject",
            "X-Amzn-Mtls-Clientcert-Validity",
            "X-Amzn-Mtls-Clientcert-Leaf",
        ];
        check(false, VERIFY, &names, &verified, &MTLS);
    }

    #[test]
    fn a_renamed_header_is_reserved_under_both_names() {
        let names =
            RequestHeaderNames { tls_version: "My-Version".to_owned(), ..RequestHeaderNames::default() };
        check(
            true,
            MutualAuthentication::Off,
            &names,
            &["My-Version", "X-Amzn-Tls-Cipher-Suite"],
            &["my-version", "x-amzn-tls-cipher-suite", "x-amzn-tls-version"],
        );
    }
}
