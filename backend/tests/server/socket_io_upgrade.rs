//! From polling to WebSocket, and how a session ends while the server leaves.

use std::time::Duration;

use crate::harness::{soon, start};
use crate::socket_io::{Polling, joined, sid, web_socket};

const BAD_REQUEST: &str = r#"{"code":3,"message":"Bad request"}"#;

#[tokio::test]
async fn a_websocket_takes_over_with_all_that_waits() {
    let server = start(|_| {});
    let polling = Polling::open(&server).await;
    polling.join().await;
    // Eight are asked for by polling while the WebSocket is probed.
    let mut ws = polling.web_socket().await;
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    let mut received = Vec::new();
    for number in 0..8 {
        assert_eq!(polling.post(&format!("42/chat,{number}[\"echo\",{number}]")).await.0, 200);
        if number == 3 {
            received.push(polling.poll().await.1);
        }
    }
    ws.send("5").await;
    ws.send("42/chat,8[\"echo\",8]").await;
    while !received.last().is_some_and(|last| last.ends_with("8[8]")) {
        received.push(ws.text().await);
    }
    let all: Vec<_> =
        received.iter().flat_map(|payload| payload.split('\u{1e}')).filter(|p| *p != "6").collect();
    let expected: Vec<_> = (0..9).map(|number| format!("43/chat,{number}[{number}]")).collect();
    assert_eq!(all, expected);
    // No other transport is taken from now on.
    assert_eq!(polling.poll().await, (400, BAD_REQUEST.to_owned()));
    assert_eq!(polling.post("3").await.0, 400);
    let mut second = polling.web_socket().await;
    assert_eq!(second.close_code().await, 1000);
    ws.send("42/chat,9[\"echo\",9]").await;
    assert_eq!(ws.text().await, "43/chat,9[9]");
}

#[tokio::test]
async fn a_poll_is_released_for_the_upgrade() {
    let server = start(|_| {});
    let polling = Polling::open(&server).await;
    let mut ws = polling.web_socket().await;
    let probe = async {
        ws.send("2probe").await;
        assert_eq!(ws.text().await, "3probe");
    };
    let ((), released) = tokio::join!(probe, polling.poll());
    assert_eq!(released, (200, "6".to_owned()));
    // Also one that comes later.
    assert_eq!(polling.poll().await, (200, "6".to_owned()));
}

#[tokio::test]
async fn an_upgrade_that_is_not_finished_leaves_polling_as_it_was() {
    let server = start(|config| config.socket_io.upgrade_timeout = Duration::from_secs(1));
    let polling = Polling::open(&server).await;
    polling.join().await;
    for text in ["2probe", "4junk"] {
        let mut ws = polling.web_socket().await;
        ws.send(text).await;
        if text == "2probe" {
            assert_eq!(ws.text().await, "3probe");
        }
        assert_eq!(ws.close_code().await, 1000, "{text}");
    }
    let upgrades = &server.services.metrics.socket_io.upgrades;
    assert_eq!(upgrades.with_label_values(&["failed"]).get(), 2);
    polling.post("42/chat,1[\"echo\",1]").await;
    assert_eq!(polling.poll().await.1, "43/chat,1[1]");
    // And may be tried again.
    let mut ws = polling.web_socket().await;
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    ws.send("5").await;
    ws.send("42/chat,2[\"echo\",2]").await;
    assert_eq!(ws.text().await, "43/chat,2[2]");
}

#[tokio::test]
async fn clients_hear_that_the_server_leaves_and_are_closed() {
    let mut server = start(|config| config.drain = Duration::from_secs(4));
    let mut ws = joined(&server).await;
    let open = server.get("/socket.io/?EIO=4&transport=polling").await.1;
    let path = format!("/socket.io/?EIO=4&transport=polling&sid={}", sid(&open));
    assert_eq!(crate::socket_io::post(&server, &path, "40/chat,").await.0, 200);
    assert!(server.get(&path).await.1.starts_with("40/chat,"));
    let mut idle = web_socket(&server).await;
    server.shutdown.cancel();
    let notice = r#"42/chat,["server.events",{"message":"Server maintenance. Please reconnect in a few seconds.","reconnectInSeconds":30}]"#;
    let polled = async {
        assert_eq!(server.get(&path).await, (200, notice.to_owned()));
        // The end of the session is the last answer.
        assert_eq!(server.get(&path).await, (200, "1".to_owned()));
    };
    let told = async {
        assert_eq!(ws.text().await, notice);
        assert_eq!(ws.close_code().await, 1001);
    };
    soon(async { tokio::join!(polled, told) }).await;
    assert_eq!(idle.close_code().await, 1001);
    server.stopped().await;
}
