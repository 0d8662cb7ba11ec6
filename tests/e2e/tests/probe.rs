//! `albeit doctor --probe` against targets and balancers of known behaviour.

use std::{fs, net::SocketAddr, path::Path};

use albeit_e2e::{
    Albeit, Backend, Ca, Config, Target, albeit,
    config::SECURITY_POLICY,
    peers::{Peer, Scripted},
    ports::HeldPort,
    process,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// What the doctor found and measured, as JSON, with its exit status.
async fn doctor(dir: &Path, args: &[&str]) -> Result<(Value, Option<i32>)> {
    let args = ["doctor", "--format", "json"].iter().chain(args);
    let output = process::run(&albeit::binary()?, args, dir).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    let found = serde_json::from_slice(&output.stdout).with_context(|| said.into_owned())?;
    Ok((found, output.status.code()))
}

/// What was measured at one address.
async fn measured(dir: &Path, url: &str, args: &[&str]) -> Result<Value> {
    let args: Vec<&str> = ["--probe", url].iter().chain(args).copied().collect();
    let (found, _) = doctor(dir, &args).await?;
    found.pointer("/measured/0").cloned().with_context(|| format!("nothing measured: {found}"))
}

fn value<'a>(measured: &'a Value, name: &str) -> Result<&'a str> {
    let values = measured["values"].as_array().context("no values")?;
    let value = values.iter().find(|value| value["name"] == name).and_then(|value| value["value"].as_str());
    value.with_context(|| format!("no {name} in {measured}"))
}

/// The first number of a measured value.
fn number(value: &str) -> Result<f64> {
    let digits = |c: &char| c.is_ascii_digit() || *c == '.';
    let text: String = value.chars().skip_while(|c| !digits(c)).take_while(digits).collect();
    text.parse().with_context(|| value.to_owned())
}

#[track_caller]
fn check_within_a_tenth(value: &str, expected: f64) -> Result<()> {
    let found = number(value)?;
    ensure!((expected * 0.9..=expected * 1.1).contains(&found), "{value} instead of {expected}");
    Ok(())
}

fn http(addr: SocketAddr) -> String {
    format!("http://{addr}/")
}

const NODE: &str = "const server = require('http').createServer((_, answer) => answer.end('ok'));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
";

#[tokio::test]
async fn a_node_server_keeps_connections_for_its_default_5_s() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let Some(node) = Scripted::start(dir.path(), "node", NODE).await? else { return Ok(()) };
    let measured = measured(dir.path(), &http(node.addr), &["--longest-wait", "9s"]).await?;
    let keep_alive = value(&measured, "keep-alive timeout")?;
    // Newer versions keep a connection for a second more than they announce.
    check_within_a_tenth(keep_alive, 5.0).or_else(|_| check_within_a_tenth(keep_alive, 6.0))?;
    ensure!(keep_alive.contains("FIN") && keep_alive.ends_with("announces 5 s"), "{keep_alive}");
    // Node's own limit is 16 KiB for all headers.
    let head = value(&measured, "largest request head")?;
    check_within_a_tenth(head, 16_384.0)?;
    ensure!(head.contains("status 431"), "{head}");
    Ok(())
}

#[tokio::test]
async fn a_node_server_behind_a_load_balancer_is_the_keep_alive_race() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let Some(node) = Scripted::start(dir.path(), "node", NODE).await? else { return Ok(()) };
    let group = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/1";
    let balancer = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/alb/1";
    let dump = json!({
        "LoadBalancers": [{ "LoadBalancerArn": balancer, "LoadBalancerName": "alb", "Type": "application" }],
        "Listeners": [{
            "ListenerArn": format!("{}/1", balancer.replace("loadbalancer", "listener")),
            "LoadBalancerArn": balancer,
            "Port": 443,
            "Protocol": "HTTPS",
            "DefaultActions": [{ "Type": "forward", "TargetGroupArn": group }],
        }],
        "TargetGroups": [{
            "TargetGroupArn": group,
            "TargetGroupName": "web",
            "Protocol": "HTTP",
            "Port": node.addr.port(),
        }],
    });
    fs::write(dir.path().join("elbv2.json"), dump.to_string())?;
    let url = format!("web={}", http(node.addr));
    let args = ["elbv2.json", "--probe", &url, "--longest-wait", "9s"];
    let (found, status) = doctor(dir.path(), &args).await?;
    let findings = found["findings"].as_array().context("no findings")?;
    let race = findings.iter().find(|finding| finding["code"] == "keep-alive-race");
    let race = race.with_context(|| format!("no race in {found}"))?;
    assert_eq!(race["settings"][0]["measured_at"], http(node.addr), "{race}");
    // An error is the worst that was found.
    assert_eq!(status, Some(4), "{found}");
    Ok(())
}

#[tokio::test]
async fn a_python_server_keeps_connections_for_its_timeout() -> Result<()> {
    let script = "import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    timeout = 2
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', '2')
        self.end_headers()
        self.wfile.write(b'ok')
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
";
    let dir = tempfile::tempdir()?;
    let Some(python) = Scripted::start(dir.path(), "python3", script).await? else { return Ok(()) };
    let measured = measured(dir.path(), &http(python.addr), &["--longest-wait", "6s"]).await?;
    check_within_a_tenth(value(&measured, "keep-alive timeout")?, 2.0)?;
    // A line is limited to 64 KiB.
    check_within_a_tenth(value(&measured, "longest header line")?, 65_536.0)?;
    ensure!(value(&measured, "half-close after a request")?.contains("still answers (200)"));
    Ok(())
}

#[tokio::test]
async fn nginx_is_measured_with_its_timers_buffers_and_versions() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let ca = Ca::try_new()?;
    let certificate = ca.issue(dir.path(), "localhost", &["localhost"])?;
    let (plain, tls) = (HeldPort::try_new()?, HeldPort::try_new()?);
    let server = format!(
        "  keepalive_timeout 2s;\n  large_client_header_buffers 4 8k;\n  \
         server {{ listen {} reuseport; return 200 ok; }}\n  \
         server {{ listen {} reuseport ssl; ssl_certificate {}; ssl_certificate_key {};\n    \
         ssl_protocols TLSv1 TLSv1.2; ssl_ciphers DEFAULT:@SECLEVEL=0; return 200 ok; }}\n",
        plain.addr(),
        tls.addr(),
        certificate.certificate.display(),
        certificate.private_key.display(),
    );
    let Some(_nginx) = Peer::nginx(dir.path(), &server, "").await? else { return Ok(()) };
    let found = measured(dir.path(), &http(plain.addr()), &["--longest-wait", "6s"]).await?;
    check_within_a_tenth(value(&found, "keep-alive timeout")?, 2.0)?;
    let line = value(&found, "longest header line")?;
    check_within_a_tenth(line, 8192.0)?;
    ensure!(line.contains("status 400"), "{line}");
    ensure!(value(&found, "longest request line")?.contains("status 414"));
    let url = format!("https://localhost:{}/", tls.port());
    let found = measured(dir.path(), &url, &["--longest-wait", "1s", "--insecure"]).await?;
    assert_eq!(value(&found, "TLS versions")?, "1.0, 1.2");
    Ok(())
}

#[tokio::test]
async fn the_backend_is_measured_with_its_timers() -> Result<()> {
    let backend = Backend::start_with("b", &["--keep-alive-timeout".as_ref(), "2s".as_ref()]).await?;
    let dir = tempfile::tempdir()?;
    let url = format!("http://{}/whoami", backend.addr());
    let found = measured(dir.path(), &url, &["--longest-wait", "6s"]).await?;
    check_within_a_tenth(value(&found, "keep-alive timeout")?, 2.0)?;
    // `server.max-http-request-header-size`, 8 KiB.
    check_within_a_tenth(value(&found, "largest request head")?, 8192.0)?;
    assert_eq!(value(&found, "stickiness holds")?, "no cookie is set");
    Ok(())
}

#[tokio::test]
async fn a_time_scale_is_multiplied_back() -> Result<()> {
    let args = ["--keep-alive-timeout", "60s", "--time-scale", "30"].map(AsRef::as_ref);
    let backend = Backend::start_with("b", &args).await?;
    let dir = tempfile::tempdir()?;
    let url = format!("http://{}/whoami", backend.addr());
    let found = measured(dir.path(), &url, &["--time-scale", "30"]).await?;
    let keep_alive = value(&found, "keep-alive timeout")?;
    check_within_a_tenth(keep_alive, 60.0)?;
    ensure!(keep_alive.contains("at time scale 30"), "{keep_alive}");
    Ok(())
}

#[tokio::test]
async fn a_load_balancer_is_measured_with_its_idle_timeout_and_limits() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?.with_attribute("idle_timeout.timeout_seconds", 2);
    let listener = config.listeners[0].addr();
    let albeit = Albeit::start(config).await?;
    let dir = albeit.config.dir();
    let found = measured(dir, &http(listener), &["--longest-wait", "6s"]).await?;
    check_within_a_tenth(value(&found, "keep-alive timeout")?, 2.0)?;
    check_within_a_tenth(value(&found, "longest request line")?, 16_384.0)?;
    check_within_a_tenth(value(&found, "longest header line")?, 16_384.0)?;
    check_within_a_tenth(value(&found, "largest request head")?, 65_536.0)?;
    Ok(())
}

#[tokio::test]
async fn a_websocket_is_cut_at_the_idle_timeout_and_pings_keep_it_open() -> Result<()> {
    let backend = Backend::start("b").await?;
    let config = Config::forwarding_to(&[backend.addr()])?.with_attribute("idle_timeout.timeout_seconds", 2);
    let url = format!("ws://{}/echo", config.listeners[0].addr());
    let albeit = Albeit::start(config).await?;
    let found = measured(albeit.config.dir(), &url, &["--longest-wait", "6s"]).await?;
    let silent = value(&found, "WebSocket without traffic")?;
    check_within_a_tenth(silent, 2.0)?;
    // Without a close frame, as ELB does.
    ensure!(silent.contains("then FIN") || silent.contains("then RST"), "{silent}");
    let pinged = value(&found, "WebSocket with pings")?;
    ensure!(pinged.starts_with("at least") && pinged.contains("kept open"), "{pinged}");
    Ok(())
}

#[tokio::test]
async fn stickiness_cookies_are_told_with_what_they_cost_and_whether_they_hold() -> Result<()> {
    let (one, two) = (Backend::start("one").await?, Backend::start("two").await?);
    let config = Config::forwarding_to(&[one.addr(), two.addr()])?;
    let config = config.map_group(albeit_e2e::Group::with_lb_cookie);
    let url = format!("http://{}/whoami", config.listeners[0].addr());
    let albeit = Albeit::start(config).await?;
    let found = measured(albeit.config.dir(), &url, &["--longest-wait", "1s"]).await?;
    let cookie = value(&found, "cookie")?;
    // ELB's cookies live for 7 days, whatever the duration of the stickiness.
    // A second more or less: the target's clock gives the answer's date, and both are whole seconds.
    let lives = [604_799, 604_800, 604_801].map(|seconds| format!("AWSALB ({seconds} s, not Secure, "));
    ensure!(lives.iter().any(|begin| cookie.starts_with(begin)), "{cookie}");
    assert_eq!(value(&found, "stickiness holds")?, "yes: always the same of 2 targets");
    ensure!(number(value(&found, "cookies cost")?)? > 100.0);
    Ok(())
}

#[tokio::test]
async fn tls_is_told_with_versions_protocols_and_the_certificates_end() -> Result<()> {
    let target = Target::saying("ok")?;
    let ca = Ca::try_new()?;
    let config = Config::forwarding_to(&[target.addr()])?.with_https(&ca)?;
    let port = config.listeners[1].addr().port();
    let albeit = Albeit::start(config).await?;
    let dir = albeit.config.dir();
    fs::write(dir.join("ca.pem"), ca.pem())?;
    let url = format!("https://localhost:{port}/");
    let found = measured(dir, &url, &["--longest-wait", "1s", "--ca", "ca.pem"]).await?;
    assert_eq!(value(&found, "TLS versions")?, "1.2, 1.3", "{SECURITY_POLICY}");
    let refused = value(&found, "TLS versions refused")?;
    assert_eq!(refused, "1.0 (alert protocol_version), 1.1 (alert protocol_version)");
    assert_eq!(value(&found, "application protocols (ALPN)")?, "h2, http/1.1");
    ensure!(value(&found, "certificate")?.starts_with("for localhost, until "));
    ensure!(value(&found, "certificate not trusted").is_err(), "{found}");
    // Without the authority, all that needs a handshake says so.
    let found = measured(dir, &url, &["--longest-wait", "1s"]).await?;
    ensure!(value(&found, "certificate not trusted")?.contains("UnknownIssuer"), "{found}");
    ensure!(value(&found, "keep-alive timeout")?.starts_with("not measured: TLS handshake"), "{found}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_reached_is_said_and_ends_with_1() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let closed = HeldPort::try_new()?;
    let url = http(closed.addr());
    let output = process::run(&albeit::binary()?, ["doctor", "--probe", &url], dir.path()).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(said.contains("cannot connect"), "{said}");
    assert_eq!(output.status.code(), Some(1));
    Ok(())
}
