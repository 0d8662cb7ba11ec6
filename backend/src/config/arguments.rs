//! The command line, which overrides the file.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::{Config, ConfigError, Loaded, ProxyProtocolMode, Secret, SocketIoArguments, parse_duration};
use crate::logging::LoggingArguments;

/// What stands below the options in `--help`.
const EXAMPLES: &str = "\
Examples:
  # Serve on port 9001; the demo page is at http://localhost:9001/
  $ albeit-backend --port 9001

  # Take the settings of a Spring application
  $ albeit-backend --config src/main/resources/application.yml --check-config
  $ albeit-backend --config src/main/resources/application.yml

  # Speak TLS, and read PROXY protocol headers of a balancer on this machine
  $ albeit-backend --port 9443 --ssl-certificate certs/localhost.pem \\
      --ssl-certificate-private-key certs/localhost-key.pem \\
      --proxy-protocol optional --proxy-protocol-trusted-peers 127.0.0.0/8

Signals:
  SIGTERM, SIGINT  drain, then end; a second one ends at once
  SIGHUP           read certificates and keys of tokens again

Exit status:
  0    drained
  1    could not listen or run
  2    the arguments, the configuration, a certificate or a key are wrong
  130  a second signal cut the drain short

More: docs/backend.md";

/// A STOMP over WebSocket service to stand behind a load balancer.
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(name = "albeit-backend", version, after_long_help = EXAMPLES)]
pub struct Arguments {
    /// YAML file with the settings: our own, or Spring Boot's application.yml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check the settings, tell which of the file mean nothing, and exit
    #[arg(long)]
    pub check_config: bool,
    /// TCP port, 0 for any free one [default: 8080]
    #[arg(long, env = "SERVER_PORT")]
    pub port: Option<u16>,
    /// Local address [default: 127.0.0.1]
    #[arg(long, env = "SERVER_ADDRESS")]
    pub address: Option<IpAddr>,
    /// PEM file with the certificate chain; turns TLS on
    #[arg(long, env = "SERVER_SSL_CERTIFICATE", value_name = "FILE")]
    pub ssl_certificate: Option<PathBuf>,
    /// PEM file with the certificate's private key
    #[arg(long, env = "SERVER_SSL_CERTIFICATEPRIVATEKEY", value_name = "FILE")]
    pub ssl_certificate_private_key: Option<PathBuf>,
    /// Whether a PROXY protocol header is read [default: off]
    #[arg(long, env = "SERVER_PROXYPROTOCOL_MODE", value_name = "MODE")]
    pub proxy_protocol: Option<ProxyProtocolMode>,
    /// Networks of the balancers that may send one
    #[arg(long, env = "SERVER_PROXYPROTOCOL_TRUSTEDPEERS", value_name = "CIDR", value_delimiter = ',')]
    pub proxy_protocol_trusted_peers: Option<Vec<IpNet>>,
    /// Host of the Redis that relays to other instances [default: localhost]
    #[arg(long, env = "REDIS_HOST", value_name = "HOST")]
    pub redis_host: Option<String>,
    /// Its password
    #[arg(long, env = "REDIS_PASSWORD", value_name = "PASSWORD", hide_env_values = true)]
    pub redis_password: Option<String>,
    /// Secret of HS256 tokens; better set by the variable, since others see
    /// arguments
    #[arg(long, env = "JWT_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub jwt_secret: Option<String>,
    /// Name of this instance, shown to clients
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
    /// Divide every timer by this number
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub time_scale: u32,
    /// Listen with `SO_REUSEPORT`, for a harness that holds the port
    #[arg(long)]
    pub reuse_port: bool,
    /// Longest time from SIGTERM to exit [default: 30s]
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    pub drain: Option<Duration>,
    /// How long a connection may idle between requests [default: 70s]
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    pub keep_alive_timeout: Option<Duration>,
    /// Longest time for the head of a request [default: 20s]
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    pub connection_timeout: Option<Duration>,
    /// Socket.IO timers.
    #[command(flatten)]
    pub socket_io: SocketIoArguments,
    /// The log.
    #[command(flatten)]
    pub logging: LoggingArguments,
}

impl Arguments {
    /// Reads the file, lays the flags over it, validates, and scales the
    /// timers.
    ///
    /// # Errors
    ///
    /// The file cannot be read or does not parse, or a value cannot be served.
    pub fn into_config(self) -> Result<Config, ConfigError> {
        self.load().map(|loaded| loaded.config)
    }

    /// The same, and what of the file means nothing here.
    ///
    /// # Errors
    ///
    /// As [`into_config`](Self::into_config).
    pub fn load(self) -> Result<Loaded, ConfigError> {
        let Loaded { mut config, ignored } = match &self.config {
            Some(path) => Config::load(path)?,
            None => Loaded { config: Config::default(), ignored: Vec::new() },
        };
        let tomcat = &mut config.server.tomcat;
        replace(&mut tomcat.keep_alive_timeout, self.keep_alive_timeout);
        replace(&mut tomcat.connection_timeout, self.connection_timeout);
        replace(&mut config.server.port, self.port);
        replace(&mut config.server.address, self.address);
        replace(&mut config.instance, self.instance);
        replace(&mut config.drain, self.drain);
        let ssl = &mut config.server.ssl;
        ssl.certificate = self.ssl_certificate.or_else(|| ssl.certificate.take());
        ssl.certificate_private_key =
            self.ssl_certificate_private_key.or_else(|| ssl.certificate_private_key.take());
        let proxy_protocol = &mut config.server.proxy_protocol;
        replace(&mut proxy_protocol.mode, self.proxy_protocol);
        replace(&mut proxy_protocol.trusted_peers, self.proxy_protocol_trusted_peers);
        let redis = &mut config.relay.redis;
        replace(&mut redis.host, self.redis_host);
        redis.password = self.redis_password.map(Secret::new).or_else(|| redis.password.take());
        self.socket_io.apply(&mut config.socket_io);
        let jwt = &mut config.security.jwt;
        jwt.secret = self.jwt_secret.map(Secret::new).or_else(|| jwt.secret.take());
        config.server.reuse_port |= self.reuse_port;
        config.store.take_credentials(|name| std::env::var(name).ok());
        config.validate()?;
        Ok(Loaded { config: config.scaled(self.time_scale), ignored })
    }
}

/// Overrides a setting where the command line names it.
fn replace<T>(setting: &mut T, argument: Option<T>) {
    if let Some(value) = argument {
        *setting = value;
    }
}
