//! Whether Prometheus has an answer to everything that the dashboard and the rules ask.

use super::wait_for;
use crate::{http, place, say};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// Fewer would mean that the dashboard was read wrongly.
const LEAST_PANELS: usize = 15;
const LEAST_RULES: usize = 5;

/// Waits until all processes are scraped and each expression has a value.
pub(super) fn check(prometheus: &str, loaders: usize, patience: Duration) -> Result<()> {
    let up = |job: &str| format!("up{{job=\"mixfeed-{job}\"}} == 1");
    wait_for(patience, || {
        for (job, wanted) in [("loader", loaders), ("trainer", 1)] {
            let scraped = values(prometheus, &up(job))?.len();
            ensure!(scraped == wanted, "{scraped} {job}s are scraped, not {wanted}");
        }
        Ok(())
    })?;
    let dashboard = fs::read_to_string(place::at("deploy/observe/grafana/dashboards/mixfeed.json"))?;
    let dashboard: Value = serde_json::from_str(&dashboard).context("the dashboard is no JSON")?;
    let panels = panel_expressions(&dashboard);
    let rules = rule_expressions(&json(prometheus, "/api/v1/rules")?)?;
    ensure!(panels.len() >= LEAST_PANELS && rules.len() >= LEAST_RULES, "too few expressions were found");
    for expression in panels.iter().chain(&rules) {
        wait_for(patience, || {
            let found = values(prometheus, expression)?;
            // A quantile of nothing is no number, and says nothing.
            ensure!(found.iter().any(|value| value.is_finite()), "no data: {expression}");
            Ok(())
        })?;
    }
    say::line(&format!("{} panels' and {} rules' expressions have data", panels.len(), rules.len()));
    Ok(())
}

fn json(prometheus: &str, path: &str) -> Result<Value> {
    let answer: Value = serde_json::from_str(&http::get(prometheus, path)?)?;
    ensure!(answer["status"] == "success", "{path}: {answer}");
    Ok(answer["data"].clone())
}

/// The values that an expression has at this moment.
fn values(prometheus: &str, expression: &str) -> Result<Vec<f64>> {
    let data = json(prometheus, &format!("/api/v1/query?query={}", http::escaped(expression)))?;
    let series = data["result"].as_array().context("an answer without a result")?;
    Ok(series.iter().filter_map(|one| one["value"][1].as_str()?.parse().ok()).collect())
}

fn panel_expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().map(Vec::as_slice).unwrap_or_default();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.filter_map(|target| target["expr"].as_str()).map(chosen).collect()
}

/// With everything chosen in the variables of the dashboard, as it is opened.
fn chosen(expression: &str) -> String {
    ["$namespace", "$run", "$instance"]
        .iter()
        .fold(expression.to_owned(), |text, name| text.replace(name, ".*"))
}

/// What stands before the comparison at the end of each alert, which is silent while all is well; what is recorded, whole.
fn rule_expressions(rules: &Value) -> Result<Vec<String>> {
    let groups = rules["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rules = groups.iter().filter_map(|group| group["rules"].as_array()).flatten();
    rules
        .map(|rule| {
            let query = rule["query"].as_str().context("a rule without an expression")?;
            if rule["type"] == "recording" {
                return Ok(query.to_owned());
            }
            match query.rsplit_once([' ']).map(|(front, limit)| (front.rsplit_once(' '), limit)) {
                Some((Some((measured, "<" | ">")), limit)) if limit.parse::<f64>().is_ok() => {
                    Ok(measured.to_owned())
                }
                _ => bail!("a rule that does not end in a comparison with a number: {query}"),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(query: &str) -> Value {
        json!({"groups": [{"rules": [{"query": query}]}]})
    }

    #[test]
    fn a_rule_is_measured_without_its_limit() {
        let measured = rule_expressions(&rules("sum by (instance) (rate(a[2m])) > 0.25")).unwrap();
        assert_eq!(measured, ["sum by (instance) (rate(a[2m]))"]);
        assert!(rule_expressions(&rules("absent(a)")).is_err());
        assert!(rule_expressions(&rules("a > b")).is_err());
        let recorded = json!({"groups": [{"rules": [{"type": "recording", "query": "max(a)"}]}]});
        assert_eq!(rule_expressions(&recorded).unwrap(), ["max(a)"]);
    }

    #[test]
    fn every_expression_of_the_dashboard_is_found() {
        let text = fs::read_to_string(place::at("deploy/observe/grafana/dashboards/mixfeed.json")).unwrap();
        let found = panel_expressions(&serde_json::from_str(&text).unwrap());
        assert_eq!(found.len(), text.matches("\"expr\":").count());
        assert!(found.len() >= LEAST_PANELS);
        assert!(found.iter().all(|expression| !expression.contains('$')), "{found:?}");
    }
}
