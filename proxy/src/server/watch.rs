//! Which of the files that TLS needs have changed: certificates, private keys,
//! trust stores and revocation lists.
//!
//! Files are looked at again and again instead of being waited for: that works on
//! every file system, and for links that are turned to another directory, which is
//! how Kubernetes replaces a secret.

use std::{
    collections::BTreeSet,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    time::Duration,
};

use crate::model::Model;

/// How often files are looked at. Not scaled.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// What files look like at one moment, their contents aside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprints(Vec<(PathBuf, Option<Fingerprint>)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl From<Metadata> for Fingerprint {
    fn from(file: Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
        }
    }
}

impl Fingerprints {
    /// The files that the TLS side of `model` is made of, as they are now.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        let certificates = model.certificates.iter();
        let certificates =
            certificates.flat_map(|certificate| [&certificate.certificate, &certificate.private_key]);
        let trust_stores = model
            .trust_stores
            .iter()
            .flat_map(|store| std::iter::once(&store.ca_certificates_bundle).chain(&store.revocation_lists));
        let files: BTreeSet<PathBuf> = certificates.chain(trust_stores).cloned().collect();
        Self(files.into_iter().map(|path| (path, None)).collect()).again()
    }

    /// The same files as they are now. One that is not there has no fingerprint.
    #[must_use]
    pub fn again(&self) -> Self {
        let look = |path: &PathBuf| fs::metadata(path).ok().map(Fingerprint::from);
        Self(self.0.iter().map(|(path, _)| (path.clone(), look(path))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_any_kind_shows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        fs::write(&path, "one").unwrap();
        let first = Fingerprints(vec![(path.clone(), None)]).again();
        assert_eq!(first.again(), first);

        let new = dir.path().join("new");
        fs::write(&new, "two").unwrap();
        fs::rename(&new, &path).unwrap();
        let replaced = first.again();
        assert_ne!(replaced, first);
        fs::write(&path, "longer").unwrap();
        let rewritten = replaced.again();
        assert_ne!(rewritten, replaced);
        fs::remove_file(&path).unwrap();
        assert_ne!(rewritten.again(), rewritten);
    }
}
