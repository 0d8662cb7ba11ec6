//! Response headers that a listener inserts, on every response; the Server header left out.

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, Response, Target,
    ca::ALL_VERSIONS,
    forward,
    http2::Http2,
    target::{self, Step},
    websocket,
};
use anyhow::Result;
use serde_json::{Value, json};

const PREFIX: &str = "routing.http.response";

fn attributes() -> Value {
    json!({
        format!("{PREFIX}.server.enabled"): false,
        format!("{PREFIX}.strict_transport_security.header_value"): "max-age=31536000; includeSubDomains",
        format!("{PREFIX}.access_control_allow_origin.header_value"): "https://a.test",
        format!("{PREFIX}.access_control_allow_methods.header_value"): "GET,POST",
        format!("{PREFIX}.access_control_allow_headers.header_value"): "X-A",
        format!("{PREFIX}.access_control_allow_credentials.header_value"): true,
        format!("{PREFIX}.access_control_expose_headers.header_value"): "X-B",
        format!("{PREFIX}.access_control_max_age.header_value"): 600,
        format!("{PREFIX}.content_security_policy.header_value"): "default-src 'self'",
        format!("{PREFIX}.x_content_type_options.header_value"): "nosniff",
        format!("{PREFIX}.x_frame_options.header_value"): "SAMEORIGIN",
    })
}

const INSERTED: [(&str, &str); 10] = [
    ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
    ("Access-Control-Allow-Origin", "https://a.test"),
    ("Access-Control-Allow-Methods", "GET,POST"),
    ("Access-Control-Allow-Headers", "X-A"),
    ("Access-Control-Allow-Credentials", "true"),
    ("Access-Control-Expose-Headers", "X-B"),
    ("Access-Control-Max-Age", "600"),
    ("Content-Security-Policy", "default-src 'self'"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
];

#[track_caller]
fn check(response: &Response, status: u16) -> Result<()> {
    assert_eq!(response.status, status, "{:?}", response.head);
    for (name, value) in INSERTED {
        assert_eq!(response.header(name)?, value, "{:?}", response.head);
        assert!(
            response.head.contains(&format!("\r\n{name}: ")),
            "spelling of {name} in {:?}",
            response.head
        );
    }
    Ok(())
}

/// A target that sets some of the headers itself.
fn talkative() -> Result<Target> {
    let headers = ["Server: mine", "x-frame-options: DENY", "X-Frame-Options: again", "X-Own: kept"];
    Target::start(move |request| {
        if request.path() == "/ws" {
            return vec![Step::Send(target::switching_protocols()), Step::Relay];
        }
        vec![Step::Send(target::response("404 Not Found", &headers, "gone"))]
    })
}

async fn start(target: &Target) -> Result<Albeit> {
    let redirect = json!({ "redirect": { "port": "1", "status_code": "HTTP_301" } });
    let fixed = json!({ "fixed_response": { "status_code": "200", "content_type": "text/plain", "message_body": "x" } });
    let listener = Listener::http(forward("web"))?
        .with("attributes", attributes())
        .with_rule(1, json!({ "path_pattern": ["/moved"] }), redirect)
        .with_rule(2, json!({ "path_pattern": ["/fixed"] }), fixed)
        .with_rule(3, json!({ "path_pattern": ["/nobody"] }), forward("empty"));
    let config = Config::try_new()?
        .with_group(Group::new("web", &[target.addr()]))
        .with_group(Group::new("empty", &[]))
        .with_listener(listener)
        .with_listener(Listener::http(forward("web"))?);
    Albeit::start(config).await
}

#[tokio::test]
async fn every_response_carries_them() -> Result<()> {
    let target = talkative()?;
    let albeit = start(&target).await?;
    let response = albeit.get("/").await?;
    check(&response, 404)?;
    assert_eq!(response.header("server")?, "mine");
    assert_eq!(response.header("x-own")?, "kept");
    for (path, status) in [("/moved", 301), ("/fixed", 200), ("/nobody", 503)] {
        let response = albeit.get(path).await?;
        check(&response, status)?;
        assert!(response.headers("server").is_empty(), "{:?}", response.head);
    }
    let mut client = albeit.client().await?;
    check(&websocket::upgrade(&mut client, "/ws").await?, 101)?;
    Ok(())
}

#[tokio::test]
async fn so_do_answers_to_what_cannot_be_read() -> Result<()> {
    let target = talkative()?;
    let albeit = start(&target).await?;
    for request in ["\0\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"] {
        let mut client = albeit.client().await?;
        client.send(request).await?;
        let response = client.response().await?;
        check(&response, 400)?;
        assert!(response.headers("server").is_empty(), "{:?}", response.head);
        assert!(response.head.starts_with("HTTP/1.1 400 Bad Request\r\nDate: "), "{:?}", response.head);
    }
    Ok(())
}

#[tokio::test]
async fn another_listener_has_none_of_it() -> Result<()> {
    let target = talkative()?;
    let albeit = start(&target).await?;
    let mut plain = Client::connect(albeit.listener(1)?).await?;
    let response = plain.get("/").await?;
    assert_eq!(response.headers("x-frame-options"), ["DENY", "again"]);
    assert!(response.headers("content-security-policy").is_empty(), "{:?}", response.head);
    plain.send("\0\r\n\r\n").await?;
    assert_eq!(plain.response().await?.header("server")?, "awselb/2.0");
    Ok(())
}

#[tokio::test]
async fn http_2_responses_carry_them_too() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = talkative()?;
    let config = Config::try_new()?.with_group(Group::new("web", &[target.addr()])).with_https(&ca)?;
    let listeners = config.listeners.clone();
    let mut config = config;
    config.listeners =
        listeners.into_iter().map(|listener| listener.with("attributes", attributes())).collect();
    let albeit = Albeit::start(config).await?;
    let h2 = Http2::connect(albeit.listener(0)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await?;
    let response = h2.get("https://localhost/", &[]).await?;
    for (name, value) in INSERTED {
        let values: Vec<_> = response.headers().get_all(name).iter().collect();
        assert_eq!(values, [value], "{name}");
    }
    Ok(())
}
