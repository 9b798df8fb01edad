//! What is done to a whole file so that it is one no longer.

/// A seeded way of damaging files.
pub(crate) struct Damage {
    state: u64,
}

/// Numbers at the edges of what fields hold.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0x7FFF_FFFF_FFFF_FFFF,
    u64::MAX,
];

impl Damage {
    pub(crate) fn new(seed: u64, target: &str, input: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(target.as_bytes()).update(&input.to_le_bytes());
        let word = *hasher.finalize().as_bytes().first_chunk().unwrap();
        Self { state: u64::from_le_bytes(word) }
    }

    /// SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Damages one of the files, in one place most of the time.
    pub(crate) fn apply(mut self, files: &[Vec<u8>], mend: fn(&mut [u8])) -> Vec<u8> {
        let mut file = files[self.below(files.len())].clone();
        loop {
            self.once(&mut file, files);
            if self.next().is_multiple_of(2) {
                break;
            }
        }
        if self.next().is_multiple_of(2) {
            mend(&mut file);
        }
        file
    }

    fn once(&mut self, file: &mut Vec<u8>, files: &[Vec<u8>]) {
        if file.is_empty() {
            file.push(self.next() as u8);
            return;
        }
        // Headers and footers are where lengths and places stand.
        let length = file.len();
        let at = match self.below(4) {
            0 => self.below(length.min(64)),
            1 => length - 1 - self.below(length.min(64)),
            _ => self.below(length),
        };
        let room = length - at;
        match self.below(10) {
            0 => file[at] ^= 1 << self.below(8),
            1 => file[at] = self.next() as u8,
            2 => file[at] = EDGES[self.below(EDGES.len())] as u8,
            3 => {
                let width = [2, 4, 8][self.below(3)].min(room);
                let edge = EDGES[self.below(EDGES.len())];
                let bytes =
                    if self.next().is_multiple_of(2) { edge.to_le_bytes() } else { edge.to_be_bytes() };
                let start = if self.next().is_multiple_of(2) { 0 } else { 8 - width };
                file[at..at + width].copy_from_slice(&bytes[start..start + width]);
            }
            4 => file.truncate(at),
            5 => {
                let count = 1 + self.below(room.min(600));
                file.drain(at..at + count);
            }
            6 => {
                let again = file[at..at + 1 + self.below(room.min(600))].to_vec();
                file.splice(at..at, again);
            }
            7 => {
                let other = &files[self.below(files.len())];
                let from = self.below(other.len());
                let part = other[from..from + 1 + self.below((other.len() - from).min(600))].to_vec();
                let end = (at + part.len()).min(length);
                file.splice(at..end, part);
            }
            8 => {
                // A number in a text, wherever the next one stands.
                let Some(start) = file[at..].iter().position(u8::is_ascii_digit) else { return };
                let start = at + start;
                let digits = file[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let edge = EDGES[self.below(EDGES.len())].to_string();
                file.splice(start..start + digits, edge.into_bytes());
            }
            _ => {
                let noise: Vec<u8> = (0..1 + self.below(16)).map(|_| self.next() as u8).collect();
                file.splice(at..at, noise);
            }
        }
    }
}
