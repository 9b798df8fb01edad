//! Many names in the order of a set, each as what it does not share with the one before it: neighbours in a folder or
//! shard share most of their bytes, so that a name takes a fraction of its length, in memory and in an [index](super::index).

use prost::{decode_length_delimiter, encode_length_delimiter};

/// One name in so many is whole, so that finding a name decodes at most as many.
const BLOCK: usize = 16;

/// Bytes of one name, at most: as many as the name of a tar entry may have.
const MAX_NAME_BYTES: usize = 64 << 10;

/// Names by number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Names {
    /// Of each name: how many bytes it shares with the one before it, how many follow, and these.
    coded: Vec<u8>,
    /// Where each block begins.
    blocks: Vec<u64>,
    count: usize,
    last: Vec<u8>,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Appends a name.
    pub(super) fn push(&mut self, name: &[u8]) {
        assert!(name.len() <= MAX_NAME_BYTES, "neither file systems nor tar entries have longer ones");
        let mut shared = 0;
        if self.count.is_multiple_of(BLOCK) {
            self.blocks.push(self.coded.len() as u64);
        } else {
            shared = self.last.iter().zip(name).take_while(|(one, other)| one == other).count();
        }
        for length in [shared, name.len() - shared] {
            encode_length_delimiter(length, &mut self.coded).expect("a vector has room");
        }
        self.coded.extend_from_slice(&name[shared..]);
        self.last.truncate(shared);
        self.last.extend_from_slice(&name[shared..]);
        self.count += 1;
    }

    /// The name of a number below [`len`](Self::len).
    pub(super) fn get(&self, number: usize) -> Vec<u8> {
        let mut rest = &self.coded[self.blocks[number / BLOCK] as usize..];
        let mut name = Vec::new();
        for _ in 0..=number % BLOCK {
            next(&mut rest, &mut name).expect("it was coded here, or checked");
        }
        name
    }

    /// All of them as bytes.
    pub(super) fn into_coded(self) -> Vec<u8> {
        self.coded
    }

    /// The same back: `count` names, all of which `is_good` takes; nothing where the bytes are something else.
    pub(super) fn from_coded(
        coded: Vec<u8>,
        count: usize,
        mut is_good: impl FnMut(&[u8]) -> bool,
    ) -> Option<Self> {
        let (mut rest, mut last, mut blocks) = (coded.as_slice(), Vec::new(), Vec::new());
        for number in 0..count {
            if number.is_multiple_of(BLOCK) {
                blocks.push((coded.len() - rest.len()) as u64);
                last.clear();
            }
            next(&mut rest, &mut last).filter(|()| is_good(&last))?;
        }
        rest.is_empty().then_some(())?;
        Some(Self { coded, blocks, count, last })
    }
}

/// Takes a name off the front of `rest`, and puts it in the place of the one before it.
fn next(rest: &mut &[u8], name: &mut Vec<u8>) -> Option<()> {
    let shared = decode_length_delimiter(&mut *rest).ok()?;
    let more = decode_length_delimiter(&mut *rest).ok()?;
    (shared <= name.len() && more <= MAX_NAME_BYTES - shared).then_some(())?;
    let (own, behind) = rest.split_at_checked(more)?;
    name.truncate(shared);
    name.extend_from_slice(own);
    *rest = behind;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> (Vec<String>, Names) {
        let all: Vec<String> =
            (0..100).map(|i| format!("train/n{:05}/n{:05}_{i}.JPEG", i / 40, i / 40)).collect();
        let mut names = Names::default();
        all.iter().for_each(|name| names.push(name.as_bytes()));
        (all, names)
    }

    #[test]
    fn every_name_is_what_it_was_in_a_fraction_of_its_bytes() {
        let (all, names) = names();
        let coded = names.clone().into_coded();
        assert!(coded.len() * 2 < all.concat().len(), "{} of {}", coded.len(), all.concat().len());
        let again = Names::from_coded(coded, all.len(), |_| true).unwrap();
        assert_eq!(again, names);
        for (number, name) in all.iter().enumerate() {
            assert_eq!(
                (names.get(number), again.get(number)),
                (name.clone().into_bytes(), name.clone().into_bytes())
            );
        }
        let mut more = again;
        more.push(b"train/x");
        assert_eq!((more.len(), more.get(100)), (101, b"train/x".to_vec()));
    }

    #[test]
    fn bytes_that_are_no_names_are_refused() {
        let (all, names) = names();
        let coded = names.into_coded();
        let read = |bytes: &[u8], count| Names::from_coded(bytes.into(), count, |_| true);
        assert!(read(&coded, all.len() - 1).is_none() && read(&coded, all.len() + 1).is_none());
        assert!((0..coded.len()).all(|end| read(&coded[..end], all.len()).is_none()));
        assert!(Names::from_coded(coded, all.len(), |name| name != all[70].as_bytes()).is_none());
        // It shares more than there is, and is longer than any name.
        assert!(read(&[1, 0], 1).is_none() && read(&[0, 0xFF, 0xFF, 0xFF, 0x7F], 1).is_none());
    }
}
