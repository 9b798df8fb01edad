use super::*;
use crate::learn::model::ModelKind;
use mixfeed_client::{LambdaScope, PartnerSource};
use mixfeed_loader::config::SourceArgs;
use mixfeed_loader::source::Order;

fn settings() -> Settings {
    Settings { data: Some("synthetic".to_owned()), ..Settings::default() }
}

fn mixed(augmentation: AugmentationArgs) -> Settings {
    Settings { augmentation, ..settings() }
}

fn error(settings: Settings) -> String {
    settings.check().unwrap_err().to_string()
}

#[test]
fn the_article_preset_is_the_published_recipe() {
    let config = settings().check().unwrap();
    let training = config.training;
    assert_eq!((training.epochs, training.stream.batch_size), (30, 128));
    assert!((training.recipe.schedule.learning_rate - 1e-3).abs() < f64::EPSILON);
    let mixing = training.stream.mixing.unwrap();
    assert!((mixing.alpha - 0.2).abs() < f64::EPSILON && (mixing.probability - 0.2).abs() < f64::EPSILON);
    assert_eq!(mixing.lambda_scope, LambdaScope::Sample);
    assert_eq!(mixing.partner_source, PartnerSource::Dataset);
    assert!(training.stream.shuffle);
}

#[test]
fn the_paper_preset_is_the_published_recipe() {
    let training = Settings { preset: Some(Preset::Paper), ..settings() }.check().unwrap().training;
    assert_eq!(training.model, ModelKind::PreActResNet18);
    assert_eq!((training.epochs, training.stream.batch_size), (200, 128));
    let mixing = training.stream.mixing.unwrap();
    assert!((mixing.alpha - 1.0).abs() < f64::EPSILON && (mixing.probability - 1.0).abs() < f64::EPSILON);
    assert_eq!(mixing.lambda_scope, LambdaScope::Batch);
    assert_eq!(mixing.partner_source, PartnerSource::Batch);
    let augmentation = training.stream.augmentation;
    assert_eq!((augmentation.crop_padding, augmentation.flip_probability), (4, 0.5));
    let schedule = training.recipe.schedule.over(200, 391);
    for (epoch, rate) in [(0, 0.1), (99, 0.1), (100, 0.01), (149, 0.01), (150, 0.001), (199, 0.001)] {
        assert!((schedule.learning_rate(391 * epoch) - rate).abs() < 1e-12, "epoch {epoch}");
    }
}

#[test]
fn every_preset_can_be_run_as_it_is() {
    for preset in <Preset as clap::ValueEnum>::value_variants() {
        // A network of one's own has no default.
        let model = (*preset == Preset::Photo).then_some(ModelKind::Linear);
        let config = Settings { preset: Some(*preset), model, ..settings() }.check().unwrap();
        assert_eq!(config.settings.clone().check().unwrap().settings, config.settings, "{preset:?}");
    }
}

#[test]
fn values_out_of_range_are_named() {
    for (settings, name) in [
        (
            mixed(AugmentationArgs { mixup_alpha: Some(-1.0), ..AugmentationArgs::default() }),
            "--mixup-alpha is -1",
        ),
        (
            mixed(AugmentationArgs { mixup_alpha: Some(f64::NAN), ..AugmentationArgs::default() }),
            "--mixup-alpha is NaN",
        ),
        (
            mixed(AugmentationArgs { mixup_alpha: Some(f64::INFINITY), ..AugmentationArgs::default() }),
            "--mixup-alpha is inf",
        ),
        (
            mixed(AugmentationArgs { mixup_prob: Some(2.0), ..AugmentationArgs::default() }),
            "--mixup-prob is 2",
        ),
        (
            mixed(AugmentationArgs { mixup_prob: Some(f64::NAN), ..AugmentationArgs::default() }),
            "--mixup-prob is NaN",
        ),
        (Settings { batch_size: Some(0), ..settings() }, "--batch-size is 0"),
        (Settings { batch_size: Some(65_537), ..settings() }, "--batch-size is 65537"),
        (Settings { virtual_shards: Some(0), ..settings() }, "--virtual-shards is 0, it must be 1 to 128"),
        (
            Settings { virtual_shards: Some(256), ..settings() },
            "--virtual-shards is 256, it must be 1 to 128",
        ),
        (
            Settings { virtual_shards: Some(6), ..settings() },
            "--virtual-shards is 6, it must be a power of two",
        ),
        (Settings { epochs: Some(0), ..settings() }, "--epochs is 0"),
        (Settings { steps: Some(0), ..settings() }, "--steps is 0"),
        (Settings { limit: Some(0), ..settings() }, "--limit is 0"),
        (Settings { test_limit: Some(0), ..settings() }, "--test-limit is 0"),
        (Settings { eval_every: Some(0), ..settings() }, "--eval-every is 0"),
        (Settings { log_every: Some(0), ..settings() }, "--log-every is 0"),
        (Settings { lr: Some(0.0), ..settings() }, "--lr is 0"),
        (Settings { lr: Some(f64::NAN), ..settings() }, "--lr is NaN"),
        (Settings { threads: Some(0), ..settings() }, "--threads is 0"),
        (Settings { workers: Some(0), ..settings() }, "--workers is 0"),
        (
            Settings {
                source: SourceArgs { test_fraction: Some(1.0), ..SourceArgs::default() },
                ..settings()
            },
            "--test-fraction 1 is not allowed",
        ),
        (Settings { seed: Some(u64::MAX), ..settings() }, "--seed is 18446744073709551615"),
    ] {
        let error = error(settings);
        assert!(error.starts_with(name), "{error}");
    }
}

#[test]
fn exactly_one_source_of_batches_is_wanted() {
    assert!(error(Settings::default()).contains("--data"));
    let loaders = Some(vec!["127.0.0.1:1".to_owned()]);
    assert!(error(Settings { loaders: loaders.clone(), ..settings() }).contains("not both"));
    assert!(
        error(Settings { loaders: Some(vec![String::new()]), ..Settings::default() }).contains("no loader")
    );
    let with_workers = Settings { loaders: loaders.clone(), workers: Some(2), ..Settings::default() };
    assert!(error(with_workers).contains("--workers"));
    let ordered = || SourceArgs { order: Some(Order::Name), ..SourceArgs::default() };
    let with_order = Settings { loaders: loaders.clone(), source: ordered(), ..Settings::default() };
    assert!(error(with_order).starts_with("--order is for a loader inside this process"));
    assert!(Settings { source: ordered(), ..settings() }.check().is_ok());
    assert!(error(Settings { audit: Some(5), ..settings() }).contains("--audit"));
    assert!(Settings { loaders, ..Settings::default() }.check().is_ok());
}

#[test]
fn nothing_is_mixed_when_alpha_or_probability_is_zero() {
    for augmentation in [
        AugmentationArgs { mixup_alpha: Some(0.0), ..AugmentationArgs::default() },
        AugmentationArgs { mixup_prob: Some(0.0), ..AugmentationArgs::default() },
    ] {
        let settings = mixed(augmentation);
        assert_eq!(settings.check().unwrap().training.stream.mixing, None);
    }
}

#[test]
fn complete_settings_can_be_read_back_from_their_file_form() {
    let complete = Settings { limit: Some(5), output: Some("runs/a".into()), ..settings() }.complete();
    let text = mixfeed_ops::config::to_toml(&complete).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    std::fs::write(&path, text).unwrap();
    let read: Settings = mixfeed_ops::config::read(&path).unwrap();
    assert_eq!(read.complete(), complete);
}
