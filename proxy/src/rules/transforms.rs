//! `host-header-rewrite` and `url-rewrite`: what a request looks like to its
//! target once a rule has matched.
//!
//! ELB page: "Transforms for listener rules". Routing is over when they are
//! applied; where the expression is not found the request stays as it is. What
//! ELB does not say is decided here:
//!
//! - The first match is replaced, not every one. `^…$` replaces the whole.
//! - A host is matched without its port and whatever its case, as by
//!   `host-header` conditions; a port is kept unless the replacement names
//!   one. A path is matched as the client sent it, not normalised, with its
//!   query.
//! - `$0` and a `$` before anything but 1–9 are text.

use std::ops::Range;

use http::uri::PathAndQuery;
use regex::bytes::Regex;
use thiserror::Error;

use super::{
    regex_values::{self, RegexError},
    wildcard::Case,
    without_port,
};
use crate::model::rule::{self, Rewrite};

/// Longest path and query after a rewrite, in bytes: what a request line may be.
const LONGEST_URI: usize = 16 * 1024;
/// Longest host after a rewrite, in bytes, its port included: a DNS name, a colon, five digits.
const LONGEST_HOST: usize = 253 + 1 + 5;

/// The transforms of a rule, compiled.
#[derive(Debug, Clone)]
pub struct Transforms {
    host_header_rewrite: Option<Result<Rewriter, RewriteError>>,
    url_rewrite: Option<Result<Rewriter, RewriteError>>,
}

/// What transforms made of a request. `None` is what they left as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Host, perhaps with a port.
    pub host: Option<String>,
    /// Path and query, visible ASCII.
    pub uri: Option<String>,
}

/// Why a transform failed: the request gets 500, and the access log the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", self.as_str())]
pub enum TransformFailure {
    /// The result is longer than a request line or a host may be.
    BufferTooSmall,
    /// The expression does not compile. `config` refuses it, so that no request sees this.
    CompileError,
    /// The expression is too large. `config` refuses it, so that no request sees this.
    CompileTooBig,
    /// The result is no host.
    InvalidHost,
    /// The result does not begin with a slash, or has a character that no path has.
    InvalidPath,
    /// The replacement names a group that is not there. `config` refuses it, so that no request sees this.
    ReplaceError,
}

/// `request_transform_status` when no transform failed.
pub const SUCCESS: &str = "Success";

impl TransformFailure {
    /// `request_transform_status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BufferTooSmall => "TransformBufferTooSmall",
            Self::CompileError => "CompileError",
            Self::CompileTooBig => "CompileTooBig",
            Self::InvalidHost => "InvalidHost",
            Self::InvalidPath => "InvalidPath",
            Self::ReplaceError => "ReplaceError",
        }
    }
}

impl Transforms {
    /// Compiles the transforms of a rule; `None` if it has none.
    #[must_use]
    pub fn compile(transforms: &rule::Transforms) -> Option<Self> {
        (!transforms.is_empty()).then(|| Self {
            host_header_rewrite: transforms.host_header_rewrite.as_ref().map(Rewriter::host),
            url_rewrite: transforms.url_rewrite.as_ref().map(Rewriter::url),
        })
    }

    /// Rewrites `host`, with or without a port, and `uri`, path and query as received.
    ///
    /// # Errors
    ///
    /// [`TransformFailure`] if a result cannot be sent.
    pub fn apply(&self, host: &str, uri: &[u8]) -> Result<Rewritten, TransformFailure> {
        let mut rewritten = Rewritten::default();
        if let Some(rewriter) = &self.host_header_rewrite {
            rewritten.host = compiled(rewriter)?.rewrite_host(host)?;
        }
        // `*` is no path.
        if let (Some(rewriter), [b'/', ..]) = (&self.url_rewrite, uri) {
            rewritten.uri = compiled(rewriter)?.rewrite_uri(uri)?;
        }
        Ok(rewritten)
    }
}

fn compiled(rewriter: &Result<Rewriter, RewriteError>) -> Result<&Rewriter, TransformFailure> {
    rewriter.as_ref().map_err(|error| match error {
        RewriteError::Regex(RegexError::TooBig) => TransformFailure::CompileTooBig,
        RewriteError::Regex(RegexError::Syntax(_)) => TransformFailure::CompileError,
        RewriteError::NoSuchGroup(_) => TransformFailure::ReplaceError,
    })
}

/// Why a rewrite is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RewriteError {
    /// Its regular expression.
    #[error(transparent)]
    Regex(#[from] RegexError),
    /// Its replacement.
    #[error("'${0}' stands for no group of the regular expression")]
    NoSuchGroup(usize),
}

/// A compiled rewrite.
#[derive(Debug, Clone)]
pub struct Rewriter {
    regex: Regex,
    replacement: Vec<Part>,
}

/// A part of a replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// `$1` to `$9`; empty if the group took no part in the match.
    Group(usize),
}

impl Rewriter {
    /// Compiles a `host-header-rewrite`.
    ///
    /// # Errors
    ///
    /// [`RewriteError`].
    pub fn host(rewrite: &Rewrite) -> Result<Self, RewriteError> {
        Self::try_new(rewrite, Case::Insensitive)
    }

    /// Compiles a `url-rewrite`.
    ///
    /// # Errors
    ///
    /// [`RewriteError`].
    pub fn url(rewrite: &Rewrite) -> Result<Self, RewriteError> {
        Self::try_new(rewrite, Case::Sensitive)
    }

    fn try_new(rewrite: &Rewrite, case: Case) -> Result<Self, RewriteError> {
        let regex = regex_values::compile(&rewrite.regex, case)?;
        let replacement = parts(&rewrite.replace);
        for part in &replacement {
            if let Part::Group(group) = part
                && *group >= regex.captures_len()
            {
                return Err(RewriteError::NoSuchGroup(*group));
            }
        }
        Ok(Self { regex, replacement })
    }

    fn rewrite_host(&self, host: &str) -> Result<Option<String>, TransformFailure> {
        let name = without_port(host);
        let Some(rewritten) = self.replace_first(name.as_bytes(), LONGEST_HOST)? else { return Ok(None) };
        let mut rewritten = String::from_utf8(rewritten).map_err(|_| TransformFailure::InvalidHost)?;
        if !is_host(&rewritten) {
            return Err(TransformFailure::InvalidHost);
        }
        let port = host.get(name.len()..).unwrap_or_default();
        if without_port(&rewritten) == rewritten && is_port(port) {
            rewritten.push_str(port);
        }
        Ok((rewritten != host).then_some(rewritten))
    }

    fn rewrite_uri(&self, uri: &[u8]) -> Result<Option<String>, TransformFailure> {
        let Some(rewritten) = self.replace_first(uri, LONGEST_URI)? else { return Ok(None) };
        if rewritten == uri {
            return Ok(None);
        }
        let is_sendable = |byte: &u8| byte.is_ascii_graphic() || !byte.is_ascii();
        if rewritten.first() != Some(&b'/') || !rewritten.iter().all(is_sendable) {
            return Err(TransformFailure::InvalidPath);
        }
        let mut text = String::with_capacity(rewritten.len());
        for byte in rewritten {
            if byte.is_ascii() {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
        if text.len() > LONGEST_URI {
            return Err(TransformFailure::BufferTooSmall);
        }
        let is_path = text.parse::<PathAndQuery>().is_ok_and(|parsed| parsed.as_str() == text);
        if is_path { Ok(Some(text)) } else { Err(TransformFailure::InvalidPath) }
    }

    /// `subject` with its first match replaced; `None` if there is none.
    fn replace_first(&self, subject: &[u8], longest: usize) -> Result<Option<Vec<u8>>, TransformFailure> {
        let Some(captures) = self.regex.captures(subject) else { return Ok(None) };
        let group = |number| captures.get(number).map_or(0..0, |group| group.range());
        let slice = |range: Range<usize>| subject.get(range).unwrap_or_default();
        let whole = group(0);
        let mut out = Vec::with_capacity(subject.len());
        let mut put = |bytes: &[u8]| {
            if out.len() + bytes.len() > longest {
                return Err(TransformFailure::BufferTooSmall);
            }
            out.extend_from_slice(bytes);
            Ok(())
        };
        put(slice(0..whole.start))?;
        for part in &self.replacement {
            match part {
                Part::Text(text) => put(text.as_bytes())?,
                Part::Group(number) => put(slice(group(*number)))?,
            }
        }
        put(slice(whole.end..subject.len()))?;
        Ok(Some(out))
    }
}

/// Takes a replacement apart.
fn parts(replace: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut chars = replace.chars().peekable();
    while let Some(char) = chars.next() {
        let digit = chars.peek().filter(|_| char == '$').and_then(|next| next.to_digit(10));
        let group = digit.and_then(|digit| usize::try_from(digit).ok()).filter(|group| *group > 0);
        if let Some(group) = group {
            chars.next();
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(Part::Group(group));
        } else {
            text.push(char);
        }
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

/// A name of letters, digits, `-`, `.`, `_`, or an IPv6 literal, and perhaps a port.
fn is_host(host: &str) -> bool {
    let name = without_port(host);
    let port = host.get(name.len()..).unwrap_or_default();
    let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_name = match literal {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !name.is_empty() && name.bytes().all(allowed)
        }
    };
    is_name && host.len() <= LONGEST_HOST && (port.is_empty() || is_port(port))
}

/// A colon and a port.
fn is_port(text: &str) -> bool {
    let is_number =
        |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok();
    text.strip_prefix(':').is_some_and(is_number)
}

#[cfg(test)]
mod tests;
