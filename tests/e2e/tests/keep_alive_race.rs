//! A target that closes a pooled connection at the moment it gets a request:
//! ELB answers 502 and leaves a log signature that people search for.

use albeit_e2e::{Albeit, Config, Step, Target, target::ok};
use anyhow::Result;

/// Answers the first request of each connection and closes at the second.
fn closing_on_reuse() -> Result<Target> {
    Target::start(
        |request| if request.number == 0 { vec![Step::Send(ok("first"))] } else { vec![Step::Close] },
    )
}

#[tokio::test]
async fn a_request_on_a_connection_closed_at_that_moment_gets_502() -> Result<()> {
    let target = closing_on_reuse()?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut client = albeit.client().await?;
    assert_eq!(client.get("/first").await?.text(), "first");
    let raced = client.get("/raced").await?;
    assert_eq!((raced.status, raced.header("server")?), (502, "awselb/2.0"));
    let seen = target.request(2).await?;
    assert_eq!((seen.connection, seen.number), (0, 1), "the pooled connection was not used again");

    let record = albeit.record("/raced").await?;
    assert_eq!(record["elb_status_code"], "502");
    assert_eq!(record["target_status_code"], "-");
    assert_eq!(record["target:port"], target.addr().to_string());
    assert_eq!(record["response_processing_time"], "-1");
    assert!(record.number("request_processing_time")? >= 0.0);
    assert!(record.number("target_processing_time")? >= 0.0);
    assert_eq!(record["error_reason"], "-");

    // The client's connection is unharmed, and the next request takes a new one to the target.
    assert_eq!(client.get("/after").await?.text(), "first");
    assert_eq!(target.request(3).await?.connection, 1);
    Ok(())
}

#[tokio::test]
async fn a_post_is_not_sent_twice() -> Result<()> {
    let target = closing_on_reuse()?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut client = albeit.client().await?;
    client.get("/first").await?;
    client.send("POST /order HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none").await?;
    assert_eq!(client.response().await?.status, 502);
    client.get("/after").await?;
    let orders = target.requests().iter().filter(|request| request.path() == "/order").count();
    assert_eq!(orders, 1);
    Ok(())
}

#[tokio::test]
async fn a_connection_the_target_closed_while_idle_is_not_used() -> Result<()> {
    let target = Target::start(|_| vec![Step::Send(ok("ok")), Step::Close])?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut client = albeit.client().await?;
    client.get("/0").await?;
    // The close needs a moment to arrive; until then a 502 would be the race above.
    albeit_e2e::eventually(albeit_e2e::wait::SOON, "a request on a fresh connection", || async {
        let answer = albeit.get("/fresh").await?;
        anyhow::ensure!(answer.status == 200, "{}", answer.status);
        Ok(())
    })
    .await
}

/// In front of `target`, with the second attempt for closed pooled connections.
async fn retrying(target: &Target) -> Result<Albeit> {
    let config = Config::forwarding_to(&[target.addr()])?
        .map_group(|group| group.with_attribute("albeit.retry_closed_reused_connection", true));
    Albeit::start(config).await
}

#[tokio::test]
async fn with_the_retry_on_the_race_is_not_seen() -> Result<()> {
    let target = closing_on_reuse()?;
    let albeit = retrying(&target).await?;
    let mut client = albeit.client().await?;
    client.get("/first").await?;
    assert_eq!(client.get("/raced").await?.text(), "first");
    let seen = target.requests();
    let places: Vec<_> = seen.iter().map(|request| (request.path(), request.connection)).collect();
    assert_eq!(places, [("/first", 0), ("/raced", 0), ("/raced", 1)]);
    assert_eq!(seen[1].line(), seen[2].line());
    let record = albeit.record("/raced").await?;
    assert_eq!((&*record["elb_status_code"], &*record["target_status_code"]), ("200", "200"));
    let retried = albeit.metrics().await?.sum("albeit_retried_requests_total", "");
    assert!((retried - 1.0).abs() < 0.5, "{retried}");
    Ok(())
}

#[tokio::test]
async fn the_retry_is_once_and_not_for_what_may_not_be_repeated() -> Result<()> {
    let target = closing_on_reuse()?;
    let albeit = retrying(&target).await?;
    let mut client = albeit.client().await?;
    for request in [
        "POST /bare HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "PUT /bodied HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none",
    ] {
        client.get("/first").await?;
        client.send(request).await?;
        assert_eq!(client.response().await?.status, 502);
    }
    // A new connection that is closed has not raced.
    let closing = Target::start(|_| vec![Step::Close])?;
    let albeit = retrying(&closing).await?;
    assert_eq!(albeit.get("/once").await?.status, 502);
    assert_eq!(closing.requests().len(), 1);
    Ok(())
}
