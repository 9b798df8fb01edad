//! `bench`: images a second, and what they cost in CPU time.
//!
//! Three things are measured in turn, round after round, so that a machine that drifts drifts for
//! all of them: plan and collate in one thread; a loader process streaming to a client in this
//! process that checks every batch; and a bare gRPC stream of equal messages between two processes,
//! with no mixing and no checks, which is what the transport alone can do.

mod bare;
mod process;
mod stream;

use super::Failure;
use crate::config::BenchArgs;
use crate::source;
use mixfeed_pipeline::spec::Mixing;
use mixfeed_pipeline::{BatchBuffer, BatchPlan, CheckedSpec, Dataset, Scratch, StreamSpec, collate};
use process::Process;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// Time that a stream runs before it is measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// One measurement of a stream between two processes.
#[derive(Clone, Copy, Debug)]
struct Streamed {
    images_per_second: f64,
    loader_cpu_seconds_per_million: f64,
    client_cpu_seconds_per_million: f64,
}

impl Streamed {
    fn new(images: u64, seconds: f64, loader_cpu_seconds: f64, client_cpu_seconds: f64) -> Self {
        let millions = images as f64 / 1e6;
        Self {
            images_per_second: images as f64 / seconds,
            loader_cpu_seconds_per_million: loader_cpu_seconds / millions,
            client_cpu_seconds_per_million: client_cpu_seconds / millions,
        }
    }
}

pub(super) fn run(args: &BenchArgs) -> Result<(), Failure> {
    if args.bare_server {
        return bare::serve(args.batch_size);
    }
    let time = Duration::from(args.time);
    if time < Duration::from_millis(100) {
        return Err(Failure::usage(format!("--time {time:?} is not allowed, at least 100ms")));
    }
    let dataset = source::open(&args.data.parse()?)?;
    let checked = CheckedSpec::new(article(args.batch_size), &dataset)?;

    let mut report = Report::default();
    let bare_server =
        Process::start(&["bench", "--bare-server", "--batch-size", &args.batch_size.to_string()])?;
    let workers = args.workers.map(|workers| workers.to_string());
    let loader = if args.transport_only {
        None
    } else {
        let mut flags = vec!["serve", "--listen", "127.0.0.1:0", "--data", &args.data];
        flags.extend(workers.as_deref().map(|workers| ["--workers", workers]).into_iter().flatten());
        Some(Process::start(&flags)?)
    };
    for round in 1..=args.rounds {
        eprintln!("round {round} of {}", args.rounds);
        if let Some(loader) = &loader {
            report.plan_collate.push(plan_collate(&dataset, &checked, time)?);
            report.loopback.push(stream::measure(loader, args.batch_size, time)?);
        }
        report.bare.push(bare::measure(&bare_server, time, bare::Settings::Ours)?);
        report.defaults.push(bare::measure(&bare_server, time, bare::Settings::Defaults)?);
    }
    if args.json {
        println!("{}", Value::Object(report.as_json()));
    } else {
        report.print(args);
    }
    Ok(())
}

/// The stream that the article trains on.
fn article(batch_size: u32) -> StreamSpec {
    StreamSpec { mixing: Some(Mixing::mixup(0.2, 0.2)), ..StreamSpec::train(0, batch_size) }
}

/// Images a second of plan and collate, in this thread.
fn plan_collate(dataset: &Dataset, checked: &CheckedSpec, time: Duration) -> Result<f64, Failure> {
    let samples = dataset.samples(checked.spec().split).as_ref();
    let (mut scratch, mut buffer) = (Scratch::default(), BatchBuffer::default());
    let (started, mut images) = (Instant::now(), 0);
    for index in 0.. {
        if started.elapsed() >= time {
            break;
        }
        let plan = BatchPlan::new(checked, index);
        collate(checked, &plan, samples, &mut scratch, &mut buffer)?;
        std::hint::black_box(&buffer);
        images += plan.rows.len();
    }
    Ok(images as f64 / started.elapsed().as_secs_f64())
}

#[derive(Default)]
struct Report {
    plan_collate: Vec<f64>,
    loopback: Vec<Streamed>,
    /// A bare stream with the client's transport settings.
    bare: Vec<Streamed>,
    /// A bare stream with tonic's defaults.
    defaults: Vec<Streamed>,
}

impl Report {
    fn as_json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        let mut put = |name: &str, values: Vec<f64>| {
            if !values.is_empty() {
                object.insert(name.into(), json!(median(values)));
            }
        };
        put("plan_collate_images_per_second", self.plan_collate.clone());
        put("loopback_images_per_second", column(&self.loopback, |s| s.images_per_second));
        put("loader_cpu_seconds_per_million", column(&self.loopback, |s| s.loader_cpu_seconds_per_million));
        put("client_cpu_seconds_per_million", column(&self.loopback, |s| s.client_cpu_seconds_per_million));
        put("transport_images_per_second", column(&self.bare, |s| s.images_per_second));
        put(
            "transport_server_cpu_seconds_per_million",
            column(&self.bare, |s| s.loader_cpu_seconds_per_million),
        );
        put(
            "transport_client_cpu_seconds_per_million",
            column(&self.bare, |s| s.client_cpu_seconds_per_million),
        );
        put("transport_defaults_images_per_second", column(&self.defaults, |s| s.images_per_second));
        put("loopback_over_transport", self.ratios(&self.bare));
        put("loopback_over_transport_defaults", self.ratios(&self.defaults));
        object.insert("rounds".into(), json!(self.bare.len()));
        object
    }

    /// Of each round, loopback over bare transport.
    fn ratios(&self, bare: &[Streamed]) -> Vec<f64> {
        let pairs = self.loopback.iter().zip(bare);
        pairs.map(|(ours, bare)| ours.images_per_second / bare.images_per_second).collect()
    }

    fn print(&self, args: &BenchArgs) {
        println!(
            "u8 mixup batches of {} from {}, medians of {} rounds",
            args.batch_size, args.data, args.rounds
        );
        println!();
        println!("                                images/s   CPU-s per million images");
        println!("                                           loader   client");
        if !self.plan_collate.is_empty() {
            println!("  plan + collate, one thread  {:>10.0}", median(self.plan_collate.clone()));
        }
        for (name, streams) in [
            ("loopback gRPC, all checked", &self.loopback),
            ("bare gRPC, our settings", &self.bare),
            ("bare gRPC, tonic's defaults", &self.defaults),
        ] {
            if !streams.is_empty() {
                println!(
                    "  {name:27} {:>10.0}  {:>7.2}  {:>7.2}",
                    median(column(streams, |s| s.images_per_second)),
                    median(column(streams, |s| s.loader_cpu_seconds_per_million)),
                    median(column(streams, |s| s.client_cpu_seconds_per_million)),
                );
            }
        }
        println!();
        for (name, bare) in [("our settings", &self.bare), ("tonic's defaults", &self.defaults)] {
            let mut ratios = self.ratios(bare);
            if !ratios.is_empty() {
                ratios.sort_by(f64::total_cmp);
                let (low, high) = (ratios[0], ratios[ratios.len() - 1]);
                let median = median(ratios);
                println!(
                    "  loopback over bare, {name:16}  {median:.2} ({low:.2} to {high:.2}, paired by round)"
                );
            }
        }
    }
}

fn column(streams: &[Streamed], field: impl Fn(&Streamed) -> f64) -> Vec<f64> {
    streams.iter().map(field).collect()
}

/// The median of at least one value.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-12);
    }
}
