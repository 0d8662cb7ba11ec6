//! What the guides put into production: manifests of Kubernetes, task definitions of ECS, and the
//! hook that renews certificates. Their promises are checked against each other.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use albeit_e2e::{Albeit, Ca, Client, Config, Group, Target, ca::ALL_VERSIONS, eventually, within};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

const SOON: Duration = Duration::from_secs(20);

fn conf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf")
}

/// The documents of a YAML file below `conf/`.
fn yaml(file: &str) -> Result<Vec<Value>> {
    use serde::Deserialize as _;
    let text = fs::read_to_string(conf().join(file)).with_context(|| file.to_owned())?;
    let documents = serde_yaml::Deserializer::from_str(&text);
    documents.map(|document| Ok(Value::deserialize(document)?)).collect()
}

/// The object of this kind and name among all manifests.
fn manifest(kind: &str, name: &str) -> Result<Value> {
    let kustomization = yaml("kubernetes/kustomization.yaml")?;
    for file in kustomization[0]["resources"].as_array().context("resources")? {
        let file = file.as_str().context("a resource is a file")?;
        for object in yaml(&format!("kubernetes/{file}"))? {
            if object["kind"] == kind && object["metadata"]["name"] == name {
                return Ok(object);
            }
        }
    }
    anyhow::bail!("no {kind} {name}")
}

/// `300s` after `flag` among arguments.
fn seconds_after(arguments: &Value, flag: &str) -> Result<u64> {
    let arguments: Vec<&str> =
        arguments.as_array().context("arguments")?.iter().filter_map(Value::as_str).collect();
    let value = arguments.iter().enumerate().find_map(|(index, argument)| {
        let same = argument.strip_prefix(flag).and_then(|rest| rest.strip_prefix('='));
        same.or_else(|| (*argument == flag).then(|| arguments.get(index + 1).copied())?)
    });
    let value = value.with_context(|| format!("no {flag} in {arguments:?}"))?;
    Ok(value.strip_suffix('s').context("seconds")?.parse()?)
}

/// What every pod keeps to, so that the namespace's `restricted` admits it.
fn check_pod(deployment: &Value, reserve: u64) -> Result<()> {
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["capabilities"]["drop"][0], "ALL");
    assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
    let grace = pod["terminationGracePeriodSeconds"].as_u64().context("grace")?;
    let sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().context("preStop")?;
    let drain = seconds_after(&container["args"], "--drain")?;
    assert!(sleep + drain + reserve <= grace, "{sleep} + {drain} + {reserve} s are more than {grace} s");
    Ok(())
}

#[test]
fn pods_have_the_time_and_no_more_rights_than_they_need() -> Result<()> {
    check_pod(&manifest("Deployment", "albeit")?, 9)?;
    check_pod(&manifest("Deployment", "backend")?, 9)?;
    assert_eq!(
        manifest("Namespace", "albeit")?["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
        "restricted"
    );
    Ok(())
}

#[test]
fn ports_and_files_of_the_manifests_are_those_of_the_configuration() -> Result<()> {
    let balancer = yaml("kubernetes/alb.yaml")?.remove(0);
    let listeners = balancer["load_balancers"][0]["listeners"].as_array().context("listeners")?;
    let mut listened: Vec<&Value> = listeners.iter().map(|listener| &listener["port"]).collect();
    let admin =
        balancer["admin"]["bind"].as_str().and_then(|bind| bind.rsplit(':').next()).context("admin.bind")?;
    let admin: Value = admin.parse::<u64>()?.into();
    listened.push(&admin);
    let deployment = manifest("Deployment", "albeit")?;
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let ports = container["ports"].as_array().context("ports")?;
    assert_eq!(ports.iter().map(|port| &port["containerPort"]).collect::<Vec<_>>(), listened);
    let mounts: Vec<&str> = container["volumeMounts"]
        .as_array()
        .context("mounts")?
        .iter()
        .filter_map(|it| it["mountPath"].as_str())
        .collect();
    let text = fs::read_to_string(conf().join("kubernetes/alb.yaml"))?;
    for file in
        text.split(":-").skip(1).filter_map(|rest| rest.split('}').next()).filter(|it| it.starts_with('/'))
    {
        assert!(mounts.iter().any(|mount| file.starts_with(mount)), "{file} is mounted nowhere");
    }
    for listener in listeners {
        assert_eq!(
            listener["attributes"]["albeit.proxy_protocol"], "required",
            "the NLB always sends a header"
        );
    }
    // What the balancer looks up is the headless Service.
    let service = manifest("Service", "backend")?;
    assert_eq!(service["spec"]["clusterIP"], "None");
    assert_eq!(service["spec"]["ports"][0]["port"], balancer["target_groups"][0]["port"]);
    let target = balancer["target_groups"][0]["targets"][0]["id"].as_str().context("target")?;
    assert!(target.contains("backend.albeit.svc.cluster.local"), "{target}");
    Ok(())
}

#[test]
fn autoscaling_follows_connections() -> Result<()> {
    let backend = manifest("HorizontalPodAutoscaler", "backend")?;
    let spec = &backend["spec"];
    assert_eq!((&spec["minReplicas"], &spec["maxReplicas"]), (&2.into(), &20.into()));
    assert_eq!(spec["metrics"][0]["pods"]["metric"]["name"], "websocket_connections_active");
    assert_eq!(spec["metrics"][0]["pods"]["target"]["averageValue"], "5000");
    assert_eq!(spec["behavior"]["scaleDown"]["tolerance"], "300m", "3500 of 5000");
    assert_eq!(spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"], 300);
    assert_eq!(spec["behavior"]["scaleUp"]["stabilizationWindowSeconds"], 60);
    let terraform = fs::read_to_string(conf().join("ecs/autoscaling.tf"))?;
    let terraform: BTreeMap<&str, &str> = terraform
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect();
    let expected = [
        ("target_value", "5000"),
        ("scale_out_cooldown", "60"),
        ("scale_in_cooldown", "300"),
        ("min_capacity", "2"),
        ("max_capacity", "20"),
        ("metric_name", "\"websocket_connections_active\""),
    ];
    for (key, value) in expected {
        assert_eq!(terraform.get(key), Some(&value), "{key}");
    }
    Ok(())
}

/// A task definition; `${…}` stays, as Terraform and envsubst find it.
fn task(name: &str) -> Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(conf().join(format!("ecs/{name}-task.json")))?)?)
}

#[test]
fn tasks_have_the_time_the_descriptors_and_the_checks() -> Result<()> {
    for name in ["albeit", "backend"] {
        let task = task(name)?;
        let container = &task["containerDefinitions"][0];
        assert_eq!((&task["cpu"], &task["memory"]), (&"1024".into(), &"2048".into()), "{name}");
        assert_eq!(container["ulimits"][0]["softLimit"], 65536, "{name}");
        let check = &container["healthCheck"];
        assert_eq!(
            (&check["interval"], &check["timeout"], &check["retries"]),
            (&15.into(), &5.into(), &3.into())
        );
        assert_eq!(container["readonlyRootFilesystem"], true);
        assert_eq!(container["linuxParameters"]["capabilities"]["drop"][0], "ALL");
        assert_eq!(container["user"], "10001:10001");
    }
    let backend = task("backend")?;
    let backend = &backend["containerDefinitions"][0];
    assert_eq!((&backend["stopTimeout"], &backend["healthCheck"]["startPeriod"]), (&60.into(), &60.into()));
    let secrets = backend["secrets"].as_array().context("secrets")?;
    let secrets: Vec<_> = secrets.iter().map(|secret| &secret["name"]).collect();
    assert_eq!(secrets, ["DB_USERNAME", "DB_PASSWORD", "REDIS_HOST", "JWT_SECRET"]);
    // The balancer's arguments stand in the image.
    let dockerfile = fs::read_to_string(conf().join("ecs/Dockerfile"))?;
    let command = dockerfile.lines().find_map(|line| line.strip_prefix("CMD ")).context("CMD")?;
    let drain = seconds_after(&serde_json::from_str(command)?, "--drain")?;
    let albeit = task("albeit")?;
    let stop = albeit["containerDefinitions"][0]["stopTimeout"].as_u64().context("stopTimeout")?;
    assert!(stop <= 120, "Fargate's most");
    assert!(drain + 9 <= stop, "{drain} + 9 s are more than {stop} s");
    Ok(())
}

/// The secrets that the balancer's task is given, as variables.
fn secrets() -> Result<Vec<String>> {
    let task = task("albeit")?;
    let secrets = task["containerDefinitions"][0]["secrets"].as_array().context("secrets")?.clone();
    Ok(secrets.iter().filter_map(|secret| Some(secret["name"].as_str()?.to_owned())).collect())
}

#[tokio::test]
async fn secrets_of_a_task_become_files_and_are_forgotten() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut start = Command::new(conf().join("ecs/start"));
    start.env_clear().env("PATH", "/usr/bin:/bin").env("ALBEIT_SECRETS", dir.path()).arg("env");
    for secret in secrets()? {
        start.env(&secret, format!("-----BEGIN {secret}-----\nx"));
    }
    let output = within(SOON, "start", start.output()).await??;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let left = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!left.contains("BEGIN"), "the program sees a secret: {left}");
    let configuration = fs::read_to_string(conf().join("ecs/alb.yaml"))?;
    let mut files = 0;
    for line in configuration.lines() {
        let Some((_, file)) = line.split_once("${ALBEIT_SECRETS:-/run/albeit}/") else { continue };
        let file = dir.path().join(file);
        assert!(fs::read_to_string(&file)?.starts_with("-----BEGIN "), "{}", file.display());
        assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
        files += 1;
    }
    assert_eq!(files, secrets()?.len());
    Ok(())
}

#[tokio::test]
async fn a_task_without_a_secret_does_not_start() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut start = Command::new(conf().join("ecs/start"));
    start
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("ALBEIT_SECRETS", dir.path())
        .args(["echo", "started"]);
    start.env("TLS_CERTIFICATE", "x");
    let output = within(SOON, "start", start.output()).await??;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "start: the secret for site-key.pem is empty\n");
    assert!(output.stdout.is_empty());
    Ok(())
}

/// Runs the hook as certbot does.
async fn renew(lineage: &Path, tls: &Path) -> Result<std::process::Output> {
    let group = Command::new("id").arg("-gn").output().await?;
    let mut hook = Command::new(conf().join("certbot/deploy-hook"));
    hook.env("RENEWED_LINEAGE", lineage).env("ALBEIT_TLS_DIR", tls);
    hook.env("ALBEIT_TLS_GROUP", String::from_utf8(group.stdout)?.trim());
    Ok(within(SOON, "the hook", hook.output()).await??)
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_without_a_signal() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::saying("ok")?;
    let config = Config::try_new()?.with_group(Group::new("web", &[target.addr()]));
    let tls = config.dir().to_owned();
    let config = config.with_https(&ca)?;
    let albeit = Albeit::start(config).await?;
    let shown = async || -> Result<Vec<u8>> {
        let settings = ca.client(&["http/1.1"], ALL_VERSIONS)?;
        let client = Client::connect_tls(albeit.listener(0)?, "localhost", settings).await?;
        Ok(client.tls.map(|tls| tls.leaf).unwrap_or_default())
    };
    let old = shown().await?;
    let live = tempfile::tempdir()?;
    let lineage = live.path().join("localhost");
    fs::create_dir(&lineage)?;
    let renewed = ca.issue(live.path(), "localhost", &["localhost"])?;
    fs::rename(&renewed.certificate, lineage.join("fullchain.pem"))?;
    fs::rename(&renewed.private_key, lineage.join("privkey.pem"))?;
    let output = renew(&lineage, &tls).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    eventually(SOON, "the renewed certificate", || async {
        ensure!(shown().await? != old, "still the old one");
        Ok(())
    })
    .await?;
    let mode =
        |file: &str| Ok::<_, anyhow::Error>(fs::metadata(tls.join(file))?.permissions().mode() & 0o777);
    assert_eq!((mode("localhost.pem")?, mode("localhost-key.pem")?), (0o644, 0o640));
    let left = fs::read_dir(&tls)?
        .filter_map(Result::ok)
        .filter(|it| it.file_name().to_string_lossy().starts_with(".new"));
    assert_eq!(left.count(), 0, "nothing is left behind");
    Ok(())
}

#[tokio::test]
async fn a_hook_that_fails_leaves_the_old_pair() -> Result<()> {
    let (live, tls) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let ca = Ca::try_new()?;
    let old = ca.issue(tls.path(), "localhost", &["localhost"])?;
    let before = fs::read(&old.private_key)?;
    let lineage = live.path().join("localhost");
    fs::create_dir(&lineage)?;
    let output = renew(&lineage, tls.path()).await?;
    assert!(!output.status.success());
    assert_eq!(fs::read(&old.private_key)?, before);
    assert_eq!(fs::read_dir(tls.path())?.count(), 2, "nothing is left behind");
    Ok(())
}
