//! SockJS: addresses, methods and headers.

use crate::harness::{start, status};
use crate::sock_js_client::Response;

const NEVER_CACHED: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";

#[tokio::test]
async fn the_endpoint_greets() {
    let server = start(|_| {});
    for path in ["/ws", "/ws/"] {
        let greeting = server.request("GET", path, "", "").await;
        assert_eq!((greeting.status, greeting.body.as_str()), (200, "Welcome to SockJS!\n"));
        assert_eq!(greeting.header("content-type"), "text/plain; charset=utf-8");
    }
}

#[tokio::test]
async fn the_endpoint_is_where_its_path_says() {
    let server = start(|config| config.sockjs.path = "/app/stomp".to_owned());
    assert_eq!(server.get("/app/stomp").await.0, 200);
    assert_eq!(server.get("/app/stomp/info").await.0, 200);
    assert_eq!(server.get("/ws").await.0, 404);
    let mut client = server.web_socket("/app/stomp").await;
    client.send("CONNECT\naccept-version:1.2\n\n\0").await;
    assert!(client.text().await.starts_with("CONNECTED\n"));
}

#[tokio::test]
async fn info_tells_what_is_served() {
    let server = start(|_| {});
    let info = server.request("GET", "/ws/info", "", "").await;
    assert_eq!(info.status, 200);
    assert_eq!(info.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(info.header("cache-control"), NEVER_CACHED);
    assert_eq!(info.header("access-control-allow-origin"), "*");
    assert_eq!(info.header("access-control-allow-credentials"), "");
    let told: serde_json::Value = serde_json::from_str(&info.body).unwrap();
    assert_eq!((&told["websocket"], &told["cookie_needed"]), (&true.into(), &true.into()));
    assert_eq!(told["origins"], serde_json::json!(["*:*"]));
    assert!(told["entropy"].is_u64());
    let again = server.request("GET", "/ws/info", "", "").await;
    assert_ne!(info.body, again.body);
}

#[tokio::test]
async fn without_web_sockets_info_says_so_and_they_are_not_found() {
    let server = start(|config| {
        config.sockjs.web_socket_enabled = false;
        config.sockjs.session_cookie_needed = false;
    });
    let info = server.request("GET", "/ws/info", "", "").await;
    assert!(info.body.contains(r#""websocket":false"#) && info.body.contains(r#""cookie_needed":false"#));
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for path in ["/ws", "/ws/websocket", "/ws/0/0/websocket"] {
        assert_eq!(server.request("GET", path, upgrade, "").await.status, 404, "{path}");
    }
    assert_eq!(server.request("POST", "/ws/0/a/xhr", "", "").await.header("set-cookie"), "");
}

#[tokio::test]
async fn the_iframe_is_cached_by_its_etag() {
    let server = start(|config| config.sockjs.client_library_url = "/assets/sockjs.js".to_owned());
    let page = server.request("GET", "/ws/iframe-1.6.1.html?t=1", "", "").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.body.contains("<script src=\"/assets/sockjs.js\"></script>"), "{}", page.body);
    assert!(page.header("cache-control").contains("public"));
    assert!(page.header("cache-control").contains("max-age=31536000"));
    assert!(page.header("expires").ends_with(" gmt"));
    assert_eq!(page.header("last-modified"), "");
    assert_eq!(page.header("x-frame-options"), "sameorigin");
    assert_eq!(page.header("content-security-policy"), "frame-ancestors 'self'");
    let etag = page.header("etag");
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 10, "{etag}");
    let known = format!("If-None-Match: {etag}\r\n");
    let unchanged = server.request("GET", "/ws/iframe.html", &known, "").await;
    assert_eq!((unchanged.status, unchanged.body.as_str()), (304, ""));
    assert_eq!(unchanged.header("content-type"), "");
    assert_eq!(unchanged.header("etag"), etag);
}

#[tokio::test]
async fn what_is_no_address_of_the_protocol_is_not_found() {
    let server = start(|_| {});
    for path in [
        "/a",
        "/a.html",
        "//",
        "///",
        "/a/a",
        "/a/a/",
        "/a/",
        "/iframe.htm",
        "/iframe",
        "/IFRAME.HTML",
        "/iframe-/.html",
        "///xhr",
        "/a./a/xhr",
        "/a/a./xhr",
        "/./../xhr",
        "//a/xhr",
        "/a//xhr",
        "/a/a/xhr/",
        "/a/a/b/xhr",
    ] {
        for method in ["GET", "POST"] {
            let answer = server.request(method, &format!("/ws{path}"), "", "").await;
            assert_eq!(answer.status, 404, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let server = start(|_| {});
    for (method, path, allowed) in [
        ("POST", "/ws", "get"),
        ("PUT", "/ws/info", "options, get"),
        ("POST", "/ws/iframe.html", "get"),
        ("GET", "/ws/0/a/xhr", "options, post"),
        ("GET", "/ws/0/a/xhr_streaming", "options, post"),
        ("GET", "/ws/0/a/xhr_send", "options, post"),
        ("POST", "/ws/0/a/eventsource", "get"),
        ("OPTIONS", "/ws/0/a/eventsource", "get"),
        ("POST", "/ws/0/a/htmlfile", "get"),
        ("GET", "/ws/0/a/jsonp_send", "post"),
        ("POST", "/ws/0/a/websocket", "get"),
    ] {
        let answer = server.request(method, path, "", "").await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
        assert_eq!((answer.header("content-type"), answer.body.as_str()), ("", ""), "{method} {path}");
    }
    assert_eq!(server.services.sock_js.len(), 0);
}

#[tokio::test]
async fn preflights_are_answered_for_a_year() {
    let server = start(|_| {});
    for (path, methods) in [
        ("/ws/info", "options, get"),
        ("/ws/0/a/xhr", "options, post"),
        ("/ws/0/a/xhr_streaming", "options, post"),
        ("/ws/0/a/xhr_send", "options, post"),
    ] {
        let headers = "Origin: http://a\r\nAccess-Control-Request-Headers: a, b, c\r\n";
        let answer = server.request("OPTIONS", path, headers, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), methods);
        assert_eq!(answer.header("access-control-allow-origin"), "http://a");
        assert_eq!(answer.header("access-control-allow-credentials"), "true");
        assert_eq!(answer.header("access-control-allow-headers"), "a, b, c");
        assert!(answer.header("access-control-max-age").parse::<u64>().unwrap() >= 1_000_000);
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000");
        assert!(!answer.header("expires").is_empty());
    }
}

/// The answers that CORS is about.
fn check_cors(answer: &Response, origin: &str) {
    assert_eq!(answer.status, 200, "{}", answer.head);
    assert_eq!(answer.header("access-control-allow-origin"), origin);
    assert_eq!(answer.header("access-control-allow-credentials") == "true", origin != "*");
    assert_eq!(answer.header("vary"), "origin");
}

#[tokio::test]
async fn pages_of_allowed_origins_may_read_the_answers() {
    let server = start(|config| config.websocket.allowed_origins = vec!["https://app.test".to_owned()]);
    for (n, origin) in ["http://a", "https://app.test"].into_iter().enumerate() {
        let header = format!("Origin: {origin}\r\n");
        check_cors(&server.request("GET", "/ws/info", &header, "").await, origin);
        let path = format!("/ws/0/cors{n}/xhr");
        check_cors(&server.request("POST", &path, &header, "").await, origin);
    }
    check_cors(&server.request("POST", "/ws/0/none/xhr", "", "").await, "*");
    let iframe = server.request("GET", "/ws/iframe.html", "", "").await;
    assert_eq!(iframe.header("content-security-policy"), "frame-ancestors 'self' https://app.test");
}

#[tokio::test]
async fn pages_of_foreign_origins_get_nothing() {
    let server = start(|_| {});
    for headers in [
        "Origin: https://evil.test\r\n",
        "Referer: https://evil.test/page\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: https://evil.test\r\nSec-Fetch-Site: same-origin\r\n",
    ] {
        for (method, path) in [
            ("GET", "/ws/info"),
            ("OPTIONS", "/ws/0/a/xhr"),
            ("POST", "/ws/0/a/xhr"),
            ("POST", "/ws/0/a/xhr_send"),
            ("GET", "/ws/0/a/eventsource"),
            ("GET", "/ws/0/a/htmlfile?c=x"),
            ("GET", "/ws/0/a/jsonp?c=x"),
            ("POST", "/ws/0/a/jsonp_send"),
        ] {
            let answer = server.request(method, path, headers, "").await;
            assert_eq!(answer.status, 403, "{method} {path} {headers}");
            assert_eq!(answer.header("access-control-allow-origin"), "");
        }
    }
    // A script can be read by every page: whose it is must be known.
    assert_eq!(server.request("GET", "/ws/0/a/jsonp?c=x", "", "").await.status, 403);
    assert_eq!(server.services.sock_js.len(), 0);
}

#[tokio::test]
async fn a_session_sets_the_cookie_that_balancers_bind_by() {
    let server = start(|_| {});
    let first = server.request("POST", "/ws/0/a/xhr", "", "").await;
    assert_eq!(first.header("set-cookie"), "jsessionid=dummy; path=/");
    let sent = "Cookie: other=1; JSESSIONID=abc\r\n";
    let again = server.request("POST", "/ws/0/b/xhr", sent, "").await;
    assert_eq!(again.header("set-cookie"), "jsessionid=abc; path=/");
}

#[tokio::test]
async fn a_bad_upgrade_is_refused() {
    let server = start(|_| {});
    let path = "/ws/0/a/websocket";
    for (headers, text) in [
        ("", "Can \"Upgrade\" only to \"WebSocket\"."),
        ("Upgrade: other\r\nConnection: Upgrade\r\n", "Can \"Upgrade\" only to \"WebSocket\"."),
        ("Upgrade: websocket\r\n", "\"Connection\" must be \"Upgrade\"."),
    ] {
        let answer = server.request("GET", path, headers, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (400, text), "{headers}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let server = start(|_| {});
    let mut tcp = server.tcp().await;
    tcp.send("POST /ws/0/a/xhr_send HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n").await;
    tcp.send(&"x".repeat(4_500_000)).await;
    assert_eq!(status(&tcp.response().await.0), 413);
}
