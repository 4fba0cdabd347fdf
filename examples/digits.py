"""Trains an MLP of three layers on handwritten digits.

    python examples/digits.py                  # 97 % correct, in a few seconds
    python examples/digits.py --optimizer adam --lr 0.002
    python examples/digits.py --help

The data are 1,797 scans of 8 by 8 pixels that come with the library; every fifth scan of each digit is held out
for testing. The script prints the accuracies of each epoch. At the end it writes a picture (loss, accuracy and the
misclassified digits) and the weights to runs/.
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
from tinygrad_lite.datasets import digits
from tinygrad_lite.utils.data import DataLoader, TensorDataset

OPTIMIZERS = {
    "sgd": lambda parameters, o: tg.optim.SGD(parameters, lr=o.lr, momentum=o.momentum),
    "nesterov": lambda parameters, o: tg.optim.SGD(parameters, lr=o.lr, momentum=o.momentum, nesterov=True),
    "adam": lambda parameters, o: tg.optim.Adam(parameters, lr=o.lr),
    "adamw": lambda parameters, o: tg.optim.AdamW(parameters, lr=o.lr),
}


def options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30, help="passes over the training digits (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=32, help="digits per update (%(default)s)")
    parser.add_argument("--lr", type=float, default=0.05, help="learning rate (%(default)s)")
    parser.add_argument("--momentum", type=float, default=0.9, help="for sgd and nesterov (%(default)s)")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="sgd", help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and of the sample order (%(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the picture and the weights (%(default)s)")
    return parser.parse_args(arguments)


def network():
    return nn.Sequential(
        nn.Linear(64, 256),  # a digit is a row of 64 gray values
        nn.ReLU(),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Linear(128, 10),  # ten logits
    )


@tg.no_grad()
def accuracy(model, images, labels):
    """The share of `images` (N, 64) whose largest logit is at their label."""
    model.eval()
    right = (model(images).argmax(dim=1) == labels).float().mean().item()
    model.train()
    return right


def train(model, data, held_back, o):
    """Train, and return (loss, accuracy on `data`, accuracy on `held_back`) after each epoch."""
    criterion = nn.CrossEntropyLoss()
    optimizer = OPTIMIZERS[o.optimizer](model.parameters(), o)
    loader = DataLoader(data, batch_size=o.batch_size, shuffle=True)
    history = []
    bar = tqdm(range(1, o.epochs + 1), unit="epoch")
    for epoch in bar:
        total = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
        history.append((total / len(data), accuracy(model, *data.tensors), accuracy(model, *held_back.tensors)))
        bar.set_postfix(loss=f"{history[-1][0]:.3f}")
        tqdm.write(f"epoch {epoch:3}   loss {history[-1][0]:.4f}   train {history[-1][1]:.2%}   test {history[-1][2]:.2%}")
    return history


@tg.no_grad()
def picture(model, history, held_back, path):
    """Loss and accuracy by epoch, and below them the misclassified test digits."""
    images, labels = held_back.tensors
    read = model.eval()(images).argmax(dim=1)
    wrong = (read != labels).nonzero().flatten().tolist()
    columns = 10
    rows = max(1, -(-min(len(wrong), 40) // columns))
    figure = plt.figure(figsize=(9, 3.2 + 1.15 * rows), layout="constrained")
    curves, below = figure.subfigures(2, 1, height_ratios=[3.2, 1.15 * rows])
    left, right = curves.subplots(1, 2)
    epochs = range(1, len(history) + 1)
    losses, on_train, on_test = zip(*history)
    left.plot(epochs, losses)
    left.set(title="training loss", xlabel="epoch", ylabel="cross-entropy (nats)", yscale="log")
    right.plot(epochs, on_train, label="train")
    right.plot(epochs, on_test, label=f"test, {on_test[-1]:.1%} at the end")
    right.set(title="accuracy", xlabel="epoch", ylim=(min(0.85, *on_test), 1.005))
    right.legend(loc="lower right")
    below.suptitle(f"{len(wrong)} of {len(labels)} test digits are misclassified", fontsize="medium")
    for axis, i in zip(below.subplots(rows, columns, squeeze=False).flat, wrong + [None] * rows * columns):
        axis.axis("off")
        if i is not None:
            axis.imshow(images[i].cpu().numpy().reshape(8, 8), cmap="gray_r")
            axis.set_title(f"{labels[i].item()} as {read[i].item()}", fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(arguments=None):
    o = options(arguments)
    tg.manual_seed(o.seed)
    x, y, x_test, y_test = (part.to(o.device) for part in digits())
    data, held_back = TensorDataset(x, y), TensorDataset(x_test, y_test)
    model = network().to(o.device)
    start = time.perf_counter()
    history = train(model, data, held_back, o)
    print(f"{time.perf_counter() - start:.1f} s for {o.epochs} epochs; test accuracy {history[-1][2]:.2%}")
    o.out.mkdir(parents=True, exist_ok=True)
    picture(model, history, held_back, o.out / "digits.png")
    tg.save(model.state_dict(), o.out / "digits.npz")
    print(f"curves and mistakes: {o.out / 'digits.png'}   weights: {o.out / 'digits.npz'}")
    return history[-1][2]


if __name__ == "__main__":
    main()
