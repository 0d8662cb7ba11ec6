//! What a running balancer is made of, and how it changes: reloads of the file,
//! of the files of the TLS side, and changes through the admin API. One change
//! at a time; each is prepared as a whole and then swapped in, or changes nothing.

use std::{net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};
use rustls::server::ProducesTickets;

use super::{
    Options,
    certificate_ends::certificate_ends,
    faults::FaultsOn,
    logs::{self, Logs},
    prepare::{PrepareError, Prepared, Purpose, prepare_source, prepare_tls},
    snapshot,
    tickets::SessionTickets,
    watch::{Fingerprints, Watched},
};
use crate::{
    access_log::Recent,
    admin::{Control, InForce, Refused, TargetChange},
    alb::state::Shared,
    config::{Overrides, Source, TargetOverrides},
    error_chain::chain,
    listener::{BindError, Listeners},
    metrics::Metrics,
    model::Model,
    nlb,
    stickiness::seal::KEY_LENGTH,
    target_groups::Registry,
    traces::Exports,
};

/// A reload that changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// A new port cannot be opened.
    #[error("{setting}: cannot listen on {address}")]
    Bind {
        /// Path of the setting that says so.
        setting: String,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A log writer cannot be started.
    #[error("cannot start a log")]
    AccessLog(#[source] std::io::Error),
    /// Another process is about to serve with what this one knew a moment ago.
    #[error("the program is being upgraded; try again in a moment")]
    Upgrading,
}

/// Whether anything may be changed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changes {
    /// As usual.
    Allowed,
    /// No: what is known has been handed over to the process that comes next.
    Suspended,
}

impl From<ReloadError> for Refused {
    fn from(error: ReloadError) -> Self {
        let mistakes = match &error {
            ReloadError::Prepare(PrepareError::Config(errors)) => errors.mistakes().to_vec(),
            _ => Vec::new(),
        };
        Self { message: chain(&error), mistakes }
    }
}

/// The parts of a running balancer that outlive every change.
pub(super) struct Running {
    pub(super) options: Options,
    /// The key of stickiness cookies if there are no key files.
    pub(super) stickiness_key: [u8; KEY_LENGTH],
    pub(super) session_tickets: Arc<SessionTickets>,
    /// The same, as TLS listeners take them.
    pub(super) tickets: Arc<dyn ProducesTickets>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) faults: FaultsOn,
    pub(super) registry: Arc<Registry>,
    pub(super) shared: Arc<Shared>,
    pub(super) listeners: Listeners,
    pub(super) network: Arc<nlb::Shared>,
    pub(super) logs: Logs,
    pub(super) traces: Exports,
    /// The last requests, for the dashboard.
    pub(super) recent: Arc<Recent>,
    /// Where the admin API listens since the start.
    pub(super) admin: Option<SocketAddr>,
    /// Held while a change is prepared and swapped in.
    pub(super) changing: Mutex<Changes>,
    pub(super) in_force: ArcSwap<InForce>,
    pub(super) watched: Mutex<Watched>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("options", &self.options).finish_non_exhaustive()
    }
}

/// What is in force once `prepared` is applied, of which `overrides` are no part of the file.
pub(super) fn in_force(prepared: &Prepared, overrides: Overrides) -> InForce {
    InForce {
        source: prepared.source.clone(),
        model: Arc::new(prepared.model.clone()),
        attributes: Arc::clone(&prepared.attributes),
        places: Arc::clone(&prepared.places),
        certificates: prepared.certificates.clone(),
        token: prepared.token.clone(),
        overrides,
    }
}

impl Running {
    /// Makes `prepared` the configuration that is served, or changes nothing.
    pub(super) fn apply(&self, prepared: &Prepared) -> Result<(), ReloadError> {
        let model = &prepared.model;
        if self.admin != model.admin.bind {
            tracing::warn!("admin.bind has changed: this takes effect at the next start");
        }
        let addresses = model.load_balancers.iter().flat_map(|load_balancer| &load_balancer.listeners);
        let bound = self.listeners.bind(addresses.map(|listener| listener.bind));
        let bound = bound.map_err(|BindError { address, source }| {
            let setting = setting_of(model, address);
            ReloadError::Bind { setting, address, source }
        })?;
        let scale = self.options.scale;
        let sinks = self.logs.apply(model, &self.metrics, scale).map_err(ReloadError::AccessLog)?;
        self.registry.log_health_checks(logs::health_checks(model, &sinks));
        let groups = self.registry.apply(model);
        let tracer = self.traces.apply(model.traces.as_ref());
        let makings = snapshot::Makings {
            prepared,
            groups: &groups,
            sinks: &sinks,
            metrics: &self.metrics,
            tracer: tracer.as_ref(),
            recent: &self.recent,
            scale,
        };
        let listeners = snapshot::listeners(makings);
        self.faults.apply(model, &self.metrics);
        self.metrics.show_certificates(&certificate_ends(prepared));
        self.shared.authenticator.apply(model);
        if let Some(keys) = &prepared.keys {
            self.shared.authenticator.set_keys(keys);
            self.shared.stickiness_keys.store(Arc::clone(keys));
        }
        self.listeners.apply(bound, listeners);
        self.watched.lock().tls.clone_from(&prepared.tls_files);
        Ok(())
    }

    /// The right to change anything: one at a time, and none while the program is upgraded.
    fn change(&self) -> Result<MutexGuard<'_, Changes>, ReloadError> {
        let changing = self.changing.lock();
        match *changing {
            Changes::Allowed => Ok(changing),
            Changes::Suspended => Err(ReloadError::Upgrading),
        }
    }

    /// Makes `prepared` the configuration that is served, of which `overrides` are no part of the file, or
    /// changes nothing.
    fn serve(&self, prepared: &Prepared, mut overrides: Overrides) -> Result<(), ReloadError> {
        self.apply(prepared)?;
        overrides.forget_missing(&prepared.model);
        self.in_force.store(Arc::new(in_force(prepared, overrides)));
        Ok(())
    }

    /// The warnings of the file that is served now.
    fn reload_file(&self) -> Result<Vec<String>, ReloadError> {
        // A file that is broken is not tried again before it changes again.
        let configuration = Fingerprints::of_file(&self.options.config);
        self.watched.lock().configuration = configuration;
        let source = Source::read(&self.options.config).map_err(PrepareError::from)?;
        let overrides = self.in_force.load().overrides.clone();
        let prepared = prepare_source(source, &overrides, &self.tickets, Purpose::Serve)?;
        report_warnings(&prepared);
        self.serve(&prepared, overrides)?;
        Ok(prepared.warnings.iter().map(|warning| warning.in_file(prepared.places.file())).collect())
    }

    /// Reads the certificates and trust stores of the configuration in force again. Blocks.
    pub(super) fn reload_tls_files(&self) {
        // What came of it is in the log and in the metrics.
        drop(self.take("certificates and trust stores", || {
            let tls_files = self.watched.lock().tls.clone();
            self.watched.lock().tls = tls_files.again();
            let now = self.in_force.load_full();
            let prepared = prepare_tls(&now, &self.tickets)?;
            self.serve(&prepared, now.overrides.clone())
        }));
    }

    /// Reloads `what`, and tells log and metrics what came of it.
    fn take<T>(&self, what: &str, reload: impl FnOnce() -> Result<T, ReloadError>) -> Result<T, ReloadError> {
        let reloaded = self.change().and_then(|_changing| reload());
        match &reloaded {
            Ok(_) => {
                self.metrics.process().config_reloads.inc();
                tracing::info!(config = what, "configuration reloaded");
            }
            Err(error) => {
                self.metrics.process().config_reload_failures.inc();
                tracing::error!(
                    error = chain(error),
                    "reload refused, the running configuration stays in force"
                );
            }
        }
        reloaded
    }
}

impl Control for Running {
    fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    fn reload(&self) -> Result<Vec<String>, Refused> {
        Ok(self.take(&self.options.config.display().to_string(), || self.reload_file())?)
    }

    fn change_attributes(&self, change: &dyn Fn(&mut Overrides)) -> Result<(), Refused> {
        let _changing = self.change()?;
        let now = self.in_force.load_full();
        let mut overrides = now.overrides.clone();
        change(&mut overrides);
        let prepared = prepare_source(now.source.clone(), &overrides, &self.tickets, Purpose::Serve)
            .map_err(ReloadError::from)?;
        report_warnings(&prepared);
        Ok(self.serve(&prepared, overrides)?)
    }

    fn change_targets(&self, target_group: &str, change: &mut TargetChange<'_>) -> Result<(), Refused> {
        let _changing = self.change()?;
        let mut next = InForce::clone(&self.in_force.load());
        let mut model = Model::clone(&next.model);
        let group = model.target_groups.iter_mut().find(|group| group.name == target_group);
        let Some(group) = group else {
            return Err(Refused::because(format!("no target group \"{target_group}\"")));
        };
        let overrides = next.overrides.targets.entry(target_group.to_owned()).or_default();
        change(overrides, &mut group.targets)?;
        if *overrides == TargetOverrides::default() {
            next.overrides.targets.remove(target_group);
        }
        // Nothing else has changed, so neither certificates nor listeners are touched.
        self.registry.apply(&model);
        next.model = Arc::new(model);
        self.in_force.store(Arc::new(next));
        Ok(())
    }
}

/// Logs what is accepted but probably not meant.
pub(super) fn report_warnings(prepared: &Prepared) {
    for warning in &prepared.warnings {
        tracing::warn!("{}", warning.in_file(prepared.places.file()));
    }
}

/// Which setting says that an address is listened on.
fn setting_of(model: &Model, address: SocketAddr) -> String {
    let mut settings = model.load_balancers.iter().enumerate().flat_map(|(i, load_balancer)| {
        let listeners = load_balancer.listeners.iter().enumerate();
        listeners
            .map(move |(j, listener)| (listener.bind, format!("load_balancers[{i}].listeners[{j}].port")))
    });
    settings.find(|(bind, _)| *bind == address).map_or_else(String::new, |(_, setting)| setting)
}
