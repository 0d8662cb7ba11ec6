//! The `albeit` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    albeit_proxy::cli::main()
}
