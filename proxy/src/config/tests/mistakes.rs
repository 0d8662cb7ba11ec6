//! What people get wrong in the file as a whole and in listeners, and what they are told.

use super::{check, default_action, http_listener, https_listener, load, shown, target_group};

const FORWARD: &str = "forward: { target_group: web }";

#[test]
fn all_mistakes_are_shown_at_once_with_their_places() {
    insta::assert_snapshot!(shown("\
certificates:
  - name: main
    certificate: cert.pem
    private_key: gone/key.pem
load_balancers:
  - name: edge
    kind: application
    attributes:
      idle_timeout.timeout_second: 60
      client_keep_alive.seconds: 30
    listeners:
      - protocol: HTTPS
        port: ${NO_SUCH_PORT}
        certificates: [man]
        default_actions:
          - forward: { target_group: web2 }
        rules:
          - priority: many
            conditions:
              - path_pattern: [\"/a\"]
              - path_pattern: [\"/b\", {}]
            actions:
              - redirect: { status_code: 301 }
      - protocol: HTTP
        port: 70000
        port: 80
target_groups:
  - name: web
    protocol: HTTP
    health_check: { interval: 30, timeout: 5s }
    targets:
      - id: 127.0.0.1
  - name: api
    protocol: SPDY
"), @r#"
    alb.yaml:4:5: certificates[0].private_key: cannot use DIR/gone/key.pem: No such file or directory (os error 2)
    alb.yaml:7:5: load_balancers[0].kind: unknown key "kind", expected one of "name", "type", "attributes", "listeners"
    alb.yaml:9:7: load_balancers[0].attributes.idle_timeout.timeout_second: 'idle_timeout.timeout_second' is not a known attribute (did you mean 'idle_timeout.timeout_seconds'?)
    alb.yaml:10:7: load_balancers[0].attributes.client_keep_alive.seconds: 'client_keep_alive.seconds' value '30' must be between '60-604800' inclusive
    alb.yaml:13:9: load_balancers[0].listeners[0].port: the environment variable NO_SUCH_PORT is not set (write ${NO_SUCH_PORT:-value} to give a default)
    alb.yaml:14:24: load_balancers[0].listeners[0].certificates[0]: no certificate "man" (have: main)
    alb.yaml:16:24: load_balancers[0].listeners[0].default_actions[0].forward.target_group: no target group "web2" (have: web, api)
    alb.yaml:18:13: load_balancers[0].listeners[0].rules[0].priority: invalid type: string "many", expected a whole number
    alb.yaml:21:17: load_balancers[0].listeners[0].rules[0].conditions[1].path_pattern: a rule can have only one path_pattern condition
    alb.yaml:21:38: load_balancers[0].listeners[0].rules[0].conditions[1].path_pattern[1]: invalid type: a map, expected text
    alb.yaml:23:17: load_balancers[0].listeners[0].rules[0].actions[0].redirect: must change at least one of protocol, host, port and path
    alb.yaml:23:29: load_balancers[0].listeners[0].rules[0].actions[0].redirect.status_code: redirect status code '301' must be one of 'HTTP_301, HTTP_302'
    alb.yaml:24:9: load_balancers[0].listeners[1].default_actions: is missing
    alb.yaml:25:9: load_balancers[0].listeners[1].port: port '70000' must be between '1-65535' inclusive
    alb.yaml:26:9: load_balancers[0].listeners[1].port: is there twice
    alb.yaml:30:21: target_groups[0].health_check.interval: invalid type: integer `30`, expected a duration with its unit, such as 30s, 5m or 500ms
    alb.yaml:32:9: target_groups[0].targets[0].port: is missing
    alb.yaml:34:5: target_groups[1].protocol: Target group protocol 'SPDY' must be one of 'HTTP, HTTPS, TCP, TLS'
    18 errors in alb.yaml
    "#);
}

#[test]
fn broken_yaml_is_shown_where_it_breaks() {
    let texts = [
        "load_balancers:\n  - name: a\n   type: b\n",
        "a: [1\n",
        "a: *b\n",
        "a: 1\n---\nb: 2\n",
        "? [a]\n: b\n",
        "",
        "just text",
        "admin: !secret x\nload_balancers: [{}]",
    ];
    insta::assert_snapshot!(texts.map(shown).join("\n"), @r#"
    alb.yaml:3:4: invalid YAML: while parsing a block collection, did not find expected '-' indicator
    1 error in alb.yaml
    alb.yaml:2:1: invalid YAML: while parsing a flow sequence, expected ',' or ']'
    1 error in alb.yaml
    alb.yaml:1:4: invalid YAML: while parsing node, found unknown anchor
    1 error in alb.yaml
    alb.yaml:3:1: only one document is allowed
    1 error in alb.yaml
    alb.yaml:1:3: a key must be plain text
    1 error in alb.yaml
    alb.yaml: is empty
    1 error in alb.yaml
    alb.yaml:1:1: invalid type: string "just text", expected a map
    1 error in alb.yaml
    alb.yaml:1:1: admin: YAML tags are not supported
    alb.yaml:1:1: admin: invalid type: string "x", expected a map
    alb.yaml:2:18: load_balancers[0].name: is missing
    alb.yaml:2:18: load_balancers[0].listeners: is missing
    4 errors in alb.yaml
    "#);
}

#[test]
fn nesting_and_repetition_are_bounded() {
    let deep = format!("a: {}", "[".repeat(100));
    assert!(shown(&deep).contains("nested more than 64 levels deep"), "{}", shown(&deep));
    let mut bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..9 {
        let last = level - 1;
        let many = vec![format!("*a{last}"); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{many}]\n"));
    }
    assert!(shown(&bomb).contains("more than 100000 values"), "{}", shown(&bomb));
}

#[test]
fn a_hundred_mistakes_are_enough() {
    let many: String = (0..500).map(|key| format!("key{key}: 1\n")).collect();
    let shown = shown(&many);
    assert_eq!(shown.lines().count(), 102, "{shown}");
    assert!(shown.contains("more than 100 mistakes"), "{shown}");
}

#[test]
fn names() {
    let named = |name: &str| default_action(FORWARD).replace("name: edge", &format!("name: {name}"));
    let at = "load_balancers[0].name: Load balancer name";
    check(&named("a-1"), &[]);
    check(
        &named("'0123456789012345678901234567890123'"),
        &[&format!("{at} '0123456789012345678901234567890123' cannot be longer than '32' characters")],
    );
    check(&named("a_b"), &[&format!("{at} 'a_b' can only contain letters, digits and hyphens")]);
    check(&named("-a"), &[&format!("{at} '-a' cannot begin or end with a hyphen")]);
    check(&named("internal-a"), &[&format!("{at} 'internal-a' cannot begin with 'internal-'")]);
    check(&named(""), &["load_balancers[0].name: is missing"]);
    check(&named("''"), &["load_balancers[0].name: must not be empty"]);
    check(
        &target_group("protocol: HTTP")
            .replace("target_groups:\n", "target_groups:\n  - { name: web, protocol: HTTP }\n"),
        &["target_groups[1].name: the name is already in use at target_groups[0].name"],
    );
}

#[test]
fn scope_and_admin() {
    let with = |settings: &str| format!("{settings}\n{}", default_action(FORWARD));
    check(&with("account_id: 123456789012\nregion: eu-central-1"), &[]);
    check(&with("account_id: 12"), &["account_id: account id '12' must have 12 digits"]);
    check(
        &with("region: Frankfurt"),
        &["region: region 'Frankfurt' can only have lower-case letters, digits and hyphens"],
    );
    check(&with("admin: { enabled: false }"), &[]);
    check(
        &with("admin: { bind: localhost }"),
        &["admin.bind: 'localhost' is not an address with a port, such as 127.0.0.1:9901"],
    );
    check(
        &with("admin: { bind: '127.0.0.1:80' }"),
        &[
            "admin.bind: 127.0.0.1:80 is already in use: load_balancers[0].listeners[0].port listens on 0.0.0.0:80",
        ],
    );
    check(
        &with("admin: { token: '${PORT}', token_file: key.pem }"),
        &["admin.token_file: cannot be set together with token"],
    );
    check(
        &with("admin: { token: 'two words' }"),
        &["admin.token: must be visible ASCII characters without spaces"],
    );
    check(&with("admin: { token: '' }"), &["admin.token: must not be empty"]);
    check(&with("admin: { token_file: key.pem }"), &[]);
    check(&with("stickiness_keys: [{ file: sticky.key }]"), &[]);
    assert!(
        shown(&with("stickiness_keys: [{ file: gone.key }]"))
            .contains("stickiness_keys[0].file: cannot use ")
    );
}

#[test]
fn listeners() {
    let listener = "load_balancers[0].listeners[0]";
    check(&http_listener("address: '::1'\ndefault_actions: [{ forward: { target_group: web } }]"), &[]);
    check(
        &http_listener(
            "address: localhost\ncertificates: [main]\nssl_policy: x\nalpn_policy: None\ndefault_actions: [{ forward: { target_group: web } }]",
        ),
        &[
            &format!("{listener}.address: 'localhost' is not an IP address"),
            &format!("{listener}.certificates: is not for HTTP listeners"),
            &format!("{listener}.ssl_policy: is not for HTTP listeners"),
            &format!("{listener}.alpn_policy: is for TLS listeners of network load balancers only"),
        ],
    );
    check(&http_listener("rules: []"), &[&format!("{listener}.default_actions: is missing")]);
    let https = |settings: &str| https_listener(&format!("{settings}\ndefault_actions: [{{ {FORWARD} }}]"));
    check(&https("certificates: [main]"), &[]);
    check(
        &https("certificates: []"),
        &[&format!("{listener}.certificates: HTTPS listeners need at least one certificate")],
    );
    check(&https(""), &[&format!("{listener}.certificates: HTTPS listeners need at least one certificate")]);
    check(
        &https("certificates: [main, other]"),
        &[&format!("{listener}.certificates[1]: no certificate \"other\" (have: main)")],
    );
    check(
        &https("certificates: [main]").replace("-PQ-2025-09", "-PQ-2025-08"),
        &[&format!(
            "{listener}.ssl_policy: SSL policy 'ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-08' not found (did you mean 'ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09'?)"
        )],
    );
    check(
        &https("certificates: [main]\nmutual_authentication: { mode: verify }"),
        &[&format!("{listener}.mutual_authentication.trust_store: is missing")],
    );
}

#[test]
fn two_listeners_cannot_share_a_socket() {
    let two = |second: &str| {
        format!(
            "load_balancers:
  - name: edge
    listeners:
      - {{ protocol: HTTP, address: 127.0.0.1, port: 80, default_actions: [{{ {FORWARD} }}] }}
      - {{ protocol: HTTP, {second}, default_actions: [{{ {FORWARD} }}] }}
target_groups: [{{ name: web, protocol: HTTP }}]
"
        )
    };
    let at = "load_balancers[0].listeners[1].port";
    let first = "load_balancers[0].listeners[0].port listens on 127.0.0.1:80";
    check(&two("address: 127.0.0.1, port: 80"), &[&format!("{at}: 127.0.0.1:80 is already in use: {first}")]);
    check(&two("port: 80"), &[&format!("{at}: 0.0.0.0:80 is already in use: {first}")]);
    check(&two("address: 127.0.0.2, port: 80"), &[]);
    check(&two("address: '::', port: 80"), &[]);
    check(&two("address: 127.0.0.1, port: 81"), &[]);
    check(
        &two("address: 127.0.0.1, port: 0"),
        &[&format!("{at}: port '0' must be between '1-65535' inclusive")],
    );
}

#[test]
fn a_target_group_belongs_to_one_load_balancer() {
    check(
        "load_balancers:
  - { name: a, listeners: [{ protocol: HTTP, port: 80, default_actions: [{ forward: { target_group: web } }] }] }
  - { name: b, listeners: [{ protocol: HTTP, port: 81, default_actions: [{ forward: { target_group: web } }] }] }
  - { name: a, listeners: [] }
target_groups: [{ name: web, protocol: HTTP }]
",
        &[
            "load_balancers[1].listeners[0].default_actions[0].forward.target_group: target group \"web\" is already used by load balancer \"a\"",
            "load_balancers[2].name: the name is already in use at load_balancers[0].name",
        ],
    );
}

#[test]
fn an_admin_api_that_strangers_reach_without_a_token_is_warned_of() {
    let warnings = |admin: &str| -> Vec<String> {
        let warnings = load(&format!("admin: {admin}\n{}", default_action(FORWARD))).unwrap().warnings;
        let about_admin = warnings.into_iter().filter(|warning| warning.path.starts_with("admin"));
        about_admin.map(|warning| format!("{}: {}", warning.path, warning.message)).collect()
    };
    assert_eq!(
        warnings("{ bind: '0.0.0.0:9901' }"),
        ["admin.bind: 0.0.0.0:9901 is not loopback: actions are refused until token or token_file is set"]
    );
    assert_eq!(warnings("{ bind: '0.0.0.0:9901', token_file: key.pem }"), [""; 0]);
    assert_eq!(warnings("{ bind: '[::1]:9901' }"), [""; 0]);
    assert_eq!(warnings("{ token: secret }"), ["admin.token: is shorter than 16 characters"]);
}
