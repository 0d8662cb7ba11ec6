//! The ways of `docs/topologies.md`: the files that it names, the facts that it
//! tells, and that it tells them as they are.

use std::fs;

use albeit_e2e::topology::{
    Way,
    facts::Facts,
    facts_of,
    ports::Ports,
    stage::{Directory, repository},
    table,
};
use anyhow::Result;

async fn check(way: Way) -> Result<()> {
    let dir = Directory::try_new().await?;
    let facts = facts_of(way, &dir, Ports::held).await?;
    assert_eq!(facts.surprises(way), Vec::<String>::new(), "{}", facts.to_json(way));
    Ok(())
}

#[tokio::test]
async fn an_alb_alone_is_as_documented() -> Result<()> {
    check(Way::Alb).await
}

#[tokio::test]
async fn an_nlb_that_ends_tls_is_as_documented() -> Result<()> {
    check(Way::NlbTls).await
}

#[tokio::test]
async fn an_nlb_that_passes_tls_through_is_as_documented() -> Result<()> {
    check(Way::NlbTcp).await
}

#[tokio::test]
async fn an_nlb_in_front_of_an_alb_is_as_documented() -> Result<()> {
    check(Way::NlbAlb).await
}

#[tokio::test]
async fn an_nlb_and_an_alb_in_two_processes_are_as_documented() -> Result<()> {
    check(Way::NlbProxyAlb).await
}

fn document() -> Result<String> {
    Ok(fs::read_to_string(repository().join("docs/topologies.md"))?)
}

#[test]
fn the_document_has_the_files_as_they_are() -> Result<()> {
    let document = document()?;
    for file in Way::ALL.iter().flat_map(|way| way.files()) {
        let text = fs::read_to_string(repository().join("conf").join(file))?;
        assert!(document.contains(&format!("```yaml\n{text}```\n")), "conf/{file} is not in the document");
    }
    Ok(())
}

#[test]
fn the_document_has_the_commands_and_the_table_of_the_demonstration() -> Result<()> {
    let document = document()?;
    for way in Way::ALL {
        for command in way.commands() {
            assert!(document.contains(&format!("$ {command}")), "{command}");
        }
    }
    assert!(document.contains(&table::expected().join("\n")), "{}", table::expected().join("\n"));
    Ok(())
}

#[test]
fn the_table_of_what_was_found_begins_as_the_table_of_what_is_expected() {
    let found = table::found(&[(); 5].map(|()| Facts::default()));
    let rows = |lines: &[String]| -> Vec<String> {
        lines.iter().map(|line| line.split('|').nth(1).unwrap_or_default().trim().to_owned()).collect()
    };
    let expected = table::expected();
    let (same, more) = (rows(&found[2..expected.len()]), rows(&found[expected.len()..]));
    assert_eq!(same, rows(&expected[2..]));
    assert_eq!(more, ["p50 of a request", "p50 of TCP, TLS, request"]);
}
