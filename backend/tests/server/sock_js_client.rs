//! A SockJS client that shows each byte of its HTTP responses.

use tokio::io::AsyncReadExt;

use crate::harness::{Running, Tcp, soon, status};

/// CONNECT without heart-beats, as a client sends it.
pub(crate) const CONNECT: &str = r#"["CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\u0000"]"#;

/// A whole response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    /// A header; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        header(&self.head, name)
    }
}

/// A header of a head in lower case; empty when there is none.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(": ");
    head.lines().find_map(value).unwrap_or_default()
}

/// A response that comes in chunks.
pub(crate) struct Streaming {
    pub(crate) head: String,
    pub(crate) tcp: Tcp,
}

impl Streaming {
    /// The next chunk; none after the last.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(soon(self.tcp.0.read_u8()).await.expect("a chunk"));
        }
        let size = std::str::from_utf8(&line).unwrap().trim_end();
        let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
        let mut chunk = vec![0; size + 2];
        soon(self.tcp.0.read_exact(&mut chunk)).await.unwrap();
        chunk.truncate(size);
        (size > 0).then(|| String::from_utf8(chunk).unwrap())
    }

    /// The next chunk.
    pub(crate) async fn frame(&mut self) -> String {
        self.chunk().await.expect("a frame")
    }
}

impl Running {
    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (String, String, Tcp) {
        let mut tcp = self.tcp().await;
        let length = body.len();
        tcp.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        ))
        .await;
        let (head, body) = tcp.response().await;
        (head, body, tcp)
    }

    /// A request whose response has a length, on a connection of its own.
    /// `headers` end with a line break each.
    pub(crate) async fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> Response {
        let (head, body, _) = self.ask(method, path, headers, body).await;
        Response { status: status(&head), head, body }
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Response {
        self.request("POST", path, "", body).await
    }

    /// The body of an answer to `xhr`.
    pub(crate) async fn poll(&self, session: &str) -> String {
        let response = self.post(&format!("/ws/000/{session}/xhr"), "").await;
        assert_eq!(response.status, 200, "{}", response.body);
        response.body
    }

    /// Sends messages by `xhr_send`.
    pub(crate) async fn xhr_send(&self, session: &str, payload: &str) {
        let response = self.post(&format!("/ws/001/{session}/xhr_send"), payload).await;
        assert_eq!(response.status, 204, "{}", response.body);
    }

    /// A polling session after CONNECT.
    pub(crate) async fn polling_stomp(&self, session: &str) {
        assert_eq!(self.poll(session).await, "o\n");
        self.xhr_send(session, CONNECT).await;
        let connected = self.poll(session).await;
        assert!(connected.starts_with(r#"a["CONNECTED\nversion:1.2\n"#), "{connected}");
    }

    /// A request whose response comes in chunks.
    pub(crate) async fn stream(&self, method: &str, path: &str, headers: &str) -> Streaming {
        let (head, _, tcp) = self.ask(method, path, headers, "").await;
        assert_eq!(status(&head), 200, "{head}");
        assert_eq!(header(&head, "transfer-encoding"), "chunked");
        Streaming { head, tcp }
    }
}
