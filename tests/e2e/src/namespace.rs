//! Network namespaces: hosts of a test, each with its own addresses and routes.
//!
//! A namespace has no name and ends with its last socket and process, so that a
//! test that fails leaves nothing behind. A thread is in one namespace at a time,
//! sockets and processes stay where they were made: for tests on one thread, as
//! `#[tokio::test]` runs them.

use std::{
    fs::File,
    os::fd::AsRawFd as _,
    process::{self, Command},
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    errno::Errno,
    sched::{CloneFlags, setns, unshare},
};

/// A network of its own.
#[derive(Debug)]
pub struct Namespace(File);

/// The thread is in a namespace until this is dropped.
#[derive(Debug)]
pub struct Inside {
    home: Namespace,
}

impl Namespace {
    /// A network with nothing but its loopback; `None` if this process may not make one, or has no program `ip`.
    ///
    /// # Errors
    /// When the system refuses for another reason.
    pub fn try_new() -> Result<Option<Self>> {
        if Command::new("ip").arg("-V").output().is_err() {
            return Ok(None);
        }
        let home = Inside { home: Self::of_this_thread()? };
        match unshare(CloneFlags::CLONE_NEWNET) {
            Ok(()) => {}
            Err(Errno::EPERM | Errno::EINVAL | Errno::ENOSYS) => return Ok(None),
            Err(error) => return Err(error).context("a new network namespace"),
        }
        let made = Self::of_this_thread()?;
        drop(home);
        made.ip("link set lo up")?;
        Ok(Some(made))
    }

    fn of_this_thread() -> Result<Self> {
        Ok(Self(File::open("/proc/thread-self/ns/net")?))
    }

    /// Takes the thread into the namespace, and back when the result is dropped.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn enter(&self) -> Result<Inside> {
        let inside = Inside { home: Self::of_this_thread()? };
        setns(&self.0, CloneFlags::CLONE_NEWNET).context("enter a network namespace")?;
        Ok(inside)
    }

    /// Runs `ip` in the namespace with these arguments, separated by spaces.
    ///
    /// # Errors
    /// When it fails: with what it said.
    pub fn ip(&self, arguments: &str) -> Result<()> {
        let _inside = self.enter()?;
        let ended = Command::new("ip").args(arguments.split(' ')).output()?;
        ensure!(ended.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&ended.stderr));
        Ok(())
    }

    /// Lays a cable to `other`, with an interface and an address (`ADDRESS/LENGTH`) at each end.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn connect(&self, end: (&str, &str), other: &Self, other_end: (&str, &str)) -> Result<()> {
        let there = format!("/proc/{}/fd/{}", process::id(), other.0.as_raw_fd());
        self.ip(&format!("link add {} type veth peer name {} netns {there}", end.0, other_end.0))?;
        for (namespace, (interface, address)) in [(self, end), (other, other_end)] {
            namespace.ip(&format!("address add {address} dev {interface}"))?;
            namespace.ip(&format!("link set {interface} up"))?;
        }
        Ok(())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let left = setns(&self.home.0, CloneFlags::CLONE_NEWNET);
        // In the wrong network every later step of a test would mislead.
        assert!(left.is_ok(), "cannot leave a network namespace: {left:?}");
    }
}
