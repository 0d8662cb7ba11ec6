//! Which page is behind a request that has no Origin.
//!
//! Browsers load scripts, frames and images of any site without telling the
//! origin of the page that wants them. `Sec-Fetch-Site` tells how the two are
//! related; a browser that does not send it usually sends a Referer. A program
//! sends neither, and could send anything.

use http::header::{HeaderMap, HeaderValue, ORIGIN, REFERER};
use http::{Request, StatusCode};

use crate::endpoint::Services;
use crate::server::connection::Connection;
use crate::server::response::{self, Answer};

use super::web_socket;

/// What an answer would be worth to a page that may not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exposure {
    /// A browser gives it to pages that CORS allows.
    Guarded,
    /// It is a script, which every page can load and listen to.
    Open,
}

/// 403 for a page of a foreign origin, as far as the browser tells.
pub(super) fn check(
    request: &Request<()>,
    exposure: Exposure,
    connection: &Connection,
    services: &Services,
) -> Result<(), Box<Answer>> {
    if is_open_to_all(services) {
        return Ok(());
    }
    match page_origin(request.headers()) {
        PageOrigin::Own => Ok(()),
        PageOrigin::Unknown if exposure == Exposure::Guarded => {
            web_socket::check_origin(request, connection, services)
        }
        PageOrigin::Foreign | PageOrigin::Unknown => {
            Err(Box::new(response::error(StatusCode::FORBIDDEN, "origin not allowed")))
        }
        PageOrigin::Named(origin) => {
            let mut named = Request::new(());
            *named.headers_mut() = request.headers().clone();
            if let Ok(origin) = HeaderValue::from_str(origin) {
                named.headers_mut().insert(ORIGIN, origin);
            }
            web_socket::check_origin(&named, connection, services)
        }
    }
}

/// Whether pages of every origin are allowed.
pub(super) fn is_open_to_all(services: &Services) -> bool {
    services.config.websocket.allowed_origins.iter().any(|origin| origin == "*")
}

/// What is known of the page.
#[derive(Debug, PartialEq, Eq)]
enum PageOrigin<'a> {
    /// One of the server's own, or the address bar.
    Own,
    /// One of another origin.
    Foreign,
    /// One of this origin.
    Named(&'a str),
    /// There may be none.
    Unknown,
}

/// Looks at what a browser adds to a request.
fn page_origin(headers: &HeaderMap) -> PageOrigin<'_> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(origin) = text(ORIGIN.as_str()) {
        return PageOrigin::Named(origin);
    }
    match (text("sec-fetch-site"), text(REFERER.as_str()).and_then(origin_of)) {
        (Some("same-origin" | "none"), _) => PageOrigin::Own,
        (_, Some(origin)) => PageOrigin::Named(origin),
        (Some(_), None) => PageOrigin::Foreign,
        (None, None) => PageOrigin::Unknown,
    }
}

/// Scheme, host and port of an address.
fn origin_of(url: &str) -> Option<&str> {
    let host = url.find("://")? + 3;
    let end = url.get(host..)?.find(['/', '?', '#']).map_or(url.len(), |end| host + end);
    url.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_page(sent: &[(&'static str, &'static str)], expected: &PageOrigin<'_>) {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        assert_eq!(page_origin(&headers), *expected, "{sent:?}");
    }

    #[test]
    fn a_browser_tells_where_a_page_is_from() {
        let own = ("sec-fetch-site", "same-origin");
        let foreign = ("sec-fetch-site", "cross-site");
        let referer = ("referer", "https://app.test:1/a/b?c");
        check_page(&[("origin", "https://a.test"), own], &PageOrigin::Named("https://a.test"));
        check_page(&[own, referer], &PageOrigin::Own);
        check_page(&[("sec-fetch-site", "none")], &PageOrigin::Own);
        check_page(&[foreign, referer], &PageOrigin::Named("https://app.test:1"));
        check_page(&[foreign], &PageOrigin::Foreign);
        check_page(&[("sec-fetch-site", "same-site")], &PageOrigin::Foreign);
        check_page(&[referer], &PageOrigin::Named("https://app.test:1"));
        check_page(&[("referer", "https://app.test")], &PageOrigin::Named("https://app.test"));
        check_page(&[("referer", "about:client")], &PageOrigin::Unknown);
        check_page(&[], &PageOrigin::Unknown);
    }
}
