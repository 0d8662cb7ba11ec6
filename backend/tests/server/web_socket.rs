//! WebSocket: the handshake and `/echo`.

use bytes::Bytes;
use futures_util::SinkExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_websockets::{CloseCode, Message};

use crate::harness::{Running, Tcp, soon, start, status};

#[tokio::test]
async fn echo_returns_every_size_as_it_was() {
    let server = start(|_| {});
    let mut ws = server.web_socket("/echo").await;
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let payload = Bytes::from(vec![b'x'; size]);
        soon(ws.0.send(Message::text(payload.clone()))).await.unwrap();
        let message = ws.message().await;
        assert!(message.is_text() && message.as_payload()[..] == payload[..], "{size} of text");
        let payload = Bytes::from(vec![0xfe; size]);
        soon(ws.0.send(Message::binary(payload.clone()))).await.unwrap();
        let message = ws.message().await;
        assert!(message.is_binary() && message.as_payload()[..] == payload[..], "{size} binary");
    }
    soon(ws.0.send(Message::close(Some(CloseCode::NORMAL_CLOSURE), ""))).await.unwrap();
    assert_eq!(ws.close_code().await, 1000);
}

/// A masked client frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut bytes = vec![first, 0x80 | u8::try_from(payload.len()).unwrap()];
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

const UPGRADE: &[u8] = b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Sends a handshake and frames in one piece; the connection after the 101.
async fn upgraded(server: &Running, frames: &[&[u8]]) -> Tcp {
    let mut tcp = server.tcp().await;
    let bytes = [&[UPGRADE], frames].concat().concat();
    soon(tcp.0.write_all(&bytes)).await.unwrap();
    let (head, _) = tcp.response().await;
    assert_eq!(status(&head), 101);
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    tcp
}

#[tokio::test]
async fn frames_sent_with_the_request_and_in_fragments_are_echoed() {
    let server = start(|_| {});
    let mut tcp = upgraded(&server, &[&frame(0x01, b"hel"), &frame(0x80, b"lo")]).await;
    let mut echoed = [0; 7];
    soon(tcp.0.read_exact(&mut echoed)).await.unwrap();
    assert_eq!(&echoed, b"\x81\x05hello");
}

#[tokio::test]
async fn text_that_is_not_utf8_and_unmasked_frames_close_with_their_code() {
    let server = start(|_| {});
    for (bytes, code) in [(frame(0x81, &[0xff]), 1007_u16), (b"\x81\x01a".to_vec(), 1002)] {
        let mut tcp = upgraded(&server, &[&bytes]).await;
        let mut close = [0; 4];
        soon(tcp.0.read_exact(&mut close)).await.unwrap();
        assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, code));
        soon(tcp.0.read_to_end(&mut Vec::new())).await.unwrap();
    }
    let errors = &server.services.metrics.websocket_connection_errors;
    assert_eq!(errors.with_label_values(&["protocol"]).get(), 2);
}

#[tokio::test]
async fn a_message_above_the_limit_closes_with_1009() {
    let server = start(|config| config.websocket.echo_message_size_limit = 100);
    let mut ws = server.web_socket("/echo").await;
    soon(ws.0.send(Message::binary(vec![0; 101]))).await.unwrap();
    assert_eq!(ws.close_code().await, 1009);
}

#[tokio::test]
async fn a_message_far_above_the_limit_is_told_so_though_its_sender_goes_on() {
    let server = start(|config| config.websocket.echo_message_size_limit = 100);
    // A head that announces 8 MiB, and the 8 MiB.
    let head = [&b"\x82\xff"[..], &(8_u64 << 20).to_be_bytes(), &[0; 4]].concat();
    let mut tcp = upgraded(&server, &[&head]).await;
    soon(tcp.0.write_all(&vec![0; 8 << 20])).await.unwrap();
    let mut close = [0; 4];
    soon(tcp.0.read_exact(&mut close)).await.unwrap();
    assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 1009));
}

/// Resident bytes of this process, which is this test's alone.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn an_idle_socket_keeps_no_memory_of_a_large_message() {
    let server = start(|_| {});
    // A frame of 8 MiB, masked with zeros, and its echo without a mask.
    let size = 8 << 20;
    let frame = [&b"\x82\xff"[..], &(size as u64).to_be_bytes(), &vec![0; 4 + size]].concat();
    let mut echo = vec![0; 10 + size];
    let before = resident();
    let mut idle = Vec::new();
    for _ in 0..16 {
        let mut tcp = upgraded(&server, &[]).await;
        let (mut read, mut write) = tcp.0.split();
        let (written, received) =
            tokio::join!(soon(write.write_all(&frame)), soon(read.read_exact(&mut echo)));
        assert!(written.is_ok() && received.is_ok());
        idle.push(tcp);
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "16 sockets keep {grown} bytes");
}

#[tokio::test]
async fn what_is_no_handshake_is_refused() {
    let server = start(|_| {});
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (headers, expected) in [
        (String::new(), 426),
        (format!("{upgrade}Sec-WebSocket-Version: 8\r\n{key}"), 426),
        (format!("{upgrade}Sec-WebSocket-Version: 13\r\n"), 400),
        (format!("{upgrade}Sec-WebSocket-Version: 13\r\n{key}Origin: https://evil.example\r\n"), 403),
    ] {
        let mut tcp = server.tcp().await;
        tcp.send(&format!("GET /echo HTTP/1.1\r\nHost: a\r\n{headers}\r\n")).await;
        assert_eq!(status(&tcp.response().await.0), expected, "{headers}");
    }
    let errors = &server.services.metrics.websocket_connection_errors;
    assert_eq!(errors.with_label_values(&["handshake"]).get(), 4);
}
