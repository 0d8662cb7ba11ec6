//! 464: the request's protocol does not go with the protocol version of the target group; and errors as gRPC
//! clients see them.

use albeit_e2e::{
    Albeit, Answer, Ca, Client, Config, ElbError, ElbErrors, Group, H2Target, Listener, Target,
    ca::ALL_VERSIONS, forward, grpc::GrpcTarget, http2::Http2, ports::HeldPort,
};
use anyhow::Result;
use bytes::Bytes;
use serde_json::json;

use super::{BAD_GATEWAY, checked_at};

const MISMATCH: &str = "464 Unknown";

#[tokio::test]
async fn what_a_group_cannot_be_sent_is_464() -> Result<()> {
    let (ca, config) = (Ca::try_new()?, Config::try_new()?);
    let http1 = Target::saying("ok")?;
    let http2 = H2Target::start(100, |_call| std::future::pending())?;
    let grpc = GrpcTarget::start()?;
    let listener = Listener::https(&["localhost"], forward("http1"))?
        .with_rule(1, json!({ "path_pattern": ["/http2"] }), forward("http2"))
        .with_rule(2, json!({ "path_pattern": ["/grpc"] }), forward("grpc"));
    let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
    let config = config
        .with_certificate(certificate)
        .with_group(Group::new("http1", &[http1.addr()]))
        .with_group(Group::new("http2", &[http2.addr()]).speaking("HTTP", "HTTP2"))
        .with_group(Group::new("grpc", &[grpc.addr()]).speaking("HTTP", "GRPC").without_health("path"))
        .with_listener(listener);
    let albeit = Albeit::start(config).await?;
    let mut errors = ElbErrors::of(&albeit);
    let refused = ElbError::new(MISMATCH).forwarding();

    let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    let mut client = Client::connect_tls(albeit.listener(0)?, "localhost", tls).await?;
    for path in ["/http2", "/grpc"] {
        let answer = client.get(path).await?;
        let record = errors.expect_elb_error(path, Answer::Http1(&answer), &refused).await?;
        assert!(record["target_group_arn"].contains(path.trim_start_matches('/')), "{record:?}");
    }
    let client = Http2::connect(albeit.listener(0)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await?;
    let answer = client.get("https://localhost/grpc", &[]).await?;
    let record = errors.expect_elb_error("no POST", Answer::Http2(&answer), &refused).await?;
    assert_eq!(record["type"], "h2");
    let call = http::Request::post("https://localhost/call").header("content-type", "application/grpc");
    let answer = client.send(call.body(Bytes::new())?).await?;
    let record = errors.expect_elb_error("gRPC", Answer::Http2(&answer), &refused).await?;
    assert_eq!(record["type"], "grpcs");
    assert!(http1.requests().is_empty() && http2.requests().is_empty() && grpc.calls().is_empty());
    Ok(())
}

#[tokio::test]
async fn grpc_clients_are_told_that_the_service_is_unavailable() -> Result<()> {
    let (ca, checked, refusing) = (Ca::try_new()?, Target::saying("ok")?, HeldPort::try_new()?);
    let grpc = |group: Group| group.speaking("HTTP", "GRPC").without_health("path");
    let listener = Listener::https(&["localhost"], forward("empty"))?.with_rule(
        1,
        json!({ "path_pattern": ["/refused"] }),
        forward("refusing"),
    );
    let config = Config::try_new()?;
    let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
    let config = config
        .with_certificate(certificate)
        .with_group(grpc(Group::new("empty", &[])))
        .with_group(grpc(checked_at("refusing", refusing.addr(), &checked)))
        .with_listener(listener);
    // The checks of a GRPC group are calls, which the other target does not understand: it fails open.
    let albeit = Albeit::start_unsettled(config).await?;
    let mut errors = ElbErrors::of(&albeit);
    let client = Http2::connect(albeit.listener(0)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await?;
    let unavailable = ElbError::new("503 Service Temporarily Unavailable").forwarding();
    let refused = ElbError::new(BAD_GATEWAY)
        .chosen(refusing.addr())
        .counted("GrpcRequestCount")
        .counted("TargetConnectionErrorCount");
    let mismatch = ElbError::new(MISMATCH).forwarding();
    for (method, path, expected) in
        [("POST", "/empty", unavailable), ("POST", "/refused", refused), ("GET", "/get", mismatch)]
    {
        let call = http::Request::builder().method(method).header("content-type", "application/grpc+proto");
        let call = call.uri(format!("https://localhost{path}")).body(Bytes::new())?;
        let answer = client.send(call).await?;
        let record = errors.expect_elb_error(path, Answer::Grpc(&answer), &expected).await?;
        assert_eq!(record["type"], "grpcs");
    }
    Ok(())
}
