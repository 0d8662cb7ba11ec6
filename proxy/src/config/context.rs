//! What every conversion shares: the report, the file's directory, the names that can be referred to.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path as FilePath, PathBuf},
    time::Duration,
};

use super::{
    GivenAttributes, NamedFiles,
    error::Report,
    load_balancer_target::{KnownLoadBalancer, Wanted},
    path::Path,
    protocol::{self, Protocol},
    raw::RawAttributes,
    scalar::{Number, Span, Text},
    targets_declare::TargetsDeclare,
};
use crate::model::{
    CertificateIndex, TargetGroupIndex, TargetType, TrustStoreIndex,
    arn::Scope,
    attributes::{AttributeValues, Support},
    target_group::{ProtocolVersion, Stickiness},
};

/// A target group that rules can refer to.
#[derive(Debug, Default)]
pub(super) struct KnownGroup {
    /// Its name, if it has one.
    pub(super) name: Option<String>,
    /// Its protocol, if that is valid.
    pub(super) protocol: Option<Protocol>,
    /// Its protocol version, if that is valid.
    pub(super) version: Option<ProtocolVersion>,
    /// What kind of targets it has.
    pub(super) target_type: TargetType,
    /// How many targets it has.
    pub(super) targets: usize,
    /// The load balancer that uses it.
    pub(super) used_by: Option<String>,
    /// Its stickiness, if that is on.
    pub(super) stickiness: Option<Stickiness>,
}

/// Shared by all conversions of one file.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) report: &'a mut Report,
    pub(super) base: &'a FilePath,
    /// Whether the files that it names must be there.
    pub(super) named_files: NamedFiles,
    pub(super) scope: Scope,
    pub(super) certificates: Vec<Option<String>>,
    pub(super) trust_stores: Vec<Option<String>>,
    pub(super) groups: Vec<KnownGroup>,
    /// Every load balancer, once it was converted.
    pub(super) load_balancers: Vec<KnownLoadBalancer>,
    /// Targets of type `alb`, which may stand before the load balancers they name.
    pub(super) wanted: Vec<Wanted>,
    /// The attributes of every resource.
    pub(super) given: &'a mut GivenAttributes,
    /// What is said of the targets of each target group.
    pub(super) targets_declare: &'a mut BTreeMap<usize, TargetsDeclare>,
    /// Sockets wanted so far, with the paths of the settings that want them.
    pub(super) sockets: Vec<(SocketAddr, String)>,
}

impl Context<'_> {
    /// The text of a setting that must be there.
    pub(super) fn required(&mut self, raw: Option<Text>, at: &Path) -> Option<String> {
        match raw {
            Some(Text(text)) if text.is_empty() => {
                self.report.mistake(at, "must not be empty");
                None
            }
            Some(Text(text)) => Some(text),
            None => {
                self.report.missing(at);
                None
            }
        }
    }

    /// One of the words of `table`.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        text: &str,
        at: &Path,
        what: &str,
        table: &[(&str, T)],
    ) -> Option<T> {
        let found = table.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let words: Vec<_> = table.iter().map(|(word, _)| *word).collect();
            self.report.mistake(at, format!("{what} '{text}' must be one of '{}'", words.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// A number in a range, both ends included.
    pub(super) fn in_range(
        &mut self,
        Number(number): Number,
        at: &Path,
        what: &str,
        (min, max): (u16, u16),
    ) -> Option<u16> {
        let checked = u16::try_from(number).ok().filter(|number| (min..=max).contains(number));
        if checked.is_none() {
            let message = format!("{what} '{number}' must be between '{min}-{max}' inclusive");
            self.report.mistake(at, message);
        }
        checked
    }

    /// A whole number of seconds in a range, both ends included.
    pub(super) fn seconds(
        &mut self,
        Span(span): Span,
        at: &Path,
        what: &str,
        (min, max): (u64, u64),
    ) -> Option<Duration> {
        let seconds = span.as_secs();
        let message = if span.subsec_nanos() != 0 {
            format!("{what} must be a whole number of seconds")
        } else if !(min..=max).contains(&seconds) {
            format!("{what} '{seconds}' must be between '{min}-{max}' seconds inclusive")
        } else {
            return Some(span);
        };
        self.report.mistake(at, message);
        None
    }

    /// A port: 1–65535.
    pub(super) fn port(&mut self, number: Number, at: &Path) -> Option<u16> {
        self.in_range(number, at, "port", (1, u16::MAX))
    }

    /// A name of a load balancer, target group or trust store.
    ///
    /// ELB: up to 32 letters, digits and hyphens, no hyphen first or last.
    pub(super) fn name(&mut self, raw: Option<Text>, at: &Path, what: &str) -> Option<String> {
        const LONGEST: usize = 32;
        let name = self.required(raw, at)?;
        let message = if name.chars().count() > LONGEST {
            format!("{what} name '{name}' cannot be longer than '{LONGEST}' characters")
        } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            format!("{what} name '{name}' can only contain letters, digits and hyphens")
        } else if name.starts_with('-') || name.ends_with('-') {
            format!("{what} name '{name}' cannot begin or end with a hyphen")
        } else {
            return Some(name);
        };
        self.report.mistake(at, message);
        None
    }

    /// A file that must exist, if files are [`NamedFiles::Here`]; its path is relative to the configuration file.
    pub(super) fn file(&mut self, raw: Option<Text>, at: &Path) -> Option<PathBuf> {
        let path = self.base.join(self.required(raw, at)?);
        let Some(problem) = self.problem(&path) else { return Some(path) };
        self.report.mistake(at, problem);
        None
    }

    /// A file that nothing needs to run; a warning says so where it is missing.
    pub(super) fn description(&mut self, raw: Option<Text>, at: &Path) -> Option<PathBuf> {
        let path = self.base.join(self.required(raw, at)?);
        if let Some(problem) = self.problem(&path) {
            self.report.warn(at, problem);
        }
        Some(path)
    }

    /// Why a file cannot be used, if files are [`NamedFiles::Here`].
    fn problem(&self, path: &std::path::Path) -> Option<String> {
        if self.named_files == NamedFiles::Elsewhere {
            return None;
        }
        let problem = match std::fs::metadata(path) {
            Ok(file) if file.is_file() => return None,
            Ok(_) => "is not a file".to_owned(),
            Err(error) => error.to_string(),
        };
        Some(format!("cannot use {}: {problem}", path.display()))
    }

    /// The certificate with this name.
    pub(super) fn certificate(&mut self, name: &str, at: &Path) -> Option<CertificateIndex> {
        let known = &self.certificates;
        let found = known.iter().position(|known| known.as_deref() == Some(name));
        if found.is_none() {
            let have = have(known.iter().flatten());
            self.report.mistake(at, format!("no certificate \"{name}\" ({have})"));
        }
        found.map(CertificateIndex)
    }

    /// The trust store with this name.
    pub(super) fn trust_store(&mut self, name: &str, at: &Path) -> Option<TrustStoreIndex> {
        let known = &self.trust_stores;
        let found = known.iter().position(|known| known.as_deref() == Some(name));
        if found.is_none() {
            let have = have(known.iter().flatten());
            self.report.mistake(at, format!("no trust store \"{name}\" ({have})"));
        }
        found.map(TrustStoreIndex)
    }

    /// The target group with this name, for a listener of `load_balancer` that speaks `protocol`.
    pub(super) fn target_group(
        &mut self,
        name: &str,
        at: &Path,
        load_balancer: &str,
        protocol: Option<Protocol>,
    ) -> Option<TargetGroupIndex> {
        let found = self.groups.iter().position(|group| group.name.as_deref() == Some(name));
        let Some(index) = found else {
            let have = have(self.groups.iter().filter_map(|group| group.name.as_ref()));
            self.report.mistake(at, format!("no target group \"{name}\" ({have})"));
            return None;
        };
        let group = self.groups.get_mut(index)?;
        let user = group.used_by.get_or_insert_with(|| load_balancer.to_owned());
        if user != load_balancer {
            let message = format!("target group \"{name}\" is already used by load balancer \"{user}\"");
            self.report.mistake(at, message);
            return None;
        }
        if let Some(message) = protocol.and_then(|protocol| protocol::refusal(protocol, name, group)) {
            self.report.mistake(at, message);
            return None;
        }
        Some(TargetGroupIndex(index))
    }

    /// How many target groups `load_balancer` uses.
    pub(super) fn groups_of(&self, load_balancer: &str) -> usize {
        self.groups.iter().filter(|group| group.used_by.as_deref() == Some(load_balancer)).count()
    }

    /// The protocol version of a target group, if that is valid.
    pub(super) fn version(&self, TargetGroupIndex(index): TargetGroupIndex) -> Option<ProtocolVersion> {
        self.groups.get(index).and_then(|group| group.version)
    }

    /// Notes that the setting at `at` wants a socket; no other may want it too.
    pub(super) fn claim(&mut self, bind: SocketAddr, at: &Path) {
        match self.sockets.iter().find(|(other, _)| overlap(*other, bind)) {
            Some((other, first)) => {
                let message = format!("{bind} is already in use: {first} listens on {other}");
                self.report.mistake(at, message);
            }
            None => self.sockets.push((bind, at.to_string())),
        }
    }

    /// Checks attributes one by one; warns of those that change nothing.
    pub(super) fn attributes(&mut self, raw: RawAttributes, at: &Path, values: &mut AttributeValues) {
        for (key, value) in raw.unwrap_or_default() {
            let at = at.key(&key);
            let Some(Text(value)) = value else {
                if !self.report.is_reported(&at) {
                    self.report.mistake(&at, "needs a value");
                }
                continue;
            };
            match values.set(&key, &value) {
                Ok(attribute) => {
                    let default = attribute.default.of(values.kind());
                    if let Support::NoEffect(reason) = attribute.support
                        && value != default
                    {
                        self.report.warn(&at, format!("has no effect: {reason}"));
                    }
                }
                Err(error) => self.report.mistake(&at, error.to_string()),
            }
        }
        self.given.0.insert(at.to_string(), values.clone());
    }
}

/// Whether two sockets want the same port; an unspecified address covers every address of its family.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let covers = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.is_ipv4() == b.is_ipv4() && covers
}

/// `have: a, b`, or `there is none`.
pub(super) fn have<'n>(names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<_> = names.map(String::as_str).collect();
    if names.is_empty() { "there is none".to_owned() } else { format!("have: {}", names.join(", ")) }
}
