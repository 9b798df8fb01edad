//! Where unsafe code may be: in the files that `.github/SECURITY.md` names, and nowhere else.
//!
//! The compiler refuses it wherever nobody allows it (`unsafe_code = "deny"` for the workspace), so it is the
//! allowing that is looked for.

use crate::place;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The lint, as an attribute names it.
const LINT: &str = concat!("unsafe", "_code");

/// Folders with sources, below the root.
const SOURCES: [&str; 4] = ["proto", "loader", "trainer", "deploy"];

/// All sources, in Rust and in Python, by their paths below the root.
pub(crate) fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in SOURCES {
        walk(&place::at(folder), &mut files);
    }
    files
}

fn walk(folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            walk(&entry, files);
        } else if entry.extension().is_some_and(|end| end == "rs" || end == "py") {
            files.push((place::short(&entry), fs::read_to_string(&entry).unwrap()));
        }
    }
}

/// Files that allow unsafe code: an attribute may be written in several ways, but has to name the lint.
fn allowing(files: &[(String, String)]) -> BTreeSet<String> {
    let names =
        |text: &str| text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(LINT));
    files.iter().filter(|(_, text)| names(text)).map(|(path, _)| path.clone()).collect()
}

/// Files that the document names in its table.
fn named() -> BTreeSet<String> {
    let document = fs::read_to_string(place::at(".github/SECURITY.md")).unwrap();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    rows.map(|(path, _)| path.to_owned()).filter(|path| path.ends_with(".rs")).collect()
}

/// The folders of the crates in the workspace with this manifest.
pub(crate) fn members(workspace: &str) -> Vec<&str> {
    let members = workspace.split("\nmembers = [").nth(1).unwrap().split(']').next().unwrap();
    members.split(',').map(|member| member.trim().trim_matches('"')).collect()
}

#[test]
fn code_that_may_be_unsound_is_in_the_named_files_only() {
    let mut files = files();
    assert!(files.len() > 100, "{} files", files.len());
    assert_eq!(allowing(&files), named());
    // One more is seen.
    files.push(("loader/src/new.rs".into(), format!("#[allow({LINT})]\nfn new() {{}}\n")));
    assert!(allowing(&files) != named());
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    let workspace = fs::read_to_string(place::at("Cargo.toml")).unwrap();
    assert!(workspace.contains(&format!("\n{LINT} = \"deny\"\n")));
    let members = members(&workspace);
    assert!(members.len() > 5);
    for member in members {
        let manifest = fs::read_to_string(place::at(member).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("\n[lints]\nworkspace = true\n"), "{member}");
    }
}
