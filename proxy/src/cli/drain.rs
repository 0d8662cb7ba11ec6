//! `albeit drain`: takes a target out of service, and waits until it is empty.
//!
//! As with ELB, deregistration is complete once nothing is in flight, while the target is shown as draining until
//! the deregistration delay is over: nobody has to wait for that.

use std::process::ExitCode;

use clap::Args;

use super::{
    api::{AdminArgs, Group, Problem, block_on},
    complain,
    exit::Exit,
    say,
    target::{Place, Wanted, groups},
    wait::{WaitArgs, until},
};
use crate::doctor::report::visible;

/// Longer than the longest deregistration delay, an hour.
const LONGEST: u64 = 65 * 60;

#[derive(Debug, Args)]
pub(super) struct DrainArgs {
    /// The target: IP, IP:PORT, GROUP/IP:PORT, or GROUP/HOST of one that is registered by its name.
    #[arg(value_name = "TARGET", value_parser = Wanted::parse)]
    target: Wanted,
    #[command(flatten)]
    wait: WaitArgs<LONGEST>,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Deregisters a target.
pub(super) fn drain(args: &DrainArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let api = args.admin.api()?;
        let before = groups(&api).await?;
        let place = args.target.find(&before)?;
        api.post("/targets/deregister", &place.body()).await?;
        let after = groups(&api).await?;
        let leaving = leaving(&place, &before, &after)?;
        say(&visible(&format!("{place} drains")));
        let Some(deadline) = args.wait.deadline() else { return Ok(Exit::Done.into()) };
        let mut told = None;
        let gone = async || {
            let now = groups(&api).await?;
            let open = open(&leaving, &now)?;
            if let Some(open) = open.filter(|open| told.replace(*open) != Some(*open)) {
                complain(&visible(&format!("{place}: {open} in flight")));
            }
            Ok(open.is_none().then_some(()))
        };
        until(deadline, gone, || format!("{place} still drains: it is no longer waited for")).await?;
        say(&visible(&format!("{place} is empty")));
        Ok(Exit::Done.into())
    })
}

/// The targets that left service: of a host name those that the change took out.
fn leaving(place: &Place, before: &[Group], after: &[Group]) -> Result<Vec<Place>, Problem> {
    if !place.of(before).is_empty() {
        return Ok(vec![place.clone()]);
    }
    let in_service = |groups: &[Group]| -> Vec<Place> {
        let group = groups.iter().filter(|group| group.target_group_name == place.group);
        let targets = group.flat_map(|group| &group.targets);
        let targets = targets.filter(|target| target.target_health.state != "draining");
        targets
            .map(|target| Place {
                group: place.group.clone(),
                id: target.target.id.clone(),
                port: Some(target.target.port),
            })
            .collect()
    };
    let still = in_service(after);
    let left: Vec<Place> = in_service(before).into_iter().filter(|it| !still.contains(it)).collect();
    if left.is_empty() {
        return Err(Problem::Argument(format!("there is no target {place}")));
    }
    Ok(left)
}

/// What is in flight at the targets; `None` once they are empty or gone.
fn open(leaving: &[Place], now: &[Group]) -> Result<Option<u64>, Problem> {
    let mut open = 0;
    for place in leaving {
        for target in place.of(now) {
            match target.target_health.state.as_str() {
                "draining" => open += target.outstanding_requests,
                "unused" => {}
                _ => return Err(Problem::Reversed(format!("{place} was registered again"))),
            }
        }
    }
    Ok((open > 0).then_some(open))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn web(targets: &[(&str, &str, u64)]) -> Vec<Group> {
        let targets: Vec<Value> = targets
            .iter()
            .map(|(id, state, open)| {
                json!({
                    "Target": { "Id": id, "Port": 80 },
                    "TargetHealth": { "State": state },
                    "OutstandingRequests": open,
                })
            })
            .collect();
        let groups = json!([{
            "TargetGroupName": "web", "TargetGroupArn": "web", "TargetHealthDescriptions": targets,
        }]);
        serde_json::from_value(groups).unwrap()
    }

    fn place(id: &str, port: Option<u16>) -> Place {
        Place { group: "web".to_owned(), id: id.to_owned(), port }
    }

    #[test]
    fn a_host_name_stands_for_the_addresses_that_left() {
        let before =
            web(&[("10.0.0.1", "healthy", 0), ("10.0.0.2", "healthy", 0), ("10.0.0.3", "draining", 1)]);
        let after =
            web(&[("10.0.0.1", "healthy", 0), ("10.0.0.2", "draining", 2), ("10.0.0.3", "draining", 1)]);
        let host = place("backend", None);
        assert_eq!(leaving(&host, &before, &after).ok(), Some(vec![place("10.0.0.2", Some(80))]));
        assert!(leaving(&host, &after, &after).is_err());
    }

    #[test]
    fn it_is_over_when_nothing_is_in_flight() {
        let place = [place("10.0.0.2", Some(80))];
        let check = |groups: &[Group]| open(&place, groups).map_err(|error| error.exit());
        assert_eq!(check(&web(&[("10.0.0.2", "draining", 3)])), Ok(Some(3)));
        assert_eq!(check(&web(&[("10.0.0.2", "draining", 0)])), Ok(None));
        assert_eq!(check(&web(&[("10.0.0.2", "unused", 0)])), Ok(None));
        assert_eq!(check(&web(&[("10.0.0.1", "healthy", 1)])), Ok(None));
        assert_eq!(check(&web(&[("10.0.0.2", "initial", 0)])), Err(Exit::Failed));
    }
}
