//! The clients against servers that follow a script.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::connection::Connector;
use super::cookies::Policy;
use super::failure::Failure;
use super::heart_beat::HeartBeat;
use super::http::{Http, Request};
use super::messenger::{Incoming, Messenger, Options};
use super::requester::Requester;
use super::sock_js::{self, SockJs, Transport};
use super::web_socket::{Event, How, WebSocket};
use crate::target::{Protocol, Target};

/// What a server does with a connection, in turn.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Reads to the end of a head.
    Head,
    /// Reads a masked frame of less than 126 bytes.
    Frame,
    Say(&'static str),
    Bytes(&'static [u8]),
    /// Answers a WebSocket handshake.
    Accept,
    Reset,
    Hold,
}

use Step::{Accept, Bytes, Frame, Head, Hold, Reset, Say};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A server whose connections follow these steps, each the next list, and how to reach it.
async fn server(scripts: &'static [&'static [Step]]) -> (Connector, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        for script in scripts {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(follow(stream, script));
        }
        connections.join_all().await;
    });
    (connector(&format!("http://{address}/base")).await, tasks)
}

async fn connector(url: &str) -> Connector {
    let target = Target {
        url: url.to_owned(),
        protocol: Protocol::Plain,
        ca: None,
        insecure: false,
        source_addresses: None,
        headers: vec!["X-Test: yes".to_owned()],
        patience: Duration::from_secs(20),
        time_scale: 1.0,
        pid: None,
    };
    Connector::for_target(&target).await.unwrap()
}

async fn follow(mut stream: TcpStream, script: &[Step]) {
    let mut head = Vec::new();
    for step in script {
        match step {
            Head => {
                head.clear();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                assert!(String::from_utf8_lossy(&head).contains("x-test: yes\r\n"));
            }
            Frame => {
                stream.read_u8().await.unwrap();
                let length = stream.read_u8().await.unwrap() & 0x7f;
                stream.read_exact(&mut vec![0; 4 + usize::from(length)]).await.unwrap();
            }
            Say(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            Bytes(bytes) => stream.write_all(bytes).await.unwrap(),
            Accept => {
                let text = String::from_utf8_lossy(&head);
                let key = text.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
                let answer = super::web_socket::accept(key);
                let answer = format!(
                    "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {answer}\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            Reset => {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                return;
            }
            Hold => drop(stream.read_u8().await),
        }
    }
}

/// How a GET fails.
async fn fails(script: &'static [&'static [Step]], expected: Failure) {
    let (connector, _server) = server(script).await;
    let mut http = Http::connect(&connector, 0).await.unwrap();
    let failure = http.request(&Request::get("/")).await.unwrap_err();
    assert_eq!(failure, expected);
}

#[tokio::test]
async fn failures_say_how_they_happened() {
    fails(&[&[Head]], Failure::Fin).await;
    fails(&[&[Head, Reset]], Failure::Reset).await;
    fails(&[&[Head, Say("HTTP/1.1 200 OK\r\nContent-")]], Failure::Truncated).await;
    fails(&[&[Head, Say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")]], Failure::Truncated).await;
    fails(&[&[Head, Say("hello"), Hold]], Failure::protocol("no HTTP answer: invalid HTTP version")).await;
}

#[tokio::test]
async fn a_port_where_nobody_listens_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let connector = connector(&format!("ws://{address}/")).await;
    assert_eq!(Http::connect(&connector, 0).await.unwrap_err(), Failure::Refused);
}

#[tokio::test]
async fn a_connection_is_kept_until_the_server_ends_it() {
    const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    const LAST: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    let (connector, _server) = server(&[&[Head, Say(OK), Head, Say(INTERIM), Head, Say(LAST)]]).await;
    let mut http = Http::connect(&connector, 0).await.unwrap();
    for is_reusable in [true, true, false] {
        let response = http.request(&Request::get("/")).await.unwrap();
        assert_eq!((response.head.status, response.body.as_ref()), (200, b"ok".as_slice()));
        assert_eq!(http.is_reusable(), is_reusable);
    }
    assert_eq!(http.ended().await, Failure::Fin);
}

#[tokio::test]
async fn the_number_of_a_connection_chooses_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connector = connector(&format!("http://{}/", listener.local_addr().unwrap())).await;
    let (_connection, accepted) = tokio::join!(connector.connect(6), listener.accept());
    assert_eq!(accepted.unwrap().1.ip().to_string(), "127.0.0.7");
}

#[tokio::test]
async fn a_requester_sends_cookies_back_and_connects_anew() {
    const SET: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: AWSALB=a; Path=/\r\nSet-Cookie: AWSALBCORS=b\r\nConnection: close\r\n\r\n";
    let (connector, _server) = server(&[&[Head, Say(SET)], &[Head, Say(OK)]]).await;
    let mut requester = Requester::new(&connector, 0, Policy::Keep);
    for _ in 0..2 {
        requester.request(&Request::get("/")).await.unwrap();
    }
    assert_eq!(requester.jar.header().as_deref(), Some("AWSALB=a; AWSALBCORS=b"));
}

/// How a WebSocket ends.
async fn closes(script: &'static [&'static [Step]], expected: How) {
    let (connector, _server) = server(script).await;
    let mut socket = WebSocket::connect(&connector, 0).await.unwrap();
    let Event::Text(text) = socket.next().await else { panic!("a message") };
    assert_eq!(*text, b"Hello"[..]);
    let Event::Closed(closed) = socket.next().await else { panic!("the end") };
    assert_eq!(closed.how, expected);
}

/// RFC 6455, section 5.7.
const HELLO: Step = Bytes(b"\x81\x05Hello");

#[tokio::test]
async fn the_end_of_a_web_socket_says_how_it_came() {
    let away = How::CloseFrame { code: 1001, reason: "bye".to_owned() };
    closes(&[&[Head, Accept, HELLO, Bytes(b"\x88\x05\x03\xe9bye"), Frame]], away).await;
    let no_code = How::CloseFrame { code: 1005, reason: String::new() };
    closes(&[&[Head, Accept, HELLO, Bytes(b"\x88\x00"), Frame]], no_code).await;
    closes(&[&[Head, Accept, HELLO]], How::Fin).await;
    closes(&[&[Head, Accept, HELLO, Bytes(b"\x81")]], How::Fin).await;
    closes(&[&[Head, Accept, HELLO, Reset]], How::Reset).await;
}

#[tokio::test]
async fn a_refused_handshake_is_a_status() {
    let (connector, _server) =
        server(&[&[Head, Say("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")]]).await;
    assert_eq!(WebSocket::connect(&connector, 0).await.unwrap_err(), Failure::Status(503));
}

#[tokio::test]
async fn a_plain_client_pings_at_its_own_interval() {
    let (connector, _server) = server(&[&[Head, Accept, Frame, HELLO, Hold]]).await;
    let options = Options {
        protocol: Protocol::Plain,
        heart_beat: HeartBeat::Every(Duration::from_millis(20)),
        destination: String::new(),
        namespace: String::new(),
    };
    let mut client = Messenger::connect(&connector, 0, &options).await.unwrap();
    // The server speaks after a frame of the client, which only a ping can be.
    assert!(matches!(client.next().await, Incoming::HeartBeat));
    loop {
        match client.next().await {
            Incoming::HeartBeat => {}
            Incoming::Delivery(body) => break assert_eq!(*body, b"Hello"[..]),
            Incoming::Closed(closed) => panic!("{closed:?}"),
        }
    }
}

#[tokio::test]
async fn a_session_streams_over_http_until_its_close_frame() {
    const STREAM: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        6\r\nhhhhh\n\r\n2\r\no\n\r\n3\r\na[\"\r\n5\r\nx\"]\nh\r\n14\r\n\nc[3000,\"Go away!\"]\n\r\n0\r\n\r\n";
    let (connector, _server) = server(&[&[Head, Say(STREAM)]]).await;
    let mut session = SockJs::connect(&connector, 0, Transport::XhrStreaming, Policy::Keep).await.unwrap();
    let sock_js::Event::Messages(frame) = session.next().await else { panic!("messages") };
    assert_eq!(sock_js::messages(&frame).unwrap(), ["x"]);
    assert!(matches!(session.next().await, sock_js::Event::HeartBeat));
    let sock_js::Event::Closed(closed) = session.next().await else { panic!("the end") };
    assert_eq!(closed.how.name(), "close frame 3000");
}
