//! Many flows whose two ends do as a seed has it: sizes, pauses, who ends the flow
//! first and whether with a FIN or a RST.

use std::{io::ErrorKind, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
};
use tokio_rustls::client::TlsStream;

use crate::{
    flow::FlowTarget,
    wait::{SOON, within},
};

/// Flows that are open at the same time.
const AT_A_TIME: usize = 64;

/// How a flow ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The client ends its stream, then the target.
    ClientFin,
    /// The target ends its stream, then the client.
    TargetFin,
    /// The client resets.
    ClientReset,
    /// The target resets.
    TargetReset,
}

impl End {
    /// One of them for each number modulo 4.
    const fn drawn(number: usize) -> Self {
        match number % 4 {
            0 => Self::ClientFin,
            1 => Self::TargetFin,
            2 => Self::ClientReset,
            _ => Self::TargetReset,
        }
    }

    /// What the flow log calls it.
    #[must_use]
    pub const fn close_reason(self) -> &'static str {
        match self {
            Self::ClientFin => "client_fin",
            Self::TargetFin => "target_fin",
            Self::ClientReset => "client_reset",
            Self::TargetReset => "target_reset",
        }
    }
}

/// What the two ends of a flow do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Bytes from the client.
    pub up: usize,
    /// Bytes to the client.
    pub down: usize,
    /// How it ends.
    pub end: End,
    /// When whoever ends it does so.
    after: Duration,
}

/// A client's end of a flow.
pub trait ClientEnd: AsyncRead + AsyncWrite + Send + Unpin {
    /// The connection below it.
    fn tcp(&self) -> &TcpStream;
}

impl ClientEnd for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl ClientEnd for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Bytes in front of what a client sends, by which the target knows its plan.
const NUMBER: usize = 4;

/// Draws plans: the same for the same seed. At least one byte goes each way.
#[must_use]
pub fn plans(seed: u64, count: usize) -> Vec<Plan> {
    let mut state = seed;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or_default() % below
    };
    let plan = |_| {
        let size = 1 << draw(18);
        let after = Duration::from_micros(u64::try_from(draw(3000)).unwrap_or_default());
        Plan { up: NUMBER + draw(size), down: 1 + draw(size), end: End::drawn(draw(4)), after }
    };
    (0..count).map(plan).collect()
}

/// Plays one end of a flow: sends `bytes`, reads `expected` bytes to the end, and ends first if it `leads`.
async fn finish(
    stream: impl ClientEnd,
    bytes: Vec<u8>,
    expected: usize,
    lead: Option<Duration>,
) -> Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut got = Vec::new();
    if let Some(after) = lead {
        let writing = async {
            writer.write_all(&bytes).await?;
            writer.flush().await?;
            tokio::time::sleep(after).await;
            writer.shutdown().await
        };
        tokio::try_join!(writing, reader.read_to_end(&mut got))?;
    } else {
        let writing = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        tokio::try_join!(writing, reader.read_to_end(&mut got))?;
        writer.shutdown().await?;
    }
    ensure!(got.len() == expected, "{} bytes came, not {expected}", got.len());
    Ok(())
}

/// Plays the end that is reset: it must notice, in reading or in writing.
async fn suffer(stream: impl ClientEnd, bytes: Vec<u8>) -> Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut got = Vec::new();
    let (written, read) = tokio::join!(writer.write_all(&bytes), reader.read_to_end(&mut got));
    let is_reset = |error: std::io::Error| error.kind() == ErrorKind::ConnectionReset;
    let (written, read) = (written.err().map(is_reset), read.err().map(is_reset));
    ensure!(written == Some(true) || read == Some(true), "no reset: {written:?} {read:?}");
    Ok(())
}

/// Plays the end that resets.
async fn break_off(mut stream: impl ClientEnd, bytes: &[u8], after: Duration) -> Result<()> {
    // What the peer does not take in time is not sent.
    drop(tokio::time::timeout(after, stream.write_all(bytes)).await);
    tokio::time::sleep(after).await;
    SockRef::from(stream.tcp()).set_linger(Some(Duration::ZERO))?;
    Ok(())
}

async fn play_client(mut stream: impl ClientEnd, number: usize, plan: Plan) -> Result<()> {
    let mut bytes = u32::try_from(number)?.to_be_bytes().to_vec();
    bytes.resize(plan.up, b'u');
    match plan.end {
        End::ClientFin => finish(stream, bytes, plan.down, Some(plan.after)).await,
        End::TargetFin => finish(stream, bytes, plan.down, None).await,
        End::ClientReset => {
            // Until the target answers, the handshake may not be over at the balancer.
            let (number, rest) = bytes.split_at(NUMBER);
            stream.write_all(number).await?;
            stream.flush().await?;
            stream.read_exact(&mut [0]).await?;
            break_off(stream, rest, plan.after).await
        }
        End::TargetReset => suffer(stream, bytes).await,
    }
}

async fn play_target(mut stream: TcpStream, plans: Arc<Vec<Plan>>) -> Result<()> {
    let mut number = [0; NUMBER];
    stream.read_exact(&mut number).await?;
    let plan = *plans.get(usize::try_from(u32::from_be_bytes(number))?).context("no such plan")?;
    let bytes = vec![b'd'; plan.down];
    match plan.end {
        End::ClientFin => finish(stream, bytes, plan.up - NUMBER, None).await,
        End::TargetFin => finish(stream, bytes, plan.up - NUMBER, Some(plan.after)).await,
        End::ClientReset => suffer(stream, bytes).await,
        End::TargetReset => break_off(stream, &bytes, plan.after).await,
    }
}

/// Runs one flow for each plan, many at a time, with clients that connect by `connect`; fails when one end
/// of any does not see what it should.
///
/// # Errors
/// What that end saw.
pub async fn play<C, F>(
    connect: impl Fn() -> F + Clone + Send + Sync + 'static,
    target: &FlowTarget,
    plans: &Arc<Vec<Plan>>,
) -> Result<()>
where
    C: ClientEnd + 'static,
    F: Future<Output = Result<C>> + Send,
{
    let permits = Arc::new(Semaphore::new(AT_A_TIME));
    let (mut clients, mut upstreams) = (JoinSet::new(), JoinSet::new());
    for (number, &plan) in plans.iter().enumerate() {
        let (permits, connect) = (Arc::clone(&permits), connect.clone());
        clients.spawn(async move {
            let _permit = permits.acquire().await?;
            let playing = async { play_client(connect().await?, number, plan).await };
            let played = within(2 * SOON, "client's end", playing).await?;
            played.with_context(|| format!("client's end of flow {number}: {plan:?}"))
        });
    }
    for _ in plans.iter() {
        let stream = target.accept().await?;
        let plans = Arc::clone(plans);
        upstreams.spawn(async move { within(2 * SOON, "target's end", play_target(stream, plans)).await? });
    }
    clients.join_all().await.into_iter().chain(upstreams.join_all().await).collect()
}
