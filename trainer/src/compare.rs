//! Training with and without mixup, and what difference it makes.
//!
//! Trials are paired: trial i of all arms has the same seed, so the same initial weights and the same
//! order of images, and differs in nothing but the mixing. What counts is the accuracy after the last
//! epoch: choosing the best epoch would choose by the test set.
//!
//! Not here: the trainings themselves, each of which is a run like any other, in a folder of its own.

mod arm;
mod collection;
mod grid;
mod picture;
mod plan;
mod result;
mod statistic;
mod student;

pub(crate) use arm::way_of;
pub use arm::{Amount, Arm};
pub use collection::{CollectedArm, Collection};
pub use grid::{Grid, GridAxis, GridAxisError};
pub(crate) use picture::draw_grid;
pub use plan::{CompareFile, ComparisonRequest, Plan};
pub use result::{ArmResult, Comparison};
pub use statistic::{Difference, Statistic};
