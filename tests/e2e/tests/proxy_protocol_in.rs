//! PROXY protocol headers from clients' connections to HTTP and HTTPS listeners
//! (`albeit.proxy_protocol`): real senders, and what targets, rules and logs are told.

mod network;
mod refused;

use std::{fs, net::SocketAddr, path::Path};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, LoadBalancer, Step, Target,
    access_log::Log,
    ca::ALL_VERSIONS,
    eventually, forward,
    http2::Http2,
    peers::{self, Peer},
    ports::HeldPort,
    process,
    proxy_protocol::{v1, v2, v2_of},
    target::{ok, switching_protocols},
    wait::SOON,
    websocket::{MASKED_HELLO, upgrade},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use socket2::SockRef;
use tokio::net::TcpStream;

/// Where clients of other senders come from, whom nobody trusts.
const CLIENT: [u8; 4] = [127, 0, 0, 5];
/// Where senders come from.
const TRUSTED: &str = "127.0.0.1/32";

/// An application load balancer whose listeners (HTTP, then HTTPS) want headers.
struct Site {
    albeit: Albeit,
    ca: Ca,
    target: Target,
}

impl Site {
    async fn start() -> Result<Self> {
        Self::start_with(Ok).await
    }

    async fn start_with(change: impl FnOnce(Config) -> Result<Config>) -> Result<Self> {
        let ca = Ca::try_new()?;
        let target = Target::start(|request| match request.path() {
            "/websocket" => vec![Step::Send(switching_protocols()), Step::Relay],
            _ => vec![Step::Send(ok("ok"))],
        })?;
        let config = Config::forwarding_to(&[target.addr()])?
            .with_https(&ca)?
            .map_listeners(|listener| listener.believing("required", TRUSTED))
            .with_attribute("routing.http.xff_client_port.enabled", true);
        let logs = json!(config.dir().join("logs"));
        let config = config
            .with_attribute("connection_logs.s3.enabled", true)
            .with_attribute("connection_logs.s3.bucket", logs);
        Ok(Self { albeit: Albeit::start(change(config)?).await?, ca, target })
    }

    fn dir(&self) -> &Path {
        self.albeit.config.dir()
    }

    fn http(&self) -> Result<SocketAddr> {
        self.albeit.listener(0)
    }

    fn https(&self) -> Result<SocketAddr> {
        self.albeit.listener(1)
    }

    async fn start_tls(&self, client: Client) -> Result<Client> {
        client.start_tls("localhost", self.ca.client(&[], ALL_VERSIONS)?).await
    }

    /// A request of a client to what stands at `front`, once with HTTP and once with HTTPS.
    async fn is_named_by(&self, name: &str, [http, https]: [SocketAddr; 2]) -> Result<()> {
        let mut client = Client::connect_from(CLIENT, http).await?;
        let path = format!("/{name}/http");
        assert_eq!(client.get(&path).await?.status, 200);
        self.is_from(client.local_addr(), &path).await?;

        let mut client = self.start_tls(Client::connect_from(CLIENT, https).await?).await?;
        let path = format!("/{name}/https");
        assert_eq!(client.get(&path).await?.status, 200);
        self.is_from(client.local_addr(), &path).await
    }

    /// The request for `path` is known to the target and to both logs as one of `client`.
    async fn is_from(&self, client: SocketAddr, path: &str) -> Result<()> {
        let requests = self.target.requests();
        let request = requests.iter().find(|request| request.path() == path).context("no such request")?;
        assert_eq!(request.header("x-forwarded-for")?, client.to_string(), "{path}");
        let record = self.albeit.record(path).await?;
        assert_eq!(record["client:port"], client.to_string(), "{path}");
        let (ip, port) = (client.ip().to_string(), client.port().to_string());
        eventually(SOON, "a line of the connection log", || async {
            let lines = self.albeit.log(Log::Connection)?;
            ensure!(lines.iter().any(|it| it["client_ip"] == ip && it["client_port"] == port), "{lines:?}");
            Ok(())
        })
        .await
    }
}

/// A load balancer with a TCP listener for each group, and the groups: headers for one target each.
fn network_front(config: Config, targets: [SocketAddr; 2]) -> Result<Config> {
    let listeners = [Listener::tcp(forward("http"))?, Listener::tcp(forward("https"))?];
    let group = |name, target| Group::tcp(name, &[target]).with_attribute("proxy_protocol_v2.enabled", true);
    Ok(config
        .with_group(group("http", targets[0]))
        .with_group(group("https", targets[1]))
        .with_load_balancer(LoadBalancer::new("front", "network", listeners.to_vec())))
}

/// Where the listeners of [`network_front`] are.
fn front_of(config: &Config) -> Result<[SocketAddr; 2]> {
    let front = config.others.first().context("no such load balancer")?;
    let addrs: Vec<_> = front.listeners.iter().map(Listener::addr).collect();
    addrs.try_into().ok().context("not two listeners")
}

#[tokio::test]
async fn haproxy_names_its_clients() -> Result<()> {
    let site = Site::start().await?;
    let (http, https) = (site.http()?, site.https()?);
    let certificate = site.ca.issue(site.dir(), "haproxy", &["localhost"])?;
    let pem = site.dir().join("haproxy-pair.pem");
    fs::write(
        &pem,
        fs::read_to_string(certificate.certificate)? + &fs::read_to_string(certificate.private_key)?,
    )?;
    let ports = [(); 5].map(|()| HeldPort::try_new()).into_iter().collect::<Result<Vec<_>>>()?;
    let crt = format!("ssl crt {}", pem.display());
    let mut sections = String::new();
    for (port, (options, server, send)) in ports.iter().zip([
        ("", http, "send-proxy"),
        ("", https, "send-proxy"),
        ("", http, "send-proxy-v2"),
        ("", https, "send-proxy-v2"),
        // It ends TLS itself, and its header says with what.
        (crt.as_str(), http, "send-proxy-v2-ssl-cn"),
    ]) {
        let addr = port.addr();
        sections +=
            &format!("listen to-{}\n  bind {addr} {options}\n  server alb {server} {send}\n", port.port());
    }
    let Some(_haproxy) = Peer::haproxy(site.dir(), &sections).await? else { return Ok(()) };
    let at = |index: usize| ports[index].addr();
    site.is_named_by("v1", [at(0), at(1)]).await?;
    site.is_named_by("v2", [at(2), at(3)]).await?;
    let mut client = site.start_tls(Client::connect_from(CLIENT, at(4)).await?).await?;
    assert_eq!(client.get("/tls-ended").await?.status, 200);
    site.is_from(client.local_addr(), "/tls-ended").await
}

#[tokio::test]
async fn nginx_names_its_clients() -> Result<()> {
    let site = Site::start().await?;
    let (http, https) = (HeldPort::try_new()?, HeldPort::try_new()?);
    let server = |port: &HeldPort, to: SocketAddr| {
        format!("server {{ listen {} reuseport; proxy_pass {to}; proxy_protocol on; }}\n", port.addr())
    };
    let stream = server(&http, site.http()?) + &server(&https, site.https()?);
    let Some(_nginx) = Peer::nginx(site.dir(), "", &stream).await? else { return Ok(()) };
    site.is_named_by("nginx", [http.addr(), https.addr()]).await
}

#[tokio::test]
async fn curl_names_its_client() -> Result<()> {
    let site = Site::start().await?;
    let Some(curl) = peers::curl() else { return Ok(()) };
    let (ca, http, https) = (site.ca.write(site.dir())?, site.http()?, site.https()?);
    let help = process::run(&curl, ["--help", "all"], site.dir()).await?;
    // Since curl 8.2 it may name another client than itself.
    let names_others = String::from_utf8_lossy(&help.stdout).contains("--haproxy-clientip");
    let (ip, option): (_, &[&str]) = if names_others {
        ("192.0.2.7", &["--haproxy-clientip", "192.0.2.7"])
    } else {
        ("127.0.0.1", &["--haproxy-protocol"])
    };
    for (url, path) in [
        (format!("http://{http}/curl/http"), "/curl/http"),
        (format!("https://localhost:{}/curl/https", https.port()), "/curl/https"),
    ] {
        let ca = ca.to_str().context("a path that is not UTF-8")?;
        let arguments = [&["-sS", "-4", "--noproxy", "*", "--cacert", ca], option, &[url.as_str()]].concat();
        let output = process::run(&curl, arguments, site.dir()).await?;
        assert_eq!(String::from_utf8_lossy(&output.stdout), "ok", "{output:?}");
        let record = site.albeit.record(path).await?;
        let client: SocketAddr = record["client:port"].parse()?;
        assert_eq!(client.ip().to_string(), ip);
        site.is_from(client, path).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_network_load_balancer_names_its_clients() -> Result<()> {
    let site = Site::start_with(|config| {
        let targets = [config.listeners[0].addr(), config.listeners[1].addr()];
        network_front(config, targets)
    })
    .await?;
    site.is_named_by("same-process", front_of(&site.albeit.config)?).await?;

    let config = network_front(Config::try_new()?, [site.http()?, site.https()?])?;
    let other = Albeit::start(config).await?;
    site.is_named_by("second-process", front_of(&other.config)?).await
}

#[tokio::test]
async fn http2_and_websockets_come_after_a_header() -> Result<()> {
    let site = Site::start_with(|config| {
        let targets = [config.listeners[0].addr(), config.listeners[1].addr()];
        network_front(config, targets)
    })
    .await?;
    let [http, https] = front_of(&site.albeit.config)?;
    let client = Http2::connect(https, "localhost", site.ca.client(&["h2"], ALL_VERSIONS)?).await?;
    let uri = |path| format!("https://localhost:{}{path}", https.port());
    for path in ["/h2/first", "/h2/second"] {
        assert_eq!(client.get(&uri(path), &[]).await?.status(), 200);
        site.is_from(client.local_addr(), path).await?;
    }
    let mut client = Client::connect_from(CLIENT, http).await?;
    upgrade(&mut client, "/websocket").await?;
    client.send(MASKED_HELLO).await?;
    assert_eq!(client.read_exactly(MASKED_HELLO.len()).await?, MASKED_HELLO);
    let from = client.local_addr();
    drop(client);
    site.is_from(from, "/websocket").await
}

#[tokio::test]
async fn rules_and_logs_see_the_client_of_a_header_of_either_version_and_family() -> Result<()> {
    let known = json!({ "source_ip": ["192.0.2.0/24", "2001:db8::/32"] });
    let site = Site::start_with(|mut config| {
        let fixed = json!({ "fixed_response": { "status_code": "200", "message_body": "known" } });
        let listener = config.listeners.remove(0).with_rule(1, known, fixed);
        config.listeners.insert(0, listener);
        Ok(config)
    })
    .await?;
    let ends = |text: &str| text.parse::<SocketAddr>();
    let destinations = (ends("198.51.100.9:443")?, ends("[2001:db8::9]:443")?);
    for (number, write) in [v1, v2].into_iter().enumerate() {
        for (source, body) in [
            ("192.0.2.7:1001", "known"),
            ("203.0.113.7:1002", "ok"),
            ("[2001:db8::7]:1003", "known"),
            ("[2001:db9::7]:1004", "ok"),
        ] {
            let source = ends(source)?;
            let header = write(source, if source.is_ipv4() { destinations.0 } else { destinations.1 });
            let path = format!("/{number}/{}", source.port());
            let mut client = Client::connect(site.http()?).await?;
            client.send(&header).await?;
            assert_eq!(client.get(&path).await?.text(), body, "{path} of {source}");
            // The header is that of the whole connection.
            assert_eq!(client.get("/again").await?.text(), body, "{source}");
            assert_eq!(site.albeit.record(&path).await?["client:port"], source.to_string());
            if body == "ok" {
                site.is_from(source, &path).await?;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_header_that_stands_for_nobody_leaves_the_connection_its_own_client() -> Result<()> {
    let site = Site::start().await?;
    let somebody = v2("192.0.2.7:1001".parse()?, "198.51.100.9:443".parse()?);
    for (path, header) in [
        ("/local", v2_of(0x20, 0x11, somebody.get(16..).context("no addresses")?)),
        ("/local-without-addresses", v2_of(0x20, 0x00, &[])),
        ("/unspecified", v2_of(0x21, 0x00, &[])),
        ("/unix", v2_of(0x21, 0x31, &[b'x'; 216])),
        ("/unknown", b"PROXY UNKNOWN\r\n".to_vec()),
        ("/unknown-with-addresses", b"PROXY UNKNOWN ffff:f::1 ffff:f::2 65535 65535\r\n".to_vec()),
    ] {
        let mut client = Client::connect(site.http()?).await?;
        client.send(header).await?;
        assert_eq!(client.get(path).await?.status, 200, "{path}");
        site.is_from(client.local_addr(), path).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_header_may_come_in_pieces_and_with_what_follows() -> Result<()> {
    let site = Site::start().await?;
    let (source, destination): (SocketAddr, SocketAddr) =
        ("192.0.2.7:1001".parse()?, "198.51.100.9:443".parse()?);
    for (name, header) in [("v1", v1(source, destination)), ("v2", v2(source, destination))] {
        let path = format!("/{name}/pieces");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut client = Client::connect(site.http()?).await?;
        for byte in [&header, request.as_bytes()].concat() {
            client.send([byte]).await?;
        }
        assert_eq!(client.response().await?.status, 200);
        site.is_from(source, &path).await?;

        let path = format!("/{name}/whole");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut client = Client::connect(site.http()?).await?;
        client.send([&header, request.as_bytes()].concat()).await?;
        assert_eq!(client.response().await?.status, 200);
        site.is_from(source, &path).await?;

        // Corked, header and ClientHello leave in one segment.
        let path = format!("/{name}/tls");
        let stream = TcpStream::connect(site.https()?).await?;
        SockRef::from(&stream).set_tcp_cork(true)?;
        let mut client = Client::over(stream)?;
        client.send(&header).await?;
        let mut client = site.start_tls(client).await?;
        assert_eq!(client.get(&path).await?.status, 200);
        site.is_from(source, &path).await?;
    }
    Ok(())
}
