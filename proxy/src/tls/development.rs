//! Certificates and keys for development: a certificate authority of one's own,
//! a certificate for `localhost`, `127.0.0.1` and `::1` signed by it, and a key
//! for stickiness cookies.
//!
//! Nothing that exists is ever overwritten; to renew a file, delete it. The
//! authority is constrained to the names above (RFC 5280 section 4.2.1.10), so
//! trusting it in a browser opens no other site to whoever finds its key.

use std::{
    fmt, fs, io,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rand::CryptoRng;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use thiserror::Error;
use time::{Duration, OffsetDateTime};
use x509_parser::pem::parse_x509_pem;

use crate::stickiness::seal;

/// The authority's certificate, to be trusted by clients.
pub const CA: &str = "ca.pem";
/// The authority's private key.
pub const CA_KEY: &str = "ca-key.pem";
/// The certificate for localhost, followed by the authority's.
pub const LEAF: &str = "localhost.pem";
/// The private key of the certificate for localhost.
pub const LEAF_KEY: &str = "localhost-key.pem";
/// The key that seals stickiness cookies.
pub const STICKINESS_KEY: &str = "stickiness.key";

/// How long the certificate for localhost is valid; browsers refuse more than 398 days.
pub const LEAF_VALIDITY: Duration = Duration::days(397);
/// How long the authority is valid.
pub const CA_VALIDITY: Duration = Duration::days(3650);

/// What became of each file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Files in the order in which they were looked at.
    pub files: Vec<(PathBuf, Status)>,
}

/// What became of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Was missing and has been made.
    Created,
    /// Was there and is untouched.
    Kept,
    /// Was there and is untouched, but its validity has ended: delete it to get a new one.
    Expired,
    /// Is missing and stays so: the certificate for localhost exists and was not made with it.
    NotNeeded,
}

impl fmt::Display for Report {
    /// One line per file.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, status) in &self.files {
            let status = match status {
                Status::Created => "created",
                Status::Kept => "kept",
                Status::Expired => "expired, delete it to renew",
                Status::NotNeeded => "not needed",
            };
            writeln!(formatter, "{}: {status}", path.display())?;
        }
        Ok(())
    }
}

/// Development files that cannot be made or completed.
#[derive(Debug, Error)]
pub enum DevelopmentError {
    /// A file cannot be read or written.
    #[error("cannot access {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A certificate is there without its private key.
    #[error("{} is there without {}: restore the key or delete the certificate", certificate.display(), key.display())]
    MissingKey {
        /// The certificate.
        certificate: PathBuf,
        /// Its key, which is missing.
        key: PathBuf,
    },
    /// The authority's certificate was not made here, or belongs to another key.
    #[error("{} was not made for {}: use another directory or delete both", certificate.display(), key.display())]
    ForeignAuthority {
        /// The certificate.
        certificate: PathBuf,
        /// The key beside it.
        key: PathBuf,
    },
    /// A private key that is there cannot be used.
    #[error("cannot use the private key {}", path.display())]
    UnusableKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rcgen::Error,
    },
    /// A certificate or key cannot be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
}

/// Makes what is missing in `directory`, which is created if need be.
///
/// The authority signs a new certificate for localhost only; where that certificate exists, an
/// authority that is missing is not made. Keys are ECDSA P-256, readable by their owner alone.
///
/// # Errors
///
/// [`DevelopmentError`]; files made before the error stay.
pub fn create(
    directory: &Path,
    now: SystemTime,
    random: &mut impl CryptoRng,
) -> Result<Report, DevelopmentError> {
    fs::create_dir_all(directory).map_err(|source| io_error(directory, source))?;
    let mut maker = Maker { directory, now: now.into(), report: Report::default() };
    if maker.exists(LEAF) {
        maker.keep_leaf()?;
    } else {
        maker.make_leaf()?;
    }
    if maker.exists(STICKINESS_KEY) {
        maker.note(STICKINESS_KEY, Status::Kept);
    } else {
        let path = maker.path(STICKINESS_KEY);
        seal::write_key_file(&path, random).map_err(|source| io_error(&path, source))?;
        maker.note(STICKINESS_KEY, Status::Created);
    }
    Ok(maker.report)
}

/// Common name of the authority; also tells ours from others.
const CA_NAME: &str = "Albeit development CA";
/// Names the leaf is for and the authority may sign.
const DNS_NAME: &str = "localhost";
const ADDRESSES: [(IpAddr, u8); 2] =
    [(IpAddr::V4(Ipv4Addr::LOCALHOST), 32), (IpAddr::V6(Ipv6Addr::LOCALHOST), 128)];
/// Validity begins a little early, for clocks that are behind.
const CLOCK_SKEW: Duration = Duration::hours(1);

struct Maker<'a> {
    directory: &'a Path,
    now: OffsetDateTime,
    report: Report,
}

/// The authority with its certificate in PEM.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Maker<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    fn note(&mut self, name: &str, status: Status) {
        self.report.files.push((self.path(name), status));
    }

    fn keep_leaf(&mut self) -> Result<(), DevelopmentError> {
        self.require_key(LEAF, LEAF_KEY)?;
        for name in [CA, CA_KEY] {
            let status = if self.exists(name) { Status::Kept } else { Status::NotNeeded };
            self.note(name, status);
        }
        let leaf = self.read(LEAF)?;
        self.note(LEAF, self.status_of(&leaf));
        self.note(LEAF_KEY, Status::Kept);
        Ok(())
    }

    fn make_leaf(&mut self) -> Result<(), DevelopmentError> {
        let authority = self.authority()?;
        let key = self.key(LEAF_KEY)?;
        let leaf = leaf_params(self.now)?.signed_by(&key, &authority.issuer)?;
        self.write(LEAF, &format!("{}{}", leaf.pem(), authority.pem), 0o644)
    }

    /// The authority that is there, or a new one.
    fn authority(&mut self) -> Result<Authority, DevelopmentError> {
        let has_certificate = self.exists(CA);
        if has_certificate {
            self.require_key(CA, CA_KEY)?;
        }
        let key = self.key(CA_KEY)?;
        let params = authority_params(self.now);
        let pem = if has_certificate {
            let pem = self.read(CA)?;
            if !is_certificate_of(&pem, &key) {
                let (certificate, key) = (self.path(CA), self.path(CA_KEY));
                return Err(DevelopmentError::ForeignAuthority { certificate, key });
            }
            self.note(CA, self.status_of(&pem));
            pem
        } else {
            let pem = params.self_signed(&key)?.pem();
            self.write(CA, &pem, 0o644)?;
            pem
        };
        Ok(Authority { issuer: Issuer::new(params, key), pem })
    }

    /// The private key that is there, or a new one.
    fn key(&mut self, name: &str) -> Result<KeyPair, DevelopmentError> {
        if self.exists(name) {
            let key = KeyPair::from_pem(&self.read(name)?)
                .map_err(|source| DevelopmentError::UnusableKey { path: self.path(name), source })?;
            self.note(name, Status::Kept);
            return Ok(key);
        }
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        self.write(name, &key.serialize_pem(), 0o600)?;
        Ok(key)
    }

    fn require_key(&self, certificate: &str, key: &str) -> Result<(), DevelopmentError> {
        if self.exists(key) {
            return Ok(());
        }
        let (certificate, key) = (self.path(certificate), self.path(key));
        Err(DevelopmentError::MissingKey { certificate, key })
    }

    fn read(&self, name: &str) -> Result<String, DevelopmentError> {
        let path = self.path(name);
        fs::read_to_string(&path).map_err(|source| io_error(&path, source))
    }

    /// Writes a new file; fails rather than overwrite one.
    fn write(&mut self, name: &str, text: &str, mode: u32) -> Result<(), DevelopmentError> {
        let path = self.path(name);
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|source| io_error(&path, source))?;
        self.note(name, Status::Created);
        Ok(())
    }

    /// The status of a certificate that was there.
    fn status_of(&self, pem: &str) -> Status {
        let not_after = parse_x509_pem(pem.as_bytes())
            .ok()
            .and_then(|(_, pem)| Some(pem.parse_x509().ok()?.validity().not_after.timestamp()));
        match not_after {
            Some(not_after) if not_after < self.now.unix_timestamp() => Status::Expired,
            _ => Status::Kept,
        }
    }
}

/// Whether `pem` is an authority's certificate made here, for this key.
fn is_certificate_of(pem: &str, key: &KeyPair) -> bool {
    let Ok((_, pem)) = parse_x509_pem(pem.as_bytes()) else { return false };
    pem.parse_x509().is_ok_and(|certificate| {
        certificate.subject().to_string() == format!("CN={CA_NAME}")
            && *certificate.public_key().subject_public_key.data == *key.public_key_raw()
    })
}

fn authority_params(now: OffsetDateTime) -> CertificateParams {
    let mut permitted_subtrees = vec![GeneralSubtree::DnsName(DNS_NAME.to_owned())];
    permitted_subtrees.extend(
        ADDRESSES.map(|(ip, prefix)| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(ip, prefix))),
    );
    let mut params = CertificateParams::default();
    params.not_before = now - CLOCK_SKEW;
    params.not_after = params.not_before + CA_VALIDITY;
    params.distinguished_name = named(CA_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    params
}

fn leaf_params(now: OffsetDateTime) -> Result<CertificateParams, rcgen::Error> {
    let names: Vec<String> = std::iter::once(DNS_NAME.to_owned())
        .chain(ADDRESSES.iter().map(|(address, _)| address.to_string()))
        .collect();
    let mut params = CertificateParams::new(names)?;
    params.not_before = now - CLOCK_SKEW;
    params.not_after = params.not_before + LEAF_VALIDITY;
    params.distinguished_name = named(DNS_NAME);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn io_error(path: &Path, source: io::Error) -> DevelopmentError {
    DevelopmentError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
