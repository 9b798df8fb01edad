//! The framing of TensorFlow's record files: length, its checksum, data, its checksum.

/// The reversed polynomial of CRC-32C (Castagnoli).
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// Added to a rotated checksum, so that the checksum of data that holds checksums is no trivial one.
const MASK_DELTA: u32 = 0xA282_EAD8;

/// A record that holds `data`.
pub(super) fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let checksum = |bytes: &[u8]| mask(crc32c(bytes)).to_le_bytes();
    [&length[..], &checksum(&length), data, &checksum(data)].concat()
}

fn mask(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(MASK_DELTA)
}

/// Bit by bit: a record an epoch needs neither a table nor a crate.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut rest = !0;
    for byte in bytes {
        rest ^= u32::from(*byte);
        for _ in 0..8 {
            rest = (rest >> 1) ^ (POLYNOMIAL & (rest & 1).wrapping_neg());
        }
    }
    !rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
    }

    #[test]
    fn a_record_is_length_data_and_two_checksums() {
        let record = frame(b"abc");
        assert_eq!(record.len(), 8 + 4 + 3 + 4);
        assert_eq!((&record[..8], &record[12..15]), (&3u64.to_le_bytes()[..], &b"abc"[..]));
        assert_eq!(record[15..], mask(crc32c(b"abc")).to_le_bytes());
    }
}
