//! What was measured, as a table and as JSON: medians over the rounds, and ratios paired by round.

use crate::config::BenchArgs;
use mixfeed_ops::println;
use serde_json::{Map, Value, json};

/// One measurement of a stream between two processes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streamed {
    pub(super) images_per_second: f64,
    pub(super) loader_cpu_seconds_per_million: f64,
    pub(super) client_cpu_seconds_per_million: f64,
    /// Time between two batches, as the consumer sees it.
    pub(super) gaps: Gaps,
}

impl Streamed {
    pub(super) fn new(images: u64, seconds: f64, cpu_seconds: [f64; 2], gaps: Gaps) -> Self {
        let millions = images as f64 / 1e6;
        Self {
            images_per_second: images as f64 / seconds,
            loader_cpu_seconds_per_million: cpu_seconds[0] / millions,
            client_cpu_seconds_per_million: cpu_seconds[1] / millions,
            gaps,
        }
    }

    fn cpu_seconds_per_million(&self) -> f64 {
        self.loader_cpu_seconds_per_million + self.client_cpu_seconds_per_million
    }
}

/// Seconds between two batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gaps {
    pub(super) median: f64,
    /// 99 of 100 are no longer.
    pub(super) p99: f64,
}

impl Gaps {
    /// Takes the gaps of one measurement.
    pub(super) fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * seconds.len() as f64).ceil() as usize;
            seconds.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
        };
        Self { median: at(0.5), p99: at(0.99) }
    }
}

/// One start of a loader process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Started {
    /// From the start of the process to the first batch that a client has checked.
    pub(super) first_batch_seconds: f64,
    /// Proportional set size of loader and client after an epoch.
    pub(super) loader_pss_bytes: f64,
    pub(super) client_pss_bytes: f64,
}

/// All measurements, one for each round.
#[derive(Default)]
pub(super) struct Report {
    /// Images a second.
    pub(super) plan_collate: Vec<f64>,
    pub(super) loopback: Vec<Streamed>,
    pub(super) unix: Vec<Streamed>,
    pub(super) tls: Vec<Streamed>,
    /// With pixels turned into normalised f32.
    pub(super) float: Vec<Streamed>,
    /// A bare stream with the client's transport settings.
    pub(super) bare: Vec<Streamed>,
    /// A bare stream with tonic's defaults.
    pub(super) defaults: Vec<Streamed>,
    pub(super) start: Vec<Started>,
}

impl Report {
    pub(super) fn as_json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        let mut put = |name: &str, values: Vec<f64>| {
            if !values.is_empty() {
                object.insert(name.into(), json!(median(values)));
            }
        };
        put("plan_collate_images_per_second", self.plan_collate.clone());
        for (prefix, kind, streams) in [
            ("loopback", "", &self.loopback),
            ("unix", "unix_", &self.unix),
            ("tls", "tls_", &self.tls),
            ("float", "float_", &self.float),
        ] {
            put(&format!("{prefix}_images_per_second"), column(streams, |s| s.images_per_second));
            put(
                &format!("{kind}loader_cpu_seconds_per_million"),
                column(streams, |s| s.loader_cpu_seconds_per_million),
            );
            put(
                &format!("{kind}client_cpu_seconds_per_million"),
                column(streams, |s| s.client_cpu_seconds_per_million),
            );
            put(
                &format!("{kind}cpu_seconds_per_million"),
                column(streams, Streamed::cpu_seconds_per_million),
            );
            put(&format!("{kind}gap_median_seconds"), column(streams, |s| s.gaps.median));
            put(&format!("{kind}gap_p99_seconds"), column(streams, |s| s.gaps.p99));
            put(&format!("{kind}gap_p99_over_median"), column(streams, |s| s.gaps.p99 / s.gaps.median));
        }
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
        put("loopback_over_transport", ratios(&self.loopback, &self.bare));
        put("loopback_over_transport_defaults", ratios(&self.loopback, &self.defaults));
        put("unix_over_loopback", ratios(&self.unix, &self.loopback));
        put("tls_over_loopback", ratios(&self.tls, &self.loopback));
        put("first_batch_seconds", self.starts(|start| start.first_batch_seconds));
        put("loader_pss_bytes", self.starts(|start| start.loader_pss_bytes));
        put("client_pss_bytes", self.starts(|start| start.client_pss_bytes));
        object
    }

    fn starts(&self, field: impl Fn(&Started) -> f64) -> Vec<f64> {
        self.start.iter().map(field).collect()
    }

    pub(super) fn print(&self, args: &BenchArgs) {
        println!(
            "u8 mixup batches of {} from {}, medians of {} rounds",
            args.batch_size, args.data, args.rounds
        );
        println!();
        println!("                                images/s   CPU-s per million images   gap between batches");
        println!("                                           loader   client            median      p99");
        if !self.plan_collate.is_empty() {
            println!("  plan + collate, one thread  {:>10.0}", median(self.plan_collate.clone()));
        }
        for (name, streams) in [
            ("loopback gRPC, all checked", &self.loopback),
            ("  over a Unix socket", &self.unix),
            ("  with TLS", &self.tls),
            ("  to normalised f32 planes", &self.float),
            ("bare gRPC, our settings", &self.bare),
            ("bare gRPC, tonic's defaults", &self.defaults),
        ] {
            if !streams.is_empty() {
                println!(
                    "  {name:27} {:>10.0}  {:>7.2}  {:>7.2}          {:>6.0} µs  {:>6.0} µs",
                    median(column(streams, |s| s.images_per_second)),
                    median(column(streams, |s| s.loader_cpu_seconds_per_million)),
                    median(column(streams, |s| s.client_cpu_seconds_per_million)),
                    median(column(streams, |s| 1e6 * s.gaps.median)),
                    median(column(streams, |s| 1e6 * s.gaps.p99)),
                );
            }
        }
        if !self.start.is_empty() {
            println!();
            println!(
                "  from start to first batch   {:.3} s; memory (PSS) after an epoch: loader {:.0} MB, client {:.0} MB",
                median(self.starts(|start| start.first_batch_seconds)),
                median(self.starts(|start| start.loader_pss_bytes / 1e6)),
                median(self.starts(|start| start.client_pss_bytes / 1e6)),
            );
        }
        println!();
        for (name, above, below) in [
            ("loopback over bare, our settings", &self.loopback, &self.bare),
            ("loopback over bare, tonic's defaults", &self.loopback, &self.defaults),
            ("Unix socket over loopback", &self.unix, &self.loopback),
            ("TLS over none", &self.tls, &self.loopback),
        ] {
            let mut ratios = ratios(above, below);
            if !ratios.is_empty() {
                ratios.sort_by(f64::total_cmp);
                let (low, high) = (ratios[0], ratios[ratios.len() - 1]);
                let median = median(ratios);
                println!("  {name:37}  {median:.2} ({low:.2} to {high:.2}, paired by round)");
            }
        }
    }
}

/// Of each round, images a second of the one over the other's.
fn ratios(above: &[Streamed], below: &[Streamed]) -> Vec<f64> {
    above.iter().zip(below).map(|(above, below)| above.images_per_second / below.images_per_second).collect()
}

fn column(streams: &[Streamed], field: impl Fn(&Streamed) -> f64) -> Vec<f64> {
    streams.iter().map(field).collect()
}

/// The median of at least one value.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-12);
    }

    #[test]
    fn of_a_hundred_gaps_the_second_longest_is_the_99th_percentile() {
        let gaps = Gaps::of((1..=100).rev().map(f64::from).collect());
        assert!((gaps.median - 50.0).abs() < 1e-12 && (gaps.p99 - 99.0).abs() < 1e-12, "{gaps:?}");
    }
}
