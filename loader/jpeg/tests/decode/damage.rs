//! Damaged files: errors or pixels, and nothing else.

use crate::{LIMITS, cut, fixture, fixtures, names, part, whole};
use mixfeed_jpeg::{JpegError, Limits, MAX_SCANS, Part, Scale, decode, header};
use proptest::prelude::*;
use proptest::sample::Index;
use std::fs;
use std::sync::LazyLock;

static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| names().iter().map(|name| fixture(name)).collect());

/// Pixels of an image that is decoded here at most; damage may make images of any size.
const MAX_PIXELS: u64 = 200_000;

/// A change at some place of a file, or of its size.
#[derive(Debug, Clone)]
enum Damage {
    Byte(Index, u8),
    Removed(Index, usize),
    Inserted(Index, Vec<u8>),
    Ended(Index),
}

impl Damage {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Byte(at, byte) => {
                let at = at.index(file.len());
                file[at] = *byte;
            }
            Self::Removed(at, length) => {
                let at = at.index(file.len());
                drop(file.drain(at..(at + length).min(file.len())));
                file.push(0);
            }
            Self::Inserted(at, bytes) => {
                let at = at.index(file.len());
                drop(file.splice(at..at, bytes.iter().copied()));
            }
            // An end marker stands where data is missing.
            Self::Ended(at) => {
                file.truncate(at.index(file.len()));
                file.extend([0xFF, 0xD9]);
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        6 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        1 => (any::<Index>(), 1..200_usize).prop_map(|(at, length)| Damage::Removed(at, length)),
        1 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..200))
            .prop_map(|(at, bytes)| Damage::Inserted(at, bytes)),
        1 => any::<Index>().prop_map(Damage::Ended),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whether there is an error depends on the file and not on the part: a file is good for every crop or for none.
    #[test]
    fn of_a_damaged_file_every_part_is_what_the_whole_has_or_the_same_error(
        index in any::<Index>(),
        damages in prop::collection::vec(damage(), 1..4),
        scale in prop::sample::select(&Scale::ALL[..]),
        place in prop::array::uniform4(any::<Index>()),
    ) {
        let mut file = index.get(&FILES).clone();
        damages.iter().for_each(|damage| damage.apply(&mut file));
        let Ok(seen) = header(&file) else {
            prop_assert!(whole(&file, scale).is_err());
            return Ok(());
        };
        let (width, height) = seen.size(scale);
        if u64::from(seen.width) * u64::from(seen.height) > MAX_PIXELS {
            return Ok(());
        }
        let (top, left) = (place[0].index(height as usize) as u32, place[1].index(width as usize) as u32);
        let length = |at: Index, room: u32| 1 + at.index(room as usize) as u32;
        let wanted = Part { top, left, height: length(place[2], height - top), width: length(place[3], width - left) };
        let got = part(&file, Some(wanted), scale);
        prop_assert!(got == whole(&file, scale).map(|whole| cut(&whole, width, wanted)), "{wanted} of {width}x{height}");
    }
}

#[test]
fn a_file_cut_short_is_an_error_wherever_it_is_cut() {
    for name in ["420", "420-restart", "420-progressive", "420-scans", "420-arithmetic", "grey"] {
        let file = fixture(name);
        for end in 0..file.len() {
            let error = whole(&file[..end], Scale::Full).expect_err("cut short");
            assert_eq!(error, JpegError::CutShort, "{name} cut at {end}");
            let first = Part { top: 0, left: 0, height: 1, width: 1 };
            assert_eq!(part(&file[..end], Some(first), Scale::Full), Err(error), "{name} cut at {end}");
        }
    }
}

/// Where libjpeg finds its way again at a restart marker, what is left is an image; what it stumbles over after the last one is
/// an error. Only a segment that claims more than the file has is one here alone: Pillow takes its file for whole.
#[test]
fn damage_among_restart_markers_gives_the_pixels_of_pillow_or_an_error_where_pillow_has_one() {
    let (file, cases) = (fixture("420-restart"), fs::read_to_string(fixtures().join("damaged.txt")).unwrap());
    let (mut pixels, mut errors) = (0, 0);
    for case in cases.lines() {
        let [at, pair, expected] = case.split(' ').collect::<Vec<_>>()[..] else { panic!("{case}") };
        let at: usize = at.parse().unwrap();
        let mut file = file.clone();
        file[at..at + 2].copy_from_slice(&u16::from_str_radix(pair, 16).unwrap().to_be_bytes());
        match whole(&file, Scale::Full) {
            Ok(got) => {
                assert_eq!(&blake3::hash(&got).to_hex()[..16], expected, "{case}");
                pixels += 1;
            }
            Err(error) => {
                assert!(expected == "error" || error == JpegError::CutShort, "{case}: {error}");
                errors += 1;
            }
        }
    }
    assert!(pixels > 100 && errors > 100, "{pixels} and {errors}");
}

#[test]
fn after_an_error_nothing_is_left_in_the_buffer() {
    let file = fixture("420");
    let mut out = vec![1; 9];
    assert!(decode(&file[..file.len() / 2], None, Scale::Full, &LIMITS, &mut out).is_err());
    assert!(out.is_empty());
}

#[test]
fn other_formats_and_kinds_are_refused() {
    assert_eq!(whole(b"", Scale::Full), Err(JpegError::CutShort));
    assert_eq!(whole(b"\x89PNG\r\n", Scale::Full), Err(JpegError::NotJpeg));
    // The type of the frame, its bits, its height, its components.
    let file = fixture("420");
    let frame = file.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut file = file.clone();
        file[frame + at..][..bytes.len()].copy_from_slice(bytes);
        whole(&file, Scale::Full).unwrap_err()
    };
    assert_eq!(with(1, &[0xC3]).to_string(), "this kind of JPEG is not supported: SOF type 0xc3");
    assert_eq!(with(4, &[12]).to_string(), "this kind of JPEG is not supported: 12 bits");
    assert_eq!(with(5, &[0, 0]), JpegError::Empty);
    assert_eq!(with(9, &[2]).to_string(), "this kind of JPEG is not supported: 2 components");
    // What libjpeg says reaches the caller.
    let message = "the JPEG file is damaged: Quantization table 0x02 was not defined";
    assert_eq!(with(12, &[2]).to_string(), message);
}

#[test]
fn sides_and_memory_have_limits_that_a_header_is_held_against() {
    // Said to be progressive and of 16,384 × 16,384 pixels, in a few kilobytes.
    let mut bomb = fixture("444-progressive");
    let frame = bomb.windows(2).position(|pair| pair == [0xFF, 0xC2]).unwrap();
    bomb[frame + 5..frame + 9].copy_from_slice(&[0x40, 0, 0x40, 0]);
    let seen = header(&bomb).unwrap();
    assert_eq!((seen.width, seen.height), (16_384, 16_384));
    let mut out = Vec::new();
    let one = Some(Part { top: 0, left: 0, height: 1, width: 1 });
    let error = decode(&bomb, one, Scale::Eighth, &LIMITS, &mut out).unwrap_err();
    let bytes = seen.working_bytes() + 3;
    assert!(bytes > 2 * 3 * 16_384 * 16_384, "all coefficients");
    assert_eq!(error, JpegError::TooMuchMemory { bytes, max: LIMITS.memory_bytes });
    let limits = Limits { side_pixels: 16_383, ..LIMITS };
    let error = decode(&bomb, one, Scale::Eighth, &limits, &mut out).unwrap_err();
    assert_eq!(error, JpegError::TooLarge { width: 16_384, height: 16_384, max: 16_383 });
    // A single scan needs no more than rows, and the output.
    let one_scan = header(&fixture("444")).unwrap();
    assert!(one_scan.working_bytes() < 300_000, "{}", one_scan.working_bytes());
    let max = one_scan.working_bytes() + 3 * u64::from(one_scan.width * one_scan.height);
    for (memory_bytes, fits) in [(max, true), (max - 1, false)] {
        let limits = Limits { memory_bytes, ..LIMITS };
        assert_eq!(decode(&fixture("444"), None, Scale::Full, &limits, &mut out).is_ok(), fits);
    }
}

/// A progressive file of `side` × `side` grey pixels whose scans, after the first, are a few bytes each and go over all blocks.
fn of_many_scans(side: u16, scans: u32) -> Vec<u8> {
    let segment = |marker: u8, body: &[u8]| {
        let length = (body.len() as u16 + 2).to_be_bytes();
        [&[0xFF, marker], &length[..], body].concat()
    };
    // One code of one bit, 0: for the first coefficient, no difference; for the others, 16,384 blocks and more without any.
    let table = |class: u8, symbol: u8| {
        let mut body = vec![class, 1];
        body.extend([0; 15]);
        segment(0xC4, &[&body[..], &[symbol]].concat())
    };
    let mut file = vec![0xFF, 0xD8];
    file.extend(segment(0xDB, &[&[0][..], &[1; 64]].concat()));
    let [high, low] = side.to_be_bytes();
    file.extend(segment(0xC2, &[8, high, low, high, low, 1, 1, 0x11, 0]));
    file.extend([table(0x00, 0), table(0x10, 0xE0)].concat());
    file.extend(segment(0xDA, &[1, 1, 0, 0, 0, 0]));
    let blocks = usize::from(side / 8).pow(2);
    file.extend(vec![0; blocks / 8]);
    for _ in 1..scans {
        file.extend(segment(0xDA, &[1, 1, 0, 1, 63, 0]));
        // A zero and 14 zeros make 16,384 blocks.
        file.extend(vec![0; (blocks / 16_384 * 15).div_ceil(8)]);
    }
    file.extend([0xFF, 0xD9]);
    file
}

#[test]
fn a_file_of_more_scans_than_any_encoder_writes_is_refused() {
    let refused = Err(JpegError::TooManyScans { max: MAX_SCANS });
    assert_eq!(whole(&of_many_scans(1024, MAX_SCANS), Scale::Eighth).unwrap(), [128].repeat(3 * 128 * 128));
    assert_eq!(whole(&of_many_scans(1024, MAX_SCANS + 1), Scale::Eighth), refused);
    assert_eq!(whole(&of_many_scans(1024, 5_000), Scale::Eighth), refused);
    // Of a large image, fewer: 4 · 2^20 blocks, and 16 times all 262,144.
    assert!(whole(&of_many_scans(4096, 31), Scale::Eighth).is_ok());
    assert_eq!(whole(&of_many_scans(4096, 33), Scale::Eighth), refused);
}
