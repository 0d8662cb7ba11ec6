//! The command line: `check`, `certs`, and what is said when `run` cannot start.

use std::{fs, net::TcpListener, path::Path, process::Output};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Listener, Target,
    albeit::binary,
    ca::{ALL_VERSIONS, trusting},
    eventually, process,
    wait::SOON,
};
use anyhow::{Context as _, Result};
use serde_json::json;

async fn run(dir: &Path, args: &[&str]) -> Result<Output> {
    process::run(&binary()?, args, dir).await
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn check(yaml: &str) -> Result<Output> {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("albeit.yaml"), yaml)?;
    run(dir.path(), &["check", "-c", "albeit.yaml"]).await
}

#[tokio::test]
async fn check_tells_what_will_listen_where() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?.with_https(&ca)?;
    config.write()?;
    let output = run(config.dir(), &["check", "-c", "albeit.yaml"]).await?;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let summary = stdout(&output);
    for listener in &config.listeners {
        assert!(summary.contains(&listener.addr().to_string()), "{} in {summary}", listener.addr());
    }
    for expected in ["e2e-alb", "HTTPS", "localhost", "web", &target.addr().port().to_string()] {
        assert!(summary.contains(expected), "{expected} in {summary}");
    }
    Ok(())
}

#[tokio::test]
async fn check_reports_all_mistakes_with_path_line_and_column() -> Result<()> {
    let output = check(
        "load_balancers:
  - name: bad_name!
    type: application
    attributes:
      idle_timeout.timeout_seconds: 5000
    listeners:
      - protocol: HTTP
        port: 8080
        colour: red
        default_actions:
          - forward: { target_group: web2 }
target_groups:
  - name: web
    protocol: HTTP
    port: 80
    targets: []
",
    )
    .await?;
    assert_eq!(output.status.code(), Some(2));
    let errors = stderr(&output);
    for (line, path) in [
        (2, "load_balancers[0].name"),
        (5, "load_balancers[0].attributes"),
        (9, "load_balancers[0].listeners[0]"),
        (11, "load_balancers[0].listeners[0].default_actions[0].forward.target_group"),
    ] {
        let place = format!("albeit.yaml:{line}:");
        let found = errors.lines().any(|error| error.contains(&place) && error.contains(path));
        assert!(found, "no {place} {path} in\n{errors}");
    }
    assert!(errors.contains("web2") && errors.contains("have: web"), "{errors}");
    Ok(())
}

#[tokio::test]
async fn check_refuses_what_is_not_yaml_and_a_missing_file() -> Result<()> {
    let output = check("load_balancers: [").await?;
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("albeit.yaml"), "{}", stderr(&output));
    let dir = tempfile::tempdir()?;
    let output = run(dir.path(), &["check", "-c", "nowhere.yaml"]).await?;
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("nowhere.yaml"), "{}", stderr(&output));
    Ok(())
}

#[tokio::test]
async fn later_features_are_refused_not_ignored() -> Result<()> {
    let config = Config::try_new()?
        .with_listener(Listener::http(json!({ "fixed_response": { "status_code": "200" } }))?);
    config.write()?;
    let gateway = fs::read_to_string(config.file())?.replace("\"application\"", "\"gateway\"");
    fs::write(config.file(), gateway)?;
    let output = run(config.dir(), &["check", "-c", "albeit.yaml"]).await?;
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("not supported yet"), "{}", stderr(&output));
    Ok(())
}

/// `run` must end by itself, without opening a socket; its message.
async fn refuses_to_run(config: &Config) -> Result<String> {
    config.write()?;
    let output = run(config.dir(), &["run", "-c", "albeit.yaml"]).await?;
    assert!(!output.status.success(), "{}", stderr(&output));
    for listener in &config.listeners {
        assert!(Client::connect(listener.addr()).await.is_err());
    }
    Ok(stderr(&output))
}

#[tokio::test]
async fn a_missing_certificate_and_a_key_that_does_not_fit_are_named() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::saying("ok")?;
    let good = Config::forwarding_to(&[target.addr()])?.with_https(&ca)?;

    let mut missing = good.clone();
    missing.certificates[0].certificate = good.dir().join("nowhere.pem");
    let message = refuses_to_run(&missing).await?;
    assert!(message.contains("nowhere.pem"), "{message}");

    let mut unfit = good.clone();
    unfit.certificates[0].private_key = ca.issue(good.dir(), "other", &["other.test"])?.private_key;
    let message = refuses_to_run(&unfit).await?;
    assert!(message.contains("localhost") && message.contains("key"), "{message}");

    let mut garbage = good;
    garbage.certificates[0].certificate = garbage.dir().join("garbage.pem");
    fs::write(&garbage.certificates[0].certificate, "not a certificate")?;
    let message = refuses_to_run(&garbage).await?;
    assert!(message.contains("garbage.pem") || message.contains("localhost"), "{message}");
    Ok(())
}

#[tokio::test]
async fn mistakes_in_named_files_are_shown_at_once_with_their_settings() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::saying("ok")?;
    let mut config = Config::forwarding_to(&[target.addr()])?.with_https(&ca)?;
    let mut garbage = ca.issue(config.dir(), "second", &["second.test"])?;
    config.certificates[0].private_key = ca.issue(config.dir(), "other", &["other.test"])?.private_key;
    garbage.certificate = config.dir().join("garbage.pem");
    fs::write(&garbage.certificate, "not a certificate")?;
    let config = config.with_certificate(garbage);
    let message = refuses_to_run(&config).await?;
    let line = |setting: &str| {
        let found = message.lines().find(|line| line.contains(&format!(": {setting}: ")));
        found.map(str::to_owned).with_context(|| format!("no {setting} in {message}"))
    };
    for setting in ["certificates[0].private_key", "certificates[1].certificate"] {
        let line = line(setting)?;
        let place = line.split(": ").next().unwrap_or_default();
        let numbers = place.rsplit(':').take(2).filter(|number| number.parse::<u32>().is_ok()).count();
        assert_eq!(numbers, 2, "a line and a column before {setting}: {line}");
    }
    Ok(())
}

#[tokio::test]
async fn a_taken_port_is_named_with_the_setting_to_change() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let config = Config::try_new()?.with_listener(
        Listener::http(json!({ "fixed_response": { "status_code": "200" } }))?.with("port", port),
    );
    config.write()?;
    let output = run(config.dir(), &["run", "-c", "albeit.yaml"]).await?;
    assert!(!output.status.success());
    let message = stderr(&output);
    assert!(message.contains(&port.to_string()), "{message}");
    assert!(message.contains("load_balancers[0].listeners[0].port"), "{message}");
    Ok(())
}

#[tokio::test]
async fn check_reports_every_file_that_cannot_be_used_at_its_setting() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let ca = Ca::try_new()?;
    for name in ["one", "two"] {
        ca.issue(dir.path(), name, &["localhost"])?;
    }
    for (file, text) in [
        ("garbage.pem", "no PEM at all"),
        ("short.key", "abc"),
        (
            "albeit.yaml",
            "certificates:
  - name: unfit
    certificate: one.pem
    private_key: two-key.pem
  - name: garbage
    certificate: garbage.pem
    private_key: one-key.pem
stickiness_keys:
  - file: short.key
load_balancers:
  - name: web
    type: application
    listeners:
      - protocol: HTTPS
        port: 8443
        certificates: [unfit, garbage]
        default_actions:
          - fixed_response: { status_code: 200 }
",
        ),
    ] {
        fs::write(dir.path().join(file), text)?;
    }
    let output = run(dir.path(), &["check", "-c", "albeit.yaml"]).await?;
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let errors = stderr(&output);
    let expected = [
        ("albeit.yaml:4:5: certificates[0].private_key: ", "two-key.pem"),
        ("albeit.yaml:6:5: certificates[1].certificate: ", "garbage.pem"),
        ("albeit.yaml:9:5: stickiness_keys[0].file: ", "short.key"),
    ];
    // The last line counts them.
    assert_eq!(errors.lines().count(), expected.len() + 1, "{errors}");
    assert!(errors.ends_with("3 errors in albeit.yaml\n"), "{errors}");
    for (line, (place, file)) in errors.lines().zip(expected) {
        assert!(line.starts_with(place) && line.contains(file), "no {place} with {file} in\n{errors}");
    }
    Ok(())
}

#[tokio::test]
async fn a_reload_with_a_taken_port_names_the_setting_and_changes_nothing() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?;
    let mut albeit = Albeit::start(config.clone()).await?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let more = Listener::http(albeit_e2e::forward("web"))?.with("port", port);
    albeit.reload(config.with_listener(more)).await?;
    let refusal = eventually(SOON, "refusal of the reload", || async {
        let said = albeit.process.stderr();
        let line = said.lines().find(|line| line.contains("reload refused")).map(str::to_owned);
        line.with_context(|| said.clone())
    })
    .await?;
    for expected in ["load_balancers[0].listeners[1].port", &format!("127.0.0.1:{port}")] {
        assert!(refusal.contains(expected), "{expected} in {refusal}");
    }
    assert_eq!(albeit.get("/").await?.text(), "ok");
    Ok(())
}

#[tokio::test]
async fn certs_makes_a_ca_and_a_leaf_for_localhost_and_never_overwrites() -> Result<()> {
    let mut config = Config::try_new()?;
    let dir = config.dir().join("made");
    let args = ["certs", "--dir", dir.to_str().context("UTF-8")?];
    let output = run(config.dir(), &args).await?;
    assert!(output.status.success(), "{}", stderr(&output));
    let files = ["ca.pem", "localhost.pem", "localhost-key.pem", "stickiness.key"];
    let read = || files.map(|name| fs::read_to_string(dir.join(name)).expect(name));
    let made = read();
    assert!(run(config.dir(), &args).await?.status.success());
    assert_eq!(read(), made);

    // They work: a client that trusts the CA is served as localhost and by address.
    let target = Target::saying("ok")?;
    config = config.with_group(albeit_e2e::Group::new("web", &[target.addr()]));
    let certificate = albeit_e2e::ca::Certificate {
        name: "localhost".to_owned(),
        certificate: dir.join("localhost.pem"),
        private_key: dir.join("localhost-key.pem"),
    };
    config.stickiness_keys = vec![dir.join("stickiness.key")];
    let listener = Listener::https(&["localhost"], albeit_e2e::forward("web"))?;
    let albeit = Albeit::start(config.with_certificate(certificate).with_listener(listener)).await?;
    for name in ["localhost", "127.0.0.1", "::1"] {
        let tls = trusting(&made[0], &["http/1.1"], ALL_VERSIONS)?;
        let mut client = Client::connect_tls(albeit.listener(0)?, name, tls).await?;
        assert_eq!(client.get("/").await?.status, 200, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn help_and_unknown_arguments() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let help = run(dir.path(), &["--help"]).await?;
    assert!(help.status.success());
    for command in ["run", "check", "certs", "dev"] {
        assert!(stdout(&help).contains(command), "{command}");
    }
    let unknown = run(dir.path(), &["run", "--no-such-flag"]).await?;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("--no-such-flag"));
    Ok(())
}
