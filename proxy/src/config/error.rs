//! Mistakes with their place, gathered so that all of them are shown at once.

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    fmt,
};

use super::path::Path;

/// A place in the text; both numbers start at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// One mistake, or one warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where in the file; `None` if the file could not be read.
    pub position: Option<Position>,
    /// The setting's path, such as `load_balancers[0].listeners[0].port`; empty for the file as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl Mistake {
    /// `FILE:LINE:COLUMN: PATH: MESSAGE` in one line, without control characters.
    #[must_use]
    pub fn in_file(&self, file: &str) -> String {
        let place = self.position.map(|at| format!(":{}:{}", at.line, at.column)).unwrap_or_default();
        let separator = if self.path.is_empty() { "" } else { ": " };
        let line = format!("{file}{place}: {}{separator}{}", self.path, self.message);
        line.chars()
            .flat_map(|c| {
                let escaped = c.is_control().then(|| c.escape_default());
                let plain = (!c.is_control()).then_some(c);
                escaped.into_iter().flatten().chain(plain)
            })
            .collect()
    }
}

/// Everything that is wrong with a configuration file.
///
/// Displayed as one mistake a line, sorted by place, and a last line with their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    file: String,
    mistakes: Vec<Mistake>,
}

impl ConfigErrors {
    /// The mistakes, sorted by place. Never empty.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// Mistakes of `file`, in the order of their places.
    #[must_use]
    pub fn new(file: &str, mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by_key(|mistake| mistake.position);
        Self { file: file.to_owned(), mistakes }
    }

    /// The file as a whole is at fault.
    pub(super) fn whole_file(file: &str, message: String) -> Self {
        Self {
            file: file.to_owned(),
            mistakes: vec![Mistake { position: None, path: String::new(), message }],
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.mistakes {
            writeln!(f, "{}", mistake.in_file(&self.file))?;
        }
        let plural = if self.mistakes.len() == 1 { "" } else { "s" };
        write!(f, "{} error{plural} in {}", self.mistakes.len(), self.file)
    }
}

impl Error for ConfigErrors {}

/// Where each setting of a file stands, for mistakes that show only when what it names is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    file: String,
    positions: HashMap<String, Position>,
}

impl Places {
    /// The file's name, as it stands in messages.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Where the setting at `path` stands, such as `load_balancers[0].listeners[0].port`; `None` if the file does
    /// not have it.
    #[must_use]
    pub fn position(&self, path: &str) -> Option<Position> {
        self.positions.get(path).copied()
    }

    /// A mistake of the setting at `path`, such as `certificates[0].private_key`.
    #[must_use]
    pub fn mistake(&self, path: String, message: String) -> Mistake {
        Mistake { position: self.positions.get(&path).copied(), path, message }
    }
}

/// Gathers mistakes and warnings, and knows where each path stands in the text.
#[derive(Debug, Default)]
pub(super) struct Report {
    positions: HashMap<String, Position>,
    mistakes: Vec<Mistake>,
    /// The paths of the mistakes.
    reported: HashSet<String>,
    /// The paths of settings that the file does not say.
    overridden: HashSet<String>,
    warnings: Vec<Mistake>,
}

impl Report {
    /// Notes where a path stands.
    pub(super) fn place(&mut self, at: &Path, position: Position) {
        self.positions.insert(at.to_string(), position);
    }

    /// Notes that a setting was changed at run time: mistakes and warnings about it say so.
    pub(super) fn overridden(&mut self, at: &Path) {
        self.overridden.insert(at.to_string());
    }

    /// Adds a mistake.
    pub(super) fn mistake(&mut self, at: &Path, message: impl Into<String>) {
        let mistake = self.at(at, &message.into());
        self.reported.insert(mistake.path.clone());
        self.mistakes.push(mistake);
    }

    /// Adds a mistake at a place in the text that has no path of its own.
    pub(super) fn mistake_at(&mut self, position: Position, at: &Path, message: impl Into<String>) {
        let mistake = Mistake { position: Some(position), path: at.to_string(), message: message.into() };
        self.reported.insert(mistake.path.clone());
        self.mistakes.push(mistake);
    }

    /// Adds "is missing", unless something was reported about the path already.
    pub(super) fn missing(&mut self, at: &Path) {
        if !self.is_reported(at) {
            self.mistake(at, "is missing");
        }
    }

    /// Adds a refusal of a feature that a later version will have.
    pub(super) fn not_yet(&mut self, at: &Path, what: &str) {
        self.mistake(at, format!("not supported yet: {what}"));
    }

    /// Adds a warning: the file is accepted all the same.
    pub(super) fn warn(&mut self, at: &Path, message: impl Into<String>) {
        let warning = self.at(at, &message.into());
        self.warnings.push(warning);
    }

    /// Whether a mistake was added for exactly this path.
    pub(super) fn is_reported(&self, at: &Path) -> bool {
        self.reported.contains(&at.to_string())
    }

    /// Whether a mistake was added for an entry of the map at this path.
    pub(super) fn is_reported_within(&self, at: &Path) -> bool {
        let prefix = at.key("").to_string();
        self.reported.iter().any(|path| path.starts_with(&prefix))
    }

    /// The warnings and where each setting stands, or everything that is wrong.
    pub(super) fn finish(mut self, file: &str) -> Result<(Vec<Mistake>, Places), ConfigErrors> {
        if !self.mistakes.is_empty() {
            return Err(ConfigErrors::new(file, self.mistakes));
        }
        self.warnings.sort_by_key(|warning| warning.position);
        Ok((self.warnings, Places { file: file.to_owned(), positions: self.positions }))
    }

    fn at(&self, at: &Path, message: &str) -> Mistake {
        let position = at.and_parents().find_map(|path| self.positions.get(path)).copied();
        let path = at.to_string();
        let source = if self.overridden.contains(&path) { " (set through the admin API)" } else { "" };
        Mistake { position, path, message: format!("{message}{source}") }
    }
}
