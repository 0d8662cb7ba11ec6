//! The redirect action.

use http::StatusCode;

use super::{
    action::Owner, context::Context, path::Path, protocol::Protocol, raw::RawRedirect, scalar::Text,
};
use crate::model::rule::Redirect;

/// Protocol, host, port, path and query that keep the request's own.
const KEEP_PROTOCOL: &str = "#{protocol}";
const KEEP_HOST: &str = "#{host}";
const KEEP_PORT: &str = "#{port}";
const KEEP_PATH: &str = "/#{path}";
const KEEP_QUERY: &str = "#{query}";
/// The placeholders of each field.
const IN_HOST: &[&str] = &["host"];
const IN_PATH: &[&str] = &["host", "port", "path"];
const IN_QUERY: &[&str] = &["protocol", "host", "port", "path", "query"];
/// Longest host, path and query, in characters.
const LONGEST_FIELD: usize = 128;

/// Converts a redirect of a listener.
pub(super) fn convert(
    raw: RawRedirect,
    owner: Owner<'_>,
    at: &Path,
    cx: &mut Context<'_>,
) -> Option<Redirect> {
    const STATUS: &[(&str, StatusCode)] =
        &[("HTTP_301", StatusCode::MOVED_PERMANENTLY), ("HTTP_302", StatusCode::FOUND)];
    let status_at = at.key("status_code");
    let status = cx
        .required(raw.status_code, &status_at)
        .and_then(|text| cx.one_of(&text, &status_at, "redirect status code", STATUS));
    let redirect = Redirect {
        protocol: text_or(raw.protocol, KEEP_PROTOCOL),
        host: text_or(raw.host, KEEP_HOST),
        port: text_or(raw.port, KEEP_PORT),
        path: text_or(raw.path, KEEP_PATH),
        query: text_or(raw.query, KEEP_QUERY),
        status: status.unwrap_or(StatusCode::FOUND),
    };
    protocol(&redirect.protocol, owner, &at.key("protocol"), cx);
    port(&redirect.port, &at.key("port"), cx);
    field(&redirect.host, IN_HOST, &at.key("host"), cx);
    field(&redirect.path, IN_PATH, &at.key("path"), cx);
    field(&redirect.query, IN_QUERY, &at.key("query"), cx);
    if redirect.host.is_empty() {
        cx.report.mistake(&at.key("host"), "must not be empty");
    }
    if !redirect.path.starts_with('/') {
        cx.report.mistake(&at.key("path"), "must begin with '/'");
    }
    if redirect.query.starts_with('?') {
        cx.report.mistake(&at.key("query"), "must not begin with '?'");
    }
    if changes_nothing(&redirect, owner) {
        cx.report.mistake(at, "must change at least one of protocol, host, port and path");
    }
    status.map(|_| redirect)
}

fn text_or(raw: Option<Text>, default: &str) -> String {
    raw.map_or_else(|| default.to_owned(), |Text(text)| text)
}

fn protocol(text: &str, owner: Owner<'_>, at: &Path, cx: &mut Context<'_>) {
    const PROTOCOLS: &[(&str, ())] = &[("HTTP", ()), ("HTTPS", ()), (KEEP_PROTOCOL, ())];
    cx.one_of(text, at, "redirect protocol", PROTOCOLS);
    if text == "HTTP" && owner.protocol == Some(Protocol::Https) {
        cx.report.mistake(at, "a redirect from HTTPS to HTTP is not allowed");
    }
}

fn port(text: &str, at: &Path, cx: &mut Context<'_>) {
    let number = text.parse::<u16>().ok().filter(|port| *port != 0 && port.to_string() == text);
    if text != KEEP_PORT && number.is_none() {
        cx.report.mistake(at, format!("redirect port '{text}' must be '1-65535' or '{KEEP_PORT}'"));
    }
}

/// Length, characters and placeholders.
fn field(text: &str, placeholders: &[&str], at: &Path, cx: &mut Context<'_>) {
    if text.chars().count() > LONGEST_FIELD {
        cx.report.mistake(at, format!("cannot be longer than {LONGEST_FIELD} characters"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        cx.report.mistake(at, "can only contain visible ASCII characters");
    }
    for part in text.split("#{").skip(1) {
        let name = part.split_once('}').map(|(name, _)| name);
        if !name.is_some_and(|name| placeholders.contains(&name)) {
            let name = name.unwrap_or(part);
            let message = format!("unknown placeholder '#{{{name}}}' (have: {})", placeholders.join(", "));
            cx.report.mistake(at, message);
        }
    }
}

/// Whether the target is the listener itself; a new query alone does not count.
fn changes_nothing(redirect: &Redirect, owner: Owner<'_>) -> bool {
    let own_protocol = owner.protocol.map(Protocol::as_str);
    let own_port = owner.port.map(|port| port.to_string());
    let same_protocol =
        redirect.protocol == KEEP_PROTOCOL || Some(redirect.protocol.as_str()) == own_protocol;
    let same_port = redirect.port == KEEP_PORT || Some(&redirect.port) == own_port.as_ref();
    same_protocol && same_port && redirect.host == KEEP_HOST && redirect.path == KEEP_PATH
}
