//! Forward actions with several target groups: weights, and the cookies AWSALBTG and AWSALBTGCORS.

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, Response, Step, Target, ca::ALL_VERSIONS,
    config::forward_weighted, target::switching_protocols, wait::SOON, wait::eventually, websocket,
};
use anyhow::{Context as _, Result, ensure};

const HOUR: Option<&str> = Some("1h");

struct Site {
    albeit: Albeit,
    blue: Target,
    green: Target,
}

/// A balancer in front of the groups `blue` and `green` with a target each that says its group.
async fn site(weights: [u16; 2], duration: Option<&str>) -> Result<Site> {
    site_with(weights, duration, |config| config).await
}

async fn site_with(
    weights: [u16; 2],
    duration: Option<&str>,
    change: impl FnOnce(Config) -> Config,
) -> Result<Site> {
    let (blue, green) = (Target::saying("blue")?, Target::saying("green")?);
    let config = Config::try_new()?
        .with_group(Group::new("blue", &[blue.addr()]))
        .with_group(Group::new("green", &[green.addr()]))
        .with_listener(Listener::http(action(weights, duration))?);
    Ok(Site { albeit: Albeit::start(change(config)).await?, blue, green })
}

fn action([blue, green]: [u16; 2], duration: Option<&str>) -> serde_json::Value {
    forward_weighted(&[("blue", blue), ("green", green)], duration)
}

async fn get(albeit: &Albeit, path: &str, cookie: &str) -> Result<Response> {
    albeit.client().await?.get_with(path, &[&format!("Cookie: {cookie}")]).await
}

/// GET until the response comes from `group`.
async fn answer_of(albeit: &Albeit, group: &str) -> Result<Response> {
    eventually(SOON, &format!("an answer of {group}"), || async {
        let response = albeit.get("/").await?;
        ensure!(response.text() == group, "{} answered", response.text());
        Ok(response)
    })
    .await
}

#[tokio::test]
async fn requests_are_shared_by_weight() -> Result<()> {
    let site = site([3, 1], None).await?;
    let mut client = site.albeit.client().await?;
    for _ in 0..400 {
        let response = client.get("/").await?;
        assert_eq!(response.status, 200);
        assert_eq!(response.headers("set-cookie"), [""; 0]);
    }
    let (blue, green) = (site.blue.requests().len(), site.green.requests().len());
    // Six standard deviations of a fair draw.
    assert!((248..=352).contains(&blue) && blue + green == 400, "{blue} and {green}");
    let record = &site.albeit.records("GET", 400).await?[0];
    let arn = &record["target_group_arn"];
    assert!(arn.contains(":targetgroup/blue/") || arn.contains(":targetgroup/green/"), "{arn}");
    let metrics = site.albeit.metrics().await?;
    let count = |group: &str| {
        metrics.sum("albeit_request_count_total", &format!("target_group=\"targetgroup/{group}/"))
    };
    assert_eq!((count("blue"), count("green")), (blue as f64, green as f64));
    Ok(())
}

#[tokio::test]
async fn a_group_of_weight_0_gets_nothing_and_only_such_groups_are_503() -> Result<()> {
    let mut site = site([0, 1], None).await?;
    for _ in 0..20 {
        assert_eq!(site.albeit.get("/").await?.text(), "green");
    }
    let mut config = site.albeit.config.clone();
    config.listeners[0] = config.listeners[0].clone().with("default_actions", vec![action([0, 0], HOUR)]);
    site.albeit.reload(config).await?;
    let refused = eventually(SOON, "the reload", || async {
        let response = site.albeit.get("/none").await?;
        ensure!(response.status == 503, "{}", response.status);
        Ok(response)
    })
    .await?;
    assert_eq!(refused.headers("set-cookie"), [""; 0]);
    let records = eventually(SOON, "its record", || async {
        let mut records = site.albeit.access_log()?;
        records.retain(|record| record["elb_status_code"] == "503");
        ensure!(!records.is_empty(), "none yet");
        Ok(records)
    })
    .await?;
    let record = records.first().context("a record")?;
    assert_eq!((&*record["target_group_arn"], &*record["error_reason"]), ("-", "-"));
    assert_eq!((&*record["actions_executed"], &*record["target:port"]), ("forward", "-"));
    Ok(())
}

fn check_attributes(response: &Response, cors_attributes: &str) -> Result<()> {
    let cookies = response.headers("set-cookie");
    let [tg, cors] = cookies[..] else { anyhow::bail!("{cookies:?}") };
    let (value, attributes) = tg.split_once("; ").context("attributes")?;
    let (cors_value, cors_rest) = cors.split_once("; ").context("attributes")?;
    let value = value.strip_prefix("AWSALBTG=").context("AWSALBTG first")?;
    ensure!(cors_value.strip_prefix("AWSALBTGCORS=") == Some(value), "two values in {cookies:?}");
    ensure!(value.len() == 128, "a value of {} characters", value.len());
    let expires = attributes.strip_prefix("Expires=").and_then(|a| a.strip_suffix("; Path=/"));
    let expires = expires.with_context(|| format!("attributes {attributes}"))?;
    ensure!(expires.len() == 29 && expires.ends_with(" GMT"), "not RFC 1123: {expires}");
    ensure!(cors_rest == format!("Expires={expires}; Path=/; {cors_attributes}"), "attributes {cors_rest}");
    Ok(())
}

#[tokio::test]
async fn the_attributes_depend_on_the_listener_scheme() -> Result<()> {
    let ca = Ca::try_new()?;
    let site = site_with([1, 1], HOUR, |config| {
        let certificate = ca.issue(config.dir(), "localhost", &["localhost"]).expect("a certificate");
        let listener = Listener::https(&["localhost"], action([1, 1], HOUR)).expect("a port");
        config.with_certificate(certificate).with_listener(listener)
    })
    .await?;
    check_attributes(&site.albeit.get("/").await?, "SameSite=None")?;
    let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    let mut client = Client::connect_tls(site.albeit.listener(1)?, "localhost", tls).await?;
    check_attributes(&client.get("/").await?, "SameSite=None; Secure")
}

#[tokio::test]
async fn awsalbtg_names_the_group_and_awsalb_the_target_inside_it() -> Result<()> {
    let targets: Vec<Target> = (0..4).map(|n| Target::saying(&n.to_string())).collect::<Result<_>>()?;
    let addrs: Vec<_> = targets.iter().map(Target::addr).collect();
    let config = Config::try_new()?
        .with_group(Group::new("blue", &addrs[..2]).with_lb_cookie())
        .with_group(Group::new("green", &addrs[2..]).with_lb_cookie())
        .with_listener(Listener::http(action([1, 1], HOUR))?);
    let albeit = Albeit::start(config).await?;
    let first = albeit.get("/").await?;
    let names: Vec<_> = first.headers("set-cookie").iter().filter_map(|c| c.split('=').next()).collect();
    assert_eq!(names, ["AWSALBTG", "AWSALBTGCORS", "AWSALB", "AWSALBCORS"]);
    let mut cookies = format!("{}; {}", first.cookie("AWSALBTG")?, first.cookie("AWSALB")?);
    for _ in 0..30 {
        let response = get(&albeit, "/", &cookies).await?;
        assert_eq!(response.text(), first.text());
        let renewed = format!("{}; {}", response.cookie("AWSALBTG")?, response.cookie("AWSALB")?);
        assert_ne!(renewed, cookies);
        cookies = renewed;
    }
    // The group alone: both of its targets.
    let group = first.cookie("AWSALBTG")?;
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..10 {
        reached.insert(get(&albeit, "/", &group).await?.text());
    }
    let of_group = if first.text().as_str() < "2" { ["0", "1"] } else { ["2", "3"] };
    assert_eq!(reached.iter().map(String::as_str).collect::<Vec<_>>(), of_group);
    Ok(())
}

#[tokio::test]
async fn awsalbtgcors_decides_when_both_cookies_come() -> Result<()> {
    let site = site([1, 1], HOUR).await?;
    let (blue, green) = (answer_of(&site.albeit, "blue").await?, answer_of(&site.albeit, "green").await?);
    let both = format!("{}; {}", blue.cookie("AWSALBTG")?, green.cookie("AWSALBTGCORS")?);
    for _ in 0..10 {
        assert_eq!(get(&site.albeit, "/", &both).await?.text(), "green");
        assert_eq!(get(&site.albeit, "/", &blue.cookie("AWSALBTGCORS")?).await?.text(), "blue");
    }
    Ok(())
}

#[tokio::test]
async fn an_invalid_cookie_is_logged_and_replaced() -> Result<()> {
    let site = site([1, 1], HOUR).await?;
    let good = site.albeit.get("/good").await?.cookie("AWSALBTG")?;
    let encoded = format!("{good}%3D");
    for cookie in ["AWSALBTG=forged", encoded.as_str()] {
        let response = get(&site.albeit, "/bad", cookie).await?;
        assert_eq!(response.status, 200);
        response.cookie("AWSALBTG")?;
    }
    for record in site.albeit.records("/bad", 2).await? {
        assert_eq!(record["error_reason"], "AWSALBTGCookieInvalid");
        assert_eq!(record["elb_status_code"], "200");
    }
    assert_eq!(site.albeit.record("/good").await?["error_reason"], "-");
    Ok(())
}

#[tokio::test]
async fn a_cookie_loses_its_hold_with_the_weight_of_its_group() -> Result<()> {
    let mut site = site([1, 1], HOUR).await?;
    let blue = answer_of(&site.albeit, "blue").await?.cookie("AWSALBTG")?;
    for action in [action([0, 1], HOUR), forward_weighted(&[("green", 1)], HOUR)] {
        let mut config = site.albeit.config.clone();
        config.listeners[0] = config.listeners[0].clone().with("default_actions", vec![action]);
        site.albeit.reload(config).await?;
        let moved = eventually(SOON, "the cookie to lose its hold", || async {
            let response = get(&site.albeit, "/moved", &blue).await?;
            ensure!(response.text() == "green", "still {}", response.text());
            Ok(response)
        })
        .await?;
        let green = moved.cookie("AWSALBTG")?;
        assert_eq!(get(&site.albeit, "/", &green).await?.text(), "green");
    }
    let records = site.albeit.access_log()?;
    assert!(records.iter().all(|record| record["error_reason"] == "-"));
    Ok(())
}

#[tokio::test]
async fn a_cookie_expires_after_the_scaled_duration() -> Result<()> {
    // A minute, divided by 60.
    let site = site_with([1, 999], Some("60s"), |config| config.with_time_scale(60)).await?;
    let mut config = site.albeit.config.clone();
    let mut site = site;
    config.listeners[0] =
        config.listeners[0].clone().with("default_actions", vec![action([999, 1], Some("60s"))]);
    let green = answer_of(&site.albeit, "green").await?.cookie("AWSALBTG")?;
    site.albeit.reload(config).await?;
    eventually(SOON, "an expired cookie to lose its hold", || async {
        let response = get(&site.albeit, "/", &green).await?;
        ensure!(response.text() == "blue", "still bound");
        Ok(())
    })
    .await?;
    assert!(site.albeit.access_log()?.iter().all(|record| record["error_reason"] == "-"));
    Ok(())
}

#[tokio::test]
async fn there_is_no_fall_over_to_another_group() -> Result<()> {
    let green = Target::saying("green")?;
    let sick = Target::saying("sick")?;
    sick.set_health(500);
    let quick = |group: Group| {
        group.with_health("interval", "5s").with_health("timeout", "4s").with_health("unhealthy_threshold", 2)
    };
    let config = Config::try_new()?
        .with_time_scale(10)
        .with_group(Group::new("empty", &[]))
        .with_group(quick(Group::new("sick", &[sick.addr()])))
        .with_group(quick(Group::new("green", &[green.addr()])))
        .with_listener(Listener::http(forward_weighted(&[("empty", 1), ("green", 0)], HOUR))?)
        .with_listener(Listener::http(forward_weighted(&[("sick", 1), ("green", 0)], HOUR))?);
    let mut albeit = Albeit::start_unsettled(config).await?;
    albeit
        .wait_for_targets("sick unhealthy", |all| all.iter().any(|target| target.state == "unhealthy"))
        .await?;
    let refused = albeit.get("/").await?;
    assert_eq!((refused.status, refused.headers("set-cookie")), (503, vec![]));
    let open = Client::connect(albeit.listener(1)?).await?.get("/").await?;
    assert_eq!(open.text(), "sick");
    open.cookie("AWSALBTG")?;
    assert_eq!(albeit.metrics().await?.cloudwatch("UnhealthyRoutingRequestCount")?, 1.0);
    Ok(())
}

#[tokio::test]
async fn a_websocket_gets_its_cookies_with_the_101_and_errors_get_none() -> Result<()> {
    let target = Target::start(|request| match request.path() {
        "/ws" => vec![Step::Send(switching_protocols()), Step::Relay],
        _ => vec![Step::Close],
    })?;
    let config = Config::try_new()?
        .with_group(Group::new("web", &[target.addr()]))
        .with_listener(Listener::http(forward_weighted(&[("web", 1)], HOUR))?);
    let albeit = Albeit::start(config).await?;
    let response = websocket::upgrade(&mut albeit.client().await?, "/ws").await?;
    response.cookie("AWSALBTG")?;
    response.cookie("AWSALBTGCORS")?;
    let error = albeit.get("/closes").await?;
    assert_eq!((error.status, error.headers("set-cookie")), (502, vec![]));
    Ok(())
}
