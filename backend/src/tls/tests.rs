//! What is loaded, refused and taken up.

use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::time::Duration;

use super::*;

/// A directory with a certificate and its key.
fn pair() -> (TempDir, Files) {
    let dir = tempfile::tempdir().unwrap();
    let files = Files { certificate: dir.path().join("c.pem"), private_key: dir.path().join("k.pem") };
    write(&files, &KeyPair::generate().unwrap());
    (dir, files)
}

fn write(files: &Files, key: &KeyPair) {
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(key).unwrap();
    std::fs::write(&files.certificate, certificate.pem()).unwrap();
    std::fs::write(&files.private_key, key.serialize_pem()).unwrap();
}

/// The chain of errors as the command prints it, with paths shortened.
#[track_caller]
fn refused(dir: &Path, files: Files) -> String {
    let error = anyhow::Error::from(Tls::load(files).expect_err("it cannot be used"));
    format!("{error:#}").replace(&format!("{}/", dir.display()), "")
}

#[test]
fn http_1_1_is_the_only_protocol_and_tickets_are_given() {
    let (_dir, files) = pair();
    let config = Tls::load(files).unwrap().current();
    assert_eq!(config.alpn_protocols, [b"http/1.1"]);
    assert!(config.ticketer.enabled());
}

#[test]
fn what_cannot_be_used_is_named_with_its_setting_path_and_reason() {
    let (dir, files) = pair();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("text"), "no PEM").unwrap();
    let other = KeyPair::generate().unwrap();
    std::fs::write(at("other.pem"), other.serialize_pem()).unwrap();
    std::fs::write(at("bad.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let bad_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    std::fs::write(at("bad-key.pem"), bad_key).unwrap();
    std::fs::write(at("huge"), vec![b'x'; (1 << 20) + 1]).unwrap();
    let certificate = |name| Files { certificate: at(name), ..files.clone() };
    let key = |name| Files { private_key: at(name), ..files.clone() };
    let mut said = String::new();
    for files in [
        certificate("none.pem"),
        key("none.pem"),
        certificate("huge"),
        certificate("text"),
        certificate("k.pem"),
        key("text"),
        key("c.pem"),
        certificate("bad.pem"),
        key("bad-key.pem"),
        key("other.pem"),
    ] {
        said += &refused(dir.path(), files);
        said.push('\n');
    }
    insta::assert_snapshot!(said, @"
    server.ssl.certificate: none.pem: cannot be read: No such file or directory (os error 2)
    server.ssl.certificate-private-key: none.pem: cannot be read: No such file or directory (os error 2)
    server.ssl.certificate: huge: cannot be read: larger than 1048576 bytes
    server.ssl.certificate: text: holds no certificate in PEM: no items found
    server.ssl.certificate: k.pem: holds no certificate in PEM: no items found
    server.ssl.certificate-private-key: text: holds no private key in PEM: no items found
    server.ssl.certificate-private-key: c.pem: holds no private key in PEM: no items found
    server.ssl.certificate: bad.pem: cannot be used: invalid peer certificate: BadEncoding
    server.ssl.certificate-private-key: bad-key.pem: cannot be used: unexpected error: failed to parse private key as RSA, ECDSA, or EdDSA
    server.ssl.certificate-private-key: other.pem: does not belong to the certificate c.pem
    ");
}

#[tokio::test]
async fn a_pair_is_taken_up_on_request_and_a_bad_one_is_not() {
    let (_dir, files) = pair();
    let tls = Tls::load(files.clone()).unwrap();
    let metrics = Metrics::try_new().unwrap();
    let reloads = |result| metrics.tls.certificate_reloads.with_label_values(&[result]).get();
    let old = tls.current();
    let requests = async {
        write(&files, &KeyPair::generate().unwrap());
        tls.request_reload();
        while reloads("ok") == 0 {
            tokio::task::yield_now().await;
        }
        let new = tls.current();
        assert!(!Arc::ptr_eq(&old, &new));
        std::fs::write(&files.private_key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        tls.request_reload();
        while reloads("failed") == 0 {
            tokio::task::yield_now().await;
        }
        assert!(Arc::ptr_eq(&new, &tls.current()));
    };
    let deadline = Duration::from_secs(20);
    tokio::select! {
        () = tls.watch(&metrics) => {}
        result = tokio::time::timeout(deadline, requests) => result.expect("both requests are served"),
    }
    assert_eq!((reloads("ok"), reloads("failed")), (1, 1));
}
