//! Request checks made before any rule is looked at.
//!
//! RFC 9112 sections 3.2 and 6, RFC 9113 section 8, ELB pages "Quotas for your
//! Application Load Balancers" (HTTP headers) and "Troubleshoot your
//! Application Load Balancers". A request with both Content-Length and
//! Transfer-Encoding passes, as in ELB's defensive mode: chunked counts, the
//! length is dropped and the client's connection closed afterwards. Anomalies
//! of the raw bytes (line ends, folding) are the parser's and the desync
//! classification's business.

use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use thiserror::Error;

use super::list_members;

/// Request lines of this length in bytes or more are refused (16 KB).
pub const REQUEST_LINE_LIMIT: usize = 16 * 1024;
/// Header lines of this length in bytes or more are refused (16 KB).
pub const HEADER_LINE_LIMIT: usize = 16 * 1024;
/// Request line and header lines together may have this many bytes (64 KB).
pub const HEAD_LIMIT: usize = 64 * 1024;

/// What the checks read of a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// Method.
    pub method: &'a Method,
    /// Request target as received (HTTP/2: `:path`).
    pub target: &'a [u8],
    /// Authority of an absolute-form target, or HTTP/2's `:authority`.
    pub authority: Option<&'a str>,
    /// Protocol version.
    pub version: Version,
    /// Header fields.
    pub headers: &'a HeaderMap,
}

/// A request that is answered by the load balancer because it is not acceptable. The client's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Invalid {
    /// 400.
    #[error("{0}")]
    BadRequest(BadRequest),
    /// 405: TRACE and CONNECT.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// 414: the request line reaches [`REQUEST_LINE_LIMIT`].
    #[error("request line too long")]
    UriTooLong,
    /// 400: a header reaches [`HEADER_LINE_LIMIT`], or all exceed [`HEAD_LIMIT`].
    #[error("request headers too large")]
    HeaderTooLarge,
    /// 501: a transfer coding other than chunked and identity.
    #[error("transfer coding not implemented")]
    NotImplemented,
    /// 505: not HTTP/0.9, 1.0, 1.1 or 2.
    #[error("HTTP version not supported")]
    VersionNotSupported,
}

/// Why a request is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadRequest {
    /// HTTP/1.1 without Host, HTTP/2 without `:authority` and Host.
    #[error("no host")]
    MissingHost,
    /// Host or authority with characters that no authority has.
    #[error("malformed host")]
    MalformedHost,
    /// Content-Length that is not one decimal number of at most 64 bits.
    #[error("malformed content length")]
    MalformedContentLength,
    /// Content-Length lines that differ.
    #[error("conflicting content lengths")]
    ConflictingContentLength,
    /// Transfer-Encoding in HTTP/1.0 or HTTP/2, or an empty one, or chunked along with another coding.
    #[error("malformed transfer encoding")]
    MalformedTransferEncoding,
}

impl Invalid {
    /// The status that the client gets.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::HeaderTooLarge => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::VersionNotSupported => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        }
    }
}

impl From<BadRequest> for Invalid {
    fn from(reason: BadRequest) -> Self {
        Self::BadRequest(reason)
    }
}

/// Checks a request; sizes come first, then what decides its framing, then method and host.
///
/// # Errors
///
/// The first check that fails.
pub fn check(request: &RequestHead<'_>) -> Result<(), Invalid> {
    check_sizes(request)?;
    if request.version > Version::HTTP_2 {
        return Err(Invalid::VersionNotSupported);
    }
    check_framing(request.version, request.headers)?;
    if matches!(*request.method, Method::TRACE | Method::CONNECT) {
        return Err(Invalid::MethodNotAllowed);
    }
    check_host(request)?;
    Ok(())
}

/// Lines count as in HTTP/1.1 without their line ends; the sum counts those too.
fn check_sizes(request: &RequestHead<'_>) -> Result<(), Invalid> {
    const LINE_END: usize = "\r\n".len();
    let request_line = request.method.as_str().len() + request.target.len() + "  HTTP/1.1".len();
    if request_line >= REQUEST_LINE_LIMIT {
        return Err(Invalid::UriTooLong);
    }
    let mut head = request_line + LINE_END;
    for (name, value) in request.headers {
        let line = name.as_str().len() + ": ".len() + value.len();
        head += line + LINE_END;
        if line >= HEADER_LINE_LIMIT || head > HEAD_LIMIT {
            return Err(Invalid::HeaderTooLarge);
        }
    }
    Ok(())
}

fn check_framing(version: Version, headers: &HeaderMap) -> Result<(), Invalid> {
    check_content_length(headers)?;
    if !headers.contains_key(header::TRANSFER_ENCODING) {
        return Ok(());
    }
    let (mut chunked, mut identity) = (0_usize, 0_usize);
    for coding in list_members(headers, header::TRANSFER_ENCODING) {
        if coding.eq_ignore_ascii_case(b"chunked") {
            chunked += 1;
        } else if coding.eq_ignore_ascii_case(b"identity") {
            identity += 1;
        } else {
            return Err(Invalid::NotImplemented);
        }
    }
    if version != Version::HTTP_11 || chunked + identity != 1 {
        return Err(BadRequest::MalformedTransferEncoding.into());
    }
    // With a Content-Length beside it ELB passes the request in its default mode, and so it is here: the
    // length is dropped and the connection closed afterwards (RFC 9112 section 6.1).
    Ok(())
}

/// Repeated lines must say the same (RFC 9110 section 8.6).
fn check_content_length(headers: &HeaderMap) -> Result<(), BadRequest> {
    let mut first = None;
    for line in headers.get_all(header::CONTENT_LENGTH) {
        let length = parse_length(line).ok_or(BadRequest::MalformedContentLength)?;
        if *first.get_or_insert(length) != length {
            return Err(BadRequest::ConflictingContentLength);
        }
    }
    Ok(())
}

/// Digits only: no sign, no list.
fn parse_length(line: &HeaderValue) -> Option<u64> {
    let digits = line.to_str().ok()?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn check_host(request: &RequestHead<'_>) -> Result<(), BadRequest> {
    // Whether there may be several is decided where they are read.
    let hosts = request.headers.get_all(header::HOST);
    let is_required = match request.version {
        Version::HTTP_09 | Version::HTTP_10 => false,
        Version::HTTP_2 => request.authority.is_none(),
        _ => true,
    };
    if is_required && hosts.iter().next().is_none() {
        return Err(BadRequest::MissingHost);
    }
    let names =
        request.authority.map(str::as_bytes).into_iter().chain(hosts.iter().map(HeaderValue::as_bytes));
    let is_well_formed = names.into_iter().all(|name| name.iter().all(|&byte| is_authority_byte(byte)));
    if is_well_formed { Ok(()) } else { Err(BadRequest::MalformedHost) }
}

/// RFC 3986 section 3.2.2 with the port's colon: no user information, no path, no space.
const fn is_authority_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%' | b':' | b'[' | b']')
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

#[cfg(test)]
mod tests;
