//! The two pages: one for a frame of another origin, one that never ends.

use bytes::{BufMut, Bytes, BytesMut};
use sha1_smol::Sha1;

use super::url::Callback;

/// Bytes that a browser wants before it runs the first script of a page.
const HTML_FILE_HEAD: usize = 1024;

/// The page for `/iframe*.html`. The protocol fixes its bytes, up to the
/// address of the client's library.
#[must_use]
pub fn iframe(client_library: &str) -> String {
    let library = attribute(client_library);
    format!(
        r#"<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script src="{library}"></script>
  <script>
    document.domain = document.domain;
    SockJS.bootstrap_iframe();
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>"#
    )
}

fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

/// The name of a version of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etag(String);

impl Etag {
    /// Of this page.
    #[must_use]
    pub fn of(page: &str) -> Self {
        Self(format!("\"{}\"", Sha1::from(page).digest()))
    }

    /// As it stands in the header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an `If-None-Match` names it (RFC 9110, section 13.1.2).
    #[must_use]
    pub fn is_named_by(&self, if_none_match: &str) -> bool {
        if_none_match
            .split(',')
            .map(str::trim)
            .any(|name| name == "*" || name.strip_prefix("W/").unwrap_or(name) == self.0)
    }
}

/// The beginning of the page of the `htmlfile` transport. Each frame that
/// follows calls `p`, and that the page's owner.
pub(super) fn html_file(callback: &Callback) -> Bytes {
    let page = format!(
        r#"<!doctype html>
<html><head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent.{};
    c.start();
    function p(d) {{c.message(d);}};
    window.onload = c.stop;
  </script>"#,
        callback.as_str()
    );
    let mut out = BytesMut::from(page.as_bytes());
    out.put_bytes(b' ', HTML_FILE_HEAD.saturating_sub(page.len()));
    out.put_slice(b"\r\n\r\n");
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_iframe_loads_the_library_that_is_set() {
        let page = iframe("https://cdn.test/sockjs.js?a&\"<script>");
        assert!(page.contains("<script src=\"https://cdn.test/sockjs.js?a&amp;&quot;&lt;script>\">"));
    }

    #[test]
    fn an_etag_is_of_the_page() {
        let etag = Etag::of(&iframe("/a.js"));
        assert_eq!(etag, Etag::of(&iframe("/a.js")));
        assert_ne!(etag, Etag::of(&iframe("/b.js")));
        assert!(etag.is_named_by(&format!("\"x\", W/{}", etag.as_str())));
        assert!(etag.is_named_by("*"));
        assert!(!etag.is_named_by("\"x\""));
    }

    #[test]
    fn the_html_file_begins_with_a_kilobyte() {
        let callback = Callback::try_from_query(Some("c=cb")).unwrap();
        let page = html_file(&callback);
        assert!(page.len() >= 1024 && page.ends_with(b"\r\n\r\n"));
        assert!(std::str::from_utf8(&page).unwrap().contains("var c = parent.cb;"));
    }
}
