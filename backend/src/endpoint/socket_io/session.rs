//! The task of a session: one loop over its transport, its timers, and what
//! its clients want.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::time::{Duration, Instant};

use crate::app::gateway::{Event, Gateway};
use crate::endpoint::{Opened, Services};
use crate::engine_io::{self, Message, Output, Packet, Settings, TransportName};
use crate::metrics::Active;
use crate::socket_io::{self, Received};
use crate::ws::{CloseCode, Reading, Socket};

use super::dispatch::{self, Membership, Processed};
use super::ending::{Ending, Patience};
use super::guard::{self, Rates};
use super::handle::Ends;
use super::heartbeat::{Due, Heartbeat};
use super::member::{SessionOutbox, Wire};
use super::transport::{Happened, Lent, Slow, Transport, of_socket};
use super::{Handle, Prepared};

/// A timer that is never reached.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Serves a session that begins with polling.
pub async fn serve_polling(prepared: Prepared, opened: Opened) {
    let transport = Transport::polling(&prepared.services, &prepared.handle);
    serve(prepared, opened, transport, TransportName::Polling).await;
}

/// Serves a session on a WebSocket.
pub async fn serve_web_socket(prepared: Prepared, opened: Opened, socket: Socket) {
    let services = Arc::clone(&prepared.services);
    let _active = Active::new(&services.metrics.websocket_connections_active);
    let transport = Transport::web_socket(&services, Lent::own(socket));
    serve(prepared, opened, transport, TransportName::WebSocket).await;
}

async fn serve(mut prepared: Prepared, opened: Opened, transport: Transport, name: TransportName) {
    let services = Arc::clone(&prepared.services);
    let Some(ends) = prepared.ends.take() else { return };
    services.metrics.socket_io.sessions.with_label_values(&[name.as_str()]).inc();
    let mut session = Session::new(&prepared, opened, transport, ends, name);
    tokio::select! {
        ending = session.run() => session.end(prepared, ending).await,
        () = services.lifecycle.aborting().cancelled() => {}
    }
}

/// A namespace that the client is in.
struct Joined {
    membership: Membership,
    heartbeat: Option<Heartbeat>,
    /// Under which id the last heartbeat may be acknowledged.
    heartbeat_ack: Option<u64>,
    /// When the client's token expires.
    expires_at: Option<Instant>,
}

struct Session {
    services: Arc<Services>,
    handle: Arc<Handle>,
    opened: Opened,
    engine: engine_io::Session,
    clients: socket_io::Session,
    transport: Transport,
    /// The WebSocket that is probed.
    candidate: Option<Lent>,
    ends: Ends,
    outbox: Arc<SessionOutbox>,
    joined: HashMap<Arc<str>, Joined>,
    rates: Rates,
    /// Messages that are read and wait for the one before them.
    inbox: VecDeque<Message>,
    processing: Option<BoxFuture<'static, Processed>>,
    /// When to leave, once the server drains.
    leave_at: Option<Instant>,
    /// Set when the client is gone: what it sent before is still handled.
    gone: Option<Ending>,
    /// Set when nothing more is read; until when it may be written.
    ending: Option<(Ending, Instant)>,
}

impl Session {
    fn new(
        prepared: &Prepared,
        opened: Opened,
        transport: Transport,
        ends: Ends,
        name: TransportName,
    ) -> Self {
        let services = Arc::clone(&prepared.services);
        let handle = Arc::clone(&prepared.handle);
        let config = &services.config.socket_io;
        let now = Instant::now();
        let settings = Settings {
            ping_interval: config.ping_interval,
            ping_timeout: config.ping_timeout,
            upgrade_timeout: config.upgrade_timeout,
            max_payload: config.max_http_buffer_size,
        };
        Self {
            engine: engine_io::Session::new(settings, handle.sid(), name, now),
            clients: socket_io::Session::new(now + config.connect_timeout),
            outbox: Arc::new(SessionOutbox::new(config.send_buffer_size_limit)),
            candidate: None,
            joined: HashMap::new(),
            rates: Rates::new(&services.config.limits, now),
            inbox: VecDeque::new(),
            processing: None,
            leave_at: None,
            gone: None,
            ending: None,
            handle,
            opened,
            transport,
            ends,
            services,
        }
    }

    /// Runs until the session is to be closed.
    async fn run(&mut self) -> Ending {
        let services = Arc::clone(&self.services);
        let handle = Arc::clone(&self.handle);
        let leaving = services.lifecycle.closing().cancelled();
        let draining = services.lifecycle.draining().cancelled();
        let timer = tokio::time::sleep(NEVER);
        tokio::pin!(leaving, draining, timer);
        let mut told = false;
        loop {
            let now = Instant::now();
            if let Some(ending) = self.advance(now) {
                return ending;
            }
            let next = self.next_timer().unwrap_or(now + NEVER);
            if next < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(next);
            }
            let busy = self.processing.is_some() || !self.inbox.is_empty() || self.ending.is_some();
            let busy = busy || self.rates.slowed_until.is_some();
            let reading = if busy { Reading::Paused } else { Reading::On };
            let present = self.gone.is_none();
            let writable = self.transport.is_writable();
            // In this order: what was sent by polling comes before an upgrade.
            tokio::select! {
                biased;
                reason = handle.misused() => return Ending::of_engine(reason, None),
                processed = processed(&mut self.processing) => self.handle_processed(processed),
                happened = self.transport.event(reading), if present => self.handle_transport(happened),
                happened = probed(&mut self.candidate, reading) => self.handle_probed(happened),
                Some(lent) = self.ends.offers.recv() => self.handle_offer(lent),
                () = self.outbox.outbox.filled(), if present && writable => {}
                () = self.outbox.outbox.overflowed(), if present && !writable => {}
                () = &mut draining, if !told => {
                    told = true;
                    self.tell_server_leaves();
                }
                () = &mut leaving, if self.leave_at.is_none() => {
                    let delay = services.jitter_window().mul_f64(self.opened.jitter);
                    self.leave_at = Some(Instant::now() + delay);
                }
                () = timer.as_mut() => {}
            }
        }
    }

    /// Does what is due and what can be done without waiting.
    fn advance(&mut self, now: Instant) -> Option<Ending> {
        self.engine.handle_timeout(now);
        if let Err(fault) = self.clients.handle_timeout(now) {
            self.end_by(Ending::of_fault(fault), now);
        }
        self.rates.handle_timeout(now);
        self.beat(now);
        self.carry_out();
        self.expire(now);
        self.process(now);
        if let Some(ending) = self.gone {
            return (self.processing.is_none() && self.inbox.is_empty()).then_some(ending);
        }
        if self.processing.is_none() && self.leaves(now) {
            self.end_by(Ending::leaving(self.services.leaving()), now);
        }
        self.write(now)
    }

    /// What the Engine.IO session wants.
    fn carry_out(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Send(packet) => {
                    self.outbox.push_packet(packet.encode());
                }
                Output::Message(message) => self.inbox.push_back(message),
                Output::Probe(packet) => {
                    if let Some(candidate) = &mut self.candidate {
                        candidate.socket.queue_text(packet.encode());
                    }
                }
                Output::ReleasePoll if self.outbox.outbox.bytes() == 0 => {
                    self.transport.release(&Packet::Noop);
                }
                Output::ReleasePoll => {}
                Output::Switch => self.switch(),
                Output::DropProbe => self.drop_candidate("failed"),
                Output::Close(reason) => self.gone = Some(Ending::of_engine(reason, None)),
            }
        }
    }

    /// What waits in the outbox is written by the WebSocket from now on.
    fn switch(&mut self) {
        let Some(candidate) = self.candidate.take() else { return };
        self.services.metrics.socket_io.upgrades.with_label_values(&["completed"]).inc();
        self.transport.release(&Packet::Close);
        self.transport = Transport::web_socket(&self.services, candidate);
        self.handle.upgrade();
    }

    fn drop_candidate(&mut self, result: &str) {
        if let Some(candidate) = self.candidate.take() {
            self.services.metrics.socket_io.upgrades.with_label_values(&[result]).inc();
            candidate.give_back((CloseCode::Normal, ""));
        }
    }

    /// Handles messages of the client, up to one that takes time.
    fn process(&mut self, now: Instant) {
        while self.processing.is_none()
            && self.ending.is_none()
            && let Some(message) = self.inbox.pop_front()
        {
            let received = match message {
                Message::Text(text) => self.clients.handle_text(&text),
                Message::Binary(binary) => self.clients.handle_binary(binary),
            };
            match received {
                Ok(Some(received)) => self.processing = self.dispatch(received),
                Ok(None) => {}
                Err(fault) => {
                    tracing::debug!(sid = self.handle.sid(), %fault, "client closed");
                    self.end_by(Ending::of_fault(fault), now);
                }
            }
        }
    }

    fn dispatch(&mut self, received: Received) -> Option<BoxFuture<'static, Processed>> {
        let services = Arc::clone(&self.services);
        match received {
            Received::Connect { namespace, auth } => {
                let (outbox, client) = (Arc::clone(&self.outbox), Arc::clone(&self.opened.client));
                Some(dispatch::connect(services, outbox, client, namespace, auth).boxed())
            }
            Received::Event { namespace, id, payload } => {
                let joined = self.joined.get_mut(namespace.as_str())?;
                if payload.args.first().and_then(Value::as_str) == Some(HEARTBEAT) {
                    joined.answered(&services);
                }
                let member = Arc::clone(&joined.membership.member);
                Some(dispatch::event(services, member, id, payload).boxed())
            }
            Received::Ack { namespace, id, payload } => {
                let joined = self.joined.get_mut(namespace.as_str())?;
                if joined.heartbeat_ack == Some(id) {
                    joined.answered(&services);
                    return None;
                }
                let member = Arc::clone(&joined.membership.member);
                Some(dispatch::acknowledged(services, member, id, payload).boxed())
            }
            Received::Disconnect { namespace } => {
                let joined = self.joined.remove(namespace.as_str())?;
                let left = async move {
                    dispatch::disconnect(&services, joined.membership, "client namespace disconnect").await;
                    Processed::Done
                };
                Some(left.boxed())
            }
        }
    }

    fn handle_processed(&mut self, processed: Processed) {
        match processed {
            Processed::Done => {}
            Processed::Connected(membership) => self.join(*membership),
            Processed::Disconnected(namespace) => {
                self.clients.disconnected(&namespace);
                if let Some(joined) = self.joined.remove(&namespace) {
                    let services = Arc::clone(&self.services);
                    let left = async move {
                        let reason = "server namespace disconnect";
                        dispatch::disconnect(&services, joined.membership, reason).await;
                        Processed::Done
                    };
                    self.processing = Some(left.boxed());
                }
            }
        }
    }

    fn join(&mut self, membership: Membership) {
        let namespace = Arc::clone(&membership.member.namespace);
        let config = &self.services.config.socket_io;
        let beats = dispatch::gateway(&self.services, &namespace).is_some_and(Gateway::has_heartbeat);
        let heartbeat = beats
            .then(|| Heartbeat::new(config.heartbeat_interval, config.heartbeat_misses, Instant::now()))
            .flatten();
        self.clients.connected(&namespace);
        let expires_at = guard::expires_at(&membership.member.client, Instant::now());
        let joined = Joined { membership, heartbeat, heartbeat_ack: None, expires_at };
        self.joined.insert(namespace, joined);
    }

    fn handle_transport(&mut self, happened: Happened) {
        let now = Instant::now();
        match happened {
            Happened::Packets(packets) => {
                for packet in packets {
                    self.charge(now, packet.as_ref().ok());
                    self.engine.handle_packet(now, packet);
                }
            }
            Happened::Nothing => {}
            Happened::Closed(reason, closing) => {
                self.gone = Some(Ending { closing, ..Ending::of_engine(reason, None) });
            }
        }
    }

    fn charge(&mut self, now: Instant, packet: Option<&Packet>) {
        let Some(Packet::Message(Message::Text(data) | Message::Binary(data))) = packet else { return };
        if self.rates.charge(&self.services, now, data.len()).is_err() {
            self.end_by(Ending::too_fast(), now);
        }
    }

    fn handle_probed(&mut self, happened: Happened) {
        match happened {
            Happened::Packets(packets) => {
                for packet in packets {
                    self.engine.handle_probe(Instant::now(), packet);
                }
            }
            Happened::Nothing => {}
            Happened::Closed(..) => self.engine.handle_probe_closed(),
        }
    }

    fn handle_offer(&mut self, lent: Lent) {
        if self.ending.is_none() && self.engine.handle_offer(Instant::now()) {
            self.candidate = Some(lent);
        } else {
            lent.give_back((CloseCode::Normal, ""));
        }
    }

    /// Sends the `heartbeat` events that are due.
    fn beat(&mut self, now: Instant) {
        let metrics = &self.services.metrics;
        let mut stale = false;
        for joined in self.joined.values_mut() {
            match joined.heartbeat.as_mut().and_then(|heartbeat| heartbeat.take_due(now)) {
                None => {}
                Some(Due::Stale) => {
                    metrics.socket_io.stale_clients.inc();
                    stale = true;
                }
                Some(Due::Beat) => {
                    let member = &joined.membership.member;
                    let id = member.next_ack();
                    joined.heartbeat_ack = Some(id);
                    let event = Event::new(HEARTBEAT, serde_json::json!({ "timestamp": super::timestamp() }));
                    if member.push(&Wire::event(&member.namespace, &event, Some(id))) {
                        metrics.socket_io.heartbeats_sent.inc();
                        metrics.websocket_messages_sent.inc();
                    }
                }
            }
        }
        if stale {
            tracing::info!(sid = self.handle.sid(), "client leaves heartbeats unanswered");
            self.end_by(Ending::stale(), now);
        }
    }

    /// Puts out whose token has expired, one at a time.
    fn expire(&mut self, now: Instant) {
        if self.processing.is_some() {
            return;
        }
        let expired = |joined: &mut Joined| joined.expires_at.take_if(|at| now >= *at).is_some();
        if let Some(joined) = self.joined.values_mut().find_map(|joined| expired(joined).then_some(joined)) {
            let member = Arc::clone(&joined.membership.member);
            self.processing = Some(dispatch::expire(Arc::clone(&self.services), member).boxed());
        }
    }

    fn tell_server_leaves(&self) {
        let notice = serde_json::from_str(&self.services.notice().json()).unwrap_or_default();
        let event = Event::new("server.events", notice);
        for joined in self.joined.values() {
            let member = &joined.membership.member;
            member.push(&Wire::event(&member.namespace, &event, None));
        }
    }

    /// Whether it is time to leave. The answer to a poll is the last one of a
    /// server that accepts no more connections.
    fn leaves(&self, now: Instant) -> bool {
        let answers = matches!(self.transport, Transport::Polling { .. }) && self.outbox.outbox.bytes() > 0;
        self.leave_at.is_some_and(|at| now >= at || answers)
    }

    /// Ends the session, unless it is ending already.
    fn end_by(&mut self, ending: Ending, now: Instant) {
        if self.ending.is_none() {
            let patience = match ending.patience {
                Patience::Flush => self.services.config.websocket.close_timeout,
                Patience::AtOnce => Duration::ZERO,
            };
            self.ending = Some((ending, now + patience));
        }
    }

    /// Writes what waits; the ending, once it may come.
    fn write(&mut self, now: Instant) -> Option<Ending> {
        let config = &self.services.config.socket_io;
        if let Some((ending, at)) = self.ending
            && (ending.patience == Patience::AtOnce || now >= at)
        {
            return Some(ending);
        }
        let last = self.ending.map(|(ending, _)| ending.last());
        match self.transport.write(&self.outbox, last.as_ref(), config, now) {
            Err(slow) => {
                let reason = match slow {
                    Slow::Buffer => "buffer",
                    Slow::Time => "time",
                };
                self.services.metrics.slow_consumers.with_label_values(&[reason]).inc();
                Some(Ending::slow())
            }
            Ok(written) => {
                let (ending, _) = self.ending?;
                let all = match &self.transport {
                    Transport::Polling { .. } => written,
                    Transport::WebSocket { .. } => {
                        self.transport.is_flushed() && self.outbox.outbox.bytes() == 0
                    }
                };
                all.then_some(ending)
            }
        }
    }

    fn next_timer(&self) -> Option<Instant> {
        let beats = self.joined.values().filter_map(|joined| Some(joined.heartbeat.as_ref()?.next()));
        let expiries = self.joined.values().filter_map(|joined| joined.expires_at);
        let expiries = expiries.filter(|_| self.processing.is_none());
        let leave = self.leave_at.filter(|_| self.ending.is_none() && self.processing.is_none());
        self.engine
            .poll_timeout()
            .into_iter()
            .chain(self.clients.poll_timeout())
            .chain(self.transport.write_deadline())
            .chain(leave)
            .chain(self.ending.map(|(_, at)| at))
            .chain(self.rates.slowed_until)
            .chain(expiries)
            .chain(beats)
            .min()
    }

    /// Tells everyone, and closes. Events that have been read reach their
    /// receivers, though their sender is gone.
    async fn end(mut self, prepared: Prepared, ending: Ending) {
        let services = Arc::clone(&self.services);
        let metrics = &services.metrics;
        metrics.socket_io.sessions_closed.with_label_values(&[ending.counted]).inc();
        tracing::debug!(sid = self.handle.sid(), reason = ending.reason, "session closed");
        prepared.forget();
        self.drop_candidate("failed");
        metrics.outbox_dropped.inc_by(self.outbox.outbox.close().dropped);
        let last = ending.last();
        let closing = self.transport.close(&services, &last, ending.closing);
        let telling = async {
            let mut memberships: Vec<_> = self.joined.into_values().map(|joined| joined.membership).collect();
            if let Some(processing) = self.processing
                && let Processed::Connected(membership) = processing.await
            {
                memberships.push(*membership);
            }
            for membership in memberships {
                dispatch::disconnect(&services, membership, ending.reason).await;
            }
        };
        tokio::select! {
            ((), ()) = futures_util::future::join(closing, telling) => {}
            () = services.lifecycle.aborting().cancelled() => {}
        }
    }
}

/// The event that clients must answer, and its answer.
const HEARTBEAT: &str = "heartbeat";

impl Joined {
    fn answered(&mut self, services: &Services) {
        if self.heartbeat.as_mut().is_some_and(Heartbeat::answered) {
            services.metrics.socket_io.heartbeats_answered.inc();
        }
    }
}

/// What happens on the WebSocket that is probed; pending when there is none.
async fn probed(candidate: &mut Option<Lent>, reading: Reading) -> Happened {
    match candidate {
        Some(candidate) => of_socket(candidate.socket.event(reading).await),
        None => std::future::pending().await,
    }
}

/// The outcome of what is being processed; pending when nothing is.
async fn processed(processing: &mut Option<BoxFuture<'static, Processed>>) -> Processed {
    let Some(future) = processing else {
        return std::future::pending().await;
    };
    let outcome = future.await;
    *processing = None;
    outcome
}
