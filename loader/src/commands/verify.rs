//! `verify`: whether a stream is what its spec says, by its plans for some epochs: each sample once an epoch,
//! as much mixing as was asked for, lambdas of the distribution that was asked for, and as many wrong labels; and whether
//! loaders send just that.

mod against;
mod checks;
mod cutmix;
mod labels;
mod phases;
mod statistics;

use super::data::open_data;
use super::failure::Failure;
use super::spec::{ARTICLE_SHARE, SpecFile, asked, checked};
use crate::config::VerifyArgs;
use crate::extensions::Extensions;
use crate::parallel::in_chunks;
use checks::{Check, once};
use labels::Labels;
use mixfeed_ops::println;
use mixfeed_pipeline::{BatchPlan, CheckedSpec, Samples, StreamSpec};
use phases::Phase;
use serde_json::json;

pub(super) fn run(args: &VerifyArgs, extensions: &Extensions) -> Result<(), Failure> {
    let dataset = open_data(&args.data, &args.source, extensions)?;
    let checked = match &args.spec {
        None => {
            let plain = StreamSpec::train(args.seed, args.batch_size);
            let spec = asked(&args.augmentation, ARTICLE_SHARE, plain)?;
            checked(&args.augmentation, spec, &dataset, extensions)?
        }
        // Shards are cut from the whole batch, which is what the spec describes.
        Some(file) => {
            let mut file = SpecFile::read(file)?;
            file.spec.shard = None;
            file.check(&dataset, extensions)?
        }
    };
    let samples = dataset.samples(checked.spec().split).as_ref();
    let phases = Phase::all(&checked, args.epochs.into());
    let epochs: Vec<u64> = phases.iter().flat_map(|phase| phase.epochs.iter().copied()).collect();
    let mut checks = check(&checked, samples, phases, args.significance);
    checks.extend(against::checks(args, &checked, &dataset, &epochs)?);
    let failed = checks.iter().filter(|check| !check.passed).count();
    if args.json {
        let object = json!({ "epochs": epochs.len(), "checks": checks, "passed": failed == 0 });
        println!("{object}");
    } else {
        println!("{}, {} epochs of {} samples", dataset.name, epochs.len(), checked.epochs().samples());
        println!();
        let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0).max(22);
        for Check { name, passed, p_value, found } in &checks {
            let outcome = if *passed { "ok" } else { "FAILED" };
            let chance = p_value.map_or_else(String::new, |p| format!("; p = {p:.3}"));
            println!("  {outcome:6}  {name:width$}  {found}{chance}");
        }
    }
    match failed {
        0 => Ok(()),
        failed => Err(Failure::other(format!("{failed} of {} checks failed", checks.len()))),
    }
}

fn check(
    checked: &CheckedSpec,
    samples: &dyn Samples,
    mut phases: Vec<Phase>,
    significance: f64,
) -> Vec<Check> {
    let batches = checked.epochs().batches();
    let leftover = checked.samples() - checked.epochs().samples();
    let label_noise = checked.spec().label_noise;
    let mut labels = (label_noise > 0.0).then(|| Labels::new(samples, checked.samples()));
    let mut faults = Vec::new();
    for phase in &mut phases {
        for epoch in phase.epochs.clone() {
            let plans = in_chunks(batches as usize, |range| {
                let indices = range.map(|step| epoch * batches + step as u64);
                indices.map(|index| BatchPlan::new(checked, index)).collect::<Vec<_>>()
            });
            let plans = plans.concat();
            faults.extend(once(&plans, checked.samples(), leftover).err());
            plans.iter().for_each(|plan| phase.add(plan));
            if let Some(labels) = &mut labels {
                plans.iter().for_each(|plan| labels.add(plan));
            }
        }
    }
    let found = match faults.first() {
        None if leftover == 0 => format!("{} samples in {batches} batches", checked.samples()),
        None => format!("{} samples in {batches} batches, {leftover} left out", checked.epochs().samples()),
        Some(fault) => fault.clone(),
    };
    let mut checks =
        vec![Check { name: "each sample once".into(), passed: faults.is_empty(), p_value: None, found }];
    checks.extend(phases.into_iter().flat_map(|phase| phase.checks(checked, significance)));
    if let Some(labels) = labels {
        checks.extend(labels.checks(label_noise, checked.classes(), significance));
    }
    checks
}
