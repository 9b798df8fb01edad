//! Huffman tables that find up to two symbols by one look at the next bits.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// The longest code in bits.
const MAX_CODE_BITS: usize = 16;

/// Bits that are looked at. More find more symbols at once, and make tables that take longer to fill and to reach: with 9
/// decoding takes 1.2 times as long, with 11 as long as with 10.
pub(crate) const LOOK_BITS: u32 = 10;

/// The data is not what an encoder writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Irregular;

/// A code with the number behind it: a coefficient, and how many zeros come before it.
///
/// From the lowest bit on: 6 bits their length, 1 bit whether it is the end of the block instead, 8 bits coefficients with
/// the zeros, 16 bits value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Symbol(u32);

impl Symbol {
    const END: u32 = 1 << 6;

    /// What a code of `length` bits stands for, with which `bits` begin: the upper half of `code` is a number of zeros, the
    /// lower one the size of the number behind the code (T.81, F.1.2.2).
    fn new(length: u32, code: u8, bits: u64) -> Self {
        let (run, size) = (u32::from(code >> 4), u32::from(code & 15));
        if size == 0 {
            // Sixteen zeros, or no coefficient any more; of the first coefficient, no difference.
            return Self(if run == 15 { length | 16 << 8 } else { length | Self::END });
        }
        let raw = ((bits << length) >> (64 - size)) as i32;
        // Figure F.12.
        let value = if raw >> (size - 1) == 0 { raw - (1 << size) + 1 } else { raw };
        Self((length + size) | (run + 1) << 8 | (value as u32) << 16)
    }

    /// Bits of code and number, 1 to 31.
    #[inline(always)]
    pub(crate) fn bits(self) -> u32 {
        self.0 & 0x3F
    }

    /// No coefficient follows in this block.
    #[inline(always)]
    pub(crate) fn is_end(self) -> bool {
        self.0 & Self::END != 0
    }

    /// Coefficients that it stands for, with the zeros: 1 to 16, or none where it is the end.
    #[inline(always)]
    pub(crate) fn coefficients(self) -> usize {
        usize::from((self.0 >> 8) as u8)
    }

    #[inline(always)]
    pub(crate) fn value(self) -> i16 {
        (self.0 >> 16) as i16
    }
}

/// What one look finds: a symbol, and a second one where both fit into the bits that are looked at.
///
/// From the lowest bit on, 8 bits each: length of both and flags, coefficients of the first, of the second, length of the
/// first; then 16 bits each: value of the first, of the second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look(u64);

impl Look {
    /// The block ends behind what was found.
    const END: u64 = 1 << 6;
    /// There is no coefficient in it: the block ends, or the symbol is longer than what was looked at. Of a code that is
    /// not longer, its length and what it stands for are where a first symbol has its own.
    const RARE: u64 = 1 << 7;

    fn rare(length: u32, code: u8) -> Self {
        Self(Self::RARE | u64::from(code) << 8 | u64::from(length) << 24)
    }

    /// Without a second coefficient, the first is told twice.
    fn new(first: Symbol, second: Option<Symbol>) -> Self {
        let mut last = first;
        let (mut length, mut flags, mut more) = (first.bits(), 0, 0);
        if let Some(second) = second {
            length += second.bits();
            if second.is_end() {
                flags = Self::END;
            } else {
                (last, more) = (second, second.coefficients());
            }
        }
        let value = |symbol: Symbol| u64::from(symbol.value() as u16);
        let lengths = u64::from(length) | u64::from(first.bits()) << 24;
        let counts = (first.coefficients() as u64) << 8 | (more as u64) << 16;
        Self(flags | lengths | counts | value(first) << 32 | value(last) << 48)
    }

    #[inline(always)]
    pub(crate) fn bits(self) -> u32 {
        self.0 as u32 & 0x3F
    }

    #[inline(always)]
    pub(crate) fn is_end(self) -> bool {
        self.0 & Self::END != 0
    }

    #[inline(always)]
    pub(crate) fn is_rare(self) -> bool {
        self.0 & Self::RARE != 0
    }

    #[inline(always)]
    pub(crate) fn first(self) -> usize {
        usize::from((self.0 >> 8) as u8)
    }

    #[inline(always)]
    pub(crate) fn second(self) -> usize {
        usize::from((self.0 >> 16) as u8)
    }

    #[inline(always)]
    pub(crate) fn first_bits(self) -> u32 {
        u32::from((self.0 >> 24) as u8)
    }

    #[inline(always)]
    pub(crate) fn first_value(self) -> i16 {
        (self.0 >> 32) as i16
    }

    #[inline(always)]
    pub(crate) fn second_value(self) -> i16 {
        (self.0 >> 48) as i16
    }
}

/// Tables that a thread keeps: those of an image or two. Most files have the tables of the standard, or of one camera.
const KEPT: usize = 8;

thread_local! {
    static RECENT: RefCell<VecDeque<Rc<Table>>> = const { RefCell::new(VecDeque::new()) };
}

/// A Huffman table.
pub(crate) struct Table {
    looks: [Look; 1 << LOOK_BITS],
    /// For each length the code behind the last, as the first of 16 bits, and where its value stands.
    ends: [u32; MAX_CODE_BITS + 1],
    offsets: [i32; MAX_CODE_BITS + 1],
    counts: [u8; MAX_CODE_BITS],
    values: [u8; 256],
}

impl Table {
    /// Of how many codes there are of each length, 1 to 16, and what they stand for, in the order of codes (T.81, annex C).
    /// The thread's last tables are kept, since making one takes as long as decoding twenty blocks.
    pub(crate) fn of(counts: &[u8; MAX_CODE_BITS], values: &[u8; 256]) -> Result<Rc<Self>, Irregular> {
        RECENT.with_borrow_mut(|recent| {
            if let Some(table) =
                recent.iter().find(|table| table.counts == *counts && table.values == *values)
            {
                return Ok(Rc::clone(table));
            }
            let table = Rc::new(Self::new(counts, values)?);
            recent.truncate(KEPT - 1);
            recent.push_front(Rc::clone(&table));
            Ok(table)
        })
    }

    fn new(counts: &[u8; MAX_CODE_BITS], values: &[u8; 256]) -> Result<Self, Irregular> {
        let mut table = Self {
            looks: [Look::rare(0, 0); 1 << LOOK_BITS],
            ends: [0; MAX_CODE_BITS + 1],
            offsets: [0; MAX_CODE_BITS + 1],
            counts: *counts,
            values: *values,
        };
        // Of all that can be looked at, the first symbol, where it fits in.
        let mut firsts = [None; 1 << LOOK_BITS];
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, count) in (1..=MAX_CODE_BITS).zip(counts) {
            table.offsets[length] = index as i32 - code as i32;
            for _ in 0..*count {
                let value = *values.get(index).ok_or(Irregular)?;
                table.begin(code, length as u32, value, &mut firsts)?;
                (code, index) = (code + 1, index + 1);
            }
            if code > 1 << length {
                return Err(Irregular);
            }
            table.ends[length] = code << (MAX_CODE_BITS - length);
            code <<= 1;
        }
        for (index, look) in table.looks.iter_mut().enumerate() {
            let Some(first) = firsts[index].filter(|first: &Symbol| !first.is_end()) else { continue };
            let behind = (index << first.bits()) & ((1 << LOOK_BITS) - 1);
            let second = firsts[behind].filter(|second| first.bits() + second.bits() <= LOOK_BITS);
            *look = Look::new(first, second);
        }
        Ok(table)
    }

    /// Writes down what begins with a code, of which nothing is yet.
    fn begin(
        &mut self,
        code: u32,
        length: u32,
        value: u8,
        firsts: &mut [Option<Symbol>; 1 << LOOK_BITS],
    ) -> Result<(), Irregular> {
        let Some(free) = LOOK_BITS.checked_sub(length) else { return Ok(()) };
        let (from, to) = ((code << free) as usize, ((code + 1) << free) as usize);
        self.looks.get_mut(from..to).ok_or(Irregular)?.fill(Look::rare(length, value));
        if length + u32::from(value & 15) <= LOOK_BITS {
            for (first, bits) in firsts[from..to].iter_mut().zip(from as u64..) {
                *first = Some(Symbol::new(length, value, bits << (64 - LOOK_BITS)));
            }
        }
        Ok(())
    }

    /// What the next bits begin with.
    #[inline(always)]
    pub(crate) fn look(&self, bits: u64) -> Look {
        self.looks[(bits >> (64 - LOOK_BITS)) as usize]
    }

    /// The next symbol, however long: 31 bits at most.
    #[inline]
    pub(crate) fn symbol(&self, bits: u64) -> Result<Symbol, Irregular> {
        let look = self.look(bits);
        if !look.is_rare() {
            return Ok(Symbol(
                look.first_bits() | (look.first() as u32) << 8 | u32::from(look.first_value() as u16) << 16,
            ));
        }
        if look.first_bits() > 0 {
            return Ok(Symbol::new(look.first_bits(), look.first() as u8, bits));
        }
        self.long(bits)
    }

    /// The next symbol, whose code is longer than what is looked at.
    fn long(&self, bits: u64) -> Result<Symbol, Irregular> {
        let first = (bits >> (64 - MAX_CODE_BITS)) as u32;
        let longer = LOOK_BITS as usize + 1..=MAX_CODE_BITS;
        let length = longer.into_iter().find(|length| first < self.ends[*length]).ok_or(Irregular)?;
        let index = (first >> (MAX_CODE_BITS - length)) as i32 + self.offsets[length];
        let value = usize::try_from(index).ok().and_then(|index| self.values.get(index));
        Ok(Symbol::new(length as u32, *value.ok_or(Irregular)?, bits))
    }
}
