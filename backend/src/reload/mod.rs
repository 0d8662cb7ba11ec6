//! Files that are read again when they change, or when asked for: two files
//! are replaced one after the other, and each perhaps in several writes, so
//! what changed must hold still for a look.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::Path;

use tokio::sync::Notify;
use tokio::time::{Duration, MissedTickBehavior};

/// How often the files are looked at. A change is taken up when two looks have
/// seen the same.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Largest file that is read, in bytes: a guard against a wrong path.
const FILE_LIMIT: u64 = 1 << 20;

/// Tells two readings apart without keeping what was read, which may be secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Equal for equal contents, and for files that cannot be read in the same
    /// way.
    pub fn of<'a>(files: impl IntoIterator<Item = &'a io::Result<Vec<u8>>>) -> Self {
        let mut hasher = DefaultHasher::new();
        for file in files {
            file.as_ref().map_err(io::Error::kind).hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}

/// What files held at one time.
pub trait Reading: Send + 'static {
    /// Equal for readings that make no difference.
    fn fingerprint(&self) -> Fingerprint;
}

/// Reads a file of at most 1 MiB. Blocks.
///
/// # Errors
///
/// It cannot be read, or is larger.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_LIMIT + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_LIMIT) {
        let text = format!("larger than {FILE_LIMIT} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

/// Reads each second, and hands over what changed and then held still for a
/// second, or what is there at a request. `loaded` is in force at first.
///
/// # Cancel safety
///
/// Nothing is lost but what was seen and not yet taken up.
pub async fn watch<R: Reading>(
    read: impl Fn() -> R + Clone + Send + 'static,
    loaded: Fingerprint,
    requested: &Notify,
    mut take_up: impl FnMut(R),
) {
    let mut watch = Watch::new(loaded);
    let mut ticks = tokio::time::interval(WATCH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let requested = tokio::select! {
            _ = ticks.tick() => false,
            () = requested.notified() => true,
        };
        let Ok(reading) = tokio::task::spawn_blocking(read.clone()).await else {
            continue;
        };
        let fingerprint = reading.fingerprint();
        if requested {
            watch.take_up(fingerprint);
        } else if !watch.look(fingerprint) {
            continue;
        }
        take_up(reading);
    }
}

/// When what changes is worth taking up.
#[derive(Debug)]
struct Watch {
    /// What was last taken up, whether it could be used or not.
    taken_up: Fingerprint,
    /// What the last look saw.
    seen: Fingerprint,
}

impl Watch {
    fn new(loaded: Fingerprint) -> Self {
        Self { taken_up: loaded, seen: loaded }
    }

    /// Whether to take up what is there: new, and the same as at the last look.
    fn look(&mut self, now: Fingerprint) -> bool {
        let is_still = std::mem::replace(&mut self.seen, now) == now;
        if is_still && now != self.taken_up {
            self.taken_up = now;
            return true;
        }
        false
    }

    /// Whatever is there is taken up.
    fn take_up(&mut self, now: Fingerprint) {
        self.taken_up = now;
        self.seen = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(looks: &[u64], expected: &[bool]) {
        let mut watch = Watch::new(Fingerprint(1));
        let taken: Vec<_> = looks.iter().map(|&look| watch.look(Fingerprint(look))).collect();
        assert_eq!(taken, expected, "{looks:?}");
    }

    #[test]
    fn what_does_not_change_is_left_alone() {
        check(&[1, 1, 1], &[false, false, false]);
    }

    #[test]
    fn a_change_is_taken_up_once_when_it_holds_still() {
        check(&[2, 3, 3, 3], &[false, false, true, false]);
    }

    #[test]
    fn a_change_that_goes_back_is_none() {
        check(&[2, 1, 1], &[false, false, false]);
    }

    #[test]
    fn what_was_asked_for_is_not_taken_up_again() {
        let mut watch = Watch::new(Fingerprint(1));
        watch.take_up(Fingerprint(2));
        assert!(!watch.look(Fingerprint(2)));
        assert!(!watch.look(Fingerprint(1)));
        assert!(watch.look(Fingerprint(1)));
    }
}
