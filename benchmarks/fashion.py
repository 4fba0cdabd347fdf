"""Trains the network of examples/fashion_mnist.py in this library and in PyTorch, from several seeds, and plots both.

    python -m benchmarks.fashion --data /usr/share/datasets/fashion-mnist --seeds 3

PyTorch runs the same file with its imports changed. Each run has its own process and one thread, and the two
libraries take turns. Times are processor time, which stays meaningful on a shared machine.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

from benchmarks.frameworks import environment
from tinygrad_lite.datasets import FashionMNIST

ROOT = Path(__file__).parents[1]
LIBRARIES = {"tinygrad_lite": "tinygrad_lite", "torch": "PyTorch"}


def example(library: str) -> dict[str, Any]:
    """The namespace of the example, run with its imports changed."""
    text = (ROOT / "examples" / "fashion_mnist.py").read_text()
    for line in ("import tinygrad_lite as", "from tinygrad_lite import nn", "from tinygrad_lite.utils.data"):
        assert line in text, line
        text = text.replace(line, line.replace("tinygrad_lite", library))
    names = types.ModuleType("example").__dict__
    exec(text, names)
    return names


def run(library: str, data: str, seed: int, epochs: int) -> dict[str, Any]:
    """Train once in this process: (loss, test accuracy) of each epoch, and the processor time in seconds."""
    tensors, names = importlib.import_module(library), example(library)
    if library == "torch":
        tensors.set_num_threads(1)
    read = [FashionMNIST(data, train) for train in (True, False)]
    parts = [[tensors.from_numpy(part.numpy()) for part in dataset.tensors] for dataset in read]
    test = types.SimpleNamespace(images=parts[1][0], labels=parts[1][1])
    options = names["options"](["--epochs", str(epochs), "--seed", str(seed)])
    tensors.manual_seed(seed)
    model = names["network"]()
    start = time.process_time()
    data = importlib.import_module(f"{library}.utils.data").TensorDataset(*parts[0])
    history = names["train"](model, data, test, options)
    return {"library": library, "seed": seed, "history": history, "seconds": time.process_time() - start}


def picture(results: list[dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for colour, (library, label) in zip(("C0", "C1"), LIBRARIES.items()):
        for i, result in enumerate(r for r in results if r["library"] == library):
            losses, accuracies = zip(*result["history"])
            epochs = range(1, len(losses) + 1)
            left.plot(epochs, losses, colour, linewidth=1, label=None if i else label)
            right.plot(epochs, [100 * a for a in accuracies], colour, linewidth=1)
    left.set(title="training loss", xlabel="epoch", ylabel="cross-entropy (nats)")
    right.set(title="test accuracy", xlabel="epoch", ylabel="%")
    left.legend()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist", help="folder of the four files (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="runs per library (%(default)s)")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training images (%(default)s)")
    parser.add_argument("--picture", type=Path, default=Path("runs/fashion_mnist_beside_pytorch.png"), help="(%(default)s)")
    parser.add_argument("--one", nargs=2, metavar=("LIBRARY", "SEED"), help="do a single run and print it as JSON")
    o = parser.parse_args()
    if o.one:
        print(json.dumps(run(o.one[0], o.data, int(o.one[1]), o.epochs)))
        return
    results = []
    for seed in range(o.seeds):
        for library in LIBRARIES:
            command = [sys.executable, "-m", "benchmarks.fashion", "--data", o.data, "--epochs", str(o.epochs), "--one", library]
            alone = environment() | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
            printed = subprocess.run([*command, str(seed)], env=alone, check=True, stdout=subprocess.PIPE, text=True).stdout
            results.append(json.loads(printed.splitlines()[-1]))
            print(f"{library:14} seed {seed}: {results[-1]['history'][-1][1]:.2%}, {results[-1]['seconds']:.0f} s", flush=True)
    for library, label in LIBRARIES.items():
        own = [r for r in results if r["library"] == library]
        accuracies = [100 * r["history"][-1][1] for r in own]
        shown = f"{statistics.mean(accuracies):.2f} % ({min(accuracies):.2f} to {max(accuracies):.2f})"
        print(f"{label:14} {shown}, {statistics.median(r['seconds'] for r in own):.0f} s (median)")
    os.makedirs(o.picture.parent, exist_ok=True)
    picture(results, o.picture)


if __name__ == "__main__":
    main()
