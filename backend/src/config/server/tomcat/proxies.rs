//! Networks of proxies, in CIDR notation or as Tomcat's users write them.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

/// What Tomcat's own regular expression stands for.
const DEFAULT: [&str; 9] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "::1/128",
    "fe80::/10",
    "fc00::/7",
];

/// Alternatives that only Tomcat's own regular expressions have, and what they
/// are part of.
const ALTERNATIVES: [(&str, &str); 9] = [
    (r"172\.1[6-9]", "172.16.0.0/12"),
    (r"172\.2[0-9]", "172.16.0.0/12"),
    (r"172\.3[0-1]", "172.16.0.0/12"),
    (r"100\.6[4-9]", "100.64.0.0/10"),
    (r"100\.[7-9]\d", "100.64.0.0/10"),
    (r"100\.1[0-1]\d", "100.64.0.0/10"),
    (r"100\.12[0-7]", "100.64.0.0/10"),
    (r"fe[89ab]\p{XDigit}:", "fe80::/10"),
    (r"f[cd]\p{XDigit}{2}:", "fc00::/7"),
];

/// Ways to write any number in an address.
const ANY: [&str; 5] = [r"\d{1,3}", r"\d+", "[0-9]{1,3}", "[0-9]+", r"\d*"];

/// The default of Tomcat.
pub(super) fn default_networks() -> Vec<IpNet> {
    DEFAULT.iter().filter_map(|text| text.parse().ok()).collect()
}

/// `deserialize_with` for a list of networks, or a regular expression.
pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    struct Networks;
    impl<'de> Visitor<'de> for Networks {
        type Value = Vec<IpNet>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("networks like [10.0.0.0/8], or a regular expression of Tomcat's")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<IpNet>, E> {
            if let Ok(network) = text.parse() {
                return Ok(vec![network]);
            }
            let mut networks: Vec<IpNet> = Vec::new();
            for alternative in text.split('|').map(str::trim) {
                for network in pattern(alternative).ok_or_else(|| {
                    E::custom(format!("{alternative:?} is no pattern of a network, write it like 10.0.0.0/8"))
                })? {
                    if !networks.contains(&network) {
                        networks.push(network);
                    }
                }
            }
            Ok(networks)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<IpNet>, A::Error> {
            let mut networks = Vec::new();
            while let Some(text) = entries.next_element::<String>()? {
                networks.push(text.parse().map_err(|_| {
                    A::Error::custom(format!("{text:?} is no network, write it like 10.0.0.0/8"))
                })?);
            }
            Ok(networks)
        }
    }
    deserializer.deserialize_any(Networks)
}

/// The networks of one alternative of a regular expression.
fn pattern(alternative: &str) -> Option<Vec<IpNet>> {
    if alternative == ".*" {
        return Some(vec![Ipv4Net::default().into(), Ipv6Net::default().into()]);
    }
    // Tomcat's own counts what comes once.
    let alternative = &alternative.replace("{1}", "");
    if let Some((_, network)) = ALTERNATIVES.into_iter().find(|(start, _)| alternative.starts_with(start)) {
        return Some(vec![network.parse().ok()?]);
    }
    if matches!(alternative.as_str(), "0:0:0:0:0:0:0:1" | "0:0:0:0:0:0:0:1(%\\d+)?" | "::1" | "::1(%\\d+)?") {
        return Some(vec!["::1/128".parse().ok()?]);
    }
    ipv4(alternative).map(|network| vec![network.into()])
}

/// Numbers, then any numbers: `192\.168\.\d{1,3}\.\d{1,3}`, `10\..*`.
fn ipv4(alternative: &str) -> Option<Ipv4Net> {
    let parts: Vec<_> = alternative.split(r"\.").collect();
    let numbers: Vec<u8> = parts.iter().map_while(|part| part.parse().ok()).collect();
    let rest = parts.get(numbers.len()..)?;
    let is_any = |part: &&str| ANY.contains(part);
    let is_complete = numbers.len() + rest.len() == 4 && rest.iter().all(is_any);
    if !is_complete && (numbers.is_empty() || rest != [".*"]) {
        return None;
    }
    let mut octets = [0; 4];
    octets.get_mut(..numbers.len())?.copy_from_slice(&numbers);
    Ipv4Net::new(Ipv4Addr::from(octets), u8::try_from(numbers.len() * 8).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let read = networks(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text));
        let read: Vec<_> = read.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn the_default_of_tomcat_is_the_default() {
        let regex = r"10\.\d{1,3}\.\d{1,3}\.\d{1,3}|192\.168\.\d{1,3}\.\d{1,3}|169\.254\.\d{1,3}\.\d{1,3}|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|100\.6[4-9]{1}\.\d{1,3}\.\d{1,3}|100\.[7-9]{1}\d{1}\.\d{1,3}\.\d{1,3}|100\.1[0-1]{1}\d{1}\.\d{1,3}\.\d{1,3}|100\.12[0-7]{1}\.\d{1,3}\.\d{1,3}|172\.1[6-9]{1}\.\d{1,3}\.\d{1,3}|172\.2[0-9]{1}\.\d{1,3}\.\d{1,3}|172\.3[0-1]{1}\.\d{1,3}\.\d{1,3}|0:0:0:0:0:0:0:1|::1";
        let read = networks(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(regex));
        let missing = ["fe80::/10", "fc00::/7"];
        let mut read: Vec<_> = read.unwrap().iter().map(ToString::to_string).collect();
        let mut expected: Vec<_> =
            DEFAULT.iter().filter(|text| !missing.contains(text)).map(ToString::to_string).collect();
        read.sort();
        expected.sort();
        assert_eq!(read, expected);
    }

    #[test]
    fn simple_patterns_are_networks() {
        check(r"10\..*", &["10.0.0.0/8"]);
        check(r"192\.168\.1\.\d+|172\.31\.0\.7", &["192.168.1.0/24", "172.31.0.7/32"]);
        check("10.1.0.0/16", &["10.1.0.0/16"]);
        check(".*", &["0.0.0.0/0", "::/0"]);
    }

    #[test]
    fn other_patterns_are_refused() {
        for text in ["", "ten", r"10\.(1|2)\..*", r"\d+\..*", r"10\.1\.1\.1\.1", "10.*"] {
            let read = networks(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text));
            assert!(read.is_err(), "{text}: {read:?}");
        }
    }
}
