//! Metrics of single features by their `CloudWatch` names: exact counts after known traffic.

use std::time::Duration;

use albeit_e2e::{
    Albeit, Browser, Ca, Client, Config, Group, Idp, Listener, Step, Target,
    ca::ALL_VERSIONS,
    client::connect_and_reset,
    eventually, forward,
    grpc::{GrpcTarget, NoteClient},
    metrics::Metrics,
    ports::HeldPort,
    target::{Gate, ok, response, switching_protocols},
    wait::SOON,
    websocket::upgrade,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// The metrics of an Application Load Balancer that have a meaning here.
const NAMES: [&str; 47] = [
    "ActiveConnectionCount",
    "AnomalousHostCount",
    "AppCookieNonStickinessCount",
    "ClientTLSNegotiationErrorCount",
    "DesyncMitigationMode_NonCompliant_Request_Count",
    "DroppedInvalidHeaderRequestCount",
    "ELBAuthError",
    "ELBAuthFailure",
    "ELBAuthLatency",
    "ELBAuthRefreshTokenSuccess",
    "ELBAuthSuccess",
    "ELBAuthUserClaimsSizeExceeded",
    "ForwardedInvalidHeaderRequestCount",
    "GrpcRequestCount",
    "HTTPCode_ELB_3XX_Count",
    "HTTPCode_ELB_4XX_Count",
    "HTTPCode_ELB_500_Count",
    "HTTPCode_ELB_502_Count",
    "HTTPCode_ELB_503_Count",
    "HTTPCode_ELB_504_Count",
    "HTTPCode_ELB_5XX_Count",
    "HTTPCode_Target_2XX_Count",
    "HTTPCode_Target_3XX_Count",
    "HTTPCode_Target_4XX_Count",
    "HTTPCode_Target_5XX_Count",
    "HTTP_Fixed_Response_Count",
    "HTTP_Redirect_Count",
    "HTTP_Redirect_Url_Limit_Exceeded_Count",
    "HealthyHostCount",
    "HealthyStateDNS",
    "HealthyStateRouting",
    "JWTValidationFailureCount",
    "JWTValidationSuccessCount",
    "MitigatedHostCount",
    "NewConnectionCount",
    "NonStickyRequestCount",
    "ProcessedBytes",
    "RejectedConnectionCount",
    "RequestCount",
    "RuleEvaluations",
    "TargetConnectionErrorCount",
    "TargetResponseTime",
    "TargetTLSNegotiationErrorCount",
    "UnHealthyHostCount",
    "UnhealthyRoutingRequestCount",
    "UnhealthyStateDNS",
    "UnhealthyStateRouting",
];

#[track_caller]
fn check(metrics: &Metrics, expected: &[(&str, f64)]) -> Result<()> {
    for (name, count) in expected {
        let found = metrics.cloudwatch(name)?;
        ensure!((found - count).abs() < f64::EPSILON, "{name} is {found}, not {count}");
    }
    Ok(())
}

async fn counts(albeit: &Albeit, expected: &[(&str, f64)]) -> Result<()> {
    eventually(SOON, "the expected counts", || async { check(&albeit.metrics().await?, expected) }).await
}

#[tokio::test]
async fn every_metric_is_there_from_the_start() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let metrics = albeit.metrics().await?;
    for name in NAMES {
        let is_state = ["HealthyHostCount", "HealthyStateDNS", "HealthyStateRouting"].contains(&name);
        check(&metrics, &[(name, f64::from(u8::from(is_state)))])?;
    }
    Ok(())
}

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
    let rule = |((path, actions), priority): ((&str, Vec<Value>), u16)| json!({ "priority": priority, "conditions": [{ "path_pattern": [path] }], "actions": actions });
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

#[tokio::test]
async fn the_target_response_time_is_that_of_the_access_log() -> Result<()> {
    let pause = || Step::Pause(Duration::from_millis(200));
    let target = Target::start(move |request| match request.path() {
        "/broken" => vec![pause(), Step::Close],
        _ => {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
            vec![pause(), Step::Send(head.to_vec()), pause(), Step::Send(b"body".to_vec())]
        }
    })?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut client = albeit.client().await?;
    for _ in 0..3 {
        assert_eq!(client.get("/whole").await?.status, 200);
    }
    // No response headers, no time.
    assert_eq!(client.get("/broken").await?.status, 502);
    let mut logged = 0.0;
    for record in albeit.records("/whole", 3).await? {
        logged += record.number("target_processing_time")?;
    }
    let metrics = albeit.metrics().await?;
    let name = metrics.named_after("TargetResponseTime")?;
    assert_eq!(metrics.sum(&format!("{name}_count"), ""), 3.0);
    let sum = metrics.sum(&format!("{name}_sum"), "");
    // The log has milliseconds; the second pause comes after the head.
    assert!((sum - logged).abs() <= 0.003 && sum >= 0.6, "{sum} seconds, {logged} logged");
    Ok(())
}

/// Upgrades at `path`; the balancer then has one WebSocket open.
async fn open(albeit: &Albeit, path: &str) -> Result<Client> {
    let mut client = albeit.client().await?;
    upgrade(&mut client, path).await?;
    eventually(SOON, "an open WebSocket", || async {
        ensure!(albeit.metrics().await?.sum("albeit_open_websockets", "") == 1.0);
        Ok(())
    })
    .await?;
    Ok(client)
}

#[tokio::test]
async fn websockets_are_counted_by_what_ended_them() -> Result<()> {
    let (closing, resetting) = (Gate::default(), Gate::default());
    let gates = (closing.clone(), resetting.clone());
    let target = Target::start(move |request| {
        let end = match request.path() {
            "/target" => vec![Step::Await(gates.0.clone()), Step::Close],
            "/error" => vec![Step::Await(gates.1.clone()), Step::Reset],
            _ => vec![Step::Relay],
        };
        [vec![Step::Send(switching_protocols())], end].concat()
    })?;
    let config = Config::forwarding_to(&[target.addr()])?
        .with_attribute("idle_timeout.timeout_seconds", 3)
        .map_group(|group| group.with_attribute("deregistration_delay.timeout_seconds", 1));
    let without = config.clone().map_group(|group| group.with_targets(&[]));
    let mut albeit = Albeit::start(config).await?;
    for reason in ["client", "target", "error", "idle_timeout", "deregistration"] {
        let mut client = open(&albeit, &format!("/{reason}")).await?;
        match reason {
            "target" => closing.open(),
            "error" => resetting.open(),
            "client" => client.finish_writing().await?,
            "deregistration" => albeit.reload(without.clone()).await?,
            _ => {}
        }
        client.closed().await?;
        drop(client);
        let name = format!("albeit_websockets_closed_by_{reason}_total");
        eventually(SOON, reason, || async {
            let metrics = albeit.metrics().await?;
            ensure!(metrics.sum(&name, "") == 1.0 && metrics.sum("albeit_open_websockets", "") == 0.0);
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Lets the balancer open no file beyond `limit`.
async fn limit_files(albeit: &Albeit, limit: u32) -> Result<()> {
    let (pid, limit) = (albeit.process.pid().to_string(), format!("--nofile={limit}:"));
    let status = tokio::process::Command::new("prlimit").args(["--pid", &pid, &limit]).status().await;
    ensure!(status.context("prlimit")?.success(), "prlimit {limit}");
    Ok(())
}

#[tokio::test]
async fn connections_beyond_what_the_system_allows_are_rejected() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    counts(&albeit, &[("RejectedConnectionCount", 0.0)]).await?;
    limit_files(&albeit, 3).await?;
    connect_and_reset(albeit.listener(0)?, b"").await?;
    let mut waiting = albeit.client().await?;
    eventually(SOON, "a line about it", || async {
        ensure!(albeit.process.stderr().contains("accepting connections failed"));
        Ok(())
    })
    .await?;
    limit_files(&albeit, 1024).await?;
    // The system has kept it.
    assert_eq!(waiting.get("/").await?.status, 200);
    ensure!(albeit.metrics().await?.cloudwatch("RejectedConnectionCount")? > 0.0);
    Ok(())
}
