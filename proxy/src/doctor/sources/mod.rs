//! Where settings come from: one file for each kind of document.
//!
//! A source takes the trees of a document and adds what it understands to the
//! [`System`]; it passes over the rest in silence, since these files are not
//! ours. Which source reads a file is told by its content.

mod albeit;
pub mod aws;
mod backend;
mod command;
mod compose;
mod ecs;
mod merge;
mod node;
mod properties;
mod python;
mod resolve;
mod runtime;
mod spring;
mod terraform;
mod units;
mod web_socket;

pub use self::aws::resources::Resources;

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

use thiserror::Error;

use super::{
    document::{self, Node, SyntaxError},
    system::System,
};
use crate::config;

/// The largest file that is read, in bytes: descriptions of whole accounts are long.
pub const LARGEST_FILE: u64 = 64 * 1024 * 1024;

/// A file that the doctor cannot use.
#[derive(Debug, Error)]
pub enum SourceError {
    /// It cannot be read.
    #[error("{file}: cannot be read")]
    Unreadable {
        /// The file as it was named to us.
        file: Arc<str>,
        /// Why.
        source: io::Error,
    },
    /// It is too large.
    #[error("{file}: is larger than {LARGEST_FILE} bytes")]
    TooLarge {
        /// The file as it was named to us.
        file: Arc<str>,
    },
    /// It is not what its name says.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// A configuration of ours with mistakes.
    #[error(transparent)]
    Config(#[from] config::ConfigErrors),
    /// It holds nothing that any source understands.
    #[error(
        "{file}: is neither a configuration of Albeit or albeit-backend, nor an application.yml or .properties \
         of Spring, a compose file, an ECS task definition, Terraform, or JSON of `aws elbv2 describe-*`"
    )]
    Unknown {
        /// The file as it was named to us.
        file: Arc<str>,
    },
}

/// Reads files and ties together what they say of the same thing. `env` looks up environment variables.
///
/// # Errors
/// What is wrong with each of the files that cannot be used.
pub fn read_all<'a>(
    paths: impl IntoIterator<Item = &'a Path>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<System, Vec<SourceError>> {
    let mut system = System::default();
    let errors: Vec<_> = paths.into_iter().filter_map(|path| read(path, env, &mut system).err()).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    resolve(&mut system, env);
    Ok(system)
}

/// What can be done only when every file is read: ties together what they say of the same thing, and understands
/// configuration and environment of applications. Due once.
pub fn resolve(system: &mut System, env: &dyn Fn(&str) -> Option<String>) {
    aws::tie::tie(system);
    merge::merge(system);
    system.notes.sort();
    resolve::resolve(system, env);
}

/// Reads a file, or a directory of Terraform's, and adds what it says to `system`; [`resolve`] is due when all are read.
///
/// # Errors
/// The file cannot be read, or is of no kind that is known.
pub fn read(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    system: &mut System,
) -> Result<(), SourceError> {
    if path.is_dir() {
        return terraform::read_directory(path, system);
    }
    let file: Arc<str> = path.display().to_string().into();
    let text = read_text(path, &file)?;
    add(&file, &text, path, env, system)
}

/// Takes what a running balancer goes by: its configuration with `overrides` on top. `env` looks up environment
/// variables.
///
/// # Errors
/// The configuration has mistakes, or a file that it names about its targets cannot be read.
pub fn read_in_force(
    source: &config::Source,
    overrides: &config::Overrides,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<System, SourceError> {
    let (file, text): (Arc<str>, _) = (source.file_name().into(), source.text());
    let path = Path::new(source.file_name());
    let document = Document { file: &file, path, text, trees: trees(&file, text, path)?, env, tied_to: &[] };
    let mut system = System::default();
    albeit::read_with(&document, overrides, &mut system)?;
    resolve(&mut system, env);
    Ok(system)
}

/// Takes what a text says.
fn add(
    file: &Arc<str>,
    text: &str,
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    system: &mut System,
) -> Result<(), SourceError> {
    let document = Document { file, path, text, trees: trees(file, text, path)?, env, tied_to: &[] };
    if albeit::read(&document, system)? { Ok(()) } else { by_source(&document, system) }
}

/// Reads a file that a configuration of ours names, about the targets of a group. It is no such configuration itself.
fn read_declared(
    path: &Path,
    group: &str,
    env: &dyn Fn(&str) -> Option<String>,
    system: &mut System,
) -> Result<(), SourceError> {
    let file: Arc<str> = path.display().to_string().into();
    let text = read_beside(path, &file)?;
    let tied_to = [group.to_owned()];
    let trees = trees(&file, &text, path)?;
    by_source(&Document { file: &file, path, text: &text, trees, env, tied_to: &tied_to }, system)
}

/// Reads a file that another one names, or that lies beside it. Nothing but a file: a pipe might never end.
fn read_beside(path: &Path, file: &Arc<str>) -> Result<String, SourceError> {
    let unreadable = |source| SourceError::Unreadable { file: Arc::clone(file), source };
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::other("is no file")));
    }
    read_text(path, file)
}

fn read_text(path: &Path, file: &Arc<str>) -> Result<String, SourceError> {
    let unreadable = |source| SourceError::Unreadable { file: Arc::clone(file), source };
    let mut text = String::new();
    let opened = fs::File::open(path).map_err(unreadable)?;
    let length = opened.take(LARGEST_FILE + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(length).is_ok_and(|length| length <= LARGEST_FILE) {
        Ok(text)
    } else {
        Err(SourceError::TooLarge { file: Arc::clone(file) })
    }
}

/// A file, as text and as trees.
struct Document<'a> {
    /// The file as it was named to us.
    file: &'a Arc<str>,
    /// Where it lies.
    path: &'a Path,
    /// Its text.
    text: &'a str,
    /// Its values: of YAML one tree for each document of the file.
    trees: Vec<Node>,
    /// Looks up environment variables.
    env: &'a dyn Fn(&str) -> Option<String>,
    /// Target groups that the applications in it are tied to.
    tied_to: &'a [String],
}

/// Adds what a document says, if it is of the source's kind: says whether it is.
type Source = fn(&Document<'_>, &mut System) -> Result<bool, SourceError>;

/// All sources but our own configuration, which may name files for them; the first that knows a document reads it.
const SOURCES: &[Source] = &[
    terraform::read_file,
    terraform::read_show,
    aws::read,
    ecs::read,
    compose::read,
    backend::read,
    spring::read,
];

/// Finds out what a file is and has its source read it.
fn by_source(document: &Document<'_>, system: &mut System) -> Result<(), SourceError> {
    for source in SOURCES {
        if source(document, system)? {
            return Ok(());
        }
    }
    Err(SourceError::Unknown { file: Arc::clone(document.file) })
}

/// The values of a file, whose language its name tells; JSON is read as YAML if it is none by the letter.
fn trees(file: &Arc<str>, text: &str, path: &Path) -> Result<Vec<Node>, SyntaxError> {
    match path.extension().and_then(|extension| extension.to_str()) {
        // Expressions need the other files of the directory: the source itself makes trees of them.
        Some("tf" | "tfvars") => Ok(Vec::new()),
        Some("properties") => document::properties(file, text),
        // JSON is read as YAML if it is none by the letter.
        _ if text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']) => {
            document::json(file, text).or_else(|error| document::yaml(file, text).map_err(|_| error))
        }
        _ => document::yaml(file, text),
    }
}

/// Notes a value where there is none yet: what was said directly counts more than what follows from other settings.
fn fill<T>(field: &mut Option<T>, value: Option<T>) {
    if field.is_none() {
        *field = value;
    }
}

#[cfg(test)]
mod tests;
