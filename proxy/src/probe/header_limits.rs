//! The largest request heads a peer takes, and what it does beyond.
//!
//! ELB page: "Quotas for your Application Load Balancers" (request line 16 K,
//! single header 16 K, whole header 64 K). A target with smaller limits refuses
//! what the balancer lets through: cookies and tokens grow, and some users get
//! 400 or 431.

use std::fmt;

use super::{Ending, Unmeasured, answer::Answer, bisection::Bisection, connection::Dialer};

/// The largest size tried: 128 KiB, twice what an application load balancer lets through.
pub const MOST: usize = 128 * 1024;
/// The smallest size tried.
const LEAST: usize = 256;
/// The longest header line of those that fill a head: half of the smallest limit for one that is common,
/// and long enough that limits to the number of lines are not met.
const FILLING: usize = 4096;

/// Header limits of a peer, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderLimits {
    /// The request line, without its line end.
    pub request_line: Limit,
    /// One header line: name, colon, space and value.
    pub header_line: Limit,
    /// The whole head from the request line to the empty line, of header lines of 4 KiB and less.
    pub whole: Limit,
}

/// The limit of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The largest size that was accepted.
    pub accepted: usize,
    /// The smallest size that was refused, at most 1 % more; `None` if all was accepted up to [`MOST`].
    pub refused: Option<(usize, Refusal)>,
}

/// What a peer does with a head that is too large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It answers with this status, such as 400, 414 or 431.
    Status(u16),
    /// It ends the connection.
    Ended(Ending),
    /// It does not answer.
    Silent,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Ended(ending) => write!(f, "{ending} without an answer"),
            Self::Silent => f.write_str("no answer"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.refused {
            None => write!(f, "at least {} bytes", self.accepted),
            Some((size, refusal)) => {
                write!(f, "{} bytes ({size} bytes: {refusal})", self.accepted)
            }
        }
    }
}

/// Measures all three, each by a search over connections of its own.
pub(super) async fn measure(dialer: &Dialer<'_>) -> Result<HeaderLimits, Unmeasured> {
    let request_line = search(dialer, LEAST, |size| long_request_line(dialer, size));
    let headers = async {
        let header_line = search(dialer, LEAST, |size| long_header_line(dialer, size)).await?;
        // Two lines of a server's single limit would share one of its buffers badly.
        let filling = (header_line.accepted / 2).min(FILLING);
        // Every head has a size of its own before anything fills it.
        let least = LEAST.max(whole_head(dialer, 0, filling).len() * 2);
        let whole = search(dialer, least, |size| whole_head(dialer, size, filling)).await?;
        Ok((header_line, whole))
    };
    let (request_line, (header_line, whole)) = tokio::try_join!(request_line, headers)?;
    Ok(HeaderLimits { request_line, header_line, whole })
}

async fn search(
    dialer: &Dialer<'_>,
    least: usize,
    request: impl Fn(usize) -> Vec<u8>,
) -> Result<Limit, Unmeasured> {
    let mut search = Bisection::new(least, MOST);
    let mut usual_status = None;
    let mut refused = None;
    while let Some(size) = search.next() {
        let answer = dialer.ask(&request(size)).await;
        match refusal(answer, usual_status)? {
            Verdict::Accepted(status) => {
                usual_status.get_or_insert(status);
                search.accept(size);
            }
            Verdict::Refused(refusal) => {
                search.refuse(size);
                refused = Some((size, refusal));
            }
        }
    }
    match (search.accepted(), refused) {
        (Some(accepted), refused) => Ok(Limit { accepted, refused }),
        (None, Some((_, Refusal::Status(status)))) => Err(Unmeasured::RefusesAll(status)),
        (None, Some((_, Refusal::Ended(ending)))) => Err(Unmeasured::ClosedEarly(ending)),
        (None, _) => Err(Unmeasured::NotHttp),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Accepted(u16),
    Refused(Refusal),
}

/// Whether a head was refused, given the status of the smallest head.
///
/// A status is a refusal if it is one that servers and proxies refuse heads with and small heads do not get
/// it as well: a page that is not found, or a login, was looked for.
fn refusal(answer: Result<Answer, Unmeasured>, usual_status: Option<u16>) -> Result<Verdict, Unmeasured> {
    match answer {
        Ok(answer) if refuses_heads(answer.status) && usual_status != Some(answer.status) => {
            Ok(Verdict::Refused(Refusal::Status(answer.status)))
        }
        Ok(answer) => Ok(Verdict::Accepted(answer.status)),
        Err(Unmeasured::ClosedEarly(ending)) => Ok(Verdict::Refused(Refusal::Ended(ending))),
        // The first one is no limit, but a peer that does not answer.
        Err(Unmeasured::NoAnswer(_)) if usual_status.is_some() => Ok(Verdict::Refused(Refusal::Silent)),
        Err(other) => Err(other),
    }
}

/// 400, 413, 414 and 431 of HTTP, nginx's 494, 500 and 502 of what cannot pass a head on, and 503 of some proxies.
const fn refuses_heads(status: u16) -> bool {
    matches!(status, 400 | 413 | 414 | 431 | 494 | 500 | 502 | 503)
}

fn long_request_line(dialer: &Dialer<'_>, size: usize) -> Vec<u8> {
    let plain = dialer.get("Connection: close\r\n");
    let path = &dialer.endpoint.path;
    let joint = if path.contains('?') { '&' } else { '?' };
    let start = format!("GET {path}{joint}albeit=");
    let fill = size.saturating_sub(start.len() + " HTTP/1.1".len());
    let headers = plain.split_once("\r\n").map_or("", |(_, headers)| headers);
    format!("{start}{} HTTP/1.1\r\n{headers}", "a".repeat(fill)).into_bytes()
}

const HEADER_NAME: &str = "X-Albeit-Probe: ";

fn long_header_line(dialer: &Dialer<'_>, size: usize) -> Vec<u8> {
    let fill = "a".repeat(size.saturating_sub(HEADER_NAME.len()));
    dialer.get(&format!("Connection: close\r\n{HEADER_NAME}{fill}\r\n")).into_bytes()
}

/// A head of exactly `size` bytes, if the bare one is not longer, in lines of at most `filling` bytes.
fn whole_head(dialer: &Dialer<'_>, size: usize, filling: usize) -> Vec<u8> {
    let bare = dialer.get("Connection: close\r\n").len();
    let mut left = size.saturating_sub(bare);
    let shortest = HEADER_NAME.len() + "a\r\n".len();
    let mut lines = String::from("Connection: close\r\n");
    while left >= shortest {
        // What is left after this line must be long enough for a line, or nothing.
        let line = if left <= filling { left } else { filling.min(left - shortest) };
        let fill = "a".repeat(line.saturating_sub(HEADER_NAME.len() + 2));
        lines.push_str(HEADER_NAME);
        lines.push_str(&fill);
        lines.push_str("\r\n");
        left -= line;
    }
    dialer.get(&lines).into_bytes()
}

#[cfg(test)]
mod tests;
