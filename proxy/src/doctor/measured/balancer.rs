//! Measurements of a load balancer beside its attributes.

use std::time::Duration;

use super::{Context, Difference, Measured};
use crate::{
    doctor::{
        finding::Severity,
        setting::{Setting, human},
        system::{Listener, LoadBalancer, System, TargetGroup},
    },
    model::{SecurityPolicy, security_policy::Versions},
    probe::{
        KeepAlive, Timing,
        cookies::{Holding, Purpose},
        tls::TlsVersion,
    },
};

/// Compares; what a load balancer declares stays as it is, since rules need its place.
pub(super) fn compare(
    context: &Context<'_>,
    system: &System,
    load_balancer: &LoadBalancer,
    listener: Option<&Listener>,
    measured: &mut Measured,
) {
    if let Some(idle) = idle_timeout(load_balancer, listener) {
        idle_connections(context, &idle, measured);
        web_sockets(context, &idle, measured);
    }
    if let Some(listener) = listener {
        let groups = system.groups_of(listener);
        stickiness(context, &groups, measured);
        versions(context, listener, measured);
    }
}

fn idle_timeout(load_balancer: &LoadBalancer, listener: Option<&Listener>) -> Option<Setting<Duration>> {
    if load_balancer.is_application() {
        load_balancer.attributes.seconds("idle_timeout.timeout_seconds")
    } else {
        listener?.attributes.seconds("tcp.idle_timeout.seconds")
    }
}

fn differs(declared: &Setting<Duration>, real: Timing) -> Option<Difference> {
    if real.agrees_with(declared.value) {
        return None;
    }
    let shorter = real.certain() < declared.value;
    let fix = if shorter {
        "look for another hop on the way with a shorter timeout: a CDN, a proxy, a firewall, the application itself"
    } else {
        "see whether this is the load balancer that the setting belongs to, and whether the setting was applied"
    };
    Some(Difference {
        severity: Severity::Warning,
        symptom: format!("connections without traffic live {real}, not {}", human(declared.value)),
        fix: fix.to_owned(),
    })
}

fn idle_connections(context: &Context<'_>, idle: &Setting<Duration>, measured: &mut Measured) {
    if let Ok(KeepAlive::Kept { idle: found, .. }) = &context.found.keep_alive {
        let real = found.in_real_time(context.scale);
        measured.compare("keep-alive timeout", &idle.evidence(), differs(idle, real));
    }
}

fn web_sockets(context: &Context<'_>, idle: &Setting<Duration>, measured: &mut Measured) {
    let Ok(found) = &context.found.web_socket else { return };
    let real = found.silent.idle.in_real_time(context.scale);
    // The server's own traffic keeps it open: nothing can be said of the idle timeout.
    let is_quiet = found.silent.server_pings == 0 && found.silent.messages == 0;
    if is_quiet || found.silent.ending.is_some() {
        measured.compare("WebSocket without traffic", &idle.evidence(), differs(idle, real));
    }
    let Some(pinged) = &found.pinged else { return };
    let difference = pinged.ending.is_some().then(|| Difference {
        severity: Severity::Warning,
        symptom: "WebSockets are cut although the client sends pings more often than the idle timeout".to_owned(),
        fix: "look for what ends them besides: the application's own timeout, a longest lifetime, a proxy that \
              does not count pings"
            .to_owned(),
    });
    measured.compare("WebSocket with pings", &idle.evidence(), difference);
}

fn stickiness(context: &Context<'_>, groups: &[&TargetGroup], measured: &mut Measured) {
    const NAME: &str = "stickiness holds";
    let Ok(found) = &context.found.cookies else { return };
    let flag = |group: &&TargetGroup| group.attributes.flag("stickiness.enabled");
    let Some(declared) = groups.iter().find_map(flag) else { return };
    let has_cookie = found.set.iter().any(|cookie| cookie.purpose == Purpose::LoadBalancer);
    let differs = |symptom: &str, fix: &str| {
        Some(Difference { severity: Severity::Warning, symptom: symptom.to_owned(), fix: fix.to_owned() })
    };
    let difference = match (declared.value, has_cookie, &found.holding) {
        (_, true, Holding::Lost { .. }) => differs(
            "requests of one client reach several targets although it sends the cookies: sessions get lost",
            "see whether targets fail their health checks, and whether another load balancer in the chain sets \
             cookies of the same name",
        ),
        (true, false, _) => differs(
            "no cookie of the load balancer is set on this path: clients are not bound to a target",
            "see whether the rule for this path forwards to the group with stickiness; app_cookie stickiness \
             begins only when the application sets its cookie",
        ),
        _ => None,
    };
    measured.compare(NAME, &declared.evidence(), difference);
}

fn versions(context: &Context<'_>, listener: &Listener, measured: &mut Measured) {
    const NAME: &str = "TLS versions";
    let (Ok(found), Some(policy)) = (&context.found.tls, &listener.ssl_policy) else { return };
    let Some(known) = SecurityPolicy::by_name(&policy.value) else { return };
    let expected = match known.versions {
        Versions::Tls12 => vec![TlsVersion::Tls12],
        Versions::Tls12AndTls13 => vec![TlsVersion::Tls12, TlsVersion::Tls13],
        Versions::Tls13 => vec![TlsVersion::Tls13],
    };
    // Policies that have TLS 1.0 and 1.1 at AWS are served without them here.
    let accepted: Vec<TlsVersion> =
        found.accepted().filter(|version| *version >= TlsVersion::Tls12).collect();
    let difference = (accepted != expected).then(|| Difference {
        severity: Severity::Warning,
        symptom: format!("clients are offered TLS {} under {}", measured.value(NAME), policy.value),
        fix: "see whether something else ends TLS in front of this listener".to_owned(),
    });
    measured.compare(NAME, &policy.evidence(), difference);
}
