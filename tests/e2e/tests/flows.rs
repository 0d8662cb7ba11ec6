//! Flows through TCP and TLS listeners: bytes as they are, one record each.

use albeit_e2e::{
    Albeit, Ca, Config, Target, access_log::Log, ca::ALL_VERSIONS, client::Client, wait::SOON,
    wait::eventually,
};
use anyhow::{Result, ensure};

/// The one record of a log, once it is there.
async fn only_record(albeit: &Albeit, log: Log) -> Result<albeit_e2e::access_log::Record> {
    eventually(SOON, "a record", || async {
        let mut records = albeit.log(log)?;
        ensure!(records.len() == 1, "{records:?}");
        Ok(records.remove(0))
    })
    .await
}

#[tokio::test]
async fn a_request_passes_a_tcp_listener_untouched_and_is_one_flow() -> Result<()> {
    let target = Target::saying("passed")?;
    let albeit = Albeit::start(Config::network(&[target.addr()])?).await?;
    let mut client = albeit.client().await?;
    let local = client.local_addr();
    let response = client.get("/whole").await?;
    assert_eq!(response.status, 200);
    drop(client);
    let record = only_record(&albeit, Log::Flow).await?;
    assert_eq!(record["type"], "tcp");
    assert_eq!(record["client:port"], local.to_string());
    assert_eq!(record["target:port"], target.addr().to_string());
    assert_eq!(record["close_reason"], "client_fin");
    assert_eq!(record["sent_bytes"], (response.head.len() + response.body.len()).to_string());
    Ok(())
}

#[tokio::test]
async fn a_tls_listener_takes_tls_off_and_logs_what_was_agreed() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, Target::saying("passed")?);
    let albeit = Albeit::start(Config::network(&[target.addr()])?.with_tls(&ca)?).await?;
    let tls = ca.client(&[], ALL_VERSIONS)?;
    let mut client = Client::connect_tls(albeit.listener(1)?, "localhost", tls).await?;
    assert_eq!(client.get("/inside").await?.status, 200);
    drop(client);
    let record = only_record(&albeit, Log::TlsConnection).await?;
    assert_eq!(record["domain_name"], "localhost");
    assert_eq!(record["tls_protocol_version"], "tlsv13");
    assert_eq!(record["alpn_client_preference_list"], "-");
    assert_eq!(only_record(&albeit, Log::Flow).await?["type"], "tls");
    Ok(())
}
