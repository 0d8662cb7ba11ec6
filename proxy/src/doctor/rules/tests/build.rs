//! Small systems for tests of rules: one that is well, changed at one place.

use std::{fmt::Display, time::Duration};

use crate::{
    doctor::{
        attributes::Attributes,
        diagnose,
        finding::{Finding, Severity},
        setting::{Place, Setting},
        system::{
            Action, Application, Condition, ConditionField, HealthCheck, Heartbeat, Listener, LoadBalancer,
            Rule, SockJs, SocketIo, System, TargetGroup, WeightedTargetGroup,
        },
    },
    model::{LoadBalancerType, attributes::Resource},
};

/// A system that is being put together.
#[derive(Debug, Clone)]
pub(in crate::doctor::rules) struct Given(pub(in crate::doctor::rules) System);

fn here() -> Place {
    Place::File { file: "given.yaml".into(), line: 1, column: 1 }
}

/// A setting in a file.
pub(in crate::doctor::rules) fn set<T: Display>(key: &str, value: T) -> Setting<T> {
    let written = value.to_string();
    Setting::new(value, key, &written, here())
}

/// A setting in a file that is a number of seconds.
pub(in crate::doctor::rules) fn secs(key: &str, seconds: u64) -> Setting<Duration> {
    Setting::new(Duration::from_secs(seconds), key, &format!("{seconds}s"), here())
}

/// A heartbeat.
pub(in crate::doctor::rules) fn beat(what: &'static str, seconds: u64) -> Heartbeat {
    Heartbeat { what, interval: secs("heartbeat", seconds) }
}

/// A Socket.IO endpoint with long polling.
pub(in crate::doctor::rules) fn socket_io(ping_interval: u64, ping_timeout: u64) -> Option<SocketIo> {
    Some(SocketIo {
        ping_interval: secs("pingInterval", ping_interval),
        ping_timeout: secs("pingTimeout", ping_timeout),
        polling: set("transports", true),
    })
}

/// A SockJS endpoint.
pub(in crate::doctor::rules) fn sock_js(disconnect_delay: u64) -> Option<SockJs> {
    Some(SockJs {
        enabled: set("withSockJS", true),
        disconnect_delay: Some(secs("disconnect-delay", disconnect_delay)),
    })
}

/// An action that forwards to groups with weights.
pub(in crate::doctor::rules) fn forward(groups: &[(&str, u32)]) -> Action {
    let group = |(name, weight): &(&str, u32)| WeightedTargetGroup {
        target_group: set("target_group", (*name).to_owned()),
        weight: Some(set("weight", *weight)),
    };
    Action::Forward { target_groups: groups.iter().map(group).collect(), stickiness: None }
}

/// A condition.
pub(in crate::doctor::rules) fn condition(field: ConditionField, values: &[&str]) -> Condition {
    Condition { field, values: values.iter().map(|value| set("values", (*value).to_owned())).collect() }
}

/// A condition on the path.
pub(in crate::doctor::rules) fn path(patterns: &[&str]) -> Condition {
    condition(ConditionField::PathPattern, patterns)
}

fn listener(kind: LoadBalancerType, protocol: &str, port: u16, group: &str) -> Listener {
    let default = Rule {
        priority: Setting::new(None, "default_actions", "", here()),
        conditions: Vec::new(),
        actions: vec![forward(&[(group, 1)])],
    };
    let modern = || set("ssl_policy", "ELBSecurityPolicy-TLS13-1-2-Res-2021-06".to_owned());
    Listener {
        protocol: set("protocol", protocol.to_owned()),
        port: Some(set("port", port)),
        ssl_policy: matches!(protocol, "HTTPS" | "TLS").then(modern),
        attributes: Attributes::new(Resource::Listener, kind),
        rules: vec![default],
        proxy_protocol: None,
    }
}

fn load_balancer(kind: LoadBalancerType, name: &str, listeners: Vec<Listener>) -> LoadBalancer {
    let attributes = Attributes::new(Resource::LoadBalancer, kind);
    LoadBalancer { name: set("name", name.to_owned()), kind, attributes, listeners }
}

fn target_group(kind: LoadBalancerType, name: &str, protocol: &str) -> TargetGroup {
    TargetGroup {
        name: set("name", name.to_owned()),
        protocol: Some(set("protocol", protocol.to_owned())),
        port: Some(set("port", 8080)),
        protocol_version: None,
        target_type: Some(set("target_type", "ip".to_owned())),
        attributes: Attributes::new(Resource::TargetGroup, kind),
        health_check: HealthCheck::default(),
        targets: Some(set("targets", 2)),
    }
}

fn application() -> Application {
    Application { name: "app".to_owned(), ..Application::default() }
}

/// An Application Load Balancer `web` with an HTTPS listener, two targets and an application of which nothing is known.
pub(in crate::doctor::rules) fn alb() -> Given {
    let kind = LoadBalancerType::Application;
    Given(System {
        load_balancers: vec![load_balancer(kind, "web", vec![listener(kind, "HTTPS", 443, "web")])],
        target_groups: vec![target_group(kind, "web", "HTTP")],
        applications: vec![application()],
        ..System::default()
    })
}

/// A Network Load Balancer `net` with a TCP listener, two targets and an application of which nothing is known.
pub(in crate::doctor::rules) fn nlb() -> Given {
    let kind = LoadBalancerType::Network;
    Given(System {
        load_balancers: vec![load_balancer(kind, "net", vec![listener(kind, "TCP", 443, "net")])],
        target_groups: vec![target_group(kind, "net", "TCP")],
        applications: vec![application()],
        ..System::default()
    })
}

/// [`nlb`], whose only target is [`alb`].
pub(in crate::doctor::rules) fn nlb_before_alb() -> Given {
    let Given(mut system) = alb();
    let Given(front) = nlb();
    for mut group in front.target_groups {
        group.port = Some(set("port", 443));
        group.target_type = Some(set("target_type", "alb".to_owned()));
        system.target_groups.push(group);
    }
    system.load_balancers.extend(front.load_balancers);
    Given(system)
}

impl Given {
    /// Anything may be changed.
    pub(in crate::doctor::rules) fn with(mut self, change: impl FnOnce(&mut System)) -> Self {
        change(&mut self.0);
        self
    }

    /// The application.
    pub(in crate::doctor::rules) fn app(self, change: impl FnOnce(&mut Application)) -> Self {
        self.with(|system| change(&mut system.applications[0]))
    }

    /// The first target group.
    pub(in crate::doctor::rules) fn target_group(self, change: impl FnOnce(&mut TargetGroup)) -> Self {
        self.with(|system| change(&mut system.target_groups[0]))
    }

    /// The first listener.
    pub(in crate::doctor::rules) fn listener(self, change: impl FnOnce(&mut Listener)) -> Self {
        self.with(|system| change(&mut system.load_balancers[0].listeners[0]))
    }

    /// An attribute of the first load balancer.
    pub(in crate::doctor::rules) fn lb(self, key: &str, value: &str) -> Self {
        self.with(|system| system.load_balancers[0].attributes.give(key, set(key, value.to_owned())))
    }

    /// An attribute of the first listener.
    pub(in crate::doctor::rules) fn of_listener(self, key: &str, value: &str) -> Self {
        self.listener(|listener| listener.attributes.give(key, set(key, value.to_owned())))
    }

    /// An attribute of the first target group.
    pub(in crate::doctor::rules) fn group(self, key: &str, value: &str) -> Self {
        self.target_group(|group| group.attributes.give(key, set(key, value.to_owned())))
    }

    /// A rule of the first listener, after those it has, before the default rule.
    pub(in crate::doctor::rules) fn rule(self, conditions: &[Condition], actions: &[Action]) -> Self {
        self.listener(|listener| {
            let at = listener.rules.len() - 1;
            let priority = u32::try_from(at + 1).unwrap() * 10;
            let priority = Setting::new(Some(priority), "priority", &priority.to_string(), here());
            listener
                .rules
                .insert(at, Rule { priority, conditions: conditions.to_vec(), actions: actions.to_vec() });
        })
    }

    /// A second target group `green` like the first.
    pub(in crate::doctor::rules) fn green(self) -> Self {
        self.with(|system| {
            let mut green = system.target_groups[0].clone();
            green.name = set("name", "green".to_owned());
            system.target_groups.push(green);
        })
    }

    /// The default rule does this.
    pub(in crate::doctor::rules) fn default_action(self, action: Action) -> Self {
        self.listener(|listener| listener.rules.last_mut().unwrap().actions = vec![action])
    }

    /// What a rule finds.
    pub(in crate::doctor::rules) fn findings(&self, code: &str) -> Vec<Finding> {
        diagnose(&self.0).into_iter().filter(|finding| finding.code == code).collect()
    }

    /// Whether a rule finds something, and how bad it is.
    #[track_caller]
    pub(in crate::doctor::rules) fn expect(&self, code: &str, expected: Option<Severity>) {
        let worst = self.findings(code).iter().map(|finding| finding.severity).max();
        assert_eq!(worst, expected, "{code}: {:#?}", diagnose(&self.0));
    }
}
