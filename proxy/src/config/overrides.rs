//! What was changed at run time, on top of the file.
//!
//! Attributes are laid over the tree of values before it is converted, so that
//! they are validated like those of the file and mistakes name their path.
//! Targets are laid over the converted model. Overrides outlive reloads: they
//! win over the file until they are cleared or the process ends; those of a
//! resource that a reloaded file no longer has are forgotten.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use serde_json::{Map, Value};

use super::{error::Report, listener::DEFAULT_ADDRESS, path::Path, target_group};
use crate::model::{Model, Target, TargetType, target_group::TargetId};

/// Attribute values by their dotted keys.
pub type AttributeOverrides = BTreeMap<String, String>;

/// Everything that was changed at run time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Attributes of load balancers, by name.
    pub load_balancers: BTreeMap<String, AttributeOverrides>,
    /// Attributes of listeners, by load balancer and socket.
    pub listeners: BTreeMap<(String, SocketAddr), AttributeOverrides>,
    /// Attributes of target groups, by name.
    pub target_groups: BTreeMap<String, AttributeOverrides>,
    /// Targets that came and went, by target group.
    pub targets: BTreeMap<String, TargetOverrides>,
}

/// How the targets of a group differ from those of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetOverrides {
    /// Registered, though the file does not name them.
    pub registered: BTreeSet<Target>,
    /// Deregistered, though the file names them.
    pub deregistered: BTreeSet<Target>,
}

/// The target id that `text` writes: an IP address or a host name.
#[must_use]
pub fn target_id(text: &str) -> Option<TargetId> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(TargetId::Ip(address));
    }
    target_group::is_host_name(text).then(|| TargetId::HostName(text.to_owned()))
}

impl Overrides {
    /// Whether the file alone is in force.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Lays the attributes over the file's tree. What does not fit its shape is left to the decoding,
    /// which reports it.
    pub(super) fn apply_to_tree(&self, tree: &mut Value, report: &mut Report) {
        let root = Path::root();
        for (index, load_balancer) in elements(tree, "load_balancers") {
            let at = root.key("load_balancers").index(index);
            let Some(name) = text(load_balancer, "name") else { continue };
            if let Some(attributes) = self.load_balancers.get(&name) {
                set(load_balancer, attributes, &at, report);
            }
            for (index, listener) in elements(load_balancer, "listeners") {
                let Some(bind) = bind(listener) else { continue };
                if let Some(attributes) = self.listeners.get(&(name.clone(), bind)) {
                    set(listener, attributes, &at.key("listeners").index(index), report);
                }
            }
        }
        for (index, group) in elements(tree, "target_groups") {
            let attributes = text(group, "name").and_then(|name| self.target_groups.get(&name));
            if let Some(attributes) = attributes {
                set(group, attributes, &root.key("target_groups").index(index), report);
            }
        }
    }

    /// Lays the targets over the file's.
    pub(super) fn apply_to_model(&self, model: &mut Model) {
        for group in &mut model.target_groups {
            let Some(overrides) = self.targets.get(&group.name) else { continue };
            group.targets.retain(|target| !overrides.deregistered.contains(target));
            if group.target_type == TargetType::Alb {
                continue;
            }
            for target in &overrides.registered {
                if !group.targets.contains(target) {
                    group.targets.push(target.clone());
                }
            }
        }
    }

    /// Forgets the overrides of what `model` does not have.
    pub fn forget_missing(&mut self, model: &Model) {
        let load_balancer = |name: &str| model.load_balancers.iter().find(|it| it.name == name);
        let has_group = |name: &str| model.target_groups.iter().any(|group| group.name == name);
        self.load_balancers.retain(|name, _| load_balancer(name).is_some());
        self.listeners.retain(|(name, bind), _| {
            load_balancer(name).is_some_and(|it| it.listeners.iter().any(|listener| listener.bind == *bind))
        });
        self.target_groups.retain(|name, _| has_group(name));
        self.targets.retain(|name, _| has_group(name));
    }
}

impl TargetOverrides {
    /// Registers `target` in a group that has `targets` now. Says whether anything changed.
    pub fn register(&mut self, target: Target, targets: &mut Vec<Target>) -> bool {
        if targets.contains(&target) {
            return false;
        }
        targets.push(target.clone());
        if !self.deregistered.remove(&target) {
            self.registered.insert(target);
        }
        true
    }

    /// Deregisters `target` from a group that has `targets` now. Says whether anything changed.
    pub fn deregister(&mut self, target: &Target, targets: &mut Vec<Target>) -> bool {
        let before = targets.len();
        targets.retain(|registered| registered != target);
        if targets.len() == before {
            return false;
        }
        if !self.registered.remove(target) {
            self.deregistered.insert(target.clone());
        }
        true
    }
}

/// The elements of the list `key` of a map, with their indexes.
fn elements<'v>(map: &'v mut Value, key: &str) -> impl Iterator<Item = (usize, &'v mut Value)> {
    map.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().enumerate()
}

fn text(map: &Value, key: &str) -> Option<String> {
    match map.get(key)? {
        Value::String(text) => Some(text.clone()),
        // A name of digits, which is a number in the tree.
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn bind(listener: &Value) -> Option<SocketAddr> {
    let port = u16::try_from(listener.get("port")?.as_u64()?).ok()?;
    let address = match listener.get("address") {
        None | Some(Value::Null) => DEFAULT_ADDRESS,
        Some(address) => address.as_str()?.parse().ok()?,
    };
    Some(SocketAddr::new(address, port))
}

fn set(resource: &mut Value, attributes: &AttributeOverrides, at: &Path, report: &mut Report) {
    let Some(resource) = resource.as_object_mut() else { return };
    let slot = resource.entry("attributes").or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    let Some(map) = slot.as_object_mut() else { return };
    for (key, value) in attributes {
        map.insert(key.clone(), Value::String(value.clone()));
        report.overridden(&at.key("attributes").key(key));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path as FilePath;

    use super::*;
    use crate::config::{ConfigErrors, Loaded, Source};

    const FILE: &str = "
load_balancers:
  - name: edge
    listeners:
      - { protocol: HTTP, port: 8080, default_actions: [{ forward: { target_group: web } }] }
      - protocol: HTTP
        port: 8081
        address: 127.0.0.1
        attributes: { routing.http.response.server.enabled: true }
        default_actions: [{ forward: { target_group: web } }]
target_groups:
  - name: web
    protocol: HTTP
    attributes: { deregistration_delay.timeout_seconds: 20, stickiness.enabled: true }
    targets: [{ id: 10.0.0.1, port: 80 }, { id: 10.0.0.2, port: 80 }]
";

    fn load(overrides: &Overrides) -> Result<Loaded, ConfigErrors> {
        Source::from_text(FILE, FilePath::new(""), "alb.yaml").parse(&|_| None, overrides)
    }

    fn attributes(pairs: &[(&str, &str)]) -> AttributeOverrides {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn target(id: &str) -> Target {
        Target { id: target_id(id).unwrap(), port: 80 }
    }

    #[test]
    fn attributes_win_over_the_file() {
        let mut overrides = Overrides::default();
        overrides
            .load_balancers
            .insert("edge".to_owned(), attributes(&[("idle_timeout.timeout_seconds", "7")]));
        overrides
            .target_groups
            .insert("web".to_owned(), attributes(&[("deregistration_delay.timeout_seconds", "3")]));
        let bind = "127.0.0.1:8081".parse().unwrap();
        overrides.listeners.insert(
            ("edge".to_owned(), bind),
            attributes(&[("routing.http.response.server.enabled", "true")]),
        );
        let loaded = load(&overrides).unwrap();
        assert_eq!(loaded.model.load_balancers[0].attributes.idle_timeout.as_secs(), 7);
        assert_eq!(loaded.model.target_groups[0].attributes.deregistration_delay.as_secs(), 3);
        assert!(
            loaded.model.target_groups[0].attributes.stickiness.is_some(),
            "what is not overridden stays"
        );
        let given = loaded.attributes.load_balancer(0).unwrap();
        assert_eq!(given.given("idle_timeout.timeout_seconds"), Some("7"));
    }

    #[test]
    fn a_mistake_names_its_place_and_that_it_is_not_in_the_file() {
        let mut overrides = Overrides::default();
        overrides.target_groups.insert(
            "web".to_owned(),
            attributes(&[("load_balancing.cross_zone.enabled", "false"), ("nonsense", "1")]),
        );
        let text = load(&overrides).unwrap_err().to_string();
        assert!(
            text.contains(
                "alb.yaml:14:5: target_groups[0].attributes.load_balancing.cross_zone.enabled: stickiness cannot \
                 be enabled while cross-zone load balancing of the target group is off (set through the admin API)"
            ),
            "{text}"
        );
        assert!(text.contains("'nonsense' is not a known attribute (set through the admin API)"), "{text}");
    }

    #[test]
    fn targets_come_and_go_and_what_the_file_says_again_is_no_override() {
        let mut overrides = TargetOverrides::default();
        let mut targets = vec![target("10.0.0.1")];
        assert!(overrides.register(target("10.0.0.9"), &mut targets));
        assert!(!overrides.register(target("10.0.0.9"), &mut targets));
        assert!(overrides.deregister(&target("10.0.0.1"), &mut targets));
        assert!(!overrides.deregister(&target("10.0.0.1"), &mut targets));
        assert_eq!(targets, [target("10.0.0.9")]);
        assert_eq!(overrides.registered, BTreeSet::from([target("10.0.0.9")]));
        assert_eq!(overrides.deregistered, BTreeSet::from([target("10.0.0.1")]));
        assert!(overrides.register(target("10.0.0.1"), &mut targets));
        assert!(overrides.deregister(&target("10.0.0.9"), &mut targets));
        assert_eq!((overrides, targets), (TargetOverrides::default(), vec![target("10.0.0.1")]));
    }

    #[test]
    fn targets_are_laid_over_those_of_the_file() {
        let mut overrides = Overrides::default();
        let targets = TargetOverrides {
            registered: BTreeSet::from([target("app.internal"), target("10.0.0.2")]),
            deregistered: BTreeSet::from([target("10.0.0.1")]),
        };
        overrides.targets.insert("web".to_owned(), targets);
        let model = load(&overrides).unwrap().model;
        assert_eq!(model.target_groups[0].targets, [target("10.0.0.2"), target("app.internal")]);
    }

    #[test]
    fn a_load_balancer_stays_the_only_target_of_its_group() {
        const BEHIND: &str = "
  - name: front
    type: network
    listeners: [{ protocol: TCP, port: 9000, default_actions: [{ forward: { target_group: to-edge } }] }]
target_groups:
  - { name: to-edge, protocol: TCP, target_type: alb, targets: [{ id: edge, port: 8080 }] }";
        let file = FILE.replace("\ntarget_groups:", BEHIND);
        let mut overrides = Overrides::default();
        let registered = BTreeSet::from([target("10.0.0.2")]);
        let targets = TargetOverrides { registered, ..TargetOverrides::default() };
        overrides.targets.insert("to-edge".to_owned(), targets);
        let source = Source::from_text(&file, FilePath::new(""), "alb.yaml");
        let model = source.parse(&|_| None, &overrides).unwrap().model;
        let [Target { id: TargetId::LoadBalancer { name, .. }, .. }] = &model.target_groups[0].targets[..]
        else {
            panic!("{:?}", model.target_groups[0].targets);
        };
        assert_eq!(name, "edge");
    }

    #[test]
    fn what_the_file_no_longer_has_is_forgotten() {
        let model = load(&Overrides::default()).unwrap().model;
        let some = || attributes(&[("a", "b")]);
        let mut overrides = Overrides::default();
        for name in ["edge", "gone"] {
            overrides.load_balancers.insert(name.to_owned(), some());
        }
        for bind in ["0.0.0.0:8080", "127.0.0.1:8080"] {
            overrides.listeners.insert(("edge".to_owned(), bind.parse().unwrap()), some());
        }
        for name in ["web", "gone"] {
            overrides.target_groups.insert(name.to_owned(), some());
            overrides.targets.insert(name.to_owned(), TargetOverrides::default());
        }
        overrides.forget_missing(&model);
        assert_eq!(overrides.load_balancers.into_keys().collect::<Vec<_>>(), ["edge"]);
        assert_eq!(
            overrides.listeners.into_keys().map(|(_, bind)| bind.to_string()).collect::<Vec<_>>(),
            ["0.0.0.0:8080"]
        );
        assert_eq!(overrides.target_groups.into_keys().collect::<Vec<_>>(), ["web"]);
        assert_eq!(overrides.targets.into_keys().collect::<Vec<_>>(), ["web"]);
    }
}
