//! 408: the client did not send a whole request before the idle timeout.

use albeit_e2e::{
    Albeit, Answer, Ca, Config, ElbError, ElbErrors, ca::ALL_VERSIONS, h2_target, wait::SOON, within,
};
use anyhow::{Context as _, Result};

use super::{REQUEST_TIMEOUT, one_second, silent};

#[tokio::test]
async fn silence_half_a_head_and_half_a_body_are_408() -> Result<()> {
    let target = silent()?;
    let albeit = Albeit::start(one_second(Config::forwarding_to(&[target.addr()])?)).await?;
    let mut errors = ElbErrors::of(&albeit);
    let late = || ElbError::new(REQUEST_TIMEOUT).closing();
    for (request, expected) in [
        ("", late()),
        ("GET /half HTTP/1.1\r\nHost: a\r\n", late()),
        ("POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", late().sent(target.addr())),
        (
            "POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            late().sent(target.addr()),
        ),
    ] {
        let mut client = albeit.client().await?;
        client.send(request).await?;
        let answer = client.response().await?;
        errors.expect_elb_error(request, Answer::Http1(&answer), &expected).await?;
        assert!(client.closed().await?.is_empty(), "{request}");
    }
    Ok(())
}

#[tokio::test]
async fn half_a_body_in_http2_is_408() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, silent()?);
    let config = one_second(Config::forwarding_to(&[target.addr()])?.with_https(&ca)?);
    let albeit = Albeit::start(config).await?;
    let mut errors = ElbErrors::of(&albeit);
    let tls = ca.client(&["h2"], ALL_VERSIONS)?;
    let (mut sender, _connection) = h2_target::connect(albeit.listener(1)?, "localhost", tls).await?;
    let request = http::Request::post("https://localhost/half").body(())?;
    let (response, _stream) = sender.send_request(request, false)?;
    let (head, mut body) = within(SOON, "408", response).await??.into_parts();
    let page = within(SOON, "the page", body.data()).await?.context("a page")??;
    let answer = http::Response::from_parts(head, page);
    let expected = ElbError::new(REQUEST_TIMEOUT).sent(target.addr());
    errors.expect_elb_error("half a body", Answer::Http2(&answer), &expected).await?;
    Ok(())
}
