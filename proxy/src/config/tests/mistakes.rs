//! What people get wrong, and what they are told.

use super::{
    check, conditions, default_action, http_listener, https_listener, load_balancer_attributes, shown,
    target_group,
};

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
    alb.yaml:34:5: target_groups[1].protocol: Target group protocol 'SPDY' must be one of 'HTTP, HTTPS, TCP, TLS, UDP, TCP_UDP, QUIC, TCP_QUIC'
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
        &[
            &format!("{listener}.mutual_authentication.trust_store: is missing"),
            &format!("{listener}.mutual_authentication: not supported yet: mutual TLS"),
        ],
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
fn rules() {
    let at = "load_balancers[0].listeners[0].rules";
    let rule =
        |settings: &str| http_listener(&format!("default_actions: [{{ {FORWARD} }}]\nrules:\n{settings}"));
    let whole = |priority: &str| {
        format!(
            "  - {{ priority: {priority}, conditions: [{{ path_pattern: [/a] }}], actions: [{{ {FORWARD} }}] }}\n"
        )
    };
    check(&rule(&(whole("1") + &whole("50000"))), &[]);
    check(
        &rule(&whole("0")),
        &[&format!("{at}[0].priority: priority '0' must be between '1-50000' inclusive")],
    );
    check(
        &rule(&whole("50001")),
        &[&format!("{at}[0].priority: priority '50001' must be between '1-50000' inclusive")],
    );
    check(
        &rule(&(whole("7") + &whole("7"))),
        &[&format!("{at}[1].priority: priority 7 is already in use by rules[0]")],
    );
    check(
        &rule("  - {}"),
        &[
            &format!("{at}[0].priority: is missing"),
            &format!("{at}[0].conditions: is missing"),
            &format!("{at}[0].actions: is missing"),
        ],
    );
}

#[test]
fn condition_limits() {
    let at = "load_balancers[0].listeners[0].rules[0].conditions";
    let good = ["[{ path_pattern: ['/a-z_$.~\"@:+&*?'] }]", "[{ host_header: ['*.example.com', 'a?.b.*'] }]"];
    for good in good {
        check(&conditions(good), &[]);
    }
    let long = "a".repeat(129);
    for (bad, expected) in [
        ("[]".to_owned(), ": a rule needs at least one condition".to_owned()),
        ("[{ path_pattern: [] }]".to_owned(), "[0].path_pattern: a condition needs at least one value".to_owned()),
        ("[{ path_pattern: [/a, /b, /c, /d] }]".to_owned(), "[0].path_pattern: a condition can have up to 3 values, not 4".to_owned()),
        ("[{ path_pattern: [/a, /b, /c] }, { host_header: [a.b, a.c, a.d] }]".to_owned(), ": a rule can have up to 5 condition values, not 6".to_owned()),
        ("[{ path_pattern: ['*******'] }]".to_owned(), ": a rule can have up to 6 wildcards, not 7".to_owned()),
        ("[{ path_pattern: [/a] }, { path_pattern: [/b] }]".to_owned(), "[1].path_pattern: a rule can have only one path_pattern condition".to_owned()),
        ("[{ path_pattern: [/a], host_header: [a.b] }]".to_owned(), "[0]: must have exactly one of host_header, path_pattern, http_header, http_request_method, query_string, source_ip".to_owned()),
        (format!("[{{ path_pattern: [{long}] }}]"), format!("[0].path_pattern[0]: Condition value '{long}' cannot be longer than 128 characters")),
        ("[{ path_pattern: ['/a b'] }]".to_owned(), "[0].path_pattern[0]: Condition value '/a b' can only contain letters, digits and _-.$/~\"'@:+&*?".to_owned()),
        ("[{ host_header: [localhost] }]".to_owned(), "[0].host_header[0]: Condition value 'localhost' must have at least one '.'".to_owned()),
        ("[{ host_header: [a.b1] }]".to_owned(), "[0].host_header[0]: Condition value 'a.b1' can only have letters after the last '.'".to_owned()),
        ("[{ host_header: [a_b.c] }]".to_owned(), "[0].host_header[0]: Condition value 'a_b.c' can only contain letters, digits and '-.*?'".to_owned()),
    ] {
        check(&conditions(&bad), &[&format!("{at}{expected}")]);
    }
}

#[test]
fn conditions_of_later_versions_are_checked_too() {
    let at = "load_balancers[0].listeners[0].rules[0].conditions[0]";
    let later = |kind: &str| format!("{at}.{kind}: not supported yet: the condition {kind}");
    check(
        &conditions("[{ source_ip: [10.0.0.1] }]"),
        &[
            &later("source_ip"),
            &format!("{at}.source_ip[0]: Condition value '10.0.0.1' must be an address range in CIDR form"),
        ],
    );
    check(
        &conditions("[{ http_request_method: [get] }]"),
        &[
            &later("http_request_method"),
            &format!(
                "{at}.http_request_method[0]: Condition value 'get' can only have up to 40 capital letters, '-' and '_'"
            ),
        ],
    );
    check(
        &conditions("[{ http_header: { name: Host, values: [a] } }]"),
        &[
            &later("http_header"),
            &format!("{at}.http_header.name: the Host header has its own condition, host_header"),
        ],
    );
    check(
        &conditions("[{ query_string: [{ key: a }] }]"),
        &[&later("query_string"), &format!("{at}.query_string[0].value: is missing")],
    );
}

#[test]
fn actions() {
    let at = "load_balancers[0].listeners[0].default_actions[0]";
    let kinds = "forward, redirect, fixed_response, authenticate_oidc, authenticate_cognito, jwt_validation";
    check(&default_action("{}"), &[&format!("{at}: must have exactly one of {kinds}")]);
    assert!(shown(&default_action("froward: { target_group: web }")).ends_with("\n1 error in alb.yaml"));
    check(&default_action("forward: {}"), &[&format!("{at}.forward.target_group: is missing")]);
    check(
        &default_action("forward: { target_group: web2 }"),
        &[&format!("{at}.forward.target_group: no target group \"web2\" (have: web)")],
    );
    check(
        &default_action("forward: { target_groups: [] }"),
        &[&format!("{at}.forward.target_groups: must have 1 to 5 target groups, not 0")],
    );
    check(
        &default_action("forward: { target_groups: [{ target_group: web, weight: 1000 }] }"),
        &[&format!("{at}.forward.target_groups[0].weight: weight '1000' must be between '0-999' inclusive")],
    );
    check(
        &default_action("forward: { target_group: web, target_groups: [] }"),
        &[&format!("{at}.forward: must have either target_group or target_groups, not both")],
    );
    check(
        &http_listener(
            "default_actions: [{ forward: { target_group: web } }, { fixed_response: { status_code: 200 } }]",
        ),
        &[&format!(
            "{at}.forward: the last action, and only the last, must be one of forward, redirect, fixed_response"
        )],
    );
    check(
        &default_action("jwt_validation: { jwks_endpoint: 'http://x', issuer: a }"),
        &[
            &format!(
                "{at}.jwt_validation: the last action, and only the last, must be one of forward, redirect, fixed_response"
            ),
            &format!("{at}.jwt_validation: jwt_validation is for HTTPS listeners only"),
            &format!("{at}.jwt_validation: not supported yet: the action jwt_validation"),
            &format!("{at}.jwt_validation.jwks_endpoint: 'http://x' is not an https URL"),
        ],
    );
}

#[test]
fn redirects() {
    let at = "load_balancers[0].listeners[0].default_actions[0].redirect";
    let redirect =
        |settings: &str| default_action(&format!("redirect: {{ status_code: HTTP_301, {settings} }}"));
    for good in [
        "protocol: HTTPS",
        "port: 81",
        "host: 'www.#{host}'",
        "path: '/a/#{path}'",
        "path: '/#{host}', query: ''",
    ] {
        check(&redirect(good), &[]);
    }
    for (bad, expected) in [
        ("query: a=b", ": must change at least one of protocol, host, port and path"),
        ("protocol: HTTP, port: 80", ": must change at least one of protocol, host, port and path"),
        ("protocol: WSS", ".protocol: redirect protocol 'WSS' must be one of 'HTTP, HTTPS, #{protocol}'"),
        ("port: 0", ".port: redirect port '0' must be '1-65535' or '#{port}'"),
        ("host: '#{hots}'", ".host: unknown placeholder '#{hots}' (have: protocol, host, port, path, query)"),
        ("host: ''", ".host: must not be empty"),
        ("path: a", ".path: must begin with '/'"),
        ("port: 81, query: '?a'", ".query: must not begin with '?'"),
        ("path: '/a b'", ".path: can only contain visible ASCII characters"),
    ] {
        check(&redirect(bad), &[&format!("{at}{expected}")]);
    }
    check(
        &default_action("redirect: { port: 81, status_code: 301 }"),
        &[&format!("{at}.status_code: redirect status code '301' must be one of 'HTTP_301, HTTP_302'")],
    );
    check(&default_action("redirect: { port: 81 }"), &[&format!("{at}.status_code: is missing")]);
    check(
        &https_listener(
            "certificates: [main]\ndefault_actions: [{ redirect: { protocol: HTTP, status_code: HTTP_301 } }]",
        ),
        &[&format!("{at}.protocol: a redirect from HTTPS to HTTP is not allowed")],
    );
}

#[test]
fn fixed_responses() {
    let at = "load_balancers[0].listeners[0].default_actions[0].fixed_response";
    let long = "a".repeat(1025);
    for (bad, expected) in [
        ("{}".to_owned(), ".status_code: is missing"),
        ("{ status_code: 301 }".to_owned(), ".status_code: status code '301' must be 2XX, 4XX or 5XX"),
        ("{ status_code: abc }".to_owned(), ".status_code: status code 'abc' must be 2XX, 4XX or 5XX"),
        (
            "{ status_code: 200, content_type: image/png }".to_owned(),
            ".content_type: content type 'image/png' must be one of 'text/plain, text/css, text/html, application/javascript, application/json'",
        ),
        (
            format!("{{ status_code: 200, message_body: {long} }}"),
            ".message_body: cannot be longer than 1024 characters",
        ),
    ] {
        check(&default_action(&format!("fixed_response: {bad}")), &[&format!("{at}{expected}")]);
    }
}

#[test]
fn health_checks() {
    let at = "target_groups[0].health_check";
    let group = |settings: &str| target_group(&format!("protocol: HTTP\nhealth_check: {{ {settings} }}"));
    for good in [
        "port: traffic-port",
        "interval: 5s, timeout: 2s",
        "matcher: 200-499",
        "interval: 5m, timeout: 2m",
        "matcher: '200, 202'",
    ] {
        check(&group(good), &[]);
    }
    for (bad, expected) in [
        ("interval: 5s", ".timeout: Health check timeout '5' must be smaller than the interval '5'"),
        ("interval: 4s, timeout: 2s", ".interval: '4' seconds must be between '5-300' inclusive"),
        ("timeout: 121s", ".timeout: '121' seconds must be between '2-120' inclusive"),
        ("timeout: 2500ms", ".timeout: must be a whole number of seconds"),
        (
            "interval: 30",
            ".interval: invalid type: integer `30`, expected a duration with its unit, such as 30s, 5m or 500ms",
        ),
        (
            "healthy_threshold: 1",
            ".healthy_threshold: Healthy threshold '1' must be between '2-10' inclusive",
        ),
        (
            "unhealthy_threshold: 11",
            ".unhealthy_threshold: Unhealthy threshold '11' must be between '2-10' inclusive",
        ),
        ("path: up", ".path: Health check path 'up' must begin with a '/' character"),
        ("port: 0", ".port: Health check port '0' must be 'traffic-port' or in the range '1-65535'"),
        (
            "matcher: 500",
            ".matcher: Health check matcher '500' must be codes from '200-499', such as '200', '200,202' or '200-299'",
        ),
        (
            "matcher: 299-200",
            ".matcher: Health check matcher '299-200' must be codes from '200-499', such as '200', '200,202' or '200-299'",
        ),
        ("enabled: false", ".enabled: health checks are always enabled for targets of type ip"),
        ("protocol: TCP", ".protocol: Health check protocol 'TCP' must be one of 'HTTP, HTTPS'"),
    ] {
        check(&group(bad), &[&format!("{at}{expected}")]);
    }
}

#[test]
fn targets() {
    let at = "target_groups[0].targets";
    let group = |targets: &str| target_group(&format!("protocol: HTTP\ntargets: {targets}"));
    check(&group("[{ id: a, port: 80 }, { id: a, port: 81 }]"), &[]);
    check(
        &group("[{ id: a, port: 80 }, { id: a, port: 80 }]"),
        &[&format!("{at}[1]: the same id and port are registered twice")],
    );
    check(&group("[{ id: a }]"), &[&format!("{at}[0].port: is missing")]);
    check(&group("[{ port: 1 }]"), &[&format!("{at}[0].id: is missing")]);
    check(
        &group("[{ id: 10.0.0.300, port: 1 }]"),
        &[&format!("{at}[0].id: '10.0.0.300' is neither an IP address nor a host name")],
    );
    check(
        &group("[{ id: a, port: 65536 }]"),
        &[&format!("{at}[0].port: port '65536' must be between '1-65535' inclusive")],
    );
    check(
        &group("[{ id: a, port: -1 }]"),
        &[&format!("{at}[0].port: invalid type: integer `-1`, expected a whole number")],
    );
    check(&group("{ id: a }"), &[&format!("{at}: invalid type: a map, expected a list")]);
}

#[test]
fn attributes_speak_the_words_of_aws() {
    let at = "target_groups[0].attributes";
    let group = |attributes: &str| target_group(&format!("protocol: HTTP\nattributes: {{ {attributes} }}"));
    for (bad, expected) in [
        (
            "deregistration_delay.timeout_seconds: 3601",
            ".deregistration_delay.timeout_seconds: 'deregistration_delay.timeout_seconds' value '3601' must be between '0-3600' inclusive",
        ),
        (
            "stickiness.enabled: yes",
            ".stickiness.enabled: 'stickiness.enabled' value 'yes' must be one of 'true, false'",
        ),
        (
            "stickyness.enabled: true",
            ".stickyness.enabled: 'stickyness.enabled' is not a known attribute (did you mean 'stickiness.enabled'?)",
        ),
        ("colour: red", ".colour: 'colour' is not a known attribute"),
        (
            "proxy_protocol_v2.enabled: true",
            ".proxy_protocol_v2.enabled: 'proxy_protocol_v2.enabled' is not supported for application load balancers",
        ),
        (
            "stickiness.type: source_ip",
            ".stickiness.type: Stickiness type 'source_ip' is not supported for target groups with the HTTP protocol",
        ),
        ("stickiness.enabled: ", ".stickiness.enabled: needs a value"),
    ] {
        check(&group(bad), &[&format!("{at}{expected}")]);
    }
    check(
        &load_balancer_attributes("access_logs.s3.enabled: true, load_balancing.cross_zone.enabled: false"),
        &[
            "load_balancers[0].attributes.access_logs.s3.bucket: is missing",
            "load_balancers[0].attributes.load_balancing.cross_zone.enabled: cross-zone load balancing is always on for application load balancers",
        ],
    );
}
