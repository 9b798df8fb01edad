//! Every transform against torchvision and Pillow, given the same parameters.
//!
//! `reference/augment.py` made `reference/augment.bin`. All results are the same to the byte: moves move
//! bytes, and the arithmetic of the others is Pillow's own (fixed point, or f32 without fused
//! operations). A tolerance would hide that one of the two had changed its arithmetic.
#![allow(clippy::unwrap_used)]

use mixfeed_pipeline::ImageShape;
use mixfeed_pipeline::augment::{ColorChange, Factor, Frames, Hole, Op, Operation, Placement, View, apply};
use mixfeed_pipeline::blend::Region;

const SHAPE: ImageShape = ImageShape { height: 16, width: 20, channels: 3 };

/// Names and images, the input first.
fn records() -> Vec<(&'static str, &'static [u8])> {
    let mut rest: &[u8] = include_bytes!("reference/augment.bin");
    let mut records = Vec::new();
    while let [length, tail @ ..] = rest {
        let (name, tail) = tail.split_at(usize::from(*length));
        let (image, tail) = tail.split_at(SHAPE.values());
        records.push((std::str::from_utf8(name).unwrap(), image));
        rest = tail;
    }
    records
}

fn region(numbers: &[i32]) -> Region {
    let [top, left, height, width] = [0, 1, 2, 3].map(|i| numbers[i] as u32);
    Region { top, left, height, width }
}

fn view(name: &str) -> View {
    let words: Vec<&str> = name.split(' ').collect();
    let numbers: Vec<i32> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let color = |change| View { jitter: [None, Some(change), None, None], ..View::PLAIN };
    let factor = Factor::from_q16(numbers[0].unsigned_abs());
    match words[0] {
        "resized" => {
            let placed = Placement::of_part(region(&numbers), SHAPE.size(), SHAPE.size());
            View { resized: Some(placed), ..View::PLAIN }
        }
        "crop" => View { down: numbers[0], right: numbers[1], flipped: numbers[2] == 1, ..View::PLAIN },
        "trivial" | "rand" => {
            let op = Op::ALL.into_iter().find(|op| format!("{op:?}") == words[1]).unwrap();
            let (level, negative) = (numbers[0].unsigned_abs() as u8, numbers[0] < 0);
            let operation = Some(Operation { op, level, negative });
            if words[0] == "trivial" {
                View { trivial: operation, ..View::PLAIN }
            } else {
                let mut rand_augment = View::PLAIN.rand_augment;
                rand_augment[0] = operation;
                View { rand_augment, ..View::PLAIN }
            }
        }
        "brightness" => color(ColorChange::Brightness(factor)),
        "contrast" => color(ColorChange::Contrast(factor)),
        "saturation" => color(ColorChange::Saturation(factor)),
        "hue" => color(ColorChange::Hue(numbers[0] as u8)),
        "grayscale" => View { grayscale: true, ..View::PLAIN },
        "erased" => {
            let hole = Hole { region: region(&numbers), value: numbers[4] as u8 };
            View { erased: Some(hole), ..View::PLAIN }
        }
        other => panic!("no transform is called {other}"),
    }
}

#[test]
fn every_transform_gives_torchvisions_bytes() {
    let records = records();
    let (name, input) = records[0];
    assert!(name == "input" && records.len() > 50, "{} records", records.len());
    let mut frames = Frames::default();
    let differing: Vec<String> = records[1..]
        .iter()
        .filter_map(|(name, expected)| {
            let found = apply(&view(name), SHAPE, input, &mut frames);
            let distances = found.iter().zip(*expected).map(|(a, b)| a.abs_diff(*b));
            let count = distances.clone().filter(|distance| *distance > 0).count();
            (count > 0).then(|| format!("{name}: {count} values, by up to {}", distances.max().unwrap()))
        })
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
    for op in Op::ALL {
        for prefix in [format!("trivial {op:?} "), format!("rand {op:?} ")] {
            assert!(records.iter().any(|(name, _)| name.starts_with(&prefix)), "{prefix} has no reference");
        }
    }
}
