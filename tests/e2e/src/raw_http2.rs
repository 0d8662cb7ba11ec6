//! HTTP/2 frames as a test wants them: header fields that no proper client sends.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result, bail, ensure};
use rustls::ClientConfig;

use crate::{
    client::Client,
    wait::{SOON, within},
};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// What came of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A response began; a static status of the HPACK table, or 0 for another one.
    Response(u16),
    /// The stream was reset with this error code.
    Reset(u32),
    /// The connection ended.
    Closed,
}

/// What GOAWAY means to who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoAway {
    Ends,
    IsPassedOver,
}

/// An HTTP/2 connection that sends frames as they are given.
pub struct RawHttp2 {
    client: Client,
    told_to_go: bool,
}

impl RawHttp2 {
    /// Connects over TLS and sends preface and settings.
    ///
    /// # Errors
    /// When the handshake fails.
    pub async fn connect(addr: SocketAddr, name: &str, config: Arc<ClientConfig>) -> Result<Self> {
        let mut client = Client::connect_tls(addr, name, config).await?;
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
        client.send(frame(SETTINGS, 0, 0, &[])).await?;
        // Room for all the bodies that tests leave unread.
        client.send(frame(WINDOW_UPDATE, 0, 0, &0x3fff_ffff_u32.to_be_bytes())).await?;
        Ok(Self { client, told_to_go: false })
    }

    /// Sends a request on `stream`, its fields as literals, and what follows them in one DATA frame if it is not empty.
    ///
    /// # Errors
    /// When a field is longer than 126 bytes or the connection is closed.
    pub async fn send(&mut self, stream: u32, fields: &[(&[u8], &[u8])], body: &[u8]) -> Result<()> {
        let end = if body.is_empty() { END_STREAM } else { 0 };
        let mut bytes = frame(HEADERS, END_HEADERS | end, stream, &fields_block(fields)?);
        if !body.is_empty() {
            bytes.extend(frame(0, END_STREAM, stream, body));
        }
        self.client.send(bytes).await
    }

    /// Begins a request on `stream` that promises a body.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn begin(&mut self, stream: u32, fields: &[(&[u8], &[u8])]) -> Result<()> {
        let bytes = frame(HEADERS, END_HEADERS, stream, &fields_block(fields)?);
        self.client.send(bytes).await
    }

    /// Gives `stream` up (CANCEL).
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn cancel(&mut self, stream: u32) -> Result<()> {
        self.client.send(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())).await
    }

    /// Reads until the server's settings have come: identifiers and values.
    ///
    /// # Errors
    /// When they do not come soon.
    pub async fn settings(&mut self) -> Result<Vec<(u16, u32)>> {
        loop {
            let (kind, _, payload) = self.frame().await?;
            if kind == SETTINGS && !payload.is_empty() {
                let (settings, _) = payload.as_chunks::<6>();
                let setting =
                    |[a, b, value @ ..]: &[u8; 6]| (u16::from_be_bytes([*a, *b]), u32::from_be_bytes(*value));
                return Ok(settings.iter().map(setting).collect());
            }
        }
    }

    /// Sends PING and reads until it is answered.
    ///
    /// # Errors
    /// When the connection ends first.
    pub async fn ping(&mut self) -> Result<()> {
        self.client.send(frame(PING, 0, 0, b"liveness")).await?;
        loop {
            if let (PING, _, payload) = self.frame().await?
                && payload == b"liveness"
            {
                return Ok(());
            }
        }
    }

    /// Whether GOAWAY was among the frames read so far.
    #[must_use]
    pub const fn told_to_go(&self) -> bool {
        self.told_to_go
    }

    /// Answers PING, as GOAWAY waits for it, and reads until the connection ends.
    ///
    /// # Errors
    /// When it does not end soon.
    pub async fn closed(&mut self) -> Result<()> {
        within(SOON, "the end of the connection", async {
            while let Ok((kind, _, payload)) = self.frame().await {
                if kind == PING && self.client.send(frame(PING, ACK, 0, &payload)).await.is_err() {
                    break;
                }
            }
        })
        .await
    }

    /// Reads until something has come of `stream`.
    ///
    /// # Errors
    /// When nothing comes soon.
    pub async fn answer(&mut self, stream: u32) -> Result<Answer> {
        self.read_answer(stream, GoAway::Ends).await
    }

    /// The same, where a GOAWAY is no answer: the connection may end later.
    ///
    /// # Errors
    /// When nothing comes soon.
    pub async fn answer_despite_goaway(&mut self, stream: u32) -> Result<Answer> {
        self.read_answer(stream, GoAway::IsPassedOver).await
    }

    /// Reads until the heads of `count` responses have come, on whatever streams.
    ///
    /// # Errors
    /// When they do not come soon.
    pub async fn responses(&mut self, count: usize) -> Result<()> {
        let mut seen = 0;
        while seen < count {
            seen += usize::from(self.frame().await?.0 == HEADERS);
        }
        Ok(())
    }

    async fn read_answer(&mut self, stream: u32, goaway: GoAway) -> Result<Answer> {
        loop {
            let Ok((kind, about, payload)) = self.frame().await else { return Ok(Answer::Closed) };
            match kind {
                HEADERS if about == stream => {
                    return Ok(Answer::Response(status(payload.first().copied().unwrap_or_default())));
                }
                RST_STREAM if about == stream => {
                    let code = payload.get(..4).and_then(|code| code.try_into().ok()).context("no code")?;
                    return Ok(Answer::Reset(u32::from_be_bytes(code)));
                }
                GOAWAY if goaway == GoAway::Ends => return Ok(Answer::Closed),
                _ => {}
            }
        }
    }

    /// Type, stream and payload of the next frame.
    async fn frame(&mut self) -> Result<(u8, u32, Vec<u8>)> {
        let head = self.client.read_exactly(9).await?;
        let [a, b, c, kind, _, s0, s1, s2, s3] = head[..] else { bail!("no frame head") };
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c]))?;
        let payload = self.client.read_exactly(length).await?;
        self.told_to_go |= kind == GOAWAY;
        Ok((kind, u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]), payload))
    }
}

/// Fields as literals without indexing and with new names.
fn fields_block(fields: &[(&[u8], &[u8])]) -> Result<Vec<u8>> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            ensure!(text.len() < 127, "a field is too long");
            block.push(u8::try_from(text.len())?);
            block.extend_from_slice(text);
        }
    }
    Ok(block)
}

/// The status of an indexed field of HPACK's static table.
const fn status(index: u8) -> u16 {
    match index {
        0x88 => 200,
        0x8b => 304,
        0x8c => 400,
        0x8d => 404,
        0x8e => 500,
        _ => 0,
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = length.get(1..).unwrap_or_default().to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}
