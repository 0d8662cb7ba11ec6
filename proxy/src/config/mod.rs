//! The configuration file: YAML to [`Model`].
//!
//! Four steps, each of which reports all it finds: text to a tree with places
//! (`document`), environment variables on the way (`environment`), tree to raw
//! structs (`decode`, `raw`), raw structs to the model. Every mistake has its
//! path, line and column, and all are reported at once. What a later version
//! will have is checked and then refused as "not supported yet"; nothing is
//! silently ignored.
//!
//! Only the converted model leaves this module. Certificates and keys are
//! looked for here, but read by those who use them.

mod action;
mod authenticate;
mod condition;
mod condition_value;
mod context;
mod decode;
mod document;
mod environment;
mod error;
mod health_check;
mod listener;
mod load_balancer;
mod mutual_authentication;
mod path;
mod protocol;
mod raw;
mod redirect;
mod scalar;
mod summary;
mod target_group;
mod transform;
mod whole;

#[cfg(test)]
mod tests;

use std::{fs::File, io::Read, path::Path as FilePath};

use self::error::Report;
use crate::model::Model;

pub use self::{
    error::{ConfigErrors, Mistake, Places, Position},
    summary::summary,
};

/// Reads a duration with its unit, such as `30s`, `5m` or `500ms`; `None` if it is none.
#[must_use]
pub fn duration(text: &str) -> Option<std::time::Duration> {
    scalar::duration(text)
}

/// The largest file that is read, in bytes.
pub const LARGEST_FILE: u64 = 4 * 1024 * 1024;

/// A configuration that is consistent.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What the file describes.
    pub model: Model,
    /// What is accepted but probably not meant, sorted by place.
    pub warnings: Vec<Mistake>,
    /// Where its settings stand.
    pub places: Places,
}

/// Reads and checks the configuration file at `path`; `env` looks up environment variables.
///
/// # Errors
/// The file cannot be read, or has mistakes: all of them.
pub fn load(path: &FilePath, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, ConfigErrors> {
    let file = path.display().to_string();
    let text = read(path).map_err(|message| ConfigErrors::whole_file(&file, message))?;
    parse(&text, path.parent().unwrap_or_else(|| FilePath::new("")), &file, env)
}

/// Checks a configuration given as text. Paths in it are relative to `base_dir`; `file_name` stands in messages.
///
/// # Errors
/// The text has mistakes: all of them.
pub fn parse(
    text: &str,
    base_dir: &FilePath,
    file_name: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, ConfigErrors> {
    let mut report = Report::default();
    let model = document::read(text, env, &mut report)
        .and_then(|tree| decode::decode(tree, &mut report))
        .and_then(|raw| whole::convert(raw, base_dir, &mut report));
    let (warnings, places) = report.finish(file_name)?;
    model
        .map(|model| Loaded { model, warnings, places })
        .ok_or_else(|| ConfigErrors::whole_file(file_name, "is empty".to_owned()))
}

/// The text of the file, which may be a pipe that never ends.
fn read(path: &FilePath) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_string(&mut text));
    match read {
        Ok(length) if u64::try_from(length).is_ok_and(|length| length <= LARGEST_FILE) => Ok(text),
        Ok(_) => Err(format!("is larger than {LARGEST_FILE} bytes")),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}
