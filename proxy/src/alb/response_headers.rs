//! The response headers that a listener inserts, and the one that it leaves out.
//!
//! ELB page: "HTTP header modification for your Application Load Balancer". What
//! is configured is in every response of the listener, those that the load
//! balancer makes itself included, and replaces what the target says.
//! `routing.http.response.server.enabled: false` is about `Server: awselb/2.0`: a
//! Server header of the target passes either way.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use pingora::{Result, http::ResponseHeader};

use super::elb_response::ElbResponse;
use crate::model::listener::ListenerAttributes;

/// How a listener changes response headers; fixed at load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHeaders {
    server: bool,
    inserted: Box<[(Bytes, HeaderValue)]>,
}

impl ResponseHeaders {
    /// What `attributes` want.
    #[must_use]
    pub fn new(attributes: &ListenerAttributes) -> Self {
        let inserted = attributes.inserted_headers.iter().map(|(name, value)| (titled(name), value.clone()));
        Self { server: attributes.server_header, inserted: inserted.collect() }
    }

    /// Changes a response that comes from a target.
    pub fn insert(&self, head: &mut ResponseHeader) {
        for (name, value) in &self.inserted {
            // Names and values were checked at load, so the field cannot be refused.
            drop(head.insert_header(name.clone(), value.clone()));
        }
    }

    /// Changes a response that the load balancer has made.
    #[must_use]
    pub fn applied(&self, mut response: ElbResponse) -> ElbResponse {
        if !self.server
            && let Ok(head) = without_server(&response.head)
        {
            response.head = head;
        }
        self.insert(&mut response.head);
        response
    }
}

/// The head without Server. Removing a field from it would move the last one into its place.
fn without_server(head: &ResponseHeader) -> Result<Box<ResponseHeader>> {
    let mut copy = Box::new(ResponseHeader::build(head.status, Some(head.headers.len()))?);
    copy.set_reason_phrase(head.get_reason_phrase())?;
    for (name, value) in head.case_header_iter() {
        if !name.as_slice().eq_ignore_ascii_case(b"server") {
            copy.append_header(name.clone(), value)?;
        }
    }
    Ok(copy)
}

/// `X-Frame-Options` of `x-frame-options`: HTTP/1 shows how it is spelled.
fn titled(name: &HeaderName) -> Bytes {
    let mut starts = true;
    let titled = name.as_str().bytes().map(|byte| {
        let written = if starts { byte.to_ascii_uppercase() } else { byte };
        starts = byte == b'-';
        written
    });
    titled.collect()
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;
    use crate::alb::error::Cause;

    fn headers(server: bool) -> ResponseHeaders {
        let inserted_headers = vec![
            (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
            (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=1")),
        ];
        ResponseHeaders::new(&ListenerAttributes {
            server_header: server,
            inserted_headers,
            ..ListenerAttributes::default()
        })
    }

    fn wire(head: &ResponseHeader) -> String {
        let mut wire = Vec::new();
        head.header_to_h1_wire(&mut wire);
        String::from_utf8(wire).unwrap().replace("\r\n", "|")
    }

    #[test]
    fn a_targets_header_is_replaced_and_its_server_stays() {
        let mut head = ResponseHeader::build(200, None).unwrap();
        for (name, value) in [("Server", "x"), ("x-frame-options", "a"), ("X-Frame-Options", "b")] {
            head.append_header(name, value).unwrap();
        }
        headers(false).insert(&mut head);
        assert_eq!(wire(&head), "Server: x|X-Frame-Options: DENY|Strict-Transport-Security: max-age=1|");
    }

    #[test]
    fn the_load_balancers_server_header_can_be_left_out() {
        let error = || ElbResponse::error(Cause::NoTargets).unwrap();
        let with = wire(&headers(true).applied(error()).head);
        assert!(with.starts_with("Server: awselb/2.0|Date: |"), "{with}");
        assert!(with.ends_with("|X-Frame-Options: DENY|Strict-Transport-Security: max-age=1|"), "{with}");
        let without = wire(&headers(false).applied(error()).head);
        assert!(without.starts_with("Date: |Content-Type: text/html|"), "{without}");
    }
}
