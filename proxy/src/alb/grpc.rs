//! gRPC: what is a gRPC request, which requests fit which target group, and
//! errors as gRPC clients read them. Pure.
//!
//! ELB pages: "Target groups for your Application Load Balancers" (protocol
//! version), "Troubleshoot your Application Load Balancers" (464). ELB's pages
//! do not show what its own errors look like to gRPC clients. Captures show
//! `grpc-status: 14` and `grpc-message: unavailable` on the HTTP status of the
//! error, and so it is here, in a head that ends the stream, for every gRPC
//! request that a group of version GRPC was to answer.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version, header};
use pingora::{Result, http::ResponseHeader};

use super::{elb_response::ElbResponse, error::Cause};
use crate::model::target_group::ProtocolVersion;

/// Whether a request is a gRPC call: HTTP/2, content type `application/grpc`, with or without a suffix
/// such as `+proto`. gRPC-Web is ordinary HTTP.
#[must_use]
pub fn is_grpc(version: Version, headers: &HeaderMap) -> bool {
    const TYPE: &[u8] = b"application/grpc";
    version == Version::HTTP_2
        && headers.get(header::CONTENT_TYPE).is_some_and(|value| {
            value.as_bytes().split_at_checked(TYPE.len()).is_some_and(|(start, rest)| {
                start.eq_ignore_ascii_case(TYPE) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
            })
        })
}

/// Refuses requests that a group of `group`'s version cannot be sent.
///
/// # Errors
///
/// [`Cause::ProtocolMismatch`].
pub fn check(
    group: ProtocolVersion,
    version: Version,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(), Cause> {
    let fits = match group {
        ProtocolVersion::Http1 => !is_grpc(version, headers),
        ProtocolVersion::Http2 => version == Version::HTTP_2,
        ProtocolVersion::Grpc => version == Version::HTTP_2 && method == Method::POST,
    };
    if fits { Ok(()) } else { Err(Cause::ProtocolMismatch) }
}

/// An error of the load balancer in the form of gRPC: a head with trailers in it, without a body.
///
/// # Errors
///
/// When the head cannot be built, which no status brings about.
pub fn unavailable(status: StatusCode) -> Result<ElbResponse> {
    let mut head = Box::new(ResponseHeader::build(status, Some(5))?);
    head.insert_header("Server", "awselb/2.0")?;
    head.insert_header("Date", "")?;
    head.insert_header("Content-Type", "application/grpc")?;
    head.insert_header("grpc-status", "14")?;
    head.insert_header("grpc-message", "unavailable")?;
    Ok(ElbResponse { head, body: Bytes::new() })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn content_type(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn grpc_is_told_by_its_content_type() {
        for (value, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/gRPC; charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/json", false),
            ("app", false),
        ] {
            assert_eq!(is_grpc(Version::HTTP_2, &content_type(value)), expected, "{value}");
            assert!(!is_grpc(Version::HTTP_11, &content_type(value)), "{value}");
        }
        assert!(!is_grpc(Version::HTTP_2, &HeaderMap::new()));
    }

    #[test]
    fn each_version_has_its_requests() {
        #[track_caller]
        fn check(group: ProtocolVersion, version: Version, method: &Method, kind: &str, fits: bool) {
            let checked = super::check(group, version, method, &content_type(kind));
            assert_eq!(checked.is_ok(), fits, "{group:?} {version:?} {method} {kind}");
        }
        use ProtocolVersion::{Grpc, Http1, Http2};
        const GRPC: &str = "application/grpc";
        const HTML: &str = "text/html";
        check(Http1, Version::HTTP_10, &Method::GET, HTML, true);
        check(Http1, Version::HTTP_11, &Method::POST, GRPC, true);
        check(Http1, Version::HTTP_2, &Method::POST, HTML, true);
        check(Http1, Version::HTTP_2, &Method::POST, GRPC, false);
        check(Http2, Version::HTTP_11, &Method::GET, HTML, false);
        check(Http2, Version::HTTP_2, &Method::GET, HTML, true);
        check(Http2, Version::HTTP_2, &Method::POST, GRPC, true);
        check(Grpc, Version::HTTP_11, &Method::POST, GRPC, false);
        check(Grpc, Version::HTTP_2, &Method::GET, GRPC, false);
        check(Grpc, Version::HTTP_2, &Method::POST, GRPC, true);
        check(Grpc, Version::HTTP_2, &Method::POST, HTML, true);
    }
}
