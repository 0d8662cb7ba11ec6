//! What is found out about a request before rules see it: its desync class and
//! the fields with invalid names.
//!
//! ELB page: "Edit attributes for your Application Load Balancer", Desync
//! mitigation mode and `routing.http.drop_invalid_header_fields.enabled`.
//! `routing.http2.enabled` subjects names to the same rule, says the API
//! reference, but the metric `ForwardedInvalidHeaderRequestCount` counts what is
//! forwarded while both attributes have their defaults: so it is dropping that
//! only the one attribute switches on.

use http::HeaderName;
use pingora::http::RequestHeader;

use super::{context::Context, error::Cause};
use crate::{
    access_log::record::Classification,
    desync::{self, Action, Class, Finding},
    headers::raw_head::{self, InvalidNames, Survey, Version},
};

/// Judges a head of HTTP/1 by its bytes, and notes the verdict.
pub fn http1(context: &mut Context, head: &[u8]) -> Survey {
    let head = raw_head::without_leading_lines(head);
    let survey = Survey::of(head);
    // Most requests are spared the analysis, which costs twice what looking at them does.
    let finding = if survey.is_ordinary {
        None
    } else if survey.version == Version::Simple {
        let (method, target) = raw_head::simple_request(head);
        desync::classify_parts(method, target, b"", std::iter::empty())
    } else {
        desync::classify(head)
    };
    judge(context, finding);
    if survey.version == Version::Unserved {
        context.refusal = Some(Cause::VersionNotSupported);
    }
    if survey.has_invalid_names {
        context.has_invalid_names = true;
        // Where such a field is dropped and not refused, somebody before us may have seen its meaning.
        context.closes_connections |= survey.has_broken_names;
    }
    survey
}

/// The same for a request of HTTP/2, whose fields with invalid names go here if they are to.
///
/// The stream's end is never in doubt, so the client's connection lives on; the target's may not.
pub fn http2(context: &mut Context, request: &mut RequestHeader) {
    if is_ordinary(request) {
        return;
    }
    judge(context, classify(request));
    let is_invalid = |name: &&HeaderName| !raw_head::is_valid_name(name.as_str().as_bytes());
    if request.headers.keys().any(|name| is_invalid(&name)) {
        context.has_invalid_names = true;
        if context.state.headers.invalid_names == InvalidNames::Drop {
            let names: Vec<HeaderName> = request.headers.keys().filter(is_invalid).cloned().collect();
            for name in names {
                request.remove_header(&name);
            }
        }
    }
}

/// Whether a request of HTTP/2 is spared the analysis, as most are.
fn is_ordinary(request: &RequestHeader) -> bool {
    let names = request.headers.keys().map(|name| name.as_str().as_bytes());
    raw_head::are_ordinary(request.method.as_str().as_bytes(), request.raw_path(), names)
}

fn classify(request: &RequestHeader) -> Option<Finding> {
    let fields = request.headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    desync::classify_parts(request.method.as_str().as_bytes(), request.raw_path(), b"HTTP/1.1", fields)
}

fn judge(context: &mut Context, finding: Option<Finding>) {
    let Some(finding) = finding else { return };
    let class = match finding.class {
        Class::Acceptable => Classification::Acceptable,
        Class::Ambiguous => Classification::Ambiguous,
        Class::Severe => Classification::Severe,
    };
    context.classification = Some((class, finding.reason));
    context.state.load_balancer.metrics.desync_mitigation_mode_non_compliant_request_count.inc();
    match finding.action(context.state.headers.desync_mitigation_mode) {
        Action::Pass => {}
        Action::PassAndClose => context.closes_connections = true,
        Action::Block => context.refusal = Some(Cause::BadRequest),
    }
}

/// Counts a request that is routed although names of its fields are not valid, or without those fields.
pub fn count_invalid_names(context: &Context) {
    if !context.has_invalid_names {
        return;
    }
    let metrics = &context.state.load_balancer.metrics;
    match context.state.headers.invalid_names {
        InvalidNames::Forward => metrics.forwarded_invalid_header_request_count.inc(),
        InvalidNames::Drop => metrics.dropped_invalid_header_request_count.inc(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_usual_request_of_http_2_is_ordinary_and_one_with_a_length_is_not() {
        let mut request = RequestHeader::build("GET", b"/path?a=b", None).unwrap();
        for (name, value) in [("host", "a"), ("user-agent", "x"), ("accept", "*/*"), ("cookie", "a=b")] {
            request.append_header(name, value).unwrap();
        }
        assert!(is_ordinary(&request));
        request.append_header("content-length", "0").unwrap();
        assert!(!is_ordinary(&request));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn ordinary_heads_are_compliant(
            head in "(GET|PO?ST|G@) {1,2}(/|\\*|a\u{e9}|\0)? ?HTTP/1\\.[01] ?\r?\n((Host|-?[CT][a-z-]{0,3}(ontent|ransfer)[- _]?(Length|Encoding)|[A-Za-z -]{1,18}):? ?[ -~\t\u{e9}]{0,6}\r?\n){0,4}\r?\n",
        ) {
            if Survey::of(head.as_bytes()).is_ordinary {
                prop_assert_eq!(desync::classify(head.as_bytes()), None);
            }
        }

        #[test]
        fn ordinary_requests_of_http_2_are_compliant(
            method in "GET|PO?ST|G@|HEAD",
            target in "/|\\*|[ -~\u{e9}]{0,8}",
            fields in proptest::collection::vec(
                ("-?[ct][a-z-]{0,3}(ontent|ransfer)[-_.]?(length|encoding)|[a-z_.-]{1,18}", "[ -~\t\u{e9}]{0,6}"),
                0..4,
            ),
        ) {
            let Ok(mut request) = RequestHeader::build(method.as_str(), target.as_bytes(), None) else {
                return Ok(());
            };
            for (name, value) in fields {
                request.append_header(name, value).unwrap();
            }
            if is_ordinary(&request) {
                prop_assert_eq!(classify(&request), None);
            }
        }

        #[test]
        fn so_are_names_of_any_letters(name in "[-a-zA-Z0-9]{1,20}", value in "[ -~]{0,10}") {
            let head = format!("GET / HTTP/1.1\r\n{name}: {value}\r\n\r\n");
            if Survey::of(head.as_bytes()).is_ordinary {
                prop_assert_eq!(desync::classify(head.as_bytes()), None);
            }
        }
    }
}
