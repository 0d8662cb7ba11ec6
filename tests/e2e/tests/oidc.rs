//! `authenticate-oidc`: logins, sessions, and everything that can go wrong between.

mod faults;
mod sessions;

use albeit_e2e::{
    Albeit, Browser, Ca, Config, Group, Idp, Listener, Response, Target, ca::ALL_VERSIONS, http2::Http2,
};
use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use serde_json::{Value, json};

/// A balancer whose target `private` needs a login below `/private`, and elsewhere does not.
struct Site {
    albeit: Albeit,
    ca: Ca,
    browser: Browser,
    idp: Idp,
    target: Target,
}

impl Site {
    async fn start(settings: Value) -> Result<Self> {
        Self::start_with(settings, |config| config).await
    }

    async fn start_with(settings: Value, change: impl FnOnce(Config) -> Config) -> Result<Self> {
        let (ca, target, config) = (Ca::try_new()?, Target::saying("private")?, Config::try_new()?);
        let idp = Idp::start(&ca, config.dir())?;
        let actions = json!([idp.authenticate_oidc(settings), { "forward": { "target_group": "web" } }]);
        let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
        let rules = json!([{
            "priority": 7, "conditions": [{ "path_pattern": ["/private*"] }], "actions": actions,
        }]);
        let open = json!({ "forward": { "target_group": "web" } });
        let listener = Listener::https(&["localhost"], open)?.with("rules", rules);
        let mut config = config
            .with_group(Group::new("web", &[target.addr()]))
            .with_certificate(certificate)
            .with_listener(listener);
        config.trusted = Some(ca.write(config.dir())?);
        let albeit = Albeit::start(change(config)).await?;
        let browser = Browser::try_new(albeit.listener(0)?, &ca)?;
        Ok(Self { albeit, ca, browser, idp, target })
    }

    /// Comes back to `back` from the identity provider: answered `status`, logged with `reason`.
    async fn refused(&mut self, back: &str, status: u16, reason: &str) -> Result<Response> {
        let response = self.browser.get(back).await?;
        ensure!(response.status == status, "{} instead of {status}", response.head);
        let record = self.albeit.record("/oauth2/idpresponse").await?;
        ensure!(record["elb_status_code"] == status.to_string(), "{record:?}");
        ensure!(record["error_reason"] == reason, "{reason}: {record:?}");
        ensure!(record["actions_executed"] == "authenticate", "{record:?}");
        Ok(response)
    }

    async fn metric(&self, twin: &str) -> Result<f64> {
        self.albeit.metrics().await?.cloudwatch(twin)
    }
}

#[tokio::test]
async fn a_browser_logs_in_and_comes_back_to_where_it_was() -> Result<()> {
    let mut site = Site::start(json!({ "scope": "openid email" })).await?;
    let response = site.browser.get("/private/page?a=b%20c&d").await?;
    assert_eq!(response.status, 302);
    let location = response.header("location")?.to_owned();
    let login = format!(
        "{}?client_id=albeit%20e2e&redirect_uri=https%3A%2F%2Flocalhost%3A{}%2Foauth2%2Fidpresponse\
         &response_type=code&scope=openid%20email&state=",
        site.idp.url("/authorize"),
        site.albeit.listener(0)?.port()
    );
    assert!(location.starts_with(&login), "{location}");
    let nonce = site.browser.cookies.get("AWSALBAuthNonce").context("a nonce")?.clone();
    assert!(nonce.len() == 16 && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{nonce}");
    assert!(response.header("set-cookie")?.ends_with("; Path=/; SameSite=None; Secure; HttpOnly"));

    let back = site.browser.log_in_at(&location).await?;
    let response = site.browser.get(&back).await?;
    assert_eq!(response.status, 302);
    assert_eq!(response.header("location")?, site.browser.url("/private/page?a=b%20c&d"));
    assert!(response.header("set-cookie")?.starts_with("AWSELBAuthSessionCookie-0="));
    assert_eq!(site.target.requests().len(), 0, "nothing has passed yet");

    let response = site.browser.get("/private/page?a=b%20c&d").await?;
    assert_eq!((response.status, response.text().as_str()), (200, "private"));
    let records = site.albeit.records("/private/page", 2).await?;
    let executed: Vec<&str> = records.iter().map(|record| record["actions_executed"].as_str()).collect();
    assert_eq!(executed, ["authenticate", "authenticate,forward"]);
    let record = site.albeit.record("/oauth2/idpresponse").await?;
    assert_eq!(record["elb_status_code"], "302");
    assert_eq!(record["matched_rule_priority"], "7");
    assert_eq!(site.metric("ELBAuthSuccess").await?, 1.0);
    assert_eq!(site.metric("ELBAuthFailure").await? + site.metric("ELBAuthError").await?, 0.0);
    let metrics = site.albeit.metrics().await?;
    assert_eq!(metrics.sum("albeit_elb_auth_latency_seconds_count", ""), 1.0);
    Ok(())
}

#[tokio::test]
async fn the_target_learns_who_the_user_is() -> Result<()> {
    let mut site = Site::start(json!({})).await?;
    site.browser.visit("/private").await?;
    let request = site.target.request(1).await?;
    assert!(request.header("x-amzn-oidc-accesstoken")?.starts_with("access-"));
    assert_eq!(request.header("x-amzn-oidc-identity")?, "user-1");
    let data = request.header("x-amzn-oidc-data")?;
    let parts: Vec<&str> = data.split('.').collect();
    let [head, payload, signature] = parts.as_slice() else { anyhow::bail!("not a token: {data}") };
    let head_json: Value = serde_json::from_slice(&URL_SAFE.decode(head)?)?;
    let payload_json: Value = serde_json::from_slice(&URL_SAFE.decode(payload)?)?;
    assert_eq!(head_json["alg"], "ES256");
    assert_eq!(head_json["iss"], site.idp.url(""));
    assert_eq!(head_json["client"], "albeit e2e");
    let arn = "arn:aws:elasticloadbalancing:local:000000000000:loadbalancer/app/e2e-alb/";
    assert!(head_json["signer"].as_str().is_some_and(|signer| signer.starts_with(arn)), "{head_json}");
    assert_eq!(payload_json["email"], "user@example.com");
    assert_eq!(payload_json["sub"], "user-1");

    let kid = head_json["kid"].as_str().context("a kid")?;
    let key = site.albeit.admin(&format!("/public-keys/{kid}")).await?;
    assert_eq!(key.status, 200);
    let pem = key.text();
    let spki = STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>())?;
    let point = spki.get(26..).context("a key")?;
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    let signed = format!("{head}.{payload}");
    ensure!(key.verify(signed.as_bytes(), &URL_SAFE.decode(signature)?).is_ok(), "{data} with {pem}");
    assert_eq!(site.albeit.admin("/public-keys/1").await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn what_clients_say_about_users_does_not_reach_the_target() -> Result<()> {
    let mut site = Site::start(json!({})).await?;
    let forged = [
        "X-Amzn-Oidc-Identity: admin",
        "x-amzn-oidc-data: a.b.c",
        "X_Amzn_Oidc-Other: x",
        "X.Amzn.Oidc.Data: a.b.c",
        "X-Other: 1",
    ];
    site.browser.get_with("/open", &forged).await?;
    site.browser.visit("/private").await?;
    site.browser.get_with("/private", &forged).await?;
    let open = site.target.request(1).await?;
    assert!(!open.head.to_ascii_lowercase().contains("oidc"), "{}", open.head);
    assert_eq!(open.header("x-other")?, "1");
    let private = site.target.request(3).await?;
    assert_eq!(private.header("x-amzn-oidc-identity")?, "user-1");
    assert_eq!(private.head.to_ascii_lowercase().matches("oidc").count(), 3, "{}", private.head);
    Ok(())
}

#[tokio::test]
async fn requests_without_a_session_pass_if_they_are_allowed_to() -> Result<()> {
    let mut site = Site::start(json!({ "on_unauthenticated_request": "allow" })).await?;
    let response = site.browser.get("/private").await?;
    assert_eq!((response.status, response.headers("set-cookie").len()), (200, 0));
    site.browser.cookies.insert("AWSELBAuthSessionCookie-0".to_owned(), "nonsense".to_owned());
    assert_eq!(site.browser.get("/private").await?.status, 200);
    let request = site.target.request(2).await?;
    assert!(request.headers("x-amzn-oidc-identity").is_empty(), "{}", request.head);
    let records = site.albeit.records("/private", 2).await?;
    assert!(records.iter().all(|record| record["actions_executed"] == "authenticate,forward"));
    Ok(())
}

#[tokio::test]
async fn requests_without_a_session_are_401_if_they_are_denied() -> Result<()> {
    let mut site = Site::start(json!({ "on_unauthenticated_request": "deny" })).await?;
    let response = site.browser.get("/private").await?;
    assert_eq!((response.status, response.headers("set-cookie").len()), (401, 0));
    let record = site.albeit.record("/private").await?;
    assert_eq!(record["elb_status_code"], "401");
    assert_eq!(record["error_reason"], "-");
    assert_eq!(record["actions_executed"], "authenticate");
    assert_eq!(site.metric("HTTPCode_ELB_4XX_Count").await?, 1.0);
    Ok(())
}

#[tokio::test]
async fn http2_logs_in_as_well() -> Result<()> {
    let site = Site::start(json!({})).await?;
    let tls = site.ca.client(&["h2"], ALL_VERSIONS)?;
    let http2 = Http2::connect(site.albeit.listener(0)?, "localhost", tls).await?;
    let cookies_of = |response: &http::Response<bytes::Bytes>| -> Vec<String> {
        let cookies = response.headers().get_all("set-cookie").into_iter();
        cookies.filter_map(|it| it.to_str().ok()?.split(';').next().map(str::to_owned)).collect()
    };
    let response = http2.get(&site.browser.url("/private"), &[]).await?;
    assert_eq!(response.status(), 302);
    let location = response.headers().get("location").context("a location")?.to_str()?;
    let back = site.browser.log_in_at(location).await?;
    let nonce = cookies_of(&response);
    let response = http2.get(&site.browser.url(&back), &[("cookie", &nonce.join("; "))]).await?;
    assert_eq!(response.status(), 302);
    let session = cookies_of(&response);
    let headers: Vec<(&str, &str)> = session.iter().map(|cookie| ("cookie", cookie.as_str())).collect();
    let response = http2.get(&site.browser.url("/private"), &headers).await?;
    assert_eq!(response.status(), 200);
    assert_eq!(site.target.request(1).await?.header("x-amzn-oidc-identity")?, "user-1");
    Ok(())
}

#[tokio::test]
async fn a_websocket_without_a_session_is_sent_to_log_in() -> Result<()> {
    let mut site = Site::start(json!({})).await?;
    let upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"];
    let response = site.browser.get_with("/private/ws", &upgrade).await?;
    assert_eq!(response.status, 302);
    assert!(response.header("location")?.starts_with(&site.idp.url("/authorize")));
    assert_eq!(site.albeit.record("/private/ws").await?["type"], "https");
    Ok(())
}
