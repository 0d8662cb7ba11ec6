//! `.tf` files: the files of a directory are one module, so that variables and
//! locals of all of them are known, whichever of them is named.
//!
//! Values of variables, the last holds: their defaults, `terraform.tfvars`,
//! `*.auto.tfvars` by name, and `.tfvars` files that were named before.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    super::{Document, SourceError, read_beside},
    reference,
    resource::{Resource, add},
};
use crate::doctor::{
    document::{
        Node,
        hcl::{Hcl, Scope},
    },
    system::System,
};

/// The most files of a directory that are read.
const MOST_FILES: usize = 1000;

/// Reads one `.tf` file, or notes the values of a `.tfvars` file.
pub(in crate::doctor::sources) fn read_file(
    document: &Document<'_>,
    system: &mut System,
) -> Result<bool, SourceError> {
    let Document { file, path, text, .. } = document;
    let extension = path.extension().and_then(|extension| extension.to_str());
    if extension == Some("tfvars") {
        Hcl::parse(file, text)?;
        system.resources.variables.push((Arc::clone(file), (*text).to_owned()));
        return Ok(true);
    }
    if extension != Some("tf") {
        return Ok(false);
    }
    let own = Hcl::parse(file, text)?;
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    let mut module = Module { files: vec![own], values: Vec::new() };
    for other in files(directory)?.into_iter().filter(|other| *other != **path) {
        let of_its_kind = if has_extension(&other, "tf") { &mut module.files } else { &mut module.values };
        // A mistake in a file that nobody named is no reason to refuse the one that was.
        of_its_kind.extend(parse(&other).ok());
    }
    module.add(directory, 1, system)?;
    Ok(true)
}

/// Reads every `.tf` file of a directory.
pub(in crate::doctor::sources) fn read_directory(
    directory: &Path,
    system: &mut System,
) -> Result<(), SourceError> {
    let mut module = Module { files: Vec::new(), values: Vec::new() };
    for path in files(directory)? {
        if has_extension(&path, "tf") {
            module.files.push(parse(&path)?);
        } else {
            module.values.push(parse(&path)?);
        }
    }
    if module.files.is_empty() {
        return Err(SourceError::Unknown { file: directory.display().to_string().into() });
    }
    let all = module.files.len();
    module.add(directory, all, system)
}

/// The files of a directory that Terraform reads by itself, by name.
fn files(directory: &Path) -> Result<Vec<PathBuf>, SourceError> {
    // The parent of a bare file name is empty.
    let place = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let unreadable =
        |source| SourceError::Unreadable { file: directory.display().to_string().into(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(place).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let path = directory.join(&name);
        let name = name.to_string_lossy();
        if name.ends_with(".tf") || name.ends_with(".auto.tfvars") || name == "terraform.tfvars" {
            files.push(path);
        }
        if files.len() > MOST_FILES {
            return Err(unreadable(io::Error::other(format!(
                "has more than {MOST_FILES} files of Terraform's"
            ))));
        }
    }
    // `terraform.tfvars` comes before what is called `….auto.tfvars`.
    files.sort_by_key(|path| (path.file_name().is_some_and(|name| name != "terraform.tfvars"), path.clone()));
    Ok(files)
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

fn parse(path: &Path) -> Result<Hcl, SourceError> {
    let file: Arc<str> = path.display().to_string().into();
    Ok(Hcl::parse(&file, &read_beside(path, &file)?)?)
}

/// The files of a directory.
struct Module {
    /// `.tf` files.
    files: Vec<Hcl>,
    /// `.tfvars` files, the one that counts most last.
    values: Vec<Hcl>,
}

impl Module {
    /// Adds the resources of the first `wanted` files.
    fn add(&self, directory: &Path, wanted: usize, system: &mut System) -> Result<(), SourceError> {
        let named = system.resources.variables.iter().map(|(file, text)| Hcl::parse(file, text));
        let named = named.collect::<Result<Vec<_>, _>>()?;
        let scope = self.scope(&named);
        let module = format!("{}#", directory.display());
        for file in self.files.iter().take(wanted) {
            let tree = file.tree(&scope);
            resources(&tree, &module, system);
        }
        Ok(())
    }

    fn scope<'a>(&'a self, named: &'a [Hcl]) -> Scope<'a> {
        let mut scope = Scope::default();
        for file in &self.files {
            for block in file.blocks("variable") {
                let default = block.body.get_attribute("default");
                if let (Some(name), Some(default)) = (block.labels.first(), default) {
                    scope.define(format!("var.{}", name.as_str()), file, &default.value);
                }
            }
            for attribute in file.blocks("locals").flat_map(|block| block.body.attributes()) {
                scope.define(format!("local.{}", attribute.key.as_str()), file, &attribute.value);
            }
        }
        for file in self.values.iter().chain(named) {
            for (name, value) in file.attributes() {
                scope.define(format!("var.{name}"), file, value);
            }
        }
        scope
    }
}

/// The resources of a file.
fn resources(tree: &Node, module: &str, system: &mut System) {
    let kinds = tree.entries().filter(|(key, _)| *key == "resource").flat_map(|(_, kinds)| kinds.entries());
    for (kind, names) in kinds {
        for (name, values) in names.entries() {
            // What is repeated no times is not there.
            if values.get("count").and_then(Node::text) != Some("0") {
                let address = format!("{kind}.{name}");
                let id = reference::of(module, &address);
                add(&Resource { kind, address: &address, id: &id, module, values }, system);
            }
        }
    }
}
