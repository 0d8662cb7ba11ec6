//! Reports, as Spring Boot's actuator writes them.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;

use super::{Details, Health, Lifecycle, Registry, Status};

/// Spring's names of the states of the process, which are components too.
const LIVENESS_STATE: &str = "livenessState";
const READINESS_STATE: &str = "readinessState";

/// Always `UP`: somebody answers.
const PING: &str = "ping";

/// The checks that have an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check<'a> {
    /// `/health` and `/actuator/health`: what a balancer asks.
    Overall,
    /// `/actuator/health/readiness`.
    Readiness,
    /// `/actuator/health/liveness`. Depends on no component.
    Liveness,
    /// `/actuator/health/{component}`.
    Component(&'a str),
}

/// The answer to a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// 200, or 503 for `DOWN` and `OUT_OF_SERVICE`.
    pub code: StatusCode,
    /// JSON.
    pub body: String,
}

#[derive(Serialize)]
struct Composite<'a> {
    status: Status,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    components: BTreeMap<String, Health>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    groups: &'a [&'a str],
}

impl Registry {
    /// Answers a check; None if there is no such component.
    ///
    /// # Cancel safety
    ///
    /// As [`component`](Self::component).
    pub async fn report(&self, check: Check<'_>, lifecycle: &Lifecycle) -> Option<Report> {
        let ready = if lifecycle.draining().is_cancelled() { Status::OutOfService } else { Status::Up };
        match check {
            Check::Overall => {
                let mut components = self.components().await;
                components.insert(LIVENESS_STATE.to_owned(), Health::up());
                components.insert(READINESS_STATE.to_owned(), Health::new(ready));
                components.insert(PING.to_owned(), Health::up());
                Some(self.composite(self.overall(&components), components, &["liveness", "readiness"]))
            }
            Check::Readiness => {
                let mut components = BTreeMap::from([(READINESS_STATE.to_owned(), Health::new(ready))]);
                for name in &self.settings().readiness {
                    components.extend(self.component(name).await.map(|health| (name.clone(), health)));
                }
                let status = components.values().map(Health::status).min().unwrap_or(Status::Unknown);
                Some(self.composite(status, components, &[]))
            }
            Check::Liveness => {
                let components = BTreeMap::from([(LIVENESS_STATE.to_owned(), Health::up())]);
                Some(self.composite(Status::Up, components, &[]))
            }
            Check::Component(name) => {
                let health = match name {
                    PING | LIVENESS_STATE => Health::up(),
                    READINESS_STATE => Health::new(ready),
                    _ => self.component(name).await?,
                };
                let body = match self.settings().details {
                    Details::Hidden => health.bare(),
                    Details::Shown => health,
                };
                Some(Report { code: body.status().code(), body: json(&body) })
            }
        }
    }

    fn composite(&self, status: Status, components: BTreeMap<String, Health>, groups: &[&str]) -> Report {
        let body = match self.settings().details {
            Details::Hidden => Composite { status, components: BTreeMap::new(), groups: &[] },
            Details::Shown => Composite { status, components, groups },
        };
        Report { code: status.code(), body: json(&body) }
    }
}

/// The keys in the order of the fields, as Spring writes them.
pub(super) fn json(value: &impl Serialize) -> String {
    // All keys are strings: there is nothing to fail.
    serde_json::to_string(value).unwrap_or_default()
}
