//! The documentation: every page is in the site, and every link leads somewhere.
//!
//! The site has nothing but `docs/`, so a page there must not link out of it; README files
//! outside may link anywhere in the repository.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result};

fn root() -> Result<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?)
}

/// Markdown files below `dir`, without what is installed or built.
fn pages(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            found.extend(pages(&path)?);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The lines of a page that are neither in a code block nor code themselves.
fn prose(text: &str) -> Vec<String> {
    let mut fence: Option<&str> = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => lines.push(line.to_owned()),
            _ => {}
        }
    }
    lines
}

/// What stands between single backticks, taken out.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("")
}

/// Targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    // A link's text may go over the end of a line.
    let text: Vec<String> = prose(text).iter().map(|line| without_code(line)).collect();
    let text = text.join("\n");
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("](") {
        let Some((target, left)) = after.split_once(')') else { break };
        found.push(target.split_whitespace().next().unwrap_or_default().to_owned());
        rest = left;
    }
    found
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for line in prose(text) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let title = without_targets(title).replace('[', "");
        let anchor: String = title
            .trim()
            .to_lowercase()
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                _ => None,
            })
            .collect();
        let times = seen.entry(anchor.clone()).or_default();
        anchors.insert(if *times == 0 { anchor } else { format!("{anchor}-{times}") });
        *times += 1;
    }
    anchors
}

/// A heading's text, in which the text of a link stands for it.
fn without_targets(title: &str) -> String {
    let mut parts = title.split("](");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(part.split_once(')').map_or(part, |(_, after)| after));
    }
    text
}

/// `dir/../x` without the dots; `None` above the root.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => normal.pop().then_some(())?,
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    Some(normal)
}

/// Why a link of `page` leads nowhere.
fn broken(root: &Path, page: &Path, link: &str) -> Option<String> {
    if ["http://", "https://", "mailto:"].iter().any(|scheme| link.starts_with(scheme)) {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() {
        page.to_owned()
    } else {
        match normal(&page.parent()?.join(file)) {
            Some(target) => target,
            None => return Some("leaves the repository".to_owned()),
        }
    };
    let docs = root.join("docs");
    if page.starts_with(&docs) && !target.starts_with(&docs) {
        return Some("leaves docs/, which is all that the site has".to_owned());
    }
    if !target.exists() {
        return Some("no such file".to_owned());
    }
    if anchor.is_empty() || target.extension().is_none_or(|extension| extension != "md") {
        return None;
    }
    let text = fs::read_to_string(&target).unwrap_or_default();
    (!anchors(&text).contains(anchor)).then(|| "no such heading".to_owned())
}

#[test]
fn every_link_leads_somewhere() -> Result<()> {
    let root = root()?;
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages(&root)? {
        let name = page.strip_prefix(&root)?.display().to_string();
        for link in links(&fs::read_to_string(&page)?) {
            seen += 1;
            wrong.extend(broken(&root, &page, &link).map(|why| format!("{name}: {link}: {why}")));
        }
    }
    assert!(seen > 300, "only {seen} links were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_page_is_in_the_site_once() -> Result<()> {
    let docs = root()?.join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md"))?;
    let links = links(&summary);
    let named: BTreeSet<PathBuf> = links.iter().map(|link| docs.join(link)).collect();
    assert_eq!(named.len(), links.len(), "SUMMARY.md names a page twice");
    let there: BTreeSet<PathBuf> =
        pages(&docs)?.into_iter().filter(|page| !page.ends_with("SUMMARY.md")).collect();
    let missing: Vec<_> = named.difference(&there).collect();
    assert!(missing.is_empty(), "SUMMARY.md names what is not there: {missing:?}");
    let forgotten: Vec<_> = there.difference(&named).collect();
    assert!(forgotten.is_empty(), "SUMMARY.md does not name {forgotten:?}");
    Ok(())
}

#[test]
fn the_reader_of_links_sees_what_is_one_and_what_leads_nowhere() -> Result<()> {
    let text = "# A `b.c` and more\n\nSee [x](y.md#z) and `[no](link)`.\n\n```\n[no](link)\n```\n\n[over two\nlines](other.md)\n\n## [Linked](page.md) heading (or so)\n## A b.c and more\n";
    assert_eq!(links(text), ["y.md#z", "other.md", "page.md"]);
    let expected = ["a-bc-and-more", "a-bc-and-more-1", "linked-heading-or-so"];
    assert_eq!(anchors(text), expected.map(str::to_owned).into());
    let root = root()?;
    let page = root.join("docs/faq.md");
    let why = |link: &str| broken(&root, &page, link);
    assert_eq!(why("#1006"), None);
    assert_eq!(why("findings/keep-alive-race.md#how-to-fix-it"), None);
    assert_eq!(why("https://example.com/#x"), None);
    assert_eq!(why("no-such-page.md").as_deref(), Some("no such file"));
    assert_eq!(why("#no-such-heading").as_deref(), Some("no such heading"));
    assert_eq!(why("../README.md").as_deref(), Some("leaves docs/, which is all that the site has"));
    Ok(())
}
