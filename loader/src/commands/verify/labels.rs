//! What is checked of label noise: that as many labels are wrong as was asked for, and that a sample has one label
//! whenever it comes, as itself and as a partner.

use super::checks::Check;
use super::statistics::binomial_p;
use mixfeed_pipeline::{BatchPlan, Samples};

/// The labels of a stream as sent.
pub(super) struct Labels<'a> {
    samples: &'a dyn Samples,
    /// Of each sample, once it was seen.
    sent: Vec<Option<u32>>,
    /// How often a sample had another label than before.
    moved: u64,
}

impl<'a> Labels<'a> {
    pub(super) fn new(samples: &'a dyn Samples, count: u64) -> Self {
        Self { samples, sent: vec![None; count as usize], moved: 0 }
    }

    /// Takes the labels of a batch.
    pub(super) fn add(&mut self, plan: &BatchPlan) {
        for row in &plan.rows {
            self.see(row.sample, row.label(self.samples));
            if let Some(partner) = row.partner {
                self.see(partner.sample, partner.label(self.samples));
            }
        }
    }

    fn see(&mut self, sample: u64, label: u32) {
        // One that is not there is told by the check of samples.
        if let Some(sent) = self.sent.get_mut(sample as usize) {
            self.moved += u64::from(*sent.get_or_insert(label) != label);
        }
    }

    /// Compares the labels with what noise of so much makes of as many classes.
    pub(super) fn checks(&self, label_noise: f64, classes: u32, significance: f64) -> [Check; 2] {
        let seen = (0..).zip(&self.sent).filter_map(|(sample, label)| Some((sample, (*label)?)));
        let (mut trials, mut wrong) = (0, 0);
        for (sample, label) in seen {
            trials += 1;
            wrong += u64::from(label != self.samples.label(sample));
        }
        let classes = f64::from(classes);
        let expected = label_noise * (classes - 1.0) / classes;
        let found = format!(
            "{wrong} of {trials} labels are wrong ({:.5}), expected {expected:.5}",
            wrong as f64 / trials.max(1) as f64
        );
        let share = Check::of_chance("label noise", binomial_p(wrong, trials, expected), significance, found);
        let found = format!("{} times a sample had another label than before", self.moved);
        [share, Check { name: "one label a sample".into(), passed: self.moved == 0, p_value: None, found }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_pipeline::spec::Mixing;
    use mixfeed_pipeline::{CheckedSpec, StreamSpec, synthetic};

    /// What is found wrong of plans with noise of `drawn`, changed by `change`, if `asked` was asked for.
    fn failed(drawn: f64, asked: f64, change: impl Fn(&mut BatchPlan, &dyn Samples)) -> Vec<String> {
        let data = synthetic::dataset(20_000);
        let mixing = Some(Mixing::mixup(1.0, 0.5));
        let spec = StreamSpec { label_noise: drawn, mixing, ..StreamSpec::train(3, 50) };
        let checked = CheckedSpec::new(spec, &data).unwrap();
        let mut labels = Labels::new(data.train.as_ref(), 20_000);
        for index in 0..800 {
            let mut plan = BatchPlan::new(&checked, index);
            change(&mut plan, data.train.as_ref());
            labels.add(&plan);
        }
        let checks = labels.checks(asked, checked.classes(), 1e-6).into_iter();
        checks.filter(|check| !check.passed).map(|check| check.name.into_owned()).collect()
    }

    #[test]
    fn noise_that_was_asked_for_passes_and_other_noise_is_found() {
        for share in [0.0, 0.1, 0.4, 1.0] {
            assert!(failed(share, share, |_, _| {}).is_empty(), "{share}");
        }
        assert_eq!(failed(0.4, 0.43, |_, _| {}), ["label noise"]);
        assert_eq!(failed(0.4, 0.37, |_, _| {}), ["label noise"]);
        // As many wrong labels as if they were drawn from the other classes alone are too many.
        assert_eq!(failed(0.4 / 0.9, 0.4, |_, _| {}), ["label noise"]);
    }

    #[test]
    fn a_label_that_changes_is_found() {
        let in_the_second_epoch = |plan: &mut BatchPlan, samples: &dyn Samples| {
            if plan.index == 407 {
                plan.rows[3].noise = Some((plan.rows[3].label(samples) + 1) % 10);
            }
        };
        assert_eq!(failed(0.4, 0.4, in_the_second_epoch), ["one label a sample"]);
    }
}
