//! What a peer offers over TLS: versions, application protocols, its certificate.
//!
//! ELB page: "Security policies for your Application Load Balancer". TLS 1.2
//! and 1.3 are probed by whole handshakes; TLS 1.0 and 1.1, which the library
//! does not speak, by a client hello and the first record of the answer.

mod client_hello;

use std::{fmt, sync::Arc};

use rustls::{SupportedProtocolVersion, version};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

use self::client_hello::{OldVersion, PROTOCOL_VERSION, Reply};
use super::{
    Unmeasured,
    connection::Dialer,
    trust::{BOTH_VERSIONS, Trust},
};

/// The application protocols that are offered, each alone.
const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.0 (RFC 2246).
    Tls10,
    /// TLS 1.1 (RFC 4346).
    Tls11,
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls10 => "1.0",
            Self::Tls11 => "1.1",
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        })
    }
}

/// Whether a peer speaks a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Support {
    /// It does. Of TLS 1.0 and 1.1: it answered with a server hello.
    Accepted,
    /// It does not; why, as far as it says.
    Refused(String),
}

/// What was found of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// All four versions, oldest first.
    pub versions: Vec<(TlsVersion, Support)>,
    /// The protocols of `h2` and `http/1.1` that it takes when they are offered by ALPN.
    pub alpn: Vec<String>,
    /// Its certificate.
    pub certificate: Certificate,
    /// Why the certificate is not believed; `None` if it is, or if nothing is to be verified.
    pub distrust: Option<String>,
}

impl Tls {
    /// The versions that are spoken.
    pub fn accepted(&self) -> impl Iterator<Item = TlsVersion> {
        let accepted = self.versions.iter().filter(|(_, support)| *support == Support::Accepted);
        accepted.map(|(version, _)| *version)
    }
}

/// The peer's own certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its subject.
    pub subject: String,
    /// DNS names and addresses it is for.
    pub names: Vec<String>,
    /// The last second of its validity.
    pub not_after: OffsetDateTime,
    /// Whole days from the measurement to then; negative if it has expired.
    pub days_left: i64,
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = if self.names.is_empty() { self.subject.clone() } else { self.names.join(", ") };
        let date = self.not_after.date();
        if self.days_left < 0 {
            write!(f, "for {names}, expired on {date}")
        } else {
            write!(f, "for {names}, until {date} ({} days)", self.days_left)
        }
    }
}

/// Measures it. `now` is the time of day that the certificate's end is compared with.
pub(super) async fn measure(
    dialer: &Dialer<'_>,
    trust: &Trust,
    now: OffsetDateTime,
) -> Result<Tls, Unmeasured> {
    let stream = handshake(dialer, &Trust::Unverified, BOTH_VERSIONS, &[]).await?;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificate = certificates.first().and_then(|leaf| read_certificate(leaf, now));
    let certificate =
        certificate.ok_or_else(|| Unmeasured::Handshake("its certificate is unreadable".to_owned()))?;
    drop(stream);
    let distrust = match handshake(dialer, trust, BOTH_VERSIONS, &[]).await {
        Ok(_) => None,
        Err(Unmeasured::Handshake(why)) => Some(why),
        Err(other) => return Err(other),
    };
    let versions = vec![
        (TlsVersion::Tls10, old(dialer, OldVersion::Tls10).await?),
        (TlsVersion::Tls11, old(dialer, OldVersion::Tls11).await?),
        (TlsVersion::Tls12, new(dialer, &version::TLS12).await?),
        (TlsVersion::Tls13, new(dialer, &version::TLS13).await?),
    ];
    let mut alpn = Vec::new();
    for protocol in PROTOCOLS {
        // A peer that has none of the protocols may refuse the handshake (RFC 7301 section 3.2).
        if let Ok(stream) = handshake(dialer, &Trust::Unverified, BOTH_VERSIONS, &[protocol]).await
            && stream.get_ref().1.alpn_protocol() == Some(protocol.as_bytes())
        {
            alpn.push(protocol.to_owned());
        }
    }
    Ok(Tls { versions, alpn, certificate, distrust })
}

async fn handshake(
    dialer: &Dialer<'_>,
    trust: &Trust,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&str],
) -> Result<TlsStream<TcpStream>, Unmeasured> {
    let config = trust.client_config(versions, alpn);
    let config = config.map_err(|error| Unmeasured::Handshake(error.to_string()))?;
    let tcp = dialer.connect_tcp().await?;
    dialer.handshake(&TlsConnector::from(Arc::new(config)), tcp).await
}

async fn new(dialer: &Dialer<'_>, version: &'static SupportedProtocolVersion) -> Result<Support, Unmeasured> {
    match handshake(dialer, &Trust::Unverified, &[version], &[]).await {
        Ok(_) => Ok(Support::Accepted),
        Err(Unmeasured::Handshake(why)) => Ok(Support::Refused(why)),
        Err(other) => Err(other),
    }
}

async fn old(dialer: &Dialer<'_>, version: OldVersion) -> Result<Support, Unmeasured> {
    let mut tcp = dialer.connect_tcp().await?;
    // An address is no server name (RFC 6066 section 3).
    let name = dialer.endpoint.host.parse::<std::net::IpAddr>().is_err().then_some(&*dialer.endpoint.host);
    let hello = client_hello::client_hello(version, name, rand::random());
    let limit = dialer.budget.answer(Instant::now());
    let reply = async {
        if tcp.write_all(&hello).await.is_err() {
            return Support::Refused("closes the connection".to_owned());
        }
        let mut bytes = Vec::new();
        loop {
            match client_hello::read(&bytes, version) {
                Reply::Partial => {}
                reply => return judge(reply),
            }
            if !matches!(tcp.read_buf(&mut bytes).await, Ok(1..)) {
                return Support::Refused("closes the connection".to_owned());
            }
        }
    };
    timeout(limit, reply).await.map_err(|_| Unmeasured::NoAnswer(limit))
}

fn judge(reply: Reply) -> Support {
    match reply {
        Reply::Accepted => Support::Accepted,
        Reply::Refused(PROTOCOL_VERSION) => Support::Refused("alert protocol_version".to_owned()),
        Reply::Refused(40) => Support::Refused("alert handshake_failure".to_owned()),
        Reply::Refused(description) => Support::Refused(format!("alert {description}")),
        Reply::Partial | Reply::Malformed => Support::Refused("does not answer with TLS".to_owned()),
    }
}

fn read_certificate(der: &[u8], now: OffsetDateTime) -> Option<Certificate> {
    let (_, certificate) = parse_x509_certificate(der).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names =
        names.map_or_else(Vec::new, |names| names.value.general_names.iter().filter_map(name).collect());
    let not_after = OffsetDateTime::from_unix_timestamp(certificate.validity().not_after.timestamp()).ok()?;
    let days_left = (not_after - now).whole_seconds().div_euclid(24 * 60 * 60);
    Some(Certificate { subject: certificate.subject().to_string(), names, not_after, days_left })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).ok().map(std::net::IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*bytes).ok().map(std::net::IpAddr::from);
            v4.or(v6).map(|address| address.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
