//! Checked attribute values, with the table's defaults behind them.

use std::{collections::BTreeMap, time::Duration};

use ipnet::{AddrParseError, IpNet};

use super::{Attribute, AttributeError, Resource, ValueType, check as check_attribute, of};
use crate::model::{LoadBalancerType, TargetType};

/// The attributes of one resource: what was given, else the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeValues {
    resource: Resource,
    kind: LoadBalancerType,
    targets: TargetType,
    given: BTreeMap<&'static str, String>,
}

impl AttributeValues {
    /// The load balancer type the attributes are for.
    #[must_use]
    pub const fn kind(&self) -> LoadBalancerType {
        self.kind
    }

    /// What kind of targets the attributes are for.
    #[must_use]
    pub const fn target_type(&self) -> TargetType {
        self.targets
    }

    /// No attribute given: every value is its default. Targets are of type `ip`.
    #[must_use]
    pub const fn new(resource: Resource, kind: LoadBalancerType) -> Self {
        Self { resource, kind, targets: TargetType::Ip, given: BTreeMap::new() }
    }

    /// The same for targets of another type, which changes defaults.
    #[must_use]
    pub fn for_targets(self, targets: TargetType) -> Self {
        Self { targets, ..self }
    }

    /// Every value that was given, by its key.
    pub fn all_given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.given.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// Checks an attribute and keeps its value.
    ///
    /// # Errors
    /// As [`super::check`]. A value that is only not supported yet is kept all
    /// the same, so that [`super::target_group_constraints`] can judge it too.
    pub fn set(&mut self, key: &str, value: &str) -> Result<&'static Attribute, AttributeError> {
        let checked = check_attribute(self.resource, self.kind, key, value);
        let key = match &checked {
            Ok(attribute) => attribute.key,
            Err(AttributeError::NotSupportedYet { key, .. }) => key,
            Err(_) => return checked,
        };
        self.given.insert(key, value.to_owned());
        checked
    }

    /// The value that was given, if one was.
    #[must_use]
    pub fn given(&self, key: &str) -> Option<&str> {
        self.given.get(key).map(String::as_str)
    }

    /// The value as text; empty for a key that the table does not have.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.given(key).unwrap_or_else(|| self.default(key))
    }

    /// The value of a boolean attribute.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        self.text(key) == "true"
    }

    /// The value of a number; `None` for `off` and for what is no number.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u32> {
        self.text(key).parse().ok()
    }

    /// The value of a number that may be negative; 0 for what is no number.
    #[must_use]
    pub fn signed(&self, key: &str) -> i32 {
        self.text(key).parse().unwrap_or(0)
    }

    /// The value of a share in percent; 0 for what is none.
    #[must_use]
    pub fn percent(&self, key: &str) -> u8 {
        self.text(key).parse().unwrap_or(0)
    }

    /// The value of a number of seconds.
    #[must_use]
    pub fn seconds(&self, key: &str) -> Duration {
        Duration::from_secs(u64::from(self.number(key).unwrap_or(0)))
    }

    /// The default of an attribute; empty for a key that the table does not have.
    #[must_use]
    pub fn default(&self, key: &str) -> &'static str {
        of(self.resource)
            .find(|attribute| attribute.key == key)
            .map_or("", |attribute| attribute.default.of_targets(self.kind, self.targets))
    }
}

/// Checks the value alone against its type.
pub(super) fn check(attribute: &Attribute, value: &str) -> Result<(), AttributeError> {
    let key = attribute.key;
    let broken = match attribute.value {
        ValueType::Boolean => return one_of(key, value, &["true", "false"]),
        ValueType::OneOf(allowed) => return one_of(key, value, allowed),
        ValueType::Integer(min, max) => return in_range(key, value, (min, max), ""),
        ValueType::SignedInteger(most) => return near_zero(key, value, most),
        ValueType::ZeroOrInteger(..) if value == "0" => return Ok(()),
        ValueType::ZeroOrInteger(min, max) => return in_range(key, value, (min, max), " or '0' (off)"),
        ValueType::OffOrInteger(..) if value == "off" => return Ok(()),
        ValueType::OffOrInteger(min, max) => return in_range(key, value, (min, max), " or 'off'"),
        ValueType::Text(longest) => text_rule(value, longest),
        ValueType::HeaderValue(longest) => header_value_rule(value, longest),
        ValueType::FrameOptions(longest) => {
            frame_options_rule(value).or_else(|| header_value_rule(value, longest))
        }
        ValueType::HeaderName(longest) => header_name_rule(value, longest),
        ValueType::CookieName => cookie_name_rule(value),
        ValueType::Cidrs => return all_cidrs(key, value),
    };
    broken.map_or(Ok(()), |rule| Err(AttributeError::BadText { key, value: value.to_owned(), rule }))
}

/// CIDR blocks, separated by commas. None in empty text.
pub(super) fn cidrs(text: &str) -> impl Iterator<Item = Result<IpNet, AddrParseError>> {
    parts(text).map(str::parse)
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(',').map(str::trim);
    parts.filter(move |part| !(part.is_empty() && text.trim().is_empty()))
}

fn all_cidrs(key: &'static str, value: &str) -> Result<(), AttributeError> {
    let bad = parts(value).filter(|part| part.parse::<IpNet>().is_err()).map(str::to_owned);
    let bad: Vec<_> = bad.collect();
    if bad.is_empty() { Ok(()) } else { Err(AttributeError::BadCidrs { key, bad }) }
}

fn one_of(key: &'static str, value: &str, allowed: &'static [&'static str]) -> Result<(), AttributeError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(AttributeError::NotOneOf { key, value: value.to_owned(), allowed })
}

fn in_range(
    key: &'static str,
    value: &str,
    (min, max): (u32, u32),
    or: &'static str,
) -> Result<(), AttributeError> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if digits && value.parse().is_ok_and(|number: u32| (min..=max).contains(&number)) {
        return Ok(());
    }
    Err(AttributeError::OutOfRange { key, value: value.to_owned(), min, max, or })
}

fn near_zero(key: &'static str, value: &str, most: u32) -> Result<(), AttributeError> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    match in_range(key, digits, (0, most), "") {
        Ok(()) => Ok(()),
        Err(_) => Err(AttributeError::TooFarFromZero { key, value: value.to_owned(), most }),
    }
}

fn text_rule(value: &str, longest: usize) -> Option<&'static str> {
    if value.chars().count() > longest {
        Some("is too long")
    } else if value.chars().any(char::is_control) {
        Some("must not contain control characters")
    } else {
        None
    }
}

fn header_value_rule(value: &str, longest: usize) -> Option<&'static str> {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"_ :;.,\\/'?!(){}[]@<>=-+*#&`|~^%".contains(&byte);
    if value.len() > longest {
        Some("must not have more than 1024 bytes")
    } else if !value.bytes().all(allowed) {
        Some("can only contain letters, digits and _ :;.,\\/'?!(){}[]@<>=-+*#&`|~^%")
    } else {
        None
    }
}

fn frame_options_rule(value: &str) -> Option<&'static str> {
    let is_origin =
        |value: &str| value.strip_prefix("ALLOW-FROM ").is_some_and(|origin| !origin.trim().is_empty());
    let allowed = matches!(value, "" | "DENY" | "SAMEORIGIN") || is_origin(value);
    (!allowed).then_some("must be one of 'DENY, SAMEORIGIN, ALLOW-FROM' with an origin after the last")
}

/// Fields that the load balancer writes itself, or that frame a message: no other header takes their names.
const RESERVED_NAMES: [&str; 15] = [
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-amzn-trace-id",
    "x-forwarded-for",
    "x-forwarded-port",
    "x-forwarded-proto",
    "proxy-connection",
];

fn header_name_rule(value: &str, longest: usize) -> Option<&'static str> {
    if RESERVED_NAMES.iter().any(|reserved| reserved.eq_ignore_ascii_case(value)) {
        return Some("must not be a header that the load balancer itself sets or reads");
    }
    let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if value.len() > longest || !value.bytes().all(token) {
        Some("must be a header name of up to 40 letters, digits, hyphens and underscores")
    } else {
        None
    }
}

fn cookie_name_rule(value: &str) -> Option<&'static str> {
    const LONGEST: usize = 128;
    let token = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
    if value.is_empty() || value.len() > LONGEST || !value.bytes().all(token) {
        Some("must be a cookie name of up to 128 characters")
    } else if value.starts_with("AWSALB") {
        Some("must not start with 'AWSALB', 'AWSALBAPP' or 'AWSALBTG'")
    } else {
        None
    }
}
