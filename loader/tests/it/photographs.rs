//! Photographs of many sizes: two loaders feed streams of several sizes, while one of them is killed.
//!
//! Judged by the pipeline itself, which reads the same files and never talks to a loader.

use crate::chaos::golden;
use crate::commands::serving;
use crate::write;
use image::imageops::FilterType;
use image::{ImageFormat, RgbImage, imageops};
use mixfeed_client::{
    Augmentation, Batch, BlockingStream, ImageSize, Mixing, Output, PixelLayout, Resize, ResizedCrop, Split,
    StreamConfig, StreamEnd, StreamSpec,
};
use mixfeed_loader::source;
use mixfeed_pipeline::CheckedSpec;
use std::path::Path;
use std::time::Duration;

const EPOCHS: u64 = 3;

/// Photographs of a split, upright and not, of `shortest` pixels a side to 260 more, in these formats by turns.
pub(crate) fn photographs(place: &Path, split: &str, count: u32, shortest: u32, formats: &[ImageFormat]) {
    for (number, drawing) in (0..).zip(write::drawings(Split::Train, count.into())) {
        let (height, width) = (shortest + number * 37 % 260, shortest + number * 53 % 260);
        let mut photo = imageops::resize(&drawing.pixels, width, height, FilterType::CatmullRom);
        let noise = |at: u32| (at.wrapping_mul(2_654_435_761) >> 29) as u8;
        photo.iter_mut().zip(0..).for_each(|(value, at)| *value = value.saturating_add(noise(at)));
        let format = formats[number as usize % formats.len()];
        let class = place.join(split).join(format!("class-{}", drawing.label));
        std::fs::create_dir_all(&class).unwrap();
        let file = format!("{number:03}.{}", format.extensions_str()[0]);
        RgbImage::save_with_format(&photo, class.join(file), format).unwrap();
    }
}

/// A random resized crop to squares, turned at random, half of them mixed.
pub(crate) fn training(side: u32) -> StreamSpec {
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
    for (split, count) in [("train", 60), ("val", 12)] {
        let formats = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP];
        photographs(place.path(), split, count, 40, &formats);
    }
    let path = place.path().to_str().unwrap();
    let data = source::open(&path.parse().unwrap()).unwrap();
    assert_eq!(data.image, None);
    let loaders = [(); 2].map(|()| serving(&["--data", path, "--listen", "127.0.0.1:0", "--workers", "1"]));
    let addresses = loaders.each_ref().map(|loader| loader.address.clone());
    let mut loaders = loaders.map(Some);
    let specs = [training(176), training(224), evaluation()];
    let mut streams = specs.map(|spec| open(&addresses, spec));
    let mut came: [Vec<[u8; 32]>; 3] = Default::default();
    for step in 0.. {
        if step == 2 {
            // Dropping it is SIGKILL.
            loaders[0] = None;
        }
        let batches: Vec<_> = streams.iter_mut().map(|stream| stream.next().transpose().unwrap()).collect();
        if batches.iter().all(Option::is_none) {
            break;
        }
        for (digests, batch) in came.iter_mut().zip(&batches) {
            digests.extend(batch.as_ref().map(Batch::digest));
        }
    }
    for (spec, digests) in specs.iter().zip(&came) {
        let batches = EPOCHS * CheckedSpec::new(*spec, &data).unwrap().epochs().batches();
        assert!(*digests == golden(&data, spec, batches), "{:?}", spec.output);
    }
}
