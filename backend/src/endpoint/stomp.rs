//! STOMP over WebSocket: one task with socket, session and outbox.
//!
//! Everything for the client goes through the outbox, so that receipts and
//! deliveries keep one order; what waits there is written in batches. One frame
//! of the client is processed at a time. A blocked write arms the send-time
//! limit, whether or not anything more is sent.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use tokio::time::{Duration, Instant};

use crate::app::Rejection;
use crate::auth::Client;
use crate::broker::{Item, Outbox, OutboxState, Receiver};
use crate::config::Acknowledgements;
use crate::metrics::Active;
use crate::stomp::session::Ending;
use crate::stomp::{AckMode, Headers, Output, Reference, Session, Verdict};
use crate::ws::{CloseCode, Event, Reading};

use super::acknowledge::{self, Subscribed};
use super::attending::Attending;
use super::carrier::Carrier;
use super::connect::{Decided, Decision, Guard};
use super::destinations::Subscribing;
use super::{Services, destinations, echo, message};

/// Frames written by one system call: each is a WebSocket head and a payload,
/// and writev takes 64 pieces at most in the WebSocket library.
const BATCH_FRAMES: usize = 32;

/// Bytes that leave the outbox, and its accounting, for one write.
const BATCH_BYTES: usize = 64 * 1024;

/// A timer that is never reached.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// How a connection ends: close code, reason.
type Closing = (CloseCode, &'static str);

/// Ends with the subscription that the frame asked for, under its key.
type Processing = BoxFuture<'static, Result<Option<(String, Subscribed)>, Rejection>>;

/// A session that begins.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Names it among all sessions.
    pub session: Arc<str>,
    /// Who opened it.
    pub client: Arc<Client>,
    /// From 0 to 1: when in the window it leaves while the server drains.
    pub jitter: f64,
}

/// Serves one STOMP session until its carrier closes.
// Not async itself, and boxed where it ends: what is moved on the way is not
// part of the size of every connection that idles.
pub fn serve<C: Carrier>(
    carrier: C,
    services: Arc<Services>,
    opened: Opened,
) -> impl Future<Output = ()> + Send + use<C> {
    let active = Active::new(&services.metrics.websocket_connections_active);
    let aborting = services.lifecycle.aborting().clone();
    let mut connection = Connection::new(carrier, services, opened);
    async move {
        let _active = active;
        let closing = tokio::select! {
            closing = connection.run() => closing,
            () = aborting.cancelled() => return,
        };
        let ending = Box::pin(end(connection, closing));
        tokio::select! {
            () = ending => {}
            () = aborting.cancelled() => {}
        }
    }
}

/// Closes the carrier, while the last message of the client reaches its
/// receivers.
async fn end<C: Carrier>(connection: Connection<C>, closing: Option<Closing>) {
    // Deliveries end here, before the closing handshake.
    let Connection { carrier, outbox, subscriptions, processing, services, .. } = connection;
    drop((subscriptions, outbox));
    let close = async {
        if let Some((code, reason)) = closing {
            let deadline = Instant::now() + services.config.websocket.close_timeout;
            carrier.close(code, reason, deadline).await;
        }
    };
    futures_util::future::join(close, finish(processing)).await;
}

/// An outbox that is closed, and what it forgot is counted, when its connection
/// ends in whatever way.
struct OpenOutbox {
    outbox: Arc<Outbox>,
    services: Arc<Services>,
}

impl OpenOutbox {
    fn new(services: &Arc<Services>) -> Self {
        let limit = services.config.stomp.send_buffer_size_limit;
        Self { outbox: Arc::new(Outbox::new(limit)), services: Arc::clone(services) }
    }

    fn share(&self) -> Arc<Outbox> {
        Arc::clone(&self.outbox)
    }
}

impl std::ops::Deref for OpenOutbox {
    type Target = Outbox;

    fn deref(&self) -> &Outbox {
        &self.outbox
    }
}

impl Drop for OpenOutbox {
    fn drop(&mut self) {
        let lost = self.outbox.close();
        self.services.metrics.outbox_dropped.inc_by(lost.dropped);
        self.services.metrics.stomp.count_lost(lost.unacknowledged);
    }
}

struct Connection<C> {
    carrier: C,
    session: Session,
    session_id: Arc<str>,
    /// Who opened it, since CONNECT who it is, and what it may.
    guard: Guard,
    /// Since it has connected.
    attending: Option<Attending>,
    outbox: OpenOutbox,
    /// By the key that the session gives.
    subscriptions: HashMap<String, Subscribed>,
    services: Arc<Services>,
    /// The frame being processed.
    processing: Option<Processing>,
    /// When the write in progress has blocked too long.
    write_deadline: Option<Instant>,
    /// When to leave, once the server drains.
    leave_at: Option<Instant>,
    jitter: f64,
    /// Set when nothing more is read; what waits is still written.
    closing: Option<Closing>,
}

impl<C: Carrier> Connection<C> {
    fn new(carrier: C, services: Arc<Services>, opened: Opened) -> Self {
        let Opened { session: session_id, client, jitter } = opened;
        let now = Instant::now();
        Self {
            session: Session::new(Arc::clone(&services.stomp), &session_id, now),
            session_id,
            guard: Guard::new(&services, client, now),
            attending: None,
            outbox: OpenOutbox::new(&services),
            subscriptions: HashMap::new(),
            processing: None,
            write_deadline: None,
            leave_at: None,
            closing: None,
            carrier,
            services,
            jitter,
        }
    }

    /// Runs until the connection is to be closed, or is gone already.
    async fn run(&mut self) -> Option<Closing> {
        let services = Arc::clone(&self.services);
        let leaving = services.lifecycle.closing().cancelled();
        let timer = tokio::time::sleep(NEVER);
        tokio::pin!(leaving, timer);
        loop {
            let now = Instant::now();
            if self.session.poll_timeout().is_some_and(|at| now >= at) {
                self.session.handle_timeout(now);
            }
            self.keep_guard(now);
            self.process(now);
            if let Some(end) = self.write(now) {
                return Some(end);
            }
            // A timer that fires early only costs a turn of the loop, so it is
            // moved when it would fire late, not at every write.
            let next = self.next_timer().unwrap_or(now + NEVER);
            if next < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(next);
            }
            let busy = self.processing.is_some() || self.guard.holds_back() || self.closing.is_some();
            let reading = if busy { Reading::Paused } else { Reading::On };
            let writing = self.carrier.is_unflushed();
            tokio::select! {
                event = self.carrier.event(reading) => {
                    if let Some(end) = self.handle_event(event) {
                        return end;
                    }
                }
                outcome = processed(&mut self.processing) => match outcome {
                    Ok(subscribed) => {
                        self.subscriptions.extend(subscribed);
                        self.session.accept(Instant::now());
                    }
                    Err(rejection) => {
                        self.session.reject(&rejection.message, &rejection.explanation);
                    }
                },
                decided = self.guard.decided() => self.decided(decided),
                () = self.outbox.filled(), if !writing => {}
                () = self.outbox.overflowed(), if writing => {}
                () = timer.as_mut() => {}
                () = &mut leaving, if self.leave_at.is_none() => {
                    let delay = services.jitter_window().mul_f64(self.jitter);
                    self.leave_at = Some(Instant::now() + delay);
                }
            }
        }
    }

    /// Handles one event; the inner option is the close frame to send, if the
    /// socket still takes one.
    fn handle_event(&mut self, event: Event) -> Option<Option<Closing>> {
        let now = Instant::now();
        match event {
            Event::Text(bytes) | Event::Binary(bytes) => self.receive(now, &bytes),
            Event::Alive => self.session.handle_bytes(now, b""),
            Event::Flushed => self.write_deadline = None,
            Event::Closed(code) => {
                tracing::debug!(session = %self.session_id, code, "client closed");
                return Some(Some((CloseCode::Normal, "")));
            }
            Event::Failed(failure) => return Some(echo::ended_by(&self.services, failure)),
        }
        None
    }

    /// Takes bytes of the client. All of them pass here, before they are decoded.
    fn receive(&mut self, now: Instant, bytes: &[u8]) {
        match self.guard.charge(now, bytes.len()) {
            Ok(()) => self.session.handle_bytes(now, bytes),
            Err(rejection) => self.reject(&rejection),
        }
    }

    /// Admits the frame that was received. All frames of the client pass here,
    /// before anything is done for them.
    fn admit(&mut self, now: Instant) {
        let Some(frame) = self.session.received() else { return };
        self.services.metrics.stomp.count_frame(frame.command.as_str());
        match self.guard.admit(now, frame) {
            Decision::Admitted => self.session.admit(),
            Decision::Waiting => {}
            Decision::Rejected(rejection) => self.reject(&rejection),
        }
    }

    /// Answers CONNECT.
    fn connect(&mut self, headers: &Headers) {
        match self.guard.connect(headers) {
            Decision::Admitted => self.decided(Ok(Decided::Connected)),
            Decision::Waiting => {}
            Decision::Rejected(rejection) => self.reject(&rejection),
        }
    }

    /// Goes on after the guard has decided.
    fn decided(&mut self, decided: Result<Decided, Rejection>) {
        match decided {
            Ok(Decided::Connected) => {
                let principal = self.guard.client().principal.clone();
                let name = principal.as_ref().map(|principal| principal.name.as_str());
                self.session.accept_connect(Instant::now(), name);
                self.attending = Some(Attending::new(&self.services, &self.session_id, principal));
                // Spring stops them also where the client wants no beats of
                // ours, and nothing keeps the connection in use then.
                if self.session.keeps_alive() {
                    self.carrier.disable_heart_beats();
                }
            }
            Ok(Decided::Admitted) => self.session.admit(),
            Err(rejection) => self.reject(&rejection),
        }
    }

    /// Ends a session whose token is over, and reads on from one that was slowed
    /// down, whose silence was ours.
    fn keep_guard(&mut self, now: Instant) {
        match self.guard.handle_timeout(now) {
            Ok(true) => self.session.handle_bytes(now, b""),
            Ok(false) => {}
            Err(rejection) => self.reject(&rejection),
        }
    }

    /// Ends the session with an ERROR frame, unless it ends already.
    fn reject(&mut self, rejection: &Rejection) {
        if self.closing.is_none() {
            self.session.reject(&rejection.message, &rejection.explanation);
        }
    }

    fn next_timer(&self) -> Option<Instant> {
        let session = self.session.poll_timeout();
        let leave = self.leave_at.filter(|_| self.closing.is_none() && self.processing.is_none());
        session.into_iter().chain(self.guard.poll_timeout()).chain(self.write_deadline).chain(leave).min()
    }

    /// Carries out what the session wants, up to a frame that takes time. A
    /// server that leaves does so after the frames that have been read.
    fn process(&mut self, now: Instant) {
        while self.closing.is_none() {
            let Some(output) = self.session.poll_output() else {
                if self.processing.is_none() && self.leave_at.is_some_and(|at| now >= at) {
                    self.close(self.services.leaving());
                }
                return;
            };
            match output {
                Output::Write(bytes) => {
                    let bytes = self.carrier.encoding().encode(bytes);
                    if !self.outbox.push(Item::whole(bytes)) {
                        self.services.metrics.outbox_dropped.inc();
                    }
                }
                Output::Ping => self.carrier.queue_ping(),
                Output::Received => self.admit(now),
                Output::Connect(headers) => self.connect(&headers),
                Output::Subscribe { id, destination, ack, headers } => {
                    self.subscribe(id, destination, ack, headers);
                }
                Output::Unsubscribe(key) => {
                    self.unsubscribe(&key);
                    self.session.accept(now);
                }
                Output::Settle(verdict, reference) => self.settle(now, verdict, &reference),
                Output::Send(frame) => {
                    let services = Arc::clone(&self.services);
                    let session = Arc::clone(&self.session_id);
                    let principal = self.guard.client().principal.clone();
                    let sending =
                        async move { destinations::send(&services, frame, &session, principal).await };
                    self.processing = Some(sending.map_ok(|()| None).boxed());
                }
                Output::Close(ending) => self.close(self.end(ending)),
            }
        }
    }

    /// Closes when all that waits now is written; nothing more is delivered.
    fn close(&mut self, closing: Closing) {
        self.subscriptions.clear();
        self.closing = Some(closing);
    }

    fn subscribe(&mut self, id: Option<String>, destination: String, ack: AckMode, headers: Headers) {
        let (version, encoding) = (self.session.version(), self.carrier.encoding());
        let window = acknowledge::open_window(&self.outbox, ack, &self.services.config.stomp, encoding);
        let prefix = message::delivery_prefix(version, encoding, id.as_deref(), &self.session_id);
        let mut receiver = Receiver::new(self.outbox.share(), prefix, message::dialect(version, encoding));
        receiver.ack = window.map(|window| acknowledge::head(window, version, encoding, id.as_deref()));
        let key = id.unwrap_or_else(|| destination.clone());
        let subscribing = Subscribing {
            receiver,
            session: Arc::clone(&self.session_id),
            principal: self.guard.client().principal.clone(),
            destination,
            headers,
        };
        let services = Arc::clone(&self.services);
        let registering = async move { destinations::subscribe(&services, subscribing).await };
        let subscribed = move |registered| Some((key, Subscribed { registered, window }));
        self.processing = Some(registering.map_ok(subscribed).boxed());
    }

    fn unsubscribe(&mut self, key: &str) {
        if let Some(Subscribed { registered, window }) = self.subscriptions.remove(key) {
            drop(registered);
            if let Some(window) = window {
                self.outbox.close_window(window);
            }
        }
    }

    fn settle(&mut self, now: Instant, verdict: Verdict, reference: &Reference) {
        if self.services.config.stomp.acknowledgements == Acknowledgements::Ignored {
            return self.session.accept(now);
        }
        let session = &self.session_id;
        match acknowledge::settle(&self.outbox, &self.subscriptions, session, verdict, reference) {
            Ok(settled) => {
                self.services.metrics.stomp.count_settled(
                    settled.acknowledged,
                    settled.redelivered,
                    settled.discarded,
                );
                self.session.accept(now);
            }
            Err(rejection) => self.session.reject(&rejection.message, &rejection.explanation),
        }
    }

    fn end(&self, ending: Ending) -> Closing {
        let errors = &self.services.metrics.websocket_connection_errors;
        match ending {
            Ending::Disconnect => (CloseCode::Normal, ""),
            Ending::ProtocolError => {
                errors.with_label_values(&["protocol"]).inc();
                (CloseCode::ProtocolError, "protocol error")
            }
            Ending::Refused => (CloseCode::PolicyViolation, "refused"),
            Ending::TooLarge => {
                errors.with_label_values(&["protocol"]).inc();
                (CloseCode::MessageTooBig, "frame too big")
            }
            Ending::Unreliable => {
                errors.with_label_values(&["unreliable"]).inc();
                (CloseCode::NotReliable, "session not reliable")
            }
        }
    }

    /// Starts the next write when none is in progress. Returns the ending when
    /// the client is too slow, or when all is written and nothing more comes.
    fn write(&mut self, now: Instant) -> Option<Closing> {
        let slow = &self.services.metrics.slow_consumers;
        let (reason, text) = match self.outbox.state() {
            OutboxState::Open | OutboxState::Closed => ("", ""),
            OutboxState::Overflowed => ("buffer", "send buffer size limit exceeded"),
            OutboxState::Unacknowledged => ("unacknowledged", "too much is not acknowledged"),
        };
        if !reason.is_empty() {
            slow.with_label_values(&[reason]).inc();
            return Some((CloseCode::NotReliable, text));
        }
        if self.write_deadline.is_some_and(|at| now >= at) {
            slow.with_label_values(&["time"]).inc();
            return Some((CloseCode::NotReliable, "send time limit exceeded"));
        }
        if self.write_deadline.is_none() {
            let mut batch = Vec::new();
            self.outbox.take(&mut batch, BATCH_FRAMES, BATCH_BYTES);
            if !batch.is_empty() {
                self.session.handle_written(now);
            }
            self.carrier.queue(&mut batch);
            if self.carrier.is_unflushed() {
                self.write_deadline = Some(now + self.services.config.stomp.send_time_limit);
            }
        }
        // A carrier that takes what it gets at once has had one batch of it.
        let all = !self.carrier.is_unflushed() && self.outbox.bytes() == 0;
        self.closing.filter(|_| all)
    }
}

/// Lets a message reach all its receivers, though its sender is gone.
async fn finish(processing: Option<Processing>) {
    if let Some(processing) = processing
        && let Err(rejection) = processing.await
    {
        tracing::debug!(%rejection, "message of a closed session rejected");
    }
}

/// The outcome of the frame being processed; pending when there is none.
async fn processed(processing: &mut Option<Processing>) -> Result<Option<(String, Subscribed)>, Rejection> {
    let Some(future) = processing else {
        return std::future::pending().await;
    };
    let outcome = future.await;
    *processing = None;
    outcome
}
