//! A certificate for one test, and clients that trust it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use albeit_backend::config::Config;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_websockets::ClientBuilder;

use crate::harness::{Tcp, Ws, soon};

/// A self-signed certificate for localhost and its key, in files.
pub(crate) struct Pair {
    dir: TempDir,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let pair = Self { dir: tempfile::tempdir().unwrap() };
        pair.renew();
        pair
    }

    /// Replaces both files.
    pub(crate) fn renew(&self) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        std::fs::write(self.dir.path().join("c.pem"), certificate).unwrap();
        std::fs::write(self.dir.path().join("k.pem"), key.serialize_pem()).unwrap();
    }

    /// Leaves a key that fits no certificate.
    pub(crate) fn spoil(&self) {
        let key = KeyPair::generate().unwrap().serialize_pem();
        std::fs::write(self.dir.path().join("k.pem"), key).unwrap();
    }

    /// Serves with it.
    pub(crate) fn serve(&self, config: &mut Config) {
        config.server.ssl.certificate = Some(self.dir.path().join("c.pem"));
        config.server.ssl.certificate_private_key = Some(self.dir.path().join("k.pem"));
    }

    /// The files of certificate and key.
    pub(crate) fn paths(&self) -> [PathBuf; 2] {
        ["c.pem", "k.pem"].map(|name| self.dir.path().join(name))
    }

    /// The certificate that is in the file now.
    pub(crate) fn leaf(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.dir.path().join("c.pem")).unwrap()
    }

    /// A client that trusts the certificate in the file.
    pub(crate) fn client(&self) -> Client {
        self.client_with(&["http/1.1"], rustls::ALL_VERSIONS)
    }

    pub(crate) fn client_with(
        &self,
        alpn: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(self.leaf()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Client(Arc::new(config))
    }
}

/// What a client wants of TLS.
#[derive(Clone)]
pub(crate) struct Client(pub(crate) Arc<ClientConfig>);

impl Client {
    /// TLS on a connection, on which something may have been sent before.
    pub(crate) async fn on(&self, tcp: TcpStream) -> std::io::Result<Tcp<TlsStream<TcpStream>>> {
        let name = ServerName::try_from("localhost").unwrap();
        soon(TlsConnector::from(Arc::clone(&self.0)).connect(name, tcp)).await.map(Tcp)
    }

    pub(crate) async fn connect(&self, address: SocketAddr) -> std::io::Result<Tcp<TlsStream<TcpStream>>> {
        self.on(soon(TcpStream::connect(address)).await.unwrap()).await
    }

    pub(crate) async fn web_socket(&self, address: SocketAddr, path: &str) -> Ws<TlsStream<TcpStream>> {
        let tls = self.connect(address).await.unwrap();
        let uri = format!("wss://localhost:{}{path}", address.port()).parse().unwrap();
        let (ws, response) = soon(ClientBuilder::from_uri(uri).connect_on(tls.0)).await.unwrap();
        assert_eq!(response.status(), 101);
        Ws(ws)
    }
}
