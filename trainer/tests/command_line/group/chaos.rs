//! Trainers of a group killed at any time, and loaders killed, stopped and brought back beside them: the run goes on with
//! another number of trainers, and its weights never tell.
//!
//! That each sample is trained on once an epoch follows from the weights: they are those of one trainer in calm.

use super::{DEBUG, NORMALISED, Rank, alone, learnt, result, small, start};
use crate::stderr;
use crate::support::loader_binary;
use mixfeed_ops::testing;
use mixfeed_testing::Replicas;
use std::process::Output;

/// Losses of one run before it is left in peace.
const LOSSES: u64 = 3;

/// Seeds, if `cargo xtask chaos` asks for no other number. Each starts twelve trainers or so, and takes a minute or more.
const SEEDS: u64 = 20;

/// splitmix64, all that is random here.
struct Draws(u64);

impl Draws {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    }
}

#[test]
fn trainers_and_loaders_are_lost_at_any_time_and_the_weights_are_the_same() {
    let asked: Option<u64> = std::env::var("MIXFEED_CHAOS_SEEDS").ok().map(|text| text.parse().unwrap());
    if asked.is_none() && testing::require("slow", testing::slow()).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Four epochs of five steps.
    let recipe = [&NORMALISED[..], &["--epochs", "4"], &DEBUG].concat();
    let golden = alone(folder.path(), &recipe);
    let (mut kills, mut resumes) = (0, 0);
    for seed in 0..asked.unwrap_or(SEEDS) {
        let folder = tempfile::tempdir().unwrap();
        let mut draws = Draws(seed);
        let mut replicas = Replicas::start(&loader_binary(), "synthetic:68");
        let loaders = replicas.addresses.join(",");
        let more =
            ["--loaders", &loaders, "--checkpoint-every", "1", "--resume", "auto", "--group-timeout", "20s"];
        let flags = small(&[&recipe[..], &more].concat());
        for _ in 0..LOSSES {
            let world = 1 << (1 + draws.next(2));
            let mut ranks = start(folder.path(), world, &|_| flags.clone());
            // Some are lost before the first step of theirs.
            for _ in 0..draws.next(6) {
                if ranks[0].next_field("checkpoint written", "step").is_none() {
                    break;
                }
            }
            let (which, word) = (draws.next(4), draws.next(u64::MAX));
            replicas.disturb(which as usize, word);
            let lost = ranks.remove(draws.next(world.into()) as usize);
            lost.send("-KILL");
            let outputs: Vec<Output> = ranks.into_iter().map(Rank::output).collect();
            // All that are left say that they lost one, but those that had ended before.
            for output in outputs {
                let code = output.status.code();
                assert!(matches!(code, Some(0 | 7)), "seed {seed}: {code:?}: {}", stderr(&output));
            }
            kills += 1;
        }
        let world = 1 << draws.next(3);
        let result = result(folder.path(), start(folder.path(), world, &|_| flags.clone()));
        assert_eq!(learnt(&result), learnt(&golden), "seed {seed}");
        resumes += u32::from(result["resumed_from_step"].as_u64().unwrap_or(0) > 0);
    }
    assert!(kills > 0 && resumes > 0, "{kills} trainers killed, {resumes} runs went on");
}
