//! What is checked of the plans of some epochs. Each check sees plain numbers and gives a [`Check`].

use super::cutmix::Law;
use super::statistics::{beta_below, binomial_p, kolmogorov_p};
use mixfeed_pipeline::blend::Blend;
use mixfeed_pipeline::spec::{LambdaScope, Mixing, MixingKind};
use mixfeed_pipeline::{BatchPlan, ImageShape, Lambda};
use serde::Serialize;
use std::borrow::Cow;

/// The outcome of a check.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) name: Cow<'static, str>,
    pub(super) passed: bool,
    /// How likely what was found is, where it is a matter of chance.
    pub(super) p_value: Option<f64>,
    pub(super) found: String,
}

impl Check {
    /// What is less likely than `significance` is taken for a fault.
    pub(super) fn of_chance(name: &'static str, p_value: f64, significance: f64, found: String) -> Self {
        Self { name: name.into(), passed: p_value >= significance, p_value: Some(p_value), found }
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
    cutmix: Vec<Blend>,
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
                Some(blend) if blend.pasted.is_some() => self.cutmix.push(blend),
                Some(blend) => self.mixup.push(blend.lambda),
            }
        }
    }

    /// Compares the draws with no mixing, which was asked for.
    pub(super) fn check_of_none(&self) -> Check {
        let mixed = self.mixup.len() + self.cutmix.len();
        let found = format!("{mixed} of {} samples are mixed, expected 0", self.trials);
        Check { name: "not mixed".into(), passed: mixed == 0, p_value: None, found }
    }

    /// Compares the draws with what was asked for.
    pub(super) fn checks(mut self, mixing: &Mixing, image: ImageShape, significance: f64) -> Vec<Check> {
        let (mixup_alpha, cutmix_alpha, share) = match mixing.kind {
            MixingKind::Mixup => (mixing.alpha, 0.0, 0.0),
            MixingKind::Cutmix => (0.0, mixing.alpha, 1.0),
            MixingKind::MixupOrCutmix { cutmix_alpha, switch_probability } => {
                (mixing.alpha, cutmix_alpha, switch_probability)
            }
        };
        let law = if share > 0.0 { Law::new(cutmix_alpha, image) } else { None };
        let boxes_show = law.as_ref().map_or_else(|| cutmix_shows(cutmix_alpha, image), Law::shows);
        let mixup = mixing.probability * (1.0 - share) * mixup_shows(mixup_alpha);
        let cutmix = mixing.probability * share * boxes_show;
        let fraction = |name, count: u64, expected: f64| {
            let found = format!(
                "{count} of {} samples ({:.5}), expected {expected:.5}",
                self.trials,
                count as f64 / self.trials.max(1) as f64
            );
            Check::of_chance(name, binomial_p(count, self.trials, expected), significance, found)
        };
        let (mixed, pasted) = (self.mixup.len() as u64, self.cutmix.len() as u64);
        let mut checks = vec![fraction("mixed fraction", mixed + pasted, mixup + cutmix)];
        if share > 0.0 {
            checks.push(fraction("fraction of CutMix", pasted, cutmix));
        }
        if mixed > 0 {
            let all = mixup_shows(mixup_alpha);
            let up_to =
                |units: i64| beta_below((units as f64 + 0.5) / 65_536.0, mixup_alpha, mixup_alpha) / all;
            let distance = distance(&mut self.mixup, up_to);
            let found = format!(
                "{mixed} lambdas, Kolmogorov-Smirnov distance from Beta({mixup_alpha}, {mixup_alpha}) {distance:.5}"
            );
            let p_value = kolmogorov_p(distance, mixed);
            checks.push(Check::of_chance("lambda's distribution", p_value, significance, found));
        }
        if pasted > 0 {
            checks.push(shares(&self.cutmix, image));
        }
        if let (Some(law), 1..) = (law, pasted) {
            let mut lambdas: Vec<_> = self.cutmix.iter().map(|blend| blend.lambda).collect();
            let distance = distance(&mut lambdas, |units| law.up_to(units));
            let found = format!(
                "{pasted} lambdas, Kolmogorov-Smirnov distance from those of boxes by Beta({cutmix_alpha}, {cutmix_alpha}), cut off \
                 at the border, {distance:.5}"
            );
            // Between few lambdas that are possible, what is found is at least as likely as this.
            let p_value = kolmogorov_p(distance, pasted);
            checks.push(Check::of_chance("lambda of CutMix", p_value, significance, found));
        }
        checks
    }
}

/// Whether each lambda of CutMix is the share of the image that its box leaves, to the nearest 1/65536.
fn shares(blends: &[Blend], image: ImageShape) -> Check {
    let pixels = f64::from(image.height) * f64::from(image.width);
    let is_wrong = |blend: &&Blend| {
        let pasted = blend.pasted.map_or(0.0, |part| f64::from(part.height) * f64::from(part.width));
        (1.0 - pasted / pixels - blend.lambda.to_unit()).abs() > 0.5 / 65_536.0
    };
    let wrong = blends.iter().filter(is_wrong).count();
    let found = format!("{wrong} of {} lambdas are not what their box leaves", blends.len());
    Check { name: "share of CutMix".into(), passed: wrong == 0, p_value: None, found }
}

/// The share of lambdas of mixup that change anything: those that do not round to one.
fn mixup_shows(alpha: f64) -> f64 {
    if alpha > 0.0 { beta_below(1.0 - 0.5 / 65_536.0, alpha, alpha) } else { 0.0 }
}

/// The share of lambdas of CutMix whose box has a pixel, for images that are too large for [`Law`]: half of each side is rounded down to whole pixels,
/// so 1 - lambda must be at least 4 over the square of the smaller side.
fn cutmix_shows(alpha: f64, image: ImageShape) -> f64 {
    let side = u64::from(image.height.min(image.width)).max(1);
    let min = (512_u64 * 512).div_ceil(side * side);
    let max = 65_536_u64.checked_sub(min);
    match max {
        Some(max) if alpha > 0.0 => beta_below((max as f64 + 0.5) / 65_536.0, alpha, alpha),
        _ => 0.0,
    }
}

/// How far the distribution function of lambdas is from `up_to`, which takes units of 1/65536.
fn distance(lambdas: &mut [Lambda], up_to: impl Fn(i64) -> f64) -> f64 {
    lambdas.sort_unstable();
    let count = lambdas.len() as f64;
    let mut largest = 0.0_f64;
    let mut before = 0;
    for group in lambdas.chunk_by(PartialEq::eq) {
        let units = i64::from(group[0].to_q16());
        let after = before + group.len();
        largest = largest.max((before as f64 / count - up_to(units - 1)).abs());
        largest = largest.max((after as f64 / count - up_to(units)).abs());
        before = after;
    }
    largest
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
    fn failed(drawn: Mixing, asked: &Mixing) -> Vec<Cow<'static, str>> {
        let mut all = Drawn::default();
        plans(drawn).iter().for_each(|plan| all.add(plan, drawn.lambda_scope));
        let checks = all.checks(asked, SHAPE, 1e-6).into_iter();
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
        assert!(
            failed(drawn, &mixing(MixingKind::Mixup, 0.5, 0.5)).contains(&"lambda's distribution".into())
        );
        let cut = |share| MixingKind::MixupOrCutmix { cutmix_alpha: 1.0, switch_probability: share };
        let found = failed(mixing(cut(0.5), 1.0, 1.0), &mixing(cut(0.4), 1.0, 1.0));
        assert_eq!(found, ["fraction of CutMix"]);
        let boxes = |alpha| mixing(MixingKind::Cutmix, alpha, 1.0);
        assert!(failed(boxes(1.0), &boxes(1.5)).contains(&"lambda of CutMix".into()));
        // Lambdas as they were drawn, before the box was cut off at the border.
        let mut drawn = Drawn::default();
        plans(boxes(1.0)).iter().for_each(|plan| drawn.add(plan, LambdaScope::Sample));
        for (number, blend) in drawn.cutmix.iter_mut().enumerate() {
            blend.lambda = Lambda::from_unit(number as f64 / 20_000.0);
        }
        let checks = drawn.checks(&boxes(1.0), SHAPE, 1e-6);
        let failed: Vec<_> =
            checks.iter().filter(|check| !check.passed).map(|check| check.name.clone()).collect();
        assert_eq!(failed, ["share of CutMix", "lambda of CutMix"]);
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
