//! What goes wrong in a request to the admin API, with the error codes of the `ELBv2` API.

use http::StatusCode;
use serde_json::{Value, json};

use super::{access::Denied, control::Refused, query::present};
use crate::config::Mistake;

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// `Code`, as in the API where it has one that fits.
    pub(super) code: &'static str,
    /// `Message`.
    pub(super) message: String,
    /// Mistakes of the configuration, each with its place.
    pub(super) mistakes: Vec<Mistake>,
}

impl ApiError {
    /// 400 with a code of the API.
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into(), mistakes: Vec::new() }
    }

    /// A parameter that is missing, unknown or out of range.
    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", message)
    }

    /// The same error with another status.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The load balancer failed.
    pub(super) fn internal() -> Self {
        Self::new("InternalFailure", "the action failed").with_status(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The body of the answer.
    pub(super) fn body(&self) -> Value {
        let blame = if self.status.is_server_error() { "Receiver" } else { "Sender" };
        let mistakes =
            (!self.mistakes.is_empty()).then(|| self.mistakes.iter().map(mistake).collect::<Value>());
        let error = present(json!({
            "Type": blame,
            "Code": self.code,
            "Message": self.message,
            "Mistakes": mistakes,
        }));
        json!({ "Error": error })
    }
}

fn mistake(mistake: &Mistake) -> Value {
    json!({
        "Path": mistake.path,
        "Line": mistake.position.map(|position| position.line),
        "Column": mistake.position.map(|position| position.column),
        "Message": mistake.message,
    })
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let message = match refused.mistakes.as_slice() {
            [] => refused.message,
            [only] => only.message.clone(),
            [first, rest @ ..] => format!("{} (and {} more)", first.message, rest.len()),
        };
        Self { mistakes: refused.mistakes, ..Self::new("InvalidConfigurationRequest", message) }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        let (status, code) = match denied {
            Denied::TokenMissing => (StatusCode::UNAUTHORIZED, "MissingAuthenticationToken"),
            Denied::TokenWrong => (StatusCode::UNAUTHORIZED, "InvalidClientTokenId"),
            Denied::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "ValidationError"),
            Denied::NotOnLoopback | Denied::NotFromLoopback | Denied::ForeignHost | Denied::ForeignOrigin => {
                (StatusCode::FORBIDDEN, "AccessDenied")
            }
        };
        Self::new(code, denied.to_string()).with_status(status)
    }
}
