//! Rules: path-pattern and host-header conditions, priorities, redirect and fixed-response.

use albeit_e2e::{Albeit, Config, Group, Listener, Target, client::Body, forward, wait::SOON};
use anyhow::Result;
use serde_json::{Value, json};

fn fixed(status: u16, body: &str) -> Value {
    json!({ "fixed_response": { "status_code": status.to_string(), "content_type": "text/plain", "message_body": body } })
}

async fn with_listener(listener: Listener) -> Result<Albeit> {
    Albeit::start(Config::try_new()?.with_listener(listener)).await
}

async fn get(albeit: &Albeit, host: &str, path: &str) -> Result<albeit_e2e::Response> {
    let mut client = albeit.client().await?;
    client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await?;
    client.response().await
}

#[tokio::test]
async fn the_lowest_priority_number_that_matches_decides() -> Result<()> {
    let listener = Listener::http(fixed(404, "default"))?
        .with_rule(30, json!({ "path_pattern": ["/a/*"] }), fixed(200, "thirty"))
        .with_rule(10, json!({ "path_pattern": ["/a/b*", "/c?d"] }), fixed(200, "ten"))
        .with_rule(20, json!({ "host_header": ["*.Example.com"] }), fixed(200, "twenty"));
    let albeit = with_listener(listener).await?;
    for (host, path, expected, priority) in [
        ("x.test", "/a/bcd", "ten", "10"),
        ("x.test", "/a/c", "thirty", "30"),
        ("x.test", "/cxd?query=/a/b", "ten", "10"),
        ("www.EXAMPLE.com:8080", "/a/c", "twenty", "20"),
        ("example.com", "/A/b", "default", "0"),
        ("x.test", "/a", "default", "0"),
        ("x.test", "/cd", "default", "0"),
    ] {
        let marked =
            if path.contains('?') { format!("{path}&{expected}") } else { format!("{path}?{expected}") };
        assert_eq!(get(&albeit, host, &marked).await?.text(), expected, "{host}{path}");
        let record = albeit.records(&marked, 1).await?;
        assert_eq!(record[0]["matched_rule_priority"], priority, "{host}{path}");
        assert_eq!(record[0]["actions_executed"], "fixed-response");
    }
    Ok(())
}

#[tokio::test]
async fn paths_lead_to_their_groups() -> Result<()> {
    let (web, chat) = (Target::saying("web")?, Target::saying("chat")?);
    let weighted = json!({ "forward": { "target_groups": [{ "target_group": "chat", "weight": 1 }] } });
    let listener =
        Listener::http(forward("web"))?.with_rule(1, json!({ "path_pattern": ["/chat/*"] }), weighted);
    let config = Config::try_new()?
        .with_group(Group::new("web", &[web.addr()]))
        .with_group(Group::new("chat", &[chat.addr()]))
        .with_listener(listener);
    let albeit = Albeit::start(config).await?;
    assert_eq!(albeit.get("/chat/1").await?.text(), "chat");
    assert_eq!(albeit.get("/").await?.text(), "web");
    let record = albeit.record("/chat/1").await?;
    assert!(record["target_group_arn"].contains(":targetgroup/chat/"), "{record:?}");
    Ok(())
}

#[tokio::test]
async fn a_redirect_names_the_port_and_keeps_host_path_and_query() -> Result<()> {
    let to_https = json!({ "redirect": { "protocol": "HTTPS", "port": "443", "status_code": "HTTP_301" } });
    let elsewhere = json!({ "redirect": {
        "host": "new.#{host}", "path": "/moved/#{path}", "query": "from=#{port}&#{query}", "status_code": "HTTP_302",
    } });
    let listener = Listener::http(to_https)?.with_rule(1, json!({ "path_pattern": ["/old/*"] }), elsewhere);
    let albeit = with_listener(listener).await?;
    let port = albeit.listener(0)?.port();

    let mut client = albeit.client().await?;
    client.send("GET /a/b?x=1&y=%20 HTTP/1.1\r\nHost: Example.com:99\r\n\r\n").await?;
    let moved = client.response_within(SOON, Body::Expected).await?;
    assert_eq!(moved.head.lines().next(), Some("HTTP/1.1 301 Moved Permanently"));
    assert_eq!(moved.header("location")?.to_ascii_lowercase(), "https://example.com:443/a/b?x=1&y=%20");
    assert_eq!((moved.header("server")?, moved.header("content-length")?), ("awselb/2.0", "134"));
    assert!(moved.text().contains("<h1>301 Moved Permanently</h1>"), "{}", moved.text());

    let found = get(&albeit, "example.com", "/old/page?q=1").await?;
    assert_eq!(found.head.lines().next(), Some("HTTP/1.1 302 Found"));
    let location = format!("http://new.example.com:{port}/moved/old/page?from={port}&q=1");
    assert_eq!(found.header("location")?, location);
    let record = albeit.record("/old/page").await?;
    assert_eq!(record["redirect_url"], location);
    assert_eq!(record["actions_executed"], "redirect");
    assert_eq!(record["elb_status_code"], "302");
    assert_eq!(record["target_group_arn"], "-");
    Ok(())
}

#[tokio::test]
async fn a_fixed_response_is_sent_as_configured() -> Result<()> {
    let action = json!({ "fixed_response": {
        "status_code": "418", "content_type": "application/json", "message_body": "{\"tea\":true}",
    } });
    let albeit = with_listener(Listener::http(action)?).await?;
    let answer = albeit.get("/").await?;
    assert_eq!(answer.status, 418);
    assert_eq!(answer.header("server")?, "awselb/2.0");
    assert_eq!(answer.header("content-type")?, "application/json");
    assert_eq!(answer.text(), "{\"tea\":true}");
    Ok(())
}

#[tokio::test]
async fn a_location_of_more_than_8_kib_gets_507() -> Result<()> {
    let action = json!({ "redirect": { "host": "elsewhere.test", "status_code": "HTTP_302" } });
    let albeit = with_listener(Listener::http(action)?).await?;
    assert_eq!(albeit.get(&format!("/{}", "a".repeat(7_000))).await?.status, 302);
    let long = format!("/{}", "b".repeat(9_000));
    assert_eq!(albeit.get(&long).await?.status, 507);
    let record = albeit.record("/bbb").await?;
    assert_eq!((record["elb_status_code"].as_str(), record["redirect_url"].as_str()), ("507", "-"));
    let metrics = albeit.metrics().await?;
    for name in ["HTTP_Redirect_Url_Limit_Exceeded_Count", "HTTP_Redirect_Count", "HTTPCode_ELB_5XX_Count"] {
        assert!((metrics.cloudwatch(name)? - 1.0).abs() < f64::EPSILON, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn an_absolute_target_matches_by_its_path_and_what_is_no_path_is_refused() -> Result<()> {
    let listener = Listener::http(fixed(404, "default"))?.with_rule(
        1,
        json!({ "path_pattern": ["/admin/*"] }),
        fixed(403, "admin"),
    );
    let albeit = with_listener(listener).await?;
    for target in ["http://h/admin/x", "HTTP://h/admin/x", "hTTps://h/admin/x?y"] {
        let answer = get(&albeit, "h", target).await?;
        assert_eq!((answer.status, answer.text()), (403, "admin".to_owned()), "{target}");
    }
    // A target that understood these after all would be reached past the rule.
    for target in ["ws://h/admin/x", "admin/x", "ftp://h/admin/x", "http:/admin/x"] {
        assert_eq!(get(&albeit, "h", target).await?.status, 400, "{target}");
    }
    Ok(())
}
