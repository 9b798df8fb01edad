//! What the scheduler makes of fleets, in simulated time.

#![allow(clippy::print_stdout)]

use super::*;
use crate::scheduler::tests::assert_consistent;

fn even(count: usize, workers: usize, service: Micros) -> Vec<Kind> {
    vec![Kind { workers, service, tail: 0.0, round_trip: MILLI, limit: 4 * workers, lies: 0 }; count]
}

#[test]
fn every_batch_is_handed_out_once_and_in_order_whatever_fate_does() {
    for seed in 0..60 {
        let mut draw = Draw(seed);
        let kinds = (0..=draw.below(7))
            .map(|_| Kind {
                workers: 1 + draw.below(4) as usize,
                service: (1 + draw.below(30)) * MILLI,
                tail: if draw.below(2) == 0 { 1.1 } else { 0.0 },
                round_trip: draw.below(20) * MILLI,
                limit: 1 + draw.below(16) as usize,
                lies: 0,
            })
            .collect();
        let mut setting = Setting::new(seed, kinds, 2000);
        setting.fate_every = SECOND / 4;
        setting.window = 2 + draw.below(200);
        setting.hedge = draw.below(4) > 0;
        setting.audit_every = draw.below(3) * 7;
        setting.step = draw.below(2) * MILLI;
        let (window, limits): (_, usize) =
            (setting.window, setting.kinds.iter().map(|kind| kind.limit + 2).sum());
        let mut world = World::new(setting);
        let report = world.run(3600 * SECOND);
        assert_consistent(&world.scheduler);
        assert!(report.most_slots as u64 <= window, "seed {seed}: {report:?}");
        assert!(report.made <= 2 * 2000 + 100 * limits as u64, "seed {seed}: {report:?}");
    }
}

#[test]
fn equal_machines_are_kept_busy() {
    for (count, workers) in [(1, 1), (1, 8), (3, 2), (50, 4)] {
        let report = World::new(Setting::new(1, even(count, workers, 10 * MILLI), 20_000)).run(3600 * SECOND);
        assert!(report.rate > 0.93 * report.ideal_rate, "{count} x {workers}: {report:?}");
    }
}

#[test]
fn one_machine_of_three_slowed_tenfold_leaves_nine_tenths_of_the_rest() {
    for workers in [1, 2, 8] {
        for seed in 0..5 {
            let healthy =
                World::new(Setting::new(seed, even(2, workers, 10 * MILLI), 5000)).run(3600 * SECOND);
            let mut kinds = even(3, workers, 10 * MILLI);
            kinds[1].service *= 10;
            let mixed = World::new(Setting::new(seed, kinds, 5000)).run(3600 * SECOND);
            assert!(
                mixed.rate > 0.9 * healthy.rate,
                "seed {seed}, {workers} workers: {mixed:?}, {healthy:?}"
            );
            assert!(mixed.tally.hedged < 250, "seed {seed}, {workers} workers: {mixed:?}");
        }
    }
}

#[test]
fn heavy_tails_are_hidden_by_asking_twice() {
    let kinds =
        |_| Kind { workers: 2, service: 10 * MILLI, tail: 1.05, round_trip: MILLI, limit: 8, lies: 0 };
    let setting = |hedge| Setting { hedge, ..Setting::new(3, (0..20).map(kinds).collect(), 20_000) };
    let without = World::new(setting(false)).run(3600 * SECOND);
    let with = World::new(setting(true)).run(3600 * SECOND);
    assert!(with.rate > 1.5 * without.rate, "{with:?}, {without:?}");
    assert!((with.made as f64) < 1.1 * 20_000.0, "asking twice costs little: {with:?}");
}

#[test]
fn a_killed_machine_costs_at_most_its_batches_in_flight() {
    let mut calm = World::new(Setting::new(9, even(4, 2, 10 * MILLI), 4000));
    let calm = calm.run(3600 * SECOND);
    let mut setting = Setting::new(9, even(4, 2, 10 * MILLI), 4000);
    setting.fate_every = 2 * SECOND;
    let struck = World::new(setting).run(3600 * SECOND);
    // What the live machines could do is what was done, but for the silences that had to be noticed.
    assert!(struck.rate > 0.5 * struck.ideal_rate, "{struck:?} after {calm:?}");
}

/// Machines of unlike size and speed, 83 batches a second on average, one batch in a hundred of which is a
/// straggler.
fn unlike(count: u64, seed: u64) -> Vec<Kind> {
    let mut draw = Draw(seed);
    let kind = |_| Kind {
        workers: 1 + draw.below(8) as usize,
        service: (20 + draw.below(80)) * MILLI,
        tail: 1.1,
        round_trip: (1 + draw.below(10)) * MILLI,
        limit: 16,
        lies: 0,
    };
    (0..count).map(kind).collect()
}

#[test]
fn a_thousand_replicas_and_a_million_batches() {
    let mut setting = Setting::new(1, unlike(1000, 1), 1_000_000);
    // Ten times a second one of them is killed, stopped or slowed down.
    setting.fate_every = SECOND / 10;
    let start = std::time::Instant::now();
    let report = World::new(setting).run(3600 * SECOND);
    println!("{report:?} in {:?}", start.elapsed());
    assert!(report.rate > 0.7 * report.ideal_rate, "{report:?}");
    assert!(report.most_slots <= 2 * 16 * 1000, "{report:?}");
    assert!((report.made as f64) < 1.05 * 1_000_000.0, "{report:?}");
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

/// Prints the table of deploy/docs/SCALING.md.
#[test]
fn figures_for_scaling() {
    if mixfeed_ops::testing::require("slow", mixfeed_ops::testing::slow()).is_none() {
        return;
    }
    println!(
        "| replicas | fate | hedging | trainer | of ideal | time waited | wait p99 | longest | window | hedged | made for nothing |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for (count, batches) in
        [(3, 30_000), (10, 50_000), (100, 200_000), (1000, 1_000_000), (10_000, 3_000_000)]
    {
        for (fate, hedge, hungry) in [
            (false, true, true),
            (false, false, true),
            (true, true, true),
            (true, false, true),
            (true, true, false),
        ] {
            let kinds = unlike(count, 1);
            let ideal: f64 = kinds.iter().map(|kind| kind.workers as f64 / kind.service as f64).sum();
            let mut setting = Setting::new(1, kinds, batches);
            setting.hedge = hedge;
            setting.fate_every = if fate { 100 * SECOND / count } else { 0 };
            setting.step = if hungry { 0 } else { (1.0 / (0.7 * ideal)) as Micros };
            let report = World::new(setting).run(36_000 * SECOND);
            // Of the largest fleet the start, with nothing there yet, is a good part of the run.
            let min = if count > 1000 {
                0.4
            } else if hungry {
                0.75
            } else {
                0.6
            };
            assert!(!hedge || report.rate > min * report.ideal_rate, "{count} replicas: {report:?}");
            println!(
                "| {count} | {} | {} | {} | {:.0} % | {:.1} % | {:.1} ms | {:.0} ms | {} | {:.2} % | {:.2} % |",
                if fate { "each replica struck every 100 s" } else { "calm" },
                if hedge { "on" } else { "off" },
                if hungry { "takes all" } else { "takes 70 %" },
                100.0 * report.rate / report.ideal_rate,
                100.0 * report.waited,
                report.wait_p99 as f64 / 1000.0,
                report.longest_wait as f64 / 1000.0,
                report.most_slots,
                100.0 * report.tally.hedged as f64 / batches as f64,
                100.0 * (report.made as f64 / batches as f64 - 1.0),
            );
        }
    }
}
