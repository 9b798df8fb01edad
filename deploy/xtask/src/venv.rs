//! Python environments below the root, each with the packages that a file pins. A stamp written last tells a whole one
//! from a half-made one.

use crate::libtorch::machine;
use crate::{pip, place, process, say};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

const STAMP: &str = "mixfeed-stamp";

/// An environment.
pub(crate) struct Environment {
    /// Where it is, below the root.
    pub(crate) folder: &'static str,
    /// Which packages it has.
    pub(crate) requirements: &'static str,
    /// Further options of pip's.
    pub(crate) options: &'static [&'static str],
}

/// That of the tests in Rust.
const TESTS: Environment =
    Environment { folder: ".venv", requirements: "deploy/xtask/requirements.txt", options: &[] };

/// Makes the environment of the tests where it is missing or out of date, and returns its interpreter.
pub(crate) fn prepare() -> Result<PathBuf> {
    make(&TESTS)
}

/// The same for another environment.
pub(crate) fn make(environment: &Environment) -> Result<PathBuf> {
    let Environment { folder, requirements, options } = *environment;
    let pins =
        fs::read_to_string(place::at(requirements)).with_context(|| format!("cannot read {requirements}"))?;
    let python = machine::python()?;
    let version = process::output(&python, &["--version"])?.unwrap_or_default();
    let stamp = format!("{version}{pins}");
    let folder = place::at(folder);
    let interpreter = folder.join("bin/python");
    if interpreter.exists() && fs::read_to_string(folder.join(STAMP)).is_ok_and(|found| found == stamp) {
        return Ok(interpreter);
    }
    let started = Instant::now();
    say::part(&format!("Python packages into {}", place::short(&folder)));
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    // Without a pip of its own: Debian ships that part (ensurepip) in a package apart. The pip at
    // hand installs into the environment from outside.
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    let mut make = Command::new(&python);
    make.args(["-m", "venv", "--without-pip"]).arg(&folder);
    process::run(&mut make).context(
        "python3 cannot make a virtual environment (Debian or Ubuntu: apt-get install python3-venv)",
    )?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, &pins)?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "--python"]).arg(&interpreter);
    install.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--only-binary=:all:",
        "-r",
    ]);
    install.arg(&requirements).args(options);
    let (status, stderr) = pip::watch(&mut install)?;
    if !status.success() {
        if stderr.contains(pip::NO_OPTION) {
            bail!("pip is too old to install into an environment, 22.3 or later is needed");
        }
        let list = place::short(&requirements);
        bail!("pip could not install what {list} lists: {}", pip::last_words(&stderr));
    }
    fs::write(folder.join(STAMP), stamp)?;
    say::line(&format!("Python packages: {:.0} s", started.elapsed().as_secs_f64()));
    Ok(interpreter)
}
