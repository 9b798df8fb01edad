//! Parts: what cutting them out of the whole image gives.

use crate::{cut, fixture, names, part, whole};
use mixfeed_jpeg::{JpegError, Part, Scale, header};
use proptest::prelude::*;
use std::sync::LazyLock;

/// An image at one scale, decoded whole.
struct Whole {
    name: String,
    file: Vec<u8>,
    scale: Scale,
    size: (u32, u32),
    pixels: Vec<u8>,
}

static WHOLES: LazyLock<Vec<Whole>> = LazyLock::new(|| {
    let of = |name: &String, scale| {
        let file = fixture(name);
        let (size, pixels) = (header(&file).unwrap().size(scale), whole(&file, scale).unwrap());
        Whole { name: name.clone(), file, scale, size, pixels }
    };
    names().iter().flat_map(|name| Scale::ALL.map(|scale| of(name, scale))).collect()
});

/// A stretch of a side: where it begins, and how long it is. Short ones, long ones and those at an end come often.
fn stretch(side: u32) -> impl Strategy<Value = (u32, u32)> {
    let any = (0..side).prop_flat_map(move |from| (Just(from), 1..=side - from));
    let short = (0..side).prop_flat_map(move |from| (Just(from), 1..=(side - from).min(9)));
    let to_the_end = (0..side).prop_map(move |from| (from, side - from));
    prop_oneof![any, short, to_the_end, Just((0, side))]
}

fn any_part() -> impl Strategy<Value = (usize, Part)> {
    (0..WHOLES.len()).prop_flat_map(|index| {
        let (width, height) = WHOLES[index].size;
        (Just(index), stretch(width), stretch(height))
            .prop_map(|(index, (left, width), (top, height))| (index, Part { top, left, height, width }))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_part_is_what_cutting_it_out_gives((index, wanted) in any_part()) {
        let Whole { name, file, scale, size, pixels } = &WHOLES[index];
        let got = part(file, Some(wanted), *scale).unwrap();
        prop_assert!(got == cut(pixels, size.0, wanted), "{name} {scale:?} {wanted}");
    }
}

/// Where blocks end and images too, little is left to interpolate from.
#[test]
fn every_strip_of_a_small_image_and_every_strip_at_an_edge_is_what_cutting_it_out_gives() {
    let strips = |side: u32| {
        let all = move |from| (1..=side - from).map(move |length| (from, length));
        let small = (0..if side > 34 { 0 } else { side }).flat_map(all);
        small.chain((side.saturating_sub(20)..side).map(move |from| (from, side - from)))
    };
    for Whole { name, file, scale, size: (width, height), pixels } in WHOLES.iter() {
        let all = Part { top: 0, left: 0, height: *height, width: *width };
        let columns = strips(*width).map(|(left, width)| Part { left, width, ..all });
        let rows = strips(*height).map(|(top, height)| Part { top, height, ..all });
        for wanted in columns.chain(rows) {
            let got = part(file, Some(wanted), *scale).unwrap();
            assert!(got == cut(pixels, *width, wanted), "{name} {scale:?} {wanted}");
        }
    }
}

#[test]
fn a_part_beyond_the_image_or_without_pixels_is_refused() {
    let file = fixture("420");
    let (width, height) = header(&file).unwrap().size(Scale::Half);
    let all = Part { top: 0, left: 0, height, width };
    assert!(part(&file, Some(all), Scale::Half).is_ok());
    for wrong in [
        Part { top: 1, ..all },
        Part { left: 1, ..all },
        Part { left: u32::MAX, ..all },
        Part { height: u32::MAX, ..all },
        Part { height: 0, ..all },
        Part { width: 0, ..all },
        Part { top: height, left: width, height: 0, width: 0 },
    ] {
        let refused = JpegError::NoSuchPart { part: wrong, width, height };
        assert_eq!(part(&file, Some(wrong), Scale::Half), Err(refused));
    }
}
