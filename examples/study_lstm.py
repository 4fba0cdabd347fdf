"""Vanishing gradients in an LSTM: how much of the gradient arrives how far back in time, and what holds it up.

    python examples/study_lstm.py
    python examples/study_lstm.py --steps 100 --bias 0 1 2 4

For each bias of the forget gate it records one step, and prints the norm of the gradient of the cell state at the last and at the
first time step, and what `study.explain` says about the latter; and it draws the norms to runs/lstm.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import tinygrad_lite as tg
from tinygrad_lite import nn, study


class Reader(nn.Module):
    """An LSTM that reads a sequence and gives its last output."""

    def __init__(self, inputs: int, hidden: int, bias: float):
        super().__init__()
        self.cell = nn.LSTMCell(inputs, hidden)
        with tg.no_grad():
            self.cell.bias_ih[hidden : 2 * hidden] = bias  # the gates are i, f, g, o

    def forward(self, x, start):
        h, c = tg.zeros_like(start), start
        for x_t in x:
            h, c = self.cell(x_t, (h, c))
        return h


def recorded(model: Reader, x, start) -> study.Tape:
    with study.record(model) as tape:
        model(x, start).square().mean().backward()
    return tape


def norms_over_time(tape: study.Tape) -> list[float]:
    """The norm of what has arrived at the cell state of each time step."""
    arrived = {step.entry: step.cotangent for step in tape.passes[0].steps}
    return [float(np.linalg.norm(arrived[entry.number].array)) for entry in tape if entry.name == "c"]


def main(arguments: list[str] | None = None) -> dict[float, tuple[float, str]]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=50, help="length of the sequence")
    parser.add_argument("--bias", type=float, nargs="+", default=[0.0, 1.0, 3.0], help="of the forget gate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the picture")
    options = parser.parse_args(arguments)
    tg.manual_seed(options.seed)
    x, start = tg.randn(options.steps, 8, 4), tg.randn(8, 16, requires_grad=True)

    found = {}
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    for bias in options.bias:
        tape = recorded(Reader(4, 16, bias), x, start)
        norms, why = norms_over_time(tape), study.explain("start", tape)
        found[bias] = norms[0] / norms[-1], why.cause
        print(f"forget bias {bias:g}: {norms[-1]:.1e} at the last step, {norms[0]:.1e} at the first; {why.cause or 'nothing wrong'}")
        for cause in why.causes:
            print(f"    {cause.text}\n    {cause.place}: {cause.source}")
        axis.semilogy(norms, label=f"forget bias {bias:g}")
    axis.set(xlabel="time step", ylabel="norm of the gradient of c")
    axis.legend()
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "lstm.png")
    print("picture:", options.out / "lstm.png")
    return found


if __name__ == "__main__":
    main()
