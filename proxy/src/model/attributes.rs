//! The attribute table: every attribute of load balancers, target groups and
//! listeners, once.
//!
//! ELB pages: "Edit attributes for your Application Load Balancer", "Edit
//! target group attributes for your Application Load Balancer", "HTTP header
//! modification", their Network Load Balancer twins, and the API reference of
//! `LoadBalancerAttribute`, `TargetGroupAttribute` and `ListenerAttribute`.
//!
//! Keys and spelling of values are AWS's; keys that begin with `albeit.` are
//! ours and default to ELB's behaviour. The table drives parsing, validation
//! and `docs/config.md`; nothing else knows a range or a default.

mod constraint;
mod listener;
mod load_balancer;
mod target_group;
mod typed;
mod values;

#[cfg(test)]
mod tests;

use thiserror::Error;

use super::{LoadBalancerType, TargetType};

pub use self::{
    constraint::{GroupProtocol, target_group_constraints},
    values::AttributeValues,
};

/// The kind of resource an attribute belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// `ModifyLoadBalancerAttributes`.
    LoadBalancer,
    /// `ModifyTargetGroupAttributes`.
    TargetGroup,
    /// `ModifyListenerAttributes`.
    Listener,
}

/// The load balancer types an attribute exists for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppliesTo {
    /// Application load balancers, their listeners and their target groups.
    Application,
    /// Network load balancers, their listeners and their target groups.
    Network,
    /// Both.
    Both,
    /// Target groups of the type `lambda`.
    Lambda,
}

impl AppliesTo {
    /// Whether the attribute exists for load balancers of the type `kind`.
    #[must_use]
    pub const fn includes(self, kind: LoadBalancerType) -> bool {
        match self {
            Self::Both => true,
            Self::Application | Self::Lambda => matches!(kind, LoadBalancerType::Application),
            Self::Network => matches!(kind, LoadBalancerType::Network),
        }
    }
}

/// What an attribute's value may be. All values travel as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// `true` or `false`.
    Boolean,
    /// A whole number between the two, inclusive.
    Integer(u32, u32),
    /// A whole number at most so far from 0, either way.
    SignedInteger(u32),
    /// `0` (off), or a whole number between the two, inclusive.
    ZeroOrInteger(u32, u32),
    /// `off`, or a whole number between the two, inclusive.
    OffOrInteger(u32, u32),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Visible ASCII text of at most so many characters; may be empty.
    Text(usize),
    /// A cookie name of at most 128 characters that does not start with a name the load balancer uses.
    CookieName,
    /// A value of a response header, of at most so many bytes; may be empty.
    HeaderValue(usize),
    /// A value of X-Frame-Options, of at most so many bytes; may be empty.
    FrameOptions(usize),
    /// CIDR blocks, separated by commas; may be empty.
    Cidrs,
    /// An HTTP header name of at most so many characters; empty for the default.
    HeaderName(usize),
}

/// An attribute's default value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// The same everywhere. Empty text is "not set".
    Always(&'static str),
    /// By load balancer type.
    ByType {
        /// For application load balancers.
        application: &'static str,
        /// For network load balancers.
        network: &'static str,
    },
    /// By target type.
    ByTargetType {
        /// For targets of type `ip`.
        ip: &'static str,
        /// For targets of type `alb`.
        alb: &'static str,
    },
}

impl DefaultValue {
    /// The default for load balancers of the type `kind`, with targets of type `ip`.
    #[must_use]
    pub const fn of(self, kind: LoadBalancerType) -> &'static str {
        self.of_targets(kind, TargetType::Ip)
    }

    /// The default for load balancers of the type `kind` and targets of the type `targets`.
    #[must_use]
    pub const fn of_targets(self, kind: LoadBalancerType, targets: TargetType) -> &'static str {
        match (self, kind, targets) {
            (Self::Always(value), _, _)
            | (Self::ByType { application: value, .. }, LoadBalancerType::Application, _)
            | (Self::ByType { network: value, .. }, LoadBalancerType::Network, _)
            | (Self::ByTargetType { ip: value, .. }, _, TargetType::Ip)
            | (Self::ByTargetType { alb: value, .. }, _, TargetType::Alb) => value,
        }
    }
}

/// What Albeit does with an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It acts as in ELB.
    Acts,
    /// It is accepted and changes nothing, for this reason.
    NoEffect(&'static str),
    /// Any value but the default is refused as not supported yet.
    NotYet,
}

/// One row of the attribute table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// Dotted key, as in the API.
    pub key: &'static str,
    /// The kind of resource it belongs to.
    pub resource: Resource,
    /// The load balancer types it exists for.
    pub applies_to: AppliesTo,
    /// What its value may be.
    pub value: ValueType,
    /// Its default value.
    pub default: DefaultValue,
    /// What Albeit does with it.
    pub support: Support,
    /// One sentence: what it is for.
    pub doc: &'static str,
}

/// A mistake in one attribute, in AWS's words where AWS has some.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AttributeError {
    /// No attribute of this resource has the key.
    #[error("'{key}' is not a known attribute{}", suggestion.map(|near| format!(" (did you mean '{near}'?)")).unwrap_or_default())]
    Unknown {
        /// The key as given.
        key: String,
        /// The known key that is spelled most alike, if any is near.
        suggestion: Option<&'static str>,
    },
    /// The attribute exists for the other type of load balancer only.
    #[error("'{key}' is not supported for {kind} load balancers")]
    NotForType {
        /// The key.
        key: &'static str,
        /// `application` or `network`.
        kind: &'static str,
    },
    /// A number is not one, or out of range.
    #[error("'{key}' value '{value}' must be between '{min}-{max}' inclusive{or}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// The value as given.
        value: String,
        /// Smallest value.
        min: u32,
        /// Largest value.
        max: u32,
        /// What else is allowed.
        or: &'static str,
    },
    /// A signed number is not one, or out of range.
    #[error("'{key}' value '{value}' must be between '-{most}' and '{most}' inclusive")]
    TooFarFromZero {
        /// The key.
        key: &'static str,
        /// The value as given.
        value: String,
        /// Largest value, and the smallest without its sign.
        most: u32,
    },
    /// A word is not one of those allowed.
    #[error("'{key}' value '{value}' must be one of '{}'", allowed.join(", "))]
    NotOneOf {
        /// The key.
        key: &'static str,
        /// The value as given.
        value: String,
        /// What is allowed.
        allowed: &'static [&'static str],
    },
    /// Text breaks a rule.
    #[error("'{key}' value '{value}' {rule}")]
    BadText {
        /// The key.
        key: &'static str,
        /// The value as given.
        value: String,
        /// The rule, as the end of a sentence.
        rule: &'static str,
    },
    /// Some of a list of CIDR blocks are none.
    #[error("'{key}' must be CIDR blocks such as '10.0.0.0/8', separated by commas: {} {}", quoted(bad), if bad.len() == 1 { "is none" } else { "are none" })]
    BadCidrs {
        /// The key.
        key: &'static str,
        /// What is no CIDR block.
        bad: Vec<String>,
    },
    /// A later version will have it.
    #[error("not supported yet: '{key}' with the value '{value}'")]
    NotSupportedYet {
        /// The key.
        key: &'static str,
        /// The value as given.
        value: String,
    },
}

/// `'a', 'b'`.
fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ")
}

/// Every attribute, resource by resource, in the order of the ELB guides.
pub fn all() -> impl Iterator<Item = &'static Attribute> {
    [load_balancer::TABLE, target_group::TABLE, listener::TABLE].into_iter().flatten()
}

/// The attributes of one kind of resource.
pub fn of(resource: Resource) -> impl Iterator<Item = &'static Attribute> {
    all().filter(move |attribute| attribute.resource == resource)
}

/// Checks one attribute of a resource that belongs to a load balancer of the type `kind`.
///
/// # Errors
/// The key is unknown or belongs to the other type, or the value breaks the attribute's rules or is not supported yet.
pub fn check(
    resource: Resource,
    kind: LoadBalancerType,
    key: &str,
    value: &str,
) -> Result<&'static Attribute, AttributeError> {
    let Some(attribute) = of(resource).find(|attribute| attribute.key == key) else {
        let suggestion = nearest(of(resource).map(|attribute| attribute.key), key);
        return Err(AttributeError::Unknown { key: key.to_owned(), suggestion });
    };
    if !attribute.applies_to.includes(kind) {
        return Err(AttributeError::NotForType { key: attribute.key, kind: kind.as_str() });
    }
    values::check(attribute, value)?;
    let refused = match attribute.support {
        Support::Acts | Support::NoEffect(_) => false,
        Support::NotYet => value != attribute.default.of(kind),
    };
    if refused {
        return Err(AttributeError::NotSupportedYet { key: attribute.key, value: value.to_owned() });
    }
    Ok(attribute)
}

/// The candidate that differs from `text` in the fewest letters, if at most a third of its letters differ.
///
/// Texts of more than 256 bytes are like nothing: the comparison takes quadratic time.
pub fn nearest(candidates: impl Iterator<Item = &'static str>, text: &str) -> Option<&'static str> {
    const LONGEST: usize = 256;
    if text.len() > LONGEST {
        return None;
    }
    candidates
        .map(|candidate| (edit_distance(candidate, text), candidate))
        .min()
        .filter(|(distance, near)| distance * 3 <= near.len())
        .map(|(_, near)| near)
}

/// Levenshtein distance in characters: insertions, deletions and replacements that lead from `a` to `b`.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut diagonal = i;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, to) in row.iter_mut().skip(1).zip(b.chars()) {
            let above = *cell;
            left = (diagonal + usize::from(from != to)).min(above + 1).min(left + 1);
            diagonal = above;
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}
