//! `fetch`: a published dataset, downloaded, checked, unpacked; and what to do with it next.

use super::data::describe_shape;
use super::failure::Failure;
use crate::config::FetchArgs;
use crate::source::fetch::{FetchError, Fetched, Verified, fetch};
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mixfeed_ops::stderr::Stderr;
use mixfeed_ops::{exit, println};
use serde_json::json;
use std::io::{IsTerminal as _, stderr, stdin};

/// Often enough to look alive, seldom enough to cost nothing.
const REDRAWS_PER_SECOND: u8 = 10;

const TEMPLATE: &str =
    "{bar:24.cyan/dim} {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}  ETA {eta}";

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        let code = match &error {
            FetchError::Output(_) | FetchError::Taken { .. } => exit::USAGE,
            FetchError::Checksum { .. }
            | FetchError::Archive { .. }
            | FetchError::Set(_)
            | FetchError::Sample(_) => exit::DATA,
            FetchError::Busy(_) | FetchError::Download { .. } | FetchError::Write { .. } => exit::FAILURE,
        };
        Self::new(code, error)
    }
}

pub(super) fn run(args: &FetchArgs) -> Result<(), Failure> {
    let request = args.request();
    let bar = bar();
    let result = fetch(&request, &mut |bytes, total| {
        if bar.position() == 0 {
            // What came earlier says nothing about how fast this goes.
            bar.reset_eta();
        }
        bar.set_length(total.unwrap_or(bytes));
        bar.set_position(bytes);
    });
    bar.finish_and_clear();
    let Fetched { dataset, already } = result?;
    let (set, output) = (request.set, request.output.display());
    let (train, test) = (dataset.train.count(), dataset.test.count());
    let next = format!("mixfeed-loader serve --data {output}");
    if args.json {
        let object = json!({
            "name": dataset.name,
            "data": request.output,
            "splits": { "train": train, "test": test },
            "digest": hex::encode(dataset.digest),
            "already_there": already.is_some(),
            "verified": verified(already),
            "citation": set.citation(),
        });
        println!("{object}");
        return Ok(());
    }
    let there = if already.is_some() { "is already in" } else { "is in" };
    println!("{} {there} {output}", dataset.name);
    println!();
    println!("  images    {train} train, {test} test, {}", describe_shape(&dataset));
    println!("  verified  {}", verified(already));
    println!("  digest    {}", hex::encode(dataset.digest));
    println!("  cite      {}", set.citation());
    println!("  next      {next}");
    Ok(())
}

/// How it is known that the files are what they should be.
fn verified(already: Option<Verified>) -> &'static str {
    match already {
        None => "the archive, by its SHA-256",
        Some(Verified::Checksums) => "each file, by the SHA256SUMS written when it was unpacked",
        Some(Verified::Content) => "all images, by the digest of their content",
        Some(Verified::Form) => "form and number of the records only: this program did not fetch them",
    }
}

/// A bar on stderr, if that is a terminal.
fn bar() -> ProgressBar {
    let target = if stderr().is_terminal() {
        ProgressDrawTarget::term(Term::read_write_pair(stdin(), Stderr), REDRAWS_PER_SECOND)
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(None, target);
    // The template is a constant that a test draws.
    match ProgressStyle::with_template(TEMPLATE) {
        Ok(style) => bar.with_style(style.progress_chars("━╸─")),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
