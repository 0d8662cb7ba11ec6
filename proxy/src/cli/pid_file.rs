//! The file with the process id, for those who steer by it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
};

/// A file with this process's id, removed at the end of the process.
#[derive(Debug)]
pub(super) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the file, over the one of another process: in one step, so that it is never read half.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(super) fn write(path: &Path) -> io::Result<Self> {
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        fs::write(&new, format!("{}\n", process::id()))?;
        fs::rename(&new, path)?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // After an upgrade it is the file of the process that came next.
        let is_ours = fs::read_to_string(&self.0).is_ok_and(|id| id.trim() == process::id().to_string());
        if is_ours && let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, file = %self.0.display(), "the file with the process id stays behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_removes_its_own_file_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("albeit.pid");
        fs::write(&path, "1\n").unwrap();
        let file = PidFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", process::id()));
        drop(file);
        assert!(!path.exists());

        let file = PidFile::write(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
        PidFile::write(&directory.path().join("none/albeit.pid")).unwrap_err();
    }
}
