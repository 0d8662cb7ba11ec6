//! The demo page: its own files and the libraries that it shows off, embedded.
//!
//! The libraries are as published on npm: `@stomp/stompjs` 7.5.0 (Apache-2.0),
//! `sockjs-client` 1.6.1 and `socket.io-client` 4.8.4 (MIT).

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// A file of the page: its media type and its text.
pub type Asset = (&'static str, &'static str);

/// The file under a path.
#[must_use]
pub fn asset(path: &str) -> Option<Asset> {
    Some(match path {
        "/" => (HTML, include_str!("../../assets/index.html")),
        "/assets/demo.css" => (STYLE, include_str!("../../assets/demo.css")),
        "/assets/demo.js" => (SCRIPT, include_str!("../../assets/demo.js")),
        "/assets/demo-history.js" => (SCRIPT, include_str!("../../assets/demo-history.js")),
        "/assets/demo-page.js" => (SCRIPT, include_str!("../../assets/demo-page.js")),
        "/assets/demo-presence.js" => (SCRIPT, include_str!("../../assets/demo-presence.js")),
        "/assets/demo-socketio.js" => (SCRIPT, include_str!("../../assets/demo-socketio.js")),
        "/assets/demo-sockjs.js" => (SCRIPT, include_str!("../../assets/demo-sockjs.js")),
        "/assets/demo-stomp.js" => (SCRIPT, include_str!("../../assets/demo-stomp.js")),
        "/assets/demo-tabs.js" => (SCRIPT, include_str!("../../assets/demo-tabs.js")),
        "/assets/stomp.umd.min.js" => (SCRIPT, include_str!("../../assets/stomp.umd.min.js")),
        "/assets/stomp.umd.min.js.LICENSE" => (TEXT, include_str!("../../assets/stomp.umd.min.js.LICENSE")),
        "/assets/sockjs.min.js" => (SCRIPT, include_str!("../../assets/sockjs.min.js")),
        "/assets/sockjs.min.js.LICENSE" => (TEXT, include_str!("../../assets/sockjs.min.js.LICENSE")),
        "/assets/socket.io.min.js" => (SCRIPT, include_str!("../../assets/socket.io.min.js")),
        "/assets/socket.io.min.js.LICENSE" => (TEXT, include_str!("../../assets/socket.io.min.js.LICENSE")),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_names_is_there() {
        let mut names = 0;
        let mut open = vec!["/"];
        while let Some(path) = open.pop() {
            let (_, text) = asset(path).unwrap();
            let quoted = text.split(['"', '\'']).filter(|part| part.starts_with("/assets/"));
            for name in quoted {
                assert!(asset(name).is_some(), "{path} names {name}");
                names += 1;
            }
            // Imports are followed, libraries are not.
            if path == "/" {
                open.extend(["/assets/demo.js", "/assets/demo-stomp.js", "/assets/demo-tabs.js"]);
            }
        }
        assert!(names >= 8, "{names}");
        assert!(asset("/assets/else.js").is_none());
    }
}
