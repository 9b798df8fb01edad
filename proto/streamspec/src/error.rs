//! The error of a spec that is out of range.

/// A field of a spec that is out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value} is not allowed, {allowed}")]
pub struct SpecError {
    /// Name of the field, as in `mixing.alpha`.
    pub field: &'static str,
    /// The value found.
    pub value: String,
    /// What would be allowed.
    pub allowed: String,
}

impl SpecError {
    /// Makes an error about `field`.
    #[allow(clippy::needless_pass_by_value)] // Callers hand in numbers.
    pub fn new(field: &'static str, value: impl ToString, allowed: impl Into<String>) -> Self {
        Self { field, value: value.to_string(), allowed: allowed.into() }
    }

    /// Returns the name of the field in a file in TOML, as in `mixing.kind.mixup-or-cutmix.cutmix-alpha`.
    #[must_use]
    pub fn key(&self) -> String {
        let key = self.field.replace('_', "-");
        match key.rsplit_once('.') {
            Some(("mixing", own @ ("cutmix-alpha" | "switch-probability"))) => {
                format!("mixing.kind.mixup-or-cutmix.{own}")
            }
            Some((table, own @ ("area" | "ratio"))) => format!("{table}.min-{own} and max-{own}"),
            _ => key,
        }
    }
}

/// Checks that a number is 0 to `max`. NaN is refused.
pub(crate) fn check_range(field: &'static str, value: f64, max: f64) -> Result<(), SpecError> {
    if (0.0..=max).contains(&value) {
        return Ok(());
    }
    Err(SpecError::new(field, value, format!("0 to {max}")))
}

#[cfg(test)]
mod tests {
    use crate::*;

    #[test]
    fn an_error_names_the_key_that_a_file_has() {
        let kind = MixingKind::MixupOrCutmix { cutmix_alpha: 1.0, switch_probability: 0.5 };
        let mixing = Mixing { kind, ..Mixing::mixup(0.2, 0.2) };
        let spec =
            StreamSpec { mixing: Some(mixing), augmentation: Augmentation::EVERY, ..StreamSpec::default() };
        let text = toml::to_string(&spec).unwrap();
        let file: toml::Table = text.parse().unwrap();
        let file = toml::Value::Table(file);
        let find = |key: &str| key.split('.').try_fold(&file, |at, key| at.get(key)).is_some();
        let key = |field| SpecError::new(field, "", "").key();
        for field in [
            "batch_size",
            "mixing.alpha",
            "mixing.cutmix_alpha",
            "mixing.switch_probability",
            "augmentation.flip_probability",
            "augmentation.color_jitter.hue",
            "augmentation.rand_augment.num_ops",
        ] {
            assert!(find(&key(field)), "{} in\n{text}", key(field));
        }
        let area = key("augmentation.resized_crop.area");
        assert_eq!(area, "augmentation.resized-crop.min-area and max-area");
        assert!(
            find("augmentation.resized-crop.min-area") && find("augmentation.resized-crop.max-area"),
            "{text}"
        );
    }
}
