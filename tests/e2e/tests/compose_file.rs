//! `docker-compose.yml`: what docs/docker.md promises of every service holds, and the files
//! that it mounts are there and load. Needs no Docker.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use albeit_e2e::{albeit, process};
use anyhow::{Context as _, Result, ensure};
use serde_yaml::{Mapping, Value};

/// What is over when it has run; everything else stays up.
const ONCE: [&str; 2] = ["load", "setup"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn yaml(file: &str) -> Value {
    let text = fs::read_to_string(repository().join(file)).unwrap();
    let mut value: Value = serde_yaml::from_str(&text).unwrap();
    // Twice: what is merged has merged something itself.
    value.apply_merge().unwrap();
    value.apply_merge().unwrap();
    value
}

fn section(name: &str) -> Mapping {
    yaml("docker-compose.yml").get(name).and_then(Value::as_mapping).unwrap().clone()
}

fn services() -> Vec<(String, Value)> {
    let services = section("services");
    assert!(services.len() >= 8, "{services:?}");
    services.into_iter().map(|(name, service)| (name.as_str().unwrap().to_owned(), service)).collect()
}

fn is_once(name: &str) -> bool {
    ONCE.contains(&name)
}

/// The items of a list, as they are written.
fn items(service: &Value, key: &str) -> Vec<String> {
    let list = service.get(key).and_then(Value::as_sequence).cloned().unwrap_or_default();
    list.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn text<'a>(value: &'a Value, keys: &[&str]) -> &'a str {
    keys.iter().try_fold(value, |value, key| value.get(*key)).and_then(Value::as_str).unwrap_or_default()
}

fn seconds(text: &str) -> u64 {
    text.strip_suffix('s').and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text:?}"))
}

/// Mounts of a service: where from, where to, whether read only.
fn mounts(service: &Value) -> Vec<(String, String, bool)> {
    let parts = |mount: String| {
        let parts: Vec<_> = mount.split(':').map(str::to_owned).collect();
        (parts[0].clone(), parts[1].clone(), parts.get(2).is_some_and(|mode| mode == "ro"))
    };
    items(service, "volumes").into_iter().map(parts).collect()
}

#[test]
fn every_service_runs_with_as_little_as_it_needs() {
    for (name, service) in services() {
        assert_eq!(service.get("read_only"), Some(&Value::Bool(true)), "{name}");
        assert_eq!(items(&service, "cap_drop"), ["ALL"], "{name}");
        assert_eq!(items(&service, "security_opt"), ["no-new-privileges:true"], "{name}");
        let ids: Vec<u32> = text(&service, &["user"]).split(':').map(|id| id.parse().unwrap()).collect();
        assert!(ids.len() == 2 && ids.iter().all(|id| *id > 0), "{name}: user {ids:?}");
        for given in ["cap_add", "privileged", "devices", "pid", "ipc", "userns_mode"] {
            assert_eq!(service.get(given), None, "{name}: {given}");
        }
        for limit in ["mem_limit", "pids_limit"] {
            assert!(service.get(limit).is_some(), "{name}: {limit}");
        }
        let log = |key: &str| text(&service, &["logging", "options", key]).to_owned();
        assert!(
            !log("max-size").is_empty() && !log("max-file").is_empty(),
            "{name}: its log does not rotate"
        );
    }
}

#[test]
fn what_stays_up_has_a_health_check_and_descriptors() {
    for (name, service) in services() {
        let check = service.get("healthcheck").unwrap_or_else(|| panic!("{name}: no health check"));
        if is_once(&name) {
            assert_eq!(
                (check.get("disable"), service.get("restart")),
                (Some(&Value::Bool(true)), None),
                "{name}"
            );
            continue;
        }
        assert_eq!(text(&service, &["restart"]), "unless-stopped", "{name}");
        for key in ["test", "interval", "timeout", "start_period", "retries"] {
            assert!(check.get(key).is_some(), "{name}: healthcheck.{key}");
        }
        let limit = |kind: &str| service.get("ulimits")?.get("nofile")?.get(kind)?.as_u64();
        assert!(limit("soft") >= Some(65536) && limit("soft") == limit("hard"), "{name}: ulimits.nofile");
    }
}

#[test]
fn nothing_is_killed_before_it_has_drained() {
    let grace = |wanted: &str| {
        let all = services();
        let (_, service) = all.iter().find(|(name, _)| name == wanted).unwrap();
        seconds(text(service, &["stop_grace_period"]))
    };
    for (name, _) in services().iter().filter(|(name, _)| name != "setup") {
        assert!(grace(name) >= 10, "{name}");
    }
    let backend = seconds(text(&yaml("conf/compose/backend.yaml"), &["drain"]));
    assert!(grace("backend") >= backend + 5, "backend");
    // The balancer's default, and what cutting and logging may take.
    assert!(grace("proxy") >= 30 + 9 + 5, "proxy");
}

#[test]
fn images_are_of_one_version() {
    let is_pinned = |image: &str| {
        let tag = image.split_once(':').map_or("", |(_, tag)| tag).trim_start_matches('v');
        let version = tag.split('-').next().unwrap();
        version.split('.').count() >= 2 && version.split('.').all(|part| part.parse::<u32>().is_ok())
    };
    for (name, service) in services() {
        let image = text(&service, &["image"]);
        // Ours has the version of the sources that it is built from.
        assert!(
            is_pinned(image) || (image == "albeit" && text(&service, &["build"]) == "."),
            "{name}: {image}"
        );
    }
    let dockerfile = fs::read_to_string(repository().join("Dockerfile")).unwrap();
    let bases: Vec<_> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("FROM "))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert!(bases.len() == 2 && bases.iter().all(|base| is_pinned(base)), "{bases:?}");
}

#[test]
fn ports_are_published_on_loopback_only() {
    let mut published = 0;
    for (name, service) in services() {
        for port in items(&service, "ports") {
            assert!(port.starts_with("127.0.0.1:${"), "{name}: {port}");
            published += 1;
        }
        assert_ne!(text(&service, &["network_mode"]), "host", "{name}");
    }
    assert_eq!(published, 5);
    let data = section("networks").get("data").unwrap().clone();
    assert_eq!(data.get("internal"), Some(&Value::Bool(true)));
}

#[test]
fn every_mount_is_there_and_what_is_ours_is_read_only() {
    let mut used = BTreeSet::new();
    for (name, service) in services() {
        for (from, to, is_read_only) in mounts(&service) {
            if let Some(path) = from.strip_prefix("./") {
                assert!(repository().join(path).exists(), "{name}: {from}");
                assert!(is_read_only, "{name}: {from}");
            } else {
                assert!(!from.starts_with(['/', '~', '.', '$']), "{name}: {from}");
                // Only what makes them writes certificates and secrets.
                let is_kept = from == "certs" || from.starts_with("secret-");
                assert_eq!(is_kept && name != "setup", is_read_only, "{name}: {from}");
                used.insert(from);
            }
            assert!(to.starts_with('/'), "{name}: {to}");
        }
    }
    let declared: BTreeSet<_> =
        section("volumes").keys().map(|name| name.as_str().unwrap().to_owned()).collect();
    assert_eq!(used, declared);
}

/// A volume takes over the owner of the directory that it is first mounted on.
#[test]
fn the_image_has_the_directories_of_our_volumes() {
    let dockerfile = fs::read_to_string(repository().join("Dockerfile")).unwrap();
    for (name, service) in services().into_iter().filter(|(name, _)| is_once(name)) {
        for (from, to, _) in mounts(&service).into_iter().filter(|(from, ..)| !from.starts_with('.')) {
            let is_made = dockerfile.split_whitespace().any(|word| word == to);
            assert!(is_made, "{name}: {from} is mounted on {to}, which the Dockerfile does not make");
        }
    }
}

#[test]
fn secrets_are_in_files_that_their_readers_mount() {
    let mut readers = 0;
    for (name, service) in services() {
        let environment = service.get("environment").and_then(Value::as_mapping).cloned().unwrap_or_default();
        for (variable, value) in environment {
            let (variable, value) = (variable.as_str().unwrap(), value.as_str().unwrap());
            if !["PASSWORD", "SECRET", "TOKEN"].iter().any(|word| variable.contains(word)) {
                continue;
            }
            assert!(variable.ends_with("_FILE"), "{name}: {variable}");
            let is_mounted =
                mounts(&service).iter().any(|(_, to, _)| value.strip_prefix(to.as_str()) == Some("/secret"));
            assert!(is_mounted, "{name}: {variable}={value} is on no volume");
            readers += 1;
        }
    }
    assert_eq!(readers, 6);
}

#[test]
fn services_wait_until_others_are_ready() {
    let names: BTreeSet<_> = services().into_iter().map(|(name, _)| name).collect();
    for (name, service) in services() {
        let others = service.get("depends_on").and_then(Value::as_mapping).cloned().unwrap_or_default();
        assert_eq!(others.is_empty(), name == "setup", "{name}");
        for (other, how) in others {
            let other = other.as_str().unwrap();
            let expected = if is_once(other) { "service_completed_successfully" } else { "service_healthy" };
            assert_eq!(text(&how, &["condition"]), expected, "{name}: {other}");
            assert!(names.contains(other), "{name}: {other}");
        }
    }
}

#[test]
fn every_variable_and_its_default_is_in_the_example() {
    let text = fs::read_to_string(repository().join("docker-compose.yml")).unwrap();
    let used: BTreeSet<_> =
        text.split("${").skip(1).map(|rest| rest.split('}').next().unwrap().replacen(":-", "=", 1)).collect();
    let example = fs::read_to_string(repository().join(".env.example")).unwrap();
    let shown = example.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert_eq!(used, shown.map(str::to_owned).collect());
}

#[test]
fn scripts_are_programs() {
    for entry in fs::read_dir(repository().join("docker")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o111, 0o111, "{}", path.display());
    }
}

#[tokio::test]
async fn a_backend_is_named_after_its_container_and_has_its_secrets() -> Result<()> {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("password"), "from a file\n")?;
    let script = repository().join("docker/backend-entrypoint");
    let run = format!(
        "HOSTNAME=3f2a DB_PASSWORD_FILE=password {} sh -c 'echo \"$DB_PASSWORD|$*\"' program --port 80",
        script.display()
    );
    let output = process::run(Path::new("bash"), &["-c", &run], dir.path()).await?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(said == "from a file|--port 80 --instance 3f2a\n", "{said}");
    Ok(())
}

#[tokio::test]
async fn the_configurations_load() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let conf = repository().join("conf");
    let albeit = albeit::binary()?;
    let made = process::run(&albeit, &["certs", "--dir", "certs"], dir.path()).await?;
    ensure!(made.status.success(), "{made:?}");
    fs::write(dir.path().join("token"), "token-of-a-test\n")?;
    let text = fs::read_to_string(conf.join("compose.yaml"))?
        .replace("/etc/albeit/certs", "certs")
        .replace("/run/secrets/admin/secret", "token");
    fs::write(dir.path().join("compose.yaml"), text)?;
    let backend = process::binary("ALBEIT_BACKEND_BIN", "albeit-backend")?;
    let load = process::binary("ALBEIT_LOAD_BIN", "albeit-load")?;
    let of_backend = conf.join("compose/backend.yaml").display().to_string();
    let of_load = conf.join("compose/load.yaml").display().to_string();
    let runs: [(_, &[&str], _); 3] = [
        (&albeit, &["check", "--config", "compose.yaml"], "backend:8080"),
        (&backend, &["--config", &of_backend, "--check-config"], ""),
        (&load, &["run", "--check", &of_load], ""),
    ];
    for (program, arguments, expected) in runs {
        let output = process::run(program, arguments, dir.path()).await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success() && said.contains(expected), "{arguments:?}: {output:?}");
        ensure!(!String::from_utf8_lossy(&output.stderr).contains("WARN"), "{arguments:?}: {output:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_doctor_finds_nothing() -> Result<()> {
    let files = ["docker-compose.yml", "conf/compose.yaml", "conf/compose/backend.yaml"];
    let arguments = [&["doctor", "--deny", "infos"][..], &files].concat();
    let output = process::run(&albeit::binary()?, &arguments, &repository()).await?;
    let said = String::from_utf8(output.stdout).context("the doctor's words")?;
    ensure!(output.status.success() && said.contains("1 application: nothing found"), "{said}");
    Ok(())
}
