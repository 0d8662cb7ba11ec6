//! The page and what it is made of, embedded in the binary.
//!
//! Nothing is loaded from elsewhere, and nothing else may be: see [`HEADERS`]. A browser asks again each time
//! it shows the page, and is told by the `ETag` that nothing has changed.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::admin::answer::{Answer, text, with_type};

/// Where assets are, each under its name.
pub(in crate::admin) const PREFIX: &str = "/dashboard/";

/// The page itself.
const PAGE: &str = "index.html";

macro_rules! assets {
    ($($name:literal)+) => {
        /// Every file of the folder, by name.
        const ASSETS: &[(&str, &[u8])] = &[$(($name, include_bytes!(concat!("assets/", $name))),)+];
    };
}

assets! {
    "actions.js"
    "app.js"
    "certificates.js"
    "connections.js"
    "dialogs.css"
    "dialogs.js"
    "dom.js"
    "findings.js"
    "format.js"
    "icon.svg"
    "index.html"
    "load_balancers.js"
    "overrides.js"
    "overview.js"
    "panels.css"
    "request_detail.js"
    "requests.js"
    "rules.js"
    "settings.js"
    "sparkline.js"
    "stream.js"
    "style.css"
    "target_actions.js"
    "target_groups.js"
    "targets.js"
    "theme.js"
}

/// What a browser may do with the page: show it, run its scripts, and speak with this server.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-cache"),
];

/// Whether `GET /` comes from a browser that wants to show something.
pub(in crate::admin) fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        let media_type = range.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("text/html")
    })
}

/// The page.
pub(in crate::admin) fn page(headers: &HeaderMap) -> Answer {
    let mut answer = asset(PAGE, headers);
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    answer
}

/// The asset of that name; 304 if the browser has it.
pub(in crate::admin) fn asset(name: &str, headers: &HeaderMap) -> Answer {
    let Some((name, content)) = ASSETS.iter().find(|(known, _)| *known == name) else {
        return text(StatusCode::NOT_FOUND, "not found\n");
    };
    let etag = etag(content);
    let known = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|value| value.split(',')).any(|tag| tag.trim() == etag);
    let mut answer =
        with_type(if is_known { Bytes::new() } else { Bytes::from_static(content) }, content_type(name));
    if is_known {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    }
    for (header, value) in HEADERS {
        answer.headers_mut().insert(header, HeaderValue::from_static(value));
    }
    if let Ok(etag) = HeaderValue::try_from(etag) {
        answer.headers_mut().insert(header::ETAG, etag);
    }
    answer
}

fn etag(content: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, content);
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest.as_ref()))
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served_with_a_type_of_its_own() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/dashboard/assets");
        let files: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let served: BTreeSet<String> = ASSETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(served, files, "the table `assets!` and the folder differ");
        for name in files {
            assert_ne!(content_type(&name), "application/octet-stream", "{name}");
        }
    }

    #[test]
    fn a_browser_that_has_an_asset_is_not_sent_it_again() {
        let first = asset("style.css", &HeaderMap::new());
        let etag = first.headers()[header::ETAG].clone();
        let again = |value: &str| {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, value.parse().unwrap())]);
            asset("style.css", &headers).status()
        };
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(again(&format!("\"other\", {}", etag.to_str().unwrap())), StatusCode::NOT_MODIFIED);
        assert_eq!(again("\"other\""), StatusCode::OK);
    }

    #[test]
    fn browsers_and_programs_are_told_apart() {
        let wants = |accept: &str| {
            wants_page(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_str(accept).unwrap())]))
        };
        assert!(wants("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(wants("application/json, text/HTML;q=0.5"));
        assert!(!wants("*/*"));
        assert!(!wants("application/json"));
        assert!(!wants_page(&HeaderMap::new()));
    }
}
