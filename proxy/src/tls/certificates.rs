//! Server certificates and the choice between them by SNI.
//!
//! ELB page: "SSL certificates for your Application Load Balancer". A host
//! name that several certificates carry, exactly or by a wildcard, is served by
//! the best one that the client can use (see [`certificate_choice`]). No match,
//! none that the client can use, or no SNI: the default certificate. The default
//! certificate counts among those that match, as if it were in the certificate
//! list too, which is how ELB's console makes a listener.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    SignatureScheme,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    time_provider::{DefaultTimeProvider, TimeProvider},
};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName};

use super::{
    certificate_choice::{self, KeyAlgorithm, Qualities},
    negotiation, policy,
};
use crate::model::{Certificate, SecurityPolicy, security_policy::Rfc9151};

/// Why a certificate could not be loaded. Every variant is the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file could not be read.
    #[error("certificate \"{name}\": cannot read {}", path.display())]
    Read {
        /// The certificate's name in the configuration.
        name: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate file holds no usable certificate.
    #[error("certificate \"{name}\": {} holds no PEM certificate that can be read", path.display())]
    NoCertificate {
        /// The certificate's name in the configuration.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// The key file holds no usable private key.
    #[error("certificate \"{name}\": {} holds no PEM private key that can be used", path.display())]
    NoPrivateKey {
        /// The certificate's name in the configuration.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// The certificate's key is of a kind that ELB takes no certificates with.
    #[error(
        "certificate \"{name}\": the key of {} is neither RSA nor ECDSA; ELB takes no others, Ed25519 included",
        path.display()
    )]
    UnsupportedKey {
        /// The certificate's name in the configuration.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key are not a pair.
    #[error(
        "certificate \"{name}\": the private key {} does not fit the certificate {}",
        private_key.display(),
        certificate.display()
    )]
    KeyMismatch {
        /// The certificate's name in the configuration.
        name: String,
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        private_key: PathBuf,
    },
}

impl CertificateError {
    /// The setting of the certificate that is at fault: `certificate` or `private_key`.
    #[must_use]
    pub fn setting(&self, certificate: &Certificate) -> &'static str {
        match self {
            Self::Read { path, .. } if *path == certificate.private_key => "private_key",
            Self::NoPrivateKey { .. } | Self::KeyMismatch { .. } => "private_key",
            Self::Read { .. } | Self::NoCertificate { .. } | Self::UnsupportedKey { .. } => "certificate",
        }
    }
}

/// A certificate ready to be shown to clients.
#[derive(Debug)]
pub struct LoadedCertificate {
    /// `chosen_cert_arn` of the access log.
    pub arn: String,
    /// Chain and key.
    pub key: Arc<CertifiedKey>,
    /// DNS names and addresses it is valid for, lower case.
    pub names: Vec<String>,
    /// What decides between certificates with the same name.
    pub qualities: Qualities,
}

impl LoadedCertificate {
    /// Reads chain and key from their PEM files and checks that they belong together.
    ///
    /// # Errors
    ///
    /// A file that is missing or holds the wrong thing, or a key of another certificate.
    pub fn read(certificate: &Certificate, provider: &CryptoProvider) -> Result<Self, CertificateError> {
        let Certificate { name, certificate: chain_path, private_key: key_path, .. } = certificate;
        let chain_pem = read(name, chain_path)?;
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(&chain_pem).collect::<Result<_, _>>().unwrap_or_default();
        let leaf = chain.first().and_then(certificate_choice::parse);
        let Some((names, qualities)) = leaf.map(|leaf| (names_of(&leaf), Qualities::of(&leaf))) else {
            return Err(CertificateError::NoCertificate { name: name.clone(), path: chain_path.clone() });
        };
        let qualities = qualities
            .map_err(|_| CertificateError::UnsupportedKey { name: name.clone(), path: chain_path.clone() })?;
        let no_key = || CertificateError::NoPrivateKey { name: name.clone(), path: key_path.clone() };
        let key = PrivateKeyDer::from_pem_slice(&read(name, key_path)?).map_err(|_| no_key())?;
        let key = provider.key_provider.load_private_key(key).map_err(|_| no_key())?;
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(_) => {
                return Err(CertificateError::KeyMismatch {
                    name: name.clone(),
                    certificate: chain_path.clone(),
                    private_key: key_path.clone(),
                });
            }
        }
        Ok(Self { arn: certificate.arn.clone(), key: Arc::new(key), names, qualities })
    }

    /// Whether the policy lets the certificate's key be used at all.
    #[must_use]
    pub fn fits(&self, policy: &SecurityPolicy) -> bool {
        let Qualities { algorithm, key_bits, .. } = self.qualities;
        match policy.rfc9151 {
            Some(Rfc9151::Strict) => match algorithm {
                KeyAlgorithm::Ecdsa => key_bits == 384,
                KeyAlgorithm::Rsa => key_bits >= 3072,
            },
            Some(Rfc9151::Interop) | None => true,
        }
    }

    /// The certificate as listeners with `policy` may use it.
    #[must_use]
    pub fn under(self: &Arc<Self>, policy: &SecurityPolicy) -> Arc<Self> {
        let key = policy::restricted_key(policy, &self.key);
        if Arc::ptr_eq(&key, &self.key) {
            return Arc::clone(self);
        }
        let Self { arn, names, qualities, .. } = self.as_ref();
        Arc::new(Self { arn: arn.clone(), key, names: names.clone(), qualities: *qualities })
    }
}

fn read(name: &str, path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::Read {
        name: name.to_owned(),
        path: path.to_owned(),
        source,
    })
}

/// Subject alternative names, or the common name where there are none.
fn names_of(leaf: &X509Certificate<'_>) -> Vec<String> {
    let alternatives = leaf.subject_alternative_name().ok().flatten();
    let mut names: Vec<String> = alternatives
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    if alternatives.is_none() {
        let common_names = leaf.subject().iter_common_name();
        names.extend(common_names.filter_map(|name| name.as_str().ok()).map(str::to_ascii_lowercase));
    }
    names
}

/// The certificates of one listener.
#[derive(Debug)]
pub struct CertificateStore {
    /// The first is the default. Never empty.
    default: Arc<LoadedCertificate>,
    /// By exact name, or by the part after `*.` for wildcards; each in the order of the listener's list.
    exact: HashMap<String, Vec<Arc<LoadedCertificate>>>,
    wildcard: HashMap<String, Vec<Arc<LoadedCertificate>>>,
    /// Whether a certificate has expired when it is chosen.
    clock: Arc<dyn TimeProvider>,
}

impl CertificateStore {
    /// A store with `default` for clients without a matching SNI, and `others` chosen by SNI.
    #[must_use]
    pub fn new(default: Arc<LoadedCertificate>, others: &[Arc<LoadedCertificate>]) -> Self {
        let mut exact: HashMap<String, Vec<_>> = HashMap::new();
        let mut wildcard: HashMap<String, Vec<_>> = HashMap::new();
        for certificate in std::iter::once(&default).chain(others) {
            for name in &certificate.names {
                let (map, key) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut wildcard, parent),
                    None => (&mut exact, name.as_str()),
                };
                map.entry(key.to_owned()).or_default().push(Arc::clone(certificate));
            }
        }
        Self { default, exact, wildcard, clock: Arc::new(DefaultTimeProvider) }
    }

    /// The certificate for a client that asks for `server_name` and takes signatures by `offered`.
    ///
    /// `now` is in seconds since 1970.
    #[must_use]
    pub fn choose(
        &self,
        server_name: Option<&str>,
        offered: &[SignatureScheme],
        now: i64,
    ) -> &Arc<LoadedCertificate> {
        let Some(name) = server_name else {
            return &self.default;
        };
        let parent = name.split_once('.').map(|(_, parent)| parent);
        let exact = self.exact.get(name);
        let wildcard = parent.and_then(|parent| self.wildcard.get(parent));
        let matching = exact.into_iter().chain(wildcard).flatten();
        matching
            .filter(|certificate| certificate.key.key.choose_scheme(offered).is_some())
            .reduce(
                |best, other| {
                    if other.qualities.rank(now) > best.qualities.rank(now) { other } else { best }
                },
            )
            .unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for CertificateStore {
    fn resolve(&self, client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = client_hello.server_name().map(str::to_ascii_lowercase);
        let now = self.clock.current_time().map_or(0, |now| now.as_secs().cast_signed());
        let chosen = self.choose(name.as_deref(), client_hello.signature_schemes(), now);
        negotiation::note_certificate(chosen);
        Some(Arc::clone(&chosen.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider() -> CryptoProvider {
        rustls::crypto::aws_lc_rs::default_provider()
    }

    /// Writes a self-signed certificate for `names` and returns its configuration.
    fn certificate(dir: &Path, name: &str, names: &[&str]) -> Certificate {
        let made =
            rcgen::generate_simple_self_signed(names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>())
                .unwrap();
        let (cert, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}-key.pem")));
        fs::write(&cert, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Certificate { name: name.to_owned(), arn: format!("arn:{name}"), certificate: cert, private_key: key }
    }

    #[test]
    fn sni_chooses_exact_before_wildcard_before_default() {
        let dir = tempfile::tempdir().unwrap();
        let load = |name: &str, names: &[&str]| {
            Arc::new(LoadedCertificate::read(&certificate(dir.path(), name, names), &provider()).unwrap())
        };
        let store = CertificateStore::new(
            load("default", &["example.com"]),
            &[load("wild", &["*.example.com"]), load("exact", &["api.example.com"])],
        );
        let offered = [SignatureScheme::ECDSA_NISTP256_SHA256];
        let chosen = |name| store.choose(name, &offered, 0).arn.as_str();
        assert_eq!(chosen(None), "arn:default");
        assert_eq!(chosen(Some("example.com")), "arn:default");
        assert_eq!(chosen(Some("www.example.com")), "arn:wild");
        assert_eq!(chosen(Some("api.example.com")), "arn:exact");
        assert_eq!(chosen(Some("a.b.example.com")), "arn:default");
        assert_eq!(chosen(Some("other.org")), "arn:default");
    }

    #[test]
    fn mistakes_in_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let good = certificate(dir.path(), "good", &["a.test"]);
        let other = certificate(dir.path(), "other", &["b.test"]);
        let error =
            |certificate: &Certificate| LoadedCertificate::read(certificate, &provider()).unwrap_err();

        let mixed = Certificate { private_key: other.private_key, ..good.clone() };
        assert!(matches!(error(&mixed), CertificateError::KeyMismatch { .. }));
        let swapped = Certificate { certificate: good.private_key.clone(), ..good.clone() };
        assert!(matches!(error(&swapped), CertificateError::NoCertificate { .. }));
        let no_key = Certificate { private_key: good.certificate.clone(), ..good.clone() };
        assert!(matches!(error(&no_key), CertificateError::NoPrivateKey { .. }));
        let missing = Certificate { certificate: dir.path().join("none.pem"), ..good };
        let text = error(&missing).to_string();
        assert!(
            text.starts_with("certificate \"good\": cannot read ") && text.ends_with("none.pem"),
            "{text}"
        );
    }
}
