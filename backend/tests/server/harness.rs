//! A server on a free port, and clients that give up at a deadline.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use albeit_backend::app::{Application, Demo};
use albeit_backend::config::Config;
use albeit_backend::endpoint::Services;
use albeit_backend::server::{Reload, Server};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_websockets::{ClientBuilder, MaybeTlsStream, Message, WebSocketStream};

/// Long enough for a loaded machine, short enough to notice.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits at most [`DEADLINE`].
#[track_caller]
pub(crate) fn soon<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(DEADLINE, future).await {
            Ok(output) => output,
            Err(_) => panic!("nothing happened in {DEADLINE:?} at {caller}"),
        }
    }
}

/// A running server.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) services: Arc<Services>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) reload: Reload,
    task: JoinSet<()>,
}

/// Starts a server with a changed default configuration.
pub(crate) fn start(change: impl FnOnce(&mut Config)) -> Running {
    start_with(Arc::new(Demo::new("b1")), change)
}

/// The same with another application than the demo.
pub(crate) fn start_with(application: Arc<dyn Application>, change: impl FnOnce(&mut Config)) -> Running {
    Running::of(|mut config| {
        change(&mut config);
        config.validate().unwrap();
        Server::bind(config, application).unwrap()
    })
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn until(holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let mut holds = holds;
    soon(async move {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
}

impl Running {
    /// Starts a server that is bound with a default configuration.
    pub(crate) fn of(bind: impl FnOnce(Config) -> Server) -> Self {
        let mut config = Config { instance: "b1".to_owned(), ..Config::default() };
        config.server.port = 0;
        let server = bind(config);
        let address = server.local_addr();
        let services = Arc::clone(server.services());
        let reload = server.reload();
        let shutdown = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(server.run(shutdown.clone()));
        Self { address, services, shutdown, reload, task }
    }

    /// Waits until `run` has returned.
    pub(crate) async fn stopped(&mut self) {
        soon(self.task.join_next()).await.unwrap().unwrap();
    }

    pub(crate) async fn tcp(&self) -> Tcp {
        Tcp(soon(TcpStream::connect(self.address)).await.unwrap())
    }

    /// A GET on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let mut tcp = self.tcp().await;
        tcp.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        let (head, body) = tcp.response().await;
        (status(&head), body)
    }

    pub(crate) async fn web_socket(&self, path: &str) -> Ws {
        let uri = format!("ws://{}{path}", self.address).parse().unwrap();
        let (ws, response) = soon(ClientBuilder::from_uri(uri).connect()).await.unwrap();
        assert_eq!(response.status(), 101);
        Ws(ws)
    }

    /// A STOMP client after CONNECT.
    pub(crate) async fn stomp(&self) -> Ws {
        let mut ws = self.web_socket("/ws").await;
        ws.send("CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\0").await;
        assert!(ws.text().await.starts_with("CONNECTED\nversion:1.2\n"));
        ws
    }
}

/// The status of a response head.
pub(crate) fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

/// A bare connection.
pub(crate) struct Tcp<S = TcpStream>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Tcp<S> {
    pub(crate) async fn send(&mut self, text: &str) {
        soon(self.0.write_all(text.as_bytes())).await.unwrap();
    }

    /// The head of a response.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(self.0.read_u8()).await.expect("a response"));
        }
        String::from_utf8(head).unwrap().to_ascii_lowercase()
    }

    /// One response with a content-length: head and body.
    pub(crate) async fn response(&mut self) -> (String, String) {
        let head = self.head().await;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or_default();
        let mut body = vec![0; length];
        soon(self.0.read_exact(&mut body)).await.unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    /// Waits for the end of the connection; what came before it.
    pub(crate) async fn end(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset is an end as well.
        let ended = soon(self.0.read_to_end(&mut rest)).await;
        assert!(ended.is_ok() || rest.is_empty(), "{ended:?}");
        String::from_utf8(rest).unwrap()
    }
}

/// A WebSocket client.
pub(crate) struct Ws<S = MaybeTlsStream<TcpStream>>(pub(crate) WebSocketStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Ws<S> {
    pub(crate) async fn send(&mut self, text: &str) {
        soon(self.0.send(Message::text(text.to_owned()))).await.unwrap();
    }

    pub(crate) async fn send_binary(&mut self, bytes: &[u8]) {
        soon(self.0.send(Message::binary(bytes.to_vec()))).await.unwrap();
    }

    /// The next message that is no ping.
    pub(crate) async fn message(&mut self) -> Message {
        loop {
            let message = soon(self.0.next()).await.expect("a message").expect("a valid message");
            if !message.is_ping() && !message.is_pong() {
                return message;
            }
        }
    }

    pub(crate) async fn text(&mut self) -> String {
        self.message().await.as_text().expect("a text message").to_owned()
    }

    /// The close code that the server sends next.
    pub(crate) async fn close_code(&mut self) -> u16 {
        self.message().await.as_close().expect("a close frame").0.into()
    }
}
