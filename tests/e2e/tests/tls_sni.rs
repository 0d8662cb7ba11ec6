//! TLS listeners: certificates by SNI, ALPN, security policies, resumption, the handshake limit.

use std::{collections::HashSet, time::Duration};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, Target,
    ca::{ALL_VERSIONS, Certificate},
    forward,
    wait::{SOON, within},
};
use anyhow::Result;
use rustls::{
    ProtocolVersion,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::Instant};

async fn https(ca: &Ca, target: &Target) -> Result<Albeit> {
    let config = Config::try_new()?.with_group(Group::new("web", &[target.addr()])).with_https(ca)?;
    Albeit::start(config).await
}

fn leaf(certificate: &Certificate) -> Result<Vec<u8>> {
    Ok(CertificateDer::from_pem_file(&certificate.certificate)?.to_vec())
}

#[tokio::test]
async fn the_certificate_is_chosen_by_server_name() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::saying("ok")?;
    let config = Config::try_new()?.with_group(Group::new("web", &[target.addr()]));
    let first = ca.issue(config.dir(), "first", &["first.test"])?;
    let second = ca.issue(config.dir(), "second", &["second.test"])?;
    let wild = ca.issue(config.dir(), "wild", &["*.wild.test"])?;
    let listener = Listener::https(&["first", "second", "wild"], forward("web"))?;
    let config = config
        .with_certificate(first.clone())
        .with_certificate(second.clone())
        .with_certificate(wild.clone())
        .with_listener(listener);
    let albeit = Albeit::start(config).await?;

    let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    for (name, certificate) in
        [("first.test", &first), ("second.test", &second), ("SECOND.test", &second), ("a.wild.test", &wild)]
    {
        let mut client = Client::connect_tls(albeit.listener(0)?, name, tls.clone()).await?;
        assert_eq!(client.tls.take().expect("a TLS client").leaf, leaf(certificate)?, "{name}");
        assert_eq!(client.get("/").await?.status, 200, "{name}");
    }
    // An unknown name gets the default certificate, which does not fit it: the client refuses.
    let refused = Client::connect_tls(albeit.listener(0)?, "third.test", tls).await;
    let reason = format!("{:#}", refused.err().expect("the default certificate"));
    assert!(reason.contains("not valid for name"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn alpn_follows_the_client_and_without_it_http_1_1_is_spoken() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::saying("ok")?;
    let albeit = https(&ca, &target).await?;
    let chosen = async |offer: &[&str]| -> Result<Option<String>> {
        let client =
            Client::connect_tls(albeit.listener(0)?, "localhost", ca.client(offer, ALL_VERSIONS)?).await?;
        Ok(client.tls.and_then(|tls| tls.alpn))
    };
    assert_eq!(chosen(&["h2", "http/1.1"]).await?.as_deref(), Some("h2"));
    assert_eq!(chosen(&["http/1.1"]).await?.as_deref(), Some("http/1.1"));
    assert_eq!(chosen(&[]).await?, None);

    let mut client =
        Client::connect_tls(albeit.listener(0)?, "localhost", ca.client(&[], ALL_VERSIONS)?).await?;
    assert_eq!(client.get("/").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_tls_1_3_policy_refuses_tls_1_2() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::saying("ok")?;
    let config = Config::try_new()?.with_group(Group::new("web", &[target.addr()]));
    let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
    let listener = |policy: &str| -> Result<Listener> {
        Ok(Listener::https(&["localhost"], forward("web"))?.with("ssl_policy", policy))
    };
    let config = config
        .with_certificate(certificate)
        .with_listener(listener("ELBSecurityPolicy-TLS13-1-3-2021-06")?)
        .with_listener(listener("ELBSecurityPolicy-TLS13-1-2-Res-2021-06")?);
    let albeit = Albeit::start(config).await?;

    let tls12 = ca.client(&[], &[&rustls::version::TLS12])?;
    let refused = Client::connect_tls(albeit.listener(0)?, "localhost", tls12.clone()).await;
    assert!(format!("{:#}", refused.err().expect("TLS 1.2 is off")).contains("ProtocolVersion"));
    let version = async |listener: usize, config| -> Result<ProtocolVersion> {
        let client = Client::connect_tls(albeit.listener(listener)?, "localhost", config).await?;
        Ok(client.tls.expect("a TLS client").version)
    };
    assert_eq!(version(0, ca.client(&[], ALL_VERSIONS)?).await?, ProtocolVersion::TLSv1_3);
    assert_eq!(version(1, tls12).await?, ProtocolVersion::TLSv1_2);
    Ok(())
}

#[tokio::test]
async fn a_second_connection_resumes_the_session() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::saying("ok")?;
    let albeit = https(&ca, &target).await?;
    for (name, version) in [("1.3", &rustls::version::TLS13), ("1.2", &rustls::version::TLS12)] {
        let tls = ca.client(&["http/1.1"], &[version])?;
        let mut resumed = Vec::new();
        for connection in 0..2 {
            let mut client = Client::connect_tls(albeit.listener(0)?, "localhost", tls.clone()).await?;
            // Reading a response also reads the TLS 1.3 tickets that come before it.
            client.get(&format!("/resumption/{name}/{connection}")).await?;
            resumed.push(client.tls.is_some_and(|tls| tls.resumed));
        }
        assert_eq!(resumed, [false, true], "TLS {name}");
        let first = albeit.record(&format!("/resumption/{name}/0")).await?;
        assert!(first["chosen_cert_arn"].starts_with("arn:"), "{first:?}");
        let second = albeit.record(&format!("/resumption/{name}/1")).await?;
        assert_eq!(second["chosen_cert_arn"], "session-reused");
    }
    Ok(())
}

#[tokio::test]
async fn a_handshake_that_stalls_is_cut_after_10_s() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::saying("ok")?;
    let config = Config::try_new()?.with_group(Group::new("web", &[target.addr()])).with_https(&ca)?;
    // 10 s divided by 10.
    let albeit = Albeit::start(config.with_time_scale(10)).await?;
    let started = Instant::now();
    let mut silent = TcpStream::connect(albeit.listener(0)?).await?;
    let mut byte = [0];
    let got = within(SOON, "close of the silent connection", silent.read(&mut byte)).await?;
    let elapsed = started.elapsed();
    assert!(matches!(got, Ok(0) | Err(_)), "{got:?}");
    assert!((Duration::from_millis(900)..Duration::from_secs(4)).contains(&elapsed), "{elapsed:?}");
    Ok(())
}

#[tokio::test]
async fn plain_text_and_garbage_on_the_tls_port_close_and_the_next_client_is_served() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::saying("ok")?;
    let albeit = https(&ca, &target).await?;
    let garbage: Vec<u8> = (0..=255).cycle().skip(7).take(4096).collect();
    for bytes in
        [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), garbage, vec![0x16, 3, 1, 0xff, 0xff]]
    {
        let mut client = Client::connect(albeit.listener(0)?).await?;
        // The balancer may have closed while the bytes are still being sent.
        drop(client.send(&bytes).await);
        drop(client.finish_writing().await);
        client.closed().await?;
    }
    let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    let mut client = Client::connect_tls(albeit.listener(0)?, "localhost", tls).await?;
    assert_eq!(client.get("/").await?.status, 200);
    let failures = albeit.metrics().await?.cloudwatch("ClientTLSNegotiationErrorCount")?;
    assert!(failures >= 3.0, "{failures}");
    Ok(())
}

#[tokio::test]
async fn http_2_requests_share_a_connection_and_run_side_by_side() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::saying("ok")?;
    let albeit = https(&ca, &target).await?;
    let tls = ca.client(&["h2"], ALL_VERSIONS)?;
    let h2 = albeit_e2e::http2::Http2::connect(albeit.listener(0)?, "localhost", tls).await?;
    let uris: Vec<String> = (0..10).map(|n| format!("https://localhost/side-by-side/{n}")).collect();
    let responses = futures_util::future::join_all(uris.iter().map(|uri| h2.get(uri, &[]))).await;
    for response in responses {
        let response = response?;
        assert_eq!((response.status().as_u16(), response.body().as_ref()), (200, b"ok".as_slice()));
    }
    let paths: HashSet<String> = target.requests().iter().map(|request| request.path().to_owned()).collect();
    assert_eq!(paths.len(), 10);
    Ok(())
}
