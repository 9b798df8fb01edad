//! Programs out of Debian's packages, unpacked below `target/` and not installed: the machine stays as it
//! was, and no rights are needed.

use crate::{environment, place, process, say};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release whose packages are used: bases of images, and the tools that manifests are written for.
pub(crate) const RELEASE: &str = "bookworm";

/// Why Debian's packages cannot be had here, if they cannot.
pub(crate) fn missing() -> Option<String> {
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |name: &str| {
        let line = system.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        Some(line.trim_matches('"').to_owned())
    };
    let (id, codename) = (field("ID").unwrap_or_default(), field("VERSION_CODENAME").unwrap_or_default());
    (id != "debian" || codename != RELEASE)
        .then(|| format!("packages of Debian {RELEASE} are needed, this is {id} {codename}"))
}

/// Whether packages may be installed, and their lists brought up to date.
pub(crate) fn is_root() -> bool {
    process::output("id", &["-u"]).ok().flatten().is_some_and(|id| id.trim() == "0")
}

/// Downloads a package, unpacks it, and returns the folder that stands for its root.
pub(crate) fn unpack(package: &str) -> Result<PathBuf> {
    let folder = place::at("target/debian").join(package);
    if folder.exists() {
        return Ok(folder);
    }
    say::line(&format!("unpacking Debian's {package} into {}", place::short(&folder)));
    // Made beside its place and renamed: a folder that is there is whole.
    let work = place::at("target/debian").join(format!("{package}.part-{}", std::process::id()));
    let packages = work.join("packages");
    fs::create_dir_all(&packages).with_context(|| format!("cannot create {}", packages.display()))?;
    download(package, &packages)?;
    let root = work.join("root");
    for file in fs::read_dir(&packages)?.flatten() {
        process::run(Command::new("dpkg").arg("-x").arg(file.path()).arg(&root))?;
    }
    fs::rename(&root, &folder).with_context(|| format!("cannot rename {}", root.display()))?;
    fs::remove_dir_all(&work)?;
    Ok(folder)
}

fn download(package: &str, folder: &Path) -> Result<()> {
    let get = || {
        let mut apt = Command::new("apt-get");
        // Not as apt's own user, who may not write into a checkout.
        apt.args(["--quiet=2", "-o", "APT::Sandbox::User=root", "download", package]).current_dir(folder);
        process::run(&mut apt)
    };
    // A fresh machine has no lists of packages yet.
    get().or_else(|_no_lists| {
        process::run(Command::new("apt-get").args(["--quiet=2", "update"]))?;
        get()
    })
}

/// The mirror that this machine's apt uses for the release.
pub(crate) fn mirror() -> Result<String> {
    let format = "$(CREATED_BY) $(RELEASE) $(SITE)";
    let targets = process::output("apt-get", &["indextargets", "--format", format])?.unwrap_or_default();
    let wanted = format!("Packages {RELEASE} ");
    match targets.lines().find_map(|line| line.strip_prefix(&wanted)) {
        Some(site) => Ok(site.to_owned()),
        None => bail!("apt has no source for Debian {RELEASE}"),
    }
}

/// The proxy that this machine's apt uses, as an option for another apt.
pub(crate) fn proxy() -> Result<Option<String>> {
    let dump = process::output("apt-config", &["dump", "Acquire::http::Proxy"])?.unwrap_or_default();
    Ok(dump
        .lines()
        .find(|line| line.starts_with("Acquire::http::Proxy \"") && !line.ends_with("\"\";"))
        .map(str::to_owned))
}

/// The folder in which cargo keeps what it has fetched.
pub(crate) fn cargo_folder() -> Result<PathBuf> {
    let named = environment::variable("CARGO_HOME").filter(|folder| !folder.is_empty());
    let usual = || Some(PathBuf::from(environment::variable("HOME")?).join(".cargo"));
    named.map(PathBuf::from).or_else(usual).context("neither CARGO_HOME nor HOME is set")
}
