//! The status for people.

use anstyle::Style;

use super::{
    super::table::{BAD, Cell, DIM, GOOD, PLAIN, STRONG, Table, WARNING, span},
    Certificate, Health, LoadBalancer, Status, TargetGroup,
};
use crate::doctor::report::visible;

/// All of it. Styles are always written.
pub(super) fn text(status: &Status) -> String {
    let mut text = String::new();
    let style = colour(status.health);
    let version = status.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let uptime = status.uptime_seconds.and_then(|seconds| u32::try_from(seconds).ok());
    let uptime = uptime.map(|seconds| format!(", up {}", span(f64::from(seconds)))).unwrap_or_default();
    let head = visible(&format!("albeit{version} at {}: {}{uptime}", status.address, status.phase));
    text.push_str(&format!("{STRONG}{head}{STRONG:#}, {style}{}{style:#}\n", word(status.health)));
    for problem in &status.problems {
        text.push_str(&format!("  {style}!{style:#} {}\n", visible(problem)));
    }
    text.push('\n');
    text.push_str(&load_balancers(&status.load_balancers));
    text.push('\n');
    text.push_str(&target_groups(&status.target_groups));
    if !status.certificates.is_empty() {
        text.push('\n');
        text.push_str(&certificates(&status.certificates));
    }
    text.push('\n');
    if let Some(findings) = &status.findings {
        let counts: Vec<_> = findings
            .iter()
            .map(|(severity, count)| format!("{count} {severity}{}", if *count == 1 { "" } else { "s" }))
            .collect();
        let counts = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
        text.push_str(&format!("findings: {} {DIM}(GET /findings){DIM:#}\n", visible(&counts)));
    }
    if status.overrides > 0 {
        text.push_str(&format!(
            "{WARNING}overrides: {} not as the file says{WARNING:#} {DIM}(GET /overrides){DIM:#}\n",
            status.overrides
        ));
    }
    text.trim_end().to_owned() + "\n"
}

fn load_balancers(all: &[LoadBalancer]) -> String {
    let mut table = Table::new(["LOAD BALANCER", "TYPE", "LISTENERS", "CONNECTIONS", "WEBSOCKETS"]);
    let number = |number: Option<u64>| Cell::from(number.map_or_else(|| "-".to_owned(), |it| it.to_string()));
    for load_balancer in all {
        let listeners = load_balancer.listeners.iter().map(|listener| {
            let address = if listener.address.contains(':') {
                format!("[{}]", listener.address)
            } else {
                listener.address.clone()
            };
            format!("{} {address}:{}", listener.protocol, listener.port)
        });
        table.push([
            Cell::new(&load_balancer.load_balancer_name, STRONG),
            Cell::from(&load_balancer.kind),
            Cell::from(listeners.collect::<Vec<_>>().join(", ")),
            number(load_balancer.active_flow_count.or(load_balancer.active_connection_count)),
            number(load_balancer.open_web_sockets),
        ]);
    }
    table.render()
}

fn target_groups(groups: &[TargetGroup]) -> String {
    let mut table = Table::new(["TARGET GROUP", "TARGET", "STATE", "IN FLIGHT", "WHY"]);
    for group in groups {
        let unused = if group.in_use { "" } else { " (not in use)" };
        let mut name = Cell::new(format!("{}{unused}", group.target_group_name), STRONG);
        if group.targets.is_empty() {
            table.push([
                name,
                Cell::new("no targets", colour(group.health)),
                "".into(),
                "".into(),
                "".into(),
            ]);
            continue;
        }
        for target in &group.targets {
            let why = [&target.administrative_override, &target.reason, &target.description];
            let why: Vec<&str> = why.into_iter().flatten().map(String::as_str).collect();
            table.push([
                name,
                Cell::from(&target.id),
                Cell::new(&target.state, state(&target.state)),
                Cell::from(target.outstanding_requests),
                Cell::from(why.join(": ")),
            ]);
            name = Cell::from("");
        }
    }
    table.render()
}

fn certificates(all: &[Certificate]) -> String {
    let mut table = Table::new(["CERTIFICATE", "EXPIRES", "IN"]);
    for certificate in all {
        let style = certificate.problem().map_or(PLAIN, |(health, _)| colour(health));
        let left = certificate.days_left.map_or_else(|| "-".to_owned(), |days| format!("{days} days"));
        table.push([
            Cell::new(&certificate.name, STRONG),
            Cell::from(certificate.not_after.as_deref().unwrap_or("-")),
            Cell::new(left, style),
        ]);
    }
    table.render()
}

const fn word(health: Health) -> &'static str {
    match health {
        Health::Ok => "ok",
        Health::Warning => "needs a look",
        Health::Error => "broken",
    }
}

const fn colour(health: Health) -> Style {
    match health {
        Health::Ok => GOOD,
        Health::Warning => WARNING,
        Health::Error => BAD,
    }
}

fn state(state: &str) -> Style {
    match state {
        "healthy" => GOOD,
        "unhealthy" => BAD,
        "initial" | "draining" => WARNING,
        _ => DIM,
    }
}
