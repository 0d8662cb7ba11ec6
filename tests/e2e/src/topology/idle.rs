//! What the client of a WebSocket sees that nobody uses.

use std::{io, time::Duration};

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, timeout},
};

use super::{look, stage::Stage};
use crate::{
    access_log::Log,
    client::Stream,
    wait::{SOON, within},
    websocket::{self, MASKED_HELLO},
};

/// `--time-scale` at which this is worth waiting for: 350 s are 7 s, 60 s are 1.2 s.
pub const TIME_SCALE: u32 = 50;

/// A connection that gets no further than this long after a timer is not one that the timer ended.
const TOLERANCE: u32 = 20;
/// How long nothing must come to be called nothing.
const SILENCE: Duration = Duration::from_millis(100);

/// Opens a WebSocket on `/echo` and says nothing until the connection ends, or until the load balancer's
/// log has it as idle for too long: then the client speaks.
///
/// # Errors
/// When neither happens soon.
pub async fn silent_web_socket(stage: &Stage) -> Result<String> {
    let mut client = look::connect(stage).await?;
    websocket::upgrade(&mut client, "/echo").await?;
    let start = Instant::now();
    let mut stream = client.into_stream()?;
    loop {
        if let Ok(end) = timeout(SILENCE, end(&mut stream)).await {
            return Ok(format!("{} after {}", end?, period(stage, start.elapsed())));
        }
        if let Some(lasted) = forgotten(stage)? {
            return Ok(match timeout(SILENCE, end(&mut stream)).await {
                Ok(end) => format!("{} after {}", end?, period(stage, lasted)),
                Err(_) => format!("none; {} after {}", speak(&mut stream).await?, period(stage, lasted)),
            });
        }
        if start.elapsed() > SOON {
            bail!("the WebSocket is open and nothing has been logged after {:?}", start.elapsed());
        }
    }
}

/// Time after which a network load balancer forgot a flow that idled.
fn forgotten(stage: &Stage) -> Result<Option<Duration>> {
    let records = stage.log(Log::Flow)?;
    let idle = records.iter().find(|record| record["close_reason"] == "idle_timeout");
    idle.map(|record| Ok(Duration::from_secs_f64(record.number("connection_time")? / 1000.0))).transpose()
}

/// How the stream ends: `FIN` or `RST`.
async fn end(stream: &mut Box<dyn Stream>) -> Result<&'static str> {
    let mut byte = [0];
    match stream.read(&mut byte).await {
        Ok(0) => Ok("FIN"),
        Ok(_) => bail!("a byte came: {byte:?}"),
        // Without `close_notify`.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok("FIN"),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok("RST"),
        Err(error) => Err(error).context("neither FIN nor RST"),
    }
}

/// Sends a message and says how the stream ends.
async fn speak(stream: &mut Box<dyn Stream>) -> Result<&'static str> {
    stream.write_all(MASKED_HELLO).await?;
    stream.flush().await?;
    within(SOON, "an answer to a message", end(stream)).await?
}

/// `elapsed` in the load balancer's time: as one of its two periods if it is not shorter and not much longer.
fn period(stage: &Stage, elapsed: Duration) -> String {
    let scaled = elapsed * stage.time_scale;
    let tolerance = Duration::from_secs((TOLERANCE * stage.time_scale / TIME_SCALE).into());
    for seconds in [60, 350] {
        let period = Duration::from_secs(seconds);
        // Timers have a resolution of a millisecond.
        if scaled + Duration::from_secs(1) >= period && scaled <= period + tolerance {
            return format!("{seconds} s");
        }
    }
    format!("{} s", scaled.as_secs())
}
