//! Time of each step from index to batch, on one thread: `cargo bench -p mixfeed-pipeline`.
//!
//! Images have the size of CIFAR's. `items` are images; where `collate` reads them from memory at large, the dataset is
//! larger than the caches, as a real one is.

#![allow(missing_docs, clippy::unwrap_used)]

use divan::counter::ItemsCount;
use divan::{Bencher, black_box, black_box_drop};
use mixfeed_pipeline::augment::{Frames, View, apply};
use mixfeed_pipeline::dataset::InMemory;
use mixfeed_pipeline::decode::decode_rgb;
use mixfeed_pipeline::mix::{mix_f32, mix_u8};
use mixfeed_pipeline::spec::{Augmentation, Mixing, PixelLayout, PixelType};
use mixfeed_pipeline::{
    BatchBuffer, BatchPlan, CheckedSpec, Dataset, Lambda, Samples, Scratch, StreamSpec, collate, synthetic,
};
use std::sync::Arc;

const IMAGE: usize = 3072;
const BATCH: u32 = 128;

fn main() {
    divan::main();
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

#[divan::bench]
fn mix_to_u8(bencher: Bencher) {
    let (a, b, mut out) = (noise(IMAGE), noise(IMAGE), vec![0; IMAGE]);
    let lambda = Lambda::from_unit(0.3);
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| mix_u8(black_box(&mut out), &a, &b, lambda));
}

#[divan::bench]
fn mix_to_f32(bencher: Bencher) {
    let (a, b, mut out) = (noise(IMAGE), noise(IMAGE), vec![0; 4 * IMAGE]);
    let lambda = Lambda::from_unit(0.3);
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| mix_f32(black_box(&mut out), &a, &b, lambda));
}

#[divan::bench(args = [false, true])]
fn crop(bencher: Bencher, flipped: bool) {
    let (image, mut frames) = (noise(IMAGE), Frames::default());
    let view = View { down: 2, right: -3, flipped, ..View::PLAIN };
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        black_box(apply(&view, synthetic::SHAPE, &image, &mut frames));
    });
}

#[divan::bench]
fn decode_png(bencher: Bencher) {
    let file = include_bytes!("../assets/probe.png");
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| black_box_drop(decode_rgb(file).unwrap()));
}

/// The article's stream over as many images as CIFAR-10 has.
fn article() -> StreamSpec {
    StreamSpec { mixing: Some(Mixing::mixup(0.2, 0.2)), ..StreamSpec::train(0, BATCH) }
}

fn data() -> Dataset {
    let count = 50_000;
    let labels = (0..count).map(|i| i % 10).collect();
    let pixels = noise(count as usize * IMAGE);
    let train: Arc<dyn Samples> = Arc::new(InMemory::new(synthetic::SHAPE, pixels, labels));
    Dataset { train, ..synthetic::dataset(1) }
}

#[divan::bench]
fn plan(bencher: Bencher) {
    let checked = CheckedSpec::new(article(), &data()).unwrap();
    let mut index = 0;
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        index += 1;
        BatchPlan::new(&checked, index)
    });
}

type Change = fn(StreamSpec) -> StreamSpec;

/// How the images of a batch are asked for.
const SPECS: [(&str, Change); 5] = [
    ("u8", |spec| spec),
    ("u8, all mixed", |spec| StreamSpec { mixing: Some(Mixing::mixup(1.0, 1.0)), ..spec }),
    ("u8, crop and flip", |spec| StreamSpec {
        augmentation: Augmentation { crop_padding: 4, flip_probability: 0.5, ..Augmentation::NONE },
        ..spec
    }),
    ("u8 in planes", |spec| StreamSpec { pixel_layout: PixelLayout::Nchw, ..spec }),
    ("f32 in planes", |spec| StreamSpec {
        pixel_type: PixelType::F32,
        pixel_layout: PixelLayout::Nchw,
        ..spec
    }),
];

#[divan::bench(args = SPECS.map(|(name, _)| name))]
fn collate_after_plan(bencher: Bencher, name: &str) {
    let data = data();
    let (_, change) = SPECS.iter().find(|(spec, _)| *spec == name).unwrap();
    let checked = CheckedSpec::new(change(article()), &data).unwrap();
    let (mut scratch, mut out, mut index) = (Scratch::default(), BatchBuffer::default(), 0);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        index += 1;
        let plan = BatchPlan::new(&checked, index);
        collate(&checked, &plan, data.train.as_ref(), &mut scratch, &mut out).unwrap();
    });
}
