//! What the files of this folder say of each other, and of the documentation.

use super::second_overlay;
use crate::{environment, place};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn text(path: &str) -> String {
    fs::read_to_string(place::at(path)).unwrap()
}

/// What stands between two marks, each time.
fn between<'a>(text: &'a str, start: &str, end: &[char]) -> Vec<&'a str> {
    text.split(start).skip(1).filter_map(|rest| rest.split(end).next()).collect()
}

#[test]
fn every_crate_is_in_the_dockerfiles_layer_of_dependencies() {
    let (workspace, dockerfile) = (text("Cargo.toml"), text("deploy/Dockerfile"));
    let context = text(".dockerignore");
    for member in crate::unsafety::members(&workspace) {
        assert!(dockerfile.contains(&format!("COPY {member}/Cargo.toml {member}/\n")), "{member}");
        let seen = |path: &&Path| context.contains(&format!("\n!{}\n", path.display()));
        assert!(Path::new(member).ancestors().any(|path| seen(&path)), ".dockerignore: {member}");
    }
}

#[test]
fn images_are_of_the_release_that_the_workspace_is() {
    let workspace = text("Cargo.toml");
    let release = between(&workspace, "\nversion = \"", &['"'])[0];
    let label = format!("org.opencontainers.image.version=\"{release}\"");
    assert_eq!(text("deploy/Dockerfile").matches(&label).count(), 2, "{label}");
    for (file, mark, count) in [
        ("deploy/kubernetes/components/images/kustomization.yaml", "newTag: ", 3),
        ("deploy/kubernetes/base/kustomization.yaml", "app.kubernetes.io/version: ", 1),
        ("deploy/kubernetes/components/autoscale/autoscaler.yaml", "app.kubernetes.io/version: ", 1),
        ("deploy/kubernetes/components/cert-manager/certificates.yaml", "app.kubernetes.io/version: ", 5),
        ("deploy/kubernetes/components/shared-data/data.yaml", "app.kubernetes.io/version: ", 4),
        ("deploy/kubernetes/components/trainers/group.yaml", "app.kubernetes.io/version: ", 2),
        ("deploy/helm/mixfeed/Chart.yaml", "\nversion: ", 1),
        ("deploy/helm/mixfeed/Chart.yaml", "\nappVersion: ", 1),
    ] {
        let text = text(file);
        let named = between(&text, mark, &['}', '\n']);
        assert_eq!(named.len(), count, "{file}");
        assert!(named.iter().all(|found| *found == release), "{file}: {named:?}");
    }
}

#[test]
fn operations_tells_every_alert_and_every_variable() {
    let operations = text("deploy/docs/OPERATIONS.md");
    let rules = text("deploy/observe/alerts.yaml");
    let alerts = between(&rules, "alert: ", &['\n']);
    assert!(!alerts.is_empty());
    for alert in alerts {
        let anchor = alert.to_lowercase();
        // As a heading becomes a link; and each alert leads to its own.
        assert!(operations.contains(&format!("\n### {alert}\n")), "{alert}");
        let rule = rules.split("- alert: ").find(|rule| rule.starts_with(alert)).unwrap();
        assert!(rule.contains(&format!("/deploy/docs/OPERATIONS.md#{anchor}\n")), "{alert}");
        assert!(text("deploy/observe/alerts.test.yaml").contains(alert), "{alert}");
    }
    // Names of images and the commit are for those who build; what a user sets is told.
    let compose = text("deploy/compose.yaml") + &text("deploy/compose.trainers.yaml");
    let variables = between(&compose, "${", &[':', '}']);
    assert!(variables.len() > 10);
    for variable in variables.iter().filter(|name| !name.ends_with("_IMAGE")) {
        assert!(operations.contains(variable), "{variable}");
    }
}

/// What follows a line.
fn after<'a>(text: &'a str, line: &str) -> &'a str {
    text.split_once(&format!("\n{line}\n")).expect(line).1
}

/// The lines below a key of a compose file, without comments and without what is indented further.
fn below<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let rest = after(text, key);
    let indent = |line: &str| line.len() - line.trim_start().len();
    let depth = indent(rest);
    let inside = rest.lines().take_while(|line| indent(line) >= depth);
    inside.filter(|line| indent(line) == depth && !line.trim().starts_with('#')).map(str::trim).collect()
}

#[test]
fn trainers_of_a_group_are_containers_like_one_alone() {
    let (one, group) = (text("deploy/compose.yaml"), text("deploy/compose.trainers.yaml"));
    let hardened = below(&one, "x-hardened: &hardened");
    let alone = below(&one, "  trainer:");
    let others = below(&group, "x-trainer: &trainer");
    // Rank 0 builds the image, waits for loaders, and has a volume and metrics; settings are compared below.
    let own = ["<<: *hardened", "build:", "environment:", "volumes:", "depends_on:", "expose:"];
    let alike = alone.iter().filter(|line| !own.iter().any(|own| line.starts_with(own)));
    for line in hardened.iter().chain(alike) {
        assert!(others.contains(line), "{line}");
    }
    assert_eq!(below(&one, "  logging:"), below(&group, "  logging:"));
    let settings = below(&group, "x-settings: &settings");
    let of_run = below(after(&one, "  trainer:"), "    environment:");
    for line in of_run.iter().filter(|line| !line.starts_with("MIXFEED_TRAINER_OUTPUT:")) {
        assert!(settings.contains(line), "{line}");
    }
    assert!(of_run.len() > 4 && hardened.len() > 3);
}

#[test]
fn each_trainer_of_a_group_has_a_rank_of_its_own() {
    let group = text("deploy/compose.trainers.yaml");
    let services = after(&group, "services:").split("\n  trainer-").enumerate();
    for (rank, service) in services.clone() {
        // With so many trainers, this one is among them.
        let profiles = match rank {
            0 | 1 => None,
            2 | 3 => Some("profiles: [trainers-4, trainers-8]"),
            _ => Some("profiles: [trainers-8]"),
        };
        assert!(service.contains(&format!("MIXFEED_TRAINER_RANK: {rank}}}")), "{service}");
        assert!(rank == 0 || service.starts_with(&format!("{rank}:\n    <<: *trainer\n")), "{service}");
        let found = service.lines().map(str::trim).find(|line| line.starts_with("profiles:"));
        assert_eq!(found, profiles, "{service}");
    }
    assert_eq!(services.count(), 8);
}

#[test]
fn operations_tells_every_metric_that_prometheus_is_asked_for() {
    let operations = text("deploy/docs/OPERATIONS.md");
    for file in ["deploy/observe/alerts.yaml", "deploy/observe/grafana/dashboards/mixfeed.json"] {
        let asked = text(file);
        for metric in between(&asked, "mixfeed_", &[' ', '[', '{', ')', ',', '"', '\n', '<', '.']) {
            // The table leaves out what a row's metrics have in common, and a histogram has series.
            let name = metric.trim_end_matches("_bucket");
            let (part, rest) = name.split_once('_').unwrap();
            let known = operations.contains(&format!("`mixfeed_{name}"))
                || operations.contains(&format!("`_{rest}`"));
            assert!(known, "{file}: mixfeed_{part}_{rest}");
        }
    }
}

#[test]
fn a_cluster_gets_the_rules_that_are_in_the_file_of_alerts() {
    let (file, rules) =
        ("deploy/kubernetes/components/monitoring/rules.yaml", text("deploy/observe/alerts.yaml"));
    let (_, groups) = rules.split_once("\ngroups:\n").unwrap();
    let indented: String = groups.lines().map(|line| format!("  {line}\n")).collect();
    let made = format!(
        "# Made of ../../../observe/alerts.yaml by a test: MIXFEED_UPDATE_REFERENCE=1 cargo test --package xtask\n\
         apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: mixfeed\n  \
         labels: {{app.kubernetes.io/part-of: mixfeed}}\nspec:\n  groups:\n{indented}"
    );
    if environment::variable("MIXFEED_UPDATE_REFERENCE").is_some() {
        fs::write(place::at(file), &made).unwrap();
    }
    assert_eq!(
        text(file),
        made,
        "{file} is out of date: MIXFEED_UPDATE_REFERENCE=1 cargo test --package xtask"
    );
}

#[test]
fn every_value_of_the_chart_stands_in_its_file_with_a_default() {
    let schema: Value = serde_json::from_str(&text("deploy/helm/mixfeed/values.schema.json")).unwrap();
    let values = text("deploy/helm/mixfeed/values.yaml");
    let fields = |of: &Value| of["properties"].as_object().unwrap().clone();
    let mut count = 0;
    for (section, inside) in fields(&schema).iter().filter(|(name, _)| *name != "global") {
        // A section ends where the next line begins that is not indented.
        let (_, rest) = values.split_once(&format!("\n{section}:\n")).expect(section);
        let block: String = rest
            .lines()
            .take_while(|line| line.is_empty() || line.starts_with(' '))
            .map(|line| format!("\n{line}"))
            .collect();
        for name in fields(inside).keys() {
            assert!(block.contains(&format!("\n  {name}:")), "{section}.{name}");
            count += 1;
        }
    }
    // And nothing else does.
    let told = values
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   ") && !line.starts_with("  #"));
    assert_eq!(count, told.count());
}

#[test]
fn the_overlay_for_a_second_training_is_found() {
    let text = "words\n\n    # a file\n    namePrefix: a-\n\n    b: 1\n\nwords\n    other\n";
    assert_eq!(second_overlay(text).unwrap().trim(), "# a file\nnamePrefix: a-\n\nb: 1");
    assert_eq!(second_overlay("    name: a\n"), None);
}

/// By a tag, whoever owns the action could change what runs with this project's rights.
#[test]
fn workflows_name_actions_by_commit() {
    let mut count = 0;
    for file in fs::read_dir(place::at(".github/workflows")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for action in between(&text, "uses: ", &['\n']) {
            let (_, commit) = action.split_once('@').unwrap();
            let (commit, release) = commit.split_once(" # v").expect(action);
            assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{action}");
            assert!(release.split('.').count() == 3, "{action}");
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn every_image_is_released_under_the_name_that_it_is_deployed_by() {
    let (workflow, images) = (
        text(".github/workflows/release.yml"),
        text("deploy/kubernetes/components/images/kustomization.yaml"),
    );
    let targets = between(&workflow, "target: [", &[']']);
    assert_eq!(targets.len(), 2);
    for targets in targets {
        let released: Vec<_> = targets.split(", ").map(|target| format!("mixfeed-{target}")).collect();
        assert_eq!(released, between(&images, "{name: ", &[',']));
    }
}
