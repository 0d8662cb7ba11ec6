//! `albeit register`: puts a target into service, and waits until it is healthy.

use std::process::ExitCode;

use clap::Args;

use super::{
    api::{AdminArgs, Group, Problem, block_on},
    complain,
    exit::Exit,
    say,
    target::{Wanted, groups},
    wait::{WaitArgs, until},
};
use crate::doctor::report::visible;

/// More than the slowest health check takes to make a target healthy, as a rule.
const LONGEST: u64 = 5 * 60;

#[derive(Debug, Args)]
pub(super) struct RegisterArgs {
    /// The target: GROUP/IP:PORT or GROUP/HOST:PORT. The port may be left out if the group has one, the group if
    /// there is only one.
    #[arg(value_name = "TARGET", value_parser = Wanted::parse)]
    target: Wanted,
    #[command(flatten)]
    wait: WaitArgs<LONGEST>,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Registers a target.
pub(super) fn register(args: &RegisterArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let api = args.admin.api()?;
        let before = groups(&api).await?;
        let place = args.target.place(&before)?;
        api.post("/targets/register", &place.body()).await?;
        say(&visible(&format!("{place} is registered")));
        let Some(deadline) = args.wait.deadline() else { return Ok(Exit::Done.into()) };
        let mut told = String::new();
        let healthy = async || {
            let now = groups(&api).await?;
            // Addresses of a host name are told from the others by being new.
            let found = place.of(&now);
            let states: Vec<&str> = if found.is_empty() {
                new(&place.group, &before, &now)
            } else {
                found.iter().map(|target| target.target_health.state.as_str()).collect()
            };
            // One of a group that no rule forwards to stays unused. One that still drains from before is there beside the new one.
            let states: Vec<&str> = states.into_iter().filter(|state| *state != "draining").collect();
            if !found.is_empty() && states.is_empty() {
                return Err(Problem::Reversed(format!("{place} was deregistered")));
            }
            let state = states.join(", ");
            if told != state {
                complain(&visible(&format!("{place}: {state}")));
                told = state;
            }
            let is_done =
                !states.is_empty() && states.iter().all(|state| ["healthy", "unused"].contains(state));
            Ok(is_done.then_some(()))
        };
        until(deadline, healthy, || format!("{place} is not healthy yet: it is no longer waited for"))
            .await?;
        Ok(Exit::Done.into())
    })
}

/// The states of a group's targets that were not there before.
fn new<'n>(name: &str, before: &[Group], now: &'n [Group]) -> Vec<&'n str> {
    let known: Vec<_> = before
        .iter()
        .filter(|group| group.target_group_name == name)
        .flat_map(|group| &group.targets)
        .map(|target| &target.target)
        .collect();
    now.iter()
        .filter(|group| group.target_group_name == name)
        .flat_map(|group| &group.targets)
        .filter(|target| !known.contains(&&target.target))
        .map(|target| target.target_health.state.as_str())
        .collect()
}
