//! `handshakes`: new connections, up to TCP's, TLS's, the WebSocket's or the
//! protocol's own handshake.

mod tally;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use parking_lot::Mutex;
use rustls::client::Resumption;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::connection::{Connector, Timings};
use crate::client::failure::Failure;
use crate::client::http::{Http, Request};
use crate::client::messenger::{Messenger, Options};
use crate::client::web_socket::WebSocket;
use crate::descriptors;
use crate::ending::misused;
use crate::outcome::Outcome;
use crate::pace::{self, Pace};
use crate::progress::Progress;
use crate::record::settings;
use crate::scenario::Run;
use crate::scenario::messaging::Messaging;
use crate::target::{Protocol, Target, duration};
use crate::workers;

use tally::Tally;

/// After a failure the next attempt waits so long, so as not to count thousands of one cause.
const AFTER_FAILURE: Duration = Duration::from_millis(20);

/// What `handshakes` is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// New connections a second; without it the next begins when one is done
    #[arg(long, value_name = "PER_SECOND", value_parser = pace::rate)]
    rate: Option<f64>,
    /// Handshakes at the same time, at most
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// How long to connect
    #[arg(long = "for", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// How far to go; by default TCP for http, TLS for https, the upgrade for ws and wss, and all of a protocol
    #[arg(long, value_enum)]
    up_to: Option<Depth>,
    /// Resume TLS sessions; without it every handshake is a full one. Each connection then makes a request,
    /// out of the measured time, to get the tickets of the next
    #[arg(long)]
    resume: bool,
    /// Threads that connect
    #[arg(long, default_value_t = 1)]
    threads: usize,
    #[command(flatten)]
    messaging: Messaging,
}

/// How far a handshake goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Depth {
    /// A TCP connection.
    Tcp,
    /// TLS on it.
    Tls,
    /// The answer to a WebSocket upgrade.
    WebSocket,
    /// CONNECTED of STOMP, or the namespace of Socket.IO.
    Protocol,
}

#[derive(Debug)]
struct Connecting {
    connector: Connector,
    depth: Depth,
    resume: bool,
    options: Options,
    pace: Pace,
    tally: Mutex<Tally>,
    progress: Progress,
}

/// Measures.
pub(crate) async fn run(arguments: &Arguments, run: &Run) -> Result<Outcome> {
    let Arguments { target, rate, concurrency, threads, resume, .. } = arguments;
    descriptors::provide(*concurrency)?;
    let connector = Connector::for_target(target).await?;
    let depth = depth(arguments, &connector)?;
    if *resume && !connector.is_secure() {
        return Err(misused(format!("--resume is of TLS, and {} has none", target.url)));
    }
    run.progress.begin_for("connecting", arguments.duration);
    let start = Instant::now();
    let shared = Arc::new((arguments.clone(), connector, run.progress.clone(), run.stop.clone()));
    let parts = workers::share((*threads).clamp(1, (*concurrency).max(1)), move |thread| {
        let shared = Arc::clone(&shared);
        async move { connect_all(&shared.0, &shared.1, (depth, thread), start, (&shared.2, &shared.3)).await }
    })
    .await?;
    let settings = settings([
        ("concurrency", concurrency.to_string()),
        ("for", format!("{:?}", arguments.duration)),
        ("rate", rate.map_or("as fast as they succeed".to_owned(), |rate| format!("{rate}/s"))),
        ("resume", resume.to_string()),
        ("threads", threads.to_string()),
        ("up to", format!("{depth:?}")),
    ]);
    let mut outcome = run.outcome("handshakes", target, &Pace::method(*rate), settings)?;
    tally::note(&mut outcome, arguments, parts)?;
    Ok(outcome)
}

fn depth(arguments: &Arguments, connector: &Connector) -> Result<Depth> {
    let natural = match arguments.target.protocol {
        Protocol::Plain if connector.is_web_socket() => Depth::WebSocket,
        Protocol::Plain if connector.is_secure() => Depth::Tls,
        Protocol::Plain => Depth::Tcp,
        Protocol::Stomp | Protocol::SockJs | Protocol::SocketIo => Depth::Protocol,
    };
    let depth = arguments.up_to.unwrap_or(natural);
    match depth {
        Depth::Tls if !connector.is_secure() => Err(misused("--up-to tls takes an https or wss URL")),
        Depth::Tcp if connector.is_secure() => Err(misused("--up-to tcp takes an http or ws URL")),
        Depth::Protocol if arguments.target.protocol == Protocol::Plain => {
            Err(misused("--up-to protocol takes a --protocol"))
        }
        depth => Ok(depth),
    }
}

async fn connect_all(
    arguments: &Arguments,
    connector: &Connector,
    (depth, thread): (Depth, usize),
    start: Instant,
    (progress, stop): (&Progress, &CancellationToken),
) -> Result<Tally> {
    let threads = arguments.threads.clamp(1, arguments.concurrency.max(1));
    let own = workers::part(arguments.concurrency, threads, thread);
    #[expect(clippy::cast_precision_loss, reason = "a number of threads")]
    let rate = arguments.rate.map(|rate| rate / threads as f64);
    let connector =
        if arguments.resume { connector.clone() } else { connector.with_resumption(Resumption::disabled()) };
    let connecting = Arc::new(Connecting {
        pace: Pace::new(start, arguments.duration, rate, connector.patience(), stop.clone()),
        connector,
        depth,
        resume: arguments.resume,
        options: arguments.messaging.options(arguments.target.protocol),
        tally: Mutex::new(Tally::try_new(start)?),
        progress: progress.clone(),
    });
    let mut attempts = JoinSet::new();
    for number in 0..own {
        // Numbers go on from one connection to the next, so that each address is used.
        attempts.spawn(connect(Arc::clone(&connecting), thread + number * threads, threads * own.max(1)));
    }
    while let Some(ended) = attempts.join_next().await {
        ended?;
    }
    let connecting =
        Arc::into_inner(connecting).ok_or_else(|| anyhow::anyhow!("a connection is still being made"))?;
    let mut tally = connecting.tally.into_inner();
    tally.end(&connecting.pace);
    Ok(tally)
}

/// One connection after the other.
async fn connect(connecting: Arc<Connecting>, mut number: usize, step: usize) {
    while let Some(start) = connecting.pace.next().await {
        let made = one(&connecting, number).await;
        number = number.wrapping_add(step);
        let now = Instant::now();
        let is_failure = made.is_err();
        match &made {
            Ok(made) => connecting.progress.answered(made.at - start.counted_from),
            Err(_) => connecting.progress.failed(),
        }
        connecting.tally.lock().count(&made, start.counted_from, now);
        match made {
            Ok(Made { open: Open::Http(http), .. }) if connecting.resume => {
                collect_tickets(*http, connecting.connector.path()).await;
            }
            _ if is_failure => tokio::time::sleep(AFTER_FAILURE).await,
            _ => {}
        }
    }
}

/// A connection that was made.
struct Made {
    at: Instant,
    timings: Option<Timings>,
    /// From TCP and TLS to the end of the handshake above them.
    rest: Option<Duration>,
    open: Open,
}

enum Open {
    Http(Box<Http>),
    Other,
}

async fn one(connecting: &Connecting, number: usize) -> Result<Made, Failure> {
    let connector = &connecting.connector;
    let began = Instant::now();
    match connecting.depth {
        Depth::Tcp | Depth::Tls => {
            let http = Http::connect(connector, number).await?;
            let timings = Some(http.timings());
            Ok(Made { at: Instant::now(), timings, rest: None, open: Open::Http(Box::new(http)) })
        }
        Depth::WebSocket => {
            let socket = WebSocket::connect(connector, number).await?;
            let timings = socket.timings();
            let rest = began.elapsed().saturating_sub(timings.tcp + timings.tls.unwrap_or_default());
            Ok(Made { at: Instant::now(), timings: Some(timings), rest: Some(rest), open: Open::Other })
        }
        Depth::Protocol => {
            let client = Messenger::connect(connector, number, &connecting.options).await?;
            let at = Instant::now();
            drop(client);
            Ok(Made { at, timings: None, rest: None, open: Open::Other })
        }
    }
}

/// TLS 1.3 sends tickets after the handshake: an answer has them before it.
async fn collect_tickets(mut http: Http, path: &str) {
    // Whatever the answer is, the tickets were read.
    drop(http.request(&Request { method: "HEAD", path, headers: &[], body: &[] }).await);
}
