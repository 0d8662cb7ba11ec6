use std::{fmt::Write as _, fs};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use tempfile::TempDir;

use super::*;

fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), Issuer::new(params, key))
}

fn revocations(issuer: &Issuer<'static, KeyPair>, serial: u64) -> rcgen::CertificateRevocationList {
    let revoked = RevokedCertParams {
        serial_number: SerialNumber::from(serial),
        revocation_time: date_time_ymd(2024, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 1, 1),
        next_update: date_time_ymd(2024, 1, 8),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).unwrap()
}

/// A trust store of these files.
fn store(dir: &TempDir, bundle: &[u8], lists: &[&[u8]]) -> TrustStore {
    let write = |name: String, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let revocation_lists =
        lists.iter().enumerate().map(|(index, list)| write(format!("{index}.crl"), list)).collect();
    TrustStore {
        name: "staff".to_owned(),
        arn: String::new(),
        ca_certificates_bundle: write("bundle.pem".to_owned(), bundle),
        revocation_lists,
    }
}

#[track_caller]
fn refused(bundle: &[u8], lists: &[&[u8]], setting: &str, message: &str) {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir, bundle, lists);
    let error = LoadedTrustStore::read(&store).unwrap_err();
    assert_eq!(error.setting(&store), setting);
    let text = error.to_string().replace(&format!("{}/", dir.path().display()), "");
    assert_eq!(text, format!("trust store \"staff\": {message}"));
}

#[test]
fn bundles_and_revocation_lists_are_read_in_pem_and_der() {
    let (one, issuer) = authority("one");
    let (two, _) = authority("two");
    let list = revocations(&issuer, 7);
    let dir = tempfile::tempdir().unwrap();
    let bundle = format!("# ours\n{one}# theirs\n{two}");
    let store = store(&dir, bundle.as_bytes(), &[list.pem().unwrap().as_bytes(), list.der()]);
    let loaded = LoadedTrustStore::read(&store).unwrap();
    assert_eq!((loaded.anchors.len(), loaded.subjects.len(), loaded.revocation_lists.len()), (2, 2, 2));
}

#[test]
fn mistakes_in_files_are_named() {
    let (ca, issuer) = authority("one");
    refused(b"", &[], "ca_certificates_bundle", "bundle.pem holds no PEM certificate");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    refused(
        format!("{ca}{broken}").as_bytes(),
        &[],
        "ca_certificates_bundle",
        "bundle.pem holds a certificate that cannot be used (number 2)",
    );
    let list = revocations(&issuer, 7);
    for bad in [b"".as_slice(), b"not a list", ca.as_bytes()] {
        refused(
            ca.as_bytes(),
            &[list.der(), bad],
            "revocation_lists[1]",
            "1.crl holds no revocation list that can be used, PEM or DER",
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let mut missing = store(&dir, ca.as_bytes(), &[]);
    missing.revocation_lists.push(dir.path().join("none.crl"));
    let error = LoadedTrustStore::read(&missing).unwrap_err();
    assert!(matches!(error.problem, Problem::Read(_)));
    assert_eq!(error.setting(&missing), "revocation_lists[0]");
}

#[test]
fn quotas_are_kept() {
    let many = (0..=MOST_CA_CERTIFICATES).fold(String::new(), |text, n| text + &authority(&n.to_string()).0);
    refused(
        many.as_bytes(),
        &[],
        "ca_certificates_bundle",
        "bundle.pem holds 26 certificates; up to 25 are allowed",
    );
    let long = authority(&"x".repeat(MOST_SUBJECT_BYTES / 2)).0.repeat(2);
    refused(
        long.as_bytes(),
        &[],
        "ca_certificates_bundle",
        "bundle.pem holds certificates whose subjects have 10042 bytes; up to 10000 are allowed",
    );
    let large = authority(&"x".repeat(LARGEST_CA_CERTIFICATE)).0;
    refused(
        large.as_bytes(),
        &[],
        "ca_certificates_bundle",
        "bundle.pem holds a certificate of more than 16 KB (number 1)",
    );
    let mut text = String::new();
    writeln!(text, "{}", "x".repeat(1 << 20)).unwrap();
    let (ca, _) = authority("one");
    refused(
        ca.as_bytes(),
        &[text.repeat(50).as_bytes()],
        "revocation_lists[0]",
        "0.crl is larger than 50 MB",
    );
}

#[test]
fn the_revocations_of_all_lists_are_counted_together() {
    let (_, issuer) = authority("one");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.crl");
    fs::write(&path, revocations(&issuer, 7).der()).unwrap();
    let mut entries = MOST_REVOCATIONS - 1;
    assert!(revocation_lists(&path, &mut entries).is_ok());
    let error = revocation_lists(&path, &mut entries).unwrap_err();
    assert_eq!(error.to_string(), "makes more than 500000 revocation entries");
}
