//! Idle timeout and client keep-alive duration on plain HTTP.

use std::time::Duration;

use albeit_e2e::{Albeit, Config, Group, Listener, Step, Target, forward, target::ok};
use anyhow::Result;
use serde_json::json;
use tokio::time::Instant;

/// An idle timeout of 1 s: 10 s divided by 10.
async fn one_second(target: &Target) -> Result<Albeit> {
    let config = Config::forwarding_to(&[target.addr()])?.with_attribute("idle_timeout.timeout_seconds", 10);
    Albeit::start(config.with_time_scale(10)).await
}

#[track_caller]
fn check_one_second(elapsed: Duration) {
    assert!((Duration::from_millis(900)..Duration::from_millis(1100)).contains(&elapsed), "{elapsed:?}");
}

#[tokio::test]
async fn an_idle_keep_alive_connection_is_closed() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = one_second(&target).await?;
    let mut client = albeit.client().await?;
    client.get("/").await?;
    let started = Instant::now();
    assert!(client.closed().await?.is_empty());
    check_one_second(started.elapsed());
    Ok(())
}

#[tokio::test]
async fn half_a_head_gets_408() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = one_second(&target).await?;
    let mut client = albeit.client().await?;
    client.send("GET /half HTTP/1.1\r\nHost: a\r\n").await?;
    let started = Instant::now();
    let answer = client.response().await?;
    check_one_second(started.elapsed());
    assert_eq!(answer.status, 408);
    assert_eq!(answer.header("server")?, "awselb/2.0");
    assert_eq!(answer.header("connection")?, "close");
    client.closed().await?;
    let records = albeit.records("", 1).await?;
    assert_eq!(records.first().map(|r| r["elb_status_code"].as_str()), Some("408"), "{records:?}");
    Ok(())
}

#[tokio::test]
async fn a_body_that_stalls_gets_408() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = one_second(&target).await?;
    let mut client = albeit.client().await?;
    client.send("POST /stalls HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf").await?;
    assert_eq!(client.response().await?.status, 408);
    assert_eq!(albeit.record("/stalls").await?["elb_status_code"], "408");
    Ok(())
}

#[tokio::test]
async fn a_slow_answer_with_steady_bytes_is_not_cut() -> Result<()> {
    let target = Target::start(|_| {
        let mut steps = vec![Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".to_vec())];
        for _ in 0..10 {
            steps.extend([Step::Pause(Duration::from_millis(300)), Step::Send(b"x".to_vec())]);
        }
        steps
    })?;
    let albeit = one_second(&target).await?;
    let answer = albeit.get("/slow").await?;
    assert_eq!((answer.status, answer.text()), (200, "x".repeat(10)));
    Ok(())
}

/// A client keep-alive duration of 1 s, 60 s divided by 60, and no idle timeout to speak of.
fn one_second_of_keep_alive(config: Config) -> Config {
    config
        .with_attribute("client_keep_alive.seconds", 60)
        .with_attribute("idle_timeout.timeout_seconds", 4000)
        .with_time_scale(60)
}

/// Asks for `path` again and again on one connection, until an answer after 1 s is its last.
async fn serves_one_more(albeit: &Albeit, path: &str, status: u16) -> Result<()> {
    let mut client = albeit.client().await?;
    let started = Instant::now();
    let mut rhythm = tokio::time::interval(Duration::from_millis(100));
    loop {
        rhythm.tick().await;
        let asked = started.elapsed();
        let answer = client.get(path).await?;
        assert_eq!(answer.status, status);
        if answer.headers("connection").contains(&"close") {
            assert!(asked > Duration::from_millis(900), "closed after {asked:?}");
            break;
        }
        assert!(asked < Duration::from_secs(2), "still open after {asked:?}");
    }
    assert!(client.closed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn after_the_client_keep_alive_duration_one_more_request_is_served() -> Result<()> {
    let target = Target::start(|_| vec![Step::Send(ok("ok"))])?;
    let config = Config::forwarding_to(&[target.addr()])?;
    let albeit = Albeit::start(one_second_of_keep_alive(config)).await?;
    serves_one_more(&albeit, "/", 200).await
}

#[tokio::test]
async fn answers_of_the_balancer_are_the_last_of_their_connection_too() -> Result<()> {
    let redirect = json!({ "redirect": { "path": "/elsewhere", "status_code": "HTTP_302" } });
    let fixed = json!({ "fixed_response": { "status_code": "200", "content_type": "text/plain", "message_body": "x" } });
    let listener = Listener::http(forward("nobody"))?
        .with_rule(1, json!({ "path_pattern": ["/redirect"] }), redirect)
        .with_rule(2, json!({ "path_pattern": ["/fixed"] }), fixed);
    let config = Config::try_new()?.with_group(Group::new("nobody", &[])).with_listener(listener);
    let albeit = Albeit::start(one_second_of_keep_alive(config)).await?;
    tokio::try_join!(
        serves_one_more(&albeit, "/redirect", 302),
        serves_one_more(&albeit, "/fixed", 200),
        serves_one_more(&albeit, "/error", 503),
    )?;
    Ok(())
}
