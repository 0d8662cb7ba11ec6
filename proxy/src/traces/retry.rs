//! When a failed export is tried again (OTLP specification, sections "OTLP/HTTP Throttling" and "Retryable
//! Response Codes"). Pure: randomness and the wall clock are passed in.

use std::time::{Duration, SystemTime};

use http::{HeaderValue, StatusCode};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// Times that a batch is sent at most.
pub(super) const MOST_ATTEMPTS: u32 = 5;
/// Mean pause after the first failure; each further one doubles it. Before time scaling.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause that a collector can ask for: what waits longer is lost anyway.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Whether an export that was answered so may be tried again.
pub(super) const fn is_retryable(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// The pause after `failures` attempts, from half the mean to one and a half; `random` is 0–1.
pub(super) fn pause(failures: u32, random: f64) -> Duration {
    let mean = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(8));
    mean.mul_f64(0.5 + random.clamp(0.0, 1.0)).min(LONGEST_PAUSE)
}

/// What `Retry-After` asks for at `now`: seconds or a date (RFC 9110 section 10.2.3), at most a minute.
pub(super) fn retry_after(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = OffsetDateTime::parse(text, &Rfc2822).ok()?;
            SystemTime::from(date).duration_since(now).unwrap_or_default()
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let all = (100..600).filter_map(|code| StatusCode::from_u16(code).ok());
        let retryable: Vec<u16> = all.filter(|&code| is_retryable(code)).map(|code| code.as_u16()).collect();
        assert_eq!(retryable, [429, 502, 503, 504]);
    }

    #[test]
    fn pauses_double_with_jitter() {
        let seconds = |failures, random| pause(failures, random).as_secs_f64();
        assert_eq!([1, 2, 3, 4].map(|failures| seconds(failures, 0.5)), [1.0, 2.0, 4.0, 8.0]);
        assert_eq!([0.0, 0.25, 1.0].map(|random| seconds(1, random)), [0.5, 0.75, 1.5]);
        assert_eq!(seconds(40, 1.0), 60.0);
    }

    /// At the example date of RFC 9110, less 30 seconds.
    #[track_caller]
    fn check(value: &'static str, expected: Option<u64>) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 30);
        let pause = retry_after(&HeaderValue::from_static(value), now);
        assert_eq!(pause, expected.map(Duration::from_secs), "{value}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        check("7", Some(7));
        check("0", Some(0));
        check("86400", Some(60));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(30));
        check("Sun, 06 Nov 1994 08:49:00 GMT", Some(0));
        check("soon", None);
        check("-1", None);
        check("", None);
    }
}
