//! `targets_declare` of a target group: files about its targets, and settings that count more than theirs.

use std::{fmt::Display, time::Duration};

use super::settings::Settings;
use crate::{
    config::TargetsDeclare,
    doctor::{
        setting::{Setting, human},
        sources::{Document, SourceError, read_declared},
        system::{Application, Heartbeat, Shutdown, System},
    },
};

/// Reads the files that are declared for the group with the name and index, and adds what is said beside them.
pub(super) fn read(
    document: &Document<'_>,
    settings: &Settings<'_>,
    (index, group): (usize, &str),
    system: &mut System,
) -> Result<(), SourceError> {
    let Some(declared) = settings.loaded.targets_declare.get(&index) else { return Ok(()) };
    for path in &declared.application {
        read_declared(path, group, document.env, system)?;
    }
    let says_more =
        *declared != TargetsDeclare { application: declared.application.clone(), ..Default::default() };
    if says_more {
        system.applications.push(application(settings, index, group, declared));
    }
    Ok(())
}

fn application(settings: &Settings<'_>, index: usize, group: &str, declared: &TargetsDeclare) -> Application {
    let at = format!("target_groups[{index}]");
    let time = |key: &str, time: Option<Duration>| {
        let key = format!("targets_declare.{key}");
        time.map(|time| settings.written(human(time), &at, &key).map(|_| time))
    };
    let heartbeat = time("heartbeat_interval", declared.heartbeat_interval);
    let proxies = declared.proxies.iter().enumerate();
    Application {
        name: group.to_owned(),
        is_declaration: true,
        target_groups: vec![group.to_owned()],
        keep_alive_timeout: time("keep_alive_timeout", declared.keep_alive_timeout),
        max_request_header_size: plain(
            settings,
            &at,
            "max_request_header_size",
            declared.max_request_header_size,
        ),
        max_connections: plain(settings, &at, "max_connections", declared.max_connections),
        heartbeats: heartbeat.map(|interval| Heartbeat { what: "heartbeat", interval }).into_iter().collect(),
        longest_request: time("longest_request", declared.longest_request),
        shutdown: Shutdown {
            grace: time("shutdown_grace", declared.shutdown_grace),
            stop_timeout: time("stop_timeout", declared.stop_timeout),
            ..Shutdown::default()
        },
        tcp_keepalive: time("tcp_keepalive", declared.tcp_keepalive),
        proxy_protocol: plain(settings, &at, "proxy_protocol", declared.proxy_protocol),
        hops: proxies.filter_map(|(index, proxy)| time(&format!("proxies[{index}]"), Some(*proxy))).collect(),
        ..Application::default()
    }
}

fn plain<T: Display>(settings: &Settings<'_>, at: &str, key: &str, value: Option<T>) -> Option<Setting<T>> {
    value.map(|value| settings.written(value, at, &format!("targets_declare.{key}")))
}
