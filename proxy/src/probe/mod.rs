//! Measuring a live target or balancer, instead of believing its settings.
//!
//! Each measurement is a file of its own: a thin shell that opens connections
//! and looks at the clock, and a pure judgement of what was seen. Addresses of
//! HTTP are measured for the keep-alive timeout, header limits, half-close and
//! cookies, those of WebSockets for the idle cut; both for what they offer over TLS.
//! Independent measurements run at the same time, within common bounds of
//! time and connections ([`Limits`]). A measurement that comes to nothing says
//! why ([`Unmeasured`]) and does not keep the others from their end.
//!
//! What a measured value means beside a declared one is not decided here.

mod answer;
mod bisection;
mod budget;
mod connection;
pub mod cookies;
mod ending;
mod endpoint;
mod facts;
pub mod half_close;
pub mod header_limits;
pub mod keep_alive;
mod timing;
pub mod tls;
mod told_target;
mod trust;
pub mod web_socket;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use time::OffsetDateTime;
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsConnector;

use self::{budget::Budget, connection::Dialer, trust::BOTH_VERSIONS};
pub use self::{
    budget::Limits,
    cookies::Cookies,
    ending::Ending,
    endpoint::{Endpoint, InvalidEndpoint, Scheme},
    facts::Fact,
    half_close::HalfClose,
    header_limits::HeaderLimits,
    keep_alive::KeepAlive,
    timing::{Seconds, Timing},
    tls::Tls,
    trust::{Trust, TrustError},
    web_socket::WebSocket,
};
use crate::time_scale::TimeScale;

/// What to measure, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The target or balancer.
    pub endpoint: Endpoint,
    /// What it may cost.
    pub limits: Limits,
    /// The scale that the measured program divides its timers by. [`Limits::longest_wait`] and
    /// [`Plan::ping_interval`] are divided by it as well.
    pub time_scale: TimeScale,
    /// The longest time between two pings of a WebSocket. Default 25 s.
    pub ping_interval: Duration,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Name of the response header or the JSON member that tells which target answered; without it the
    /// usual names are looked for.
    pub told_by: Option<String>,
}

/// How often a WebSocket is pinged at least.
pub const PING_INTERVAL: Duration = Duration::from_secs(25);

impl Plan {
    /// The plan with everything at its default and the system's authorities.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            limits: Limits::default(),
            time_scale: TimeScale::default(),
            ping_interval: PING_INTERVAL,
            trust: Trust::system(),
            told_by: None,
        }
    }
}

/// What a measurement is doing, for those who wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It has begun.
    Started {
        /// Its name.
        name: &'static str,
    },
    /// It waits for something to happen.
    Waiting {
        /// Its name.
        name: &'static str,
        /// The longest that it waits.
        most: Duration,
    },
    /// It has ended.
    Finished {
        /// Its name.
        name: &'static str,
    },
}

/// Why something was not measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmeasured {
    /// It is of no meaning for this kind of address.
    #[error("does not apply to this address")]
    NotApplicable,
    /// No connection could be opened.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// The TLS handshake failed.
    #[error("TLS handshake: {0}")]
    Handshake(String),
    /// The peer was silent.
    #[error("no answer within {}", Seconds(*.0))]
    NoAnswer(Duration),
    /// The peer closed the connection instead of answering.
    #[error("closed without an answer ({0})")]
    ClosedEarly(Ending),
    /// What came is not an answer of HTTP/1.
    #[error("the answer is not HTTP/1, or too long")]
    NotHttp,
    /// Even the smallest head is refused.
    #[error("refuses the smallest request with status {0}")]
    RefusesAll(u16),
    /// There is no WebSocket at this path.
    #[error("no WebSocket: the upgrade is answered with status {0}")]
    NoWebSocket(u16),
    /// The limit of connections was used up.
    #[error("the limit of {0} connections was used up")]
    ConnectionsSpent(usize),
    /// The limit of time was used up.
    #[error("the limit of {} for all measurements was used up", Seconds(*.0))]
    TimeSpent(Duration),
}

/// What was measured of one endpoint. Times are as the wall clock had them; [`Timing::in_real_time`] and
/// [`Timing::at_scale`] multiply them back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurements {
    /// What was measured.
    pub endpoint: Endpoint,
    /// The address that was met.
    pub addr: SocketAddr,
    /// Keep-alive timeout after a response.
    pub keep_alive: Result<KeepAlive, Unmeasured>,
    /// Header limits.
    pub header_limits: Result<HeaderLimits, Unmeasured>,
    /// Reaction to a half-close.
    pub half_close: Result<HalfClose, Unmeasured>,
    /// Cookies that are set.
    pub cookies: Result<Cookies, Unmeasured>,
    /// Idle cut of a WebSocket.
    pub web_socket: Result<WebSocket, Unmeasured>,
    /// What is offered over TLS.
    pub tls: Result<Tls, Unmeasured>,
    /// How long it all took.
    pub took: Duration,
    /// How many connections it took.
    pub connections: usize,
}

/// Measures an endpoint. `now` is the time of day, which cookies and certificates expire by.
///
/// # Errors
///
/// When no connection to the endpoint can be opened.
///
/// # Cancel safety
///
/// Cancel safe: all connections are closed with the future.
pub async fn measure(
    plan: &Plan,
    now: OffsetDateTime,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Measurements, Unmeasured> {
    let start = Instant::now();
    let longest_wait = plan.time_scale.apply(plan.limits.longest_wait);
    let budget = Budget::new(Limits { longest_wait, ..plan.limits }, start);
    let endpoint = &plan.endpoint;
    let addr = reachable_addr(endpoint, &budget).await?;
    let tls = endpoint.scheme.is_tls().then(|| plan.trust.client_config(BOTH_VERSIONS, &[])).transpose();
    let tls = tls.map_err(|error| Unmeasured::Handshake(error.to_string()))?;
    let tls = tls.map(|config| TlsConnector::from(Arc::new(config)));
    let dialer = Dialer { endpoint, budget: &budget, addr, tls };
    let run = Run { budget: &budget, progress };
    let is_http = !endpoint.scheme.is_web_socket();
    let ping_interval = plan.time_scale.apply(plan.ping_interval);
    let (keep_alive, header_limits, half_close, cookies, web_socket, tls) = tokio::join!(
        run.bounded("keep-alive", is_http, keep_alive::measure(&dialer, plan.time_scale, progress)),
        run.bounded("header-limits", is_http, header_limits::measure(&dialer)),
        run.bounded("half-close", is_http, half_close::measure(&dialer)),
        run.bounded("cookies", is_http, cookies::measure(&dialer, plan.told_by.as_deref(), now)),
        run.bounded("web-socket", !is_http, web_socket::measure(&dialer, ping_interval, progress)),
        run.bounded("tls", endpoint.scheme.is_tls(), tls::measure(&dialer, &plan.trust, now)),
    );
    Ok(Measurements {
        endpoint: endpoint.clone(),
        addr,
        keep_alive,
        header_limits,
        half_close,
        cookies,
        web_socket,
        tls,
        took: start.elapsed(),
        connections: budget.connections(),
    })
}

struct Run<'a> {
    budget: &'a Budget,
    progress: &'a (dyn Fn(Progress) + Sync),
}

impl Run<'_> {
    /// One measurement, if it applies, until everything ends.
    fn bounded<'f, T: 'f>(
        &'f self,
        name: &'static str,
        applies: bool,
        measurement: impl Future<Output = Result<T, Unmeasured>> + Send + 'f,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<T, Unmeasured>> + Send + 'f>> {
        Box::pin(async move {
            if !applies {
                return Err(Unmeasured::NotApplicable);
            }
            (self.progress)(Progress::Started { name });
            let done = timeout_at(self.budget.deadline(), measurement).await;
            (self.progress)(Progress::Finished { name });
            done.unwrap_or_else(|_| Err(self.budget.time_spent()))
        })
    }
}

/// The first address of the endpoint that takes a connection.
async fn reachable_addr(endpoint: &Endpoint, budget: &Budget) -> Result<SocketAddr, Unmeasured> {
    let limit = budget.answer(Instant::now());
    let found = timeout(limit, lookup_host((endpoint.host.as_str(), endpoint.port))).await;
    let found = found.map_err(|_| Unmeasured::NoAnswer(limit))?;
    let addrs = found.map_err(|error| Unmeasured::Unreachable(error.to_string()))?;
    let mut last = Unmeasured::Unreachable("the name has no addresses".to_owned());
    for addr in addrs {
        budget.take_connection()?;
        let limit = budget.answer(Instant::now());
        match timeout(limit, TcpStream::connect(addr)).await {
            Ok(Ok(_)) => return Ok(addr),
            Ok(Err(error)) => last = Unmeasured::Unreachable(error.to_string()),
            Err(_) => last = Unmeasured::NoAnswer(limit),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests;
