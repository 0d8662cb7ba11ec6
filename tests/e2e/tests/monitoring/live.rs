//! Rules and dashboards against a real balancer and a real backend: what they ask for is there.

use std::{collections::BTreeSet, fs, time::Duration};

use albeit_e2e::{
    Albeit, Backend, Ca, Client, Config, Group, Listener, LoadBalancer,
    ca::ALL_VERSIONS,
    eventually, forward,
    prometheus::{Prometheus, Promtool},
    websocket::WebSocket,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{
    all_rules,
    dashboards::queries,
    files,
    promql::{Expression, Matcher, Selector},
    repository, text, yaml,
};

/// Deadline for what takes Prometheus several scrapes, on a busy machine.
const A_WHILE: Duration = Duration::from_secs(60);

/// Metrics that Prometheus makes by itself.
const OF_PROMETHEUS: [&str; 2] = ["up", "ALERTS"];

/// Labels that the scrape adds.
const OF_THE_SCRAPE: [&str; 2] = ["job", "instance"];

/// Load balancers of both types in front of a backend, with a certificate, a fault that hardly shows, and an
/// admin action.
struct Site {
    albeit: Albeit,
    backend: Backend,
}

impl Site {
    async fn start() -> Result<Self> {
        let (backend, ca) = (Backend::start("b1").await?, Ca::try_new()?);
        let web = Group::new("web", &[backend.addr()])
            .with_attribute("albeit.fault.delay.percent", 1)
            .with_attribute("albeit.fault.delay.milliseconds", 1)
            .with_health("interval", "5s")
            .with_health("timeout", "4s")
            .with_health("unhealthy_threshold", 3);
        let network = LoadBalancer::new("e2e-nlb", "network", vec![Listener::tcp(forward("flows"))?]);
        let config = Config::try_new()?
            .with_group(web)
            .with_group(Group::tcp("flows", &[backend.addr()]))
            .with_listener(Listener::http(forward("web"))?)
            .with_load_balancer(network)
            .with_https(&ca)?;
        let albeit = Albeit::start(config).await?;
        let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
        let mut secure = Client::connect_tls(albeit.listener(1)?, "localhost", tls).await?;
        for path in ["/whoami", "/nothing", "/actuator/health"] {
            albeit.get(path).await?;
            secure.get(path).await?;
        }
        let mut socket = WebSocket::open(albeit.client().await?, "/echo", &[]).await?;
        socket.echo(b"hello".to_vec()).await?;
        albeit.act("POST", "/reload", &json!({})).await?;
        Ok(Self { albeit, backend })
    }

    /// What both say, by their jobs.
    async fn expositions(&self) -> Result<[(&'static str, String); 2]> {
        let backend = Client::connect(self.backend.addr()).await?.get("/actuator/prometheus").await?;
        ensure!(backend.status == 200, "{}", backend.status);
        let balancer = self.albeit.admin("/metrics").await?;
        for response in [&backend, &balancer] {
            let kind = response.header("content-type")?;
            ensure!(kind.starts_with("text/plain; version=0.0.4"), "Prometheus 3 wants to know: {kind}");
        }
        Ok([("balancer", balancer.text()), ("backend", backend.text())])
    }
}

/// Every series of both, as Prometheus would keep it.
fn samples(expositions: &[(&str, String)]) -> Result<Vec<Selector>> {
    let mut samples = Vec::new();
    for (job, exposition) in expositions {
        for line in exposition.lines() {
            if let Some(mut sample) = Selector::of_sample(line)? {
                for (label, value) in [("job", *job), ("instance", "here:1")] {
                    let (label, value) = (label.to_owned(), value.to_owned());
                    sample.matchers.push(Matcher { label, operator: "=".to_owned(), value });
                }
                samples.push(sample);
            }
        }
    }
    Ok(samples)
}

/// What keeps an expression from showing anything: a name, label or value that no sample has.
fn complaint(
    expression: &str,
    legend: &[String],
    samples: &[Selector],
    recorded: &BTreeSet<String>,
) -> Result<()> {
    let expression = Expression::parse(expression)?;
    let mut labels: BTreeSet<&str> = OF_THE_SCRAPE.into();
    let mut is_open = false;
    for selector in &expression.selectors {
        if OF_PROMETHEUS.contains(&selector.name.as_str()) || recorded.contains(&selector.name) {
            is_open = true;
            continue;
        }
        let of_name = || samples.iter().filter(|sample| sample.name == selector.name);
        labels.extend(of_name().flat_map(|sample| &sample.matchers).map(|matcher| matcher.label.as_str()));
        for matcher in &selector.matchers {
            let has = |sample: &Selector| sample.matchers.iter().any(|it| it.label == matcher.label);
            ensure!(of_name().any(has), "{} has no label {}", selector.name, matcher.label);
        }
        let mut found = false;
        for sample in of_name() {
            found |= selector.selects(sample)?;
        }
        ensure!(found, "nothing is {selector:?}");
    }
    for label in expression.grouping.iter().chain(legend) {
        // What a recorded series is grouped by is its own rule's matter.
        ensure!(is_open || labels.contains(label.as_str()), "no label {label}");
    }
    Ok(())
}

#[tokio::test]
async fn rules_and_dashboards_ask_for_metrics_that_there_are() -> Result<()> {
    let site = Site::start().await?;
    let samples = samples(&site.expositions().await?)?;
    let rules = all_rules()?;
    let recorded: BTreeSet<String> = rules
        .iter()
        .map(|(_, rule)| text(rule, "record").to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    for (_, rule) in &rules {
        let name = [text(rule, "alert"), text(rule, "record")].concat();
        complaint(text(rule, "expr"), &[], &samples, &recorded).context(name)?;
    }
    for query in queries()? {
        complaint(&query.expression, &query.legend, &samples, &recorded).context(query.place)?;
    }
    // What is misspelt is found.
    let misspelt =
        |expression: &str| complaint(expression, &[], &samples, &recorded).unwrap_err().to_string();
    assert!(misspelt("rate(albeit_requests_total[5m])").starts_with("nothing is"));
    assert!(misspelt("albeit_request_count_total{lb=\".*\"}").ends_with("has no label lb"));
    assert!(misspelt("albeit_elb_errors_total{cause=\"race\"}").starts_with("nothing is"));
    assert!(misspelt("sum by (zone) (albeit_open_websockets)").starts_with("no label"));
    Ok(())
}

#[tokio::test]
async fn promtool_accepts_what_both_expose() -> Result<()> {
    let Some(tool) = Promtool::find() else { return Ok(()) };
    let site = Site::start().await?;
    for (job, exposition) in site.expositions().await? {
        let output =
            tool.run_on(&repository("conf"), &["check".as_ref(), "metrics".as_ref()], &exposition).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // CloudWatch's names end so: RequestCount, HealthyHostCount.
        let is_name_of_cloudwatch = |line: &str| line.ends_with("should not have \"_count\" suffix");
        let complaints: Vec<&str> = said.lines().filter(|line| !is_name_of_cloudwatch(line)).collect();
        ensure!(complaints.is_empty(), "{job}: {complaints:#?}");
    }
    let broken =
        tool.run_on(&repository("conf"), &["check".as_ref(), "metrics".as_ref()], "a b c d\n").await?;
    ensure!(!broken.status.success(), "promtool takes anything");
    Ok(())
}

/// `conf/prometheus` in a directory of the test's: other addresses, and seconds for minutes in the alarm that
/// the test waits for.
fn in_seconds(site: &Site) -> Result<String> {
    let dir = site.albeit.config.dir().join("rules");
    fs::create_dir(&dir)?;
    for file in files("conf/prometheus/rules", "yml")? {
        let mut rules = fs::read_to_string(&file)?;
        if file.ends_with("cloudwatch.yml") {
            for (from, to) in [
                ("interval: 1m", "interval: 1s"),
                ("albeit_unhealthy_host_count[1m]", "albeit_unhealthy_host_count[2s]"),
                ("for: 1m", "for: 3s"),
            ] {
                ensure!(rules.contains(from), "no {from} in {}", file.display());
                rules = rules.replace(from, to);
            }
        }
        fs::write(dir.join(file.file_name().context("no name")?), rules)?;
    }
    let mut configuration = yaml(&repository("conf/prometheus/prometheus.yml"))?;
    configuration["global"] =
        serde_yaml::from_str("{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 1s }")?;
    let jobs = configuration["scrape_configs"].as_sequence_mut().context("no jobs")?;
    jobs.retain(|job| text(job, "job_name") != "prometheus");
    for job in jobs {
        let addr = match text(job, "job_name") {
            "balancer" => site.albeit.config.admin.addr(),
            _ => site.backend.addr(),
        };
        if let Some(job) = job.as_mapping_mut() {
            job.remove("dns_sd_configs");
            let targets = serde_yaml::from_str(&format!("[{{ targets: [\"{addr}\"] }}]"))?;
            job.insert("static_configs".into(), targets);
        }
    }
    Ok(serde_yaml::to_string(&configuration)?)
}

#[tokio::test]
async fn prometheus_sees_both_and_alarms_when_a_backend_dies() -> Result<()> {
    let mut site = Site::start().await?;
    let configuration = in_seconds(&site)?;
    let Some(prometheus) = Prometheus::start(site.albeit.config.dir(), &configuration).await? else {
        return Ok(());
    };
    let rules = prometheus.data("/api/v1/rules").await?.to_string();
    for (_, rule) in all_rules()? {
        let name = [text(&rule, "alert"), text(&rule, "record")].concat();
        ensure!(rules.contains(&format!("\"name\":\"{name}\"")), "{name} is not loaded");
    }
    eventually(A_WHILE, "both are up", || async {
        let up = prometheus.data("/api/v1/query?query=sum(up)by(job)").await?;
        let values = up["result"].as_array().context("no result")?.iter().map(|it| &it["value"][1]);
        ensure!(values.eq(["1", "1"]), "{up}");
        Ok(())
    })
    .await?;
    let state = async |alert: &str| -> Result<String> {
        let alerts = prometheus.data("/api/v1/alerts").await?;
        let found = alerts["alerts"]
            .as_array()
            .context("no alerts")?
            .iter()
            .find(|it| it["labels"]["alertname"] == alert);
        Ok(found.map_or_else(String::new, |it| it["state"].as_str().unwrap_or_default().to_owned()))
    };
    ensure!(state("UnHealthyHostCount").await?.is_empty(), "an alarm before anything is wrong");
    site.backend.process.kill().await?;
    eventually(A_WHILE, "the alarm", || async {
        let state = state("UnHealthyHostCount").await?;
        ensure!(state == "firing", "UnHealthyHostCount is {state:?}");
        Ok(())
    })
    .await?;
    ensure!(["pending", "firing"].contains(&state("BackendDown").await?.as_str()), "the backend is down");
    let alerts = prometheus.data("/api/v1/alerts").await?.to_string();
    ensure!(alerts.contains("targetgroup/web/"), "the alert names the target group: {alerts}");
    Ok(())
}
