//! `mutual_authentication` of a listener.
//!
//! ELB page: "Mutual authentication with TLS in Application Load Balancer".

use super::{context::Context, path::Path, protocol::Protocol, raw::RawMutualAuthentication, scalar::Text};
use crate::model::{
    Listener,
    listener::{ListenerTls, MutualAuthentication},
};

/// Listeners of a load balancer that verify.
const MOST_VERIFYING_LISTENERS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Off,
    Passthrough,
    Verify,
}

/// Converts the settings into `tls`, which a listener without TLS does not have.
pub(super) fn convert(
    raw: RawMutualAuthentication,
    protocol: Option<Protocol>,
    tls: Option<&mut ListenerTls>,
    at: &Path,
    cx: &mut Context<'_>,
) {
    const MODES: &[(&str, Mode)] =
        &[("off", Mode::Off), ("passthrough", Mode::Passthrough), ("verify", Mode::Verify)];
    const ON_OFF: &[(&str, bool)] = &[("on", true), ("off", false)];
    if protocol == Some(Protocol::Tls) {
        cx.report.mistake(at, "Network Load Balancers do not support mutual TLS; use a TCP listener");
        return;
    }
    let mode_at = at.key("mode");
    let mode = cx.required(raw.mode, &mode_at).and_then(|text| cx.one_of(&text, &mode_at, "mode", MODES));
    let is_for_verify = raw.trust_store.is_some()
        || raw.ignore_client_certificate_expiry.is_some()
        || raw.advertise_trust_store_ca_names.is_some();
    let names_trust_store = raw.trust_store.is_some();
    let trust_store = raw.trust_store.and_then(|Text(name)| cx.trust_store(&name, &at.key("trust_store")));
    let advertise = raw.advertise_trust_store_ca_names.and_then(|Text(text)| {
        let at = at.key("advertise_trust_store_ca_names");
        cx.one_of(&text, &at, "advertise_trust_store_ca_names", ON_OFF)
    });
    match mode {
        Some(Mode::Verify) if !names_trust_store => cx.report.missing(&at.key("trust_store")),
        Some(Mode::Off | Mode::Passthrough) if is_for_verify => {
            cx.report.mistake(at, "settings of the trust store are for the mode verify only");
        }
        _ => {}
    }
    if protocol.is_some_and(|protocol| protocol != Protocol::Https) {
        cx.report.mistake(at, "is for HTTPS listeners only");
    }
    let Some(tls) = tls else { return };
    tls.mutual_authentication = match (mode, trust_store) {
        (Some(Mode::Passthrough), _) => MutualAuthentication::Passthrough,
        (Some(Mode::Verify), Some(trust_store)) => MutualAuthentication::Verify {
            trust_store,
            ignore_client_certificate_expiry: raw.ignore_client_certificate_expiry.unwrap_or(false),
            advertise_trust_store_ca_names: advertise.unwrap_or(false),
        },
        _ => MutualAuthentication::Off,
    };
}

/// Reports a load balancer with too many listeners that verify.
pub(super) fn check_count(listeners: &[Listener], at: &Path, cx: &mut Context<'_>) {
    let verifies = |listener: &&Listener| {
        let tls = listener.tls.as_ref();
        tls.is_some_and(|tls| matches!(tls.mutual_authentication, MutualAuthentication::Verify { .. }))
    };
    let count = listeners.iter().filter(verifies).count();
    if count > MOST_VERIFYING_LISTENERS {
        let message = format!(
            "a load balancer can have up to {MOST_VERIFYING_LISTENERS} listeners with mutual TLS in verify mode, not {count}"
        );
        cx.report.mistake(at, message);
    }
}
