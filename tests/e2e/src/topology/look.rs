//! The one client that looks at every way. It comes from 127.0.0.2, so that it
//! is not taken for a balancer, and it lies about its address.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustls::ClientConfig;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    facts::{Facts, Row},
    stage::Stage,
};
use crate::{access_log::Log, client::Client, http2::Http2, websocket::WebSocket};

/// The client's own address.
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// The address it says it has.
pub const FORGED: &str = "203.0.113.7";

const BALANCER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The name in the certificates.
const SERVER_NAME: &str = "localhost";
/// Connections that show whether a client stays at its target: two targets by chance never serve all of them.
const CONNECTIONS: usize = 24;
/// Requests that a median is taken of.
const REQUESTS: usize = 200;

/// Connects as the client does, with TLS that offers `http/1.1`.
///
/// # Errors
/// When the connection or the handshake fails.
pub async fn connect(stage: &Stage) -> Result<Client> {
    connect_with(stage.front(), stage.tls(&["http/1.1"])?).await
}

async fn connect_with(addr: SocketAddr, tls: Arc<ClientConfig>) -> Result<Client> {
    Client::connect_from(CLIENT, addr).await?.start_tls(SERVER_NAME, tls).await
}

/// Everything that shows at once; what needs patience is [`super::idle`]'s, what needs the end [`logs`]'.
///
/// # Errors
/// When an exchange fails that every way should carry.
pub async fn look(stage: &Stage) -> Result<Facts> {
    let mut facts = Facts::default();
    let cookie = who_am_i(stage, &mut facts).await.context("GET /whoami")?;
    stickiness(stage, cookie.as_deref(), &mut facts).await.context("further connections")?;
    path_rule(stage, &mut facts).await.context("GET /api/items")?;
    let mut socket = WebSocket::open(connect(stage).await?, "/echo", &[]).await?;
    socket.echo(b"hello".to_vec()).await?;
    facts.note(Row::WebSocket, "yes");
    drop(socket);
    protocols(stage, &mut facts).await.context("ALPN of h2 and http/1.1")?;
    latency(stage, &mut facts).await.context("latency")?;
    Ok(facts)
}

/// What the target sees of a request with a forged header; the cookie that the client gets.
async fn who_am_i(stage: &Stage, facts: &mut Facts) -> Result<Option<String>> {
    let mut client = connect(stage).await?;
    let response = client.get_with("/whoami", &[&format!("X-Forwarded-For: {FORGED}")]).await?;
    ensure!(response.status == 200, "{}", response.head);
    let seen: Value = serde_json::from_slice(&response.body)?;
    let peer = text(&seen, "/remote_addr").parse::<SocketAddr>()?.ip();
    facts.note(Row::Peer, who(&peer.to_string()));
    let forwarded_for: Vec<String> = header(&seen, "x-forwarded-for").split(", ").map(who).collect();
    facts.note(Row::ForwardedFor, forwarded_for.join(", "));
    facts.note(Row::ForwardedProto, or_nothing(header(&seen, "x-forwarded-proto")));
    let port = header(&seen, "x-forwarded-port");
    let port = port.parse().map_or(port, |number| stage.ports.in_files(number).to_string());
    facts.note(Row::ForwardedPort, or_nothing(port));
    let host = header(&seen, "host");
    facts.note(Row::Host, if host == client.host() { "as sent".to_owned() } else { host });
    let trace_id = header(&seen, "x-amzn-trace-id");
    facts.note(
        Row::TraceId,
        if trace_id.starts_with("Root=1-") { "added".to_owned() } else { or_nothing(trace_id) },
    );
    facts.note(Row::TlsEnds, if seen.get("tls").is_some() { "target" } else { "balancer" });
    let negotiated = client.tls.as_ref().context("no TLS")?;
    facts.note(Row::Certificate, format!("{}'s", stage.owner_of(&negotiated.leaf)?));
    facts.whoami = seen;
    let cookie = response.cookie("AWSALB").ok();
    facts.note(Row::Cookie, if cookie.is_some() { "AWSALB" } else { "–" });
    Ok(cookie)
}

async fn stickiness(stage: &Stage, cookie: Option<&str>, facts: &mut Facts) -> Result<()> {
    let first = text(&facts.whoami, "/instance");
    let mut instances = BTreeSet::from([first]);
    let header = cookie.map(|cookie| format!("Cookie: {cookie}"));
    let headers: Vec<&str> = header.iter().map(String::as_str).collect();
    for _ in 0..CONNECTIONS {
        let response = connect(stage).await?.get_with("/whoami", &headers).await?;
        ensure!(response.status == 200, "{}", response.head);
        instances.insert(text(&serde_json::from_slice(&response.body)?, "/instance"));
    }
    facts.note(Row::Stickiness, if instances.len() == 1 { "same target" } else { "both targets" });
    Ok(())
}

async fn path_rule(stage: &Stage, facts: &mut Facts) -> Result<()> {
    let response = connect(stage).await?.get("/api/items").await?;
    let found = match (response.status, response.text().as_str()) {
        (200, "rule 10") => "acts".to_owned(),
        (404, body) if body.contains("not found") => "–".to_owned(),
        (status, body) => format!("{status} {body}"),
    };
    facts.note(Row::PathRule, found);
    Ok(())
}

/// What a client gets that would rather speak HTTP/2.
async fn protocols(stage: &Stage, facts: &mut Facts) -> Result<()> {
    let tls = stage.tls(&["h2", "http/1.1"])?;
    let mut client = connect_with(stage.front(), tls).await?;
    let alpn = client.tls.as_ref().and_then(|tls| tls.alpn.clone()).unwrap_or_else(|| "none".to_owned());
    let seen: Value = if alpn == "h2" {
        let uri = format!("https://{}/whoami", client.host());
        let http2 = Http2::over(client).await?;
        serde_json::from_slice(http2.get(&uri, &[]).await?.body())?
    } else {
        serde_json::from_slice(&client.get("/whoami").await?.body)?
    };
    facts.note(Row::Alpn, alpn);
    facts.note(Row::TargetHttp, text(&seen, "/version"));
    Ok(())
}

async fn latency(stage: &Stage, facts: &mut Facts) -> Result<()> {
    let mut client = connect(stage).await?;
    let mut requests = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let start = Instant::now();
        client.get("/health").await?;
        requests.push(start.elapsed());
    }
    facts.request_ms = median(requests);
    // Without what an earlier session would save.
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let tls = stage.tls(&["http/1.1"])?;
        let start = Instant::now();
        connect_with(stage.front(), tls).await?.get("/health").await?;
        connections.push(start.elapsed());
    }
    facts.connection_ms = median(connections);
    Ok(())
}

/// What the logs say, once everything has ended.
///
/// # Errors
/// When a line does not have the log's fields.
pub fn logs(stage: &Stage, facts: &mut Facts) -> Result<()> {
    let mut written = Vec::new();
    let mut clients = BTreeSet::new();
    for (log, name) in [(Log::Access, "access"), (Log::TlsConnection, "TLS"), (Log::Flow, "flow")] {
        let mut records = stage.log(log)?;
        // Health checks of the network load balancer are requests like others to the one behind it.
        records.retain(|record| log != Log::Access || !record["user_agent"].starts_with("ELB-HealthChecker"));
        for record in &records {
            let address = record["client:port"].parse::<SocketAddr>()?.ip();
            clients.insert(who(&address.to_string()));
        }
        if !records.is_empty() {
            written.push(name);
        }
    }
    facts.note(Row::Logs, written.join(", "));
    facts.note(Row::LogClient, clients.into_iter().collect::<Vec<_>>().join(", "));
    Ok(())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

/// An address as the table names it.
fn who(address: &str) -> String {
    match address.parse::<IpAddr>() {
        Ok(ip) if ip == CLIENT => "client".to_owned(),
        Ok(ip) if ip == BALANCER => "balancer".to_owned(),
        _ => or_nothing(address.to_owned()),
    }
}

fn or_nothing(value: String) -> String {
    if value.is_empty() { "–".to_owned() } else { value }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A header of `/whoami`; its lines joined.
fn header(seen: &Value, name: &str) -> String {
    let lines = seen.pointer("/headers").and_then(Value::as_array).into_iter().flatten();
    let values = lines.filter(|line| line.get(0).and_then(Value::as_str) == Some(name));
    values.filter_map(|line| line.get(1)?.as_str()).collect::<Vec<_>>().join(", ")
}
