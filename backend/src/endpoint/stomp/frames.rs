//! What a client asks for, frame by frame, and how it is answered.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use tokio::time::Instant;

use crate::app::Rejection;
use crate::broker::{Item, Receiver};
use crate::config::Acknowledgements;
use crate::endpoint::destinations::{self, Subscribing};
use crate::endpoint::{Carrier, message};
use crate::stomp::session::Ending;
use crate::stomp::{AckMode, Headers, Output, Reference, Verdict};
use crate::ws::CloseCode;

use super::Closing;
use super::acknowledge::{self, Subscribed};
use super::attending::Attending;
use super::connection::Connection;
use super::guard::{Decided, Decision};

/// Ends with the subscription that the frame asked for, under its key.
pub(super) type Processing = BoxFuture<'static, Result<Option<(String, Subscribed)>, Rejection>>;

impl<C: Carrier> Connection<C> {
    /// Carries out what the session wants, up to a frame that takes time. A
    /// server that leaves does so after the frames that have been read.
    pub(super) fn process(&mut self, now: Instant) {
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
    pub(super) fn decided(&mut self, decided: Result<Decided, Rejection>) {
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

    /// Ends the session with an ERROR frame, unless it ends already.
    pub(super) fn reject(&mut self, rejection: &Rejection) {
        if self.closing.is_none() {
            self.session.reject(&rejection.message, &rejection.explanation);
        }
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

    /// Closes when all that waits now is written; nothing more is delivered.
    fn close(&mut self, closing: Closing) {
        self.subscriptions.clear();
        self.closing = Some(closing);
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
}

/// Lets a message reach all its receivers, though its sender is gone.
pub(super) async fn finish(processing: Option<Processing>) {
    if let Some(processing) = processing
        && let Err(rejection) = processing.await
    {
        tracing::debug!(%rejection, "message of a closed session rejected");
    }
}

/// The outcome of the frame being processed; pending when there is none.
pub(super) async fn processed(
    processing: &mut Option<Processing>,
) -> Result<Option<(String, Subscribed)>, Rejection> {
    let Some(future) = processing else {
        return std::future::pending().await;
    };
    let outcome = future.await;
    *processing = None;
    outcome
}
