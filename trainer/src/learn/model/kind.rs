//! Which network: one of those in this crate, or one from a file.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Which network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ModelKind {
    /// Four convolutions and two linear layers, for images of 16 × 16 to 512 × 512.
    ArticleCnn,
    /// Softmax regression on the raw pixels: the yardstick that a network has to beat.
    Linear,
    /// The mixup paper's network of 18 layers, for images of 8 × 8 or larger.
    PreActResNet18,
    /// A residual network of nine layers that learns quickly, for images of 8 × 8 or larger.
    FastResNet,
    /// The one in this TorchScript file.
    TorchScript(PathBuf),
}

/// A text is no [`ModelKind`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no network: give article-cnn, preact-resnet18, fast-resnet, linear, or a TorchScript file that ends in \
     .pt"
)]
pub struct ModelParseError(String);

/// Those in this crate.
const BUILT_IN: [ModelKind; 4] =
    [ModelKind::ArticleCnn, ModelKind::PreActResNet18, ModelKind::FastResNet, ModelKind::Linear];

impl ModelKind {
    /// The name by which it is reported.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            ModelKind::ArticleCnn => "article-cnn",
            ModelKind::Linear => "linear",
            ModelKind::PreActResNet18 => "preact-resnet18",
            ModelKind::FastResNet => "fast-resnet",
            ModelKind::TorchScript(_) => "torchscript",
        }
    }
}

impl FromStr for ModelKind {
    type Err = ModelParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let built_in = BUILT_IN.into_iter().find(|kind| kind.name() == text);
        let path = PathBuf::from(text);
        let file = path.extension().is_some_and(|end| end == "pt");
        built_in
            .or_else(|| file.then_some(ModelKind::TorchScript(path)))
            .ok_or_else(|| ModelParseError(text.to_owned()))
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModelKind::TorchScript(path) => path.display().fmt(f),
            built_in => f.write_str(built_in.name()),
        }
    }
}

impl TryFrom<String> for ModelKind {
    type Error = ModelParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ModelKind> for String {
    fn from(kind: ModelKind) -> Self {
        kind.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_they_are_printed() {
        for text in ["article-cnn", "preact-resnet18", "fast-resnet", "linear", "nets/my.net.pt"] {
            assert_eq!(text.parse::<ModelKind>().unwrap().to_string(), text);
        }
        assert_eq!("a/net.pt".parse(), Ok(ModelKind::TorchScript("a/net.pt".into())));
        for text in ["", "resnet", "net.onnx", "torchscript"] {
            let error = text.parse::<ModelKind>().unwrap_err().to_string();
            assert!(error.contains("fast-resnet") && error.contains(".pt"), "{error}");
        }
    }
}
