//! `albeit status`: how a running load balancer is, for people and for scripts.

mod gauges;
mod text;

use std::{collections::BTreeMap, process::ExitCode};

use clap::Args;
use http::StatusCode;
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use self::gauges::Gauges;
use super::{
    api::{self, AdminArgs, Api, Finding, Index, Overrides, Problem, block_on},
    exit::Exit,
    say, show, target,
};

/// A certificate that expires sooner is a warning: renewal, which is usual at 30 days, has failed by then.
const EXPIRES_SOON_DAYS: i64 = 14;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Write it as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

/// How good or bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Health {
    /// As it should be.
    Ok,
    /// It needs a look.
    Warning,
    /// Something is broken.
    Error,
}

/// All of it. The names are those of the JSON, and stay.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Status {
    pub(super) health: Health,
    /// Why it is not ok, a sentence each.
    pub(super) problems: Vec<String>,
    address: String,
    version: Option<String>,
    start_time: Option<String>,
    uptime_seconds: Option<i64>,
    /// `ready`, `starting` or `draining`.
    phase: String,
    load_balancers: Vec<LoadBalancer>,
    target_groups: Vec<TargetGroup>,
    certificates: Vec<Certificate>,
    /// None if the load balancer does not tell.
    findings: Option<BTreeMap<String, usize>>,
    /// Resources that are not as the file says.
    overrides: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct LoadBalancer {
    load_balancer_name: String,
    #[serde(rename = "Type")]
    kind: String,
    listeners: Vec<Listener>,
    active_connection_count: Option<u64>,
    open_web_sockets: Option<u64>,
    active_flow_count: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listener {
    protocol: String,
    address: String,
    port: u16,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TargetGroup {
    target_group_name: String,
    health: Health,
    /// Whether a rule forwards to it.
    in_use: bool,
    targets: Vec<Target>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    #[serde(flatten)]
    id: api::Id,
    state: String,
    reason: Option<String>,
    description: Option<String>,
    outstanding_requests: u64,
    /// What an operator said of its health.
    administrative_override: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Certificate {
    name: String,
    not_after: Option<String>,
    days_left: Option<i64>,
    in_use: bool,
}

/// Asks, and tells.
pub(super) fn status(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let status = Status::read(&args.admin.api()?).await?;
        if args.json {
            say(&serde_json::to_string_pretty(&status)?);
        } else {
            show(&text::text(&status));
        }
        Ok(status.health.exit().into())
    })
}

impl Health {
    /// The exit status that tells of it.
    pub(super) const fn exit(self) -> Exit {
        match self {
            Self::Ok => Exit::Done,
            Self::Warning => Exit::Warning,
            Self::Error => Exit::Error,
        }
    }
}

impl Status {
    /// Asks for all of it.
    ///
    /// # Errors
    /// When it does not answer as it should.
    pub(super) async fn read(api: &Api) -> Result<Self, Problem> {
        let now = OffsetDateTime::now_utc();
        let (_, phase) = api.read("/readyz").await?;
        let index: Index = api.get("/").await?;
        let start = index.start_time.as_deref().and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok());
        let used: Vec<api::TargetGroup> = api.all("/target-groups?PageSize=400", "TargetGroups").await?;
        let groups = target::groups(api).await?;
        let certificates: Vec<api::Certificate> =
            api.all("/certificates?PageSize=400", "Certificates").await?;
        let overrides: Overrides = api.get("/overrides").await?;
        let mut status = Self {
            health: Health::Ok,
            problems: Vec::new(),
            address: api.address().to_string(),
            version: index.version,
            start_time: index.start_time,
            uptime_seconds: start.map(|start| (now - start).whole_seconds().max(0)),
            phase: String::from_utf8_lossy(&phase).trim().to_owned(),
            load_balancers: load_balancers(api).await?,
            target_groups: groups.into_iter().map(|group| TargetGroup::new(group, &used)).collect(),
            certificates: certificates.into_iter().map(|it| Certificate::new(it, now)).collect(),
            findings: findings(api).await?,
            overrides: overrides.count(),
        };
        status.judge();
        Ok(status)
    }

    /// Fills in what is not ok.
    fn judge(&mut self) {
        let mut found: Vec<(Health, String)> = Vec::new();
        if self.phase != "ready" {
            found.push((Health::Warning, format!("it is {}", self.phase)));
        }
        for group in &mut self.target_groups {
            let problems = group.problems();
            group.health = problems.iter().map(|(health, _)| *health).max().unwrap_or(Health::Ok);
            found.extend(problems);
        }
        found.extend(self.certificates.iter().filter_map(Certificate::problem));
        self.health = found.iter().map(|(health, _)| *health).max().unwrap_or(Health::Ok);
        // What is worst comes first.
        found.sort_by_key(|(health, _)| std::cmp::Reverse(*health));
        self.problems = found.into_iter().map(|(_, text)| text).collect();
    }
}

impl TargetGroup {
    fn new(group: api::Group, used: &[api::TargetGroup]) -> Self {
        let of = used.iter().find(|it| it.target_group_arn == group.target_group_arn);
        Self {
            target_group_name: group.target_group_name,
            health: Health::Ok,
            in_use: of.is_some_and(|it| !it.load_balancer_arns.is_empty()),
            targets: group.targets.into_iter().map(Target::from).collect(),
        }
    }

    /// Draining is no problem: somebody wants it.
    fn problems(&self) -> Vec<(Health, String)> {
        if !self.in_use {
            return Vec::new();
        }
        let name = &self.target_group_name;
        let is_any = |state: &str| self.targets.iter().any(|target| target.state == state);
        let mut problems = Vec::new();
        if !is_any("healthy") && !is_any("initial") {
            problems.push((Health::Error, format!("target group {name} has no healthy target")));
        }
        for target in self.targets.iter().filter(|it| ["unhealthy", "initial"].contains(&it.state.as_str())) {
            let reason = target.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            problems
                .push((Health::Warning, format!("target {name}/{} is {}{reason}", target.id, target.state)));
        }
        problems
    }
}

impl From<api::Target> for Target {
    fn from(target: api::Target) -> Self {
        let forced = target.administrative_override.filter(|it| it.state != "no_override");
        Self {
            id: target.target,
            state: target.target_health.state,
            reason: target.target_health.reason,
            description: target.target_health.description,
            outstanding_requests: target.outstanding_requests,
            administrative_override: forced.map(|forced| forced.state),
        }
    }
}

impl Certificate {
    fn new(certificate: api::Certificate, now: OffsetDateTime) -> Self {
        let end =
            certificate.not_after.as_deref().and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok());
        Self {
            name: certificate.name.unwrap_or_default(),
            // Rounded down, so that what has expired is below 0.
            days_left: end.map(|end| (end - now).whole_seconds().div_euclid(86_400)),
            not_after: certificate.not_after,
            in_use: !certificate.listeners.is_empty(),
        }
    }

    fn problem(&self) -> Option<(Health, String)> {
        let name = &self.name;
        match self.days_left? {
            _ if !self.in_use => None,
            ..0 => Some((Health::Error, format!("certificate {name} has expired"))),
            days @ 0..EXPIRES_SOON_DAYS => {
                Some((Health::Warning, format!("certificate {name} expires in {days} days")))
            }
            _ => None,
        }
    }
}

async fn load_balancers(api: &Api) -> Result<Vec<LoadBalancer>, Problem> {
    let all: Vec<api::LoadBalancer> = api.all("/load-balancers?PageSize=400", "LoadBalancers").await?;
    let listeners: Vec<api::Listener> = api.all("/listeners?PageSize=400", "Listeners").await?;
    let (_, metrics) = api.read("/metrics").await?;
    let gauges = Gauges::read(&String::from_utf8_lossy(&metrics));
    let with_listeners = all.into_iter().map(|load_balancer| {
        let arn = &load_balancer.load_balancer_arn;
        let own = listeners.iter().filter(|listener| listener.load_balancer_arn == *arn);
        let listeners = own.map(|listener| Listener {
            protocol: listener.protocol.clone(),
            address: listener.address.clone(),
            port: listener.port,
        });
        LoadBalancer {
            listeners: listeners.collect(),
            active_connection_count: gauges.of("albeit_active_connection_count", arn),
            open_web_sockets: gauges.of("albeit_open_websockets", arn),
            active_flow_count: gauges.of("albeit_network_active_flow_count", arn),
            load_balancer_name: load_balancer.load_balancer_name,
            kind: load_balancer.kind,
        }
    });
    Ok(with_listeners.collect())
}

/// How many there are of each severity; `None` if this load balancer does not know.
async fn findings(api: &Api) -> Result<Option<BTreeMap<String, usize>>, Problem> {
    const PATH: &str = "/findings?PageSize=400";
    if api.read(PATH).await?.0 == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let mut counts = BTreeMap::new();
    for Finding { severity } in api.all::<Finding>(PATH, "Findings").await? {
        *counts.entry(severity).or_default() += 1;
    }
    Ok(Some(counts))
}

#[cfg(test)]
mod tests;
