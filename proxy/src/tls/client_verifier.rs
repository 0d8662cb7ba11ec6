//! What is asked of a client's certificate: the modes passthrough and verify of mutual TLS.
//!
//! ELB page: "Mutual authentication with TLS in Application Load Balancer". In
//! both modes the client must prove that it has the key. Verify wants a chain of
//! X.509v3 certificates to the trust store, at most four long with the trust
//! store's, for clients if an extended key usage is there, and on no revocation
//! list. Where ELB's pages are silent: a certificate whose issuer has no
//! revocation list is not revoked, a list that is overdue still counts, and an
//! expired certificate that is let through (`IgnoreClientCertificateExpiry`) is
//! judged as of its last second, its issuers with it.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath, aws_lc_rs as algorithms,
};
use x509_parser::{certificate::X509Certificate, public_key::PublicKey, x509::X509Version};

use super::{
    certificate_choice::parse,
    client_certificate::{ClientCertificate, PemScope},
    negotiation::{note_client_certificate, note_refusal},
    policy::RFC9151_SCHEMES,
    trust_store::LoadedTrustStore,
    verify_status::VerifyStatus,
};
use crate::model::{SecurityPolicy, security_policy::Rfc9151};

/// Certificates of a chain, from the leaf to the trust store's.
pub const LONGEST_CHAIN: usize = 4;

/// Signatures that ELB's pages name: RSA of 2048 to 8192 bits, P-256, P-384, P-521; SHA-256 and longer.
static ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        algorithms::ECDSA_P256_SHA256,
        algorithms::ECDSA_P256_SHA384,
        algorithms::ECDSA_P256_SHA512,
        algorithms::ECDSA_P384_SHA256,
        algorithms::ECDSA_P384_SHA384,
        algorithms::ECDSA_P384_SHA512,
        algorithms::ECDSA_P521_SHA256,
        algorithms::ECDSA_P521_SHA384,
        algorithms::ECDSA_P521_SHA512,
        algorithms::RSA_PKCS1_2048_8192_SHA256,
        algorithms::RSA_PKCS1_2048_8192_SHA384,
        algorithms::RSA_PKCS1_2048_8192_SHA512,
        algorithms::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
        algorithms::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
        algorithms::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
        algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    ],
    mapping: &[
        // TLS 1.2 binds a scheme to no curve, TLS 1.3 to the first.
        (
            SignatureScheme::ECDSA_NISTP384_SHA384,
            &[algorithms::ECDSA_P384_SHA384, algorithms::ECDSA_P256_SHA384, algorithms::ECDSA_P521_SHA384],
        ),
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[algorithms::ECDSA_P256_SHA256, algorithms::ECDSA_P384_SHA256, algorithms::ECDSA_P521_SHA256],
        ),
        (
            SignatureScheme::ECDSA_NISTP521_SHA512,
            &[algorithms::ECDSA_P521_SHA512, algorithms::ECDSA_P384_SHA512, algorithms::ECDSA_P256_SHA512],
        ),
        (SignatureScheme::RSA_PSS_SHA512, &[algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA384, &[algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA256, &[algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[algorithms::RSA_PKCS1_2048_8192_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[algorithms::RSA_PKCS1_2048_8192_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[algorithms::RSA_PKCS1_2048_8192_SHA256]),
    ],
};

/// What a listener asks of a client's certificate.
#[derive(Debug, Clone)]
pub enum ClientAuthentication {
    /// Nothing: none is asked for.
    Off,
    /// One is asked for, and whatever comes is passed on.
    Passthrough,
    /// One that the trust store vouches for.
    Verify(Verification),
}

/// How certificates are verified.
#[derive(Debug, Clone)]
pub struct Verification {
    /// Who is trusted.
    pub trust_store: Arc<LoadedTrustStore>,
    /// `IgnoreClientCertificateExpiry`.
    pub ignore_expiry: bool,
    /// `AdvertiseTrustStoreCaNames`.
    pub advertise_ca_names: bool,
}

/// Checks the certificates of a listener's clients.
#[derive(Debug)]
pub struct ClientVerifier {
    /// `None` passes everything through.
    verification: Option<Verification>,
    rfc9151: Option<Rfc9151>,
}

impl ClientVerifier {
    /// The verifier of a listener with `policy`; `None` if no certificate is asked for.
    #[must_use]
    pub fn new(authentication: ClientAuthentication, policy: &SecurityPolicy) -> Option<Self> {
        let verification = match authentication {
            ClientAuthentication::Off => return None,
            ClientAuthentication::Passthrough => None,
            ClientAuthentication::Verify(verification) => Some(verification),
        };
        Some(Self { verification, rfc9151: policy.rfc9151 })
    }

    fn check(
        &self,
        verification: &Verification,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), VerifyStatus> {
        if intermediates.len() + 1 > LONGEST_CHAIN {
            return Err(VerifyStatus::ClientCertMaxChainDepthExceeded);
        }
        let parsed = parse(leaf).ok_or(VerifyStatus::ClientCertInvalid)?;
        let key = ClientKey::of(&parsed).ok_or(VerifyStatus::ClientCertTypeUnsupported)?;
        if self.rfc9151 == Some(Rfc9151::Strict) && !key.is_allowed_by_rfc9151() {
            return Err(VerifyStatus::ClientCertIncompatible);
        }
        let ends = parsed.validity().not_after.timestamp();
        let time = match u64::try_from(ends) {
            Ok(ends) if verification.ignore_expiry && ends < now.as_secs() => {
                UnixTime::since_unix_epoch(std::time::Duration::from_secs(ends))
            }
            _ => now,
        };
        verify_chain(&verification.trust_store, leaf, intermediates, time)
            .map_err(|error| VerifyStatus::from(&error))
    }
}

fn verify_chain(
    store: &LoadedTrustStore,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    time: UnixTime,
) -> Result<(), webpki::Error> {
    let leaf = EndEntityCert::try_from(leaf)?;
    let lists: Vec<&CertRevocationList<'_>> = store.revocation_lists.iter().collect();
    // Without lists there is nothing to build.
    let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
        options
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Allow)
            .with_expiration_policy(ExpirationPolicy::Ignore)
            .build()
    });
    leaf.verify_for_usage(
        ALGORITHMS.all,
        &store.anchors,
        intermediates,
        time,
        KeyUsage::client_auth(),
        revocation,
        Some(&|path| check_path(store, path, time)),
    )?;
    Ok(())
}

/// What the library leaves to its users: the chain's length, and the validity of the trust store's certificate.
fn check_path(
    store: &LoadedTrustStore,
    path: &VerifiedPath<'_>,
    time: UnixTime,
) -> Result<(), webpki::Error> {
    if path.intermediate_certificates().count() + 2 > LONGEST_CHAIN {
        return Err(webpki::Error::MaximumPathDepthExceeded);
    }
    let same = |anchor: &rustls::pki_types::TrustAnchor<'_>| {
        anchor.subject == path.anchor().subject
            && anchor.subject_public_key_info == path.anchor().subject_public_key_info
    };
    let seconds = time.as_secs().cast_signed();
    let mut validities =
        store.anchors.iter().zip(&store.validities).filter(|(anchor, _)| same(anchor)).map(|(_, it)| *it);
    // An authority that renewed its certificate under the same key may be there twice.
    if validities.clone().any(|(first, last)| (first..=last).contains(&seconds)) {
        return Ok(());
    }
    let at = |seconds: i64| {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
    };
    Err(match validities.next() {
        Some((first, _)) if first > seconds => webpki::Error::CertNotValidYet { time, not_before: at(first) },
        Some((_, last)) => webpki::Error::CertExpired { time, not_after: at(last) },
        None => webpki::Error::UnknownIssuer,
    })
}

/// A key that ELB's pages list for client certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientKey {
    /// RSA of so many bits.
    Rsa(usize),
    /// A curve by its OID.
    P256,
    P384,
    P521,
}

impl ClientKey {
    fn of(leaf: &X509Certificate<'_>) -> Option<Self> {
        if leaf.version() != X509Version::V3 {
            return None;
        }
        let key = leaf.public_key();
        match key.parsed().ok()? {
            PublicKey::RSA(key) if (2048..=8192).contains(&key.key_size()) => Some(Self::Rsa(key.key_size())),
            PublicKey::EC(_) => {
                let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string();
                match curve.as_str() {
                    "1.2.840.10045.3.1.7" => Some(Self::P256),
                    "1.3.132.0.34" => Some(Self::P384),
                    "1.3.132.0.35" => Some(Self::P521),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    const fn is_allowed_by_rfc9151(self) -> bool {
        match self {
            Self::Rsa(bits) => bits >= 3072,
            Self::P384 => true,
            Self::P256 | Self::P521 => false,
        }
    }
}

/// The TLS library's error for a refusal: it decides the alert that the client gets.
fn refusal(status: VerifyStatus) -> rustls::Error {
    use VerifyStatus as S;
    rustls::Error::InvalidCertificate(match status {
        S::ClientCertExpired => CertificateError::Expired,
        S::ClientCertNotYetValid => CertificateError::NotValidYet,
        S::ClientCertCrlHit => CertificateError::Revoked,
        S::ClientCertCrlProcessingError => CertificateError::UnknownRevocationStatus,
        S::ClientCertUntrusted | S::ClientCertMaxChainDepthExceeded => CertificateError::UnknownIssuer,
        S::ClientCertPurposeInvalid => CertificateError::InvalidPurpose,
        S::ClientCertInvalid => CertificateError::BadEncoding,
        S::ClientCertMaxSizeExceeded
        | S::ClientCertTypeUnsupported
        | S::ClientCertRejected
        | S::ClientCertIncompatible
        | S::UnmappedConnectionError
        | S::Success => CertificateError::ApplicationVerificationFailure,
    })
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.verification.is_some()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        match &self.verification {
            Some(verification) if verification.advertise_ca_names => &verification.trust_store.subjects,
            _ => &[],
        }
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let scope = if self.verification.is_some() { PemScope::Leaf } else { PemScope::Chain };
        if let Some(certificate) = ClientCertificate::new(end_entity, intermediates, scope) {
            note_client_certificate(certificate);
        }
        if let Some(verification) = &self.verification {
            self.check(verification, end_entity, intermediates, now).map_err(|status| {
                note_refusal(status);
                refusal(status)
            })?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &ALGORITHMS)
            .inspect_err(|_| note_refusal(VerifyStatus::ClientCertInvalid))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &ALGORITHMS)
            .inspect_err(|_| note_refusal(VerifyStatus::ClientCertInvalid))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match self.rfc9151 {
            Some(Rfc9151::Strict) => RFC9151_SCHEMES.to_vec(),
            _ => ALGORITHMS.supported_schemes(),
        }
    }
}

#[cfg(test)]
mod tests;
