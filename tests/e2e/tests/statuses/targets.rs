//! 502 and 504: what targets do wrong.

use std::net::{Ipv4Addr, SocketAddr};

use albeit_e2e::{
    Albeit, Answer, Ca, Config, ElbError, ElbErrors, Group, H2Target, Listener, Step, Target,
    ca::ALL_VERSIONS, eventually, forward, http2::Http2, ports::HeldPort, target::response, wait::SOON,
};
use anyhow::{Result, ensure};
use h2::Reason;
use http::Response;
use serde_json::json;

use super::{BAD_GATEWAY, GATEWAY_TIMEOUT, checked_at, gone::fill, one_second, silent};

const CONNECTION_ERROR: &str = "TargetConnectionErrorCount";
const TLS_ERROR: &str = "TargetTLSNegotiationErrorCount";

/// What a target sends before it closes, by path.
fn script(path: &str) -> Vec<Step> {
    let send = |text: &str| Step::Send(text.as_bytes().to_vec());
    match path {
        "/fin" => vec![Step::Close],
        "/rst" => vec![Step::Reset],
        "/half-a-head" => vec![send("HTTP/1.1 200 OK\r\nX-Half"), Step::Close],
        "/no-http" => vec![send("\0\u{1}\u{2} what is this\r\n\r\n"), Step::Close],
        "/no-colon" => vec![send("HTTP/1.1 200 OK\r\nNo colon here\r\n\r\n"), Step::Close],
        "/status" => vec![send("HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"), Step::Close],
        "/huge" => {
            let fields: Vec<String> = (0..5).map(|n| format!("X-{n}: {}", "a".repeat(8_000))).collect();
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            vec![Step::Send(response("200 OK", &fields, ""))]
        }
        _ => vec![send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")],
    }
}

#[tokio::test]
async fn targets_that_hang_up_or_answer_badly_are_502() -> Result<()> {
    let target = Target::start(|request| script(request.path()))?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut errors = ElbErrors::of(&albeit);
    let mut client = albeit.client().await?;
    let expected = ElbError::new(BAD_GATEWAY).answered(target.addr());
    for path in ["/fin", "/rst", "/half-a-head", "/no-http", "/no-colon", "/status", "/huge", "/fin"] {
        let answer = client.get(path).await?;
        errors.expect_elb_error(path, Answer::Http1(&answer), &expected).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_pooled_connection_that_the_target_closes_is_502() -> Result<()> {
    let target = Target::start(|request| match request.number {
        0 => script("/"),
        _ => vec![Step::Close],
    })?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut errors = ElbErrors::of(&albeit);
    let mut client = albeit.client().await?;
    assert_eq!(client.get("/first").await?.status, 200);
    errors.pass(&["RequestCount", "HTTPCode_Target_2XX_Count"]);
    let answer = client.get("/raced").await?;
    let expected = ElbError::new(BAD_GATEWAY).answered(target.addr());
    errors.expect_elb_error("the keep-alive race", Answer::Http1(&answer), &expected).await?;
    Ok(())
}

#[tokio::test]
async fn streams_that_http2_targets_reset_are_502() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = H2Target::start(100, |mut call| async move {
        if call.request.uri().path() == "/reset" {
            call.respond.send_reset(Reason::INTERNAL_ERROR);
        } else {
            let response = Response::builder().header("x-big", "x".repeat(33_000)).body(())?;
            call.respond.send_response(response, true)?;
        }
        Ok(())
    })?;
    let group = Group::new("web", &[target.addr()]).speaking("HTTP", "HTTP2");
    let albeit = Albeit::start(Config::try_new()?.with_group(group).with_https(&ca)?).await?;
    let mut errors = ElbErrors::of(&albeit);
    let client = Http2::connect(albeit.listener(0)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await?;
    let expected = ElbError::new(BAD_GATEWAY).answered(target.addr());
    for path in ["reset", "huge"] {
        let answer = client.get(&format!("https://localhost/{path}"), &[]).await?;
        errors.expect_elb_error(path, Answer::Http2(&answer), &expected).await?;
    }
    Ok(())
}

#[tokio::test]
async fn targets_that_cannot_be_connected_to_are_502() -> Result<()> {
    let (checked, refusing) = (Target::saying("ok")?, HeldPort::try_new()?);
    // The system refuses to connect to a broadcast address with "network is unreachable", as after an ICMP
    // message of that kind. No health check gets there either, so the group fails open.
    let unreachable = SocketAddr::from((Ipv4Addr::new(127, 255, 255, 255), 80));
    let listener = Listener::http(forward("refusing"))?.with_rule(
        1,
        json!({ "path_pattern": ["/unreachable"] }),
        forward("unreachable"),
    );
    let config = Config::try_new()?
        .with_group(checked_at("refusing", refusing.addr(), &checked))
        .with_group(Group::new("unreachable", &[unreachable]))
        .with_listener(listener);
    let albeit = Albeit::start_unsettled(config).await?;
    let mut errors = ElbErrors::of(&albeit);
    let mut client = albeit.client().await?;
    for (path, addr) in [("/refused", refusing.addr()), ("/unreachable", unreachable)] {
        let answer = client.get(path).await?;
        let expected = ElbError::new(BAD_GATEWAY).chosen(addr).counted(CONNECTION_ERROR);
        errors.expect_elb_error(path, Answer::Http1(&answer), &expected).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_end_of_the_deregistration_delay_is_502() -> Result<()> {
    let target = silent()?;
    let config = Config::forwarding_to(&[target.addr()])?
        .map_group(|group| group.with_attribute("deregistration_delay.timeout_seconds", 1));
    let without = config.clone().map_group(|group| group.with_targets(&[]));
    let mut albeit = Albeit::start(config).await?;
    let mut client = albeit.client().await?;
    client.send("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    target.request(1).await?;
    albeit.reload(without).await?;
    let answer = client.response().await?;
    let expected = ElbError::new(BAD_GATEWAY).sent(target.addr());
    ElbErrors::of(&albeit).expect_elb_error("cut", Answer::Http1(&answer), &expected).await?;
    Ok(())
}

#[tokio::test]
async fn failed_tls_with_a_target_is_502_and_slow_tls_504() -> Result<()> {
    // One answers in clear text; the other waits for the end of a request head, which no ClientHello is.
    let (clear, waiting) = (HeldPort::try_new()?, Target::saying("never")?);
    let listener = clear.listen()?;
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Whether it is still listened to makes no difference.
            drop(tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 mail.test ESMTP\r\n").await);
        }
    });
    let checked = Target::saying("ok")?;
    let group = |name, addr| {
        checked_at(name, addr, &checked).speaking("HTTPS", "HTTP1").with_health("protocol", "HTTP")
    };
    let listener = Listener::http(forward("clear"))?.with_rule(
        1,
        json!({ "path_pattern": ["/slow"] }),
        forward("waiting"),
    );
    let config = Config::try_new()?
        .with_group(group("clear", clear.addr()))
        .with_group(group("waiting", waiting.addr()))
        .with_listener(listener)
        .with_time_scale(10);
    let albeit = Albeit::start(config).await?;
    let mut errors = ElbErrors::of(&albeit);
    let mut client = albeit.client().await?;
    for (path, status, addr) in
        [("/clear", BAD_GATEWAY, clear.addr()), ("/slow", GATEWAY_TIMEOUT, waiting.addr())]
    {
        let answer = client.get(path).await?;
        let expected = ElbError::new(status).chosen(addr).counted(TLS_ERROR);
        errors.expect_elb_error(path, Answer::Http1(&answer), &expected).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_target_that_does_not_accept_is_504() -> Result<()> {
    let (port, checked) = (HeldPort::try_new()?, Target::saying("ok")?);
    let queue = port.listen_without_accepting()?;
    let config = Config::try_new()?
        .with_group(checked_at("web", port.addr(), &checked))
        .with_listener(Listener::http(forward("web"))?)
        .with_time_scale(10);
    let albeit = Albeit::start(config).await?;
    let mut errors = ElbErrors::of(&albeit);
    let _filling = fill(&port).await?;
    let answer = albeit.get("/dropped").await?;
    let expected = ElbError::new(GATEWAY_TIMEOUT).chosen(port.addr()).counted(CONNECTION_ERROR);
    errors.expect_elb_error("dropped", Answer::Http1(&answer), &expected).await?;
    drop(queue);
    Ok(())
}

#[tokio::test]
async fn a_target_that_says_nothing_is_504() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = silent()?;
    let albeit = Albeit::start(one_second(Config::forwarding_to(&[target.addr()])?.with_https(&ca)?)).await?;
    let mut errors = ElbErrors::of(&albeit);
    let expected = ElbError::new(GATEWAY_TIMEOUT).sent(target.addr());
    let mut client = albeit.client().await?;
    let answer = client.get("/get").await?;
    errors.expect_elb_error("GET", Answer::Http1(&answer), &expected).await?;
    client.send("POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody").await?;
    let answer = client.response().await?;
    errors.expect_elb_error("POST", Answer::Http1(&answer), &expected).await?;
    let http2 = Http2::connect(albeit.listener(1)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await?;
    let answer = http2.get("https://localhost/http2", &[]).await?;
    errors.expect_elb_error("HTTP/2", Answer::Http2(&answer), &expected).await?;
    Ok(())
}

#[tokio::test]
async fn a_content_length_larger_than_the_body_is_cut_at_the_idle_timeout() -> Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    let target = Target::start(move |_| {
        vec![Step::Send(head.as_bytes().to_vec()), Step::Await(albeit_e2e::target::Gate::default())]
    })?;
    let albeit = Albeit::start(one_second(Config::forwarding_to(&[target.addr()])?)).await?;
    let mut client = albeit.client().await?;
    client.send("GET /short HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    // The head has been sent: it is too late for 504, and the client sees a body that is cut.
    let received = String::from_utf8(client.closed().await?)?;
    ensure!(
        received.starts_with("HTTP/1.1 200 OK\r\n") && received.ends_with("\r\n\r\nhalf"),
        "{received:?}"
    );
    let record = albeit.record("/short").await?;
    assert_eq!((&*record["elb_status_code"], &*record["target_status_code"]), ("200", "200"));
    assert_eq!(record["sent_bytes"], received.len().to_string());
    eventually(SOON, "the metrics", || async {
        let metrics = albeit.metrics().await?;
        ensure!(metrics.cloudwatch("HTTPCode_Target_2XX_Count")? == 1.0);
        ensure!(metrics.cloudwatch("HTTPCode_ELB_5XX_Count")? == 0.0);
        Ok(())
    })
    .await
}
