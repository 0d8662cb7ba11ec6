//! Mutual TLS, trust stores and the header attributes of listeners.

use http::HeaderValue;

use super::{check, http_listener, https_listener, load};
use crate::model::{
    Listener, TrustStoreIndex,
    listener::{ListenerAttributes, MutualAuthentication, RequestHeaderNames},
};

const LISTENER: &str = "load_balancers[0].listeners[0]";
const STORES: &str = "trust_stores:
  - { name: other, ca_certificates_bundle: cert.pem }
  - { name: staff, ca_certificates_bundle: cert.pem, revocation_lists: [key.pem, cert.pem] }
";

fn https(settings: &str) -> String {
    https_listener(&format!(
        "certificates: [main]\n{settings}\ndefault_actions: [{{ forward: {{ target_group: web }} }}]"
    ))
}

#[track_caller]
fn listener(yaml: &str) -> Listener {
    match load(yaml) {
        Ok(loaded) => loaded.model.load_balancers[0].listeners[0].clone(),
        Err(errors) => panic!("{errors}\nin\n{yaml}"),
    }
}

#[track_caller]
fn mutual(settings: &str) -> MutualAuthentication {
    let yaml = https(&format!("mutual_authentication: {settings}")) + STORES;
    listener(&yaml).tls.unwrap().mutual_authentication
}

#[test]
fn the_modes_of_mutual_tls() {
    assert_eq!(mutual("{ mode: 'off' }"), MutualAuthentication::Off);
    assert_eq!(mutual("{ mode: passthrough }"), MutualAuthentication::Passthrough);
    let verify = |ignore, advertise| MutualAuthentication::Verify {
        trust_store: TrustStoreIndex(1),
        ignore_client_certificate_expiry: ignore,
        advertise_trust_store_ca_names: advertise,
    };
    assert_eq!(mutual("{ mode: verify, trust_store: staff }"), verify(false, false));
    assert_eq!(
        mutual(
            "{ mode: verify, trust_store: staff, ignore_client_certificate_expiry: true, advertise_trust_store_ca_names: on }"
        ),
        verify(true, true)
    );
    assert_eq!(listener(&https("")).tls.unwrap().mutual_authentication, MutualAuthentication::Off);
}

#[test]
fn trust_stores_keep_their_files() {
    let loaded = load(&(https("") + STORES)).unwrap();
    let stores = loaded.model.trust_stores;
    assert_eq!(stores.iter().map(|store| store.name.as_str()).collect::<Vec<_>>(), ["other", "staff"]);
    assert_eq!(stores[1].revocation_lists.len(), 2);
    assert!(stores[1].arn.contains(":truststore/staff/"), "{}", stores[1].arn);
}

#[test]
fn mistakes_in_mutual_tls_are_named() {
    let bad = |settings: &str, key: &str, message: &str| {
        let yaml = https(&format!("mutual_authentication: {settings}")) + STORES;
        check(&yaml, &[&format!("{LISTENER}.mutual_authentication{key}: {message}")]);
    };
    bad("{ mode: verify }", ".trust_store", "is missing");
    bad(
        "{ mode: verify, trust_store: stuff }",
        ".trust_store",
        "no trust store \"stuff\" (have: other, staff)",
    );
    bad("{ mode: maybe }", ".mode", "mode 'maybe' must be one of 'off, passthrough, verify'");
    let only = "settings of the trust store are for the mode verify only";
    bad("{ mode: passthrough, trust_store: staff }", "", only);
    bad("{ mode: 'off', ignore_client_certificate_expiry: true }", "", only);
    let plain = http_listener(
        "mutual_authentication: { mode: passthrough }\ndefault_actions: [{ forward: { target_group: web } }]",
    );
    check(&plain, &[&format!("{LISTENER}.mutual_authentication: is for HTTPS listeners only")]);
    let missing = https("") + "trust_stores: [{ name: staff, ca_certificates_bundle: none.pem }]\n";
    let errors = super::errors(&missing);
    assert!(errors[0].starts_with("trust_stores[0].ca_certificates_bundle: cannot use "), "{errors:?}");
}

#[test]
fn quotas_of_mutual_tls_are_kept() {
    let listeners = |count: u16| {
        let one = |port: u16| {
            format!(
                "      - {{ protocol: HTTPS, port: {port}, ssl_policy: ELBSecurityPolicy-TLS13-1-2-Res-2021-06, certificates: [main], mutual_authentication: {{ mode: verify, trust_store: staff }}, default_actions: [{{ fixed_response: {{ status_code: 200 }} }}] }}\n"
            )
        };
        let listeners: String = (1..=count).map(one).collect();
        format!(
            "certificates: [{{ name: main, certificate: cert.pem, private_key: key.pem }}]\nload_balancers:\n  - name: edge\n    listeners:\n{listeners}{STORES}"
        )
    };
    check(&listeners(2), &[]);
    check(
        &listeners(3),
        &[
            "load_balancers[0].listeners: a load balancer can have up to 2 listeners with mutual TLS in verify mode, not 3",
        ],
    );
    let lists = |count| vec!["key.pem"; count].join(", ");
    let store = |count| {
        let lists = lists(count);
        https("")
            + &format!(
                "trust_stores: [{{ name: a, ca_certificates_bundle: cert.pem, revocation_lists: [{lists}] }}]\n"
            )
    };
    check(&store(30), &[]);
    check(
        &store(31),
        &["trust_stores[0].revocation_lists: a trust store can have up to 30 revocation lists, not 31"],
    );
    let stores: String =
        (0..21).map(|n| format!("  - {{ name: s{n}, ca_certificates_bundle: cert.pem }}\n")).collect();
    check(
        &format!("{}trust_stores:\n{stores}", https("")),
        &["trust_stores: an account can have up to 20 trust stores, not 21"],
    );
}

#[test]
fn header_attributes_become_typed() {
    let attributes = listener(&https(
        r"attributes:
  routing.http.response.server.enabled: false
  routing.http.response.x_frame_options.header_value: ALLOW-FROM https://a.test
  routing.http.response.content_security_policy.header_value: default-src 'self'; img-src *
  routing.http.response.access_control_max_age.header_value: ''
  routing.http.request.x_amzn_tls_version.header_name: X-My_Version
  routing.http.request.x_amzn_tls_cipher_suite.header_name: ''",
    ))
    .attributes;
    let expected = ListenerAttributes {
        tcp_idle_timeout: std::time::Duration::from_secs(350),
        proxy_protocol: crate::model::listener::ProxyProtocol::default(),
        server_header: false,
        inserted_headers: vec![
            (
                http::header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static("default-src 'self'; img-src *"),
            ),
            (http::header::X_FRAME_OPTIONS, HeaderValue::from_static("ALLOW-FROM https://a.test")),
        ],
        header_names: RequestHeaderNames {
            tls_version: "X-My_Version".to_owned(),
            ..RequestHeaderNames::default()
        },
    };
    assert_eq!(attributes, expected);
    assert_eq!(listener(&https("")).attributes, ListenerAttributes::default());
}

#[test]
fn values_that_no_header_takes_are_refused() {
    let bad = |key: &str, value: &str, rule: &str| {
        let yaml = https(&format!("attributes: {{ {key}: \"{}\" }}", value.replace('"', "\\\"")));
        check(&yaml, &[&format!("{LISTENER}.attributes.{key}: '{key}' value '{value}' {rule}")]);
    };
    let csp = "routing.http.response.content_security_policy.header_value";
    let charset = "can only contain letters, digits and _ :;.,\\/'?!(){}[]@<>=-+*#&`|~^%";
    bad(csp, "a\"b", charset);
    bad(csp, "$", charset);
    bad(csp, "é", charset);
    bad(csp, &"a".repeat(1025), "must not have more than 1024 bytes");
    let frames = "routing.http.response.x_frame_options.header_value";
    let rule = "must be one of 'DENY, SAMEORIGIN, ALLOW-FROM' with an origin after the last";
    bad(frames, "deny", rule);
    bad(frames, "ALLOW-FROM ", rule);
    let name = "routing.http.request.x_amzn_tls_version.header_name";
    let token = "must be a header name of up to 40 letters, digits, hyphens and underscores";
    bad(name, "a b", token);
    bad(name, &"a".repeat(41), token);
    let reserved = "must not be a header that the load balancer itself sets or reads";
    bad(name, "Transfer-Encoding", reserved);
    bad(name, "x-forwarded-for", reserved);
}

#[test]
fn a_load_balancer_has_25_certificates_besides_the_default_ones() {
    let file = |first: usize, second: usize| {
        let certificate = |n| format!("  - {{ name: c{n}, certificate: cert.pem, private_key: key.pem }}\n");
        let certificates: String = (0..first.max(second)).map(certificate).collect();
        let listener = |port, count| {
            let names = (0..count).map(|n| format!("c{n}")).collect::<Vec<_>>().join(", ");
            format!(
                "      - protocol: HTTPS\n        port: {port}\n        ssl_policy: ELBSecurityPolicy-2016-08\n        \
                 certificates: [{names}]\n        default_actions: [{{ fixed_response: {{ status_code: 200 }} }}]\n"
            )
        };
        let listeners = listener(443, first) + &listener(444, second);
        format!("certificates:\n{certificates}load_balancers:\n  - name: edge\n    listeners:\n{listeners}")
    };
    let at = "load_balancers[0].listeners: a load balancer can have up to";
    check(&file(26, 1), &[]);
    check(&file(14, 13), &[]);
    check(&file(27, 1), &[&format!("{at} 25 certificates besides default ones, not 26")]);
    check(&file(14, 14), &[&format!("{at} 25 certificates besides default ones, not 26")]);
}
