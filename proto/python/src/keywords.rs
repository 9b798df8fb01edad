//! The keywords of a stream as a stub for type checkers, so that nobody writes the list a second time.
//!
//! `mixfeed/_keywords.pyi` is this text, and a test holds it to that.

use crate::settings::Settings;
use clap::{Arg, Args as _};
use mixfeed_client::AugmentationArgs;
use pyo3::prelude::*;
use std::any::TypeId;
use std::fmt::Write as _;

const HEAD: &str = "\
# Written by `mixfeed._native.keywords()`, from the settings of the crate.

import os
from collections.abc import Sequence
from typing import TypedDict

class Settings(TypedDict, total=False):
    \"\"\"Keywords of a stream. What is not given is off, or as its default says.\"\"\"

";

/// The stub's text.
#[pyfunction]
pub(crate) fn keywords() -> String {
    let mut text = HEAD.to_owned();
    // Their defaults are those of a training's recipe; here what is not given is off.
    let of_recipes = AugmentationArgs::augment_args(clap::Command::new("augmentation"));
    for flag in Settings::command().get_arguments() {
        let (Some(name), Some(help)) = (flag.get_long(), flag.get_help()) else { continue };
        let mut help = crate::errors::in_python(&help.to_string());
        if of_recipes.get_arguments().any(|other| other.get_long() == Some(name)) {
            help.truncate(help.find(" [default:").unwrap_or(help.len()));
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {}: {} | None", name.replace('-', "_"), kind(flag));
        let _ = writeln!(text, "    \"\"\"{}.\"\"\"", help.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    text
}

/// The type of a flag's value, in Python's terms.
pub(crate) fn kind(flag: &Arg) -> &'static str {
    let kind = flag.get_value_parser().type_id();
    let is = |types: &[TypeId]| types.iter().any(|one| kind == *one);
    if flag.get_value_delimiter().is_some() {
        "float | Sequence[float]"
    } else if is(&[TypeId::of::<bool>()]) {
        "bool"
    } else if is(&[TypeId::of::<f64>()]) {
        "float"
    } else if is(&[TypeId::of::<u8>(), TypeId::of::<u32>(), TypeId::of::<u64>()]) {
        "int"
    } else if is(&[TypeId::of::<std::path::PathBuf>()]) {
        "str | os.PathLike[str]"
    } else if flag.get_num_args().is_some_and(|count| count.min_values() == 0) {
        // A value of its own when none is given.
        "str | bool"
    } else if is(&[TypeId::of::<mixfeed_client::ImageSize>()]) {
        "str | int"
    } else {
        "str"
    }
}
