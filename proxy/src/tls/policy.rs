//! What a security policy means to rustls: cipher suites in the server's order,
//! key exchange groups, protocol versions; and the names that logs use.
//!
//! ELB page: "Security policies for your Application Load Balancer". AWS has no
//! TLS 1.2 policy with `ChaCha20`, so that suite is served in TLS 1.3 only.

use std::sync::Arc;

use rustls::{
    CipherSuite, NamedGroup, ProtocolVersion, SignatureAlgorithm, SignatureScheme, SupportedCipherSuite,
    SupportedProtocolVersion,
    crypto::{
        CryptoProvider, SupportedKxGroup,
        aws_lc_rs::{self, cipher_suite, kx_group},
    },
    pki_types::SubjectPublicKeyInfoDer,
    sign::{CertifiedKey, Signer, SigningKey},
    version,
};

use crate::model::{
    SecurityPolicy,
    security_policy::{Rfc9151, Versions},
};

/// Cryptography as the policy allows it, the server's favourites first.
///
/// Use it with `ServerConfig::ignore_client_order` set: server preference order applies on ELB.
/// FIPS policies go without `ChaCha20` and plain X25519.
#[must_use]
pub fn crypto_provider(policy: &SecurityPolicy) -> CryptoProvider {
    CryptoProvider {
        cipher_suites: cipher_suites(policy),
        kx_groups: key_exchange_groups(policy),
        ..aws_lc_rs::default_provider()
    }
}

/// The protocol versions the policy serves, newest first.
#[must_use]
pub fn protocol_versions(policy: &SecurityPolicy) -> &'static [&'static SupportedProtocolVersion] {
    static NEWEST_FIRST: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    let [tls13, tls12] = NEWEST_FIRST.each_ref().map(std::slice::from_ref);
    match policy.versions {
        Versions::Tls12 => tls12,
        Versions::Tls12AndTls13 => &NEWEST_FIRST,
        Versions::Tls13 => tls13,
    }
}

/// OpenSSL's name of a suite, as logs and `x-amzn-tls-cipher-suite` have it; `-` for one never served.
#[must_use]
pub const fn openssl_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        _ => "-",
    }
}

/// A protocol version's name, as logs and `x-amzn-tls-version` have it; `-` for one never served.
#[must_use]
pub const fn protocol_name(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        _ => "-",
    }
}

/// Signature schemes that RFC 9151 sections 5.2 and 6.3 allow.
pub const RFC9151_SCHEMES: [SignatureScheme; 3] = [
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PKCS1_SHA384,
];

/// `key` as the policy lets it be used: under a strict RFC 9151 policy it signs with [`RFC9151_SCHEMES`] only.
#[must_use]
pub fn restricted_key(policy: &SecurityPolicy, key: &Arc<CertifiedKey>) -> Arc<CertifiedKey> {
    if policy.rfc9151 != Some(Rfc9151::Strict) {
        return Arc::clone(key);
    }
    let restricted = Rfc9151Key(Arc::clone(&key.key));
    Arc::new(CertifiedKey { key: Arc::new(restricted), ..CertifiedKey::clone(key) })
}

/// A key that signs with [`RFC9151_SCHEMES`] only.
#[derive(Debug)]
struct Rfc9151Key(Arc<dyn SigningKey>);

impl SigningKey for Rfc9151Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let allowed: Vec<SignatureScheme> =
            offered.iter().copied().filter(|scheme| RFC9151_SCHEMES.contains(scheme)).collect();
        self.0.choose_scheme(&allowed)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.0.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

/// A key exchange group's name, as the connection log has it; `-` for one never served.
///
/// AWS does not list the names: these are those of its TLS library and of the policies' page.
#[must_use]
pub const fn key_exchange_name(group: NamedGroup) -> &'static str {
    match group {
        NamedGroup::X25519 => "x25519",
        NamedGroup::secp256r1 => "secp256r1",
        NamedGroup::secp384r1 => "secp384r1",
        NamedGroup::X25519MLKEM768 => "X25519MLKEM768",
        NamedGroup::secp256r1MLKEM768 => "SecP256r1MLKEM768",
        _ => "-",
    }
}

fn cipher_suites(policy: &SecurityPolicy) -> Vec<SupportedCipherSuite> {
    if let Some(how) = policy.rfc9151 {
        return rfc9151_suites(policy.versions, how);
    }
    let mut suites = Vec::with_capacity(7);
    if policy.versions.tls13() {
        suites.extend([cipher_suite::TLS13_AES_128_GCM_SHA256, cipher_suite::TLS13_AES_256_GCM_SHA384]);
        if !policy.fips {
            suites.push(cipher_suite::TLS13_CHACHA20_POLY1305_SHA256);
        }
    }
    if policy.versions.tls12() {
        suites.extend([
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ]);
    }
    suites
}

/// AES-256 comes first in these policies.
fn rfc9151_suites(versions: Versions, how: Rfc9151) -> Vec<SupportedCipherSuite> {
    let mut suites = vec![cipher_suite::TLS13_AES_256_GCM_SHA384];
    if how == Rfc9151::Interop {
        suites.push(cipher_suite::TLS13_AES_128_GCM_SHA256);
    }
    if versions.tls12() {
        suites.extend([
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ]);
        if how == Rfc9151::Interop {
            suites.extend([
                cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            ]);
        }
    }
    suites
}

fn key_exchange_groups(policy: &SecurityPolicy) -> Vec<&'static dyn SupportedKxGroup> {
    match policy.rfc9151 {
        Some(Rfc9151::Strict) => return vec![kx_group::SECP384R1],
        Some(Rfc9151::Interop) => return vec![kx_group::SECP384R1, kx_group::SECP256R1],
        None => {}
    }
    let mut groups = Vec::with_capacity(5);
    if policy.post_quantum {
        groups.extend([kx_group::X25519MLKEM768, kx_group::SECP256R1MLKEM768]);
    }
    if !policy.fips {
        groups.push(kx_group::X25519);
    }
    groups.extend([kx_group::SECP256R1, kx_group::SECP384R1]);
    groups
}

#[cfg(test)]
mod tests {
    use rustls::NamedGroup;

    use super::*;

    #[track_caller]
    fn check(name: &str, suites: &[&str], groups: &[NamedGroup], versions: &[&str]) {
        let policy = SecurityPolicy::by_name(&format!("ELBSecurityPolicy-{name}")).unwrap();
        let provider = crypto_provider(policy);
        let served: Vec<&str> =
            provider.cipher_suites.iter().map(|suite| openssl_name(suite.suite())).collect();
        assert_eq!(served, suites);
        let offered: Vec<NamedGroup> = provider.kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(offered, groups);
        let spoken: Vec<&str> =
            protocol_versions(policy).iter().map(|version| protocol_name(version.version)).collect();
        assert_eq!(spoken, versions);
    }

    const TLS12: [&str; 4] = [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
    ];
    const TLS13: [&str; 3] =
        ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
    const CLASSICAL: [NamedGroup; 3] = [NamedGroup::X25519, NamedGroup::secp256r1, NamedGroup::secp384r1];

    #[test]
    fn the_api_default_is_tls_1_2_without_chacha20() {
        check("2016-08", &TLS12, &CLASSICAL, &["TLSv1.2"]);
    }

    #[test]
    fn a_tls_1_3_policy_serves_three_suites() {
        check("TLS13-1-3-2021-06", &TLS13, &CLASSICAL, &["TLSv1.3"]);
        let both = [TLS13.as_slice(), &TLS12].concat();
        check("TLS13-1-2-Res-2021-06", &both, &CLASSICAL, &["TLSv1.3", "TLSv1.2"]);
    }

    #[test]
    fn a_pq_policy_prefers_the_hybrid_groups() {
        let hybrids = [NamedGroup::X25519MLKEM768, NamedGroup::secp256r1MLKEM768];
        let groups = [hybrids.as_slice(), &CLASSICAL].concat();
        check("TLS13-1-3-PQ-2025-09", &TLS13, &groups, &["TLSv1.3"]);
    }

    #[test]
    fn a_fips_policy_goes_without_chacha20_and_x25519() {
        let groups = [NamedGroup::secp256r1, NamedGroup::secp384r1];
        check("TLS13-1-3-FIPS-2023-04", &TLS13[..2], &groups, &["TLSv1.3"]);
    }

    #[test]
    fn rfc_9151_policies_prefer_aes_256_and_p_384() {
        let strict =
            ["TLS_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"];
        let both = ["TLSv1.3", "TLSv1.2"];
        check("TLS13-1-2-RFC9151-FIPS-2023-07", &strict, &[NamedGroup::secp384r1], &both);
        check("TLS13-1-3-RFC9151-FIPS-2023-07", &strict[..1], &[NamedGroup::secp384r1], &["TLSv1.3"]);
        let interop = [
            "TLS_AES_256_GCM_SHA384",
            "TLS_AES_128_GCM_SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-RSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-RSA-AES128-GCM-SHA256",
        ];
        let groups = [NamedGroup::secp384r1, NamedGroup::secp256r1];
        check("TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07", &interop, &groups, &both);
    }

    #[test]
    fn rustls_accepts_every_policy() {
        for policy in SecurityPolicy::all() {
            let provider = Arc::new(crypto_provider(policy));
            let built = rustls::ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(protocol_versions(policy));
            assert!(built.is_ok(), "{}", policy.name);
        }
    }

    #[test]
    fn what_is_never_served_has_no_name() {
        assert_eq!(openssl_name(CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256), "-");
        assert_eq!(protocol_name(ProtocolVersion::TLSv1_1), "-");
        assert_eq!(key_exchange_name(NamedGroup::FFDHE2048), "-");
    }

    #[test]
    fn every_key_exchange_that_is_served_has_a_name() {
        for policy in SecurityPolicy::all() {
            for group in crypto_provider(policy).kx_groups {
                assert_ne!(key_exchange_name(group.name()), "-", "{:?}", group.name());
            }
        }
        let hybrids = [NamedGroup::X25519MLKEM768, NamedGroup::secp256r1MLKEM768].map(key_exchange_name);
        assert_eq!(hybrids, ["X25519MLKEM768", "SecP256r1MLKEM768"]);
    }
}
