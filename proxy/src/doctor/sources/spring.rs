//! Spring Boot's `application.yml` and `application.properties`.
//!
//! Files are only read here, into the [`Configuration`] of an application:
//! what they mean is known when the variables of the deployment are, which
//! count more ([`interpret`]).

mod interpret;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::{Document, SourceError, properties::uniform, resolve::tie};
use crate::doctor::{
    configuration::{self, Configuration, Holds, flatten},
    document::Node,
    system::{Application, Runtime, System},
};

pub(super) use interpret::interpret;

/// Keys that say for which profiles a document is, of Spring Boot 2.4 and of those before.
const CONDITIONS: [&str; 2] = ["spring.config.activate.onprofile", "spring.profiles"];
/// Sections that nobody else's files begin with together with Spring's spelling.
const SECTIONS: [&str; 2] = ["server", "management"];

/// Adds what a configuration of a Spring Boot application says.
pub(super) fn read(document: &Document<'_>, system: &mut System) -> Result<bool, SourceError> {
    if !is_springs(document) {
        return Ok(false);
    }
    let (family, profile) = name(document.path);
    let documents = document.trees.iter().map(|tree| of_tree(tree, profile.as_deref())).collect();
    let configuration = Configuration { family, documents };
    let is_it =
        |it: &&mut Application| it.configuration.as_ref().is_some_and(|it| it.family == configuration.family);
    match system.applications.iter_mut().find(is_it) {
        Some(known) => {
            let more = Application { configuration: Some(configuration), ..Application::default() };
            tie(
                known,
                Application { target_groups: document.tied_to.to_vec(), runtime: Runtime::Spring, ..more },
            );
        }
        None => system.applications.push(Application {
            name: configuration.family.display().to_string(),
            runtime: Runtime::Spring,
            target_groups: document.tied_to.to_vec(),
            configuration: Some(configuration),
            ..Application::default()
        }),
    }
    Ok(true)
}

/// By its name, or because it has sections of Spring.
fn is_springs(document: &Document<'_>) -> bool {
    let stem = document.path.file_stem().unwrap_or_default().to_string_lossy();
    let is_properties = document.path.extension().is_some_and(|extension| extension == "properties");
    let is_named = stem.starts_with("application") || stem.starts_with("bootstrap");
    let has = |start: &str| {
        let is_it = |key: &str| key.split(['.', '[']).next() == Some(start);
        document.trees.iter().flat_map(Node::entries).any(|(key, _)| is_it(key))
    };
    // JSON of AWS begins with capital letters, and a compose file has services.
    let is_other = has("services") || has("load_balancers");
    is_properties || has("spring") || (is_named && !is_other) || (!is_other && SECTIONS.into_iter().any(has))
}

/// What files of one application have in common, and the profile of this one: `application-prod.yml`.
fn name(path: &Path) -> (PathBuf, Option<String>) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let profile = ["application-", "bootstrap-"].into_iter().find_map(|start| stem.strip_prefix(start));
    let is_named = profile.is_some() || stem == "application" || stem == "bootstrap";
    let family = if is_named { path.with_file_name("application") } else { path.with_extension("") };
    (family, profile.map(str::to_owned))
}

fn of_tree(tree: &Node, profile: Option<&str>) -> configuration::Document {
    let properties = flatten(tree);
    let is_condition = |key: &str| {
        let key = uniform(key);
        CONDITIONS.iter().any(|known| {
            key.strip_prefix(known).is_some_and(|rest| matches!(rest.chars().next(), None | Some('[')))
        })
    };
    let conditions: Vec<_> =
        properties.iter().filter(|(key, _)| is_condition(key)).map(|(_, it)| it.value.as_str()).collect();
    let holds = match (conditions.is_empty(), profile) {
        (false, _) => Holds::OnProfile(conditions.join("|")),
        (true, Some(profile)) => Holds::WithProfile(profile.to_owned()),
        (true, None) => Holds::Always,
    };
    configuration::Document { holds, properties }
}
