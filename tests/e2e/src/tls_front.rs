//! TLS in front of a target: whatever speaks clear text behind it becomes a
//! target of protocol HTTPS. Tells what each handshake asked for.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result};
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls::{
    HandshakeKind, ProtocolVersion, ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::Acceptor,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::LazyConfigAcceptor;

use crate::{
    ca::Certificate,
    ports::HeldPort,
    wait::{SOON, within},
};

/// What a handshake asked for and came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// SNI.
    pub server_name: Option<String>,
    /// ALPN as offered.
    pub alpn: Vec<String>,
    /// What was agreed on.
    pub version: Option<ProtocolVersion>,
    /// Whether a session was resumed.
    pub resumed: bool,
}

/// A running TLS server that passes bytes on.
pub struct TlsFront {
    port: HeldPort,
    handshakes: Arc<watch::Sender<Vec<Handshake>>>,
    _tasks: JoinSet<()>,
}

impl TlsFront {
    /// Starts a server that takes TLS off and passes everything to `target`.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(target: SocketAddr, config: Arc<ServerConfig>) -> Result<Self> {
        let port = HeldPort::try_new()?;
        let handshakes = Arc::new(watch::Sender::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(port.listen()?, target, config, Arc::clone(&handshakes)));
        Ok(Self { port, handshakes, _tasks: tasks })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// The handshakes so far, health checks included.
    #[must_use]
    pub fn handshakes(&self) -> Vec<Handshake> {
        self.handshakes.borrow().clone()
    }

    /// Waits until `count` handshakes are done, and gives the last of them.
    ///
    /// # Errors
    /// When they are not done soon.
    pub async fn handshake(&self, count: usize) -> Result<Handshake> {
        let mut handshakes = self.handshakes.subscribe();
        let what = format!("handshake {count} with the target");
        let seen = within(SOON, &what, handshakes.wait_for(|seen| seen.len() >= count)).await??;
        seen.get(count - 1).cloned().context("no such handshake")
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    config: Arc<ServerConfig>,
    handshakes: Arc<watch::Sender<Vec<Handshake>>>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (config, handshakes) = (Arc::clone(&config), Arc::clone(&handshakes));
        // How a connection ends shows at its two ends.
        connections.spawn(async move { drop(serve(stream, target, config, &handshakes).await) });
    }
}

async fn serve(
    stream: TcpStream,
    target: SocketAddr,
    config: Arc<ServerConfig>,
    handshakes: &watch::Sender<Vec<Handshake>>,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let hello = start.client_hello();
    let server_name = hello.server_name().map(str::to_owned);
    let alpn = hello.alpn().into_iter().flatten();
    let alpn = alpn.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let mut stream = start.into_stream(config).await?;
    let session = stream.get_ref().1;
    let handshake = Handshake {
        server_name,
        alpn,
        version: session.protocol_version(),
        resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
    };
    handshakes.send_modify(|all| all.push(handshake));
    let mut target = TcpStream::connect(target).await?;
    target.set_nodelay(true)?;
    copy_bidirectional(&mut stream, &mut target).await?;
    Ok(())
}

/// Settings with a certificate that nobody should trust: self-signed, expired, for another name.
///
/// # Errors
/// When no certificate can be made.
pub fn untrustworthy(
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&str],
) -> Result<Arc<ServerConfig>> {
    let mut params = CertificateParams::new(vec!["expired.invalid".to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, "expired.invalid");
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2002, 1, 1);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.der().clone();
    let private_key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], private_key)?;
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

/// Settings of a server with this certificate, which its authority vouches for.
///
/// # Errors
/// When its files cannot be read.
pub fn trusted(certificate: &Certificate) -> Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(&certificate.certificate)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&certificate.private_key)?;
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
    Ok(Arc::new(builder.with_single_cert(chain, key)?))
}
