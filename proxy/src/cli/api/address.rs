//! Where an admin API listens, and the token that it wants.

use std::{fmt, net::IpAddr, path::Path};

use super::problem::Problem;
use crate::config;

/// Where it listens unless something else is said, as in every configuration that comes along.
const DEFAULT: (&str, u16) = ("127.0.0.1", 9901);

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Address {
    host: String,
    port: u16,
}

impl Default for Address {
    fn default() -> Self {
        Self { host: DEFAULT.0.to_owned(), port: DEFAULT.1 }
    }
}

impl Address {
    /// Reads `HOST:PORT`, with brackets around an IPv6 address.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = || {
            Problem::Argument(format!(
                "--admin '{text}' is not a host with a port, such as 127.0.0.1:9901 or [::1]:9901"
            ))
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_host = match bare {
            Some(host) => host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()),
            None => {
                !host.is_empty()
                    && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
            }
        };
        let port = port.parse().ok().filter(|port| *port != 0);
        match port {
            Some(port) if is_host => Ok(Self { host: bare.unwrap_or(host).to_owned(), port }),
            _ => Err(wrong()),
        }
    }

    /// `admin.bind` of a configuration, which may have mistakes elsewhere.
    pub(super) fn of_configuration(file: &Path) -> Result<Self, Problem> {
        let bind = config::admin_bind(file, &|name| std::env::var(name).ok());
        let bind = bind.map_err(|error| Problem::Argument(format!("{}: {error}", file.display())))?;
        let Some(bind) = bind else {
            let message = "has no admin.bind: name the address by --admin, if there is one";
            return Err(Problem::Argument(format!("{}: {message}", file.display())));
        };
        let host = match bind.ip() {
            // Who listens on all addresses listens on loopback, too.
            IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
            IpAddr::V6(ip) if ip.is_unspecified() => "::1".to_owned(),
            ip => ip.to_string(),
        };
        Ok(Self { host, port: bind.port() })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The token in `text`, which is that of `origin`.
pub(super) fn token(text: &str, origin: &str) -> Result<String, Problem> {
    let token = text.trim();
    if config::is_token(token) {
        return Ok(token.to_owned());
    }
    Err(Problem::Argument(format!("{origin}: a token is visible ASCII characters without spaces")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, u16)>) {
        let address = Address::parse(text).ok();
        assert_eq!(address.as_ref().map(|it| (it.host(), it.port())), expected, "{text}");
        assert!(address.is_none_or(|address| address.to_string() == text));
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        check("127.0.0.1:9901", Some(("127.0.0.1", 9901)));
        check("[::1]:9901", Some(("::1", 9901)));
        check("albeit.internal:1", Some(("albeit.internal", 1)));
        for wrong in ["", "9901", ":9901", "::1", "a:0", "a:70000", "a b:1", "a/b:1", "[a]:1", "http://a:1"] {
            check(wrong, None);
        }
    }

    #[test]
    fn the_address_of_a_configuration_is_found_beside_mistakes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("albeit.yaml");
        let found = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Address::of_configuration(&file).map(|it| it.to_string()).map_err(|error| error.to_string())
        };
        assert_eq!(found("admin: { bind: '127.0.0.1:7' }\nnonsense: 1\n"), Ok("127.0.0.1:7".to_owned()));
        assert_eq!(found("admin: { bind: '0.0.0.0:7' }"), Ok("127.0.0.1:7".to_owned()));
        assert_eq!(found("admin: { bind: '[::]:7' }"), Ok("[::1]:7".to_owned()));
        assert_eq!(found("admin: { bind: '${NOWHERE_SET:-[::1]:8}' }"), Ok("[::1]:8".to_owned()));
        for without in ["", "admin: {}", "admin: { bind: '127.0.0.1:7', enabled: false }"] {
            assert!(found(without).unwrap_err().contains("has no admin.bind"), "{without}");
        }
        assert!(found("admin: { bind: nowhere }").unwrap_err().contains("'nowhere' is not an address"));
        assert!(found("admin: [").unwrap_err().contains("YAML"));
    }

    #[test]
    fn a_token_is_one_word() {
        assert_eq!(token("secret\n", "x").ok().as_deref(), Some("secret"));
        assert!(
            token(" \n", "x").is_err() && token("two words", "x").is_err() && token("a\u{7f}", "x").is_err()
        );
    }
}
