"""The article's recipe in PyTorch, beside which the trainer's figures are put.

    pip install torch==2.11.0 numpy
    python article.py data/cifar-10-batches-bin --epochs 30 --seed 0                  # with mixup
    python article.py data/cifar-10-batches-bin --epochs 30 --seed 0 --mixup-prob 0   # without

Four convolutions and two linear layers, Adam at 0.001, batches of 128, soft-target cross-entropy, pixels
scaled to -1 to 1, no augmentation; each image is mixed with a chance of one in five with any other
of the set, with a lambda of its own from Beta(0.2, 0.2). Prints a line of JSON for each epoch: mean training
loss and accuracy on the whole test split.
"""

import argparse
import json
import pathlib
import time

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot


def read(folder, names):
    records = np.concatenate([np.fromfile(folder / name, np.uint8).reshape(-1, 3073) for name in names])
    return torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy()), torch.from_numpy(records[:, 0].astype(np.int64))


def network():
    return nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3), nn.ReLU(), nn.Conv2d(128, 128, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3200, 256), nn.ReLU(), nn.Linear(256, 10),
    )  # fmt: skip


def normalised(pixels):
    return pixels.float() / 127.5 - 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--limit", type=int, help="only the first N training images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mixup-alpha", type=float, default=0.2)
    parser.add_argument("--mixup-prob", type=float, default=0.2)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    random = np.random.default_rng(args.seed)

    images, labels = read(args.data, [f"data_batch_{number}.bin" for number in range(1, 6)])
    images, labels = images[: args.limit], labels[: args.limit]
    test_images, test_labels = read(args.data, ["test_batch.bin"])
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for epoch in range(1, args.epochs + 1):
        start, total = time.monotonic(), 0.0
        for rows in torch.from_numpy(random.permutation(len(images))).split(128):
            partners = torch.from_numpy(random.integers(len(images), size=len(rows)))
            mixed = random.random(len(rows)) < args.mixup_prob
            weight = np.where(mixed, random.beta(args.mixup_alpha, args.mixup_alpha, len(rows)), 1.0)
            weight = torch.from_numpy(weight).float()[:, None]
            batch = normalised(images[rows]) * weight[..., None, None]
            batch += normalised(images[partners]) * (1 - weight[..., None, None])
            targets = one_hot(labels[rows], 10) * weight + one_hot(labels[partners], 10) * (1 - weight)
            loss = cross_entropy(net(batch), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        seconds = time.monotonic() - start
        with torch.no_grad():
            chosen = torch.cat([net(normalised(part)).argmax(1) for part in test_images.split(500)])
        accuracy = (chosen == test_labels).float().mean().item()
        result = {"epoch": epoch, "train_loss": total / len(images), "test_accuracy": accuracy}
        print(json.dumps({**result, "images_per_second": len(images) / seconds}), flush=True)


main()
