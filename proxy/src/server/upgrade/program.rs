//! The program as it was started, to be started again.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

/// How this process was started.
///
/// A deployment replaces the file or turns a link to another one, so the program is what the path that was
/// called leads to at the time of the upgrade, not what is running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file, as it was called; absolute.
    pub path: PathBuf,
    /// Its arguments, the name not counted.
    pub arguments: Vec<OsString>,
}

impl Program {
    /// This process's. To be called at its start, before a deployment can have replaced anything.
    ///
    /// # Errors
    ///
    /// When the system does not say what is running.
    pub fn of_this_process() -> io::Result<Self> {
        let mut arguments = env::args_os();
        let called = arguments.next().unwrap_or_default();
        let running = env::current_exe()?;
        let search = env::var_os("PATH").unwrap_or_default();
        let path = as_called(&called, &env::current_dir()?, &search);
        // Whoever starts a process may call it as he likes.
        let path = path.filter(|path| is_same_file(path, &running)).unwrap_or(running);
        Ok(Self { path, arguments: arguments.collect() })
    }
}

/// Where a shell finds what is `called`.
fn as_called(called: &OsStr, directory: &Path, search: &OsStr) -> Option<PathBuf> {
    if called.is_empty() {
        return None;
    }
    if called.as_bytes().contains(&b'/') {
        return Some(directory.join(called));
    }
    let found = env::split_paths(search).map(|path| directory.join(path).join(called));
    found.into_iter().find(|path| path.is_file())
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    identity(one).is_some_and(|one| Some(one) == identity(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(called: &str, expected: Option<&Path>) {
        let directory = tempfile::tempdir().unwrap();
        let bin = directory.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("albeit"), "").unwrap();
        let search = env::join_paths([Path::new("empty"), &bin]).unwrap();
        let found = as_called(OsStr::new(called), directory.path(), &search);
        let expected = expected.map(|path| directory.path().join(path));
        assert_eq!(found, expected, "{called}");
    }

    #[test]
    fn the_path_is_where_a_shell_would_find_it() {
        check("albeit", Some(Path::new("bin/albeit")));
        check("./albeit", Some(Path::new("./albeit")));
        check("/opt/albeit/bin/albeit", Some(Path::new("/opt/albeit/bin/albeit")));
        check("albeit-backend", None);
        check("", None);
    }

    #[test]
    fn a_link_stays_a_link_to_be_followed_at_the_upgrade() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("albeit-1"), directory.path().join("albeit"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(is_same_file(&link, &file));
        assert!(!is_same_file(&directory.path().join("gone"), &file));
        let this = Program::of_this_process().unwrap();
        assert!(is_same_file(&this.path, &env::current_exe().unwrap()));
    }
}
