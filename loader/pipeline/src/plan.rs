//! The plan of a batch: every random choice, from the spec and the index alone.
//!
//! A plan depends on nothing that was planned before. It is small (a few words a row) and cheap;
//! the heavy part, [`collate`](mod@crate::collate), sees decisions and never a generator.
//!
//! ```
//! use mixfeed_pipeline::spec::Mixing;
//! use mixfeed_pipeline::{BatchPlan, CheckedSpec, StreamSpec, synthetic};
//!
//! let spec = StreamSpec { mixing: Some(Mixing::mixup(0.2, 1.0)), ..StreamSpec::train(7, 8) };
//! let checked = CheckedSpec::new(spec, &synthetic::dataset(100))?;
//! let plan = BatchPlan::new(&checked, 13);
//! // 100 samples are 13 batches of 8, so this is the first batch of the second epoch.
//! assert_eq!((plan.epoch, plan.rows.len()), (1, 8));
//! assert!(plan.rows.iter().all(|row| row.partner.is_some()));
//! assert_eq!(plan, BatchPlan::new(&checked, 13));
//! # Ok::<(), mixfeed_pipeline::SpecError>(())
//! ```

mod label_noise;
mod mixer;

use crate::augment::{AugmentDraw, Role, View};
use crate::blend::Blend;
use crate::checked::CheckedSpec;
use crate::dataset::Samples;
use crate::key::{Key, Purpose, Seed};
use crate::order::{EpochOrder, Permutation};
use label_noise::LabelNoise;
use mixer::Mixer;
use std::ops::Range;

/// What a batch consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPlan {
    /// Index of the batch, from the start of training.
    pub index: u64,
    /// The epoch it belongs to.
    pub epoch: u64,
    /// Its rows, those of the shard only.
    pub rows: Vec<RowPlan>,
}

/// What a row consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowPlan {
    /// The base sample, which appears once an epoch.
    pub sample: u64,
    /// The label that label noise replaces its own by, if it does; the two may be equal.
    pub noise: Option<u32>,
    /// How it is shown.
    pub view: View,
    /// What is mixed into it.
    pub partner: Option<Partner>,
}

/// What is mixed into a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partner {
    /// The sample mixed in; it may be the base sample itself.
    pub sample: u64,
    /// The label that label noise replaces its own by, if it does; the two may be equal.
    pub noise: Option<u32>,
    /// How it is shown.
    pub view: View,
    /// How the two become one.
    pub blend: Blend,
}

impl BatchPlan {
    /// Plans the batch at `index`.
    #[must_use]
    pub fn new(checked: &CheckedSpec, index: u64) -> Self {
        let epochs = checked.epochs();
        let rows = RowPlan::of_batch(checked, index, 0..epochs.rows(index)).collect();
        Self { index, epoch: epochs.epoch(index), rows }
    }
}

impl RowPlan {
    /// Plans some rows of the batch at `index`, counted among those of the shard, each when it is asked for.
    ///
    /// # Panics
    /// When the batch has fewer rows.
    pub fn of_batch(
        checked: &CheckedSpec,
        index: u64,
        rows: Range<u64>,
    ) -> impl Iterator<Item = Self> + use<'_> {
        let spec = checked.spec();
        let epochs = checked.epochs();
        let (epoch, step) = (epochs.epoch(index), epochs.step(index));
        let first = step * u64::from(spec.batch_size);

        let key = Key::new(Seed(spec.seed), Purpose::ORDER).at(epoch);
        let permutation = spec.shuffle.then(|| Permutation::new(key, checked.all_samples()));
        let order = EpochOrder::new(permutation, checked.left_out().clone());
        let mixer = spec.mixing_at(epoch).map(|mixing| Mixer::new(checked, &mixing, index));
        let noise = LabelNoise::new(checked);
        let augment = AugmentDraw::new(spec, checked.custom(), checked.image(), epoch);

        let shard = epochs.shard_rows(index);
        assert!(rows.end <= shard.end - shard.start, "rows of the batch");
        (shard.start + rows.start..shard.start + rows.end).map(move |row| {
            let sample_at = |row: u64| order.at(first + row);
            let view = |role, sample| augment.view(first + row, role, checked.original(sample));
            let noise = |sample| noise.as_ref()?.label(checked.number_of_all(sample));
            let partner = || {
                let (sample, blend) = mixer.as_ref()?.partner(row, sample_at)?;
                Some(Partner { sample, noise: noise(sample), view: view(Role::Partner, sample), blend })
            };
            let sample = sample_at(row);
            Self { sample, noise: noise(sample), view: view(Role::Base, sample), partner: partner() }
        })
    }

    /// Returns the label of the base sample as sent.
    #[must_use]
    pub fn label(&self, samples: &dyn Samples) -> u32 {
        self.noise.unwrap_or_else(|| samples.label(self.sample))
    }
}

impl Partner {
    /// Returns the label of the sample mixed in as sent.
    #[must_use]
    pub fn label(&self, samples: &dyn Samples) -> u32 {
        self.noise.unwrap_or_else(|| samples.label(self.sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::left_out::LeftOut;

    use crate::synthetic;
    use mixfeed_streamspec::{
        Augmentation, LambdaScope, Mixing, MixingKind, PartnerSource, Remainder, RowShard, StreamSpec,
    };
    use proptest::prelude::*;
    use std::collections::HashMap;

    const AUGMENTATION: Augmentation =
        Augmentation { crop_padding: 4, flip_probability: 0.5, ..Augmentation::NONE };

    fn spec(seed: u64, batch_size: u32) -> StreamSpec {
        StreamSpec { mixing: Some(Mixing::mixup(1.0, 0.5)), ..StreamSpec::train(seed, batch_size) }
    }

    fn with_mixing(spec: StreamSpec, change: impl Fn(&mut Mixing)) -> StreamSpec {
        let mut mixing = spec.mixing.unwrap();
        change(&mut mixing);
        StreamSpec { mixing: Some(mixing), ..spec }
    }

    fn checked(samples: u64, spec: StreamSpec) -> CheckedSpec {
        CheckedSpec::new(spec, &synthetic::dataset(samples)).unwrap()
    }

    fn epoch(checked: &CheckedSpec, epoch: u64) -> Vec<RowPlan> {
        let n = checked.epochs().batches();
        (epoch * n..(epoch + 1) * n).flat_map(|index| BatchPlan::new(checked, index).rows).collect()
    }

    /// A spec of 500 training samples without those of `left_out`.
    fn checked_without(spec: StreamSpec, left_out: &LeftOut) -> CheckedSpec {
        CheckedSpec::of(spec, Some(synthetic::SHAPE), 10, 500, left_out, &[]).unwrap()
    }

    /// Every sample of a batch, by its number among all, partners too.
    fn samples_of(plan: &BatchPlan, left_out: &LeftOut) -> Vec<u64> {
        let of_row = |row: &RowPlan| [Some(row.sample), row.partner.map(|partner| partner.sample)];
        plan.rows.iter().flat_map(of_row).flatten().map(|sample| left_out.number_of_all(sample)).collect()
    }

    proptest! {
        /// What resuming without a bad record rests on.
        #[test]
        fn batches_before_a_sample_that_is_left_out_are_the_same_with_it_and_without(
            seed: u64,
            shuffle: bool,
            from_batch: bool,
            limit in prop_oneof![Just(0_u64), 100_u64..500],
            before in proptest::collection::btree_set(0_u64..500, 0..5),
            more in proptest::collection::btree_set(0_u64..500, 1..5),
        ) {
            let mut spec = StreamSpec { shuffle, limit, augmentation: AUGMENTATION, ..spec(seed, 16) };
            if from_batch {
                spec = with_mixing(spec, |m| m.partner_source = PartnerSource::Batch);
            }
            let first: LeftOut = before.iter().copied().collect();
            let second: LeftOut = before.iter().chain(&more).copied().collect();
            let (with, without) = (checked_without(spec, &first), checked_without(spec, &second));
            let is_met = |number: &u64| second.contains(*number) && !first.contains(*number);
            for index in 0..without.epochs().batches().min(with.epochs().batches()) {
                let (with, without) = (BatchPlan::new(&with, index), BatchPlan::new(&without, index));
                if samples_of(&with, &first).iter().any(is_met) {
                    break;
                }
                // The batch at the end of an epoch may be shorter, and then its samples are not all met.
                if with.rows.len() == without.rows.len() {
                    prop_assert_eq!(samples_of(&with, &first), samples_of(&without, &second));
                    let views = |plan: &BatchPlan| plan.rows.iter().map(|row| row.view).collect::<Vec<_>>();
                    prop_assert_eq!(views(&with), views(&without));
                }
            }
        }

        #[test]
        fn each_epoch_holds_each_sample_that_is_left_once(
            seed: u64,
            shuffle: bool,
            left_out in proptest::collection::btree_set(0_u64..500, 0..400),
        ) {
            let left_out: LeftOut = left_out.into_iter().collect();
            let checked = checked_without(StreamSpec { shuffle, ..spec(seed, 16) }, &left_out);
            let rows = epoch(&checked, 3);
            prop_assert!(rows.iter().all(|row| row.partner.is_none_or(|p| p.sample < checked.samples())));
            let mut seen: Vec<_> = rows.iter().map(|row| row.sample).collect();
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..500 - left_out.count()));
        }

        #[test]
        fn each_epoch_holds_each_sample_once(seed: u64, samples in 1_u64..500, batch in 1_u32..64, e in 0_u64..1_000_000) {
            let checked = checked(samples, spec(seed, batch));
            let mut seen: Vec<_> = epoch(&checked, e).iter().map(|row| row.sample).collect();
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..samples));
        }

        #[test]
        fn shards_are_the_global_batch_cut_in_order(seed: u64, index: u64, world in 1_u32..8, per_batch: bool) {
            let mut whole = StreamSpec { augmentation: AUGMENTATION, ..spec(seed, 16) };
            if per_batch {
                whole = with_mixing(whole, |m| {
                    m.kind = MixingKind::MixupOrCutmix { cutmix_alpha: 1.0, switch_probability: 0.5 };
                    m.lambda_scope = LambdaScope::Batch;
                    m.partner_source = PartnerSource::Batch;
                });
            }
            let rows: Vec<_> = (0..world)
                .flat_map(|rank| {
                    let shard = Some(RowShard { rank, world });
                    let spec = StreamSpec { shard, ..whole };
                    BatchPlan::new(&checked(123, spec), index).rows
                })
                .collect();
            prop_assert_eq!(rows, BatchPlan::new(&checked(123, whole), index).rows);
        }

        #[test]
        fn any_index_can_be_planned(seed: u64, index: u64) {
            let plan = BatchPlan::new(&checked(100, spec(seed, 32)), index);
            prop_assert!(plan.rows.iter().all(|row| row.sample < 100 && row.partner.is_none_or(|p| p.sample < 100)));
        }
    }

    #[test]
    fn a_plan_does_not_depend_on_what_was_planned_before() {
        let spec = with_mixing(spec(3, 32), |m| m.kind = MixingKind::Cutmix);
        let checked = checked(1000, StreamSpec { augmentation: AUGMENTATION, ..spec });
        let forwards: Vec<_> = (0..100).map(|i| BatchPlan::new(&checked, i)).collect();
        let mut backwards: Vec<_> = (0..100).rev().map(|i| BatchPlan::new(&checked, i)).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        assert_eq!(BatchPlan::new(&checked, 57), forwards[57]);
    }

    #[test]
    fn dropping_the_remainder_leaves_out_another_few_each_epoch() {
        let checked = checked(100, StreamSpec { remainder: Remainder::Drop, ..spec(1, 32) });
        let left_out = |e| {
            let seen: Vec<_> = epoch(&checked, e).iter().map(|row| row.sample).collect();
            assert_eq!(seen.len(), 96);
            (0..100).filter(|s| !seen.contains(s)).collect::<Vec<_>>()
        };
        assert_eq!(left_out(0).len(), 4);
        assert_ne!(left_out(0), left_out(1));
    }

    #[test]
    fn without_shuffling_the_split_is_read_in_order() {
        let checked = checked(100, StreamSpec { shuffle: false, ..spec(1, 32) });
        assert!(epoch(&checked, 7).iter().map(|row| row.sample).eq(0..100));
    }

    #[test]
    fn a_limit_bounds_samples_and_partners() {
        let checked = checked(1000, StreamSpec { limit: 50, ..spec(1, 32) });
        for row in epoch(&checked, 0) {
            assert!(row.sample < 50 && row.partner.is_none_or(|p| p.sample < 50));
        }
    }

    #[test]
    fn partners_from_the_data_set_are_uniform() {
        let checked = checked(100, with_mixing(spec(1, 50), |m| m.probability = 1.0));
        let mut counts = HashMap::new();
        for row in (0..1000).flat_map(|e| epoch(&checked, e)) {
            *counts.entry(row.partner.map_or(0, |p| p.sample)).or_insert(0.0) += 1.0;
        }
        let chi2: f64 = counts.values().map(|n: &f64| (n - 1000.0).powi(2) / 1000.0).sum();
        // 99 degrees of freedom: 148.2 is the 99.9 % quantile.
        assert!(counts.len() == 100 && chi2 < 148.2, "chi-squared {chi2}");
    }

    #[test]
    fn partners_from_the_batch_are_a_permutation_of_it() {
        let spec = with_mixing(spec(1, 32), |m| {
            m.probability = 1.0;
            m.lambda_scope = LambdaScope::Batch;
            m.partner_source = PartnerSource::Batch;
        });
        let checked = checked(96, spec);
        for index in 0..40 {
            let plan = BatchPlan::new(&checked, index);
            let mut samples: Vec<_> = plan.rows.iter().map(|row| row.sample).collect();
            let mut partners: Vec<_> = plan.rows.iter().filter_map(|row| Some(row.partner?.sample)).collect();
            assert_ne!(samples, partners);
            samples.sort_unstable();
            partners.sort_unstable();
            assert_eq!(samples, partners);
        }
    }

    #[test]
    fn one_lambda_for_a_batch_differs_from_batch_to_batch() {
        let spec = with_mixing(spec(1, 32), |m| {
            m.probability = 1.0;
            m.lambda_scope = LambdaScope::Batch;
        });
        let checked = checked(96, spec);
        let lambdas: std::collections::HashSet<_> = (0..50)
            .map(|index| {
                let plan = BatchPlan::new(&checked, index);
                let all: Vec<_> = plan.rows.iter().map(|row| row.partner.unwrap().blend.lambda).collect();
                assert!(all.iter().all(|lambda| *lambda == all[0]));
                all[0].to_q16()
            })
            .collect();
        assert!(lambdas.len() > 45, "{} lambdas in 50 batches", lambdas.len());
    }

    #[test]
    fn a_batch_that_shares_its_lambda_shares_kind_and_box() {
        let spec = with_mixing(spec(1, 32), |m| {
            m.kind = MixingKind::MixupOrCutmix { cutmix_alpha: 1.0, switch_probability: 0.5 };
            m.probability = 1.0;
            m.lambda_scope = LambdaScope::Batch;
        });
        let checked = checked(96, spec);
        let mut cut = 0;
        for index in 0..200 {
            let rows = BatchPlan::new(&checked, index).rows;
            let blends: Vec<_> = rows.iter().map(|row| row.partner.map(|partner| partner.blend)).collect();
            assert!(blends.iter().all(|blend| *blend == blends[0]));
            cut += u32::from(blends[0].is_some_and(|blend| blend.pasted.is_some()));
        }
        // 100 expected, standard deviation 7.
        assert!((70..130).contains(&cut), "{cut}");
    }

    #[test]
    fn a_sample_is_shown_otherwise_each_time_it_comes() {
        let checked = checked(1000, StreamSpec { augmentation: AUGMENTATION, ..spec(1, 100) });
        let views =
            |e| -> HashMap<_, _> { epoch(&checked, e).iter().map(|row| (row.sample, row.view)).collect() };
        let (a, b) = (views(0), views(1));
        // One view of 162: 6 of 1,000 agree by chance, with a standard deviation of 2.5.
        let same = a.iter().filter(|(sample, view)| b[sample] == **view).count();
        assert!(same < 19, "{same} samples look alike in two epochs");
    }

    #[test]
    fn mixing_does_not_depend_on_which_sample_is_drawn() {
        // The same place of two epochs: order, lambda and partner all change.
        let checked = checked(1000, with_mixing(spec(1, 100), |m| m.probability = 1.0));
        let (a, b) = (epoch(&checked, 0), epoch(&checked, 1));
        let same = a
            .iter()
            .zip(&b)
            .filter(|(a, b)| a.partner.unwrap().blend.lambda == b.partner.unwrap().blend.lambda)
            .count();
        assert!(same < 5, "{same} lambdas repeat in the next epoch");
    }
}
