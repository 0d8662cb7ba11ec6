//! `throughput`: requests or WebSocket echoes, at a rate or flat out.

mod tally;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::connection::Connector;
use crate::client::failure::Failure;
use crate::client::http::{Http, Request, Response};
use crate::client::web_socket::{Event, WebSocket};
use crate::ending::misused;
use crate::outcome::Outcome;
use crate::pace::{self, Pace};
use crate::progress::Progress;
use crate::record::settings;
use crate::scenario::Run;
use crate::target::{Protocol, Target, duration};
use crate::{crowd, descriptors, workers};

use tally::{Answer, Answered, Tally};

/// After a failure a connection waits so long, so as not to count thousands of one cause.
const AFTER_FAILURE: Duration = Duration::from_millis(20);

/// What `throughput` is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Requests a second, all connections together; without it each asks again when it has its answer
    #[arg(long, value_name = "PER_SECOND", value_parser = pace::rate)]
    rate: Option<f64>,
    /// Connections, all kept alive
    #[arg(long, default_value_t = 50)]
    connections: usize,
    /// How long to ask
    #[arg(long = "for", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// Threads that ask
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Bytes of each echoed message
    #[arg(long, default_value_t = 200)]
    size: usize,
    /// Statuses that are no failure
    #[arg(long, value_name = "STATUS", value_delimiter = ',', default_values_t = [200, 201, 204, 301, 302, 304])]
    accept: Vec<u16>,
    /// Response header that names the target that answered
    #[arg(long, value_name = "NAME", conflicts_with = "target_field")]
    target_header: Option<String>,
    /// Text field of a JSON answer that names the target; `instance` where the path ends with /whoami
    #[arg(long, value_name = "FIELD")]
    target_field: Option<String>,
}

/// Where an answer names its target.
#[derive(Debug, Clone)]
enum Named {
    Nowhere,
    Header(String),
    /// The name with its quotes, and a colon.
    Field(String),
}

/// What all connections of a thread need.
#[derive(Debug)]
struct Asking {
    connector: Connector,
    pace: Pace,
    named: Named,
    /// A message to be echoed; none for requests.
    message: Option<Bytes>,
    /// Statuses that are no failure.
    accept: Vec<u16>,
    tally: Mutex<Tally>,
    progress: Progress,
}

/// Measures.
pub(crate) async fn run(arguments: &Arguments, run: &Run) -> Result<Outcome> {
    let Arguments { target, rate, connections, threads, .. } = arguments;
    if target.protocol != Protocol::Plain {
        let other = target.protocol;
        return Err(misused(format!(
            "throughput speaks HTTP, or to a WebSocket that echoes: for {other:?} take fan-out"
        )));
    }
    descriptors::provide(*connections)?;
    let connector = Connector::for_target(target).await?;
    run.progress.begin_for("asking", arguments.duration);
    let shared = Arc::new((arguments.clone(), connector, run.progress.clone(), run.stop.clone()));
    let parts = workers::share((*threads).clamp(1, (*connections).max(1)), move |thread| {
        let shared = Arc::clone(&shared);
        async move { ask_all(&shared.0, &shared.1, thread, (&shared.2, &shared.3)).await }
    })
    .await?;
    let settings = settings([
        ("connections", connections.to_string()),
        ("for", format!("{:?}", arguments.duration)),
        ("rate", rate.map_or("as fast as answers come".to_owned(), |rate| format!("{rate}/s"))),
        ("threads", threads.to_string()),
    ]);
    let mut outcome = run.outcome("throughput", target, &Pace::method(*rate), settings)?;
    tally::note(&mut outcome, parts, &arguments.accept, rate.is_some())?;
    Ok(outcome)
}

/// One thread's share of the connections and of the rate.
async fn ask_all(
    arguments: &Arguments,
    connector: &Connector,
    thread: usize,
    (progress, stop): (&Progress, &CancellationToken),
) -> Result<Tally> {
    let threads = arguments.threads.clamp(1, arguments.connections.max(1));
    let own = workers::part(arguments.connections, threads, thread);
    let first = (0..thread).map(|other| workers::part(arguments.connections, threads, other)).sum::<usize>();
    #[expect(clippy::cast_precision_loss, reason = "a number of threads")]
    let rate = arguments.rate.map(|rate| rate / threads as f64);
    let message = connector.is_web_socket().then(|| Bytes::from("x".repeat(arguments.size)));
    let clients = open(connector, first..first + own, message.is_some()).await?;
    // Connecting takes no part in what is measured.
    let start = Instant::now();
    let asking = Arc::new(Asking {
        connector: connector.clone(),
        pace: Pace::new(start, arguments.duration, rate, connector.patience(), stop.clone()),
        accept: arguments.accept.clone(),
        progress: progress.clone(),
        named: Named::of(arguments, connector.uri().path()),
        message,
        tally: Mutex::new(Tally::try_new(start)?),
    });
    let mut connections = JoinSet::new();
    for (number, client) in clients {
        connections.spawn(ask(Arc::clone(&asking), number, client));
    }
    while let Some(ended) = connections.join_next().await {
        ended?;
    }
    let asking = Arc::into_inner(asking).ok_or_else(|| anyhow::anyhow!("a connection is still asking"))?;
    let mut tally = asking.tally.into_inner();
    tally.end(&asking.pace);
    Ok(tally)
}

/// Opens connections. What fails now is tried again, and counted, at its first request.
async fn open(
    connector: &Connector,
    numbers: std::ops::Range<usize>,
    is_socket: bool,
) -> Result<Vec<(usize, Option<Client>)>> {
    let mut opening = JoinSet::new();
    let mut clients = Vec::with_capacity(numbers.len());
    for number in numbers {
        if opening.len() >= crowd::CONNECTING
            && let Some(opened) = opening.join_next().await
        {
            clients.push(opened?);
        }
        let connector = connector.clone();
        opening.spawn(async move { (number, Client::connect(&connector, number, is_socket).await.ok()) });
    }
    while let Some(opened) = opening.join_next().await {
        clients.push(opened?);
    }
    Ok(clients)
}

/// Asks on one connection, and on another when that one ends.
async fn ask(asking: Arc<Asking>, number: usize, mut client: Option<Client>) {
    while let Some(start) = asking.pace.next().await {
        let answered = answer(&mut client, &asking, number).await;
        let (has_failed, now) = (answered.is_err(), Instant::now());
        match &answered {
            Ok(answer) if answer.is_good(&asking.accept) => {
                asking.progress.answered(now - start.counted_from);
            }
            _ => asking.progress.failed(),
        }
        asking.tally.lock().count(answered, start, now);
        if has_failed {
            tokio::time::sleep(AFTER_FAILURE).await;
        }
    }
}

/// A connection that is open.
enum Client {
    Http(Box<Http>),
    WebSocket(Box<WebSocket>),
}

impl Client {
    async fn connect(connector: &Connector, number: usize, is_socket: bool) -> Result<Self, Failure> {
        if is_socket {
            Ok(Self::WebSocket(Box::new(WebSocket::connect(connector, number).await?)))
        } else {
            Ok(Self::Http(Box::new(Http::connect(connector, number).await?)))
        }
    }
}

async fn answer(client: &mut Option<Client>, asking: &Asking, number: usize) -> Result<Answer, Failure> {
    let connector = &asking.connector;
    let mut open = match client.take() {
        Some(open) => open,
        None => Client::connect(connector, number, asking.message.is_some()).await?,
    };
    let answer = match (&mut open, &asking.message) {
        (Client::Http(http), _) => {
            let response = http.request(&Request::get(connector.path())).await?;
            let answer = Answer {
                answered: Answered::Status(response.head.status),
                first_byte: Some(response.head.first_byte.saturating_duration_since(response.sent)),
                target: asking.named.target(&response),
            };
            if !http.is_reusable() {
                return Ok(answer);
            }
            answer
        }
        (Client::WebSocket(socket), message) => {
            let message = message.clone().unwrap_or_default();
            let echo = echo(socket, message);
            tokio::time::timeout(connector.patience(), echo).await.unwrap_or(Err(Failure::TimedOut))?;
            Answer { answered: Answered::Echo, first_byte: None, target: None }
        }
    };
    *client = Some(open);
    Ok(answer)
}

/// Sends a message and waits for its echo.
async fn echo(socket: &mut WebSocket, message: Bytes) -> Result<(), Failure> {
    let length = message.len();
    socket.send_text(message).await?;
    loop {
        match socket.next().await {
            Event::Text(payload) | Event::Binary(payload) if payload.len() == length => return Ok(()),
            Event::Closed(closed) => return Err(closed.into()),
            _ => {}
        }
    }
}

impl Named {
    fn of(arguments: &Arguments, path: &str) -> Self {
        match (&arguments.target_header, &arguments.target_field) {
            (Some(name), _) => Self::Header(name.clone()),
            (None, Some(field)) => Self::Field(format!("\"{field}\":")),
            (None, None) if path.ends_with("/whoami") => Self::Field("\"instance\":".to_owned()),
            (None, None) => Self::Nowhere,
        }
    }

    fn target(&self, response: &Response) -> Option<String> {
        match self {
            Self::Nowhere => None,
            Self::Header(name) => response.head.header(name).map(str::to_owned),
            Self::Field(field) => text_after(&response.body, field).map(str::to_owned),
        }
    }
}

/// The JSON string behind a field's name: enough for names of targets, and far
/// cheaper than reading the whole answer.
fn text_after<'a>(body: &'a [u8], field: &str) -> Option<&'a str> {
    let at = memchr::memmem::find(body, field.as_bytes())? + field.len();
    let value = body.get(at..)?.trim_ascii_start().strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', value)?;
    str::from_utf8(value.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_named_by_a_field() {
        let body = br#"{"a":1,"instance": "backend-2","b":""}"#;
        assert_eq!(text_after(body, "\"instance\":"), Some("backend-2"));
        assert_eq!(text_after(body, "\"a\":"), None);
        assert_eq!(text_after(body, "\"c\":"), None);
        assert_eq!(text_after(br#"{"instance":"cut"#, "\"instance\":"), None);
    }
}
