//! TLS security policies by AWS name.
//!
//! ELB pages: "Security policies for your Application Load Balancer", "Security
//! policies for your Network Load Balancer". The TLS library serves TLS 1.2 and
//! 1.3 with authenticated ciphers and forward secrecy only; each policy says
//! what ELB serves beyond that. Of the hybrid groups of the PQ policies,
//! `SecP384r1MLKEM1024` is not offered.
//!
//! The RFC 9151 (CNSA 1.0) policies: ELB's page lists their ciphers, not their
//! groups and signature schemes. The strict ones are held to what the RFC allows
//! of both, the INTEROP ones are not.

/// The policy of a listener that names none, as in the API and the CLI.
pub const DEFAULT: &str = "ELBSecurityPolicy-2016-08";

/// A TLS security policy.
#[derive(Debug, PartialEq, Eq)]
pub struct SecurityPolicy {
    /// Full name, `ELBSecurityPolicy-…`.
    pub name: &'static str,
    /// Protocol versions that are served. With TLS 1.2 come its four ECDHE AES-GCM suites.
    pub versions: Versions,
    /// Whether hybrid post-quantum groups are offered for key exchange.
    pub post_quantum: bool,
    /// Whether only FIPS-approved algorithms are offered. The implementation is not a validated module.
    pub fips: bool,
    /// How far RFC 9151 is followed; `None` for policies without it in their name.
    pub rfc9151: Option<Rfc9151>,
    left_out: &'static [&'static [&'static str]],
}

/// How a policy follows RFC 9151, the TLS profile of the CNSA 1.0 suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rfc9151 {
    /// Nothing else is agreed on: AES-256, P-384, signatures with SHA-384 by P-384 or RSA keys of 3072 bits and more.
    Strict,
    /// AES-256 is preferred, but AES-128 and P-256 are served too, with any signature.
    Interop,
}

/// Protocol versions that a policy serves here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// TLS 1.2 alone.
    Tls12,
    /// TLS 1.3 and 1.2.
    Tls12AndTls13,
    /// TLS 1.3 alone.
    Tls13,
}

impl Versions {
    /// Whether TLS 1.2 is among them.
    #[must_use]
    pub const fn tls12(self) -> bool {
        matches!(self, Self::Tls12 | Self::Tls12AndTls13)
    }

    /// Whether TLS 1.3 is among them.
    #[must_use]
    pub const fn tls13(self) -> bool {
        matches!(self, Self::Tls13 | Self::Tls12AndTls13)
    }
}

impl SecurityPolicy {
    /// All policies, in the order of ELB's pages.
    #[must_use]
    pub const fn all() -> &'static [Self] {
        POLICIES
    }

    /// The policy with this full name, in AWS's spelling.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        POLICIES.iter().find(|policy| policy.name == name)
    }

    /// The policy of connections to targets, which depends on the listeners' policies.
    ///
    /// The first of these that any listener has decides: FIPS with post-quantum groups, FIPS,
    /// post-quantum groups, TLS 1.3, anything else. A load balancer without TLS listeners counts as the last.
    #[must_use]
    pub fn towards_targets<'a>(listeners: impl Iterator<Item = &'a Self>) -> &'static Self {
        let rank = |policy: &Self| match (policy.fips, policy.post_quantum, policy.versions.tls13()) {
            (true, true, _) => 4,
            (true, false, _) => 3,
            (false, true, _) => 2,
            (false, false, true) => 1,
            (false, false, false) => 0,
        };
        let name = match listeners.map(rank).max().unwrap_or(0) {
            4 => "ELBSecurityPolicy-TLS13-1-0-FIPS-PQ-2025-09",
            3 => "ELBSecurityPolicy-TLS13-1-0-FIPS-2023-04",
            2 => "ELBSecurityPolicy-TLS13-1-0-PQ-2025-09",
            1 => "ELBSecurityPolicy-TLS13-1-0-2021-06",
            _ => DEFAULT,
        };
        Self::by_name(name).unwrap_or(&OLDEST)
    }

    /// Protocol versions and cipher suites (OpenSSL names) that ELB serves with this policy and we do not.
    pub fn left_out(&self) -> impl Iterator<Item = &'static str> {
        self.left_out.iter().copied().flatten().copied()
    }

    /// One line for the operator if the policy is not served exactly.
    #[must_use]
    pub fn left_out_warning(&self) -> Option<String> {
        let left_out: Vec<&str> = self.left_out().collect();
        let missing = (!left_out.is_empty()).then(|| format!("does not offer {}", left_out.join(", ")));
        let unvalidated = self.fips.then(|| "uses no FIPS-validated module".to_owned());
        let parts: Vec<String> = missing.into_iter().chain(unvalidated).collect();
        (!parts.is_empty()).then(|| format!("{}: this load balancer {}", self.name, parts.join(" and ")))
    }

    const fn new(
        name: &'static str,
        versions: Versions,
        left_out: &'static [&'static [&'static str]],
    ) -> Self {
        Self { name, versions, post_quantum: false, fips: false, rfc9151: None, left_out }
    }

    const fn pq(self) -> Self {
        Self { post_quantum: true, ..self }
    }

    const fn fips(self) -> Self {
        Self { fips: true, ..self }
    }

    /// All RFC 9151 policies are FIPS policies.
    const fn rfc9151(self, how: Rfc9151) -> Self {
        Self { fips: true, rfc9151: Some(how), ..self }
    }
}

const TLS_1_1: &[&str] = &["TLSv1.1"];
const TLS_1_0: &[&str] = &["TLSv1", "TLSv1.1"];
const ECDHE_SHA2: &[&str] = &[
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
];
const ECDHE_SHA1: &[&str] =
    &["ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA"];
const RSA_SHA2: &[&str] = &["AES128-GCM-SHA256", "AES128-SHA256", "AES256-GCM-SHA384", "AES256-SHA256"];
const RSA_SHA1: &[&str] = &["AES128-SHA", "AES256-SHA"];
const TRIPLE_DES: &[&str] = &["DES-CBC3-SHA"];

/// What a policy leaves out, by the names that ELB's pages give its cipher lists.
const NOTHING: &[&[&str]] = &[];
const SHA2: &[&[&str]] = &[ECDHE_SHA2];
const EXT0: &[&[&str]] = &[ECDHE_SHA2, ECDHE_SHA1];
const EXT1: &[&[&str]] = &[ECDHE_SHA2, RSA_SHA2];
const EXT2: &[&[&str]] = &[ECDHE_SHA2, ECDHE_SHA1, RSA_SHA2, RSA_SHA1];
const EXT2_FROM_1_1: &[&[&str]] = &[TLS_1_1, ECDHE_SHA2, ECDHE_SHA1, RSA_SHA2, RSA_SHA1];
const EXT2_FROM_1_0: &[&[&str]] = &[TLS_1_0, ECDHE_SHA2, ECDHE_SHA1, RSA_SHA2, RSA_SHA1];
const EXT2_AND_TRIPLE_DES: &[&[&str]] = &[TLS_1_0, ECDHE_SHA2, ECDHE_SHA1, RSA_SHA2, RSA_SHA1, TRIPLE_DES];
const RSA_AES256_GCM: &[&[&str]] = &[&["AES256-GCM-SHA384"]];
const FS_FROM_1_1: &[&[&str]] = &[TLS_1_1, ECDHE_SHA2, ECDHE_SHA1];
const FS_FROM_1_0: &[&[&str]] = &[TLS_1_0, ECDHE_SHA2, ECDHE_SHA1];

use Versions::{Tls12, Tls12AndTls13, Tls13};

/// [`DEFAULT`], for what needs a policy before there are listeners.
pub static OLDEST: SecurityPolicy = SecurityPolicy::new(DEFAULT, Tls12, EXT2_FROM_1_0);

const POLICIES: &[SecurityPolicy] = &[
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-3-2021-06", Tls13, NOTHING),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-3-PQ-2025-09", Tls13, NOTHING).pq(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-2021-06", Tls12AndTls13, SHA2),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-PQ-2025-09", Tls12AndTls13, SHA2).pq(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-Res-2021-06", Tls12AndTls13, NOTHING),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", Tls12AndTls13, NOTHING).pq(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06", Tls12AndTls13, EXT2),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-Ext2-PQ-2025-09", Tls12AndTls13, EXT2).pq(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06", Tls12AndTls13, EXT1),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-Ext1-PQ-2025-09", Tls12AndTls13, EXT1).pq(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-1-2021-06", Tls12AndTls13, EXT2_FROM_1_1),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-0-2021-06", Tls12AndTls13, EXT2_FROM_1_0),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-0-PQ-2025-09", Tls12AndTls13, EXT2_FROM_1_0).pq(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS-1-2-Ext-2018-06", Tls12, EXT2),
    SecurityPolicy::new("ELBSecurityPolicy-TLS-1-2-2017-01", Tls12, EXT1),
    SecurityPolicy::new("ELBSecurityPolicy-TLS-1-1-2017-01", Tls12, EXT2_FROM_1_1),
    SecurityPolicy::new(DEFAULT, Tls12, EXT2_FROM_1_0),
    SecurityPolicy::new("ELBSecurityPolicy-2015-05", Tls12, EXT2_FROM_1_0),
    SecurityPolicy::new("ELBSecurityPolicy-TLS-1-0-2015-04", Tls12, EXT2_AND_TRIPLE_DES),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04", Tls13, NOTHING).fips(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-3-FIPS-PQ-2025-09", Tls13, NOTHING).fips().pq(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04", Tls12AndTls13, SHA2).fips(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-FIPS-PQ-2025-09", Tls12AndTls13, SHA2).fips().pq(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04", Tls12AndTls13, NOTHING).fips(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-Res-FIPS-PQ-2025-09", Tls12AndTls13, NOTHING)
        .fips()
        .pq(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-Ext2-FIPS-2023-04", Tls12AndTls13, EXT2).fips(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-Ext2-FIPS-PQ-2025-09", Tls12AndTls13, EXT2).fips().pq(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-Ext1-FIPS-2023-04", Tls12AndTls13, EXT1).fips(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-Ext1-FIPS-PQ-2025-09", Tls12AndTls13, EXT1).fips().pq(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-2023-04", Tls12AndTls13, EXT0).fips(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-PQ-2025-09", Tls12AndTls13, EXT0).fips().pq(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-1-FIPS-2023-04", Tls12AndTls13, EXT2_FROM_1_1).fips(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-0-FIPS-2023-04", Tls12AndTls13, EXT2_FROM_1_0).fips(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-0-FIPS-PQ-2025-09", Tls12AndTls13, EXT2_FROM_1_0)
        .fips()
        .pq(),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-3-RFC9151-FIPS-2023-07", Tls13, NOTHING)
        .rfc9151(Rfc9151::Strict),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-RFC9151-FIPS-2023-07", Tls12AndTls13, NOTHING)
        .rfc9151(Rfc9151::Strict),
    SecurityPolicy::new(
        "ELBSecurityPolicy-TLS13-1-2-Ext0-RFC9151-FIPS-2023-07",
        Tls12AndTls13,
        RSA_AES256_GCM,
    )
    .rfc9151(Rfc9151::Strict),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP1-FIPS-2023-07", Tls12AndTls13, NOTHING)
        .rfc9151(Rfc9151::Interop),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP2-FIPS-2023-07", Tls12AndTls13, SHA2)
        .rfc9151(Rfc9151::Interop),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP3-FIPS-2023-07", Tls12AndTls13, EXT0)
        .rfc9151(Rfc9151::Interop),
    SecurityPolicy::new("ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07", Tls12AndTls13, EXT2)
        .rfc9151(Rfc9151::Interop),
    SecurityPolicy::new("ELBSecurityPolicy-FS-1-2-Res-2020-10", Tls12, NOTHING),
    SecurityPolicy::new("ELBSecurityPolicy-FS-1-2-Res-2019-08", Tls12, SHA2),
    SecurityPolicy::new("ELBSecurityPolicy-FS-1-2-2019-08", Tls12, EXT0),
    SecurityPolicy::new("ELBSecurityPolicy-FS-1-1-2019-08", Tls12, FS_FROM_1_1),
    SecurityPolicy::new("ELBSecurityPolicy-FS-2018-06", Tls12, FS_FROM_1_0),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Versions, what is left out by count of versions and ciphers, and the flags.
    #[track_caller]
    fn check(name: &str, versions: Versions, left_out: (usize, usize)) {
        let policy = SecurityPolicy::by_name(&format!("ELBSecurityPolicy-{name}")).unwrap();
        assert_eq!(policy.versions, versions);
        let (left_versions, ciphers): (Vec<&str>, Vec<&str>) =
            policy.left_out().partition(|name| name.starts_with("TLSv1"));
        assert_eq!((left_versions.len(), ciphers.len()), left_out);
        assert_eq!(policy.post_quantum, name.contains("-PQ-"));
        assert_eq!(policy.fips, name.contains("-FIPS-"));
        assert_eq!(policy.rfc9151.is_some(), name.contains("-RFC9151-"));
        assert_eq!(policy.rfc9151 == Some(Rfc9151::Interop), name.contains("-INTEROP"));
        let is_exact = left_out == (0, 0) && !policy.fips;
        assert_eq!(policy.left_out_warning().is_none(), is_exact);
    }

    #[test]
    fn what_is_served_exactly() {
        check("TLS13-1-3-2021-06", Tls13, (0, 0));
        check("TLS13-1-3-PQ-2025-09", Tls13, (0, 0));
        check("TLS13-1-2-Res-2021-06", Tls12AndTls13, (0, 0));
        check("TLS13-1-2-Res-PQ-2025-09", Tls12AndTls13, (0, 0));
        check("FS-1-2-Res-2020-10", Tls12, (0, 0));
    }

    #[test]
    fn what_is_served_in_part() {
        check("TLS13-1-2-2021-06", Tls12AndTls13, (0, 4));
        check("TLS13-1-2-Ext1-2021-06", Tls12AndTls13, (0, 8));
        check("TLS13-1-2-Ext2-2021-06", Tls12AndTls13, (0, 14));
        check("TLS13-1-1-2021-06", Tls12AndTls13, (1, 14));
        check("TLS13-1-0-PQ-2025-09", Tls12AndTls13, (2, 14));
        check("2016-08", Tls12, (2, 14));
        check("2015-05", Tls12, (2, 14));
        check("TLS-1-0-2015-04", Tls12, (2, 15));
        check("TLS-1-2-2017-01", Tls12, (0, 8));
        check("TLS-1-2-Ext-2018-06", Tls12, (0, 14));
        check("FS-1-1-2019-08", Tls12, (1, 8));
        check("FS-2018-06", Tls12, (2, 8));
        check("TLS13-1-2-Ext0-FIPS-PQ-2025-09", Tls12AndTls13, (0, 8));
        check("TLS13-1-3-FIPS-2023-04", Tls13, (0, 0));
        check("TLS13-1-2-RFC9151-FIPS-2023-07", Tls12AndTls13, (0, 0));
        check("TLS13-1-2-Ext0-RFC9151-FIPS-2023-07", Tls12AndTls13, (0, 1));
        check("TLS13-1-2-RFC9151-INTEROP1-FIPS-2023-07", Tls12AndTls13, (0, 0));
        check("TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07", Tls12AndTls13, (0, 14));
    }

    #[track_caller]
    fn check_towards_targets(listeners: &[&str], expected: &str) {
        let full = |name: &str| format!("ELBSecurityPolicy-{name}");
        let policies = listeners.iter().map(|name| SecurityPolicy::by_name(&full(name)).unwrap());
        assert_eq!(SecurityPolicy::towards_targets(policies).name, full(expected), "{listeners:?}");
    }

    #[test]
    fn targets_get_the_policy_that_goes_with_the_listeners() {
        check_towards_targets(&[], "2016-08");
        check_towards_targets(&["TLS-1-2-2017-01", "FS-1-2-Res-2020-10"], "2016-08");
        check_towards_targets(&["2016-08", "TLS13-1-2-Res-2021-06"], "TLS13-1-0-2021-06");
        check_towards_targets(&["TLS13-1-2-Res-PQ-2025-09", "TLS13-1-3-2021-06"], "TLS13-1-0-PQ-2025-09");
        check_towards_targets(
            &["TLS13-1-2-FIPS-2023-04", "TLS13-1-2-Res-PQ-2025-09"],
            "TLS13-1-0-FIPS-2023-04",
        );
        check_towards_targets(&["2016-08", "TLS13-1-3-FIPS-PQ-2025-09"], "TLS13-1-0-FIPS-PQ-2025-09");
    }

    #[test]
    fn names_are_unique_and_unknown_ones_are_not_found() {
        let names: HashSet<&str> = SecurityPolicy::all().iter().map(|policy| policy.name).collect();
        assert_eq!(names.len(), SecurityPolicy::all().len());
        assert!(SecurityPolicy::by_name(DEFAULT).is_some());
        assert!(SecurityPolicy::by_name("2016-08").is_none());
        assert!(SecurityPolicy::by_name("ELBSecurityPolicy-TLS13-1-1-PQ-2025-09").is_none());
    }

    #[test]
    fn the_warning_names_what_is_missing() {
        let warning = |name| SecurityPolicy::by_name(name).unwrap().left_out_warning();
        assert_eq!(
            warning("ELBSecurityPolicy-FS-1-2-Res-2019-08").as_deref(),
            Some(
                "ELBSecurityPolicy-FS-1-2-Res-2019-08: this load balancer does not offer \
                 ECDHE-ECDSA-AES128-SHA256, ECDHE-RSA-AES128-SHA256, ECDHE-ECDSA-AES256-SHA384, \
                 ECDHE-RSA-AES256-SHA384"
            )
        );
        assert_eq!(
            warning("ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04").as_deref(),
            Some(
                "ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04: this load balancer uses no FIPS-validated module"
            )
        );
    }
}
