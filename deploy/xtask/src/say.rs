//! The only place that prints: progress on stderr, results on stdout.

#![allow(clippy::print_stdout, clippy::print_stderr)]

/// Prints a line about what is being done.
pub(crate) fn line(text: &str) {
    eprintln!("{text}");
}

/// Prints the heading of a part of the work.
pub(crate) fn part(text: &str) {
    eprintln!("\n== {text}");
}

/// Prints a result.
pub(crate) fn result(text: &str) {
    println!("{}", text.trim_end());
}

/// A number of bytes for a person.
pub(crate) fn size(bytes: u64) -> String {
    const MB: u64 = 1_000_000;
    if bytes >= 10_000 * MB {
        format!("{} GB", bytes / (1000 * MB))
    } else {
        format!("{} MB", bytes.div_ceil(MB))
    }
}
