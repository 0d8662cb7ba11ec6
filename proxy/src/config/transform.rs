//! Transforms of rules.
//!
//! ELB page: "Transforms for listener rules".

use super::{
    context::Context,
    path::Path,
    raw::{List, RawRewrite, RawTransform},
    scalar::Text,
};
use crate::{
    model::{
        Action,
        rule::{Rewrite, Transforms},
    },
    rules::transforms::{RewriteError, Rewriter},
};

/// Characters in a transform's regular expression or replacement.
const LONGEST_TRANSFORM: usize = 1024;

/// Compiles a rewrite.
type Compile = fn(&Rewrite) -> Result<Rewriter, RewriteError>;

/// Converts the transforms of a rule.
pub(super) fn convert_all(raw: List<RawTransform>, at: &Path, cx: &mut Context<'_>) -> Transforms {
    let mut transforms = Transforms::default();
    for (index, raw) in raw.unwrap_or_default().into_iter().enumerate() {
        let at = at.index(index);
        let Some(raw) = raw else {
            cx.report.missing(&at);
            continue;
        };
        let (key, place, raw, compile) = match (raw.host_header_rewrite, raw.url_rewrite) {
            (Some(raw), None) => {
                ("host_header_rewrite", &mut transforms.host_header_rewrite, raw, Rewriter::host as Compile)
            }
            (None, Some(raw)) => ("url_rewrite", &mut transforms.url_rewrite, raw, Rewriter::url as Compile),
            _ => {
                if !cx.report.is_reported_within(&at) {
                    cx.report.mistake(&at, "must have exactly one of host_header_rewrite, url_rewrite");
                }
                continue;
            }
        };
        let at = at.key(key);
        if place.is_some() {
            cx.report.mistake(&at, format!("a rule can have only one {key}"));
        }
        *place = place.take().or_else(|| rewrite(raw, compile, &at, cx));
    }
    transforms
}

/// Warns of transforms that nothing is sent through: only a forwarded request is rewritten.
pub(super) fn warn_if_unused(transforms: &Transforms, action: &Action, at: &Path, cx: &mut Context<'_>) {
    if !transforms.is_empty() && !matches!(action, Action::Forward(_)) {
        cx.report.warn(at, "has no effect: only requests that are forwarded are rewritten");
    }
}

fn rewrite(raw: RawRewrite, compile: Compile, at: &Path, cx: &mut Context<'_>) -> Option<Rewrite> {
    let (regex_at, replace_at) = (at.key("regex"), at.key("replace"));
    let regex = cx.required(raw.regex, &regex_at);
    // May be empty: it takes out what is matched.
    let replace = raw.replace.map(|Text(text)| text);
    if replace.is_none() {
        cx.report.missing(&replace_at);
    }
    let mut is_short = true;
    for (at, text) in [(&regex_at, &regex), (&replace_at, &replace)] {
        if text.as_ref().is_some_and(|text| text.chars().count() > LONGEST_TRANSFORM) {
            cx.report.mistake(at, format!("cannot be longer than {LONGEST_TRANSFORM} characters"));
            is_short = false;
        }
    }
    let rewrite = Rewrite { regex: regex?, replace: replace? };
    if is_short && let Err(error) = compile(&rewrite) {
        match error {
            RewriteError::Regex(error) => {
                let message = format!("'{}' is not a regular expression: {error}", rewrite.regex);
                cx.report.mistake(&regex_at, message);
            }
            RewriteError::NoSuchGroup(_) => cx.report.mistake(&replace_at, error.to_string()),
        }
    }
    Some(rewrite)
}
