//! Responses that the load balancer makes itself: errors, redirects, fixed responses.
//!
//! Their bytes are those captured from ALBs: `Server: awselb/2.0`, Date,
//! Content-Type, Content-Length, Connection, in this order, and a short HTML
//! page. The comment padding that ALBs append for Chrome is left out.

use bytes::Bytes;
use http::{StatusCode, header};
use pingora::{ErrorType, OrErr, Result, http::ResponseHeader};

use super::error::Cause;
use crate::model::rule::FixedResponse;

/// A response made here: head and body.
#[derive(Debug)]
pub struct ElbResponse {
    /// Status and header fields; Date and Connection are filled in when it is sent.
    pub head: Box<ResponseHeader>,
    /// The body, left out in answers to HEAD.
    pub body: Bytes,
}

impl ElbResponse {
    /// The answer to a request that failed.
    ///
    /// # Errors
    ///
    /// When the head cannot be built, which no status of [`Cause`] brings about.
    pub fn error(cause: Cause) -> Result<Self> {
        let status = cause.status();
        Self::new(status, Some("text/html"), page(status).into())
    }

    /// The answer of a `redirect` action.
    ///
    /// # Errors
    ///
    /// When `location` holds bytes that no header field may hold.
    pub fn redirect(status: StatusCode, location: &str) -> Result<Self> {
        let mut response = Self::new(status, Some("text/html"), page(status).into())?;
        // Stands before Location; its value is set when it is sent.
        response.head.insert_header("Connection", "")?;
        response.head.insert_header("Location", location)?;
        Ok(response)
    }

    /// The answer of a `fixed-response` action.
    ///
    /// # Errors
    ///
    /// When the content type holds bytes that no header field may hold.
    pub fn fixed(response: &FixedResponse) -> Result<Self> {
        Self::new(response.status, response.content_type.as_deref(), response.message_body.clone())
    }

    fn new(status: StatusCode, content_type: Option<&str>, body: Bytes) -> Result<Self> {
        let mut head = Box::new(ResponseHeader::build(status, Some(6))?);
        head.set_reason_phrase(Some(reason_phrase(status)))?;
        head.insert_header("Server", "awselb/2.0")?;
        // Takes the place between Server and Content-Type; its value is set when it is sent.
        head.insert_header("Date", "")?;
        if let Some(content_type) = content_type {
            head.insert_header("Content-Type", content_type)?;
        }
        head.insert_header("Content-Length", body.len().to_string())
            .or_err(ErrorType::InternalError, "building a response of the load balancer")?;
        Ok(Self { head, body })
    }

    /// The whole answer in HTTP/1.1, for a connection whose request could not be read.
    #[must_use]
    pub fn into_closing_bytes(mut self, date: &str) -> Vec<u8> {
        // Both values are plain ASCII, so the fields cannot be refused.
        drop(self.head.insert_header(header::DATE, date));
        drop(self.head.insert_header("Connection", "close"));
        let mut wire = Vec::with_capacity(512);
        let status = self.head.status;
        wire.extend_from_slice(
            format!("HTTP/1.1 {} {}\r\n", status.as_u16(), reason_phrase(status)).as_bytes(),
        );
        self.head.header_to_h1_wire(&mut wire);
        wire.extend_from_slice(b"\r\n");
        wire.extend_from_slice(&self.body);
        wire
    }
}

fn page(status: StatusCode) -> String {
    let title = format!("{} {}", status.as_u16(), reason_phrase(status));
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n\
         <center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
}

/// The reason phrase as ELB words it.
fn reason_phrase(status: StatusCode) -> &'static str {
    match status.as_u16() {
        302 => "Found",
        401 => "Authorization Required",
        405 => "Not Allowed",
        408 => "Request Time-out",
        414 => "Request-URI Too Large",
        463 | 464 => "Unknown",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        561 => "Unauthorized",
        562 => "JWKS Request Failed",
        _ => status.canonical_reason().unwrap_or("Unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cause: Cause, length: usize) {
        assert_eq!(ElbResponse::error(cause).unwrap().body.len(), length, "{cause:?}");
    }

    #[test]
    fn bodies_have_the_lengths_seen_at_albs() {
        check(Cause::BadRequest, 122);
        check(Cause::TargetClosed, 122);
        check(Cause::NoTargets, 162);
        check(Cause::TargetTimeout, 132);
        let redirect = |code| ElbResponse::redirect(code, "https://example.com:443/").unwrap().body.len();
        assert_eq!(redirect(StatusCode::MOVED_PERMANENTLY), 134);
        assert_eq!(redirect(StatusCode::FOUND), 110);
    }

    #[test]
    fn an_error_is_the_captured_bytes() {
        let wire = ElbResponse::error(Cause::TargetClosed)
            .unwrap()
            .into_closing_bytes("Tue, 28 Nov 2023 10:21:43 GMT");
        let wire = String::from_utf8(wire).unwrap();
        assert_eq!(
            wire,
            "HTTP/1.1 502 Bad Gateway\r\n\
             Server: awselb/2.0\r\n\
             Date: Tue, 28 Nov 2023 10:21:43 GMT\r\n\
             Content-Type: text/html\r\n\
             Content-Length: 122\r\n\
             Connection: close\r\n\r\n\
             <html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
             <center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
        );
    }
}
