//! SockJS over HTTP: every transport, and STOMP on it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{soon, start, status, until};
use crate::sock_js_client::{CONNECT, header};

const SCRIPT: &str = "application/javascript; charset=utf-8";
const NEVER_CACHED: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";
const OWN_PAGE: &str = "Sec-Fetch-Site: same-origin\r\n";

#[tokio::test]
async fn stomp_rides_on_polling() {
    let server = start(|_| {});
    let opened = server.request("POST", "/ws/000/poll/xhr", "", "").await;
    assert_eq!((opened.status, opened.body.as_str()), (200, "o\n"));
    assert_eq!(opened.header("content-type"), SCRIPT);
    assert_eq!(opened.header("cache-control"), NEVER_CACHED);
    let sent = server.request("POST", "/ws/000/poll/xhr_send", "", CONNECT).await;
    assert_eq!((sent.status, sent.body.as_str()), (204, ""));
    assert_eq!(sent.header("content-type"), "text/plain; charset=utf-8");
    assert!(server.poll("poll").await.starts_with(r#"a["CONNECTED\nversion:1.2\n"#));
    // The server's part of the address means nothing.
    let subscribe = r#"["SUBSCRIBE\nid:0\ndestination:/topic/room.a\n\n\u0000"]"#;
    server.xhr_send("poll", subscribe).await;
    let say = r#"["SEND\ndestination:/app/room.a\n\n{\"text\":\"\u2028 \ud800\"}\u0000"]"#;
    server.xhr_send("poll", say).await;
    let message = server.poll("poll").await;
    let messages: Vec<String> = serde_json::from_str(message.strip_prefix('a').unwrap()).unwrap();
    assert_eq!(messages.len(), 1);
    assert!(messages[0].starts_with("MESSAGE\nsubscription:0\n"), "{message}");
    assert!(messages[0].contains("\u{2028} \u{fffd}"), "{message}");
    assert!(message.contains("\\u2028"), "{message}");
    let metrics = &server.services.metrics.sock_js;
    assert_eq!(metrics.sessions_active.with_label_values(&["http-polling"]).get(), 1);
}

#[tokio::test]
async fn xhr_streaming_sends_each_frame_at_once() {
    let server = start(|_| {});
    let mut stream = server.stream("POST", "/ws/000/s/xhr_streaming", "").await;
    assert_eq!(header(&stream.head, "content-type"), SCRIPT);
    assert_eq!(stream.frame().await, format!("{}\n", "h".repeat(2048)));
    assert_eq!(stream.frame().await, "o\n");
    server.xhr_send("s", CONNECT).await;
    assert!(stream.frame().await.starts_with(r#"a["CONNECTED\n"#));
    server.xhr_send("s", r#"["SUBSCRIBE\nid:0\ndestination:/topic/room.a\nreceipt:1\n\n\u0000"]"#).await;
    assert_eq!(stream.frame().await, "a[\"RECEIPT\\nreceipt-id:1\\n\\n\\u0000\"]\n");
    // Two of one request are two messages to the client, in order.
    let twice =
        r#"["SEND\ndestination:/app/room.a\n\none\u0000","SEND\ndestination:/app/room.a\n\ntwo\u0000"]"#;
    server.xhr_send("s", twice).await;
    let mut heard = stream.frame().await;
    if !heard.contains("two") {
        heard.push_str(&stream.frame().await);
    }
    assert!(heard.find("one").unwrap() < heard.find("two").unwrap(), "{heard}");
    let metrics = &server.services.metrics.sock_js;
    assert_eq!(metrics.sessions_active.with_label_values(&["http-streaming"]).get(), 1);
}

#[tokio::test]
async fn eventsource_sends_events() {
    let server = start(|_| {});
    let mut stream = server.stream("GET", "/ws/000/e/eventsource", "").await;
    assert_eq!(header(&stream.head, "content-type"), "text/event-stream; charset=utf-8");
    assert_eq!(header(&stream.head, "cache-control"), NEVER_CACHED);
    assert_eq!(stream.frame().await, "\r\n");
    assert_eq!(stream.frame().await, "data: o\r\n\r\n");
    server.xhr_send("e", CONNECT).await;
    let connected = stream.frame().await;
    assert!(connected.starts_with(r#"data: a["CONNECTED\n"#) && connected.ends_with("\"]\r\n\r\n"));
}

#[tokio::test]
async fn htmlfile_calls_its_page() {
    let server = start(|_| {});
    let mut stream = server.stream("GET", "/ws/000/h/htmlfile?c=%63allback", OWN_PAGE).await;
    assert_eq!(header(&stream.head, "content-type"), "text/html; charset=utf-8");
    let head = stream.frame().await;
    assert!(head.len() >= 1024 && head.contains("var c = parent.callback;"), "{head}");
    assert_eq!(stream.frame().await, "<script>\np(\"o\");\n</script>\r\n");
    server.xhr_send("h", CONNECT).await;
    let connected = stream.frame().await;
    assert!(
        connected.starts_with(
            r#"<script>
p("a[\"CONNECTED\\nversion"#
        ),
        "{connected}"
    );
}

#[tokio::test]
async fn jsonp_calls_its_callback() {
    let server = start(|_| {});
    let path = "/ws/000/j/jsonp?c=_jp.a1";
    let opened = server.request("GET", path, OWN_PAGE, "").await;
    assert_eq!((opened.status, opened.body.as_str()), (200, "/**/_jp.a1(\"o\");\r\n"));
    assert_eq!((opened.header("content-type"), opened.header("cache-control")), (SCRIPT, NEVER_CACHED));
    assert_eq!(opened.header("x-content-type-options"), "nosniff");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let connect = "d=%5B%22CONNECT%5Cnaccept-version%3A1.2%5Cnheart-beat%3A0%2C0%5Cn%5Cn%5Cu0000%22%5D";
    let sent = server.request("POST", "/ws/000/j/jsonp_send", form, connect).await;
    assert_eq!((sent.status, sent.body.as_str()), (200, "ok"));
    assert_eq!(sent.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(sent.header("cache-control"), NEVER_CACHED);
    let connected = server.request("GET", path, OWN_PAGE, "").await;
    assert!(connected.body.starts_with(r#"/**/_jp.a1("a[\"CONNECTED\\nversion"#), "{}", connected.body);
    // The payload itself, without a form.
    let text = "Content-Type: text/plain\r\n";
    let disconnect = r#"["DISCONNECT\n\n\u0000"]"#;
    let sent = server.request("POST", "/ws/000/j/jsonp_send", text, disconnect).await;
    assert_eq!((sent.status, sent.body.as_str()), (200, "ok"));
    let closed = server.request("GET", path, OWN_PAGE, "").await;
    assert_eq!(closed.body, "/**/_jp.a1(\"c[1000,\\\"\\\"]\");\r\n");
}

#[tokio::test]
async fn a_callback_must_be_the_name_of_a_function() {
    let server = start(|_| {});
    for transport in ["jsonp", "htmlfile"] {
        for (query, text) in [
            ("", "\"callback\" parameter required"),
            ("?c=", "\"callback\" parameter required"),
            ("?c=alert()", "invalid \"callback\" parameter"),
            ("?c=%3Cscript%3E", "invalid \"callback\" parameter"),
        ] {
            let answer = server.request("GET", &format!("/ws/0/a/{transport}{query}"), OWN_PAGE, "").await;
            assert_eq!((answer.status, answer.body.as_str()), (500, text), "{transport}{query}");
        }
    }
    assert_eq!(server.services.sock_js.len(), 0);
}

#[tokio::test]
async fn a_payload_must_be_an_array_of_strings() {
    let server = start(|_| {});
    assert_eq!(server.poll("p").await, "o\n");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    for (transport, headers, body, text) in [
        ("xhr_send", "", "", "Payload expected."),
        ("xhr_send", "", "[\"x", "Broken JSON encoding."),
        ("xhr_send", "", "x", "Broken JSON encoding."),
        ("jsonp_send", "", "", "Payload expected."),
        ("jsonp_send", form, "d=", "Payload expected."),
        ("jsonp_send", form, "p=p", "Payload expected."),
        ("jsonp_send", form, "d=x", "Broken JSON encoding."),
    ] {
        let answer = server.request("POST", &format!("/ws/0/p/{transport}"), headers, body).await;
        assert_eq!((answer.status, answer.body.as_str()), (500, text), "{transport} {body}");
    }
    // The session lives on, and any type of content is taken.
    for content_type in ["application/xml", "text/x", "", "application/json; charset=utf-8", "T"] {
        let header = format!("Content-Type: {content_type}\r\n");
        let sent = server.request("POST", "/ws/0/p/xhr_send", &header, "[\"\\n\"]").await;
        assert_eq!(sent.status, 204, "{content_type}");
    }
    server.xhr_send("p", CONNECT).await;
    assert!(server.poll("p").await.contains("CONNECTED"));
}

#[tokio::test]
async fn an_unknown_session_takes_no_messages() {
    let server = start(|_| {});
    for transport in ["xhr_send", "jsonp_send"] {
        assert_eq!(server.post(&format!("/ws/0/none/{transport}"), "[\"x\"]").await.status, 404);
    }
}

#[tokio::test]
async fn a_second_receiver_is_turned_away() {
    let server = start(|_| {});
    let mut first = server.stream("POST", "/ws/0/a/xhr_streaming", "").await;
    first.frame().await;
    assert_eq!(first.frame().await, "o\n");
    let busy = "c[2010,\"Another connection still open\"]\n";
    assert_eq!(server.poll("a").await, busy);
    let mut second = server.stream("POST", "/ws/0/a/xhr_streaming", "").await;
    second.frame().await;
    assert_eq!(second.frame().await, busy);
    assert_eq!(second.chunk().await, None);
    // The first one is none the worse.
    server.xhr_send("a", CONNECT).await;
    assert!(first.frame().await.contains("CONNECTED"));
}

#[tokio::test]
async fn a_closed_session_says_so_until_the_disconnect_delay_ends() {
    let server = start(|config| config.sockjs.disconnect_delay = Duration::from_secs(3));
    server.polling_stomp("a").await;
    server.xhr_send("a", r#"["DISCONNECT\nreceipt:1\n\n\u0000"]"#).await;
    assert!(server.poll("a").await.contains("RECEIPT"));
    for _ in 0..3 {
        assert_eq!(server.poll("a").await, "c[1000,\"\"]\n");
    }
    assert_eq!(server.post("/ws/0/a/xhr_send", "[\"x\"]").await.status, 404);
    until(|| server.services.sock_js.is_empty()).await;
    assert_eq!(server.poll("a").await, "o\n");
}

#[tokio::test]
async fn a_session_without_receivers_is_forgotten() {
    let server = start(|config| config.sockjs.disconnect_delay = Duration::from_millis(100));
    for n in 0..50 {
        assert_eq!(server.poll(&format!("abandoned{n}")).await, "o\n");
    }
    until(|| server.services.sock_js.is_empty()).await;
    let metrics = &server.services.metrics;
    assert_eq!(metrics.sock_js.sessions_active.with_label_values(&["http-polling"]).get(), 0);
    assert_eq!(metrics.sock_js.sessions_closed.with_label_values(&["abandoned"]).get(), 50);
    assert_eq!(metrics.websocket_connections_active.get(), 0);
}

#[tokio::test]
async fn a_receiver_that_breaks_interrupts_the_session() {
    let server = start(|_| {});
    let mut stream = server.stream("POST", "/ws/0/a/xhr_streaming", "").await;
    stream.frame().await;
    assert_eq!(stream.frame().await, "o\n");
    drop(stream);
    let closed = &server.services.metrics.sock_js.sessions_closed;
    until(|| closed.with_label_values(&["interrupted"]).get() > 0).await;
    assert_eq!(server.poll("a").await, "c[1002,\"Connection interrupted\"]\n");
}

#[tokio::test]
async fn a_poll_that_breaks_interrupts_the_session() {
    let server = start(|_| {});
    server.polling_stomp("a").await;
    let mut poll = server.tcp().await;
    poll.send("POST /ws/0/a/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    // It is the receiver once another one is turned away.
    while server.poll("a").await != "c[2010,\"Another connection still open\"]\n" {
        server.xhr_send("a", "[\"SEND\\ndestination:/app/room.a\\n\\nx\\u0000\"]").await;
    }
    drop(poll);
    let closed = &server.services.metrics.sock_js.sessions_closed;
    until(|| closed.with_label_values(&["interrupted"]).get() > 0).await;
    assert_eq!(server.poll("a").await, "c[1002,\"Connection interrupted\"]\n");
}

#[tokio::test]
async fn a_poll_that_waits_gets_heart_beats() {
    let server = start(|config| config.sockjs.heartbeat_time = Duration::from_millis(50));
    assert_eq!(server.poll("a").await, "o\n");
    assert_eq!(server.poll("a").await, "h\n");
    let mut stream = server.stream("GET", "/ws/0/e/eventsource", "").await;
    stream.frame().await;
    assert_eq!(stream.frame().await, "data: o\r\n\r\n");
    assert_eq!(stream.frame().await, "data: h\r\n\r\n");
    assert_eq!(stream.frame().await, "data: h\r\n\r\n");
}

#[tokio::test]
async fn heart_beats_of_stomp_take_the_place_of_those_of_sockjs() {
    let server = start(|config| {
        config.sockjs.heartbeat_time = Duration::from_millis(150);
        config.stomp.heart_beat.send = Duration::from_millis(600);
    });
    let mut stream = server.stream("POST", "/ws/0/a/xhr_streaming", "").await;
    stream.frame().await;
    assert_eq!(stream.frame().await, "o\n");
    let connect = r#"["CONNECT\naccept-version:1.2\nheart-beat:0,600\n\n\u0000"]"#;
    server.xhr_send("a", connect).await;
    let mut frame = stream.frame().await;
    while frame == "h\n" {
        frame = stream.frame().await;
    }
    assert!(frame.contains("CONNECTED"), "{frame}");
    assert_eq!(stream.frame().await, "a[\"\\n\"]\n");
}

#[tokio::test]
async fn a_stream_ends_at_its_limit_and_the_next_one_goes_on() {
    let server = start(|config| config.sockjs.stream_bytes_limit = 4096);
    let mut stream = server.stream("POST", "/ws/0/a/xhr_streaming", "").await;
    stream.frame().await;
    stream.frame().await;
    server.xhr_send("a", CONNECT).await;
    stream.frame().await;
    server.xhr_send("a", r#"["SUBSCRIBE\nid:0\ndestination:/topic/room.a\n\n\u0000"]"#).await;
    let text = "x".repeat(1000);
    for _ in 0..6 {
        let send = format!(r#"["SEND\ndestination:/app/room.a\n\n{{\"text\":\"{text}\"}}\u0000"]"#);
        server.xhr_send("a", &send).await;
    }
    let (mut messages, mut streams) = (0, 1);
    while messages < 6 {
        match stream.chunk().await {
            Some(chunk) => messages += chunk.matches("MESSAGE").count(),
            None => {
                stream = server.stream("POST", "/ws/0/a/xhr_streaming", "").await;
                streams += 1;
            }
        }
    }
    assert_eq!((messages, streams), (6, 2));
}

#[tokio::test]
async fn a_client_that_does_not_fetch_overflows_its_cache() {
    let server = start(|config| config.sockjs.http_message_cache_size = 5);
    server.polling_stomp("slow").await;
    server.xhr_send("slow", r#"["SUBSCRIBE\nid:0\ndestination:/topic/room.a\nreceipt:1\n\n\u0000"]"#).await;
    assert!(server.poll("slow").await.contains("RECEIPT"));
    let mut sender = server.stomp().await;
    for _ in 0..20 {
        sender.send("SEND\ndestination:/app/room.a\n\nx\0").await;
    }
    let metrics = &server.services.metrics;
    until(|| metrics.sock_js.sessions_closed.with_label_values(&["overflow"]).get() > 0).await;
    assert_eq!(server.poll("slow").await, "c[4500,\"message cache overflow\"]\n");
}

#[tokio::test]
async fn sessions_are_bounded_like_connections() {
    let server = start(|config| config.server.tomcat.max_connections = 3);
    for id in ["a", "b", "c"] {
        assert_eq!(server.poll(id).await, "o\n");
    }
    assert_eq!(server.post("/ws/0/d/xhr", "").await.status, 503);
    assert_eq!(server.services.metrics.sock_js.sessions_refused.get(), 1);
    // Those that exist go on.
    server.xhr_send("a", CONNECT).await;
    assert!(server.poll("a").await.contains("CONNECTED"));
}

#[tokio::test]
async fn http_1_0_gets_a_stream_without_chunks() {
    let server = start(|_| {});
    let mut tcp = server.tcp().await;
    tcp.send("POST /ws/0/a/xhr_streaming HTTP/1.0\r\nContent-Length: 0\r\n\r\n").await;
    let (head, _) = tcp.response().await;
    assert_eq!(status(&head), 200);
    assert_eq!((header(&head, "transfer-encoding"), header(&head, "content-length")), ("", ""));
    let mut bytes = vec![0; 2049 + 2];
    soon(tcp.0.read_exact(&mut bytes)).await.unwrap();
    assert!(bytes.starts_with(b"hh") && bytes.ends_with(b"h\no\n"));
    let mut poll = server.tcp().await;
    poll.send("POST /ws/0/b/xhr HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n").await;
    let (head, body) = poll.response().await;
    assert_eq!((status(&head), body.as_str()), (200, "o\n"));
}

#[tokio::test]
async fn polls_of_one_client_share_a_connection() {
    let server = start(|_| {});
    let mut tcp = server.tcp().await;
    tcp.send("POST /ws/0/a/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(tcp.response().await.1, "o\n");
    server.xhr_send("a", CONNECT).await;
    tcp.send("POST /ws/0/a/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    assert!(tcp.response().await.1.contains("CONNECTED"));
    // A response that has ended is no broken one.
    let closed = &server.services.metrics.sock_js.sessions_closed;
    assert_eq!(closed.with_label_values(&["interrupted"]).get(), 0);
}

#[tokio::test]
async fn a_server_that_leaves_closes_its_sessions() {
    let mut server = start(|config| config.drain = Duration::from_secs(10));
    let mut stream = server.stream("POST", "/ws/0/s/xhr_streaming", "").await;
    stream.frame().await;
    assert_eq!(stream.frame().await, "o\n");
    assert_eq!(server.poll("p").await, "o\n");
    let mut poll = server.tcp().await;
    poll.send("POST /ws/0/p/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    server.shutdown.cancel();
    let leaving = "c[1001,\"server is going away\"]\n";
    assert_eq!(stream.frame().await, leaving);
    assert_eq!(stream.chunk().await, None);
    let (head, body) = poll.response().await;
    assert_eq!(body, leaving);
    assert_eq!(header(&head, "connection"), "close");
    drop((stream, poll));
    server.stopped().await;
    assert!(server.services.sock_js.is_empty());
}

#[tokio::test]
async fn a_stream_that_is_not_read_does_not_hold_the_server() {
    let mut server = start(|config| config.drain = Duration::from_millis(500));
    let mut tcp = server.tcp().await;
    tcp.send("POST /ws/0/a/xhr_streaming HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    while server.services.sock_js.is_empty() {
        tokio::task::yield_now().await;
    }
    server.shutdown.cancel();
    server.stopped().await;
    soon(tcp.0.shutdown()).await.ok();
}

#[tokio::test]
async fn what_waits_is_written_before_the_close_however_much_it_is() {
    const KEPT: usize = 100;
    let server = start(|_| {});
    let mut writer = server.stomp().await;
    for n in 0..KEPT {
        writer.send(&format!("SEND\ndestination:/app/room.a\nreceipt:{n}\n\n<{n}>\0")).await;
        assert_eq!(writer.text().await, format!("RECEIPT\nreceipt-id:{n}\n\n\0"));
    }
    server.polling_stomp("leaving").await;
    let subscribe_and_leave = format!(
        r#"["SUBSCRIBE\nid:0\ndestination:/topic/room.a\nhistory:{KEPT}\n\n\u0000DISCONNECT\nreceipt:bye\n\n\u0000"]"#
    );
    server.xhr_send("leaving", &subscribe_and_leave).await;
    let mut heard = String::new();
    while !heard.ends_with("c[1000,\"\"]\n") {
        heard.push_str(&server.poll("leaving").await);
    }
    assert_eq!(heard.matches("MESSAGE").count(), KEPT, "{heard}");
    assert!(heard.contains("RECEIPT\\nreceipt-id:bye"), "{heard}");
}

#[tokio::test]
async fn messages_for_no_session_are_not_looked_at() {
    let server = start(|_| {});
    for transport in ["xhr_send", "jsonp_send"] {
        let sent = server.post(&format!("/ws/000/nobody/{transport}"), "no JSON").await;
        assert_eq!(sent.status, 404, "{transport}");
    }
    server.polling_stomp("somebody").await;
    assert_eq!(server.post("/ws/000/somebody/xhr_send", "no JSON").await.status, 500);
}

#[tokio::test]
async fn a_client_that_reads_no_further_loses_its_connection() {
    let server = start(|config| {
        config.server.tomcat.connection_timeout = Duration::from_millis(500);
        config.sockjs.stream_bytes_limit = 256 << 20;
        config.limits.bytes_per_second = 0;
    });
    let connections = &server.services.metrics.http_connections_active;
    let mut stream = server.stream("POST", "/ws/000/deaf/xhr_streaming", "").await;
    stream.frame().await;
    assert_eq!(stream.frame().await, "o\n");
    server.xhr_send("deaf", CONNECT).await;
    server.xhr_send("deaf", r#"["SUBSCRIBE\nid:0\ndestination:/topic/room.a\n\n\u0000"]"#).await;
    let mut writer = server.stomp().await;
    let text = "x".repeat(60_000);
    soon(async {
        while connections.get() > 1 {
            writer.send(&format!("SEND\ndestination:/app/room.a\nreceipt:0\n\n{text}\0")).await;
            writer.text().await;
        }
    })
    .await;
}
