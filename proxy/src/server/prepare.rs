//! Reading what a configuration names: certificates, trust stores, keys. All of
//! it is read and checked before any socket opens or anything running is changed.

use std::{net::SocketAddr, path::Path, sync::Arc};

use rustls::server::ProducesTickets;

use super::{chain, logs, watch::Fingerprints};
use crate::{
    access_log::bucket,
    admin::Token,
    config::{self, ConfigErrors, GivenAttributes, Loaded, Mistake, Overrides, Places, Source},
    model::{
        AdminToken, CertificateIndex, Listener, ListenerProtocol, LoadBalancer, Model, TargetGroup,
        TargetGroupProtocol, TrustStoreIndex,
        listener::{ListenerTls, MutualAuthentication},
    },
    stickiness::seal::Keys,
    tls::{
        accept::{Http2, TlsListener, TlsSettings},
        certificates::LoadedCertificate,
        client_verifier::{ClientAuthentication, Verification},
        target::TargetTls,
        trust_store::LoadedTrustStore,
    },
};

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

/// A configuration with everything it names read.
#[derive(Debug)]
pub struct Prepared {
    /// The model.
    pub model: Model,
    /// The file's name, as it stands in messages.
    pub file: String,
    /// What the files of the TLS side looked like before they were read.
    pub tls_files: Fingerprints,
    /// What is accepted but probably not meant.
    pub warnings: Vec<Mistake>,
    /// TLS side of each listener, by load balancer and listener; `None` in clear text.
    pub tls: Vec<Vec<Option<Arc<TlsListener>>>>,
    /// TLS towards the targets of each group; `None` in clear text.
    pub target_tls: Vec<Option<TargetTls>>,
    /// Keys of the stickiness cookies; `None` if the configuration names none.
    pub keys: Option<Arc<Keys>>,
    /// The text that all this was made of.
    pub source: Source,
    /// The attributes of every resource as they were given.
    pub attributes: GivenAttributes,
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
pub fn prepare(path: &Path, tickets: &Arc<dyn ProducesTickets>) -> Result<Prepared, PrepareError> {
    prepare_source(Source::read(path)?, &Overrides::default(), tickets)
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
) -> Result<Prepared, PrepareError> {
    let Loaded { model, warnings, places, attributes } =
        source.parse(&|name| std::env::var(name).ok(), overrides)?;
    let tls_files = Fingerprints::of(&model);
    let mut mistakes = Vec::new();
    let certificates = certificates(&model, &places, &mut mistakes);
    let trust_stores = trust_stores(&model, &places, &mut mistakes);
    if mistakes.is_empty() {
        misfits(&model, &certificates, &places, &mut mistakes);
    }
    let keys = stickiness_keys(&model, &places, &mut mistakes);
    let token = admin_token(&model, &places, &mut mistakes);
    buckets(&model, &places, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(ConfigErrors::new(places.file(), mistakes).into());
    }
    let tls = model
        .load_balancers
        .iter()
        .map(|load_balancer| tls_listeners(load_balancer, &certificates, &trust_stores, tickets))
        .collect::<Result<_, _>>()?;
    let target_tls = model.target_groups.iter().map(target_tls).collect::<Result<_, _>>()?;
    Ok(Prepared {
        model,
        file: places.file().to_owned(),
        tls_files,
        warnings,
        tls,
        target_tls,
        keys: keys.map(Arc::new),
        source,
        attributes,
        certificates,
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

fn certificates(model: &Model, places: &Places, mistakes: &mut Vec<Mistake>) -> Vec<Arc<LoadedCertificate>> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut loaded = Vec::with_capacity(model.certificates.len());
    for (index, certificate) in model.certificates.iter().enumerate() {
        match LoadedCertificate::read(certificate, &provider) {
            Ok(certificate) => loaded.push(Arc::new(certificate)),
            Err(error) => {
                let path = format!("certificates[{index}].{}", error.setting(certificate));
                mistakes.push(places.mistake(path, chain(&error)));
            }
        }
    }
    loaded
}

fn trust_stores(model: &Model, places: &Places, mistakes: &mut Vec<Mistake>) -> Vec<Arc<LoadedTrustStore>> {
    let mut loaded = Vec::with_capacity(model.trust_stores.len());
    for (index, store) in model.trust_stores.iter().enumerate() {
        match LoadedTrustStore::read(store) {
            Ok(store) => loaded.push(Arc::new(store)),
            Err(error) => {
                let path = format!("trust_stores[{index}].{}", error.setting(store));
                mistakes.push(places.mistake(path, chain(&error)));
            }
        }
    }
    loaded
}

/// Reports certificates that no client of their listener would ever accept, because the policy forbids their keys.
fn misfits(
    model: &Model,
    certificates: &[Arc<LoadedCertificate>],
    places: &Places,
    mistakes: &mut Vec<Mistake>,
) {
    for (i, load_balancer) in model.load_balancers.iter().enumerate() {
        for (j, listener) in load_balancer.listeners.iter().enumerate() {
            let Some(tls) = &listener.tls else { continue };
            for (k, &CertificateIndex(index)) in tls.certificates.iter().enumerate() {
                if certificates.get(index).is_some_and(|certificate| !certificate.fits(tls.policy)) {
                    let path = format!("load_balancers[{i}].listeners[{j}].certificates[{k}]");
                    let message =
                        format!("{} needs a P-384 key, or an RSA key of 3072 bits or more", tls.policy.name);
                    mistakes.push(places.mistake(path, message));
                }
            }
        }
    }
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

fn tls_listeners(
    load_balancer: &LoadBalancer,
    certificates: &[Arc<LoadedCertificate>],
    trust_stores: &[Arc<LoadedTrustStore>],
    tickets: &Arc<dyn ProducesTickets>,
) -> Result<Vec<Option<Arc<TlsListener>>>, PrepareError> {
    let listeners = load_balancer.listeners.iter().map(|listener| {
        let Some(tls) = &listener.tls else { return Ok(None) };
        // Without its TLS side a listener would serve in clear text.
        let settings = tls_settings(load_balancer, listener, tls, (certificates, trust_stores), tickets);
        let settings = settings.ok_or_else(|| PrepareError::Incomplete {
            load_balancer: load_balancer.name.clone(),
            bind: listener.bind,
        })?;
        let built = TlsListener::try_new(settings);
        let built = built
            .map_err(|source| PrepareError::Policy { load_balancer: load_balancer.name.clone(), source })?;
        Ok(Some(Arc::new(built)))
    });
    listeners.collect()
}

/// `None` if a certificate or the trust store is not there.
fn tls_settings<'t>(
    load_balancer: &LoadBalancer,
    listener: &Listener,
    tls: &ListenerTls,
    (certificates, trust_stores): (&[Arc<LoadedCertificate>], &[Arc<LoadedTrustStore>]),
    tickets: &'t Arc<dyn ProducesTickets>,
) -> Option<TlsSettings<'t>> {
    let is_http = listener.protocol == ListenerProtocol::Https;
    let chosen = tls.certificates.iter().map(|&CertificateIndex(index)| certificates.get(index).cloned());
    let chosen: Vec<_> = chosen.collect::<Option<_>>()?;
    let (default, others) = chosen.split_first()?;
    Some(TlsSettings {
        policy: tls.policy,
        default: Arc::clone(default),
        others: others.to_vec(),
        client_authentication: client_authentication(tls, trust_stores)?,
        tickets,
        http2: if load_balancer.attributes.http2 && is_http { Http2::Offered } else { Http2::Off },
    })
}

fn target_tls(group: &TargetGroup) -> Result<Option<TargetTls>, PrepareError> {
    if group.protocol != TargetGroupProtocol::Https {
        return Ok(None);
    }
    let made = TargetTls::try_new(group.health_check.tls_policy, group.protocol_version);
    let made =
        made.map_err(|source| PrepareError::TargetPolicy { target_group: group.name.clone(), source })?;
    Ok(Some(made))
}

/// What `mutual_authentication` asks of clients; `None` if the trust store is not there.
fn client_authentication(
    tls: &ListenerTls,
    trust_stores: &[Arc<LoadedTrustStore>],
) -> Option<ClientAuthentication> {
    Some(match tls.mutual_authentication {
        MutualAuthentication::Off => ClientAuthentication::Off,
        MutualAuthentication::Passthrough => ClientAuthentication::Passthrough,
        MutualAuthentication::Verify {
            trust_store: TrustStoreIndex(index),
            ignore_client_certificate_expiry,
            advertise_trust_store_ca_names,
        } => ClientAuthentication::Verify(Verification {
            trust_store: Arc::clone(trust_stores.get(index)?),
            ignore_expiry: ignore_client_certificate_expiry,
            advertise_ca_names: advertise_trust_store_ca_names,
        }),
    })
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

#[cfg(test)]
mod tests;
