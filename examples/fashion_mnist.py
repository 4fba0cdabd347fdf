"""Trains a CNN on Fashion-MNIST: ten classes of clothes.

    python examples/fashion_mnist.py                                   # downloads the images (31 MB) once
    python examples/fashion_mnist.py --data /usr/share/datasets/fashion-mnist
    python examples/fashion_mnist.py --help

The data are 70,000 grayscale images of 28 by 28 pixels (Xiao, Rasul, Vollgraf 2017); 10,000 of them are for
testing. `--data` names the folder of the four files; the second line above is where Debian's package
dataset-fashion-mnist installs them. The learning rate rises and falls once during the run (OneCycleLR). At the end
the script writes a picture (loss, accuracy, confusion matrix) and the weights to runs/.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draw to a file, not to a window
import matplotlib.pyplot as plt
from tqdm import tqdm

import tinygrad_lite as tg
from tinygrad_lite import nn
from tinygrad_lite.datasets import FashionMNIST
from tinygrad_lite.utils.data import DataLoader, Subset


def options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the four files (default: download them to the user's cache)")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training images (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=128, help="images per update (%(default)s)")
    parser.add_argument("--lr", type=float, default=0.004, help="peak learning rate of Adam (%(default)s)")
    parser.add_argument("--limit", type=int, help="use only this many training images")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and of the sample order (%(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the picture and the weights (%(default)s)")
    return parser.parse_args(arguments)


def network():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),  # (N, 1, 28, 28) -> (N, 16, 28, 28)
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),  # -> (N, 32, 14, 14)
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),  # -> (N, 1568)
        nn.Dropout(0.3),
        nn.Linear(32 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


@tg.no_grad()
def read(model, images, batch=1000):
    """The predicted class (N,) of each of `images` (N, 1, 28, 28)."""
    model.eval()
    found = tg.cat([model(images[i : i + batch]).argmax(dim=1) for i in range(0, len(images), batch)])
    model.train()
    return found


def train(model, data, test, o):
    """Train, and return (loss, accuracy on `test`) after each epoch."""
    loader = DataLoader(data, batch_size=o.batch_size, shuffle=True)
    optimizer = tg.optim.Adam(model.parameters(), lr=o.lr)
    schedule = tg.optim.lr_scheduler.OneCycleLR(optimizer, o.lr, epochs=o.epochs, steps_per_epoch=len(loader))
    images, labels = test.images.to(o.device), test.labels.to(o.device)
    history = []
    for epoch in range(1, o.epochs + 1):
        total = 0.0
        for x, y in tqdm(loader, desc=f"epoch {epoch}", unit="batch", leave=False):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x.to(o.device)), y.to(o.device))
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(y)
        right = (read(model, images) == labels).float().mean().item()
        history.append((total / len(data), right))
        tqdm.write(f"epoch {epoch:3}   loss {history[-1][0]:.4f}   test {right:.2%}")
    return history


def picture(model, history, test, o, path):
    """Loss and accuracy by epoch, and the confusion matrix."""
    losses, accuracies = zip(*history)
    epochs = range(1, len(history) + 1)
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained", width_ratios=[1, 1, 1.5])
    left.plot(epochs, losses, marker=".")
    left.set(title="training loss", xlabel="epoch", ylabel="cross-entropy (nats)")
    middle.plot(epochs, [100 * a for a in accuracies], marker=".")
    middle.set(title=f"test accuracy, {accuracies[-1]:.2%} at the end", xlabel="epoch", ylabel="%")
    classes = range(len(test.classes))
    found = read(model, test.images.to(o.device)).cpu()
    counts = tg.bincount(test.labels * len(classes) + found, minlength=len(classes) ** 2).reshape(len(classes), -1)
    right.imshow(counts.numpy() ** 0.5, cmap="Blues")  # square roots, so that rare confusions are visible
    for i in classes:
        for j in classes:
            right.text(j, i, counts[i, j].item(), ha="center", va="center", fontsize=7, color="w" if i == j else "k")
    right.set(title="true class (rows) and predicted class (columns)", xticks=classes, yticks=classes)
    right.set_yticklabels(test.classes, fontsize="small")
    right.set_xticklabels(test.classes, fontsize="small", rotation=60, ha="right")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main(arguments=None):
    o = options(arguments)
    tg.manual_seed(o.seed)
    data, test = (FashionMNIST(o.data, train, download=o.data is None) for train in (True, False))
    model = network().to(o.device)
    start = time.perf_counter()
    history = train(model, data if o.limit is None else Subset(data, range(o.limit)), test, o)
    print(f"{time.perf_counter() - start:.0f} s for {o.epochs} epochs; test accuracy {history[-1][1]:.2%}")
    o.out.mkdir(parents=True, exist_ok=True)
    picture(model, history, test, o, o.out / "fashion_mnist.png")
    tg.save(model.state_dict(), o.out / "fashion_mnist.npz")
    print(f"curves and mistakes: {o.out / 'fashion_mnist.png'}   weights: {o.out / 'fashion_mnist.npz'}")
    return history[-1][1]


if __name__ == "__main__":
    main()
