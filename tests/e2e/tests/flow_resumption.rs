//! Sessions of TLS listeners: resumed by tickets alone, and only where there is one certificate.

use albeit_e2e::{Albeit, Ca, Client, Config, Listener, Target, forward};
use anyhow::Result;
use rustls::version::{TLS12, TLS13};

/// Whether each of two connections, one after the other, resumed a session.
async fn resumed(
    albeit: &Albeit,
    ca: &Ca,
    version: &'static rustls::SupportedProtocolVersion,
) -> Result<[bool; 2]> {
    let tls = ca.client(&[], &[version])?;
    let mut resumed = [false; 2];
    for resumed in &mut resumed {
        let mut client = Client::connect_tls(albeit.listener(0)?, "localhost", tls.clone()).await?;
        // Reading a response also reads the TLS 1.3 tickets that come before it.
        client.get("/").await?;
        *resumed = client.tls.is_some_and(|tls| tls.resumed);
    }
    Ok(resumed)
}

#[tokio::test]
async fn only_a_listener_with_one_certificate_resumes_sessions() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, Target::saying("ok")?);
    for names in [&["localhost"][..], &["localhost", "other.test"]] {
        let mut config = Config::network(&[target.addr()])?;
        config.listeners = vec![Listener::tls(names, forward("flows"))?];
        for name in names {
            let certificate = ca.issue(config.dir(), name, &[name])?;
            config = config.with_certificate(certificate);
        }
        let albeit = Albeit::start(config).await?;
        for version in [&TLS13, &TLS12] {
            assert_eq!(
                resumed(&albeit, &ca, version).await?,
                [false, names.len() == 1],
                "{names:?} {version:?}"
            );
        }
    }
    Ok(())
}
