//! What the admin API answers, as far as commands look at it: unknown members are passed over, and what an
//! older load balancer does not tell is missing.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::cli) struct Index {
    pub(in crate::cli) version: Option<String>,
    pub(in crate::cli) start_time: Option<String>,
}

/// Of `/load-balancers`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cli) struct LoadBalancer {
    pub(in crate::cli) load_balancer_arn: String,
    pub(in crate::cli) load_balancer_name: String,
    #[serde(rename = "Type")]
    pub(in crate::cli) kind: String,
}

/// Of `/listeners`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cli) struct Listener {
    pub(in crate::cli) load_balancer_arn: String,
    pub(in crate::cli) protocol: String,
    pub(in crate::cli) address: String,
    pub(in crate::cli) port: u16,
}

/// Of `/target-groups`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cli) struct TargetGroup {
    pub(in crate::cli) target_group_arn: String,
    pub(in crate::cli) load_balancer_arns: Vec<String>,
}

/// Of `/targets`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cli) struct Group {
    pub(in crate::cli) target_group_name: String,
    pub(in crate::cli) target_group_arn: String,
    #[serde(rename = "TargetHealthDescriptions")]
    pub(in crate::cli) targets: Vec<Target>,
}

/// `TargetHealthDescription`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cli) struct Target {
    pub(in crate::cli) target: Id,
    pub(in crate::cli) target_health: TargetHealth,
    #[serde(default)]
    pub(in crate::cli) outstanding_requests: u64,
    pub(in crate::cli) administrative_override: Option<TargetHealth>,
}

/// `TargetDescription`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cli) struct Id {
    pub(in crate::cli) id: String,
    pub(in crate::cli) port: u16,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id.parse() {
            Ok(ip) => write!(f, "{}", std::net::SocketAddr::new(ip, self.port)),
            Err(_) => write!(f, "{}:{}", self.id, self.port),
        }
    }
}

/// A state with its reason.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cli) struct TargetHealth {
    pub(in crate::cli) state: String,
    pub(in crate::cli) reason: Option<String>,
    pub(in crate::cli) description: Option<String>,
}

/// Of `/certificates`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cli) struct Certificate {
    pub(in crate::cli) name: Option<String>,
    pub(in crate::cli) not_after: Option<String>,
    #[serde(default)]
    pub(in crate::cli) listeners: Vec<Value>,
}

/// Of `/findings`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cli) struct Finding {
    pub(in crate::cli) severity: String,
}

/// `/overrides`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::cli) struct Overrides {
    load_balancers: Vec<Value>,
    listeners: Vec<Value>,
    target_groups: Vec<Value>,
    targets: Vec<Value>,
    forced_health: Vec<Value>,
}

impl Overrides {
    /// How many resources are not as the file says.
    pub(in crate::cli) const fn count(&self) -> usize {
        self.load_balancers.len()
            + self.listeners.len()
            + self.target_groups.len()
            + self.targets.len()
            + self.forced_health.len()
    }
}

/// Of `/connections`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cli) struct Connection {
    pub(in crate::cli) client: String,
    pub(in crate::cli) protocol: String,
    pub(in crate::cli) web_socket_target: Option<Id>,
    pub(in crate::cli) age_seconds: f64,
    pub(in crate::cli) idle_seconds: f64,
    pub(in crate::cli) seconds_to_idle_timeout: f64,
    pub(in crate::cli) request_count: u64,
    pub(in crate::cli) received_bytes: u64,
    pub(in crate::cli) sent_bytes: u64,
}
