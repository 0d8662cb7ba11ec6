//! Target group stickiness: the cookies AWSALBTG and AWSALBTGCORS.
//!
//! ELB page: "Action types for listener rules", forward actions with multiple
//! target groups. The cookies name one of the groups of a forward action; the
//! cookies of [`lb_cookie`](super::lb_cookie) then name the target inside it.
//! Values look like those of AWSALB but are sealed apart: one is never taken
//! for the other.

use std::time::{Duration, SystemTime};

use http::HeaderValue;

use super::{
    GroupId,
    cookie::{self, CookieValue, Token},
    seal::{Keys, NONCE_LENGTH, SealError},
};
use crate::model::ListenerProtocol;

/// The cookie of requests of one site.
pub const AWSALBTG: &str = "AWSALBTG";
/// The cookie for cross-origin requests; it decides if a request carries both.
pub const AWSALBTGCORS: &str = "AWSALBTGCORS";
/// `error_reason` of a request whose cookie was not made by this load balancer, or was changed, for
/// example by URL encoding.
pub const COOKIE_INVALID: &str = "AWSALBTGCookieInvalid";

const CONTEXT: &[u8] = b"AWSALBTG";

/// What a request's cookies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The client is bound to this group, if the action still forwards to it.
    Sticky(GroupId),
    /// The weights choose: there is no cookie, or it has expired.
    New,
    /// The weights choose, and the log says [`COOKIE_INVALID`].
    Invalid,
}

/// Reads a request's cookies.
///
/// `cookie_lines` are the values of all Cookie headers. A value that is as old as `duration` still counts.
#[must_use]
pub fn decide<'a>(
    cookie_lines: impl Iterator<Item = &'a [u8]>,
    keys: &Keys,
    duration: Duration,
    now: SystemTime,
) -> Decision {
    let Some(value) = cookie::find(cookie_lines, AWSALBTG, AWSALBTGCORS) else { return Decision::New };
    match Token::open(keys, CONTEXT, value) {
        None => Decision::Invalid,
        Some(token) if token.has_expired(duration, now) => Decision::New,
        Some(token) => Decision::Sticky(token.group),
    }
}

/// A new value that binds a client to `group`. `nonce` is random.
///
/// # Errors
///
/// [`SealError`] if the cipher fails; the response then goes without cookies.
pub fn seal(
    keys: &Keys,
    group: GroupId,
    now: SystemTime,
    nonce: [u8; NONCE_LENGTH],
) -> Result<CookieValue, SealError> {
    Token::new(group, None, now).seal(keys, CONTEXT, nonce)
}

/// The two Set-Cookie values of a response: AWSALBTG, AWSALBTGCORS.
///
/// AWSALBTGCORS is Secure only where the client spoke HTTPS; AWSALBTG never is.
#[must_use]
pub fn set_cookie_headers(
    value: &CookieValue,
    listener: ListenerProtocol,
    now: SystemTime,
) -> [HeaderValue; 2] {
    cookie::set_cookie_pair((AWSALBTG, AWSALBTGCORS), value, listener, now)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;
    use crate::stickiness::{VALUE_LENGTH, lb_cookie};

    const HOUR: Duration = Duration::from_secs(3600);

    fn keys() -> Keys {
        Keys::new(&[1; 32], &[])
    }

    /// 28 November 2023, 10:21:43.
    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_701_166_903)
    }

    fn blue(issued_at: SystemTime) -> String {
        seal(&keys(), GroupId::new("blue"), issued_at, [7; NONCE_LENGTH]).unwrap().as_str().to_owned()
    }

    #[track_caller]
    fn check(line: &str, expected: Decision) {
        assert_eq!(decide([line.as_bytes()].into_iter(), &keys(), HOUR, now()), expected, "{line}");
    }

    #[test]
    fn a_cookie_names_its_group_until_it_expires() {
        let sticky = Decision::Sticky(GroupId::new("blue"));
        check("", Decision::New);
        check("a=b; AWSALB=x; AWSALBTGX=y", Decision::New);
        check(&format!("a=b; AWSALBTG={}", blue(now())), sticky);
        check(&format!("AWSALBTG={}", blue(now() - HOUR)), sticky);
        check(&format!("AWSALBTG={}", blue(now() - HOUR - Duration::from_secs(1))), Decision::New);
    }

    #[test]
    fn awsalbtgcors_decides_wherever_it_stands() {
        let green = seal(&keys(), GroupId::new("green"), now(), [8; NONCE_LENGTH]).unwrap();
        let (blue, green) = (blue(now()), green.as_str());
        let sticky = Decision::Sticky(GroupId::new("green"));
        check(&format!("AWSALBTG={blue}; AWSALBTGCORS={green}"), sticky);
        check(&format!("AWSALBTGCORS={green}; AWSALBTG={blue}"), sticky);
        check(&format!("AWSALBTG={blue}; AWSALBTGCORS=forged"), Decision::Invalid);
    }

    #[test]
    fn a_changed_a_foreign_and_another_kinds_value_is_invalid() {
        let value = blue(now());
        check("AWSALBTG=", Decision::Invalid);
        check(&format!("AWSALBTG={value}="), Decision::Invalid);
        check(&format!("AWSALBTG={}%2B", value.get(..VALUE_LENGTH - 3).unwrap()), Decision::Invalid);
        let foreign = seal(&Keys::new(&[2; 32], &[]), GroupId::new("blue"), now(), [0; 12]).unwrap();
        check(&format!("AWSALBTG={}", foreign.as_str()), Decision::Invalid);
        let target = "10.0.0.1:80".parse().unwrap();
        let lb = lb_cookie::seal(&keys(), GroupId::new("blue"), target, now(), [0; 12]).unwrap();
        check(&format!("AWSALBTG={}", lb.as_str()), Decision::Invalid);
        let line = format!("AWSALB={value}");
        let lb = lb_cookie::decide([line.as_bytes()].into_iter(), &keys(), GroupId::new("blue"), HOUR, now());
        assert_eq!(lb, lb_cookie::Decision::New(lb_cookie::NewReason::Undecodable));
    }

    #[test]
    fn both_cookies_last_seven_days_and_only_awsalbtgcors_is_secure() {
        let value = seal(&keys(), GroupId::new("blue"), now(), [7; NONCE_LENGTH]).unwrap();
        let v = value.as_str();
        assert_eq!(v.len(), VALUE_LENGTH);
        let expires = "Expires=Tue, 05 Dec 2023 10:21:43 GMT; Path=/";
        let [same_site, cross_origin] = set_cookie_headers(&value, ListenerProtocol::Https, now());
        assert_eq!(same_site, format!("AWSALBTG={v}; {expires}"));
        assert_eq!(cross_origin, format!("AWSALBTGCORS={v}; {expires}; SameSite=None; Secure"));
        let [_, cross_origin] = set_cookie_headers(&value, ListenerProtocol::Http, now());
        assert_eq!(cross_origin, format!("AWSALBTGCORS={v}; {expires}; SameSite=None"));
    }

    proptest! {
        #[test]
        fn arbitrary_cookie_lines_never_bind(line: Vec<u8>, value: Vec<u8>) {
            let cookie = [b"AWSALBTG=".as_slice(), &value].concat();
            for line in [line, cookie] {
                let decision = decide([line.as_slice()].into_iter(), &keys(), HOUR, now());
                prop_assert!(!matches!(decision, Decision::Sticky(_)));
            }
        }
    }
}
