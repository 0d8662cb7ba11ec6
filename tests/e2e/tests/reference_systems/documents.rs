//! The READMEs of the folders: they name every file, and all that the doctor finds.

use std::{collections::BTreeSet, fs, path::PathBuf};

use albeit_e2e::{
    albeit, process,
    topology::{Way, stage::repository, table},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

const FOLDERS: [&str; 5] = ["a-auction", "b-nlb-or-alb", "c-keep-alive-race", "d-chat", "e-spring-stomp"];

fn folder(name: &str) -> PathBuf {
    repository().join("conf/reference").join(name)
}

#[test]
fn every_file_is_named_by_its_readme_and_every_folder_by_that_of_conf() -> Result<()> {
    let of_conf = fs::read_to_string(repository().join("conf/README.md"))?;
    for name in FOLDERS {
        ensure!(of_conf.contains(&format!("reference/{name}/")), "conf/README.md has no {name}");
        let readme = fs::read_to_string(folder(name).join("README.md"))?;
        for entry in fs::read_dir(folder(name))? {
            let file = entry?.file_name().to_string_lossy().into_owned();
            ensure!(file == "README.md" || readme.contains(&format!("`{file}`")), "{name}: no {file}");
        }
        ensure!(readme.contains(&format!("$ conf/reference/{name}/run")), "{name}: how to start it");
    }
    Ok(())
}

#[tokio::test]
async fn what_the_doctor_finds_is_in_the_readme_and_no_more() -> Result<()> {
    for name in ["a-auction", "c-keep-alive-race", "d-chat", "e-spring-stomp"] {
        let args = ["doctor", "--format", "json", "alb.yaml"];
        let output = process::run(&albeit::binary()?, args, &folder(name)).await?;
        let found: Value = serde_json::from_slice(&output.stdout)?;
        let findings = found["findings"].as_array().with_context(|| format!("{found:#}"))?;
        let code = |finding: &Value| finding["code"].as_str().unwrap_or_default().to_owned();
        let codes: BTreeSet<String> = findings.iter().map(code).collect();
        let readme = fs::read_to_string(folder(name).join("README.md"))?;
        let rows = readme
            .lines()
            .filter_map(|line| line.strip_prefix("| [`")?.split_once("`](../../../docs/findings/"));
        let told: BTreeSet<String> = rows.map(|(code, _)| code.to_owned()).collect();
        ensure!(told == codes, "{name} tells of {told:?}, the doctor of {codes:?}");
    }
    Ok(())
}

#[test]
fn the_four_ways_are_told_with_their_files_and_what_the_server_sees() -> Result<()> {
    let readme = fs::read_to_string(folder("b-nlb-or-alb").join("README.md"))?;
    for file in Way::ALL.iter().flat_map(|way| way.files()) {
        ensure!(readme.contains(&format!("`conf/{file}`")), "no conf/{file}");
    }
    let rows = ["X-Forwarded-For at the target", "X-Forwarded-Proto", "TLS ends at the", "rule for /api/*"];
    for row in table::expected() {
        let title = row.split('|').nth(1).unwrap_or_default().trim();
        ensure!(!rows.contains(&title) || readme.contains(&row), "{row}");
    }
    Ok(())
}
