//! The Python environment of the tests, `.venv/` below the root, with the packages pinned in
//! `deploy/xtask/requirements.txt`. A stamp written last tells a whole one from a half-made one.

use crate::libtorch::machine;
use crate::{place, process, say};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

const STAMP: &str = "mixfeed-stamp";

const REQUIREMENTS: &str = "deploy/xtask/requirements.txt";

/// Makes the environment where it is missing or out of date, and returns its interpreter.
pub(crate) fn prepare() -> Result<PathBuf> {
    let pins =
        fs::read_to_string(place::at(REQUIREMENTS)).with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    let python = machine::python()?;
    let version = process::output(&python, &["--version"])?.unwrap_or_default();
    let stamp = format!("{version}{pins}");
    let folder = place::at(".venv");
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
    install.arg(&requirements);
    let (status, stderr) = process::watch(&mut install)?;
    if !status.success() {
        if stderr.contains("no such option: --python") {
            bail!("pip is too old to install into an environment, 22.3 or later is needed");
        }
        bail!("pip could not install what {} lists (see above)", place::short(&requirements));
    }
    fs::write(folder.join(STAMP), stamp)?;
    say::line(&format!("Python packages: {:.0} s", started.elapsed().as_secs_f64()));
    Ok(interpreter)
}
