//! Which crate a test program belongs to. Cargo's running commentary names programs only.

use crate::place;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::HashMap;

/// What was built to be run.
#[derive(Debug, Default)]
pub(crate) struct Suites {
    /// Test programs by their path below the root, with a readable name.
    names: HashMap<String, String>,
    /// The loader's binary, where it was built too. Tests of other packages start it.
    pub(crate) loader: Option<String>,
}

impl Suites {
    /// Reads cargo's build messages, one JSON object a line.
    pub(crate) fn read(messages: &str) -> Result<Suites> {
        let mut suites = Suites::default();
        for line in messages.lines().filter(|line| line.starts_with('{')) {
            let message: Value = serde_json::from_str(line).context("cannot read a message of cargo")?;
            let Some(executable) = message["executable"].as_str() else { continue };
            let package = package_name(message["package_id"].as_str().unwrap_or_default());
            let target = &message["target"];
            if message["profile"]["test"] != true {
                if target["name"] == "mixfeed-loader" {
                    suites.loader = Some(executable.to_owned());
                }
                continue;
            }
            let kind = target["kind"][0].as_str().unwrap_or_default();
            let name = match kind {
                "lib" | "proc-macro" => package.to_owned(),
                "test" => format!("{package}, tests/{}", target["name"].as_str().unwrap_or_default()),
                kind => format!("{package}, {kind} {}", target["name"].as_str().unwrap_or_default()),
            };
            suites.names.insert(place::short(executable.as_ref()), name);
        }
        Ok(suites)
    }

    /// The readable name of a test program.
    pub(crate) fn name(&self, program: &str) -> String {
        self.names.get(&place::short(program.as_ref())).cloned().unwrap_or_else(|| program.to_owned())
    }
}

/// Reads "path+file:///a/deploy/ops#mixfeed-ops@0.1.0", or "path+file:///a/name#0.1.0".
fn package_name(id: &str) -> &str {
    let (path, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    match fragment.split_once('@') {
        Some((name, _)) => name,
        None => path.rsplit('/').next().unwrap_or(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_named_by_crate_and_file() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","package_id":"path+file:///x/deploy/ops#mixfeed-ops@0.1.0","#,
            r#""target":{"kind":["lib"],"name":"mixfeed_ops"},"profile":{"test":true},"executable":"/t/ops-1"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","package_id":"path+file:///x/loader#mixfeed-loader@0.1.0","#,
            r#""target":{"kind":["test"],"name":"python"},"profile":{"test":true},"executable":"/t/python-1"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","package_id":"path+file:///x/xtask#0.1.0","#,
            r#""target":{"kind":["bin"],"name":"xtask"},"profile":{"test":false},"executable":"/t/xtask"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","package_id":"path+file:///x/loader#mixfeed-loader@0.1.0","#,
            r#""target":{"kind":["bin"],"name":"mixfeed-loader"},"profile":{"test":false},"executable":"/t/loader"}"#,
            "\nnoise\n",
        );
        let suites = Suites::read(messages).unwrap();
        assert_eq!(suites.name("/t/ops-1"), "mixfeed-ops");
        assert_eq!(suites.name("/t/python-1"), "mixfeed-loader, tests/python");
        assert_eq!(suites.name("/t/xtask"), "/t/xtask");
        assert_eq!(suites.loader.as_deref(), Some("/t/loader"));
    }

    #[test]
    fn package_ids_of_both_forms_are_understood() {
        assert_eq!(package_name("path+file:///x/deploy/ops#mixfeed-ops@0.1.0"), "mixfeed-ops");
        assert_eq!(package_name("path+file:///x/deploy/xtask#0.1.0"), "xtask");
    }
}
