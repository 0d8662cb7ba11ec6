//! Every kind of condition, transform, action and target group, as the API would describe it.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Server, serving_file};
use crate::config::Source;

const FILE: &str = r#"
certificates: [{ name: main, certificate: cert.pem, private_key: key.pem }]
trust_stores: [{ name: staff, ca_certificates_bundle: cert.pem }]
load_balancers:
  - name: edge
    listeners:
      - protocol: HTTPS
        port: 443
        ssl_policy: ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09
        certificates: [main]
        mutual_authentication: { mode: verify, trust_store: staff, ignore_client_certificate_expiry: true }
        default_actions: [{ forward: { target_group: web } }]
        rules:
          - priority: 1
            conditions:
              - http_header: { name: User-Agent, regex_values: ["curl/[0-6]"] }
              - http_request_method: [POST]
            transforms:
              - url_rewrite: { regex: "^/a", replace: "/b" }
              - host_header_rewrite: { regex: "^.*$", replace: items.internal }
            actions:
              - forward:
                  target_groups:
                    - { target_group: fast, weight: 3 }
                    - { target_group: rpc, weight: 0 }
                  target_group_stickiness_config: { enabled: true, duration: 60s }
          - priority: 2
            conditions:
              - query_string: [{ key: beta, value: "yes" }, { value: "v2-*" }]
              - source_ip: [192.0.2.0/24]
            actions:
              - authenticate_oidc:
                  issuer: https://i.example.com
                  authorization_endpoint: https://i.example.com/authorize
                  token_endpoint: https://i.example.com/token
                  user_info_endpoint: https://i.example.com/userinfo
                  client_id: c
                  client_secret: s3cret
                  on_unauthenticated_request: deny
              - forward: { target_group: web }
          - priority: 3
            conditions: [{ path_pattern: { regex_values: ["^/api"] } }]
            actions:
              - jwt_validation:
                  jwks_endpoint: https://i.example.com/jwks
                  issuer: i
                  additional_claims: [{ name: scope, format: space-separated-values, values: [read] }]
              - forward: { target_group: web }
      - protocol: HTTPS
        port: 8443
        certificates: [main]
        default_actions: [{ forward: { target_group: web } }]
target_groups:
  - { name: web, protocol: HTTP }
  - { name: fast, protocol: HTTPS, protocol_version: HTTP2, port: 443, targets: [{ id: 10.0.0.1 }],
      health_check: { protocol: HTTPS, matcher: "200-299,301" } }
  - { name: rpc, protocol: HTTP, protocol_version: GRPC, port: 50051,
      health_check: { protocol: HTTP, matcher: "0-3" } }
"#;

/// With the directory of the files that are named.
async fn serving() -> (TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    for name in ["cert.pem", "key.pem"] {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    let server = serving_file(Source::from_text(FILE, dir.path(), "alb.yaml")).await;
    (dir, server)
}

/// The elements of the list of this name.
async fn list(server: &Server, path: &str, name: &str) -> Vec<Value> {
    let (status, answer) = server.read(path).await;
    assert_eq!(status, 200, "{answer}");
    answer[name].as_array().unwrap().clone()
}

async fn group_arn(server: &Server, name: &str) -> Value {
    let groups = list(server, &format!("/target-groups?Names={name}"), "TargetGroups").await;
    groups[0]["TargetGroupArn"].clone()
}

#[tokio::test]
async fn weights_stickiness_transforms_and_conditions() {
    let (_dir, server) = serving().await;
    let (fast, rpc) = (group_arn(&server, "fast").await, group_arn(&server, "rpc").await);
    let rules = list(&server, "/rules", "Rules").await;
    assert_eq!(
        rules[0]["Conditions"],
        json!([
            {
                "Field": "http-header",
                "HttpHeaderConfig": { "HttpHeaderName": "User-Agent", "RegexValues": ["curl/[0-6]"] },
            },
            { "Field": "http-request-method", "HttpRequestMethodConfig": { "Values": ["POST"] } },
        ])
    );
    assert_eq!(
        rules[0]["Transforms"],
        json!([
            {
                "Type": "host-header-rewrite",
                "HostHeaderRewriteConfig": { "Rewrites": [{ "Regex": "^.*$", "Replace": "items.internal" }] },
            },
            {
                "Type": "url-rewrite",
                "UrlRewriteConfig": { "Rewrites": [{ "Regex": "^/a", "Replace": "/b" }] },
            },
        ])
    );
    assert_eq!(
        rules[0]["Actions"],
        json!([{
            "Type": "forward",
            "Order": 1,
            "ForwardConfig": {
                "TargetGroups": [
                    { "TargetGroupArn": fast, "Weight": 3 },
                    { "TargetGroupArn": rpc, "Weight": 0 },
                ],
                "TargetGroupStickinessConfig": { "Enabled": true, "DurationSeconds": 60 },
            },
        }])
    );
    assert_eq!(
        rules[1]["Conditions"],
        json!([
            {
                "Field": "query-string",
                "QueryStringConfig": { "Values": [{ "Key": "beta", "Value": "yes" }, { "Value": "v2-*" }] },
            },
            { "Field": "source-ip", "SourceIpConfig": { "Values": ["192.0.2.0/24"] } },
        ])
    );
    assert_eq!(
        rules[2]["Conditions"],
        json!([{ "Field": "path-pattern", "PathPatternConfig": { "RegexValues": ["^/api"] } }])
    );
}

#[tokio::test]
async fn authentication_is_shown_and_its_secret_is_not() {
    let (_dir, server) = serving().await;
    let web = group_arn(&server, "web").await;
    let (_, text) = server.ask("GET", "/rules").await;
    assert!(!text.contains("s3cret"), "{text}");
    let rules = list(&server, "/rules", "Rules").await;
    assert_eq!(
        rules[1]["Actions"],
        json!([
            {
                "Type": "authenticate-oidc",
                "Order": 1,
                "AuthenticateOidcConfig": {
                    "Issuer": "https://i.example.com",
                    "AuthorizationEndpoint": "https://i.example.com/authorize",
                    "TokenEndpoint": "https://i.example.com/token",
                    "UserInfoEndpoint": "https://i.example.com/userinfo",
                    "ClientId": "c",
                    "SessionCookieName": "AWSELBAuthSessionCookie",
                    "Scope": "openid",
                    "SessionTimeout": 604_800,
                    "AuthenticationRequestExtraParams": {},
                    "OnUnauthenticatedRequest": "deny",
                },
            },
            {
                "Type": "forward",
                "Order": 2,
                "TargetGroupArn": web,
                "ForwardConfig": {
                    "TargetGroups": [{ "TargetGroupArn": web, "Weight": 1 }],
                    "TargetGroupStickinessConfig": { "Enabled": false },
                },
            },
        ])
    );
    assert_eq!(
        rules[2]["Actions"][0],
        json!({
            "Type": "jwt-validation",
            "Order": 1,
            "JwtValidationConfig": {
                "JwksEndpoint": "https://i.example.com/jwks",
                "Issuer": "i",
                "AdditionalClaims": [
                    { "Name": "scope", "Format": "space-separated-values", "Values": ["read"] },
                ],
            },
        })
    );
}

#[tokio::test]
async fn mutual_authentication_with_its_trust_store() {
    let (_dir, server) = serving().await;
    let listeners = list(&server, "/listeners", "Listeners").await;
    let store = server.state.control.in_force().model.trust_stores[0].arn.clone();
    assert_eq!(
        listeners[0]["MutualAuthentication"],
        json!({
            "Mode": "verify",
            "TrustStoreArn": store,
            "IgnoreClientCertificateExpiry": true,
            "TrustStoreAssociationStatus": "active",
            "AdvertiseTrustStoreCaNames": "off",
        })
    );
    assert_eq!(listeners[1]["MutualAuthentication"], json!({ "Mode": "off" }));
}

#[tokio::test]
async fn protocols_of_target_groups_and_their_matchers() {
    let (_dir, server) = serving().await;
    let groups = list(&server, "/target-groups", "TargetGroups").await;
    let members = ["Protocol", "ProtocolVersion", "HealthCheckProtocol", "HealthCheckPath", "Matcher"];
    let shown = |group: &Value| members.map(|member| group[member].clone());
    assert_eq!(
        shown(&groups[1]),
        [json!("HTTPS"), json!("HTTP2"), json!("HTTPS"), json!("/"), json!({ "HttpCode": "200-299,301" })]
    );
    assert_eq!(
        shown(&groups[2]),
        [
            json!("HTTP"),
            json!("GRPC"),
            json!("HTTP"),
            json!("/AWS.ALB/healthcheck"),
            json!({ "GrpcCode": "0-3" })
        ]
    );
}
