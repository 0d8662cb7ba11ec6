//! System A: STOMP over SockJS behind HTTPS with stickiness.

use anyhow::{Result, ensure};

use super::{
    stomp::{Carrier, Stomp},
    system::{Plan, System, json, text},
    token,
};

const ORIGIN: &str = "https://auction.example.com";

async fn start() -> Result<System> {
    Plan::of("a-auction", "application.yml").start().await
}

/// A session of `user` as `sockjs-client` opens it over WebSocket, on the instance of the cookie.
async fn join(system: &System, session: &str, user: &str, cookie: &str) -> Result<Stomp> {
    let path = format!("/ws/000/{session}/websocket");
    let socket = system.web_socket(&path, &[("Origin", ORIGIN), ("Cookie", cookie)]).await?;
    Stomp::connect(socket, Carrier::SockJs, &token::of(user)).await
}

#[tokio::test]
async fn bids_are_broadcast_to_all_who_watch() -> Result<()> {
    let system = start().await?;
    let info = system.get("/ws/info", &[]).await?;
    let found = json(&info)?;
    ensure!(found["websocket"] == true && found["cookie_needed"] == true, "{found}");
    // The cookie binds all of the saleroom to one target.
    let cookie = info.cookie("AWSALB")?;
    let mut ann = join(&system, "ann", "ann", &cookie).await?;
    let mut bob = join(&system, "bob", "bob", &cookie).await?;
    for session in [&mut ann, &mut bob] {
        session.subscribe("/topic/auction.7").await?;
    }
    ann.send("SEND", &["destination:/app/bid.7"], "{\"amount\":120}").await?;
    for session in [&mut ann, &mut bob] {
        let bid = session.message().await?;
        ensure!(bid.header("destination") == "/topic/auction.7", "{bid:?}");
        let bid = bid.json()?;
        ensure!(bid["bidder"] == "ann" && bid["amount"] == 120, "{bid}");
    }
    Ok(())
}

#[tokio::test]
async fn the_cookie_leads_back_to_the_target() -> Result<()> {
    let system = start().await?;
    for (instance, cookie) in system.cookies().await? {
        for _ in 0..8 {
            let answer = system.get("/whoami", &[&format!("Cookie: {cookie}")]).await?;
            ensure!(text(&json(&answer)?, "/instance") == instance, "{}", answer.text());
        }
    }
    Ok(())
}

#[tokio::test]
async fn pages_of_other_origins_and_strangers_stay_outside() -> Result<()> {
    let system = start().await?;
    for (origin, status) in [(ORIGIN, 101), ("https://evil.example", 403)] {
        let mut client = system.client().await?;
        let request = albeit_e2e::websocket::upgrade_request(
            client.host(),
            "/ws/000/abc/websocket",
            &[&format!("Origin: {origin}")],
        );
        client.send(request).await?;
        let answer = client.response().await?;
        ensure!(answer.status == status, "{origin}: {}", answer.head);
    }
    let socket = system.web_socket("/ws/000/me/websocket", &[("Origin", ORIGIN)]).await?;
    let refused = Stomp::connect(socket, Carrier::SockJs, "no.token.this").await;
    let refused = refused.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(refused.contains("ERROR"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn heads_above_the_limit_are_refused_by_the_target() -> Result<()> {
    let system = start().await?;
    // Of the 8192 bytes the request line and the load balancer's own headers take some hundred.
    for (length, status) in [(7000, 200), (8192, 431)] {
        let answer = system.get("/whoami", &[&format!("X-Large: {}", "x".repeat(length))]).await?;
        ensure!(answer.status == status, "{length}: {}", answer.head);
    }
    Ok(())
}

#[tokio::test]
async fn the_service_knows_the_client_by_the_forwarded_headers() -> Result<()> {
    let system = start().await?;
    let seen = json(&system.get("/whoami", &["X-Forwarded-For: 203.0.113.7"]).await?)?;
    let port = system.front().port();
    // The rightmost address that is no proxy's: on loopback all but the forged one are.
    ensure!(seen["forwarded"]["proto"] == "https" && seen["forwarded"]["port"] == port, "{seen:#}");
    ensure!(seen["forwarded"]["client"] == "203.0.113.7", "{seen:#}");
    let headers = seen["headers"].to_string();
    ensure!(headers.contains("[\"x-forwarded-for\",\"203.0.113.7, 127.0.0.1\"]"), "{headers}");
    let health = system.get("/actuator/health", &[]).await?;
    ensure!(health.status == 200 && json(&health)?["status"] == "UP", "{}", health.text());
    Ok(())
}
