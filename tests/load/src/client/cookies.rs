//! The cookies of one client: names and values, for one host.

use std::collections::BTreeMap;

/// Cookies that a client got and sends back, or refuses when off.
///
/// Paths, domains and dates are not looked at: a load test talks to one host for
/// a short time. `Max-Age=0` takes a cookie away.
#[derive(Debug, Clone)]
pub(crate) struct Jar {
    policy: Policy,
    values: BTreeMap<String, String>,
}

/// Whether a client keeps cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Like a browser, or a library told to send credentials.
    Keep,
    /// Like a browser's cross-origin request without credentials.
    Refuse,
}

impl Jar {
    /// An empty jar.
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy, values: BTreeMap::new() }
    }

    /// Takes one `Set-Cookie` value.
    pub(crate) fn store(&mut self, set_cookie: &str) {
        let mut parts = set_cookie.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let expired = parts.any(|attribute| {
            attribute.split_once('=').is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case("max-age") && value.parse::<i64>().is_ok_and(|age| age <= 0)
            })
        });
        match self.policy {
            Policy::Refuse => {}
            Policy::Keep if expired => drop(self.values.remove(name)),
            Policy::Keep => drop(self.values.insert(name.to_owned(), value.to_owned())),
        }
    }

    /// The value of a `Cookie` header, if there are any.
    pub(crate) fn header(&self) -> Option<String> {
        let pairs: Vec<_> = self.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(policy: Policy, set: &[&str], expected: Option<&str>) {
        let mut jar = Jar::new(policy);
        for value in set {
            jar.store(value);
        }
        assert_eq!(jar.header().as_deref(), expected);
    }

    #[test]
    fn cookies_come_back() {
        check(Policy::Keep, &[], None);
        check(
            Policy::Keep,
            &["AWSALB=abc; Expires=Thu, 01 Jan 2026 00:00:00 GMT; Path=/"],
            Some("AWSALB=abc"),
        );
        check(Policy::Keep, &["b=2", "a=1; Secure", "b=3"], Some("a=1; b=3"));
        check(Policy::Keep, &["a=1", "a=gone; max-age=0"], None);
        check(Policy::Keep, &["no pair"], None);
    }

    #[test]
    fn a_client_without_credentials_refuses_them() {
        check(Policy::Refuse, &["a=1"], None);
    }
}
