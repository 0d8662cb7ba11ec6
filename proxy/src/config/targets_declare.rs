//! `targets_declare` of target groups: what is known of the applications on their targets.
//!
//! Not ELB's: a load balancer does not know its targets' timers, and nothing
//! that runs looks at this. `albeit doctor` compares it with the rest.

use std::{fmt, path::PathBuf, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

use super::{
    context::Context,
    path::Path,
    raw::List,
    scalar::{Number, Span, Text},
};

/// What a file says of the targets of a group; `None` and empty lists are not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetsDeclare {
    /// `application`: files that describe what runs there.
    pub application: Vec<PathBuf>,
    /// `keep_alive_timeout`: how long a target keeps a connection without a request.
    pub keep_alive_timeout: Option<Duration>,
    /// `max_request_header_size`: the longest head of a request a target takes, in bytes.
    pub max_request_header_size: Option<u64>,
    /// `max_connections`: connections that a target takes at the same time.
    pub max_connections: Option<u64>,
    /// `heartbeat_interval`: how often something is sent on long connections.
    pub heartbeat_interval: Option<Duration>,
    /// `longest_request`: the time a request may take.
    pub longest_request: Option<Duration>,
    /// `shutdown_grace`: how long a target lets requests end at SIGTERM.
    pub shutdown_grace: Option<Duration>,
    /// `stop_timeout`: time between SIGTERM and SIGKILL.
    pub stop_timeout: Option<Duration>,
    /// `tcp_keepalive`: idle time before a target sends TCP keepalive packets.
    pub tcp_keepalive: Option<Duration>,
    /// `proxy_protocol`: whether a target expects a PROXY protocol header.
    pub proxy_protocol: Option<bool>,
    /// `proxies`: idle timeouts of proxies between load balancer and application.
    pub proxies: Vec<Duration>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTargetsDeclare {
    application: Option<RawFiles>,
    keep_alive_timeout: Option<Span>,
    max_request_header_size: Option<Number>,
    max_connections: Option<Number>,
    heartbeat_interval: Option<Span>,
    longest_request: Option<Span>,
    shutdown_grace: Option<Span>,
    stop_timeout: Option<Span>,
    tcp_keepalive: Option<Span>,
    proxy_protocol: Option<bool>,
    proxies: List<Span>,
}

/// A file, or a list of files.
#[derive(Debug)]
enum RawFiles {
    One(Text),
    Many(Vec<Option<Text>>),
}

struct FilesVisitor;

impl<'de> Visitor<'de> for FilesVisitor {
    type Value = RawFiles;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file or a list of files")
    }

    fn visit_str<E: Error>(self, file: &str) -> Result<RawFiles, E> {
        Ok(RawFiles::One(Text(file.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<RawFiles, A::Error> {
        Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(RawFiles::Many)
    }
}

impl<'de> Deserialize<'de> for RawFiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FilesVisitor)
    }
}

/// Checks what is said of the targets of a group; `at` is the path of `targets_declare`.
pub(super) fn convert(raw: RawTargetsDeclare, at: &Path, cx: &mut Context<'_>) -> TargetsDeclare {
    let files_at = at.key("application");
    let application = match raw.application {
        None => Vec::new(),
        Some(RawFiles::One(file)) => cx.description(Some(file), &files_at).into_iter().collect(),
        Some(RawFiles::Many(files)) => {
            let numbered = files.into_iter().enumerate();
            numbered.filter_map(|(index, file)| cx.description(file, &files_at.index(index))).collect()
        }
    };
    let mut proxies = Vec::new();
    for (index, proxy) in raw.proxies.unwrap_or_default().into_iter().enumerate() {
        match proxy {
            Some(Span(timeout)) => proxies.push(timeout),
            None => cx.report.missing(&at.key("proxies").index(index)),
        }
    }
    let time = |span: Option<Span>| span.map(|Span(time)| time);
    let number = |number: Option<Number>| number.map(|Number(number)| number);
    TargetsDeclare {
        application,
        keep_alive_timeout: time(raw.keep_alive_timeout),
        max_request_header_size: number(raw.max_request_header_size),
        max_connections: number(raw.max_connections),
        heartbeat_interval: time(raw.heartbeat_interval),
        longest_request: time(raw.longest_request),
        shutdown_grace: time(raw.shutdown_grace),
        stop_timeout: time(raw.stop_timeout),
        tcp_keepalive: time(raw.tcp_keepalive),
        proxy_protocol: raw.proxy_protocol,
        proxies,
    }
}
