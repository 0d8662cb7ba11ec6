//! A child process whose output is kept and shown when the test fails.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::process::{Child, ChildStdout, Command};

use crate::wait::{SOON, within};

/// A running process of the product. Killed when dropped.
///
/// Dropping it fails the test when the process ever panicked.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: u32,
    stdout: PathBuf,
    stderr: PathBuf,
    is_quiet: bool,
}

impl Process {
    /// Starts `binary` with `args`; its output goes to files in `dir` named after `name`.
    ///
    /// # Errors
    /// When the binary cannot be started.
    pub fn spawn(
        name: &str,
        binary: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        dir: &Path,
    ) -> Result<Self> {
        Self::spawn_with(name, binary, args, dir, &[])
    }

    /// The same with further environment variables.
    ///
    /// # Errors
    /// When the binary cannot be started.
    pub fn spawn_with(
        name: &str,
        binary: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        dir: &Path,
        environment: &[(&str, PathBuf)],
    ) -> Result<Self> {
        let stdout = File::create(dir.join(format!("{name}.stdout")))?;
        Self::spawn_into(
            name,
            Command::new(binary).args(args).envs(environment.iter().cloned()),
            dir,
            stdout.into(),
        )
    }

    /// The same, but its standard output goes to the caller.
    ///
    /// # Errors
    /// When the binary cannot be started.
    pub fn spawn_piped(
        name: &str,
        binary: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        dir: &Path,
    ) -> Result<(Self, ChildStdout)> {
        let mut process = Self::spawn_into(name, Command::new(binary).args(args), dir, Stdio::piped())?;
        let stdout = process.child.stdout.take().context("no pipe")?;
        Ok((process, stdout))
    }

    fn spawn_into(name: &str, command: &mut Command, dir: &Path, output: Stdio) -> Result<Self> {
        let stdout = dir.join(format!("{name}.stdout"));
        let stderr = dir.join(format!("{name}.stderr"));
        let binary = command.as_std().get_program().to_owned();
        let child = command
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(File::create(&stderr)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                format!("start {} (build it first: make test does)", Path::new(&binary).display())
            })?;
        let pid = child.id().context("the process has already ended")?;
        Ok(Self { name: name.to_owned(), child, pid, stdout, stderr, is_quiet: false })
    }

    /// The same process, whose standard error is not shown when it is dropped.
    #[must_use]
    pub const fn quiet(mut self) -> Self {
        self.is_quiet = true;
        self
    }

    /// The process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// What the process has written to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        read_lossy(&self.stderr)
    }

    /// What the process has written to standard output so far, unless the caller reads it.
    #[must_use]
    pub fn stdout(&self) -> String {
        read_lossy(&self.stdout)
    }

    /// Sends a signal by its name without `SIG`, such as `TERM`.
    ///
    /// # Errors
    /// When the process is gone.
    pub async fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill").args(["-s", signal, &self.pid.to_string()]).status().await?;
        ensure!(status.success(), "kill -s {signal} {}: {status}", self.pid);
        Ok(())
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Errors
    /// When it is still there after `limit`.
    pub async fn exited(&mut self, limit: Duration) -> Result<ExitStatus> {
        Ok(within(limit, &format!("end of {}", self.name), self.child.wait()).await??)
    }

    /// Kills the process at once (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(&mut self) -> Result<()> {
        within(SOON, &format!("death of {}", self.name), self.child.kill()).await??;
        Ok(())
    }

    /// The process id of the child process that has `argument` on its command line.
    ///
    /// # Errors
    /// When there is no such child, the process is gone or the system has no `/proc`.
    pub fn child(&self, argument: &str) -> Result<u32> {
        for thread in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            for pid in fs::read_to_string(thread?.path().join("children"))?.split_whitespace() {
                // One that has ended meanwhile has no command line.
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                if line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes()) {
                    return Ok(pid.parse()?);
                }
            }
        }
        bail!("{} has no child with {argument}", self.name)
    }

    /// Kills the child process that has `argument` on its command line (SIGKILL); its process id.
    ///
    /// # Errors
    /// When there is no such child.
    pub async fn kill_child(&self, argument: &str) -> Result<u32> {
        let pid = self.child(argument)?;
        let status = Command::new("kill").args(["-s", "KILL", &pid.to_string()]).status().await?;
        ensure!(status.success(), "kill -s KILL {pid}: {status}");
        Ok(pid)
    }

    /// Fails when the process has ended.
    ///
    /// # Errors
    /// With its exit status and standard error.
    pub fn still_running(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "{} ended with {ended:?}:\n{}", self.name, self.stderr());
        Ok(())
    }

    /// Number of open file descriptors.
    ///
    /// # Errors
    /// When the process is gone or the system has no `/proc`.
    pub fn open_files(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid))?.count())
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "test runners show it for failed tests only")]
    fn drop(&mut self) {
        let stderr = self.stderr();
        if !self.is_quiet || std::thread::panicking() {
            eprintln!("---- standard error of {} (pid {})\n{stderr}----", self.name, self.pid);
        }
        assert!(std::thread::panicking() || !stderr.contains("panicked at"), "{} panicked", self.name);
    }
}

/// Runs `binary` to its end.
///
/// # Errors
/// When it cannot be started or has not ended soon.
pub async fn run(
    binary: &Path,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    dir: &Path,
) -> Result<Output> {
    let mut command = Command::new(binary);
    command.args(args).current_dir(dir).env("NO_COLOR", "1").stdin(Stdio::null()).kill_on_drop(true);
    let output = within(SOON, &format!("end of {}", binary.display()), command.output()).await?;
    output.with_context(|| format!("start {} (build it first: make test does)", binary.display()))
}

/// The binary `name`: from the environment variable `variable`, else from the
/// directory the test itself, or the demonstration, was built into.
///
/// # Errors
/// When the test's own path is unknown.
pub fn binary(variable: &str, name: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    let this = std::env::current_exe()?;
    let dir = this.parent().context("this program is in no directory")?;
    // Tests are in target/PROFILE/deps, programs beside the product's.
    let profile = if dir.ends_with("deps") { dir.parent().context("deps is in no directory")? } else { dir };
    Ok(profile.join(name))
}

fn read_lossy(path: &Path) -> String {
    fs::read(path).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}
