//! `cargo xtask libtorch`: the C++ library under the trainer, in the one version that fits, put
//! together from wheels whose hashes are pinned in `deploy/xtask/libtorch/`.
//!
//! The result is a folder that torch-sys understands (`include/`, `lib/`, `build-version`). It is
//! made beside its final place and renamed, with a stamp written last: a folder with the right
//! stamp is whole, anything else is made again.

pub(crate) mod machine;
mod own;
mod target;

use crate::{pip, place, process, say};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use target::Target;

/// What the trainer's tch is made for. torch-sys accepts no other.
pub(crate) const VERSION: &str = "2.11.0";

const STAMP: &str = "mixfeed-stamp";

/// Which libtorch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What links and computes on the CPU: the default, and enough for every test.
    Cpu,
    /// All that torch needs to compute on an NVIDIA GPU.
    Cuda,
}

impl Kind {
    fn folder(self) -> PathBuf {
        let name = match self {
            Kind::Cpu => "cpu",
            Kind::Cuda => "cuda",
        };
        place::at(".libtorch").join(format!("{VERSION}-{name}"))
    }
}

/// Makes sure that the trainer can be built: with the user's own libtorch where `LIBTORCH` names
/// one, else with the one prepared here.
pub(crate) fn prepare(kind: Kind) -> Result<()> {
    if kind == Kind::Cpu && own::in_force(&Kind::Cpu.folder())? {
        return Ok(());
    }
    prepare_in_checkout(kind)
}

/// Makes sure that the one prepared here is there, also where the user has another: it is what images are
/// built with.
pub(crate) fn prepare_ours() -> Result<()> {
    prepare_in_checkout(Kind::Cpu)
}

fn prepare_in_checkout(kind: Kind) -> Result<()> {
    let target = Target::here()?;
    let folder = kind.folder();
    let stamp = target.stamp(kind)?;
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|found| found == stamp) {
        say::line(&format!("libtorch {VERSION} is in {}", place::short(&folder)));
    } else {
        make(target, kind, &folder, &stamp)?;
    }
    if kind == Kind::Cuda {
        let torch = folder.join("torch");
        say::line("to let a built trainer find it at run time:");
        say::line(&format!("  export LD_LIBRARY_PATH={}/lib", torch.display()));
    }
    Ok(())
}

fn make(target: &Target, kind: Kind, folder: &Path, stamp: &str) -> Result<()> {
    let started = Instant::now();
    say::part(&format!("libtorch {VERSION} ({}) into {}", target.name, place::short(folder)));
    if !target.tested {
        say::line("note: nobody has tried this on a machine of this kind yet; reports are welcome");
    }
    machine::compiler()?;
    let python = machine::python()?;
    let parent = folder.parent().context("the folder has no parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    machine::space(parent, target.needs_bytes(kind))?;

    // Left behind by a run that was interrupted; two runs at a time do not meet.
    let mut work = folder.as_os_str().to_owned();
    work.push(format!(".part-{}", std::process::id()));
    let work = PathBuf::from(work);
    for entry in fs::read_dir(parent)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(pid) = name.rsplit_once(".part-").map(|(_, pid)| pid)
            && !machine::is_running(pid)
        {
            say::line(&format!("removing {}, left by a run that did not end", place::short(&entry.path())));
            fs::remove_dir_all(entry.path())?;
        }
    }
    let result = fill(target, kind, &python, &work, stamp).and_then(|()| {
        if folder.exists() {
            say::line(&format!("replacing {}, which is not whole or not this version", place::short(folder)));
            fs::remove_dir_all(folder)?;
        }
        fs::rename(&work, folder).with_context(|| format!("cannot rename {}", work.display()))
    });
    if result.is_err() {
        // The error that counts is the first one.
        let _ = fs::remove_dir_all(&work);
    }
    result?;
    let size = say::size(machine::folder_bytes(folder)?);
    say::line(&format!(
        "libtorch: {size} in {}, {:.0} s",
        place::short(folder),
        started.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn fill(target: &Target, kind: Kind, python: &Path, work: &Path, stamp: &str) -> Result<()> {
    let wheels = work.join("wheels");
    fs::create_dir_all(&wheels).with_context(|| format!("cannot create {}", wheels.display()))?;
    say::line(&format!("downloading {} with pip", target.download_note(kind)));
    let pins = target.pins(kind);
    let mut download = Command::new(python);
    download.args(["-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]);
    // A fixed wheel, whatever the Python at hand is.
    download.args(["--no-deps", "--only-binary=:all:", "--require-hashes", "--python-version", "3.12"]);
    download.args(["--implementation", "cp", "--abi", "cp312", "--abi", "none"]);
    for platform in target.platforms {
        download.args(["--platform", platform]);
    }
    download.arg("--dest").arg(&wheels).arg("-r").arg(&pins).env("TMPDIR", &wheels);
    let (status, stderr) = pip::watch(&mut download)?;
    if !status.success() {
        bail!("{}", machine::explain_pip(&stderr, &pins));
    }
    let mut paths: Vec<PathBuf> = fs::read_dir(&wheels)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .collect();
    paths.sort();
    say::line("unpacking");
    let mut unpack = Command::new(python);
    unpack
        .arg(place::at("deploy/xtask/libtorch/unpack.py"))
        .arg(work)
        .args(target.rules(kind))
        .arg("--")
        .args(&paths);
    process::run(&mut unpack)?;
    fs::remove_dir_all(&wheels)?;
    let library = match kind {
        Kind::Cpu => work.to_owned(),
        Kind::Cuda => work.join("torch"),
    };
    fs::write(library.join("build-version"), format!("{VERSION}\n"))?;
    if let (Kind::Cpu, Some((name, script))) = (kind, target.linker_script) {
        fs::write(library.join("lib").join(name), script)?;
    }
    fs::write(work.join(STAMP), stamp)?;
    Ok(())
}
