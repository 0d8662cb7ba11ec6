//! `albeit certs`.

use std::{process::ExitCode, time::SystemTime};

use super::{CertsArgs, exit::Exit, say};
use crate::tls::development;

/// Makes what is missing of the development certificates and keys.
pub(super) fn certs(args: &CertsArgs) -> anyhow::Result<ExitCode> {
    let report = development::create(&args.dir, SystemTime::now(), &mut rand::rng())?;
    say(report.to_string().trim_end());
    Ok(Exit::Done.into())
}
