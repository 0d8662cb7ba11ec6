use super::*;

fn settings() -> HeaderSettings {
    HeaderSettings {
        xff: XffHeaderProcessing::Append,
        client_entry: ClientEntry::Address,
        host: HostRule::for_listener(false, ListenerProtocol::Https, 8443),
        port: 8443,
        invalid_names: InvalidNames::Forward,
        desync_mitigation_mode: DesyncMitigationMode::Defensive,
        dns_name: "alb.local".into(),
    }
}

fn request(version: Version, target: &str, fields: &[(&'static str, &str)]) -> RequestHeader {
    let mut request = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
    request.set_version(version);
    for (name, value) in fields {
        request.append_header(*name, *value).unwrap();
    }
    request
}

#[track_caller]
fn check_wire(request: &RequestHeader, expected: &[&str]) {
    let settings = settings();
    let xff = x_forwarded_for(request, &settings, "203.0.113.7:41520".parse().unwrap()).unwrap();
    let kind = RequestKind::of(&request.method, request.version, &request.headers);
    let trace_id = HeaderValue::from_static("Root=1-58337262-36d228ad5d99923122bbe354");
    let made = Made { xff, trace_id, protocol: ListenerProtocol::Https };
    let head = for_target(request, kind, Body::None, &settings, made).unwrap();
    let mut wire = Vec::new();
    head.header_to_h1_wire(&mut wire);
    let wire = String::from_utf8(wire).unwrap();
    let lines: Vec<&str> = wire.lines().collect();
    assert_eq!(lines, expected);
}

#[test]
fn fields_of_the_load_balancer_come_first_and_client_spelling_stays() {
    let request = request(
        Version::HTTP_11,
        "/a?b=c",
        &[
            ("Host", "Example.com"),
            ("X-Forwarded-For", "10.0.0.1"),
            ("X-Forwarded-Proto", "ftp"),
            ("x-CusTom", "1"),
            ("Connection", "keep-alive, X-Hop"),
            ("X-Hop", "gone"),
            ("Expect", "100-continue"),
        ],
    );
    check_wire(
        &request,
        &[
            "X-Forwarded-For: 10.0.0.1, 203.0.113.7",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Port: 8443",
            "Host: example.com:8443",
            "X-Amzn-Trace-Id: Root=1-58337262-36d228ad5d99923122bbe354",
            "x-CusTom: 1",
        ],
    );
}

#[test]
fn a_websocket_upgrade_keeps_what_makes_it_one() {
    let request = request(
        Version::HTTP_11,
        "/ws",
        &[
            ("Host", "h"),
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
        ],
    );
    check_wire(
        &request,
        &[
            "X-Forwarded-For: 203.0.113.7",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Port: 8443",
            "Host: h:8443",
            "X-Amzn-Trace-Id: Root=1-58337262-36d228ad5d99923122bbe354",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
        ],
    );
}

#[test]
fn an_upgrade_to_anything_else_is_not_passed_on() {
    let mut request = request(
        Version::HTTP_11,
        "/ws",
        &[("Host", "h"), ("Connection", "Upgrade, HTTP2-Settings"), ("HTTP2-Settings", "AAMAAABk")],
    );
    request.append_header("Upgrade", "h2c, websocket").unwrap();
    check_wire(
        &request,
        &[
            "X-Forwarded-For: 203.0.113.7",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Port: 8443",
            "Host: h:8443",
            "X-Amzn-Trace-Id: Root=1-58337262-36d228ad5d99923122bbe354",
            "Connection: Upgrade",
            "Upgrade: websocket",
        ],
    );
}

#[test]
fn a_target_that_is_no_path_is_refused() {
    let refused = |target: &str| {
        let request = request(Version::HTTP_11, target, &[("Host", "h")]);
        check(&request, Target::of(&request)).is_err()
    };
    assert!(refused("ws://h/admin"));
    assert!(refused("admin"));
    assert!(refused("*"));
    assert!(!refused("/admin"));
    assert!(!refused("HTTP://h/admin"));
}

#[test]
fn connect_has_an_authority_and_no_path() {
    let mut request = request(Version::HTTP_11, "a.test:80", &[("Host", "a.test:80")]);
    request.set_method(Method::CONNECT);
    let target = Target::of(&request);
    assert_eq!((target.authority, target.origin_form), (Some("a.test:80"), &b""[..]));
    assert_eq!(check(&request, target), Err(Cause::MethodNotAllowed));
}

#[test]
fn an_absolute_target_wins_over_host() {
    let request = request(Version::HTTP_11, "http://other.test/path?q", &[("Host", "h")]);
    let target = Target::of(&request);
    assert_eq!((target.authority, target.origin_form), (Some("other.test"), &b"/path?q"[..]));
    assert_eq!(host::absolute_form(b"http://other.test"), Some(("other.test", &b"/"[..])));
    assert_eq!(host::absolute_form(b"HTTP://other.test/x"), Some(("other.test", &b"/x"[..])));
    assert_eq!(host::absolute_form(b"/http://x"), None);
    assert_eq!(host::absolute_form(b"ws://x/"), None);
}
