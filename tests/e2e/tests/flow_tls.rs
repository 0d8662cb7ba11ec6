//! Flows of TLS listeners: certificates, TLS towards targets, failed handshakes, how TLS ends.

use std::{sync::Arc, time::Duration};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Listener, Target, TlsFront,
    access_log::{Log, Record},
    ca::{ALL_VERSIONS, Certificate},
    client::connect_tls,
    eventually,
    flow::{FlowTarget, connect, expect, metric, only_flow, records, to_end},
    forward, tls_front,
    wait::{SOON, within},
};
use anyhow::{Context as _, Result, ensure};
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::client::TlsStream;

fn leaf(certificate: &Certificate) -> Result<Vec<u8>> {
    Ok(CertificateDer::from_pem_file(&certificate.certificate)?.to_vec())
}

/// A TLS listener in front of `target`: the second listener.
async fn in_front_of(target: &FlowTarget, ca: &Ca) -> Result<Albeit> {
    Albeit::start(target.network()?.with_tls(ca)?).await
}

async fn only_connection(albeit: &Albeit) -> Result<Record> {
    records(albeit, Log::TlsConnection, 1).await?.pop().context("no record")
}

/// A flow through the TLS listener: the client's end, and the target's in clear text.
async fn flow(
    albeit: &Albeit,
    target: &FlowTarget,
    tls: Arc<ClientConfig>,
) -> Result<(TlsStream<tokio::net::TcpStream>, tokio::net::TcpStream)> {
    let (client, _) = connect_tls(albeit.listener(1)?, "localhost", tls).await?;
    Ok((client, target.accept().await?))
}

#[tokio::test]
async fn a_certificate_is_chosen_by_server_name_and_logged() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, Target::saying("ok")?);
    let mut config = Config::network(&[target.addr()])?;
    let names = ["first", "second"];
    let mut leaves = Vec::new();
    for name in names {
        let certificate = ca.issue(config.dir(), name, &[&format!("{name}.test")])?;
        leaves.push(leaf(&certificate)?);
        config = config.with_certificate(certificate);
    }
    let albeit = Albeit::start(config.with_listener(Listener::tls(&names, forward("flows"))?)).await?;
    let mut arns = Vec::new();
    for (count, (name, leaf)) in names.into_iter().zip(leaves).enumerate() {
        let name = format!("{name}.test");
        let tls = ca.client(&[], ALL_VERSIONS)?;
        let mut client = Client::connect_tls(albeit.listener(1)?, &name, tls).await?;
        assert_eq!(client.get("/").await?.status, 200);
        assert_eq!(client.tls.as_ref().context("a TLS client")?.leaf, leaf, "{name}");
        drop(client);
        let record = records(&albeit, Log::TlsConnection, count + 1).await?.pop().context("no record")?;
        assert_eq!(record["domain_name"], name);
        arns.push(record["chosen_cert_arn"].clone());
    }
    ensure!(arns[0] != arns[1] && arns.iter().all(|arn| arn.starts_with("arn:aws:acm:")), "{arns:?}");
    Ok(())
}

#[tokio::test]
async fn a_connection_has_a_line_of_22_fields_with_plausible_times() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, FlowTarget::start()?);
    let albeit = in_front_of(&target, &ca).await?;
    for version in [&TLS12, &TLS13] {
        let (mut client, mut upstream) = flow(&albeit, &target, ca.client(&[], &[version])?).await?;
        client.write_all(b"four").await?;
        expect(&mut upstream, b"four").await?;
        upstream.write_all(b"eleven here").await?;
        within(SOON, "bytes", client.read_exact(&mut [0; 11])).await??;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let records = records(&albeit, Log::TlsConnection, 2).await?;
    for record in &records {
        let (time, handshake) = (record.number("connection_time")?, record.number("tls_handshake_time")?);
        ensure!((300.0..15_000.0).contains(&time) && handshake < time, "{record:?}");
        ensure!(record["tls_connection_creation_time"] <= record["time"], "{record:?}");
        ensure!(record["time"].len() == "2020-04-01T08:51:42".len(), "{record:?}");
        ensure!(record["elb"].starts_with("net/e2e-alb/"), "{record:?}");
        ensure!(record["tls_keyexchange"] != "-" && record["tls_cipher"] != "-", "{record:?}");
        for (field, value) in [
            ("type", "tls"),
            ("version", "2.0"),
            ("destination:port", &albeit.listener(1)?.to_string()),
            ("received_bytes", "4"),
            ("sent_bytes", "11"),
            ("incoming_tls_alert", "-"),
            ("chosen_cert_serial", "-"),
            ("domain_name", "localhost"),
        ] {
            assert_eq!(record[field], value, "{field}");
        }
    }
    let versions: Vec<&str> = records.iter().map(|record| record["tls_protocol_version"].as_str()).collect();
    assert_eq!(versions, ["tlsv12", "tlsv13"]);
    metric(&albeit, "NewFlowCount_TLS", 2.0).await?;
    metric(&albeit, "ProcessedBytes_TLS", 30.0).await?;
    metric(&albeit, "NewFlowCount_TCP", 0.0).await
}

#[tokio::test]
async fn a_target_group_of_protocol_tls_is_spoken_to_in_tls_again() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, Target::saying("inside")?);
    let front = TlsFront::start(target.addr(), tls_front::untrustworthy(ALL_VERSIONS, &["h2", "http/1.1"])?)?;
    let mut config = Config::network(&[front.addr()])?.with_tls(&ca)?;
    config = config.map_group(|group| group.with("protocol", "TLS"));
    // A TCP listener cannot forward to it.
    config.listeners.remove(0);
    config.listeners = vec![config.listeners.remove(0).with("alpn_policy", "HTTP2Optional")];
    let albeit = Albeit::start(config).await?;
    let tls = ca.client(&["h2", "http/1.1"], ALL_VERSIONS)?;
    let mut client = Client::connect_tls(albeit.listener(0)?, "localhost", tls).await?;
    assert_eq!(client.get("/").await?.text(), "inside");
    drop(client);
    let handshakes = front.handshakes();
    ensure!(handshakes.iter().any(|handshake| handshake.alpn == ["http/1.1"]), "{handshakes:?}");
    let record = only_connection(&albeit).await?;
    assert_eq!(record["alpn_fe_protocol"], "http/1.1");
    assert_eq!(record["alpn_be_protocol"], "http/1.1");
    Ok(())
}

#[tokio::test]
async fn a_target_that_speaks_no_tls_costs_the_client_its_flow() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, FlowTarget::start()?);
    let mut config = target.network()?.with_tls(&ca)?;
    config = config.map_group(|group| group.with("protocol", "TLS"));
    config.listeners.remove(0);
    let albeit = Albeit::start(config).await?;
    let tls = ca.client(&[], ALL_VERSIONS)?;
    let (mut client, _) = connect_tls(albeit.listener(0)?, "localhost", tls).await?;
    target.accept().await?.write_all(b"220 ready\r\n").await?;
    let ended = within(SOON, "a reset", client.read(&mut [0; 64])).await?;
    assert_eq!(ended.map_err(|error| error.kind()), Err(std::io::ErrorKind::ConnectionReset));
    assert_eq!(only_flow(&albeit).await?["close_reason"], "target_tls_error");
    metric(&albeit, "TargetTLSNegotiationErrorCount", 1.0).await
}

/// That a handshake that failed left a line without what was never agreed on.
async fn is_refused_in_the_log(albeit: &Albeit, server_name: &str) -> Result<Record> {
    let record = only_connection(albeit).await?;
    for field in
        ["tls_cipher", "tls_protocol_version", "tls_keyexchange", "tls_handshake_time", "alpn_fe_protocol"]
    {
        assert_eq!(record[field], "-", "{field}");
    }
    assert_eq!(record["domain_name"], server_name);
    let flow = only_flow(albeit).await?;
    assert_eq!((flow["close_reason"].as_str(), flow["target:port"].as_str()), ("client_tls_error", "-"));
    metric(albeit, "ClientTLSNegotiationErrorCount", 1.0).await?;
    metric(albeit, "ActiveFlowCount_TLS", 0.0).await?;
    Ok(record)
}

#[tokio::test]
async fn a_version_that_the_policy_lacks_is_refused_and_logged() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, FlowTarget::start()?);
    let mut config = target.network()?.with_tls(&ca)?;
    let listener = config.listeners.remove(1).with("ssl_policy", "ELBSecurityPolicy-TLS13-1-3-2021-06");
    let albeit = Albeit::start(config.with_listener(listener)).await?;
    let refused = connect_tls(albeit.listener(1)?, "localhost", ca.client(&[], &[&TLS12])?).await;
    let reason = format!("{:#}", refused.err().context("agreed")?);
    ensure!(reason.contains("ProtocolVersion"), "{reason}");
    is_refused_in_the_log(&albeit, "localhost").await?;
    Ok(())
}

#[tokio::test]
async fn a_client_that_trusts_nothing_leaves_its_alert_in_the_log() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, FlowTarget::start()?);
    let albeit = in_front_of(&target, &ca).await?;
    let stranger = Ca::try_new()?.client(&[], &[&TLS12])?;
    ensure!(connect_tls(albeit.listener(1)?, "localhost", stranger).await.is_err());
    let record = is_refused_in_the_log(&albeit, "localhost").await?;
    // unknown_ca, or bad_certificate since the two authorities have the same name.
    ensure!(["42", "48", "51"].contains(&record["incoming_tls_alert"].as_str()), "{record:?}");
    ensure!(record["chosen_cert_arn"].starts_with("arn:aws:acm:"), "{record:?}");
    Ok(())
}

#[tokio::test]
async fn plain_http_gets_no_further_than_the_handshake() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, FlowTarget::start()?);
    let albeit = in_front_of(&target, &ca).await?;
    let mut client = Client::connect(albeit.listener(1)?).await?;
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let answer = client.closed().await?;
    ensure!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let record = is_refused_in_the_log(&albeit, "-").await?;
    assert_eq!((record["received_bytes"].as_str(), record["sent_bytes"].as_str()), ("0", "0"));
    Ok(())
}

#[tokio::test]
async fn a_client_that_says_nothing_has_ten_seconds_for_its_handshake() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, FlowTarget::start()?);
    let albeit = Albeit::start(target.network()?.with_tls(&ca)?.with_time_scale(10)).await?;
    let mut client = Client::connect(albeit.listener(1)?).await?;
    assert_eq!(client.closed().await?, b"");
    let record = is_refused_in_the_log(&albeit, "-").await?;
    ensure!((1000.0..2500.0).contains(&record.number("connection_time")?), "{record:?}");
    Ok(())
}

#[tokio::test]
async fn a_new_certificate_serves_new_flows_and_leaves_open_ones_alone() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, FlowTarget::start()?);
    let mut albeit = in_front_of(&target, &ca).await?;
    let (mut client, mut upstream) = flow(&albeit, &target, ca.client(&[], ALL_VERSIONS)?).await?;
    let new = leaf(&ca.issue(albeit.config.dir(), "localhost", &["localhost"])?)?;
    albeit.reload(albeit.config.clone()).await?;
    eventually(SOON, "the new certificate", || async {
        let tls = ca.client(&[], ALL_VERSIONS)?;
        let (_client, negotiated) = connect_tls(albeit.listener(1)?, "localhost", tls).await?;
        ensure!(negotiated.leaf == new, "still the old one");
        Ok(())
    })
    .await?;
    client.write_all(b"still here").await?;
    expect(&mut upstream, b"still here").await
}

#[tokio::test]
async fn tls_passes_on_the_end_of_either_stream_alone() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, FlowTarget::start()?);
    let albeit = in_front_of(&target, &ca).await?;
    for version in [&TLS12, &TLS13] {
        let (mut client, mut upstream) = flow(&albeit, &target, ca.client(&[], &[version])?).await?;
        client.write_all(b"last words").await?;
        client.shutdown().await?;
        assert_eq!(to_end(&mut upstream).await?, b"last words");
        upstream.write_all(b"and yet more").await?;
        drop(upstream);
        let mut rest = Vec::new();
        // An end without close_notify would be an error here.
        within(SOON, "the end", client.read_to_end(&mut rest)).await??;
        assert_eq!(rest, b"and yet more");
    }
    for record in records(&albeit, Log::Flow, 2).await? {
        assert_eq!(record["close_reason"], "client_fin");
    }
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_client_without_close_notify_is_an_end() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, FlowTarget::start()?);
    let albeit = in_front_of(&target, &ca).await?;
    let (mut client, mut upstream) = flow(&albeit, &target, ca.client(&[], ALL_VERSIONS)?).await?;
    client.write_all(b"cut short").await?;
    client.flush().await?;
    client.get_mut().0.shutdown().await?;
    assert_eq!(to_end(&mut upstream).await?, b"cut short");
    drop(upstream);
    assert_eq!(only_flow(&albeit).await?["close_reason"], "client_fin");
    // And one without a handshake is none of a handshake.
    drop(connect(albeit.listener(1)?).await?);
    let records = records(&albeit, Log::Flow, 2).await?;
    assert_eq!(records[1]["close_reason"], "client_tls_error");
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_tls_target_without_close_notify_costs_a_slow_client_nothing() -> Result<()> {
    const LENGTH: usize = 3_000_000;
    let (ca, target) = (Ca::try_new()?, FlowTarget::start()?);
    let mut config = target.network()?.with_tls(&ca)?;
    config = config.map_group(|group| group.with("protocol", "TLS"));
    config.listeners.remove(0);
    let albeit = Albeit::start(config).await?;
    let tls = ca.client(&[], ALL_VERSIONS)?;
    let (client, accepted) =
        tokio::join!(connect_tls(albeit.listener(0)?, "localhost", tls), target.accept());
    let (mut client, _) = client?;
    let acceptor = tokio_rustls::TlsAcceptor::from(tls_front::untrustworthy(ALL_VERSIONS, &[])?);
    let mut served = within(SOON, "a handshake", acceptor.accept(accepted?)).await??;
    let sending = async {
        served.write_all(&vec![b'x'; LENGTH]).await?;
        served.flush().await?;
        // The TCP connection ends, and nothing in TLS says so.
        served.get_mut().0.shutdown().await?;
        std::io::Result::Ok(())
    };
    let reading = async {
        let mut read = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        while let Ok(length) = client.read(&mut piece).await {
            if length == 0 {
                break;
            }
            read.extend_from_slice(&piece[..length]);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        read.len()
    };
    let (sent, read) = within(SOON, "all bytes", async { tokio::join!(sending, reading) }).await?;
    sent?;
    assert_eq!(read, LENGTH);
    drop(client);
    assert_eq!(only_flow(&albeit).await?["close_reason"], "target_fin");
    metric(&albeit, "TCP_Target_Reset_Count", 0.0).await
}
