//! Which files have changed: the configuration file, and those that TLS needs
//! (certificates, private keys, trust stores and revocation lists).
//!
//! Files are looked at again and again instead of being waited for: that works on
//! every file system, and for links that are turned to another directory, which is
//! how Kubernetes replaces a secret or a configuration. A change counts once the
//! files look alike at two looks in a row: whoever writes them has come to an end.

use std::{
    collections::BTreeSet,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::model::Model;

/// How often files are looked at. Not scaled.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Something to read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The configuration file, and with it everything that it names.
    Configuration,
    /// The files of the TLS side alone.
    TlsFiles,
}

/// The files in use, as they looked before they were read last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Watched {
    pub(super) configuration: Fingerprints,
    pub(super) tls: Fingerprints,
}

impl Watched {
    /// The same files as they are now.
    pub(super) fn again(&self) -> Self {
        Self { configuration: self.configuration.again(), tls: self.tls.again() }
    }

    /// What is to be read again, when files look like `now` and looked like `before` at the last look.
    pub(super) fn change(&self, before: &Self, now: &Self) -> Option<Change> {
        if now.configuration != self.configuration && now.configuration == before.configuration {
            return Some(Change::Configuration);
        }
        (now.tls != self.tls && now.tls == before.tls).then_some(Change::TlsFiles)
    }
}

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
    /// One file as it is now.
    #[must_use]
    pub fn of_file(path: &Path) -> Self {
        Self(vec![(path.to_owned(), None)]).again()
    }

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

    /// The same files as they are now. One that is not there, or no file but a pipe, has no fingerprint.
    #[must_use]
    pub fn again(&self) -> Self {
        let look = |path: &PathBuf| fs::metadata(path).ok().filter(Metadata::is_file).map(Fingerprint::from);
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
        let first = Fingerprints::of_file(&path);
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

    #[test]
    fn a_change_counts_once_it_lies_still_and_the_configuration_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let (configuration, tls) = (dir.path().join("alb.yaml"), dir.path().join("site.pem"));
        fs::write(&configuration, "a").unwrap();
        fs::write(&tls, "a").unwrap();
        let read = Watched {
            configuration: Fingerprints::of_file(&configuration),
            tls: Fingerprints::of_file(&tls),
        };
        assert_eq!(read.change(&read, &read.again()), None);

        fs::write(&tls, "longer").unwrap();
        let first = read.again();
        assert_eq!(read.change(&read, &first), None, "it may still be written to");
        fs::write(&configuration, "longer").unwrap();
        let second = read.again();
        assert_eq!(read.change(&first, &second), Some(Change::TlsFiles));
        assert_eq!(read.change(&second, &read.again()), Some(Change::Configuration));
    }
}
