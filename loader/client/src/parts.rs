//! Batches that come in parts are put together here, on their way through the gate.
//!
//! Of one replica at most one batch is being put together. Its buffer grows with what came, twofold, up to what the spec
//! calls for: how large images are is the replica's word, and nothing is set aside for that alone. A batch that comes
//! whole passes as it is.

use crate::batch::Batch;
use crate::checks::{Fault, Gate};
use mixfeed_proto::v1;

/// Takes what a replica sends.
#[derive(Debug)]
pub(crate) struct Intake {
    gate: Gate,
    /// The batch of which parts came, and the end did not.
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    index: u64,
    pixels: Vec<u8>,
}

impl Intake {
    pub(crate) fn new(gate: Gate) -> Self {
        Self { gate, begun: None }
    }

    /// Takes a part of a batch.
    pub(crate) fn part(&mut self, part: &v1::BatchPart) -> Result<(), Fault> {
        let v1::BatchPart { index, offset, ref pixels } = *part;
        let whole = self.gate.pixel_bytes(index);
        let received = match &self.begun {
            Some(begun) if begun.index != index => return Err(Fault::Interrupted { index: begun.index }),
            Some(begun) => begun.pixels.len() as u64,
            None => 0,
        };
        if offset != received {
            return Err(Fault::Offset { index, offset, received });
        }
        let left = whole - received;
        if pixels.is_empty() || pixels.len() as u64 >= left {
            return Err(Fault::Part { index, bytes: pixels.len(), left });
        }
        let begun = self.begun.get_or_insert_with(|| Begun { index, pixels: Vec::new() });
        begun.append(pixels, whole);
        Ok(())
    }

    /// Takes a batch, or the end of one.
    pub(crate) fn batch(&mut self, mut message: v1::Batch) -> Result<Batch, Fault> {
        if let Some(mut begun) = self.begun.take() {
            let index = begun.index;
            if index != message.index {
                return Err(Fault::Interrupted { index });
            }
            let (found, expected) = (begun.pixels.len() + message.pixels.len(), self.gate.pixel_bytes(index));
            if found as u64 != expected {
                return Err(Fault::Shape { index, part: "pixels", found, expected });
            }
            begun.append(&message.pixels, expected);
            message.pixels = begun.pixels.into();
        }
        self.gate.check(message)
    }

    /// Takes anything else, which must not come before the end of a batch.
    pub(crate) fn other(&self) -> Result<(), Fault> {
        self.begun.as_ref().map_or(Ok(()), |begun| Err(Fault::Interrupted { index: begun.index }))
    }
}

impl Begun {
    /// Adds `pixels` to a batch of `whole` bytes.
    fn append(&mut self, pixels: &[u8], whole: u64) {
        let needed = self.pixels.len() + pixels.len();
        if needed > self.pixels.capacity() {
            let whole = usize::try_from(whole).unwrap_or(usize::MAX);
            let capacity = (2 * self.pixels.capacity()).min(whole).max(needed);
            self.pixels.reserve_exact(capacity - self.pixels.len());
        }
        self.pixels.extend_from_slice(pixels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::tests::{gate, sealed};
    use bytes::Bytes;
    use proptest::prelude::*;

    /// A batch of 48 pixel bytes that are all different.
    fn whole() -> v1::Batch {
        sealed(0, 4, |batch| batch.pixels = (0..48).collect())
    }

    fn part(offset: usize, length: usize) -> v1::BatchPart {
        let batch = whole();
        let pixels = batch.pixels.slice(offset..(offset + length).min(batch.pixels.len()));
        v1::BatchPart { index: batch.index, pixels, offset: offset as u64 }
    }

    fn end(offset: usize) -> v1::Batch {
        let batch = whole();
        v1::Batch { pixels: batch.pixels.slice(offset..), ..batch }
    }

    /// Takes parts that are sound up to byte 20.
    fn begun() -> Intake {
        let mut intake = Intake::new(gate());
        intake.part(&part(0, 13)).unwrap();
        intake.part(&part(13, 7)).unwrap();
        intake
    }

    proptest! {
        #[test]
        fn a_batch_is_the_same_however_it_was_cut(cuts in proptest::collection::btree_set(1_usize..48, 0..48)) {
            let mut intake = Intake::new(gate());
            let mut from = 0;
            for cut in cuts {
                intake.part(&part(from, cut - from)).unwrap();
                from = cut;
            }
            prop_assert_eq!(intake.batch(end(from)).unwrap(), gate().check(whole()).unwrap());
            prop_assert!(intake.other().is_ok());
            // The next one may come whole.
            prop_assert!(intake.batch(whole()).is_ok());
        }
    }

    #[test]
    fn memory_grows_with_what_came_and_ends_at_what_the_spec_calls_for() {
        let mut intake = Intake::new(gate());
        let mut sizes = Vec::new();
        for offset in 0..47 {
            intake.part(&part(offset, 1)).unwrap();
            sizes.push(intake.begun.as_ref().unwrap().pixels.capacity());
        }
        let grown = sizes.iter().enumerate().all(|(last, size)| *size <= 2 * (last + 1) && *size <= 48);
        sizes.dedup();
        assert!(grown && sizes.len() < 8, "{sizes:?}");
    }

    #[test]
    fn a_part_that_is_missing_doubled_or_out_of_order_is_refused() {
        for offset in [0, 13, 19, 21, 27] {
            let fault = begun().part(&part(offset, 7)).unwrap_err();
            assert_eq!(fault, Fault::Offset { index: 0, offset: offset as u64, received: 20 });
        }
        let fault = Intake::new(gate()).part(&part(13, 7)).unwrap_err();
        assert_eq!(fault, Fault::Offset { index: 0, offset: 13, received: 0 });
        for missing in [19, 21, 47] {
            let fault = begun().batch(end(missing)).unwrap_err();
            let found = 20 + 48 - missing;
            assert_eq!(fault, Fault::Shape { index: 0, part: "pixels", found, expected: 48 });
        }
    }

    #[test]
    fn more_than_the_spec_calls_for_is_refused_before_it_is_kept() {
        for (offset, length) in [(20, 28), (20, 29), (20, 1 << 20)] {
            let pixels = Bytes::from(vec![0; length]);
            let long = v1::BatchPart { pixels, ..part(offset, 1) };
            let mut intake = begun();
            assert_eq!(intake.part(&long), Err(Fault::Part { index: 0, bytes: length, left: 28 }));
            assert!(intake.begun.unwrap().pixels.capacity() <= 48);
        }
        // Of two rows in the last batch of an epoch.
        let long = v1::BatchPart { index: 2, pixels: vec![0; 24].into(), offset: 0 };
        assert_eq!(Intake::new(gate()).part(&long), Err(Fault::Part { index: 2, bytes: 24, left: 24 }));
    }

    #[test]
    fn parts_without_end_that_bring_nothing_are_refused() {
        assert_eq!(begun().part(&part(20, 0)), Err(Fault::Part { index: 0, bytes: 0, left: 28 }));
    }

    #[test]
    fn nothing_comes_between_the_parts_of_a_batch() {
        let interrupted = Fault::Interrupted { index: 0 };
        let other = v1::BatchPart { index: 1, offset: 0, ..part(0, 5) };
        assert_eq!(begun().part(&other), Err(interrupted.clone()));
        let other = v1::BatchPart { index: 1, ..part(20, 5) };
        assert_eq!(begun().part(&other), Err(interrupted.clone()));
        assert_eq!(begun().batch(sealed(1, 4, |_| {})).unwrap_err(), interrupted);
        assert_eq!(begun().other(), Err(interrupted));
    }

    #[test]
    fn a_flipped_bit_in_any_part_is_found_at_the_end() {
        for at in [0_usize, 12, 13, 19] {
            let mut intake = Intake::new(gate());
            for mut part in [part(0, 13), part(13, 7)] {
                let from = part.offset as usize;
                let mut pixels = part.pixels.to_vec();
                if let Some(byte) = at.checked_sub(from).and_then(|at| pixels.get_mut(at)) {
                    *byte ^= 4;
                }
                part.pixels = pixels.into();
                intake.part(&part).unwrap();
            }
            assert!(matches!(intake.batch(end(20)), Err(Fault::Checksum { index: 0, .. })));
        }
    }
}
