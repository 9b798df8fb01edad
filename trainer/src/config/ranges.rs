//! Checks of single settings: each error names the flag, its value and what is allowed.

use crate::usage::UsageError;
use std::ops::RangeInclusive;

pub(super) fn filled<T>(name: &str, value: Option<T>) -> Result<T, UsageError> {
    value.ok_or_else(|| UsageError(format!("--{name} is not set, and the preset says nothing of it")))
}

pub(super) fn integer<T>(name: &str, value: Option<T>, range: RangeInclusive<T>) -> Result<T, UsageError>
where
    T: PartialOrd + std::fmt::Display,
{
    let value = filled(name, value)?;
    if range.contains(&value) {
        return Ok(value);
    }
    Err(UsageError(format!("--{name} is {value}, it must be {} to {}", range.start(), range.end())))
}

pub(super) fn number(name: &str, value: Option<f64>, range: RangeInclusive<f64>) -> Result<f64, UsageError> {
    let value = filled(name, value)?;
    // No comparison holds for a value that is not a number.
    if range.contains(&value) {
        return Ok(value);
    }
    let (start, end) = (range.start(), range.end());
    let range = if *start > 0.0 { format!("above 0 and at most {end}") } else { format!("{start} to {end}") };
    Err(UsageError(format!("--{name} is {value}, it must be {range}")))
}
