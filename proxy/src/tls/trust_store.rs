//! Trust stores: the authorities that client certificates must come from, and
//! what these have revoked.
//!
//! ELB pages: "Configuring mutual TLS on an Application Load Balancer", "Quotas
//! for your Application Load Balancers". Roots and intermediates count alike: a
//! chain that reaches any certificate of the bundle is trusted. Revocation lists
//! may be DER besides PEM, and a bundle may have text between its certificates,
//! both of which ELB refuses.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustls::{
    DistinguishedName,
    pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor, pem::PemObject},
};
use webpki::{CertRevocationList, OwnedCertRevocationList, anchor_from_trusted_cert};
use x509_parser::{prelude::FromDer, revocation_list::CertificateRevocationList};

use super::certificate_choice;
use crate::model::TrustStore;

/// CA certificates of a trust store.
pub const MOST_CA_CERTIFICATES: usize = 25;
/// Bytes of a CA certificate (16 KB).
pub const LARGEST_CA_CERTIFICATE: usize = 16 * 1024;
/// Bytes of all subjects of a trust store's CA certificates.
pub const MOST_SUBJECT_BYTES: usize = 10_000;
/// Entries of all revocation lists of a trust store.
pub const MOST_REVOCATIONS: usize = 500_000;
/// Bytes of a revocation list (50 MB).
pub const LARGEST_REVOCATION_LIST: u64 = 50 * 1024 * 1024;

/// Why a trust store could not be loaded. Every variant is the operator's to mend.
#[derive(Debug, thiserror::Error)]
#[error("trust store \"{name}\": {} {problem}", path.display())]
pub struct TrustStoreError {
    /// The trust store's name in the configuration.
    pub name: String,
    /// The file at fault.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a file of a trust store.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It could not be read.
    #[error("cannot be read")]
    Read(#[source] io::Error),
    /// It holds no certificate.
    #[error("holds no PEM certificate")]
    NoCertificate,
    /// The certificate with this number, counted from 1, cannot be used.
    #[error("holds a certificate that cannot be used (number {0})")]
    BadCertificate(usize),
    /// The certificate with this number is too large.
    #[error("holds a certificate of more than 16 KB (number {0})")]
    LargeCertificate(usize),
    /// So many certificates are too many.
    #[error("holds {0} certificates; up to {MOST_CA_CERTIFICATES} are allowed")]
    TooManyCertificates(usize),
    /// The subjects are too long together.
    #[error("holds certificates whose subjects have {0} bytes; up to {MOST_SUBJECT_BYTES} are allowed")]
    LongSubjects(usize),
    /// It holds no revocation list that can be used.
    #[error("holds no revocation list that can be used, PEM or DER")]
    BadRevocationList,
    /// It is too large.
    #[error("is larger than 50 MB")]
    LargeRevocationList,
    /// With it the trust store has too many entries.
    #[error("makes more than {MOST_REVOCATIONS} revocation entries")]
    TooManyRevocations,
}

impl TrustStoreError {
    /// The setting at fault: `ca_certificates_bundle` or `revocation_lists[N]`.
    #[must_use]
    pub fn setting(&self, store: &TrustStore) -> String {
        match store.revocation_lists.iter().position(|list| *list == self.path) {
            Some(index) if self.path != store.ca_certificates_bundle => format!("revocation_lists[{index}]"),
            _ => "ca_certificates_bundle".to_owned(),
        }
    }
}

/// A trust store ready to verify with.
#[derive(Debug)]
pub struct LoadedTrustStore {
    pub(super) anchors: Vec<TrustAnchor<'static>>,
    /// First and last second of each anchor's validity, since 1970.
    pub(super) validities: Vec<(i64, i64)>,
    /// The anchors' subjects, for clients to choose a certificate by.
    pub(super) subjects: Vec<DistinguishedName>,
    pub(super) revocation_lists: Vec<CertRevocationList<'static>>,
}

impl LoadedTrustStore {
    /// Reads bundle and revocation lists from their files.
    ///
    /// # Errors
    ///
    /// A file that is missing, holds the wrong thing, or breaks one of ELB's quotas.
    pub fn read(store: &TrustStore) -> Result<Self, TrustStoreError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |problem| TrustStoreError { name: store.name.clone(), path, problem }
        };
        let mut loaded = bundle(&store.ca_certificates_bundle).map_err(at(&store.ca_certificates_bundle))?;
        let mut entries = 0;
        for path in &store.revocation_lists {
            let lists = revocation_lists(path, &mut entries).map_err(at(path))?;
            loaded.revocation_lists.extend(lists);
        }
        Ok(loaded)
    }
}

fn bundle(path: &Path) -> Result<LoadedTrustStore, Problem> {
    let pem = fs::read(path).map_err(Problem::Read)?;
    let mut store = LoadedTrustStore {
        anchors: Vec::new(),
        validities: Vec::new(),
        subjects: Vec::new(),
        revocation_lists: Vec::new(),
    };
    for (index, certificate) in CertificateDer::pem_slice_iter(&pem).enumerate() {
        let bad = || Problem::BadCertificate(index + 1);
        let certificate = certificate.map_err(|_| bad())?;
        if certificate.len() > LARGEST_CA_CERTIFICATE {
            return Err(Problem::LargeCertificate(index + 1));
        }
        let validity = certificate_choice::parse(&certificate).ok_or_else(bad)?.validity().clone();
        let anchor = anchor_from_trusted_cert(&certificate).map_err(|_| bad())?.to_owned();
        store.subjects.push(DistinguishedName::in_sequence(&anchor.subject));
        store.validities.push((validity.not_before.timestamp(), validity.not_after.timestamp()));
        store.anchors.push(anchor);
    }
    let subjects = store.subjects.iter().map(|subject| subject.as_ref().len()).sum();
    match store.anchors.len() {
        0 => Err(Problem::NoCertificate),
        count if count > MOST_CA_CERTIFICATES => Err(Problem::TooManyCertificates(count)),
        _ if subjects > MOST_SUBJECT_BYTES => Err(Problem::LongSubjects(subjects)),
        _ => Ok(store),
    }
}

/// The lists of a file; `entries` counts those of the whole trust store.
fn revocation_lists(path: &Path, entries: &mut usize) -> Result<Vec<CertRevocationList<'static>>, Problem> {
    if fs::metadata(path).map_err(Problem::Read)?.len() > LARGEST_REVOCATION_LIST {
        return Err(Problem::LargeRevocationList);
    }
    let bytes = fs::read(path).map_err(Problem::Read)?;
    let is_der = CertificateRevocationList::from_der(&bytes).is_ok();
    let ders: Vec<CertificateRevocationListDer<'_>> = if is_der {
        vec![CertificateRevocationListDer::from(bytes)]
    } else {
        let lists = CertificateRevocationListDer::pem_slice_iter(&bytes).collect::<Result<_, _>>();
        lists.map_err(|_| Problem::BadRevocationList)?
    };
    if ders.is_empty() {
        return Err(Problem::BadRevocationList);
    }
    let mut lists = Vec::with_capacity(ders.len());
    for der in ders {
        let (_, parsed) =
            CertificateRevocationList::from_der(&der).map_err(|_| Problem::BadRevocationList)?;
        *entries += parsed.iter_revoked_certificates().count();
        if *entries > MOST_REVOCATIONS {
            return Err(Problem::TooManyRevocations);
        }
        let list = OwnedCertRevocationList::from_der(&der).map_err(|_| Problem::BadRevocationList)?;
        lists.push(list.into());
    }
    Ok(lists)
}

#[cfg(test)]
mod tests;
