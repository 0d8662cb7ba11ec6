//! 401, 500, 561, 562: what authentication does not let through.

use std::time::Duration;

use albeit_e2e::{
    Albeit, Answer, Browser, Ca, Config, ElbError, ElbErrors, Group, Idp, Listener, Target,
    idp::{Behaviour, Fault},
    ports::HeldPort,
};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};

const UNAUTHORIZED: &str = "401 Authorization Required";
const INTERNAL: &str = "500 Internal Server Error";
const IDP_ERROR: &str = "561 Unauthorized";
const JWKS_ERROR: &str = "562 JWKS Request Failed";

struct Site {
    albeit: Albeit,
    browser: Browser,
    idp: Idp,
    target: Target,
    /// Nobody listens there.
    closed: HeldPort,
}

/// A listener with `rules` in front of one target; five seconds of patience with endpoints become one.
async fn site(rules: impl FnOnce(&Idp, &HeldPort) -> Vec<(&'static str, Value)>) -> Result<Site> {
    let (ca, target, config) = (Ca::try_new()?, Target::saying("private")?, Config::try_new()?);
    let (idp, closed) = (Idp::start(&ca, config.dir())?, HeldPort::try_new()?);
    let rules: Vec<Value> = rules(&idp, &closed)
        .into_iter()
        .zip(1_u16..)
        .map(|((path, action), priority)| {
            json!({
                "priority": priority,
                "conditions": [{ "path_pattern": [path] }],
                "actions": [action, { "forward": { "target_group": "web" } }],
            })
        })
        .collect();
    let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
    let listener = Listener::https(&["localhost"], albeit_e2e::forward("web"))?.with("rules", rules);
    let mut config = config
        .with_group(Group::new("web", &[target.addr()]))
        .with_certificate(certificate)
        .with_listener(listener)
        .with_time_scale(5);
    config.trusted = Some(ca.write(config.dir())?);
    let albeit = Albeit::start(config).await?;
    let browser = Browser::try_new(albeit.listener(0)?, &ca)?;
    Ok(Site { albeit, browser, idp, target, closed })
}

/// A login that fails: what is wrong with the provider after the user has logged in there, and what becomes
/// of it.
type Login = (&'static str, fn(&mut Behaviour), ElbError);

fn answer(behaviour: &mut Behaviour, path: &'static str, status: u16, body: &str) {
    behaviour.faults.insert(path, Fault::Answer(status, body.to_owned()));
}

fn slow(behaviour: &mut Behaviour, path: &'static str) {
    behaviour.faults.insert(path, Fault::Slow(Duration::from_secs(30)));
}

fn logins() -> Vec<Login> {
    let failure = |status, reason| {
        ElbError::new(status).doing("authenticate").because(reason).counted("ELBAuthFailure")
    };
    let error =
        |status, reason| ElbError::new(status).doing("authenticate").because(reason).counted("ELBAuthError");
    vec![
        ("token slow", |it| slow(it, "/token"), error(INTERNAL, "AuthTokenEpRequestTimeout")),
        ("user info slow", |it| slow(it, "/userinfo"), error(INTERNAL, "AuthUserinfoEpRequestTimeout")),
        (
            "claims over 11 KB",
            |it| it.userinfo = json!({ "sub": "user-1", "groups": "g".repeat(11 * 1024) }),
            error(INTERNAL, "AuthUserinfoResponseSizeExceeded").counted("ELBAuthUserClaimsSizeExceeded"),
        ),
        (
            "no ID token",
            |it| it.tokens = json!({ "id_token": null }),
            failure(UNAUTHORIZED, "AuthInvalidTokenResponse"),
        ),
        (
            "ID token of another client",
            |it| it.id_token = json!({ "aud": "somebody else" }),
            failure(UNAUTHORIZED, "AuthInvalidIdToken"),
        ),
        ("token 500", |it| answer(it, "/token", 500, "{}"), error(IDP_ERROR, "AuthTokenEpRequestFailed")),
        (
            "invalid grant",
            |it| answer(it, "/token", 400, "{\"error\":\"invalid_grant\"}"),
            failure(IDP_ERROR, "AuthInvalidGrantError"),
        ),
        (
            "no tokens",
            |it| answer(it, "/token", 200, "\"no\""),
            failure(IDP_ERROR, "AuthInvalidTokenResponse"),
        ),
        (
            "user info 503",
            |it| answer(it, "/userinfo", 503, ""),
            error(IDP_ERROR, "AuthUserinfoEpRequestFailed"),
        ),
        (
            "claims of another user",
            |it| it.userinfo = json!({ "sub": "somebody else" }),
            failure(IDP_ERROR, "AuthInvalidUserinfoResponse"),
        ),
    ]
}

#[tokio::test]
async fn logins_that_fail_are_401_500_and_561() -> Result<()> {
    let mut site = site(|idp, _| vec![("/private", idp.authenticate_oidc(json!({})))]).await?;
    let mut errors = ElbErrors::of(&site.albeit);
    let mut usual = None;
    site.idp.behave(|behaviour| usual = Some(behaviour.clone()));
    let usual = usual.context("a behaviour")?;
    for (what, change, expected) in logins() {
        site.idp.behave(|behaviour| *behaviour = usual.clone());
        let back = site.browser.log_in("/private").await?;
        errors.pass(&["HTTPCode_ELB_3XX_Count"]);
        site.idp.behave(change);
        let answer = site.browser.get(&back).await?;
        errors.expect_elb_error(what, Answer::Http1(&answer), &expected).await?;
    }
    assert_eq!(site.target.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn what_the_authorization_endpoint_denies_is_401_and_its_errors_are_561() -> Result<()> {
    let mut site = site(|idp, _| vec![("/private", idp.authenticate_oidc(json!({})))]).await?;
    let mut errors = ElbErrors::of(&site.albeit);
    for (denied, status) in [("access_denied", UNAUTHORIZED), ("server_error", IDP_ERROR)] {
        site.idp.behave(|behaviour| behaviour.denied = Some(denied));
        let back = site.browser.log_in("/private").await?;
        errors.pass(&["HTTPCode_ELB_3XX_Count"]);
        let answer = site.browser.get(&back).await?;
        let expected = ElbError::new(status)
            .doing("authenticate")
            .because("AuthMissingCodeParam")
            .counted("ELBAuthFailure");
        errors.expect_elb_error(denied, Answer::Http1(&answer), &expected).await?;
    }
    Ok(())
}

#[tokio::test]
async fn requests_without_a_login_that_are_denied_or_cannot_begin_one_are_401() -> Result<()> {
    let mut site = site(|idp, _| {
        let deny = json!({ "on_unauthenticated_request": "deny" });
        vec![("/deny", idp.authenticate_oidc(deny)), ("/private", idp.authenticate_oidc(json!({})))]
    })
    .await?;
    let mut errors = ElbErrors::of(&site.albeit);
    let denied = ElbError::new(UNAUTHORIZED).doing("authenticate");
    let answer = site.browser.get("/deny").await?;
    errors.expect_elb_error("deny", Answer::Http1(&answer), &denied).await?;

    let mut client = site.browser.connect().await?;
    client.send("GET /private HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await?;
    let mut answer = client.response().await?;
    answer.head = answer.head.replacen("HTTP/1.0", "HTTP/1.1", 1);
    let expected = denied.clone().because("AuthMissingHostHeader").counted("ELBAuthError");
    errors.expect_elb_error("no host", Answer::Http1(&answer), &expected).await?;

    for (query, reason) in
        [("code=x", "AuthMissingStateParam"), ("code=x&state=AAAA", "AuthInvalidStateParam")]
    {
        let answer = site.browser.get(&format!("/oauth2/idpresponse?{query}")).await?;
        let expected = denied.clone().because(reason).counted("ELBAuthFailure");
        errors.expect_elb_error(reason, Answer::Http1(&answer), &expected).await?;
    }
    assert_eq!(site.target.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_500() -> Result<()> {
    let mut site = site(|idp, closed| {
        let nowhere = |path| format!("https://localhost:{}{path}", closed.port());
        let (token, info) = (
            json!({ "token_endpoint": nowhere("/token") }),
            json!({ "user_info_endpoint": nowhere("/userinfo") }),
        );
        vec![("/token", idp.authenticate_oidc(token)), ("/userinfo", idp.authenticate_oidc(info))]
    })
    .await?;
    let mut errors = ElbErrors::of(&site.albeit);
    for (path, reason) in
        [("/token", "AuthTokenEpRequestTimeout"), ("/userinfo", "AuthUserinfoEpRequestTimeout")]
    {
        let back = site.browser.log_in(path).await?;
        errors.pass(&["HTTPCode_ELB_3XX_Count"]);
        let answer = site.browser.get(&back).await?;
        let expected = ElbError::new(INTERNAL).doing("authenticate").because(reason).counted("ELBAuthError");
        errors.expect_elb_error(path, Answer::Http1(&answer), &expected).await?;
    }
    assert_eq!(site.closed.addr().ip(), site.albeit.listener(0)?.ip());
    Ok(())
}

#[tokio::test]
async fn tokens_that_are_missing_or_wrong_are_401() -> Result<()> {
    let mut site = site(|idp, _| vec![("/api", idp.jwt_validation(json!({})))]).await?;
    let mut errors = ElbErrors::of(&site.albeit);
    let refused = |reason| {
        ElbError::new(UNAUTHORIZED).doing("authenticate").because(reason).counted("JWTValidationFailureCount")
    };
    let answer = site.browser.get("/api").await?;
    errors.expect_elb_error("none", Answer::Http1(&answer), &refused("JWTHeaderNotPresent")).await?;
    for (token, reason) in [
        ("nonsense".to_owned(), "JWTRequestFormatInvalid"),
        (site.idp.token(json!({ "exp": 1_700_000_000 }))?, "JWTClaimValueInvalid"),
        (site.idp.token(json!({ "exp": null }))?, "JWTClaimNotPresent"),
        (
            site.idp.token_with_header(&json!({ "alg": "RS256", "kid": "nobody" }))?,
            "JWTSignatureValidationError",
        ),
    ] {
        let line = format!("Authorization: Bearer {token}");
        let answer = site.browser.get_with("/api", &[&line]).await?;
        errors.expect_elb_error(reason, Answer::Http1(&answer), &refused(reason)).await?;
    }
    assert_eq!(site.target.requests().len(), 0);
    Ok(())
}

/// A balancer remembers for a while what a JWKS endpoint said, so each fault gets one of its own.
async fn check_jwks(
    change: impl FnOnce(&mut Behaviour),
    status: &'static str,
    reason: &'static str,
) -> Result<()> {
    let mut site = site(|idp, _| vec![("/api", idp.jwt_validation(json!({})))]).await?;
    site.idp.behave(change);
    let line = format!("Authorization: Bearer {}", site.idp.token(json!({}))?);
    let answer = site.browser.get_with("/api", &[&line]).await?;
    let expected =
        ElbError::new(status).doing("authenticate").because(reason).counted("JWTValidationFailureCount");
    ElbErrors::of(&site.albeit).expect_elb_error(reason, Answer::Http1(&answer), &expected).await?;
    Ok(())
}

#[tokio::test]
async fn key_sets_that_cannot_be_had_are_500_or_562() -> Result<()> {
    check_jwks(|it| slow(it, "/jwks"), INTERNAL, "JWKSRequestTimeout").await?;
    check_jwks(
        |it| answer(it, "/jwks", 200, &" ".repeat(150 * 1024 + 1)),
        INTERNAL,
        "JWKSResponseSizeExceeded",
    )
    .await?;
    check_jwks(|it| it.further_keys = 10, INTERNAL, "JWKSKeyCountExceeded").await?;
    check_jwks(|it| answer(it, "/jwks", 503, "{}"), JWKS_ERROR, "JWKSRequestFailed").await?;
    check_jwks(|it| answer(it, "/jwks", 200, "<html></html>"), JWKS_ERROR, "JWKSInvalidResponse").await
}
