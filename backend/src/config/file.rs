//! From a file to settings, and why there are none.

use std::path::{Path, PathBuf};

use super::{Config, spring};

/// Largest configuration file that is read, in bytes: a guard against a wrong
/// path and against YAML alias expansion.
const FILE_LIMIT: u64 = 1 << 20;

/// A configuration as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Keys of Spring or of an application that mean nothing here, in the order
    /// of the alphabet.
    pub ignored: Vec<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is larger than any configuration is.
    #[error("{}: larger than {FILE_LIMIT} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A key is unknown, or a value is of the wrong type.
    #[error("{}: {key}: {message}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The YAML path of the value.
        key: String,
        /// What is wrong, with line and column.
        message: String,
    },
    /// Values that cannot be served; one line each.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

impl Config {
    /// Reads a YAML file: our own, or Spring Boot's `application.yml`. Does not
    /// [`validate`](Self::validate).
    ///
    /// # Errors
    ///
    /// The file cannot be read, or does not parse.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::load(path).map(|loaded| loaded.config)
    }

    /// Reads a YAML file and tells what of it means nothing here. A file is
    /// Spring's when it is named `application*.yml` or has a key `spring`.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or does not parse.
    pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_LIMIT {
            return Err(ConfigError::TooLarge { path: path.to_owned() });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        if spring::is_spring(&text, path) {
            return spring::parse(&text, path, &|name| std::env::var(name).ok());
        }
        Ok(Loaded { config: Self::parse(&text, path)?, ignored: Vec::new() })
    }

    /// Parses YAML; `file` is only named in errors. An empty text is the
    /// default.
    ///
    /// # Errors
    ///
    /// The first unknown key or malformed value.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let blank = |line: &str| {
            let line = line.trim();
            line.is_empty() || line.starts_with('#') || line == "---"
        };
        if text.lines().all(blank) {
            return Ok(Self::default());
        }
        serde_path_to_error::deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| {
            let key = error.path().to_string();
            let message = without_path(&error.inner().to_string(), &key).to_owned();
            ConfigError::Malformed { file: file.to_owned(), key, message }
        })
    }
}

/// The message without the path that the YAML parser puts before it: the key
/// or the mapping that holds it.
fn without_path<'a>(message: &'a str, key: &str) -> &'a str {
    let holder = key.rsplit_once('.').map_or("", |(holder, _)| holder);
    [key, holder]
        .into_iter()
        .find_map(|path| message.strip_prefix(path)?.strip_prefix(": "))
        .unwrap_or(message)
}
