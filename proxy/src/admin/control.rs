//! The seam to what the admin API acts on: the composition root, which is above it.

use std::sync::Arc;

use crate::{
    config::{GivenAttributes, Mistake, Overrides, Places, Source, TargetOverrides},
    model::{Model, Target},
    tls::certificates::LoadedCertificate,
};

use super::access::Token;

/// The configuration in force, with what was changed at run time.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The file's text.
    pub source: Source,
    /// File and overrides together.
    pub model: Arc<Model>,
    /// The attributes of every resource as they were given.
    pub attributes: Arc<GivenAttributes>,
    /// Where the file's settings stand.
    pub places: Arc<Places>,
    /// The certificates, by their index in the model.
    pub certificates: Vec<Arc<LoadedCertificate>>,
    /// What actions need.
    pub token: Option<Token>,
    /// What is not as the file says.
    pub overrides: Overrides,
}

/// A change that was not made: nothing is different from before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// Why.
    pub message: String,
    /// The mistakes of the configuration that would have come of it.
    pub mistakes: Vec<Mistake>,
}

impl Refused {
    /// Refused for one reason.
    #[must_use]
    pub const fn because(message: String) -> Self {
        Self { message, mistakes: Vec::new() }
    }
}

/// A change of a group's targets, which may be refused half-way: nothing is different then.
pub type TargetChange<'c> = dyn FnMut(&mut TargetOverrides, &mut Vec<Target>) -> Result<(), Refused> + 'c;

/// What actions change. Each waits for the one before, and either takes effect as a whole or not at all.
///
/// Blocks while files are read, and must be called within a Tokio runtime.
pub trait Control: std::fmt::Debug + Send + Sync + 'static {
    /// The configuration in force.
    fn in_force(&self) -> Arc<InForce>;

    /// Reads the file and what it names again, as SIGHUP does; overrides stay on top. The warnings.
    ///
    /// # Errors
    /// When file and overrides together cannot be served.
    fn reload(&self) -> Result<Vec<String>, Refused>;

    /// Changes the overrides of attributes. The file's text is the one in force, whatever the file says now.
    ///
    /// # Errors
    /// When the result cannot be served.
    fn change_attributes(&self, change: &dyn Fn(&mut Overrides)) -> Result<(), Refused>;

    /// Changes the targets of a group; reads no file.
    ///
    /// # Errors
    /// When there is no such group, or `change` refuses.
    fn change_targets(&self, target_group: &str, change: &mut TargetChange<'_>) -> Result<(), Refused>;
}
