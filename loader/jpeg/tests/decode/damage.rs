//! Damaged files: errors or pixels, and nothing else.

use crate::{LIMITS, fixture, names, part, whole};
use mixfeed_jpeg::{JpegError, Limits, MAX_SCANS, Scale, decode};

#[test]
fn a_file_cut_short_is_an_error_wherever_it_is_cut() {
    for name in ["420", "420-progressive", "420-scans", "420-arithmetic", "grey"] {
        let file = fixture(name);
        for end in 0..file.len() {
            let error = whole(&file[..end], Scale::Full).expect_err("cut short");
            assert_eq!(error, JpegError::CutShort, "{name} cut at {end}");
        }
        assert!(part(&file, None, Scale::Full).is_ok());
    }
}

#[test]
fn flipped_bytes_are_errors_or_pixels_of_the_size_that_the_header_says() {
    let (mut decoded, mut refused) = (0, 0);
    for name in names() {
        let file = fixture(&name);
        let mut state = 1_u64;
        for _ in 0..60 {
            let mut damaged = file.clone();
            for _ in 0..1 + state % 4 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (state >> 33) as usize % damaged.len();
                damaged[at] ^= (state >> 20) as u8 | 1;
            }
            match whole(&damaged, Scale::Full) {
                Ok(pixels) => {
                    let (width, height) = mixfeed_jpeg::header(&damaged).unwrap().size(Scale::Full);
                    assert_eq!(pixels.len() as u64, 3 * u64::from(width) * u64::from(height), "{name}");
                    decoded += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(decoded > 100 && refused > 100, "{decoded} decoded, {refused} refused");
}

#[test]
fn a_file_of_many_scans_is_refused_before_it_takes_its_time() {
    let file = fixture("420-progressive");
    let scan =
        |from: usize| file[from..].windows(2).position(|pair| pair == [0xFF, 0xDA]).map(|at| from + at);
    let mut last = scan(0).unwrap();
    while let Some(next) = scan(last + 2) {
        last = next;
    }
    let (scans, end) = (&file[last..file.len() - 2], &file[file.len() - 2..]);
    let bomb = [&file[..last], &scans.repeat(2 * MAX_SCANS as usize), end].concat();
    assert_eq!(whole(&bomb, Scale::Full), Err(JpegError::TooManyScans { max: MAX_SCANS }));
}

#[test]
fn limits_are_held_before_anything_is_decoded() {
    let (file, mut out) = (fixture("420-progressive"), vec![7; 9]);
    let small = Limits { side_pixels: 8, ..LIMITS };
    assert!(matches!(
        decode(&file, None, Scale::Full, &small, &mut out),
        Err(JpegError::TooLarge { max: 8, .. })
    ));
    let tight = Limits { memory_bytes: 10_000, ..LIMITS };
    let refused = decode(&file, None, Scale::Full, &tight, &mut out);
    assert!(matches!(refused, Err(JpegError::TooMuchMemory { max: 10_000, .. })) && out.is_empty());
}
