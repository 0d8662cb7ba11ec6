//! File descriptors: each connection takes one.

use anyhow::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::ending::misused;

/// Descriptors besides those of connections: the runtime's, files, standard streams.
const OTHERS: u64 = 64;

/// Raises the soft limit to the hard one, and checks that so many connections fit.
///
/// # Errors
/// When they do not; says what to raise.
pub(crate) fn provide(connections: usize) -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // The hard limit may always be had.
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    check(connections, maximum)
}

/// No limit is enough for all.
fn check(connections: usize, limit: Option<u64>) -> Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    let needed = u64::try_from(connections)? + OTHERS;
    if needed <= limit {
        return Ok(());
    }
    Err(misused(format!(
        "{connections} connections need {needed} file descriptors, and this process may have {limit}: \
         raise the hard limit (ulimit -Hn, LimitNOFILE, --ulimit nofile) or share the connections among processes"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_connections_are_refused_before_the_first() {
        assert!(check(15_000, Some(20_000)).is_ok());
        assert!(check(15_000, None).is_ok());
        let error = check(15_000, Some(4096)).unwrap_err().to_string();
        assert!(error.contains("15064 file descriptors") && error.contains("4096"), "{error}");
    }

    #[test]
    fn the_soft_limit_is_raised() {
        provide(1).unwrap();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
