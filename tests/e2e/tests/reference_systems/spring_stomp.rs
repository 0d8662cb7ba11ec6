//! System E: two instances of the STOMP service, one Redis between them.

use albeit_e2e::{Client, redis::Redis};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    stomp::{Carrier, Stomp},
    system::{Plan, System, json},
    token,
};

/// The system with the Redis that it needs; `None` where there is no `redis-server`.
pub(super) async fn start() -> Result<Option<(System, Redis)>> {
    let Some(redis) = Redis::start().await? else { return Ok(None) };
    let plan = Plan::of("e-spring-stomp", "application.yml")
        .with("REDIS_HOST", &redis.addr().ip())
        .with("REDIS_PORT", &redis.addr().port())
        .with("REDIS_SSL", &"false")
        .with("DB_URL", &"jdbc:sqlite::memory:");
    Ok(Some((plan.start().await?, redis)))
}

/// A session of `user` on the instance of the cookie.
pub(super) async fn join(system: &System, user: &str, cookie: &str) -> Result<Stomp> {
    let headers = [("Cookie", cookie), ("Sec-WebSocket-Protocol", "v12.stomp")];
    let socket = system.web_socket("/ws", &headers).await?;
    Stomp::connect(socket, Carrier::WebSocket, &token::of(user)).await
}

/// A subscriber of `ws:*`, as another relay would be.
struct Listener(Client);

impl Listener {
    async fn try_new(redis: &Redis) -> Result<Self> {
        let mut client = Client::connect(redis.addr()).await?;
        client.send("PSUBSCRIBE ws:*\r\n").await?;
        let mut listener = Self(client);
        // Kind, pattern, number.
        ensure!(listener.line().await? == "*3");
        for _ in 0..5 {
            listener.line().await?;
        }
        Ok(listener)
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(self.0.read_exactly(1).await?);
        }
        Ok(String::from_utf8(line)?.trim_end().to_owned())
    }

    /// The next message: channel and envelope.
    async fn message(&mut self) -> Result<(String, Value)> {
        let count = self.line().await?;
        ensure!(count == "*4", "{count}");
        let mut parts = Vec::new();
        for _ in 0..4 {
            let length = self.line().await?.trim_start_matches('$').parse()?;
            parts.push(String::from_utf8(self.0.read_exactly(length).await?)?);
            self.line().await?;
        }
        let payload = parts.pop().context("no payload")?;
        Ok((parts.pop().context("no channel")?, serde_json::from_str(&payload)?))
    }
}

/// Checks an envelope's fields: those of `RelayMessage` and no others.
#[track_caller]
fn check(envelope: &Value, destination: &str, user: Option<&str>, text: &str) {
    let fields: Vec<&String> = envelope.as_object().unwrap().keys().collect();
    let mut expected =
        ["destination", "userId", "payload", "payloadType", "timestamp", "originServerId"].to_vec();
    expected.sort_unstable();
    assert_eq!(fields, expected);
    assert_eq!(envelope["destination"], destination);
    assert_eq!(envelope["userId"], user.map_or(Value::Null, Value::from));
    let payload: Value = serde_json::from_str(envelope["payload"].as_str().unwrap()).unwrap();
    assert_eq!(payload["text"], text);
    assert!(envelope["payloadType"].as_str().unwrap().starts_with("java."), "{envelope}");
    assert!(envelope["timestamp"].as_u64().unwrap() > 1_600_000_000_000, "{envelope}");
    assert!(envelope["originServerId"].as_str().unwrap().starts_with("backend-1"), "{envelope}");
}

#[tokio::test]
async fn a_room_and_a_user_are_reached_on_every_instance() -> Result<()> {
    let Some((system, redis)) = start().await? else { return Ok(()) };
    let cookies = system.cookies().await?;
    let mut ann = join(&system, "ann", &cookies["backend-1"]).await?;
    let mut bob = join(&system, "42", &cookies["backend-2"]).await?;
    for session in [&mut ann, &mut bob] {
        session.subscribe("/topic/room.general").await?;
    }
    bob.subscribe("/user/queue/private").await?;
    let mut listener = Listener::try_new(&redis).await?;

    ann.send("SEND", &["destination:/app/room.general"], "{\"text\":\"hi\"}").await?;
    // The sending instance's own clients have it, too.
    for session in [&mut ann, &mut bob] {
        let message = session.message().await?;
        ensure!(message.header("destination") == "/topic/room.general", "{message:?}");
        let message = message.json()?;
        ensure!(message["from"] == "ann" && message["text"] == "hi", "{message}");
    }
    let (channel, envelope) = listener.message().await?;
    ensure!(channel == "ws:/topic/room.general", "{channel}");
    check(&envelope, "/topic/room.general", None, "hi");

    ann.send("SEND", &["destination:/app/private.42"], "{\"text\":\"for you\"}").await?;
    let message = bob.message().await?;
    ensure!(message.json()?["text"] == "for you", "{message:?}");
    let (channel, envelope) = listener.message().await?;
    ensure!(channel == "ws:user.42/queue/private", "{channel}");
    check(&envelope, "/queue/private", Some("42"), "for you");
    Ok(())
}

#[tokio::test]
async fn health_tells_of_redis_and_metrics_have_their_names() -> Result<()> {
    let Some((system, _redis)) = start().await? else { return Ok(()) };
    let cookie = system.cookies().await?["backend-1"].clone();
    let health = json(&system.get("/actuator/health", &[]).await?)?;
    ensure!(health["components"]["redis"]["details"]["redis"] == "Connected", "{health:#}");
    let mut ann = join(&system, "ann", &cookie).await?;
    ann.subscribe("/topic/room.general").await?;
    ann.send("SEND", &["destination:/app/room.general"], "{\"text\":\"hi\"}").await?;
    ann.message().await?;
    let line = format!("Cookie: {cookie}");
    let active = system.get("/actuator/metrics/websocket.connections.active", &[&line]).await?;
    let active = json(&active)?;
    ensure!(active["name"] == "websocket.connections.active", "{active}");
    ensure!(active["measurements"][0]["value"] == 1.0, "{active}");
    for (name, least) in [
        ("websocket_connections_active ", 1.0),
        ("websocket_messages_received_total ", 1.0),
        ("websocket_messages_sent_total ", 1.0),
        ("websocket_message_processing_time_seconds_count ", 1.0),
        ("websocket_message_processing_time_percentile_seconds{phi=\"0.5\"}", 0.0),
        ("websocket_message_processing_time_percentile_seconds{phi=\"0.95\"}", 0.0),
        ("websocket_message_processing_time_percentile_seconds{phi=\"0.99\"}", 0.0),
        ("websocket_connection_errors_total", 0.0),
        ("tomcat_connections_config_max_connections", 10_000.0),
    ] {
        let found = system.metric(0, name.trim_end()).await?;
        ensure!(found >= least, "{name}: {found}");
    }
    Ok(())
}
