//! The draws of one batch's mixing: which rows are mixed, with whom, and how.

use crate::blend::{Blend, BlendDraw};
use crate::checked::CheckedSpec;
use crate::key::{Key, Purpose, Seed, again, below};
use crate::left_out::LeftOut;
use crate::order::Permutation;
use mixfeed_streamspec::{LambdaScope, Mixing, PartnerSource};

/// The draws of one batch's mixing.
pub(super) struct Mixer {
    key: Key,
    draw: BlendDraw,
    /// Position of the batch's first row in its epoch.
    first: u64,
    /// The one draw of the batch, where all rows share it.
    shared: Option<Option<Blend>>,
    partners: Partners,
}

enum Partners {
    Dataset { all: u64, left_out: LeftOut },
    Batch(Permutation),
}

impl Mixer {
    pub(super) fn new(checked: &CheckedSpec, mixing: &Mixing, index: u64) -> Self {
        let (spec, epochs) = (checked.spec(), checked.epochs());
        let (epoch, step) = (epochs.epoch(index), epochs.step(index));
        let key = Key::new(Seed(spec.seed), Purpose::MIXING).at(epoch);
        let draw = BlendDraw::new(mixing, checked.image());
        let shared = match mixing.lambda_scope {
            LambdaScope::Sample => None,
            // The key of the batch is a child of its own: `at(epoch)` alone, then a place that no
            // sample can have.
            LambdaScope::Batch => Some(draw.draw(key.at(u64::MAX).at(step)).map(|(blend, _)| blend)),
        };
        let partners = match mixing.partner_source {
            PartnerSource::Dataset => {
                Partners::Dataset { all: checked.all_samples(), left_out: checked.left_out().clone() }
            }
            PartnerSource::Batch => {
                let key = Key::new(Seed(spec.seed), Purpose::PARTNERS).at(epoch).at(step);
                Partners::Batch(Permutation::new(key, epochs.global_rows(index)))
            }
        };
        Self { key, draw, first: step * u64::from(spec.batch_size), shared, partners }
    }

    pub(super) fn partner(&self, row: u64, sample_at: impl Fn(u64) -> u64) -> Option<(u64, Blend)> {
        let key = self.key.at(self.first + row);
        let (blend, word) = match self.shared {
            None => self.draw.draw(key)?,
            Some(blend) => (blend?, key.words::<1>()[0]),
        };
        let sample = match &self.partners {
            Partners::Dataset { all, left_out } => drawn(word, *all, left_out),
            Partners::Batch(permutation) => sample_at(permutation.at(row)),
        };
        Some((sample, blend))
    }
}

/// The sample that a random word draws, uniformly. One that was left out is drawn again, so that the draws of all others
/// stay what they are.
fn drawn(word: u64, all: u64, left_out: &LeftOut) -> u64 {
    let mut word = word;
    loop {
        let number = below(word, all);
        if !left_out.contains(number) {
            return left_out.number_left(number);
        }
        word = again(word);
    }
}
