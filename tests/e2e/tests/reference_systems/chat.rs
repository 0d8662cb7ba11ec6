//! System D: a Socket.IO gateway behind stickiness and least outstanding requests.

use std::{collections::BTreeSet, time::Duration};

use albeit_e2e::{Client, eventually, topology::ports::Name, wait::SOON, websocket::WebSocket};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_websockets::Message;

use super::{
    system::{self, Plan, System, text},
    token,
};

fn plan() -> Plan {
    Plan::of("d-chat", "backend.yaml")
}

/// The next packet of Socket.IO; pings are answered.
async fn packet(socket: &mut WebSocket) -> Result<String> {
    loop {
        let message = socket.next().await?;
        match message.as_text() {
            Some("2") => socket.send(Message::text("3")).await?,
            Some(text) => return Ok(text.to_owned()),
            None => {}
        }
    }
}

/// A WebSocket after the open packet.
async fn open(system: &System, cookie: &str) -> Result<WebSocket> {
    let mut socket =
        system.web_socket("/socket.io/?EIO=4&transport=websocket", &[("Cookie", cookie)]).await?;
    let opened = packet(&mut socket).await?;
    ensure!(opened.starts_with("0{"), "{opened}");
    Ok(socket)
}

/// A WebSocket in the namespace `/chat`.
async fn join(system: &System, cookie: &str, user: &str) -> Result<WebSocket> {
    let mut socket = open(system, cookie).await?;
    socket.send(Message::text(format!("40/chat,{}", json!({ "token": token::of(user) })))).await?;
    let joined = packet(&mut socket).await?;
    ensure!(joined.starts_with("40/chat,{\"sid\":"), "{joined}");
    Ok(socket)
}

#[tokio::test]
async fn the_gateways_health_has_its_keys() -> Result<()> {
    let system = plan().start().await?;
    let answer = system.get("/health/websocket", &[]).await?;
    let keys = "{\"status\":\"healthy\",\"websocket\":\"available\",\"endpoint\":\"/chat\",\"features\":{\"heartbeat\":true,\
                \"stickySession\":true,\"authentication\":true,\"widgetSupport\":true,\"reconnection\":true}";
    ensure!(answer.status == 200 && answer.text().starts_with(keys), "{}", answer.text());
    Ok(())
}

#[tokio::test]
async fn both_cookies_are_set_and_the_one_for_other_sites_is_secure() -> Result<()> {
    let system = plan().start().await?;
    let answer = system.get("/health/websocket", &[]).await?;
    let cookies = answer.headers("set-cookie");
    let of = |name: &str| cookies.iter().find(|cookie| cookie.starts_with(name)).context("no cookie");
    ensure!(of("AWSALB=")?.ends_with("; Path=/"), "{cookies:?}");
    ensure!(of("AWSALBCORS=")?.ends_with("; Path=/; SameSite=None; Secure"), "{cookies:?}");
    Ok(())
}

#[tokio::test]
async fn clients_poll_and_upgrade_at_the_target_of_their_cookie() -> Result<()> {
    let system = plan().start().await?;
    let path = "/socket.io/?EIO=4&transport=polling";
    let opened = system.get(path, &[]).await?;
    let packet: Value = serde_json::from_str(opened.text().strip_prefix('0').context("no open packet")?)?;
    ensure!(packet["pingInterval"] == 25_000 && packet["pingTimeout"] == 60_000, "{packet}");
    ensure!(packet["upgrades"] == json!(["websocket"]), "{packet}");
    let session = format!("{path}&sid={}", text(&packet, "/sid"));
    let cookie = format!("Cookie: {}", opened.cookie("AWSALB")?);
    let connect = format!("40/chat,{}", json!({ "token": token::of("ann") }));
    for _ in 0..4 {
        let answer = system.post(&session, &[&cookie], "3").await?;
        ensure!(answer.status == 200, "{} {}", answer.head, answer.text());
    }
    system.post(&session, &[&cookie], &connect).await?;
    let joined = system.get(&session, &[&cookie]).await?.text();
    ensure!(joined.starts_with("40/chat,{\"sid\":"), "{joined}");
    // Without the cookie half of the requests reach the instance that does not know the session.
    let mut answers = BTreeSet::new();
    for _ in 0..20 {
        answers.insert(system.post(&session, &[], "3").await?.status);
    }
    ensure!(answers == BTreeSet::from([200, 400]), "{answers:?}");
    Ok(())
}

#[tokio::test]
async fn the_namespace_wants_a_token() -> Result<()> {
    let system = plan().start().await?;
    let mut socket = open(&system, "a=b").await?;
    socket.send(Message::text("40/chat,{\"token\":\"no.token.this\"}")).await?;
    let refused = packet(&mut socket).await?;
    ensure!(refused.starts_with("44/chat,{\"message\":"), "{refused}");
    join(&system, "a=b", "ann").await.map(drop)
}

#[tokio::test]
async fn a_heartbeat_comes_every_30_s() -> Result<()> {
    const SCALE: u32 = 20;
    let system = plan().scaled(SCALE).start().await?;
    let mut socket = join(&system, "a=b", "ann").await?;
    let mut last: Option<Instant> = None;
    for _ in 0..3 {
        let beat = packet(&mut socket).await?;
        let (id, event) = beat.trim_start_matches("42/chat,").split_once('[').context("no event")?;
        let event: Value = serde_json::from_str(&format!("[{event}"))?;
        ensure!(event[0] == "heartbeat" && event[1]["timestamp"].as_u64().is_some(), "{beat}");
        socket.send(Message::text(format!("43/chat,{id}[]"))).await?;
        let now = Instant::now();
        // One that was late is followed by the next in less.
        if let Some(last) = last.replace(now) {
            ensure!((now - last) * SCALE > Duration::from_secs(15), "{:?}", (now - last) * SCALE);
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_cookie_leads_back_while_the_target_lives_and_elsewhere_when_it_died() -> Result<()> {
    let mut system = plan().scaled(20).start().await?;
    let cookie = system.cookies().await?.remove("backend-1").context("no backend-1")?;
    let line = format!("Cookie: {cookie}");
    for _ in 0..2 {
        // Whoever loses the connection comes back to the same target.
        drop(join(&system, &cookie, "ann").await?);
        let seen = system::json(&system.get("/whoami", &[&line]).await?)?;
        ensure!(seen["instance"] == "backend-1", "{seen}");
    }
    let mut socket = join(&system, &cookie, "ann").await?;
    system.instances[0].kill().await?;
    socket.cut().await?;
    let answer = eventually(SOON, "the other target", || async {
        let answer = system.get("/whoami", &[&line]).await?;
        ensure!(answer.status == 200, "{}", answer.head);
        Ok(answer)
    })
    .await?;
    ensure!(system::json(&answer)?["instance"] == "backend-2", "{}", answer.text());
    // From now on the client is bound to that one.
    join(&system, &answer.cookie("AWSALB")?, "ann").await.map(drop)
}

#[tokio::test]
async fn a_target_that_leaves_has_30_s_for_its_clients() -> Result<()> {
    const SCALE: u32 = 20;
    let system = plan().scaled(SCALE).start().await?;
    let cookie = system.cookies().await?.remove("backend-1").context("no backend-1")?;
    let mut socket = join(&system, &cookie, "ann").await?;
    let port = system.ports.number(Name::Backend1);
    let body = json!({ "TargetGroupName": "chat-tg", "Targets": [{ "Id": "127.0.0.1", "Port": port }] });
    let body = body.to_string();
    let mut admin = Client::connect(system.ports.addr(Name::Admin)).await?;
    let head = "POST /targets/deregister HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json";
    let asked = Instant::now();
    admin.send(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await?;
    ensure!(admin.response().await?.status == 200);
    ensure!(system.states().await?.get(&port.into()).map(String::as_str) == Some("draining"));
    // New requests go elsewhere at once, cookie or not.
    let seen = system.get("/whoami", &[&format!("Cookie: {cookie}")]).await?;
    ensure!(system::json(&seen)?["instance"] == "backend-2", "{}", seen.text());
    while packet(&mut socket).await.is_ok() {}
    let lived = asked.elapsed() * SCALE;
    ensure!(lived > Duration::from_secs(29), "{lived:?}");
    Ok(())
}
