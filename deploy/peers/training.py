"""The same short training of photographs by mixfeed-trainer and by PyTorch: `training.py TRAINER SET`, SET/{train,test}/CLASS/*.jpg.

A ResNet-18 of torchvision, exported as TorchScript with the weights of its seed, so that both begin with the same; random resized
crop and flip, batches of 32, Adam 1e-3, cross-entropy. Evaluation: shorter side to SIZE * 8 / 7, centre crop. What differs is the draws, so
that losses agree within their noise over seeds and not to the digit. PyTorch reads by a DataLoader over torchvision's ImageFolder and v1
transforms. Prints losses and accuracy of each seed, and both sides' means with their standard deviations.
"""

import argparse
import csv
import statistics
import subprocess
import tempfile
from pathlib import Path

import torch
import torchvision
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision import transforms as t

BATCH = 32
RATE = 1e-3
# What mixfeed-trainer normalises by unless the run says otherwise is measured from the training images; the same is done here.
SAMPLED = 256


def network(classes, seed):
    torch.manual_seed(seed)
    return torchvision.models.resnet18(num_classes=classes)


def ours(args, model, seed, folder):
    command = [args.trainer, "train", "--data", args.data, "--model", model, "--preset", "article", "--mixup-prob", "0"]
    command += ["--image-size", str(args.size), "--resized-crop", "0.08", "--flip-prob", "0.5", "--epochs", str(args.epochs)]
    command += ["--batch-size", str(BATCH), "--lr", str(RATE), "--seed", str(seed), "--threads", str(args.threads)]
    subprocess.run([*command, "--output", str(folder), "--overwrite", "--log", "warn"], check=True, stdout=subprocess.DEVNULL)
    with open(folder / "metrics.csv", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    return float(last["train_loss"]), float(last["test_loss"]), float(last["test_accuracy"])


def theirs(args, model, seed, mean, deviation):
    torch.manual_seed(1000 + seed)
    torch.set_num_threads(args.threads)
    ending = [t.ToTensor(), t.Normalize(mean, deviation)]
    seen = t.Compose([t.RandomResizedCrop(args.size, antialias=True), t.RandomHorizontalFlip(), *ending])
    shown = t.Compose([t.Resize(args.size * 8 // 7, antialias=True), t.CenterCrop(args.size), *ending])
    train = DataLoader(ImageFolder(Path(args.data) / "train", seen), BATCH, shuffle=True)
    test = DataLoader(ImageFolder(Path(args.data) / "test", shown), BATCH)
    net = torch.jit.load(model)
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    for _ in range(args.epochs):
        net.train()
        total = 0.0
        for images, labels in train:
            loss = torch.nn.functional.cross_entropy(net(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
    net.eval()
    test_loss = right = 0.0
    with torch.no_grad():
        for images, labels in test:
            scores = net(images)
            test_loss += torch.nn.functional.cross_entropy(scores, labels, reduction="sum").item()
            right += (scores.argmax(1) == labels).sum().item()
    return total / len(train.dataset), test_loss / len(test.dataset), right / len(test.dataset)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trainer")
    parser.add_argument("data")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    plain = ImageFolder(Path(args.data) / "train", t.Compose([t.Resize((args.size, args.size)), t.ToTensor()]))
    step = max(1, len(plain) // SAMPLED)
    pixels = torch.stack([plain[i][0] for i in range(0, len(plain), step)])
    mean, deviation = pixels.mean((0, 2, 3)).tolist(), pixels.std((0, 2, 3)).tolist()

    results = {"mixfeed": [], "PyTorch": []}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.seeds):
            model = str(Path(folder) / f"resnet18-{seed}.pt")
            torch.jit.script(network(len(plain.classes), seed)).save(model)
            results["mixfeed"].append(ours(args, model, seed, Path(folder) / f"run-{seed}"))
            results["PyTorch"].append(theirs(args, model, seed, mean, deviation))
            for side, found in results.items():
                print(f"seed {seed} {side:8} train loss {found[-1][0]:.4f}, test loss {found[-1][1]:.4f}, accuracy {found[-1][2]:.4f}", flush=True)
    for side, found in results.items():
        columns = [f"{statistics.mean(each):.4f} ± {statistics.stdev(each):.4f}" for each in zip(*found)]
        print(f"{side:8} train loss {columns[0]}, test loss {columns[1]}, accuracy {columns[2]}")


if __name__ == "__main__":
    main()
