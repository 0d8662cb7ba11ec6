//! Target groups of protocol version GRPC, with a real gRPC client and server.

use std::time::Duration;

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, TlsFront,
    ca::ALL_VERSIONS,
    eventually, forward,
    grpc::{GrpcTarget, HEALTH, Note, NoteClient},
    h2_target,
    http2::Http2,
    tls_front::untrustworthy,
    wait::SOON,
    within,
};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

/// The group `web` of protocol version GRPC with these targets, whose unknown method is their health check.
fn group(targets: &[std::net::SocketAddr]) -> Group {
    Group::new("web", targets).speaking("HTTP", "GRPC").without_health("path")
}

async fn in_front_of(ca: &Ca, target: &GrpcTarget) -> Result<(Albeit, NoteClient)> {
    let config = Config::try_new()?.with_group(group(&[target.addr()])).with_https(ca)?;
    let albeit = Albeit::start(config).await?;
    let client = NoteClient::connect(albeit.listener(0)?, ca).await?;
    Ok((albeit, client))
}

#[tokio::test]
async fn a_unary_call_passes_with_its_metadata() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = GrpcTarget::start()?;
    let (albeit, mut client) = in_front_of(&ca, &target).await?;
    let answer = client.echo("hello", None).await?;
    assert_eq!(answer.into_inner(), Note::new("hello", 1));
    let calls = target.calls();
    let (path, metadata) = calls.first().context("no call")?;
    let value = |name: &str| metadata.get(name).and_then(|value| value.to_str().ok());
    assert_eq!(
        (path.as_str(), value("x-own"), value("te")),
        ("/test.Notes/Echo", Some("mine"), Some("trailers"))
    );
    assert_eq!((value("x-forwarded-for"), value("x-forwarded-proto")), (Some("127.0.0.1"), Some("https")));
    assert!(value("x-amzn-trace-id").is_some());

    let record = albeit.record("/test.Notes/Echo").await?;
    assert_eq!(
        (&*record["type"], &*record["elb_status_code"], &*record["target_status_code"]),
        ("grpcs", "200", "200")
    );
    assert!(record.request().starts_with("POST https://") && record.request().ends_with(" HTTP/2.0"));
    let metrics = albeit.metrics().await?;
    assert_eq!(metrics.cloudwatch("GrpcRequestCount")?, 1.0);
    assert_eq!(metrics.cloudwatch("RequestCount")?, 1.0);
    Ok(())
}

#[tokio::test]
async fn a_status_of_the_target_passes_with_its_details() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = GrpcTarget::start()?;
    let (_albeit, mut client) = in_front_of(&ca, &target).await?;
    let status = client.echo("fail", None).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "no such note: é"));
    assert_eq!(status.metadata().get("x-detail").context("no detail")?, "42");
    assert_eq!(client.nothing().await.unwrap_err().code(), Code::Unimplemented);
    Ok(())
}

#[tokio::test]
async fn a_server_stream_arrives_in_order_and_large() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = GrpcTarget::start()?;
    let (_albeit, mut client) = in_front_of(&ca, &target).await?;
    let text = "x".repeat(10_000);
    let mut notes = client.count(&text, 300).await?;
    for number in 1..=300 {
        let note = within(SOON, "a note", notes.message()).await??;
        assert_eq!(note.map(|note| (note.number, note.text.len())), Some((number, 10_000)));
    }
    assert_eq!(notes.message().await?, None);
    Ok(())
}

#[tokio::test]
async fn a_client_stream_arrives_however_small_its_messages() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = GrpcTarget::start()?;
    let (albeit, mut client) = in_front_of(&ca, &target).await?;
    let sum =
        within(SOON, "the sum", client.sum(stream::iter((1..=5000).map(|number| Note::new("", number)))))
            .await??;
    assert_eq!(sum.number, 5000 * 5001 / 2);
    assert!(albeit.record("/test.Notes/Sum").await?.number("received_bytes")? > 5000.0 * 7.0);
    Ok(())
}

#[tokio::test]
async fn both_sides_talk_in_turn_and_a_late_status_arrives() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = GrpcTarget::start()?;
    let (_albeit, mut client) = in_front_of(&ca, &target).await?;
    let (say, said) = mpsc::channel(1);
    let mut answers = client.chat(ReceiverStream::new(said)).await?;
    for number in 0..20 {
        say.send(Note::new("ping", number)).await?;
        let answer = within(SOON, "an answer", answers.message()).await??;
        assert_eq!(answer, Some(Note::new("ping", number + 1)));
    }
    // The call ends by the server's word while the client could still talk.
    say.send(Note::new("bye", 0)).await?;
    let status = within(SOON, "the status", answers.message()).await?.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Aborted, "bye"));
    Ok(())
}

#[tokio::test]
async fn a_client_that_reads_late_does_not_stop_what_it_sends() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = GrpcTarget::start()?;
    let (_albeit, mut client) = in_front_of(&ca, &target).await?;
    let notes = stream::iter((0..200).map(|number| Note::new("y".repeat(20_000), number)));
    let mut answers = client.chat(notes).await?;
    let mut other = client.clone();
    // Another call on the same connections is not held up by the one that does not read.
    assert_eq!(
        within(SOON, "another call", other.echo("meanwhile", None)).await??.into_inner().text,
        "meanwhile"
    );
    let mut count = 0;
    while let Some(answer) = within(SOON, "an answer", answers.message()).await?? {
        assert_eq!((answer.number, answer.text.len()), (count + 1, 20_000));
        count += 1;
    }
    assert_eq!(count, 200);
    Ok(())
}

#[tokio::test]
async fn cancelled_calls_end_at_the_target() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = GrpcTarget::start()?;
    let (albeit, mut client) = in_front_of(&ca, &target).await?;
    let mut cancelled = target.cancelled();
    let status = client.echo("hang", Some(Duration::from_millis(300))).await.unwrap_err();
    assert!(matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded), "{status:?}");
    within(SOON, "the unary call's end", cancelled.wait_for(|count| *count == 1)).await??;
    assert!(target.calls().first().is_some_and(|(_, metadata)| metadata.contains_key("grpc-timeout")));

    let mut endless = client.count("z", 0).await?;
    assert_eq!(endless.message().await?, Some(Note::new("z", 1)));
    drop(endless);
    within(SOON, "the stream's end", cancelled.wait_for(|count| *count == 2)).await??;
    assert_eq!(albeit.record("/test.Notes/Count").await?["elb_status_code"], "200");

    let (say, said) = mpsc::channel(1);
    let answers = client.chat(ReceiverStream::new(said)).await?;
    drop((answers, say));
    within(SOON, "the conversation's end", cancelled.wait_for(|count| *count == 3)).await??;
    Ok(())
}

#[tokio::test]
async fn errors_of_the_load_balancer_are_unavailable() -> Result<()> {
    let ca = Ca::try_new()?;
    let albeit = Albeit::start(Config::try_new()?.with_group(group(&[])).with_https(&ca)?).await?;
    let mut client = NoteClient::connect(albeit.listener(0)?, &ca).await?;
    let status = client.echo("hello", None).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "unavailable"));
    let record = albeit.record("/test.Notes/Echo").await?;
    assert_eq!(
        (&*record["type"], &*record["elb_status_code"], &*record["target:port"]),
        ("grpcs", "503", "-")
    );
    assert_eq!(albeit.metrics().await?.cloudwatch("HTTPCode_ELB_503_Count")?, 1.0);

    // On the wire: the head alone, with the status of the error.
    let (mut sender, _connection) =
        h2_target::connect(albeit.listener(0)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await?;
    let request =
        http::Request::post("https://localhost/raw").header("content-type", "application/grpc+proto");
    let (response, _) = sender.send_request(request.body(())?, true)?;
    let response = within(SOON, "the error", response).await??;
    assert!(response.body().is_end_stream());
    assert_eq!(response.status(), 503);
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    assert_eq!((header("grpc-status"), header("grpc-message")), (Some("14"), Some("unavailable")));
    assert_eq!((header("content-type"), header("server")), (Some("application/grpc"), Some("awselb/2.0")));
    assert_eq!(header("content-length"), None);
    Ok(())
}

#[tokio::test]
async fn silence_of_the_target_is_unavailable_after_the_idle_timeout() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = GrpcTarget::start()?;
    let config = Config::try_new()?
        .with_group(group(&[target.addr()]))
        .with_https(&ca)?
        .with_attribute("idle_timeout.timeout_seconds", 1);
    let albeit = Albeit::start(config).await?;
    let mut client = NoteClient::connect(albeit.listener(0)?, &ca).await?;
    let status = within(SOON, "the status", client.echo("hang", None)).await?.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "unavailable"));
    assert_eq!(albeit.record("/test.Notes/Echo").await?["elb_status_code"], "504");
    Ok(())
}

#[tokio::test]
async fn requests_that_do_not_fit_the_group_get_464() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = GrpcTarget::start()?;
    let plain = albeit_e2e::Target::saying("plain")?;
    let listener = Listener::https(&["localhost"], forward("plain"))?;
    let config = Config::try_new()?
        .with_group(group(&[target.addr()]))
        .with_group(Group::new("plain", &[plain.addr()]))
        .with_https(&ca)?
        .with_listener(listener);
    let albeit = Albeit::start(config).await?;
    let http1 = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    let http2 = ca.client(&["h2"], ALL_VERSIONS)?;

    let mut old = Client::connect_tls(albeit.listener(0)?, "localhost", http1).await?;
    assert_eq!(old.get("/http1").await?.status, 464);
    let client = Http2::connect(albeit.listener(0)?, "localhost", http2).await?;
    let got = client.get("https://localhost/get", &[]).await?;
    assert_eq!((got.status().as_u16(), got.headers()["content-type"].as_bytes()), (464, &b"text/html"[..]));
    let call = client.get("https://localhost/call", &[("content-type", "application/grpc")]).await?;
    assert_eq!((call.status().as_u16(), call.headers()["grpc-status"].as_bytes()), (464, &b"14"[..]));
    // gRPC is not for groups of HTTP1; gRPC-Web is.
    let mut mistaken = NoteClient::connect(albeit.listener(1)?, &ca).await?;
    assert!(mistaken.echo("hello", None).await.is_err());
    let web = Http2::connect(albeit.listener(1)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await?;
    let request =
        http::Request::post("https://localhost/web").header("content-type", "application/grpc-web+proto");
    assert_eq!(web.send(request.body(Bytes::new())?).await?.body(), "plain");

    for path in ["/http1", "/get", "/call", "/test.Notes/Echo"] {
        let record = albeit.record(path).await?;
        assert_eq!((&*record["elb_status_code"], &*record["target:port"]), ("464", "-"), "{path}");
    }
    let metrics = albeit.metrics().await?;
    assert_eq!(metrics.cloudwatch("HTTPCode_ELB_4XX_Count")?, 4.0);
    assert_eq!(metrics.cloudwatch("GrpcRequestCount")?, 0.0);
    assert!(target.calls().is_empty() && plain.requests().len() == 1);
    Ok(())
}

#[tokio::test]
async fn targets_may_speak_tls() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = GrpcTarget::start()?;
    let front = TlsFront::start(target.addr(), untrustworthy(ALL_VERSIONS, &["h2"])?)?;
    let group = Group::new("web", &[front.addr()]).speaking("HTTPS", "GRPC").without_health("path");
    let albeit = Albeit::start(Config::try_new()?.with_group(group).with_https(&ca)?).await?;
    let mut client = NoteClient::connect(albeit.listener(0)?, &ca).await?;
    assert_eq!(client.echo("over TLS", None).await?.into_inner().text, "over TLS");
    let notes = client.count("n", 5).await?;
    assert_eq!(notes.count().await, 5);
    assert_eq!(front.handshake(2).await?.alpn, ["h2"]);
    Ok(())
}

#[tokio::test]
async fn the_health_check_is_a_call() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = GrpcTarget::start()?;
    let checked = group(&[target.addr()])
        .with_health("path", HEALTH)
        .with_health("matcher", "0-5")
        .with_health("interval", "5s")
        .with_health("timeout", "2s")
        .with_health("healthy_threshold", 2)
        .with_health("unhealthy_threshold", 2);
    let config = Config::try_new()?.with_group(checked).with_https(&ca)?.with_time_scale(20);
    let mut albeit = Albeit::start(config).await?;
    target.set_health(Code::Internal);
    let sick = albeit
        .wait_for_targets("an unhealthy target", |all| all.iter().all(|t| t.state == "unhealthy"))
        .await?;
    let sick = sick.first().context("no target")?;
    assert_eq!(sick.reason, "Target.ResponseCodeMismatch");
    assert_eq!(sick.description, "Health checks failed with these codes: [13]");
    target.set_health(Code::NotFound);
    albeit.wait_for_targets("a healthy target", |all| all.iter().all(|t| t.state == "healthy")).await?;
    assert!(target.calls().is_empty());
    Ok(())
}

#[tokio::test]
async fn many_calls_side_by_side() -> Result<()> {
    let ca = Ca::try_new()?;
    let targets = [GrpcTarget::start()?, GrpcTarget::start()?];
    let addrs: Vec<_> = targets.iter().map(GrpcTarget::addr).collect();
    let albeit = Albeit::start(Config::try_new()?.with_group(group(&addrs)).with_https(&ca)?).await?;
    let client = NoteClient::connect(albeit.listener(0)?, &ca).await?;
    let mut calls = JoinSet::new();
    for number in 0..300_u32 {
        let mut client = client.clone();
        calls.spawn(async move {
            let text = number.to_string();
            for _ in 0..5 {
                let answer = client.echo(&text, None).await?.into_inner();
                ensure!(answer.text == text, "{number} was answered with {}", answer.text);
            }
            let notes =
                client.chat(stream::iter((0..10).map(move |turn| Note::new("", number + turn)))).await?;
            ensure!(notes.count().await == 10);
            Ok(())
        });
    }
    while let Some(call) = calls.join_next().await {
        call??;
    }
    // Calls are balanced one by one, though all come on one connection.
    let counts: Vec<usize> = targets.iter().map(|target| target.calls().len()).collect();
    assert_eq!(counts, [900, 900]);
    eventually(SOON, "every call counted", || async {
        let counted = albeit.metrics().await?.cloudwatch("GrpcRequestCount")?;
        ensure!(counted == 1800.0, "{counted} calls counted");
        Ok(())
    })
    .await
}
