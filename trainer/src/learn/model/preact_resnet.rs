//! PreAct ResNet-18 as it was made for images of 32 × 32: the network of the mixup paper, 11.2 million parameters.
//!
//! ```text
//! 3×32×32 ─conv1─bn1─relu─ 64×32×32 ─layer1─ 64×32×32 ─layer2─ 128×16×16
//!         ─layer3─ 256×8×8 ─layer4─ 512×4×4 ─mean─ 512 ─linear─ classes
//! ```
//!
//! A layer is two blocks (He et al., "Identity Mappings in Deep Residual Networks", arXiv:1603.05027):
//!
//! ```text
//! x ─bn1─relu─┬─conv1─bn2─relu─conv2─(+)─
//!             └─(1 × 1 convolution)───┘
//! ```
//!
//! The mean is over all that is left of an image, so that images may have any size from 8 × 8 on. Convolutions are
//! 3 × 3 without biases; the first block of the layers 2 to 4 halves the image, and
//! it alone has the convolution in its shortcut. Names and wiring are those of the program that was
//! published with the mixup paper (arXiv:1710.09412). In two points it departs from He et al.: the
//! shortcut begins after the first activation in every block, and no normalisation follows the last
//! block. Initial weights are PyTorch's defaults, as there.

use super::batch_norm::batch_norm;
use super::init::Init;
use super::{Mode, Model, Parameters};
use tch::{Kind, Tensor};

/// Channels of each layer.
const LAYERS: [i64; 4] = [64, 128, 256, 512];

/// Blocks of each layer.
const BLOCKS: usize = 2;

/// PreAct ResNet-18.
pub struct PreActResNet18 {
    parameters: Parameters,
}

/// One block, by its name and what it does to the image's size.
struct Block {
    name: String,
    inputs: i64,
    outputs: i64,
    stride: i64,
}

/// All blocks, in order.
fn blocks() -> impl Iterator<Item = Block> {
    LAYERS.into_iter().enumerate().flat_map(|(layer, outputs)| {
        (0..BLOCKS).map(move |block| {
            let narrows = layer > 0 && block == 0;
            Block {
                name: format!("layer{}.{block}", layer + 1),
                inputs: if narrows { LAYERS[layer - 1] } else { outputs },
                outputs,
                stride: if narrows { 2 } else { 1 },
            }
        })
    })
}

impl PreActResNet18 {
    /// A fresh network for `classes` classes.
    pub(super) fn new(classes: i64, init: &Init) -> Self {
        let mut parameters = Parameters::default();
        init.conv_without_bias(&mut parameters, "conv1", [LAYERS[0], 3, 3, 3]);
        init.batch_norm(&mut parameters, "bn1", LAYERS[0]);
        for Block { name, inputs, outputs, stride } in blocks() {
            init.batch_norm(&mut parameters, &format!("{name}.bn1"), inputs);
            init.conv_without_bias(&mut parameters, &format!("{name}.conv1"), [outputs, inputs, 3, 3]);
            init.batch_norm(&mut parameters, &format!("{name}.bn2"), outputs);
            init.conv_without_bias(&mut parameters, &format!("{name}.conv2"), [outputs, outputs, 3, 3]);
            if stride > 1 {
                let shortcut = format!("{name}.shortcut.0");
                init.conv_without_bias(&mut parameters, &shortcut, [outputs, inputs, 1, 1]);
            }
        }
        init.linear(&mut parameters, "linear", [classes, LAYERS[3]]);
        PreActResNet18 { parameters }
    }
}

impl Model for PreActResNet18 {
    fn forward_in(&self, images: &Tensor, mode: Mode) -> Tensor {
        let conv = |x: &Tensor, name: &str, stride: i64, padding: i64| {
            let weight = self.parameters.part(name, "weight");
            x.conv2d(weight, None::<&Tensor>, stride, padding, 1, 1)
        };
        let norm = |x: &Tensor, name: &str| batch_norm(&self.parameters, name, x, mode).relu_();

        let mut x = norm(&conv(images, "conv1", 1, 1), "bn1");
        for Block { name, stride, .. } in blocks() {
            let active = norm(&x, &format!("{name}.bn1"));
            let inner = conv(&active, &format!("{name}.conv1"), stride, 1);
            let mut inner = conv(&norm(&inner, &format!("{name}.bn2")), &format!("{name}.conv2"), 1, 1);
            let shortcut =
                if stride > 1 { conv(&active, &format!("{name}.shortcut.0"), stride, 0) } else { active };
            x = inner.g_add_(&shortcut);
        }
        let x = x.mean_dim([2i64, 3].as_slice(), false, Kind::Float);
        let (weight, bias) = self.parameters.layer("linear");
        x.linear(weight, Some(bias))
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }
}
