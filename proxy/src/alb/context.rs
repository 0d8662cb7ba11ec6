//! One request's story, from its first byte to its log record.
//!
//! Phases write down what happened; [`Context::finish`] turns it into the
//! access log record and the metrics, once. Nothing else logs a request.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderValue, Version, header};
use pingora::http::RequestHeader;
use tokio::time::Instant;

use super::{
    authenticate::Authenticated,
    error::Cause,
    grpc,
    meaning::Ending,
    recent,
    request::Target,
    state::{GroupState, ListenerState},
    traced::{self, Traced},
};
use crate::{
    access_log::record::{
        ActionsExecuted, ChosenCertificate, Classification, Kind, MatchedRule, Record, RequestLine, Scheme,
        TargetAttempt, Version as LoggedVersion,
    },
    client::{Connection, Mark},
};

/// What is known of a request so far.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the request")]
pub struct Context {
    /// The listener's state that this request was begun under.
    pub state: Arc<ListenerState>,
    /// The client's connection.
    pub connection: Arc<Connection>,
    /// When the first byte arrived.
    pub created: Instant,
    mark: Mark,
    stream: Option<StreamBytes>,
    /// The rule that matched.
    pub matched_rule: MatchedRule,
    /// What authentication has for the target and the client.
    pub authenticated: Option<Box<Authenticated>>,
    /// The actions carried out.
    pub actions: ActionsExecuted,
    /// `error_reason`.
    pub error_reason: Option<&'static str>,
    /// `classification` and `classification_reason`, unless the request is compliant.
    pub classification: Option<(Classification, &'static str)>,
    /// Why the request is answered by the load balancer whatever the rules say.
    pub refusal: Option<Cause>,
    /// Whether the connections to client and target are closed after this request (desync mitigation).
    pub closes_connections: bool,
    /// Whether header fields have names with other characters than letters, digits and hyphens.
    pub has_invalid_names: bool,
    /// What transforms made of the request.
    pub transformed: Option<Box<Transformed>>,
    /// Location of a redirect.
    pub redirect_url: Option<String>,
    /// X-Amzn-Trace-Id as sent to the target.
    pub trace_id: Option<HeaderValue>,
    /// The group forwarded to.
    pub group: Option<Arc<GroupState>>,
    /// Whether it went on a connection that had carried others.
    pub reuses_connection: bool,
    /// The target the request was given to.
    pub target: Option<SocketAddr>,
    /// Its status code.
    pub target_status: Option<u16>,
    /// How long a fault on purpose held the request up on its way to the target.
    pub delayed: Duration,
    /// When the request head had been sent to the target; what held it up on its way comes after.
    pub dispatched: Option<Instant>,
    /// When the target's response head had come, or the target had failed.
    pub answered: Option<Instant>,
    /// When the response began to be sent to the client.
    pub responding: Option<Instant>,
    /// The status sent to the client, or what stands for it.
    pub elb_status: Option<u16>,
    /// Why the load balancer ended the request by itself, be it in the middle of the response.
    pub cause: Option<Cause>,
    /// Whether its target was chosen although too few were healthy.
    pub fails_open: bool,
    /// Whether this became a WebSocket.
    pub websocket: bool,
    /// Its part in its trace.
    pub traced: Traced,
    /// How the WebSocket ended.
    pub ending: Option<Ending>,
}

/// What the transforms of a rule made of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transformed {
    /// Host after a host rewrite.
    pub host: Option<String>,
    /// Path and query after a URL rewrite.
    pub uri: Option<String>,
    /// `request_transform_status`.
    pub status: &'static str,
}

/// Byte counts of an HTTP/2 stream, which shares its connection with others.
#[derive(Debug, Clone, Copy, Default)]
pub struct StreamBytes {
    /// Head and body received.
    pub received: u64,
    /// Head and body sent.
    pub sent: u64,
}

impl Context {
    /// A request whose first byte arrived at `created`; its bytes count from `mark`.
    #[must_use]
    pub fn new(state: Arc<ListenerState>, connection: Arc<Connection>, created: Instant, mark: Mark) -> Self {
        Self {
            state,
            connection,
            created,
            mark,
            stream: None,
            matched_rule: MatchedRule::NotReached,
            authenticated: None,
            actions: ActionsExecuted::default(),
            error_reason: None,
            classification: None,
            refusal: None,
            closes_connections: false,
            has_invalid_names: false,
            transformed: None,
            redirect_url: None,
            trace_id: None,
            group: None,
            reuses_connection: false,
            target: None,
            target_status: None,
            delayed: Duration::ZERO,
            dispatched: None,
            answered: None,
            responding: None,
            elb_status: None,
            cause: None,
            fails_open: false,
            websocket: false,
            traced: Traced::default(),
            ending: None,
        }
    }

    /// Notes that a request has begun: its head could be read.
    pub fn begin(&self) {
        let load_balancer = &self.state.load_balancer;
        self.connection.usage.begin_request(load_balancer.timers.idle);
        if self.connection.is_ipv6() {
            load_balancer.metrics.ipv6_request_count.inc();
        }
    }

    /// Counts the bytes of an HTTP/2 stream by itself.
    #[must_use]
    pub fn with_stream_bytes(mut self) -> Self {
        self.stream = Some(StreamBytes::default());
        self
    }

    /// Adds to the byte counts of an HTTP/2 stream. Of HTTP/1 the connection's meter knows.
    pub fn count_stream(&mut self, received: usize, sent: usize) {
        if let Some(stream) = &mut self.stream {
            stream.received += received as u64;
            stream.sent += sent as u64;
        }
    }

    /// Notes that the request head has gone to the target.
    pub fn dispatch(&mut self, now: Instant) {
        self.dispatched = now.checked_sub(self.delayed);
    }

    /// Notes that the load balancer ends the request by itself.
    pub fn fail(&mut self, cause: Cause, now: Instant) {
        let status = cause.status().as_u16();
        self.elb_status = Some(status);
        // Silence is -1; a connection that broke, or an answer that is none, ended the target's processing
        // at this moment.
        let has_spoken = matches!(cause, Cause::TargetClosed | Cause::BadResponse);
        if self.dispatched.is_some() && self.answered.is_none() && has_spoken {
            self.answered = Some(now);
        }
        self.cause = Some(cause);
        self.state.load_balancer.metrics.count_elb_status(status);
        self.state.load_balancer.errors.count(cause);
    }

    fn received(&self) -> u64 {
        self.stream.map_or_else(|| self.connection.meter.received_since(self.mark), |stream| stream.received)
    }

    fn sent(&self) -> u64 {
        self.stream.map_or_else(|| self.connection.meter.sent_since(self.mark), |stream| stream.sent)
    }

    /// Ends the story: writes the log record and the counters that only the end knows.
    ///
    /// `request` is `None` for a request that could not be read.
    pub fn finish(&self, request: Option<&RequestHeader>, now: Instant) {
        let load_balancer = &self.state.load_balancer;
        let bytes = self.received() + self.sent();
        load_balancer.metrics.processed_bytes.inc_by(bytes);
        if self.connection.is_ipv6() {
            load_balancer.metrics.ipv6_processed_bytes.inc_by(bytes);
        }
        traced::finish(self, request, now);
        recent::finish(self, request, now);
        let Some(access_log) = &load_balancer.access_log else {
            return;
        };
        access_log.record(&self.record(request, now, self.target_attempt().as_slice()));
    }

    /// The target that the request was given to.
    pub(super) fn target_attempt(&self) -> Option<TargetAttempt> {
        self.target.map(|addr| TargetAttempt { addr, status_code: self.target_status })
    }

    /// What the log says of the request at `now`.
    pub(super) fn record<'a>(
        &'a self,
        request: Option<&'a RequestHeader>,
        now: Instant,
        targets: &'a [TargetAttempt],
    ) -> Record<'a> {
        let connection = &self.connection;
        let tls = connection.tls.as_ref();
        let transformed = self.transformed.as_deref();
        Record {
            kind: self.kind(request),
            time: self.time_of(now),
            elb: &self.state.load_balancer.log_name,
            client: connection.client,
            targets,
            request_processing_time: elapsed(Some(self.created), self.dispatched),
            target_processing_time: elapsed(self.dispatched, self.answered),
            response_processing_time: elapsed(self.answered, self.responding),
            elb_status_code: self.elb_status,
            received_bytes: self.received(),
            sent_bytes: self.sent(),
            request: self.request_line(request),
            user_agent: request
                .and_then(|request| request.headers.get(header::USER_AGENT))
                .map(HeaderValue::as_bytes),
            ssl_cipher: tls.map(|tls| tls.cipher),
            ssl_protocol: tls.map(|tls| tls.protocol),
            target_group_arn: self.group.as_ref().map(|group| group.arn.as_str()),
            trace_id: self.trace_id.as_ref().map(HeaderValue::as_bytes),
            domain_name: tls.and_then(|tls| tls.server_name.as_deref()),
            chosen_cert: tls.map_or(ChosenCertificate::None, |tls| match tls.chosen_certificate.as_deref() {
                Some(arn) => ChosenCertificate::Arn(arn),
                None => ChosenCertificate::SessionReused,
            }),
            matched_rule: self.matched_rule,
            request_creation_time: self.time_of(self.created),
            actions_executed: self.actions.as_slice(),
            redirect_url: self.redirect_url.as_deref(),
            error_reason: self.error_reason,
            classification: self.classification.map(|(class, _)| class),
            classification_reason: self.classification.map(|(_, reason)| reason),
            conn_trace_id: connection.trace_id,
            transformed_host: transformed.and_then(|it| it.host.as_deref()).map(str::as_bytes),
            transformed_uri: transformed.and_then(|it| it.uri.as_deref()).map(str::as_bytes),
            request_transform_status: transformed.map(|it| it.status),
            ip_address: Some(connection.local.ip()),
        }
    }

    fn kind(&self, request: Option<&RequestHeader>) -> Kind {
        let is_h2 = request.is_some_and(|request| request.version == Version::HTTP_2);
        let is_grpc = request.is_some_and(|request| grpc::is_grpc(request.version, &request.headers));
        match (self.connection.tls.is_some(), self.websocket) {
            (true, _) if is_grpc => Kind::Grpcs,
            (true, _) if is_h2 => Kind::H2,
            (true, true) => Kind::Wss,
            (true, false) => Kind::Https,
            (false, true) => Kind::Ws,
            (false, false) => Kind::Http,
        }
    }

    fn request_line<'a>(&'a self, request: Option<&'a RequestHeader>) -> RequestLine<'a> {
        let scheme = if self.connection.tls.is_some() { Scheme::Https } else { Scheme::Http };
        let Some(request) = request else {
            return RequestLine::Unreadable { scheme, local: self.connection.local };
        };
        let target = Target::of(request);
        RequestLine::Readable {
            method: request.method.as_str(),
            scheme,
            host: self.state.headers.host_of(request).as_bytes(),
            port: self.state.port,
            path_and_query: target.origin_form,
            version: match request.version {
                Version::HTTP_2 => LoggedVersion::Http20,
                Version::HTTP_11 => LoggedVersion::Http11,
                _ => LoggedVersion::Http10,
            },
        }
    }

    /// What the wall clock showed at `instant`.
    pub(super) fn time_of(&self, instant: Instant) -> SystemTime {
        self.connection.meter.wall_clock(instant)
    }
}

fn elapsed(from: Option<Instant>, to: Option<Instant>) -> Option<Duration> {
    Some(to?.saturating_duration_since(from?))
}
