//! `pairs`: two commands in turn, and the ratio of what they measure.
//!
//! Machines drift, by tens of percent within minutes, so two figures taken one after the other say little about
//! each other. Here the commands take turns (A B A B …) and each pair gives a ratio; what is told is
//! the median of these ratios and an interval for it that supposes no distribution.
//!
//! What is deliberately not here: what the commands measure. Each is a line for the shell, and prints a JSON
//! object as the last line of its stdout.

mod ratio;

use crate::{place, say};
use anyhow::{Context as _, Result, bail, ensure};
use ratio::{Interval, median};
use serde_json::Value;
use std::process::{Command, Stdio};

/// Enough for an interval of 95 % that leaves the two outermost pairs out.
const PAIRS: usize = 10;

const FIELD: &str = "images_per_second";

/// What to compare.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) pairs: usize,
    pub(crate) fields: Vec<Field>,
    /// The two commands.
    pub(crate) commands: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { pairs: PAIRS, fields: Vec::new(), commands: Vec::new() }
    }
}

/// A number that both commands print, perhaps by different names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    names: [String; 2],
}

impl Field {
    /// Reads `NAME`, or `NAME,NAME` when the second command has a name of its own for it.
    pub(crate) fn new(text: &str) -> Self {
        let (a, b) = text.split_once(',').unwrap_or((text, text));
        Self { names: [a.into(), b.into()] }
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let [a, b] = options.commands.as_slice() else {
        bail!("give two commands after --, each in quotes");
    };
    ensure!(options.pairs > 0, "--pairs 0 compares nothing");
    let fields = match options.fields.as_slice() {
        [] => &[Field::new(FIELD)],
        fields => fields,
    };
    // Of each field, of each pair, the two numbers.
    let mut pairs = vec![Vec::with_capacity(options.pairs); fields.len()];
    for number in 1..=options.pairs {
        let printed = [last_object(a)?, last_object(b)?];
        for (Field { names }, pairs) in fields.iter().zip(&mut pairs) {
            let both = [number_in(&printed[0], &names[0])?, number_in(&printed[1], &names[1])?];
            say::line(&format!(
                "pair {number} of {}: {} {:.4} and {:.4}",
                options.pairs, names[0], both[0], both[1]
            ));
            pairs.push(both);
        }
    }
    for (Field { names }, pairs) in fields.iter().zip(&pairs) {
        say::result(&table(names, pairs));
    }
    Ok(())
}

/// Runs a command and reads the JSON object in the last line that it prints.
fn last_object(command: &str) -> Result<Value> {
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(place::root())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .context("cannot run sh")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{command}` ended with {}: {}", output.status, stderr.trim());
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    serde_json::from_str(last)
        .with_context(|| format!("the last line of `{command}` is no JSON object: {last}"))
}

fn number_in(object: &Value, name: &str) -> Result<f64> {
    let number = object.get(name).and_then(Value::as_f64);
    number.with_context(|| format!("there is no number `{name}` in {object}"))
}

fn table(names: &[String; 2], pairs: &[[f64; 2]]) -> String {
    let column = |which: usize| pairs.iter().map(|pair| pair[which]).collect::<Vec<_>>();
    let ratios: Vec<_> = pairs.iter().map(|[a, b]| a / b).collect();
    let line = |name: &str, values: &[f64]| {
        let (low, high) = ratio::range(values);
        format!("  {name:44} {:>12.4}   {low:.4} to {high:.4}\n", median(values))
    };
    let mut text = format!(
        "{} pairs                                         median   lowest and highest\n",
        pairs.len()
    );
    text += &line(&format!("A {}", names[0]), &column(0));
    text += &line(&format!("B {}", names[1]), &column(1));
    if ratios.iter().any(|ratio| !ratio.is_finite()) {
        return text + "  no ratio: B is 0 in one of the pairs\n";
    }
    text += &line("A / B", &ratios);
    text + &match Interval::of_median(&ratios) {
        Some(Interval { low, high, coverage }) => {
            format!("  median of A / B lies within {low:.4} to {high:.4} ({:.1} %)\n", coverage * 100.0)
        }
        None => "  too few pairs for an interval of 95 %; six are the least\n".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(fields: &[&str], commands: [&str; 2]) -> Options {
        let fields = fields.iter().map(|field| Field::new(field)).collect();
        Options { pairs: 2, fields, commands: commands.map(Into::into).to_vec() }
    }

    #[test]
    fn the_last_line_counts_whatever_comes_before() {
        let object = last_object("echo starting; echo '{\"a\": 2.5}'; echo").unwrap();
        assert!((number_in(&object, "a").unwrap() - 2.5).abs() < 1e-12);
    }

    #[test]
    fn commands_that_fail_or_print_no_such_number_are_named() {
        let fails = options(&["a"], ["echo '{\"a\": 1}'", "echo broken >&2; exit 3"]);
        let message = run(&fails).unwrap_err().to_string();
        assert!(message.contains("exit 3") && message.contains("broken"), "{message}");
        let other = options(&["a,b"], ["echo '{\"a\": 1}'", "echo '{\"a\": 1}'"]);
        let message = run(&other).unwrap_err().to_string();
        assert!(message.contains("no number `b`"), "{message}");
        let silent = options(&["a"], ["true", "true"]);
        assert!(format!("{:#}", run(&silent).unwrap_err()).contains("no JSON object"));
    }

    #[test]
    fn the_table_tells_medians_and_the_ratio_of_pairs() {
        let text = table(&["x".into(), "y".into()], &[[2.0, 1.0], [8.0, 2.0], [9.0, 3.0]]);
        let value = |line: &str| line.split_whitespace().rev().nth(3).unwrap().parse::<f64>().unwrap();
        let lines: Vec<_> = text.lines().collect();
        for (line, expected) in lines[1..4].iter().zip([8.0, 2.0, 3.0]) {
            assert!((value(line) - expected).abs() < 1e-9, "{line}");
        }
        assert!(lines[4].contains("too few"));
        let text = table(&["x".into(), "y".into()], &[[2.0, 1.0], [8.0, 0.0]]);
        assert!(text.ends_with("no ratio: B is 0 in one of the pairs\n"), "{text}");
    }
}
