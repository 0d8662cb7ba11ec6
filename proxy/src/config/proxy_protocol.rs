//! `albeit.proxy_protocol` of listeners, and whose headers are believed.

use super::{context::Context, path::Path};
use crate::model::attributes::AttributeValues;

const MODE: &str = "albeit.proxy_protocol";
const TRUSTED: &str = "albeit.proxy_protocol.trusted_cidrs";

/// Checks that mode and trusted addresses go together; `at` is the attributes'.
pub(super) fn check(values: &AttributeValues, at: &Path, cx: &mut Context<'_>) {
    let (mode, trusted) = (values.text(MODE), values.text(TRUSTED));
    let trusted_at = at.key(TRUSTED);
    match (mode, trusted.trim().is_empty()) {
        ("off", false) => cx.report.warn(&trusted_at, format!("has no effect: '{MODE}' is 'off'")),
        ("optional" | "required", true) if !cx.report.is_reported(&trusted_at) => {
            let message = format!(
                "'{mode}' needs '{TRUSTED}': the subnets of the load balancer in front, such as '10.0.0.0/16'"
            );
            cx.report.mistake(&at.key(MODE), message);
        }
        _ => {}
    }
}
