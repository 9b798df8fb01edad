use super::*;

fn schedule() -> MixingSchedule {
    let cutmix = Mixing { kind: MixingKind::Cutmix, ..Mixing::mixup(1.0, 0.5) };
    let changes = [(7, None), (9, Some(cutmix))].map(|(epoch, mixing)| MixingChange { epoch, mixing });
    MixingSchedule::new(&changes).unwrap()
}

/// But for label noise, which is not for its split.
fn every() -> StreamSpec {
    let kind = MixingKind::MixupOrCutmix { cutmix_alpha: 1.0, switch_probability: 0.5 };
    StreamSpec {
        split: Split::Test,
        limit: 1000,
        remainder: Remainder::Drop,
        shuffle: false,
        mixing: Some(Mixing {
            kind,
            alpha: 0.2,
            probability: 0.3,
            lambda_scope: LambdaScope::Batch,
            partner_source: PartnerSource::Batch,
        }),
        mixing_schedule: schedule(),
        shard: Some(RowShard { rank: 1, world: 4 }),
        pixel_type: PixelType::F32,
        pixel_layout: PixelLayout::Nchw,
        output: Some(Output {
            resize: Resize::Letterbox { fill: 7 },
            scaled_decoding: true,
            ..Output::center_crop(ImageSize { height: 224, width: 176 })
        }),
        augmentation: Augmentation {
            custom: CustomTransform::new("posterise", 3).ok(),
            ..Augmentation::EVERY
        },
        sample_ids: true,
        ..StreamSpec::train(u64::MAX, 128)
    }
}

#[test]
fn a_spec_comes_back_as_it_was() {
    let mixing = every().mixing.unwrap();
    let resized =
        |resize| StreamSpec { output: every().output.map(|output| Output { resize, ..output }), ..every() };
    for spec in [
        every(),
        StreamSpec::default(),
        resized(Resize::CenterCrop { side: 256 }),
        resized(Resize::Stretch),
        StreamSpec { mixing: Some(Mixing { kind: MixingKind::Cutmix, ..mixing }), ..every() },
        StreamSpec { mixing: Some(Mixing::mixup(0.2, 0.2)), ..StreamSpec::default() },
        StreamSpec { augmentation: Augmentation { flip_probability: 0.5, ..Augmentation::NONE }, ..every() },
        StreamSpec { label_noise: 0.4, ..StreamSpec::default() },
    ] {
        assert_eq!(StreamSpec::try_from(&v1::StreamSpec::from(&spec)), Ok(spec));
    }
}

#[test]
fn unspecified_means_what_the_contract_says() {
    let mixing = Some(v1::Mixing { kind: 1, alpha: 0.2, probability: 0.2, ..Default::default() });
    let spec = v1::StreamSpec { split: 1, batch_size: 8, mixing, ..Default::default() };
    let expected =
        StreamSpec { shuffle: false, mixing: Some(Mixing::mixup(0.2, 0.2)), ..StreamSpec::train(0, 8) };
    assert_eq!(StreamSpec::try_from(&spec), Ok(expected));
}

#[test]
fn values_of_no_meaning_are_refused_by_field() {
    let good = v1::StreamSpec { split: 1, batch_size: 8, ..Default::default() };
    let mixing = v1::Mixing { kind: 1, ..Default::default() };
    let mixed = |mixing| v1::StreamSpec { mixing: Some(mixing), ..good.clone() };
    let augmented = |augmentation| v1::StreamSpec { augmentation: Some(augmentation), ..good.clone() };
    let output = v1::Output { height: 8, width: 8, resize: 1, ..Default::default() };
    let sized = |output| v1::StreamSpec { output: Some(output), ..good.clone() };
    let custom = Some(v1::CustomAugmentation { name: "two words".into(), version: 1 });
    let changed =
        |changes: &[v1::MixingChange]| v1::StreamSpec { mixing_schedule: changes.into(), ..good.clone() };
    let change = v1::MixingChange { epoch: 7, mixing: Some(mixing) };
    for (spec, message) in [
        (v1::StreamSpec { split: 0, ..good.clone() }, "split: 0 is not allowed, 1 (train) or 2 (test)"),
        (v1::StreamSpec { split: 3, ..good.clone() }, "split: 3 is not allowed, "),
        (v1::StreamSpec { remainder: -1, ..good.clone() }, "remainder: -1 is not allowed, "),
        (v1::StreamSpec { pixel_type: 9, ..good.clone() }, "pixel_type: 9"),
        (v1::StreamSpec { pixel_layout: 9, ..good.clone() }, "pixel_layout: 9"),
        (mixed(v1::Mixing { kind: 0, ..mixing }), "mixing.kind: 0"),
        (mixed(v1::Mixing { kind: 4, ..mixing }), "mixing.kind: 4"),
        (mixed(v1::Mixing { cutmix_alpha: 1.0, ..mixing }), "mixing.cutmix_alpha: 1"),
        (mixed(v1::Mixing { kind: 2, switch_probability: 0.5, ..mixing }), "mixing.switch_probability: 0.5"),
        (mixed(v1::Mixing { lambda_scope: 3, ..mixing }), "mixing.lambda_scope: 3"),
        (mixed(v1::Mixing { partner_source: 3, ..mixing }), "mixing.partner_source: 3"),
        (changed(&[change; 17]), "mixing_schedule: 17 changes is not allowed, at most 16 changes"),
        (
            changed(&[v1::MixingChange { mixing: Some(v1::Mixing { kind: 9, ..mixing }), ..change }]),
            "mixing.kind: 9",
        ),
        (sized(v1::Output { resize: 0, ..output }), "output.resize: 0"),
        (sized(v1::Output { resize: 4, ..output }), "output.resize: 4"),
        (sized(v1::Output { fill_value: 1, ..output }), "output.fill_value: 1"),
        (sized(v1::Output { resize: 2, resize_side: 8, ..output }), "output.resize_side: 8"),
        (sized(v1::Output { resize: 3, fill_value: 256, ..output }), "output.fill_value: 256"),
        (
            augmented(v1::Augmentation { erased_value: 256, ..Default::default() }),
            "augmentation.erased_value: 256",
        ),
        (augmented(v1::Augmentation { custom, ..Default::default() }), "augmentation.custom: two words:1"),
    ] {
        let error = StreamSpec::try_from(&spec).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}
