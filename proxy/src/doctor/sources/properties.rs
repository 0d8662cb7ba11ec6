//! What holds for a key: command line, environment or files, with placeholders replaced.
//!
//! Spring Boot, "Externalized Configuration": arguments count more than
//! variables, these more than files; keys are relaxed, so that
//! `keepAliveTimeout` and `KEEP_ALIVE_TIMEOUT` are `keep-alive-timeout`.

#[cfg(test)]
mod tests;

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    command::words,
    units::{Unit, spring_duration},
};
use crate::doctor::{
    application::Application,
    configuration::{Configuration, Holds},
    setting::Setting,
};

/// Placeholders within placeholders that are followed, against circles.
const DEEPEST: usize = 16;
/// Placeholders of one application that are replaced at most: those that repeat each other could be without end.
const MOST_REPLACED: usize = 100_000;
/// The longest value that placeholders are replaced in or by, in bytes.
const LONGEST: usize = 64 * 1024;
/// Variables in which a JVM finds further arguments.
const JAVA_OPTIONS: [&str; 4] = ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "JAVA_OPTS", "CATALINA_OPTS"];

/// Looks up a variable of the environment in which the doctor runs.
pub(super) type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The settings of an application by their keys.
pub(super) struct Properties<'a> {
    /// By uniform key.
    arguments: HashMap<String, Setting<String>>,
    environment: BTreeMap<String, Setting<String>>,
    /// By uniform key.
    files: HashMap<String, Setting<String>>,
    variable: Variable<'a>,
    /// Placeholders that may still be replaced.
    left: Cell<usize>,
}

impl<'a> Properties<'a> {
    /// Those of a Spring application.
    pub(super) fn of(application: &Application, variable: Variable<'a>) -> Self {
        let mut properties = Self {
            arguments: arguments(application),
            environment: application.environment.clone(),
            files: HashMap::new(),
            variable,
            left: Cell::new(MOST_REPLACED),
        };
        if let Some(configuration) = &application.configuration {
            properties.read(configuration);
        }
        properties
    }

    /// Those of the files of an application alone, which looks for variables and flags of its own.
    pub(super) fn of_files(application: &Application, variable: Variable<'a>) -> Self {
        let mut properties = Self {
            arguments: HashMap::new(),
            environment: BTreeMap::new(),
            files: HashMap::new(),
            variable,
            left: Cell::new(MOST_REPLACED),
        };
        if let Some(configuration) = &application.configuration {
            properties.read(configuration);
        }
        properties
    }

    /// Lays a flag or variable over the files.
    pub(super) fn set(&mut self, key: &str, setting: Setting<String>) {
        self.arguments.insert(uniform(key), setting);
    }

    /// Takes in the documents that hold for the active profiles.
    fn read(&mut self, configuration: &Configuration) {
        let always = configuration.documents.iter().filter(|document| document.holds == Holds::Always);
        for (key, setting) in always.flat_map(|document| &document.properties) {
            self.files.insert(uniform(key), setting.clone());
        }
        let active = self.active_profiles();
        for document in &configuration.documents {
            let holds = match &document.holds {
                Holds::Always => true,
                Holds::OnProfile(expression) => matches(expression, &active),
                Holds::WithProfile(profile) => active.is_empty() || active.contains(profile),
            };
            for (key, setting) in document.properties.iter().filter(|_| holds) {
                self.files.insert(uniform(key), setting.clone());
            }
        }
    }

    /// The profiles that are active: those of the application, or those that the doctor's environment chooses.
    fn active_profiles(&self) -> Vec<String> {
        let named = self.text("spring.profiles.active").map(|setting| setting.value);
        let listed = |text: String| text.split(',').map(|name| name.trim().to_owned()).collect();
        let profiles: Vec<String> =
            named.or_else(|| (self.variable)("SPRING_PROFILES_ACTIVE")).map(listed).unwrap_or_default();
        profiles.into_iter().filter(|name| !name.is_empty()).collect()
    }

    /// What holds for a key in kebab case, placeholders and all.
    fn raw(&self, key: &str) -> Option<&Setting<String>> {
        let uniform = uniform(key);
        let [dense, spaced] = variables(key);
        self.arguments
            .get(&uniform)
            .or_else(|| self.environment.get(&dense))
            .or_else(|| self.environment.get(&spaced))
            .or_else(|| self.files.get(&uniform))
    }

    /// What holds for the first of some keys that anybody has set; with what cannot be resolved left as it is.
    pub(super) fn first(&self, keys: &[&str]) -> Option<Setting<String>> {
        let found = keys.iter().find_map(|key| self.raw(key))?;
        let value = self.resolve(&found.value, DEEPEST).unwrap_or_else(|| found.value.clone());
        Some(Setting { value, ..found.clone() })
    }

    /// The text of a key, if all of it is known.
    pub(super) fn text(&self, key: &str) -> Option<Setting<String>> {
        self.first(&[key]).filter(|setting| !setting.value.contains("${") && !setting.value.is_empty())
    }

    /// The first of some keys that is set, if it can be understood; `default` if none is.
    pub(super) fn understood<T>(
        &self,
        keys: &[&str],
        understand: impl FnOnce(&str) -> Option<T>,
        default: Option<Setting<T>>,
    ) -> Option<Setting<T>> {
        match self.first(keys) {
            Some(setting) => setting.filter_map(|text| understand(text.trim())),
            None => default,
        }
    }

    /// A duration, in milliseconds if it has no unit.
    pub(super) fn duration(
        &self,
        keys: &[&str],
        default: Option<Setting<Duration>>,
    ) -> Option<Setting<Duration>> {
        self.understood(keys, |text| spring_duration(text, Unit::Milliseconds), default)
    }

    /// The first setting below one of some keys, whatever it is.
    pub(super) fn below(&self, keys: &[&str]) -> Option<Setting<String>> {
        let is_below = |key: &str| {
            keys.iter().any(|above| {
                key.strip_prefix(uniform(above).as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            })
        };
        let variables: Vec<_> = keys.iter().flat_map(|key| variables(key)).collect();
        let is_below_variable = |name: &str| {
            variables.iter().any(|above| {
                name.strip_prefix(above.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
            })
        };
        let of_files = self.files.iter().filter(|(key, _)| is_below(key)).map(|(_, setting)| setting);
        let of_arguments = self.arguments.iter().filter(|(key, _)| is_below(key)).map(|(_, setting)| setting);
        let of_environment =
            self.environment.iter().filter(|(name, _)| is_below_variable(name)).map(|(_, setting)| setting);
        of_files
            .chain(of_arguments)
            .chain(of_environment)
            .min_by_key(|it| (it.place.clone(), it.key.clone()))
            .cloned()
    }

    /// Every setting of the files, in the order of their places, what is known of it resolved.
    pub(super) fn all_of_files(&self) -> Vec<Setting<String>> {
        let mut all: Vec<_> = self.files.values().filter_map(|it| self.first(&[it.key.as_ref()])).collect();
        all.sort_by(|a, b| (&a.place, &a.key).cmp(&(&b.place, &b.key)));
        all
    }

    /// Replaces `${name}` and `${name:default}`.
    fn resolve(&self, text: &str, depth: usize) -> Option<String> {
        let Some((before, rest)) = text.split_once("${") else { return Some(text.to_owned()) };
        let depth = depth.checked_sub(1)?;
        self.left.set(self.left.get().checked_sub(1)?);
        let (inside, after) = closed(rest)?;
        let (name, default) = match inside.split_once(':') {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let name = name.trim();
        let known =
            self.environment.get(name).or_else(|| self.raw(name)).map(|setting| setting.value.clone());
        let value = known.or_else(|| (self.variable)(name)).or_else(|| default.map(str::to_owned))?;
        let whole = format!("{before}{}{}", self.resolve(&value, depth)?, self.resolve(after, depth)?);
        (whole.len() <= LONGEST).then_some(whole)
    }
}

/// Splits at the brace that closes a placeholder.
fn closed(text: &str) -> Option<(&str, &str)> {
    let mut open = 0;
    let end = text.char_indices().find(|(_, c)| match c {
        '{' => {
            open += 1;
            false
        }
        '}' if open == 0 => true,
        '}' => {
            open -= 1;
            false
        }
        _ => false,
    })?;
    let (inside, rest) = text.split_at_checked(end.0)?;
    Some((inside, rest.strip_prefix('}')?))
}

/// `server.tomcat.keepAliveTimeout` as `server.tomcat.keepalivetimeout`, by which keys are the same.
pub(super) fn uniform(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
}

/// The variables of a key in kebab case: `SERVER_TOMCAT_KEEPALIVETIMEOUT` and, as in older versions,
/// `SERVER_TOMCAT_KEEP_ALIVE_TIMEOUT`.
fn variables(key: &str) -> [String; 2] {
    let name =
        |dash: &str| key.replace('-', dash).replace(['.', '['], "_").replace(']', "").to_ascii_uppercase();
    [name(""), name("_")]
}

/// `--key=value` of the application and `-Dkey=value` of the JVM; the former count more.
fn arguments(application: &Application) -> HashMap<String, Setting<String>> {
    let of_jvm: Vec<_> =
        JAVA_OPTIONS.iter().filter_map(|name| application.environment.get(*name).cloned()).collect();
    let mut found = HashMap::new();
    let words: Vec<_> = words(&of_jvm).into_iter().chain(words(&application.command)).collect();
    for start in ["-D", "--"] {
        for word in &words {
            if let Some((key, value)) = word.value.strip_prefix(start).and_then(|rest| rest.split_once('=')) {
                found.insert(uniform(key), Setting::new(value.to_owned(), key, value, word.place.clone()));
            }
        }
    }
    found
}

/// `prod`, `!prod`, `prod & eu`, `prod | test`; `&` binds first. Without any profile `default` is active.
fn matches(expression: &str, active: &[String]) -> bool {
    let is_active = |name: &str| {
        if active.is_empty() { name == "default" } else { active.iter().any(|profile| profile == name) }
    };
    let holds = |term: &str| match term.trim().strip_prefix('!') {
        Some(name) => !is_active(name.trim()),
        None => is_active(term.trim()),
    };
    expression.split(['|', ',']).any(|all| all.split('&').all(holds))
}
