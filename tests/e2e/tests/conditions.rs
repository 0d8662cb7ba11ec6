//! Each condition of rules on the wire, and how many rules are evaluated.

use std::net::Ipv6Addr;

use albeit_e2e::{
    Albeit, Ca, Client, Config, Listener, ca::ALL_VERSIONS, client::Body, eventually, http2::Http2,
    ports::HeldPort, wait::SOON,
};
use anyhow::{Result, ensure};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

fn fixed(body: &str) -> Value {
    json!({ "fixed_response": { "status_code": "200", "content_type": "text/plain", "message_body": body } })
}

/// Rules by their priorities, 1 to n, each answering with its priority.
fn rules(conditions: &[Value]) -> Value {
    let rule = |(index, conditions): (usize, &Value)| {
        let priority = index + 1;
        json!({ "priority": priority, "conditions": conditions, "actions": [fixed(&priority.to_string())] })
    };
    conditions.iter().enumerate().map(rule).collect()
}

async fn start(conditions: &[Value]) -> Result<Albeit> {
    let listener = Listener::http(fixed("0"))?.with("rules", rules(conditions));
    Albeit::start(Config::try_new()?.with_listener(listener)).await
}

/// The priority of the rule that a request with these lines matches.
async fn matched(albeit: &Albeit, start_line: &str, lines: &[&str]) -> Result<String> {
    let mut client = albeit.client().await?;
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    client.send(format!("{start_line} HTTP/1.1\r\nHost: h.test\r\n{lines}\r\n")).await?;
    Ok(client.response().await?.text())
}

#[tokio::test]
async fn http_header_looks_at_each_line() -> Result<()> {
    let albeit = start(&[
        json!([{ "http_header": { "name": "X-Tenant", "values": ["gold-*", "silver"] } }]),
        json!([{ "http_header": { "name": "user-agent", "regex_values": ["chrome/(9|1\\d)\\d"] } },
               { "http_header": { "name": "accept", "values": ["*html*"] } }]),
    ])
    .await?;
    for (lines, priority) in [
        (&["X-TENANT: Gold-7"][..], "1"),
        (&["X-Tenant: bronze", "X-Other: gold-1", "x-tenant: SILVER"], "1"),
        (&["X-Tenant: bronze, silver"], "0"),
        (&["User-Agent: Chrome/120", "Accept: text/html"], "2"),
        (&["User-Agent: Chrome/120"], "0"),
        (&["User-Agent: Chrome/88", "Accept: text/html"], "0"),
    ] {
        assert_eq!(matched(&albeit, "GET /", lines).await?, priority, "{lines:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_method_condition_for_get_does_not_cover_head() -> Result<()> {
    let albeit = start(&[json!([{ "http_request_method": ["GET", "PURGE"] }])]).await?;
    assert_eq!(matched(&albeit, "GET /get", &[]).await?, "1");
    assert_eq!(matched(&albeit, "PURGE /purge", &[]).await?, "1");
    assert_eq!(matched(&albeit, "get /lower", &[]).await?, "0");
    let mut client = albeit.client().await?;
    client.send("HEAD /head HTTP/1.1\r\nHost: h.test\r\n\r\n").await?;
    let answer = client.response_within(SOON, Body::None).await?;
    assert_eq!((answer.status, answer.header("content-length")?), (200, "1"));
    assert_eq!(albeit.record("/head").await?["matched_rule_priority"], "0");
    assert_eq!(albeit.record("/get").await?["matched_rule_priority"], "1");
    Ok(())
}

#[tokio::test]
async fn query_strings_are_matched_by_key_and_value() -> Result<()> {
    let albeit = start(&[
        json!([{ "query_string": [{ "key": "version", "value": "v?" }, { "value": "*secret*" }] }]),
        json!([{ "query_string": [{ "key": "q", "value": "what\\?" }] }, { "path_pattern": ["/search"] }]),
    ])
    .await?;
    for (target, priority) in [
        ("/?a=b&VERSION=V1", "1"),
        ("/?version=v10", "0"),
        ("/?x=my%53ecrets", "1"),
        ("/version=v1", "0"),
        ("/search?q=what?", "2"),
        ("/search?q=whats", "0"),
        ("/other?q=what?", "0"),
    ] {
        assert_eq!(matched(&albeit, &format!("GET {target}"), &[]).await?, priority, "{target}");
    }
    Ok(())
}

#[tokio::test]
async fn hosts_and_paths_match_regular_expressions() -> Result<()> {
    let albeit = start(&[json!([{ "host_header": { "regex_values": ["^H\\.(test|prod)$"] } },
               { "path_pattern": { "regex_values": ["^/(v1|v2)/[A-Z]+$"] } }])])
    .await?;
    assert_eq!(matched(&albeit, "GET /v1/USERS?x=1", &[]).await?, "1");
    assert_eq!(matched(&albeit, "GET /x/../v2/USERS", &[]).await?, "1");
    assert_eq!(matched(&albeit, "GET /v1/users", &[]).await?, "0");
    let mut client = albeit.client().await?;
    client.send("GET /v1/USERS HTTP/1.1\r\nHost: h.tests\r\n\r\n").await?;
    assert_eq!(client.response().await?.text(), "0");
    Ok(())
}

#[tokio::test]
async fn source_ip_is_the_peer_and_not_what_it_says_of_itself() -> Result<()> {
    let conditions = [
        json!([{ "source_ip": ["127.0.0.0/8"] }, { "path_pattern": ["/four"] }]),
        json!([{ "source_ip": ["::1/128", "2001:db8::/32"] }]),
        json!([{ "source_ip": ["203.0.113.0/24"] }]),
    ];
    let six = HeldPort::on(Ipv6Addr::LOCALHOST.into())?;
    let config = Config::try_new()?
        .with_listener(Listener::http(fixed("0"))?.with("rules", rules(&conditions)))
        .with_listener(Listener::on(six, "HTTP", fixed("0")).with("rules", rules(&conditions)));
    let albeit = Albeit::start(config).await?;
    assert_eq!(matched(&albeit, "GET /four", &[]).await?, "1");
    assert_eq!(matched(&albeit, "GET /forged", &["X-Forwarded-For: 203.0.113.7"]).await?, "0");
    let six = Client::connect(albeit.listener(1)?).await?.get("/four").await?;
    assert_eq!(six.text(), "2");
    Ok(())
}

#[tokio::test]
async fn http2_requests_match_the_same_rules() -> Result<()> {
    let ca = Ca::try_new()?;
    let config = Config::try_new()?;
    let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
    let conditions = [
        json!([{ "http_header": { "name": "X-Tenant", "values": ["gold"] } },
               { "http_request_method": ["GET"] }, { "source_ip": ["127.0.0.1/32"] }]),
        json!([{ "host_header": { "regex_values": ["^api\\."] } }, { "query_string": [{ "value": "yes" }] }]),
        json!([{ "http_request_method": ["HEAD"] }]),
    ];
    let listener = Listener::https(&["localhost"], fixed("0"))?.with("rules", rules(&conditions));
    let albeit = Albeit::start(config.with_certificate(certificate).with_listener(listener)).await?;
    let tls = ca.client(&["h2"], ALL_VERSIONS)?;
    let client = Http2::connect(albeit.listener(0)?, "localhost", tls).await?;
    for (uri, headers, expected) in [
        ("https://localhost/", &[("x-tenant", "bronze"), ("x-tenant", "gold")][..], "1"),
        ("https://api.localhost/?a=yes", &[], "2"),
        ("https://localhost/?a=yes", &[], "0"),
    ] {
        assert_eq!(client.get(uri, headers).await?.body(), expected, "{uri}");
    }
    let head = Request::head("https://localhost/head").body(Bytes::new())?;
    assert_eq!(client.send(head).await?.status(), 200);
    let record = albeit.record("/head").await?;
    assert_eq!((record["type"].as_str(), record["matched_rule_priority"].as_str()), ("h2", "3"));
    Ok(())
}

#[tokio::test]
async fn rule_evaluations_count_rules_up_to_the_match() -> Result<()> {
    let path = |path: &str| json!([{ "path_pattern": [path] }]);
    let albeit = start(&[path("/1"), path("/2"), path("/3"), path("/4")]).await?;
    let mut client = albeit.client().await?;
    for target in ["/1", "/3", "/3", "/none"] {
        client.get(target).await?;
    }
    // 1 + 3 + 3, and all four before the default rule, which does not count.
    eventually(SOON, "RuleEvaluations", || async {
        let count = albeit.metrics().await?.cloudwatch("RuleEvaluations")?;
        ensure!((count - 11.0).abs() < f64::EPSILON, "{count}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_hundred_hostile_rules_answer_in_time() -> Result<()> {
    let hostile: Vec<Value> = (0..100)
        .map(|rule| match rule % 3 {
            0 => json!([{ "path_pattern": ["*a*a*a*a*a*b"] }]),
            1 => json!([{ "path_pattern": { "regex_values": ["^/((a*)*a?)*b$", "(a|aa)+(a?){30}b$"] } }]),
            _ => json!([{ "http_header": { "name": "cookie", "regex_values": ["^(([a-z])+.)+[0-9]([a-z])+$"] } }]),
        })
        .collect();
    let albeit = start(&hostile).await?;
    let cookie = format!("Cookie: {}", "a".repeat(16_000));
    let target = format!("GET /{}", "a".repeat(15_000));
    assert_eq!(matched(&albeit, &target, &[&cookie]).await?, "0");
    Ok(())
}
