//! What the signs on a page mean: a line for each that occurs.

use mixfeed_pipeline::augment::View;
use mixfeed_pipeline::plan::Partner;
use mixfeed_pipeline::spec::Mixing;
use mixfeed_pipeline::{BatchPlan, RowPlan, Samples};

/// Where every image is mixed, and this one has no partner.
pub(super) const LAMBDA_IS_ONE: &str = "λ = 1";

/// Where not every image is mixed.
pub(super) const NOT_MIXED: &str = "not mixed";

/// Before the class of an image that was sent with another label.
pub(super) const TRUE_CLASS: &str = "true:";

/// The lines for a batch.
pub(super) fn of(plan: &BatchPlan, samples: &dyn Samples, mixing: Option<Mixing>) -> Vec<String> {
    let views = plan.rows.iter().flat_map(|row| [Some(row.view), row.partner.map(|partner| partner.view)]);
    let mut lines = View::PLAIN.signs();
    for (line, drawn) in views.flatten().flat_map(|view| view.signs().into_iter().enumerate()) {
        lines[line].0 = lines[line].0.take().or(drawn.0);
    }
    let is_alone = plan.rows.iter().any(|row| row.partner.is_none());
    let is_mixed = plan.rows.iter().any(|row| row.partner.is_some());
    let always = mixing.is_some_and(|mixing| mixing.probability >= 1.0);
    let weights = [
        (is_mixed, "number: the image's weight in the mix and in the target, λ and 1 − λ"),
        (
            is_alone && always,
            "λ = 1: drawn so close to 1 that 16 bits round it to 1; small alphas do that often",
        ),
    ];
    let is_wrong = |row: &RowPlan| {
        let of_partner = |partner: Partner| partner.label(samples) != samples.label(partner.sample);
        row.label(samples) != samples.label(row.sample) || row.partner.is_some_and(of_partner)
    };
    let labels = [(
        plan.rows.iter().any(is_wrong),
        "true: the class in the data, where label noise replaced the label by the one above",
    )];
    let signs = lines.into_iter().map(|(sign, meaning)| (sign.is_some(), meaning));
    weights
        .into_iter()
        .chain(labels)
        .chain(signs)
        .filter(|(occurs, _)| *occurs)
        .map(|(_, line)| line.to_owned())
        .collect()
}
