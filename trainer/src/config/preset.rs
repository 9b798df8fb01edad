//! Named recipes: the published settings that a run starts from.

use super::Settings;
use crate::loss::Loss;
use crate::model::ModelKind;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Which recipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The article on mixup for CIFAR-10: a small network, Adam, one image in five mixed
    #[default]
    Article,
}

impl Preset {
    /// The name by which it is asked for and reported.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Preset::Article => "article",
        }
    }

    /// The recipe.
    pub(super) fn settings(self) -> Settings {
        match self {
            Preset::Article => Settings {
                model: Some(ModelKind::ArticleCnn),
                epochs: Some(30),
                batch_size: Some(128),
                mixup_alpha: Some(0.2),
                mixup_prob: Some(0.2),
                loss: Some(Loss::SoftCe),
                lr: Some(1e-3),
                ..Settings::default()
            },
        }
    }
}
