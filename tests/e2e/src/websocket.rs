//! WebSocket clients: a real one for messages, and raw upgrade bytes for tests
//! of the tunnel below them.

use anyhow::{Context as _, Result, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderName, HeaderValue};
use tokio_websockets::{ClientBuilder, Limits, Message, WebSocketStream};

use crate::{
    client::{Client, Stream},
    wait::{SOON, within},
};

/// The example key of RFC 6455 section 1.3.
pub const UPGRADE_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The answer to [`UPGRADE_KEY`] by RFC 6455 section 1.3.
pub const UPGRADE_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A masked text frame "Hello" (RFC 6455 section 5.7).
pub const MASKED_HELLO: &[u8] = &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];

/// An unmasked text frame "Hello", as a server sends it (RFC 6455 section 5.7).
pub const HELLO: &[u8] = &[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];

/// The bytes of an upgrade request for `path`, with further header lines.
#[must_use]
pub fn upgrade_request(host: &str, path: &str, headers: &[&str]) -> Vec<u8> {
    let mut head = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {UPGRADE_KEY}\r\n"
    );
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Upgrades a raw connection: sends the request and checks the 101 with its accept value.
///
/// # Errors
/// When the answer is anything else.
pub async fn upgrade(client: &mut Client, path: &str) -> Result<crate::Response> {
    client.send(upgrade_request(client.host(), path, &[])).await?;
    let response = client.response().await?;
    ensure!(response.status == 101, "upgrade answered {:?}", response.head);
    ensure!(
        response.header("sec-websocket-accept")? == UPGRADE_ACCEPT,
        "wrong accept in {:?}",
        response.head
    );
    Ok(response)
}

/// An open WebSocket.
pub struct WebSocket {
    stream: WebSocketStream<Box<dyn Stream>>,
    /// The headers of the 101.
    pub response: http::Response<()>,
}

impl WebSocket {
    /// Upgrades `client` at `path`, with further headers.
    ///
    /// # Errors
    /// When the handshake is refused or malformed.
    pub async fn open(client: Client, path: &str, headers: &[(&str, &str)]) -> Result<Self> {
        let scheme = if client.tls.is_some() { "wss" } else { "ws" };
        let uri = format!("{scheme}://{}{path}", client.host()).parse()?;
        let limits = Limits::default().max_payload_len(Some(32 << 20));
        let mut builder = ClientBuilder::from_uri(uri).limits(limits);
        for (name, value) in headers {
            builder = builder.add_header(HeaderName::try_from(*name)?, HeaderValue::try_from(*value)?)?;
        }
        let (stream, response) =
            within(SOON, "WebSocket handshake", builder.connect_on(client.into_stream()?)).await??;
        Ok(Self { stream, response: response.map(drop) })
    }

    /// Sends one message.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn send(&mut self, message: Message) -> Result<()> {
        Ok(within(SOON, "send", self.stream.send(message)).await??)
    }

    /// The next message.
    ///
    /// # Errors
    /// When the connection ends or nothing comes soon.
    pub async fn next(&mut self) -> Result<Message> {
        Ok(within(SOON, "message", self.stream.next()).await?.context("the WebSocket has ended")??)
    }

    /// Sends `payload` as one binary message and checks that it comes back.
    ///
    /// # Errors
    /// When it does not come back as it was.
    pub async fn echo(&mut self, payload: Vec<u8>) -> Result<()> {
        let expected = payload.clone();
        // Both directions at once: a large message does not fit into the sockets' buffers.
        let (mut sink, mut source) = (&mut self.stream).split();
        let (sent, message) =
            within(SOON, "echo", async { tokio::join!(sink.send(Message::binary(payload)), source.next()) })
                .await?;
        sent?;
        let message = message.context("the WebSocket has ended")??;
        ensure!(message.is_binary(), "not a binary message");
        ensure!(
            message.as_payload().as_ref() as &[u8] == expected,
            "the echo of {} bytes differs",
            expected.len()
        );
        Ok(())
    }

    /// Waits until the connection ends without a close frame, as the balancer cuts.
    ///
    /// # Errors
    /// When messages still come or the connection stays.
    pub async fn cut(&mut self) -> Result<()> {
        match within(SOON, "end of the WebSocket", self.stream.next()).await? {
            Some(Ok(message)) => anyhow::bail!("got {message:?} instead of the end"),
            Some(Err(_)) | None => Ok(()),
        }
    }
}
