//! Headers of SockJS answers: caching, CORS, the cookie for stickiness.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, CACHE_CONTROL,
    CONTENT_SECURITY_POLICY, COOKIE, EXPIRES, HeaderMap, HeaderValue, ORIGIN, SET_COOKIE, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::server::body::Reply;
use crate::server::response::Answer;

/// RFC 9110, section 5.6.7.
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The cookie that balancers of servlet containers know.
const SESSION_COOKIE: &str = "JSESSIONID";

/// An answer that is different each time.
pub(super) fn never_cached(headers: &mut HeaderMap) {
    let value = "no-store, no-cache, no-transform, must-revalidate, max-age=0";
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
}

/// An answer that never changes.
pub(super) fn cached_for_a_year(headers: &mut HeaderMap, now: SystemTime) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000"));
    let expires = OffsetDateTime::from(now + YEAR).format(HTTP_DATE);
    if let Some(expires) = expires.ok().and_then(|date| HeaderValue::try_from(date).ok()) {
        headers.insert(EXPIRES, expires);
    }
}

/// Lets the page that asks read the answer. Its origin was checked before.
pub(super) fn allow_origin(headers: &mut HeaderMap, request: &HeaderMap) {
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = request.get(ORIGIN) else {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        return;
    };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    if let Some(wanted) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
}

/// The answer to OPTIONS.
pub(super) fn preflight(request: &HeaderMap, methods: &'static str, now: SystemTime) -> Answer {
    let mut answer = Answer::new(Reply::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    cached_for_a_year(headers, now);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(YEAR.as_secs()));
    allow_origin(headers, request);
    answer
}

/// Gives the client back its session cookie, or a first one: a balancer that
/// binds by it looks at answers.
pub(super) fn session_cookie(headers: &mut HeaderMap, request: &HeaderMap) {
    let value = request
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == SESSION_COOKIE).then_some(value))
        .filter(|value| !value.is_empty())
        .unwrap_or("dummy");
    if let Ok(cookie) = HeaderValue::try_from(format!("{SESSION_COOKIE}={value}; path=/")) {
        headers.append(SET_COOKIE, cookie);
    }
}

/// Lets only pages of the allowed origins show the answer in a frame, from
/// which they would reach it as if they were of the server's origin. Browsers
/// that do not know of lists take the server's own.
pub(super) fn frame_ancestors(headers: &mut HeaderMap, allowed_origins: &[String]) {
    if allowed_origins.iter().any(|origin| origin == "*") {
        return;
    }
    let mut policy = "frame-ancestors 'self'".to_owned();
    for origin in allowed_origins {
        policy.push(' ');
        // Spring writes any port as `[*]`.
        policy.push_str(&origin.replace("[*]", "*"));
    }
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
}

/// A script or a page that must not be taken for anything else.
pub(super) fn not_sniffed(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_later_is_written_as_http_dates_are() {
        let mut headers = HeaderMap::new();
        cached_for_a_year(&mut headers, SystemTime::UNIX_EPOCH);
        assert_eq!(headers[EXPIRES], "Fri, 01 Jan 1971 00:00:00 GMT");
    }

    #[test]
    fn frames_are_for_the_pages_that_are_allowed() {
        let of = |allowed: &[&str]| {
            let allowed: Vec<_> = allowed.iter().map(|&origin| origin.to_owned()).collect();
            let mut headers = HeaderMap::new();
            frame_ancestors(&mut headers, &allowed);
            let policy = headers.get(CONTENT_SECURITY_POLICY)?.to_str().unwrap().to_owned();
            assert_eq!(headers[X_FRAME_OPTIONS], "SAMEORIGIN");
            Some(policy)
        };
        assert_eq!(of(&[]).unwrap(), "frame-ancestors 'self'");
        assert_eq!(of(&["https://app.test"]).unwrap(), "frame-ancestors 'self' https://app.test");
        assert_eq!(of(&["http://a.test:[*]"]).unwrap(), "frame-ancestors 'self' http://a.test:*");
        assert_eq!(of(&["*"]), None);
    }

    #[test]
    fn the_session_cookie_is_given_back_or_made() {
        for (sent, expected) in [
            (None, "JSESSIONID=dummy; path=/"),
            (Some("a=1; JSESSIONID=abc.b1"), "JSESSIONID=abc.b1; path=/"),
            (Some("XJSESSIONID=1; JSESSIONID="), "JSESSIONID=dummy; path=/"),
        ] {
            let mut request = HeaderMap::new();
            if let Some(sent) = sent {
                request.insert(COOKIE, HeaderValue::from_static(sent));
            }
            let mut headers = HeaderMap::new();
            session_cookie(&mut headers, &request);
            assert_eq!(headers[SET_COOKIE], expected);
        }
    }
}
