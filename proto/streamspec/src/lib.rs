//! The stream spec: everything that determines the content of a stream of training batches, apart from the data.
//!
//! [`StreamSpec`] is a request, which may be out of range; [`StreamSpec::check`] says what is wrong with it for images of
//! a given shape. [`Epochs`] is how a stream divides into epochs, batches and rows. Both ends of the wire, the
//! configuration files and the code that makes batches share these types; `mixfeed-proto` translates them to messages
//! and back.
//!
//! ```
//! use mixfeed_streamspec::{Epochs, ImageShape, Mixing, StreamSpec};
//!
//! let spec = StreamSpec { mixing: Some(Mixing::mixup(0.2, 0.2)), ..StreamSpec::train(1, 128) };
//! spec.check(ImageShape { height: 32, width: 32, channels: 3 })?;
//! let epochs = Epochs::new(&spec, 50_000);
//! assert_eq!((epochs.batches(), epochs.rows(390)), (391, 80));
//! # Ok::<(), mixfeed_streamspec::SpecError>(())
//! ```
//!
//! Not here: messages, datasets, and any draw or arithmetic on pixels.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod augmentation;
mod custom;
mod epochs;
mod error;
#[cfg(feature = "flags")]
mod flags;
mod mixing;
mod output;
mod schedule;
mod shape;
mod spec;

pub use augmentation::*;
pub use custom::{CustomTransform, MAX_NAME_CHARS, is_name};
pub use epochs::Epochs;
pub use error::SpecError;
#[cfg(feature = "flags")]
pub use flags::{AugmentationArgs, MixupSchedule};
pub use mixing::{LambdaScope, MAX_ALPHA, Mixing, MixingKind, PartnerSource};
pub use output::{ImageSize, Output, Resize};
pub use schedule::{MAX_MIXING_CHANGES, MixingChange, MixingSchedule};
pub use shape::{ImageShape, MAX_IMAGE_BYTES};
pub use spec::{
    MAX_BATCH_BYTES, MAX_BATCH_SIZE, PixelLayout, PixelType, Remainder, RowShard, Split, StreamSpec,
};
