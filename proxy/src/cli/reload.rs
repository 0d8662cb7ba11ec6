//! `albeit reload`: the configuration is read again, and mistakes are told as by `albeit check`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{
    api::{AdminArgs, Api, Problem, block_on},
    complain,
    exit::Exit,
    say,
    status::Status,
    target::groups,
    wait::{WaitArgs, until},
};
use crate::{config::ConfigErrors, doctor::report::visible};

/// More than the slowest health check takes to judge a target, as a rule.
const LONGEST: u64 = 5 * 60;

#[derive(Debug, Args)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    wait: WaitArgs<LONGEST>,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Reloads.
pub(super) fn reload(args: &ReloadArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let api = args.admin.api()?;
        let file = args.admin.config.as_ref().map(|file| file.display().to_string());
        let file = file.as_deref().unwrap_or("configuration");
        let answer = match api.post("/reload", &json!({})).await {
            Ok(answer) => answer,
            Err(Problem::Refused { mistakes, is_failure: false, .. }) if !mistakes.is_empty() => {
                complain(&ConfigErrors::new(file, mistakes).to_string());
                complain("Nothing has changed.");
                return Ok(Exit::Wrong.into());
            }
            Err(problem) => return Err(problem.into()),
        };
        let warnings = answer.get("Warnings").and_then(Value::as_array).into_iter().flatten();
        for warning in warnings.filter_map(Value::as_str) {
            complain(&visible(&format!("warning: {warning}")));
        }
        say("reloaded");
        let Some(deadline) = args.wait.deadline() else { return Ok(Exit::Done.into()) };
        let settled = async || {
            let groups = groups(&api).await?;
            let mut targets = groups.iter().flat_map(|group| &group.targets);
            Ok((!targets.any(|target| target.target_health.state == "initial")).then_some(()))
        };
        until(deadline, settled, || "targets are still initial: they are no longer waited for".to_owned())
            .await?;
        Ok(outcome(&api).await?.into())
    })
}

/// What `albeit status` says of it.
async fn outcome(api: &Api) -> Result<Exit, Problem> {
    let status = Status::read(api).await?;
    for problem in &status.problems {
        complain(&visible(problem));
    }
    Ok(status.health.exit())
}
