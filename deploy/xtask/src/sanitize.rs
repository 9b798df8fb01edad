//! `cargo xtask sanitize`: the tests that reach unsafe code, with AddressSanitizer.
//!
//! The compiler's sanitizers are for its nightly releases; `RUSTC_BOOTSTRAP` lets the one at hand have them. Everything
//! in Rust is built anew for it, in a folder of its own; C libraries are as they always are, but for the JPEG decoder, whose
//! tests run once more with its C built for it too. The trainer is left out: libtorch is not built for it.

use crate::{place, process, say};
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// The target whose runtime comes with the compiler, and which is tested.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Where unsafe code is, and the loader, whose tests use most of the first.
const PACKAGES: [&str; 3] = ["mixfeed-pipeline", "mixfeed-client", "mixfeed-loader"];

/// The same where most of it is in C.
const IN_C: &str = "mixfeed-jpeg";

/// Leaks are not looked for: what threads hold when a test program ends is none, and is found as some.
const OPTIONS: &str = "detect_leaks=0:detect_stack_use_after_return=1";

/// A program that writes beyond its memory, to see that it is found out.
const PLANTED: &str = "fn main() { let v = vec![1u8; 7]; let n = std::hint::black_box(9); \
    println!(\"{}\", unsafe { *v.as_ptr().add(n) }); }";

/// Runs the tests; fails where one does, or a memory error is found.
pub(crate) fn run() -> Result<()> {
    let folder = place::at("target/sanitize");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    planted(&folder)?;
    let started = Instant::now();
    let mut cargo = test(&folder);
    cargo.arg("--lib").args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    process::run(&mut cargo)?;
    // Assembly is what it always is; what it writes beyond its memory is found where C or Rust comes by.
    let mut cargo = test(&folder.join("in-c"));
    cargo.args(["--package", IN_C]).env(format!("CFLAGS_{}", TARGET.replace('-', "_")), "-fsanitize=address");
    process::run(&mut cargo)?;
    say::result(&format!("AddressSanitizer: nothing found, {:.0} s", started.elapsed().as_secs_f64()));
    Ok(())
}

/// Tests with what is built in `folder`.
fn test(folder: &Path) -> Command {
    let mut cargo = Command::new(process::cargo());
    cargo.args(["test", "--target", TARGET]).env("CARGO_TARGET_DIR", folder).current_dir(place::root());
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address").env("ASAN_OPTIONS", OPTIONS);
    cargo
}

fn planted(folder: &Path) -> Result<()> {
    let (source, program) = (folder.join("planted.rs"), folder.join("planted"));
    std::fs::write(&source, PLANTED)?;
    let mut rustc = Command::new("rustc");
    rustc
        .args(["--edition", "2024", "-Zsanitizer=address", "--target", TARGET, "-o"])
        .arg(&program)
        .arg(&source);
    process::run(rustc.env("RUSTC_BOOTSTRAP", "1"))
        .context("this compiler has no AddressSanitizer (valgrind on the test programs is another way)")?;
    let output = Command::new(&program).env("ASAN_OPTIONS", OPTIONS).output()?;
    if output.status.success() || !String::from_utf8_lossy(&output.stderr).contains("heap-buffer-overflow") {
        bail!("a program that reads beyond its memory was not found out");
    }
    Ok(())
}
