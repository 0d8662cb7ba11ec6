//! The keep-alive timeout: how long a peer keeps a connection that is idle after a response.
//!
//! ELB page: "Troubleshoot your Application Load Balancers" (502): a target that
//! closes idle connections sooner than the balancer does ends some of them
//! while a request is on its way. Three connections are watched, shifted
//! against each other, since a server may look at its idle connections in
//! steps: what counts is the shortest time.

use std::{fmt, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{Ending, Progress, Timing, Unmeasured, answer, connection::Dialer, timing::Seconds};
use crate::time_scale::TimeScale;

/// How long the samples are shifted against each other, before time scaling: a third of the second that
/// servers' timers commonly tick in.
const SHIFT: Duration = Duration::from_millis(333);

/// What was found of the keep-alive timeout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepAlive {
    /// Each connection carries one request: `Connection: close`, or HTTP/1.0.
    OneRequest,
    /// Connections are kept.
    Kept {
        /// How long.
        idle: Timing,
        /// How they are closed; `None` if they were not.
        ending: Option<Ending>,
        /// The time of the `Keep-Alive` response header.
        announced: Option<Duration>,
        /// Status of an answer to no request that came before the end, such as 408.
        parting_status: Option<u16>,
    },
}

impl fmt::Display for KeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneRequest => f.write_str("none: closes the connection after each response"),
            Self::Kept { ending, announced, parting_status, .. } => {
                match ending {
                    Some(ending) => write!(f, "then {ending}")?,
                    None => f.write_str("not closed")?,
                }
                if let Some(status) = parting_status {
                    write!(f, ", after an unasked {status}")?;
                }
                announced.map_or(Ok(()), |time| write!(f, "; announces {}", Seconds(time)))
            }
        }
    }
}

/// What one connection showed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sample {
    OneRequest,
    Closed { after: Duration, ending: Ending, announced: Option<Duration>, parting_status: Option<u16> },
    Open { after: Duration, announced: Option<Duration> },
}

/// Measures it.
pub(super) async fn measure(
    dialer: &Dialer<'_>,
    scale: TimeScale,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<KeepAlive, Unmeasured> {
    let shift = scale.apply(SHIFT);
    progress(Progress::Waiting { name: "keep-alive", most: dialer.budget.wait(Instant::now()) });
    let (first, second, third) =
        tokio::join!(sample(dialer, Duration::ZERO), sample(dialer, shift), sample(dialer, shift * 2));
    judge(&[first?, second?, third?]).ok_or(Unmeasured::NotHttp)
}

async fn sample(dialer: &Dialer<'_>, start: Duration) -> Result<Sample, Unmeasured> {
    sleep(start).await;
    let mut connection = dialer.connect().await?;
    let answer = connection.exchange(dialer.get("").as_bytes(), dialer.budget).await?;
    let idle_since = Instant::now();
    if !answer.persists {
        return Ok(Sample::OneRequest);
    }
    let announced = answer.announced_keep_alive();
    let end = async {
        loop {
            if let Some(ending) = connection.read().await {
                return Some(ending);
            }
            if connection.unread().len() > answer::MOST {
                return None;
            }
        }
    };
    match timeout(dialer.budget.wait(idle_since), end).await {
        Err(_) => Ok(Sample::Open { after: idle_since.elapsed(), announced }),
        // It talks without end, so the connection is never idle.
        Ok(None) => Err(Unmeasured::NotHttp),
        Ok(Some(ending)) => {
            let after = idle_since.elapsed();
            let parting_status = match answer::read(connection.unread(), answer::Stream::Ended) {
                answer::Reading::Whole(answer, _) => Some(answer.status),
                answer::Reading::Partial | answer::Reading::Malformed => None,
            };
            Ok(Sample::Closed { after, ending, announced, parting_status })
        }
    }
}

/// What the samples say together; `None` without any.
fn judge(samples: &[Sample]) -> Option<KeepAlive> {
    let mut times = samples.iter().filter_map(|sample| match sample {
        Sample::Closed { after, .. } => Some((*after, sample)),
        Sample::OneRequest | Sample::Open { .. } => None,
    });
    let Some(first) = times.next() else {
        return samples.iter().map(still_open).next();
    };
    let (mut shortest, mut longest) = (first, first);
    for time in times {
        if time.0 < shortest.0 {
            shortest = time;
        }
        if time.0 > longest.0 {
            longest = time;
        }
    }
    let Sample::Closed { ending, announced, parting_status, .. } = shortest.1 else { return None };
    Some(KeepAlive::Kept {
        idle: Timing::Between { shortest: shortest.0, longest: longest.0 },
        ending: Some(ending.clone()),
        announced: *announced,
        parting_status: *parting_status,
    })
}

const fn still_open(sample: &Sample) -> KeepAlive {
    match sample {
        Sample::Open { after, announced } => KeepAlive::Kept {
            idle: Timing::AtLeast(*after),
            ending: None,
            announced: *announced,
            parting_status: None,
        },
        Sample::OneRequest | Sample::Closed { .. } => KeepAlive::OneRequest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(seconds: u64, ending: Ending) -> Sample {
        let after = Duration::from_secs(seconds);
        Sample::Closed { after, ending, announced: None, parting_status: None }
    }

    fn open(seconds: u64) -> Sample {
        Sample::Open { after: Duration::from_secs(seconds), announced: None }
    }

    #[track_caller]
    fn check(samples: &[Sample], idle: Timing, ending: Option<&Ending>) {
        let expected =
            KeepAlive::Kept { idle, ending: ending.cloned(), announced: None, parting_status: None };
        assert_eq!(judge(samples), Some(expected));
    }

    #[test]
    fn the_shortest_sample_is_what_counts() {
        let samples = [closed(21, Ending::Fin), closed(20, Ending::Reset), open(75)];
        let idle = Timing::Between { shortest: Duration::from_secs(20), longest: Duration::from_secs(21) };
        check(&samples, idle, Some(&Ending::Reset));
    }

    #[test]
    fn what_was_never_closed_is_a_lower_bound() {
        check(&[open(75), open(75)], Timing::AtLeast(Duration::from_secs(75)), None);
    }

    #[test]
    fn one_request_to_a_connection_is_no_timeout() {
        assert_eq!(judge(&[Sample::OneRequest, Sample::OneRequest]), Some(KeepAlive::OneRequest));
    }
}
