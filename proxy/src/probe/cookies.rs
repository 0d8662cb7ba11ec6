//! Stickiness cookies: which there are, what they cost, and whether they hold.
//!
//! ELB page: "Edit target group attributes for your Application Load Balancer"
//! (sticky sessions). Attributes: RFC 6265bis section 4.1.

use std::{collections::BTreeSet, fmt, time::Duration};

use time::{OffsetDateTime, PrimitiveDateTime, macros::format_description};

use super::{Unmeasured, answer::Answer, connection::Dialer, timing::Seconds, told_target::told_target};

/// How many requests go with the cookies, and how many without.
const REQUESTS: usize = 8;
/// The most cookies kept, as a bound.
const COOKIES_MOST: usize = 32;

/// What a cookie is for, as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Stickiness of an Elastic Load Balancing balancer: `AWSALB`, `AWSALBAPP-0`, `AWSALBTG`, `AWSELB` and their kin.
    LoadBalancer,
    /// A session of an application server, which application-based stickiness may follow: `JSESSIONID` and its kin.
    Session,
    /// Anything else.
    Other,
}

/// A cookie that was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What it is for.
    pub purpose: Purpose,
    /// How long it lives; `None` until the browser is closed.
    pub lifetime: Option<Duration>,
    /// `Secure`: sent over TLS only.
    pub is_secure: bool,
    /// `HttpOnly`: hidden from scripts.
    pub is_http_only: bool,
    /// `SameSite`, as it was written.
    pub same_site: Option<String>,
}

impl Cookie {
    /// Bytes that it adds to the `Cookie` header of each request: name, value, and what joins it to others.
    #[must_use]
    pub const fn cost(&self) -> usize {
        self.name.len() + self.value.len() + "=; ".len()
    }
}

impl fmt::Display for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.name)?;
        match self.lifetime {
            Some(lifetime) => write!(f, "{}", Seconds(lifetime))?,
            None => f.write_str("until the browser is closed")?,
        }
        f.write_str(if self.is_secure { ", Secure" } else { ", not Secure" })?;
        if self.is_http_only {
            f.write_str(", HttpOnly")?;
        }
        if let Some(same_site) = &self.same_site {
            write!(f, ", SameSite={same_site}")?;
        }
        write!(f, ", {} bytes)", self.cost())
    }
}

/// Whether the cookies lead back to the same target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holding {
    /// No cookie was set.
    NoCookie,
    /// The answers do not tell which target gave them.
    NotTold,
    /// The same target answered with and without the cookies, so nothing is proven.
    OneTarget {
        /// Its name of itself.
        target: String,
    },
    /// All requests with the cookies reached the same target; without them, several answered.
    Held {
        /// How many targets answered without the cookies.
        targets: usize,
    },
    /// Requests with the cookies reached other targets than the one that the cookies came from.
    Lost {
        /// How many requests of how many.
        elsewhere: usize,
        /// How many requests went with the cookies.
        requests: usize,
    },
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCookie => f.write_str("no cookie is set"),
            Self::NotTold => f.write_str("unknown: answers do not name their target"),
            Self::OneTarget { target } => write!(f, "unknown: only {target} answers, with and without"),
            Self::Held { targets } => write!(f, "yes: always the same of {targets} targets"),
            Self::Lost { elsewhere, requests } => {
                write!(f, "no: {elsewhere} of {requests} requests reached another target")
            }
        }
    }
}

/// What was found of cookies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookies {
    /// The cookies that an answer to a request without cookies set, in its order.
    pub set: Vec<Cookie>,
    /// Bytes that all of them together add to each request, the header's name and line end included.
    pub bytes_per_request: usize,
    /// Whether they lead back to the same target.
    pub holding: Holding,
}

/// Measures them. `now` is the time of day that expiry dates are compared with.
pub(super) async fn measure(
    dialer: &Dialer<'_>,
    told_by: Option<&str>,
    now: OffsetDateTime,
) -> Result<Cookies, Unmeasured> {
    let first = dialer.ask(dialer.get("Connection: close\r\n").as_bytes()).await?;
    let set = set_cookies(&first, now);
    let bytes_per_request = cookie_header(&set).len();
    let origin = told_target(&first, told_by);
    let holding = match origin {
        _ if set.is_empty() => Holding::NoCookie,
        None => Holding::NotTold,
        Some(origin) => hold(dialer, told_by, &set, origin).await?,
    };
    Ok(Cookies { set, bytes_per_request, holding })
}

async fn hold(
    dialer: &Dialer<'_>,
    told_by: Option<&str>,
    set: &[Cookie],
    origin: String,
) -> Result<Holding, Unmeasured> {
    let mut without = BTreeSet::from([origin.clone()]);
    let mut elsewhere = 0;
    let header = cookie_header(set);
    let plain = dialer.get("Connection: close\r\n");
    let with_cookies = dialer.get(&format!("Connection: close\r\n{header}"));
    for _ in 0..REQUESTS {
        let answer = dialer.ask(plain.as_bytes()).await?;
        without.extend(told_target(&answer, told_by));
        let answer = dialer.ask(with_cookies.as_bytes()).await?;
        if told_target(&answer, told_by).is_some_and(|target| target != origin) {
            elsewhere += 1;
        }
    }
    Ok(judge(origin, without.len(), elsewhere))
}

fn judge(origin: String, targets: usize, elsewhere: usize) -> Holding {
    match (targets, elsewhere) {
        (_, 1..) => Holding::Lost { elsewhere, requests: REQUESTS },
        (0 | 1, 0) => Holding::OneTarget { target: origin },
        (targets, 0) => Holding::Held { targets },
    }
}

/// The header line that sends the cookies back; empty without any.
fn cookie_header(cookies: &[Cookie]) -> String {
    if cookies.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> =
        cookies.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
    format!("Cookie: {}\r\n", pairs.join("; "))
}

/// The cookies that an answer sets; of the same name the last one counts.
///
/// Expiry dates are compared with the answer's own `Date`, which is of about the same clock and moment; without
/// one with `now`.
pub(super) fn set_cookies(answer: &Answer, now: OffsetDateTime) -> Vec<Cookie> {
    let now = answer.field("date").and_then(date).unwrap_or(now);
    let mut cookies: Vec<Cookie> = Vec::new();
    for cookie in answer.fields("set-cookie").filter_map(|field| read_cookie(field, now)).take(COOKIES_MOST) {
        cookies.retain(|known| known.name != cookie.name);
        cookies.push(cookie);
    }
    cookies
}

fn read_cookie(field: &str, now: OffsetDateTime) -> Option<Cookie> {
    let mut parts = field.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() {
        return None;
    }
    let (mut max_age, mut expires) = (None, None);
    let mut cookie = Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        purpose: purpose(name),
        lifetime: None,
        is_secure: false,
        is_http_only: false,
        same_site: None,
    };
    for part in parts {
        let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
        match attribute.trim().to_ascii_lowercase().as_str() {
            "max-age" => max_age = value.trim().parse::<i64>().ok(),
            "expires" => expires = seconds_until(value.trim(), now),
            "secure" => cookie.is_secure = true,
            "httponly" => cookie.is_http_only = true,
            "samesite" => cookie.same_site = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    // Max-Age wins; what has expired already lives for no time.
    let seconds = max_age.or(expires);
    cookie.lifetime = seconds.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    Some(cookie)
}

/// Seconds from `now` to a date such as `Sat, 28 Nov 2026 10:00:00 GMT`, rounded: the peer's clock and the
/// answer's way lie between.
fn seconds_until(expires: &str, now: OffsetDateTime) -> Option<i64> {
    let left = date(expires)? - now;
    Some(left.whole_seconds() + i64::from(left.subsec_milliseconds() >= 500))
}

/// A date such as `Sat, 28 Nov 2026 10:00:00 GMT`.
fn date(text: &str) -> Option<OffsetDateTime> {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    Some(PrimitiveDateTime::parse(&text.replace('-', " "), format).ok()?.assume_utc())
}

fn purpose(name: &str) -> Purpose {
    const SESSIONS: [&str; 8] = [
        "JSESSIONID",
        "SESSION",
        "connect.sid",
        "PHPSESSID",
        "sessionid",
        "io",
        "ASP.NET_SessionId",
        "laravel_session",
    ];
    if name.starts_with("AWSALB") || name.starts_with("AWSELB") {
        Purpose::LoadBalancer
    } else if SESSIONS.contains(&name) {
        Purpose::Session
    } else {
        Purpose::Other
    }
}

#[cfg(test)]
mod tests;
