//! Measurements of a target beside what its application declares.

use std::time::Duration;

use super::{Context, Difference, Measured};
use crate::{
    doctor::{
        finding::Severity,
        setting::{Setting, human},
        system::{Application, Heartbeat},
    },
    probe::{Ending, KeepAlive, Timing},
};

/// How far a measured size may lie from the declared one: servers count differently what a head is.
const SIZE_TOLERANCE: u64 = 10;

/// Compares, and puts what was measured in the place of what is not declared or not so.
pub(super) fn take_in(context: &Context<'_>, application: &mut Application, measured: &mut Measured) {
    keep_alive(context, application, measured);
    header_size(context, application, measured);
    web_socket(context, application, measured);
}

fn keep_alive(context: &Context<'_>, application: &mut Application, measured: &mut Measured) {
    const NAME: &str = "keep-alive timeout";
    let Ok(KeepAlive::Kept { idle, .. }) = &context.found.keep_alive else { return };
    let real = idle.in_real_time(context.scale);
    let declared = application.keep_alive_timeout.clone();
    if let Some(declared) = &declared {
        let agrees = real.agrees_with(declared.value);
        let difference = (!agrees).then(|| Difference {
            severity: Severity::Warning,
            symptom: format!(
                "idle connections live {real}, not {}: whoever relies on the declared time meets closed ones",
                human(declared.value)
            ),
            fix: format!(
                "see whether {} reaches the process, and whether a proxy in front of it has a timeout of its own",
                declared.key
            ),
        });
        measured.compare(NAME, &declared.evidence(), difference);
        if agrees {
            return;
        }
    }
    // A lower bound is not the value: rules would take it for the moment at which connections are closed.
    if let Timing::Between { shortest, .. } = real {
        let key = declared.map_or_else(|| NAME.into(), |declared| declared.key);
        application.keep_alive_timeout =
            Some(context.setting(to_milliseconds(shortest), &key, &real.to_string()));
    }
}

/// Without the fractions that mean nothing.
fn to_milliseconds(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn header_size(context: &Context<'_>, application: &mut Application, measured: &mut Measured) {
    const NAME: &str = "largest request head";
    let Ok(limits) = &context.found.header_limits else { return };
    let whole = &limits.whole;
    let accepted = u64::try_from(whole.accepted).unwrap_or(u64::MAX);
    let declared = application.max_request_header_size.clone();
    if let Some(declared) = &declared {
        let tolerance = declared.value / SIZE_TOLERANCE;
        let (least, most) =
            (declared.value.saturating_sub(tolerance), declared.value.saturating_add(tolerance));
        let agrees = accepted <= most && (accepted >= least || whole.refused.is_none());
        let difference = (!agrees).then(|| Difference {
            severity: Severity::Warning,
            symptom: format!(
                "requests with heads of more than {accepted} bytes are refused or not, other than {} says",
                declared.key
            ),
            fix: format!("see whether {} reaches the process", declared.key),
        });
        measured.compare(NAME, &declared.evidence(), difference);
        if agrees {
            return;
        }
    }
    if whole.refused.is_some() {
        let key = declared.map_or_else(|| NAME.into(), |declared| declared.key);
        application.max_request_header_size =
            Some(context.setting(accepted, &key, &format!("{accepted} bytes")));
    }
}

/// The server's pings are a heartbeat; an idle cut without a close frame is that of a proxy on the way.
fn web_socket(context: &Context<'_>, application: &mut Application, measured: &mut Measured) {
    const NAME: &str = "WebSocket without traffic";
    let Ok(found) = &context.found.web_socket else { return };
    let silent = &found.silent;
    if let Some(interval) = silent.server_ping_interval {
        let interval = Timing::once(interval).in_real_time(context.scale);
        let known = application.heartbeats.iter().find(|known| interval.agrees_with(known.interval.value));
        match known {
            Some(known) => measured.compare(NAME, &known.interval.evidence(), None),
            None => application.heartbeats.push(Heartbeat {
                what: "WebSocket ping",
                interval: context.setting(
                    to_milliseconds(interval.certain()),
                    "interval of WebSocket pings",
                    &interval.to_string(),
                ),
            }),
        }
    }
    let cut = silent.idle.in_real_time(context.scale);
    if let (Timing::Between { shortest, .. }, Some(Ending::Fin | Ending::Reset)) = (cut, &silent.ending) {
        let known = |hop: &Setting<Duration>| cut.agrees_with(hop.value);
        match application.hops.iter().find(|hop| known(hop)) {
            Some(hop) => measured.compare(NAME, &hop.evidence(), None),
            None => application.hops.push(context.setting(
                to_milliseconds(shortest),
                "idle timeout of the WebSocket",
                &cut.to_string(),
            )),
        }
    }
}
