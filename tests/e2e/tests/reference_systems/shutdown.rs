//! System E's last words: what clients hear when an instance is told to end.

use anyhow::{Result, ensure};

use super::spring_stomp::{join, start};

const NOTICE: &str =
    "{\"message\":\"Server maintenance. Please reconnect in a few seconds.\",\"reconnectInSeconds\":30}";

#[tokio::test]
async fn the_notice_comes_before_the_end_and_to_those_alone_who_must_go() -> Result<()> {
    let Some((system, _redis)) = start().await? else { return Ok(()) };
    let cookies = system.cookies().await?;
    let mut leaving = join(&system, "ann", &cookies["backend-1"]).await?;
    let mut staying = join(&system, "bob", &cookies["backend-2"]).await?;
    for session in [&mut leaving, &mut staying] {
        session.subscribe("/topic/server.events").await?;
        session.subscribe("/topic/room.general").await?;
    }
    system.instances[0].signal("TERM").await?;
    let notice = leaving.message().await?;
    ensure!(notice.header("destination") == "/topic/server.events", "{notice:?}");
    ensure!(notice.body == NOTICE, "{}", notice.body);
    // Seven seconds are left: the room goes on.
    staying.send("SEND", &["destination:/app/room.general"], "{\"text\":\"still here\"}").await?;
    for session in [&mut leaving, &mut staying] {
        let message = session.message().await?;
        ensure!(message.header("destination") == "/topic/room.general", "{message:?}");
    }
    Ok(())
}
