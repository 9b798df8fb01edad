//! The table at the end of the demo, from the trainer's JSON.

use crate::place;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

/// Writes the table. Synthetic data is labelled as such where nobody can miss it.
pub(crate) fn of(result: &Value, real: bool) -> Result<String> {
    let label = if real { "CIFAR-10" } else { "SYNTHETIC DATA, not CIFAR-10" };
    let mut out = format!(
        "\n{label}: {} epochs of {} images, {} replicas\n\n{:<16}{:>14}{:>12}{:>20}\n",
        number(result, "/epochs")?,
        images(result)?,
        number(result, "/arms/0/trials/0/replicas_seen")?,
        "",
        "test accuracy",
        "images/s",
        "waiting for data"
    );
    let arms = result["arms"].as_array().context("the result has no arms")?;
    for arm in arms {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:<16}{:>12.1} %{:>12.0}{:>18.1} %",
            text(arm, "/arm")?.replace('-', " "),
            100.0 * number(arm, "/test_accuracy/mean")?,
            number(arm, "/images_per_second/mean")?,
            100.0 * number(arm, "/data_wait_ratio/mean")?
        );
    }
    out.push_str("\none short training each: a difference of a point or two says nothing about mixup\n\n");
    for arm in arms {
        let checkpoint = place::short(Path::new(text(arm, "/trials/0/checkpoint")?));
        let _ = writeln!(out, "checkpoint {}: {checkpoint}", text(arm, "/arm")?.replace('-', " "));
    }
    let _ = writeln!(out, "curves: {}", place::short(Path::new(text(result, "/curves")?)));
    Ok(out)
}

/// Training images of one epoch.
fn images(result: &Value) -> Result<f64> {
    Ok(number(result, "/arms/0/trials/0/images")? / number(result, "/epochs")?)
}

fn number(value: &Value, pointer: &str) -> Result<f64> {
    value
        .pointer(pointer)
        .and_then(Value::as_f64)
        .with_context(|| format!("the result has no number at {pointer}"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .with_context(|| format!("the result has no text at {pointer}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn result() -> Value {
        let arm = |name: &str, accuracy: f64| {
            json!({
                "arm": name,
                "test_accuracy": {"mean": accuracy},
                "images_per_second": {"mean": 512.4},
                "data_wait_ratio": {"mean": 0.0123},
                "trials": [{"images": 60_000, "replicas_seen": 2, "checkpoint": "/elsewhere/a.safetensors"}],
            })
        };
        json!({
            "epochs": 3,
            "curves": "/elsewhere/curves.png",
            "arms": [arm("without-mixup", 0.6712), arm("with-mixup", 0.668)],
        })
    }

    #[test]
    fn both_arms_and_all_files_are_in_the_table() {
        let table = of(&result(), true).unwrap();
        for part in ["CIFAR-10: 3 epochs of 20000 images, 2 replicas", "67.1 %", "66.8 %", "512", "1.2 %"] {
            assert!(table.contains(part), "{part} is not in {table}");
        }
        assert!(table.contains("checkpoint with mixup: /elsewhere/a.safetensors\n"), "{table}");
        assert!(table.contains("curves: /elsewhere/curves.png\n"), "{table}");
        assert!(!table.contains("SYNTHETIC"));
    }

    #[test]
    fn synthetic_data_is_labelled() {
        assert!(of(&result(), false).unwrap().contains("SYNTHETIC DATA, not CIFAR-10"));
    }

    #[test]
    fn a_result_without_its_figures_is_an_error_that_names_them() {
        let error = of(&json!({"epochs": 3}), true).unwrap_err().to_string();
        assert!(error.contains("/arms/0"), "{error}");
    }
}
