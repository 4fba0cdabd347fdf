"""Trains a recurrent network on first names, and samples new ones.

    python examples/names_rnn.py                # half a minute
    python examples/names_rnn.py --cell lstm --temperature 0.7
    python examples/names_rnn.py --help

The bundled list has 5,163 names (see names.md). The network reads a name letter by letter and predicts the next
letter or the end. Names differ in length, so batches are packed and no step is spent on padding. Every tenth name is
held back from training; the loss on those is in nats per letter. At the end the script writes the weights to runs/.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from tqdm import tqdm

import tinygrad_lite as tg
from tinygrad_lite import nn
from tinygrad_lite.nn.utils.rnn import pack_sequence

LETTERS = "abcdefghijklmnopqrstuvwxyz"
EDGE = 0  # marks the start and the end of a name
CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=Path, default=Path(__file__).with_name("names.txt"), help="one name per line, letters a to z")
    parser.add_argument("--cell", choices=CELLS, default="gru", help="(%(default)s)")
    parser.add_argument("--hidden", type=int, default=128, help="size of the hidden state (%(default)s)")
    parser.add_argument("--epochs", type=int, default=15, help="passes over the names (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=64, help="names per update (%(default)s)")
    parser.add_argument("--lr", type=float, default=0.004, help="initial learning rate of Adam (%(default)s)")
    parser.add_argument("--temperature", type=float, default=0.8, help="sampling temperature (%(default)s)")
    parser.add_argument("--count", type=int, default=20, help="names to sample (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights, batches and samples (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the weights (%(default)s)")
    return parser.parse_args(arguments)


class Speller(nn.Module):
    """Logits (27,) for what follows each letter of a name."""

    def __init__(self, cell, hidden):
        super().__init__()
        self.letter = nn.Embedding(27, 32)
        self.memory = CELLS[cell](32, hidden)
        self.scores = nn.Linear(hidden, 27)

    def loss(self, names):
        """The mean cross-entropy of each letter and end of `names`, given the letters before it. A name has shape (n + 2,),
        with an edge on both sides."""
        given = pack_sequence([self.letter(name[:-1]) for name in names], enforce_sorted=False)
        wanted = pack_sequence([name[1:] for name in names], enforce_sorted=False)
        out, _ = self.memory(given)
        return nn.functional.cross_entropy(self.scores(out.data), wanted.data)

    @tg.no_grad()
    def invent(self, temperature, longest=20):
        """Sample a name, letter by letter."""
        name, last, state = "", EDGE, None
        while len(name) < longest:
            out, state = self.memory(self.letter(tg.tensor([last])), state)
            last = tg.multinomial((self.scores(out[0]) / temperature).softmax(dim=0), 1).item()
            if last == EDGE:
                break
            name += LETTERS[last - 1]
        return name


def main(arguments=None):
    o = options(arguments)
    tg.manual_seed(o.seed)
    known = o.names.read_text().split()
    names = [tg.tensor([EDGE, *[LETTERS.index(letter) + 1 for letter in name], EDGE]) for name in known]
    held_back, learned = names[::10], [name for i, name in enumerate(names) if i % 10]
    model = Speller(o.cell, o.hidden)
    optimizer = tg.optim.Adam(model.parameters(), lr=o.lr)
    schedule = tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, o.epochs)
    start = time.perf_counter()
    bar = tqdm(range(1, o.epochs + 1), unit="epoch")
    for epoch in bar:
        total = 0.0
        for some in tg.randperm(len(learned)).split(o.batch_size):
            optimizer.zero_grad()
            loss = model.loss([learned[i] for i in some.tolist()])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(some)
        schedule.step()
        with tg.no_grad():
            test = model.loss(held_back).item()
        bar.set_postfix(loss=f"{total / len(learned):.3f}")
        tqdm.write(f"epoch {epoch:3}   loss {total / len(learned):.4f}   held back {test:.4f}")
    print(f"{time.perf_counter() - start:.1f} s for {o.epochs} epochs; {test:.3f} nats per letter held back")
    inventions = [model.invent(o.temperature) for _ in range(o.count)]
    print("invented:", ", ".join(name.title() + "*" * (name in known) for name in inventions), " (* in the list)")
    o.out.mkdir(parents=True, exist_ok=True)
    tg.save(model.state_dict(), o.out / "names_rnn.npz")
    return test


if __name__ == "__main__":
    main()
