//! The balancer's configuration of one test: the resource model as a builder
//! that writes YAML (its JSON subset), in a directory of its own.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::{
    ca::{Ca, Certificate},
    ports::HeldPort,
};

/// Name of the one load balancer in each test's configuration.
pub const LOAD_BALANCER: &str = "e2e-alb";

/// Security policy of [`Listener::https`]: TLS 1.2 and 1.3, all of it served.
pub const SECURITY_POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06";

/// A whole configuration. Clones share directory and ports, so that a test
/// can change a copy and reload the running balancer with it.
#[derive(Debug, Clone)]
pub struct Config {
    /// The test's directory: configuration, certificates, logs, captured output.
    dir: Arc<TempDir>,
    /// Type of the load balancer: `application` or `network`.
    pub kind: &'static str,
    /// Load balancers besides the one that the listeners belong to.
    pub others: Vec<LoadBalancer>,
    /// Port of the admin API.
    pub admin: Arc<HeldPort>,
    /// Settings of the admin API besides `bind`.
    pub admin_settings: Map<String, Value>,
    /// Load balancer attributes by their dotted keys.
    pub attributes: Map<String, Value>,
    /// Listeners of the load balancer.
    pub listeners: Vec<Listener>,
    /// Target groups.
    pub groups: Vec<Group>,
    /// Certificates that listeners name.
    pub certificates: Vec<Certificate>,
    /// Trust stores that listeners name, as the file has them.
    pub trust_stores: Vec<Value>,
    /// Files with stickiness keys.
    pub stickiness_keys: Vec<PathBuf>,
    /// `traces`; off if `None`.
    pub traces: Option<Value>,
    /// `--time-scale`: all timers of the balancer are divided by it. Default 1.
    pub time_scale: u32,
    /// PEM file with the authorities that the balancer trusts, in the place of the system's.
    pub trusted: Option<PathBuf>,
    /// `--drain`. Default `5s`.
    pub drain: String,
}

impl Config {
    /// A configuration without listeners and groups that logs below its own directory.
    ///
    /// # Errors
    /// When no directory or port can be had.
    pub fn try_new() -> Result<Self> {
        let dir = Arc::new(tempfile::Builder::new().prefix("albeit-e2e-").tempdir()?);
        let mut attributes = Map::new();
        attributes.insert("access_logs.s3.enabled".into(), json!(true));
        attributes.insert("access_logs.s3.bucket".into(), json!(dir.path().join("logs")));
        // A test reads lines as they come; what ELB delivers has tests of its own.
        attributes.insert("albeit.access_logs.files".into(), json!("plain"));
        Ok(Self {
            dir,
            kind: "application",
            others: Vec::new(),
            admin: Arc::new(HeldPort::try_new()?),
            admin_settings: Map::new(),
            attributes,
            listeners: Vec::new(),
            groups: Vec::new(),
            certificates: Vec::new(),
            trust_stores: Vec::new(),
            stickiness_keys: Vec::new(),
            traces: None,
            time_scale: 1,
            trusted: None,
            drain: "5s".to_owned(),
        })
    }

    /// One HTTP listener that forwards everything to the group `web` with these targets.
    ///
    /// # Errors
    /// When no directory or port can be had.
    pub fn forwarding_to(targets: &[SocketAddr]) -> Result<Self> {
        let group = Group::new("web", targets);
        Ok(Self::try_new()?.with_group(group).with_listener(Listener::http(forward("web"))?))
    }

    /// A network load balancer with one TCP listener, which forwards to the group `flows` with these targets;
    /// its flow log is on, and its log files are read as those of requests are.
    ///
    /// # Errors
    /// When no directory or port can be had.
    pub fn network(targets: &[SocketAddr]) -> Result<Self> {
        let mut config = Self::try_new()?;
        config.kind = "network";
        let logs = config.dir().join("logs");
        let config = config
            .with_attribute("albeit.flow_logs.s3.enabled", true)
            .with_attribute("albeit.flow_logs.s3.bucket", json!(logs));
        Ok(config.with_group(Group::tcp("flows", targets)).with_listener(Listener::tcp(forward("flows"))?))
    }

    /// Adds a TLS listener in front of the group `flows`, with a certificate for `localhost`.
    ///
    /// # Errors
    /// When the certificate cannot be made or no port can be had.
    pub fn with_tls(self, ca: &Ca) -> Result<Self> {
        let certificate = ca.issue(self.dir(), "localhost", &["localhost"])?;
        let listener = Listener::tls(&["localhost"], forward("flows"))?;
        Ok(self.with_certificate(certificate).with_listener(listener))
    }

    /// Adds a load balancer.
    #[must_use]
    pub fn with_load_balancer(mut self, other: LoadBalancer) -> Self {
        self.others.push(other);
        self
    }

    /// Adds an HTTPS listener in front of the group `web`, with a certificate for `localhost`.
    ///
    /// # Errors
    /// When the certificate cannot be made or no port can be had.
    pub fn with_https(self, ca: &Ca) -> Result<Self> {
        let certificate = ca.issue(self.dir(), "localhost", &["localhost"])?;
        let listener = Listener::https(&["localhost"], forward("web"))?;
        Ok(self.with_certificate(certificate).with_listener(listener))
    }

    /// Sets a load balancer attribute.
    #[must_use]
    pub fn with_attribute(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(key.to_owned(), value.into());
        self
    }

    /// Sets any key of the admin API, such as `token`.
    #[must_use]
    pub fn with_admin(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.admin_settings.insert(key.to_owned(), value.into());
        self
    }

    /// Sets `traces`.
    #[must_use]
    pub fn with_traces(mut self, traces: Value) -> Self {
        self.traces = Some(traces);
        self
    }

    /// Adds a listener.
    #[must_use]
    pub fn with_listener(mut self, listener: Listener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// Changes every listener of the load balancer.
    #[must_use]
    pub fn map_listeners(mut self, change: impl Fn(Listener) -> Listener) -> Self {
        self.listeners = self.listeners.into_iter().map(change).collect();
        self
    }

    /// Adds a target group.
    #[must_use]
    pub fn with_group(mut self, group: Group) -> Self {
        self.groups.push(group);
        self
    }

    /// Adds a certificate.
    #[must_use]
    pub fn with_certificate(mut self, certificate: Certificate) -> Self {
        self.certificates.push(certificate);
        self
    }

    /// Divides all timers of the balancer by `time_scale`.
    #[must_use]
    pub const fn with_time_scale(mut self, time_scale: u32) -> Self {
        self.time_scale = time_scale;
        self
    }

    /// Changes the first target group.
    #[must_use]
    pub fn map_group(mut self, change: impl FnOnce(Group) -> Group) -> Self {
        if !self.groups.is_empty() {
            let group = self.groups.remove(0);
            self.groups.insert(0, change(group));
        }
        self
    }

    /// The test's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The YAML file the balancer reads.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.dir().join("albeit.yaml")
    }

    /// Writes the YAML file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.to_value())?;
        // Replaced in one step, so that a watcher never reads half a file.
        let new = self.dir().join("albeit.yaml.new");
        fs::write(&new, text)?;
        fs::rename(new, self.file())?;
        Ok(())
    }

    fn to_value(&self) -> Value {
        let certificates: Vec<Value> = self
            .certificates
            .iter()
            .map(|c| json!({ "name": c.name, "certificate": c.certificate, "private_key": c.private_key }))
            .collect();
        let mut admin = self.admin_settings.clone();
        admin.insert("bind".into(), json!(self.admin.addr().to_string()));
        let keys: Vec<Value> = self.stickiness_keys.iter().map(|file| json!({ "file": file })).collect();
        let mut load_balancers = vec![json!({
            "name": LOAD_BALANCER,
            "type": self.kind,
            "attributes": self.attributes,
            "listeners": self.listeners.iter().map(Listener::to_value).collect::<Vec<_>>(),
        })];
        load_balancers.extend(self.others.iter().map(LoadBalancer::to_value));
        let mut file = json!({
            "certificates": certificates,
            "trust_stores": self.trust_stores,
            "load_balancers": load_balancers,
            "target_groups": self.groups.iter().map(Group::to_value).collect::<Vec<_>>(),
            "admin": admin,
            "stickiness_keys": keys,
        });
        if let (Some(traces), Value::Object(file)) = (&self.traces, &mut file) {
            file.insert("traces".into(), traces.clone());
        }
        file
    }
}

/// The action that forwards to `group`.
#[must_use]
pub fn forward(group: &str) -> Value {
    json!({ "forward": { "target_group": group } })
}

/// The action that forwards to these groups with these weights, and with a `duration` such as `1h` binds
/// clients to one of them for so long.
#[must_use]
pub fn forward_weighted(groups: &[(&str, u16)], duration: Option<&str>) -> Value {
    let groups: Vec<Value> =
        groups.iter().map(|(group, weight)| json!({ "target_group": group, "weight": weight })).collect();
    let mut action = json!({ "forward": { "target_groups": groups } });
    if let (Some(duration), Some(forward)) = (duration, action.pointer_mut("/forward")) {
        let config = json!({ "enabled": true, "duration": duration });
        if let Value::Object(forward) = forward {
            forward.insert("target_group_stickiness_config".to_owned(), config);
        }
    }
    action
}

/// A load balancer besides the first.
#[derive(Debug, Clone)]
pub struct LoadBalancer {
    /// Its name.
    pub name: String,
    /// `application` or `network`.
    pub kind: &'static str,
    /// Attributes by their dotted keys.
    pub attributes: Map<String, Value>,
    /// Its listeners.
    pub listeners: Vec<Listener>,
}

impl LoadBalancer {
    /// A load balancer with these listeners and no attributes.
    #[must_use]
    pub fn new(name: &str, kind: &'static str, listeners: Vec<Listener>) -> Self {
        Self { name: name.to_owned(), kind, attributes: Map::new(), listeners }
    }

    /// Sets an attribute.
    #[must_use]
    pub fn with_attribute(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(key.to_owned(), value.into());
        self
    }

    fn to_value(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind,
            "attributes": self.attributes,
            "listeners": self.listeners.iter().map(Listener::to_value).collect::<Vec<_>>(),
        })
    }
}

/// A listener on a held port.
#[derive(Debug, Clone)]
pub struct Listener {
    port: Arc<HeldPort>,
    value: Map<String, Value>,
}

impl Listener {
    /// An HTTP listener of 127.0.0.1 with this default action.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn http(default_action: Value) -> Result<Self> {
        Ok(Self::on(HeldPort::try_new()?, "HTTP", default_action))
    }

    /// An HTTPS listener of 127.0.0.1: the first certificate is the default, the rest are chosen by SNI.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn https(certificates: &[&str], default_action: Value) -> Result<Self> {
        let listener = Self::on(HeldPort::try_new()?, "HTTPS", default_action);
        Ok(listener.with("certificates", json!(certificates)).with("ssl_policy", SECURITY_POLICY))
    }

    /// A TCP listener of 127.0.0.1 with this default action.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn tcp(default_action: Value) -> Result<Self> {
        Ok(Self::on(HeldPort::try_new()?, "TCP", default_action))
    }

    /// A TLS listener of 127.0.0.1: the first certificate is the default, the rest are chosen by SNI.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn tls(certificates: &[&str], default_action: Value) -> Result<Self> {
        let listener = Self::on(HeldPort::try_new()?, "TLS", default_action);
        Ok(listener.with("certificates", json!(certificates)).with("ssl_policy", SECURITY_POLICY))
    }

    /// Sets an attribute of the listener, such as `tcp.idle_timeout.seconds`.
    #[must_use]
    pub fn with_attribute(mut self, key: &str, value: impl Into<Value>) -> Self {
        if let Value::Object(attributes) = self.value.entry("attributes").or_insert_with(|| json!({})) {
            attributes.insert(key.to_owned(), value.into());
        }
        self
    }

    /// A listener of `protocol` on `port`.
    #[must_use]
    pub fn on(port: HeldPort, protocol: &str, default_action: Value) -> Self {
        let mut value = Map::new();
        value.insert("protocol".into(), json!(protocol));
        value.insert("address".into(), json!(port.addr().ip()));
        value.insert("port".into(), json!(port.port()));
        value.insert("default_actions".into(), Value::Array(vec![default_action]));
        Self { port: Arc::new(port), value }
    }

    /// Sets any key of the listener, such as `ssl_policy`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.value.insert(key.to_owned(), value.into());
        self
    }

    /// Has connections begin with PROXY protocol headers: `required` or `optional`, believed from `trusted`.
    #[must_use]
    pub fn believing(self, mode: &str, trusted: &str) -> Self {
        self.with_attribute("albeit.proxy_protocol", mode)
            .with_attribute("albeit.proxy_protocol.trusted_cidrs", trusted)
    }

    /// Adds a rule with one condition and one action.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "called with json! literals")]
    pub fn with_rule(mut self, priority: u16, condition: Value, action: Value) -> Self {
        let rule = json!({ "priority": priority, "conditions": [condition], "actions": [action] });
        if let Value::Array(rules) = self.value.entry("rules").or_insert_with(|| json!([])) {
            rules.push(rule);
        }
        self
    }

    /// The same listener on another port.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn moved(&self) -> Result<Self> {
        let port = HeldPort::try_new()?;
        let moved = Self { port: Arc::new(port), value: self.value.clone() };
        let number = moved.addr().port();
        Ok(moved.with("port", number))
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    fn to_value(&self) -> Value {
        Value::Object(self.value.clone())
    }
}

/// A target group, of protocol HTTP and version HTTP1 unless a test says otherwise.
///
/// Unless a test says otherwise, checks come every 30 s and ten failures make
/// a target unhealthy, so that a busy machine does not change the routing.
#[derive(Debug, Clone)]
pub struct Group {
    name: String,
    targets: Vec<SocketAddr>,
    health_check: Map<String, Value>,
    attributes: Map<String, Value>,
    settings: Map<String, Value>,
}

impl Group {
    /// A group with these targets.
    #[must_use]
    pub fn new(name: &str, targets: &[SocketAddr]) -> Self {
        let group = Self {
            name: name.to_owned(),
            targets: targets.to_vec(),
            health_check: Map::new(),
            attributes: Map::new(),
            settings: Map::new(),
        };
        group
            .with_health("path", "/health")
            .with_health("interval", "30s")
            .with_health("timeout", "20s")
            .with_health("unhealthy_threshold", 10)
    }

    /// A group of protocol TCP with these targets, checked by connecting.
    #[must_use]
    pub fn tcp(name: &str, targets: &[SocketAddr]) -> Self {
        let group = Self::new(name, targets).without_health("path").with_health("protocol", "TCP");
        group.with("protocol", "TCP")
    }

    /// A group whose target is the listener on `port` of the application load balancer `load_balancer`.
    #[must_use]
    pub fn alb(name: &str, load_balancer: &str, port: u16) -> Self {
        let group =
            Self::new(name, &[]).with("protocol", "TCP").with("target_type", "alb").with("port", port);
        group.with("targets", json!([{ "id": load_balancer, "port": port }]))
    }

    /// Sets any key of the group, such as `target_type`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.settings.insert(key.to_owned(), value.into());
        self
    }

    /// Replaces the targets.
    #[must_use]
    pub fn with_targets(mut self, targets: &[SocketAddr]) -> Self {
        self.targets = targets.to_vec();
        self
    }

    /// Sets a health check parameter.
    #[must_use]
    pub fn with_health(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.health_check.insert(key.to_owned(), value.into());
        self
    }

    /// Sets protocol and protocol version; health checks are spoken with the same protocol.
    #[must_use]
    pub fn speaking(mut self, protocol: &str, version: &str) -> Self {
        self.settings.insert("protocol".into(), json!(protocol));
        self.settings.insert("protocol_version".into(), json!(version));
        self.with_health("protocol", protocol)
    }

    /// Removes a health check parameter, so that the default applies.
    #[must_use]
    pub fn without_health(mut self, key: &str) -> Self {
        self.health_check.remove(key);
        self
    }

    /// Sets a target group attribute.
    #[must_use]
    pub fn with_attribute(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(key.to_owned(), value.into());
        self
    }

    /// Switches `app_cookie` stickiness on, for a day.
    #[must_use]
    pub fn with_app_cookie(self, cookie_name: &str) -> Self {
        self.with_attribute("stickiness.enabled", true)
            .with_attribute("stickiness.type", "app_cookie")
            .with_attribute("stickiness.app_cookie.cookie_name", cookie_name)
    }

    /// Switches `lb_cookie` stickiness on, for a day.
    #[must_use]
    pub fn with_lb_cookie(self) -> Self {
        self.with_attribute("stickiness.enabled", true)
            .with_attribute("stickiness.type", "lb_cookie")
            .with_attribute("stickiness.lb_cookie.duration_seconds", 86400)
    }

    fn to_value(&self) -> Value {
        let targets: Vec<Value> = self
            .targets
            .iter()
            .map(|t| json!({ "id": IpAddr::to_string(&t.ip()), "port": t.port() }))
            .collect();
        let mut group = json!({
            "name": self.name,
            "protocol": "HTTP",
            "port": 80,
            "health_check": self.health_check,
            "attributes": self.attributes,
            "targets": targets,
        });
        if let Value::Object(group) = &mut group {
            group.extend(self.settings.clone());
        }
        group
    }
}
