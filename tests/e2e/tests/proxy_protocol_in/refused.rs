//! Connections that are closed for want of a good header, and what is counted;
//! connections that nobody looks into.

use std::net::SocketAddr;

use albeit_e2e::{
    Albeit, Client, Config, Group, Listener, LoadBalancer, Target,
    client::connect_and_reset,
    eventually, forward,
    proxy_protocol::{SIGNATURE, v1, v2, v2_of},
    wait::SOON,
};
use anyhow::{Result, ensure};
use tokio::time::Instant;

use super::{CLIENT, TRUSTED};

/// An HTTP listener of an application load balancer and a TCP listener of a network load balancer.
struct Site {
    albeit: Albeit,
    target: Target,
}

impl Site {
    async fn start(mode: &str, time_scale: u32) -> Result<Self> {
        let target = Target::saying("ok")?;
        let flows = Listener::tcp(forward("flows"))?.believing(mode, TRUSTED);
        let mut config = Config::forwarding_to(&[target.addr()])?
            .map_listeners(|listener| listener.believing(mode, TRUSTED))
            .with_group(Group::tcp("flows", &[target.addr()]))
            .with_load_balancer(LoadBalancer::new("network", "network", vec![flows]))
            .with_time_scale(time_scale);
        // Longer than any header may take.
        config.drain = "1m".to_owned();
        Ok(Self { albeit: Albeit::start(config).await?, target })
    }

    fn listeners(&self) -> Result<[SocketAddr; 2]> {
        Ok([self.albeit.listener(0)?, self.albeit.config.others[0].listeners[0].addr()])
    }

    /// Waits until as many connections of each listener are counted under `reason`, and none under another.
    async fn counted(&self, reason: &str, count: u32) -> Result<()> {
        let [http, tcp] = self.listeners()?;
        let listeners = [format!("HTTP:{}", http.port()), format!("TCP:{}", tcp.port())];
        eventually(SOON, &format!("{count} {reason}"), || async {
            let metrics = self.albeit.metrics().await?;
            for (listener, other) in listeners.iter().flat_map(|it| REASONS.map(|reason| (it, reason))) {
                let name = format!("albeit_proxy_protocol_{other}_total");
                let seen = metrics.sum(&name, &format!("listener=\"{listener}\""));
                let expected = if other == reason { f64::from(count) } else { 0.0 };
                // Counted in ones.
                ensure!((seen - expected).abs() < 0.5, "{name} of {listener} is {seen}");
            }
            let rejected = metrics.network_cloudwatch("RejectedFlowCount")?;
            ensure!((rejected - f64::from(count)).abs() < 0.5, "{rejected} rejected flows");
            Ok(())
        })
        .await
    }
}

const REASONS: [&str; 4] = ["malformed", "missing", "untrusted", "timeout"];
const REQUEST: &str = "GET /refused HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A header that is right.
fn good() -> Result<Vec<u8>> {
    Ok(v2("192.0.2.7:1001".parse()?, "198.51.100.9:443".parse()?))
}

/// A header of version 2 with this after its addresses.
fn with_tlvs(tlvs: &[u8]) -> Result<Vec<u8>> {
    let good = good()?;
    Ok(v2_of(0x21, 0x11, &[good.get(SIGNATURE.len() + 4..).unwrap_or_default(), tlvs].concat()))
}

#[tokio::test]
async fn a_malformed_header_closes_the_connection() -> Result<()> {
    let malformed: Vec<Vec<u8>> = vec![
        b"PROXY TCP5 192.0.2.7 198.51.100.9 1001 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.9 1001 443\n\r\n".to_vec(),
        [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 100]].concat(),
        b"PROXY TCP4 192.0.2.7 198.51.100.9 1001\r\n".to_vec(),
        b"PROXY TCP4  192.0.2.7 198.51.100.9 1001 443\r\n".to_vec(),
        b"PROXY TCP4 2001:db8::7 2001:db8::9 1001 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.9 1001 65536\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.9 01001 443\r\n".to_vec(),
        v2_of(0x31, 0x11, &[0; 12]),
        v2_of(0x22, 0x11, &[0; 12]),
        v2_of(0x21, 0x41, &[0; 12]),
        v2_of(0x21, 0x13, &[0; 12]),
        v2_of(0x21, 0x11, &[0; 4096]),
        v2_of(0x21, 0x11, &[0; 11]),
        v2_of(0x21, 0x21, &[0; 35]),
        with_tlvs(&[0x04, 0, 1])?,
        with_tlvs(&[0x03, 0, 2, 0, 0])?,
        with_tlvs(&[0x03, 0, 4, 1, 2, 3, 4])?,
    ];
    for mode in ["required", "optional"] {
        let site = Site::start(mode, 1).await?;
        for listener in site.listeners()? {
            for header in &malformed {
                let mut client = Client::connect(listener).await?;
                client.send([header, REQUEST.as_bytes()].concat()).await?;
                let bytes = client.closed().await?;
                ensure!(bytes.is_empty(), "{} gets {}", header.escape_ascii(), bytes.escape_ascii());
            }
        }
        site.counted("malformed", u32::try_from(malformed.len())?).await?;
        assert_eq!(site.target.requests().len(), 0);
    }
    Ok(())
}

#[tokio::test]
async fn where_headers_are_required_a_connection_without_one_is_closed() -> Result<()> {
    let site = Site::start("required", 1).await?;
    for listener in site.listeners()? {
        let mut client = Client::connect(listener).await?;
        client.send(REQUEST).await?;
        assert!(client.closed().await?.is_empty());
        // Half a header, and then the end.
        let mut client = Client::connect(listener).await?;
        client.send("PROXY TCP4 192.0.2.7").await?;
        client.finish_writing().await?;
        assert!(client.closed().await?.is_empty());
    }
    site.counted("missing", 2).await?;
    assert_eq!(site.target.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn where_headers_are_required_only_those_of_trusted_peers_are_believed() -> Result<()> {
    let site = Site::start("required", 1).await?;
    for listener in site.listeners()? {
        let mut client = Client::connect_from(CLIENT, listener).await?;
        client.send([good()?, REQUEST.into()].concat()).await?;
        assert!(client.closed().await?.is_empty());
    }
    site.counted("untrusted", 1).await?;
    assert_eq!(site.target.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_header_that_does_not_end_in_time_closes_the_connection() -> Result<()> {
    // Ten seconds, divided by it.
    let site = Site::start("required", 40).await?;
    for listener in site.listeners()? {
        let mut silent = Client::connect(listener).await?;
        let mut slow = Client::connect(listener).await?;
        slow.send(good()?.get(..20).unwrap_or_default()).await?;
        assert!(silent.closed().await?.is_empty());
        assert!(slow.closed().await?.is_empty());
    }
    site.counted("timeout", 2).await?;

    let site = Site::start("optional", 40).await?;
    for listener in site.listeners()? {
        let mut slow = Client::connect(listener).await?;
        slow.send("PROXY TCP4 192.0.2.7").await?;
        assert!(slow.closed().await?.is_empty());
    }
    site.counted("timeout", 1).await
}

#[tokio::test]
async fn once_the_listener_goes_nobody_waits_for_headers() -> Result<()> {
    let mut site = Site::start("required", 1).await?;
    let mut silent = Vec::new();
    for listener in site.listeners()? {
        silent.push(Client::connect(listener).await?);
        // Connections are taken in the order they come in.
        let mut client = Client::connect(listener).await?;
        client.send([good()?, REQUEST.into()].concat()).await?;
        assert_eq!(client.response().await?.status, 200);
    }
    let began = Instant::now();
    let status = site.albeit.stop().await?;
    assert!(status.success(), "{status}");
    // The ten seconds that they would have had otherwise were not waited for.
    assert!(began.elapsed().as_secs() < 8, "{:?}", began.elapsed());
    for client in &mut silent {
        assert!(client.closed().await?.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn who_connects_and_says_nothing_is_no_event() -> Result<()> {
    let site = Site::start("required", 1).await?;
    for listener in site.listeners()? {
        for _ in 0..50 {
            drop(Client::connect(listener).await?);
            connect_and_reset(listener, b"").await?;
        }
        // Such as a health check of a network load balancer, with its header.
        let mut check = Client::connect(listener).await?;
        check.send(v2_of(0x20, 0x11, &[])).await?;
        drop(check);
        // Connections are taken in the order they come in.
        let mut client = Client::connect(listener).await?;
        client.send(good()?).await?;
        assert_eq!(client.get("/after").await?.status, 200);
    }
    site.counted("nothing", 0).await?;
    let log = site.albeit.process.stderr();
    for word in ["ERROR", "WARN", "connection closed"] {
        assert!(!log.contains(word), "{log}");
    }
    Ok(())
}

#[tokio::test]
async fn where_nobody_looks_for_headers_they_are_what_a_client_says() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let ends: [SocketAddr; 2] = ["192.0.2.7:1001".parse()?, "198.51.100.9:443".parse()?];
    for header in [v1(ends[0], ends[1]), v2(ends[0], ends[1])] {
        let mut client = albeit.client().await?;
        client.send([header, REQUEST.into()].concat()).await?;
        assert_eq!(client.response().await?.status, 400);
    }
    assert_eq!(target.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_reload_switches_the_mode_for_connections_to_come() -> Result<()> {
    let target = Target::saying("ok")?;
    let off = Config::forwarding_to(&[target.addr()])?;
    let required = off.clone().map_listeners(|listener| listener.believing("required", TRUSTED));
    let mut albeit = Albeit::start(off.clone()).await?;
    let mut before = albeit.client().await?;
    assert_eq!(before.get("/").await?.status, 200);

    albeit.reload(required).await?;
    let mut with_header = eventually(SOON, "a header believed", || async {
        let mut client = albeit.client().await?;
        client.send(good()?).await?;
        ensure!(client.get("/believed").await?.status == 200);
        Ok(client)
    })
    .await?;
    let from = albeit.record("/believed").await?["client:port"].clone();
    assert_eq!(from, "192.0.2.7:1001");
    let mut without = albeit.client().await?;
    without.send(REQUEST).await?;
    assert!(without.closed().await?.is_empty());
    assert_eq!(before.get("/still").await?.status, 200);

    albeit.reload(off).await?;
    eventually(SOON, "no header wanted", || async {
        ensure!(albeit.get("/").await?.status == 200);
        Ok(())
    })
    .await?;
    assert_eq!(with_header.get("/kept").await?.status, 200);
    assert_eq!(albeit.record("/kept").await?["client:port"], "192.0.2.7:1001");
    Ok(())
}
