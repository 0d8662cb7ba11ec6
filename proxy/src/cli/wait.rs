//! Waiting until the load balancer is as wanted.

use std::time::Duration;

use clap::Args;
use tokio::time::{Instant, sleep};

use super::{api::Problem, parse_duration};

/// How often it is asked meanwhile.
const POLL: Duration = Duration::from_millis(500);

/// For how long to wait, if at all.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct WaitArgs<const SECONDS: u64> {
    /// Wait until it has had its effect; the exit status says whether.
    #[arg(long)]
    wait: bool,
    /// How long to wait at most.
    #[arg(long, value_name = "DURATION", requires = "wait", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

impl<const SECONDS: u64> WaitArgs<SECONDS> {
    /// When waiting ends; `None` if nobody waits.
    pub(super) fn deadline(self) -> Option<Instant> {
        let limit = self.timeout.unwrap_or(Duration::from_secs(SECONDS));
        self.wait.then(|| Instant::now().checked_add(limit)).flatten()
    }
}

/// Asks again and again, until there is an answer.
///
/// # Errors
/// When asking fails, or at `deadline`: then with the text of `late`.
pub(super) async fn until<T>(
    deadline: Instant,
    mut ask: impl AsyncFnMut() -> Result<Option<T>, Problem>,
    late: impl FnOnce() -> String,
) -> Result<T, Problem> {
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() + POLL > deadline {
            return Err(Problem::TimedOut(late()));
        }
        sleep(POLL).await;
    }
}
