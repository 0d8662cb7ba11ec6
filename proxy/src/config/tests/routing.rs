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
fn every_condition_has_its_limits() {
    let at = "load_balancers[0].listeners[0].rules[0].conditions";
    let long = "a".repeat(129);
    let name = "a".repeat(41);
    for good in [
        "[{ http_header: { name: X-Tenant, values: ['gold *'] } }, { http_header: { name: x-tenant, regex_values: ['^a'] } }]",
        "[{ http_request_method: [GET, HEAD, PURGE_ALL] }]",
        "[{ query_string: [{ key: v, value: '1' }, { value: '\\*\\?\\*\\?\\*\\?\\*\\?' }] }, { query_string: [{ value: a }] }]",
        "[{ source_ip: [10.0.0.0/8, '::1/128', 0.0.0.0/0] }]",
        r#"[{ path_pattern: { regex_values: ['^/a{1,3}$'] } }, { host_header: { regex_values: ["(a|b)\\.test"] } }]"#,
    ] {
        check(&conditions(good), &[]);
    }
    for (bad, expected) in [
        ("[{ source_ip: [10.0.0.1] }]".to_owned(), "[0].source_ip[0]: Condition value '10.0.0.1' must be an address range in CIDR form".to_owned()),
        ("[{ source_ip: [255.255.255.255/32] }]".to_owned(), "[0].source_ip[0]: Condition value '255.255.255.255/32' is not allowed".to_owned()),
        ("[{ source_ip: [10.0.0.0/8] }, { source_ip: ['::/0'] }]".to_owned(), "[1].source_ip: a rule can have only one source_ip condition".to_owned()),
        ("[{ http_request_method: [get] }]".to_owned(), "[0].http_request_method[0]: Condition value 'get' can only have up to 40 capital letters, '-' and '_'".to_owned()),
        ("[{ http_request_method: ['GE*'] }]".to_owned(), "[0].http_request_method[0]: Condition value 'GE*' can only have up to 40 capital letters, '-' and '_'".to_owned()),
        ("[{ http_request_method: [A] }, { http_request_method: [B] }]".to_owned(), "[1].http_request_method: a rule can have only one http_request_method condition".to_owned()),
        ("[{ http_header: { name: Host, values: [a] } }]".to_owned(), "[0].http_header.name: the Host header has its own condition, host_header".to_owned()),
        ("[{ http_header: { name: 'a b', values: [a] } }]".to_owned(), "[0].http_header.name: 'a b' is not a header name of up to 40 characters".to_owned()),
        (format!("[{{ http_header: {{ name: {name}, values: [a] }} }}]"), format!("[0].http_header.name: '{name}' is not a header name of up to 40 characters")),
        ("[{ http_header: { values: [a] } }]".to_owned(), "[0].http_header.name: is missing".to_owned()),
        ("[{ http_header: { name: a } }]".to_owned(), "[0].http_header.values: a condition needs at least one value".to_owned()),
        ("[{ http_header: { name: a, values: [\"a\\tb\"] } }]".to_owned(), "[0].http_header.values[0]: Condition value 'a\tb' can only contain printable ASCII characters".to_owned()),
        (format!("[{{ http_header: {{ name: a, values: [{long}] }} }}]"), format!("[0].http_header.values[0]: Condition value '{long}' cannot be longer than 128 characters")),
        ("[{ http_header: { name: a, values: [b], regex_values: [c] } }]".to_owned(), "[0].http_header: must have either values or regex_values, not both".to_owned()),
        ("[{ query_string: [{ key: a }] }]".to_owned(), "[0].query_string[0].value: is missing".to_owned()),
        ("[{ query_string: [{ value: '*' }, { value: '????' }, { key: '*', value: '\\**' }] }]".to_owned(), ": a rule can have up to 6 wildcards, not 7".to_owned()),
        (format!("[{{ query_string: [{{ key: {long}, value: a }}] }}]"), format!("[0].query_string[0].key: Condition value '{long}' cannot be longer than 128 characters")),
        ("[{ query_string: [{ value: a }, { value: b }, { value: c }, { value: d }] }]".to_owned(), "[0].query_string: a condition can have up to 3 values, not 4".to_owned()),
        ("[{ http_header: { name: a, values: [a, b, c] } }, { query_string: [{ value: a }] }, { http_header: { name: b, regex_values: [a, b] } }]".to_owned(), ": a rule can have up to 5 condition values, not 6".to_owned()),
        ("[{ path_pattern: { regex_values: [] } }]".to_owned(), "[0].path_pattern.regex_values: a condition needs at least one value".to_owned()),
        (format!("[{{ path_pattern: {{ regex_values: [{long}] }} }}]"), format!("[0].path_pattern.regex_values[0]: Regex value '{long}' cannot be longer than 128 characters")),
        ("[{ host_header: { regex_values: ['a(?=b)'] } }]".to_owned(), "[0].host_header.regex_values[0]: Regex value 'a(?=b)' is not a regular expression: look-around, including look-ahead and look-behind, is not supported".to_owned()),
        ("[{ http_header: { name: a, regex_values: [a++] } }]".to_owned(), "[0].http_header.regex_values[0]: Regex value 'a++' is not a regular expression: possessive quantifiers are not supported".to_owned()),
        ("[{ path_pattern: { regex_values: ['((a{50}){50}){50}'] } }]".to_owned(), "[0].path_pattern.regex_values[0]: Regex value '((a{50}){50}){50}' is not a regular expression: the compiled expression is larger than 262144 bytes".to_owned()),
    ] {
        check(&conditions(&bad), &[&format!("{at}{expected}")]);
    }
}

#[test]
fn transforms() {
    let at = "load_balancers[0].listeners[0].rules[0].transforms";
    let with =
        |transforms: &str| conditions(&format!("[{{ path_pattern: [/a] }}]\n    transforms: {transforms}"));
    for good in [
        "[]",
        "[{ url_rewrite: { regex: '^/api', replace: '' } }]",
        "[{ url_rewrite: { regex: '^/(a)(b)?', replace: '/$2$1$0$' } }, { host_header_rewrite: { regex: a, replace: b.test } }]",
    ] {
        check(&with(good), &[]);
    }
    let long = "a".repeat(1025);
    let long_regex = format!("[{{ url_rewrite: {{ regex: {long}, replace: b }} }}]");
    let long_replace = format!("[{{ url_rewrite: {{ regex: a, replace: {long} }} }}]");
    for (bad, expected) in [
        ("[{}]", "[0]: must have exactly one of host_header_rewrite, url_rewrite"),
        ("[{ url_rewrite: { replace: b } }]", "[0].url_rewrite.regex: is missing"),
        ("[{ url_rewrite: { regex: a } }]", "[0].url_rewrite.replace: is missing"),
        (
            "[{ url_rewrite: { regex: '(', replace: b } }]",
            "[0].url_rewrite.regex: '(' is not a regular expression: unclosed group",
        ),
        (
            "[{ host_header_rewrite: { regex: '(a)', replace: $2 } }]",
            "[0].host_header_rewrite.replace: '$2' stands for no group of the regular expression",
        ),
        (
            "[{ url_rewrite: { regex: a, replace: b } }, { url_rewrite: { regex: b, replace: c } }]",
            "[1].url_rewrite: a rule can have only one url_rewrite",
        ),
        (&long_regex, "[0].url_rewrite.regex: cannot be longer than 1024 characters"),
        (&long_replace, "[0].url_rewrite.replace: cannot be longer than 1024 characters"),
    ] {
        check(&with(bad), &[&format!("{at}{expected}")]);
    }
}

#[test]
fn a_load_balancer_has_so_many_rules_listeners_and_groups() {
    let rules = |from: usize, number: usize| -> String {
        let rule = |priority| {
            format!(
                "          - {{ priority: {priority}, conditions: [{{ path_pattern: [/a] }}], actions: [{{ forward: {{ target_group: g{priority} }} }}] }}\n"
            )
        };
        (from..from + number).map(rule).collect()
    };
    let file = |first: usize, second: usize, groups: usize| {
        let groups: String =
            (1..=groups).map(|n| format!("  - {{ name: g{n}, protocol: HTTP, port: 80 }}\n")).collect();
        let listener = |port, rules: String| {
            format!(
                "      - protocol: HTTP\n        port: {port}\n        default_actions: [{{ forward: {{ target_group: g1 }} }}]\n        rules:\n{rules}"
            )
        };
        format!(
            "load_balancers:\n  - name: edge\n    listeners:\n{}{}target_groups:\n{groups}",
            listener(80, rules(1, first)),
            listener(81, rules(first + 1, second)),
        )
    };
    let at = "load_balancers[0].listeners: a load balancer can have up to";
    check(&file(50, 50, 100), &[]);
    let many = file(50, 51, 101);
    check(
        &many,
        &[
            &format!("{at} 100 rules besides default rules, not 101"),
            &format!("{at} 100 target groups, not 101"),
        ],
    );
    let listeners: String = (1..=51)
        .map(|port| format!("      - {{ protocol: HTTP, port: {port}, default_actions: [{{ fixed_response: {{ status_code: 200 }} }}] }}\n"))
        .collect();
    check(
        &format!("load_balancers:\n  - name: edge\n    listeners:\n{listeners}"),
        &[&format!("{at} 50 listeners, not 51")],
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
        "path: '/#{host}/#{port}', query: ''",
        "port: 81, query: 'from=#{protocol}://#{host}:#{port}/#{path}?#{query}'",
    ] {
        check(&redirect(good), &[]);
    }
    for (bad, expected) in [
        ("query: a=b", ": must change at least one of protocol, host, port and path"),
        ("protocol: HTTP, port: 80", ": must change at least one of protocol, host, port and path"),
        ("protocol: WSS", ".protocol: redirect protocol 'WSS' must be one of 'HTTP, HTTPS, #{protocol}'"),
        ("port: 0", ".port: redirect port '0' must be '1-65535' or '#{port}'"),
        ("host: '#{hots}'", ".host: unknown placeholder '#{hots}' (have: host)"),
        ("host: '#{host}:#{port}'", ".host: unknown placeholder '#{port}' (have: host)"),
        ("path: '/#{query}'", ".path: unknown placeholder '#{query}' (have: host, port, path)"),
        (
            "port: 81, query: '#{fragment}'",
            ".query: unknown placeholder '#{fragment}' (have: protocol, host, port, path, query)",
        ),
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
    for (key, start) in [("host", "a"), ("path", "/"), ("query", "a")] {
        let of_length =
            |length: usize| redirect(&format!("port: 81, {key}: '{start}{}'", "a".repeat(length - 1)));
        check(&of_length(128), &[]);
        check(&of_length(129), &[&format!("{at}.{key}: cannot be longer than 128 characters")]);
    }
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
        ("{ status_code: 199 }".to_owned(), ".status_code: status code '199' must be 2XX, 4XX or 5XX"),
        ("{ status_code: 600 }".to_owned(), ".status_code: status code '600' must be 2XX, 4XX or 5XX"),
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
    let longest = "\u{e9}".repeat(1024);
    check(&default_action(&format!("fixed_response: {{ status_code: 503, message_body: {longest} }}")), &[]);
}
