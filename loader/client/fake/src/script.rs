//! How a fake loader behaves, and what it does wrong.

use crate::content::FakeData;
use mixfeed_proto::limits;
use std::time::Duration;

/// How a fake loader behaves.
#[derive(Clone, Debug)]
pub struct Script {
    /// What it serves.
    pub data: FakeData,
    /// Batches that it says it holds at most.
    pub window_batches: u32,
    /// Time that it takes for each batch, one after the other.
    pub latency: Duration,
    /// Whether it makes one batch only and sends that under every index: for measurements. Its samples are then
    /// not those of the index, and every batch must have the same number of rows.
    pub prepared: bool,
    /// Pixel bytes of a message, at most: larger batches go in parts to clients that take them.
    pub message_bytes: usize,
    /// The id of its process; without one, each fake draws its own.
    pub instance: Option<[u8; 16]>,
    /// What it does wrong.
    pub faults: Vec<Fault>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            data: FakeData::default(),
            window_batches: 4,
            latency: Duration::ZERO,
            prepared: false,
            message_bytes: limits::MAX_MESSAGE_PIXELS as usize,
            instance: None,
            faults: Vec::new(),
        }
    }
}

impl Script {
    /// The same with one more fault.
    #[must_use]
    pub fn with(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }
}

/// One thing that a fake loader does wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Which batches it meets.
    pub at: At,
    /// What happens.
    pub kind: FaultKind,
    /// How often at most.
    pub times: u32,
}

impl Fault {
    /// Always, where `at` says.
    #[must_use]
    pub fn always(at: At, kind: FaultKind) -> Self {
        Self { at, kind, times: u32::MAX }
    }

    /// The first time that it meets such a batch.
    #[must_use]
    pub fn once(at: At, kind: FaultKind) -> Self {
        Self { at, kind, times: 1 }
    }
}

/// Which batches a fault meets.
#[derive(Clone, Copy, Debug)]
pub enum At {
    /// The batch of this index.
    Index(u64),
    /// Batches of this index or a later one.
    From(u64),
    /// Batches whose index is a multiple of this.
    Every(u64),
    /// The batches after the first so many that this loader served.
    Served(u64),
}

/// What a fake loader can do wrong.
#[derive(Clone, Debug)]
pub enum FaultKind {
    /// Flips one bit of the pixels; the checksum tells.
    FlipBit,
    /// Sends other pixels under a checksum that fits them.
    OtherPixels,
    /// Sends other pixels that have the checksum of the right ones.
    ForgedPixels,
    /// Sends one row less.
    MissingRow,
    /// Sends a label beyond the classes, under a checksum that fits.
    Label,
    /// Sends a lambda beyond 1, under a checksum that fits.
    Lambda,
    /// Sends a batch that was not asked for instead.
    Unasked,
    /// Says at so many bytes' length that it failed to make the batch.
    Lengthy(usize),
    /// Sends an answer that is neither a batch nor anything else.
    Nothing,
    /// Says that the stream is open, which it was.
    Reopens,
    /// Says that it has made more rows than there are.
    Overdone,
    /// Sends the batch twice.
    Twice,
    /// Sends parts of the batch as they should not be.
    Parts(PartFault),
    /// Takes so much longer.
    Delay(Duration),
    /// Sends nothing more on this stream, and keeps it open.
    Stall,
    /// Ends the stream as a loader that shuts down.
    Drain,
    /// Ends the stream with an error.
    Break,
    /// Says that the data is damaged.
    DataLoss,
    /// Says that the data cannot be read now.
    Unavailable,
    /// Says that the data is not what it was.
    Changed,
    /// Says that it failed to make the batch.
    Internal,
    /// Refuses to open a stream, with this message; the batches do not matter.
    RefuseOpen(String),
    /// Refuses to open a stream whose images are mixed, as a release does that does not know mixing; the batches do not
    /// matter.
    KnowsNoMixing,
    /// Answers `Describe` with UNAVAILABLE; the batches do not matter.
    Starting,
    /// Takes a call and says nothing from this point on; the batches do not matter.
    Mute(Point),
}

/// Where a fake loader falls silent before a stream is open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Point {
    /// It does not answer `Describe`.
    Describe,
    /// It does not begin its answer to `StreamBatches`.
    Call,
    /// It begins that, and does not say that the stream is open.
    Opening,
}

/// What a fake loader can do wrong with the parts of a batch.
#[derive(Clone, Copy, Debug)]
pub enum PartFault {
    /// Leaves one out.
    Missing,
    /// Sends one twice.
    Twice,
    /// Sends two in each other's place.
    Swapped,
    /// Sends them all once more before the end.
    TooMany,
    /// Sends one without a byte.
    Empty,
    /// Sends one of another batch in between.
    OfAnother,
    /// Sends another batch in between, whole.
    Between,
    /// Says in between that it fails to make another.
    Failure,
    /// Leaves out the end, and goes on with the next batch.
    NoEnd,
    /// Flips one bit in one of them; the checksum tells.
    FlipBit,
    /// Ends the stream in between, with an error.
    Break,
    /// Ends the stream in between as a loader that shuts down.
    Drain,
    /// Sends nothing more from there on, and keeps the stream open.
    Stall,
}

/// What a [`Liar`](crate::Liar) does with what an honest loader answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lie {
    /// Nothing: it passes everything on.
    Nothing,
    /// Other pixels, under a checksum that fits them.
    Pixels,
    /// The same in batches of odd index only.
    OddPixels,
    /// Other labels, under a checksum that fits them.
    Labels,
    /// Other lambdas, under a checksum that fits them.
    Lambdas,
    /// One label less than rows.
    Sizes,
    /// Other pixels under the old checksum.
    Damaged,
    /// Says that the data is damaged.
    DataLoss,
    /// Says that the data cannot be read now.
    Unavailable,
    /// Says that it fails.
    Internal,
    /// Sends empty answers now and then, and never a batch.
    Stall,
    /// Sends empty answers as fast as it can.
    Flood,
    /// Keeps the connection and answers nothing.
    Hung,
    /// Sends each batch twice.
    Twice,
    /// Takes so much longer for each batch, one after the other.
    Slow(Duration),
    /// Ends each stream after a second.
    Flaps,
    /// Has one class more.
    Classes,
    /// Has so many classes without a name.
    Nameless(usize),
    /// Describes another dataset each time but the first.
    DigestAfterOpening,
}

impl Lie {
    /// Whether the batch is passed on as it is.
    pub(crate) fn spares(self, index: u64) -> bool {
        matches!(self, Lie::Nothing) || (self == Lie::OddPixels && index.is_multiple_of(2))
    }
}
