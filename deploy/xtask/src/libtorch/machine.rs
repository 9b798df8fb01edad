//! What the machine must have before a long download is worth starting.

use crate::{environment, place, process, say};
use anyhow::{Context as _, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// pip took several platform tags at a time from this release on.
const MINIMUM_PIP: (u32, u32) = (20, 3);

/// Checks that there is a C++ compiler: without one, libtorch is of no use.
pub(crate) fn compiler() -> Result<()> {
    let named = environment::variable("CXX").filter(|name| !name.is_empty());
    let name = named.unwrap_or_else(|| OsString::from("c++"));
    // CXX may hold arguments too, as in "ccache g++".
    let program = name.to_string_lossy().split_whitespace().next().unwrap_or("c++").to_owned();
    match process::output(&program, &["--version"]) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => bail!(
            "there is no C++ compiler ({program}), which the trainer needs. \
             Debian or Ubuntu: apt-get install g++ - Fedora: dnf install gcc-c++ - macOS: xcode-select --install"
        ),
        Err(error) => Err(error.context("the C++ compiler does not work")),
    }
}

/// Finds a Python 3 with pip: the interpreter itself, for what the path names may be a script around it that does more
/// (pyenv's writes to its own folder after each `pip install`, which may be another user's).
pub(crate) fn python() -> Result<PathBuf> {
    let Some(found) = process::output("python3", &["-c", "import sys; print(sys.executable)"])? else {
        bail!(
            "there is no python3: install Python 3 with pip (Debian or Ubuntu: apt-get install python3-pip)"
        );
    };
    let python = PathBuf::from(found.trim());
    let Ok(Some(version)) = process::output(&python, &["-m", "pip", "--version"]) else {
        bail!(
            "python3 has no pip (Debian or Ubuntu: apt-get install python3-pip; elsewhere: python3 -m ensurepip)"
        );
    };
    if pip_version(&version).is_some_and(|found| found < MINIMUM_PIP) {
        let (major, minor) = MINIMUM_PIP;
        bail!(
            "pip is too old, {major}.{minor} or later is needed (python3 -m pip install --upgrade pip): {version}"
        );
    }
    Ok(python)
}

/// Reads the first two numbers of "pip 23.2.1 from ...".
fn pip_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Checks that there is room for `bytes` where `folder` lies. A `df` that says nothing readable
/// does not stop anybody.
pub(crate) fn space(folder: &Path, bytes: u64) -> Result<()> {
    let path = folder.to_string_lossy();
    let table = process::output("df", &["-Pk", &path]).ok().flatten().unwrap_or_default();
    match free_bytes(&table) {
        Some(free) if free < bytes => bail!(
            "not enough room on the disk of {}: {} are needed for a moment, {} are free",
            folder.display(),
            say::size(bytes),
            say::size(free)
        ),
        _ => Ok(()),
    }
}

/// Reads the fourth column of what `df -Pk` prints.
fn free_bytes(table: &str) -> Option<u64> {
    let blocks: u64 = table.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(blocks * 1024)
}

/// Whether a process with this id is running, as far as it can be seen.
pub(crate) fn is_running(pid: &str) -> bool {
    process::output("ps", &["-p", pid]).is_ok_and(|output| output.is_some())
}

/// Adds up the sizes of all files below `folder`.
pub(crate) fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let data = entry.metadata()?;
        total += if data.is_dir() { folder_bytes(&entry.path())? } else { data.len() };
    }
    Ok(total)
}

/// Says in one sentence why pip failed.
pub(crate) fn explain_pip(stderr: &str, pins: &Path) -> String {
    let why = if stderr.contains("DO NOT MATCH THE HASHES") {
        "a downloaded file is not the one whose hash is pinned: it was damaged on the way, or is not what it claims"
    } else if stderr.contains("No space left on device") {
        "the disk is full"
    } else if stderr.contains("No matching distribution found") {
        "the package index that pip uses does not have the pinned wheels"
    } else {
        "pip could not download the pinned wheels"
    };
    format!("{why} (see above; the pins are in {})", place::short(pins))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pip_tells_its_version() {
        assert_eq!(pip_version("pip 23.2.1 from /usr/lib (python 3.11)"), Some((23, 2)));
        assert_eq!(pip_version("nonsense"), None);
    }

    #[test]
    fn df_tells_the_free_room() {
        let table = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda 263 13 82 14% /\n";
        assert_eq!(free_bytes(table), Some(82 * 1024));
        assert_eq!(free_bytes("df: unknown"), None);
    }

    #[test]
    fn lack_of_room_is_told_in_figures() {
        let error = space(Path::new("/"), u64::MAX).unwrap_err().to_string();
        assert!(error.contains("not enough room") && error.contains("GB"), "{error}");
        space(Path::new("/"), 1).unwrap();
    }

    #[test]
    fn a_wrong_hash_is_told_from_other_failures() {
        let pins = Path::new("pins.txt");
        assert!(
            explain_pip("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM", pins)
                .contains("hash is pinned")
        );
        assert!(explain_pip("ERROR: No matching distribution found for torch", pins).contains("index"));
        assert!(explain_pip("", pins).contains("pins.txt"));
    }
}
