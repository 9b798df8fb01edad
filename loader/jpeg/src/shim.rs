//! The only file that calls C: `shim.c`, which calls libjpeg. What it offers is safe.

#![expect(unsafe_code, reason = "calls into C; each says why it is sound")]

use crate::header::Header;
use crate::huffman::{Block, Coding, MAX_BLOCKS, Scan};
use crate::tables::{Irregular, Table};
use crate::{JpegError, MAX_SCANS, Part, Scale};
// Named, so that its library is linked.
use mozjpeg_sys as _;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

/// Bytes of libjpeg's longest message, with the zero behind it (`JMSG_LENGTH_MAX`).
const MESSAGE_BYTES: usize = 200;

/// As `struct mixfeed_jpeg_request` in `shim.c`.
#[repr(C)]
struct Request {
    file: *const u8,
    file_bytes: usize,
    width: u32,
    height: u32,
    components: u32,
    holds_coefficients: u32,
    denominator: u32,
    top: u32,
    left: u32,
    part_height: u32,
    part_width: u32,
    max_scans: u32,
    max_blocks: u64,
    plain: u32,
    max_memory_bytes: usize,
    scan: *mut c_void,
    begin_scan: unsafe extern "C" fn(*mut c_void, *const Baseline) -> c_int,
    decode_group: unsafe extern "C" fn(*mut c_void, *const *mut Block) -> c_int,
    out: *mut u8,
}

/// As `struct mixfeed_jpeg_baseline` in `shim.c`.
#[repr(C)]
struct Baseline {
    data: *const u8,
    data_bytes: usize,
    blocks: usize,
    codings: [Coding; MAX_BLOCKS],
    dc_counts: [*const [u8; 17]; 4],
    dc_values: [*const [u8; 256]; 4],
    ac_counts: [*const [u8; 17]; 4],
    ac_values: [*const [u8; 256]; 4],
}

unsafe extern "C" {
    fn mixfeed_jpeg_decode(request: *const Request, message: *mut c_char) -> c_int;
    fn mixfeed_jpeg_simd() -> c_int;
}

/// By what a file is decoded: pixels are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    /// `huffman.rs`, where the file is of its kind; libjpeg-turbo's assembly for x86, or else `idct.c`.
    Fastest,
    /// libjpeg's own Huffman decoder; libjpeg-turbo's assembly for x86, or else `idct.c`.
    Turbo,
    /// libjpeg's own Huffman decoder, and `idct.c`.
    Plain,
}

/// Decodes `part`, which lies in the image, into `out`, which has as many bytes as it.
pub(crate) fn decode(
    file: &[u8],
    header: &Header,
    part: Part,
    scale: Scale,
    out: &mut [u8],
) -> Result<(), JpegError> {
    decode_by(Means::Fastest, file, header, part, scale, out)
        .or_else(|Irregular| decode_by(Means::Turbo, file, header, part, scale, out))
        .expect("libjpeg goes on in any data, or says what is wrong")
}

/// Decodes by one means, as [`decode`] says. Only the fastest may find the data irregular, and gives up then.
fn decode_by(
    means: Means,
    file: &[u8],
    header: &Header,
    part: Part,
    scale: Scale,
    out: &mut [u8],
) -> Result<Result<(), JpegError>, Irregular> {
    assert_eq!(out.len() as u64, part.bytes(), "the output is as large as the part");
    let mut scan: Option<Scan> = None;
    let request = Request {
        file: file.as_ptr(),
        file_bytes: file.len(),
        width: header.width,
        height: header.height,
        components: header.components,
        holds_coefficients: header.holds_coefficients.into(),
        denominator: scale.denominator(),
        top: part.top,
        left: part.left,
        part_height: part.height,
        part_width: part.width,
        max_scans: MAX_SCANS,
        max_blocks: header.max_blocks(),
        plain: (means == Means::Plain).into(),
        // The coefficients, which are most of it.
        max_memory_bytes: usize::try_from(header.working_bytes()).unwrap_or(usize::MAX),
        scan: if means == Means::Fastest { (&raw mut scan).cast() } else { ptr::null_mut() },
        begin_scan,
        decode_group,
        out: out.as_mut_ptr(),
    };
    let mut message: [c_char; MESSAGE_BYTES] = [0; MESSAGE_BYTES];
    // SAFETY: `file` is read within `file_bytes`, `out` is written within 3 × part_height × part_width bytes, which was
    // asserted to be its length, and `message` within 200; `scan` is null, or what the two functions take. None is kept.
    // The shim shares nothing between calls, and libjpeg's jumps begin and end in C.
    let status = unsafe { mixfeed_jpeg_decode(&raw const request, message.as_mut_ptr()) };
    Ok(Err(match status {
        0 => return Ok(Ok(())),
        1 => JpegError::Damaged(text(&message)),
        2 => JpegError::CutShort,
        3 => JpegError::TooManyScans { max: MAX_SCANS },
        4 => JpegError::NoMemory,
        5 => JpegError::Damaged("its header can be read in two ways".to_owned()),
        _ => return Err(Irregular),
    }))
}

/// Has `huffman.rs` decode a scan from here on. Tells whether it can.
///
/// # Safety
/// `scan` is an `Option<Scan>`; `baseline` is what libjpeg holds of a scan that it is about to read: its tables are null or
/// there. Nothing of it is kept.
unsafe extern "C" fn begin_scan(scan: *mut c_void, baseline: *const Baseline) -> c_int {
    // SAFETY: as said above; tables are only read, here.
    let (scan, baseline) = unsafe { (&mut *scan.cast::<Option<Scan>>(), &*baseline) };
    // SAFETY: as said above.
    let data = unsafe { std::slice::from_raw_parts(baseline.data, baseline.data_bytes) };
    let table = |counts: *const [u8; 17], values: *const [u8; 256]| {
        // SAFETY: as said above.
        let (counts, values) = unsafe { (counts.as_ref()?, values.as_ref()?) };
        Some(Table::of(counts.last_chunk()?, values))
    };
    let tables = |counts: &[*const [u8; 17]; 4], values: &[*const [u8; 256]; 4]| {
        let mut tables = [const { None }; 4];
        for (into, (counts, values)) in tables.iter_mut().zip(counts.iter().zip(values)) {
            *into = table(*counts, *values).transpose()?;
        }
        Ok::<_, Irregular>(tables)
    };
    let begun = || {
        let codings = baseline.codings.get(..baseline.blocks).ok_or(Irregular)?;
        let dc = tables(&baseline.dc_counts, &baseline.dc_values)?;
        let ac = tables(&baseline.ac_counts, &baseline.ac_values)?;
        Scan::new(data, codings, dc, ac)
    };
    *scan = begun().ok();
    scan.is_some().into()
}

/// Decodes the next group of blocks, or passes over it where there are none. Tells whether it could.
///
/// # Safety
/// `scan` is one that [`begin_scan`] began; `blocks` is null, or as many pointers to blocks of their own as the scan's
/// groups have.
unsafe extern "C" fn decode_group(scan: *mut c_void, blocks: *const *mut Block) -> c_int {
    // SAFETY: as said above.
    let Some(scan) = (unsafe { &mut *scan.cast::<Option<Scan>>() }) else { return 0 };
    if blocks.is_null() {
        scan.skip();
        return 1;
    }
    // SAFETY: as said above.
    let blocks = unsafe { std::slice::from_raw_parts(blocks, scan.blocks()) };
    // SAFETY: as said above.
    let blocks = blocks.iter().map(|block| unsafe { &mut **block });
    scan.decode(blocks).is_ok().into()
}

/// Tells whether libjpeg's assembly was built and runs on this CPU.
pub(crate) fn simd() -> bool {
    // SAFETY: it takes nothing; what it finds out about the CPU, it keeps for each thread.
    unsafe { mixfeed_jpeg_simd() != 0 }
}

fn text(message: &[c_char; MESSAGE_BYTES]) -> String {
    let bytes = message.map(|letter| letter as u8);
    CStr::from_bytes_until_nul(&bytes).unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segments::Segments;
    use proptest::prelude::*;

    const FILES: [&[u8]; 6] = [
        include_bytes!("../tests/fixtures/444.jpg"),
        include_bytes!("../tests/fixtures/420-progressive.jpg"),
        include_bytes!("../tests/fixtures/extended.jpg"),
        include_bytes!("../tests/fixtures/cmyk.jpg"),
        include_bytes!("../tests/fixtures/420-optimized.jpg"),
        include_bytes!("../tests/fixtures/grey.jpg"),
    ];

    /// Decodes a part: its place and its size, of which as much is taken as there is.
    fn by(
        means: Means,
        file: &[u8],
        scale: Scale,
        [top, left, height, width]: [u32; 4],
    ) -> Result<Result<Vec<u8>, JpegError>, Irregular> {
        let header = match crate::header(file) {
            Ok(header) => header,
            Err(error) => return Ok(Err(error)),
        };
        let most = header.size(scale);
        let (top, left) = (top.min(most.1 - 1), left.min(most.0 - 1));
        let part = Part { top, left, height: height.min(most.1 - top), width: width.min(most.0 - left) };
        if !header.holds_coefficients
            && let Err(error) = Segments::new(file, header.scan).end_of_scan(header.restarts)
        {
            return Ok(Err(error));
        }
        let mut out = vec![0; part.bytes() as usize];
        Ok(decode_by(means, file, &header, part, scale, &mut out)?.map(|()| out))
    }

    const WHOLE: [u32; 4] = [0, 0, u32::MAX, u32::MAX];

    #[test]
    fn sound_baseline_files_are_decoded_without_libjpegs_huffman_decoder() {
        for (index, file) in FILES.iter().enumerate().filter(|(index, _)| *index != 1) {
            for scale in Scale::ALL {
                let ours = by(Means::Fastest, file, scale, WHOLE);
                assert_eq!(ours, by(Means::Turbo, file, scale, WHOLE), "{index}");
                assert!(matches!(ours, Ok(Ok(_))), "{index}");
            }
        }
        // Cut short in the middle, but with an end marker.
        let cut = [&FILES[0][..FILES[0].len() / 2], &[0xFF, 0xD9]].concat();
        assert_eq!(by(Means::Fastest, &cut, Scale::Full, WHOLE), Err(Irregular));
        assert!(matches!(by(Means::Turbo, &cut, Scale::Full, WHOLE), Ok(Ok(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

        /// Damage makes coefficients that overflow, and codes that there are none of. Where there is no assembly, this
        /// compares the inverse transform in C with itself.
        #[test]
        fn all_means_give_the_same_pixels_of_damaged_files_too(
            index in 0..FILES.len(),
            scale in prop::sample::select(&Scale::ALL[..]),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            part in prop_oneof![Just(WHOLE), [0..40_u32, 0..40_u32, 1..40_u32, 1..40_u32]],
        ) {
            let mut file = FILES[index].to_vec();
            for (at, byte) in edits {
                let at = at.index(file.len());
                file[at] = byte;
            }
            let small = crate::header(&file).is_ok_and(|header| header.width * header.height < 100_000);
            if small {
                let plain = by(Means::Plain, &file, scale, part);
                prop_assert!(by(Means::Turbo, &file, scale, part) == plain, "assembly, {scale:?}");
                let ours = by(Means::Fastest, &file, scale, part);
                prop_assert!(ours == Err(Irregular) || ours == plain, "huffman.rs, {scale:?}");
            }
        }
    }
}
