//! Whole images: the bytes that Pillow decodes.

use crate::{fixture, fixtures, names, whole};
use mixfeed_jpeg::{Scale, header};
use std::collections::BTreeSet;
use std::fs;

#[test]
fn every_kind_at_every_scale_has_the_pixels_of_pillow() {
    let expected = fs::read_to_string(fixtures().join("expected.txt")).unwrap();
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for line in expected.lines() {
        let [name, divisor, width, height, digest] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        seen.insert(name.to_owned());
        let (divisor, size) =
            (divisor.parse::<u32>().unwrap(), (width.parse().unwrap(), height.parse().unwrap()));
        let scale = Scale::ALL.into_iter().find(|scale| scale.denominator() == divisor).unwrap();
        let file = fixture(name);
        assert_eq!(header(&file).unwrap().size(scale), size, "{name} 1/{divisor}");
        let pixels = whole(&file, scale).unwrap_or_else(|error| panic!("{name} 1/{divisor}: {error}"));
        assert_eq!(pixels.len(), 3 * (size.0 * size.1) as usize);
        if blake3::hash(&pixels).to_hex().as_str() != digest {
            wrong.push(format!("{name} 1/{divisor}"));
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), names());
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn what_follows_the_end_marker_does_not_matter() {
    for name in ["420", "grey", "420-progressive", "420-scans", "420-arithmetic"] {
        let file = fixture(name);
        let pixels = whole(&file, Scale::Full).unwrap();
        // Noise, a movie, zeros, and a second image, whole or cut short.
        let noise: Vec<u8> = (0..50_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let tails =
            [&noise[..], b"\0\0\0\x18ftypmp42", &[0; 40], &file, &file[..file.len() / 2], &[0xFF, 0xDA]];
        for tail in tails {
            assert!(whole(&[&file, tail].concat(), Scale::Full).unwrap() == pixels, "{name}");
        }
    }
}

#[test]
fn several_scans_are_told_from_one_by_the_header() {
    for name in names() {
        let several = ["progressive", "scans", "unrefined", "first"].iter().any(|part| name.contains(part));
        let header = header(&fixture(&name)).unwrap();
        assert_eq!(header.holds_coefficients, several, "{name}");
    }
}
