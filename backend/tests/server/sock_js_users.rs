//! SockJS over HTTP: whose a session is, and what it counts for.

use crate::harness::{Running, start};
use crate::sock_js_client::{CONNECT, Response};
use crate::tokens::{ask, of, secured};

/// A request of a user.
async fn of_user(server: &Running, name: &str, path: &str, body: &str) -> Response {
    let header = format!("Authorization: Bearer {}\r\n", of(name));
    server.request("POST", path, &header, body).await
}

#[tokio::test]
async fn a_session_is_not_found_by_other_users() {
    let server = secured();
    assert_eq!(of_user(&server, "ann", "/ws/0/a/xhr", "").await.body, "o\n");
    for path in ["/ws/0/a/xhr", "/ws/0/a/xhr_send", "/ws/0/a/xhr_streaming"] {
        assert_eq!(of_user(&server, "bob", path, "[\"x\"]").await.status, 404, "{path}");
        assert_eq!(server.post(path, "[\"x\"]").await.status, 404, "{path}");
    }
    // She goes on, as who the first request named.
    assert_eq!(of_user(&server, "ann", "/ws/0/a/xhr_send", CONNECT).await.status, 204);
    let connected = of_user(&server, "ann", "/ws/0/a/xhr", "").await;
    assert!(connected.body.contains("\\nuser-name:ann\\n"), "{}", connected.body);
}

#[tokio::test]
async fn a_bad_token_gets_401() {
    let server = secured();
    let header = "Authorization: Bearer x.y.z\r\n";
    for path in ["/ws/0/a/xhr", "/ws/0/a/xhr_send"] {
        let answer = server.request("POST", path, header, "[\"x\"]").await;
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
    assert!(server.services.sock_js.is_empty());
}

#[tokio::test]
async fn a_session_takes_one_place_and_its_requests_none() {
    let server = start(|config| {
        ask(config);
        config.limits.connections_per_user = 1;
        config.limits.connections_per_address = 1;
        config.limits.handshakes_per_second = 1;
        config.limits.handshakes_burst = 1;
    });
    assert_eq!(of_user(&server, "ann", "/ws/0/a/xhr", "").await.body, "o\n");
    for _ in 0..5 {
        assert_eq!(of_user(&server, "ann", "/ws/0/a/xhr_send", "[\"\\n\"]").await.status, 204);
    }
    assert_eq!(of_user(&server, "ann", "/ws/0/a/xhr_send", CONNECT).await.status, 204);
    assert!(of_user(&server, "ann", "/ws/0/a/xhr", "").await.body.contains("CONNECTED"));
    // Another session would be one too many.
    assert_eq!(of_user(&server, "ann", "/ws/0/b/xhr", "").await.status, 429);
    assert_eq!(server.services.sock_js.len(), 1);
}
