//! Results on standard output: what a command was called for, and what is piped on.
//!
//! [`println!`](crate::println) takes the place of the standard library's, which panics when nobody reads
//! any more or the disk is full that output goes to.

use crate::exit;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};

/// Exit code of what ends since nobody reads its output, as shells show it (128 + SIGPIPE).
pub const UNREAD: u8 = 141;

/// Writes a line to standard output.
///
/// Where that cannot take it, the process ends: without a word and with [`UNREAD`] when the reader is
/// gone (`… | head`), with an error line and [`exit::FAILURE`] otherwise.
pub fn line(text: Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_fmt(text).and_then(|()| stdout.write_all(b"\n")) {
        std::process::exit(ends(&error).into());
    }
}

fn ends(error: &io::Error) -> u8 {
    if error.kind() == ErrorKind::BrokenPipe {
        return UNREAD;
    }
    let _ = writeln!(io::stderr(), "error: cannot write the result: {error}");
    exit::FAILURE
}

/// A line of results on standard output; see [`output::line`](crate::output::line).
#[macro_export]
macro_rules! println {
    () => { $crate::output::line(::std::format_args!("")) };
    ($($text:tt)*) => { $crate::output::line(::std::format_args!($($text)*)) };
}
