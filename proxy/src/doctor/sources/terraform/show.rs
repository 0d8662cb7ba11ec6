//! `terraform show -json`: a state (`values`) or a plan (`planned_values`), module by module.
//!
//! What a plan cannot know yet, such as the ARN of a load balancer that is to
//! be made, is filled in from the expressions of `configuration`.

use super::{
    super::{Document, SourceError},
    fill::fill,
    reference,
    resource::{Resource, add},
};
use crate::doctor::{document::Node, system::System};

/// Reads what `terraform show -json` writes.
#[expect(clippy::unnecessary_wraps, reason = "one type for all sources")]
pub(in crate::doctor::sources) fn read(
    document: &Document<'_>,
    system: &mut System,
) -> Result<bool, SourceError> {
    let mut known = false;
    for tree in &document.trees {
        let values =
            ["planned_values", "values"].into_iter().find_map(|key| tree.get(key)?.get("root_module"));
        // An empty state has no values.
        if tree.get("terraform_version").is_none() && values.is_none() {
            continue;
        }
        known = true;
        if let Some(module) = values {
            read_module(module, tree.at(&["configuration", "root_module"]), "", system);
        }
    }
    Ok(known)
}

/// The resources of a module and of those below it. `path` stands before the addresses of the module.
fn read_module(module: &Node, configuration: Option<&Node>, path: &str, system: &mut System) {
    for described in module.get("resources").map_or(&[][..], Node::items) {
        let text = |key| described.get(key).and_then(Node::text);
        let (Some(kind), Some(address)) = (text("type"), text("address")) else { continue };
        let Some(values) = described.get("values") else { continue };
        let values = match expressions(configuration, address.strip_prefix(path).unwrap_or(address)) {
            Some(expressions) => fill(values, expressions),
            None => values.clone(),
        };
        let id = reference::of("", address);
        add(&Resource { kind, address, id: &id, module: path, values: &values }, system);
    }
    for child in module.get("child_modules").map_or(&[][..], Node::items) {
        let Some(address) = child.get("address").and_then(Node::text) else { continue };
        let name = address.rsplit('.').next().and_then(|name| name.split('[').next()).unwrap_or(address);
        let below = configuration.and_then(|above| above.at(&["module_calls", name, "module"]));
        read_module(child, below, &format!("{address}."), system);
    }
}

/// The expressions of a resource.
fn expressions<'a>(configuration: Option<&'a Node>, address: &str) -> Option<&'a Node> {
    let address = address.split('[').next()?;
    let resources = configuration?.get("resources")?.items();
    let is = |resource: &&Node| resource.get("address").and_then(Node::text) == Some(address);
    resources.iter().find(is)?.get("expressions")
}
