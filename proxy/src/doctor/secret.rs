//! Values that are nobody's business: reports are pasted into tickets and kept by CI.

use std::sync::Arc;

/// What is shown instead.
const HIDDEN: &str = "***";
/// Parts of the names of settings whose values are secret; `-`, `_` and `.` do not count.
const SECRETS: [&str; 8] =
    ["password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "credential"];

/// What may be shown of a value: nothing of a secret, and no password within an address
/// (`redis://user:password@host`). `None` if all of it may be.
pub(super) fn hidden(key: &str, written: &str) -> Option<Arc<str>> {
    let name: String =
        key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    if SECRETS.iter().any(|secret| name.contains(secret)) {
        return Some(HIDDEN.into());
    }
    let (scheme, rest) = written.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, host) = authority.rsplit_once('@')?;
    let (user, _) = user.split_once(':')?;
    let behind = rest.strip_prefix(authority)?;
    Some(format!("{scheme}://{user}:{HIDDEN}@{host}{behind}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, written: &str, shown: &str) {
        assert_eq!(hidden(key, written).as_deref().unwrap_or(written), shown, "{key}");
    }

    #[test]
    fn secrets_are_told_by_their_names() {
        for key in
            ["server.ssl.key-store-password", "MANAGEMENT_DATADOG_API_KEY", "clientSecret", "GITHUB_TOKEN"]
        {
            check(key, "hunter2", "***");
        }
        check("server.tomcat.keep-alive-timeout", "20s", "20s");
    }

    #[test]
    fn addresses_lose_their_password_alone() {
        check("relay.url", "redis://chat:p@ss@cache:6379/0?x=@", "redis://chat:***@cache:6379/0?x=@");
        check("relay.url", "redis://:p@cache", "redis://:***@cache");
        check("relay.url", "redis://cache:6379/a:b@c", "redis://cache:6379/a:b@c");
        check("relay.url", "redis://chat@cache", "redis://chat@cache");
    }
}
