//! `albeit check`.

use std::process::ExitCode;

use super::{ConfigArg, complain, exit::Exit, say};
use crate::{config, error_chain::chain, server::prepare};

/// Checks a configuration and all files it names; prints what would listen where.
pub(super) fn check(args: &ConfigArg) -> anyhow::Result<ExitCode> {
    prepare::install_crypto_provider();
    let tickets = prepare::tickets()?;
    let prepared = match prepare::prepare(&args.config, &tickets, prepare::Purpose::Check) {
        Ok(prepared) => prepared,
        Err(error) => {
            complain(&chain(&error));
            return Ok(Exit::Wrong.into());
        }
    };
    for warning in &prepared.warnings {
        complain(&format!("warning: {}", warning.in_file(prepared.places.file())));
    }
    say(config::summary(&prepared.model).trim_end());
    Ok(Exit::Done.into())
}
