//! WebSocket upgrade: the 101 is relayed, then both connections leave the HTTP
//! engine and become a tunnel.
//!
//! ELB page: "Listeners for your Application Load Balancers", WebSockets. After
//! the 101 neither rules nor cookies play a part; the connection stays with
//! its target until one side closes, the idle timeout passes, or the target's
//! deregistration delay ends.

use std::{io, sync::Arc, task::Poll, time::Duration};

use http::{HeaderValue, header};
use pingora::{http::RequestHeader, protocols::http::server::Session};
use tokio::{io::AsyncWriteExt, time::Instant};

use super::{
    context::Context,
    error::Cause,
    exchange::{Exchange, Outcome},
    fault,
    meaning::Ending,
    response,
    state::Shared,
    target_stream::TargetStream,
    traced,
    transfer::TargetSide,
};
use crate::{
    client::ClientStream,
    fault::relay_slowly,
    headers::websocket::RequestKind,
    metrics::{LoadBalancerMetrics, OpenConnection},
    target_groups::{
        OutstandingGuard,
        pool::{TargetConnection, TargetIo},
    },
    tunnel::{self, CloseReason, EarlyBytes, Keepalive, Settings, Side},
};

/// How long saying goodbye to a side may take once the tunnel has ended.
const FAREWELL: Duration = Duration::from_secs(1);

/// The target's side of an upgrade that has been answered with 101.
#[derive(Debug)]
pub struct Upgrade {
    target: TargetConnection,
    /// Bytes for the target that it has not taken yet.
    to_target: Vec<u8>,
    from_target: Vec<u8>,
    /// The side whose connection broke before the tunnel began.
    broken: Option<Side>,
    guard: OutstandingGuard,
    context: Context,
    request: Box<RequestHeader>,
}

/// Relays the target's 101 and takes the target's connection over.
///
/// # Errors
///
/// When the 101 does not reach the client.
pub async fn upgrade(
    exchange: &mut Exchange<'_>,
    target: TargetSide,
    cookies: Vec<HeaderValue>,
) -> Result<Outcome, Cause> {
    let TargetSide { session: mut target, guard, .. } = target;
    let received = target.resp_header().ok_or(Cause::BadResponse)?;
    let upgraded_to = received.headers.get(header::UPGRADE).map(HeaderValue::as_bytes);
    if !upgraded_to.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket")) {
        return Err(Cause::BadResponse);
    }
    let received = received.clone();
    let head = response::response_head(exchange, received, RequestKind::WebSocketUpgrade, cookies)?;
    let sent = exchange.within(async move |session: &mut Session| session.write_response_header(head).await);
    sent.await.map_err(|_| Cause::ClientClosedRequest)?;
    exchange.context.websocket = true;
    // Kilobytes that nobody needs any more, for as long as the WebSocket is open.
    exchange.context.authenticated = None;
    let ahead = read_ahead(target.read_body_bytes()).await;
    let (target, to_target) = TargetStream::into_parts(target.into_inner()).ok_or(Cause::TargetClosed)?;
    Ok(Outcome::Upgraded(Box::new(Upgrade {
        target,
        to_target,
        broken: ahead.is_none().then_some(Side::Target),
        from_target: ahead.unwrap_or_default(),
        guard,
        context: exchange.context.clone(),
        request: logged(exchange.request())?,
    })))
}

/// What the log record at the close needs of the request, copied: the head as it was read shares one
/// buffer, which a WebSocket that is open for hours must not hold on to.
fn logged(request: &RequestHeader) -> Result<Box<RequestHeader>, Cause> {
    let copied = RequestHeader::build_no_case(request.method.clone(), request.raw_path(), Some(2));
    let mut copy = Box::new(copied.map_err(|_| Cause::Internal)?);
    copy.set_version(request.version);
    for name in [header::HOST, header::USER_AGENT] {
        let value =
            request.headers.get(&name).and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
        if let Some(value) = value {
            copy.insert_header(name, value).map_err(|_| Cause::Internal)?;
        }
    }
    Ok(copy)
}

/// Bytes that the HTTP engine has read past the head, if there are any; `None` if the connection is broken.
///
/// The system tells of a reset once, and here that may be: the tunnel would take what follows for an end in order.
async fn read_ahead<E>(read: impl Future<Output = Result<Option<bytes::Bytes>, E>>) -> Option<Vec<u8>> {
    let read = std::pin::pin!(read);
    match futures_util::poll!(read) {
        Poll::Ready(Ok(Some(bytes))) => Some(bytes.to_vec()),
        Poll::Ready(Ok(None)) | Poll::Pending => Some(Vec::new()),
        Poll::Ready(Err(_)) => None,
    }
}

impl tunnel::Connection for ClientStream {}

impl Upgrade {
    /// Takes the client's side over from the HTTP engine and runs the tunnel to its end, in a task of its own.
    pub async fn spawn(mut self: Box<Self>, shared: &Arc<Shared>, session: Session) {
        let Session::H1(mut session) = session else {
            return;
        };
        let ahead = read_ahead(session.read_body_bytes()).await;
        if ahead.is_none() {
            self.broken = Some(Side::Client);
        }
        let from_client = ahead.unwrap_or_default();
        let Ok(client) = session.into_inner().into_any().downcast::<ClientStream>() else {
            return;
        };
        let tracker = shared.tracker.clone();
        tracker.spawn(self.run(client.write_through(), from_client, Arc::clone(shared)));
    }

    async fn run(mut self: Box<Self>, mut client: ClientStream, read_ahead: Vec<u8>, shared: Arc<Shared>) {
        let load_balancer = Arc::clone(&self.context.state.load_balancer);
        self.context.connection.usage.begin_websocket(self.guard.target().addr(), load_balancer.timers.idle);
        let open = (
            OpenConnection::new(load_balancer.metrics.open_websockets.clone()),
            self.guard.target().open_websocket(),
        );
        let mut from_client = std::mem::take(&mut self.to_target);
        from_client.extend_from_slice(&read_ahead);
        let early = EarlyBytes { from_client, from_target: std::mem::take(&mut self.from_target) };
        let deregistered = self.guard.target().terminated().clone();
        let ended = shared.cut(self.guard.target());
        let settings = Settings {
            idle_timeout: load_balancer.timers.idle,
            keepalive: Keepalive::DoesNotCount,
            // The client's connection counts its bytes itself.
            traffic: None,
        };
        let pace = fault::pace(self.context.group.as_deref());
        let reason = match (self.broken, &mut self.target.io, pace) {
            (Some(side), _, _) => CloseReason::Failed { side, error: io::ErrorKind::ConnectionReset.into() },
            (None, TargetIo::Plain(tcp), None) => {
                tunnel::relay(&mut client, tcp, early, settings, ended).await
            }
            (None, TargetIo::Tls(tls), None) => tunnel::relay(&mut client, tls, early, settings, ended).await,
            // Boxed: WebSockets that are not slowed, the most, need not keep room for it.
            (None, TargetIo::Plain(tcp), Some(pace)) => {
                Box::pin(relay_slowly(&mut client, tcp, pace, early, settings, ended)).await
            }
            (None, TargetIo::Tls(tls), Some(pace)) => {
                Box::pin(relay_slowly(&mut client, tls, pace, early, settings, ended)).await
            }
        };
        tracing::debug!(
            reason = reason.as_str(),
            client = %self.context.connection.client,
            target = %self.guard.target().addr(),
            "websocket closed"
        );
        drop(open);
        traced::closed(&mut self.context, reason.as_str());
        let ending = Ending::of(&reason, deregistered.is_cancelled());
        count_close(&load_balancer.metrics, ending);
        self.context.ending = Some(ending);
        self.context.finish(Some(&self.request), Instant::now());
        // Neither side gets a WebSocket close frame, as from an ALB; TLS still ends in order.
        drop(tokio::time::timeout(FAREWELL, client.shutdown()).await);
    }
}

fn count_close(metrics: &LoadBalancerMetrics, ending: Ending) {
    let counter = match ending {
        Ending::ByClient => &metrics.websockets_closed_by_client,
        Ending::ByTarget => &metrics.websockets_closed_by_target,
        Ending::IdleTimeout => &metrics.websockets_closed_by_idle_timeout,
        Ending::ClientBroke | Ending::TargetBroke => &metrics.websockets_closed_by_error,
        Ending::Deregistered => &metrics.websockets_closed_by_deregistration,
        Ending::Shutdown => &metrics.websockets_closed_by_shutdown,
    };
    counter.inc();
}
