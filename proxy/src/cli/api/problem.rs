//! What goes wrong between a command and a load balancer, and what to do about it.

use std::{io, time::Duration};

use http::StatusCode;
use serde::Deserialize;

use super::{super::exit::Exit, address::Address};
use crate::config::{Mistake, Position};

/// Why a command did not get what it asked for. Its text may have words of the server in it: whoever prints it
/// takes care of control characters.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum Problem {
    /// The user's part: an argument, a file it names, a target that is not there.
    #[error("{0}")]
    Argument(String),
    /// Nobody is there.
    #[error("nothing listens on {address}: is albeit running, and is admin.bind set?")]
    NotListening {
        /// Where it was looked for.
        address: Address,
    },
    /// The way there is broken.
    #[error("{address} cannot be reached")]
    Unreachable {
        /// Where it was looked for.
        address: Address,
        /// Why.
        source: io::Error,
    },
    /// It took too long.
    #[error("{address} has not answered within {} s", limit.as_secs())]
    Silent {
        /// Who was asked.
        address: Address,
        /// How long was waited.
        limit: Duration,
    },
    /// What answers is no admin API, or one of another version.
    #[error("{address} does not answer like the admin API of albeit: {what}")]
    Strange {
        /// Who was asked.
        address: Address,
        /// What is strange.
        what: String,
    },
    /// It wants another token, or none of us.
    #[error("{address} refuses ({status}): {message}. {hint}")]
    Denied {
        /// Who was asked.
        address: Address,
        /// 401 or 403.
        status: u16,
        /// Why.
        message: String,
        /// What to do.
        hint: &'static str,
    },
    /// An error of the API.
    #[error("{code}: {message}")]
    Refused {
        /// The API's code, such as `TargetGroupNotFound`.
        code: String,
        /// What is wrong.
        message: String,
        /// Mistakes of the configuration.
        mistakes: Vec<Mistake>,
        /// Whether the load balancer failed.
        is_failure: bool,
    },
    /// Somebody else did the contrary meanwhile.
    #[error("{0}")]
    Reversed(String),
    /// What was waited for did not come.
    #[error("{0}")]
    TimedOut(String),
}

impl Problem {
    /// The exit status for it.
    pub(in crate::cli) const fn exit(&self) -> Exit {
        match self {
            Self::Argument(_) | Self::Denied { .. } | Self::Refused { is_failure: false, .. } => Exit::Wrong,
            Self::TimedOut(_) => Exit::TimedOut,
            Self::NotListening { .. }
            | Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::Strange { .. }
            | Self::Reversed(_)
            | Self::Refused { .. } => Exit::Failed,
        }
    }

    pub(super) fn unreachable(address: Address, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::ConnectionRefused {
            Self::NotListening { address }
        } else {
            Self::Unreachable { address, source }
        }
    }

    /// An answer that is no success.
    pub(super) fn refusal(address: &Address, status: StatusCode, body: &[u8], with_token: bool) -> Self {
        let address = address.clone();
        let Ok(Body { error }) = serde_json::from_slice(body) else {
            return Self::Strange { address, what: status.to_string() };
        };
        let hint = match status {
            StatusCode::UNAUTHORIZED if with_token => {
                "The token that was sent is not admin.token, or in admin.token_file, of the configuration in force"
            }
            StatusCode::UNAUTHORIZED => {
                "Name the file with the token by --token-file or ALBEIT_ADMIN_TOKEN_FILE"
            }
            StatusCode::FORBIDDEN => {
                "Set admin.token_file in the configuration and name the same file by --token-file, or ask on the \
                 machine itself by --admin 127.0.0.1:PORT"
            }
            _ => {
                return Self::Refused {
                    code: error.code,
                    message: error.message,
                    mistakes: error.mistakes.into_iter().map(Mistake::from).collect(),
                    is_failure: status.is_server_error(),
                };
            }
        };
        Self::Denied { address, status: status.as_u16(), message: error.message, hint }
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "Error")]
    error: Error,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Error {
    code: String,
    message: String,
    #[serde(default)]
    mistakes: Vec<WireMistake>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireMistake {
    path: String,
    line: Option<u64>,
    column: Option<u64>,
    message: String,
}

impl From<WireMistake> for Mistake {
    fn from(WireMistake { path, line, column, message }: WireMistake) -> Self {
        let number = |number: u64| number.try_into().ok();
        let position = line.and_then(number).zip(column.and_then(number));
        Self { position: position.map(|(line, column)| Position { line, column }), path, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, with_token: bool, expected: (Exit, &str)) {
        let status = StatusCode::from_u16(status).unwrap();
        let problem = Problem::refusal(&Address::default(), status, body.as_bytes(), with_token);
        assert_eq!(problem.exit(), expected.0);
        assert!(problem.to_string().contains(expected.1), "{problem}");
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let body = r#"{"Error": {"Type": "Sender", "Code": "C", "Message": "because"}}"#;
        check(401, body, false, (Exit::Wrong, "by --token-file"));
        check(401, body, true, (Exit::Wrong, "is not admin.token"));
        check(403, body, false, (Exit::Wrong, "because. Set admin.token_file"));
        check(400, body, false, (Exit::Wrong, "C: because"));
        check(500, body, false, (Exit::Failed, "C: "));
        check(404, "not found\n", false, (Exit::Failed, "does not answer like the admin API"));
        check(502, "<html>", false, (Exit::Failed, "502"));
    }
}
