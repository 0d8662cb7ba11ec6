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
mod admin;
mod authenticate;
mod condition;
mod condition_value;
mod context;
mod decode;
mod document;
mod environment;
mod error;
mod forward;
mod health_check;
mod listener;
mod load_balancer;
mod load_balancer_target;
mod mutual_authentication;
mod network;
mod network_logs;
mod overrides;
mod path;
mod protocol;
mod proxy_protocol;
mod raw;
mod redirect;
mod scalar;
mod summary;
mod target_group;
mod targets_declare;
mod traces;
mod transform;
mod whole;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Read,
    path::{Path as FilePath, PathBuf},
};

use self::error::Report;
use crate::model::{Model, attributes::AttributeValues};

pub use self::{
    admin::{admin_bind, is_token},
    error::{ConfigErrors, Mistake, Places, Position},
    overrides::{AttributeOverrides, Overrides, TargetOverrides, target_id},
    summary::summary,
    targets_declare::TargetsDeclare,
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
    /// The attributes of every resource as they were given.
    pub attributes: GivenAttributes,
    /// What is said of the targets of each target group, by the group's place in the model; nothing that runs looks
    /// at it.
    pub targets_declare: BTreeMap<usize, TargetsDeclare>,
}

/// The attributes of every resource as they were given, by the resource's place in the model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenAttributes(HashMap<String, AttributeValues>);

impl GivenAttributes {
    /// Of a load balancer.
    #[must_use]
    pub fn load_balancer(&self, index: usize) -> Option<&AttributeValues> {
        self.0.get(&format!("load_balancers[{index}].attributes"))
    }

    /// Of a listener of a load balancer.
    #[must_use]
    pub fn listener(&self, load_balancer: usize, index: usize) -> Option<&AttributeValues> {
        self.0.get(&format!("load_balancers[{load_balancer}].listeners[{index}].attributes"))
    }

    /// Of a target group.
    #[must_use]
    pub fn target_group(&self, index: usize) -> Option<&AttributeValues> {
        self.0.get(&format!("target_groups[{index}].attributes"))
    }
}

/// The text of a configuration file, kept so that it can be converted again when an [`Overrides`] changes
/// without a look at a file that may have changed meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    text: String,
    base_dir: PathBuf,
    file_name: String,
    named_files: NamedFiles,
}

/// What is asked of the files that a configuration names: certificates, keys and the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NamedFiles {
    /// They must be there.
    Here,
    /// They lie on the machine that the configuration is for.
    Elsewhere,
}

impl Source {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(path: &FilePath) -> Result<Self, ConfigErrors> {
        let file = path.display().to_string();
        let text = read(path).map_err(|message| ConfigErrors::whole_file(&file, message))?;
        Ok(Self::from_text(&text, path.parent().unwrap_or_else(|| FilePath::new("")), &file))
    }

    /// A configuration given as text. Paths in it are relative to `base_dir`; `file_name` stands in messages.
    #[must_use]
    pub fn from_text(text: &str, base_dir: &FilePath, file_name: &str) -> Self {
        Self {
            text: text.to_owned(),
            base_dir: base_dir.to_owned(),
            file_name: file_name.to_owned(),
            named_files: NamedFiles::Here,
        }
    }

    /// The file's text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The file, as it stands in messages.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// The same of another machine: certificates and other files that it names are not looked for.
    #[must_use]
    pub fn of_another_machine(self) -> Self {
        Self { named_files: NamedFiles::Elsewhere, ..self }
    }

    /// Checks the configuration with `overrides` on top; `env` looks up environment variables.
    ///
    /// # Errors
    /// File and overrides together have mistakes: all of them.
    pub fn parse(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
        overrides: &Overrides,
    ) -> Result<Loaded, ConfigErrors> {
        let mut report = Report::default();
        let mut attributes = GivenAttributes::default();
        let mut targets_declare = BTreeMap::new();
        let model = document::read(&self.text, env, &mut report)
            .map(|mut tree| {
                overrides.apply_to_tree(&mut tree, &mut report);
                tree
            })
            .and_then(|tree| decode::decode(tree, &mut report))
            .and_then(|raw| {
                let beside =
                    whole::Beside { attributes: &mut attributes, targets_declare: &mut targets_declare };
                whole::convert(raw, (&self.base_dir, self.named_files), beside, &mut report)
            });
        let (warnings, places) = report.finish(&self.file_name)?;
        let Some(mut model) = model else {
            return Err(ConfigErrors::whole_file(&self.file_name, "is empty".to_owned()));
        };
        overrides.apply_to_model(&mut model);
        Ok(Loaded { model, warnings, places, attributes, targets_declare })
    }
}

/// Reads and checks the configuration file at `path`; `env` looks up environment variables.
///
/// # Errors
/// The file cannot be read, or has mistakes: all of them.
pub fn load(path: &FilePath, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, ConfigErrors> {
    Source::read(path)?.parse(env, &Overrides::default())
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
    Source::from_text(text, base_dir, file_name).parse(env, &Overrides::default())
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
