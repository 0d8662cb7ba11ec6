use http::HeaderName;

use super::*;

const OK: Result<(), Invalid> = Ok(());

fn bad(reason: BadRequest) -> Result<(), Invalid> {
    Err(Invalid::BadRequest(reason))
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for &(name, value) in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// Checks `GET /` over `version` with just these headers.
#[track_caller]
fn check_version(version: Version, lines: &[(&'static str, &str)], expected: Result<(), Invalid>) {
    let headers = headers(lines);
    let head =
        RequestHead { method: &Method::GET, target: b"/", authority: None, version, headers: &headers };
    assert_eq!(check(&head), expected, "{version:?} {lines:?}");
}

/// Checks an HTTP/1.1 request that has a Host and these headers.
#[track_caller]
fn check_lines(lines: &[(&'static str, &str)], expected: Result<(), Invalid>) {
    let mut all = vec![("host", "example.com")];
    all.extend_from_slice(lines);
    check_version(Version::HTTP_11, &all, expected);
}

#[test]
fn http_1_1_wants_exactly_one_host() {
    check_version(Version::HTTP_11, &[("host", "example.com:80")], OK);
    check_version(Version::HTTP_11, &[("host", "[::1]:80")], OK);
    check_version(Version::HTTP_11, &[("host", "")], OK);
    check_version(Version::HTTP_11, &[], bad(BadRequest::MissingHost));
    check_version(Version::HTTP_11, &[("host", "a"), ("host", "b")], Ok(()));
    for host in ["a b", "user@a", "a/b", "a?b", "a#b", "a\\b"] {
        check_version(Version::HTTP_11, &[("host", host)], bad(BadRequest::MalformedHost));
    }
}

#[test]
fn http_1_0_may_come_without_host_and_http_2_with_an_authority() {
    check_version(Version::HTTP_10, &[], OK);
    check_version(Version::HTTP_10, &[("host", "a"), ("host", "b/c")], bad(BadRequest::MalformedHost));
    check_version(Version::HTTP_2, &[], bad(BadRequest::MissingHost));
    check_version(Version::HTTP_2, &[("host", "a")], OK);
    let none = HeaderMap::new();
    let head = |authority| RequestHead {
        method: &Method::GET,
        target: b"/",
        authority: Some(authority),
        version: Version::HTTP_2,
        headers: &none,
    };
    assert_eq!(check(&head("example.com")), OK);
    assert_eq!(check(&head("user@example.com")), bad(BadRequest::MalformedHost));
}

#[test]
fn an_unknown_version_is_refused() {
    check_version(Version::HTTP_3, &[("host", "a")], Err(Invalid::VersionNotSupported));
    check_version(Version::HTTP_09, &[], OK);
}

#[test]
fn a_content_length_is_one_number() {
    check_lines(&[("content-length", "0")], OK);
    check_lines(&[("content-length", "18446744073709551615")], OK);
    check_lines(&[("content-length", "5"), ("content-length", "5")], OK);
    check_lines(
        &[("content-length", "5"), ("content-length", "6")],
        bad(BadRequest::ConflictingContentLength),
    );
    for malformed in ["", "+5", "-1", "5, 5", "0x5", "5 5", "18446744073709551616"] {
        check_lines(&[("content-length", malformed)], bad(BadRequest::MalformedContentLength));
    }
}

#[test]
fn transfer_encoding_is_chunked_or_identity_once() {
    check_lines(&[("transfer-encoding", "chunked")], OK);
    check_lines(&[("transfer-encoding", "Chunked")], OK);
    check_lines(&[("transfer-encoding", "identity")], OK);
    for other in ["gzip, chunked", "gzip", "chunked, gzip", "xchunked", "chunked;q=1"] {
        check_lines(&[("transfer-encoding", other)], Err(Invalid::NotImplemented));
    }
    for malformed in ["chunked, chunked", "identity, chunked", "", ","] {
        check_lines(&[("transfer-encoding", malformed)], bad(BadRequest::MalformedTransferEncoding));
    }
    check_lines(
        &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        bad(BadRequest::MalformedTransferEncoding),
    );
}

#[test]
fn a_body_is_framed_in_one_way() {
    check_lines(&[("content-length", "5"), ("transfer-encoding", "chunked")], Ok(()));
    let chunked = [("host", "a"), ("transfer-encoding", "chunked")];
    check_version(Version::HTTP_10, &chunked, bad(BadRequest::MalformedTransferEncoding));
    check_version(Version::HTTP_2, &chunked, bad(BadRequest::MalformedTransferEncoding));
}

#[test]
fn trace_and_connect_are_not_allowed() {
    let headers = headers(&[("host", "a")]);
    for (method, expected) in [
        (Method::TRACE, Err(Invalid::MethodNotAllowed)),
        (Method::CONNECT, Err(Invalid::MethodNotAllowed)),
        (Method::from_bytes(b"PURGE").unwrap(), OK),
    ] {
        let version = Version::HTTP_11;
        let head = RequestHead { method: &method, target: b"/", authority: None, version, headers: &headers };
        assert_eq!(check(&head), expected);
    }
}

#[test]
fn a_request_line_of_sixteen_kilobytes_is_too_long() {
    let headers = headers(&[("host", "a")]);
    let fixed = "GET  HTTP/1.1".len();
    for (line, expected) in [(16_383, OK), (16_384, Err(Invalid::UriTooLong))] {
        let target = vec![b'/'; line - fixed];
        let version = Version::HTTP_11;
        let head = RequestHead {
            method: &Method::GET,
            target: &target,
            authority: None,
            version,
            headers: &headers,
        };
        assert_eq!(check(&head), expected);
    }
}

#[test]
fn a_header_line_of_sixteen_kilobytes_is_too_large() {
    let value = |line: usize| "v".repeat(line - "x-long: ".len());
    check_lines(&[("x-long", &value(16_383))], OK);
    check_lines(&[("x-long", &value(16_384))], Err(Invalid::HeaderTooLarge));
}

#[test]
fn all_headers_together_stay_within_sixty_four_kilobytes() {
    let fixed = "GET / HTTP/1.1\r\nhost: example.com\r\n".len();
    let full = "v".repeat(16_000 - "x-a: \r\n".len());
    let rest = |head: usize| "v".repeat(head - fixed - 4 * 16_000 - "x-e: \r\n".len());
    for (head, expected) in [(65_536, OK), (65_537, Err(Invalid::HeaderTooLarge))] {
        check_lines(
            &[("x-a", &full), ("x-b", &full), ("x-c", &full), ("x-d", &full), ("x-e", &rest(head))],
            expected,
        );
    }
}

#[test]
fn each_refusal_has_its_status() {
    for (invalid, status) in [
        (Invalid::BadRequest(BadRequest::MissingHost), 400),
        (Invalid::HeaderTooLarge, 400),
        (Invalid::MethodNotAllowed, 405),
        (Invalid::UriTooLong, 414),
        (Invalid::NotImplemented, 501),
        (Invalid::VersionNotSupported, 505),
    ] {
        assert_eq!(invalid.status(), status);
    }
}
