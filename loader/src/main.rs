//! The `mixfeed-loader` command. What it does is in the library.

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    mixfeed_loader::commands::run(mixfeed_loader::config::Cli::parse())
}
