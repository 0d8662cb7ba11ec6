//! What requests of a listener work with: everything that can be decided at
//! load is decided here, once, and swapped as a whole on reload.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    authenticate::Logins, elb_errors::ElbErrors, request::HeaderSettings, response_headers::ResponseHeaders,
    rule_hits::RuleHits,
};
use crate::{
    access_log::{Recent, Sink},
    authenticate::Authenticator,
    client::Connections,
    fault::Faults,
    headers::{forwarded::ClientEntry, host::HostRule, raw_head::InvalidNames, tls::TlsHeaders},
    metrics::{LoadBalancerMetrics, TargetGroupMetrics},
    model::{
        Listener, ListenerProtocol, LoadBalancer, TargetGroup, TargetGroupIndex,
        listener::MutualAuthentication,
        target_group::{ProtocolVersion, Stickiness},
    },
    rules::RuleSet,
    stickiness::{GroupId, seal::Keys},
    target_groups::{Group, Target},
    time_scale::TimeScale,
    tls::{
        accept::TlsListener,
        target::{self, TargetTls},
    },
    traces::Tracer,
};

/// How long connecting to a target may take, before time scaling.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What all connections of the process share.
pub struct Shared {
    /// Awaited at shutdown: every connection and tunnel runs in it.
    pub tracker: TaskTracker,
    /// Cancelled when the process is to go: parent of each listener's token.
    pub draining: CancellationToken,
    /// Cancelled when the drain time is over: whatever still runs is cut.
    pub terminated: CancellationToken,
    /// All open connections of clients.
    pub connections: Arc<Connections>,
    /// Keys of the stickiness cookies; replaced on reload.
    pub stickiness_keys: ArcSwap<Keys>,
    /// What authentication actions work with.
    pub authenticator: Arc<Authenticator>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    /// Completes when work on `target` must be given up: its deregistration delay or the drain time is over.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future.
    pub async fn cut(&self, target: &Target) {
        tokio::select! {
            () = target.terminated().cancelled() => {}
            () = self.terminated.cancelled() => {}
        }
    }
}

/// The timers of a load balancer, scaled.
#[derive(Debug, Clone, Copy)]
pub struct Timers {
    /// `idle_timeout.timeout_seconds`.
    pub idle: Duration,
    /// `client_keep_alive.seconds`.
    pub client_keep_alive: Duration,
    /// [`CONNECT_TIMEOUT`].
    pub connect: Duration,
    /// [`tls::target::HANDSHAKE_TIMEOUT`](crate::tls::target::HANDSHAKE_TIMEOUT).
    pub target_handshake: Duration,
}

impl Timers {
    /// The timers of `load_balancer` under `scale`.
    #[must_use]
    pub fn new(load_balancer: &LoadBalancer, scale: TimeScale) -> Self {
        Self {
            idle: scale.apply(load_balancer.attributes.idle_timeout),
            client_keep_alive: scale.apply(load_balancer.attributes.client_keep_alive),
            connect: scale.apply(CONNECT_TIMEOUT),
            target_handshake: scale.apply(target::HANDSHAKE_TIMEOUT),
        }
    }
}

/// A load balancer as its requests see it.
#[derive(Debug)]
pub struct LoadBalancerState {
    /// `app/NAME/ID`.
    pub log_name: String,
    /// Full ARN-like name.
    pub arn: Arc<str>,
    /// Its counters.
    pub metrics: Arc<LoadBalancerMetrics>,
    /// Counters of the errors it answers with, by cause.
    pub errors: ElbErrors,
    /// Where its access log goes, if it has one.
    pub access_log: Option<Arc<Sink>>,
    /// The last requests of the process.
    pub recent: Arc<Recent>,
    /// Where its connection log goes, if it has one.
    pub connection_log: Option<Arc<Sink>>,
    /// What records its requests, if they are traced.
    pub tracer: Option<Arc<Tracer>>,
    /// Timers.
    pub timers: Timers,
}

/// A target group as requests of one load balancer see it.
#[derive(Debug)]
pub struct GroupState {
    /// Targets and the choice among them.
    pub group: Arc<Group>,
    /// `target_group_arn`.
    pub arn: String,
    /// Counters of this load balancer and group.
    pub metrics: Arc<TargetGroupMetrics>,
    /// Counters of the load balancer.
    pub load_balancer: Arc<LoadBalancerMetrics>,
    /// How requests are spoken to the targets.
    pub protocol_version: ProtocolVersion,
    /// TLS towards the targets of a group with protocol HTTPS.
    pub tls: Option<TargetTls>,
    /// The group's name in cookies.
    pub cookie_id: GroupId,
    /// Stickiness with its duration scaled, if it is on.
    pub stickiness: Option<Stickiness>,
    /// `albeit.retry_closed_reused_connection`.
    pub retries_closed_reused_connection: bool,
    /// What the group does wrong on purpose.
    pub faults: Option<Arc<Faults>>,
}

impl GroupState {
    /// The state of `settings`, whose targets `group` holds, for a load balancer that counts in `load_balancer`.
    #[must_use]
    pub fn new(
        settings: &TargetGroup,
        group: Arc<Group>,
        metrics: Arc<TargetGroupMetrics>,
        load_balancer: Arc<LoadBalancerMetrics>,
        tls: Option<TargetTls>,
        scale: TimeScale,
    ) -> Self {
        let mut stickiness = settings.attributes.stickiness.clone();
        if let Some(Stickiness::LbCookie { duration } | Stickiness::AppCookie { duration, .. }) =
            &mut stickiness
        {
            *duration = scale.apply(*duration);
        }
        let cookie_id = GroupId::new(&settings.name);
        Self {
            group,
            arn: settings.arn.clone(),
            metrics,
            load_balancer,
            protocol_version: settings.protocol_version,
            tls,
            cookie_id,
            stickiness,
            retries_closed_reused_connection: settings.attributes.retry_closed_reused_connection,
            faults: None,
        }
    }
}

/// A listener as its requests see it.
#[derive(Debug)]
pub struct ListenerState {
    /// The load balancer it belongs to.
    pub load_balancer: Arc<LoadBalancerState>,
    /// HTTP or HTTPS.
    pub protocol: ListenerProtocol,
    /// Port, as clients name it.
    pub port: u16,
    /// Its rules, compiled.
    pub rules: RuleSet,
    /// The `authenticate-oidc` actions of its rules, if there are any.
    pub logins: Option<Logins>,
    /// How many requests each rule matched.
    pub rule_hits: RuleHits,
    /// How request headers are treated.
    pub headers: HeaderSettings,
    /// What targets are told of the client's TLS.
    pub tls_headers: TlsHeaders,
    /// How response headers are changed.
    pub response_headers: ResponseHeaders,
    /// The target groups that the load balancer forwards to, by [`TargetGroupIndex`].
    pub groups: Arc<[Option<Arc<GroupState>>]>,
    /// TLS settings of an HTTPS listener.
    pub tls: Option<Arc<TlsListener>>,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
}

impl ListenerState {
    /// The state of `listener`, a listener of `model`.
    #[must_use]
    pub fn new(
        model: &LoadBalancer,
        listener: &Listener,
        load_balancer: Arc<LoadBalancerState>,
        groups: Arc<[Option<Arc<GroupState>>]>,
        tls: Option<Arc<TlsListener>>,
        scale: TimeScale,
    ) -> Self {
        let attributes = &model.attributes;
        let port = listener.bind.port();
        let mutual_authentication =
            listener.tls.as_ref().map_or(MutualAuthentication::Off, |tls| tls.mutual_authentication);
        let client_entry =
            if attributes.xff_client_port { ClientEntry::AddressAndPort } else { ClientEntry::Address };
        Self {
            load_balancer,
            protocol: listener.protocol,
            port,
            rules: RuleSet::compile(&listener.rules, &listener.default_actions)
                .with_stickiness(|duration| scale.apply(duration)),
            logins: Logins::of(listener),
            rule_hits: RuleHits::default(),
            headers: HeaderSettings {
                xff: attributes.xff_header_processing,
                client_entry,
                host: HostRule::for_listener(attributes.preserve_host_header, listener.protocol, port),
                port,
                invalid_names: if attributes.drop_invalid_header_fields {
                    InvalidNames::Drop
                } else {
                    InvalidNames::Forward
                },
                desync_mitigation_mode: attributes.desync_mitigation_mode,
                dns_name: model.dns_name.as_str().into(),
            },
            tls_headers: TlsHeaders::new(
                attributes.x_amzn_tls_headers,
                mutual_authentication,
                &listener.attributes.header_names,
            ),
            response_headers: ResponseHeaders::new(&listener.attributes),
            groups,
            tls,
            handshake_timeout: scale.apply(crate::tls::accept::HANDSHAKE_TIMEOUT),
        }
    }

    /// The group a forward action names.
    #[must_use]
    pub fn group(&self, index: TargetGroupIndex) -> Option<&Arc<GroupState>> {
        self.groups.get(index.0)?.as_ref()
    }
}
