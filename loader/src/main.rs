//! The `mixfeed-loader` command. What it does is in the library.

use mixfeed_ops::{command_line, signals};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Whoever wants signals takes them over later, and says then what cannot be.
    let _ = signals::keep_user_signals();
    mixfeed_loader::commands::run(command_line::parse())
}
