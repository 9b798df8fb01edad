//! The only file that calls C: `shim.c`, which calls libjpeg. What it offers is safe.

#![expect(unsafe_code, reason = "calls into C; each says why it is sound")]

use crate::header::Header;
use crate::{JpegError, MAX_SCANS, Part, Scale};
// Named, so that its library is linked.
use mozjpeg_sys as _;
use std::ffi::{CStr, c_char, c_int};

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
    out: *mut u8,
}

unsafe extern "C" {
    fn mixfeed_jpeg_decode(request: *const Request, message: *mut c_char) -> c_int;
    fn mixfeed_jpeg_simd() -> c_int;
}

/// Which inverse transform: pixels are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transform {
    /// libjpeg-turbo's assembly for x86, or else the one in C.
    Fastest,
    /// That in C, `idct.c`.
    Plain,
}

/// Decodes `part`, which lies in the image, into `out`, which has as many bytes as it.
pub(crate) fn decode(
    file: &[u8],
    header: &Header,
    part: Part,
    scale: Scale,
    transform: Transform,
    out: &mut [u8],
) -> Result<(), JpegError> {
    assert_eq!(out.len() as u64, part.bytes(), "the output is as large as the part");
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
        plain: (transform == Transform::Plain).into(),
        // The coefficients, which are most of it.
        max_memory_bytes: usize::try_from(header.working_bytes()).unwrap_or(usize::MAX),
        out: out.as_mut_ptr(),
    };
    let mut message: [c_char; MESSAGE_BYTES] = [0; MESSAGE_BYTES];
    // SAFETY: `file` is read within `file_bytes`, `out` is written within 3 × part_height × part_width bytes, which was
    // asserted to be its length, and `message` within 200; none is kept. The shim shares nothing between calls, and
    // libjpeg's jumps end in it.
    let status = unsafe { mixfeed_jpeg_decode(&raw const request, message.as_mut_ptr()) };
    Err(match status {
        0 => return Ok(()),
        1 => JpegError::Damaged(text(&message)),
        2 => JpegError::CutShort,
        3 => JpegError::TooManyScans { max: MAX_SCANS },
        4 => JpegError::NoMemory,
        _ => JpegError::Damaged("its header can be read in two ways".to_owned()),
    })
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
    use proptest::prelude::*;

    const FILES: [&[u8]; 4] = [
        include_bytes!("../tests/fixtures/444.jpg"),
        include_bytes!("../tests/fixtures/420-progressive.jpg"),
        include_bytes!("../tests/fixtures/extended.jpg"),
        include_bytes!("../tests/fixtures/cmyk.jpg"),
    ];

    fn by(transform: Transform, file: &[u8], scale: Scale) -> Result<Vec<u8>, JpegError> {
        let header = crate::header(file)?;
        let (width, height) = header.size(scale);
        let part = Part { top: 0, left: 0, height, width };
        let mut out = vec![0; part.bytes() as usize];
        decode(file, &header, part, scale, transform, &mut out).map(|()| out)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        /// Damage makes coefficients that overflow. Where there is no assembly, this compares C with itself.
        #[test]
        fn assembly_and_c_give_the_same_pixels_of_damaged_files_too(
            index in 0..FILES.len(),
            scale in prop::sample::select(&Scale::ALL[..]),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            let mut file = FILES[index].to_vec();
            for (at, byte) in edits {
                let at = at.index(file.len());
                file[at] = byte;
            }
            let small = crate::header(&file).is_ok_and(|header| header.width * header.height < 100_000);
            if small {
                let (fastest, plain) = (by(Transform::Fastest, &file, scale), by(Transform::Plain, &file, scale));
                prop_assert!(fastest == plain, "{scale:?}");
            }
        }
    }
}
