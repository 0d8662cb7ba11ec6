use proptest::prelude::*;

use super::*;

/// `expected` is a class and a reason, or `None` for a compliant request.
#[track_caller]
fn check(head: &str, expected: Option<(Class, &str)>) {
    let found = classify(head.as_bytes()).map(|finding| (finding.class, finding.reason));
    assert_eq!(found, expected, "{head:?}");
}

/// A POST with these header lines.
#[track_caller]
fn check_post(lines: &str, expected: Option<(Class, &str)>) {
    check(&format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"), expected);
}

#[test]
fn compliant_requests_have_no_class() {
    check("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: x (y; z)\r\nX_Y: 1\r\n\r\n", None);
    check("GET /a?b=%20 HTTP/1.0\r\n\r\n", None);
    check_post("Content-Length: 5\r\n", None);
    check_post("Transfer-Encoding: chunked\r\n", None);
    check_post("Transfer-Encoding: identity\r\n", None);
}

#[test]
fn each_class_has_its_reasons() {
    use Class::{Acceptable, Ambiguous, Severe};
    check("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", Some((Acceptable, "GetHeadZeroContentLength")));
    check("GET / HTTP/1.1\r\nX Y: 1\r\n\r\n", Some((Acceptable, "NonCompliantHeader")));
    check("GET / HTTP/1.2\r\n\r\n", Some((Acceptable, "NonCompliantVersion")));
    check("GET / HTTP/0.9\r\n\r\n", Some((Acceptable, "NonCompliantVersion")));
    check("GET /a b HTTP/1.1\r\n\r\n", Some((Acceptable, "SpaceInUri")));
    check("GET / HTTP/1.1\nHost: a\n\n", Some((Acceptable, "NonCrLfLineTermination")));

    check("GET /a\tb HTTP/1.1\r\n\r\n", Some((Ambiguous, "AmbiguousUri")));
    check_post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Some((Ambiguous, "BothTeClPresent")));
    check_post("Content-Length: 5\r\nContent-Length: 5\r\n", Some((Ambiguous, "DuplicateContentLength")));
    check_post(": x\r\n", Some((Ambiguous, "EmptyHeader")));
    check_post("Content_Length: 5\r\n", Some((Ambiguous, "SuspiciousHeader")));
    check_post("Transfer-Encoding : chunked\r\n", Some((Ambiguous, "SuspiciousHeader")));
    check(
        "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        Some((Ambiguous, "UndefinedContentLengthSemantics")),
    );
    check(
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        Some((Ambiguous, "UndefinedTransferEncodingSemantics")),
    );
    check_post("X: 1\r\n 2\r\n", Some((Ambiguous, "MultilineHeader")));
    check_post("X\r\n", Some((Ambiguous, "MissingHeaderColon")));
    check("GET HTTP/1.1\r\n\r\n", Some((Ambiguous, "MissingUri")));

    check_post("Content-Length: +5\r\n", Some((Severe, "BadContentLength")));
    check_post("X: a\0b\r\n", Some((Severe, "BadHeader")));
    check("G@T / HTTP/1.1\r\n\r\n", Some((Severe, "BadMethod")));
    check_post("Transfer-Encoding: xchunked\r\n", Some((Severe, "BadTransferEncoding")));
    check("GET /\0 HTTP/1.1\r\n\r\n", Some((Severe, "BadUri")));
    check("GET / HTTP/1.10\r\n\r\n", Some((Severe, "BadVersion")));
    check_post("Content-Length: 5\r\nContent-Length: 6\r\n", Some((Severe, "MultipleContentLength")));
    check_post(
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        Some((Severe, "MultipleTransferEncodingChunked")),
    );
}

#[test]
fn parts_are_judged_as_the_raw_request_is() {
    let parts = |fields: &[(&'static [u8], &'static [u8])]| {
        classify_parts(b"GET", b"/", b"HTTP/1.1", fields.iter().copied()).map(|finding| finding.reason)
    };
    assert_eq!(parts(&[(b"host", b"a")]), None);
    assert_eq!(parts(&[(b"content-length", b"5")]), Some("UndefinedContentLengthSemantics"));
    assert_eq!(parts(&[(b"content_length", b"5")]), Some("SuspiciousHeader"));
    let simple = classify_parts(b"GET", b"/", b"", std::iter::empty());
    assert_eq!(simple.map(|finding| finding.reason), Some("NonCompliantVersion"));
}

#[test]
fn the_mode_decides_by_the_class() {
    use Action::{Block, Pass, PassAndClose};
    use DesyncMitigationMode::{Defensive, Monitor, Strictest};
    #[track_caller]
    fn check(class: Class, expected: [Action; 3]) {
        let finding = Finding { class, reason: "x", casts_doubt: false };
        assert_eq!([Monitor, Defensive, Strictest].map(|mode| finding.action(mode)), expected, "{class:?}");
    }
    check(Class::Acceptable, [Pass, Pass, Block]);
    check(Class::Ambiguous, [Pass, PassAndClose, Block]);
    check(Class::Severe, [Pass, Block, Block]);
    let doubtful = Finding { class: Class::Severe, reason: "x", casts_doubt: true };
    assert_eq!(doubtful.action(Monitor), PassAndClose);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(head in prop::collection::vec(any::<u8>(), 0..300)) {
        assert!(classify(&head).is_none_or(|finding| !finding.reason.is_empty()));
    }

    #[test]
    fn no_text_of_the_alphabet_of_heads_makes_it_panic(head in "(GET |POST|/|HTTP/1\\.[01]|[ \t\r\n:,;0-9\0é]|Transfer-Encoding|Content-Length|chunked){0,40}") {
        assert!(classify(head.as_bytes()).is_none_or(|finding| !finding.reason.is_empty()));
    }

    #[test]
    fn no_parts_make_it_panic(
        parts in prop::array::uniform3(prop::collection::vec(any::<u8>(), 0..40)),
        fields in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..30), prop::collection::vec(any::<u8>(), 0..30)), 0..8),
    ) {
        let [method, target, version] = &parts;
        let fields = fields.iter().map(|(name, value)| (&name[..], &value[..]));
        assert!(classify_parts(method, target, version, fields).is_none_or(|finding| !finding.reason.is_empty()));
    }
}
