//! What people get wrong in rules, conditions and actions, and what they are told.

use super::{check, conditions, default_action, http_listener, https_listener, shown};

const FORWARD: &str = "forward: { target_group: web }";

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
