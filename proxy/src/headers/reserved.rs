//! Names of request headers that only the load balancer may set.
//!
//! ELB's pages do not speak of it. A target that keeps headers in variables,
//! as CGI, WSGI, Rack and PHP do, cannot tell `X_Amzn_Tls_Version` or
//! `x.amzn.tls.version` from `X-Amzn-Tls-Version`: whatever is neither letter nor
//! digit becomes `_`. So names are compared here as such a
//! target sees them, and what a client sends under any of them is removed.
//!
//! This is for headers that say who the client is: those of its TLS connection
//! and certificate, and the claims of a logged-in user. Variants of
//! `X-Forwarded-*` and `X-Amzn-Trace-Id`, such as `X_Forwarded_For`, pass as on
//! ELB, whose means against them is
//! `routing.http.drop_invalid_header_fields.enabled`.

use http::HeaderName;

/// Names that clients cannot use, compiled at load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReservedNames(Box<[Box<str>]>);

impl ReservedNames {
    /// Reserves `names`.
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let fold = |name: &str| name.bytes().map(|byte| char::from(folded(byte))).collect();
        let mut names: Vec<Box<str>> = names.into_iter().map(fold).collect();
        names.sort_unstable();
        names.dedup();
        Self(names.into())
    }

    /// Whether a target could take a header with this name for a reserved one.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|reserved| reserved.len() == name.len() && begins_alike(name, reserved))
    }

    /// Those of `names` that clients cannot use. With nothing reserved they are not even looked at.
    #[must_use]
    pub fn of<'a>(&self, names: impl Iterator<Item = &'a HeaderName>) -> Vec<HeaderName> {
        if self.0.is_empty() {
            return Vec::new();
        }
        names.filter(|name| self.contains(name.as_str())).cloned().collect()
    }
}

/// Whether a target could take the beginning of `name` for `prefix`, written in lower case with `-`.
#[must_use]
pub fn begins_alike(name: &str, prefix: &str) -> bool {
    let start = name.as_bytes().get(..prefix.len());
    start.is_some_and(|start| start.iter().zip(prefix.bytes()).all(|(&sent, ours)| folded(sent) == ours))
}

/// Everything but letters and digits is one, as it is where names become names of variables.
const fn folded(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_a_target_cannot_tell_apart_are_reserved_together() {
        let reserved = ReservedNames::new(["X-Amzn-Tls-Version", "Custom_Cipher"]);
        for name in [
            "x-amzn-tls-version",
            "X_Amzn_Tls_Version",
            "x.amzn.tls.version",
            "x-amzn_tls-version",
            "x~amzn!tls|version",
            "custom-cipher",
            "CUSTOM.CIPHER",
        ] {
            assert!(reserved.contains(name), "{name}");
        }
        for name in ["x-amzn-tls-versions", "x-amzn-tls", "xamzntlsversion", "x-amzn-tls--version", ""] {
            assert!(!reserved.contains(name), "{name}");
        }
        assert!(!ReservedNames::default().contains("x-amzn-tls-version"));
    }

    #[test]
    fn all_lines_of_a_request_are_found() {
        let sent = ["x_amzn_tls_version", "x-amzn-tls-version", "x-other"].map(HeaderName::from_static);
        let found = ReservedNames::new(["X-Amzn-Tls-Version"]).of(sent.iter());
        assert_eq!(found, &sent[..2]);
        assert!(ReservedNames::default().of(sent.iter()).is_empty());
    }

    /// The variable that CGI (RFC 3875 section 4.1.18) and what came after it make of a name.
    fn variable(name: &str) -> String {
        name.chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' })
            .collect()
    }

    proptest! {
        #[test]
        fn reserved_are_all_names_of_one_variable_and_no_others(
            ours in "[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,6}", sent in "[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,6}",
        ) {
            let is_same = variable(&ours) == variable(&sent);
            prop_assert_eq!(ReservedNames::new([ours.as_str()]).contains(&sent), is_same);
            prop_assert!(ReservedNames::new([ours.as_str()]).contains(&ours.replace('-', "_")));
        }
    }
}
