//! Reading what a configuration names: certificates, trust stores, keys. All of
//! it is read and checked before any socket opens or anything running is changed.

mod client_address;
mod tls_side;

use std::{net::SocketAddr, path::Path, sync::Arc};

use rustls::server::ProducesTickets;

use self::tls_side::{TlsFiles, target_tls};
use super::{logs, watch::Fingerprints};
use crate::{
    access_log::bucket,
    admin::{InForce, Token},
    config::{self, ConfigErrors, GivenAttributes, Loaded, Mistake, Overrides, Places, Source},
    error_chain::chain,
    model::{AdminToken, Model},
    nlb,
    stickiness::seal::Keys,
    tls::{certificates::LoadedCertificate, target::TargetTls},
};

pub use self::tls_side::TlsListeners;

/// A configuration that cannot be used. All of it is the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The file has mistakes.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// A TLS policy cannot be served.
    #[error("ssl_policy of load balancer \"{load_balancer}\"")]
    Policy {
        /// The load balancer's name.
        load_balancer: String,
        /// What the TLS library said.
        source: rustls::Error,
    },
    /// A TLS policy cannot be spoken with targets.
    #[error("TLS of target group \"{target_group}\"")]
    TargetPolicy {
        /// The target group's name.
        target_group: String,
        /// What the TLS library said.
        source: rustls::Error,
    },
    /// A listener is to speak TLS with a certificate or trust store that is not there.
    #[error("listener {bind} of load balancer \"{load_balancer}\" lacks a certificate or trust store")]
    Incomplete {
        /// The load balancer's name.
        load_balancer: String,
        /// Where the listener listens.
        bind: SocketAddr,
    },
}

/// What a configuration is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be served by this process: what the process may not do is a mistake.
    Serve,
    /// To be looked at, maybe to be served elsewhere: what this process may not do is a warning.
    Check,
}

/// A configuration with everything it names read.
#[derive(Debug)]
pub struct Prepared {
    /// The model.
    pub model: Model,
    /// Where its settings stand.
    pub places: Arc<Places>,
    /// What the files of the TLS side looked like before they were read.
    pub tls_files: Fingerprints,
    /// What is accepted but probably not meant.
    pub warnings: Vec<Mistake>,
    /// TLS side of each listener, by load balancer and listener; `None` in clear text.
    pub tls: TlsListeners,
    /// TLS towards the targets of each group; `None` in clear text.
    pub target_tls: Vec<Option<TargetTls>>,
    /// Keys of the stickiness cookies; `None` leaves them as they are.
    pub keys: Option<Arc<Keys>>,
    /// The text that all this was made of.
    pub source: Source,
    /// The attributes of every resource as they were given.
    pub attributes: Arc<GivenAttributes>,
    /// The certificates, by their index in the model.
    pub certificates: Vec<Arc<LoadedCertificate>>,
    /// What actions of the admin API need; `None` if the configuration names none.
    pub token: Option<Token>,
}

/// Reads the configuration file at `path` and what it names.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn prepare(
    path: &Path,
    tickets: &Arc<dyn ProducesTickets>,
    purpose: Purpose,
) -> Result<Prepared, PrepareError> {
    prepare_source(Source::read(path)?, &Overrides::default(), tickets, purpose)
}

/// Reads what `source` names, with `overrides` on top of it.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn prepare_source(
    source: Source,
    overrides: &Overrides,
    tickets: &Arc<dyn ProducesTickets>,
    purpose: Purpose,
) -> Result<Prepared, PrepareError> {
    let Loaded { model, mut warnings, places, attributes, targets_declare: _ } =
        source.parse(&|name| std::env::var(name).ok(), overrides)?;
    let mut mistakes = Vec::new();
    let tls_files = TlsFiles::read(&model, &places, &mut mistakes);
    let keys = stickiness_keys(&model, &places, &mut mistakes);
    let token = admin_token(&model, &places, &mut mistakes);
    buckets(&model, &places, &mut mistakes);
    let impossible = client_address::impossible(&model, &places, nlb::can_be_transparent);
    match purpose {
        Purpose::Serve => mistakes.extend(impossible),
        Purpose::Check => warnings.extend(impossible),
    }
    if !mistakes.is_empty() {
        return Err(ConfigErrors::new(places.file(), mistakes).into());
    }
    Ok(Prepared {
        tls: tls_files.listeners(&model, tickets)?,
        target_tls: target_tls(&model)?,
        model,
        places: Arc::new(places),
        tls_files: tls_files.fingerprints,
        warnings,
        keys: keys.map(Arc::new),
        source,
        attributes: Arc::new(attributes),
        certificates: tls_files.certificates,
        token,
    })
}

/// The configuration in force with the files of its TLS side read anew. Nothing else is looked at, so
/// that trouble elsewhere keeps no certificate from being renewed.
///
/// # Errors
///
/// Everything that is wrong with these files.
pub fn prepare_tls(in_force: &InForce, tickets: &Arc<dyn ProducesTickets>) -> Result<Prepared, PrepareError> {
    let InForce { source, model, attributes, token, places, .. } = in_force.clone();
    let mut mistakes = Vec::new();
    let tls_files = TlsFiles::read(&model, &places, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(ConfigErrors::new(places.file(), mistakes).into());
    }
    Ok(Prepared {
        tls: tls_files.listeners(&model, tickets)?,
        target_tls: target_tls(&model)?,
        model: Model::clone(&model),
        places,
        tls_files: tls_files.fingerprints,
        warnings: Vec::new(),
        keys: None,
        source,
        attributes,
        certificates: tls_files.certificates,
        token,
    })
}

/// The admin API's token; `None` if there is none or it cannot be used.
fn admin_token(model: &Model, places: &Places, mistakes: &mut Vec<Mistake>) -> Option<Token> {
    let path = match model.admin.token.as_ref()? {
        AdminToken::Value(token) => return Some(Token::new(token)),
        AdminToken::File(path) => path,
    };
    let problem = match std::fs::read_to_string(path) {
        Ok(text) if config::is_token(text.trim()) => return Some(Token::new(text.trim())),
        Ok(_) => "must hold visible ASCII characters without spaces".to_owned(),
        Err(error) => error.to_string(),
    };
    let message = format!("cannot use {}: {problem}", path.display());
    mistakes.push(places.mistake("admin.token_file".to_owned(), message));
    None
}

/// The keys that the configuration names; `None` if it names none or one cannot be used.
fn stickiness_keys(model: &Model, places: &Places, mistakes: &mut Vec<Mistake>) -> Option<Keys> {
    for (index, file) in model.stickiness_keys.iter().enumerate() {
        if let Err(error) = Keys::read(std::slice::from_ref(file)) {
            mistakes.push(places.mistake(format!("stickiness_keys[{index}].file"), chain(&error)));
        }
    }
    Keys::read(&model.stickiness_keys).ok()
}

/// Directories that stand for buckets must be such that files can be made in them.
fn buckets(model: &Model, places: &Places, mistakes: &mut Vec<Mistake>) {
    for (index, load_balancer) in model.load_balancers.iter().enumerate() {
        for (log, destination) in logs::destinations(load_balancer) {
            if let Err(error) = bucket::check(destination) {
                let path = format!("load_balancers[{index}].attributes.{}", log.bucket_attribute());
                mistakes.push(places.mistake(path, chain(&error)));
            }
        }
    }
}

/// A maker of session tickets that any listener can use and that outlives reloads.
///
/// # Errors
///
/// When the system gives no randomness.
pub fn tickets() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    rustls::crypto::aws_lc_rs::Ticketer::new()
}

/// Installs the cryptography library that all TLS of the process uses. Harmless if done twice.
pub fn install_crypto_provider() {
    // An error means that one is installed already, which is what is wanted.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}
