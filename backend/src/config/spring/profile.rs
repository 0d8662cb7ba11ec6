//! Documents for profiles: `spring.config.activate.on-profile`, and the older
//! `spring.profiles`.

use std::collections::BTreeSet;

use serde_yaml::Value;

use super::document::Leaf;
use super::placeholder;

/// Keys that say for which profiles a document is.
const CONDITIONS: [&str; 2] = ["spring.config.activate.on-profile", "spring.profiles"];

/// The profile when no other one is active.
const DEFAULT: &str = "default";

/// The values of the documents that hold for the active profiles.
pub(super) fn active(leaves: Vec<Leaf>, variable: &dyn Fn(&str) -> Option<String>) -> Vec<Leaf> {
    let condition = |leaf: &Leaf| CONDITIONS.contains(&leaf.key.as_str());
    let conditional: BTreeSet<_> =
        leaves.iter().filter(|leaf| condition(leaf)).map(|leaf| leaf.document).collect();
    let named = variable("SPRING_PROFILES_ACTIVE").map(Value::from).or_else(|| {
        let is_named =
            |leaf: &&Leaf| leaf.key == "spring.profiles.active" && !conditional.contains(&leaf.document);
        let leaf = leaves.iter().rev().find(is_named)?;
        placeholder::resolve_all(&leaf.value, &leaves, variable).ok()
    });
    let mut profiles = named.map(|value| list(&value)).unwrap_or_default();
    if profiles.is_empty() {
        profiles.push(DEFAULT.to_owned());
    }
    let holds = |leaf: &Leaf| list(&leaf.value).iter().any(|expression| matches(expression, &profiles));
    let inactive: BTreeSet<_> =
        leaves.iter().filter(|leaf| condition(leaf) && !holds(leaf)).map(|leaf| leaf.document).collect();
    leaves.into_iter().filter(|leaf| !inactive.contains(&leaf.document) && !condition(leaf)).collect()
}

/// The entries of a list, or of a text with commas.
pub(super) fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Sequence(entries) => entries.iter().filter_map(placeholder::scalar).collect(),
        value => {
            let text = placeholder::scalar(value).unwrap_or_default();
            text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
        }
    }
}

/// `prod`, `!prod`, `prod & eu`, `prod | test`; `&` binds first.
fn matches(expression: &str, profiles: &[String]) -> bool {
    let holds = |term: &str| match term.trim().strip_prefix('!') {
        Some(name) => !profiles.iter().any(|profile| profile == name.trim()),
        None => profiles.iter().any(|profile| profile == term.trim()),
    };
    expression.split('|').any(|all| all.split('&').all(holds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_name_profiles() {
        let profiles = ["prod".to_owned(), "eu".to_owned()];
        for (expression, expected) in
            [("prod", true), ("!prod", false), ("prod & us", false), ("test | eu & !us", true), ("", false)]
        {
            assert_eq!(matches(expression, &profiles), expected, "{expression}");
        }
    }
}
