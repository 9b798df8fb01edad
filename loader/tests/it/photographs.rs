//! Photographs of many sizes: one fleet feeds streams of two sizes, while a loader is killed.
//!
//! Judged by the pipeline itself, which reads the same files and never talks to a loader.

use crate::write;
use image::imageops::FilterType;
use image::{ImageFormat, RgbImage, imageops};
use mixfeed_client::{
    Augmentation, Batch, BlockingStream, ImageSize, Mixing, Output, PixelLayout, Resize, ResizedCrop, Split,
    StreamConfig, StreamEnd, StreamSpec,
};
use mixfeed_loader::source;
use mixfeed_pipeline::{BatchBuffer, BatchPlan, CheckedSpec, Dataset, Scratch, collate};
use mixfeed_proto::{BatchBytes, batch_digest};
use mixfeed_testing::Replicas;
use std::path::Path;
use std::time::Duration;

const EPOCHS: u64 = 3;

/// JPEG, PNG and WebP files, upright and not, of 40 to 300 pixels a side.
fn photographs(place: &Path) {
    for (split, count) in [("train", 60_u32), ("val", 12)] {
        for (number, drawing) in (0..).zip(write::drawings(Split::Train, count.into())) {
            let (height, width) = (40 + number * 37 % 260, 40 + number * 53 % 260);
            let mut photo = imageops::resize(&drawing.pixels, width, height, FilterType::CatmullRom);
            let noise = |at: u32| (at.wrapping_mul(2_654_435_761) >> 29) as u8;
            photo.iter_mut().zip(0..).for_each(|(value, at)| *value = value.saturating_add(noise(at)));
            let (format, ending) =
                [(ImageFormat::Jpeg, "jpg"), (ImageFormat::Png, "png"), (ImageFormat::WebP, "webp")]
                    [number as usize % 3];
            let class = place.join(split).join(format!("class-{}", drawing.label));
            std::fs::create_dir_all(&class).unwrap();
            RgbImage::save_with_format(&photo, class.join(format!("{number:03}.{ending}")), format).unwrap();
        }
    }
}

fn training(side: u32) -> StreamSpec {
    let augmentation = Augmentation {
        resized_crop: Some(ResizedCrop::IMAGENET),
        flip_probability: 0.5,
        ..Augmentation::NONE
    };
    let output = Some(Output::center_crop(ImageSize { height: side, width: side }));
    let mixing = Some(Mixing::mixup(1.0, 0.5));
    StreamSpec { output, augmentation, mixing, ..StreamSpec::train(side.into(), 16) }
}

fn evaluation() -> StreamSpec {
    let output = Output {
        resize: Resize::CenterCrop { side: 64 },
        ..Output::center_crop(ImageSize { height: 56, width: 48 })
    };
    let (split, pixel_layout) = (Split::Test, PixelLayout::Nchw);
    StreamSpec { split, shuffle: false, output: Some(output), pixel_layout, ..StreamSpec::train(0, 5) }
}

/// The digests of all batches, computed without any loader.
fn golden(data: &Dataset, spec: &StreamSpec) -> Vec<[u8; 32]> {
    let checked = CheckedSpec::new(*spec, data).unwrap();
    let samples = data.samples(spec.split).as_ref();
    let mut buffer = BatchBuffer::default();
    let digest = |index| {
        let plan = BatchPlan::new(&checked, index);
        collate(&checked, &plan, samples, &mut Scratch::default(), &mut buffer).unwrap();
        batch_digest(&BatchBytes {
            spec_digest: &mixfeed_proto::digest_of(spec),
            index,
            pixels: &buffer.pixels,
            labels: &buffer.labels,
            partner_labels: &buffer.partner_labels,
            lambdas: &buffer.lambdas,
        })
    };
    (0..EPOCHS * checked.epochs().batches()).map(digest).collect()
}

fn open(addresses: &[String], spec: StreamSpec) -> BlockingStream {
    let loaders = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let mut config = StreamConfig::new(loaders, spec);
    config.end = StreamEnd::Epoch(EPOCHS);
    config.loader_timeout = Duration::from_secs(60);
    config.tuning.window_batches = 3;
    BlockingStream::open(config).unwrap()
}

#[test]
fn one_fleet_feeds_streams_of_several_sizes_the_same_batches_whatever_is_lost() {
    let place = tempfile::tempdir().unwrap();
    photographs(place.path());
    let path = place.path().to_str().unwrap();
    let data = source::open(&path.parse().unwrap()).unwrap();
    assert_eq!(data.image, None);
    let mut replicas = Replicas::start(Path::new(env!("CARGO_BIN_EXE_mixfeed-loader")), path);
    let specs = [training(40), training(56), evaluation()];
    let mut streams = specs.map(|spec| open(&replicas.addresses, spec));
    let mut came: [Vec<[u8; 32]>; 3] = Default::default();
    for step in 0.. {
        if step == 2 {
            // Kills one that runs.
            replicas.disturb(0, 1);
        }
        let batches: Vec<_> = streams.iter_mut().map(|stream| stream.next().transpose().unwrap()).collect();
        if batches.iter().all(Option::is_none) {
            break;
        }
        for (digests, batch) in came.iter_mut().zip(&batches) {
            digests.extend(batch.as_ref().map(Batch::digest));
        }
    }
    assert_eq!(replicas.kills, 1);
    for (spec, digests) in specs.iter().zip(&came) {
        assert!(*digests == golden(&data, spec), "{:?}", spec.output);
    }
}
