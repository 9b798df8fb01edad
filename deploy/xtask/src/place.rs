//! Where things lie in the checkout.

use crate::environment;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Cargo says where this crate lies when it runs it; run by hand, it is where it was built.
static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let here = environment::variable("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    // This crate lies two folders below the root.
    here.ancestors().nth(2).map_or_else(|| here.clone(), Path::to_owned)
});

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    &ROOT
}

/// A path below the root.
pub(crate) fn at(below: &str) -> PathBuf {
    root().join(below)
}

/// How a person standing in the root would write the path.
pub(crate) fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
