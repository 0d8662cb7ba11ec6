//! Measurements against what is declared, and what the rules make of it.

use std::net::SocketAddr;

use time::macros::datetime;

use super::*;
use crate::{
    doctor::{
        attributes::Attributes,
        diagnose,
        system::{Action, HealthCheck, Rule, TargetGroup, WeightedTargetGroup},
    },
    model::{LoadBalancerType, attributes::Resource},
    probe::{
        Cookies, Ending, HeaderLimits, KeepAlive, Timing, Tls, Unmeasured, WebSocket,
        cookies::{Cookie, Holding},
        header_limits::{Limit, Refusal},
        tls::{Certificate, Support, TlsVersion},
        web_socket::{Pinged, Silent},
    },
};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn setting<T>(value: T, key: &str, written: &str) -> Setting<T> {
    Setting::new(value, key, written, Place::File { file: "a.yaml".into(), line: 3, column: 5 })
}

/// A load balancer `alb` on port 443 before a group `web` with one application `chat` on port 8080.
fn system(keep_alive: Option<u64>) -> System {
    let kind = LoadBalancerType::Application;
    let forward = Action::Forward {
        target_groups: vec![WeightedTargetGroup {
            target_group: setting("web".to_owned(), "target_group", "web"),
            weight: None,
        }],
        stickiness: None,
    };
    let mut group_attributes = Attributes::new(Resource::TargetGroup, kind);
    group_attributes.give("stickiness.enabled", setting("true".to_owned(), "stickiness.enabled", "true"));
    System {
        load_balancers: vec![LoadBalancer {
            name: setting("alb".to_owned(), "name", "alb"),
            kind,
            attributes: Attributes::new(Resource::LoadBalancer, kind),
            listeners: vec![Listener {
                protocol: setting("HTTPS".to_owned(), "protocol", "HTTPS"),
                port: Some(setting(443, "port", "443")),
                ssl_policy: Some(setting(
                    "ELBSecurityPolicy-TLS13-1-2-2021-06".to_owned(),
                    "ssl_policy",
                    "ELBSecurityPolicy-TLS13-1-2-2021-06",
                )),
                attributes: Attributes::new(Resource::Listener, kind),
                rules: vec![Rule {
                    priority: setting(None, "default", ""),
                    conditions: Vec::new(),
                    actions: vec![forward],
                }],
                proxy_protocol: None,
            }],
        }],
        target_groups: vec![TargetGroup {
            name: setting("web".to_owned(), "name", "web"),
            protocol: None,
            port: Some(setting(8080, "port", "8080")),
            protocol_version: None,
            target_type: None,
            attributes: group_attributes,
            health_check: HealthCheck::default(),
            targets: None,
        }],
        applications: vec![Application {
            name: "chat".to_owned(),
            port: Some(setting(8080, "server.port", "8080")),
            keep_alive_timeout: keep_alive
                .map(|time| setting(secs(time), "server.tomcat.keep-alive-timeout", &format!("{time}s"))),
            ..Application::default()
        }],
        ..System::default()
    }
}

/// Nothing measured at an address.
fn nothing(url: &str) -> Measurements {
    let none = Unmeasured::NotApplicable;
    Measurements {
        endpoint: url.parse().unwrap(),
        addr: SocketAddr::from(([127, 0, 0, 1], 1)),
        keep_alive: Err(none.clone()),
        header_limits: Err(none.clone()),
        half_close: Err(none.clone()),
        cookies: Err(none.clone()),
        web_socket: Err(none.clone()),
        tls: Err(none),
        took: secs(6),
        connections: 60,
    }
}

fn kept(idle: Timing) -> Result<KeepAlive, Unmeasured> {
    Ok(KeepAlive::Kept { idle, ending: Some(Ending::Fin), announced: None, parting_status: None })
}

/// Codes and problems after taking in, those of rules besides that need no measurement left out.
#[track_caller]
fn check(mut system: System, found: &Measurements, scale: f64, subject: &str, expected: &[&str]) -> System {
    take_in(&mut system, None, found, TimeScale::try_new(scale).unwrap()).unwrap();
    assert_eq!(system.measured.last().unwrap().subject, subject);
    let findings = diagnose(&system);
    let measured = |evidence: &Evidence| matches!(evidence.place, Place::Measured { .. });
    let said: Vec<String> = findings
        .iter()
        .filter(|finding| finding.evidence.iter().any(measured))
        .map(|finding| format!("{}: {}", finding.code, finding.problem))
        .collect();
    assert_eq!(said, expected);
    system
}

#[test]
fn a_short_measured_keep_alive_is_the_race_whatever_is_declared() {
    let mut found = nothing("http://127.0.0.1:8080");
    found.keep_alive = kept(Timing::once(secs(5)));
    let race = "keep-alive-race: application chat closes idle connections after 5 s, load balancer alb keeps them for 60 s";
    check(system(None), &found, 1.0, "application chat", &[race]);
    let differs =
        "measured-differs: keep-alive timeout is 5 s, then FIN, server.tomcat.keep-alive-timeout says 70s";
    check(system(Some(70)), &found, 1.0, "application chat", &[race, differs]);
}

#[test]
fn what_agrees_leaves_the_declared_setting_for_the_rules() {
    let mut found = nothing("http://127.0.0.1:8080");
    found.keep_alive = kept(Timing::once(Duration::from_millis(69_700)));
    let system = check(system(Some(70)), &found, 1.0, "application chat", &[]);
    assert!(system.applications[0].keep_alive_timeout.as_ref().unwrap().place.is_file());
    assert!(system.measured[0].rows[0].declared.is_some());
}

#[test]
fn a_time_scale_is_multiplied_back_before_comparing() {
    let mut found = nothing("http://127.0.0.1:8080");
    found.keep_alive = kept(Timing::once(Duration::from_millis(1_160)));
    let system = check(system(Some(70)), &found, 60.0, "application chat", &[]);
    assert!(system.measured[0].rows[0].value.contains("measured 1.16 s at time scale 60"));
}

#[test]
fn a_lower_bound_is_no_value() {
    let mut found = nothing("http://127.0.0.1:8080");
    found.keep_alive = kept(Timing::AtLeast(secs(30)));
    let system = check(system(None), &found, 1.0, "application chat", &[]);
    assert_eq!(system.applications[0].keep_alive_timeout, None);
}

#[test]
fn header_limits_are_compared_and_filled_in() {
    let limit = |accepted| Limit { accepted, refused: Some((accepted + 64, Refusal::Status(431))) };
    let mut found = nothing("http://127.0.0.1:8080");
    found.header_limits =
        Ok(HeaderLimits { request_line: limit(8192), header_line: limit(8192), whole: limit(8192) });
    let smaller = "header-limit: application chat takes 8192 bytes of request headers, load balancer alb passes on \
                   headers of 16 KB each and 64 KB together";
    let filled = check(system(None), &found, 1.0, "application chat", &[smaller]);
    assert_eq!(filled.applications[0].max_request_header_size.as_ref().unwrap().value, 8192);
    let mut declared = system(None);
    let key = "server.max-http-request-header-size";
    declared.applications[0].max_request_header_size = Some(setting(16_384, key, "16KB"));
    let differs = "measured-differs: largest request head is 8192 bytes (8256 bytes: status 431), \
                   server.max-http-request-header-size says 16KB";
    check(declared, &found, 1.0, "application chat", &[differs, smaller]);
}

fn web_socket(idle: Timing, ending: Option<Ending>) -> WebSocket {
    WebSocket {
        silent: Silent {
            idle,
            lived: idle.certain(),
            ending,
            server_pings: 0,
            server_ping_interval: None,
            messages: 0,
            afterwards: None,
        },
        pinged: None,
        cookies: Vec::new(),
    }
}

#[test]
fn a_websocket_cut_before_the_idle_timeout_is_another_hop() {
    let mut found = nothing("wss://127.0.0.1:443/ws");
    found.web_socket = Ok(web_socket(Timing::once(secs(30)), Some(Ending::Fin)));
    let differs =
        "measured-differs: WebSocket without traffic is 30 s, then FIN, idle_timeout.timeout_seconds says 60";
    check(system(None), &found, 1.0, "listener HTTPS:443 of alb", &[differs]);
    found.web_socket = Ok(web_socket(Timing::once(secs(60)), Some(Ending::Fin)));
    check(system(None), &found, 1.0, "listener HTTPS:443 of alb", &[]);
}

#[test]
fn a_websocket_cut_in_spite_of_pings_is_told() {
    let mut found = nothing("wss://127.0.0.1:443/ws");
    let mut cut = web_socket(Timing::once(secs(60)), Some(Ending::Fin));
    cut.pinged = Some(Pinged {
        interval: secs(18),
        lived: Timing::once(secs(60)),
        ending: Some(Ending::Reset),
        pings: 3,
        pongs: 3,
    });
    found.web_socket = Ok(cut);
    let differs = "measured-differs: WebSocket with pings is 60 s, a ping every 18 s: cut all the same, RST; 3 of 3 \
                   pings answered, idle_timeout.timeout_seconds says 60";
    check(system(None), &found, 1.0, "listener HTTPS:443 of alb", &[differs]);
}

#[test]
fn pings_of_the_server_become_a_heartbeat() {
    let mut found = nothing("ws://127.0.0.1:8080/ws");
    let mut open = web_socket(Timing::AtLeast(secs(1)), None);
    (open.silent.server_pings, open.silent.server_ping_interval) = (3, Some(secs(25)));
    found.web_socket = Ok(open);
    let long = "round-robin-long-connections: load_balancing.algorithm.type is round_robin, and clients of application \
                chat keep connections for long";
    let system = check(system(None), &found, 1.0, "application chat", &[long]);
    assert_eq!(system.applications[0].heartbeats[0].interval.value, secs(25));
}

#[test]
fn stickiness_that_is_declared_needs_a_cookie_that_holds() {
    let cookie = Cookie {
        name: "AWSALB".to_owned(),
        value: "x".to_owned(),
        purpose: Purpose::LoadBalancer,
        lifetime: Some(secs(86_400)),
        is_secure: false,
        is_http_only: false,
        same_site: None,
    };
    let with = |set: Vec<Cookie>, holding| {
        let mut found = nothing("https://127.0.0.1:443/");
        found.cookies = Ok(Cookies { set, bytes_per_request: 0, holding });
        found
    };
    let subject = "listener HTTPS:443 of alb";
    let missing = "measured-differs: stickiness holds is no cookie is set, stickiness.enabled says true";
    check(system(None), &with(Vec::new(), Holding::NoCookie), 1.0, subject, &[missing]);
    let lost = "measured-differs: stickiness holds is no: 5 of 8 requests reached another target, \
                stickiness.enabled says true";
    let elsewhere = Holding::Lost { elsewhere: 5, requests: 8 };
    check(system(None), &with(vec![cookie.clone()], elsewhere), 1.0, subject, &[lost]);
    check(system(None), &with(vec![cookie.clone()], Holding::Held { targets: 2 }), 1.0, subject, &[]);
    // The cookie tells a load balancer that nothing is declared of.
    let mut elsewhere = with(vec![cookie], Holding::NotTold);
    elsewhere.endpoint = "https://127.0.0.1:9443/".parse().unwrap();
    check(system(None), &elsewhere, 1.0, "a load balancer that nothing is declared of", &[]);
}

#[test]
fn versions_and_the_certificates_end_are_looked_at() {
    let tls = |oldest: Support, days_left| Tls {
        versions: vec![(TlsVersion::Tls12, oldest), (TlsVersion::Tls13, Support::Accepted)],
        alpn: Vec::new(),
        certificate: Certificate {
            subject: "CN=a".to_owned(),
            names: Vec::new(),
            not_after: datetime!(2026-12-01 0:00 UTC),
            days_left,
        },
        distrust: None,
    };
    let with = |oldest, days_left| {
        let mut found = nothing("https://127.0.0.1:443/");
        found.tls = Ok(tls(oldest, days_left));
        found
    };
    let subject = "listener HTTPS:443 of alb";
    check(system(None), &with(Support::Accepted, 90), 1.0, subject, &[]);
    let soon = "certificate-expires: the certificate ends on 2026-12-01, in 3 days";
    check(system(None), &with(Support::Accepted, 3), 1.0, subject, &[soon]);
    let ended = "certificate-expires: the certificate ended on 2026-12-01";
    check(system(None), &with(Support::Accepted, -1), 1.0, subject, &[ended]);
    let fewer = "measured-differs: TLS versions is 1.3, ssl_policy says ELBSecurityPolicy-TLS13-1-2-2021-06";
    check(system(None), &with(Support::Refused("x".to_owned()), 90), 1.0, subject, &[fewer]);
}

#[test]
fn an_endpoint_is_what_it_is_called_or_what_its_port_says() {
    let subject = |name: Option<&str>, url: &str, mut system: System| {
        take_in(&mut system, name, &nothing(url), TimeScale::default())
            .map(|()| system.measured[0].subject.clone())
            .map_err(|error| error.to_string())
    };
    let is = |text: &str| Ok(text.to_owned());
    assert_eq!(subject(Some("alb"), "http://a:1/", system(None)), is("load balancer alb"));
    assert_eq!(subject(Some("web"), "http://a:1/", system(None)), is("application chat"));
    assert_eq!(subject(Some("chat"), "http://a:1/", system(None)), is("application chat"));
    assert_eq!(subject(None, "http://a:443/", system(None)), is("listener HTTPS:443 of alb"));
    assert_eq!(subject(None, "http://a:1/", System::default()), is("application a:1"));
    let error = "--probe old=…: no load balancer, target group or application has this name";
    assert_eq!(subject(Some("old"), "http://a:1/", system(None)), Err(error.to_owned()));
}

#[test]
fn an_application_that_nobody_declares_is_tied_to_its_group() {
    let mut system = system(None);
    system.applications.clear();
    let mut found = nothing("http://10.0.0.1:8080/");
    found.keep_alive = kept(Timing::once(secs(5)));
    let race = "keep-alive-race: application 10.0.0.1:8080 closes idle connections after 5 s, load balancer alb keeps \
                them for 60 s";
    check(system, &found, 1.0, "application 10.0.0.1:8080", &[race]);
}
