//! `cargo xtask python`: the Python package, built as a wheel, installed into an environment of its own and tested there
//! against real loader processes.
//!
//! The wheel for tests is of the development profile and for this machine. `--release` makes the one for others: with the
//! loader's program inside, and with `--zig` for any Linux of the last ten years.
//!
//! Among all tests the wheel is packed around the module that is in the same build of the workspace as the tests of Rust,
//! so that no crate is compiled a second time.

use crate::libtorch::machine;
use crate::report::Report;
use crate::venv::Environment;
use crate::{environment, libtorch, place, process, say, venv};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where everything is made.
const FOLDER: &str = "target/python";

const ENVIRONMENT: Environment = Environment {
    folder: "target/python/venv",
    requirements: "deploy/xtask/python/requirements.txt",
    options: &["--no-deps"],
};

/// What links against an older glibc, for `--zig` alone: 100 MB.
const ZIG: [&str; 2] = ["cargo-zigbuild==0.24.0", "ziglang==0.17.0"];

/// The oldest glibc that a wheel made with zig takes, and the name of such wheels.
const GLIBC: &str = "2.17";
const MANYLINUX: &str = "manylinux2014";

/// What may be chosen.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Pack the module that the whole workspace is built with, in place of building it apart.
    pub(crate) workspace: bool,
    /// Make a wheel to be handed on, with the loader inside.
    pub(crate) release: bool,
    /// Make it for older machines than this one.
    pub(crate) zig: bool,
    /// Run the tests that take minutes as well.
    pub(crate) slow: bool,
    /// Handed to pytest, to run a part only.
    pub(crate) rest: Vec<OsString>,
}

/// What tests start and load.
struct Built {
    loader: PathBuf,
    /// The client's example, whose digests are compared.
    read: PathBuf,
    /// The module, where the whole workspace was built.
    module: Option<PathBuf>,
}

/// Builds the package and runs its tests.
pub(crate) fn run(options: &Options) -> Report {
    let mut report = Report::new("mixfeed for Python");
    let python = match prepare() {
        Ok(python) => python,
        Err(error) => {
            report.lacks("python", "the Python package", &format!("{error:#}"));
            return report;
        }
    };
    let Some(built) = report.check("what tests of Python start is built", || build(options)) else {
        return report;
    };
    let installed = report.check("the package is built and installed", || {
        let wheel = match &built.module {
            Some(module) => pack(&python, module),
            None => wheel(&python, options),
        };
        install(&python, &wheel?)
    });
    if installed.is_some() {
        test(&python, &built, options, &mut report);
    }
    report
}

/// Makes the environment where it is missing or out of date, with a torch that can be imported, and returns its
/// interpreter.
pub(crate) fn prepare() -> Result<PathBuf> {
    let python = venv::make(&ENVIRONMENT)?;
    stand_ins(&python)?;
    Ok(python)
}

/// Lets torch be imported without a GPU's libraries.
fn stand_ins(python: &Path) -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let site = process::output(python, &["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])?;
    let mut script = Command::new(python);
    script.arg(place::at("deploy/xtask/python/stand_ins.py")).arg(site.unwrap_or_default().trim());
    process::run(&mut script)
}

/// Builds the loader and the client's example, and the module where it is not built apart.
fn build(options: &Options) -> Result<Built> {
    let mut cargo = Command::new(process::cargo());
    cargo.arg("build");
    if options.workspace {
        libtorch::prepare(libtorch::Kind::Cpu)?; // For the trainer.
        // With examples, for which features of dependencies are those of `cargo test --workspace`.
        cargo.args(["--workspace", "--lib", "--bins", "--examples"]);
    } else {
        cargo.args(["--package", "mixfeed-loader", "--bin", "mixfeed-loader"]);
        cargo.args(["--package", "mixfeed-client", "--example", "read"]);
    }
    let files = files(&mut cargo)?;
    let module = options.workspace.then(|| find(&files, "_native")).transpose()?;
    Ok(Built { loader: find(&files, "mixfeed-loader")?, read: find(&files, "read")?, module })
}

/// What cargo makes of each target that it names, be it new or not.
fn files(cargo: &mut Command) -> Result<Vec<(String, PathBuf)>> {
    cargo.arg("--message-format=json-render-diagnostics").current_dir(place::root());
    let output = cargo.stderr(std::process::Stdio::inherit()).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("they do not build (see above)");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(messages
        .filter_map(|message| {
            let file = message["executable"].as_str().or(message["filenames"][0].as_str())?;
            Some((message["target"]["name"].as_str()?.to_owned(), file.into()))
        })
        .collect())
}

fn find(files: &[(String, PathBuf)], target: &str) -> Result<PathBuf> {
    let found = files.iter().find(|(name, _)| name == target).map(|(_, file)| file.clone());
    found.with_context(|| format!("cargo does not say where {target} is"))
}

/// Packs a wheel of the package's files and a module that is built, and returns where it is. The metadata is maturin's.
fn pack(python: &Path, module: &Path) -> Result<PathBuf> {
    let wheels = emptied("wheels-for-tests")?;
    let folder = emptied("unpacked")?;
    copy(&place::at("proto/python/mixfeed"), &folder.join("mixfeed"))?;
    fs::copy(module, folder.join("mixfeed/_native.abi3.so"))
        .with_context(|| format!("cannot copy {}", module.display()))?;
    let mut metadata = Command::new(python);
    metadata.args(["-m", "maturin", "pep517", "write-dist-info", "--compatibility", "linux"]);
    metadata.arg("--metadata-directory").arg(&folder).current_dir(place::at("proto/python"));
    process::run(metadata.env("PYO3_PYTHON", python).env("PATH", first_in_path(python)?))?;
    let mut pack = Command::new(python);
    process::run(pack.args(["-m", "wheel", "pack", "--dest-dir"]).arg(&wheels).arg(&folder))?;
    only(&wheels)
}

/// An empty folder of this name.
fn emptied(name: &str) -> Result<PathBuf> {
    let folder = place::at(FOLDER).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// The wheel in a folder, which is told.
fn only(wheels: &Path) -> Result<PathBuf> {
    let made = fs::read_dir(wheels)?.flatten().map(|entry| entry.path());
    let wheel = made.last().context("no wheel was made")?;
    say::line(&format!("wheel: {} in {}", say::size(fs::metadata(&wheel)?.len()), place::short(&wheel)));
    Ok(wheel)
}

/// Copies a folder's files of Python.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in fs::read_dir(from)?.flatten() {
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        let extension = path.extension().unwrap_or_default();
        if path.is_dir() && !["bin", "__pycache__"].iter().any(|name| entry.file_name() == *name) {
            copy(&path, &copied)?;
        } else if ["py", "pyi", "typed"].iter().any(|kind| extension == *kind) {
            fs::copy(&path, &copied).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// Builds the wheel, and returns where it is.
fn wheel(python: &Path, options: &Options) -> Result<PathBuf> {
    let wheels = emptied(if options.release { "wheels" } else { "wheels-for-tests" })?;
    if options.zig {
        pip(python, &["install", "--no-deps", ZIG[0], ZIG[1]])?;
    }
    let package = place::at("proto/python");
    let packed = package.join("mixfeed/bin");
    if packed.exists() {
        fs::remove_dir_all(&packed).with_context(|| format!("cannot remove {}", packed.display()))?;
    }
    let mut maturin = Command::new(python);
    maturin.args(["-m", "maturin", "build", "--quiet", "--out"]).arg(&wheels);
    if options.release {
        let mut cargo = if options.zig { zigbuild(python)? } else { Command::new(process::cargo()) };
        cargo.args(if options.zig { &["zigbuild"][..] } else { &["build"] });
        if options.zig {
            cargo.args(["--target", &format!("{}-unknown-linux-gnu.{GLIBC}", std::env::consts::ARCH)]);
        }
        cargo.args(["--release", "--package", "mixfeed-loader", "--bin", "mixfeed-loader"]);
        let built = find(&files(&mut cargo)?, "mixfeed-loader")?;
        fs::create_dir_all(&packed)?;
        fs::copy(&built, packed.join("mixfeed-loader"))?;
        maturin.args(["--release", "--strip"]);
    } else {
        maturin.args(["--profile", "dev"]);
    }
    if options.zig {
        maturin.args(["--zig", "--compatibility", MANYLINUX]).env("PATH", first_in_path(python)?);
    } else if cfg!(target_os = "linux") {
        // What is built here needs the glibc that is here.
        maturin.args(["--compatibility", "linux"]);
    }
    // The interpreter at hand stands for all from 3.9 on.
    process::run(maturin.env("PYO3_PYTHON", python).current_dir(&package))?;
    only(&wheels)
}

/// cargo-zigbuild, which was installed into the environment.
fn zigbuild(python: &Path) -> Result<Command> {
    let mut cargo = Command::new(python.with_file_name("cargo-zigbuild"));
    cargo.env("PATH", first_in_path(python)?);
    Ok(cargo)
}

/// The search path with the environment's programs first: zig is one of its Python modules.
fn first_in_path(python: &Path) -> Result<OsString> {
    let own = python.parent().context("the interpreter is in no folder")?.to_owned();
    let path = environment::variable("PATH").unwrap_or_default();
    Ok(std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path)))?)
}

fn install(python: &Path, wheel: &Path) -> Result<()> {
    let wheel = wheel.to_string_lossy();
    pip(python, &["install", "--no-deps", "--force-reinstall", &wheel])
}

/// Runs the pip at hand on the environment, which has none of its own.
fn pip(python: &Path, arguments: &[&str]) -> Result<()> {
    let mut pip = Command::new(machine::python()?);
    pip.args(["-m", "pip", "--python"]).arg(python).args(arguments);
    process::run(pip.args(["--quiet", "--disable-pip-version-check", "--no-input"]))
}

/// Runs pytest, and takes what became of each test.
fn test(python: &Path, built: &Built, options: &Options, report: &mut Report) {
    let lines = place::at(FOLDER).join("report.jsonl");
    let tests = place::at("proto/python/tests");
    let ran = report.check("the tests of Python run", || {
        fs::write(&lines, "").with_context(|| format!("cannot write {}", lines.display()))?;
        let mut pytest = Command::new(python);
        pytest.args(["-m", "pytest", "-p", "no:cacheprovider", "--rootdir"]).arg(place::at("proto/python"));
        pytest.arg(&tests).args(&options.rest).current_dir(place::at(FOLDER));
        pytest.env("MIXFEED_TEST_READ", &built.read);
        // A wheel to be handed on starts the loader that it has inside.
        pytest.envs((!options.release).then_some(("MIXFEED_TEST_LOADER", &built.loader)));
        pytest.env("MIXFEED_TEST_REPORT", &lines).env("PYTHONDONTWRITEBYTECODE", "1");
        pytest.envs(options.slow.then_some(("MIXFEED_SLOW", "1")));
        let status = process::status(&mut pytest)?;
        // 1 says that tests failed, which are counted by themselves.
        if !matches!(status.code(), Some(0 | 1)) {
            bail!("pytest ended with {status}");
        }
        fs::read_to_string(&lines).with_context(|| format!("cannot read {}", lines.display()))
    });
    for line in ran.unwrap_or_default().lines() {
        take(line, report);
    }
}

/// Takes one line that `proto/python/tests/conftest.py` wrote.
fn take(line: &str, report: &mut Report) {
    let test: Value = serde_json::from_str(line).unwrap_or_default();
    let text = |field: &str| test[field].as_str().unwrap_or(line).to_owned();
    match text("outcome").as_str() {
        "passed" => report.passed += 1,
        "skipped" => report.skipped.push((text("name"), text("why"))),
        _ => report.failed.push(text("name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_pytest_is_counted() {
        let mut report = Report::new("python");
        for line in [
            r#"{"name": "test_a.py::test_one", "outcome": "passed", "why": ""}"#,
            r#"{"name": "test_a.py::test_two", "outcome": "skipped", "why": "data: there is none"}"#,
            r#"{"name": "test_a.py::test_three", "outcome": "failed", "why": ""}"#,
            "half a li",
        ] {
            take(line, &mut report);
        }
        assert_eq!(report.passed, 1);
        assert_eq!(report.skipped, [("test_a.py::test_two".into(), "data: there is none".into())]);
        assert_eq!(report.failed, ["test_a.py::test_three", "half a li"]);
    }
}
