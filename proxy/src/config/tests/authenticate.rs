//! Actions that authenticate.

use std::time::Duration;

use super::{check, https_listener, load};
use crate::model::rule::{
    Action, AdditionalClaim, Authenticate, AuthenticateOidc, ClaimFormat, JwtValidation,
    OnUnauthenticatedRequest,
};

const AT: &str = "load_balancers[0].listeners[0].default_actions[0]";

const OIDC: &str = "authenticate_oidc:
  issuer: https://i.example.com
  authorization_endpoint: https://i.example.com/authorize
  token_endpoint: https://i.example.com/token
  user_info_endpoint: https://i.example.com/userinfo
  client_id: c
  client_secret: s3cret";

const JWT: &str = "jwt_validation:
  jwks_endpoint: https://i.example.com/jwks
  issuer: i";

/// An HTTPS listener that authenticates by `action` before it forwards.
fn login(action: &str) -> String {
    https_listener(&format!(
        "certificates: [main]
default_actions:
  - {}
  - forward: {{ target_group: web }}",
        action.replace('\n', "\n    ")
    ))
}

/// As [`login`], with further settings of the action.
fn login_with(action: &str, settings: &str) -> String {
    login(&format!("{action}\n  {}", settings.replace('\n', "\n  ")))
}

#[track_caller]
fn authenticate(yaml: &str) -> Authenticate {
    let model = load(yaml).unwrap_or_else(|errors| panic!("{errors}\nin\n{yaml}")).model;
    let actions = model.load_balancers[0].listeners[0].default_actions.clone();
    assert!(matches!(actions.action, Action::Forward(_)));
    actions.authenticate.unwrap()
}

#[test]
fn a_login_takes_the_defaults_of_elb() {
    let Authenticate::Oidc(action) = authenticate(&login(OIDC)) else { panic!("no login") };
    let url = |path: &str| format!("https://i.example.com{path}");
    let expected = AuthenticateOidc {
        issuer: url(""),
        authorization_endpoint: url("/authorize"),
        token_endpoint: url("/token"),
        user_info_endpoint: url("/userinfo"),
        client_id: "c".to_owned(),
        client_secret: "s3cret".to_owned(),
        session_cookie_name: "AWSELBAuthSessionCookie".to_owned(),
        scope: "openid".to_owned(),
        session_timeout: Duration::from_secs(604_800),
        authentication_request_extra_params: [].into(),
        on_unauthenticated_request: OnUnauthenticatedRequest::Authenticate,
    };
    assert_eq!(*action, expected);
    assert!(!format!("{action:?}").contains("s3cret"));
}

#[test]
fn a_login_can_be_set_up_otherwise() {
    let yaml = login_with(
        OIDC,
        "session_cookie_name: my-cookie
session_timeout: 1h
scope: openid email
authentication_request_extra_params: { prompt: login, display: page }
on_unauthenticated_request: deny",
    );
    let Authenticate::Oidc(action) = authenticate(&yaml) else { panic!("no login") };
    assert_eq!(action.session_cookie_name, "my-cookie");
    assert_eq!(action.session_timeout, Duration::from_secs(3600));
    assert_eq!(action.scope, "openid email");
    let params: Vec<(&str, &str)> =
        action.authentication_request_extra_params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(params, [("display", "page"), ("prompt", "login")]);
    assert_eq!(action.on_unauthenticated_request, OnUnauthenticatedRequest::Deny);
}

#[test]
fn mistakes_of_a_login() {
    let wrong = |settings: &str, key: &str, message: &str| {
        check(&login_with(OIDC, settings), &[&format!("{AT}.authenticate_oidc.{key}: {message}")]);
    };
    let range = "session timeout '691200' must be between '1-604800' seconds inclusive";
    wrong("session_timeout: 8d", "session_timeout", range);
    let fraction = "session timeout must be a whole number of seconds";
    wrong("session_timeout: 1500ms", "session_timeout", fraction);
    wrong("session_cookie_name: a b", "session_cookie_name", "is not the name of a cookie");
    wrong(
        "on_unauthenticated_request: ask",
        "on_unauthenticated_request",
        "on_unauthenticated_request 'ask' must be one of 'authenticate, allow, deny'",
    );
    wrong(
        "authentication_request_extra_params: { state: x }",
        "authentication_request_extra_params.state",
        "the parameter 'state' is set by the load balancer",
    );
    let params: Vec<String> = (0..11).map(|n| format!("p{n}: x")).collect();
    wrong(
        &format!("authentication_request_extra_params: {{ {} }}", params.join(", ")),
        "authentication_request_extra_params",
        "can have up to 10 parameters, not 11",
    );
    check(
        &login(&OIDC.replace("https://i.example.com/token", "http://i.example.com/token")),
        &[&format!(
            "{AT}.authenticate_oidc.token_endpoint: 'http://i.example.com/token' is not an https URL"
        )],
    );
    check(
        &login(&OIDC.replace("client_secret: s3cret", "scope: openid")),
        &[&format!("{AT}.authenticate_oidc.client_secret: is missing")],
    );
}

#[test]
fn a_token_validation_becomes_typed() {
    let yaml = login_with(
        JWT,
        "additional_claims:
  - { name: scope, format: space-separated-values, values: [read, write] }
  - { name: tenant, format: single-string, values: [a] }
  - { name: groups, format: string-array, values: [x] }",
    );
    let claim = |name: &str, format, values: &[&str]| AdditionalClaim {
        name: name.to_owned(),
        format,
        values: values.iter().map(ToString::to_string).collect(),
    };
    let expected = JwtValidation {
        jwks_endpoint: "https://i.example.com/jwks".to_owned(),
        issuer: "i".to_owned(),
        additional_claims: vec![
            claim("scope", ClaimFormat::SpaceSeparatedValues, &["read", "write"]),
            claim("tenant", ClaimFormat::SingleString, &["a"]),
            claim("groups", ClaimFormat::StringArray, &["x"]),
        ],
    };
    assert_eq!(authenticate(&yaml), Authenticate::Jwt(expected.into()));
}

#[test]
fn mistakes_of_a_token_validation() {
    let wrong = |claim: &str, key: &str, message: &str| {
        let yaml = login_with(JWT, &format!("additional_claims: [{claim}]"));
        check(&yaml, &[&format!("{AT}.jwt_validation.additional_claims[0].{key}: {message}")]);
    };
    wrong("{ name: exp, format: string-array, values: [a] }", "name", "the claim 'exp' is always checked");
    wrong(
        "{ name: a, format: text, values: [a] }",
        "format",
        "claim format 'text' must be one of 'single-string, string-array, space-separated-values'",
    );
    wrong("{ name: a, format: string-array }", "values", "is missing");
    wrong(
        "{ name: a, format: single-string, values: [a, b] }",
        "values",
        "can have up to 1 values in this format, not 2",
    );
    wrong(
        "{ name: a, format: string-array, values: [1,2,3,4,5,6,7,8,9,10,11] }",
        "values",
        "can have up to 10 values in this format, not 11",
    );
    let long = format!("{{ name: a, format: single-string, values: [{}] }}", "x".repeat(257));
    wrong(&long, "values[0]", "cannot be longer than 256 characters");
}

#[test]
fn a_rule_authenticates_once_and_never_by_a_user_pool() {
    let once = "{ jwt_validation: { jwks_endpoint: 'https://j.example.com', issuer: i } }";
    check(
        &https_listener(&format!(
            "certificates: [main]\ndefault_actions: [{once}, {once}, {{ forward: {{ target_group: web }} }}]"
        )),
        &["load_balancers[0].listeners[0].default_actions[1]: only one action of a rule can authenticate"],
    );
    let cognito = "authenticate_cognito: { user_pool_arn: a, user_pool_client_id: b, user_pool_domain: c }";
    check(
        &login(cognito),
        &[&format!(
            "{AT}.authenticate_cognito: the client secret of a user pool is only to be had from AWS: use \
             authenticate_oidc with the endpoints, client id and client secret of the pool"
        )],
    );
}
