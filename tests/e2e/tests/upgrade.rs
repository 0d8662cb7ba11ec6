//! Which requests become WebSocket upgrades, and which answers to them are accepted.

use albeit_e2e::{
    Albeit, Config, Step, Target,
    target::{ok, switching_protocols},
    websocket::UPGRADE_KEY,
};
use anyhow::Result;

/// Upgrades what asks for it and answers anything else with 200.
fn upgrading() -> Result<Target> {
    Target::start(|request| {
        if request.headers("upgrade").is_empty() {
            vec![Step::Send(ok("plain"))]
        } else {
            vec![Step::Send(switching_protocols()), Step::Relay]
        }
    })
}

async fn in_front_of(target: &Target) -> Result<Albeit> {
    Albeit::start(Config::forwarding_to(&[target.addr()])?).await
}

/// The start of an upgrade request to `protocols`, without the empty line at its end.
fn upgrade_to(path: &str, protocols: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocols}\r\n\
         HTTP2-Settings: AAMAAABkAAQAAP__\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {UPGRADE_KEY}\r\n"
    )
}

#[tokio::test]
async fn other_upgrades_are_not_passed_on() -> Result<()> {
    let target = upgrading()?;
    let albeit = in_front_of(&target).await?;
    let mut client = albeit.client().await?;
    client.send(format!("{}\r\n", upgrade_to("/", "h2c"))).await?;
    let answer = client.response().await?;
    assert_eq!((answer.status, answer.text()), (200, "plain".to_owned()));
    let seen = target.request(1).await?;
    assert!(seen.headers("upgrade").is_empty() && seen.headers("http2-settings").is_empty(), "{}", seen.head);
    Ok(())
}

#[tokio::test]
async fn of_several_protocols_the_target_sees_websocket_alone() -> Result<()> {
    let target = upgrading()?;
    let albeit = in_front_of(&target).await?;
    let mut client = albeit.client().await?;
    client.send(format!("{}\r\n", upgrade_to("/", "h2c, websocket"))).await?;
    assert_eq!(client.response().await?.status, 101);
    let seen = target.request(1).await?;
    assert_eq!(seen.headers("upgrade"), ["websocket"], "{}", seen.head);
    assert_eq!(seen.headers("connection"), ["Upgrade"], "{}", seen.head);
    assert!(seen.headers("http2-settings").is_empty(), "{}", seen.head);
    client.send("alive").await?;
    assert_eq!(client.read_exactly(5).await?, b"alive");
    Ok(())
}

#[tokio::test]
async fn a_switch_to_anything_else_gets_the_client_502() -> Result<()> {
    let target = Target::start(|request| {
        let upgrade = match request.path() {
            "/h2c" => "Upgrade: h2c\r\n",
            "/both" => "Upgrade: websocket, h2c\r\n",
            "/nothing" => "",
            _ => "Upgrade: websocket\r\n",
        };
        let head = format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{upgrade}\r\n");
        vec![Step::Send(head.into_bytes()), Step::Relay]
    })?;
    let albeit = in_front_of(&target).await?;
    for path in ["/h2c", "/both", "/nothing"] {
        let mut client = albeit.client().await?;
        client.send(format!("{}\r\n", upgrade_to(path, "h2c, websocket"))).await?;
        let answer = client.response().await?;
        assert_eq!((answer.status, answer.header("server")?), (502, "awselb/2.0"), "{path}");
        assert_eq!(albeit.record(path).await?["elb_status_code"], "502", "{path}");
    }
    // Nor may the target switch when nobody asked it to.
    assert_eq!(albeit.get("/unasked").await?.status, 502);
    Ok(())
}

#[tokio::test]
async fn an_upgrade_with_a_body_is_an_ordinary_request() -> Result<()> {
    let target = upgrading()?;
    let albeit = in_front_of(&target).await?;
    for (number, framing) in
        ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
            .into_iter()
            .enumerate()
    {
        // A GET with a body is ambiguous: its connection is not used again.
        let mut client = albeit.client().await?;
        client.send(format!("{}{framing}", upgrade_to("/body", "websocket"))).await?;
        let answer = client.response().await?;
        assert_eq!((answer.status, answer.text()), (200, "plain".to_owned()), "{framing}");
        let seen = target.request(number + 1).await?;
        assert!(seen.headers("upgrade").is_empty() && seen.headers("connection").is_empty(), "{}", seen.head);
        assert_eq!(seen.body, b"hello");
    }
    Ok(())
}
