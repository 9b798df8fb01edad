//! Named recipes: the published settings that a run starts from.

use super::Settings;
use crate::learn::loss::Loss;
use crate::learn::model::ModelKind;
use crate::learn::optimizer::OptimizerKind;
use crate::learn::precision::Precision;
use crate::learn::schedule::ScheduleKind;
use clap::ValueEnum;
use mixfeed_client::{ImageSize, LambdaScope, PartnerSource, Resize};
use mixfeed_loader::config::AugmentationArgs;
use serde::{Deserialize, Serialize};

/// Which recipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// A small CNN on CIFAR-10, Adam, one image in five mixed: the article whose result the README repeats
    #[default]
    Article,
    /// The mixup paper on CIFAR-10 (Zhang et al., 2018): PreAct ResNet-18, SGD for 200 epochs, every batch mixed
    Paper,
    /// A small residual network that learns quickly on one GPU, without mixing
    Fast,
    /// Photographs at 224 x 224, as torchvision trains a ResNet on ImageNet: a TorchScript network of one's own (--model), SGD,
    /// cosine, mixup
    Photo,
}

impl Preset {
    /// The name by which it is asked for and reported.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Preset::Article => "article",
            Preset::Paper => "paper",
            Preset::Fast => "fast",
            Preset::Photo => "photo",
        }
    }

    /// The recipe.
    pub(super) fn settings(self) -> Settings {
        match self {
            Preset::Article => Settings {
                model: Some(ModelKind::ArticleCnn),
                epochs: Some(30),
                batch_size: Some(128),
                augmentation: AugmentationArgs {
                    mixup_alpha: Some(0.2),
                    mixup_prob: Some(0.2),
                    ..AugmentationArgs::default()
                },
                loss: Some(Loss::SoftCe),
                lr: Some(1e-3),
                ..Settings::default()
            },
            // arXiv:1710.09412, section 3.2, and the program published with it: as there, one lambda
            // for a batch, and partners from a permutation of the batch.
            Preset::Paper => Settings {
                model: Some(ModelKind::PreActResNet18),
                epochs: Some(200),
                batch_size: Some(128),
                augmentation: AugmentationArgs {
                    mixup_alpha: Some(1.0),
                    mixup_prob: Some(1.0),
                    lambda_per: Some(LambdaScope::Batch),
                    partner: Some(PartnerSource::Batch),
                    crop_padding: Some(4),
                    flip_prob: Some(0.5),
                    ..AugmentationArgs::default()
                },
                loss: Some(Loss::SoftCe),
                optimizer: Some(OptimizerKind::Sgd),
                lr: Some(0.1),
                momentum: Some(0.9),
                weight_decay: Some(1e-4),
                schedule: Some(ScheduleKind::Step),
                milestones: Some(vec![100, 150]),
                lr_factor: Some(0.1),
                ..Settings::default()
            },
            // D. Page's recipe ("How to Train Your ResNet") with label smoothing in place of cutout.
            Preset::Fast => Settings {
                model: Some(ModelKind::FastResNet),
                epochs: Some(24),
                batch_size: Some(512),
                augmentation: AugmentationArgs {
                    mixup_alpha: Some(0.2),
                    mixup_prob: Some(0.0),
                    crop_padding: Some(4),
                    flip_prob: Some(0.5),
                    ..AugmentationArgs::default()
                },
                loss: Some(Loss::SoftCe),
                label_smoothing: Some(0.1),
                optimizer: Some(OptimizerKind::Sgd),
                lr: Some(0.4),
                momentum: Some(0.9),
                nesterov: Some(true),
                weight_decay: Some(5e-4),
                decay_norm_bias: Some(false),
                schedule: Some(ScheduleKind::OneCycle),
                warmup: Some(5.0),
                precision: Some(Precision::Auto),
                ..Settings::default()
            },
            // torchvision's reference for ResNet-50 (references/classification, IMAGENET1K_V1: random resized crop to 224, flip,
            // evaluation at 256 and 224, SGD 0.1 for 256 images, weight decay 1e-4, 90 epochs) with what its later recipe adds
            // and this needs no more epochs for: cosine, warm-up, no decay of norms, label smoothing 0.1, mixup 0.2.
            Preset::Photo => Settings {
                epochs: Some(90),
                batch_size: Some(128),
                augmentation: AugmentationArgs {
                    image_size: Some(ImageSize { height: 224, width: 224 }),
                    resize: Some(Resize::CenterCrop { side: 256 }),
                    resized_crop: Some(0.08),
                    flip_prob: Some(0.5),
                    mixup_alpha: Some(0.2),
                    mixup_prob: Some(1.0),
                    lambda_per: Some(LambdaScope::Batch),
                    partner: Some(PartnerSource::Batch),
                    ..AugmentationArgs::default()
                },
                loss: Some(Loss::SoftCe),
                label_smoothing: Some(0.1),
                optimizer: Some(OptimizerKind::Sgd),
                lr: Some(0.05),
                momentum: Some(0.9),
                weight_decay: Some(1e-4),
                decay_norm_bias: Some(false),
                schedule: Some(ScheduleKind::Cosine),
                warmup: Some(5.0),
                precision: Some(Precision::Auto),
                ..Settings::default()
            },
        }
    }
}
