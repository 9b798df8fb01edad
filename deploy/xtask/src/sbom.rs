//! `cargo xtask sbom`: what each of the two binaries is built of, as a bill of materials in CycloneDX' JSON.
//!
//! Cargo says which crates a binary has on a target (its normal dependencies with the features that they get there,
//! macros included; not what tests, benches and build scripts use), what their licences are, and how they depend on
//! each other; the lock file has their checksums. The same tree gives the same bytes: there is no time and no random
//! number in it.
//!
//! Deliberately not made by cargo-cyclonedx: it would have to be built first, and tells of packages, not of what one
//! binary gets of them on one target.

use crate::{place, process, say, venv};
use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages that have a binary of the same name.
const BINARIES: [&str; 2] = ["mixfeed-loader", "mixfeed-trainer"];

/// The one that is linked with libtorch, which is no crate.
const WITH_LIBTORCH: &str = "mixfeed-trainer";

const SPECIFICATION: &str = "1.5";

/// Validates files against the specification's own schema.
const VALIDATE: &str = "\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
for path in sys.argv[1:]:
    fault = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(path, encoding='utf-8').read())
    if fault:
        sys.exit(f'{path}: {fault!r}'[:2000])
";

/// Where to, and for which target.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// The folder for the files; `target/sbom` when not given.
    pub(crate) output: Option<PathBuf>,
    /// A target triple; this machine's when not given.
    pub(crate) target: Option<String>,
}

/// Writes one file for each binary, and returns them.
pub(crate) fn run(options: &Options) -> Result<Vec<PathBuf>> {
    let target = match &options.target {
        Some(target) => target.clone(),
        None => host()?,
    };
    let folder = options.output.clone().unwrap_or_else(|| place::at("target/sbom"));
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let metadata = cargo(&["metadata", "--locked", "--format-version", "1", "--filter-platform", &target])?;
    let metadata: Value = serde_json::from_str(&metadata).context("cannot read cargo's metadata")?;
    let lock = fs::read_to_string(place::at("Cargo.lock")).context("cannot read Cargo.lock")?;
    let checksums = checksums(&lock);
    let mut files = Vec::new();
    for binary in BINARIES {
        let format = ["--prefix", "none", "--format", "{p}"];
        let tree = ["tree", "--locked", "--edges", "normal", "--target", &target, "--package", binary];
        let crates = crates(&cargo(&[&tree[..], &format[..]].concat())?);
        let bill = bill(binary, &target, &crates, &metadata, &checksums)?;
        let file = folder.join(format!("{binary}.cdx.json"));
        fs::write(&file, format!("{bill:#}\n"))
            .with_context(|| format!("cannot write {}", file.display()))?;
        say::line(&format!(
            "{}: {} components",
            place::short(&file),
            bill["components"].as_array().map_or(0, Vec::len)
        ));
        files.push(file);
    }
    Ok(files)
}

/// Makes the files, and holds them against CycloneDX' schema.
pub(crate) fn check(options: &Options) -> Result<()> {
    let files = run(options)?;
    let python = venv::checks()?;
    validate(&python, &files)?;
    // What is not seen cannot be told: a file with a component that has no name does not pass.
    let planted = files[0].with_file_name("planted.cdx.json");
    let mut bill: Value = serde_json::from_slice(&fs::read(&files[0])?)?;
    bill["dependencies"] = json!([]);
    bill["components"] = json!([{ "type": "library", "version": "1.0.0" }]);
    fs::write(&planted, bill.to_string())?;
    let passes = process::quiet(Command::new(&python).args(["-c", VALIDATE]).arg(&planted));
    fs::remove_file(&planted)?;
    if passes {
        bail!("a bill of materials that is none was not found out: the check checks nothing");
    }
    Ok(())
}

fn validate(python: &Path, files: &[PathBuf]) -> Result<()> {
    process::run(Command::new(python).args(["-c", VALIDATE]).args(files))
        .context("no bill of materials by the schema")
}

fn cargo(arguments: &[&str]) -> Result<String> {
    let manifest = place::at("Cargo.toml");
    let manifest = ["--manifest-path", &manifest.to_string_lossy()];
    process::output(process::cargo(), &[arguments, &manifest].concat())?.context("there is no cargo")
}

fn host() -> Result<String> {
    let version = process::output("rustc", &["-vV"])?.context("there is no rustc")?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say what it builds for")
}

/// Name and version.
type Crate = (String, String);

/// Reads lines of `cargo tree`, as in "serde v1.0.1 (proc-macro) (*)".
fn crates(tree: &str) -> BTreeSet<Crate> {
    let read = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    };
    tree.lines().filter_map(read).collect()
}

/// SHA-256 of each crate's archive, from the lock file.
fn checksums(lock: &str) -> BTreeMap<Crate, String> {
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
        Some(line.trim_matches('"').to_owned())
    };
    let read =
        |block: &str| Some(((field(block, "name")?, field(block, "version")?), field(block, "checksum")?));
    lock.split("[[package]]").filter_map(read).collect()
}

fn bill(
    binary: &str,
    target: &str,
    crates: &BTreeSet<Crate>,
    metadata: &Value,
    checksums: &BTreeMap<Crate, String>,
) -> Result<Value> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().context("cargo tells of no packages")?;
    let of_crate = |package: &Value| (text(&package["name"]), text(&package["version"]));
    let chosen: BTreeMap<String, &Value> = packages
        .iter()
        .filter(|package| crates.contains(&of_crate(package)))
        .map(|package| (text(&package["id"]), package))
        .collect();
    if chosen.len() != crates.len() {
        bail!("{binary} has {} crates, and cargo's metadata tells of {} of them", crates.len(), chosen.len());
    }
    let references: BTreeMap<&String, String> =
        chosen.iter().map(|(id, package)| (id, purl(package))).collect();
    let (mut main, mut components) = (None, Vec::new());
    for (id, package) in &chosen {
        let component = component(package, &references[id], checksums.get(&of_crate(package)));
        if package["name"] == binary { main = Some(component) } else { components.push(component) }
    }
    let mut main = main.with_context(|| format!("{binary} is not among its own crates"))?;
    main["type"] = "application".into();

    let mut dependencies = Vec::new();
    for node in metadata["resolve"]["nodes"].as_array().into_iter().flatten() {
        let Some(reference) = references.get(&text(&node["id"])) else { continue };
        let is_normal = |dependency: &&Value| {
            dependency["dep_kinds"].as_array().into_iter().flatten().any(|kind| kind["kind"].is_null())
        };
        let mut on: BTreeSet<String> = node["deps"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(is_normal)
            .filter_map(|dependency| references.get(&text(&dependency["pkg"])).cloned())
            .collect();
        if binary == WITH_LIBTORCH && text(&node["id"]).contains("torch-sys") {
            on.insert(text(&libtorch()["bom-ref"]));
        }
        dependencies.push(json!({ "ref": reference, "dependsOn": on }));
    }
    if binary == WITH_LIBTORCH {
        components.push(libtorch());
        dependencies.push(json!({ "ref": libtorch()["bom-ref"], "dependsOn": [] }));
    }
    components.sort_by_key(|component| text(&component["bom-ref"]));
    dependencies.sort_by_key(|dependency| text(&dependency["ref"]));
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": { "component": main, "properties": [{ "name": "cargo:target", "value": target }] },
        "components": components,
        "dependencies": dependencies,
    }))
}

fn component(package: &Value, reference: &str, checksum: Option<&String>) -> Value {
    let mut component = Map::new();
    component.insert("type".into(), "library".into());
    component.insert("bom-ref".into(), reference.into());
    component.insert("name".into(), package["name"].clone());
    component.insert("version".into(), package["version"].clone());
    component.insert("purl".into(), reference.into());
    component.insert("scope".into(), "required".into());
    if let Some(licence) = package["license"].as_str() {
        // Before there were expressions, a stroke stood for a choice.
        let expression =
            if licence.contains(" ") { licence.to_owned() } else { licence.replace('/', " OR ") };
        component.insert("licenses".into(), json!([{ "expression": expression }]));
    } else if let Some(file) = package["license_file"].as_str() {
        component.insert("licenses".into(), json!([{ "license": { "name": file } }]));
    }
    if let Some(checksum) = checksum {
        component.insert("hashes".into(), json!([{ "alg": "SHA-256", "content": checksum }]));
    }
    if let Some(repository) = package["repository"].as_str() {
        component.insert("externalReferences".into(), json!([{ "type": "vcs", "url": repository }]));
    }
    component.into()
}

/// The package's address (purl). A crate of ours is not on crates.io, and says so.
fn purl(package: &Value) -> String {
    let [name, version] = ["name", "version"].map(|key| package[key].as_str().unwrap_or_default());
    let place = if package["source"].is_null() { "?download_url=file:." } else { "" };
    format!("pkg:cargo/{name}@{}{place}", version.replace('+', "%2B"))
}

/// What `cargo xtask libtorch` prepares, and the trainer is linked with.
fn libtorch() -> Value {
    let version = crate::libtorch::VERSION;
    let purl = format!("pkg:pypi/torch@{version}");
    json!({
        "type": "library",
        "bom-ref": purl,
        "name": "torch",
        "version": version,
        "purl": purl,
        "scope": "required",
        "licenses": [{ "expression": "BSD-3-Clause" }],
        "description": "libtorch, from the wheel of PyTorch; linked dynamically",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_ops::testing;

    #[test]
    fn cargos_tree_and_lock_file_are_read() {
        let tree = "a v0.1.0 (/x/a)\nserde v1.0.1\nserde_derive v1.0.2 (proc-macro)\nserde v1.0.1 (*)\n\n";
        let names: Vec<_> =
            crates(tree).into_iter().map(|(name, version)| format!("{name} {version}")).collect();
        assert_eq!(names, ["a 0.1.0", "serde 1.0.1", "serde_derive 1.0.2"]);
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"serde\"\n\
            version = \"1.0.1\"\nsource = \"registry\"\nchecksum = \"0f\"\n";
        let checksums = checksums(lock);
        assert_eq!(checksums.len(), 1);
        assert_eq!(checksums[&("serde".to_owned(), "1.0.1".to_owned())], "0f");
    }

    #[test]
    fn a_bill_holds_what_the_binary_has_and_nothing_else() {
        // Whoever runs a test that another user has built may not run that user's cargo.
        let cargo = testing::runs(Path::new(&process::cargo()), &["--version"]);
        if testing::require("cargo", cargo).is_none() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let options =
            Options { output: Some(folder.path().into()), target: Some("x86_64-unknown-linux-gnu".into()) };
        let files = run(&options).unwrap();
        let read = |file: &PathBuf| fs::read(file).unwrap();
        let bills: Vec<Value> =
            files.iter().map(|file| serde_json::from_slice(&read(file)).unwrap()).collect();
        let names = |bill: &Value| -> BTreeSet<String> {
            let components = bill["components"].as_array().unwrap();
            components.iter().map(|component| component["name"].as_str().unwrap().to_owned()).collect()
        };
        let [loader, trainer] = [0, 1].map(|at| names(&bills[at]));
        assert!(
            loader.contains("tonic") && loader.contains("mixfeed-pipeline") && trainer.is_superset(&loader)
        );
        assert!(trainer.contains("tch") && trainer.contains("torch") && trainer.contains("mixfeed-loader"));
        // Of tests, of build scripts, and of other systems.
        for foreign in ["proptest", "cap", "divan", "tch", "protox", "cc", "windows-sys", "xtask"] {
            assert!(!loader.contains(foreign), "{foreign}");
        }
        for component in bills.iter().flat_map(|bill| bill["components"].as_array().unwrap()) {
            assert!(component["licenses"][0].is_object() && component["purl"].is_string(), "{component}");
            let is_locked = component["hashes"][0]["content"].as_str().is_some_and(|hash| hash.len() == 64);
            let is_crates_io =
                !component["purl"].as_str().unwrap().contains("file:") && component["name"] != "torch";
            assert_eq!(is_locked, is_crates_io, "{component}");
        }
        assert_eq!(bills[0]["metadata"]["component"]["name"], "mixfeed-loader");
        let references = bills[1]["dependencies"].as_array().unwrap().len();
        assert_eq!(references, bills[1]["components"].as_array().unwrap().len() + 1);
        // The same again.
        let before: Vec<_> = files.iter().map(read).collect();
        assert_eq!(run(&options).unwrap().iter().map(read).collect::<Vec<_>>(), before);
    }
}
