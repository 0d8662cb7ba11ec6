use proptest::prelude::*;

use super::*;

#[track_caller]
fn check_end(bytes: &str, expected: Option<usize>) {
    assert_eq!(EndOfHead::default().find(bytes.as_bytes()), expected, "{bytes:?}");
}

#[test]
fn a_head_ends_with_its_empty_line() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    check_end(head, Some(head.len()));
    check_end(&format!("{head}body"), Some(head.len()));
    check_end(&format!("\r\n\n{head}"), Some(head.len() + 3));
    check_end("GET / HTTP/1.1\r\nHost: a\r\n", None);
    check_end("GET / HTTP/1.1\nHost: a\n\nbody", Some(24));
    check_end("GET / HTTP/1.1\nHost: a\n\r\nbody", Some(25));
    check_end("\r\n\r\n", None);
    check_end("", None);
}

#[test]
fn a_line_without_a_version_is_all_there_is() {
    check_end("GET /\r\nHost: a\r\n\r\n", Some(7));
    check_end("HELO example.com\r\n", Some(18));
    check_end("GET / HTTP/0.9\r\n", None);
}

#[test]
fn the_end_is_found_however_the_bytes_are_split() {
    let head = b"\r\nGET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n";
    let mut search = EndOfHead::default();
    for end in 0..head.len() {
        assert_eq!(search.find(&head[..end]), None, "{end}");
    }
    assert_eq!(search.find(head), Some(head.len()));
}

#[track_caller]
fn survey(head: &str) -> Survey {
    Survey::of(head.as_bytes())
}

#[test]
fn plain_heads_are_left_alone() {
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /a?b HTTP/1.0\r\nTransfer-Encoding: Chunked \r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
    ] {
        assert!(!survey(head).needs_rewriting(InvalidNames::Drop), "{head:?}");
    }
}

#[test]
fn what_could_raise_a_doubt_is_not_ordinary() {
    let get = |lines: &str| survey(&format!("GET / HTTP/1.1\r\n{lines}\r\n")).is_ordinary;
    assert!(get("Host: a\r\nAccept-Encoding: gzip, br\r\nCookie: \u{e9}\r\n"));
    for lines in ["X_Y: 1\r\n", "X: a\tb\r\n", "X: a\n", "X\r\n", " X: y\r\n", "Content-Length: 1\r\n"] {
        assert!(!get(lines), "{lines:?}");
    }
    for line in ["GET /a b HTTP/1.1", "GET / HTTP/1.2", "G@T / HTTP/1.1", "GET  HTTP/1.1", "GET /"] {
        assert!(!survey(&format!("{line}\r\n\r\n")).is_ordinary, "{line:?}");
    }
}

#[test]
fn versions_are_told_apart() {
    let version = |line: &str| survey(&format!("{line}\r\n\r\n")).version;
    assert_eq!(version("GET / HTTP/1.1"), Version::Usual);
    assert_eq!(version("GET / HTTP/1.0 "), Version::Usual);
    assert_eq!(version("GET / HTTP/0.9"), Version::Old);
    assert_eq!(version("GET /"), Version::Simple);
    assert_eq!(version("POST /"), Version::Usual);
    assert_eq!(version("GET / HTTP/1.2"), Version::Unserved);
    assert_eq!(version("PRI * HTTP/2.0"), Version::Unserved);
    assert_eq!(version("GET / HTTP/11"), Version::Usual);
    assert_eq!(version("GET"), Version::Usual);
}

/// `expected` is the head, lines joined by `|`, and the further fields.
#[track_caller]
fn check_rewrite(head: &str, names: InvalidNames, expected: &str, further: &[(&str, &str)]) {
    assert!(survey(head).needs_rewriting(names), "{head:?} is left alone");
    let rewritten = rewrite(head.as_bytes(), names);
    assert_eq!(String::from_utf8(rewritten.head).unwrap().replace("\r\n", "|"), expected);
    let fields: Vec<(&str, &str)> = rewritten
        .further
        .iter()
        .map(|(name, value)| (std::str::from_utf8(name).unwrap(), std::str::from_utf8(value).unwrap()))
        .collect();
    assert_eq!(fields, further);
}

#[test]
fn an_absolute_target_takes_the_place_of_host() {
    check_rewrite(
        "GET http://b:1/x HTTP/1.1\r\nA: 1\r\nHost: a\r\nHost: c\r\n\r\n",
        InvalidNames::Forward,
        "GET http://b:1/x HTTP/1.1|Host: b:1|A: 1||",
        &[],
    );
}

#[test]
fn further_hosts_are_set_aside() {
    check_rewrite(
        "GET / HTTP/1.1\r\nHost: a\r\nhost:  b \r\nX: 1\r\n\r\n",
        InvalidNames::Forward,
        "GET / HTTP/1.1|Host: a|X: 1||",
        &[("host", "b")],
    );
}

#[test]
fn identity_is_no_coding() {
    let check = |codings: &str, expected: &str| {
        check_rewrite(
            &format!("POST / HTTP/1.1\r\nTransfer-Encoding: {codings}\r\nHost: a\r\n\r\n"),
            InvalidNames::Forward,
            &format!("POST / HTTP/1.1|{expected}Host: a||"),
            &[],
        );
    };
    check("identity", "");
    check("Identity, chunked", "Transfer-Encoding:  chunked|");
    check("chunked, identity", "Transfer-Encoding:  chunked, identity|");
    check("gzip", "Transfer-Encoding:  gzip|");
}

#[test]
fn invalid_names_go_if_they_are_to() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nX_Y: 1\r\nX Z: 2\r\n: 3\r\nX-Y: 4\r\nbad\r\n\r\n";
    assert!(survey(head).has_invalid_names && survey(head).has_broken_names);
    assert!(!survey("GET / HTTP/1.1\r\nX_Y: 1\r\n\r\n").has_broken_names);
    assert!(!survey(head).needs_rewriting(InvalidNames::Forward));
    check_rewrite(head, InvalidNames::Drop, "GET / HTTP/1.1|Host: a|X-Y: 4|bad||", &[]);
}

#[test]
fn http_0_9_becomes_1_0_and_blanks_after_the_version_go() {
    check_rewrite("GET /a\r\n", InvalidNames::Forward, "GET /a HTTP/1.0||", &[]);
    check_rewrite("GET /a HTTP/0.9\r\nX: 1\r\n\r\n", InvalidNames::Forward, "GET /a HTTP/1.0|X: 1||", &[]);
    check_rewrite("POST /a\r\n", InvalidNames::Forward, "POST /a ||", &[]);
    check_rewrite("GET /a HTTP/1.1 \r\n\r\n", InvalidNames::Forward, "GET /a HTTP/1.1||", &[]);
    assert_eq!(simple_request(b"\r\nGET /a\r\n"), (&b"GET"[..], &b"/a"[..]));
}

#[test]
fn what_is_too_much_for_the_engine_is_set_aside() {
    let lines: String = (0..400).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let head = format!("GET / HTTP/1.1\r\n{lines}Host: a\r\n\r\n");
    let rewritten = rewrite(head.as_bytes(), InvalidNames::Forward);
    assert_eq!(rewritten.further.len(), 400 - ENGINE_FIELDS);
    assert_eq!(rewritten.further[0], (b"X-200".to_vec(), b"200".to_vec()));
    assert!(rewritten.head.ends_with(b"X-199: 199\r\nHost: a\r\n\r\n"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(head in prop::collection::vec(any::<u8>(), 0..300)) {
        let end = EndOfHead::default().find(&head);
        prop_assert!(end.is_none_or(|end| end <= head.len()));
        let survey = Survey::of(&head);
        prop_assert!(survey.has_invalid_names || !survey.has_broken_names);
        drop(rewrite(&head, InvalidNames::Drop));
    }

    #[test]
    fn a_rewritten_head_needs_no_rewriting_and_is_one_head(
        head in "(GET|POST) (/a|http://b/|\\*)( HTTP/(1\\.1|1\\.0|0\\.9) ?)\r?\n((Host|X_Y|X-Y|X Y|Transfer-Encoding|Content-Length): ?[a-z, ]{0,20}\r?\n){0,12}\r?\n",
    ) {
        let once = rewrite(head.as_bytes(), InvalidNames::Drop);
        prop_assert_eq!(EndOfHead::default().find(&once.head), Some(once.head.len()));
        let twice = rewrite(&once.head, InvalidNames::Drop);
        prop_assert!(twice.further.is_empty());
    }
}
