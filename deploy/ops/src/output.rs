//! Results on standard output: what a command was called for, and what is piped on.
//!
//! [`print!`](crate::print) and [`println!`](crate::println) take the place of the standard library's, which
//! panic when nobody reads any more or the disk is full that output goes to.

use crate::exit;
use crate::text::printable_lines;
use std::fmt::Arguments;
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd as _;

/// Exit code of what ends since nobody reads its output, as shells show it (128 + SIGPIPE).
pub const UNREAD: u8 = 141;

/// Writes text to standard output.
///
/// Where that cannot take it, the process ends: without a word and with [`UNREAD`] when the reader is
/// gone (`… | head`), with an error line and [`exit::FAILURE`] otherwise.
pub fn text(text: Arguments<'_>) {
    if let Err(error) = write(text) {
        std::process::exit(ends(&error).into());
    }
}

/// Not through the standard library's own standard output, which takes one that cannot be written to (`1</dev/null`) for
/// one that nobody wants to read.
fn write(text: Arguments<'_>) -> io::Result<()> {
    let stdout = io::stdout().lock();
    let text = text.to_string();
    File::from(stdout.as_fd().try_clone_to_owned()?).write_all(printable_lines(&text).as_bytes())
}

fn ends(error: &io::Error) -> u8 {
    if error.kind() == ErrorKind::BrokenPipe {
        return UNREAD;
    }
    crate::eprintln!("error: cannot write the result: {error}");
    exit::FAILURE
}

/// Results on standard output; see [`output::text`](crate::output::text).
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::output::text(::std::format_args!($($text)*)) };
}

/// A line of results on standard output; see [`output::text`](crate::output::text).
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($text:tt)*) => { $crate::print!("{}\n", ::std::format_args!($($text)*)) };
}
