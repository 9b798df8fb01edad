//! A libtorch of the user's own, named by `LIBTORCH`: it wins, once it is known to fit.

use super::VERSION;
use crate::{environment, say};
use anyhow::{Result, bail};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

/// Whether a libtorch of the user's own is to be used instead of `ours`.
///
/// Cargo sets `LIBTORCH` to `ours` for every task it runs, unless it is set already.
pub(crate) fn in_force(ours: &Path) -> Result<bool> {
    if environment::variable("LIBTORCH_USE_PYTORCH").is_some() {
        say::line("libtorch: LIBTORCH_USE_PYTORCH is set, so the one of the installed torch is used");
        return Ok(true);
    }
    let bypass = environment::variable("LIBTORCH_BYPASS_VERSION_CHECK").is_some();
    decide(environment::variable("LIBTORCH").as_deref(), ours, bypass)
}

fn decide(value: Option<&OsStr>, ours: &Path, bypass: bool) -> Result<bool> {
    let Some(value) = value else { return Ok(false) };
    if value.is_empty() {
        bail!("LIBTORCH is set but empty: unset it, or name a libtorch {VERSION}");
    }
    let folder = Path::new(value);
    if same(folder, ours) {
        return Ok(false);
    }
    if !folder.join("lib").is_dir() {
        bail!(
            "LIBTORCH names {}, which has no lib folder: unset it, or name a libtorch {VERSION}",
            folder.display()
        );
    }
    match version(folder) {
        Some(found) if found == VERSION => {
            say::line(&format!("libtorch {VERSION}: using LIBTORCH={}", folder.display()));
        }
        Some(found) if bypass => {
            say::line(&format!(
                "libtorch {found}: using LIBTORCH={}, its version unchecked",
                folder.display()
            ));
        }
        Some(found) => bail!(
            "LIBTORCH names {}, which is {found}; exactly {VERSION} is needed: unset it, or name another",
            folder.display()
        ),
        None => say::line(&format!(
            "libtorch: using LIBTORCH={}; it does not tell its version, and must be {VERSION}",
            folder.display()
        )),
    }
    Ok(true)
}

fn same(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// The version, from `build-version` (the C++ download) or `version.py` (an installed torch).
fn version(folder: &Path) -> Option<String> {
    let full = fs::read_to_string(folder.join("build-version")).ok().or_else(|| {
        let python = fs::read_to_string(folder.join("version.py")).ok()?;
        let line = python.lines().find(|line| line.starts_with("__version__ ="))?;
        line.split('\'').nth(1).map(str::to_owned)
    })?;
    full.trim().split('+').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(file: &str, text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("lib")).unwrap();
        fs::write(folder.path().join(file), text).unwrap();
        folder
    }

    fn decided(folder: &Path, bypass: bool) -> Result<bool> {
        decide(Some(folder.as_os_str()), Path::new("/ours"), bypass)
    }

    #[test]
    fn ours_is_made_unless_another_is_named() {
        assert!(!decide(None, Path::new("/ours"), false).unwrap());
        assert!(!decide(Some(OsStr::new("/ours")), Path::new("/ours"), false).unwrap());
    }

    #[test]
    fn another_of_the_right_version_wins() {
        assert!(decided(folder("build-version", "2.11.0+cpu\n").path(), false).unwrap());
        assert!(
            decided(folder("version.py", "x = 1\n__version__ = '2.11.0+cu130'\n").path(), false).unwrap()
        );
        assert!(decided(folder("other", "").path(), false).unwrap());
    }

    #[test]
    fn another_of_a_wrong_version_is_an_error_that_names_both() {
        let wrong = folder("build-version", "2.5.1+cu121\n");
        let error = decided(wrong.path(), false).unwrap_err().to_string();
        assert!(error.contains("2.5.1") && error.contains(VERSION) && error.contains("LIBTORCH"), "{error}");
        assert!(decided(wrong.path(), true).unwrap());
    }

    #[test]
    fn nonsense_is_an_error() {
        assert!(decide(Some(OsStr::new("")), Path::new("/ours"), false).is_err());
        assert!(decide(Some(OsStr::new("/nowhere")), Path::new("/ours"), false).is_err());
    }
}
