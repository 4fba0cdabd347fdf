"""Trains a variational autoencoder that maps handwritten digits to a plane.

    python examples/vae.py                      # half a minute
    python examples/vae.py --epochs 200
    python examples/vae.py --help

The encoder maps each digit (8 by 8 pixels, bundled with the library) to a normal distribution on the plane, and the
decoder maps a point of the plane to the brightness of the pixels. The loss is the reconstruction error plus the KL
divergence from the standard normal distribution (Kingma and Welling 2013). Labels are not used. At the end the script
writes a picture and the weights to runs/. The picture shows the position of each test digit, coloured by its label,
and what the decoder draws at the points of a grid.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draw to a file, not to a window
import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

import tinygrad_lite as tg
from tinygrad_lite import nn
from tinygrad_lite.datasets import digits
from tinygrad_lite.nn import functional as F
from tinygrad_lite.utils.data import DataLoader, TensorDataset


def options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=60, help="passes over the training digits (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=32, help="digits per update (%(default)s)")
    parser.add_argument("--lr", type=float, default=0.002, help="learning rate of Adam (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights, batches and samples (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the picture and the weights (%(default)s)")
    return parser.parse_args(arguments)


class VAE(nn.Module):
    def __init__(self, hidden=256):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, hidden // 2), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(hidden // 2, 2), nn.Linear(hidden // 2, 2)
        self.decoder = nn.Sequential(
            nn.Linear(2, hidden // 2), nn.ReLU(), nn.Linear(hidden // 2, hidden), nn.ReLU(), nn.Linear(hidden, 64)
        )

    def encode(self, x):
        """Mean and log-variance, each (N, 2), for images (N, 64)."""
        h = self.encoder(x)
        return self.mean(h), self.log_variance(h)

    def loss(self, x):
        """The negative evidence lower bound, in nats per image of brightness 0 to 1."""
        mean, log_variance = self.encode(x)
        z = mean + (0.5 * log_variance).exp() * tg.randn_like(mean)
        missed = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        strayed = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
        return (missed + strayed) / len(x)


@tg.no_grad()
def picture(model, images, labels, path, count=12):
    """The latent positions of the images, and the decoder's output on a grid of `count` by `count` points."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.6), layout="constrained")
    where = model.encode(images)[0].numpy()
    dots = left.scatter(*where.T, c=labels.numpy(), cmap="tab10", s=8)
    left.legend(*dots.legend_elements(), fontsize="small", loc="upper right")
    left.set(title="latent means of the test digits", aspect="equal", xlim=(-3, 3), ylim=(-3, 3))
    steps = tg.linspace(-2.5, 2.5, count)
    points = tg.stack(tg.meshgrid(steps, steps.flip(0), indexing="xy"), dim=-1)  # first row at the top
    drawn = model.decoder(points.reshape(-1, 2)).sigmoid().numpy().reshape(count, count, 8, 8)
    drawn = np.pad(drawn, ((0, 0), (0, 0), (1, 1), (1, 1)))  # a white border around each image
    sheet = np.swapaxes(drawn, 1, 2).reshape(10 * count, 10 * count)
    right.imshow(sheet, cmap="gray_r", extent=(-2.5, 2.5, -2.5, 2.5))
    right.set(title="decoder output over the plane")
    figure.savefig(path, dpi=90)
    plt.close(figure)


def main(arguments=None):
    o = options(arguments)
    tg.manual_seed(o.seed)
    x, _, x_test, y_test = digits()
    model = VAE()
    optimizer = tg.optim.Adam(model.parameters(), lr=o.lr)
    loader = DataLoader(TensorDataset(x), batch_size=o.batch_size, shuffle=True)
    start = time.perf_counter()
    bar = tqdm(range(1, o.epochs + 1), unit="epoch")
    for epoch in bar:
        total = 0.0
        for (images,) in loader:
            optimizer.zero_grad()
            loss = model.loss(images)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(images)
        with tg.no_grad():
            test = model.loss(x_test).item()
        bar.set_postfix(loss=f"{total / len(x):.2f}")
        if epoch % 10 == 0 or epoch == o.epochs:
            tqdm.write(f"epoch {epoch:3}   loss {total / len(x):.3f}   test {test:.3f}")
    print(f"{time.perf_counter() - start:.1f} s for {o.epochs} epochs; {test:.2f} nats per test digit")
    o.out.mkdir(parents=True, exist_ok=True)
    picture(model, x_test, y_test, o.out / "vae.png")
    tg.save(model.state_dict(), o.out / "vae.npz")
    print(f"picture: {o.out / 'vae.png'}   weights: {o.out / 'vae.npz'}")
    return test


if __name__ == "__main__":
    main()
