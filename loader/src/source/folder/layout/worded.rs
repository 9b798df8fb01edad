//! Folders whose names tell a split, or that they are no classes.

use crate::source::splits::Told;

/// Names of a lone folder that holds the images of a split without labels.
pub(super) const NO_CLASSES: [&str; 16] = [
    "all",
    "data",
    "files",
    "images",
    "image",
    "img",
    "imgs",
    "jpeg",
    "jpegs",
    "jpg",
    "photos",
    "pictures",
    "png",
    "unknown",
    "unlabeled",
    "unlabelled",
];

/// A folder at the top whose name tells a split, or two.
pub(super) struct Worded {
    pub(super) name: String,
    pub(super) told: Result<Told, [&'static str; 2]>,
    /// Folders in it that have images.
    pub(super) classes: Vec<String>,
    /// Whether it has images at all.
    pub(super) has_images: bool,
}

impl Worded {
    pub(super) fn is_train(&self) -> bool {
        self.told == Ok(Told::Train)
    }

    pub(super) fn rank(&self) -> Option<usize> {
        match self.told {
            Ok(Told::Evaluation(rank)) => Some(rank),
            _ => None,
        }
    }
}
