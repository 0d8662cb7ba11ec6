//! `RuleCondition`: what must hold for a rule.

use super::item::Item;
use crate::doctor::{
    setting::Setting,
    system::{Condition, ConditionField},
};

/// Members of a condition, by field.
const FIELDS: [(&str, &str, ConditionField); 4] = [
    ("host-header", "HostHeaderConfig", ConditionField::HostHeader),
    ("path-pattern", "PathPatternConfig", ConditionField::PathPattern),
    ("http-request-method", "HttpRequestMethodConfig", ConditionField::HttpRequestMethod),
    ("source-ip", "SourceIpConfig", ConditionField::SourceIp),
];

/// The conditions that a block or an entry of the API holds; none of a field that is unknown.
pub(in crate::doctor::sources) fn read(described: &Item<'_>) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let named = described.text("Field");
    for (field, member, of) in FIELDS {
        let mut values: Vec<_> = described.get(member).iter().flat_map(values).collect();
        // The oldest form: `Field` and `Values` alone.
        if values.is_empty() && named.as_ref().is_some_and(|named| named.value == field) {
            values = described.texts("Values");
        }
        if !values.is_empty() {
            conditions.push(Condition { field: of, values });
        }
    }
    if let Some(header) = described.get("HttpHeaderConfig")
        && let Some(name) = header.text("HttpHeaderName")
    {
        let field = ConditionField::HttpHeader(name.value.to_ascii_lowercase());
        conditions.push(Condition { field, values: values(&header) });
    }
    let query = query_string(described);
    if !query.is_empty() {
        conditions.push(Condition { field: ConditionField::QueryString, values: query });
    }
    conditions
}

/// `Values` and `RegexValues`.
fn values(config: &Item<'_>) -> Vec<Setting<String>> {
    let mut values = config.texts("Values");
    values.extend(config.texts("RegexValues"));
    values
}

/// `key=value`, or `value` where the key does not matter; Terraform has a block for each pair.
fn query_string(described: &Item<'_>) -> Vec<Setting<String>> {
    let configs = described.all("QueryStringConfig");
    let pairs = configs.iter().flat_map(|config| {
        let nested = config.all("Values");
        if nested.is_empty() { vec![config.clone()] } else { nested }
    });
    pairs
        .filter_map(|pair| {
            let value = pair.text("Value")?;
            let key = pair.text("Key").filter(|key| !key.value.is_empty());
            Some(match key {
                Some(key) => value.map(|value| format!("{}={value}", key.value)),
                None => value,
            })
        })
        .collect()
}
