//! Attributes of a resource by AWS's keys, wherever they were written, with the
//! attribute table's defaults behind them.

use std::{collections::BTreeMap, time::Duration};

use super::setting::Setting;
use crate::model::{
    LoadBalancerType, TargetType,
    attributes::{Resource, of},
};

/// The attributes of one load balancer, target group or listener.
///
/// What was given is not checked: that is a rule's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    resource: Resource,
    kind: LoadBalancerType,
    given: BTreeMap<String, Setting<String>>,
}

impl Attributes {
    /// No attribute given.
    #[must_use]
    pub const fn new(resource: Resource, kind: LoadBalancerType) -> Self {
        Self { resource, kind, given: BTreeMap::new() }
    }

    /// The kind of resource.
    #[must_use]
    pub const fn resource(&self) -> Resource {
        self.resource
    }

    /// The type of load balancer.
    #[must_use]
    pub const fn kind(&self) -> LoadBalancerType {
        self.kind
    }

    /// Notes what was given for AWS's key, which may have another name where it stands
    /// (`idle_timeout` in Terraform). The last one holds.
    pub fn give(&mut self, key: &str, setting: Setting<String>) {
        self.given.insert(key.to_owned(), setting);
    }

    /// Every attribute that was given, by AWS's key.
    pub fn all_given(&self) -> impl Iterator<Item = (&str, &Setting<String>)> {
        self.given.iter().map(|(key, setting)| (key.as_str(), setting))
    }

    /// What was given for a key.
    #[must_use]
    pub fn given(&self, key: &str) -> Option<&Setting<String>> {
        self.given.get(key)
    }

    /// What holds for a key: what was given, else ELB's default (empty for a key that ELB does not know).
    #[must_use]
    pub fn text(&self, key: &str) -> Setting<String> {
        self.given(key).cloned().unwrap_or_else(|| {
            let row = of(self.resource).find(|attribute| attribute.key == key);
            let default = row.map_or("", |attribute| attribute.default.of_targets(self.kind, TargetType::Ip));
            Setting::default_of(whose(self.kind), default.to_owned(), key, default)
        })
    }

    /// Whether a boolean attribute is on; `None` if what was given is neither `true` nor `false`, such as
    /// `var.sticky` in Terraform.
    #[must_use]
    pub fn flag(&self, key: &str) -> Option<Setting<bool>> {
        self.text(key).filter_map(|text| text.parse().ok())
    }

    /// A number; `None` if what was given is none.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<Setting<u64>> {
        self.text(key).filter_map(|text| text.parse().ok())
    }

    /// A number of seconds; `None` if what was given is no number.
    #[must_use]
    pub fn seconds(&self, key: &str) -> Option<Setting<Duration>> {
        self.number(key).map(|setting| setting.map(Duration::from_secs))
    }
}

/// Whose defaults hold.
const fn whose(kind: LoadBalancerType) -> &'static str {
    match kind {
        LoadBalancerType::Application => "an Application Load Balancer",
        LoadBalancerType::Network => "a Network Load Balancer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::setting::Place;

    #[test]
    fn what_nobody_gave_is_the_default_of_the_load_balancer() {
        let attributes = Attributes::new(Resource::LoadBalancer, LoadBalancerType::Application);
        let idle = attributes.seconds("idle_timeout.timeout_seconds").unwrap();
        assert_eq!((idle.value, idle.place.is_file()), (Duration::from_secs(60), false));
    }

    #[test]
    fn a_flag_that_cannot_be_known_is_neither_on_nor_off() {
        let mut attributes = Attributes::new(Resource::TargetGroup, LoadBalancerType::Application);
        assert!(!attributes.flag("stickiness.enabled").unwrap().value);
        let place = Place::File { file: "main.tf".into(), line: 4, column: 3 };
        let key = "aws_lb_target_group.web.stickiness.enabled";
        attributes
            .give("stickiness.enabled", Setting::new("var.sticky".to_owned(), key, "var.sticky", place));
        assert_eq!(attributes.flag("stickiness.enabled"), None);
    }

    #[test]
    fn what_was_given_keeps_the_name_it_has_there() {
        let mut attributes = Attributes::new(Resource::LoadBalancer, LoadBalancerType::Application);
        let place = Place::File { file: "main.tf".into(), line: 4, column: 3 };
        attributes.give(
            "idle_timeout.timeout_seconds",
            Setting::new("120".to_owned(), "aws_lb.web.idle_timeout", "120", place),
        );
        let idle = attributes.seconds("idle_timeout.timeout_seconds").unwrap();
        assert_eq!((idle.value, &*idle.key), (Duration::from_secs(120), "aws_lb.web.idle_timeout"));
    }
}
