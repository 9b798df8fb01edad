//! `cargo xtask python`: the Python package, built as a wheel, installed into an environment of its own and tested there
//! against real loader processes.
//!
//! The wheel for tests is of the development profile and for this machine. `--release` makes the one for others: with the
//! loader's program inside, and with `--zig` for any Linux of the last ten years.

use crate::report::Report;
use crate::venv::Environment;
use crate::{environment, place, process, say, venv};
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
    /// Make a wheel to be handed on, with the loader inside.
    pub(crate) release: bool,
    /// Make it for older machines than this one.
    pub(crate) zig: bool,
    /// Handed to pytest, to run a part only.
    pub(crate) rest: Vec<OsString>,
}

/// The programs that tests start.
struct Programs {
    loader: PathBuf,
    /// The client's example, whose digests are compared.
    read: PathBuf,
}

/// Builds the wheel and runs its tests.
pub(crate) fn run(options: &Options) -> Report {
    let mut report = Report::new("mixfeed for Python");
    let python = match venv::make(&ENVIRONMENT).and_then(|python| stand_ins(&python).map(|()| python)) {
        Ok(python) => python,
        Err(error) => {
            report.lacks("python", "the Python package", &format!("{error:#}"));
            return report;
        }
    };
    let Some(programs) = report.check("the programs that tests of Python start are built", programs) else {
        return report;
    };
    let installed = report.check("the wheel is built and installed", || {
        let wheel = wheel(&python, options)?;
        install(&python, &wheel)
    });
    if installed.is_some() {
        test(&python, &programs, options, &mut report);
    }
    report
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

/// Builds the loader and the client's example.
fn programs() -> Result<Programs> {
    let mut cargo = Command::new(process::cargo());
    cargo.args(["build", "--package", "mixfeed-loader", "--bin", "mixfeed-loader"]);
    cargo.args(["--package", "mixfeed-client", "--example", "read"]);
    let built = executables(&mut cargo)?;
    let find = |name: &str| {
        let found = built.iter().find(|path| path.file_name().is_some_and(|file| file == name));
        found.cloned().with_context(|| format!("cargo does not say where {name} is"))
    };
    Ok(Programs { loader: find("mixfeed-loader")?, read: find("read")? })
}

fn executables(cargo: &mut Command) -> Result<Vec<PathBuf>> {
    cargo.arg("--message-format=json-render-diagnostics").current_dir(place::root());
    let output = cargo.stderr(std::process::Stdio::inherit()).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("they do not build (see above)");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).collect())
}

/// Builds the wheel, and returns where it is.
fn wheel(python: &Path, options: &Options) -> Result<PathBuf> {
    let wheels = place::at(FOLDER).join(if options.release { "wheels" } else { "wheels-for-tests" });
    if wheels.exists() {
        fs::remove_dir_all(&wheels).with_context(|| format!("cannot remove {}", wheels.display()))?;
    }
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
        let built = executables(&mut cargo)?.pop().context("cargo does not say where the loader is")?;
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
    let made = fs::read_dir(&wheels)?.flatten().map(|entry| entry.path());
    let wheel = made.last().context("maturin made no wheel")?;
    say::line(&format!("wheel: {} in {}", say::size(fs::metadata(&wheel)?.len()), place::short(&wheel)));
    Ok(wheel)
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
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--python"]).arg(python).args(arguments);
    process::run(pip.args(["--quiet", "--disable-pip-version-check", "--no-input"]))
}

/// Runs pytest, and takes what became of each test.
fn test(python: &Path, programs: &Programs, options: &Options, report: &mut Report) {
    let lines = place::at(FOLDER).join("report.jsonl");
    let tests = place::at("proto/python/tests");
    let ran = report.check("the tests of Python run", || {
        fs::write(&lines, "").with_context(|| format!("cannot write {}", lines.display()))?;
        let mut pytest = Command::new(python);
        pytest.args(["-m", "pytest", "-p", "no:cacheprovider", "--rootdir"]).arg(place::at("proto/python"));
        pytest.arg(&tests).args(&options.rest).current_dir(place::at(FOLDER));
        pytest.env("MIXFEED_TEST_LOADER", &programs.loader).env("MIXFEED_TEST_READ", &programs.read);
        pytest.env("MIXFEED_TEST_REPORT", &lines).env("PYTHONDONTWRITEBYTECODE", "1");
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
