//! A request's head before the HTTP engine sees it.

use albeit_proxy::{
    desync,
    headers::raw_head::{self, EndOfHead, InvalidNames, Survey},
};

/// Finding its end in pieces, judging it, writing it anew.
pub(crate) fn raw_head(data: &[u8]) {
    let whole = EndOfHead::default().find(data);
    let mut in_pieces = EndOfHead::default();
    let found = (1..=data.len()).find_map(|length| in_pieces.find(data.get(..length).unwrap_or_default()));
    assert_eq!(whole, found, "the end depends on how the bytes come");
    let Some(head) = whole.and_then(|end| data.get(..end)) else { return };
    let survey = Survey::of(head);
    let finding = desync::classify(head);
    assert!(!survey.is_ordinary || finding.is_none(), "an ordinary head is {finding:?}");
    for names in [InvalidNames::Drop, InvalidNames::Forward] {
        let rewritten = raw_head::rewrite(head, names);
        // What names no version is one line to us, and refused by the engine.
        let line = rewritten.head.split(|&byte| byte == b'\n').next().unwrap_or_default();
        if line.ends_with(b" HTTP/1.1\r") || line.ends_with(b" HTTP/1.0\r") {
            let again = EndOfHead::default().find(&rewritten.head);
            let text = rewritten.head.escape_ascii().to_string();
            assert_eq!(again, Some(rewritten.head.len()), "{text} ends elsewhere");
        }
    }
}
