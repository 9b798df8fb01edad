//! Resizing against torchvision and Pillow, from images of many sizes: crops of the original, center crops, stretching,
//! letterboxes. Every result is the same to the byte.
//!
//! `reference/resize.py` made `reference/resize.bin`.
#![allow(clippy::unwrap_used)]

use mixfeed_pipeline::augment::Placement;
use mixfeed_pipeline::blend::Region;
use mixfeed_pipeline::dataset::{Dataset, InMemory};
use mixfeed_pipeline::spec::{Augmentation, ImageSize, Output, Resize, ResizedCrop, Split, StreamSpec};
use mixfeed_pipeline::{BatchBuffer, BatchPlan, CheckedSpec, Samples, Scratch, collate};
use std::sync::Arc;

fn noise(size: ImageSize) -> Vec<u8> {
    let value = |i: u64| ((i.wrapping_mul(i).wrapping_mul(2_654_435_761) + i * 40_503) >> 13) as u8;
    (0..size.rgb().values() as u64).map(value).collect()
}

/// A set of that one image.
fn one(size: ImageSize) -> Dataset {
    let samples: Arc<dyn Samples> = Arc::new(InMemory::new(size.rgb(), noise(size), vec![0]));
    Dataset::new("one", vec!["noise".into()], size.rgb(), Arc::clone(&samples), samples).unwrap()
}

/// The image as a stream of the output sends it, whose plan was changed by `change`.
fn sent(original: ImageSize, output: Output, change: impl Fn(&mut Placement)) -> Vec<u8> {
    let data = one(original);
    // A crop is drawn, so that there is a place to change.
    let augmentation = Augmentation { resized_crop: Some(ResizedCrop::IMAGENET), ..Augmentation::NONE };
    let spec = StreamSpec { output: Some(output), split: Split::Train, ..StreamSpec::train(1, 1) };
    let mut plan = BatchPlan::new(&CheckedSpec::new(spec, &data).unwrap(), 0);
    if plan.rows[0].view.resized.is_none() {
        let spec = StreamSpec { augmentation, ..spec };
        plan = BatchPlan::new(&CheckedSpec::new(spec, &data).unwrap(), 0);
    }
    plan.rows[0].view.resized.iter_mut().for_each(change);
    let mut batch = BatchBuffer::default();
    let checked = CheckedSpec::new(spec, &data).unwrap();
    collate(&checked, &plan, data.train.as_ref(), &mut Scratch::default(), &mut batch).unwrap();
    batch.pixels.to_vec()
}

#[test]
fn resized_images_are_torchvisions_to_the_byte() {
    let mut rest: &[u8] = include_bytes!("reference/resize.bin");
    let (mut cases, mut differing) = (0, Vec::new());
    while let [length, tail @ ..] = rest {
        let (name, tail) = tail.split_at(usize::from(*length));
        let name = std::str::from_utf8(name).unwrap();
        let mut words = name.split(' ');
        let what = words.next().unwrap();
        let numbers: Vec<u32> = words.map(|word| word.parse().unwrap()).collect();
        let [image_height, image_width, between @ .., height, width] = &numbers[..] else { panic!("{name}") };
        let original = ImageSize { height: *image_height, width: *image_width };
        let size = ImageSize { height: *height, width: *width };
        let whole = |resize| sent(original, Output { resize, ..Output::center_crop(size) }, |_| {});
        let found = match (what, between) {
            ("center_crop", [side]) => whole(Resize::CenterCrop { side: *side }),
            ("stretch", []) => whole(Resize::Stretch),
            ("letterbox", [fill]) => whole(Resize::Letterbox { fill: *fill as u8 }),
            ("resized_crop", [top, left, height, width]) => {
                let part = Region { top: *top, left: *left, height: *height, width: *width };
                let crop = |placed: &mut Placement| *placed = Placement::of_part(part, original, size);
                sent(original, Output::center_crop(size), crop)
            }
            _ => panic!("{name}"),
        };
        let (expected, tail) = tail.split_at(size.rgb().values());
        let off = found.iter().zip(expected).filter(|(a, b)| a != b).count();
        if off > 0 || found.len() != expected.len() {
            differing.push(format!("{name}: {off} values of {}", found.len()));
        }
        (rest, cases) = (tail, cases + 1);
    }
    assert!(cases > 20 && differing.is_empty(), "{cases} cases, {differing:#?}");
}
