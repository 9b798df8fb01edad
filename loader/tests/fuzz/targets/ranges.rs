//! What `loader.proto` says of a spec's ranges, written out again: what is served must lie in them.

use super::requests::{SAMPLES, SIDE};
use mixfeed_proto::{limits, v1};

/// Names the first field that is not what `loader.proto` allows for the set served here.
pub(super) fn out_of_range(spec: &v1::StreamSpec) -> Option<&'static str> {
    let share = |value: f64| (0.0..=1.0).contains(&value);
    let areas = |min: f64, max: f64| min > 0.0 && min <= max && max <= 1.0;
    let ratios = |min: f64, max: f64| (0.01..=100.0).contains(&min) && min <= max && max <= 100.0;
    let mut wrong = None;
    let mut check = |field, holds: bool| {
        if !holds {
            wrong.get_or_insert(field);
        }
    };
    check("split", matches!(spec.split, 1 | 2));
    check("limit", spec.limit <= if spec.split == 1 { SAMPLES[0] } else { SAMPLES[1] });
    check("batch_size", (1..=limits::MAX_BATCH_SIZE).contains(&spec.batch_size));
    check("label_noise", share(spec.label_noise) && (spec.split == 1 || spec.label_noise == 0.0));
    check("remainder", matches!(spec.remainder, 0..=2));
    check("pixel_type", matches!(spec.pixel_type, 0..=2));
    check("pixel_layout", matches!(spec.pixel_layout, 0..=2));
    if let Some(shard) = spec.shard {
        check("shard", shard.rank < shard.world && shard.world <= spec.batch_size);
    }
    check("mixing_schedule", spec.mixing_schedule.len() <= 16);
    let (mut last, mut before) = (0, spec.mixing.as_ref());
    for change in &spec.mixing_schedule {
        check("mixing_schedule.epoch", change.epoch > last);
        check("mixing_schedule.mixing", change.mixing.as_ref() != before);
        (last, before) = (change.epoch, change.mixing.as_ref());
    }
    for it in [spec.mixing].into_iter().chain(spec.mixing_schedule.iter().map(|it| it.mixing)).flatten() {
        check("mixing.kind", matches!(it.kind, 1..=3));
        check("mixing.alpha", (0.0..=1000.0).contains(&it.alpha));
        check("mixing.probability", share(it.probability));
        check("mixing.lambda_scope", matches!(it.lambda_scope, 0..=2));
        check("mixing.partner_source", matches!(it.partner_source, 0..=2));
        let either = it.kind == 3;
        let none = |value: f64| value.to_bits() == 0;
        check(
            "mixing.cutmix_alpha",
            none(it.cutmix_alpha) || either && (0.0..=1000.0).contains(&it.cutmix_alpha),
        );
        check(
            "mixing.switch_probability",
            none(it.switch_probability) || either && share(it.switch_probability),
        );
    }
    if let Some(it) = &spec.augmentation {
        check("crop_padding", it.crop_padding < SIDE);
        check("flip_probability", share(it.flip_probability));
        if let Some(it) = it.resized_crop {
            check("resized_crop.area", areas(it.min_area, it.max_area));
            check("resized_crop.ratio", ratios(it.min_ratio, it.max_ratio));
        }
        if let Some(it) = it.color_jitter {
            let changes = [it.brightness, it.contrast, it.saturation];
            check("color_jitter", changes.iter().all(|value| (0.0..=10.0).contains(value)));
            check("color_jitter.hue", (0.0..=0.5).contains(&it.hue));
        }
        if let Some(it) = it.random_erasing {
            check("random_erasing.probability", share(it.probability));
            check("random_erasing.area", areas(it.min_area, it.max_area));
            check("random_erasing.ratio", ratios(it.min_ratio, it.max_ratio));
        }
        check("cutout_size", it.cutout_size == 0 || (2..=2 * SIDE).contains(&it.cutout_size));
        let erases = it.random_erasing.is_some() || it.cutout_size > 0;
        check("erased_value", it.erased_value == 0 || erases && it.erased_value <= 255);
        if let Some(it) = it.rand_augment {
            check("rand_augment", (1..=8).contains(&it.num_ops) && it.magnitude <= 30);
        }
        check("grayscale_probability", share(it.grayscale_probability));
        check("custom", it.custom.is_none());
    }
    wrong
}
