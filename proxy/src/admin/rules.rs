//! `/rules`: the members of `DescribeRules`, the listener's ARN, and how many requests the rule matched.

use serde_json::{Value, json};

use super::{
    AdminState,
    api_error::ApiError,
    control::InForce,
    listeners,
    query::{Query, present},
};
use crate::model::{
    Action, Condition, Listener, LoadBalancer, Model, Rule, arn,
    rule::{
        Actions, Authenticate, AuthenticateOidc, ClaimFormat, FixedResponse, Forward, JwtValidation,
        OnUnauthenticatedRequest, Patterns, Redirect, Rewrite, Transforms,
    },
};

/// Parameters besides those of paging.
pub(super) const PARAMETERS: &[&str] = &["ListenerArn", "RuleArns"];

/// The rules of a listener in the order they are tried, or by ARN, or all.
pub(super) fn list(state: &AdminState, in_force: &InForce, query: &Query) -> Result<Value, ApiError> {
    let model = &in_force.model;
    let (listener, arns) = (query.one("ListenerArn")?, query.all("RuleArns"));
    if let Some(arn) = listener {
        listeners::by_arn(model, arn)?;
    }
    let mut rules = Vec::new();
    for (owner, of) in listeners::all(model).filter(|(_, of)| listener.is_none_or(|arn| of.arn == arn)) {
        let hits = |priority| {
            state.metrics.rule(&owner.log_name, &of.metric_name(), priority).matched_requests.get()
        };
        rules.extend(
            of.rules.iter().map(|rule| (rule.arn.clone(), describe(model, of, rule, hits(rule.priority)))),
        );
        let arn = arn::rule(&of.arn, 0);
        rules.push((arn.clone(), describe_default(model, (owner, of), &arn, hits(0))));
    }
    if arns.iter().any(|arn| !rules.iter().any(|(known, _)| known == arn)) {
        return Err(ApiError::new("RuleNotFound", "One or more rules not found"));
    }
    let wanted = rules.into_iter().filter(|(arn, _)| arns.is_empty() || arns.contains(&arn.as_str()));
    query.page("Rules", wanted.map(|(_, rule)| rule))
}

fn describe(model: &Model, listener: &Listener, rule: &Rule, hits: u64) -> Value {
    json!({
        "RuleArn": rule.arn,
        "ListenerArn": listener.arn,
        "Priority": rule.priority.to_string(),
        "Conditions": rule.conditions.iter().map(condition).collect::<Vec<_>>(),
        "Transforms": transforms(&rule.transforms),
        "Actions": actions(model, &rule.actions),
        "IsDefault": false,
        "MatchedRequestCount": hits,
    })
}

fn describe_default(model: &Model, (_, listener): (&LoadBalancer, &Listener), arn: &str, hits: u64) -> Value {
    json!({
        "RuleArn": arn,
        "ListenerArn": listener.arn,
        "Priority": "default",
        "Conditions": [],
        "Transforms": [],
        "Actions": actions(model, &listener.default_actions),
        "IsDefault": true,
        "MatchedRequestCount": hits,
    })
}

fn condition(condition: &Condition) -> Value {
    let config = |patterns: &Patterns| match patterns {
        Patterns::Wildcards(values) => json!({ "Values": values }),
        Patterns::Regex(values) => json!({ "RegexValues": values }),
    };
    match condition {
        Condition::HostHeader(patterns) => {
            json!({ "Field": "host-header", "HostHeaderConfig": config(patterns) })
        }
        Condition::PathPattern(patterns) => {
            json!({ "Field": "path-pattern", "PathPatternConfig": config(patterns) })
        }
        Condition::HttpHeader { name, patterns } => {
            let config = with(config(patterns), "HttpHeaderName", json!(name));
            json!({ "Field": "http-header", "HttpHeaderConfig": config })
        }
        Condition::HttpRequestMethod(values) => {
            json!({ "Field": "http-request-method", "HttpRequestMethodConfig": { "Values": values } })
        }
        Condition::QueryString(values) => {
            let values: Vec<_> = values
                .iter()
                .map(|pattern| match &pattern.key {
                    Some(key) => json!({ "Key": key, "Value": pattern.value }),
                    None => json!({ "Value": pattern.value }),
                })
                .collect();
            json!({ "Field": "query-string", "QueryStringConfig": { "Values": values } })
        }
        Condition::SourceIp(values) => {
            let values: Vec<_> = values.iter().map(ToString::to_string).collect();
            json!({ "Field": "source-ip", "SourceIpConfig": { "Values": values } })
        }
    }
}

fn transforms(transforms: &Transforms) -> Vec<Value> {
    let rewrites =
        |rewrite: &Rewrite| json!({ "Rewrites": [{ "Regex": rewrite.regex, "Replace": rewrite.replace }] });
    let host = transforms.host_header_rewrite.as_ref();
    let url = transforms.url_rewrite.as_ref();
    let host =
        host.map(|it| json!({ "Type": "host-header-rewrite", "HostHeaderRewriteConfig": rewrites(it) }));
    let url = url.map(|it| json!({ "Type": "url-rewrite", "UrlRewriteConfig": rewrites(it) }));
    host.into_iter().chain(url).collect()
}

/// The actions of a rule or a listener, in their order. Secrets are not among what is told.
pub(super) fn actions(model: &Model, actions: &Actions) -> Vec<Value> {
    let authenticate = actions.authenticate.as_ref().map(|authenticate| match authenticate {
        Authenticate::Oidc(config) => {
            json!({ "Type": "authenticate-oidc", "AuthenticateOidcConfig": oidc(config) })
        }
        Authenticate::Jwt(config) => {
            json!({ "Type": "jwt-validation", "JwtValidationConfig": jwt(config) })
        }
    });
    let mut all: Vec<Value> = authenticate.into_iter().collect();
    all.push(match &actions.action {
        Action::Forward(config) => forward(model, config),
        Action::Redirect(config) => json!({ "Type": "redirect", "RedirectConfig": redirect(config) }),
        Action::FixedResponse(config) => {
            json!({ "Type": "fixed-response", "FixedResponseConfig": fixed_response(config) })
        }
    });
    (1..).zip(all).map(|(order, action)| with(action, "Order", json!(order))).collect()
}

fn forward(model: &Model, config: &Forward) -> Value {
    let arn = |index| model.target_group(index).map(|group| group.arn.as_str());
    let groups: Vec<_> = config
        .target_groups
        .iter()
        .map(|group| json!({ "TargetGroupArn": arn(group.target_group), "Weight": group.weight }))
        .collect();
    let stickiness = match config.stickiness {
        // Of a network load balancer, which knows no duration.
        Some(std::time::Duration::MAX) => json!({ "Enabled": true }),
        Some(duration) => json!({ "Enabled": true, "DurationSeconds": duration.as_secs() }),
        None => json!({ "Enabled": false }),
    };
    // As in the API, a single group is named twice.
    let only = match config.target_groups.as_slice() {
        [only] => arn(only.target_group),
        _ => None,
    };
    present(json!({
        "Type": "forward",
        "TargetGroupArn": only,
        "ForwardConfig": { "TargetGroups": groups, "TargetGroupStickinessConfig": stickiness },
    }))
}

/// An object with one more member.
fn with(mut object: Value, member: &str, value: Value) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.insert(member.to_owned(), value);
    }
    object
}

fn redirect(config: &Redirect) -> Value {
    json!({
        "Protocol": config.protocol,
        "Host": config.host,
        "Port": config.port,
        "Path": config.path,
        "Query": config.query,
        "StatusCode": format!("HTTP_{}", config.status.as_u16()),
    })
}

fn fixed_response(config: &FixedResponse) -> Value {
    present(json!({
        "StatusCode": config.status.as_u16().to_string(),
        "ContentType": config.content_type,
        "MessageBody": String::from_utf8_lossy(&config.message_body),
    }))
}

fn oidc(config: &AuthenticateOidc) -> Value {
    json!({
        "Issuer": config.issuer,
        "AuthorizationEndpoint": config.authorization_endpoint,
        "TokenEndpoint": config.token_endpoint,
        "UserInfoEndpoint": config.user_info_endpoint,
        "ClientId": config.client_id,
        "SessionCookieName": config.session_cookie_name,
        "Scope": config.scope,
        "SessionTimeout": config.session_timeout.as_secs(),
        "AuthenticationRequestExtraParams": config.authentication_request_extra_params,
        "OnUnauthenticatedRequest": match config.on_unauthenticated_request {
            OnUnauthenticatedRequest::Authenticate => "authenticate",
            OnUnauthenticatedRequest::Allow => "allow",
            OnUnauthenticatedRequest::Deny => "deny",
        },
    })
}

fn jwt(config: &JwtValidation) -> Value {
    let claims: Vec<_> = config
        .additional_claims
        .iter()
        .map(|claim| {
            let format = match claim.format {
                ClaimFormat::SingleString => "single-string",
                ClaimFormat::StringArray => "string-array",
                ClaimFormat::SpaceSeparatedValues => "space-separated-values",
            };
            json!({ "Name": claim.name, "Format": format, "Values": claim.values })
        })
        .collect();
    json!({ "JwksEndpoint": config.jwks_endpoint, "Issuer": config.issuer, "AdditionalClaims": claims })
}
