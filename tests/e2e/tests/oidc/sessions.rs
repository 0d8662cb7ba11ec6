//! Sessions: how long they last, how they are refreshed, who may use them.

use std::time::Duration;

use albeit_e2e::{
    Albeit, Browser, Config, Group,
    idp::Fault,
    wait::{SOON, eventually},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::Site;

const COOKIE: &str = "AWSELBAuthSessionCookie-0";

#[tokio::test]
async fn an_expired_access_token_is_refreshed() -> Result<()> {
    let mut site = Site::start(json!({})).await?;
    site.idp.behave(|behaviour| behaviour.tokens = json!({ "expires_in": 0 }));
    site.browser.visit("/private").await?;
    assert_eq!(site.metric("ELBAuthRefreshTokenSuccess").await?, 1.0);
    let before = site.browser.cookies.get(COOKIE).cloned();
    site.idp.behave(|behaviour| {
        behaviour.userinfo = json!({ "sub": "user-1", "email": "new@example.com" });
        behaviour.tokens = json!({});
    });
    let response = site.browser.get("/private/refreshed").await?;
    assert_eq!(response.status, 200);
    assert!(response.header("set-cookie")?.starts_with(COOKIE), "{}", response.head);
    assert_ne!(site.browser.cookies.get(COOKIE).cloned(), before);
    let tokens = site.target.request(2).await?.header("x-amzn-oidc-accesstoken")?.to_owned();
    assert_eq!(site.metric("ELBAuthRefreshTokenSuccess").await?, 2.0);
    // The new token is good for an hour.
    site.browser.get("/private/again").await?;
    let again = site.target.request(3).await?;
    assert_eq!(again.header("x-amzn-oidc-accesstoken")?, tokens);
    assert_eq!(site.idp.calls("/token"), 3);
    assert_eq!(site.metric("ELBAuthSuccess").await?, 1.0);
    Ok(())
}

#[tokio::test]
async fn requests_side_by_side_spend_a_refresh_token_once() -> Result<()> {
    let mut site = Site::start(json!({})).await?;
    site.idp.behave(|behaviour| behaviour.tokens = json!({ "expires_in": 0 }));
    let back = site.browser.log_in("/private").await?;
    assert_eq!(site.browser.get(&back).await?.status, 302);
    site.idp.behave(|behaviour| behaviour.tokens = json!({}));
    site.idp.fail("/token", Fault::Slow(Duration::from_millis(300)));
    let browser = &site.browser;
    let requests = (0..6).map(|number| async move {
        let mut browser = browser.clone();
        let response = browser.get(&format!("/private/{number}")).await?;
        ensure!(response.status == 200, "{number}: {}", response.head);
        ensure!(response.header("set-cookie")?.starts_with(COOKIE), "{}", response.head);
        Ok(())
    });
    futures_util::future::try_join_all(requests).await?;
    // One that was on its way with the old cookie.
    assert_eq!(site.browser.get("/private/late").await?.status, 200);
    assert_eq!(site.idp.calls("/token"), 2, "a login and a refresh");
    assert_eq!(site.metric("ELBAuthRefreshTokenSuccess").await?, 1.0);
    Ok(())
}

#[tokio::test]
async fn a_user_who_logged_out_is_sent_to_log_in_again() -> Result<()> {
    let mut site = Site::start(json!({})).await?;
    site.idp.behave(|behaviour| behaviour.tokens = json!({ "expires_in": "0" }));
    assert_eq!(site.browser.visit("/private").await?.status, 200);
    site.idp.log_out();
    let response = site.browser.get("/private").await?;
    assert_eq!(response.status, 302);
    assert!(response.header("location")?.starts_with(&site.idp.url("/authorize")));
    Ok(())
}

#[tokio::test]
async fn without_a_refresh_token_the_session_goes_on() -> Result<()> {
    let mut site = Site::start(json!({})).await?;
    site.idp.behave(|behaviour| behaviour.tokens = json!({ "expires_in": 0, "refresh_token": null }));
    assert_eq!(site.browser.visit("/private").await?.status, 200);
    assert_eq!(site.browser.get("/private").await?.status, 200);
    assert_eq!(site.idp.calls("/token"), 1);
    Ok(())
}

#[tokio::test]
async fn a_session_ends_with_its_timeout() -> Result<()> {
    let mut site = Site::start(json!({ "session_timeout": "1s" })).await?;
    let back = site.browser.log_in("/private").await?;
    assert_eq!(site.browser.get(&back).await?.status, 302);
    let browser = &site.browser;
    eventually(SOON, "the session to end", || async {
        let response = browser.clone().get("/private").await?;
        ensure!(response.status == 302, "{}", response.head);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn claims_that_fill_several_cookies_come_back_whole() -> Result<()> {
    let mut site = Site::start(json!({})).await?;
    let groups = "g".repeat(9000);
    site.idp.behave(|behaviour| behaviour.userinfo = json!({ "sub": "user-1", "groups": groups.as_str() }));
    assert_eq!(site.browser.visit("/private").await?.status, 200);
    let shards = site.browser.cookies.keys().filter(|name| name.starts_with("AWSELBAuthSessionCookie-"));
    assert_eq!(shards.count(), 4);
    assert!(site.browser.cookies.values().all(|value| value.len() <= 4096));
    // A shorter session leaves old cookies behind, which do no harm.
    site.browser.cookies.remove(COOKIE);
    site.idp.behave(|behaviour| behaviour.userinfo = json!({ "sub": "user-1" }));
    assert_eq!(site.browser.visit("/private").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_changed_cookie_is_401_and_taken_away() -> Result<()> {
    let mut site = Site::start(json!({})).await?;
    site.browser.visit("/private").await?;
    let cookie = site.browser.cookies.get_mut(COOKIE).context("a session")?;
    let changed = if cookie.ends_with("AA==") { "BB==" } else { "AA==" };
    cookie.replace_range(cookie.len() - 4.., changed);
    let response = site.browser.get("/private/changed").await?;
    assert_eq!(response.status, 401);
    assert!(!site.browser.cookies.contains_key(COOKIE), "{}", response.head);
    let record = site.albeit.record("/private/changed").await?;
    assert_eq!(record["error_reason"], "AuthInvalidCookie");
    assert_eq!(site.metric("ELBAuthFailure").await?, 1.0);
    // The next request leads to the login.
    assert_eq!(site.browser.get("/private").await?.status, 302);
    Ok(())
}

#[tokio::test]
async fn a_stickiness_cookie_is_no_session() -> Result<()> {
    let change = |config: Config| config.map_group(Group::with_lb_cookie);
    let mut site = Site::start_with(json!({}), change).await?;
    site.browser.get("/open").await?;
    let sticky = site.browser.cookies.get("AWSALB").context("a stickiness cookie")?.clone();
    site.browser.cookies.insert(COOKIE.to_owned(), format!("1{sticky}"));
    assert_eq!(site.browser.get("/private").await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn replicas_that_share_a_key_share_sessions_and_logins() -> Result<()> {
    let keys = Config::try_new()?;
    let key = keys.dir().join("shared.key");
    std::fs::write(&key, format!("{}\n", "ab".repeat(32)))?;
    let with_key = |mut config: Config| {
        config.stickiness_keys = vec![key.clone()];
        config
    };
    let mut site = Site::start_with(json!({}), with_key).await?;
    let replica = Albeit::start(replica_of(&site)?).await?;
    // Begun at one, finished at the other, used at both.
    let back = site.browser.log_in("/private").await?;
    let mut elsewhere = Browser::try_new(replica.listener(0)?, &site.ca)?;
    elsewhere.cookies.clone_from(&site.browser.cookies);
    let host = format!("Host: localhost:{}", site.albeit.listener(0)?.port());
    let mut client = elsewhere.connect().await?;
    let request = format!("GET {back} HTTP/1.1\r\n{host}\r\n{}\r\n\r\n", elsewhere.cookie_line());
    client.send(request).await?;
    let response = client.response().await?;
    ensure!(response.status == 302, "{}", response.head);
    site.browser.cookies.insert(
        COOKIE.to_owned(),
        response.cookie(COOKIE)?.split_once('=').context("a cookie")?.1.to_owned(),
    );
    assert_eq!(site.browser.get("/private").await?.status, 200);
    Ok(())
}

/// The same configuration on other ports, in another directory.
fn replica_of(site: &Site) -> Result<Config> {
    let config = &site.albeit.config;
    let mut other = Config::try_new()?;
    other.listeners = vec![config.listeners.first().context("a listener")?.moved()?];
    other.groups.clone_from(&config.groups);
    other.certificates.clone_from(&config.certificates);
    other.stickiness_keys.clone_from(&config.stickiness_keys);
    other.trusted = Some(site.ca.write(other.dir())?);
    Ok(other)
}
