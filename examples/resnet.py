"""Trains a residual network on handwritten digits or on Fashion-MNIST.

    python examples/resnet.py                                    # the bundled digits, in a minute
    python examples/resnet.py --fashion /usr/share/datasets/fashion-mnist --epochs 3
    python examples/resnet.py --summary
    python examples/resnet.py --help

Each block adds the output of two convolutions to its input, which lets networks grow deep (He, Zhang, Ren, Sun
2015). `--fashion` names the folder of Fashion-MNIST's four files, to be used instead of the 1,797 digits. At the end
the script writes the weights to runs/.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from tqdm import tqdm

import tinygrad_lite as tg
from tinygrad_lite import nn
from tinygrad_lite.datasets import FashionMNIST, digits
from tinygrad_lite.utils.data import DataLoader, TensorDataset


def options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fashion", type=Path, help="folder of Fashion-MNIST (default: use the bundled digits)")
    parser.add_argument("--blocks", type=int, default=2, help="blocks in each of the three stages (%(default)s)")
    parser.add_argument("--width", type=int, default=16, help="channels in the first stage (%(default)s)")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training images (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=64, help="images per update (%(default)s)")
    parser.add_argument("--lr", type=float, default=0.1, help="peak learning rate (%(default)s)")
    parser.add_argument("--summary", action="store_true", help="print the layers and stop")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and of the sample order (%(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the weights (%(default)s)")
    return parser.parse_args(arguments)


def convolution(channels, out, stride=1):
    return [nn.Conv2d(channels, out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(out)]


class Block(nn.Module):
    """relu(shortcut(x) + convolutions(x)): (N, channels, H, W) -> (N, out, H / stride, W / stride)."""

    def __init__(self, channels, out, stride):
        super().__init__()
        self.convolutions = nn.Sequential(*convolution(channels, out, stride), nn.ReLU(), *convolution(out, out))
        self.shortcut = nn.Sequential()
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        nn.init.zeros_(self.convolutions[-1].weight)  # each block starts as its shortcut alone

    def forward(self, x):
        return nn.functional.relu(self.shortcut(x) + self.convolutions(x))


def network(width, blocks, classes=10):
    """Three stages; each doubles the channels and halves the image."""
    layers, channels = [*convolution(1, width), nn.ReLU()], width
    for stage in range(3):
        for i in range(blocks):
            out = width * 2**stage
            layers.append(Block(channels, out, stride=2 if stage and not i else 1))
            channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def images(folder):
    """Training images (N, 1, H, W) and labels, then test images and labels."""
    if folder is None:
        x, y, x_test, y_test = digits()
        return x.reshape(-1, 1, 8, 8), y, x_test.reshape(-1, 1, 8, 8), y_test
    train, test = (FashionMNIST(folder, train) for train in (True, False))
    return train.images, train.labels, test.images, test.labels


@tg.no_grad()
def accuracy(model, x, y, batch=500):
    model.eval()
    right = sum((model(x[i : i + batch]).argmax(dim=1) == y[i : i + batch]).sum().item() for i in range(0, len(x), batch))
    model.train()
    return right / len(x)


def main(arguments=None):
    o = options(arguments)
    tg.manual_seed(o.seed)
    x, y, x_test, y_test = (part.to(o.device) for part in images(o.fashion))
    model = network(o.width, o.blocks).to(o.device)
    if o.summary:
        print(nn.summary(model, (1, *x.shape[1:])))
        return None
    loader = DataLoader(TensorDataset(x, y), batch_size=o.batch_size, shuffle=True)
    optimizer = tg.optim.SGD(model.parameters(), lr=o.lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = tg.optim.lr_scheduler.OneCycleLR(optimizer, o.lr, epochs=o.epochs, steps_per_epoch=len(loader), cycle_momentum=False)
    start = time.perf_counter()
    for epoch in range(1, o.epochs + 1):
        total = 0.0
        for some, labels in tqdm(loader, desc=f"epoch {epoch}", unit="batch", leave=False):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(some), labels)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(labels)
        right = accuracy(model, x_test, y_test)
        tqdm.write(f"epoch {epoch:3}   loss {total / len(x):.4f}   test {right:.2%}")
    print(f"{time.perf_counter() - start:.1f} s for {o.epochs} epochs; test accuracy {right:.2%}")
    o.out.mkdir(parents=True, exist_ok=True)
    tg.save(model.state_dict(), o.out / "resnet.npz")
    return right


if __name__ == "__main__":
    main()
