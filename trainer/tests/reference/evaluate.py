"""Makes evaluate.json: what PyTorch says of scores and of a network under FGSM.

    pip install torch==2.11.0 torchmetrics==1.8.2 numpy
    python evaluate.py > evaluate.json

The network's weights and the images are made by number, here and in evaluate/reference.rs alike, so that
they need not be written down.
"""

import json

import numpy as np
import torch
from torch.nn.functional import conv2d, cross_entropy, linear, max_pool2d, relu
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error

torch.set_num_threads(1)


def noise(count, salt):
    """`count` numbers of 0 to 1, the same for the same salt."""
    position = np.arange(count, dtype=np.uint64) + np.uint64(salt * 1_000_003)
    mixed = position * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(40)).astype(np.float64) / 2**24


def case(name, scores, labels):
    scores, labels = torch.tensor(scores, dtype=torch.float32), torch.tensor(labels)
    classes = scores.shape[1]
    return {
        "name": name,
        "scores": [[round(score, 3) for score in row] for row in scores.tolist()],
        "labels": labels.tolist(),
        "accuracy": multiclass_accuracy(scores, labels, classes, average="micro").item(),
        "negative_log_likelihood": cross_entropy(scores.double(), labels).item(),
        "expected_calibration_error": multiclass_calibration_error(scores, labels, classes, n_bins=15).item(),
    }


def cases():
    for name, classes, scale in [("unsure", 10, 2.0), ("sure", 10, 12.0), ("two classes", 2, 6.0)]:
        rows = 64
        scores = np.round((noise(rows * classes, len(name)) - 0.5) * scale, 3).reshape(rows, classes)
        labels = np.where(noise(rows, 7) < 0.6, scores.argmax(1), (noise(rows, 8) * classes).astype(int))
        yield case(name, scores.tolist(), labels.tolist())
    # A confidence of 1/3 is the border of two bins; one of exactly 1 has a bin of its own.
    edges = [[0, 0, 0], [0, 0, 0], [100, 0, 0], [0, 100, 0], [9, 0, 0], [1, 2, 3], [8, 7, 0], [0, 0, 16]]
    yield case("edges", edges, [0, 1, 0, 0, 2, 2, 0, 2])


def network():
    shapes = {
        "conv1": (64, 3, 3, 3),
        "conv2": (64, 64, 3, 3),
        "conv3": (128, 64, 3, 3),
        "conv4": (128, 128, 3, 3),
        "fc1": (256, 3200),
        "fc2": (10, 256),
    }
    weights = {}
    for salt, (name, shape) in enumerate(shapes.items()):
        count, fan_in = int(np.prod(shape)), int(np.prod(shape[1:]))
        values = (noise(count, salt) - 0.5) * 2 * np.sqrt(6 / fan_in)
        weights[name] = torch.tensor(values.reshape(shape), dtype=torch.float32)

    def forward(x):
        x = relu(conv2d(x, weights["conv1"]))
        x = max_pool2d(relu(conv2d(x, weights["conv2"])), 2)
        x = relu(conv2d(x, weights["conv3"]))
        x = max_pool2d(relu(conv2d(x, weights["conv4"])), 2)
        return linear(relu(linear(x.flatten(1), weights["fc1"])), weights["fc2"])

    return forward


def attack():
    rows = 16
    forward = network()
    pixels = (noise(rows * 32 * 32 * 3, 99) * 256).astype(np.uint8).reshape(rows, 32, 32, 3)
    images = (torch.tensor(pixels).float() / 255 - 0.5) / 0.5
    images = images.permute(0, 3, 1, 2).requires_grad_()
    labels = forward(images).argmax(1)
    loss = cross_entropy(forward(images), labels)
    (gradient,) = torch.autograd.grad(loss, images)
    attacks = []
    for epsilon in [1.0, 4.0, 16.0]:
        moved = (images + gradient.sign() * epsilon / 255 / 0.5).clamp(-1, 1).detach()
        scores = forward(moved)
        right = (scores.argmax(1) == labels).sum().item()
        attacks.append({"epsilon": epsilon, "loss": cross_entropy(scores, labels).item(), "correct": right})
    return {"labels": labels.tolist(), "clean_loss": loss.item(), "attacks": attacks}


print(json.dumps({"cases": list(cases()), "attack": attack()}))
