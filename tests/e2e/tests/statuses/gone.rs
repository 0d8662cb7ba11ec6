//! 400 and 460: the client closes its connection first, so nobody sees the status but the log and the metrics.

use albeit_e2e::{
    Albeit, Answer, Ca, Config, ElbError, ElbErrors, Target, ca::ALL_VERSIONS, h2_target, ports::HeldPort,
    wait::SOON, within,
};
use anyhow::{Result, ensure};
use bytes::Bytes;
use h2::Reason;

use super::{BAD_REQUEST, checked_at, silent};

const CLIENT_CLOSED: &str = "460 Unknown";

#[tokio::test]
async fn who_closes_before_the_whole_request_is_there_is_logged_as_400() -> Result<()> {
    let target = silent()?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut errors = ElbErrors::of(&albeit);
    let nothing = Answer::Nothing;

    let mut client = albeit.client().await?;
    client.send("GET /half-a-head HTTP/1.1\r\nHost: a\r\n").await?;
    client.finish_writing().await?;
    assert!(client.closed().await?.is_empty());
    errors.expect_elb_error("half a head", nothing, &ElbError::new(BAD_REQUEST)).await?;

    let sent = ElbError::new(BAD_REQUEST).sent(target.addr());
    for (number, body) in
        ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
            .into_iter()
            .enumerate()
    {
        let mut client = albeit.client().await?;
        client.send(format!("POST /half-a-body HTTP/1.1\r\nHost: a\r\n{body}")).await?;
        target.request(number + 1).await?;
        drop(client);
        errors.expect_elb_error(body, nothing, &sent).await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_leaves_while_the_target_works_is_logged_as_460() -> Result<()> {
    let target = silent()?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut errors = ElbErrors::of(&albeit);
    let left = ElbError::new(CLIENT_CLOSED).sent(target.addr());
    for (number, request) in [
        "GET /get HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = albeit.client().await?;
        client.send(request).await?;
        target.request(number + 1).await?;
        drop(client);
        errors.expect_elb_error(request, Answer::Nothing, &left).await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_leaves_while_the_target_is_connected_to_is_logged_as_460() -> Result<()> {
    let (port, checked) = (HeldPort::try_new()?, Target::saying("ok")?);
    let queue = port.listen_without_accepting()?;
    let mut config = Config::forwarding_to(&[])?;
    config.groups = vec![checked_at("web", port.addr(), &checked)];
    let albeit = Albeit::start(config).await?;
    let mut errors = ElbErrors::of(&albeit);
    let _filling = fill(&port).await?;
    let mut client = albeit.client().await?;
    client.send("GET /connecting HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    albeit_e2e::eventually(SOON, "a target that is chosen", || async {
        ensure!(albeit.metrics().await?.cloudwatch("RequestCount")? > 0.0);
        Ok(())
    })
    .await?;
    drop(client);
    let left = ElbError::new(CLIENT_CLOSED).chosen(port.addr());
    errors.expect_elb_error("connecting", Answer::Nothing, &left).await?;
    drop(queue);
    Ok(())
}

/// Fills the queue of a port that does not accept; later SYNs are dropped as long as the connections live.
pub(super) async fn fill(port: &HeldPort) -> Result<Vec<tokio::net::TcpStream>> {
    let mut filling = Vec::new();
    let limit = std::time::Duration::from_millis(200);
    while let Ok(Ok(stream)) = tokio::time::timeout(limit, tokio::net::TcpStream::connect(port.addr())).await
    {
        ensure!(filling.len() < 64, "this system queues connections without end");
        filling.push(stream);
    }
    Ok(filling)
}

#[tokio::test]
async fn a_reset_stream_of_http2_is_400_before_its_end_and_460_after() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, silent()?);
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?.with_https(&ca)?).await?;
    let mut errors = ElbErrors::of(&albeit);
    let tls = ca.client(&["h2"], ALL_VERSIONS)?;
    let (mut sender, _connection) = h2_target::connect(albeit.listener(1)?, "localhost", tls).await?;
    for (number, (is_whole, status)) in [(false, BAD_REQUEST), (true, CLIENT_CLOSED)].into_iter().enumerate()
    {
        let request = http::Request::post("https://localhost/reset").body(())?;
        let (response, mut stream) = sender.send_request(request, false)?;
        stream.send_data(Bytes::from_static(b"some"), is_whole)?;
        target.request(number + 1).await?;
        stream.send_reset(Reason::CANCEL);
        drop(within(SOON, "the reset", response).await?);
        let expected = ElbError::new(status).sent(target.addr());
        errors.expect_elb_error(status, Answer::Nothing, &expected).await?;
    }
    Ok(())
}
