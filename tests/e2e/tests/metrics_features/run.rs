//! A balancer with every feature that has a counter of its own, and what each counts after a known run.

use albeit_e2e::{
    Albeit, Browser, Ca, Client, Config, Group, Idp, Listener, Step, Target,
    ca::ALL_VERSIONS,
    forward,
    grpc::{GrpcTarget, NoteClient},
    ports::HeldPort,
    target::{ok, response},
};
use anyhow::Result;
use serde_json::{Value, json};

use super::counts;

/// A balancer with every feature that has a counter of its own.
struct Site {
    albeit: Albeit,
    browser: Browser,
    client: Client,
    calls: NoteClient,
    idp: Idp,
    // What they stand for must live as long as the balancer.
    _targets: (Target, GrpcTarget, HeldPort, tokio::task::JoinSet<()>),
}

/// A port on which everything is answered with what is no TLS.
fn without_tls() -> Result<(HeldPort, tokio::task::JoinSet<()>)> {
    let port = HeldPort::try_new()?;
    let listener = port.listen()?;
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Whether it is still listened to makes no difference.
            drop(tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 mail.test ESMTP\r\n").await);
        }
    });
    Ok((port, tasks))
}

fn rules(idp: &Idp) -> Vec<Value> {
    let to = |group: &str| vec![forward(group)];
    let redirect = json!({ "redirect": { "host": "elsewhere.test", "status_code": "HTTP_302" } });
    let fixed = json!({ "fixed_response": { "status_code": "418" } });
    let actions = [
        ("/sticky", to("sticky")),
        ("/app*", to("app")),
        ("/clear", to("clear")),
        ("/test.Notes/*", to("calls")),
        ("/api", vec![idp.jwt_validation(json!({})), forward("web")]),
        ("/private", vec![idp.authenticate_oidc(json!({})), forward("web")]),
        ("/move*", vec![redirect]),
        ("/fixed", vec![fixed]),
        ("/rewrite", to("web")),
    ];
    let rule = |((path, actions), priority): ((&str, Vec<Value>), u16)| {
        let conditions = json!([{ "path_pattern": [path] }]);
        json!({ "priority": priority, "conditions": conditions, "actions": actions })
    };
    let mut rules: Vec<Value> = actions.into_iter().zip(1..).map(rule).collect();
    if let Some(Value::Object(last)) = rules.last_mut() {
        let transforms = json!([{ "url_rewrite": { "regex": "^/", "replace": "no-slash" } }]);
        last.insert("transforms".to_owned(), transforms);
    }
    rules
}

async fn site() -> Result<Site> {
    let target = Target::start(|request| match request.path() {
        "/app/login" => vec![Step::Send(response("200 OK", &["Set-Cookie: SESSION=secret"], "in"))],
        _ => vec![Step::Send(ok("ok"))],
    })?;
    let (ca, config, grpc) = (Ca::try_new()?, Config::try_new()?, GrpcTarget::start()?);
    let (clear, tasks) = without_tls()?;
    let idp = Idp::start(&ca, config.dir())?;
    let certificate = ca.issue(config.dir(), "localhost", &["localhost"])?;
    let addrs = [target.addr()];
    let checked = target.addr().port();
    let mut config = config
        .with_group(Group::new("web", &addrs))
        .with_group(Group::new("sticky", &addrs).with_lb_cookie())
        .with_group(Group::new("app", &addrs).with_app_cookie("SESSION"))
        .with_group(
            Group::new("clear", &[clear.addr()])
                .speaking("HTTPS", "HTTP1")
                .with_health("protocol", "HTTP")
                .with_health("port", checked),
        )
        .with_group(Group::new("calls", &[grpc.addr()]).speaking("HTTP", "GRPC").without_health("path"))
        .with_certificate(certificate)
        .with_listener(Listener::https(&["localhost"], forward("web"))?.with("rules", rules(&idp)))
        .with_attribute("routing.http.drop_invalid_header_fields.enabled", true);
    config.trusted = Some(ca.write(config.dir())?);
    let albeit = Albeit::start(config).await?;
    let addr = albeit.listener(0)?;
    let browser = Browser::try_new(addr, &ca)?;
    let client = Client::connect_tls(addr, "localhost", ca.client(&["http/1.1"], ALL_VERSIONS)?).await?;
    let calls = NoteClient::connect(addr, &ca).await?;
    Ok(Site { albeit, browser, client, calls, idp, _targets: (target, grpc, clear, tasks) })
}

impl Site {
    async fn forwarded(&mut self) -> Result<()> {
        for _ in 0..5 {
            self.client.get("/plain").await?;
        }
        for _ in 0..2 {
            self.client.get_with("/plain", &["Content-Length: 0"]).await?;
            self.client.get_with("/plain", &["X_Under: 1"]).await?;
        }
        let mut cookie = String::new();
        for _ in 0..3 {
            cookie = self.client.get("/sticky").await?.cookie("AWSALB")?;
        }
        for _ in 0..2 {
            self.client.get_with("/sticky", &[&format!("Cookie: {cookie}")]).await?;
        }
        let bound = self.client.get("/app/login").await?.cookie("AWSALBAPP-0")?;
        for _ in 0..2 {
            self.client.get_with("/app", &[&format!("Cookie: {bound}")]).await?;
        }
        self.client.get_with("/app", &[&format!("Cookie: SESSION=x; {bound}")]).await?;
        for _ in 0..4 {
            self.calls.echo("hello", None).await?;
        }
        assert_eq!(self.client.get("/clear").await?.status, 502);
        Ok(())
    }

    async fn answered(&mut self) -> Result<()> {
        for path in ["/move", "/move", "/fixed", "/fixed", "/rewrite"] {
            self.client.get(path).await?;
        }
        self.client.get(&format!("/move?{}", "a".repeat(9000))).await?;
        let line = format!("Authorization: Bearer {}", self.idp.token(json!({}))?);
        for _ in 0..3 {
            assert_eq!(self.client.get_with("/api", &[&line]).await?.status, 200);
        }
        for line in ["Authorization: Bearer none", "X-No: token"] {
            assert_eq!(self.client.get_with("/api", &[line]).await?.status, 401);
        }
        assert_eq!(self.browser.visit("/private").await?.status, 200);
        assert_eq!(self.browser.get("/oauth2/idpresponse?code=x&state=AAAA").await?.status, 401);
        Ok(())
    }
}

#[tokio::test]
async fn every_feature_counts_what_it_did_and_nothing_else() -> Result<()> {
    let mut site = site().await?;
    site.forwarded().await?;
    site.answered().await?;
    let expected = [
        // 9 plain, 5 sticky, 4 app, 4 calls, 1 without TLS, 3 with a token, 1 with a session.
        ("RequestCount", 27.0),
        ("HTTPCode_Target_2XX_Count", 26.0),
        ("GrpcRequestCount", 4.0),
        ("DesyncMitigationMode_NonCompliant_Request_Count", 2.0),
        ("DroppedInvalidHeaderRequestCount", 2.0),
        ("ForwardedInvalidHeaderRequestCount", 0.0),
        // Three without AWSALB; the login, and two without the application's cookie.
        ("NonStickyRequestCount", 6.0),
        ("AppCookieNonStickinessCount", 2.0),
        ("TargetTLSNegotiationErrorCount", 1.0),
        ("TargetConnectionErrorCount", 0.0),
        ("JWTValidationSuccessCount", 3.0),
        ("JWTValidationFailureCount", 2.0),
        ("ELBAuthSuccess", 1.0),
        ("ELBAuthFailure", 1.0),
        ("ELBAuthError", 0.0),
        ("ELBAuthRefreshTokenSuccess", 0.0),
        ("ELBAuthUserClaimsSizeExceeded", 0.0),
        ("HTTP_Redirect_Count", 2.0),
        ("HTTP_Redirect_Url_Limit_Exceeded_Count", 1.0),
        ("HTTP_Fixed_Response_Count", 2.0),
        // Two redirects; to the login and back from it.
        ("HTTPCode_ELB_3XX_Count", 4.0),
        // Two fixed, two tokens, one state.
        ("HTTPCode_ELB_4XX_Count", 5.0),
        // 502, 500 and 507.
        ("HTTPCode_ELB_5XX_Count", 3.0),
        ("HTTPCode_ELB_500_Count", 1.0),
        ("HTTPCode_ELB_502_Count", 1.0),
        ("HTTPCode_ELB_503_Count", 0.0),
        ("HTTPCode_ELB_504_Count", 0.0),
        ("ClientTLSNegotiationErrorCount", 0.0),
        ("UnhealthyRoutingRequestCount", 0.0),
        ("RejectedConnectionCount", 0.0),
        ("HealthyHostCount", 5.0),
        ("UnHealthyHostCount", 0.0),
        ("HealthyStateRouting", 5.0),
        ("UnhealthyStateRouting", 0.0),
        ("HealthyStateDNS", 5.0),
        ("UnhealthyStateDNS", 0.0),
        ("AnomalousHostCount", 0.0),
        ("MitigatedHostCount", 0.0),
    ];
    counts(&site.albeit, &expected).await?;
    // By target group, as in the dimensions of CloudWatch.
    let metrics = site.albeit.metrics().await?;
    for (group, count) in [("web", 13.0), ("sticky", 5.0), ("app", 4.0), ("calls", 4.0), ("clear", 1.0)] {
        let labels = format!("target_group=\"targetgroup/{group}/");
        assert_eq!(metrics.sum(metrics.named_after("RequestCount")?, &labels), count, "{group}");
    }
    let observed = |twin| Ok::<_, anyhow::Error>(format!("{}_count", metrics.named_after(twin)?));
    assert_eq!(metrics.sum(&observed("TargetResponseTime")?, ""), 26.0);
    assert_eq!(metrics.sum(&observed("ELBAuthLatency")?, ""), 1.0);
    Ok(())
}
