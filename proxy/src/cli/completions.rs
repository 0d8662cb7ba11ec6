//! `albeit completions`.

use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

use super::{command, exit::Exit, say};

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct CompletionsArgs {
    /// The shell that is to complete.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script that makes a shell complete commands, options and their values.
pub(super) fn completions(args: CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "albeit", &mut script);
    say(String::from_utf8_lossy(&script).trim_end());
    Exit::Done.into()
}
