//! Many idle WebSockets at once.

use albeit_e2e::{
    Albeit, Ca, Client, Config, Step, Target, ca::ALL_VERSIONS, eventually, target::switching_protocols,
    wait::SOON, websocket::upgrade,
};
use anyhow::{Result, ensure};

const COUNT: usize = 200;

#[tokio::test]
async fn idle_websockets_survive_and_leave_no_descriptor_behind() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::start(|_| vec![Step::Send(switching_protocols()), Step::Relay])?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?.with_https(&ca)?).await?;
    let before = albeit.process.open_files()?;
    let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    let mut clients = Vec::with_capacity(COUNT);
    for number in 0..COUNT {
        let mut client = if number % 2 == 0 {
            albeit.client().await?
        } else {
            Client::connect_tls(albeit.listener(1)?, "localhost", tls.clone()).await?
        };
        upgrade(&mut client, "/hold").await?;
        clients.push(client);
    }
    // One socket to the client and one to the target each; a few of those before were of the moment.
    let held = albeit.process.open_files()?;
    ensure!(held + 5 >= before + 2 * COUNT, "{before} descriptors before, {held} while holding");
    for client in &mut clients {
        client.send("alive").await?;
        assert_eq!(client.read_exactly(5).await?, b"alive");
    }
    drop(clients);
    eventually(SOON, "closed descriptors", || async {
        let now = albeit.process.open_files()?;
        ensure!(now <= before + 2, "{before} before, {now} now");
        Ok(())
    })
    .await?;
    assert_eq!(albeit.records("/hold", COUNT).await?.len(), COUNT);
    Ok(())
}
