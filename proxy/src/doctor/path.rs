//! The path from client to target, as rules ask about it: what is in front of
//! what, how long a silent connection lives there, what keeps it in use.

use std::time::Duration;

use super::{
    application::{Application, Heartbeat},
    setting::{Evidence, Setting},
    system::{Action, ConditionField, Hop, Listener, LoadBalancer, Rule, System, TargetGroup},
};
use crate::{
    model::LoadBalancerType,
    rules::wildcard::{Case, Pattern},
};

/// The idle timeout of TLS listeners of Network Load Balancers, which nobody can change.
const TLS_IDLE: Duration = Duration::from_secs(350);

/// How many of an application run behind a target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instances {
    /// Just one.
    One,
    /// More than one: what says so.
    Several(Evidence),
    /// Nobody said.
    Unknown,
}

impl Hop<'_> {
    /// How long the load balancer keeps a connection on which nothing is sent; `None` if it is not known.
    #[must_use]
    pub fn idle_timeout(&self) -> Option<Setting<Duration>> {
        if self.load_balancer.is_application() {
            return self.load_balancer.attributes.seconds("idle_timeout.timeout_seconds");
        }
        match self.listener.protocol.value.as_str() {
            "TCP" | "TCP_UDP" => self.listener.attributes.seconds("tcp.idle_timeout.seconds"),
            "TLS" => Some(Setting::default_of(
                "TLS listeners, which cannot be changed",
                TLS_IDLE,
                "idle timeout of a TLS listener",
                "350",
            )),
            _ => None,
        }
    }

    /// How many of the application there are.
    #[must_use]
    pub fn instances(&self) -> Instances {
        let running = self.application.and_then(|application| application.instances.as_ref());
        let registered = self.target_group.targets.as_ref();
        match (running, registered) {
            (Some(running), _) if running.value > 1 => Instances::Several(running.evidence()),
            (_, Some(registered)) if registered.value > 1 => Instances::Several(registered.evidence()),
            (Some(count), _) if count.value == 1 => Instances::One,
            (_, Some(count)) if count.value == 1 => Instances::One,
            _ => Instances::Unknown,
        }
    }
}

/// Something a client asks for again and again that only one target can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polling {
    /// What it is called.
    pub what: &'static str,
    /// What allows it.
    pub evidence: Evidence,
}

impl Application {
    /// Whether its name or its port says that it runs on the targets of a group.
    #[must_use]
    pub fn is_tied_to(&self, group: &TargetGroup) -> bool {
        let ports = self.port.as_ref().zip(group.port.as_ref());
        self.target_groups.contains(&group.name.value)
            || ports.is_some_and(|(own, theirs)| own.value == theirs.value)
    }

    /// What says that clients keep connections open for long: WebSockets, SockJS or Socket.IO.
    #[must_use]
    pub fn long_connections(&self) -> Option<Evidence> {
        let path = self.web_socket_paths.first().map(Setting::evidence);
        let sock_js = || self.sock_js_enabled().map(Setting::evidence);
        let socket_io = || self.socket_io.as_ref().map(|io| io.ping_interval.evidence());
        let heartbeat = || self.heartbeats.first().map(|heartbeat| heartbeat.interval.evidence());
        path.or_else(sock_js).or_else(socket_io).or_else(heartbeat)
    }

    /// Transports that spread one session over many requests.
    #[must_use]
    pub fn polling(&self) -> Option<Polling> {
        let socket_io = self.socket_io.as_ref().filter(|io| io.polling.value);
        let socket_io =
            socket_io.map(|io| Polling { what: "Socket.IO's long polling", evidence: io.polling.evidence() });
        let sock_js = || {
            let evidence = self.sock_js_enabled()?.evidence();
            Some(Polling { what: "SockJS with its HTTP transports", evidence })
        };
        socket_io.or_else(sock_js)
    }

    /// What switches SockJS on, if it is on.
    #[must_use]
    pub fn sock_js_enabled(&self) -> Option<&Setting<bool>> {
        self.sock_js.as_ref().map(|sock_js| &sock_js.enabled).filter(|enabled| enabled.value)
    }

    /// The heartbeat that is sent most often on connections of a kind, if any is on.
    #[must_use]
    pub fn shortest_heartbeat(&self, of: impl Fn(Carrier) -> bool) -> Option<&Heartbeat> {
        let on = self.heartbeats.iter().filter(|heartbeat| !heartbeat.interval.value.is_zero());
        on.filter(|heartbeat| of(heartbeat.carrier())).min_by_key(|heartbeat| heartbeat.interval.value)
    }

    /// Whether something is known to be sent on its long connections before `idle` is over.
    #[must_use]
    pub fn speaks_within(&self, idle: Duration) -> bool {
        let ping = self.socket_io.as_ref().map(|io| io.ping_interval.value);
        let heartbeat = self.shortest_heartbeat(|_| true).map(|heartbeat| heartbeat.interval.value);
        ping.into_iter().chain(heartbeat).min().is_some_and(|interval| !interval.is_zero() && interval < idle)
    }
}

/// What a heartbeat travels on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// Any WebSocket of the application.
    WebSocket,
    /// Sessions of SockJS.
    SockJs,
    /// Sessions of Engine.IO.
    EngineIo,
}

impl Heartbeat {
    /// What it travels on.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        if self.what.contains("SockJS") {
            Carrier::SockJs
        } else if self.what.contains("Engine.IO") || self.what.contains("Socket.IO") {
            Carrier::EngineIo
        } else {
            Carrier::WebSocket
        }
    }
}

/// A Network Load Balancer in front of an Application Load Balancer.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a> {
    /// The way through the Network Load Balancer; its target group is of type `alb`.
    pub front: Hop<'a>,
    /// The Application Load Balancer behind it.
    pub behind: &'a LoadBalancer,
    /// The listener of it that the flows reach, if it can be told.
    pub listener: Option<&'a Listener>,
}

impl System {
    /// Every listener with its load balancer.
    pub fn listeners(&self) -> impl Iterator<Item = (&LoadBalancer, &Listener)> {
        let listeners = |of| move |listener| (of, listener);
        self.load_balancers.iter().flat_map(move |of| of.listeners.iter().map(listeners(of)))
    }

    /// The hops whose targets are applications, as far as they are known.
    ///
    /// That an application runs behind a Network Load Balancer may be a guess, since it is the only one; not
    /// where an Application Load Balancer leads to it, which may be what the other one leads to.
    pub fn last_hops(&self) -> impl Iterator<Item = (Hop<'_>, &Application)> {
        let hops = self.hops();
        let behind_albs: Vec<&Application> = hops
            .iter()
            .filter(|hop| hop.load_balancer.is_application())
            .filter_map(|hop| hop.application)
            .collect();
        hops.into_iter().filter(|hop| hop.target_group.serves_clients()).filter_map(move |hop| {
            let application = hop.application?;
            let elsewhere = behind_albs.iter().any(|other| std::ptr::eq(*other, application));
            let is_guess = !hop.load_balancer.is_application() && !application.is_tied_to(hop.target_group);
            (!(is_guess && elsewhere)).then_some((hop, application))
        })
    }

    /// The target groups of Application Load Balancers.
    pub fn groups_of_albs(&self) -> impl Iterator<Item = &TargetGroup> {
        self.target_groups.iter().filter(|group| group.attributes.kind() == LoadBalancerType::Application)
    }

    /// Network Load Balancers in front of Application Load Balancers.
    #[must_use]
    pub fn chains(&self) -> Vec<Chain<'_>> {
        let alb = |group: &TargetGroup| group.target_type.as_ref().is_some_and(|kind| kind.value == "alb");
        let fronts = self.hops().into_iter().filter(|hop| alb(hop.target_group));
        fronts.filter_map(|front| self.behind(front)).collect()
    }

    /// What a hop with targets of type `alb` leads to: the listener of the group's port, else the only ALB there is.
    fn behind<'a>(&'a self, front: Hop<'a>) -> Option<Chain<'a>> {
        let port = front.target_group.port.as_ref().map(|port| port.value);
        let on_port =
            |listener: &Listener| port.is_some() && listener.port.as_ref().map(|port| port.value) == port;
        let mut exact = self.listeners().filter(|(of, listener)| of.is_application() && on_port(listener));
        if let (Some((behind, listener)), None) = (exact.next(), exact.next()) {
            return Some(Chain { front, behind, listener: Some(listener) });
        }
        let mut only = self.load_balancers.iter().filter(|of| of.is_application());
        let (Some(behind), None) = (only.next(), only.next()) else { return None };
        let listener = match behind.listeners.as_slice() {
            [listener] => Some(listener),
            _ => None,
        };
        Some(Chain { front, behind, listener })
    }
}

impl TargetGroup {
    /// The attribute that makes clients stay with a target, if it is known to be on.
    #[must_use]
    pub fn sticky(&self) -> Option<Setting<bool>> {
        self.attributes.flag("stickiness.enabled").filter(|sticky| sticky.value)
    }
}

impl Rule {
    /// Its conditions on a field.
    pub fn conditions_on(&self, field: &ConditionField) -> impl Iterator<Item = &Setting<String>> {
        self.conditions.iter().filter(move |condition| condition.field == *field).flat_map(|on| &on.values)
    }

    /// Whether its path patterns let a path pass; true without any.
    #[must_use]
    pub fn takes_path(&self, path: &str) -> bool {
        let mut patterns = self.conditions_on(&ConditionField::PathPattern).peekable();
        patterns.peek().is_none()
            || patterns.any(|pattern| Pattern::new(&pattern.value, Case::Sensitive).matches(path.as_bytes()))
    }

    /// Its forward actions: the groups, and whether clients stay with one of them.
    pub fn forwards(
        &self,
    ) -> impl Iterator<Item = (&[super::system::WeightedTargetGroup], Option<&Setting<bool>>)> {
        self.actions.iter().filter_map(|action| match action {
            Action::Forward { target_groups, stickiness } => {
                Some((target_groups.as_slice(), stickiness.as_ref()))
            }
            _ => None,
        })
    }

    /// How findings call it, with its listener.
    #[must_use]
    pub fn title(&self, listener: &Listener, of: &LoadBalancer) -> String {
        let number = match self.priority.value {
            Some(priority) => format!("rule {priority}"),
            None => "default rule".to_owned(),
        };
        format!("{number} of {}", listener.title(of))
    }
}
