//! Mutual TLS: passthrough, verify, trust stores, revocation, what targets are told; files read again.

use std::{fs, path::Path};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, Target,
    ca::ALL_VERSIONS,
    client_certificate::{Authority, ClientCertificate, PresentingClient},
    eventually, forward,
    http2::Http2,
    process,
    wait::SOON,
};
use anyhow::{Result, ensure};
use rcgen::{CertificateParams, DnType, SerialNumber, date_time_ymd};
use rustls::{
    SupportedProtocolVersion,
    version::{TLS12, TLS13},
};
use serde_json::{Value, json};

const HEADERS: [&str; 6] = [
    "x-amzn-mtls-clientcert",
    "x-amzn-mtls-clientcert-serial-number",
    "x-amzn-mtls-clientcert-issuer",
    "x-amzn-mtls-clientcert-subject",
    "x-amzn-mtls-clientcert-validity",
    "x-amzn-mtls-clientcert-leaf",
];

struct Setup {
    ca: Ca,
    target: Target,
    config: Config,
}

impl Setup {
    /// A balancer's configuration with one HTTPS listener that has these settings, and a trust store `staff`.
    fn try_new(mutual_authentication: Value, trusted: &str, revocations: Option<&str>) -> Result<Self> {
        let (ca, target) = (Ca::try_new()?, Target::saying("ok")?);
        let mut config = Config::try_new()?.with_group(Group::new("web", &[target.addr()]));
        let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
        let bundle = config.dir().join("bundle.pem");
        fs::write(&bundle, trusted)?;
        let mut store = json!({ "name": "staff", "ca_certificates_bundle": bundle });
        if let (Some(list), Some(store)) = (revocations, store.as_object_mut()) {
            let path = config.dir().join("revoked.crl");
            fs::write(&path, list)?;
            store.insert("revocation_lists".to_owned(), json!([path]));
        }
        config.trust_stores = vec![store];
        let listener = Listener::https(&["localhost"], forward("web"))?
            .with("mutual_authentication", mutual_authentication);
        let config = config.with_certificate(certificate).with_listener(listener);
        Ok(Self { ca, target, config })
    }

    async fn start(&self) -> Result<Albeit> {
        Albeit::start(self.config.clone()).await
    }

    fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        certificate: Option<&ClientCertificate>,
    ) -> Result<PresentingClient> {
        PresentingClient::try_new(&self.ca, &["http/1.1"], versions, certificate)
    }

    async fn connect(&self, albeit: &Albeit, certificate: Option<&ClientCertificate>) -> Result<Client> {
        let tls = self.client(ALL_VERSIONS, certificate)?.config;
        Client::connect_tls(albeit.listener(0)?, "localhost", tls).await
    }

    /// Whether a request with this certificate is answered, in TLS 1.3 where refusal shows after the handshake.
    async fn is_served(&self, albeit: &Albeit, certificate: Option<&ClientCertificate>) -> Result<bool> {
        let Ok(mut client) = self.connect(albeit, certificate).await else {
            return Ok(false);
        };
        Ok(client.get("/served").await.is_ok_and(|response| response.status == 200))
    }
}

fn verify() -> Value {
    json!({ "mode": "verify", "trust_store": "staff" })
}

fn with_serial(serial: u64) -> impl FnOnce(&mut CertificateParams) {
    move |params| params.serial_number = Some(SerialNumber::from(serial))
}

/// PEM as headers have it.
fn encoded(pem: &str) -> String {
    pem.replace("\r\n", "\n").replace(' ', "%20").replace('\n', "%0A")
}

#[tokio::test]
async fn passthrough_sends_the_whole_chain() -> Result<()> {
    let root = Authority::root("root")?;
    let middle = root.intermediate("middle")?;
    let client = middle.issue("client", |_| {})?;
    let setup = Setup::try_new(json!({ "mode": "passthrough" }), root.pem(), None)?;
    let albeit = setup.start().await?;
    let expected = encoded(&client.pem) + &encoded(middle.pem());
    let spoofed =
        HEADERS.iter().flat_map(|name| [(*name).to_owned(), name.replace('-', "_"), name.replace('-', ".")]);
    let spoofed: Vec<String> = spoofed.map(|name| format!("{name}: spoofed")).collect();
    let spoofed: Vec<&str> = spoofed.iter().map(String::as_str).collect();

    let mut connection = setup.connect(&albeit, Some(&client)).await?;
    for requests in [1, 2] {
        connection.get_with("/", &spoofed).await?;
        let seen = setup.target.request(requests).await?;
        assert_eq!(seen.header(HEADERS[0])?, expected);
        assert!(seen.head.contains("\r\nX-Amzn-Mtls-Clientcert: "), "{:?}", seen.head);
        assert!(!seen.head.contains("spoofed"), "{:?}", seen.head);
    }
    let tls = PresentingClient::try_new(&setup.ca, &["h2"], ALL_VERSIONS, Some(&client))?.config;
    let h2 = Http2::connect(albeit.listener(0)?, "localhost", tls).await?;
    h2.get("https://localhost/", &[(HEADERS[0], "spoofed")]).await?;
    assert_eq!(setup.target.request(3).await?.header(HEADERS[0])?, expected);

    // Without a certificate there is nothing to pass, and nothing to spoof.
    let mut connection = setup.connect(&albeit, None).await?;
    assert_eq!(connection.get_with("/", &spoofed).await?.status, 200);
    let seen = setup.target.request(4).await?;
    assert!(!seen.head.to_lowercase().contains("mtls"), "{:?}", seen.head);
    Ok(())
}

#[tokio::test]
async fn passthrough_verifies_nothing() -> Result<()> {
    let setup = Setup::try_new(json!({ "mode": "passthrough" }), Authority::root("root")?.pem(), None)?;
    let albeit = setup.start().await?;
    let expired = Authority::root("stranger")?.issue("client", |params| {
        params.not_after = date_time_ymd(2024, 1, 1);
    })?;
    assert!(setup.is_served(&albeit, Some(&expired)).await?);
    Ok(())
}

#[tokio::test]
async fn verify_describes_the_certificate_as_openssl_does() -> Result<()> {
    let root = Authority::root("root, of all")?;
    let client = root.issue("client \"ë\"", |params| {
        params.distinguished_name.push(DnType::OrganizationalUnitName, "a+b");
        params.serial_number = Some(SerialNumber::from_slice(&[0xfe, 0xf2, 0x57, 0x01]));
        params.not_before = date_time_ymd(2023, 9, 21);
        params.not_after = date_time_ymd(2053, 9, 20);
    })?;
    let setup = Setup::try_new(verify(), root.pem(), None)?;
    let albeit = setup.start().await?;
    for (requests, version) in [&TLS13, &TLS12].into_iter().enumerate() {
        let tls = setup.client(&[version], Some(&client))?.config;
        let mut connection = Client::connect_tls(albeit.listener(0)?, "localhost", tls).await?;
        connection.get_with("/", &["X-Amzn-Mtls-Clientcert: spoofed"]).await?;
        let seen = setup.target.request(requests + 1).await?;
        assert!(seen.headers(HEADERS[0]).is_empty(), "{:?}", seen.head);
        assert_eq!(seen.header(HEADERS[1])?, "FEF25701");
        assert_eq!(seen.header(HEADERS[2])?, r"CN=root\, of all,O=Staff");
        assert_eq!(seen.header(HEADERS[3])?, r#"OU=a\+b,CN=client \"\C3\AB\""#);
        assert_eq!(seen.header(HEADERS[4])?, "NotBefore=2023-09-21T00:00:00Z;NotAfter=2053-09-20T00:00:00Z");
        assert_eq!(seen.header(HEADERS[5])?, encoded(&client.pem));
    }
    let openssl = Path::new("/usr/bin/openssl");
    if openssl.exists() {
        fs::write(setup.config.dir().join("leaf.pem"), &client.pem)?;
        let args =
            ["x509", "-in", "leaf.pem", "-noout", "-subject", "-issuer", "-serial", "-nameopt", "RFC2253"];
        let output = process::run(openssl, args, setup.config.dir()).await?;
        let seen = setup.target.request(1).await?;
        let expected = format!(
            "subject={}\nissuer={}\nserial={}\n",
            seen.header(HEADERS[3])?,
            seen.header(HEADERS[2])?,
            seen.header(HEADERS[1])?
        );
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_cannot_be_verified_is_refused_by_tls() -> Result<()> {
    let (root, stranger) = (Authority::root("root")?, Authority::root("root")?);
    let setup = Setup::try_new(verify(), root.pem(), Some(&root.revoke(&[7])?))?;
    let albeit = setup.start().await?;
    let good = root.issue("client", |_| {})?;
    assert!(setup.is_served(&albeit, Some(&good)).await?);
    let expired = root.issue("client", |params| params.not_after = date_time_ymd(2024, 1, 1))?;
    let early = root.issue("client", |params| params.not_before = date_time_ymd(2053, 1, 1))?;
    let revoked = root.issue("client", with_serial(7))?;
    let unknown = stranger.issue("client", |_| {})?;
    let large = root.issue(&"x".repeat(70_000), |_| {})?;
    let cases = [
        (None, "UnmappedConnectionError"),
        (Some(&expired), "ClientCertExpired"),
        (Some(&early), "ClientCertNotYetValid"),
        (Some(&revoked), "ClientCertCrlHit"),
        (Some(&unknown), "ClientCertUntrusted"),
        (Some(&large), "ClientCertMaxSizeExceeded"),
    ];
    for (certificate, status) in cases {
        assert!(!setup.is_served(&albeit, certificate).await?, "{status}");
        eventually(SOON, status, || async {
            let stderr = albeit.process.stderr();
            ensure!(stderr.contains(&format!("Failed:{status}")), "{stderr}");
            Ok(())
        })
        .await?;
    }
    // A handshake that fails is counted, but is no request.
    let metrics = albeit.metrics().await?;
    assert!((metrics.cloudwatch("ClientTLSNegotiationErrorCount")? - 6.0).abs() < 0.1);
    assert_eq!(albeit.records("/served", 1).await?.len(), 1);
    assert_eq!(setup.target.requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn expiry_can_be_forgiven() -> Result<()> {
    let root = Authority::root("root")?;
    let settings =
        json!({ "mode": "verify", "trust_store": "staff", "ignore_client_certificate_expiry": true });
    let setup = Setup::try_new(settings, root.pem(), Some(&root.revoke(&[7])?))?;
    let albeit = setup.start().await?;
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2024, 1, 1);
    assert!(setup.is_served(&albeit, Some(&root.issue("client", expired)?)).await?);
    let revoked = root.issue("client", |params| {
        expired(params);
        with_serial(7)(params);
    })?;
    assert!(!setup.is_served(&albeit, Some(&revoked)).await?);
    Ok(())
}

#[tokio::test]
async fn names_of_authorities_are_sent_only_when_told() -> Result<()> {
    let root = Authority::root("root")?;
    let client = root.issue("client", |_| {})?;
    for (advertise, expected) in [("off", 0), ("on", 1)] {
        let settings = json!({
            "mode": "verify", "trust_store": "staff", "advertise_trust_store_ca_names": advertise,
        });
        let setup = Setup::try_new(settings, root.pem(), None)?;
        let albeit = setup.start().await?;
        for version in [&TLS13, &TLS12] {
            let tls = setup.client(&[version], Some(&client))?;
            Client::connect_tls(albeit.listener(0)?, "localhost", tls.config.clone()).await?;
            assert_eq!(tls.authorities().map(|names| names.len()), Some(expected), "{advertise}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn sessions_are_not_resumed() -> Result<()> {
    let root = Authority::root("root")?;
    let client = root.issue("client", |_| {})?;
    for settings in [json!({ "mode": "passthrough" }), verify()] {
        let setup = Setup::try_new(settings, root.pem(), None)?;
        // A ticket of a listener without mutual TLS opens no other.
        let other = Listener::https(&["localhost"], forward("web"))?;
        let albeit = Albeit::start(setup.config.clone().with_listener(other)).await?;
        for version in [&TLS13, &TLS12] {
            let tls = setup.client(&[version], Some(&client))?.config;
            for (listener, resumed) in [(0, false), (0, false), (1, false), (1, true), (0, false)] {
                let address = albeit.listener(listener)?;
                let mut connection = Client::connect_tls(address, "localhost", tls.clone()).await?;
                assert_eq!(connection.get("/").await?.status, 200);
                assert_eq!(connection.tls.map(|tls| tls.resumed), Some(resumed), "listener {listener}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_listener_can_rename_the_headers() -> Result<()> {
    let root = Authority::root("root")?;
    let client = root.issue("client", with_serial(0x0003_a5b1))?;
    let mut setup = Setup::try_new(verify(), root.pem(), None)?;
    let names = json!({
        "routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name": "Client-Serial",
        "routing.http.request.x_amzn_mtls_clientcert_subject.header_name": "Client_Subject",
    });
    let listeners = std::mem::take(&mut setup.config.listeners);
    setup.config.listeners = listeners.into_iter().map(|it| it.with("attributes", names.clone())).collect();
    let albeit = setup.start().await?;
    let mut connection = setup.connect(&albeit, Some(&client)).await?;
    let spoofed = [
        "client-serial: spoofed",
        "Client_Serial: spoofed",
        "X-Amzn-Mtls-Clientcert-Subject: spoofed",
        "X_Amzn_Mtls_Clientcert_Subject: spoofed",
    ];
    connection.get_with("/", &spoofed).await?;
    let seen = setup.target.request(1).await?;
    assert!(seen.head.contains("\r\nClient-Serial: 03A5B1\r\n"), "{:?}", seen.head);
    assert!(seen.head.contains("\r\nClient_Subject: CN=client\r\n"), "{:?}", seen.head);
    assert!(seen.headers(HEADERS[3]).is_empty() && !seen.head.contains("spoofed"), "{:?}", seen.head);
    Ok(())
}

#[tokio::test]
async fn changed_files_are_read_without_being_told() -> Result<()> {
    let (old, new) = (Authority::root("old")?, Authority::root("new")?);
    let setup = Setup::try_new(verify(), old.pem(), Some(&old.revoke(&[])?))?;
    let albeit = setup.start().await?;
    let theirs = old.issue("client", with_serial(7))?;
    let ours = new.issue("client", |_| {})?;
    let mut open = setup.connect(&albeit, Some(&theirs)).await?;
    assert_eq!(open.get("/").await?.status, 200);
    assert!(!setup.is_served(&albeit, Some(&ours)).await?);
    let becomes = async |certificate: &ClientCertificate, served: bool| {
        eventually(SOON, "the new files", || async {
            ensure!(setup.is_served(&albeit, Some(certificate)).await? == served, "still the old ones");
            Ok(())
        })
        .await
    };

    // A trust store, then a revocation list, then a server certificate with its key.
    fs::write(setup.config.dir().join("bundle.pem"), format!("{}{}", old.pem(), new.pem()))?;
    becomes(&ours, true).await?;
    fs::write(setup.config.dir().join("revoked.crl"), old.revoke(&[7])?)?;
    becomes(&theirs, false).await?;
    let shown = async || -> Result<Vec<u8>> {
        let connection = setup.connect(&albeit, Some(&ours)).await?;
        Ok(connection.tls.map(|tls| tls.leaf).unwrap_or_default())
    };
    let before = shown().await?;
    setup.ca.issue(setup.config.dir(), "localhost", &["localhost"])?;
    eventually(SOON, "the new certificate", || async {
        ensure!(shown().await? != before, "still the old one");
        Ok(())
    })
    .await?;
    assert_eq!(open.get("/").await?.status, 200, "open connections go on");
    let reloads = albeit.metrics().await?.sum("albeit_config_reloads_total", "");
    assert!((reloads - 3.0).abs() < 0.1, "{reloads}");
    Ok(())
}

#[tokio::test]
async fn what_only_passed_through_is_never_taken_for_verified() -> Result<()> {
    let root = Authority::root("root")?;
    let stranger = Authority::root("stranger")?.issue("boss", |_| {})?;
    let setup = Setup::try_new(json!({ "mode": "passthrough" }), root.pem(), None)?;
    let mut albeit = setup.start().await?;
    let mut open = setup.connect(&albeit, Some(&stranger)).await?;
    open.get("/before").await?;
    assert!(!setup.target.request(1).await?.headers(HEADERS[0]).is_empty());

    let mut config = setup.config.clone();
    let listeners = std::mem::take(&mut config.listeners);
    config.listeners = listeners.into_iter().map(|it| it.with("mutual_authentication", verify())).collect();
    albeit.reload(config).await?;
    eventually(SOON, "verification", || async {
        ensure!(!setup.is_served(&albeit, Some(&stranger)).await?, "still passthrough");
        Ok(())
    })
    .await?;
    open.get_with("/after", &["X-Amzn-Mtls-Clientcert-Subject: CN=boss"]).await?;
    let requests = setup.target.requests();
    let seen = requests.iter().find(|request| request.path() == "/after");
    assert!(seen.is_some_and(|seen| !seen.head.to_lowercase().contains("mtls")), "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn a_broken_file_changes_nothing() -> Result<()> {
    let root = Authority::root("root")?;
    let client = root.issue("client", |_| {})?;
    let setup = Setup::try_new(verify(), root.pem(), None)?;
    let albeit = setup.start().await?;
    fs::write(setup.config.dir().join("bundle.pem"), "no certificate")?;
    let failures = async || -> Result<f64> {
        Ok(albeit.metrics().await?.sum("albeit_config_reload_failures_total", ""))
    };
    eventually(SOON, "the refusal", || async {
        ensure!(failures().await? > 0.5, "not yet");
        Ok(())
    })
    .await?;
    assert!(setup.is_served(&albeit, Some(&client)).await?);
    let stderr = albeit.process.stderr();
    assert!(stderr.contains("trust_stores[0].ca_certificates_bundle: trust store"), "{stderr}");
    assert!(stderr.contains("holds no PEM certificate"), "{stderr}");

    // Mended, with another authority: it is the one that counts now.
    let other = Authority::root("other")?;
    fs::write(setup.config.dir().join("bundle.pem"), other.pem())?;
    eventually(SOON, "the mended file", || async {
        ensure!(!setup.is_served(&albeit, Some(&client)).await?, "still the old one");
        Ok(())
    })
    .await?;
    // The broken file was tried once.
    assert!((failures().await? - 1.0).abs() < 0.1);
    Ok(())
}

#[tokio::test]
async fn a_broken_trust_store_keeps_the_balancer_from_starting() -> Result<()> {
    let setup = Setup::try_new(verify(), "no certificate", None)?;
    setup.config.write()?;
    let binary = albeit_e2e::albeit::binary()?;
    let output = process::run(&binary, ["run", "-c", "albeit.yaml"], setup.config.dir()).await?;
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("trust_stores[0].ca_certificates_bundle: "), "{stderr}");
    Ok(())
}
