//! Exit codes of both binaries: the part of the public face that scripts and supervisors read.

/// The work is done.
pub const DONE: u8 = 0;
/// Something failed that has no code of its own.
pub const FAILURE: u8 = 1;
/// The command line, the environment or a settings file asks for something that cannot be.
pub const USAGE: u8 = 2;
/// The data is missing, damaged or not what it says it is.
pub const DATA: u8 = 3;
/// No loader could be reached in time.
pub const NO_LOADER: u8 = 4;
/// Training diverged: the loss is no longer a finite number.
pub const DIVERGED: u8 = 5;
/// The device that was asked for is not available.
pub const DEVICE: u8 = 6;
/// The group of trainers did not come about, or one of it was lost.
pub const GROUP_LOST: u8 = 7;
/// Loaders contradict each other, or trainers of a group: one of them makes other batches, or has other weights, than it should.
pub const CONTRADICTION: u8 = 8;
/// Stopped by SIGHUP (128 + 1).
pub const HUNG_UP: u8 = 129;
/// Stopped by SIGINT (128 + 2).
pub const INTERRUPTED: u8 = 130;
/// Stopped by SIGTERM (128 + 15).
pub const TERMINATED: u8 = 143;
