//! Measurements as lines for people.

use std::fmt;

use super::{KeepAlive, Measurements, Tls, Unmeasured, WebSocket, header_limits::Limit, tls::Support};
use crate::time_scale::TimeScale;

/// One line of what was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What was measured.
    pub name: &'static str,
    /// The value, or why there is none.
    pub value: String,
}

impl Fact {
    fn new(name: &'static str, value: impl fmt::Display) -> Self {
        Self { name, value: value.to_string() }
    }
}

impl Measurements {
    /// What was measured, a line each, with times in real time and, at a time scale other than 1, as the
    /// clock had them. What does not apply is left out.
    #[must_use]
    pub fn facts(&self, scale: TimeScale) -> Vec<Fact> {
        let mut facts = Vec::new();
        collect(&mut facts, "keep-alive timeout", &self.keep_alive, |keep_alive| match keep_alive {
            KeepAlive::OneRequest => vec![Fact::new("keep-alive timeout", keep_alive)],
            KeepAlive::Kept { idle, .. } => {
                vec![Fact::new("keep-alive timeout", format!("{}, {keep_alive}", idle.at_scale(scale)))]
            }
        });
        collect(&mut facts, "header limits", &self.header_limits, |limits| {
            let limit = |name, limit: &Limit| Fact::new(name, limit);
            vec![
                limit("longest request line", &limits.request_line),
                limit("longest header line", &limits.header_line),
                limit("largest request head", &limits.whole),
            ]
        });
        collect(&mut facts, "half-close after a request", &self.half_close, |half_close| {
            vec![Fact::new("half-close after a request", half_close)]
        });
        collect(&mut facts, "cookies", &self.cookies, |cookies| {
            let mut facts: Vec<Fact> = cookies.set.iter().map(|cookie| Fact::new("cookie", cookie)).collect();
            if !cookies.set.is_empty() {
                facts.push(Fact::new(
                    "cookies cost",
                    format!("{} bytes a request", cookies.bytes_per_request),
                ));
            }
            facts.push(Fact::new("stickiness holds", &cookies.holding));
            facts
        });
        collect(&mut facts, "WebSocket", &self.web_socket, |found| web_socket(found, scale));
        collect(&mut facts, "TLS", &self.tls, tls);
        facts
    }
}

/// Adds the facts of one measurement, or why there are none.
fn collect<T>(
    facts: &mut Vec<Fact>,
    name: &'static str,
    measured: &Result<T, Unmeasured>,
    tell: impl FnOnce(&T) -> Vec<Fact>,
) {
    match measured {
        Ok(measured) => facts.extend(tell(measured)),
        Err(Unmeasured::NotApplicable) => {}
        Err(why) => facts.push(Fact::new(name, format!("not measured: {why}"))),
    }
}

fn web_socket(found: &WebSocket, scale: TimeScale) -> Vec<Fact> {
    let silent = format!("{}, {}", found.silent.idle.at_scale(scale), found.silent);
    let mut facts = vec![Fact::new("WebSocket without traffic", silent)];
    if let Some(pinged) = &found.pinged {
        let interval = super::Timing::once(pinged.interval).at_scale(scale);
        let value = format!("{}, a ping every {interval}: {pinged}", pinged.lived.at_scale(scale));
        facts.push(Fact::new("WebSocket with pings", value));
    }
    if !found.cookies.is_empty() {
        facts.push(Fact::new("cookies of the upgrade", found.cookies.join(", ")));
    }
    facts
}

fn tls(tls: &Tls) -> Vec<Fact> {
    let refused = tls.versions.iter().filter_map(|(version, support)| match support {
        Support::Accepted => None,
        Support::Refused(why) => Some(format!("{version} ({why})")),
    });
    let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    let mut facts = vec![
        Fact::new("TLS versions", list(tls.accepted().map(|version| version.to_string()).collect())),
        Fact::new("TLS versions refused", list(refused.collect())),
        Fact::new("application protocols (ALPN)", list(tls.alpn.clone())),
        Fact::new("certificate", &tls.certificate),
    ];
    if let Some(why) = &tls.distrust {
        facts.push(Fact::new("certificate not trusted", why));
    }
    facts
}
