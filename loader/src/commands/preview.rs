//! `preview`: a page of mixed images, each with its two sources, their labels and its lambda.

use super::Failure;
use super::page::Page;
use crate::config::PreviewArgs;
use crate::source;
use mixfeed_pipeline::spec::Mixing;
use mixfeed_pipeline::{CheckedSpec, StreamSpec};

pub(super) fn run(args: &PreviewArgs) -> Result<(), Failure> {
    let dataset = source::open(&args.data.parse()?)?;
    let spec = StreamSpec {
        mixing: Some(Mixing::mixup(args.mixup_alpha, args.mixup_prob)),
        ..StreamSpec::train(args.seed, args.rows * args.columns)
    };
    let title = format!(
        "mixup of {}: lambda from Beta({alpha}, {alpha}), probability {}, seed {}, batch {}",
        dataset.name,
        args.mixup_prob,
        args.seed,
        args.index,
        alpha = args.mixup_alpha
    );
    Page::of_batch(title, args.columns, &dataset, &CheckedSpec::new(spec, &dataset)?, args.index)?
        .save(&args.output)?;
    println!("{}", args.output.display());
    Ok(())
}
