//! How the check of a client's certificate ended: `tls_verify_status` of the connection log.
//!
//! ELB page: "Connection logs for your Application Load Balancer", error reason codes.

/// `tls_verify_status` of the connection log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyStatus {
    /// The connection was established.
    Success,
    /// More certificates than a chain may have, from the leaf to the trust store's.
    ClientCertMaxChainDepthExceeded,
    /// The TLS message with the certificates is larger than 64 KB.
    ClientCertMaxSizeExceeded,
    /// A revocation list names the certificate, or one of its issuers.
    ClientCertCrlHit,
    /// A revocation list of the certificate's issuer cannot be used.
    ClientCertCrlProcessingError,
    /// No way leads from the certificate to the trust store.
    ClientCertUntrusted,
    /// The certificate, or one of its issuers, is not valid yet.
    ClientCertNotYetValid,
    /// The certificate, or one of its issuers, has expired.
    ClientCertExpired,
    /// No X.509v3 certificate, or a kind of key or signature that ELB does not take.
    ClientCertTypeUnsupported,
    /// The certificate, or the proof that the client has its key, is wrong.
    ClientCertInvalid,
    /// The certificate is not meant for clients: its extended key usage says so.
    ClientCertPurposeInvalid,
    /// Checking the certificate would take too much work.
    ClientCertRejected,
    /// The certificate's key is not allowed by the security policy.
    ClientCertIncompatible,
    /// Any other failure, such as a client that sends no certificate where one is needed.
    UnmappedConnectionError,
}

impl VerifyStatus {
    /// As the connection log has it: `Success`, or `Failed:` and the code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::ClientCertMaxChainDepthExceeded => "Failed:ClientCertMaxChainDepthExceeded",
            Self::ClientCertMaxSizeExceeded => "Failed:ClientCertMaxSizeExceeded",
            Self::ClientCertCrlHit => "Failed:ClientCertCrlHit",
            Self::ClientCertCrlProcessingError => "Failed:ClientCertCrlProcessingError",
            Self::ClientCertUntrusted => "Failed:ClientCertUntrusted",
            Self::ClientCertNotYetValid => "Failed:ClientCertNotYetValid",
            Self::ClientCertExpired => "Failed:ClientCertExpired",
            Self::ClientCertTypeUnsupported => "Failed:ClientCertTypeUnsupported",
            Self::ClientCertInvalid => "Failed:ClientCertInvalid",
            Self::ClientCertPurposeInvalid => "Failed:ClientCertPurposeInvalid",
            Self::ClientCertRejected => "Failed:ClientCertRejected",
            Self::ClientCertIncompatible => "Failed:ClientCertIncompatible",
            Self::UnmappedConnectionError => "Failed:UnmappedConnectionError",
        }
    }
}

impl From<&webpki::Error> for VerifyStatus {
    fn from(error: &webpki::Error) -> Self {
        use webpki::Error as E;
        match error {
            E::CertExpired { .. } | E::InvalidCertValidity => Self::ClientCertExpired,
            E::CertNotValidYet { .. } => Self::ClientCertNotYetValid,
            E::CertRevoked => Self::ClientCertCrlHit,
            E::CrlExpired { .. }
            | E::InvalidCrlNumber
            | E::InvalidCrlSignatureForPublicKey
            | E::IssuerNotCrlSigner
            | E::UnknownRevocationStatus
            | E::UnsupportedCrlIssuingDistributionPoint
            | E::UnsupportedCrlSignatureAlgorithmContext(_)
            | E::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_)
            | E::UnsupportedCrlVersion
            | E::UnsupportedDeltaCrl
            | E::UnsupportedIndirectCrl
            | E::UnsupportedRevocationReason
            | E::UnsupportedRevocationReasonsPartitioning => Self::ClientCertCrlProcessingError,
            E::UnknownIssuer
            | E::InvalidSignatureForPublicKey
            | E::EndEntityUsedAsCa
            | E::NameConstraintViolation
            | E::PathLenConstraintViolated => Self::ClientCertUntrusted,
            E::RequiredEkuNotFoundContext(_) => Self::ClientCertPurposeInvalid,
            E::UnsupportedCertVersion
            | E::UnsupportedSignatureAlgorithmContext(_)
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Self::ClientCertTypeUnsupported,
            E::MaximumPathDepthExceeded => Self::ClientCertMaxChainDepthExceeded,
            E::MaximumSignatureChecksExceeded
            | E::MaximumPathBuildCallsExceeded
            | E::MaximumNameConstraintComparisonsExceeded => Self::ClientCertRejected,
            _ => Self::ClientCertInvalid,
        }
    }
}
