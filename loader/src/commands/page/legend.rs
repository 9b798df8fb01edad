//! What the signs on a page mean: a line for each that occurs.

use mixfeed_pipeline::BatchPlan;
use mixfeed_pipeline::augment::View;
use mixfeed_pipeline::spec::Mixing;

/// Where every image is mixed, and this one has no partner.
pub(super) const LAMBDA_IS_ONE: &str = "λ = 1";

/// Where not every image is mixed.
pub(super) const NOT_MIXED: &str = "not mixed";

/// The lines for a batch.
pub(super) fn of(plan: &BatchPlan, mixing: Option<Mixing>) -> Vec<String> {
    let views = || plan.rows.iter().flat_map(|row| [Some(row.view), row.partner.map(|partner| partner.view)]);
    let any = |is: fn(&View) -> bool| views().flatten().any(|view| is(&view));
    let is_alone = plan.rows.iter().any(|row| row.partner.is_none());
    let is_mixed = plan.rows.iter().any(|row| row.partner.is_some());
    let always = mixing.is_some_and(|mixing| mixing.probability >= 1.0);
    [
        (is_mixed, "number: the image's weight in the mix and in the target, λ and 1 − λ"),
        (
            is_alone && always,
            "λ = 1: drawn so close to 1 that 16 bits round it to 1; small alphas do that often",
        ),
        (any(|view| view.resized.is_some()), "crop: a random part, resized"),
        (any(|view| view.flipped), "↔ flipped"),
        (
            any(|view| (view.down, view.right) != (0, 0)),
            "+x,+y: crop of the padded image, moved to the right and down by so many pixels",
        ),
        (
            any(|view| view.trivial.is_some()),
            "a name and a number: TrivialAugment's operation and its strength, 0 to 30",
        ),
        (any(|view| view.jitter.iter().any(Option::is_some)), "colours: colour jitter"),
        (any(|view| view.erased.is_some() || view.cutout.is_some()), "hole: random erasing or Cutout"),
        (any(|view| view.custom.is_some()), "a name alone: a transform of the loader's own"),
    ]
    .into_iter()
    .filter(|(occurs, _)| *occurs)
    .map(|(_, line)| line.to_owned())
    .collect()
}
