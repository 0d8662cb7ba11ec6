//! Metrics by their `CloudWatch` names: the counts equal the traffic.

use std::net::Ipv6Addr;

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, Step, Target,
    ca::ALL_VERSIONS,
    eventually, forward,
    ports::HeldPort,
    target::{ok, response, switching_protocols},
    wait::SOON,
    websocket::upgrade,
};
use anyhow::{Result, ensure};
use serde_json::json;

async fn counts(albeit: &Albeit, expected: &[(&str, f64)]) -> Result<()> {
    eventually(SOON, "the expected counts", || async {
        let metrics = albeit.metrics().await?;
        for (name, count) in expected {
            let found = metrics.cloudwatch(name)?;
            ensure!((found - count).abs() < f64::EPSILON, "{name} is {found}, not {count}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn counts_equal_traffic() -> Result<()> {
    let target = Target::start(|request| match request.path() {
        "/201" => vec![Step::Send(response("201 Created", &[], ""))],
        "/404" => vec![Step::Send(response("404 Not Found", &[], ""))],
        "/500" => vec![Step::Send(response("500 Oops", &[], ""))],
        "/close" => vec![Step::Close],
        _ => vec![Step::Send(response("302 Found", &["Location: /"], ""))],
    })?;
    let fixed = json!({ "fixed_response": { "status_code": "200" } });
    let redirect = json!({ "redirect": { "host": "elsewhere.test", "status_code": "HTTP_302" } });
    let listener = Listener::http(forward("web"))?
        .with_rule(1, json!({ "path_pattern": ["/fixed"] }), fixed)
        .with_rule(2, json!({ "path_pattern": ["/redirect"] }), redirect)
        .with_rule(3, json!({ "path_pattern": ["/empty"] }), forward("empty"));
    let config = Config::try_new()?
        .with_group(Group::new("web", &[target.addr()]))
        .with_group(Group::new("empty", &[]))
        .with_listener(listener);
    let albeit = Albeit::start(config).await?;
    let mut client = albeit.client().await?;
    for (path, times) in [
        ("/201", 5),
        ("/302", 4),
        ("/404", 3),
        ("/500", 2),
        ("/close", 2),
        ("/fixed", 3),
        ("/redirect", 2),
        ("/empty", 1),
    ] {
        for _ in 0..times {
            client.get(path).await?;
        }
    }
    counts(
        &albeit,
        &[
            ("HTTPCode_Target_2XX_Count", 5.0),
            ("HTTPCode_Target_3XX_Count", 4.0),
            ("HTTPCode_Target_4XX_Count", 3.0),
            ("HTTPCode_Target_5XX_Count", 2.0),
            ("HTTPCode_ELB_502_Count", 2.0),
            ("HTTPCode_ELB_503_Count", 1.0),
            ("HTTPCode_ELB_504_Count", 0.0),
            ("HTTPCode_ELB_5XX_Count", 3.0),
            ("HTTP_Fixed_Response_Count", 3.0),
            ("HTTP_Redirect_Count", 2.0),
            // One from the client, and two to the target, which closed both.
            ("NewConnectionCount", 3.0),
            ("ActiveConnectionCount", 1.0),
            ("HealthyHostCount", 1.0),
        ],
    )
    .await
}

#[tokio::test]
async fn an_open_websocket_is_an_active_connection_and_bytes_are_counted() -> Result<()> {
    let target = Target::start(|_| vec![Step::Send(switching_protocols()), Step::Relay])?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut client = albeit.client().await?;
    upgrade(&mut client, "/").await?;
    // ELB counts the connection from the client and the one to the target.
    counts(&albeit, &[("ActiveConnectionCount", 2.0), ("NewConnectionCount", 2.0)]).await?;
    client.send(vec![0; 100_000]).await?;
    client.read_exactly(100_000).await?;
    client.finish_writing().await?;
    client.closed().await?;
    counts(&albeit, &[("ActiveConnectionCount", 0.0), ("NewConnectionCount", 2.0)]).await?;
    eventually(SOON, "processed bytes", || async {
        let bytes = albeit.metrics().await?.cloudwatch("ProcessedBytes")?;
        ensure!((200_000.0..202_000.0).contains(&bytes), "{bytes}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn refused_connections_to_targets_are_counted() -> Result<()> {
    let checked = Target::saying("ok")?;
    let port = HeldPort::try_new()?;
    let config = Config::forwarding_to(&[port.addr()])?;
    let albeit = Albeit::start(config.map_group(|g| g.with_health("port", checked.addr().port()))).await?;
    for _ in 0..3 {
        albeit.get("/").await?;
    }
    counts(&albeit, &[("TargetConnectionErrorCount", 3.0), ("HTTPCode_ELB_502_Count", 3.0)]).await
}

/// Requests with every kind of end, over IPv4 in clear text.
async fn plain_run(albeit: &Albeit) -> Result<Client> {
    let mut client = albeit.client().await?;
    for (path, times) in
        [("/200", 3), ("/404", 2), ("/fixed", 2), ("/redirect", 1), ("/empty", 2), ("/close", 1)]
    {
        for _ in 0..times {
            client.get(path).await?;
        }
    }
    // A Location of more than 8 KB, and a method that is not allowed.
    client.get(&format!("/redirect?{}", "a".repeat(9000))).await?;
    client.send("TRACE /200 HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    assert_eq!(client.response().await?.status, 405);
    // Refused by the target, which does not listen.
    assert_eq!(client.get("/refused").await?.status, 502);
    // Without Host: 400 and close.
    client.send("GET /200 HTTP/1.1\r\n\r\n").await?;
    client.closed().await?;
    Ok(client)
}

/// Over TLS, and what is no TLS.
async fn secure_run(albeit: &Albeit, ca: &Ca) -> Result<Client> {
    let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    let mut secure = Client::connect_tls(albeit.listener(2)?, "localhost", tls).await?;
    assert_eq!(secure.get("/200").await?.status, 200);
    // Clear text on the TLS port: no session.
    let mut confused = Client::connect(albeit.listener(2)?).await?;
    confused.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    confused.closed().await?;
    Ok(secure)
}

/// Over IPv6, a WebSocket too.
async fn ipv6_run(albeit: &Albeit) -> Result<Client> {
    let mut v6 = Client::connect(albeit.listener(1)?).await?;
    for _ in 0..4 {
        assert_eq!(v6.get("/200").await?.status, 200);
    }
    let mut socket = Client::connect(albeit.listener(1)?).await?;
    upgrade(&mut socket, "/socket").await?;
    socket.send(vec![1; 1000]).await?;
    socket.read_exactly(1000).await?;
    socket.finish_writing().await?;
    socket.closed().await?;
    Ok(v6)
}

#[tokio::test]
async fn every_counter_equals_a_known_run_over_ipv4_and_ipv6() -> Result<()> {
    let Ok(v6) = HeldPort::on(Ipv6Addr::LOCALHOST.into()) else {
        return Ok(()); // This machine has no IPv6.
    };
    let (target, checked, gone) = (
        Target::start(|request| match request.path() {
            "/404" => vec![Step::Send(response("404 Not Found", &[], ""))],
            "/close" => vec![Step::Close],
            "/socket" => vec![Step::Send(switching_protocols()), Step::Relay],
            _ => vec![Step::Send(ok("ok"))],
        })?,
        Target::saying("ok")?,
        HeldPort::try_new()?,
    );
    let ca = Ca::try_new()?;
    let fixed = json!({ "fixed_response": { "status_code": "503" } });
    let redirect = json!({ "redirect": { "path": "/new", "status_code": "HTTP_301" } });
    let plain = Listener::http(forward("web"))?
        .with_rule(1, json!({ "path_pattern": ["/fixed"] }), fixed)
        .with_rule(2, json!({ "path_pattern": ["/redirect"] }), redirect)
        .with_rule(3, json!({ "path_pattern": ["/empty"] }), forward("empty"))
        .with_rule(4, json!({ "path_pattern": ["/refused"] }), forward("gone"));
    let config = Config::try_new()?
        .with_group(Group::new("web", &[target.addr()]))
        .with_group(Group::new("empty", &[]))
        .with_group(Group::new("gone", &[gone.addr()]).with_health("port", checked.addr().port()))
        .with_listener(plain)
        .with_listener(Listener::on(v6, "HTTP", forward("web")))
        .with_https(&ca)?;
    let albeit = Albeit::start(config).await?;
    let _open = (plain_run(&albeit).await?, secure_run(&albeit, &ca).await?, ipv6_run(&albeit).await?);
    let expected = [
        // /200 3, /404 2, /close, /refused; HTTPS 1; IPv6 4 and the WebSocket.
        ("request_count", 13.0),
        // One target in each group that had requests.
        ("request_count_per_target", 13.0),
        ("ipv6_request_count", 5.0),
        // Clients: plain, secure, confused, two over IPv6. Targets: one shared, one after the /close, one
        // for the WebSocket.
        ("new_connection_count", 8.0),
        ("client_tls_negotiation_error_count", 1.0),
        ("target_connection_error_count", 1.0),
        ("httpcode_target_2xx_count", 8.0),
        ("httpcode_target_4xx_count", 2.0),
        ("httpcode_elb_3xx_count", 1.0),
        // TRACE and the request without Host.
        ("httpcode_elb_4xx_count", 2.0),
        // Fixed 503 2, no targets 2, closed and refused by the target 2, Location too long 1.
        ("httpcode_elb_5xx_count", 7.0),
        ("httpcode_elb_502_count", 2.0),
        ("httpcode_elb_503_count", 4.0),
        ("http_fixed_response_count", 2.0),
        // All of these that no fixed response asked for.
        ("elb_errors", 7.0),
        ("http_redirect_count", 1.0),
        ("http_redirect_url_limit_exceeded_count", 1.0),
        // Default after four rules: /200 3, /404 2, /close; and 1 for each /fixed, 2 for each redirect, 3
        // for each /empty, 4 for /refused.
        ("rule_evaluations", 24.0 + 2.0 + 4.0 + 6.0 + 4.0),
        // Whatever came as far as the rules.
        ("rule_matched_requests", 19.0),
        ("websockets_closed_by_client", 1.0),
    ];
    let records = eventually(SOON, "all records", || async {
        let records = albeit.access_log()?;
        ensure!(records.len() == 21, "{} records", records.len());
        Ok(records)
    })
    .await?;
    let bytes = |of_client: &str| -> Result<f64> {
        let mut sum = 0.0;
        for record in records.iter().filter(|record| record["client:port"].starts_with(of_client)) {
            sum += record["received_bytes"].parse::<f64>()? + record["sent_bytes"].parse::<f64>()?;
        }
        Ok(sum)
    };
    let expected = expected
        .into_iter()
        .chain([("processed_bytes", bytes("")?), ("ipv6_processed_bytes", bytes("[::1]")?)]);
    let expected: std::collections::BTreeMap<String, f64> =
        expected.map(|(name, count)| (format!("albeit_{name}_total"), count)).collect();
    eventually(SOON, "exactly these counts and no others", || async {
        let metrics = albeit.metrics().await?;
        let found: std::collections::BTreeMap<String, f64> =
            metrics.counters().into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        ensure!(found == expected, "found {found:#?}, expected {expected:#?}");
        Ok(())
    })
    .await?;
    counts(&albeit, &[("HealthyHostCount", 2.0), ("UnHealthyHostCount", 0.0)]).await
}

#[tokio::test]
async fn requests_per_target_follow_the_number_of_targets() -> Result<()> {
    let (first, second) = (Target::saying("first")?, Target::saying("second")?);
    let albeit = Albeit::start(Config::forwarding_to(&[first.addr(), second.addr()])?).await?;
    let mut client = albeit.client().await?;
    for _ in 0..6 {
        client.get("/").await?;
    }
    counts(&albeit, &[("RequestCount", 6.0), ("RequestCountPerTarget", 3.0)]).await?;
    let second = json!({
        "TargetGroupName": "web",
        "Targets": [{ "Id": "127.0.0.1", "Port": second.addr().port() }],
    });
    albeit.act("POST", "/targets/deregister", &second).await?;
    for _ in 0..4 {
        client.get("/").await?;
    }
    counts(&albeit, &[("RequestCount", 10.0), ("RequestCountPerTarget", 7.0)]).await
}

#[tokio::test]
async fn requests_routed_by_fail_open_are_counted() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    albeit.get("/healthy").await?;
    let force = json!({
        "TargetGroupName": "web",
        "Targets": [{ "Id": "127.0.0.1", "Port": target.addr().port() }],
        "State": "unhealthy",
    });
    albeit.act("POST", "/targets/health", &force).await?;
    for _ in 0..2 {
        assert_eq!(albeit.get("/open").await?.status, 200);
    }
    counts(
        &albeit,
        &[
            ("RequestCount", 3.0),
            ("UnhealthyRoutingRequestCount", 2.0),
            ("HealthyHostCount", 0.0),
            ("UnHealthyHostCount", 1.0),
        ],
    )
    .await
}
