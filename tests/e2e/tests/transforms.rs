//! host-header-rewrite and url-rewrite as targets, clients and the access log see them.

use albeit_e2e::{
    Albeit, Ca, Config, Group, H2Target, Listener, Response, Step, Target,
    ca::ALL_VERSIONS,
    forward,
    http2::Http2,
    target::{Request, ok, switching_protocols},
    websocket::upgrade,
};
use anyhow::Result;
use serde_json::{Value, json};

#[expect(clippy::needless_pass_by_value, reason = "called with json! literals")]
fn rule(priority: u16, path: &str, transforms: Value, action: Value) -> Value {
    json!({
        "priority": priority, "conditions": [{ "path_pattern": [path] }],
        "transforms": transforms, "actions": [action],
    })
}

fn url(regex: &str, replace: &str) -> Value {
    json!({ "url_rewrite": { "regex": regex, "replace": replace } })
}

fn host(regex: &str, replace: &str) -> Value {
    json!({ "host_header_rewrite": { "regex": regex, "replace": replace } })
}

fn with_rules(target: &Target, rules: Value) -> Result<Config> {
    let listener = Listener::http(forward("web"))?.with("rules", rules);
    Ok(Config::try_new()?.with_group(Group::new("web", &[target.addr()])).with_listener(listener))
}

async fn get(albeit: &Albeit, host: &str, path: &str) -> Result<Response> {
    let mut client = albeit.client().await?;
    client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Mark: 1\r\n\r\n")).await?;
    client.response().await
}

fn seen(request: &Request) -> Result<(String, String)> {
    Ok((request.path().to_owned(), request.header("host")?.to_owned()))
}

#[tokio::test]
async fn the_target_gets_the_rewritten_host_path_and_query() -> Result<()> {
    let target = Target::saying("ok")?;
    let transforms = json!([
        host("^mywebsite-(.+).com$", "internal.dev.$1.myweb.com"),
        url(r"^/api/(v\d)/(.*)$", "/$2&version=$1"),
    ]);
    let rules = json!([
        rule(1, "/api/*", transforms, forward("web")),
        // Would answer if routing were looked at again.
        { "priority": 2, "conditions": [{ "path_pattern": ["/items*"] }],
          "actions": [{ "fixed_response": { "status_code": "404" } }] },
    ]);
    let albeit = Albeit::start(with_rules(&target, rules)?).await?;
    let port = albeit.listener(0)?.port();
    assert_eq!(get(&albeit, "MyWebsite-example.com", "/api/v2/items?id=1").await?.text(), "ok");
    let request = target.request(1).await?;
    let host = format!("internal.dev.example.myweb.com:{port}");
    assert_eq!(seen(&request)?, ("/items?id=1&version=v2".to_owned(), host));
    // The host keeps its place among the fields of the load balancer.
    let names: Vec<&str> =
        request.head.lines().skip(1).filter_map(|line| Some(line.split_once(':')?.0)).collect();
    assert_eq!(
        names,
        ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port", "Host", "X-Amzn-Trace-Id", "X-Mark"]
    );

    let record = albeit.record("/api/v2/items?id=1").await?;
    assert_eq!(record["matched_rule_priority"], "1");
    assert_eq!(record["actions_executed"], "rewrite,forward");
    assert_eq!(record["transformed_host"], "internal.dev.example.myweb.com");
    assert_eq!(record["transformed_uri"], "/items?id=1&version=v2");
    assert_eq!(record["request_transform_status"], "Success");
    // What the client sent.
    let sent = format!("GET http://MyWebsite-example.com:{port}/api/v2/items?id=1 HTTP/1.1");
    assert_eq!(record["request"], sent);
    Ok(())
}

#[tokio::test]
async fn without_a_match_the_request_stays_as_it_is() -> Result<()> {
    let target = Target::saying("ok")?;
    let transforms = json!([url("^/API/", "/"), host("^other", "b")]);
    let rules = json!([rule(1, "/api/*", transforms, forward("web"))]);
    let albeit = Albeit::start(with_rules(&target, rules)?).await?;
    get(&albeit, "a.test:1", "/api/x?%20").await?;
    assert_eq!(seen(&target.request(1).await?)?, ("/api/x?%20".to_owned(), "a.test:1".to_owned()));
    let record = albeit.record("/api/x").await?;
    assert_eq!(record["transformed_host"], "-");
    assert_eq!(record["transformed_uri"], "-");
    assert_eq!(record["request_transform_status"], "Success");
    // The default rule has no transforms.
    get(&albeit, "a.test", "/plain").await?;
    let record = albeit.record("/plain").await?;
    assert_eq!(
        (record["actions_executed"].as_str(), record["request_transform_status"].as_str()),
        ("forward", "-")
    );
    Ok(())
}

#[tokio::test]
async fn a_result_that_cannot_be_sent_gets_500() -> Result<()> {
    let target = Target::saying("ok")?;
    let rules = json!([
        rule(1, "/host*", json!([host("^(.*)$", "a b")]), forward("web")),
        rule(2, "/path*", json!([url("^/path", "x")]), forward("web")),
        rule(3, "/long*", json!([url("^(.*)$", "$1$1$1$1$1$1$1$1$1")]), forward("web")),
    ]);
    let albeit = Albeit::start(with_rules(&target, rules)?).await?;
    let mut client = albeit.client().await?;
    let long = format!("/long{}", "g".repeat(3_000));
    for (path, status) in
        [("/host", "InvalidHost"), ("/path", "InvalidPath"), (&long, "TransformBufferTooSmall")]
    {
        // The connection stays.
        let answer = client.get(path).await?;
        assert_eq!((answer.status, answer.header("server")?), (500, "awselb/2.0"), "{path}");
        let record = albeit.record(path).await?;
        assert_eq!(record["request_transform_status"], status);
        assert_eq!(record["elb_status_code"], "500");
        assert_eq!(record["actions_executed"], "-");
        assert_eq!((record["target:port"].as_str(), record["transformed_uri"].as_str()), ("-", "-"));
    }
    assert!(target.requests().is_empty());
    let metrics = albeit.metrics().await?;
    assert!((metrics.cloudwatch("HTTPCode_ELB_500_Count")? - 3.0).abs() < f64::EPSILON);
    Ok(())
}

#[tokio::test]
async fn a_rewritten_host_is_preserved_or_gets_the_port_like_any_other() -> Result<()> {
    let target = Target::saying("ok")?;
    let rules = json!([rule(1, "/*", json!([host("^a(.*)$", "Inner$1")]), forward("web"))]);
    let config =
        with_rules(&target, rules)?.with_attribute("routing.http.preserve_host_header.enabled", true);
    let albeit = Albeit::start(config).await?;
    get(&albeit, "a.Test", "/1").await?;
    assert_eq!(target.request(1).await?.header("host")?, "Inner.Test");
    get(&albeit, "a.Test:99", "/2").await?;
    assert_eq!(target.request(2).await?.header("host")?, "Inner.Test:99");
    assert_eq!(albeit.record("/2").await?["transformed_host"], "Inner.Test:99");
    Ok(())
}

#[tokio::test]
async fn a_redirect_speaks_of_what_the_client_sent() -> Result<()> {
    let target = Target::saying("ok")?;
    let redirect = json!({ "redirect": { "host": "new.test", "status_code": "HTTP_302" } });
    let rules = json!([rule(1, "/old*", json!([url("^/old", "/new")]), redirect)]);
    let albeit = Albeit::start(with_rules(&target, rules)?).await?;
    let answer = albeit.get("/old/x").await?;
    let port = albeit.listener(0)?.port();
    assert_eq!(answer.header("location")?, format!("http://new.test:{port}/old/x"));
    let record = albeit.record("/old/x").await?;
    assert_eq!(
        (record["actions_executed"].as_str(), record["request_transform_status"].as_str()),
        ("redirect", "-")
    );
    Ok(())
}

#[tokio::test]
async fn websockets_and_http2_requests_are_rewritten_too() -> Result<()> {
    let target = Target::start(|request| match request.path() {
        "/ws/chat" => vec![Step::Send(switching_protocols()), Step::Relay],
        _ => vec![Step::Send(ok("ok"))],
    })?;
    let ca = Ca::try_new()?;
    let config =
        with_rules(&target, json!([rule(1, "/app/*", json!([url("^/app/", "/ws/")]), forward("web"))]))?;
    let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
    let secure = Listener::https(&["localhost"], forward("web"))?.with(
        "rules",
        json!([rule(
            1,
            "/app/*",
            json!([url("^/app/", "/ws/"), host("^localhost$", "inner.test")]),
            forward("web")
        )]),
    );
    let albeit = Albeit::start(config.with_certificate(certificate).with_listener(secure)).await?;
    let mut client = albeit.client().await?;
    upgrade(&mut client, "/app/chat").await?;
    client.send("ping").await?;
    assert_eq!(client.read_exactly(4).await?, b"ping");
    drop(client);
    let record = albeit.record("/app/chat").await?;
    assert_eq!((record["type"].as_str(), record["transformed_uri"].as_str()), ("ws", "/ws/chat"));

    let h2 = Http2::connect(albeit.listener(1)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await?;
    assert_eq!(h2.get("https://localhost/app/h2?q", &[]).await?.body(), "ok");
    let port = albeit.listener(1)?.port();
    let request = target.request(2).await?;
    assert_eq!(seen(&request)?, ("/ws/h2?q".to_owned(), format!("inner.test:{port}")));
    Ok(())
}

#[tokio::test]
async fn a_target_that_speaks_http2_gets_them_as_pseudo_headers() -> Result<()> {
    let target = H2Target::start(100, |mut call| async move {
        call.respond.send_response(http::Response::new(()), true)?;
        Ok(())
    })?;
    let ca = Ca::try_new()?;
    let config = Config::try_new()?;
    let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
    let transforms = json!([url("^/app/(.*)$", "/$1&v=1"), host("^localhost$", "inner.test:1")]);
    let listener = Listener::https(&["localhost"], forward("web"))?
        .with("rules", json!([rule(1, "/app/*", transforms, forward("web"))]));
    let group = Group::new("web", &[target.addr()]).speaking("HTTP", "HTTP2");
    let config = config.with_certificate(certificate).with_group(group).with_listener(listener);
    let albeit = Albeit::start(config).await?;
    let h2 = Http2::connect(albeit.listener(0)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await?;
    assert_eq!(h2.get("https://localhost/app/x?a", &[]).await?.status(), 200);
    assert_eq!(target.request(1).await?.uri, "http://inner.test:1/x?a&v=1");
    assert_eq!(albeit.record("/app/x").await?["actions_executed"], "rewrite,forward");
    Ok(())
}
