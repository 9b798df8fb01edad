//! The `mixfeed-loader` command. What it does is in the library.

use mixfeed_ops::command_line;
use std::process::ExitCode;

fn main() -> ExitCode {
    mixfeed_loader::commands::run(command_line::parse())
}
