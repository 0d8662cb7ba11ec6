//! `lb_cookie` stickiness: AWSALB and AWSALBCORS.

use std::{collections::HashMap, process::Output};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, Response, Target, albeit,
    ca::ALL_VERSIONS,
    forward,
    http2::Http2,
    process,
    target::{ok, response, switching_protocols},
    wait::eventually,
    websocket,
};
use albeit_e2e::{Step, wait::SOON};
use anyhow::{Context as _, Result, ensure};

struct Site {
    albeit: Albeit,
    targets: Vec<Target>,
}

/// A balancer with `lb_cookie` in front of `count` targets that say their number.
async fn site(count: usize) -> Result<Site> {
    site_with(count, |config| config).await
}

async fn site_with(count: usize, change: impl FnOnce(Config) -> Config) -> Result<Site> {
    let targets: Vec<Target> = (0..count).map(|n| Target::saying(&n.to_string())).collect::<Result<_>>()?;
    let addrs: Vec<_> = targets.iter().map(Target::addr).collect();
    let config = Config::try_new()?
        .with_group(Group::new("web", &addrs).with_lb_cookie())
        .with_listener(Listener::http(forward("web"))?);
    Ok(Site { albeit: Albeit::start(change(config)).await?, targets })
}

async fn get_with_cookie(albeit: &Albeit, cookie: &str) -> Result<Response> {
    let header = format!("Cookie: {cookie}");
    albeit.client().await?.get_with("/", &[&header]).await
}

#[tokio::test]
async fn a_hundred_connections_with_one_cookie_reach_one_target() -> Result<()> {
    let site = site(3).await?;
    let first = site.albeit.get("/").await?;
    let mut cookie = first.cookie("AWSALB")?;
    for _ in 0..100 {
        let response = get_with_cookie(&site.albeit, &cookie).await?;
        assert_eq!(response.text(), first.text());
        // Each response renews the cookie.
        let renewed = response.cookie("AWSALB")?;
        assert_ne!(renewed, cookie);
        cookie = renewed;
    }
    Ok(())
}

#[tokio::test]
async fn without_a_cookie_the_algorithm_spreads_requests() -> Result<()> {
    let site = site(3).await?;
    let mut counts: HashMap<String, usize> = HashMap::new();
    for _ in 0..30 {
        *counts.entry(site.albeit.get("/").await?.text()).or_default() += 1;
    }
    assert_eq!(counts.values().copied().collect::<Vec<_>>(), [10, 10, 10], "{counts:?}");
    Ok(())
}

fn check_attributes(response: &Response, cors_attributes: &str) -> Result<()> {
    let cookies = response.headers("set-cookie");
    ensure!(cookies.len() == 2, "{cookies:?}");
    let (lb, cors) = (cookies.first().context("AWSALB")?, cookies.get(1).context("AWSALBCORS")?);
    let (value, attributes) = lb.split_once("; ").context("attributes")?;
    let (cors_value, cors_rest) = cors.split_once("; ").context("attributes")?;
    let value = value.strip_prefix("AWSALB=").context("AWSALB first")?;
    ensure!(cors_value.strip_prefix("AWSALBCORS=") == Some(value), "two values in {cookies:?}");
    ensure!(value.len() == 128, "a value of {} characters", value.len());
    let expires = attributes.strip_prefix("Expires=").and_then(|a| a.strip_suffix("; Path=/"));
    let expires = expires.with_context(|| format!("attributes {attributes}"))?;
    ensure!(expires.len() == 29 && expires.ends_with(" GMT"), "not RFC 1123: {expires}");
    ensure!(cors_rest == format!("Expires={expires}; {cors_attributes}"), "attributes {cors_rest}");
    Ok(())
}

#[tokio::test]
async fn the_attributes_depend_on_the_listener_scheme() -> Result<()> {
    let ca = Ca::try_new()?;
    let site = site_with(1, |config| config.with_https(&ca).expect("a certificate")).await?;
    check_attributes(&site.albeit.get("/").await?, "Path=/; SameSite=None")?;
    let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    let mut client = Client::connect_tls(site.albeit.listener(1)?, "localhost", tls).await?;
    check_attributes(&client.get("/").await?, "Path=/; SameSite=None; Secure")
}

#[tokio::test]
async fn a_killed_target_loses_its_clients_who_get_a_new_cookie() -> Result<()> {
    // Checks each 5 s and 2 failures, divided by 10.
    let mut site = site_with(2, |config| {
        config.with_time_scale(10).map_group(|group| {
            group
                .with_health("interval", "5s")
                .with_health("timeout", "4s")
                .with_health("unhealthy_threshold", 2)
        })
    })
    .await?;
    let first = site.albeit.get("/").await?;
    let cookie = first.cookie("AWSALB")?;
    let killed: usize = first.text().parse()?;
    let dead = site.targets.get_mut(killed).context("target")?;
    dead.stop().await;
    let addr = dead.addr().to_string();
    let unhealthy =
        |all: &[albeit::TargetHealth]| all.iter().any(|t| t.addr == addr && t.state == "unhealthy");
    site.albeit.wait_for_targets("the killed target unhealthy", unhealthy).await?;

    let moved = get_with_cookie(&site.albeit, &cookie).await?;
    assert_eq!(moved.status, 200);
    assert_ne!(moved.text(), first.text());
    let new = moved.cookie("AWSALB")?;
    // The new cookie holds on to the new target, also when the old one is back.
    site.targets.get_mut(killed).context("target")?.resume()?;
    site.albeit
        .wait_for_targets("both healthy again", |all| all.iter().all(|t| t.state == "healthy"))
        .await?;
    for _ in 0..5 {
        assert_eq!(get_with_cookie(&site.albeit, &new).await?.text(), moved.text());
    }
    Ok(())
}

#[tokio::test]
async fn forged_and_truncated_cookies_are_like_none_at_all() -> Result<()> {
    let site = site(3).await?;
    let cookie = site.albeit.get("/").await?.cookie("AWSALB")?;
    let flipped: String = cookie
        .char_indices()
        .map(|(at, c)| if at == 40 { if c == 'A' { 'B' } else { 'A' } } else { c })
        .collect();
    let truncated = cookie.chars().take(60).collect::<String>();
    let long = format!("AWSALB={}", "A".repeat(4000));
    let bad = ["AWSALB=", "AWSALB=\u{1f4a3}", "AWSALB=!!!!", &flipped, &truncated, &long, "AWSALB"];
    let mut reached = HashMap::<String, usize>::new();
    for round in 0..3 {
        for cookie in bad {
            let response = get_with_cookie(&site.albeit, cookie).await?;
            assert_eq!(response.status, 200, "round {round}: {cookie}");
            response.cookie("AWSALB")?;
            response.cookie("AWSALBCORS")?;
            *reached.entry(response.text()).or_default() += 1;
        }
    }
    assert_eq!(reached.len(), 3, "a bad cookie must not bind: {reached:?}");
    Ok(())
}

async fn key_file(config: &Config, name: &str) -> Result<std::path::PathBuf> {
    let dir = config.dir().join(name);
    let args = ["certs", "--dir", dir.to_str().context("UTF-8")?];
    let Output { status, stderr, .. } = process::run(&albeit::binary()?, args, config.dir()).await?;
    ensure!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    Ok(dir.join("stickiness.key"))
}

#[tokio::test]
async fn replicas_that_share_a_key_honour_each_others_cookies_and_others_do_not() -> Result<()> {
    let targets: Vec<Target> = (0..3).map(|n| Target::saying(&n.to_string())).collect::<Result<_>>()?;
    let addrs: Vec<_> = targets.iter().map(Target::addr).collect();
    let base = Config::try_new()?;
    let (shared, other) = (key_file(&base, "shared").await?, key_file(&base, "other").await?);
    let replica = async |keys: &[&std::path::PathBuf]| -> Result<Albeit> {
        let mut config = Config::try_new()?
            .with_group(Group::new("web", &addrs).with_lb_cookie())
            .with_listener(Listener::http(forward("web"))?);
        config.stickiness_keys = keys.iter().map(|key| (*key).clone()).collect();
        Albeit::start(config).await
    };
    let (a, b, c) =
        (replica(&[&shared]).await?, replica(&[&other, &shared]).await?, replica(&[&other]).await?);
    let first = a.get("/").await?;
    let cookie = first.cookie("AWSALB")?;
    for _ in 0..9 {
        assert_eq!(get_with_cookie(&a, &cookie).await?.text(), first.text());
        // The second replica seals with a newer key and still opens the older one's cookies.
        assert_eq!(get_with_cookie(&b, &cookie).await?.text(), first.text());
    }
    let mut reached = std::collections::HashSet::new();
    for _ in 0..6 {
        let response = get_with_cookie(&c, &cookie).await?;
        assert_eq!(response.status, 200);
        reached.insert(response.text());
    }
    assert_eq!(reached.len(), 3, "another key's cookie must not bind");
    Ok(())
}

#[tokio::test]
async fn a_websocket_gets_its_cookies_with_the_101_and_follows_them() -> Result<()> {
    let targets: Vec<Target> = (0..3)
        .map(|_| Target::start(|_| vec![Step::Send(switching_protocols()), Step::Relay]))
        .collect::<Result<_>>()?;
    let addrs: Vec<_> = targets.iter().map(Target::addr).collect();
    let config = Config::try_new()?
        .with_group(Group::new("web", &addrs).with_lb_cookie())
        .with_listener(Listener::http(forward("web"))?);
    let albeit = Albeit::start(config).await?;
    let mut client = albeit.client().await?;
    let response = websocket::upgrade(&mut client, "/ws").await?;
    let cookie = response.cookie("AWSALB")?;
    response.cookie("AWSALBCORS")?;
    let holder = targets.iter().position(|t| t.requests().len() == 1).context("a target")?;
    let header = format!("Cookie: {cookie}");
    for _ in 0..5 {
        let mut client = albeit.client().await?;
        let host = client.host().to_owned();
        client.send(websocket::upgrade_request(&host, "/ws", &[&header])).await?;
        assert_eq!(client.response().await?.status, 101);
    }
    let counts: Vec<usize> = targets.iter().map(|t| t.requests().len()).collect();
    assert_eq!(counts.get(holder), Some(&6), "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn awsalbcors_decides_when_both_cookies_come() -> Result<()> {
    let site = site(2).await?;
    let (one, two) = (site.albeit.get("/").await?, site.albeit.get("/").await?);
    assert_ne!(one.text(), two.text());
    let both = format!("{}; {}", one.cookie("AWSALB")?, two.cookie("AWSALBCORS")?);
    let reversed = format!("{}; x=y; {}", two.cookie("AWSALBCORS")?, one.cookie("AWSALB")?);
    for _ in 0..4 {
        assert_eq!(get_with_cookie(&site.albeit, &both).await?.text(), two.text());
        assert_eq!(get_with_cookie(&site.albeit, &reversed).await?.text(), two.text());
    }
    // AWSALBCORS alone is as good.
    let alone = one.cookie("AWSALBCORS")?;
    assert_eq!(get_with_cookie(&site.albeit, &alone).await?.text(), one.text());
    Ok(())
}

#[tokio::test]
async fn a_cookie_expires_after_the_configured_duration() -> Result<()> {
    let site = site_with(2, |config| {
        config.map_group(|group| group.with_attribute("stickiness.lb_cookie.duration_seconds", 1))
    })
    .await?;
    let first = site.albeit.get("/").await?;
    let cookie = first.cookie("AWSALB")?;
    eventually(SOON, "an expired cookie to lose its hold", || async {
        let response = get_with_cookie(&site.albeit, &cookie).await?;
        ensure!(response.text() != first.text(), "still bound");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn keys_are_rotated_by_a_reload_without_losing_a_client() -> Result<()> {
    let targets: Vec<Target> = (0..3).map(|n| Target::saying(&n.to_string())).collect::<Result<_>>()?;
    let addrs: Vec<_> = targets.iter().map(Target::addr).collect();
    let mut config = Config::try_new()?
        .with_group(Group::new("web", &addrs).with_lb_cookie())
        .with_listener(Listener::http(forward("web"))?);
    let (old, new) = (key_file(&config, "old").await?, key_file(&config, "new").await?);
    config.stickiness_keys = vec![old.clone()];
    let mut albeit = Albeit::start(config.clone()).await?;
    let first = albeit.get("/").await?;
    let cookie = first.cookie("AWSALB")?;
    config.stickiness_keys = vec![new.clone(), old];
    albeit.reload(config.clone()).await?;
    eventually(SOON, "the reload", || async {
        let reloads = albeit.metrics().await?.sum("albeit_config_reloads_total", "");
        ensure!(reloads == 1.0, "{reloads} reloads");
        Ok(())
    })
    .await?;
    // The old cookie binds, and is renewed with the new key.
    let response = get_with_cookie(&albeit, &cookie).await?;
    assert_eq!(response.text(), first.text());
    let renewed = response.cookie("AWSALB")?;
    config.stickiness_keys = vec![new];
    albeit.reload(config).await?;
    eventually(SOON, "the old key to go", || async {
        let response = get_with_cookie(&albeit, &cookie).await?;
        ensure!(response.text() != first.text(), "still bound");
        Ok(())
    })
    .await?;
    for _ in 0..6 {
        assert_eq!(get_with_cookie(&albeit, &renewed).await?.text(), first.text());
    }
    Ok(())
}

#[tokio::test]
async fn a_draining_target_keeps_its_websocket_and_loses_its_client() -> Result<()> {
    let target = |name: &'static str| {
        Target::start(move |request| match request.path() {
            "/ws" => vec![Step::Send(switching_protocols()), Step::Relay],
            _ => vec![Step::Send(ok(name))],
        })
    };
    let targets = [target("a")?, target("b")?];
    let addrs = targets.each_ref().map(Target::addr);
    let config = Config::try_new()?
        .with_group(Group::new("web", &addrs).with_lb_cookie())
        .with_listener(Listener::http(forward("web"))?);
    let mut albeit = Albeit::start(config.clone()).await?;
    let mut client = albeit.client().await?;
    let upgraded = websocket::upgrade(&mut client, "/ws").await?;
    let cookie = upgraded.cookie("AWSALB")?;
    let holder = targets.iter().position(|target| target.requests().len() == 1).context("a holder")?;
    let left = addrs.get(1 - holder).copied().context("the other")?;
    albeit.reload(config.map_group(|group| group.with_targets(&[left]))).await?;
    let draining = |all: &[albeit::TargetHealth]| all.iter().any(|t| t.state == "draining");
    albeit.wait_for_targets("a draining target", draining).await?;
    let before = non_sticky(&albeit).await?;
    let moved = get_with_cookie(&albeit, &cookie).await?;
    assert_eq!(moved.text(), if holder == 0 { "b" } else { "a" });
    assert_ne!(moved.cookie("AWSALB")?, cookie);
    // A draining target was registered: the request does not count as non-sticky.
    assert_eq!(non_sticky(&albeit).await?, before);
    client.send(websocket::MASKED_HELLO).await?;
    assert_eq!(client.read_exactly(websocket::MASKED_HELLO.len()).await?, websocket::MASKED_HELLO);
    Ok(())
}

async fn non_sticky(albeit: &Albeit) -> Result<f64> {
    albeit.metrics().await?.cloudwatch("NonStickyRequestCount")
}

#[tokio::test]
async fn a_cookie_of_a_target_that_is_gone_counts_as_none() -> Result<()> {
    let mut site = site_with(2, |config| {
        config.map_group(|group| group.with_attribute("deregistration_delay.timeout_seconds", 0))
    })
    .await?;
    let first = site.albeit.get("/").await?;
    let gone: usize = first.text().parse()?;
    let left = site.targets.get(1 - gone).context("the other")?.addr();
    let config = site.albeit.config.clone().map_group(|group| group.with_targets(&[left]));
    site.albeit.reload(config).await?;
    site.albeit.wait_for_targets("one target", |all| all.len() == 1).await?;
    let before = non_sticky(&site.albeit).await?;
    let moved = get_with_cookie(&site.albeit, &first.cookie("AWSALB")?).await?;
    assert_ne!(moved.text(), first.text());
    assert_eq!(non_sticky(&site.albeit).await?, before + 1.0);
    Ok(())
}

#[tokio::test]
async fn a_group_that_fails_open_honours_cookies() -> Result<()> {
    let mut site = site_with(3, |config| {
        config.with_time_scale(10).map_group(|group| {
            group
                .with_health("interval", "5s")
                .with_health("timeout", "4s")
                .with_health("unhealthy_threshold", 2)
        })
    })
    .await?;
    let first = site.albeit.get("/").await?;
    for target in &site.targets {
        target.set_health(500);
    }
    site.albeit.wait_for_targets("all unhealthy", |all| all.iter().all(|t| t.state == "unhealthy")).await?;
    let before = non_sticky(&site.albeit).await?;
    for _ in 0..6 {
        let response = get_with_cookie(&site.albeit, &first.cookie("AWSALB")?).await?;
        assert_eq!(response.text(), first.text());
    }
    assert_eq!(non_sticky(&site.albeit).await?, before);
    Ok(())
}

#[tokio::test]
async fn errors_of_the_load_balancer_carry_no_cookies() -> Result<()> {
    let target = Target::start(|request| match request.path() {
        "/close" => vec![Step::Close],
        "/garbage" => vec![Step::Send(b"nonsense\r\n\r\n".to_vec()), Step::Close],
        "/silent" => vec![Step::Pause(SOON * 2)],
        "/500" => vec![Step::Send(target_response("500 Internal Server Error"))],
        _ => vec![Step::Send(ok("fine"))],
    })?;
    let config = Config::try_new()?
        .with_attribute("idle_timeout.timeout_seconds", 1)
        .with_group(Group::new("web", &[target.addr()]).with_lb_cookie())
        .with_listener(Listener::http(forward("web"))?);
    let albeit = Albeit::start(config).await?;
    for (path, status, cookies) in
        [("/close", 502, 0), ("/garbage", 502, 0), ("/silent", 504, 0), ("/500", 500, 2), ("/", 200, 2)]
    {
        let response = albeit.get(path).await?;
        assert_eq!((response.status, response.headers("set-cookie").len()), (status, cookies), "{path}");
    }
    Ok(())
}

fn target_response(status: &str) -> Vec<u8> {
    response(status, &[], "")
}

#[tokio::test]
async fn a_preflight_gets_cookies_and_may_go_anywhere() -> Result<()> {
    let site = site(2).await?;
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let mut client = site.albeit.client().await?;
        let host = client.host().to_owned();
        client
            .send(format!(
                "OPTIONS / HTTP/1.1\r\nHost: {host}\r\nOrigin: https://a.test\r\n\
                 Access-Control-Request-Method: POST\r\n\r\n"
            ))
            .await?;
        let response = client.response().await?;
        response.cookie("AWSALBCORS")?;
        reached.insert(response.text());
    }
    assert_eq!(reached.len(), 2);
    Ok(())
}

#[tokio::test]
async fn http2_may_split_the_cookie_header() -> Result<()> {
    let ca = Ca::try_new()?;
    let site = site_with(3, |config| config.with_https(&ca).expect("a certificate")).await?;
    let tls = ca.client(&["h2"], ALL_VERSIONS)?;
    let addr = site.albeit.listener(1)?;
    let client = Http2::connect(addr, "localhost", tls).await?;
    let uri = format!("https://localhost:{}/", addr.port());
    let first = client.get(&uri, &[]).await?;
    let set = first.headers().get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    let cookie = set.filter_map(|value| value.split(';').next()).find(|pair| pair.starts_with("AWSALB="));
    let cookie = cookie.context("AWSALB")?;
    for _ in 0..6 {
        let response = client.get(&uri, &[("cookie", "a=b"), ("cookie", cookie), ("cookie", "c=d")]).await?;
        assert_eq!(response.body(), first.body());
    }
    Ok(())
}

#[tokio::test]
async fn a_durations_seconds_are_divided_by_the_time_scale() -> Result<()> {
    let site = site_with(2, |config| {
        config
            .with_time_scale(60)
            .map_group(|group| group.with_attribute("stickiness.lb_cookie.duration_seconds", 60))
    })
    .await?;
    let first = site.albeit.get("/").await?;
    let cookie = first.cookie("AWSALB")?;
    eventually(SOON, "an expired cookie to lose its hold", || async {
        let response = get_with_cookie(&site.albeit, &cookie).await?;
        ensure!(response.text() != first.text(), "still bound");
        Ok(())
    })
    .await
}
