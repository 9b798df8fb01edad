//! What is checked of the plans of some epochs. Each check sees plain numbers and gives a [`Check`].

use super::statistics::{beta_below, binomial_p, kolmogorov_p};
use mixfeed_pipeline::spec::{LambdaScope, Mixing, MixingKind};
use mixfeed_pipeline::{BatchPlan, ImageShape, Lambda};
use serde::Serialize;

/// What is less likely than this is taken for a fault. A right loader is accused once in a million checks,
/// and then always, because nothing here is drawn anew: another seed will tell.
const SIGNIFICANCE: f64 = 1e-6;

/// The outcome of a check.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) passed: bool,
    /// How likely what was found is, where it is a matter of chance.
    pub(super) p_value: Option<f64>,
    pub(super) found: String,
}

impl Check {
    fn of_chance(name: &'static str, p_value: f64, found: String) -> Self {
        Self { name, passed: p_value >= SIGNIFICANCE, p_value: Some(p_value), found }
    }
}

/// Whether each sample comes once in the epoch of these plans; `leftover` of them may be left out.
pub(super) fn once(plans: &[BatchPlan], samples: u64, leftover: u64) -> Result<(), String> {
    let mut seen = vec![false; samples as usize];
    for plan in plans {
        for row in &plan.rows {
            match seen.get_mut(row.sample as usize) {
                None => {
                    return Err(format!(
                        "batch {} has sample {}, which is not there",
                        plan.index, row.sample
                    ));
                }
                Some(true) => return Err(format!("batch {} has sample {} again", plan.index, row.sample)),
                Some(seen) => *seen = true,
            }
        }
    }
    let missing = seen.iter().filter(|seen| !**seen).count() as u64;
    if missing == leftover { Ok(()) } else { Err(format!("{missing} samples are missing, not {leftover}")) }
}

/// What was drawn for mixing.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    /// Samples, or batches where all of a batch share a draw.
    trials: u64,
    mixup: Vec<Lambda>,
    cutmix: u64,
}

impl Drawn {
    /// Takes the draws of a batch.
    pub(super) fn add(&mut self, plan: &BatchPlan, scope: LambdaScope) {
        let rows = match scope {
            LambdaScope::Sample => plan.rows.len(),
            LambdaScope::Batch => 1,
        };
        for row in plan.rows.iter().take(rows) {
            self.trials += 1;
            match row.partner.map(|partner| partner.blend) {
                None => {}
                Some(blend) if blend.pasted.is_some() => self.cutmix += 1,
                Some(blend) => self.mixup.push(blend.lambda),
            }
        }
    }

    /// Compares the draws with what was asked for.
    pub(super) fn checks(mut self, mixing: &Mixing, image: ImageShape) -> Vec<Check> {
        let (mixup_alpha, cutmix_alpha, share) = match mixing.kind {
            MixingKind::Mixup => (mixing.alpha, 0.0, 0.0),
            MixingKind::Cutmix => (0.0, mixing.alpha, 1.0),
            MixingKind::MixupOrCutmix { cutmix_alpha, switch_probability } => {
                (mixing.alpha, cutmix_alpha, switch_probability)
            }
        };
        let mixup = mixing.probability * (1.0 - share) * mixup_shows(mixup_alpha);
        let cutmix = mixing.probability * share * cutmix_shows(cutmix_alpha, image);
        let fraction = |name, count: u64, expected: f64| {
            let found = format!(
                "{count} of {} are {:.5}, expected {expected:.5}",
                self.trials,
                count as f64 / self.trials.max(1) as f64
            );
            Check::of_chance(name, binomial_p(count, self.trials, expected), found)
        };
        let mixed = self.mixup.len() as u64;
        let mut checks = vec![fraction("mixed fraction", mixed + self.cutmix, mixup + cutmix)];
        if share > 0.0 {
            checks.push(fraction("fraction of CutMix", self.cutmix, cutmix));
        }
        if !self.mixup.is_empty() {
            let distance = distance(&mut self.mixup, mixup_alpha);
            let found = format!(
                "{mixed} lambdas are off Beta({mixup_alpha}, {mixup_alpha}) by {distance:.5} at most"
            );
            checks.push(Check::of_chance("lambda's distribution", kolmogorov_p(distance, mixed), found));
        }
        checks
    }
}

/// The share of lambdas of mixup that change anything: those that do not round to one.
fn mixup_shows(alpha: f64) -> f64 {
    if alpha > 0.0 { beta_below(1.0 - 0.5 / 65_536.0, alpha, alpha) } else { 0.0 }
}

/// The share of lambdas of CutMix whose box has a pixel: half of each side is rounded down to whole pixels,
/// so 1 - lambda must be at least 4 over the square of the smaller side.
fn cutmix_shows(alpha: f64, image: ImageShape) -> f64 {
    let side = u64::from(image.height.min(image.width)).max(1);
    let least = (512_u64 * 512).div_ceil(side * side);
    let most = 65_536_u64.checked_sub(least);
    match most {
        Some(most) if alpha > 0.0 => beta_below((most as f64 + 0.5) / 65_536.0, alpha, alpha),
        _ => 0.0,
    }
}

/// How far the distribution function of lambdas is from that of Beta(alpha, alpha), rounded as they are and
/// without those that round to one.
fn distance(lambdas: &mut [Lambda], alpha: f64) -> f64 {
    lambdas.sort_unstable();
    let count = lambdas.len() as f64;
    let all = mixup_shows(alpha);
    let below = |units: f64| beta_below(units / 65_536.0, alpha, alpha) / all;
    let mut most = 0.0_f64;
    let mut before = 0;
    for group in lambdas.chunk_by(PartialEq::eq) {
        let units = f64::from(group[0].to_q16());
        let after = before + group.len();
        most = most.max((before as f64 / count - below(units - 0.5)).abs());
        most = most.max((after as f64 / count - below(units + 0.5)).abs());
        before = after;
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_pipeline::{CheckedSpec, StreamSpec, synthetic};

    const SHAPE: ImageShape = ImageShape { height: 32, width: 32, channels: 3 };

    fn mixing(kind: MixingKind, alpha: f64, probability: f64) -> Mixing {
        Mixing { kind, ..Mixing::mixup(alpha, probability) }
    }

    fn plans(mixing: Mixing) -> Vec<BatchPlan> {
        let spec = StreamSpec { mixing: Some(mixing), ..StreamSpec::train(3, 50) };
        let checked = CheckedSpec::new(spec, &synthetic::dataset(20_000)).unwrap();
        (0..400).map(|index| BatchPlan::new(&checked, index)).collect()
    }

    /// What the draws of one mixing are said to be, if another was asked for.
    fn failed(drawn: Mixing, asked: &Mixing) -> Vec<&'static str> {
        let mut all = Drawn::default();
        plans(drawn).iter().for_each(|plan| all.add(plan, drawn.lambda_scope));
        let checks = all.checks(asked, SHAPE).into_iter();
        checks.filter(|check| !check.passed).map(|check| check.name).collect()
    }

    #[test]
    fn every_way_of_mixing_passes() {
        let either = MixingKind::MixupOrCutmix { cutmix_alpha: 1.0, switch_probability: 0.3 };
        for kind in [MixingKind::Mixup, MixingKind::Cutmix, either] {
            for (alpha, probability) in
                [(0.2, 0.2), (0.0, 1.0), (0.05, 1.0), (1.0, 0.5), (8.0, 1.0), (500.0, 0.9)]
            {
                let mixing = mixing(kind, alpha, probability);
                assert!(failed(mixing, &mixing).is_empty(), "{mixing:?}: {:?}", failed(mixing, &mixing));
            }
        }
        let batch = Mixing { lambda_scope: LambdaScope::Batch, ..mixing(MixingKind::Mixup, 1.0, 0.5) };
        assert!(failed(batch, &batch).is_empty());
    }

    #[test]
    fn other_draws_than_were_asked_for_are_found() {
        let drawn = mixing(MixingKind::Mixup, 0.4, 0.5);
        assert_eq!(failed(drawn, &mixing(MixingKind::Mixup, 0.4, 0.55)), ["mixed fraction"]);
        assert!(failed(drawn, &mixing(MixingKind::Mixup, 0.5, 0.5)).contains(&"lambda's distribution"));
        let cut = |share| MixingKind::MixupOrCutmix { cutmix_alpha: 1.0, switch_probability: share };
        let found = failed(mixing(cut(0.5), 1.0, 1.0), &mixing(cut(0.4), 1.0, 1.0));
        assert_eq!(found, ["fraction of CutMix"]);
    }

    #[test]
    fn a_sample_that_comes_twice_or_not_at_all_is_named() {
        let whole = plans(Mixing::mixup(1.0, 0.5));
        assert_eq!(once(&whole, 20_000, 0), Ok(()));
        let mut broken = whole.clone();
        broken[7].rows[0].sample = broken[6].rows[0].sample;
        assert_eq!(
            once(&broken, 20_000, 0),
            Err(format!("batch 7 has sample {} again", broken[6].rows[0].sample))
        );
        broken[7].rows[0].sample = 20_000;
        assert_eq!(once(&broken, 20_000, 0), Err("batch 7 has sample 20000, which is not there".into()));
        assert_eq!(once(&whole[1..], 20_000, 0), Err("50 samples are missing, not 0".into()));
        assert_eq!(once(&whole[1..], 20_000, 50), Ok(()));
    }
}
