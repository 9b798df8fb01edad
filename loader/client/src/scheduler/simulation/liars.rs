//! Machines that lie, dawdle and come and go, by seed: what audits make of them, and that nothing stands still.

use super::*;

/// Seeds in the suite; `cargo xtask chaos` runs more, by this variable.
const SEEDS: u64 = 300;
const MORE: &str = "MIXFEED_SIMULATED_SEEDS";

impl World {
    pub(super) fn has_liars(&self) -> bool {
        self.machines.iter().any(|machine| machine.kind.lies > 0)
    }

    /// The client uses a machine no more.
    pub(super) fn convict(&mut self, number: u32) {
        assert!(
            self.machines[number as usize].kind.lies > 0,
            "seed {}: {number} is honest",
            self.setting.seed
        );
        self.report.convicted.push(number);
        self.lose(number);
        self.scheduler.discard(self.now, ReplicaKey(number));
        self.machines[number as usize].banned = true;
    }
}

#[allow(clippy::disallowed_methods)] // It is no setting of a program.
fn seeds() -> u64 {
    std::env::var(MORE).ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

/// A fleet in which honest machines are the majority among those that answer for a batch.
fn fleet(draw: &mut Draw) -> Vec<Kind> {
    let honest = 2 + draw.below(3);
    let mut kinds: Vec<Kind> = (0..honest + draw.below(3))
        .map(|number| Kind {
            workers: 1 + draw.below(3) as usize,
            service: [2, 5, 10, 400][draw.below(4) as usize] * MILLI,
            tail: if draw.below(3) == 0 { 1.2 } else { 0.0 },
            round_trip: draw.below(5) * MILLI,
            limit: 1 + draw.below(12) as usize,
            lies: if number < honest { 0 } else { [1, 10, 100, 1000][draw.below(4) as usize] },
        })
        .collect();
    // The user's order is not that of honesty.
    for at in (1..kinds.len()).rev() {
        kinds.swap(at, draw.below(at as u64 + 1) as usize);
    }
    kinds
}

#[test]
fn whatever_machines_do_no_confirmed_batch_is_wrong_no_honest_one_is_convicted_and_nothing_stands_still() {
    let (mut convicted, mut liars) = (0, 0);
    for seed in 0..seeds() {
        let mut draw = Draw(seed ^ 0xA0D1);
        let kinds = fleet(&mut draw);
        let mut setting = Setting::new(seed, kinds.clone(), 400);
        setting.audit_every = [1, 3, 10][draw.below(3) as usize];
        setting.step = draw.below(3) * MILLI;
        setting.window = 2 + draw.below(100);
        setting.known = draw.below(2) == 0;
        setting.fate_every = [0, SECOND][draw.below(2) as usize];
        let every = setting.audit_every;
        // The bound on standing still: each batch may wait for a silent machine, a slow one and a second opinion.
        let report = World::new(setting).run(400 * 20 * SECOND);
        assert_eq!(report.wrong_though_confirmed, 0, "seed {seed}: {report:?}");
        assert!(
            every > 1 || report.wrong <= report.tally.undecided + report.tally.unaudited,
            "seed {seed}: {report:?}"
        );
        assert!(report.longest_wait < 40 * SECOND, "seed {seed}: {report:?}");
        convicted += report.convicted.len();
        liars += kinds.iter().filter(|kind| kind.lies == 1000).count();
    }
    assert!(2 * convicted > liars, "{convicted} convicted; {liars} did nothing but lie");
}

#[test]
fn a_short_stream_with_a_herd_of_slow_machines_is_as_quick_as_with_the_quick_one_alone() {
    for seed in 0..50 {
        for batches in [4, 16, 64] {
            let quick =
                Kind { workers: 1, service: 5 * MILLI, tail: 0.0, round_trip: MILLI, limit: 4, lies: 0 };
            let slow = Kind { service: 400 * MILLI, ..quick };
            let run = |kinds: Vec<Kind>| {
                let mut setting = Setting::new(seed, kinds, batches);
                setting.known = true;
                let mut world = World::new(setting);
                world.run(3600 * SECOND).seconds
            };
            let alone = run(vec![quick]);
            let beside = run([vec![quick], vec![slow; 6]].concat());
            // Machines join within the first tenth of a second.
            assert!(
                beside <= 1.3 * alone + 0.1,
                "seed {seed}, {batches} batches: {beside} s, {alone} s alone"
            );
        }
    }
}
