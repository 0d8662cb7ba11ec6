//! What all rules have in common, and their pages.

use std::{fs, path::PathBuf};

use super::*;

pub(super) mod build;

#[test]
fn codes_are_sorted_and_there_once() {
    assert!(ALL.is_sorted_by(|a, b| a.code < b.code));
}

fn pages() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/findings")
}

/// Each page names the rule's title and severity; the list of all names them, too.
#[test]
fn every_rule_has_its_page_and_is_listed() {
    let list = fs::read_to_string(pages().join("README.md")).unwrap();
    for Rule { code, severity, title, .. } in ALL {
        let page = fs::read_to_string(pages().join(format!("{code}.md")))
            .unwrap_or_else(|_| panic!("no page of {code}"));
        assert!(
            page.starts_with(&format!("# {code}\n\n**{severity}**: {title}.\n")),
            "{code}.md begins otherwise"
        );
        assert!(
            list.contains(&format!("| [{code}]({code}.md) | {severity} | {title} |")),
            "{code} is not listed so"
        );
    }
}

#[test]
fn every_page_has_its_rule() {
    for page in fs::read_dir(pages()).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        let code = name.trim_end_matches(".md");
        assert!(code == "README" || ALL.iter().any(|rule| rule.code == code), "{name} is of no rule");
    }
}

#[test]
fn systems_without_mistakes_have_no_findings() {
    for system in [build::alb(), build::nlb(), build::nlb_before_alb()] {
        assert_eq!(crate::doctor::diagnose(&system.0), []);
    }
}
