//! PROXY protocol headers towards targets (`proxy_protocol_v2.enabled`): what
//! nginx and `HAProxy` make of them, and every byte.

use std::{
    fs,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener,
    ca::{ALL_VERSIONS, Certificate},
    forward,
    peers::Peer,
    ports::HeldPort,
    proxy_protocol::{self, Catcher, NETWORK_LEN, read_exactly},
};
use anyhow::Result;

/// Where clients come from, unlike the balancer's own connections.
const CLIENT: [u8; 4] = [127, 0, 0, 5];

/// A group whose targets get headers.
fn introduced(name: &str, targets: &[SocketAddr]) -> Group {
    Group::tcp(name, targets).with_attribute("proxy_protocol_v2.enabled", true)
}

/// A TCP and a TLS listener in front of a target at `port` that gets headers.
fn site(ca: &Ca, port: &HeldPort) -> Result<Config> {
    Config::network(&[])?.map_group(|_| introduced("flows", &[port.addr()])).with_tls(ca)
}

/// A server of nginx that answers with the addresses that it is told.
fn nginx_server(port: &HeldPort, options: &str) -> String {
    let told =
        "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port";
    format!("server {{ listen {} reuseport {options}; return 200 \"{told}\"; }}\n", port.addr())
}

/// The same of `HAProxy`.
fn haproxy_frontend(name: &str, port: &HeldPort, options: &str) -> String {
    let told = "%[src] %[src_port] %[dst] %[dst_port]";
    format!(
        "frontend {name}\n  mode http\n  bind {} {options}\n  \
         http-request return status 200 content-type text/plain lf-string \"{told}\"\n",
        port.addr()
    )
}

/// Options of `listen` for TLS.
fn nginx_tls(certificate: &Certificate) -> String {
    let (chain, key) = (certificate.certificate.display(), certificate.private_key.display());
    format!("ssl proxy_protocol; ssl_certificate {chain}; ssl_certificate_key {key}")
}

/// Options of `bind` for TLS; certificate and key are in one file here.
fn haproxy_tls(config: &Config, certificate: &Certificate) -> Result<String> {
    let file = config.dir().join("haproxy.pem");
    let pair = [&certificate.certificate, &certificate.private_key].map(fs::read_to_string);
    fs::write(&file, pair.into_iter().collect::<Result<String, _>>()?)?;
    Ok(format!("accept-proxy ssl crt {}", file.display()))
}

/// What a target is told of a client's connection.
fn told(client: SocketAddr, listener: SocketAddr) -> String {
    format!("{} {} {} {}", client.ip(), client.port(), listener.ip(), listener.port())
}

/// Clients of the TCP listener and of the TLS listener get the truth about themselves.
async fn clients_are_known(albeit: &Albeit, ca: &Ca) -> Result<()> {
    let (tcp, tls) = (albeit.listener(0)?, albeit.listener(1)?);
    let mut client = Client::connect_from(CLIENT, tcp).await?;
    assert_eq!(client.get("/").await?.text(), told(client.local_addr(), tcp));
    assert_eq!(client.get("/again").await?.text(), told(client.local_addr(), tcp));
    let client = Client::connect_from(CLIENT, tls).await?;
    let mut client = client.start_tls("localhost", ca.client(&[], ALL_VERSIONS)?).await?;
    assert_eq!(client.get("/").await?.text(), told(client.local_addr(), tls));
    Ok(())
}

#[tokio::test]
async fn nginx_is_told_the_client() -> Result<()> {
    let (ca, port) = (Ca::try_new()?, HeldPort::try_new()?);
    let config = site(&ca, &port)?;
    let http = nginx_server(&port, "proxy_protocol");
    let Some(_nginx) = Peer::nginx(config.dir(), &http, "").await? else { return Ok(()) };
    clients_are_known(&Albeit::start(config).await?, &ca).await
}

#[tokio::test]
async fn haproxy_is_told_the_client() -> Result<()> {
    let (ca, port) = (Ca::try_new()?, HeldPort::try_new()?);
    let config = site(&ca, &port)?;
    let frontend = haproxy_frontend("target", &port, "accept-proxy");
    let Some(_haproxy) = Peer::haproxy(config.dir(), &frontend).await? else { return Ok(()) };
    clients_are_known(&Albeit::start(config).await?, &ca).await
}

#[tokio::test]
async fn nginx_that_speaks_first_is_told_the_client() -> Result<()> {
    let (ca, port) = (Ca::try_new()?, HeldPort::try_new()?);
    let config = site(&ca, &port)?;
    let stream = nginx_server(&port, "proxy_protocol").replace("return 200", "return");
    let Some(_nginx) = Peer::nginx(config.dir(), "", &stream).await? else { return Ok(()) };
    let albeit = Albeit::start(config).await?;
    for index in [0, 1] {
        let mut client = Client::connect_from(CLIENT, albeit.listener(index)?).await?;
        let expected = told(client.local_addr(), albeit.listener(index)?);
        if index == 1 {
            client = client.start_tls("localhost", ca.client(&[], ALL_VERSIONS)?).await?;
        }
        assert_eq!(String::from_utf8(client.closed().await?)?, expected);
    }
    Ok(())
}

#[tokio::test]
async fn targets_of_either_family_are_told_a_client_with_ipv6() -> Result<()> {
    let six: IpAddr = Ipv6Addr::LOCALHOST.into();
    let (four, both) = (HeldPort::try_new()?, HeldPort::on(six)?);
    let mut config = Config::network(&[])?
        .with_group(introduced("nginx", &[four.addr()]))
        .with_group(introduced("haproxy", &[both.addr()]));
    for group in ["nginx", "haproxy"] {
        config = config.with_listener(Listener::on(HeldPort::on(six)?, "TCP", forward(group)));
    }
    config.listeners.remove(0);
    let http = nginx_server(&four, "proxy_protocol");
    let Some(_nginx) = Peer::nginx(config.dir(), &http, "").await? else { return Ok(()) };
    let frontend = haproxy_frontend("target", &both, "accept-proxy");
    let Some(_haproxy) = Peer::haproxy(config.dir(), &frontend).await? else { return Ok(()) };
    let albeit = Albeit::start_unsettled(config).await?;
    for listener in [albeit.listener(0)?, albeit.listener(1)?] {
        let mut client = Client::connect(listener).await?;
        assert_eq!(client.get("/").await?.text(), told(client.local_addr(), listener));
    }
    Ok(())
}

#[tokio::test]
async fn a_target_that_knows_no_headers_refuses_them_as_requests() -> Result<()> {
    let (nginx, haproxy) = (HeldPort::try_new()?, HeldPort::try_new()?);
    let config = Config::network(&[])?.map_group(|_| introduced("flows", &[nginx.addr(), haproxy.addr()]));
    let Some(_nginx) = Peer::nginx(config.dir(), &nginx_server(&nginx, ""), "").await? else { return Ok(()) };
    let frontend = haproxy_frontend("target", &haproxy, "");
    let Some(_haproxy) = Peer::haproxy(config.dir(), &frontend).await? else { return Ok(()) };
    // To connect is all that a TCP check wants.
    let albeit = Albeit::start(config).await?;
    for _ in 0..6 {
        assert_eq!(albeit.get("/").await?.status, 400);
    }
    Ok(())
}

#[tokio::test]
async fn http_checks_find_out_who_knows_no_headers() -> Result<()> {
    let (nginx, haproxy) = (HeldPort::try_new()?, HeldPort::try_new()?);
    let group = introduced("flows", &[nginx.addr(), haproxy.addr()])
        .with_health("protocol", "HTTP")
        .with_health("interval", "5s")
        .with_health("timeout", "4s")
        .with_health("unhealthy_threshold", 2);
    let config = Config::network(&[])?.map_group(|_| group).with_time_scale(10);
    let Some(_nginx) = Peer::nginx(config.dir(), &nginx_server(&nginx, ""), "").await? else { return Ok(()) };
    let frontend = haproxy_frontend("target", &haproxy, "");
    let Some(_haproxy) = Peer::haproxy(config.dir(), &frontend).await? else { return Ok(()) };
    let mut albeit = Albeit::start_unsettled(config).await?;
    let settled =
        albeit.wait_for_targets("all unhealthy", |all| all.iter().all(|t| t.state == "unhealthy")).await?;
    for target in settled {
        assert_eq!(target.description, "Health checks failed with these codes: [400]");
    }
    Ok(())
}

#[tokio::test]
async fn health_checks_introduce_themselves_to_nginx_and_haproxy() -> Result<()> {
    let ca = Ca::try_new()?;
    let [nginx, haproxy, nginx_ssl, haproxy_ssl] = [(); 4].map(|()| HeldPort::try_new());
    let (nginx, haproxy, nginx_ssl, haproxy_ssl) = (nginx?, haproxy?, nginx_ssl?, haproxy_ssl?);
    let clear = [nginx.addr(), haproxy.addr()];
    let mut config = Config::network(&clear)?
        .map_group(|_| introduced("flows", &clear))
        .with_group(introduced("http", &clear).with_health("protocol", "HTTP").with_health("path", "/"))
        .with_group(
            introduced("https", &[nginx_ssl.addr(), haproxy_ssl.addr()])
                .with_health("protocol", "HTTPS")
                .with_health("path", "/"),
        );
    for group in ["http", "https"] {
        config = config.with_listener(Listener::tcp(forward(group))?);
    }
    let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
    let http = nginx_server(&nginx, "proxy_protocol") + &nginx_server(&nginx_ssl, &nginx_tls(&certificate));
    let Some(_nginx) = Peer::nginx(config.dir(), &http, "").await? else { return Ok(()) };
    let frontends = haproxy_frontend("clear", &haproxy, "accept-proxy")
        + &haproxy_frontend("tls", &haproxy_ssl, &haproxy_tls(&config, &certificate)?);
    let Some(_haproxy) = Peer::haproxy(config.dir(), &frontends).await? else { return Ok(()) };
    let albeit = Albeit::start(config).await?;
    assert_eq!(albeit.targets().await?.len(), 6);

    // What a client of a TCP listener says in TLS comes after the header, and only the target can read it.
    let listener = albeit.listener(2)?;
    tls_clients_are_told(listener, &ca).await
}

/// Whoever comes to `listener` with TLS is the client that its target was told of.
async fn tls_clients_are_told(listener: SocketAddr, ca: &Ca) -> Result<()> {
    for _ in 0..6 {
        let client = Client::connect_from(CLIENT, listener).await?;
        let mut client = client.start_tls("localhost", ca.client(&[], ALL_VERSIONS)?).await?;
        assert_eq!(client.get("/").await?.text(), told(client.local_addr(), listener));
    }
    Ok(())
}

#[tokio::test]
async fn a_target_with_tls_is_told_before_the_handshake() -> Result<()> {
    let (ca, nginx, haproxy) = (Ca::try_new()?, HeldPort::try_new()?, HeldPort::try_new()?);
    let group = introduced("flows", &[nginx.addr(), haproxy.addr()]).with("protocol", "TLS");
    let mut config = Config::network(&[])?.map_group(|_| group).with_tls(&ca)?;
    config.listeners.remove(0);
    let certificate = ca.issue(config.dir(), "target", &["target"])?;
    let http = nginx_server(&nginx, &nginx_tls(&certificate));
    let Some(_nginx) = Peer::nginx(config.dir(), &http, "").await? else { return Ok(()) };
    let frontend = haproxy_frontend("target", &haproxy, &haproxy_tls(&config, &certificate)?);
    let Some(_haproxy) = Peer::haproxy(config.dir(), &frontend).await? else { return Ok(()) };
    let albeit = Albeit::start(config).await?;
    let listener = albeit.listener(0)?;
    tls_clients_are_told(listener, &ca).await
}

#[tokio::test]
async fn a_tcp_check_is_a_header_and_nothing_else() -> Result<()> {
    let catcher = Catcher::start()?;
    let config = Config::network(&[])?.map_group(|_| catcher.group("flows"));
    let _albeit = Albeit::start(config).await?;
    let bytes = catcher.health_check().await?;
    let expected = proxy_protocol::network_health_check();
    assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string());
    Ok(())
}

#[tokio::test]
async fn a_flow_begins_with_one_header_of_100_bytes() -> Result<()> {
    let (ca, catcher) = (Ca::try_new()?, Catcher::start()?);
    let config = Config::network(&[])?.map_group(|_| catcher.group("flows")).with_tls(&ca)?;
    let albeit = Albeit::start(config).await?;
    for index in [0, 1] {
        let listener = albeit.listener(index)?;
        let mut client = Client::connect_from(CLIENT, listener).await?;
        let expected = proxy_protocol::network(client.local_addr(), listener);
        assert_eq!(expected.len(), NETWORK_LEN);
        if index == 1 {
            client = client.start_tls("localhost", ca.client(&[], ALL_VERSIONS)?).await?;
        }
        let mut flow = catcher.flow().await?;
        // The target may say the first word, and is told before that to whom.
        let header = read_exactly(&mut flow, NETWORK_LEN).await?;
        assert_eq!(header.escape_ascii().to_string(), expected.escape_ascii().to_string());
        for word in ["first", "then another"] {
            client.send(word).await?;
            assert_eq!(read_exactly(&mut flow, word.len()).await?, word.as_bytes());
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_header_comes_before_a_clients_tls_and_before_its_own_header() -> Result<()> {
    let (ca, catcher) = (Ca::try_new()?, Catcher::start()?);
    let albeit = Albeit::start(Config::network(&[])?.map_group(|_| catcher.group("flows"))).await?;
    let listener = albeit.listener(0)?;

    let client = Client::connect(listener).await?;
    let mut expected = proxy_protocol::network(client.local_addr(), listener);
    let handshake = client.start_tls("localhost", ca.client(&[], ALL_VERSIONS)?);
    let target = async {
        let mut flow = catcher.flow().await?;
        // Nobody answers: the flow ends here, and with it the handshake.
        read_exactly(&mut flow, NETWORK_LEN + 2).await
    };
    let (handshake, bytes) = tokio::join!(handshake, target);
    assert!(handshake.is_err());
    expected.extend([0x16, 0x03]);
    assert_eq!(bytes?.escape_ascii().to_string(), expected.escape_ascii().to_string());

    let mut client = Client::connect(listener).await?;
    let outer = proxy_protocol::network(client.local_addr(), listener);
    let inner = proxy_protocol::v2("192.0.2.7:1234".parse()?, "198.51.100.9:443".parse()?);
    client.send([&inner, b"payload".as_slice()].concat()).await?;
    client.finish_writing().await?;
    let bytes = catcher.whole_flow().await?;
    let expected = [outer, inner, b"payload".to_vec()].concat();
    assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string());
    Ok(())
}
