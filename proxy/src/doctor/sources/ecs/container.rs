//! `ContainerDefinition`: one container of a task.

use std::{collections::BTreeMap, time::Duration};

use super::{super::aws::item::Item, ECS};
use crate::doctor::{
    setting::Setting,
    system::{Application, Shutdown, Startup},
};

/// `stopTimeout` where nobody set it.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest `stopTimeout` on Fargate.
const LONGEST_ON_FARGATE: Duration = Duration::from_secs(120);

/// The containers that clients may reach: those with a port, or the only one.
pub(super) fn reachable(containers: &[Item<'_>], on_fargate: bool) -> Vec<Application> {
    let alone = containers.len() == 1;
    let applications = containers.iter().filter_map(|described| application(described, on_fargate));
    applications.filter(|application| alone || application.port.is_some()).collect()
}

fn application(described: &Item<'_>, on_fargate: bool) -> Option<Application> {
    let mut command = described.texts("entryPoint");
    command.extend(described.texts("command"));
    Some(Application {
        name: described.text("name")?.value,
        image: described.text("image"),
        command,
        environment: environment(described),
        port: described.get("portMappings").and_then(|mapping| mapping.value("containerPort")),
        shutdown: Shutdown { stop_timeout: stop_timeout(described, on_fargate), ..Shutdown::default() },
        startup: startup(described),
        tcp_keepalive: tcp_keepalive(described),
        ..Application::default()
    })
}

/// Variables by name; of a secret only where it comes from is known.
fn environment(described: &Item<'_>) -> BTreeMap<String, Setting<String>> {
    let variables = described.all("environment").into_iter().map(|variable| (variable, "value"));
    let secrets = described.all("secrets").into_iter().map(|secret| (secret, "valueFrom"));
    variables
        .chain(secrets)
        .filter_map(|(variable, member)| {
            let name = variable.text("name")?.value;
            let value = variable.node().get(member)?.setting(&name)?;
            Some((name, value))
        })
        .collect()
}

fn stop_timeout(described: &Item<'_>, on_fargate: bool) -> Option<Setting<Duration>> {
    let Some(written) = described.text("stopTimeout") else {
        let key = described.key("stopTimeout");
        return Some(Setting::default_of(ECS, STOP_TIMEOUT, &key, &STOP_TIMEOUT.as_secs().to_string()));
    };
    let stop_timeout = written.filter_map(|text| text.parse().ok().map(Duration::from_secs))?;
    Some(stop_timeout.map(|time| if on_fargate { time.min(LONGEST_ON_FARGATE) } else { time }))
}

/// The container's health check with ECS's defaults, if it has one.
fn startup(described: &Item<'_>) -> Startup {
    let Some(check) = described.get("healthCheck") else { return Startup::default() };
    let seconds = |member, default: u64| match check.text(member) {
        Some(written) => written.filter_map(|text| text.parse().ok().map(Duration::from_secs)),
        None => Some(Setting::default_of(
            ECS,
            Duration::from_secs(default),
            &check.key(member),
            &default.to_string(),
        )),
    };
    Startup {
        start_period: seconds("startPeriod", 0),
        interval: seconds("interval", 30),
        timeout: seconds("timeout", 5),
        retries: match check.text("retries") {
            Some(written) => written.filter_map(|text| text.parse().ok()),
            None => Some(Setting::default_of(ECS, 3, &check.key("retries"), "3")),
        },
        ..Startup::default()
    }
}

/// What the task sets of the kernel: when the first keepalive packet is due on a connection that asks for them.
fn tcp_keepalive(described: &Item<'_>) -> Option<Setting<Duration>> {
    const NAMESPACE: &str = "net.ipv4.tcp_keepalive_time";
    let controls = described.all("systemControls");
    let control = controls
        .iter()
        .find(|control| control.text("namespace").is_some_and(|name| name.value == NAMESPACE))?;
    let written = control.node().get("value")?.setting(NAMESPACE)?;
    written.filter_map(|text| text.parse().ok().map(Duration::from_secs))
}
