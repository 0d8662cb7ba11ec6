//! What the admin API shows of a running balancer.

use std::time::Duration;

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, Step, Target,
    ca::ALL_VERSIONS,
    eventually, forward,
    target::{ok, switching_protocols},
    wait::SOON,
    websocket::upgrade,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

fn text<'v>(value: &'v Value, member: &str) -> Result<&'v str> {
    value.get(member).and_then(Value::as_str).with_context(|| format!("no {member} in {value}"))
}

fn upgrading() -> Result<Target> {
    Target::start(|request| {
        if request.headers("upgrade").is_empty() {
            vec![Step::Send(ok("ok"))]
        } else {
            vec![Step::Send(switching_protocols()), Step::Relay]
        }
    })
}

#[tokio::test]
async fn what_is_configured_is_described_in_the_words_of_the_api() -> Result<()> {
    let (target, ca) = (Target::saying("ok")?, Ca::try_new()?);
    let fixed = json!({ "fixed_response": { "status_code": "200" } });
    let mut config = Config::try_new()?
        .with_group(Group::new("web", &[target.addr()]))
        .with_listener(Listener::http(forward("web"))?.with_rule(
            5,
            json!({ "path_pattern": ["/fixed"] }),
            fixed,
        ))
        .with_https(&ca)?;
    config = config.with_attribute("idle_timeout.timeout_seconds", 77);
    let albeit = Albeit::start(config).await?;

    let load_balancer = albeit.list("/load-balancers?Names=e2e-alb", "LoadBalancers").await?.remove(0);
    assert_eq!(load_balancer["State"]["Code"], "active");
    let arn = text(&load_balancer, "LoadBalancerArn")?;
    let listeners = albeit.list(&format!("/listeners?LoadBalancerArn={arn}"), "Listeners").await?;
    let protocols: Vec<_> = listeners.iter().map(|listener| listener["Protocol"].clone()).collect();
    assert_eq!(protocols, ["HTTP", "HTTPS"]);
    assert_eq!(listeners[1]["SslPolicy"], albeit_e2e::config::SECURITY_POLICY);

    let mut client = albeit.client().await?;
    for path in ["/fixed", "/a", "/fixed", "/b", "/c"] {
        assert_eq!(client.get(path).await?.status, 200);
    }
    let rules = format!("/rules?ListenerArn={}", text(&listeners[0], "ListenerArn")?);
    let rules = albeit.list(&rules, "Rules").await?;
    let hits: Vec<_> =
        rules.iter().map(|rule| (rule["Priority"].clone(), rule["MatchedRequestCount"].clone())).collect();
    assert_eq!(hits, [(json!("5"), json!(2)), (json!("default"), json!(3))]);

    let certificate = albeit.list("/certificates", "Certificates").await?.remove(0);
    assert_eq!((&certificate["Name"], &certificate["Status"]), (&json!("localhost"), &json!("ISSUED")));
    assert_eq!(certificate["SubjectAlternativeNames"], json!(["localhost"]));
    assert_eq!(certificate["KeyAlgorithm"], "EC_prime256v1");
    assert_eq!(
        certificate["Listeners"],
        json!([{ "ListenerArn": listeners[1]["ListenerArn"], "IsDefault": true }])
    );
    assert!(text(&certificate, "NotAfter")?.ends_with('Z'), "{certificate}");

    let attributes = albeit.list(&format!("/attributes?LoadBalancerArn={arn}"), "Attributes").await?;
    assert!(attributes.contains(&json!({ "Key": "idle_timeout.timeout_seconds", "Value": "77" })));
    assert!(attributes.contains(&json!({ "Key": "client_keep_alive.seconds", "Value": "3600" })));
    let group = albeit.list("/target-groups?Names=web", "TargetGroups").await?.remove(0);
    assert_eq!(group["LoadBalancerArns"], json!([arn]));
    assert_eq!(albeit.admin("/target-groups?Names=none").await?.status, 400);
    let index = albeit.resource("/").await?;
    assert!(index["Resources"].as_array().is_some_and(|list| list.iter().any(|it| it["Path"] == "/rules")));
    Ok(())
}

#[tokio::test]
async fn open_connections_are_listed_with_what_they_carry() -> Result<()> {
    let (target, ca) = (upgrading()?, Ca::try_new()?);
    let config = Config::forwarding_to(&[target.addr()])?
        .with_https(&ca)?
        .with_attribute("idle_timeout.timeout_seconds", 600);
    let albeit = Albeit::start(config).await?;
    let mut plain = albeit.client().await?;
    plain.get("/one").await?;
    plain.get("/two").await?;
    let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    let mut secure = Client::connect_tls(albeit.listener(1)?, "localhost", tls).await?;
    secure.get("/secure").await?;
    let mut socket = albeit.client().await?;
    upgrade(&mut socket, "/socket").await?;
    socket.send(vec![7; 5000]).await?;
    socket.read_exactly(5000).await?;

    let listed = eventually(SOON, "three connections, one a WebSocket", || async {
        let listed = albeit.list("/connections", "Connections").await?;
        ensure!(listed.len() == 3 && listed[2]["Protocol"] == "websocket", "{listed:?}");
        Ok(listed)
    })
    .await?;
    let counts: Vec<_> = listed.iter().map(|it| it["RequestCount"].clone()).collect();
    assert_eq!(counts, [2, 1, 1]);
    assert_eq!(listed[0]["Client"], plain.local_addr().to_string());
    assert_eq!(listed[0]["ConnectionId"], albeit.record("/one").await?["conn_trace_id"]);
    assert_eq!((listed[0].get("Tls"), &listed[1]["Tls"]["ServerName"]), (None, &json!("localhost")));
    let websocket = &listed[2];
    assert_eq!(websocket["WebSocketTarget"], json!({ "Id": "127.0.0.1", "Port": target.addr().port() }));
    assert!(
        websocket["ReceivedBytes"].as_u64() >= Some(5000) && websocket["SentBytes"].as_u64() >= Some(5000)
    );
    for connection in &listed {
        let seconds =
            |member: &str| connection[member].as_f64().with_context(|| format!("{member}: {connection}"));
        assert!((500.0..=600.0).contains(&seconds("SecondsToIdleTimeout")?), "{connection}");
        assert!(
            (seconds("SecondsToIdleTimeout")? + seconds("IdleSeconds")? - 600.0).abs() < 0.01,
            "{connection}"
        );
        assert!(seconds("AgeSeconds")? >= seconds("IdleSeconds")?, "{connection}");
    }

    let first = albeit.resource("/connections?PageSize=2").await?;
    let marker = text(&first, "NextMarker")?;
    let rest = albeit.list(&format!("/connections?PageSize=2&Marker={marker}"), "Connections").await?;
    assert_eq!(rest.iter().map(|it| &it["ConnectionId"]).collect::<Vec<_>>(), [&websocket["ConnectionId"]]);
    let secure_listener = text(&listed[1], "ListenerArn")?;
    let of_listener =
        albeit.list(&format!("/connections?ListenerArn={secure_listener}"), "Connections").await?;
    assert_eq!(of_listener.len(), 1);

    // Bytes end the idling.
    let idle = eventually(SOON, "half a second of silence", || async {
        let listed = albeit.list("/connections", "Connections").await?;
        let idle = listed[2]["IdleSeconds"].as_f64().context("no seconds")?;
        ensure!(idle > 0.5, "{idle}");
        Ok(Instant::now() - Duration::from_secs_f64(idle))
    })
    .await?;
    socket.send("x").await?;
    socket.read_exactly(1).await?;
    let listed = albeit.list("/connections", "Connections").await?;
    let now = listed[2]["IdleSeconds"].as_f64().context("no seconds")?;
    assert!(now + 0.4 < idle.elapsed().as_secs_f64(), "{listed:?}");
    drop((plain, secure, socket));
    eventually(SOON, "no connections", || async {
        let listed = albeit.list("/connections", "Connections").await?;
        ensure!(listed.is_empty(), "{listed:?}");
        Ok(())
    })
    .await
}
