//! The `albeit` command.
fn main() {}
