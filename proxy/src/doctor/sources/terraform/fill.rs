//! Values of a plan with what they refer to, where they are not known yet.

use std::sync::Arc;

use crate::doctor::document::{Node, Value, hcl::UNKNOWN};

/// The values, and references of their expressions in the place of those that are missing.
pub(super) fn fill(values: &Node, expressions: &Node) -> Node {
    let mut entries: Vec<(Arc<str>, Node)> =
        values.entries().map(|(key, node)| (key.into(), node.clone())).collect();
    for (key, expression) in expressions.entries() {
        let at = entries.iter_mut().find(|(known, _)| &**known == key).map(|(_, node)| node);
        let present = at.as_deref().filter(|node| node.value != Value::Null);
        let Some(filled) = filled(present, expression) else { continue };
        match at {
            Some(node) => *node = filled,
            None => entries.push((key.into(), filled)),
        }
    }
    Node { value: Value::Map(entries), place: values.place.clone() }
}

/// One value with its expression; `None` if there is nothing to add.
fn filled(present: Option<&Node>, expression: &Node) -> Option<Node> {
    match (&expression.value, present) {
        (Value::List(blocks), Some(Node { value: Value::List(items), place })) => {
            let items = items.iter().enumerate();
            let items = items.map(|(at, item)| match blocks.get(at) {
                Some(block) if matches!(item.value, Value::Map(_)) => fill(item, block),
                _ => item.clone(),
            });
            Some(Node { value: Value::List(items.collect()), place: place.clone() })
        }
        (Value::List(blocks), None) => {
            let nothing = |block: &Node| Node { value: Value::Map(Vec::new()), place: block.place.clone() };
            let items = blocks.iter().map(|block| fill(&nothing(block), block)).collect();
            Some(Node { value: Value::List(items), place: expression.place.clone() })
        }
        (Value::Map(_), None) => {
            let text = match expression.get("constant_value") {
                Some(constant) => constant.text()?.to_owned(),
                None => {
                    let references = expression.get("references")?.items().iter().filter_map(Node::text);
                    let references: Vec<_> = references.collect();
                    format!("{UNKNOWN}{}}}", references.join(" "))
                }
            };
            Some(Node { value: Value::Scalar(text.into()), place: expression.place.clone() })
        }
        _ => None,
    }
}
