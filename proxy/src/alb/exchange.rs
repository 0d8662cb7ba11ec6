//! One request's journey, phase by phase: check → rule → action → response.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, Version};
use pingora::{Error, ErrorType, Result, http::RequestHeader, protocols::http::server::Session};
use tokio::time::Instant;

use super::{
    authenticate,
    context::Context,
    elb_response::ElbResponse,
    error::Cause,
    forward, grpc, inspect,
    request::{self, Target},
    state::Shared,
    transforms,
    upgrade::Upgrade,
    weighted_target_groups,
};
use crate::{
    access_log::record::{ActionExecuted, MatchedRule},
    model::{
        Action,
        rule::{FixedResponse, Redirect},
        target_group::ProtocolVersion,
    },
    rules::{
        self,
        redirect::{self, RequestParts},
    },
};

/// What is left to do once a request has been handled.
#[derive(Debug)]
pub enum Outcome {
    /// The response was sent: finish the session, the connection may live on.
    Done,
    /// The connection cannot go on: drop the session.
    Aborted,
    /// The 101 was sent: the two connections become a tunnel.
    Upgraded(Box<Upgrade>),
}

/// A request being handled.
pub struct Exchange<'a> {
    /// What all connections share.
    pub shared: &'a Arc<Shared>,
    /// The client's side.
    pub session: &'a mut Session,
    /// What is known so far.
    pub context: Context,
}

impl std::fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("context", &self.context).finish_non_exhaustive()
    }
}

impl Exchange<'_> {
    /// Handles the request that the session has read, from its checks to its log record.
    pub async fn run(mut self) -> Outcome {
        self.context.begin();
        self.count_request_head();
        let outcome = match self.act().await {
            Ok(outcome) => outcome,
            Err(cause) => self.fail(cause).await,
        };
        // An upgraded connection writes its record when it closes.
        if !matches!(outcome, Outcome::Upgraded(_)) {
            self.context.finish(Some(self.session.req_header()), Instant::now());
        }
        outcome
    }

    /// The request's head.
    #[must_use]
    pub fn request(&self) -> &RequestHeader {
        self.session.req_header()
    }

    /// `idle_timeout.timeout_seconds`, scaled.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.context.state.load_balancer.timers.idle
    }

    /// Wall-clock time as the connection reckons it.
    #[must_use]
    pub fn wall_clock(&self) -> SystemTime {
        self.context.connection.meter.wall_clock(Instant::now())
    }

    /// Writes to the client, but no longer than the idle timeout and not beyond the drain time.
    ///
    /// # Errors
    ///
    /// What `io` fails with, or a write timeout.
    pub async fn within<T>(&mut self, io: impl AsyncFnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let idle = self.idle_timeout();
        tokio::select! {
            biased;
            written = io(self.session) => written,
            () = tokio::time::sleep(idle) => {
                Err(Error::explain(ErrorType::WriteTimedout, "nothing could be written for the idle timeout"))
            }
            () = self.shared.terminated.cancelled() => {
                Err(Error::explain(ErrorType::WriteTimedout, "the drain time is over"))
            }
        }
    }

    /// Whether this response is the connection's last: its time is over (`client_keep_alive.seconds`), or
    /// its listener goes.
    #[must_use]
    pub fn must_close(&self) -> bool {
        let connection = &self.context.connection;
        self.context.closes_connections
            || connection.closing.is_cancelled()
            || Instant::now() >= connection.expires
    }

    async fn act(&mut self) -> Result<Outcome, Cause> {
        if let Some(cause) = self.context.refusal {
            return Err(cause);
        }
        let state = Arc::clone(&self.context.state);
        let request = self.session.req_header();
        let target = Target::of(request);
        request::check(request, target)?;
        let xff = request::x_forwarded_for(request, &state.headers, self.context.connection.client)?;
        inspect::count_invalid_names(&self.context);

        if state.logins.as_ref().is_some_and(|logins| logins.is_callback(target.origin_form)) {
            let response = authenticate::callback(self).await?;
            return Ok(self.respond(response, Afterwards::KeepAlive).await);
        }
        let matched = state.rules.evaluate(rules::Request {
            host: state.headers.host_of(request),
            target: &target.text(),
            method: request.method.as_str(),
            headers: &request.headers,
            source: self.context.connection.client.ip(),
        });
        self.context.matched_rule = match matched.priority {
            0 => MatchedRule::Default,
            priority => MatchedRule::Priority(priority),
        };
        state.rule_hits.count(matched.priority);
        state.load_balancer.metrics.rule_evaluations.inc_by(matched.evaluated as u64);
        if let Some(action) = &matched.actions.authenticate
            && let Some(response) = authenticate::authenticate(self, action, matched.priority).await?
        {
            return Ok(self.respond(response, Afterwards::KeepAlive).await);
        }
        match &matched.actions.action {
            Action::Forward(action) => {
                if let Some(transforms) = matched.transforms {
                    transforms::rewrite(self, transforms)?;
                }
                self.context.actions.push(ActionExecuted::Forward);
                let chosen = weighted_target_groups::choose(self, action)?;
                forward::forward(self, &chosen, xff).await
            }
            Action::Redirect(action) => self.redirect(action).await,
            Action::FixedResponse(action) => self.fixed_response(action).await,
        }
    }

    async fn redirect(&mut self, action: &Redirect) -> Result<Outcome, Cause> {
        let state = Arc::clone(&self.context.state);
        let metrics = &state.load_balancer.metrics;
        let request = self.session.req_header();
        let text = Target::of(request).ascii();
        let (path, query) = text.split_once('?').unwrap_or((&text, ""));
        let parts = RequestParts {
            protocol: if state.protocol.is_tls() { "https" } else { "http" },
            host: state.headers.host_of(request),
            port: state.port,
            path,
            query,
        };
        let location = redirect::location(action, &parts).map_err(|_| {
            metrics.http_redirect_url_limit_exceeded_count.inc();
            Cause::RedirectTooLong
        })?;
        let response = ElbResponse::redirect(action.status, &location).map_err(|_| Cause::BadRequest)?;
        self.context.actions.push(ActionExecuted::Redirect);
        self.context.redirect_url = Some(location);
        metrics.http_redirect_count.inc();
        Ok(self.respond(response, Afterwards::KeepAlive).await)
    }

    async fn fixed_response(&mut self, action: &FixedResponse) -> Result<Outcome, Cause> {
        let response = ElbResponse::fixed(action).map_err(|_| Cause::Internal)?;
        self.context.actions.push(ActionExecuted::FixedResponse);
        self.context.state.load_balancer.metrics.http_fixed_response_count.inc();
        Ok(self.respond(response, Afterwards::KeepAlive).await)
    }

    async fn fail(&mut self, cause: Cause) -> Outcome {
        if self.session.response_written().is_some_and(|head| !head.status.is_informational()) {
            self.context.cause = Some(cause);
            // Too late for another answer: the client must see that the body is cut, but also what came
            // before. The stream sends what it has joined when it is read.
            drop(self.session.read_body_or_idle(true).now_or_never());
            return Outcome::Aborted;
        }
        self.context.fail(cause, Instant::now());
        authenticate::note_refusal(&mut self.context, cause);
        if !cause.is_answered() {
            return Outcome::Aborted;
        }
        let connection =
            if cause.keeps_client_connection() { Afterwards::KeepAlive } else { Afterwards::Close };
        let is_call =
            self.context.group.as_ref().is_some_and(|group| group.protocol_version == ProtocolVersion::Grpc);
        let response = if is_call && self.is_grpc() {
            grpc::unavailable(cause.status())
        } else {
            ElbResponse::error(cause)
        };
        match response {
            Ok(response) => self.respond(response, connection).await,
            Err(_) => Outcome::Aborted,
        }
    }

    /// Sends a response made by the load balancer.
    async fn respond(&mut self, response: ElbResponse, connection: Afterwards) -> Outcome {
        let ElbResponse { mut head, body } = self.context.state.response_headers.applied(response);
        let status = head.status.as_u16();
        if self.context.elb_status.is_none() {
            self.context.elb_status = Some(status);
            self.context.state.load_balancer.metrics.count_elb_status(status);
        }
        if connection == Afterwards::Close || self.must_close() {
            self.session.set_keepalive(None);
        }
        authenticate::add_cookies(&mut self.context, &mut head);
        head.set_version(self.request().version);
        let body = if self.request().method == Method::HEAD { Bytes::new() } else { body };
        self.context.count_stream(0, head_size(&head.headers) + body.len());
        let sent = self.within(async move |session: &mut Session| {
            if let Session::H2(session) = session
                && body.is_empty()
            {
                return session.write_response_header(head, true);
            }
            session.write_response_header(head).await?;
            session.write_response_body(body, true).await
        });
        match sent.await {
            Ok(()) => Outcome::Done,
            Err(_) => Outcome::Aborted,
        }
    }

    /// Whether the client speaks HTTP/2.
    #[must_use]
    pub fn is_h2(&self) -> bool {
        self.request().version == Version::HTTP_2
    }

    /// Whether the request is a gRPC call.
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        grpc::is_grpc(self.request().version, &self.request().headers)
    }

    fn count_request_head(&mut self) {
        if self.is_h2() {
            let request = self.session.req_header();
            let size = request.raw_path().len() + request.method.as_str().len() + head_size(&request.headers);
            self.context.count_stream(size, 0);
        }
    }
}

/// Whether the client's connection may carry another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    KeepAlive,
    Close,
}

/// What header fields take in HTTP/1.1, which is how HTTP/2 streams are counted in logs.
#[must_use]
pub fn head_size(headers: &http::HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}
