//! The request as it is read, and as it goes to the target.
//!
//! ELB page: "HTTP headers and Application Load Balancers". Header fields made
//! by the load balancer come first, then what the client sent, in its order
//! and spelling; names from HTTP/2 clients stay in lower case.

use std::{borrow::Cow, net::SocketAddr};

use http::{HeaderName, HeaderValue, Method, Version, header};
use pingora::{Result, http::RequestHeader};

use super::error::Cause;
use crate::{
    headers::{
        forwarded::{self, ClientEntry, XffOutcome},
        hop_by_hop,
        host::{self, HostRule},
        raw_head::InvalidNames,
        validity::{self, Invalid, RequestHead},
        websocket::RequestKind,
    },
    model::{
        ListenerProtocol,
        load_balancer::{DesyncMitigationMode, XffHeaderProcessing},
    },
};

/// How one listener treats request headers; fixed at load.
#[derive(Debug, Clone)]
pub struct HeaderSettings {
    /// `routing.http.xff_header_processing.mode`.
    pub xff: XffHeaderProcessing,
    /// `routing.http.xff_client_port.enabled`.
    pub client_entry: ClientEntry,
    /// `routing.http.preserve_host_header.enabled` with the listener's port.
    pub host: HostRule,
    /// The listener's port, for X-Forwarded-Port.
    pub port: u16,
    /// `routing.http.drop_invalid_header_fields.enabled`.
    pub invalid_names: InvalidNames,
    /// `routing.http.desync_mitigation_mode`.
    pub desync_mitigation_mode: DesyncMitigationMode,
    /// Host of an HTTP/1.0 request that names none.
    pub dns_name: Box<str>,
}

impl HeaderSettings {
    /// The host `request` is for: see [`host::of_request`].
    #[must_use]
    pub fn host_of<'a>(&'a self, request: &'a RequestHeader) -> &'a str {
        host::of_request(Target::of(request).authority, &request.headers, &self.dns_name)
    }
}

/// A request's target and host, taken apart.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Authority of an absolute-form target, or HTTP/2's `:authority`.
    pub authority: Option<&'a str>,
    /// Path and query as received.
    pub origin_form: &'a [u8],
}

impl<'a> Target<'a> {
    /// Takes `request`'s target apart.
    #[must_use]
    pub fn of(request: &'a RequestHeader) -> Self {
        let raw = request.raw_path();
        if request.version == Version::HTTP_2 {
            return Self {
                authority: request.uri.authority().map(http::uri::Authority::as_str),
                origin_form: raw,
            };
        }
        if request.method == Method::CONNECT {
            // Authority form: there is no path. The request is refused; this is for its record.
            return Self { authority: std::str::from_utf8(raw).ok(), origin_form: b"" };
        }
        match host::absolute_form(raw) {
            Some((authority, rest)) => Self { authority: Some(authority), origin_form: rest },
            None => Self { authority: None, origin_form: raw },
        }
    }

    /// Path and query as text; bytes that are no UTF-8 become replacement characters.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.origin_form)
    }
}

impl Target<'_> {
    /// Path and query with every byte that is not printable ASCII percent-encoded, as in a Location.
    #[must_use]
    pub fn ascii(&self) -> String {
        let mut text = String::with_capacity(self.origin_form.len());
        for &byte in self.origin_form {
            if byte.is_ascii_graphic() {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
        text
    }
}

/// The values of the request's Cookie headers.
pub fn cookie_lines(request: &RequestHeader) -> impl Iterator<Item = &[u8]> {
    request.headers.get_all(header::COOKIE).into_iter().map(HeaderValue::as_bytes)
}

/// Refuses what no ALB forwards.
///
/// # Errors
///
/// The cause of the refusal.
pub fn check(request: &RequestHeader, target: Target<'_>) -> Result<(), Cause> {
    let head = RequestHead {
        method: &request.method,
        target: request.raw_path(),
        authority: target.authority,
        version: request.version,
        headers: &request.headers,
    };
    let is_path = target.origin_form.first() == Some(&b'/');
    let is_asterisk = target.origin_form == b"*" && request.method == Method::OPTIONS;
    let checked = validity::check(&head);
    // What is no path would slip past rules about paths.
    if checked.is_ok() && !is_path && !is_asterisk {
        return Err(Cause::BadRequest);
    }
    checked.map_err(|invalid| match invalid {
        Invalid::BadRequest(_) | Invalid::HeaderTooLarge => Cause::BadRequest,
        Invalid::MethodNotAllowed => Cause::MethodNotAllowed,
        Invalid::UriTooLong => Cause::UriTooLong,
        Invalid::NotImplemented => Cause::NotImplemented,
        Invalid::VersionNotSupported => Cause::VersionNotSupported,
    })
}

/// What becomes of X-Forwarded-For.
///
/// # Errors
///
/// [`Cause::TooManyForwardedFor`] with more than 30 addresses.
pub fn x_forwarded_for(
    request: &RequestHeader,
    settings: &HeaderSettings,
    client: SocketAddr,
) -> Result<XffOutcome, Cause> {
    let existing = request.headers.get_all("x-forwarded-for").into_iter();
    match forwarded::x_forwarded_for(settings.xff, settings.client_entry, client, existing) {
        XffOutcome::TooMany => Err(Cause::TooManyForwardedFor),
        outcome => Ok(outcome),
    }
}

/// Whether a request has a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// It ends with its head.
    None,
    /// Bytes follow, or may.
    Some,
}

/// What the load balancer says about a request.
#[derive(Debug, Clone)]
pub struct Made {
    /// X-Forwarded-For.
    pub xff: XffOutcome,
    /// X-Amzn-Trace-Id.
    pub trace_id: HeaderValue,
    /// What the client spoke, for X-Forwarded-Proto.
    pub protocol: ListenerProtocol,
}

/// Builds the request for the target.
///
/// # Errors
///
/// When a field cannot be written in HTTP/1.1, which parsed fields always can.
pub fn for_target(
    request: &RequestHeader,
    kind: RequestKind,
    body: Body,
    settings: &HeaderSettings,
    made: Made,
) -> Result<Box<RequestHeader>> {
    let target = Target::of(request);
    let is_h2 = request.version == Version::HTTP_2;
    let size = request.headers.len() + 5;
    let mut head = Box::new(RequestHeader::build(request.method.clone(), target.origin_form, Some(size))?);
    head.set_version(Version::HTTP_11);
    let keeps_xff = made.xff == XffOutcome::Keep;
    if let XffOutcome::Set(value) = made.xff {
        head.insert_header("X-Forwarded-For", value)?;
    }
    head.insert_header("X-Forwarded-Proto", forwarded::x_forwarded_proto(made.protocol))?;
    head.insert_header("X-Forwarded-Port", forwarded::x_forwarded_port(settings.port))?;
    head.insert_header("Host", host_value(request, settings)?)?;
    if settings.host == HostRule::Preserve && target.authority.is_none() {
        for host in request.headers.get_all(header::HOST).iter().skip(1) {
            head.append_header("Host", host)?;
        }
    }
    head.insert_header("X-Amzn-Trace-Id", made.trace_id)?;
    if kind == RequestKind::WebSocketUpgrade {
        // Written anew: a list of protocols to upgrade to would let the target choose another.
        head.insert_header("Connection", "Upgrade")?;
        head.insert_header("Upgrade", "websocket")?;
    }

    let removed = hop_by_hop::to_remove(&request.headers, RequestKind::Ordinary);
    let is_forwarded = |name: &HeaderName| {
        let made_here = matches!(name.as_str(), "x-forwarded-proto" | "x-forwarded-port" | "x-amzn-trace-id")
            || name == header::HOST
            || (name == "x-forwarded-for" && !keeps_xff);
        !made_here && name != header::EXPECT && !removed.contains(name)
    };
    if is_h2 {
        append_h2_fields(&mut head, request, is_forwarded)?;
    } else {
        for (name, value) in request.case_header_iter() {
            let Ok(key) = HeaderName::from_bytes(name.as_slice()) else { continue };
            // Lengths that are repeated say the same, or the request was refused: one is enough. The same
            // holds for transfer codings, of which only chunked is taken, however it is written.
            let frames = matches!(key, header::CONTENT_LENGTH | header::TRANSFER_ENCODING);
            if !is_forwarded(&key) || (frames && head.headers.contains_key(&key)) {
                continue;
            }
            if key == header::TRANSFER_ENCODING {
                head.append_header(name.clone(), "chunked")?;
            } else {
                head.append_header(name.clone(), value)?;
            }
        }
    }
    // A body of unknown length: HTTP/2 needs no framing field, HTTP/1.1 does.
    if is_h2 && body == Body::Some && !request.headers.contains_key(header::CONTENT_LENGTH) {
        head.insert_header("Transfer-Encoding", "chunked")?;
    }
    Ok(head)
}

/// Names from HTTP/2 go on in lower case; cookies that were split are joined again (RFC 9113 section 8.2.3).
fn append_h2_fields(
    head: &mut RequestHeader,
    request: &RequestHeader,
    is_forwarded: impl Fn(&HeaderName) -> bool,
) -> Result<()> {
    let mut cookies = Vec::new();
    for (name, value) in &request.headers {
        if name == header::COOKIE {
            if !cookies.is_empty() {
                cookies.extend_from_slice(b"; ");
            }
            cookies.extend_from_slice(value.as_bytes());
        } else if is_forwarded(name) {
            head.append_header(name.as_str().to_owned(), value)?;
        }
    }
    if !cookies.is_empty() {
        head.append_header("cookie", cookies)?;
    }
    Ok(())
}

fn host_value(request: &RequestHeader, settings: &HeaderSettings) -> Result<HeaderValue> {
    let value = HeaderValue::from_str(settings.host_of(request))
        .map_err(|e| pingora::Error::because(pingora::ErrorType::InvalidHTTPHeader, "host", e))?;
    Ok(settings.host.host_for_target(&value).unwrap_or(value))
}

#[cfg(test)]
mod tests;
