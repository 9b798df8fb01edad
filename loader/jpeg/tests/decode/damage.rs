//! Damaged files: errors or pixels, and nothing else.

use crate::{fixture, part, whole};
use mixfeed_jpeg::{JpegError, Scale};

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
