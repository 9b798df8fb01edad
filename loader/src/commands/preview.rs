//! `preview`: a page of mixed images, each with its two sources, their labels and its lambda.

use super::Failure;
use super::page::Page;
use crate::config::PreviewArgs;
use crate::source;
use mixfeed_pipeline::spec::{
    LambdaScope, Mixing, MixingKind, PartnerSource, PixelLayout, PixelType, Remainder, RowShard,
};
use mixfeed_pipeline::{CheckedSpec, Seed, Split, StreamSpec};

pub(super) fn run(args: &PreviewArgs) -> Result<(), Failure> {
    let dataset = source::open(&args.data.parse()?)?;
    let spec = StreamSpec {
        split: Split::Train,
        limit: 0,
        seed: Seed(args.seed),
        batch_size: args.rows * args.columns,
        remainder: Remainder::Keep,
        shuffle: true,
        mixing: Some(Mixing {
            kind: MixingKind::Mixup,
            alpha: args.mixup_alpha,
            probability: args.mixup_prob,
            lambda_scope: LambdaScope::Sample,
            partner_source: PartnerSource::Dataset,
        }),
        shard: RowShard::WHOLE,
        pixel_type: PixelType::U8,
        pixel_layout: PixelLayout::Nhwc,
    };
    let title = format!(
        "mixup of {}: lambda from Beta({alpha}, {alpha}), {} of 100 images mixed, seed {}, batch {}",
        dataset.name,
        args.mixup_prob * 100.0,
        args.seed,
        args.index,
        alpha = args.mixup_alpha
    );
    Page::of_batch(title, args.columns, &dataset, &CheckedSpec::new(spec, &dataset)?, args.index)?
        .save(&args.output)?;
    println!("{}", args.output.display());
    Ok(())
}
