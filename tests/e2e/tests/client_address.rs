//! `preserve_client_ip.enabled`: targets see the client, in a network of three hosts. Needs root.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::Arc,
};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Listener,
    access_log::Log,
    albeit::binary,
    ca::ALL_VERSIONS,
    config::SECURITY_POLICY,
    eventually, forward,
    namespace::{Inside, Namespace},
    ports::HeldPort,
    process::Process,
    target::ok,
    wait::{SOON, within},
};
use anyhow::{Context as _, Result, ensure};
use parking_lot::Mutex;
use serde_json::json;
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The balancer towards clients.
const BALANCER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The balancer towards targets.
const BEHIND: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const TARGET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

const PRESERVE: &str = "preserve_client_ip.enabled";

/// A client, the balancer and a target, each a host of its own; the target reaches the client only through
/// the balancer.
struct Network {
    client: Namespace,
    /// Where the test runs.
    _balancer: Inside,
    target: Namespace,
}

impl Network {
    /// `None`, with a note, where namespaces cannot be made.
    fn try_new() -> Result<Option<Self>> {
        let [Some(client), Some(balancer), Some(target)] =
            [Namespace::try_new()?, Namespace::try_new()?, Namespace::try_new()?]
        else {
            eprintln!("skipped: network namespaces need root and the program ip");
            return Ok(None);
        };
        client.connect(("uplink", "192.0.2.2/24"), &balancer, ("clients", "192.0.2.1/24"))?;
        target.connect(("uplink", "198.51.100.2/24"), &balancer, ("targets", "198.51.100.1/24"))?;
        target.ip("route add default via 198.51.100.1")?;
        // What docs/client-address.md says: what comes from targets is for this host, whomever it is addressed to.
        balancer.ip("rule add iif targets ipproto tcp lookup 100")?;
        balancer.ip("route add local default dev lo table 100")?;
        let inside = balancer.enter()?;
        Ok(Some(Self { client, _balancer: inside, target }))
    }

    async fn connect(&self, to: SocketAddr) -> Result<Client> {
        let _inside = self.client.enter()?;
        Client::connect(to).await
    }

    /// Connects from this port of the client.
    fn connect_from(&self, port: u16, to: SocketAddr) -> Result<TcpStream> {
        let _inside = self.client.enter()?;
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((CLIENT, port)).into())?;
        socket.connect(&to.into())?;
        socket.set_nonblocking(true)?;
        Ok(TcpStream::from_std(socket.into())?)
    }
}

/// A target that answers every packet of bytes with a response and remembers who connected.
struct Witness {
    addr: SocketAddr,
    peers: Arc<Mutex<Vec<SocketAddr>>>,
    _task: JoinSet<()>,
}

impl Witness {
    async fn start(network: &Network) -> Result<Self> {
        let _inside = network.target.enter()?;
        let listener = TcpListener::bind((TARGET, 0)).await?;
        let (addr, peers) = (listener.local_addr()?, Arc::<Mutex<Vec<SocketAddr>>>::default());
        let mut task = JoinSet::new();
        task.spawn(accept(listener, Arc::clone(&peers)));
        Ok(Self { addr, peers, _task: task })
    }

    fn has_seen(&self, peer: SocketAddr) -> bool {
        self.peers.lock().contains(&peer)
    }
}

async fn accept(listener: TcpListener, peers: Arc<Mutex<Vec<SocketAddr>>>) {
    let mut connections = JoinSet::new();
    while let Ok((mut stream, peer)) = listener.accept().await {
        peers.lock().push(peer);
        connections.spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok(1..) = stream.read(&mut buffer).await {
                if stream.write_all(&ok("seen")).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// A network load balancer with a TCP and a TLS listener for clients.
fn config(target: SocketAddr, preserve: bool, ca: &Ca) -> Result<Config> {
    let mut config = Config::network(&[target])?.map_group(|group| group.with_attribute(PRESERVE, preserve));
    config.listeners = Vec::new();
    let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
    let tls = Listener::on(HeldPort::on(BALANCER.into())?, "TLS", forward("flows"))
        .with("certificates", json!(["localhost"]))
        .with("ssl_policy", SECURITY_POLICY);
    Ok(config.with_certificate(certificate).with_listener(tcp()?).with_listener(tls))
}

fn tcp() -> Result<Listener> {
    Ok(Listener::on(HeldPort::on(BALANCER.into())?, "TCP", forward("flows")))
}

#[tokio::test]
async fn targets_of_tcp_and_tls_listeners_see_the_clients_address_and_port() -> Result<()> {
    let Some(network) = Network::try_new()? else { return Ok(()) };
    let (ca, witness) = (Ca::try_new()?, Witness::start(&network).await?);
    let albeit = Albeit::start(config(witness.addr, true, &ca)?).await?;
    let mut plain = network.connect(albeit.listener(0)?).await?;
    assert_eq!(plain.local_addr().ip(), IpAddr::from(CLIENT));
    // The answer comes: the way back leads through the balancer.
    assert_eq!(plain.get("/").await?.text(), "seen");
    assert!(witness.has_seen(plain.local_addr()), "{:?}", witness.peers.lock());
    let secure = network.connect(albeit.listener(1)?).await?;
    let mut secure = secure.start_tls("localhost", ca.client(&[], ALL_VERSIONS)?).await?;
    assert_eq!(secure.get("/").await?.text(), "seen");
    assert!(witness.has_seen(secure.local_addr()), "{:?}", witness.peers.lock());
    Ok(())
}

#[tokio::test]
async fn without_it_targets_see_the_balancer() -> Result<()> {
    let Some(network) = Network::try_new()? else { return Ok(()) };
    let (ca, witness) = (Ca::try_new()?, Witness::start(&network).await?);
    let albeit = Albeit::start(config(witness.addr, false, &ca)?).await?;
    // Its answers reach the balancer itself by the same routes.
    let mut client = network.connect(albeit.listener(0)?).await?;
    assert_eq!(client.get("/").await?.text(), "seen");
    let peers = witness.peers.lock().clone();
    assert!(peers.iter().all(|peer| peer.ip() == IpAddr::from(BEHIND)), "{peers:?}");
    Ok(())
}

#[tokio::test]
async fn a_client_port_in_use_towards_the_same_target_is_a_port_allocation_error() -> Result<()> {
    let Some(network) = Network::try_new()? else { return Ok(()) };
    let (ca, witness) = (Ca::try_new()?, Witness::start(&network).await?);
    let config = config(witness.addr, true, &ca)?.with_listener(tcp()?);
    let albeit = Albeit::start(config).await?;
    let mut first = network.connect_from(40_000, albeit.listener(0)?)?;
    first.write_all(b"one").await?;
    let mut answer = [0; 17];
    within(SOON, "an answer", first.read_exact(&mut answer)).await??;
    let mut second = network.connect_from(40_000, albeit.listener(2)?)?;
    let read = within(SOON, "a reset", second.read(&mut answer)).await?;
    let error = read.err().context("bytes in the place of a reset")?;
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    eventually(SOON, "a record", || async {
        let records = albeit.log(Log::Flow)?;
        ensure!(records.len() == 1 && records[0]["close_reason"] == "port_allocation_error", "{records:?}");
        Ok(())
    })
    .await?;
    assert!((albeit.metrics().await?.network_cloudwatch("PortAllocationErrorCount")? - 1.0).abs() < 0.1);
    // The flow that was first goes on.
    first.write_all(b"two").await?;
    within(SOON, "an answer", first.read_exact(&mut answer)).await??;
    Ok(())
}

/// Program and arguments that run the balancer without the privilege.
fn without_privilege(config: &Config, command: &[&str]) -> Result<Process> {
    config.write()?;
    let (binary, file) = (binary()?, config.file());
    let (binary, file) = (binary.to_str().context("not UTF-8")?, file.to_str().context("not UTF-8")?);
    let mut args = vec!["--bounding-set", "-net_admin,-net_raw", "--inh-caps", "-net_admin,-net_raw", binary];
    args.extend(command);
    args.extend(["-c", file]);
    // Others than root do not have it to begin with.
    if fs::metadata("/proc/self")?.uid() == 0 {
        Process::spawn("albeit", Path::new("setpriv"), args, config.dir())
    } else {
        Process::spawn("albeit", Path::new(binary), args.split_off(5), config.dir())
    }
}

const ADVICE: [&str; 3] = [
    "target_groups[0].attributes.preserve_client_ip.enabled: this process cannot connect",
    "CAP_NET_ADMIN",
    "proxy_protocol_v2.enabled",
];

#[tokio::test]
async fn a_process_without_the_privilege_refuses_such_a_configuration() -> Result<()> {
    let target = albeit_e2e::Target::saying("a")?;
    let plain = Config::network(&[target.addr()])?;
    let preserving = plain.clone().map_group(|group| group.with_attribute(PRESERVE, true));

    let mut checked = without_privilege(&preserving, &["check"])?;
    assert_eq!(checked.exited(SOON).await?.code(), Some(0));
    assert!(checked.stderr().contains("warning: "), "{}", checked.stderr());
    let mut started = without_privilege(&preserving, &["run"])?;
    assert_eq!(started.exited(SOON).await?.code(), Some(2));
    for advice in ADVICE {
        assert!(checked.stderr().contains(advice), "{advice} in {}", checked.stderr());
        assert!(started.stderr().contains(advice), "{advice} in {}", started.stderr());
    }

    let process = without_privilege(&plain, &["run", "--reuse-port"])?;
    let mut albeit = Albeit { process, config: plain };
    eventually(SOON, "an answer", || async { albeit.get("/").await }).await?;
    albeit.reload(preserving).await?;
    eventually(SOON, "a refusal", || async {
        let failures = albeit.metrics().await?.sum("albeit_config_reload_failures_total", "");
        ensure!(failures > 0.0, "no reload has failed");
        Ok(())
    })
    .await?;
    assert_eq!(albeit.get("/").await?.text(), "a", "the old configuration stays in force");
    assert!(albeit.process.stderr().contains(ADVICE[0]), "{}", albeit.process.stderr());
    Ok(())
}
