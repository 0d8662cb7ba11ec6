//! Servers of Python: Gunicorn, Uvicorn, Hypercorn, by their command lines.
//!
//! Gunicorn, "Settings: keepalive, `graceful_timeout`, timeout"; Uvicorn,
//! "Settings: Timeouts, WebSocket"; Hypercorn, "Configuring". Files that they
//! may read besides are not known here.

use std::time::Duration;

use super::{
    command, fill,
    units::{Unit, spring_duration},
};
use crate::doctor::{
    setting::Setting,
    system::{Application, Heartbeat},
};

/// A server and its flags.
struct Server {
    name: &'static str,
    program: &'static str,
    /// The variable in which it finds further flags.
    variable: &'static str,
    keep_alive: (&'static [&'static str], u64),
    graceful: (&'static [&'static str], Option<u64>),
    timeout: (&'static [&'static str], Option<u64>),
}

/// The first that a command line names serves; Gunicorn may run Uvicorn's workers, with its own keep-alive.
const SERVERS: [Server; 3] = [
    Server {
        name: "Gunicorn",
        program: "gunicorn",
        variable: "GUNICORN_CMD_ARGS",
        keep_alive: (&["--keep-alive"], 2),
        graceful: (&["--graceful-timeout"], Some(30)),
        timeout: (&["--timeout", "-t"], Some(30)),
    },
    Server {
        name: "Uvicorn",
        program: "uvicorn",
        variable: "UVICORN_CMD_ARGS",
        keep_alive: (&["--timeout-keep-alive"], 5),
        graceful: (&["--timeout-graceful-shutdown"], None),
        timeout: (&[], None),
    },
    Server {
        name: "Hypercorn",
        program: "hypercorn",
        variable: "HYPERCORN_CMD_ARGS",
        keep_alive: (&["--keep-alive"], 5),
        graceful: (&["--graceful-timeout"], Some(3)),
        timeout: (&[], None),
    },
];

/// Uvicorn's time between WebSocket pings.
const WS_PING_INTERVAL: u64 = 20;

/// Fills in what the command line of a server of Python says, and its defaults.
pub(super) fn interpret(application: &mut Application) {
    let Some(server) = SERVERS.iter().find(|server| command::runs(&application.command, server.program))
    else {
        return;
    };
    let more = application.environment.get(server.variable).cloned();
    let arguments: Vec<_> = more.into_iter().chain(application.command.iter().cloned()).collect();
    let seconds = |(names, default): (&[&str], Option<u64>)| match command::flag(&arguments, names) {
        Some(given) => given.filter_map(|text| spring_duration(&text, Unit::Seconds)),
        None => default.zip(names.first()).map(|(default, name)| {
            Setting::default_of(server.name, Duration::from_secs(default), name, &default.to_string())
        }),
    };
    let (names, default) = server.keep_alive;
    if server.program != "gunicorn" || keeps_connections(&arguments) {
        fill(&mut application.keep_alive_timeout, seconds((names, Some(default))));
    }
    fill(&mut application.shutdown.grace, seconds(server.graceful));
    fill(&mut application.longest_request, seconds(server.timeout));
    if server.program == "uvicorn" {
        let interval = seconds((&["--ws-ping-interval"], Some(WS_PING_INTERVAL)));
        application
            .heartbeats
            .extend(interval.map(|interval| Heartbeat { what: "WebSocket ping", interval }));
    }
    let bind = command::flag(&arguments, &["--bind", "-b", "--port"]);
    let port = bind.and_then(|it| it.filter_map(|text| text.rsplit(':').next()?.parse().ok()));
    fill(&mut application.port, port);
}

/// Whether Gunicorn's workers keep connections: those of the class `sync`, its default, close each after its answer and
/// ignore `--keep-alive`; with threads the class is `gthread`.
fn keeps_connections(arguments: &[Setting<String>]) -> bool {
    let class = command::flag(arguments, &["--worker-class", "-k"]);
    let threads = command::flag(arguments, &["--threads"]);
    class.is_some_and(|class| class.value != "sync")
        || threads.and_then(|it| it.value.parse::<u32>().ok()).is_some_and(|threads| threads > 1)
}
