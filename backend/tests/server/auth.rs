//! Who is let in: tokens at the handshake and at CONNECT, origins.

use std::sync::Arc;

use albeit_backend::app::Demo;
use albeit_backend::auth::{AuthError, Authenticator, Principal, Token};
use albeit_backend::config::Config;
use albeit_backend::server::Server;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::harness::{Running, Ws, start, status};
use crate::tokens::{ask, of, secured, sign, time};

const UPGRADE: &str = "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The head of the answer to a handshake with these headers.
async fn handshake(server: &Running, path: &str, headers: &str) -> String {
    let mut tcp = server.tcp().await;
    tcp.send(&format!("GET {path} HTTP/1.1\r\n{UPGRADE}{headers}\r\n")).await;
    tcp.response().await.0
}

/// CONNECT with these headers on a WebSocket without a token.
async fn connect(server: &Running, headers: &str) -> Ws {
    let mut ws = server.web_socket("/ws").await;
    ws.send(&format!("CONNECT\naccept-version:1.2\n{headers}\n\0")).await;
    ws
}

/// The user that CONNECTED names.
async fn user(ws: &mut Ws) -> Option<String> {
    let text = ws.text().await;
    assert!(text.starts_with("CONNECTED\n"), "{text}");
    text.lines().find_map(|line| line.strip_prefix("user-name:")).map(str::to_owned)
}

/// The text of an ERROR that is followed by a close with 1008.
async fn refused(ws: &mut Ws) -> String {
    let text = ws.text().await;
    assert!(text.starts_with("ERROR\n"), "{text}");
    assert_eq!(ws.close_code().await, 1008);
    text
}

fn failures(server: &Running, reason: &str) -> u64 {
    server.services.metrics.auth.failures.with_label_values(&[reason]).get()
}

#[tokio::test]
async fn a_handshake_may_name_its_user_in_header_cookie_or_query() {
    let server = start(|config| {
        ask(config);
        config.security.token.cookie = Some("access_token".to_owned());
        config.security.token.query_parameter = Some("access_token".to_owned());
    });
    let (good, bad) = (of("ann"), "x.y.z");
    for (path, header) in [
        ("/ws", format!("Authorization: Bearer {good}\r\n")),
        ("/ws", format!("Cookie: a=b; access_token={good}\r\n")),
        (&*format!("/ws?access_token={good}"), String::new()),
        (&*format!("/ws?access_token={bad}"), format!("Authorization: Bearer {good}\r\n")),
    ] {
        assert_eq!(status(&handshake(&server, path, &header).await), 101, "{path} {header}");
    }
    assert_eq!(server.services.metrics.auth.successes.get(), 4);
    let mut ws = server.web_socket(&format!("/ws?access_token={good}")).await;
    ws.send("CONNECT\naccept-version:1.2\n\n\0").await;
    assert_eq!(user(&mut ws).await.as_deref(), Some("ann"));
}

#[tokio::test]
async fn a_bad_token_is_refused_at_the_handshake() {
    let server = secured();
    for (token, reason) in [
        ("x.y.z".to_owned(), "malformed"),
        (sign(&json!({ "sub": "ann", "exp": time(-1.0) })), "expired"),
        (sign(&json!({ "sub": "ann", "exp": time(60.0), "nbf": time(30.0) })), "not_yet_valid"),
        (sign(&json!({ "sub": "ann" })), "claim"),
        (format!("{}x", of("ann")), "signature"),
    ] {
        let before = failures(&server, reason);
        for path in ["/ws", "/echo"] {
            let head = handshake(&server, path, &format!("Authorization: Bearer {token}\r\n")).await;
            assert_eq!(status(&head), 401, "{reason}");
            assert!(head.contains("www-authenticate: bearer error=\"invalid_token\""), "{head}");
        }
        assert_eq!(failures(&server, reason) - before, 2, "{reason}");
    }
}

#[tokio::test]
async fn connect_may_name_the_user_and_counts_more_than_the_handshake() {
    let server = secured();
    let token = of("ann");
    for header in ["Authorization:Bearer ", "authorization:", "token:", "login:ann\npasscode:"] {
        let mut ws = connect(&server, &format!("{header}{token}\n")).await;
        assert_eq!(user(&mut ws).await.as_deref(), Some("ann"), "{header}");
    }
}

#[tokio::test]
async fn without_a_token_or_with_a_bad_one_connect_is_refused() {
    let server = secured();
    let text = refused(&mut connect(&server, "").await).await;
    assert!(
        text.contains("message:authentication failed\n") && text.contains("a token is required"),
        "{text}"
    );
    // Of an attacker, `{"alg":"none"}`, and of one who only knows the form.
    let claims = of("ann").split('.').nth(1).unwrap().to_owned();
    let none = format!("eyJhbGciOiJub25lIn0.{claims}.");
    let text = refused(&mut connect(&server, &format!("Authorization:Bearer {none}\n")).await).await;
    assert!(text.contains("another algorithm") && !text.contains(&claims), "{text}");
    refused(&mut connect(&server, "passcode:guest\n").await).await;
    assert_eq!([failures(&server, "missing"), failures(&server, "algorithm")], [1, 1]);
    let head = handshake(&server, "/echo", "").await;
    assert_eq!(status(&head), 401);
    assert!(head.contains("www-authenticate: bearer\r\n"), "{head}");
}

#[tokio::test]
async fn who_does_not_say_who_it_is_has_little_time() {
    let server = start(|config| {
        ask(config);
        config.security.unauthenticated_timeout = std::time::Duration::from_millis(50);
    });
    refused(&mut server.web_socket("/ws").await).await;
    assert_eq!(failures(&server, "missing"), 1);
}

#[tokio::test]
async fn where_it_is_not_required_nobody_is_asked_but_a_bad_token_is_refused() {
    let server = start(|config| {
        ask(config);
        config.security.required = Some(false);
    });
    assert_eq!(user(&mut connect(&server, "").await).await, None);
    assert_eq!(user(&mut connect(&server, &format!("token:{}\n", of("ann"))).await).await.unwrap(), "ann");
    refused(&mut connect(&server, "token:x\n").await).await;
}

#[tokio::test]
async fn without_keys_tokens_are_not_looked_at() {
    let server = start(|_| {});
    assert_eq!(user(&mut connect(&server, "token:x\nlogin:guest\npasscode:guest\n").await).await, None);
    assert_eq!(status(&handshake(&server, "/ws", "Authorization: Bearer x\r\n").await), 101);
}

#[tokio::test]
async fn a_server_that_requires_tokens_and_has_no_keys_does_not_start() {
    let mut config = Config::default();
    config.server.port = 0;
    config.security.required = Some(true);
    let error = Server::bind(config, Arc::new(Demo::new("b1"))).unwrap_err().to_string();
    assert_eq!(error, "security.required: needs a key in security.jwt, or JWT_SECRET");
}

/// Takes a name for a token, after some time.
#[derive(Debug)]
struct ByName;

impl Authenticator for ByName {
    fn authenticate<'a>(&'a self, token: &'a Token) -> BoxFuture<'a, Result<Arc<Principal>, AuthError>> {
        async move {
            tokio::task::yield_now().await;
            match token.secret() {
                "nobody" => Err(AuthError::Refused("nobody is not welcome".to_owned())),
                name => Ok(Arc::new(Principal {
                    name: name.to_owned(),
                    authorities: Vec::new(),
                    expires_at: None,
                })),
            }
        }
        .boxed()
    }
}

#[tokio::test]
async fn who_embeds_the_server_tells_users_in_its_own_way() {
    let server = Running::of(|config| {
        Server::bind_with_authenticator(config, Arc::new(Demo::new("b1")), Arc::new(ByName)).unwrap()
    });
    assert_eq!(user(&mut connect(&server, "token:bob\n").await).await.as_deref(), Some("bob"));
    let text = refused(&mut connect(&server, "token:nobody\n").await).await;
    assert!(text.contains("nobody is not welcome"), "{text}");
    refused(&mut connect(&server, "").await).await;
}

#[tokio::test]
async fn only_pages_that_are_allowed_may_open_a_session() {
    let server = start(|config| {
        config.websocket.allowed_origins =
            vec!["https://app.example.com".to_owned(), "https://*.example.org".to_owned()];
    });
    for (origin, expected) in [
        ("http://a", 101),
        ("https://app.example.com", 101),
        ("https://chat.example.org", 101),
        ("https://app.example.com:8443", 403),
        ("http://app.example.com", 403),
        ("https://example.org", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ] {
        for path in ["/ws", "/echo", "/ws/websocket", "/ws/a/b/websocket"] {
            let head = handshake(&server, path, &format!("Origin: {origin}\r\n")).await;
            assert_eq!(status(&head), expected, "{path} {origin}");
        }
    }
    let origins = &server.services.metrics.auth.refused_origins;
    let refused = ["foreign", "null"].map(|reason| origins.with_label_values(&[reason]).get());
    assert_eq!(refused, [16, 4]);
}

#[tokio::test]
async fn requests_without_an_origin_can_be_refused() {
    let server = start(|config| config.security.missing_origin = albeit_backend::auth::Policy::Deny);
    assert_eq!(status(&handshake(&server, "/ws", "").await), 403);
    assert_eq!(status(&handshake(&server, "/ws", "Origin: http://a\r\n").await), 101);
}
