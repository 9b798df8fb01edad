//! What the images stand on, where no registry can be asked: images made of Debian's packages, which are
//! only unpacked. A base is made once, and again when what goes into it changes.

use super::engine::Engine;
use super::fleet::{BUILDER_IMAGE, LABEL, PROMETHEUS_IMAGE, RUNTIME_IMAGE};
use crate::{debian, environment, place, process, say};
use anyhow::{Context as _, Result};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What runs a program of Rust or C++, as the shipped runtime base has it.
const RUNTIME_PACKAGES: &str = "base-files,libc6,libgcc-s1,libstdc++6";

/// What builds one, and the tools that the Dockerfile names.
const BUILDER_PACKAGES: &str = "base-files,coreutils,dash,findutils,g++,gcc,libc6-dev";

/// Not read by anybody in a container.
const LEFT_OUT: [&str; 3] = ["/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*"];

/// Settings of the builder: where Rust is, that all is there already, and builds that are quick rather than
/// good, because what is tried here is not speed.
const BUILDER_SETTINGS: [&str; 6] = [
    "ENV PATH=/opt/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "ENV CARGO_HOME=/opt/cargo",
    "ENV CARGO_NET_OFFLINE=true",
    "ENV CARGO_PROFILE_RELEASE_LTO=off",
    "ENV CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16",
    "ENV CARGO_PROFILE_RELEASE_OPT_LEVEL=1",
];

/// Makes the bases of loader and trainer, and an image of Debian's Prometheus, unless they are there.
pub(super) fn make(engine: &Engine) -> Result<()> {
    let folder = place::at("target/smoke");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let hook = place::at("deploy/xtask/smoke/builder.sh");

    let stamp = stamp(&[RUNTIME_PACKAGES]);
    if engine.label(RUNTIME_IMAGE, LABEL).as_ref() != Some(&stamp) {
        let archive = folder.join("runtime.tar");
        bootstrap(RUNTIME_PACKAGES, &archive, |_| Ok(()))?;
        import(engine, &archive, RUNTIME_IMAGE, &stamp, &[])?;
        prometheus(engine, &folder.join("prometheus"))?;
    }

    // What the build in the container finds in its copy of the crates is what the lock file names.
    let lock = fs::read_to_string(place::at("Cargo.lock"))?;
    let rust = process::output("rustc", &["-vV"])?.context("there is no rustc")?;
    let stamp = self::stamp(&[BUILDER_PACKAGES, &fs::read_to_string(&hook)?, &lock, &rust]);
    if engine.label(BUILDER_IMAGE, LABEL).as_ref() != Some(&stamp) {
        let mut fetch = Command::new(process::cargo());
        process::run(fetch.args(["fetch", "--quiet", "--locked"]).current_dir(place::root()))?;
        let archive = folder.join("builder.tar");
        bootstrap(BUILDER_PACKAGES, &archive, |command| {
            let sysroot = process::output("rustc", &["--print", "sysroot"])?.context("there is no rustc")?;
            command.env("SYSROOT", sysroot.trim()).env("CARGO_FOLDER", debian::cargo_folder()?);
            command.arg(format!("--extract-hook=sh '{}' \"$1\"", hook.display()));
            Ok(())
        })?;
        import(engine, &archive, BUILDER_IMAGE, &stamp, &BUILDER_SETTINGS)?;
    }
    Ok(())
}

/// Tells a base from one that would be made differently.
fn stamp(parts: &[&str]) -> String {
    let mut hasher = DefaultHasher::new();
    (debian::RELEASE, LEFT_OUT, BUILDER_SETTINGS, parts).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// As the program of Debian's package; installed only where it does not run without.
fn mmdebstrap() -> Result<PathBuf> {
    if process::quiet(Command::new("mmdebstrap").arg("--version")) {
        return Ok("mmdebstrap".into());
    }
    let unpacked = debian::unpack("mmdebstrap")?.join("usr/bin/mmdebstrap");
    if !process::quiet(Command::new(&unpacked).arg("--version")) {
        say::line("mmdebstrap needs more of perl than is here; installing it");
        process::run(Command::new("apt-get").args(["--quiet=2", "--yes", "install", "mmdebstrap"]))?;
        return Ok("mmdebstrap".into());
    }
    Ok(unpacked)
}

/// Unpacks packages, and what they need, into an archive of a root file system.
fn bootstrap(packages: &str, archive: &Path, more: impl FnOnce(&mut Command) -> Result<()>) -> Result<()> {
    let program = mmdebstrap()?;
    let mut command = Command::new(&program);
    // It calls another program of its package by name.
    if let Some(folder) = program.parent().filter(|folder| folder.is_absolute()) {
        let path = environment::variable("PATH").unwrap_or_default();
        let folders = [folder.to_owned()].into_iter().chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(folders)?);
    }
    command.args(["--quiet", "--variant=extract", "--format=tar"]).arg(format!("--include={packages}"));
    for path in LEFT_OUT {
        command.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    if let Some(proxy) = debian::proxy()? {
        command.arg(format!("--aptopt={proxy}"));
    }
    more(&mut command)?;
    process::run(command.arg(debian::RELEASE).arg(archive).arg(debian::mirror()?))
}

fn import(engine: &Engine, archive: &Path, tag: &str, stamp: &str, settings: &[&str]) -> Result<()> {
    let archive_path = archive.to_string_lossy();
    let label = format!("LABEL {LABEL}={stamp}");
    let mut arguments = vec!["import"];
    for setting in settings.iter().chain(&[&*label]) {
        arguments.extend(["--change", setting]);
    }
    arguments.extend([&*archive_path, tag]);
    engine.output(&arguments)?;
    let bytes = engine.image_bytes(tag)?;
    say::line(&format!("{tag}: {:.1} MB", bytes as f64 / 1e6));
    fs::remove_file(archive)?;
    Ok(())
}

/// In place of the official image, which the compose file names: the same program at the same kind of entry.
fn prometheus(engine: &Engine, folder: &Path) -> Result<()> {
    let data = folder.join("data");
    fs::create_dir_all(&data)?;
    // A folder without any file would not be copied by every builder.
    fs::write(data.join("README"), "Prometheus keeps its data here.\n")?;
    fs::copy(debian::unpack("prometheus")?.join("usr/bin/prometheus"), folder.join("prometheus"))?;
    let dockerfile = format!(
        "FROM {RUNTIME_IMAGE}\n\
         COPY prometheus /usr/bin/prometheus\n\
         COPY --chown=65534:65534 data /prometheus\n\
         USER 65534:65534\n\
         ENTRYPOINT [\"/usr/bin/prometheus\"]\n"
    );
    fs::write(folder.join("Dockerfile"), dockerfile)?;
    engine.build(folder, PROMETHEUS_IMAGE)
}
