//! The validated resource model: load balancer → listener → rule → action →
//! target group → target, in the words of the `ELBv2` API.
//!
//! Everything here is immutable and already checked: a [`Model`] that exists is
//! consistent (every target group, certificate and attribute it names is
//! there and in range). Only `config` builds one. No YAML, no sockets, no
//! clock; runtime state such as health lives in `target_groups`.

pub mod arn;
pub mod attributes;
pub mod fault;
pub mod listener;
pub mod load_balancer;
pub mod rule;
pub mod security_policy;
pub mod target_group;
pub mod traces;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

pub use self::{
    listener::{Listener, ListenerProtocol},
    load_balancer::{LoadBalancer, LoadBalancerType},
    rule::{Action, Condition, Rule},
    security_policy::SecurityPolicy,
    target_group::{HealthCheck, HealthCheckProtocol, Target, TargetGroup, TargetGroupProtocol, TargetType},
};

/// Index of a target group in [`Model::target_groups`].
///
/// Rules carry this instead of a name, so that routing a request hashes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetGroupIndex(pub usize);

/// Index of a certificate in [`Model::certificates`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CertificateIndex(pub usize);

/// Index of a trust store in [`Model::trust_stores`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustStoreIndex(pub usize);

/// One whole configuration, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Account id and region that ARNs and log paths carry.
    pub scope: arn::Scope,
    /// Certificates that HTTPS and TLS listeners refer to.
    pub certificates: Vec<Certificate>,
    /// Trust stores that HTTPS listeners verify client certificates with.
    pub trust_stores: Vec<TrustStore>,
    /// Load balancers, in the order of the file.
    pub load_balancers: Vec<LoadBalancer>,
    /// Target groups, in the order of the file.
    pub target_groups: Vec<TargetGroup>,
    /// The admin API's socket.
    pub admin: Admin,
    /// Files with the keys that seal stickiness cookies: the first seals, all open.
    /// Empty: a key is drawn at start, so cookies do not outlive the process.
    pub stickiness_keys: Vec<PathBuf>,
    /// Where traces go; `None` if requests are not traced.
    pub traces: Option<traces::Traces>,
}

impl Model {
    /// The target group a rule's action points to.
    #[must_use]
    pub fn target_group(&self, index: TargetGroupIndex) -> Option<&TargetGroup> {
        self.target_groups.get(index.0)
    }

    /// The certificate a listener points to.
    #[must_use]
    pub fn certificate(&self, index: CertificateIndex) -> Option<&Certificate> {
        self.certificates.get(index.0)
    }
}

/// A certificate by name, with the files that hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Name that listeners use.
    pub name: String,
    /// ARN-like name written to the access log as `chosen_cert_arn`.
    pub arn: String,
    /// PEM file with the chain, leaf first.
    pub certificate: PathBuf,
    /// PEM file with the private key (PKCS#8, PKCS#1 or SEC1).
    pub private_key: PathBuf,
}

/// A trust store by name, with the files that hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustStore {
    /// Name that listeners use.
    pub name: String,
    /// ARN-like name.
    pub arn: String,
    /// PEM file with the certificates of the authorities that are trusted.
    pub ca_certificates_bundle: PathBuf,
    /// Files with revocation lists, PEM or DER.
    pub revocation_lists: Vec<PathBuf>,
}

/// Where the admin API listens, and who may change things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Address and port. Default `127.0.0.1:9901`. `None` switches the admin API off.
    pub bind: Option<SocketAddr>,
    /// The bearer token that actions need. `None`: they are for loopback clients only.
    pub token: Option<AdminToken>,
}

/// Where the bearer token of the admin API's actions is written.
#[derive(Clone, PartialEq, Eq)]
pub enum AdminToken {
    /// `token`: in the configuration, usually by an environment variable.
    Value(String),
    /// `token_file`: the text of a file, without white space at its ends.
    File(PathBuf),
}

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // Without the token.
            Self::Value(_) => f.write_str("Value"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { bind: Some(SocketAddr::from(([127, 0, 0, 1], 9901))), token: None }
    }
}

/// A directory that stands for an S3 bucket, with a key prefix below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDestination {
    /// Directory that plays the bucket's part.
    pub bucket: PathBuf,
    /// Key prefix below the bucket, without slashes at its ends. May be empty.
    pub prefix: String,
}

impl LogDestination {
    /// The directory below which `AWSLogs/…` begins.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        if self.prefix.is_empty() { self.bucket.clone() } else { self.bucket.join(Path::new(&self.prefix)) }
    }
}
