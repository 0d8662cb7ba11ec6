use std::{os::unix::fs::PermissionsExt as _, sync::Arc, time::UNIX_EPOCH};

use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};
use tempfile::TempDir;

use super::*;

fn now() -> SystemTime {
    UNIX_EPOCH + std::time::Duration::from_secs(1_780_000_000)
}

#[track_caller]
fn make(directory: &TempDir, now: SystemTime) -> Vec<(String, Status)> {
    statuses(&create(directory.path(), now, &mut rand::rng()).unwrap())
}

fn statuses(report: &Report) -> Vec<(String, Status)> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut files: Vec<_> = report.files.iter().map(|(path, status)| (name(path), *status)).collect();
    files.sort_unstable_by(|left, right| left.0.cmp(&right.0));
    files
}

/// Statuses of `ca-key.pem`, `ca.pem`, `localhost-key.pem`, `localhost.pem`, `stickiness.key`.
#[track_caller]
fn check(files: &[(String, Status)], expected: [Status; 5]) {
    let names = [CA_KEY, CA, LEAF_KEY, LEAF, STICKINESS_KEY];
    let expected: Vec<_> = names.into_iter().map(str::to_owned).zip(expected).collect();
    assert_eq!(files, expected);
}

fn read(directory: &TempDir, name: &str) -> Vec<u8> {
    fs::read(directory.path().join(name)).unwrap()
}

fn remove(directory: &TempDir, name: &str) {
    fs::remove_file(directory.path().join(name)).unwrap();
}

/// What a client that trusts the authority says of the leaf `days` later.
fn verify(directory: &TempDir, name: &str, days: u64) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&read(directory, CA)).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let chain = read(directory, LEAF);
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain).map(Result::unwrap).collect();
    assert_eq!(chain.len(), 2);
    let at = now().duration_since(UNIX_EPOCH).unwrap() + std::time::Duration::from_secs(days * 86_400);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier
        .verify_server_cert(&chain[0], &chain[1..], &name, &[], UnixTime::since_unix_epoch(at))
        .map(|_| ())
}

#[test]
fn everything_is_made_in_an_empty_directory_and_kept_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    check(&make(&directory, now()), [Status::Created; 5]);
    let names = [CA, CA_KEY, LEAF, LEAF_KEY, STICKINESS_KEY];
    let before = names.map(|name| read(&directory, name));
    check(&make(&directory, now()), [Status::Kept; 5]);
    assert_eq!(names.map(|name| read(&directory, name)), before);
    for (name, mode) in
        [(CA, 0o644), (LEAF, 0o644), (CA_KEY, 0o600), (LEAF_KEY, 0o600), (STICKINESS_KEY, 0o600)]
    {
        let permissions = fs::metadata(directory.path().join(name)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777 & !0o022, mode & !0o022, "{name}");
    }
    seal::Keys::read(&[directory.path().join(STICKINESS_KEY)]).unwrap();
}

#[test]
fn clients_that_trust_the_authority_accept_the_leaf_for_its_names_and_time() {
    let directory = tempfile::tempdir().unwrap();
    make(&directory, now());
    for name in ["localhost", "127.0.0.1", "::1"] {
        assert_eq!(verify(&directory, name, 0), Ok(()), "{name}");
        assert_eq!(verify(&directory, name, 396), Ok(()), "{name}");
    }
    assert!(verify(&directory, "localhost", 398).is_err());
    assert!(verify(&directory, "example.com", 0).is_err());
    assert!(verify(&directory, "127.0.0.2", 0).is_err());
}

#[test]
fn the_key_fits_the_certificate() {
    let directory = tempfile::tempdir().unwrap();
    make(&directory, now());
    let chain = read(&directory, LEAF);
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(&read(&directory, LEAF_KEY)).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    rustls::sign::CertifiedKey::from_der(chain, key, &provider).unwrap().keys_match().unwrap();
}

#[test]
fn a_missing_leaf_is_signed_by_the_authority_that_is_there() {
    let directory = tempfile::tempdir().unwrap();
    make(&directory, now());
    let authority = read(&directory, CA);
    remove(&directory, LEAF);
    remove(&directory, LEAF_KEY);
    let later = now() + std::time::Duration::from_secs(86_400);
    let kept = Status::Kept;
    check(&make(&directory, later), [kept, kept, Status::Created, Status::Created, kept]);
    assert_eq!(read(&directory, CA), authority);
    assert_eq!(verify(&directory, "localhost", 397), Ok(()));
}

#[test]
fn a_leaf_without_its_authority_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    make(&directory, now());
    let leaf = read(&directory, LEAF);
    remove(&directory, CA);
    remove(&directory, CA_KEY);
    let (kept, not_needed) = (Status::Kept, Status::NotNeeded);
    check(&make(&directory, now()), [not_needed, not_needed, kept, kept, kept]);
    assert_eq!(read(&directory, LEAF), leaf);
}

#[test]
fn an_expired_leaf_is_reported_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    make(&directory, now());
    let leaf = read(&directory, LEAF);
    let later = now() + std::time::Duration::from_secs(398 * 86_400);
    let report = create(directory.path(), later, &mut rand::rng()).unwrap();
    let kept = Status::Kept;
    check(&statuses(&report), [kept, kept, kept, Status::Expired, kept]);
    assert!(report.to_string().contains("localhost.pem: expired, delete it to renew\n"));
    assert_eq!(read(&directory, LEAF), leaf);
}

#[test]
fn a_certificate_without_its_key_is_an_error_that_names_both() {
    for (certificate, key) in [(LEAF, LEAF_KEY), (CA, CA_KEY)] {
        let directory = tempfile::tempdir().unwrap();
        make(&directory, now());
        remove(&directory, key);
        if certificate == CA {
            remove(&directory, LEAF);
        }
        let error = create(directory.path(), now(), &mut rand::rng()).unwrap_err().to_string();
        assert!(error.contains(certificate) && error.contains(key), "{error}");
        assert!(!directory.path().join(key).exists());
    }
}

#[test]
fn another_key_beside_the_authority_and_garbage_are_refused() {
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    make(&directory, now());
    make(&other, now());
    remove(&directory, LEAF);
    fs::copy(other.path().join(CA_KEY), directory.path().join(CA_KEY)).unwrap();
    let error = create(directory.path(), now(), &mut rand::rng()).unwrap_err();
    assert!(matches!(error, DevelopmentError::ForeignAuthority { .. }), "{error}");
    fs::write(directory.path().join(CA_KEY), "garbage").unwrap();
    let error = create(directory.path(), now(), &mut rand::rng()).unwrap_err();
    assert!(matches!(error, DevelopmentError::UnusableKey { .. }), "{error}");
    assert!(!directory.path().join(LEAF).exists());
}
