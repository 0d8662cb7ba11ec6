//! The idle cut of a WebSocket: when it comes, how, and whether pings prevent it.
//!
//! ELB pages: "Application Load Balancers" (idle timeout: 60 s by default,
//! cut without a close frame), "Update the TCP idle timeout for your Network
//! Load Balancer listener" (350 s: the flow is forgotten silently, the next packet
//! gets RST).
//!
//! The first WebSocket sends nothing but pongs to the server's pings, as every
//! client does. If it was cut, a second one sends at least three pings in the time
//! that the first one lived, and is watched for half as long again.

mod frame;
mod session;

use std::{fmt, time::Duration};

use tokio::time::Instant;

pub use self::session::Ponged;
use self::session::{Session, Watched};
use super::{
    Ending, Progress, Timing, Unmeasured, connection::Dialer, cookies::set_cookies, timing::Seconds,
};

/// How long a pong may take.
const PONG_LIMIT: Duration = Duration::from_secs(5);

/// What was found of a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocket {
    /// Without traffic of the client's own.
    pub silent: Silent,
    /// With pings of the client; `None` if the silent one was not cut.
    pub pinged: Option<Pinged>,
    /// Names of the cookies that the answer to the upgrade set.
    pub cookies: Vec<String>,
}

/// A WebSocket whose client sent nothing but pongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silent {
    /// From the last traffic to the cut.
    pub idle: Timing,
    /// From the upgrade to the cut, or how long it was watched.
    pub lived: Duration,
    /// How it was cut; `None` if it was not.
    pub ending: Option<Ending>,
    /// Pings that the server sent.
    pub server_pings: usize,
    /// The longest time between two of them, or from the upgrade to the only one.
    pub server_ping_interval: Option<Duration>,
    /// Messages that the server sent.
    pub messages: usize,
    /// If it was not cut: what came of a ping at the end.
    pub afterwards: Option<Ponged>,
}

/// A WebSocket whose client sent pings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinged {
    /// Time between two pings.
    pub interval: Duration,
    /// How long it was watched, or when it was cut.
    pub lived: Timing,
    /// How it was cut; `None` if the pings kept it open.
    pub ending: Option<Ending>,
    /// Pings sent.
    pub pings: usize,
    /// Pongs that came.
    pub pongs: usize,
}

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.ending, &self.afterwards) {
            (Some(ending), _) => write!(f, "then {ending}")?,
            (None, None) => f.write_str("not cut")?,
            (None, Some(Ponged::After(time))) => {
                write!(f, "not cut, and answers a ping after {}", Seconds(*time))?;
            }
            (None, Some(Ponged::Ended(ending))) => {
                write!(f, "not cut, but forgotten: the next ping gets {ending}")?;
            }
            (None, Some(Ponged::Never)) => f.write_str("not cut, but a ping is not answered")?,
        }
        match (self.server_pings, self.server_ping_interval) {
            (0, _) | (_, None) => {}
            (count, Some(interval)) => {
                write!(f, "; {count} pings of the server, every {}", Seconds(interval))?;
            }
        }
        if self.messages > 0 {
            write!(f, "; {} messages of the server", self.messages)?;
        }
        Ok(())
    }
}

impl fmt::Display for Pinged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ending {
            None => f.write_str("kept open")?,
            Some(ending) => write!(f, "cut all the same, {ending}")?,
        }
        write!(f, "; {} of {} pings answered", self.pongs, self.pings)
    }
}

/// Measures it. `ping_interval` is the longest time between two pings.
pub(super) async fn measure(
    dialer: &Dialer<'_>,
    ping_interval: Duration,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<WebSocket, Unmeasured> {
    let mut session = Session::open(dialer).await?;
    let wait = dialer.budget.wait(Instant::now());
    progress(Progress::Waiting { name: "web-socket-idle", most: wait });
    let cookies = set_cookies(&session.answer, time::OffsetDateTime::UNIX_EPOCH);
    let cookies = cookies.into_iter().map(|cookie| cookie.name).collect();
    let silent = silent(&mut session, wait, dialer).await;
    drop(session);
    let pinged = match silent.ending {
        None => None,
        Some(_) => {
            let plan = pings(silent.lived, ping_interval, dialer.budget.wait(Instant::now()));
            progress(Progress::Waiting { name: "web-socket-pings", most: plan.watch });
            Some(pinged(dialer, plan).await?)
        }
    };
    Ok(WebSocket { silent, pinged, cookies })
}

async fn silent(session: &mut Session, wait: Duration, dialer: &Dialer<'_>) -> Silent {
    let opened = session.last_traffic;
    let watched = session.watch(opened + wait).await;
    let lived = opened.elapsed();
    let idle = session.last_traffic.elapsed();
    let (server_pings, messages) = (session.pings.len(), session.messages);
    let server_ping_interval = longest_interval(opened, &session.pings);
    let (idle, ending, afterwards) = match watched {
        Watched::Ended(ending) => (Timing::once(idle), Some(ending), None),
        Watched::Open => {
            let limit = PONG_LIMIT.min(dialer.budget.answer(Instant::now()));
            (Timing::AtLeast(idle), None, Some(session.ping(limit).await))
        }
    };
    Silent { idle, lived, ending, server_pings, server_ping_interval, messages, afterwards }
}

fn longest_interval(opened: Instant, pings: &[Instant]) -> Option<Duration> {
    let between = pings.windows(2).filter_map(|two| match two {
        [earlier, later] => Some(*later - *earlier),
        _ => None,
    });
    between.max().or_else(|| pings.first().map(|first| *first - opened))
}

/// How often to ping, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pings {
    interval: Duration,
    watch: Duration,
}

/// Pings at least three times in the time that a silent WebSocket lived, none of them at its very end, watched
/// for half as long again.
fn pings(lived: Duration, most_interval: Duration, left: Duration) -> Pings {
    let interval = most_interval.min(lived * 3 / 10).max(Duration::from_millis(10));
    Pings { interval, watch: (lived + lived / 2).min(left) }
}

async fn pinged(dialer: &Dialer<'_>, plan: Pings) -> Result<Pinged, Unmeasured> {
    let mut session = Session::open(dialer).await?;
    let opened = session.last_traffic;
    let end = opened + plan.watch;
    let mut pings = 0;
    let mut next = opened + plan.interval;
    // The last ping has half an interval for its pong.
    let last = end - plan.interval / 2;
    let ending = loop {
        let is_last = next > last;
        if let Watched::Ended(ending) = session.watch(if is_last { end } else { next }).await {
            break Some(ending);
        }
        if is_last {
            break None;
        }
        if let Err(ending) = session.send_ping().await {
            break Some(ending);
        }
        pings += 1;
        next += plan.interval;
    };
    let lived = opened.elapsed();
    let lived = if ending.is_some() { Timing::once(lived) } else { Timing::AtLeast(lived) };
    Ok(Pinged { interval: plan.interval, lived, ending, pings, pongs: session.pongs })
}

#[cfg(test)]
mod tests;
