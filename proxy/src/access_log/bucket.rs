//! Whether a directory can play a bucket's part, found out without touching it.
//!
//! ELB page: "Troubleshoot bucket access": a load balancer whose bucket cannot
//! be written refuses the attribute. Here a configuration with such a bucket is
//! refused; what goes wrong later (a full disk, a directory that is removed) only
//! loses log lines.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use rustix::fs::Access;

use crate::model::LogDestination;

/// A bucket that cannot be written, in AWS's words.
#[derive(Debug)]
pub struct AccessDenied {
    bucket: PathBuf,
    culprit: PathBuf,
    source: io::Error,
}

impl fmt::Display for AccessDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bucket, culprit, source } = self;
        write!(f, "Access Denied for bucket: {}: {}: {source}", bucket.display(), culprit.display())
    }
}

impl std::error::Error for AccessDenied {}

/// Checks that files can be made below the bucket, or that it can be made itself.
///
/// # Errors
/// When the nearest thing that is there is no directory or must not be written.
pub fn check(destination: &LogDestination) -> Result<(), AccessDenied> {
    let root = destination.root();
    let (culprit, found) = nearest(&root);
    let usable = found.and_then(|found| {
        if !found.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(rustix::fs::access(culprit, Access::WRITE_OK | Access::EXEC_OK)?)
    });
    usable.map_err(|source| AccessDenied {
        bucket: destination.bucket.clone(),
        culprit: culprit.to_owned(),
        source,
    })
}

/// The nearest of the path and its parents that is there.
fn nearest(path: &Path) -> (&Path, io::Result<fs::Metadata>) {
    let here = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    match (fs::metadata(here), path.parent()) {
        (Err(error), Some(parent))
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            nearest(parent)
        }
        (found, _) => (here, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_bucket(bucket: &Path, expected: Option<&str>) {
        let destination = LogDestination { bucket: bucket.to_owned(), prefix: "a/b".to_owned() };
        let refused = check(&destination).err().map(|error| error.to_string());
        assert_eq!(refused.as_deref(), expected);
    }

    #[test]
    fn a_directory_will_do_whether_it_is_there_or_not() {
        let there = tempfile::tempdir().unwrap();
        check_bucket(there.path(), None);
        check_bucket(&there.path().join("not/there"), None);
        assert!(fs::read_dir(there.path()).unwrap().next().is_none(), "nothing was made");
    }

    #[test]
    fn a_file_will_not() {
        let there = tempfile::NamedTempFile::new().unwrap();
        let file = there.path().display();
        let expected = |bucket: &str| format!("Access Denied for bucket: {bucket}: {file}: not a directory");
        check_bucket(there.path(), Some(&expected(&file.to_string())));
        let below = there.path().join("logs");
        check_bucket(&below, Some(&expected(&below.display().to_string())));
    }
}
