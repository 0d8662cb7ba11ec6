//! Addresses below the endpoint's path.

use super::form;

/// What an address stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'a> {
    /// The greeting.
    Greeting,
    /// What the server can do.
    Info,
    /// The page that a client loads into a frame to reach another origin.
    Iframe,
    /// A WebSocket without SockJS's framing.
    RawWebSocket,
    /// A session, which the client has named. The server's name before it is
    /// for balancers, and means nothing here.
    Session {
        /// The session's name.
        session: &'a str,
        /// By what it is reached.
        transport: Transport,
    },
}

/// How frames get to the client, or messages to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Framed messages on a WebSocket.
    WebSocket,
    /// One frame for each request.
    Xhr,
    /// Lines of a long response.
    XhrStreaming,
    /// To the server, for the two before.
    XhrSend,
    /// Server-sent events.
    EventSource,
    /// Scripts in a page that never ends.
    HtmlFile,
    /// One script for each request.
    Jsonp,
    /// To the server, from a form.
    JsonpSend,
}

impl Transport {
    /// Whether its requests bring messages of the client.
    #[must_use]
    pub fn is_of_client(self) -> bool {
        matches!(self, Self::XhrSend | Self::JsonpSend)
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "websocket" => Self::WebSocket,
            "xhr" => Self::Xhr,
            "xhr_streaming" => Self::XhrStreaming,
            "xhr_send" => Self::XhrSend,
            "eventsource" => Self::EventSource,
            "htmlfile" => Self::HtmlFile,
            "jsonp" => Self::Jsonp,
            "jsonp_send" => Self::JsonpSend,
            _ => return None,
        })
    }
}

/// Reads what follows the endpoint's path. None for what no client asks for.
#[must_use]
pub fn route(rest: &str) -> Option<Route<'_>> {
    match rest {
        "" | "/" => return Some(Route::Greeting),
        "/info" => return Some(Route::Info),
        "/websocket" => return Some(Route::RawWebSocket),
        _ => {}
    }
    let rest = rest.strip_prefix('/')?;
    if is_iframe(rest) {
        return Some(Route::Iframe);
    }
    let mut segments = rest.split('/');
    let (server, session, transport) = (segments.next()?, segments.next()?, segments.next()?);
    let named = |segment: &str| !segment.is_empty() && !segment.contains('.');
    if segments.next().is_some() || !named(server) || !named(session) {
        return None;
    }
    Some(Route::Session { session, transport: Transport::parse(transport)? })
}

/// `iframe.html`, or one with a version, which lets it be cached for long.
fn is_iframe(file: &str) -> bool {
    file.strip_prefix("iframe").and_then(|rest| rest.strip_suffix(".html")).is_some_and(|version| {
        version.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase() || b"-._".contains(&b))
    })
}

/// The JavaScript function that a page wants to be called with each frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback(String);

/// Why there is no callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// None was given.
    #[error("\"callback\" parameter required")]
    Missing,
    /// It would be more than the name of a function.
    #[error("invalid \"callback\" parameter")]
    Invalid,
}

impl Callback {
    /// Longest name; those of clients have about a dozen characters.
    const LIMIT: usize = 32;

    /// The `c` of a query.
    ///
    /// # Errors
    ///
    /// There is none, or it has other characters than a name has.
    pub fn try_from_query(query: Option<&str>) -> Result<Self, CallbackError> {
        let name = query.and_then(|query| form::field(query, "c")).unwrap_or_default();
        if name.is_empty() {
            return Err(CallbackError::Missing);
        }
        let named = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        match String::from_utf8(name) {
            Ok(name) if name.len() <= Self::LIMIT && name.bytes().all(named) => Ok(Self(name)),
            _ => Err(CallbackError::Invalid),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rest: &str, expected: Option<Route<'_>>) {
        assert_eq!(route(rest), expected, "{rest:?}");
    }

    #[test]
    fn every_address_of_the_protocol_is_known() {
        check("", Some(Route::Greeting));
        check("/", Some(Route::Greeting));
        check("/info", Some(Route::Info));
        check("/websocket", Some(Route::RawWebSocket));
        for version in ["", "-a", "-", "-0.1.2", "-0.1.2abc-dirty.2144", "0_1"] {
            check(&format!("/iframe{version}.html"), Some(Route::Iframe));
        }
        for (name, transport) in [
            ("websocket", Transport::WebSocket),
            ("xhr", Transport::Xhr),
            ("xhr_streaming", Transport::XhrStreaming),
            ("xhr_send", Transport::XhrSend),
            ("eventsource", Transport::EventSource),
            ("htmlfile", Transport::HtmlFile),
            ("jsonp", Transport::Jsonp),
            ("jsonp_send", Transport::JsonpSend),
        ] {
            for session in ["a", "_", "1", "abcdefgh_i-j%20"] {
                check(&format!("/000/{session}/{name}"), Some(Route::Session { session, transport }));
            }
        }
    }

    #[test]
    fn other_addresses_are_unknown() {
        for rest in ["//", "///", "/a", "/a.html", "/a/", "/a/a", "/a/a/", "/info/", "/websocket/"] {
            check(rest, None);
        }
        for file in ["iframe", "iframe.htm", "IFRAME.HTML", "iframe.HTML", "iframe.xml", "iframe-/.html"] {
            check(&format!("/{file}"), None);
        }
        for names in ["//", "/a./a", "/a/a.", "/./.", "/a/", "//a", "/a/b/c"] {
            check(&format!("{names}/xhr"), None);
        }
        check("/a/b/xhr/", None);
        check("/a/b/poll", None);
    }

    #[test]
    fn a_callback_is_a_name_and_nothing_more() {
        let callback = |query: Option<&str>| Callback::try_from_query(query).map(|callback| callback.0);
        assert_eq!(callback(Some("t=1&c=_jp.a-0")), Ok("_jp.a-0".to_owned()));
        assert_eq!(callback(Some("c=%5Fjp.a")), Ok("_jp.a".to_owned()));
        for query in [None, Some(""), Some("c="), Some("c"), Some("d=x")] {
            assert_eq!(callback(query), Err(CallbackError::Missing), "{query:?}");
        }
        for name in ["a(b)", "alert%28%29", "%20", "%f0%9f%92%a9", "%ff", "a%0a", "*", &"x".repeat(33)] {
            let query = format!("c={name}");
            assert_eq!(callback(Some(query.as_str())), Err(CallbackError::Invalid), "{name}");
        }
    }
}
