//! Desync mitigation: how far a request keeps to RFC 7230, and what follows.
//!
//! ELB page: "Application Load Balancers", Desync mitigation mode. The classes
//! and reasons are those of `http_desync_guardian`, the engine that AWS has
//! published, run over the bytes as the client sent them. An HTTP/2 request is
//! judged by its fields, as if it had come over HTTP/1.1: what ELB does there
//! is not documented, and the engine itself leaves HTTP/2 alone. Pure.
//!
//! Not here: the newer reason `SuspiciousTeClPresent`, which the published
//! engine does not know.

use http_desync_guardian::{
    ClassificationReason, RequestSafetyTier,
    request_analyzer::{HttpHeader, HttpRequestData, RequestAnalysisResult},
};

use crate::model::load_balancer::DesyncMitigationMode;

/// How far a request is from compliant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Does not comply, but is no known threat.
    Acceptable,
    /// Servers may see its boundaries differently.
    Ambiguous,
    /// Malformed, or likely an attack.
    Severe,
}

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Field `classification` of the access log.
    pub class: Class,
    /// Field `classification_reason`.
    pub reason: &'static str,
    casts_doubt: bool,
}

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is handled like any other.
    Pass,
    /// It is handled, and the connections to its client and its target carry no other request.
    PassAndClose,
    /// It is answered with 400, and its connection closed.
    Block,
}

impl Finding {
    /// What `mode` does about it.
    ///
    /// In `monitor` ELB only watches. Where a request's end is in doubt the connections are closed
    /// nevertheless: what follows may be half of another request.
    #[must_use]
    pub const fn action(self, mode: DesyncMitigationMode) -> Action {
        match (mode, self.class) {
            (DesyncMitigationMode::Monitor, _) if self.casts_doubt => Action::PassAndClose,
            (DesyncMitigationMode::Monitor, _) | (DesyncMitigationMode::Defensive, Class::Acceptable) => {
                Action::Pass
            }
            (DesyncMitigationMode::Defensive, Class::Ambiguous) => Action::PassAndClose,
            (DesyncMitigationMode::Defensive, Class::Severe) | (DesyncMitigationMode::Strictest, _) => {
                Action::Block
            }
        }
    }

    fn of(result: &RequestAnalysisResult) -> Option<Self> {
        let class = match result.tier {
            RequestSafetyTier::Compliant => return None,
            RequestSafetyTier::Acceptable => Class::Acceptable,
            RequestSafetyTier::Ambiguous => Class::Ambiguous,
            RequestSafetyTier::Severe => Class::Severe,
        };
        let (reason, casts_doubt) = reason(result.reason);
        Some(Self { class, reason, casts_doubt })
    }
}

/// Classifies an HTTP/1 request by the bytes of its head, from the request line to the empty line.
/// `None` is compliant.
#[must_use]
pub fn classify(head: &[u8]) -> Option<Finding> {
    Finding::of(&HttpRequestData::analyze_raw_request(head))
}

/// Classifies a request by its parts. `version` is as in a request line, empty for HTTP/0.9.
#[must_use]
pub fn classify_parts<'a>(
    method: &'a [u8],
    target: &'a [u8],
    version: &'a [u8],
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Option<Finding> {
    let headers = fields.map(|(name, value)| HttpHeader::new(name, value)).collect();
    let mut request = HttpRequestData { method, version, uri: target, headers };
    Finding::of(&request.analyze_parsed_request())
}

/// The reason as the log names it, and whether it leaves in doubt where the request ends.
const fn reason(reason: ClassificationReason) -> (&'static str, bool) {
    use ClassificationReason as Reason;
    match reason {
        Reason::Compliant => ("-", false),
        Reason::AmbiguousUri => ("AmbiguousUri", false),
        Reason::SpaceInUri => ("SpaceInUri", false),
        Reason::BadUri => ("BadUri", false),
        Reason::NonCompliantHeader => ("NonCompliantHeader", false),
        Reason::NonCompliantVersion => ("NonCompliantVersion", false),
        Reason::BadVersion => ("BadVersion", false),
        Reason::BadMethod => ("BadMethod", false),
        Reason::GetHeadZeroContentLength => ("GetHeadZeroContentLength", false),
        Reason::UndefinedContentLengthSemantics => ("UndefinedContentLengthSemantics", false),
        Reason::UndefinedTransferEncodingSemantics => ("UndefinedTransferEncodingSemantics", false),
        Reason::DuplicateContentLength => ("DuplicateContentLength", false),
        Reason::NonCrLfLineTermination => ("NonCrLfLineTermination", false),
        Reason::EmptyHeader => ("EmptyHeader", true),
        Reason::SuspiciousHeader => ("SuspiciousHeader", true),
        Reason::BadHeader => ("BadHeader", true),
        Reason::MultipleContentLength => ("MultipleContentLength", true),
        Reason::BadContentLength => ("BadContentLength", true),
        Reason::MultipleTransferEncodingChunked => ("MultipleTransferEncodingChunked", true),
        Reason::BadTransferEncoding => ("BadTransferEncoding", true),
        Reason::BothTeClPresent => ("BothTeClPresent", true),
        Reason::MultilineHeader => ("MultilineHeader", true),
        Reason::PartialHeaderLine => ("PartialHeaderLine", true),
        Reason::MissingLastEmptyLine => ("MissingLastEmptyLine", true),
        Reason::MissingHeaderColon => ("MissingHeaderColon", true),
        Reason::MissingUri => ("MissingUri", true),
    }
}

#[cfg(test)]
mod tests;
