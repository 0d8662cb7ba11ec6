//! A described thing in the API's words or in Terraform's: members are asked
//! for by their name in the API, and settings are called as they are there.

use std::{borrow::Cow, str::FromStr, time::Duration};

use crate::doctor::{
    document::{Node, Value},
    setting::Setting,
};

/// Whose words a thing is described in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    /// The API's: `TargetGroupArn`.
    Api,
    /// The Terraform provider's: `target_group_arn`.
    Terraform,
}

/// Where Terraform's name for a member is not just the API's in snake case without `Config` at the end.
const TERRAFORM: &[(&str, &str)] = &[
    ("LoadBalancerName", "name"),
    ("TargetGroupName", "name"),
    ("TargetGroups", "target_group"),
    ("DefaultActions", "default_action"),
    ("Actions", "action"),
    ("Conditions", "condition"),
    ("TargetGroupStickinessConfig", "stickiness"),
    ("loadBalancers", "load_balancer"),
];

/// A described thing, or a part of one.
#[derive(Debug, Clone)]
pub(in crate::doctor::sources) struct Item<'a> {
    node: &'a Node,
    words: Words,
    path: String,
}

impl<'a> Item<'a> {
    /// Something that the API describes.
    pub(in crate::doctor::sources) const fn api(node: &'a Node) -> Self {
        Self { node, words: Words::Api, path: String::new() }
    }

    /// Something that is described in the API's words below `path`.
    pub(in crate::doctor::sources) fn api_at(node: &'a Node, path: &str) -> Self {
        Self { node, words: Words::Api, path: path.to_owned() }
    }

    /// A resource of Terraform, by its address.
    pub(in crate::doctor::sources) fn terraform(node: &'a Node, address: &str) -> Self {
        Self { node, words: Words::Terraform, path: address.to_owned() }
    }

    /// What is described.
    pub(in crate::doctor::sources) const fn node(&self) -> &'a Node {
        self.node
    }

    /// How a member is called here, with what it is a member of.
    pub(in crate::doctor::sources) fn key(&self, member: &str) -> String {
        let name = self.name(member);
        if self.path.is_empty() { name.into_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A member; of a list of blocks the first.
    pub(in crate::doctor::sources) fn get(&self, member: &str) -> Option<Self> {
        self.all(member).into_iter().next()
    }

    /// The items of a list, or the one thing that stands in its place.
    pub(in crate::doctor::sources) fn all(&self, member: &str) -> Vec<Self> {
        let Some(node) = self.node.get(&self.name(member)) else { return Vec::new() };
        let path = match self.path.as_str() {
            // The lists of answers: settings of resources are called by their own name alone.
            "" if matches!(node.value, Value::List(_)) => String::new(),
            _ => self.key(member),
        };
        let item = |node| Self { node, words: self.words, path: path.clone() };
        match &node.value {
            Value::Null => Vec::new(),
            Value::List(items) => items.iter().map(item).collect(),
            Value::Scalar(_) | Value::Map(_) => vec![item(node)],
        }
    }

    /// A member's text.
    pub(in crate::doctor::sources) fn text(&self, member: &str) -> Option<Setting<String>> {
        self.node.get(&self.name(member))?.setting(&self.key(member))
    }

    /// A member's value, if it can be understood so.
    pub(in crate::doctor::sources) fn value<T: FromStr>(&self, member: &str) -> Option<Setting<T>> {
        self.text(member)?.filter_map(|text| text.parse().ok())
    }

    /// A member that counts seconds.
    pub(in crate::doctor::sources) fn seconds(&self, member: &str) -> Option<Setting<Duration>> {
        Some(self.value(member)?.map(Duration::from_secs))
    }

    /// The texts of a list.
    pub(in crate::doctor::sources) fn texts(&self, member: &str) -> Vec<Setting<String>> {
        let key = self.key(member);
        self.all(member).iter().filter_map(|item| item.node.setting(&key)).collect()
    }

    fn name<'m>(&self, member: &'m str) -> Cow<'m, str> {
        match self.words {
            Words::Api => Cow::Borrowed(member),
            Words::Terraform => TERRAFORM
                .iter()
                .find(|(name, _)| *name == member)
                .map_or_else(|| Cow::Owned(snake_case(member)), |(_, name)| Cow::Borrowed(*name)),
        }
    }
}

/// `TargetGroupArn` → `target_group_arn`, `RedirectConfig` → `redirect`.
fn snake_case(member: &str) -> String {
    let member = member.strip_suffix("Config").unwrap_or(member);
    let mut name = String::with_capacity(member.len() + 4);
    for letter in member.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::document::json;

    #[test]
    fn members_have_their_names_in_both_words() {
        let api = json(&"a.json".into(), r#"{"Matcher": {"HttpCode": "200"}}"#).unwrap();
        let code = Item::api(&api[0]).get("Matcher").unwrap().text("HttpCode").unwrap();
        assert_eq!((code.value.as_str(), &*code.key), ("200", "Matcher.HttpCode"));
        let terraform =
            json(&"a.json".into(), r#"{"action": [{"redirect": [{"status_code": "HTTP_301"}]}]}"#).unwrap();
        let action = Item::terraform(&terraform[0], "aws_lb_listener_rule.a").get("Actions").unwrap();
        let code = action.get("RedirectConfig").unwrap().text("StatusCode").unwrap();
        assert_eq!(
            (code.value.as_str(), &*code.key),
            ("HTTP_301", "aws_lb_listener_rule.a.action.redirect.status_code")
        );
    }
}
