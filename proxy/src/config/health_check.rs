//! Health checks of a target group.
//!
//! ELB pages: "Health checks for Application Load Balancer target groups",
//! "Health checks for Network Load Balancer target groups".

use std::time::Duration;

use super::{
    context::Context,
    path::Path,
    protocol::Protocol,
    raw::RawHealthCheck,
    scalar::{Number, Span, Text},
};
use crate::model::{
    HealthCheck, HealthCheckProtocol, LoadBalancerType, TargetType,
    target_group::{Matcher, ProtocolVersion},
};

/// Interval in seconds.
const INTERVAL: (u64, u64) = (5, 300);
/// Timeout in seconds.
const TIMEOUT: (u64, u64) = (2, 120);
/// Healthy and unhealthy threshold.
const THRESHOLD: (u16, u16) = (2, 10);
/// Longest path, in characters.
const LONGEST_PATH: usize = 1024;
/// The port that means each target's own.
const TRAFFIC_PORT: &str = "traffic-port";

/// What the health check's rules depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// The group's protocol, if that is valid.
    pub(super) group: Option<Protocol>,
    /// The group's protocol version.
    pub(super) version: ProtocolVersion,
    /// What kind of targets the group has.
    pub(super) target_type: TargetType,
}

impl Setting {
    /// Whether the group is a network load balancer's.
    fn is_network(self) -> bool {
        self.target_type == TargetType::Alb
            || self.group.is_some_and(|group| group.kind() == LoadBalancerType::Network)
    }
}

/// Converts the health check of a group; a group without one gets ELB's defaults.
pub(super) fn convert(
    raw: Option<RawHealthCheck>,
    setting: Setting,
    at: &Path,
    cx: &mut Context<'_>,
) -> Option<HealthCheck> {
    let raw = raw.unwrap_or_default();
    if raw.enabled == Some(false) {
        let targets = setting.target_type.as_str();
        let message = format!("health checks are always enabled for targets of type {targets}");
        cx.report.mistake(&at.key("enabled"), message);
    }
    let protocol = protocol(raw.protocol.as_ref(), setting, at, cx);
    let default = default(protocol, setting);
    let raw = if protocol == Some(Protocol::Tcp) { without_requests(raw, at, cx) } else { raw };
    let path = raw.path.map_or(Some(default.path), |path| self::path(path, at, cx));
    let port = raw.port.map_or(Some(None), |port| self::port(port, at, cx));
    let mut seconds = |raw: Option<Span>, default, key, what, range| match raw {
        Some(span) => cx.seconds(span, &at.key(key), what, range),
        None => Some(default),
    };
    let interval = seconds(raw.interval, default.interval, "interval", "Health check interval", INTERVAL);
    let timeout = seconds(raw.timeout, default.timeout, "timeout", "Health check timeout", TIMEOUT);
    if let (Some(interval), Some(timeout)) = (interval, timeout) {
        compare(interval, timeout, protocol, at, cx);
    }
    let healthy = threshold(raw.healthy_threshold, default.healthy_threshold, "healthy_threshold", at, cx);
    let unhealthy =
        threshold(raw.unhealthy_threshold, default.unhealthy_threshold, "unhealthy_threshold", at, cx);
    let matcher = match raw.matcher {
        Some(Text(text)) => matcher(&text, codes(setting), &at.key("matcher"), cx),
        None => Some(default.matcher),
    };
    Some(HealthCheck {
        path: path?,
        port: port?,
        interval: interval?,
        timeout: timeout?,
        healthy_threshold: healthy?,
        unhealthy_threshold: unhealthy?,
        matcher: matcher?,
        ..default
    })
}

fn protocol(raw: Option<&Text>, setting: Setting, at: &Path, cx: &mut Context<'_>) -> Option<Protocol> {
    const HTTP: (&str, Protocol) = ("HTTP", Protocol::Http);
    const HTTPS: (&str, Protocol) = ("HTTPS", Protocol::Https);
    const TCP: (&str, Protocol) = ("TCP", Protocol::Tcp);
    // An application load balancer is checked as its clients would: by requests.
    let may_be_tcp = setting.is_network() && setting.target_type != TargetType::Alb;
    let Some(Text(text)) = raw else {
        return Some(if may_be_tcp { Protocol::Tcp } else { Protocol::Http });
    };
    let at = at.key("protocol");
    let table: &[_] = if may_be_tcp { &[TCP, HTTP, HTTPS] } else { &[HTTP, HTTPS] };
    cx.one_of(text, &at, "Health check protocol", table)
}

/// What is for checks by requests only is refused.
fn without_requests(raw: RawHealthCheck, at: &Path, cx: &mut Context<'_>) -> RawHealthCheck {
    for (key, given) in [("path", raw.path.is_some()), ("matcher", raw.matcher.is_some())] {
        if given {
            cx.report.mistake(&at.key(key), "is not for TCP health checks");
        }
    }
    RawHealthCheck { path: None, matcher: None, ..raw }
}

/// The defaults of checks that speak `protocol`.
fn default(protocol: Option<Protocol>, setting: Setting) -> HealthCheck {
    let protocol = match protocol {
        Some(Protocol::Https) => HealthCheckProtocol::Https,
        Some(Protocol::Tcp) => HealthCheckProtocol::Tcp,
        _ => HealthCheckProtocol::Http,
    };
    if setting.is_network() {
        HealthCheck::for_network(protocol)
    } else {
        HealthCheck { protocol, ..HealthCheck::for_version(setting.version) }
    }
}

fn path(Text(path): Text, at: &Path, cx: &mut Context<'_>) -> Option<String> {
    let at = at.key("path");
    let message = if !path.starts_with('/') {
        format!("Health check path '{path}' must begin with a '/' character")
    } else if path.len() > LONGEST_PATH {
        format!("Health check path must be less than or equal to '{LONGEST_PATH}' characters long")
    } else if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        format!("Health check path '{path}' can only contain visible ASCII characters")
    } else {
        return Some(path);
    };
    cx.report.mistake(&at, message);
    None
}

/// `Some(None)` is the traffic port.
fn port(Text(text): Text, at: &Path, cx: &mut Context<'_>) -> Option<Option<u16>> {
    if text == TRAFFIC_PORT {
        return Some(None);
    }
    let port = text.parse::<u16>().ok().filter(|port| *port != 0 && port.to_string() == text);
    if port.is_none() {
        let message =
            format!("Health check port '{text}' must be '{TRAFFIC_PORT}' or in the range '1-65535'");
        cx.report.mistake(&at.key("port"), message);
    }
    port.map(Some)
}

fn compare(
    interval: Duration,
    timeout: Duration,
    protocol: Option<Protocol>,
    at: &Path,
    cx: &mut Context<'_>,
) {
    let tcp = protocol == Some(Protocol::Tcp);
    let fits = if tcp { timeout <= interval } else { timeout < interval };
    if !fits {
        let relation = if tcp { "smaller than or equal to" } else { "smaller than" };
        let (timeout, interval) = (timeout.as_secs(), interval.as_secs());
        cx.report.mistake(
            &at.key("timeout"),
            format!("Health check timeout '{timeout}' must be {relation} the interval '{interval}'"),
        );
    }
}

fn threshold(raw: Option<Number>, default: u8, key: &str, at: &Path, cx: &mut Context<'_>) -> Option<u8> {
    let Some(number) = raw else { return Some(default) };
    let what = if key == "healthy_threshold" { "Healthy threshold" } else { "Unhealthy threshold" };
    cx.in_range(number, &at.key(key), what, THRESHOLD).and_then(|count| u8::try_from(count).ok())
}

/// The codes a matcher may name.
fn codes(setting: Setting) -> (u16, u16) {
    match setting.version {
        ProtocolVersion::Grpc => (0, 99),
        _ if setting.is_network() => (200, 599),
        ProtocolVersion::Http1 | ProtocolVersion::Http2 => (200, 499),
    }
}

/// `200`, `200,202`, `200-299`, or a list of both.
fn matcher(text: &str, (min, max): (u16, u16), at: &Path, cx: &mut Context<'_>) -> Option<Matcher> {
    let code = |text: &str| -> Option<u16> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|code| digits && (min..=max).contains(code))
    };
    let range = |part: &str| -> Option<(u16, u16)> {
        let part = part.trim();
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        Some((code(low)?, code(high)?)).filter(|(low, high)| low <= high)
    };
    let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
    if ranges.is_none() {
        let examples = if min == 0 { "'0', '0,12' or '0-99'" } else { "'200', '200,202' or '200-299'" };
        cx.report.mistake(
            at,
            format!("Health check matcher '{text}' must be codes from '{min}-{max}', such as {examples}"),
        );
    }
    ranges.map(Matcher)
}
