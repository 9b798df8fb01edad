"""Writes training.json, what PyTorch computes where the trainer has code of its own, and two networks.

    pip install torch==2.11.0; python training.py

Optimisers, clipping, schedules, losses, batch normalisation, averages of weights, the statistics of
initial weights, and the two residual networks, whose weights are here given by a formula. network.pt is
a small network of everything that a TorchScript file may hold: batch normalisation, dropout, a frozen
layer, a buffer that is replaced and not changed in place. pairs.pt gives scores for pairs of images only.
"""

import io
import json
import math
import zipfile
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import lr_scheduler as schedulers
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

torch.set_num_threads(1)
STEPS = 25


def numbers(tensor):
    return [float(f"{value:.9g}") for value in tensor.detach().flatten().tolist()]


def wave(count, phase):
    """Numbers between -1 and 1 that look like noise and need no generator."""
    return torch.sin(torch.arange(count, dtype=torch.float64) * 0.7 + phase).float()


# Optimisers: a weight and a bias, given gradients, a rate that changes from step to step.


def gradients():
    return [(3 * wave(6, step).reshape(2, 3), wave(2, step + 0.5)) for step in range(STEPS)]


def optimizer_cases():
    for name, make, settings in [
        ("sgd", torch.optim.SGD, {}),
        ("sgd", torch.optim.SGD, {"momentum": 0.9}),
        ("sgd", torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
        ("sgd", torch.optim.SGD, {"momentum": 0.8, "nesterov": True, "weight_decay": 0.05}),
        ("adam", torch.optim.Adam, {}),
        ("adam", torch.optim.Adam, {"weight_decay": 0.05}),
        ("adamw", torch.optim.AdamW, {"weight_decay": 0.05}),
    ]:
        for spares in [False, True] if "weight_decay" in settings else [False]:
            for clip in [None, 1.5]:
                yield name, make, settings, spares, clip


def optimizers():
    cases = []
    for name, make, settings, spares, clip in optimizer_cases():
        weight = nn.Parameter(wave(6, 100).reshape(2, 3))
        bias = nn.Parameter(wave(2, 200))
        groups = [{"params": [weight]}, {"params": [bias], **({"weight_decay": 0.0} if spares else {})}]
        defaults = {"weight_decay": 0.0} | settings
        optimizer = make(groups, lr=1.0, foreach=False, **defaults)
        after = {}
        for step, (for_weight, for_bias) in enumerate(gradients()):
            weight.grad, bias.grad = for_weight.clone(), for_bias.clone()
            if clip is not None:
                nn.utils.clip_grad_norm_([weight, bias], clip)
            for group in optimizer.param_groups:
                group["lr"] = 0.01 * (1 + step % 3)
            optimizer.step()
            if step + 1 in (1, 10, STEPS):
                after[step + 1] = numbers(torch.cat([weight.flatten(), bias]))
        cases.append({"kind": name, "spares": spares, "clip": clip, **defaults, "after": after})
    return cases


# Schedules: ten epochs of five steps.


def schedule_cases():
    def milestones(*epochs):
        return lambda optimizer, warmup: schedulers.MultiStepLR(
            optimizer, [5 * epoch - warmup for epoch in epochs], 0.1
        )

    kinds = {
        "constant": lambda optimizer, _: schedulers.ConstantLR(optimizer, 1.0),
        "step": milestones(4, 8),
        "cosine": lambda optimizer, warmup: schedulers.CosineAnnealingLR(optimizer, 50 - warmup),
    }
    for kind, make in kinds.items():
        for epochs in [None, 2]:
            yield kind, epochs, make
    for epochs in [None, 1]:
        share = 0.3 if epochs is None else epochs / 10
        make = lambda optimizer, _, share=share: schedulers.OneCycleLR(
            optimizer, 0.4, total_steps=50, pct_start=share
        )
        yield "one-cycle", epochs, make


def schedules():
    cases = []
    for kind, epochs, make in schedule_cases():
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.4, momentum=0.9)
        if epochs is None or kind == "one-cycle":
            scheduler = make(optimizer, 0)
        else:
            warmup = 5 * epochs
            rise = schedulers.LinearLR(optimizer, start_factor=1 / warmup, total_iters=warmup - 1)
            scheduler = schedulers.SequentialLR(optimizer, [rise, make(optimizer, warmup)], [warmup])
        rates = []
        for _ in range(50):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        cases.append({"kind": kind, "warmup_epochs": epochs, "rates": rates})
    return cases


def losses():
    logits = 4 * wave(20, 1).reshape(4, 5)
    targets = torch.zeros(4, 5)
    for row, (label, partner, share) in enumerate([(0, 3, 0.7), (1, 1, 1.0), (4, 2, 0.25), (2, 0, 0.5)]):
        targets[row, label] += share
        targets[row, partner] += 1 - share
    cases = []
    for smoothing in [0.0, 0.1]:
        smoothed = targets * (1 - smoothing) + smoothing / 5
        cases.append(
            {
                "smoothing": smoothing,
                "soft_ce": F.cross_entropy(logits, targets, label_smoothing=smoothing).item(),
                "bce": F.binary_cross_entropy_with_logits(logits, smoothed).item(),
            }
        )
    return {"targets": numbers(targets), "cases": cases}


def batch_norm():
    norm = nn.BatchNorm2d(3)
    with torch.no_grad():
        norm.weight.copy_(1 + 0.5 * wave(3, 1))
        norm.bias.copy_(0.5 * wave(3, 2))
    outputs = []
    for batch in range(3):
        norm.train(batch < 2)
        outputs.append(numbers(norm(1 + 2 * wave(72, batch).reshape(4, 3, 2, 3))))
    return {
        "outputs": outputs,
        "running_mean": numbers(norm.running_mean),
        "running_var": numbers(norm.running_var),
        "num_batches_tracked": norm.num_batches_tracked.item(),
    }


def ema():
    """An average over the weights and running statistics of a batch normalisation."""
    norm = nn.BatchNorm2d(3)
    average = AveragedModel(norm, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for step in range(STEPS):
        with torch.no_grad():
            norm.weight.copy_(wave(3, step))
            norm.running_mean.copy_(wave(3, step + 0.5))
        average.update_parameters(norm)
    return {
        "decay": 0.9,
        "weight": numbers(average.module.weight),
        "running_mean": numbers(average.module.running_mean),
    }


def initialisation():
    """Mean over twenty draws of the standard deviation and of the largest value."""
    layers = {
        "conv": (lambda: nn.Conv2d(64, 128, 3), [128, 64, 3, 3]),
        "linear": (lambda: nn.Linear(3200, 256), [256, 3200]),
    }
    result = {}
    for name, (make, shape) in layers.items():
        torch.manual_seed(0)
        draws = [make() for _ in range(20)]
        mean = lambda values: sum(values) / len(values)
        result[name] = {
            "shape": shape,
            "weight_deviation": mean([layer.weight.std().item() for layer in draws]),
            "weight_largest": mean([layer.weight.abs().max().item() for layer in draws]),
            "bias_deviation": mean([layer.bias.std().item() for layer in draws]),
        }
    return result


# The residual networks, built here from their descriptions.


class PreActBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False))

    def forward(self, x):
        x = F.relu(self.bn1(x))
        return self.conv2(F.relu(self.bn2(self.conv1(x)))) + self.shortcut(x)


class PreActResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for number, (outputs, stride) in enumerate([(64, 1), (128, 2), (256, 2), (512, 2)], 1):
            blocks = PreActBlock(inputs, outputs, stride), PreActBlock(outputs, outputs, 1)
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            inputs = outputs
        self.linear = nn.Linear(512, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.linear(F.avg_pool2d(x, 4).flatten(1))


class Unit(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class FastResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.prep = Unit(3, 64)
        self.layer1 = Unit(64, 128)
        self.residual1 = nn.Sequential(Unit(128, 128), Unit(128, 128))
        self.layer2 = Unit(128, 256)
        self.layer3 = Unit(256, 512)
        self.residual3 = nn.Sequential(Unit(512, 512), Unit(512, 512))
        self.linear = nn.Linear(512, 10)

    def forward(self, x):
        x = F.max_pool2d(self.layer1(self.prep(x)), 2)
        x = x + self.residual1(x)
        x = F.max_pool2d(self.layer2(x), 2)
        x = F.max_pool2d(self.layer3(x), 2)
        x = x + self.residual3(x)
        return self.linear(F.max_pool2d(x, 4).flatten(1)) * 0.125


def fill(net):
    """Gives each tensor values that depend on its name and shape alone."""
    for name, tensor in net.state_dict().items():
        if not tensor.is_floating_point():
            continue
        values = wave(tensor.numel(), sum(name.encode())).reshape(tensor.shape)
        if tensor.dim() > 1:
            values = values * math.sqrt(2 / tensor[0].numel())
        else:
            values = values * 0.1 + (1 if name.endswith(("bn1.weight", "bn2.weight", "bn.weight", "_var")) else 0)
        tensor.copy_(values)


def networks():
    result = {}
    images = wave(4 * 3 * 32 * 32, 5).reshape(4, 3, 32, 32)
    for name, make in [("preact-resnet18", PreActResNet18), ("fast-resnet", FastResNet)]:
        net = make()
        with torch.no_grad():
            fill(net)
            evaluation = net.eval()(images)
            training = net.train()(images)
        result[name] = {
            "tensors": {key: list(value.shape) for key, value in net.state_dict().items()},
            "evaluation": numbers(evaluation),
            "training": numbers(training),
            "parameters": sum(parameter.numel() for parameter in net.parameters()),
        }
    return result


class Scripted(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.dropout = nn.Dropout(0.1)
        self.frozen = nn.Linear(16, 16).requires_grad_(False)
        self.head = nn.Linear(16, 10)
        self.register_buffer("mean_score", torch.zeros(10))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = self.dropout(self.frozen(x.mean([2, 3])))
        scores = self.head(x)
        if self.training:
            self.mean_score = 0.9 * self.mean_score + 0.1 * scores.detach().mean(0)
        return scores


class Pairs(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 10)

    def forward(self, x):
        return self.head(x.mean([2, 3]))[: x.size(0) // 2 * 2]


def scripted(net, name):
    """Writes the network of formula weights without the paths of the machine that it was made on."""
    with torch.no_grad():
        fill(net)
    net = torch.jit.script(net.eval())
    whole = io.BytesIO()
    torch.jit.save(net, whole)
    with zipfile.ZipFile(whole) as entries, zipfile.ZipFile(Path(__file__).with_name(name), "w") as file:
        for entry in entries.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                file.writestr(entry, entries.read(entry))
    return net


def script():
    scripted(Pairs(), "pairs.pt")
    net = scripted(Scripted(), "network.pt")
    images = wave(4 * 3 * 32 * 32, 5).reshape(4, 3, 32, 32)
    return {
        "tensors": {key: list(value.shape) for key, value in net.state_dict().items()},
        "evaluation": numbers(net(images)),
    }


def main():
    parts = [optimizers, schedules, losses, batch_norm, ema, initialisation, networks, script]
    result = {"torch": torch.__version__.split("+")[0]} | {part.__name__: part() for part in parts}
    text = json.dumps(result, separators=(",", ":"))
    Path(__file__).with_suffix(".json").write_text(text.replace("},", "},\n") + "\n")


if __name__ == "__main__":
    main()
