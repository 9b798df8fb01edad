//! The guides' commands do what the guides say: each section is run as it stands there, in a folder of its own.

use super::python_with;
use crate::support::loader_binary;
use mixfeed_ops::testing;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The address that the guides give a loader.
const ADDRESS: &str = "127.0.0.1:50071";

/// Runs the commands of a section and returns the folder that they leave, and what they print.
fn follow(section: &str, python: Option<PathBuf>) -> (tempfile::TempDir, String) {
    let guides = std::fs::read_to_string(Path::new(ROOT).join("deploy/docs/GUIDES.md")).unwrap();
    let title = format!("\n## {section}\n");
    let text = guides.split_once(&title).expect("the guides have this section").1;
    let text = text.split_once("\n## ").map_or(text, |(text, _)| text);
    let commands: String =
        text.split("```bash\n").skip(1).map(|part| part.split("```").next().unwrap()).collect();
    assert!(!commands.is_empty(), "{section}");
    // Whatever was started in the background ends with the guide; the port is one that is free here.
    let free = &mixfeed_testing::free_addresses(1)[0];
    let script = format!("set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{commands}")
        .replace(ADDRESS, free);
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let link = |program: &Path, name: &str| std::os::unix::fs::symlink(program, bin.join(name)).unwrap();
    link(&loader_binary(), "mixfeed-loader");
    link(Path::new(env!("CARGO_BIN_EXE_mixfeed-trainer")), "mixfeed-trainer");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    // An environment of Python is known by where its program lies, so this is no link.
    let script = match python {
        Some(python) => format!("python3() {{ {} \"$@\"; }}\n{script}", python.display()),
        None => script,
    };
    let mut bash = Command::new("bash");
    bash.args(["-c", &script]).current_dir(folder.path()).env("PATH", path);
    bash.env("PYTHONPATH", Path::new(ROOT).join("proto/examples/python"));
    let output = bash.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{section}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
    (folder, said)
}

#[test]
fn feed_your_own_training() {
    let Some(python) = testing::require("torch", python_with("torch")) else { return };
    let (_folder, said) = follow("Feed your own training", Some(python));
    assert!(said.contains("loss "), "{said}");
}

#[test]
fn compare_mixup_settings() {
    let (folder, said) = follow("Compare mixup settings", None);
    assert!(said.contains("mixed.png") && said.contains("95 %"), "{said}");
    for made in ["mixed.png", "mixup/compare.csv", "grid/grid.png"] {
        assert!(folder.path().join(made).is_file(), "{made}");
    }
}

#[test]
fn bring_your_own_images() {
    let Some(python) = testing::require("python", testing::python()) else { return };
    let (folder, said) = follow("Bring your own images", Some(python));
    assert!(said.contains("40") && said.contains("red"), "{said}");
    assert!(folder.path().join("photos-run/curves.png").is_file());
}

#[test]
fn run_a_fleet() {
    let (folder, said) = follow("Run a fleet", None);
    assert!(said.contains("test accuracy"), "{said}");
    assert!(folder.path().join("fleet/checkpoint-last.safetensors").is_file());
}
