//! Who may act, who is asked, and what is said when that fails.

use std::{fs, net::TcpListener};

use albeit_e2e::{Albeit, Config, Target};
use anyhow::{Context as _, Result};

use super::{Done, alone, command, run};

#[tokio::test]
async fn the_token_comes_from_a_file_or_the_environment() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?;
    let file = config.dir().join("token");
    fs::write(&file, "a-token-of-some-length\n")?;
    let file = file.to_str().context("UTF-8")?.to_owned();
    let albeit = Albeit::start(config.with_admin("token_file", file.as_str())).await?;
    // Reading needs none.
    run(&albeit, "status").await?.with(0)?;
    let refused = run(&albeit, "reload").await?.with(2)?;
    assert!(refused.stderr.contains("401") && refused.stderr.contains("--token-file"), "{refused:?}");
    run(&albeit, &format!("reload --token-file {file}")).await?.with(0)?;

    let with = async |name: &str, value: &str| -> Result<Done> {
        Ok(command(&albeit, "reload")?.env(name, value).output().await?.into())
    };
    with("ALBEIT_ADMIN_TOKEN_FILE", &file).await?.with(0)?;
    with("ALBEIT_ADMIN_TOKEN", "a-token-of-some-length").await?.with(0)?;
    let wrong = with("ALBEIT_ADMIN_TOKEN", "another-token").await?.with(2)?;
    assert!(wrong.stderr.contains("admin.token_file"), "{wrong:?}");
    assert!(!wrong.stderr.contains("another-token"), "{wrong:?}");
    with("ALBEIT_ADMIN_TOKEN", "two words").await?.with(2)?;
    let missing = with("ALBEIT_ADMIN_TOKEN_FILE", "/nowhere/token").await?.with(2)?;
    assert!(missing.stderr.contains("/nowhere/token"), "{missing:?}");
    Ok(())
}

#[tokio::test]
async fn nobody_there_is_said_plainly() -> Result<()> {
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    for command in ["status", "connections", "reload"] {
        let failed = alone(&[command, "--admin", &free]).await?.with(1)?;
        let expected =
            format!("albeit: nothing listens on {free}: is albeit running, and is admin.bind set?\n");
        assert_eq!((failed.stdout.as_str(), failed.stderr), ("", expected));
    }
    let wrong = alone(&["status", "--admin", "nowhere"]).await?.with(2)?;
    assert!(wrong.stderr.contains("is not a host with a port"), "{wrong:?}");
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("albeit.yaml");
    fs::write(&file, "load_balancers: []\n")?;
    let without = alone(&["status", "-c", file.to_str().context("UTF-8")?]).await?.with(2)?;
    assert!(without.stderr.contains("has no admin.bind"), "{without:?}");
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_not_albeits_is_told_and_cannot_steer_a_terminal() -> Result<()> {
    // A load balancer's listener is no admin API.
    let target = Target::saying("\u{1b}]0;owned\u{7}")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let failed = alone(&["status", "--admin", &albeit.listener(0)?.to_string()]).await?.with(1)?;
    assert!(failed.stderr.contains("does not answer like the admin API"), "{failed:?}");
    assert!(!failed.stderr.contains('\u{1b}'), "{failed:?}");
    Ok(())
}
