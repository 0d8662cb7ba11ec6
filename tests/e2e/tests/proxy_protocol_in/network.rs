//! Headers from clients' connections to TCP and TLS listeners: logs, the header
//! that goes on to the target, and targets that speak first.

use std::net::SocketAddr;

use albeit_e2e::{
    Albeit, Ca, Client, Config,
    access_log::{Log, Record},
    ca::ALL_VERSIONS,
    eventually,
    peers::Peer,
    ports::HeldPort,
    proxy_protocol::{Catcher, NETWORK_LEN, network, read_exactly, v1, v2, v2_of},
    wait::SOON,
};
use anyhow::{Context as _, Result};
use socket2::SockRef;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::Instant};

use super::{CLIENT, TRUSTED};

/// A network load balancer with a TCP and a TLS listener in front of a target that is told clients.
struct Site {
    albeit: Albeit,
    ca: Ca,
    catcher: Catcher,
}

impl Site {
    async fn start(mode: &str, time_scale: u32) -> Result<Self> {
        let (ca, catcher) = (Ca::try_new()?, Catcher::start()?);
        let config = Config::network(&[])?
            .map_group(|_| catcher.group("flows"))
            .with_tls(&ca)?
            .with_time_scale(time_scale)
            .map_listeners(|listener| listener.believing(mode, TRUSTED));
        Ok(Self { albeit: Albeit::start(config).await?, ca, catcher })
    }

    /// Sends `word` over a flow and ends it; the target has it, and knows the flow as one between `ends`.
    async fn passes(&self, mut client: Client, word: &str, ends: [SocketAddr; 2]) -> Result<()> {
        client.send(word).await?;
        self.arrives(client, word.as_bytes(), ends).await
    }

    /// Ends a flow over which `sent` went; the target has it, and knows the flow as one between `ends`.
    async fn arrives(&self, mut client: Client, sent: &[u8], ends: [SocketAddr; 2]) -> Result<()> {
        client.finish_writing().await?;
        let expected = [&network(ends[0], ends[1]), sent].concat();
        let bytes = self.catcher.whole_flow().await?;
        assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string());
        Ok(())
    }

    async fn start_tls(&self, client: Client) -> Result<Client> {
        client.start_tls("localhost", self.ca.client(&[], ALL_VERSIONS)?).await
    }

    /// The record of a client in a log.
    async fn record(&self, log: Log, client: SocketAddr) -> Result<Record> {
        let client = client.to_string();
        eventually(SOON, "a record", || async {
            let records = self.albeit.log(log)?;
            let mut of_client = records.iter().filter(|record| record["client:port"] == client);
            of_client.next().cloned().with_context(|| format!("none of {client}: {records:?}"))
        })
        .await
    }
}

#[tokio::test]
async fn a_flows_client_is_the_headers_in_logs_and_in_the_header_that_goes_on() -> Result<()> {
    let site = Site::start("required", 1).await?;
    let families = [["192.0.2.7:0", "198.51.100.9:443"], ["[2001:db8::7]:0", "[2001:db8::9]:443"]];
    // Each flow has a client of its own, so that its record can be found.
    let mut ports = 1001..;
    for (write, [source, destination]) in
        [v1, v2].into_iter().flat_map(|write| families.map(|it| (write, it)))
    {
        for index in [0, 1] {
            let mut ends: [SocketAddr; 2] = [source.parse()?, destination.parse()?];
            ends[0].set_port(ports.next().context("no port")?);
            let mut client = Client::connect(site.albeit.listener(index)?).await?;
            client.send(write(ends[0], ends[1])).await?;
            if index == 1 {
                client = site.start_tls(client).await?;
            }
            site.passes(client, "word", ends).await?;
            let record = site.record(Log::Flow, ends[0]).await?;
            assert_eq!(record["type"], ["tcp", "tls"][index]);
            assert_eq!(record["destination:port"], site.albeit.listener(index)?.to_string());
            if index == 1 {
                site.record(Log::TlsConnection, ends[0]).await?;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_flow_whose_header_stands_for_nobody_is_the_peers_own() -> Result<()> {
    let site = Site::start("required", 1).await?;
    let listener = site.albeit.listener(0)?;
    for header in [v2_of(0x20, 0x00, &[]), b"PROXY UNKNOWN\r\n".to_vec()] {
        let mut client = Client::connect(listener).await?;
        let ends = [client.local_addr(), listener];
        client.send(header).await?;
        site.passes(client, "own", ends).await?;
        site.record(Log::Flow, ends[0]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_flows_header_may_come_in_pieces_and_with_what_follows() -> Result<()> {
    let site = Site::start("required", 1).await?;
    let ends: [SocketAddr; 2] = ["192.0.2.7:1001".parse()?, "198.51.100.9:443".parse()?];
    for header in [v1(ends[0], ends[1]), v2(ends[0], ends[1])] {
        let mut client = Client::connect(site.albeit.listener(0)?).await?;
        for byte in [header.as_slice(), b"pieces"].concat() {
            client.send([byte]).await?;
        }
        site.arrives(client, b"pieces", ends).await?;

        let mut client = Client::connect(site.albeit.listener(0)?).await?;
        client.send([header.as_slice(), b"who"].concat()).await?;
        let mut flow = site.catcher.flow().await?;
        assert_eq!(
            read_exactly(&mut flow, NETWORK_LEN + 3).await?.get(NETWORK_LEN..),
            Some(b"who".as_slice())
        );
        client.send("le").await?;
        assert_eq!(read_exactly(&mut flow, 2).await?, b"le");

        // Corked, header and ClientHello leave in one segment.
        let stream = TcpStream::connect(site.albeit.listener(1)?).await?;
        SockRef::from(&stream).set_tcp_cork(true)?;
        let mut client = Client::over(stream)?;
        client.send(&header).await?;
        let client = site.start_tls(client).await?;
        site.passes(client, "after TLS", ends).await?;
    }
    Ok(())
}

#[tokio::test]
async fn haproxys_and_nginxs_clients_reach_the_target_of_a_chain() -> Result<()> {
    let site = Site::start("required", 1).await?;
    let [first, second, nginx] = [(); 3].map(|()| HeldPort::try_new());
    let (first, second, nginx) = (first?, second?, nginx?);
    let to = site.albeit.listener(0)?;
    let listen = |port: &HeldPort, send: &str| {
        format!("listen to-{}\n  bind {}\n  server nlb {to} {send}\n", port.port(), port.addr())
    };
    let sections = listen(&first, "send-proxy") + &listen(&second, "send-proxy-v2");
    let Some(_haproxy) = Peer::haproxy(site.albeit.config.dir(), &sections).await? else { return Ok(()) };
    let stream =
        format!("server {{ listen {} reuseport; proxy_pass {to}; proxy_protocol on; }}\n", nginx.addr());
    let Some(_nginx) = Peer::nginx(site.albeit.config.dir(), "", &stream).await? else { return Ok(()) };
    for front in [first.addr(), second.addr(), nginx.addr()] {
        let client = Client::connect_from(CLIENT, front).await?;
        let source = client.local_addr();
        site.passes(client, "through the chain", [source, front]).await?;
        site.record(Log::Flow, source).await?;
    }
    Ok(())
}

#[tokio::test]
async fn where_headers_are_optional_whoever_sends_none_is_its_own_client() -> Result<()> {
    let site = Site::start("optional", 1).await?;
    let listener = site.albeit.listener(0)?;
    let client = Client::connect(listener).await?;
    let ends = [client.local_addr(), listener];
    site.passes(client, "P is how a header may begin, too", ends).await?;
    site.record(Log::Flow, ends[0]).await?;

    let listener = site.albeit.listener(1)?;
    let client = Client::connect(listener).await?;
    let ends = [client.local_addr(), listener];
    let client = site.start_tls(client).await?;
    site.passes(client, "nor here", ends).await?;

    // A header of somebody who is not trusted is nothing but bytes.
    let mut client = Client::connect_from(CLIENT, site.albeit.listener(0)?).await?;
    let ends = [client.local_addr(), site.albeit.listener(0)?];
    let forged = v1("192.0.2.7:1001".parse()?, "198.51.100.9:443".parse()?);
    client.send(&forged).await?;
    site.arrives(client, &forged, ends).await?;

    let mut client = Client::connect(site.albeit.listener(0)?).await?;
    let ends = ["192.0.2.7:1001".parse()?, "198.51.100.9:443".parse()?];
    client.send(v2(ends[0], ends[1])).await?;
    site.passes(client, "with a header", ends).await
}

#[tokio::test]
async fn a_target_that_speaks_first_waits_for_an_optional_header() -> Result<()> {
    // Ten seconds, divided by it.
    let site = Site::start("optional", 20).await?;
    let began = Instant::now();
    let mut client = Client::connect(site.albeit.listener(0)?).await?;
    let mut flow = site.catcher.flow().await?;
    let waited = began.elapsed();
    assert!(waited.as_millis() >= 490, "{waited:?}");
    flow.write_all(b"220 ready").await?;
    assert_eq!(client.read_exactly(9).await?, b"220 ready");

    Ok(())
}

#[tokio::test]
async fn who_sends_a_header_or_may_not_is_not_waited_for() -> Result<()> {
    let site = Site::start("optional", 1).await?;
    let listener = site.albeit.listener(0)?;
    let began = Instant::now();
    let mut client = Client::connect(listener).await?;
    client.send(v2("192.0.2.7:1001".parse()?, "198.51.100.9:443".parse()?)).await?;
    site.catcher.flow().await?.write_all(b"220 ready").await?;
    assert_eq!(client.read_exactly(9).await?, b"220 ready");
    let mut stranger = Client::connect_from(CLIENT, listener).await?;
    site.catcher.flow().await?.write_all(b"220 ready").await?;
    assert_eq!(stranger.read_exactly(9).await?, b"220 ready");
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    Ok(())
}
