//! What is told of a soak, and what is wrong with it.

use super::sample::Counts;
use super::{Held, MOST_MIB_PER_HOUR, Outcome};
use std::fmt::Write as _;

/// Writes the table.
pub(super) fn of(outcome: &Outcome) -> String {
    let Outcome { data, minutes, trained, kills, stops, starts, trainer, loader, calm_digest } = outcome;
    let number = |name: &str| trained[name].as_f64().unwrap_or(f64::NAN);
    let mut text = format!(
        "\n{minutes:.1} minutes on {data}: {} steps, {:.0} images/s, {:.1} % of the time waiting for data\n\
         {kills} loaders killed, {stops} stopped, {starts} started\n\n{:<34}{:>22}{:>22}\n",
        number("steps"),
        number("images_per_second"),
        100.0 * number("data_wait_ratio"),
        "",
        "trainer",
        "lasting loader"
    );
    let mut line = |what: &str, of: &dyn Fn(&Held) -> String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{what:<34}{:>22}{:>22}", of(trainer), of(loader));
    };
    line("memory after the warm-up, MiB", &|held| format!("{:.1}", held.growth.first_mib));
    line("memory at the end, MiB", &|held| format!("{:.1}", held.growth.last_mib));
    line("most, MiB", &|held| format!("{:.1}", held.max.mib()));
    line("growth, MiB an hour", &|held| {
        format!("{:.2} ± {:.2}", held.growth.mib_per_hour, held.growth.standard_error)
    });
    for (what, pick) in COUNTS {
        line(&format!("{what} before, most, after"), &|held| {
            let [before, max, after] = [held.before, held.max.counts, held.after].map(pick);
            format!("{before}, {max}, {after}")
        });
    }
    let digest = trained["weights_digest"].as_str().unwrap_or("none");
    let _ = write!(text, "\nweights {digest:.16}, in calm {calm_digest:.16}\n");
    text
}

type Pick = fn(Counts) -> u64;

/// What is counted.
const COUNTS: [(&str, Pick); 3] = [
    ("tasks", |counts| counts.tasks),
    ("descriptors", |counts| counts.descriptors),
    ("threads", |counts| counts.threads),
];

/// What must not be.
pub(super) fn faults(outcome: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, held) in [("trainer", &outcome.trainer), ("loader", &outcome.loader)] {
        if held.growth.exceeds(MOST_MIB_PER_HOUR) {
            faults
                .push(format!("the memory of the {name} grows by more than {MOST_MIB_PER_HOUR} MiB an hour"));
        }
        for (what, pick) in COUNTS {
            let (before, after) = (pick(held.before), pick(held.after));
            if before != after {
                faults.push(format!("the {name} has {after} {what}, and had {before} before"));
            }
        }
    }
    if outcome.trained["weights_digest"].as_str() != Some(&outcome.calm_digest) {
        faults.push("the weights differ from those of a training in calm".to_owned());
    }
    if outcome.kills == 0 || outcome.stops == 0 || outcome.starts == 0 {
        faults.push("loaders were not killed, stopped and started: soak for longer".to_owned());
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::growth::Growth;
    use super::super::sample::Sample;
    use super::*;
    use serde_json::json;

    fn outcome() -> Outcome {
        let held = || {
            let counts = Counts { tasks: 7, descriptors: 20, threads: 5 };
            let growth = Growth { first_mib: 300.0, last_mib: 300.5, mib_per_hour: 0.5, standard_error: 0.4 };
            Held { growth, max: Sample { resident_kib: 310 << 10, counts }, before: counts, after: counts }
        };
        Outcome {
            data: "synthetic:9".to_owned(),
            minutes: 30.0,
            trained: json!({"steps": 12, "images_per_second": 99.6, "data_wait_ratio": 0.5, "weights_digest": "ab"}),
            kills: 3,
            stops: 2,
            starts: 4,
            trainer: held(),
            loader: held(),
            calm_digest: "ab".to_owned(),
        }
    }

    #[test]
    fn the_table_has_every_figure() {
        let table = of(&outcome());
        for part in
            ["12 steps, 100 images/s, 50.0 %", "3 loaders killed, 2 stopped", "0.50 ± 0.40", "7, 7, 7"]
        {
            assert!(table.contains(part), "{part} is not in {table}");
        }
    }

    #[test]
    fn what_grows_or_differs_is_a_fault_and_nothing_else_is() {
        assert!(faults(&outcome()).is_empty());
        let mut leak = outcome();
        leak.trainer.growth.mib_per_hour = 20.0;
        assert_eq!(faults(&leak), ["the memory of the trainer grows by more than 16 MiB an hour"]);
        let mut descriptor = outcome();
        descriptor.loader.after.descriptors = 21;
        assert_eq!(faults(&descriptor), ["the loader has 21 descriptors, and had 20 before"]);
        let mut weights = outcome();
        weights.calm_digest = "cd".to_owned();
        assert_eq!(faults(&weights), ["the weights differ from those of a training in calm"]);
        assert_eq!(faults(&Outcome { kills: 0, ..outcome() }).len(), 1);
    }
}
