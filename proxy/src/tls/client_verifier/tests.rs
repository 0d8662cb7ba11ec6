use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use time::OffsetDateTime;
use webpki::{OwnedCertRevocationList, anchor_from_trusted_cert};

use super::*;

/// Everything here is valid from 2020 to 2030, unless a test says otherwise.
const NOW: u64 = 1_750_000_000;

struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    params
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn root(params: CertificateParams) -> Authority {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    Authority { certificate, issuer: Issuer::new(params, key) }
}

impl Authority {
    fn intermediate(&self, name: &str) -> Self {
        let (params, key) = (ca_params(name), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn leaf(&self, params: &CertificateParams) -> CertificateDer<'static> {
        params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap().der().clone()
    }

    fn revoking(&self, serial: u64) -> CertRevocationList<'static> {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            // Overdue at `NOW`.
            next_update: date_time_ymd(2024, 1, 8),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).unwrap();
        OwnedCertRevocationList::from_der(list.der()).unwrap().into()
    }
}

fn verification(trusted: &[&Authority], revocation_lists: Vec<CertRevocationList<'static>>) -> Verification {
    let anchors: Vec<_> =
        trusted.iter().map(|it| anchor_from_trusted_cert(&it.certificate).unwrap().to_owned()).collect();
    let validity = |it: &&Authority| {
        let certificate = parse(&it.certificate).unwrap();
        (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp())
    };
    let trust_store = Arc::new(LoadedTrustStore {
        subjects: anchors.iter().map(|anchor| DistinguishedName::in_sequence(&anchor.subject)).collect(),
        anchors,
        validities: trusted.iter().map(validity).collect(),
        revocation_lists,
    });
    Verification { trust_store, ignore_expiry: false, advertise_ca_names: false }
}

fn policy(name: &str) -> &'static SecurityPolicy {
    SecurityPolicy::by_name(&format!("ELBSecurityPolicy-{name}")).unwrap()
}

fn status_under(
    policy_name: &str,
    verification: &Verification,
    chain: &[&CertificateDer<'static>],
) -> Result<(), VerifyStatus> {
    let authentication = ClientAuthentication::Verify(verification.clone());
    let verifier = ClientVerifier::new(authentication, policy(policy_name)).unwrap();
    let (leaf, intermediates) = chain.split_first().unwrap();
    let intermediates: Vec<_> = intermediates.iter().map(|&it| it.clone()).collect();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    verifier.check(verification, leaf, &intermediates, now)
}

#[track_caller]
fn check(
    verification: &Verification,
    chain: &[&CertificateDer<'static>],
    expected: Result<(), VerifyStatus>,
) {
    assert_eq!(status_under("TLS13-1-2-Res-2021-06", verification, chain), expected);
}

#[test]
fn a_chain_to_any_certificate_of_the_store_is_trusted() {
    let root = root(ca_params("root"));
    let middle = root.intermediate("middle");
    let leaf = middle.leaf(&params("client"));
    check(&verification(&[&root], vec![]), &[&leaf, &middle.certificate], Ok(()));
    // Roots that clients send along do no harm.
    check(&verification(&[&root], vec![]), &[&leaf, &middle.certificate, &root.certificate], Ok(()));
    check(&verification(&[&middle], vec![]), &[&leaf], Ok(()));
    check(&verification(&[&root], vec![]), &[&leaf], Err(VerifyStatus::ClientCertUntrusted));
}

#[test]
fn strangers_are_not_trusted_even_under_a_trusted_name() {
    let (ours, theirs) = (root(ca_params("root")), root(ca_params("root")));
    let leaf = theirs.leaf(&params("client"));
    check(&verification(&[&ours], vec![]), &[&leaf], Err(VerifyStatus::ClientCertUntrusted));
}

#[test]
fn a_chain_of_four_is_the_longest() {
    let root = root(ca_params("root"));
    let one = root.intermediate("one");
    let two = one.intermediate("two");
    let three = two.intermediate("three");
    let store = verification(&[&root], vec![]);
    let leaf = two.leaf(&params("client"));
    check(&store, &[&leaf, &two.certificate, &one.certificate], Ok(()));
    let leaf = three.leaf(&params("client"));
    let too_long = Err(VerifyStatus::ClientCertMaxChainDepthExceeded);
    check(&store, &[&leaf, &three.certificate, &two.certificate, &one.certificate], too_long);
    let sent = [&leaf, &three.certificate, &two.certificate, &one.certificate, &root.certificate];
    check(&store, &sent, too_long);
}

#[test]
fn validity_is_checked_from_the_leaf_to_the_store() {
    let root_ca = root(ca_params("root"));
    let store = verification(&[&root_ca], vec![]);
    let mut early = params("client");
    early.not_before = date_time_ymd(2029, 1, 1);
    check(&store, &[&root_ca.leaf(&early)], Err(VerifyStatus::ClientCertNotYetValid));
    let mut late = params("client");
    late.not_after = date_time_ymd(2024, 1, 1);
    let expired = root_ca.leaf(&late);
    check(&store, &[&expired], Err(VerifyStatus::ClientCertExpired));
    let forgiving = Verification { ignore_expiry: true, ..store };
    check(&forgiving, &[&expired], Ok(()));
    // The leaf's expiry is all that is forgiven.
    check(&forgiving, &[&root_ca.leaf(&early)], Err(VerifyStatus::ClientCertNotYetValid));
    let mut old = ca_params("old root");
    old.not_after = date_time_ymd(2024, 1, 1);
    let old = root(old);
    check(
        &verification(&[&old], vec![]),
        &[&old.leaf(&params("client"))],
        Err(VerifyStatus::ClientCertExpired),
    );
}

#[test]
fn revoked_certificates_and_issuers_are_refused() {
    let root = root(ca_params("root"));
    let mut revoked = params("client");
    revoked.serial_number = Some(SerialNumber::from(7));
    let revoked = root.leaf(&revoked);
    let other = root.leaf(&params("client"));
    let store = verification(&[&root], vec![root.revoking(7)]);
    check(&store, &[&revoked], Err(VerifyStatus::ClientCertCrlHit));
    check(&store, &[&other], Ok(()));

    let mut middle = ca_params("middle");
    middle.serial_number = Some(SerialNumber::from(7));
    let key = KeyPair::generate().unwrap();
    let certificate = middle.signed_by(&key, &root.issuer).unwrap().der().clone();
    let middle = Authority { certificate, issuer: Issuer::new(middle, key) };
    // The leaf's own issuer has no list, which says nothing against it.
    let leaf = middle.leaf(&params("client"));
    check(&store, &[&leaf, &middle.certificate], Err(VerifyStatus::ClientCertCrlHit));
}

#[test]
fn a_list_that_its_issuer_did_not_sign_cannot_be_used() {
    let (ours, theirs) = (root(ca_params("root")), root(ca_params("root")));
    let leaf = ours.leaf(&params("client"));
    let store = verification(&[&ours], vec![theirs.revoking(7)]);
    check(&store, &[&leaf], Err(VerifyStatus::ClientCertCrlProcessingError));
}

#[test]
fn a_certificate_for_servers_is_no_clients() {
    let root = root(ca_params("root"));
    let store = verification(&[&root], vec![]);
    let with = |usage| {
        let mut params = params("client");
        params.extended_key_usages = vec![usage];
        root.leaf(&params)
    };
    check(&store, &[&with(ExtendedKeyUsagePurpose::ServerAuth)], Err(VerifyStatus::ClientCertPurposeInvalid));
    check(&store, &[&with(ExtendedKeyUsagePurpose::ClientAuth)], Ok(()));
}

#[test]
fn keys_that_elb_does_not_take_are_refused() {
    let root = root(ca_params("root"));
    let store = verification(&[&root], vec![]);
    let leaf = |algorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        params("client").signed_by(&key, &root.issuer).unwrap().der().clone()
    };
    let ed25519 = leaf(&rcgen::PKCS_ED25519);
    check(&store, &[&ed25519], Err(VerifyStatus::ClientCertTypeUnsupported));
    let p256 = leaf(&rcgen::PKCS_ECDSA_P256_SHA256);
    let p384 = leaf(&rcgen::PKCS_ECDSA_P384_SHA384);
    check(&store, &[&p256], Ok(()));
    check(&store, &[&leaf(&rcgen::PKCS_ECDSA_P521_SHA512)], Ok(()));
    let strict = |leaf| status_under("TLS13-1-2-RFC9151-FIPS-2023-07", &store, &[leaf]);
    assert_eq!(strict(&p256), Err(VerifyStatus::ClientCertIncompatible));
    assert_eq!(strict(&p384), Ok(()));
    let garbage = CertificateDer::from(b"\x30\x03abc".to_vec());
    check(&store, &[&garbage], Err(VerifyStatus::ClientCertInvalid));
}

#[test]
fn the_stores_names_are_shown_only_when_told() {
    let root = root(ca_params("root"));
    let quiet = verification(&[&root], vec![]);
    let open = Verification { advertise_ca_names: true, ..quiet.clone() };
    let hints = |authentication| {
        let verifier = ClientVerifier::new(authentication, policy("TLS13-1-2-Res-2021-06")).unwrap();
        (verifier.root_hint_subjects().len(), verifier.client_auth_mandatory())
    };
    assert_eq!(hints(ClientAuthentication::Verify(quiet)), (0, true));
    assert_eq!(hints(ClientAuthentication::Verify(open)), (1, true));
    assert_eq!(hints(ClientAuthentication::Passthrough), (0, false));
    assert!(ClientVerifier::new(ClientAuthentication::Off, policy("2016-08")).is_none());
}

#[test]
fn now_lies_in_the_validity_of_the_tests_certificates() {
    let now = OffsetDateTime::from_unix_timestamp(NOW.cast_signed()).unwrap();
    assert!((date_time_ymd(2024, 2, 1)..date_time_ymd(2029, 1, 1)).contains(&now));
}
