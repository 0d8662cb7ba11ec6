//! Makes connections.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterClientBuilder, ClusterConfig};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    ProtocolVersion, RedisConnectionInfo, RedisError, RedisResult, TlsCertificates,
};

use crate::config::{RedisConfig, RedisSslConfig, Secret};

use super::link::{Link, LinkError};

/// Why there is no relay.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The URL, an address or a certificate is malformed.
    #[error("relay.redis: cannot be used")]
    Malformed(#[from] RedisError),
    /// A certificate or key cannot be read.
    #[error("relay.redis.ssl: {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Knows the way to Redis.
pub(in crate::relay) struct Connector {
    target: Target,
    timeout: Duration,
    connect_timeout: Duration,
}

enum Target {
    Single(Box<Client>),
    Cluster(Box<ClusterClient>),
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    /// Reads certificates; connects nothing.
    pub(in crate::relay) fn try_new(config: &RedisConfig) -> Result<Self, RelayError> {
        let url = config.url.as_ref().map(Secret::reveal);
        let is_tls = config.ssl.enabled || url.is_some_and(|url| url.starts_with("rediss://"));
        let certificates = if is_tls {
            // The library takes the process's provider, and there may be two to
            // choose from. Whoever has chosen one already knows better.
            drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
            Some(certificates(&config.ssl)?)
        } else {
            None
        };
        let target = if config.cluster.nodes.is_empty() {
            Target::Single(Box::new(single(config, url, certificates)?))
        } else {
            Target::Cluster(Box::new(cluster(config, certificates)?))
        };
        Ok(Self { target, timeout: config.timeout, connect_timeout: config.connect_timeout })
    }

    /// A connection that receives messages.
    ///
    /// # Cancel safety
    ///
    /// The attempt is given up.
    pub(super) async fn connect(&self, pushes: impl AsyncPushSender) -> Result<Link, LinkError> {
        match &self.target {
            Target::Single(client) => {
                let config = self.settings(self.timeout).set_push_sender(pushes);
                self.in_time(client.get_multiplexed_async_connection_with_config(&config))
                    .await
                    .map(|connection| Link::Single(Box::new(connection)))
            }
            Target::Cluster(client) => {
                let config = ClusterConfig::new()
                    .set_connection_timeout(self.connect_timeout)
                    .set_response_timeout(self.timeout)
                    .set_push_sender(pushes);
                self.in_time(client.get_async_connection_with_config(config)).await.map(Link::Cluster)
            }
        }
    }

    /// A connection for commands of which one may take `block` longer.
    ///
    /// # Cancel safety
    ///
    /// The attempt is given up.
    pub(super) async fn connect_plain(&self, block: Duration) -> Result<MultiplexedConnection, LinkError> {
        let Target::Single(client) = &self.target else { return Err(LinkError::NoPrimary) };
        let config = self.settings(self.timeout + block);
        self.in_time(client.get_multiplexed_async_connection_with_config(&config)).await
    }

    fn settings(&self, timeout: Duration) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(timeout))
    }

    /// The limit of the library does not cover every step.
    async fn in_time<T>(&self, connecting: impl Future<Output = RedisResult<T>>) -> Result<T, LinkError> {
        match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(LinkError::ConnectTimeout),
        }
    }
}

fn single(
    config: &RedisConfig,
    url: Option<&str>,
    certificates: Option<TlsCertificates>,
) -> Result<Client, RelayError> {
    let info = match url {
        Some(url) => url.into_connection_info()?,
        None => address(&config.host, config.port, certificates.is_some()).into_connection_info()?,
    };
    let settings = match url {
        Some(_) => info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3),
        None => login(config),
    };
    let address = match info.addr() {
        // `ssl.enabled` counts for a URL without the s as well.
        ConnectionAddr::Tcp(host, port) => address(host, *port, certificates.is_some()),
        other => other.clone(),
    };
    let info = info
        .set_addr(address)
        .set_redis_settings(settings)
        .set_tcp_settings(TcpSettings::default().set_nodelay(true));
    Ok(match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates)?,
        None => Client::open(info)?,
    })
}

fn cluster(config: &RedisConfig, certificates: Option<TlsCertificates>) -> Result<ClusterClient, RelayError> {
    let nodes = config.cluster.nodes.iter().map(|node| {
        let (host, port) = node.rsplit_once(':').unwrap_or((node, ""));
        address(host, port.parse().unwrap_or(config.port), certificates.is_some()).into_connection_info()
    });
    let nodes: Vec<ConnectionInfo> = nodes.collect::<RedisResult<_>>()?;
    let mut builder = ClusterClientBuilder::new(nodes)
        .use_protocol(ProtocolVersion::RESP3)
        .overall_response_timeout(Some(config.timeout))
        .tcp_settings(TcpSettings::default().set_nodelay(true))
        .retries(1);
    if let Some(username) = &config.username {
        builder = builder.username(username);
    }
    if let Some(password) = &config.password {
        builder = builder.password(password.reveal());
    }
    if let Some(certificates) = certificates {
        builder = builder.certs(certificates);
    }
    Ok(builder.build()?)
}

fn address(host: &str, port: u16, is_tls: bool) -> ConnectionAddr {
    let host = host.to_owned();
    if is_tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

fn login(config: &RedisConfig) -> RedisConnectionInfo {
    let mut settings = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_db(i64::from(config.database));
    if let Some(username) = &config.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &config.password {
        settings = settings.set_password(password.reveal());
    }
    settings
}

fn certificates(ssl: &RedisSslConfig) -> Result<TlsCertificates, RelayError> {
    let read = |path: &Path| {
        fs::read(path).map_err(|source| RelayError::Unreadable { path: path.to_owned(), source })
    };
    let client_tls = match (&ssl.certificate, &ssl.certificate_private_key) {
        (Some(certificate), Some(key)) => {
            Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
        }
        _ => None,
    };
    let root_cert = ssl.ca_certificate.as_deref().map(read).transpose()?;
    Ok(TlsCertificates { client_tls, root_cert })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(change: impl FnOnce(&mut RedisConfig)) -> ConnectionInfo {
        let mut config = RedisConfig::default();
        change(&mut config);
        match Connector::try_new(&config).unwrap().target {
            Target::Single(client) => client.get_connection_info().clone(),
            Target::Cluster(_) => panic!("no cluster was configured"),
        }
    }

    #[test]
    fn the_url_counts_more_than_its_parts() {
        let parts = |config: &mut RedisConfig| {
            config.host = "redis.test".to_owned();
            config.username = Some("app".to_owned());
            config.password = Some(Secret::new("p1".to_owned()));
            config.database = 3;
        };
        let of_parts = info(parts);
        assert_eq!(of_parts.addr(), &ConnectionAddr::Tcp("redis.test".to_owned(), 6379));
        let redis = of_parts.redis_settings();
        assert_eq!((redis.username(), redis.password(), redis.db()), (Some("app"), Some("p1"), 3));
        assert_eq!(redis.protocol(), ProtocolVersion::RESP3);
        let of_url = info(|config| {
            parts(config);
            config.url = Some(Secret::new("rediss://u:p2@other.test:7000/1".to_owned()));
        });
        assert_eq!(of_url.addr(), &address("other.test", 7000, true));
        let redis = of_url.redis_settings();
        assert_eq!((redis.username(), redis.password(), redis.db()), (Some("u"), Some("p2"), 1));
        assert_eq!(redis.protocol(), ProtocolVersion::RESP3);
    }

    #[test]
    fn a_certificate_that_is_not_there_is_named() {
        let mut config = RedisConfig::default();
        config.ssl.enabled = true;
        config.ssl.ca_certificate = Some(PathBuf::from("/nowhere/ca.pem"));
        let error = Connector::try_new(&config).unwrap_err();
        assert_eq!(error.to_string(), "relay.redis.ssl: /nowhere/ca.pem cannot be read");
    }
}
