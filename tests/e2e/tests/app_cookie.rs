//! `app_cookie` stickiness: AWSALBAPP-0 to AWSALBAPP-3 beside the application's cookie.

use std::collections::BTreeSet;

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, Response, Step, Target,
    albeit::TargetHealth,
    ca::ALL_VERSIONS,
    forward,
    target::{ok, response, switching_protocols},
    wait::{SOON, eventually},
    websocket,
};
use anyhow::{Context as _, Result, ensure};

const CHROME: &str =
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36";
const FIREFOX: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0";

struct Site {
    albeit: Albeit,
    targets: Vec<Target>,
}

/// A target that says `name`, sets the application's cookie at `/login` and upgrades at `/ws`.
fn target(name: String) -> Result<Target> {
    Target::start(move |request| {
        let answer = match request.path() {
            "/login" => response("200 OK", &["Set-Cookie: SESSION=secret; HttpOnly"], &name),
            "/ws" => return vec![Step::Send(switching_protocols()), Step::Relay],
            "/broken" => return vec![Step::Close],
            _ => ok(&name),
        };
        vec![Step::Send(answer)]
    })
}

async fn site(count: usize) -> Result<Site> {
    site_with(count, |config| config).await
}

async fn site_with(count: usize, change: impl FnOnce(Config) -> Config) -> Result<Site> {
    let targets: Vec<Target> = (0..count).map(|n| target(n.to_string())).collect::<Result<_>>()?;
    let addrs: Vec<_> = targets.iter().map(Target::addr).collect();
    let config = Config::try_new()?
        .with_group(Group::new("web", &addrs).with_app_cookie("SESSION"))
        .with_listener(Listener::http(forward("web"))?);
    Ok(Site { albeit: Albeit::start(change(config)).await?, targets })
}

async fn get(albeit: &Albeit, path: &str, cookies: &str) -> Result<Response> {
    albeit.client().await?.get_with(path, &[&format!("Cookie: {cookies}")]).await
}

/// The value of AWSALBAPP-0, all of whose fellows say `_remove_`.
fn bound(response: &Response) -> Result<String> {
    let cookie = response.cookie("AWSALBAPP-0")?;
    ensure!(cookie.len() == "AWSALBAPP-0=".len() + 128, "{cookie}");
    for number in 1..4 {
        let name = format!("AWSALBAPP-{number}");
        ensure!(response.cookie(&name)? == format!("{name}=_remove_"), "{:?}", response.head);
    }
    Ok(cookie)
}

/// That all four cookies say `_remove_`.
fn unbound(response: &Response) -> Result<()> {
    for number in 0..4 {
        let name = format!("AWSALBAPP-{number}");
        ensure!(response.cookie(&name)? == format!("{name}=_remove_"), "{:?}", response.head);
    }
    Ok(())
}

async fn counts(albeit: &Albeit) -> Result<(f64, f64)> {
    let metrics = albeit.metrics().await?;
    Ok((metrics.cloudwatch("NonStickyRequestCount")?, metrics.cloudwatch("AppCookieNonStickinessCount")?))
}

#[tokio::test]
async fn a_client_is_bound_once_the_application_sets_its_cookie() -> Result<()> {
    let site = site(3).await?;
    unbound(&site.albeit.get("/").await?)?;
    let login = site.albeit.get("/login").await?;
    let mut cookie = bound(&login)?;
    for _ in 0..20 {
        let response =
            get(&site.albeit, "/", &format!("SESSION=whatever; {cookie}; AWSALBAPP-1=_remove_")).await?;
        assert_eq!(response.text(), login.text());
        let renewed = bound(&response)?;
        assert_ne!(renewed, cookie);
        cookie = renewed;
    }
    assert_eq!(counts(&site.albeit).await?, (2.0, 0.0));
    Ok(())
}

#[tokio::test]
async fn the_load_balancers_cookie_alone_does_not_bind() -> Result<()> {
    let site = site(3).await?;
    let cookie = bound(&site.albeit.get("/login").await?)?;
    let mut reached = BTreeSet::new();
    for _ in 0..6 {
        let response = get(&site.albeit, "/", &cookie).await?;
        unbound(&response)?;
        reached.insert(response.text());
    }
    assert_eq!(reached.len(), 3);
    assert_eq!(counts(&site.albeit).await?, (7.0, 6.0));
    // Nor does the application's.
    unbound(&get(&site.albeit, "/", "SESSION=secret").await?)?;
    assert_eq!(counts(&site.albeit).await?, (8.0, 6.0));
    Ok(())
}

#[tokio::test]
async fn forged_and_removed_cookies_are_like_none_at_all() -> Result<()> {
    let site = site(3).await?;
    let mut reached = BTreeSet::new();
    let long =
        format!("AWSALBAPP-0={0}; AWSALBAPP-1={0}; AWSALBAPP-2={0}; AWSALBAPP-3={0}", "A".repeat(1000));
    for cookie in ["AWSALBAPP-0=forged", "AWSALBAPP-0=_remove_", "AWSALBAPP-0=", "AWSALBAPP-3=x", &long] {
        let response = get(&site.albeit, "/", &format!("{cookie}; SESSION=secret")).await?;
        unbound(&response)?;
        reached.insert(response.text());
    }
    assert_eq!(reached.len(), 3);
    assert_eq!(counts(&site.albeit).await?, (5.0, 0.0));
    Ok(())
}

#[tokio::test]
async fn a_client_of_an_unhealthy_target_moves_and_stays() -> Result<()> {
    let mut site = site_with(2, |config| {
        config.with_time_scale(10).map_group(|group| {
            let group = group.with_health("interval", "5s").with_health("timeout", "4s");
            group.with_health("unhealthy_threshold", 2).with_health("healthy_threshold", 2)
        })
    })
    .await?;
    let login = site.albeit.get("/login").await?;
    let cookies = format!("SESSION=secret; {}", bound(&login)?);
    let holder = site.targets.get(login.text().parse::<usize>()?).context("a target")?;
    holder.set_health(500);
    let addr = holder.addr().to_string();
    let sick = |all: &[TargetHealth]| all.iter().any(|t| t.addr == addr && t.state == "unhealthy");
    site.albeit.wait_for_targets("the target unhealthy", sick).await?;
    let moved = get(&site.albeit, "/", &cookies).await?;
    assert_ne!(moved.text(), login.text());
    let cookies = format!("SESSION=secret; {}", bound(&moved)?);
    holder.set_health(200);
    site.albeit.wait_for_targets("both healthy", |all| all.iter().all(|t| t.state == "healthy")).await?;
    for _ in 0..6 {
        assert_eq!(get(&site.albeit, "/", &cookies).await?.text(), moved.text());
    }
    Ok(())
}

#[tokio::test]
async fn the_attributes_suit_the_user_agent_and_the_listener() -> Result<()> {
    let ca = Ca::try_new()?;
    let site = site_with(1, |config| config.with_https(&ca).expect("a certificate")).await?;
    let tls = || ca.client(&["http/1.1"], ALL_VERSIONS);
    for (secure, user_agent, expected) in [
        (true, CHROME, "Path=/; SameSite=None; Secure"),
        (true, FIREFOX, "Path=/"),
        (false, CHROME, "Path=/"),
    ] {
        let mut client = if secure {
            Client::connect_tls(site.albeit.listener(1)?, "localhost", tls()?).await?
        } else {
            site.albeit.client().await?
        };
        for path in ["/login", "/"] {
            let response = client.get_with(path, &[user_agent]).await?;
            let ours: Vec<_> =
                response.headers("set-cookie").into_iter().filter(|c| c.starts_with("AWSALBAPP-")).collect();
            assert_eq!(ours.len(), 4);
            for cookie in ours {
                let attributes = cookie.split_once("; Expires=").context("Expires")?.1;
                let (expires, rest) = attributes.split_once("; ").context("more")?;
                assert!(expires.len() == 29 && expires.ends_with(" GMT"), "{cookie}");
                assert_eq!(rest, expected, "{user_agent}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_cookie_expires_after_the_scaled_duration() -> Result<()> {
    let site = site_with(2, |config| {
        config
            .with_time_scale(60)
            .map_group(|group| group.with_attribute("stickiness.app_cookie.duration_seconds", 60))
    })
    .await?;
    let login = site.albeit.get("/login").await?;
    let cookies = format!("SESSION=secret; {}", bound(&login)?);
    eventually(SOON, "an expired cookie to lose its hold", || async {
        let response = get(&site.albeit, "/", &cookies).await?;
        ensure!(response.text() != login.text(), "still bound");
        unbound(&response)
    })
    .await
}

#[tokio::test]
async fn a_websocket_follows_the_cookies_of_an_earlier_request_and_errors_set_none() -> Result<()> {
    let site = site(3).await?;
    let login = site.albeit.get("/login").await?;
    let holder = site.targets.get(login.text().parse::<usize>()?).context("a target")?;
    let header = format!("Cookie: SESSION=secret; {}", bound(&login)?);
    for _ in 0..4 {
        let mut client = site.albeit.client().await?;
        let host = client.host().to_owned();
        client.send(websocket::upgrade_request(&host, "/ws", &[&header])).await?;
        let response = client.response().await?;
        assert_eq!(response.status, 101);
        bound(&response)?;
    }
    assert_eq!(holder.requests().len(), 5);
    // Servers that set no cookie with their 101 bind nobody.
    unbound(&websocket::upgrade(&mut site.albeit.client().await?, "/ws").await?)?;
    let error = site.albeit.get("/broken").await?;
    assert_eq!((error.status, error.headers("set-cookie")), (502, vec![]));
    Ok(())
}
