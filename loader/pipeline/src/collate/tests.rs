//! Batches that are put together, row by row.

use super::*;
use crate::dataset::{Dataset, InMemory};
use mixfeed_streamspec::ImageShape;

use mixfeed_streamspec::{Augmentation, Mixing, MixingKind, StreamSpec};
use proptest::prelude::*;
use std::sync::Arc;

const SHAPE: ImageShape = ImageShape { height: 2, width: 3, channels: 3 };

/// Ten images whose values tell sample and place.
fn data() -> Dataset {
    let pixels = (0..10 * 18).map(|i| (i * 7 % 256) as u8).collect();
    let samples: Arc<dyn Samples> = Arc::new(InMemory::new(SHAPE, pixels, (0..10).collect()));
    Dataset {
        name: "ten".into(),
        classes: (0..10).map(|i| i.to_string()).collect(),
        image: Some(SHAPE),
        output: None,
        train: Arc::clone(&samples),
        test: samples,
        digest: [0; 32],
        whole_digest: None,
    }
}

fn spec(seed: u64, alpha: f64, probability: f64) -> StreamSpec {
    StreamSpec { mixing: Some(Mixing::mixup(alpha, probability)), ..StreamSpec::train(seed, 10) }
}

fn with_kind(spec: StreamSpec, kind: MixingKind) -> StreamSpec {
    StreamSpec { mixing: Some(Mixing { kind, ..spec.mixing.unwrap() }), ..spec }
}

fn augmented_spec(seed: u64) -> StreamSpec {
    let augmentation = Augmentation { crop_padding: 1, flip_probability: 0.5, ..Augmentation::NONE };
    StreamSpec { augmentation, ..spec(seed, 1.0, 0.7) }
}

fn seen(sample: u64, view: View) -> Vec<u8> {
    augment::apply(&view, SHAPE, &image(sample), &mut Frames::default()).to_vec()
}

fn build(spec: StreamSpec, index: u64) -> (BatchPlan, BatchBuffer) {
    let data = data();
    let checked = CheckedSpec::new(spec, &data).unwrap();
    let plan = BatchPlan::new(&checked, index);
    let mut out = BatchBuffer::default();
    collate(&checked, &plan, data.train.as_ref(), &mut Scratch::default(), &mut out).unwrap();
    (plan, out)
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn image(sample: u64) -> Vec<u8> {
    data().train.image(sample, &mut Vec::new()).unwrap().to_vec()
}

proptest! {
    #[test]
    fn labels_lambdas_and_pixels_tell_of_the_same_mix(seed: u64, index in 0_u64..100) {
        let (plan, batch) = build(spec(seed, 1.0, 0.7), index);
        for (i, row) in plan.rows.iter().enumerate() {
            let q = words(&batch.lambdas)[i];
            let partner = row.partner.map_or(row.sample, |p| p.sample);
            prop_assert_eq!(words(&batch.labels)[i], row.sample as u32);
            prop_assert_eq!(words(&batch.partner_labels)[i], partner as u32);
            prop_assert_eq!(q, row.partner.map_or(65_536, |p| p.blend.lambda.to_q16()));
            for ((mixed, a), b) in batch.pixels[i * 18..][..18].iter().zip(image(row.sample)).zip(image(partner)) {
                let exact = (f64::from(q) * f64::from(a) + f64::from(65_536 - q) * f64::from(b)) / 65_536.0;
                prop_assert!((f64::from(*mixed) - exact).abs() <= 0.5);
            }
        }
    }
}

#[test]
fn rows_name_their_samples_where_the_spec_asks_for_it() {
    let asking = StreamSpec { sample_ids: true, ..spec(3, 1.0, 0.7) };
    let ((plan, batch), (_, silent)) = (build(asking, 2), build(spec(3, 1.0, 0.7), 2));
    let numbers: Vec<u64> =
        batch.samples.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let planned = plan.rows.iter().flat_map(|row| [row.sample, row.partner.map_or(row.sample, |p| p.sample)]);
    assert_eq!(numbers, planned.collect::<Vec<_>>());
    assert_eq!(silent, BatchBuffer { samples: Vec::new(), ..batch });
}

#[test]
fn probability_zero_and_alpha_zero_leave_images_untouched() {
    for spec in [spec(1, 0.2, 0.0), spec(1, 0.0, 1.0), StreamSpec { mixing: None, ..spec(1, 1.0, 1.0) }] {
        let (plan, batch) = build(spec, 3);
        for (row, pixels) in plan.rows.iter().zip(batch.pixels.chunks_exact(18)) {
            assert_eq!(pixels, image(row.sample));
        }
        assert_eq!(batch.labels, batch.partner_labels);
        assert!(words(&batch.lambdas).iter().all(|q| *q == 65_536));
    }
}

#[test]
fn a_vanishing_alpha_leaves_every_image_one_of_the_two_sources() {
    let (plan, batch) = build(spec(1, 1e-9, 1.0), 0);
    for (row, pixels) in plan.rows.iter().zip(batch.pixels.chunks_exact(18)) {
        let source = row.partner.map_or(row.sample, |p| p.sample);
        assert_eq!(pixels, image(source));
    }
}

proptest! {
    #[test]
    fn a_pixel_of_cutmix_comes_from_one_of_the_two_and_the_area_is_one_minus_lambda(seed: u64, index in 0_u64..100, augmented: bool) {
        let base = if augmented { augmented_spec(seed) } else { spec(seed, 1.0, 1.0) };
        let (plan, batch) = build(with_kind(base, MixingKind::Cutmix), index);
        for (i, row) in plan.rows.iter().enumerate() {
            let own = seen(row.sample, row.view);
            let pixels = &batch.pixels[i * 18..][..18];
            let Some(partner) = row.partner else {
                prop_assert_eq!(pixels, own);
                continue;
            };
            let other = seen(partner.sample, partner.view);
            let region = partner.blend.pasted.unwrap();
            for (at, pixel) in pixels.chunks_exact(3).enumerate() {
                let (y, x) = (at as u32 / 3, at as u32 % 3);
                let inside = (region.top..region.top + region.height).contains(&y)
                    && (region.left..region.left + region.width).contains(&x);
                prop_assert_eq!(pixel, &if inside { &other } else { &own }[at * 3..][..3]);
            }
            let share = f64::from(region.height * region.width) / 6.0;
            prop_assert!((1.0 - share - f64::from(words(&batch.lambdas)[i]) / 65_536.0).abs() <= 0.5 / 65_536.0);
            prop_assert_eq!(words(&batch.partner_labels)[i], partner.sample as u32);
        }
    }

    #[test]
    fn images_are_augmented_before_they_are_mixed(seed: u64, index in 0_u64..100) {
        let (plan, batch) = build(augmented_spec(seed), index);
        for (row, pixels) in plan.rows.iter().zip(batch.pixels.chunks_exact(18)) {
            let own = seen(row.sample, row.view);
            let mut expected = own.clone();
            if let Some(partner) = row.partner {
                mix_u8(&mut expected, &own, &seen(partner.sample, partner.view), partner.blend.lambda);
            }
            prop_assert_eq!(pixels, expected);
        }
    }
}

#[test]
fn a_transform_that_fails_fails_the_row_with_its_reason() {
    use crate::augment::{Custom, CustomAugmentation, Parameters};
    use crate::key::Key;
    use mixfeed_streamspec::CustomTransform;

    /// Fails on sample 7.
    struct Picky;

    impl CustomAugmentation for Picky {
        fn name(&self) -> &'static str {
            "picky"
        }
        fn version(&self) -> u32 {
            3
        }
        fn plan(&self, _key: Key, _image: ImageShape) -> Parameters {
            [0; 4]
        }
        fn apply(&self, _parameters: Parameters, _image: ImageShape, _pixels: &mut [u8]) {
            unreachable!("batches are made by the one that may fail")
        }
        fn try_apply(&self, _: Parameters, _: ImageShape, pixels: &mut [u8]) -> Result<(), String> {
            if pixels == image(7) { Err("no sevens".into()) } else { Ok(()) }
        }
    }

    let data = data();
    let custom = Some(CustomTransform::new("picky", 3).unwrap());
    let augmentation = Augmentation { custom, ..Augmentation::NONE };
    let spec = StreamSpec { augmentation, shuffle: false, mixing: None, ..spec(1, 1.0, 0.0) };
    let checked = CheckedSpec::with_custom(spec, &data, &[Custom::new(&Picky)]).unwrap();
    let plan = BatchPlan::new(&checked, 0);
    let (mut scratch, mut out) = (Scratch::default(), BatchBuffer::default());
    let error = collate(&checked, &plan, data.train.as_ref(), &mut scratch, &mut out).unwrap_err();
    assert_eq!((error.sample, error.fault, out.labels.len()), (7, Fault::Transform, 4 * 7));
    assert_eq!(error.reason, "transform picky:3: no sevens");
}

#[test]
fn augmentation_moves_neither_samples_nor_labels_nor_lambdas() {
    let plain = StreamSpec { augmentation: Augmentation::NONE, ..augmented_spec(3) };
    let ((_, with), (_, without)) = (build(augmented_spec(3), 5), build(plain, 5));
    assert_ne!(with.pixels, without.pixels);
    let rest = |batch: BatchBuffer| (batch.labels, batch.partner_labels, batch.lambdas);
    assert_eq!(rest(with), rest(without));
}

#[test]
fn layouts_and_types_hold_the_same_values() {
    layouts_and_types_agree(spec(5, 1.0, 0.0));
    layouts_and_types_agree(with_kind(augmented_spec(5), MixingKind::Cutmix));
}

/// For batches in which no value lies between two bytes.
fn layouts_and_types_agree(base: StreamSpec) {
    let (_, nhwc) = build(base, 0);
    let (_, nchw) = build(StreamSpec { pixel_layout: PixelLayout::Nchw, ..base }, 0);
    let (_, f32s) = build(StreamSpec { pixel_type: PixelType::F32, ..base }, 0);
    let (_, planar_f32s) =
        build(StreamSpec { pixel_type: PixelType::F32, pixel_layout: PixelLayout::Nchw, ..base }, 0);
    for (row, pixel, channel) in
        (0..10).flat_map(|r| (0..6).flat_map(move |p| (0..3).map(move |c| (r, p, c))))
    {
        let value = nhwc.pixels[row * 18 + pixel * 3 + channel];
        assert_eq!(nchw.pixels[row * 18 + channel * 6 + pixel], value);
        let float = |buffer: &BatchBuffer, at: usize| {
            f32::from_le_bytes(buffer.pixels[(row * 18 + at) * 4..][..4].try_into().unwrap())
        };
        let expected = f32::from(value) / 255.0;
        assert!((float(&f32s, pixel * 3 + channel) - expected).abs() < 1e-7);
        assert!((float(&planar_f32s, channel * 6 + pixel) - expected).abs() < 1e-7);
    }
}

#[test]
fn a_reused_buffer_holds_nothing_of_the_batch_before() {
    let data = data();
    let checked = CheckedSpec::new(StreamSpec { batch_size: 6, ..spec(1, 1.0, 0.5) }, &data).unwrap();
    let (mut scratch, mut reused) = (Scratch::default(), BatchBuffer::default());
    for index in 0..6 {
        let plan = BatchPlan::new(&checked, index);
        collate(&checked, &plan, data.train.as_ref(), &mut scratch, &mut reused).unwrap();
        let mut fresh = BatchBuffer::default();
        collate(&checked, &plan, data.train.as_ref(), &mut Scratch::default(), &mut fresh).unwrap();
        assert_eq!(reused, fresh);
    }
}
