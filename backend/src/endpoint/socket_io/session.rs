//! The task of a session: one loop over its transport, its timers, and what
//! its clients want.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::time::{Duration, Instant};

use crate::endpoint::rates::{Exceeded, Rates};
use crate::endpoint::{Opened, Services};
use crate::engine_io::payload::Packets;
use crate::engine_io::{self, Malformed, Message, Output, Packet, Settings, TransportName};
use crate::metrics::Active;
use crate::socket_io;
use crate::ws::{Reading, Socket};

use super::clients::Joined;
use super::dispatch::{self, Processed};
use super::ending::{Ending, Patience};
use super::handle::Ends;
use super::member::SessionOutbox;
use super::transport::{Happened, Lent, Slow, Transport};
use super::upgrade::probed;
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

pub(super) struct Session {
    pub(super) services: Arc<Services>,
    pub(super) handle: Arc<Handle>,
    pub(super) opened: Opened,
    pub(super) engine: engine_io::Session,
    pub(super) clients: socket_io::Session,
    pub(super) transport: Transport,
    /// The WebSocket that is probed.
    pub(super) candidate: Option<Lent>,
    ends: Ends,
    pub(super) outbox: Arc<SessionOutbox>,
    pub(super) joined: HashMap<Arc<str>, Joined>,
    rates: Rates,
    /// Packets that came together and are not looked at yet.
    unread: Option<Packets>,
    /// Messages that are read and wait for the one before them.
    inbox: VecDeque<Message>,
    pub(super) processing: Option<BoxFuture<'static, Processed>>,
    /// When to leave, once the server drains.
    leave_at: Option<Instant>,
    /// Set when the client is gone: what it sent before is still handled.
    gone: Option<Ending>,
    /// Set when nothing more is read; until when it may be written.
    pub(super) ending: Option<(Ending, Instant)>,
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
            unread: None,
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
            let wanted = self.is_idle() && self.ending.is_none() && self.rates.slowed_until.is_none();
            let reading = if wanted { Reading::On } else { Reading::Paused };
            let present = self.gone.is_none();
            let writable = self.transport.is_writable();
            // What was sent by polling comes before an upgrade, and no client can keep
            // the server from leaving.
            tokio::select! {
                biased;
                reason = handle.misused() => return Ending::of_engine(reason, None),
                () = &mut draining, if !told => {
                    told = true;
                    self.tell_server_leaves();
                }
                () = &mut leaving, if self.leave_at.is_none() => {
                    let delay = services.jitter_window().mul_f64(self.opened.jitter);
                    self.leave_at = Some(Instant::now() + delay);
                }
                processed = processed(&mut self.processing) => self.handle_processed(processed),
                happened = self.transport.event(reading), if present => self.handle_transport(happened),
                happened = probed(&mut self.candidate, reading) => self.handle_probed(happened),
                Some(lent) = self.ends.offers.recv() => self.handle_offer(lent),
                () = self.outbox.outbox.filled(), if present && writable => {}
                () = self.outbox.outbox.overflowed(), if present && !writable => {}
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
        self.expire(now);
        self.read_on(now);
        if let Some(ending) = self.gone {
            // What it sent too fast is not worth staying for.
            let is_over = self.is_idle() || self.rates.slowed_until.is_some() && self.leaves(now);
            return is_over.then_some(ending);
        }
        if self.processing.is_none() && self.leaves(now) {
            self.end_by(Ending::leaving(self.services.leaving()), now);
        }
        self.write(now)
    }

    /// Takes one packet after the other, as long as none takes time.
    fn read_on(&mut self, now: Instant) {
        loop {
            self.carry_out();
            self.process(now);
            if self.processing.is_some() || !self.inbox.is_empty() || self.ending.is_some() {
                return;
            }
            // One payload may hold many times what may be sent in a second.
            if self.rates.slowed_until.is_some() {
                return;
            }
            let Some(packets) = &mut self.unread else { return };
            match packets.next() {
                Some(packet) => self.receive(now, packet),
                None => self.unread = None,
            }
        }
    }

    /// Whether all that the client sent is handled.
    fn is_idle(&self) -> bool {
        self.processing.is_none() && self.inbox.is_empty() && self.unread.is_none()
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

    fn handle_transport(&mut self, happened: Happened) {
        let now = Instant::now();
        match happened {
            Happened::Packet(packet) => self.receive(now, packet),
            Happened::Packets(packets) => self.unread = Some(packets),
            Happened::Nothing => {}
            Happened::Closed(reason, closing) => {
                self.gone = Some(Ending { closing, ..Ending::of_engine(reason, None) });
            }
        }
    }

    fn receive(&mut self, now: Instant, packet: Result<Packet, Malformed>) {
        if let Ok(Packet::Message(Message::Text(data) | Message::Binary(data))) = &packet
            && self.charge(now, data.len()).is_err()
        {
            self.end_by(Ending::too_fast(), now);
            return;
        }
        self.engine.handle_packet(now, packet);
    }

    fn charge(&mut self, now: Instant, bytes: usize) -> Result<(), Exceeded> {
        let metrics = &self.services.metrics.auth;
        self.rates.charge_message(metrics, now)?;
        self.rates.charge_bytes(metrics, now, bytes)
    }

    /// Whether it is time to leave. The answer to a poll is the last one of a
    /// server that accepts no more connections.
    fn leaves(&self, now: Instant) -> bool {
        let answers = matches!(self.transport, Transport::Polling { .. }) && self.outbox.outbox.bytes() > 0;
        self.leave_at.is_some_and(|at| now >= at || answers)
    }

    /// Ends the session, unless it is ending already.
    pub(super) fn end_by(&mut self, ending: Ending, now: Instant) {
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

    /// When [`advance`](Self::advance) has something to do. What was due and can
    /// only be waited for is left out: it would be due at once, again and again.
    fn next_timer(&self) -> Option<Instant> {
        if self.gone.is_some() {
            return self.rates.slowed_until.into_iter().chain(self.leave_at).min();
        }
        let is_open = self.ending.is_none();
        let is_free = self.processing.is_none();
        let beats = self.joined.values().filter_map(|joined| Some(joined.heartbeat.as_ref()?.next()));
        let expiries = self.joined.values().filter_map(|joined| joined.expires_at).filter(|_| is_free);
        self.engine
            .poll_timeout()
            .into_iter()
            .chain(self.clients.poll_timeout().filter(|_| is_open))
            .chain(self.transport.write_deadline())
            .chain(self.leave_at.filter(|_| is_open && is_free))
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

/// The outcome of what is being processed; pending when nothing is.
async fn processed(processing: &mut Option<BoxFuture<'static, Processed>>) -> Processed {
    let Some(future) = processing else {
        return std::future::pending().await;
    };
    let outcome = future.await;
    *processing = None;
    outcome
}
