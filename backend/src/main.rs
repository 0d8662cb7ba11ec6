//! The `albeit-backend` command.
fn main() {}
