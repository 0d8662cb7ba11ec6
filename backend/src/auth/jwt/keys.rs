//! The keys that tokens are verified with, each for one algorithm: what a token
//! says of its algorithm is only compared, never followed.

use std::io;
use std::path::{Path, PathBuf};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

use crate::auth::Secret;
use crate::reload::{self, Fingerprint};

/// Least bytes of a secret for HS256 (RFC 7518, section 3.2).
const SECRET_LEAST: usize = 32;

/// Keys that a set may have: a token without a key id is tried with each.
const KEYS_LIMIT: usize = 64;

/// Where the keys are. All of them are in force together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySources {
    /// A secret for HS256.
    pub secret: Option<Secret>,
    /// A file with a secret for HS256 in each line.
    pub secret_file: Option<PathBuf>,
    /// A PEM file with a public key: RSA for RS256, or of an elliptic curve for
    /// ES256 or ES384.
    pub public_key: Option<PathBuf>,
    /// A JWK set (RFC 7517).
    pub jwk_set: Option<PathBuf>,
}

/// Why there are no keys. Every variant is the operator's to mend, and names
/// the setting.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read.
    #[error("security.jwt.{setting}: {}: cannot be read", path.display())]
    Unreadable {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds no usable key.
    #[error("security.jwt.{setting}: {}: {problem}", path.display())]
    Unusable {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// The secret is too short.
    #[error("security.jwt.secret: must have at least {SECRET_LEAST} bytes")]
    ShortSecret,
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// The `kid` of its tokens; none for any.
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// Finds keys in a file, or tells what is wrong with it.
type Parse = fn(&[u8]) -> Result<Vec<Key>, &'static str>;

/// What the files held at one time.
#[derive(Debug)]
pub(super) struct Reading {
    secret: Option<io::Result<Vec<u8>>>,
    public_key: Option<io::Result<Vec<u8>>>,
    jwk_set: Option<io::Result<Vec<u8>>>,
}

impl reload::Reading for Reading {
    fn fingerprint(&self) -> Fingerprint {
        let files = [&self.secret, &self.public_key, &self.jwk_set];
        Fingerprint::of(files.into_iter().filter_map(Option::as_ref))
    }
}

impl KeySources {
    /// Whether there is no key at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether anything can change.
    pub(super) fn has_files(&self) -> bool {
        self.secret_file.is_some() || self.public_key.is_some() || self.jwk_set.is_some()
    }

    /// Reads every file. Blocks.
    pub(super) fn read(&self) -> Reading {
        let read = |path: &Option<PathBuf>| path.as_deref().map(reload::read);
        Reading {
            secret: read(&self.secret_file),
            public_key: read(&self.public_key),
            jwk_set: read(&self.jwk_set),
        }
    }

    /// The keys of a reading.
    pub(super) fn parse(&self, reading: Reading) -> Result<Vec<Key>, KeyError> {
        let mut keys = Vec::new();
        if let Some(secret) = &self.secret {
            keys.push(secret_key(secret.reveal().as_bytes()).ok_or(KeyError::ShortSecret)?);
        }
        let parsers: [(_, _, _, Parse); 3] = [
            ("secret-file", &self.secret_file, reading.secret, secrets),
            ("public-key-location", &self.public_key, reading.public_key, public_key),
            ("jwk-set-file", &self.jwk_set, reading.jwk_set, jwk_set),
        ];
        for (setting, path, bytes, parse) in parsers {
            let (Some(path), Some(bytes)) = (path.as_deref().map(Path::to_owned), bytes) else {
                continue;
            };
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(source) => return Err(KeyError::Unreadable { setting, path, source }),
            };
            match parse(&bytes) {
                Ok(found) => keys.extend(found),
                Err(problem) => return Err(KeyError::Unusable { setting, path, problem }),
            }
        }
        Ok(keys)
    }
}

fn secret_key(secret: &[u8]) -> Option<Key> {
    (secret.len() >= SECRET_LEAST).then(|| Key {
        id: None,
        algorithm: Algorithm::HS256,
        key: DecodingKey::from_secret(secret),
    })
}

fn secrets(bytes: &[u8]) -> Result<Vec<Key>, &'static str> {
    let lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let keys: Option<Vec<Key>> = lines.map(secret_key).collect();
    match keys {
        None => Err("a secret must have at least 32 bytes"),
        Some(keys) if keys.is_empty() => Err("holds no secret"),
        Some(keys) if keys.len() > KEYS_LIMIT => Err("holds more than 64 secrets"),
        Some(keys) => Ok(keys),
    }
}

fn public_key(bytes: &[u8]) -> Result<Vec<Key>, &'static str> {
    let key = if let Ok(key) = DecodingKey::from_rsa_pem(bytes) {
        Key { id: None, algorithm: Algorithm::RS256, key }
    } else {
        let key = DecodingKey::from_ec_pem(bytes)
            .map_err(|_| "holds no public key of RSA or an elliptic curve in PEM")?;
        // An uncompressed point: a byte and two coordinates.
        let algorithm = match key.try_get_as_bytes().map(<[u8]>::len) {
            Ok(65) => Algorithm::ES256,
            Ok(97) => Algorithm::ES384,
            _ => return Err("holds a key of another curve than P-256 and P-384"),
        };
        Key { id: None, algorithm, key }
    };
    Ok(vec![key])
}

/// The keys for signatures; those of unknown kinds are for others.
fn jwk_set(bytes: &[u8]) -> Result<Vec<Key>, &'static str> {
    let JwkSet { keys } = serde_json::from_slice(bytes).map_err(|_| "is no JWK set")?;
    let signs = |jwk: &&Jwk| !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
    let mut usable = Vec::new();
    for jwk in keys.iter().filter(signs) {
        let Some(algorithm) = algorithm(jwk) else { continue };
        let key = DecodingKey::from_jwk(jwk).map_err(|_| "holds a malformed key")?;
        if key.family() != algorithm.family() {
            return Err("holds a key whose alg is for another kind of key");
        }
        usable.push(Key { id: jwk.common.key_id.clone(), algorithm, key });
    }
    match usable.len() {
        0 => Err("holds no key for signatures"),
        1..=KEYS_LIMIT => Ok(usable),
        _ => Err("holds more than 64 keys"),
    }
}

/// The one algorithm of a key: its `alg`, or what is usual for its kind.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    if let Some(algorithm) = jwk.common.key_algorithm {
        return Algorithm::try_from(algorithm).ok();
    }
    match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Some(Algorithm::RS256),
        AlgorithmParameters::OctetKey(_) => Some(Algorithm::HS256),
        AlgorithmParameters::OctetKeyPair(_) => Some(Algorithm::EdDSA),
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => Some(Algorithm::ES256),
            EllipticCurve::P384 => Some(Algorithm::ES384),
            _ => None,
        },
        _ => None,
    }
}
