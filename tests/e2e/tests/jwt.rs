//! `jwt-validation`: tokens of services, keys from a JWKS endpoint.

use std::time::Duration;

use albeit_e2e::{
    Albeit, Browser, Ca, Config, Group, Idp, Listener, Response, Target,
    idp::Fault,
    wait::{SOON, eventually},
};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// A balancer that lets only requests with a token of the provider through to its target.
struct Site {
    albeit: Albeit,
    browser: Browser,
    idp: Idp,
    target: Target,
}

impl Site {
    async fn start(settings: Value, time_scale: u32) -> Result<Self> {
        let (ca, target, config) = (Ca::try_new()?, Target::saying("private")?, Config::try_new()?);
        let idp = Idp::start(&ca, config.dir())?;
        let actions = json!([idp.jwt_validation(settings), { "forward": { "target_group": "web" } }]);
        let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
        let listener = Listener::https(&["localhost"], json!({}))?.with("default_actions", actions);
        let mut config = config
            .with_group(Group::new("web", &[target.addr()]))
            .with_certificate(certificate)
            .with_listener(listener)
            .with_time_scale(time_scale);
        config.trusted = Some(ca.write(config.dir())?);
        let albeit = Albeit::start(config).await?;
        let browser = Browser::try_new(albeit.listener(0)?, &ca)?;
        Ok(Self { albeit, browser, idp, target })
    }

    async fn get(&self, path: &str, token: &str) -> Result<Response> {
        let line = format!("Authorization: Bearer {token}");
        self.browser.clone().get_with(path, &[&line]).await
    }

    /// A request with this token is answered `status` and logged with `reason`.
    async fn refused(&self, path: &str, token: &str, status: u16, reason: &str) -> Result<()> {
        let response = self.get(path, token).await?;
        ensure!(response.status == status, "{path}: {} instead of {status}", response.head);
        let record = self.albeit.record(path).await?;
        ensure!(record["elb_status_code"] == status.to_string(), "{record:?}");
        ensure!(record["error_reason"] == reason, "{reason}: {record:?}");
        ensure!(record["actions_executed"] == "authenticate", "{record:?}");
        ensure!(record["target:port"] == "-", "{record:?}");
        Ok(())
    }
}

#[tokio::test]
async fn a_valid_token_reaches_the_target_as_it_is() -> Result<()> {
    let site = Site::start(json!({}), 1).await?;
    let token = site.idp.token(json!({}))?;
    for path in ["/one", "/two", "/three"] {
        let response = site.get(path, &token).await?;
        assert_eq!((response.status, response.text().as_str()), (200, "private"), "{}", response.head);
    }
    let request = site.target.request(3).await?;
    assert_eq!(request.header("authorization")?, format!("Bearer {token}"));
    assert_eq!(site.idp.calls("/jwks"), 1, "keys are kept");
    assert_eq!(site.albeit.metrics().await?.cloudwatch("JWTValidationSuccessCount")?, 3.0);
    let record = site.albeit.record("/one").await?;
    assert_eq!(record["actions_executed"], "authenticate,forward");
    assert_eq!(record["error_reason"], "-");
    Ok(())
}

#[tokio::test]
async fn each_mistake_of_a_token_has_its_reason() -> Result<()> {
    let claims = json!({ "additional_claims": [
        { "name": "scope", "format": "space-separated-values", "values": ["read"] },
        { "name": "groups", "format": "string-array", "values": ["admins", "users"] },
        { "name": "tenant", "format": "single-string", "values": ["a"] },
    ] });
    let site = Site::start(claims, 1).await?;
    let token = |changes: Value| {
        let mut claims = json!({ "scope": "write read", "groups": ["users"], "tenant": "a" });
        for (name, value) in changes.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        site.idp.token(claims)
    };
    let good = token(json!({}))?;
    assert_eq!(site.get("/good", &good).await?.status, 200);
    let response = site.browser.clone().get("/no-header").await?;
    assert_eq!(response.status, 401);
    assert_eq!(
        response.text(),
        "<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body>\r\n\
         <center><h1>401 Authorization Required</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    assert_eq!(site.albeit.record("/no-header").await?["error_reason"], "JWTHeaderNotPresent");

    site.refused("/malformed", "not-a-token", 401, "JWTRequestFormatInvalid").await?;
    let none = site.idp.token_with_header(&json!({ "alg": "none" }))?;
    site.refused("/none", &none, 401, "JWTRequestFormatInvalid").await?;
    let forged = good.replacen('.', ".e30", 1);
    site.refused("/forged", &forged, 401, "JWTRequestFormatInvalid").await?;
    let (signed, _) = good.rsplit_once('.').unwrap_or_default();
    let other = token(json!({ "sub": "other" }))?;
    let (_, signature) = other.rsplit_once('.').unwrap_or_default();
    site.refused("/signature", &format!("{signed}.{signature}"), 401, "JWTSignatureValidationError").await?;
    let unknown = site.idp.token_with_header(&json!({ "alg": "RS256", "kid": "nobody" }))?;
    site.refused("/unknown", &unknown, 401, "JWTSignatureValidationError").await?;
    let refused = async |path: &str, changes: Value, reason: &str| -> Result<()> {
        site.refused(path, &token(changes)?, 401, reason).await
    };
    refused("/issuer", json!({ "iss": "https://other.example.com" }), "JWTClaimValueInvalid").await?;
    refused("/expired", json!({ "exp": 1_700_000_000 }), "JWTClaimValueInvalid").await?;
    refused("/early", json!({ "nbf": 4_000_000_000_u64 }), "JWTClaimValueInvalid").await?;
    refused("/endless", json!({ "exp": null }), "JWTClaimNotPresent").await?;
    refused("/scope", json!({ "scope": "write" }), "JWTClaimValueInvalid").await?;
    refused("/groups", json!({ "groups": "users" }), "JWTClaimFormatInvalid").await?;
    refused("/tenant", json!({ "tenant": null }), "JWTClaimNotPresent").await?;
    assert_eq!(site.target.requests().len(), 1, "only the good one");
    assert_eq!(site.albeit.metrics().await?.cloudwatch("JWTValidationFailureCount")?, 13.0);
    Ok(())
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it() -> Result<()> {
    // Ten seconds between two calls of the endpoint become two.
    let site = Site::start(json!({}), 5).await?;
    assert_eq!(site.get("/old", &site.idp.token(json!({}))?).await?.status, 200);
    site.idp.rename_key("key-2");
    let token = site.idp.token(json!({}))?;
    eventually(SOON, "the new key to be known", || async {
        let response = site.get("/new", &token).await?;
        ensure!(response.status == 200, "{}", response.head);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_endpoint_that_answers_badly_is_562() -> Result<()> {
    let site = Site::start(json!({}), 1).await?;
    site.idp.fail("/jwks", Fault::Answer(503, "{}".to_owned()));
    let token = site.idp.token(json!({}))?;
    site.refused("/failing", &token, 562, "JWKSRequestFailed").await?;
    // Asked again only after a while: the outcome stays, and the endpoint is left in peace.
    site.refused("/again", &token, 562, "JWKSRequestFailed").await?;
    assert_eq!(site.idp.calls("/jwks"), 1);
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_no_key_set_is_562() -> Result<()> {
    let site = Site::start(json!({}), 1).await?;
    site.idp.fail("/jwks", Fault::Answer(200, "<html></html>".to_owned()));
    site.refused("/html", &site.idp.token(json!({}))?, 562, "JWKSInvalidResponse").await
}

#[tokio::test]
async fn an_answer_of_more_than_150_kb_is_500() -> Result<()> {
    let site = Site::start(json!({}), 1).await?;
    site.idp.fail("/jwks", Fault::Answer(200, " ".repeat(150 * 1024 + 1)));
    site.refused("/large", &site.idp.token(json!({}))?, 500, "JWKSResponseSizeExceeded").await
}

#[tokio::test]
async fn more_than_ten_keys_are_500() -> Result<()> {
    let site = Site::start(json!({}), 1).await?;
    site.idp.behave(|behaviour| behaviour.further_keys = 10);
    site.refused("/keys", &site.idp.token(json!({}))?, 500, "JWKSKeyCountExceeded").await
}

#[tokio::test]
async fn an_endpoint_that_is_slower_than_five_seconds_is_500() -> Result<()> {
    let site = Site::start(json!({}), 5).await?;
    site.idp.fail("/jwks", Fault::Slow(Duration::from_secs(30)));
    site.refused("/slow", &site.idp.token(json!({}))?, 500, "JWKSRequestTimeout").await
}
