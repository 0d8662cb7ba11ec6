//! The files of the TLS side, certificates and trust stores, and what listeners
//! and connections to targets make of them.

use std::sync::Arc;

use rustls::server::ProducesTickets;

use super::{Fingerprints, PrepareError};
use crate::{
    config::{Mistake, Places},
    error_chain::chain,
    model::{
        CertificateIndex, Listener, ListenerProtocol, LoadBalancer, Model, TargetGroup, TargetGroupProtocol,
        TrustStoreIndex,
        listener::{ListenerTls, MutualAuthentication},
    },
    tls::{
        accept::{Alpn, TlsListener, TlsSettings},
        certificates::LoadedCertificate,
        client_verifier::{ClientAuthentication, Verification},
        target::TargetTls,
        trust_store::LoadedTrustStore,
    },
};

/// TLS side of each listener, by load balancer and listener; `None` in clear text.
pub type TlsListeners = Vec<Vec<Option<Arc<TlsListener>>>>;

/// What the files of the TLS side hold.
#[derive(Debug)]
pub(super) struct TlsFiles {
    /// What they looked like before they were read.
    pub(super) fingerprints: Fingerprints,
    /// The certificates, by their index in the model.
    pub(super) certificates: Vec<Arc<LoadedCertificate>>,
    trust_stores: Vec<Arc<LoadedTrustStore>>,
}

impl TlsFiles {
    /// Reads and checks the files that `model` names; they are incomplete if there are mistakes.
    pub(super) fn read(model: &Model, places: &Places, mistakes: &mut Vec<Mistake>) -> Self {
        let fingerprints = Fingerprints::of(model);
        let before = mistakes.len();
        let certificates = certificates(model, places, mistakes);
        let trust_stores = trust_stores(model, places, mistakes);
        if mistakes.len() == before {
            misfits(model, &certificates, places, mistakes);
        }
        Self { fingerprints, certificates, trust_stores }
    }

    /// The TLS side of the listeners of `model`.
    pub(super) fn listeners(
        &self,
        model: &Model,
        tickets: &Arc<dyn ProducesTickets>,
    ) -> Result<TlsListeners, PrepareError> {
        let load_balancers = model.load_balancers.iter();
        load_balancers
            .map(|load_balancer| {
                tls_listeners(load_balancer, &self.certificates, &self.trust_stores, tickets)
            })
            .collect()
    }
}

/// TLS towards the targets of each group; `None` in clear text.
pub(super) fn target_tls(model: &Model) -> Result<Vec<Option<TargetTls>>, PrepareError> {
    model.target_groups.iter().map(tls_of_targets).collect()
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
    let chosen = tls.certificates.iter().map(|&CertificateIndex(index)| certificates.get(index).cloned());
    let chosen: Vec<_> = chosen.collect::<Option<_>>()?;
    let (default, others) = chosen.split_first()?;
    Some(TlsSettings {
        policy: tls.policy,
        default: Arc::clone(default),
        others: others.to_vec(),
        client_authentication: client_authentication(tls, trust_stores)?,
        tickets,
        alpn: match listener.protocol {
            ListenerProtocol::Tcp | ListenerProtocol::Tls => Alpn::Policy(tls.alpn_policy),
            _ if load_balancer.attributes.http2 => Alpn::Http2,
            ListenerProtocol::Http | ListenerProtocol::Https => Alpn::Http1,
        },
    })
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

fn tls_of_targets(group: &TargetGroup) -> Result<Option<TargetTls>, PrepareError> {
    let policy = group.health_check.tls_policy;
    let made = match group.protocol {
        TargetGroupProtocol::Http | TargetGroupProtocol::Tcp => return Ok(None),
        TargetGroupProtocol::Https => TargetTls::try_new(policy, group.protocol_version),
        TargetGroupProtocol::Tls => TargetTls::for_flows(policy),
    };
    let made =
        made.map_err(|source| PrepareError::TargetPolicy { target_group: group.name.clone(), source })?;
    Ok(Some(made))
}

#[cfg(test)]
mod tests;
