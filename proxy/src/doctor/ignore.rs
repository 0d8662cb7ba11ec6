//! Findings that somebody decided to live with, each with the reason.
//!
//! ```yaml
//! ignore:
//!   - code: tls-policy-old
//!     subject: listener HTTPS:443 of web      # optional: only there
//!     reason: devices of partners know nothing newer
//!     until: 2027-03-31                       # optional: from then on it is reported again
//! ```

use std::sync::Arc;

use time::{Date, format_description::well_known::Iso8601};

use super::{
    document::{Node, SyntaxError, yaml},
    finding::Finding,
    rules,
    setting::Place,
};

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// The code.
    pub code: String,
    /// Only findings about this; `None` for all of the code.
    pub subject: Option<String>,
    /// Why.
    pub reason: String,
    /// The last day on which it is ignored.
    pub until: Option<Date>,
    /// Where the entry stands; `None` for the command line.
    pub place: Option<Place>,
}

impl Ignored {
    /// An entry of the command line: `CODE=REASON`.
    ///
    /// # Errors
    /// There is no such code, or no reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (code, reason) = text.split_once('=').ok_or("an ignored finding is written CODE=REASON")?;
        let entry = Self {
            code: code.trim().to_owned(),
            subject: None,
            reason: reason.trim().to_owned(),
            until: None,
            place: None,
        };
        entry.checked()
    }

    fn checked(self) -> Result<Self, String> {
        if rules::of(&self.code).is_none() {
            return Err(format!("no finding has the code '{}'", self.code));
        }
        if self.reason.is_empty() {
            return Err(format!("'{}' is ignored without a reason", self.code));
        }
        Ok(self)
    }

    /// Whether a finding is ignored by this on a day.
    #[must_use]
    pub fn covers(&self, finding: &Finding, today: Date) -> bool {
        finding.code == self.code
            && self.subject.as_ref().is_none_or(|subject| *subject == finding.subject)
            && self.until.is_none_or(|until| today <= until)
    }
}

/// Reads an ignore list.
///
/// # Errors
/// The text is no YAML or no ignore list, or an entry has no reason.
pub fn read(file: &Arc<str>, text: &str) -> Result<Vec<Ignored>, SyntaxError> {
    let mut entries = Vec::new();
    for tree in yaml(file, text)? {
        for (key, list) in tree.entries() {
            if key != "ignore" {
                return Err(at(list, file, format!("'{key}' is unknown here (known: ignore)")));
            }
        }
        // The list may stand alone.
        for node in tree.get("ignore").unwrap_or(&tree).items() {
            entries.push(entry(node).map_err(|message| at(node, file, message))?);
        }
    }
    Ok(entries)
}

fn entry(node: &Node) -> Result<Ignored, String> {
    const KEYS: [&str; 4] = ["code", "subject", "reason", "until"];
    if let Some((unknown, _)) = node.entries().find(|(key, _)| !KEYS.contains(key)) {
        return Err(format!("'{unknown}' is unknown here (known: {})", KEYS.join(", ")));
    }
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let until = text("until").map(|until| {
        Date::parse(&until, &Iso8601::DATE).map_err(|_| format!("'{until}' is no date such as 2027-03-31"))
    });
    let entry = Ignored {
        code: text("code").ok_or("an ignored finding has a code")?,
        subject: text("subject"),
        reason: text("reason").unwrap_or_default(),
        until: until.transpose()?,
        place: Some(node.place.clone()),
    };
    entry.checked()
}

fn at(node: &Node, file: &Arc<str>, message: String) -> SyntaxError {
    let (line, column) =
        if let Place::File { line, column, .. } = &node.place { (*line, *column) } else { (1, 1) };
    SyntaxError { file: Arc::clone(file), line, column, message }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;
    use crate::doctor::finding::Severity;

    fn list(text: &str) -> Result<Vec<Ignored>, String> {
        read(&"ignore.yaml".into(), text).map_err(|error| error.to_string())
    }

    fn finding(subject: &str) -> Finding {
        Finding {
            code: "keep-alive-race",
            severity: Severity::Error,
            subject: subject.to_owned(),
            problem: String::new(),
            symptom: String::new(),
            fix: String::new(),
            evidence: Vec::new(),
        }
    }

    #[test]
    fn an_entry_covers_its_code_and_subject_until_its_day() {
        let text = "ignore:\n  - { code: keep-alive-race, subject: target group a, reason: known, until: 2027-01-31 }\n";
        let [entry] = list(text).unwrap().try_into().unwrap();
        assert!(entry.covers(&finding("target group a"), date!(2027 - 01 - 31)));
        assert!(!entry.covers(&finding("target group a"), date!(2027 - 02 - 01)));
        assert!(!entry.covers(&finding("target group b"), date!(2027 - 01 - 01)));
    }

    #[test]
    fn an_entry_without_a_reason_or_with_an_unknown_code_is_refused() {
        let refused = |text: &str| list(text).unwrap_err();
        assert_eq!(
            refused("ignore:\n  - code: keep-alive-race\n"),
            "ignore.yaml:2:5: 'keep-alive-race' is ignored without a reason"
        );
        assert_eq!(
            refused("ignore:\n  - { code: nothing, reason: x }\n"),
            "ignore.yaml:2:5: no finding has the code 'nothing'"
        );
        assert!(refused("ignored: []\n").contains("'ignored' is unknown here"));
        assert!(
            refused("ignore:\n  - { code: keep-alive-race, reason: x, until: soon }\n").contains("no date")
        );
        assert!(Ignored::parse("keep-alive-race=").is_err());
        assert!(Ignored::parse("keep-alive-race=we know").is_ok());
    }

    #[test]
    fn the_list_may_stand_alone() {
        let list = "- { code: tls-policy-old, reason: old devices }\n";
        let below = format!("ignore:\n  {list}");
        for text in [list, &below] {
            assert_eq!(read(&"ignore.yaml".into(), text).unwrap().len(), 1, "{text}");
        }
    }
}
