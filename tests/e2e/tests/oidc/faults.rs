//! Logins that do not succeed: the browser's, the user's and the identity provider's fault.

use std::time::Duration;

use albeit_e2e::{
    Browser,
    ca::ALL_VERSIONS,
    http2::Http2,
    idp::Fault,
    wait::{SOON, eventually},
};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Site;

const CALLBACK: &str = "/oauth2/idpresponse";

#[tokio::test]
async fn a_callback_without_state_or_with_a_made_up_one_is_401() -> Result<()> {
    let mut site = Site::start(json!({})).await?;
    site.refused(&format!("{CALLBACK}?code=x"), 401, "AuthMissingStateParam").await?;
    let record = site.albeit.record(CALLBACK).await?;
    assert_eq!(record["matched_rule_priority"], "-1");
    let mut site = Site::start(json!({})).await?;
    site.refused(&format!("{CALLBACK}?code=x&state=AAAA"), 401, "AuthInvalidStateParam").await?;
    assert_eq!(site.metric("ELBAuthFailure").await?, 1.0);
    // Other paths are nobody's but the rules'.
    assert_eq!(site.browser.get(&format!("{CALLBACK}s?code=x")).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn somebody_elses_login_cannot_be_finished() -> Result<()> {
    let mut site = Site::start(json!({})).await?;
    let mut attacker = Browser::try_new(site.albeit.listener(0)?, &site.ca)?;
    let back = attacker.log_in("/private").await?;
    // A victim without a login of its own, and one with.
    site.refused(&back, 401, "AuthMissingAWSALBAuthNonce").await?;
    site.browser.get("/private").await?;
    assert_eq!(site.browser.get(&back).await?.status, 401);
    let records = site.albeit.records(CALLBACK, 2).await?;
    assert_eq!(records[1]["error_reason"], "AuthInvalidAWSALBAuthNonce");
    assert!(!site.browser.cookies.contains_key("AWSELBAuthSessionCookie-0"));
    // The code was not spent on that.
    assert_eq!(site.idp.calls("/token"), 0);
    assert_eq!(attacker.get(&back).await?.status, 302);
    Ok(())
}

#[tokio::test]
async fn a_login_ends_at_the_host_it_was_begun_at() -> Result<()> {
    let mut site = Site::start(json!({})).await?;
    let mut client = site.browser.connect().await?;
    client.send("GET /private HTTP/1.1\r\nHost: evil.example.com\r\n\r\n").await?;
    let response = client.response().await?;
    let location = response.header("location")?.to_owned();
    assert!(location.contains("redirect_uri=https%3A%2F%2Fevil.example.com%2Foauth2"), "{location}");
    let (_, state) = location.split_once("&state=").unwrap_or_default();
    let nonce = response.cookie("AWSALBAuthNonce")?;
    let (name, nonce) = nonce.split_once('=').unwrap_or_default();
    site.browser.cookies.insert(name.to_owned(), nonce.to_owned());
    site.refused(&format!("{CALLBACK}?code=x&state={state}"), 401, "AuthInvalidStateParam").await?;
    Ok(())
}

#[tokio::test]
async fn a_callback_that_is_sent_twice_is_refused_by_the_provider() -> Result<()> {
    let mut site = Site::start(json!({})).await?;
    let back = site.browser.log_in("/private").await?;
    assert_eq!(site.browser.get(&back).await?.status, 302);
    assert_eq!(site.browser.get(&back).await?.status, 561);
    let records = site.albeit.records(CALLBACK, 2).await?;
    assert_eq!(records[1]["error_reason"], "AuthInvalidGrantError");
    assert_eq!(site.metric("ELBAuthFailure").await?, 1.0);
    // The session of the first time is still good.
    assert_eq!(site.browser.get("/private").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn two_tabs_can_log_in_at_once() -> Result<()> {
    let mut site = Site::start(json!({})).await?;
    let one = site.browser.log_in("/private/one").await?;
    let two = site.browser.log_in("/private/two").await?;
    assert_eq!(site.browser.get(&one).await?.header("location")?, site.browser.url("/private/one"));
    assert_eq!(site.browser.get(&two).await?.header("location")?, site.browser.url("/private/two"));
    Ok(())
}

#[tokio::test]
async fn a_user_who_is_denied_is_401_and_a_provider_that_fails_561() -> Result<()> {
    let mut site = Site::start(json!({})).await?;
    site.idp.behave(|behaviour| behaviour.denied = Some("access_denied"));
    let back = site.browser.log_in("/private").await?;
    site.refused(&back, 401, "AuthMissingCodeParam").await?;
    let mut site = Site::start(json!({})).await?;
    site.idp.behave(|behaviour| behaviour.denied = Some("server_error"));
    let back = site.browser.log_in("/private").await?;
    let response = site.refused(&back, 561, "AuthMissingCodeParam").await?;
    assert!(response.head.starts_with("HTTP/1.1 561 Unauthorized\r\n"), "{}", response.head);
    assert_eq!(site.metric("ELBAuthFailure").await?, 1.0);
    assert_eq!(site.metric("HTTPCode_ELB_5XX_Count").await?, 1.0);
    Ok(())
}

#[tokio::test]
async fn a_request_without_a_host_cannot_log_in() -> Result<()> {
    let site = Site::start(json!({})).await?;
    let mut client = site.browser.connect().await?;
    client.send("GET /private HTTP/1.0\r\n\r\n").await?;
    assert_eq!(client.response().await?.status, 401);
    assert_eq!(site.albeit.record("/private").await?["error_reason"], "AuthMissingHostHeader");
    assert_eq!(site.metric("ELBAuthError").await?, 1.0);
    Ok(())
}

/// A login at a provider that `change` has changed is answered `status` for `reason`, counted as `metric`.
async fn check(change: impl FnOnce(&Site), status: u16, reason: &str, metric: &str) -> Result<()> {
    check_at(Site::start(json!({})).await?, change, status, reason, metric).await
}

/// The same where an endpoint has one second in the place of five.
async fn check_slow(path: &'static str, reason: &str) -> Result<()> {
    let site = Site::start_with(json!({}), |config| config.with_time_scale(5)).await?;
    let slow = |site: &Site| site.idp.fail(path, Fault::Slow(Duration::from_secs(30)));
    check_at(site, slow, 500, reason, "ELBAuthError").await
}

async fn check_at(
    mut site: Site,
    change: impl FnOnce(&Site),
    status: u16,
    reason: &str,
    metric: &str,
) -> Result<()> {
    let back = site.browser.log_in("/private").await?;
    change(&site);
    let response = site.refused(&back, status, reason).await?;
    assert!(response.headers("set-cookie").is_empty(), "{}", response.head);
    assert_eq!(site.metric(metric).await?, 1.0, "{reason}");
    assert_eq!(site.metric("ELBAuthSuccess").await?, 0.0);
    assert_eq!(site.target.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn token_endpoints_that_fail() -> Result<()> {
    let answer = |status: u16, body: Value| {
        move |site: &Site| site.idp.fail("/token", Fault::Answer(status, body.to_string()))
    };
    check_slow("/token", "AuthTokenEpRequestTimeout").await?;
    check(answer(500, json!({})), 561, "AuthTokenEpRequestFailed", "ELBAuthError").await?;
    check(answer(401, json!({ "error": "invalid_client" })), 561, "AuthTokenEpRequestFailed", "ELBAuthError")
        .await?;
    check(answer(200, json!("no")), 561, "AuthInvalidTokenResponse", "ELBAuthFailure").await
}

#[tokio::test]
async fn id_tokens_that_are_missing_or_wrong() -> Result<()> {
    let tokens = |tokens: Value| move |site: &Site| site.idp.behave(|behaviour| behaviour.tokens = tokens);
    let id_token =
        |claims: Value| move |site: &Site| site.idp.behave(|behaviour| behaviour.id_token = claims);
    check(tokens(json!({ "id_token": null })), 401, "AuthInvalidTokenResponse", "ELBAuthFailure").await?;
    check(id_token(json!({ "aud": "somebody else" })), 401, "AuthInvalidIdToken", "ELBAuthFailure").await?;
    check(id_token(json!({ "exp": 1_700_000_000 })), 401, "AuthInvalidIdToken", "ELBAuthFailure").await
}

#[tokio::test]
async fn user_info_endpoints_that_fail() -> Result<()> {
    let fail = |fault: Fault| move |site: &Site| site.idp.fail("/userinfo", fault);
    let claims = |claims: Value| move |site: &Site| site.idp.behave(|behaviour| behaviour.userinfo = claims);
    check_slow("/userinfo", "AuthUserinfoEpRequestTimeout").await?;
    let failing = fail(Fault::Answer(503, String::new()));
    check(failing, 561, "AuthUserinfoEpRequestFailed", "ELBAuthError").await?;
    let other = claims(json!({ "sub": "somebody else" }));
    check(other, 561, "AuthInvalidUserinfoResponse", "ELBAuthFailure").await?;
    let huge = claims(json!({ "sub": "user-1", "groups": "g".repeat(11 * 1024) }));
    check(huge, 500, "AuthUserinfoResponseSizeExceeded", "ELBAuthUserClaimsSizeExceeded").await
}

#[tokio::test]
async fn a_provider_with_a_certificate_of_nobody_is_not_trusted() -> Result<()> {
    let untrusting = |mut config: albeit_e2e::Config| {
        let other = albeit_e2e::Ca::try_new().and_then(|ca| {
            let dir = config.dir().join("other");
            std::fs::create_dir_all(&dir)?;
            ca.write(&dir)
        });
        config.trusted = other.ok();
        config
    };
    let mut site = Site::start_with(json!({}), untrusting).await?;
    let back = site.browser.log_in("/private").await?;
    site.refused(&back, 500, "AuthTokenEpRequestTimeout").await?;
    assert_eq!(site.idp.calls("/token"), 0);
    Ok(())
}

#[tokio::test]
async fn authorities_that_were_missing_are_read_with_the_next_reload() -> Result<()> {
    let missing = |mut config: albeit_e2e::Config| {
        config.trusted = Some(config.dir().join("later.pem"));
        config
    };
    let mut site = Site::start_with(json!({}), missing).await?;
    let back = site.browser.log_in("/private").await?;
    site.refused(&back, 500, "AuthTokenEpRequestTimeout").await?;
    let written = site.ca.write(site.albeit.config.dir())?;
    std::fs::rename(written, site.albeit.config.dir().join("later.pem"))?;
    let config = site.albeit.config.clone();
    site.albeit.reload(config).await?;
    let browser = &site.browser;
    eventually(SOON, "the provider to be trusted", || async {
        let response = browser.clone().visit("/private").await?;
        ensure!(response.status == 200, "{}", response.head);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_login_ends_when_its_client_leaves() -> Result<()> {
    let mut site = Site::start(json!({})).await?;
    site.idp.fail("/token", Fault::Slow(Duration::from_secs(30)));
    let back = site.browser.log_in("/private").await?;
    let cookie = site.browser.cookie_line();
    let (name, cookie) = cookie.split_once(": ").unwrap_or_default();
    // A stream whose body never ends is reset with its request.
    let tls = site.ca.client(&["h2"], ALL_VERSIONS)?;
    let http2 = Http2::connect(site.albeit.listener(0)?, "localhost", tls).await?;
    let request = http::Request::post(site.browser.url(&back)).header(name, cookie).body(())?;
    let waiting = http2.send_without_end(request);
    tokio::select! {
        answered = waiting => anyhow::bail!("answered: {answered:?}"),
        called = eventually(SOON, "the provider to be called", || async {
            ensure!(site.idp.calls("/token") == 1);
            Ok(())
        }) => called?,
    }
    let record = site.albeit.record(CALLBACK).await?;
    assert_eq!(record["elb_status_code"], "460", "{record:?}");

    // And one over HTTP/1.1, which has no body.
    let mut client = site.browser.connect().await?;
    let line = site.browser.cookie_line();
    let host = format!("Host: localhost:{}", site.albeit.listener(0)?.port());
    client.send(format!("GET {back}&again HTTP/1.1\r\n{host}\r\n{line}\r\n\r\n")).await?;
    eventually(SOON, "the provider to be called", || async {
        ensure!(site.idp.calls("/token") == 2);
        Ok(())
    })
    .await?;
    drop(client);
    let records = site.albeit.records(CALLBACK, 2).await?;
    assert_eq!(records[1]["elb_status_code"], "460", "{records:?}");
    Ok(())
}
