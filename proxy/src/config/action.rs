//! Actions of rules and default rules.
//!
//! ELB page: "Action types for listener rules".

use http::StatusCode;

use super::{
    authenticate,
    context::Context,
    forward,
    path::Path,
    protocol::Protocol,
    raw::{List, RawAction, RawFixedResponse},
    redirect,
    scalar::Text,
};
use crate::model::{
    Action, LoadBalancerType,
    rule::{Actions, Authenticate, FixedResponse},
    target_group::ProtocolVersion,
};

/// Longest body of a fixed response, in characters.
const LONGEST_BODY: usize = 1024;

/// The content types a fixed response may have.
const CONTENT_TYPES: &[(&str, ())] = &[
    ("text/plain", ()),
    ("text/css", ()),
    ("text/html", ()),
    ("application/javascript", ()),
    ("application/json", ()),
];

/// The listener whose actions are converted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) load_balancer: &'a str,
    pub(super) kind: LoadBalancerType,
    /// The listener's protocol, if that is valid.
    pub(super) protocol: Option<Protocol>,
    /// The listener's port, if that is valid.
    pub(super) port: Option<u16>,
}

/// Converts a list of actions.
pub(super) fn convert(
    raw: List<RawAction>,
    owner: Owner<'_>,
    at: &Path,
    cx: &mut Context<'_>,
) -> Option<Actions> {
    let Some(raw) = raw else {
        cx.report.missing(at);
        return None;
    };
    let last = raw.len().checked_sub(1);
    if last.is_none() {
        cx.report.mistake(at, "at least one action is needed");
    }
    let (mut authenticate, mut terminal) = (None, None);
    let kinds: Vec<_> = raw.iter().map(|raw| raw.as_ref().and_then(kind)).collect();
    for (index, raw) in raw.into_iter().enumerate() {
        let at = at.index(index);
        let Some(raw) = raw else {
            cx.report.missing(&at);
            continue;
        };
        match one(raw, owner, Some(index) == last, &at, cx) {
            Some(Step::Last(action)) => terminal = Some(action),
            Some(Step::Authenticate(_)) if authenticate.is_some() => {
                cx.report.mistake(&at, "only one action of a rule can authenticate");
            }
            Some(Step::Authenticate(action)) => authenticate = Some(action),
            None => {}
        }
    }
    only_forward(&kinds, terminal.as_ref(), at, cx);
    terminal.map(|action| Actions { authenticate, action })
}

/// One action of a list.
enum Step {
    Authenticate(Authenticate),
    Last(Action),
}

/// Groups of protocol version HTTP2 and GRPC take nothing but a forward action.
fn only_forward(kinds: &[Option<&'static str>], terminal: Option<&Action>, at: &Path, cx: &mut Context<'_>) {
    let versions = terminal.into_iter().flat_map(Action::target_groups).filter_map(|index| cx.version(index));
    let Some(version) = versions.into_iter().find(|version| *version != ProtocolVersion::Http1) else {
        return;
    };
    for (index, kind) in kinds.iter().enumerate() {
        if let Some(kind) = kind.filter(|kind| *kind != "forward") {
            let message = format!(
                "Action type '{}' is not supported with a target group with the protocol-version '{}'",
                kind.replace('_', "-"),
                version.as_str()
            );
            cx.report.mistake(&at.index(index).key(kind), message);
        }
    }
}

const KINDS: [&str; 6] =
    ["forward", "redirect", "fixed_response", "authenticate_oidc", "authenticate_cognito", "jwt_validation"];

/// What an action does, if it is one action.
fn kind(raw: &RawAction) -> Option<&'static str> {
    let given = [
        raw.forward.is_some(),
        raw.redirect.is_some(),
        raw.fixed_response.is_some(),
        raw.authenticate_oidc.is_some(),
        raw.authenticate_cognito.is_some(),
        raw.jwt_validation.is_some(),
    ];
    let mut kinds = KINDS.iter().zip(given).filter(|(_, given)| *given).map(|(kind, _)| *kind);
    kinds.next().filter(|_| kinds.next().is_none())
}

fn one(raw: RawAction, owner: Owner<'_>, last: bool, at: &Path, cx: &mut Context<'_>) -> Option<Step> {
    let Some(kind) = kind(&raw) else {
        if !cx.report.is_reported_within(at) {
            cx.report.mistake(at, format!("must have exactly one of {}", KINDS.join(", ")));
        }
        return None;
    };
    let at = at.key(kind);
    if owner.kind == LoadBalancerType::Network && (kind != "forward" || !last) {
        let message = if kind == "forward" {
            "listeners of network load balancers have one action"
        } else {
            "network load balancers can only forward"
        };
        cx.report.mistake(&at, message);
        return None;
    }
    let terminal = matches!(kind, "forward" | "redirect" | "fixed_response");
    if terminal != last {
        cx.report.mistake(
            &at,
            "the last action, and only the last, must be one of forward, redirect, fixed_response",
        );
    }
    if !terminal && owner.protocol.is_some_and(|protocol| protocol != Protocol::Https) {
        cx.report.mistake(&at, format!("{kind} is for HTTPS listeners only"));
    }
    if let Some(raw) = raw.forward {
        return forward::convert(raw, owner, &at, cx).map(Action::Forward).map(Step::Last);
    }
    if let Some(raw) = raw.redirect {
        return redirect::convert(raw, owner, &at, cx).map(Action::Redirect).map(Step::Last);
    }
    if let Some(raw) = raw.fixed_response {
        return fixed_response(raw, &at, cx).map(Action::FixedResponse).map(Step::Last);
    }
    if let Some(raw) = raw.authenticate_oidc {
        return authenticate::oidc(raw, &at, cx).map(Step::Authenticate);
    }
    if let Some(raw) = raw.authenticate_cognito {
        authenticate::cognito(raw, &at, cx);
    }
    raw.jwt_validation.and_then(|raw| authenticate::jwt(raw, &at, cx)).map(Step::Authenticate)
}

fn fixed_response(raw: RawFixedResponse, at: &Path, cx: &mut Context<'_>) -> Option<FixedResponse> {
    let status_at = at.key("status_code");
    let status = cx.required(raw.status_code, &status_at).and_then(|text| {
        let status = text.parse::<StatusCode>().ok();
        let status =
            status.filter(|code| code.is_success() || code.is_client_error() || code.is_server_error());
        if status.is_none() {
            cx.report.mistake(&status_at, format!("status code '{text}' must be 2XX, 4XX or 5XX"));
        }
        status
    });
    let content_type = raw.content_type.map(|Text(text)| text);
    if let Some(text) = &content_type {
        cx.one_of(text, &at.key("content_type"), "content type", CONTENT_TYPES);
    }
    let message_body = raw.message_body.map(|Text(text)| text).unwrap_or_default();
    if message_body.chars().count() > LONGEST_BODY {
        let message = format!("cannot be longer than {LONGEST_BODY} characters");
        cx.report.mistake(&at.key("message_body"), message);
    }
    Some(FixedResponse { status: status?, content_type, message_body: message_body.into() })
}
