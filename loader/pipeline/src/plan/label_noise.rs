//! The draw of label noise: which samples have another label than the data says, and which one.
//!
//! It is drawn by seed and sample alone. So a sample has one label in all epochs, as itself and as a partner, in every
//! shard and whatever else is left out; what it is defined as stands at
//! [`StreamSpec::label_noise`](mixfeed_streamspec::StreamSpec::label_noise).

use crate::checked::CheckedSpec;
use crate::key::{Key, Purpose, Seed, below, unit};

const PURPOSE: Purpose = Purpose::new(15);

/// The draws of a stream's label noise.
pub(super) struct LabelNoise {
    key: Key,
    share: f64,
    classes: u32,
}

impl LabelNoise {
    /// Nothing where labels stay as they are.
    pub(super) fn new(checked: &CheckedSpec) -> Option<Self> {
        let (spec, classes) = (checked.spec(), checked.classes());
        let key = Key::new(Seed(spec.seed), PURPOSE);
        (spec.label_noise > 0.0).then_some(Self { key, share: spec.label_noise, classes })
    }

    /// The label that replaces that of the sample with this number among all; none where its own stays.
    pub(super) fn label(&self, number: u64) -> Option<u32> {
        let [happens, class] = self.key.at(number).words();
        (unit(happens) < self.share).then(|| below(class, self.classes.into()) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::BatchPlan;
    use crate::{LeftOut, RowPlan, synthetic};
    use mixfeed_streamspec::{Mixing, PartnerSource, RowShard, StreamSpec};
    use std::collections::HashMap;

    const SAMPLES: u64 = 20_000;
    const CLASSES: u32 = 10;

    fn noisy(seed: u64, label_noise: f64) -> StreamSpec {
        let mixing = Some(Mixing { partner_source: PartnerSource::Batch, ..Mixing::mixup(1.0, 0.5) });
        StreamSpec { label_noise, mixing, ..StreamSpec::train(seed, 100) }
    }

    fn checked(samples: u64, spec: StreamSpec, left_out: &LeftOut) -> CheckedSpec {
        CheckedSpec::of(spec, Some(synthetic::SHAPE), CLASSES, samples, left_out, &[]).unwrap()
    }

    fn rows(checked: &CheckedSpec, epoch: u64) -> Vec<RowPlan> {
        let n = checked.epochs().batches();
        (epoch * n..(epoch + 1) * n).flat_map(|index| BatchPlan::new(checked, index).rows).collect()
    }

    /// What noise makes of each sample in an epoch, by its number among all.
    fn labels(checked: &CheckedSpec, epoch: u64) -> HashMap<u64, Option<u32>> {
        rows(checked, epoch).iter().map(|row| (checked.number_of_all(row.sample), row.noise)).collect()
    }

    #[test]
    fn the_share_of_replaced_labels_is_the_noise() {
        let none = LeftOut::default();
        for (share, least, most) in [
            // 20,000 samples: standard deviations are 69.3, 28.2 and 0; five of them either way.
            (0.4, 7_654, 8_346),
            (0.04, 662, 938),
            (1.0, 20_000, 20_000),
        ] {
            let labels = labels(&checked(SAMPLES, noisy(3, share), &none), 0);
            let replaced = labels.values().flatten().count();
            assert!((least..=most).contains(&replaced), "{replaced} at {share}");
        }
        assert!(rows(&checked(SAMPLES, noisy(3, 0.0), &none), 0).iter().all(|row| row.noise.is_none()));
    }

    #[test]
    fn noise_is_uniform_over_all_classes_whatever_the_true_one() {
        let data = synthetic::dataset(SAMPLES);
        let checked = CheckedSpec::new(noisy(5, 1.0), &data).unwrap();
        let mut counts = [[0.0_f64; CLASSES as usize]; CLASSES as usize];
        for row in rows(&checked, 0) {
            counts[data.train.label(row.sample) as usize][row.noise.unwrap() as usize] += 1.0;
        }
        // 2,000 samples of each class, 200 expected in each of 100 cells, 10 of them on the diagonal.
        let chi2: f64 = counts.iter().flatten().map(|n| (n - 200.0).powi(2) / 200.0).sum();
        // 90 degrees of freedom, as the samples of a class are fixed: 137.2 is the 99.9 % quantile.
        assert!(chi2 < 137.2, "chi-squared {chi2}");
        let kept: f64 = (0..CLASSES as usize).map(|class| counts[class][class]).sum();
        // 2,000 expected, standard deviation 42.4: as many keep their label as chance has it.
        assert!((kept - 2_000.0).abs() < 5.0 * 42.4, "{kept}");
    }

    #[test]
    fn a_sample_has_one_label_in_all_epochs_as_itself_and_as_a_partner() {
        let checked = checked(1_000, noisy(7, 0.4), &LeftOut::default());
        let first = labels(&checked, 0);
        for epoch in [1, 2, 1_000_000] {
            assert_eq!(labels(&checked, epoch), first);
            let partners: Vec<_> = rows(&checked, epoch).iter().filter_map(|row| row.partner).collect();
            assert!(partners.len() > 400);
            assert!(partners.iter().all(|partner| first[&partner.sample] == partner.noise));
        }
    }

    #[test]
    fn another_seed_replaces_other_labels_by_other_ones() {
        let of = |seed| labels(&checked(1_000, noisy(seed, 0.5), &LeftOut::default()), 0);
        let (one, other) = (of(1), of(2));
        // Both of a sample stay with probability 1/4, both become the same one with 1/40: 275 expected, standard deviation 14.1.
        let same = one.iter().filter(|(sample, label)| other[sample] == **label).count();
        assert!((204..346).contains(&same), "{same}");
    }

    #[test]
    fn shards_limits_batch_sizes_mixing_and_samples_left_out_change_no_label() {
        let none = LeftOut::default();
        let whole = labels(&checked(1_000, noisy(9, 0.4), &none), 0);
        let left_out: LeftOut = [0, 17, 500, 998].into_iter().collect();
        let shard = Some(RowShard { rank: 2, world: 3 });
        for (spec, left_out) in [
            (StreamSpec { shard, ..noisy(9, 0.4) }, &none),
            (StreamSpec { limit: 300, ..noisy(9, 0.4) }, &none),
            (StreamSpec { batch_size: 7, mixing: None, shuffle: false, ..noisy(9, 0.4) }, &none),
            (noisy(9, 0.4), &left_out),
        ] {
            let labels = labels(&checked(1_000, spec, left_out), 0);
            assert!(labels.len() >= 300 && labels.iter().all(|(number, label)| whole[number] == *label));
        }
    }

    #[test]
    fn noise_changes_labels_and_nothing_else() {
        let (with, without) = (noisy(11, 0.4), noisy(11, 0.0));
        let plan = |spec| rows(&checked(1_000, spec, &LeftOut::default()), 3);
        let quiet = |mut row: RowPlan| {
            row.noise = None;
            row.partner.iter_mut().for_each(|partner| partner.noise = None);
            row
        };
        assert_eq!(plan(with).into_iter().map(quiet).collect::<Vec<_>>(), plan(without));
    }
}
