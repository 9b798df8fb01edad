//! The sizes of the images of a split, as a viewer shows them: known from their headers, before any is decoded.

use mixfeed_pipeline::decode::MAX_SIDE_PIXELS;
use mixfeed_pipeline::spec::ImageSize;

/// One size of all, or one each. As a number: height << 16 | width; 0 where no header could be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sizes(Vec<u32>);

const _: () = assert!(MAX_SIDE_PIXELS <= u16::MAX as u32, "a side fits into half a number");

fn number(ImageSize { height, width }: ImageSize) -> u32 {
    height << 16 | width
}

fn size(number: u32) -> Option<ImageSize> {
    (number != 0).then_some(ImageSize { height: number >> 16, width: number & 0xFFFF })
}

impl Sizes {
    /// Of `samples` images none of which has been looked at.
    pub(super) fn unknown(samples: usize) -> Self {
        Self(vec![0; samples])
    }

    /// As they were kept, for as many samples.
    pub(super) fn kept(numbers: Vec<u32>) -> Self {
        Self(numbers)
    }

    /// The same in as few numbers as possible, to be kept.
    pub(super) fn into_numbers(self) -> Vec<u32> {
        let mut known = self.0.iter().filter(|number| **number != 0);
        let first = known.next().copied().unwrap_or(0);
        if known.all(|number| *number == first) { vec![first] } else { self.0 }
    }

    pub(super) fn set(&mut self, sample: usize, size: ImageSize) {
        self.0[sample] = number(size);
    }

    pub(super) fn get(&self, sample: u64) -> Option<ImageSize> {
        let numbers = &self.0;
        let own = if let [one] = numbers[..] { Some(one) } else { numbers.get(sample as usize).copied() };
        own.and_then(size)
    }

    /// As [`kept`](Self::kept) takes it; 0 where it is not known.
    pub(super) fn number(&self, sample: u64) -> u32 {
        self.get(sample).map_or(0, number)
    }

    /// Those that there are, of `samples` images; one is as good as many.
    pub(super) fn iter(&self) -> impl Iterator<Item = ImageSize> + '_ {
        self.0.iter().copied().filter_map(size)
    }

    /// Bytes of all images decoded, of which there are `samples`.
    pub(super) fn decoded_bytes(&self, samples: usize) -> u64 {
        let bytes = |size: ImageSize| size.rgb().values() as u64;
        match self.0[..] {
            [one] => size(one).map_or(0, bytes).saturating_mul(samples as u64),
            _ => self.iter().map(bytes).fold(0, u64::saturating_add),
        }
    }

    /// Leaves samples out; those after them move up.
    pub(super) fn retain(&mut self, mut stays: impl FnMut() -> bool) {
        if self.0.len() > 1 {
            self.0.retain(|_| stays());
        }
    }
}

/// The size of all images of both splits, if they have one in common.
pub(super) fn common(splits: [&Sizes; 2]) -> Option<ImageSize> {
    let mut sizes = splits.into_iter().flat_map(Sizes::iter);
    let first = sizes.next()?;
    sizes.all(|size| size == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ImageSize = ImageSize { height: 2, width: 3 };
    const B: ImageSize = ImageSize { height: 16_384, width: 16_384 };

    #[test]
    fn one_size_is_kept_once_and_many_are_kept_each() {
        let mut sizes = Sizes::unknown(3);
        sizes.set(0, A);
        sizes.set(2, A);
        assert_eq!((sizes.get(0), sizes.get(1)), (Some(A), None));
        let one = Sizes::kept(sizes.clone().into_numbers());
        assert_eq!((one.get(1), one.decoded_bytes(3)), (Some(A), 54));
        assert_eq!(common([&sizes, &one]), Some(A));
        sizes.set(1, B);
        assert_eq!(Sizes::kept(sizes.clone().into_numbers()), sizes);
        assert_eq!(sizes.get(1), Some(B));
        assert_eq!(common([&sizes, &one]), None);
        let mut stays = [true, false, true].into_iter();
        sizes.retain(|| stays.next().unwrap());
        assert_eq!((sizes.get(1), sizes.get(2)), (Some(A), None));
    }
}
