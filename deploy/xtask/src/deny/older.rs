//! What a cargo-deny of 2023 has to be told in other words. It names crates in rules by `name`, takes package ids in
//! the form that cargo gave them before 1.77, and knows the licences that SPDX had.
//!
//! It asks cargo for the tree, so this program stands in for cargo and hands on the answer, changed.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// The variable that holds the real cargo, where this program stands in for it.
pub(crate) const CARGO: &str = "MIXFEED_XTASK_CARGO";

/// Licences that came to SPDX later. Named as references they need no list, and are allowed or not all the same.
const LATER: [&str; 1] = ["Unicode-3.0"];

/// Rules in the form of then.
pub(super) fn rules(rules: &str) -> String {
    licences(rules).lines().fold(String::new(), |text, line| {
        let line =
            line.strip_prefix("crate = ").map_or_else(|| line.to_owned(), |rest| format!("name = {rest}"));
        text + &line + "\n"
    })
}

fn licences(text: &str) -> String {
    LATER.iter().fold(text.to_owned(), |text, id| text.replace(id, &format!("LicenseRef-{id}")))
}

/// Answers in cargo's place.
pub(crate) fn answer(cargo: &OsStr) -> Result<()> {
    let arguments: Vec<OsString> = arguments();
    let output = Command::new(cargo)
        .args(&arguments)
        .env_remove(CARGO)
        .env("CARGO", cargo)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo ended with {}", output.status);
    }
    let mut answer = output.stdout;
    if arguments.first().is_some_and(|argument| argument == "metadata") {
        let mut metadata: Value = serde_json::from_slice(&answer).context("cannot read cargo's metadata")?;
        change(&mut metadata);
        answer = metadata.to_string().into_bytes();
    }
    Ok(std::io::stdout().write_all(&answer)?)
}

// A program that stands in for another takes its arguments as they are.
#[allow(clippy::disallowed_methods)]
fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

/// Gives every package the id that cargo gave it before 1.77, wherever it is named, and its licence an older name.
fn change(metadata: &mut Value) {
    let mut ids = HashMap::new();
    for package in metadata["packages"].as_array_mut().into_iter().flatten() {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let source = match package["source"].as_str() {
            Some(source) => source.to_owned(),
            // A package of ours: its id is where it lies, with or without its name behind.
            None => text("id").split('#').next().unwrap_or_default().to_owned(),
        };
        ids.insert(text("id"), format!("{} {} ({source})", text("name"), text("version")));
        if let Some(licence) = package["license"].as_str().map(licences) {
            package["license"] = licence.into();
        }
    }
    rename(metadata, &ids);
}

fn rename(value: &mut Value, ids: &HashMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(id) = ids.get(text) {
                text.clone_from(id);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| rename(value, ids)),
        Value::Object(fields) => fields.values_mut().for_each(|value| rename(value, ids)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn packages_have_their_older_ids_wherever_they_are_named() {
        let (one, two) = ("registry+https://a/index#one@1.0.0", "path+file:///two#0.1.0");
        let package = |id: &str, name: &str, version: &str, source: Option<&str>, licence: Option<&str>| json!({ "id": id, "name": name, "version": version, "source": source, "license": licence });
        let mut metadata = json!({
            "packages": [
                package(one, "one", "1.0.0", Some("registry+https://a/index"), Some("MIT AND Unicode-3.0")),
                package(two, "two", "0.1.0", None, None),
            ],
            "workspace_members": [two],
            "resolve": { "nodes": [{ "id": two, "deps": [{ "pkg": one }] }] },
        });
        change(&mut metadata);
        let (one, two) = ("one 1.0.0 (registry+https://a/index)", "two 0.1.0 (path+file:///two)");
        assert_eq!(metadata["packages"][0]["id"], one);
        assert_eq!(metadata["packages"][0]["license"], "MIT AND LicenseRef-Unicode-3.0");
        assert_eq!(metadata["packages"][1]["license"], Value::Null);
        assert_eq!(metadata["workspace_members"][0], two);
        assert_eq!(metadata["resolve"]["nodes"][0], json!({ "id": two, "deps": [{ "pkg": one }] }));
    }

    #[test]
    fn rules_are_written_as_they_were_then() {
        let rules = rules("[[bans.deny]]\ncrate = \"a\"\nallow = [\"Unicode-3.0\"]\n");
        assert_eq!(rules, "[[bans.deny]]\nname = \"a\"\nallow = [\"LicenseRef-Unicode-3.0\"]\n");
    }
}
