//! Compose files: services with their environment, and how they are stopped.
//!
//! The Compose Specification, "Services" and "Interpolation"; what runs beside
//! applications (databases, brokers, proxies) is passed over.

mod environment;

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{Document, SourceError, command, units::go_duration};
use crate::doctor::{
    document::Node,
    setting::Setting,
    system::{Application, Shutdown, Startup, System},
};

/// Whose defaults hold.
const COMPOSE: &str = "Docker Compose";
/// Time from SIGTERM to SIGKILL.
const STOP_GRACE_PERIOD: Duration = Duration::from_secs(10);
/// Interval and timeout of health checks.
const HEALTH_CHECK: Duration = Duration::from_secs(30);
/// Failed checks in a row after which a container is unhealthy.
const RETRIES: u32 = 3;

/// Parts of the names of images whose containers are no applications behind a load balancer.
const OTHERS: [&str; 24] = [
    "redis",
    "valkey",
    "mysql",
    "mariadb",
    "postgres",
    "mongo",
    "rabbitmq",
    "activemq",
    "kafka",
    "zookeeper",
    "memcached",
    "elasticsearch",
    "opensearch",
    "prometheus",
    "grafana",
    "nginx",
    "haproxy",
    "traefik",
    "envoy",
    "caddy",
    "localstack",
    "jaeger",
    "mailhog",
    "minio",
];

/// Adds the services of a compose file.
pub(super) fn read(document: &Document<'_>, system: &mut System) -> Result<bool, SourceError> {
    let [tree] = document.trees.as_slice() else { return Ok(false) };
    let Some(services) = tree.get("services").filter(|it| it.entries().next().is_some()) else {
        return Ok(false);
    };
    let mut reader = Reader { document, system };
    for (name, service) in services.entries() {
        let application = reader.service(name, service);
        if !is_other(&application) {
            reader.system.applications.push(application);
        }
    }
    Ok(true)
}

/// Whether a service is a database, a proxy, … or our own load balancer.
fn is_other(application: &Application) -> bool {
    let image = application.image.as_ref().map_or("", |image| image.value.as_str());
    let name = image.rsplit('/').next().unwrap_or_default();
    let is_known = OTHERS.iter().any(|other| name.contains(other));
    let is_backend = command::runs(&application.command, "albeit-backend") || name.contains("backend");
    let is_ours = name.split(':').next() == Some("albeit") || command::runs(&application.command, "albeit");
    is_known || (is_ours && !is_backend)
}

struct Reader<'a, 'd> {
    document: &'a Document<'d>,
    system: &'a mut System,
}

impl Reader<'_, '_> {
    fn service(&mut self, name: &str, service: &Node) -> Application {
        let own = service.get("container_name").and_then(Node::text);
        let command =
            ["entrypoint", "command"].into_iter().flat_map(|key| self.words(service, key)).collect();
        let grace = self.text(service, &["stop_grace_period"]);
        let default = Setting::default_of(COMPOSE, STOP_GRACE_PERIOD, "stop_grace_period", "10s");
        let stop_timeout = match grace {
            Some(grace) => grace.filter_map(|text| go_duration(&text)),
            None => Some(default),
        };
        let number = |setting: Setting<String>| setting.filter_map(|text| text.parse().ok());
        let replicas = self.text(service, &["deploy", "replicas"]).or_else(|| self.text(service, &["scale"]));
        Application {
            name: own.unwrap_or(name).to_owned(),
            target_groups: self.document.tied_to.to_vec(),
            port: self.port(service),
            instances: replicas.and_then(number),
            image: self.text(service, &["image"]),
            command,
            environment: environment::read(self.document, service, &mut self.system.notes),
            shutdown: Shutdown { stop_timeout, ..Shutdown::default() },
            startup: self.startup(service),
            ..Application::default()
        }
    }

    fn startup(&self, service: &Node) -> Startup {
        let is_off = self.text(service, &["healthcheck", "disable"]).is_some_and(|it| it.value == "true");
        let of = |key: &str, default: Duration, written: &str| match self.text(service, &["healthcheck", key])
        {
            Some(given) => given.filter_map(|text| go_duration(&text)),
            None => Some(Setting::default_of(COMPOSE, default, &format!("healthcheck.{key}"), written)),
        };
        let retries = match self.text(service, &["healthcheck", "retries"]) {
            Some(given) => given.filter_map(|text| text.parse().ok()),
            None => Some(Setting::default_of(COMPOSE, RETRIES, "healthcheck.retries", "3")),
        };
        if is_off || service.get("healthcheck").is_none() {
            return Startup::default();
        }
        Startup {
            start_period: of("start_period", Duration::ZERO, "0s"),
            interval: of("interval", HEALTH_CHECK, "30s"),
            timeout: of("timeout", HEALTH_CHECK, "30s"),
            retries,
            ..Startup::default()
        }
    }

    /// The port of the container, if it has one only.
    fn port(&self, service: &Node) -> Option<Setting<u16>> {
        let published = service.get("ports").map_or(&[][..], Node::items);
        let exposed = service.get("expose").map_or(&[][..], Node::items);
        let ports: Vec<_> = published
            .iter()
            .chain(exposed)
            .filter_map(|port| {
                let setting = self.text(port, &["target"]).or_else(|| self.scalar(port, "ports"))?;
                // `127.0.0.1:8080:80/tcp`
                setting.filter_map(|text| text.rsplit(':').next()?.split('/').next()?.parse::<u16>().ok())
            })
            .collect();
        let (first, rest) = ports.split_first()?;
        rest.iter().all(|port| port.value == first.value).then(|| first.clone())
    }

    /// A command: text, or a list of words.
    fn words(&self, service: &Node, key: &str) -> Vec<Setting<String>> {
        let Some(node) = service.get(key) else { return Vec::new() };
        let items = if node.text().is_some() { std::slice::from_ref(node) } else { node.items() };
        items.iter().filter_map(|item| self.scalar(item, key)).collect()
    }

    /// The text at the end of some keys, variables replaced.
    fn text(&self, node: &Node, keys: &[&str]) -> Option<Setting<String>> {
        self.scalar(node.at(keys)?, &keys.join("."))
    }

    fn scalar(&self, node: &Node, key: &str) -> Option<Setting<String>> {
        Some(node.setting(key)?.map(|text| environment::interpolated(&text, self.document.env)))
    }
}
