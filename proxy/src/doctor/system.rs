//! What is known of a system: load balancers and target groups in ELB's words,
//! and the applications behind them.
//!
//! Every source fills in what it knows; what nobody said stays `None`, and
//! rules say nothing about it. Values that are known to hold when nothing is
//! said (Tomcat's, Node's, ELB's) are settings too, with
//! [`Place::Default`].

use std::time::Duration;

use super::{
    attributes::Attributes,
    measured::Measured,
    setting::{Place, Setting},
    sources::Resources,
};
use crate::model::LoadBalancerType;

pub use super::application::{Application, Heartbeat, Runtime, Shutdown, SockJs, SocketIo, Startup};

/// Everything that is known, from all sources together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct System {
    /// Load balancers.
    pub load_balancers: Vec<LoadBalancer>,
    /// Target groups, by name.
    pub target_groups: Vec<TargetGroup>,
    /// What runs on the targets.
    pub applications: Vec<Application>,
    /// What sources could not make use of, for the reader to know.
    pub notes: Vec<Note>,
    /// Resources of AWS until all files are read and [`resolve`](super::sources::resolve) ties them to each other.
    pub resources: Resources,
    /// What was measured, after it was taken in.
    pub measured: Vec<Measured>,
}

/// Something that a source read and could not make use of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Where it stands.
    pub place: Place,
    /// What is missing, in one sentence.
    pub message: String,
}

/// A load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadBalancer {
    /// Its name, and where it is defined.
    pub name: Setting<String>,
    /// Application or network.
    pub kind: LoadBalancerType,
    /// Its attributes.
    pub attributes: Attributes,
    /// Its listeners.
    pub listeners: Vec<Listener>,
}

/// A listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// `HTTP`, `HTTPS`, `TCP`, `TLS`, `UDP`, `TCP_UDP`, `QUIC` or `TCP_QUIC`, and where the listener is defined.
    pub protocol: Setting<String>,
    /// Its port.
    pub port: Option<Setting<u16>>,
    /// The security policy; for HTTPS and TLS, also when nobody named one.
    pub ssl_policy: Option<Setting<String>>,
    /// Its attributes.
    pub attributes: Attributes,
    /// Its rules in the order of their evaluation; the last is the default rule.
    pub rules: Vec<Rule>,
    /// Whether it expects a PROXY protocol header from clients: only load balancers of ours can.
    pub proxy_protocol: Option<Setting<bool>>,
}

/// A rule of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its priority, and where the rule is defined; of the default rule the value is `None`.
    pub priority: Setting<Option<u32>>,
    /// What must hold, all of it.
    pub conditions: Vec<Condition>,
    /// What is done, in order.
    pub actions: Vec<Action>,
}

/// A condition of a rule: one of the values must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What it looks at.
    pub field: ConditionField,
    /// The values, patterns, CIDR blocks; of a query string as `key=value`.
    pub values: Vec<Setting<String>>,
}

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionField {
    /// `host-header`.
    HostHeader,
    /// `path-pattern`.
    PathPattern,
    /// `http-request-method`.
    HttpRequestMethod,
    /// `source-ip`.
    SourceIp,
    /// `query-string`.
    QueryString,
    /// `http-header`, by the lower-case name of the header.
    HttpHeader(String),
}

/// An action of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `forward`.
    Forward {
        /// Target groups by name, with their weights.
        target_groups: Vec<WeightedTargetGroup>,
        /// Whether clients stay with a group: `TargetGroupStickinessConfig`.
        stickiness: Option<Setting<bool>>,
    },
    /// `redirect`; parts as ELB writes them (`#{host}`), `None` where nothing is said.
    Redirect {
        /// `HTTP`, `HTTPS` or `#{protocol}`, and where the action is defined.
        protocol: Setting<String>,
        /// Host.
        host: Option<String>,
        /// Port.
        port: Option<String>,
        /// Path.
        path: Option<String>,
        /// Query.
        query: Option<String>,
    },
    /// `fixed-response`.
    FixedResponse(Setting<u16>),
    /// `authenticate-oidc`, `authenticate-cognito` or `jwt-validation`.
    Authenticate(Setting<String>),
}

/// A target group that an action forwards to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightedTargetGroup {
    /// Its name.
    pub target_group: Setting<String>,
    /// Its weight, 0 to 999.
    pub weight: Option<Setting<u32>>,
}

/// A target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGroup {
    /// Its name, and where it is defined.
    pub name: Setting<String>,
    /// `HTTP`, `HTTPS`, `TCP`, `TLS`, …
    pub protocol: Option<Setting<String>>,
    /// The default port of its targets.
    pub port: Option<Setting<u16>>,
    /// `HTTP1`, `HTTP2` or `GRPC`.
    pub protocol_version: Option<Setting<String>>,
    /// `instance`, `ip`, `lambda` or `alb`.
    pub target_type: Option<Setting<String>>,
    /// Its attributes.
    pub attributes: Attributes,
    /// Its health check.
    pub health_check: HealthCheck,
    /// How many targets are registered, if the source names them.
    pub targets: Option<Setting<usize>>,
}

/// A target group's health check, ELB's defaults filled in by the source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthCheck {
    /// `HTTP`, `HTTPS` or `TCP`.
    pub protocol: Option<Setting<String>>,
    /// The path that is asked for.
    pub path: Option<Setting<String>>,
    /// Time from one check to the next.
    pub interval: Option<Setting<Duration>>,
    /// How long an answer may take.
    pub timeout: Option<Setting<Duration>>,
    /// Passed checks after which an unhealthy target is healthy.
    pub healthy_threshold: Option<Setting<u32>>,
    /// Failed checks after which a target is unhealthy.
    pub unhealthy_threshold: Option<Setting<u32>>,
    /// Status codes that pass, such as `200-299`.
    pub matcher: Option<Setting<String>>,
}

/// One way a client's bytes take: what stands behind what.
#[derive(Debug, Clone, Copy)]
pub struct Hop<'a> {
    /// The load balancer.
    pub load_balancer: &'a LoadBalancer,
    /// The listener.
    pub listener: &'a Listener,
    /// The target group.
    pub target_group: &'a TargetGroup,
    /// What runs on its targets, if anything is known of it.
    pub application: Option<&'a Application>,
}

impl System {
    /// The target group of a name.
    #[must_use]
    pub fn target_group(&self, name: &str) -> Option<&TargetGroup> {
        self.target_groups.iter().find(|group| group.name.value == name)
    }

    /// The applications that run on a target group's targets: those that name it; else those of its port; else,
    /// when nothing ties any application to any group, all.
    #[must_use]
    pub fn applications_of(&self, group: &TargetGroup) -> Vec<&Application> {
        let named = |application: &&Application| application.target_groups.contains(&group.name.value);
        let on_port = |application: &&Application| {
            application.target_groups.is_empty()
                && application.port.as_ref().zip(group.port.as_ref()).is_some_and(|(a, b)| a.value == b.value)
        };
        let all = |matching: &dyn Fn(&&Application) -> bool| -> Vec<&Application> {
            self.applications.iter().filter(matching).collect()
        };
        let mut found = all(&named);
        if found.is_empty() {
            found = all(&on_port);
        }
        if found.is_empty() && self.target_groups.iter().filter(|group| group.serves_clients()).count() == 1 {
            found = all(&|application| application.target_groups.is_empty());
        }
        if found.is_empty() && self.applications.len() == 1 {
            found = all(&|application| application.target_groups.is_empty());
        }
        found
    }

    /// Every way from a listener to an application, each once.
    #[must_use]
    pub fn hops(&self) -> Vec<Hop<'_>> {
        let mut hops = Vec::new();
        for load_balancer in &self.load_balancers {
            for listener in &load_balancer.listeners {
                for target_group in self.groups_of(listener) {
                    let applications = self.applications_of(target_group);
                    let hop = |application| Hop { load_balancer, listener, target_group, application };
                    if applications.is_empty() {
                        hops.push(hop(None));
                    }
                    hops.extend(applications.into_iter().map(|application| hop(Some(application))));
                }
            }
        }
        hops
    }

    /// The target groups that a listener forwards to, each once.
    #[must_use]
    pub fn groups_of(&self, listener: &Listener) -> Vec<&TargetGroup> {
        let mut groups: Vec<&TargetGroup> = Vec::new();
        for action in listener.rules.iter().flat_map(|rule| &rule.actions) {
            let Action::Forward { target_groups, .. } = action else { continue };
            for named in target_groups {
                if let Some(group) = self.target_group(&named.target_group.value)
                    && !groups.iter().any(|known| std::ptr::eq(*known, group))
                {
                    groups.push(group);
                }
            }
        }
        groups
    }
}

impl TargetGroup {
    /// Whether its targets are applications: not those of another load balancer.
    #[must_use]
    pub fn serves_clients(&self) -> bool {
        self.target_type.as_ref().is_none_or(|kind| kind.value != "alb")
    }

    /// How findings call it.
    #[must_use]
    pub fn title(&self) -> String {
        format!("target group {}", self.name.value)
    }
}

impl LoadBalancer {
    /// How findings call it.
    #[must_use]
    pub fn title(&self) -> String {
        format!("load balancer {}", self.name.value)
    }

    /// Whether it is an Application Load Balancer.
    #[must_use]
    pub const fn is_application(&self) -> bool {
        matches!(self.kind, LoadBalancerType::Application)
    }
}

impl Listener {
    /// How findings call it, with its load balancer.
    #[must_use]
    pub fn title(&self, of: &LoadBalancer) -> String {
        let port = self.port.as_ref().map(|port| format!(":{}", port.value)).unwrap_or_default();
        format!("listener {}{port} of {}", self.protocol.value, of.name.value)
    }
}
