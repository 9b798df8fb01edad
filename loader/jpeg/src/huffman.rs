//! Huffman decoding of a baseline scan (ITU-T T.81, annex F.2.2), in place of libjpeg's, which takes half of the time.
//!
//! It gives what libjpeg gives wherever the data is sound, and says so where it is not: a code that there is none of, too
//! many coefficients, a marker too early. The file is then decoded once more, by libjpeg alone, so that damaged files look
//! as they do with libjpeg. Restart markers, progressive and arithmetic coding are left to libjpeg, too.
//!
//! It takes two thirds of libjpeg's time (`examples/time.rs`), because bits are read eight bytes at a time from data without
//! stuffed zeros; because one look into a table finds up to two coefficients, and each look has to wait for the one
//! before it; and because blocks that no pixel of the part depends on are passed over without being written down.

use crate::tables::{Irregular, LOOK_BITS, Symbol, Table};
use std::rc::Rc;

/// Looks for which bits are at hand once they were filled up: to 56, at least.
const LOOKS: u32 = 56 / LOOK_BITS;

/// Blocks in a group that is coded together (MCU), at most.
pub(crate) const MAX_BLOCKS: usize = 10;

/// The coefficients of a block, in rows.
pub(crate) type Block = [i16; 64];

/// Where the coefficient that comes k-th stands in its block; behind the 64th, what only damaged data asks for.
const NATURAL_ORDER: [u8; 128] = {
    let order = [
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,
        6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38,
        31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    ];
    let mut all = [63; 128];
    let mut k = 0;
    while k < 64 {
        all[k] = order[k];
        k += 1;
    }
    all
};

/// Zeros behind the data, so that eight bytes can be read where the last one is.
const PADDING: usize = 16;

/// The data of a scan without the zeros that stand behind bytes of all ones (T.81, B.1.1.5), up to the next marker.
fn unstuffed(data: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(data.len() + PADDING);
    let mut rest = data;
    while let Some(at) = memchr::memchr(0xFF, rest) {
        if rest.get(at + 1) != Some(&0) {
            rest = &rest[..at];
            break;
        }
        clean.extend_from_slice(&rest[..=at]);
        rest = &rest[at + 2..];
    }
    clean.extend_from_slice(rest);
    clean.resize(clean.len() + PADDING, 0);
    clean
}

/// Bits of the data, the next one first.
#[derive(Clone, Copy)]
struct Bits<'a> {
    data: &'a [u8],
    /// The next byte that is not in `next`.
    at: usize,
    /// The next bits, from the highest on; what stands behind them is right, too, or zero.
    next: u64,
    /// How many there are in `next`.
    count: u32,
}

impl Bits<'_> {
    /// Sees to it that there are enough for a symbol.
    #[inline(always)]
    fn fill(&mut self) -> Result<(), Irregular> {
        let word = self.data.get(self.at..).and_then(<[u8]>::first_chunk).ok_or(Irregular)?;
        self.next |= u64::from_be_bytes(*word) >> self.count;
        self.at += (63 - self.count as usize) >> 3;
        self.count |= 56;
        Ok(())
    }

    #[inline(always)]
    fn take(&mut self, bits: u32) {
        self.next <<= bits;
        self.count -= bits;
    }
}

/// The tables and the component of one block of a group.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Coding {
    /// Which component, 0 to 3, in the order of the scan.
    pub(crate) component: u8,
    /// Which table its first coefficient is coded by, 0 to 3.
    pub(crate) dc: u8,
    /// Which table the others are coded by, 0 to 3.
    pub(crate) ac: u8,
}

/// A scan that is being decoded.
pub(crate) struct Scan {
    data: Vec<u8>,
    bit: usize,
    codings: [Coding; MAX_BLOCKS],
    blocks: usize,
    dc: [Option<Rc<Table>>; 4],
    ac: [Option<Rc<Table>>; 4],
    last_dc: [i32; 4],
    /// Groups that are to be passed over before the next one that is wanted.
    skipped: u32,
}

impl Scan {
    /// `data` begins where the scan's does, and may go on beyond its end; a group has `codings` as its blocks, 1 to 10.
    pub(crate) fn new(
        data: &[u8],
        codings: &[Coding],
        dc: [Option<Rc<Table>>; 4],
        ac: [Option<Rc<Table>>; 4],
    ) -> Result<Self, Irregular> {
        let mut of_blocks = [Coding::default(); MAX_BLOCKS];
        of_blocks.get_mut(..codings.len()).ok_or(Irregular)?.copy_from_slice(codings);
        Ok(Self {
            data: unstuffed(data),
            bit: 0,
            codings: of_blocks,
            blocks: codings.len(),
            dc,
            ac,
            last_dc: [0; 4],
            skipped: 0,
        })
    }

    /// Blocks of a group.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Passes over the next group.
    pub(crate) fn skip(&mut self) {
        self.skipped += 1;
    }

    /// Decodes the next group into `blocks`, as many as it has, which are all zeros before.
    pub(crate) fn decode<'b>(
        &mut self,
        blocks: impl Iterator<Item = &'b mut Block>,
    ) -> Result<(), Irregular> {
        let mut bits = Bits { data: &self.data, at: self.bit / 8, next: 0, count: 0 };
        bits.fill()?;
        bits.take(self.bit as u32 % 8);
        let mut last_dc = self.last_dc;
        let mut none = [0; 64];
        for _ in 0..std::mem::take(&mut self.skipped) {
            for coding in &self.codings[..self.blocks] {
                self.block::<false>(&mut bits, *coding, &mut last_dc, &mut none)?;
            }
        }
        for (coding, into) in self.codings[..self.blocks].iter().zip(blocks) {
            into[0] = self.block::<true>(&mut bits, *coding, &mut last_dc, into)? as i16;
        }
        self.bit = bits.at * 8 - bits.count as usize;
        self.last_dc = last_dc;
        if self.bit > (self.data.len() - PADDING) * 8 { Err(Irregular) } else { Ok(()) }
    }

    /// Goes over one block, as [`block`] does, and returns its first coefficient.
    #[inline(always)]
    fn block<const WANTED: bool>(
        &self,
        bits: &mut Bits<'_>,
        coding: Coding,
        last_dc: &mut [i32; 4],
        into: &mut Block,
    ) -> Result<i32, Irregular> {
        let dc = self.dc[usize::from(coding.dc & 3)].as_deref().ok_or(Irregular)?;
        let ac = self.ac[usize::from(coding.ac & 3)].as_deref().ok_or(Irregular)?;
        let last = &mut last_dc[usize::from(coding.component & 3)];
        *last = last.wrapping_add(block::<WANTED>(bits, dc, ac, into)?);
        Ok(*last)
    }
}

/// Goes over one block, and returns by how much its first coefficient differs from that of the component's last block.
/// The others go into `into`, where that is wanted.
#[inline(always)]
fn block<const WANTED: bool>(
    bits: &mut Bits<'_>,
    dc: &Table,
    ac: &Table,
    into: &mut Block,
) -> Result<i32, Irregular> {
    let mut set = |k: usize, value: i16| {
        if WANTED {
            into[usize::from(NATURAL_ORDER[(k - 1) & 127] & 63)] = value;
        }
    };
    let difference = next(bits, dc)?.value();
    // Coefficients that are done.
    let mut k = 1;
    'filled: loop {
        bits.fill()?;
        for _ in 0..LOOKS {
            let look = ac.look(bits.next);
            if look.is_rare() {
                let symbol = next(bits, ac)?;
                if symbol.is_end() {
                    break 'filled;
                }
                k += symbol.coefficients();
                set(k, symbol.value());
                if k >= 64 {
                    break 'filled;
                }
                continue 'filled;
            }
            let first = k + look.first();
            k = first + look.second();
            set(first, look.first_value());
            set(k, look.second_value());
            if k >= 64 {
                bits.take(if first >= 64 { look.first_bits() } else { look.bits() });
                if first >= 64 {
                    // What was taken for the second is the next block's.
                    k = first;
                    set(k, look.first_value());
                }
                break 'filled;
            }
            bits.take(look.bits());
            if look.is_end() {
                break 'filled;
            }
        }
    }
    if k > 64 { Err(Irregular) } else { Ok(i32::from(difference)) }
}

/// The next symbol, of any length.
#[inline]
fn next(bits: &mut Bits<'_>, table: &Table) -> Result<Symbol, Irregular> {
    bits.fill()?;
    let symbol = table.symbol(bits.next)?;
    bits.take(symbol.bits());
    Ok(symbol)
}
