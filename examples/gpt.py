"""Trains a small character-level GPT.

    python examples/gpt.py                       # on the bundled novel, in a few minutes
    python examples/gpt.py --text my.txt --steps 5000 --width 192
    python examples/gpt.py --help

The architecture is GPT's (Radford et al. 2018, 2019): embeddings of characters and positions, then blocks of causal
attention and an MLP with a residual connection around each, then logits for the next character. The bundled text is
Jane Austen's Persuasion (see persuasion.md). Its last tenth is held back from training; the script prints the loss
on it in nats per character. At the end the model generates a page of text, and the script writes a picture of the
losses and the weights to runs/.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draw to a file, not to a window
import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

import tinygrad_lite as tg
from tinygrad_lite import nn
from tinygrad_lite.nn import functional as F

NOVEL = Path(__file__).with_name("persuasion.txt")


def options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, default=NOVEL, help="text file to train on (default: the bundled novel)")
    parser.add_argument("--steps", type=int, default=1500, help="updates (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="sequences per update (%(default)s)")
    parser.add_argument("--context", type=int, default=64, help="characters that the model attends to (%(default)s)")
    parser.add_argument("--layers", type=int, default=4, help="blocks (%(default)s)")
    parser.add_argument("--heads", type=int, default=4, help="attention heads in a block (%(default)s)")
    parser.add_argument("--width", type=int, default=128, help="size of a character's embedding (%(default)s)")
    parser.add_argument("--dropout", type=float, default=0.0, help="dropout probability (%(default)s)")
    parser.add_argument("--lr", type=float, default=2e-3, help="peak learning rate of AdamW (%(default)s)")
    parser.add_argument("--characters", type=int, default=600, help="characters to generate at the end (%(default)s)")
    parser.add_argument("--temperature", type=float, default=0.7, help="sampling temperature (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights, batches and samples (%(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the picture and the weights (%(default)s)")
    return parser.parse_args(arguments)


class Attention(nn.Module):
    """Causal self-attention: (N, T, width) -> (N, T, width)."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        n, t, width = x.shape
        # (N, T, 3 width) -> three of (N, heads, T, width / heads)
        q, k, v = self.queries_keys_values(x).reshape(n, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout * self.training, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(n, t, width))


class Block(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        x = x + self.drop(self.attention(self.norm1(x)))
        return x + self.drop(self.perceptron(self.norm2(x)))


class GPT(nn.Module):
    """Characters (N, T) -> logits (N, T, characters) for the next one at each position."""

    def __init__(self, characters, context, layers, heads, width, dropout=0.0):
        super().__init__()
        self.context = context
        self.character = nn.Embedding(characters, width)
        self.place = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[Block(width, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.scores = nn.Linear(width, characters, bias=False)
        self.scores.weight = self.character.weight  # one matrix embeds and unembeds
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:  # smaller where a residual branch ends, since these add up over the layers
                ends_a_branch = name.endswith(("out.weight", "perceptron.2.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * layers) if ends_a_branch else 0.02)

    def forward(self, characters):
        places = tg.arange(characters.shape[1], device=characters.device)
        return self.scores(self.norm(self.blocks(self.character(characters) + self.place(places))))

    def loss(self, pieces):
        """The mean cross-entropy of each character of `pieces` (N, T + 1) given those before it."""
        return F.cross_entropy(self(pieces[:, :-1]).flatten(0, 1), pieces[:, 1:].flatten())

    @tg.no_grad()
    def write(self, characters, count, temperature=1.0):
        """`characters` (1, T) and `count` more, sampled one after another. A lower temperature favours likely ones."""
        self.eval()
        for _ in tqdm(range(count), desc="writing", unit="char", leave=False):
            scores = self(characters[:, -self.context :])[:, -1] / temperature
            characters = tg.cat([characters, tg.multinomial(scores.softmax(dim=-1), 1)], dim=1)
        self.train()
        return characters


def pieces_at(text, starts, length):
    """The sequences (N, length) of `text` (characters,) that begin at `starts` (N,)."""
    return text[starts[:, None] + tg.arange(length, device=text.device)]


@tg.no_grad()
def held_back_loss(model, text, pieces=256):
    """The mean loss on sequences spread evenly over a text, 64 at a time."""
    model.eval()
    starts = tg.linspace(0, len(text) - model.context - 1, pieces).long().to(text.device)
    losses = [model.loss(pieces_at(text, some, model.context + 1)).item() for some in starts.split(64)]
    model.train()
    return sum(losses) / len(losses)


def train(model, text, held_back, o):
    """Train, and return the loss of every step and ten checks [(step, loss on `held_back`)]."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = tg.optim.AdamW(groups, lr=o.lr, betas=(0.9, 0.99))
    schedule = tg.optim.lr_scheduler.OneCycleLR(optimizer, o.lr, total_steps=o.steps, pct_start=0.1, cycle_momentum=False)
    losses, checks = [], []
    bar = tqdm(range(1, o.steps + 1), unit="step")
    for step in bar:
        starts = tg.randint(len(text) - o.context, (o.batch_size,), device=text.device)
        optimizer.zero_grad()
        loss = model.loss(pieces_at(text, starts, o.context + 1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
        if step % max(1, o.steps // 10) == 0:
            checks.append((step, held_back_loss(model, held_back)))
            tqdm.write(f"step {step:5}   loss {np.mean(losses[-50:]):.4f}   held back {checks[-1][1]:.4f}")
    return losses, checks


def picture(losses, checks, path):
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    axis.plot(range(1, len(losses) + 1), losses, linewidth=0.5, alpha=0.6, label="training, each step")
    axis.plot(*zip(*checks), marker=".", label=f"held back, {checks[-1][1]:.3f} at the end")
    axis.set(title="loss", xlabel="step", ylabel="nats per character")
    axis.legend()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main(arguments=None):
    o = options(arguments)
    tg.manual_seed(o.seed)
    written = o.text.read_text(encoding="utf-8")
    alphabet = sorted(set(written))
    number_of = {character: i for i, character in enumerate(alphabet)}
    text = tg.tensor([number_of[character] for character in written], device=o.device)
    cut = len(text) * 9 // 10
    model = GPT(len(alphabet), o.context, o.layers, o.heads, o.width, o.dropout).to(o.device)
    count = sum(p.numel() for p in model.parameters())
    print(f"{len(text):,} characters, {len(alphabet)} of them distinct; {count:,} weights")
    start = time.perf_counter()
    losses, checks = train(model, text[:cut], text[cut:], o)
    print(f"{time.perf_counter() - start:.0f} s for {o.steps} steps; {checks[-1][1]:.4f} nats per character held back\n")
    page = model.write(tg.tensor([[number_of.get("\n", 0)]], device=o.device), o.characters, o.temperature)
    print("".join(alphabet[i] for i in page[0].tolist()).strip(), "\n")
    o.out.mkdir(parents=True, exist_ok=True)
    picture(losses, checks, o.out / "gpt.png")
    tg.save(model.state_dict(), o.out / "gpt.npz")
    print(f"losses: {o.out / 'gpt.png'}   weights: {o.out / 'gpt.npz'}")
    return checks[-1][1]


if __name__ == "__main__":
    main()
