use proptest::prelude::*;

use super::*;

fn rewrite(regex: &str, replace: &str) -> Rewrite {
    Rewrite { regex: regex.to_owned(), replace: replace.to_owned() }
}

fn host(regex: &str, replace: &str, host: &str) -> Result<Option<String>, TransformFailure> {
    Rewriter::host(&rewrite(regex, replace)).unwrap().rewrite_host(host)
}

fn uri(regex: &str, replace: &str, uri: &str) -> Result<Option<String>, TransformFailure> {
    Rewriter::url(&rewrite(regex, replace)).unwrap().rewrite_uri(uri.as_bytes())
}

#[track_caller]
fn check(actual: Result<Option<String>, TransformFailure>, expected: &str) {
    let actual = actual.map(Option::unwrap_or_default);
    assert_eq!(actual.as_deref(), Ok(expected));
}

#[test]
fn groups_stand_in_the_replacement() {
    let (regex, replace) = ("^mywebsite-(.+).com$", "internal.dev.$1.myweb.com");
    check(host(regex, replace, "mywebsite-example.com"), "internal.dev.example.myweb.com");
    check(uri("^/api/(v[0-9])/(.*)$", "/$2?version=$1", "/api/v2/a/b"), "/a/b?version=v2");
    check(uri("^/(a)|^/(b)", "/<$1$2>".replace(['<', '>'], "-").as_str(), "/b"), "/-b-");
    check(uri("/(.)", "/$1$0$$10", "/a"), "/a$0$a0");
    check(uri("/x", "/$", "/x"), "/$");
}

#[test]
fn the_query_is_rewritten_with_the_path() {
    check(uri(r"^/shop\?id=([0-9]+)$", "/items/$1", "/shop?id=42"), "/items/42");
    check(uri("^/old", "/new", "/old/x?y=/old"), "/new/x?y=/old");
    check(uri("%20", "+", "/a?b=1%202"), "/a?b=1+2");
}

#[test]
fn the_first_match_is_replaced() {
    check(uri("a", "b", "/a/a"), "/b/a");
}

#[test]
fn without_a_match_or_a_change_nothing_is_rewritten() {
    assert_eq!(uri("^/b", "/c", "/a"), Ok(None));
    assert_eq!(uri("^/A", "/c", "/a"), Ok(None), "paths have case");
    assert_eq!(uri("^/a", "/a", "/a"), Ok(None));
    assert_eq!(host("^a", "b", "c.test:80"), Ok(None));
}

#[test]
fn a_host_is_matched_without_port_and_case_and_keeps_its_port() {
    check(host("^a.test$", "b.test", "A.test:8080"), "b.test:8080");
    check(host("^a.test$", "b.test:9000", "a.test:8080"), "b.test:9000");
    check(host("^a.test$", "[::1]", "a.test:8080"), "[::1]:8080");
    for odd in ["a.test:", "a.test:x", "a.test:99999"] {
        check(host("^a.test$", "b.test", odd), "b.test");
    }
    check(host(r"^\[::1\]$", "b.test", "[::1]:8080"), "b.test:8080");
}

#[test]
fn a_result_that_cannot_be_sent_is_a_failure() {
    for replace in ["", "a b", "a/b", "b.test:99999", "b.test:", "a@b", "a:1:2", "[x]", "b.test\u{e9}"] {
        assert_eq!(host("^.*$", replace, "a.test"), Err(TransformFailure::InvalidHost), "{replace}");
    }
    for replace in ["", "x", "?a", "http://b.test/", "/a b", "/\u{7f}", "/a#b", "/<"] {
        assert_eq!(uri("^.*$", replace, "/a"), Err(TransformFailure::InvalidPath), "{replace}");
    }
    let long = "$1".repeat(9);
    assert_eq!(uri("(.*)", &long, &format!("/{}", "a".repeat(2_000))), Err(TransformFailure::BufferTooSmall));
    assert_eq!(host("(.*)", &long, &"a".repeat(50)), Err(TransformFailure::BufferTooSmall));
}

#[test]
fn bytes_beyond_ascii_are_percent_encoded() {
    check(uri("^/a", "/\u{e9}", "/a/\u{fc}"), "/%C3%A9/%C3%BC");
    let raw = Rewriter::url(&rewrite("^/a", "/b")).unwrap().rewrite_uri(b"/a\xff");
    check(raw, "/b%FF");
    let long = format!("/a{}", "\u{e9}".repeat(4_000));
    assert_eq!(uri("^/a", "/b", &long), Err(TransformFailure::BufferTooSmall));
}

#[test]
fn a_wrong_rewrite_is_refused() {
    let refused = |regex, replace| Rewriter::url(&rewrite(regex, replace)).unwrap_err();
    assert_eq!(refused("(a)", "$2"), RewriteError::NoSuchGroup(2));
    assert_eq!(refused("a", "$1").to_string(), "'$1' stands for no group of the regular expression");
    assert!(matches!(refused("(?=a)", ""), RewriteError::Regex(RegexError::Syntax(_))));
    assert_eq!(refused("((a{50}){50}){50}", ""), RewriteError::Regex(RegexError::TooBig));
}

#[test]
fn both_transforms_of_a_rule_apply_and_what_does_not_compile_fails() {
    let both = |host: Rewrite, url: Rewrite| {
        let transforms = rule::Transforms { host_header_rewrite: Some(host), url_rewrite: Some(url) };
        Transforms::compile(&transforms).unwrap().apply("a.test", b"/a")
    };
    let rewritten = both(rewrite("^a", "b"), rewrite("^/a", "/b")).unwrap();
    assert_eq!((rewritten.host.as_deref(), rewritten.uri.as_deref()), (Some("b.test"), Some("/b")));
    let fails = |regex, replace| both(rewrite(regex, replace), rewrite("^/a", "/b")).unwrap_err().to_string();
    assert_eq!(fails("(", ""), "CompileError");
    assert_eq!(fails("((a{50}){50}){50}", ""), "CompileTooBig");
    assert_eq!(fails("a", "$1"), "ReplaceError");
    assert_eq!(fails("a", "/"), "InvalidHost");
    assert!(Transforms::compile(&rule::Transforms::default()).is_none());
}

#[test]
fn an_asterisk_is_no_path() {
    let transforms = rule::Transforms { host_header_rewrite: None, url_rewrite: Some(rewrite(".*", "/x")) };
    let transforms = Transforms::compile(&transforms).unwrap();
    assert_eq!(transforms.apply("a.test", b"*"), Ok(Rewritten::default()));
}

proptest! {
    #[test]
    fn the_parts_of_a_replacement_are_its_text(replace in "[$0-9a-c]{0,20}") {
        let joined: String = parts(&replace)
            .into_iter()
            .map(|part| match part {
                Part::Text(text) => text,
                Part::Group(group) => format!("${group}"),
            })
            .collect();
        prop_assert_eq!(joined, replace);
    }

    #[test]
    fn whatever_is_rewritten_can_be_sent(
        regex in r"[ab/.*+?()|^$]{0,12}", replace in r"[ab/:.$1-3\PC]{0,12}", host in "\\PC{0,20}",
        uri in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let rewrite = rewrite(&regex, &replace);
        let transforms = rule::Transforms { host_header_rewrite: Some(rewrite.clone()), url_rewrite: Some(rewrite) };
        let uri = [b"/".as_slice(), &uri].concat();
        if let Ok(rewritten) = Transforms::compile(&transforms).unwrap().apply(&host, &uri) {
            prop_assert!(rewritten.host.is_none_or(|host| is_host(&host)));
            prop_assert!(rewritten.uri.is_none_or(|uri| uri.len() <= LONGEST_URI
                && uri.starts_with('/')
                && uri.bytes().all(|byte| byte.is_ascii_graphic())));
        }
    }
}
