"""Experiments of every fate, for the tests of the lecture lab."""

from __future__ import annotations

import os
import signal
import time

import numpy as np

import tinygrad_lite as tg
from examples.lab.core import DOES_NOT_HOLD, EXPERIMENTS, HOLDS_IF, at_most, exactly, experiment, within

EVIL = "</pre><script>document.title='stolen'</script>&amp;| *a* [b](c)"
before = set(EXPERIMENTS)


@experiment(67, title="Noise", claim="σ / √n′", numbers=[within("slope", -0.6, -0.4, "theory: -1/2"), exactly("draws", 20, "as asked")])
def noise(run):
    sizes = np.array([1, 4, 16])
    spread = [run.generator(seed).normal(size=(200, 16)) for seed in run.seeds(2, 20)]
    deviations = [np.concatenate(spread)[:, :n].mean(1).std() for n in sizes]
    run.judge("slope", np.polyfit(np.log(sizes), np.log(deviations), 1)[0], (-0.52, np.float64(-0.49)))
    run.judge("draws", 20)
    with run.figure("The deviation falls.") as axes:
        axes.loglog(sizes, deviations)
    run.table(["n′", "deviation"], list(zip(sizes, deviations)))
    run.remark("What is printed is kept.")
    print("this is printed")


@experiment(
    "N3",
    43,
    title=EVIL,
    claim=f"`code` {EVIL}",
    numbers=[at_most("error", 0, EVIL), at_most("small error", 1, "why", under_the_condition=True)],
    verdict=HOLDS_IF,
    condition=f"it is small {EVIL}",
)
def evil(run):
    """A string, and '''quotes''' & <tags>."""
    run.judge("error", float("inf"))
    run.judge("small error", float(f"{1}"))
    run.remark(EVIL)
    run.table([EVIL], [[EVIL]])
    run.animation(EVIL, range(5), lambda axes, k: axes.plot([0, k]), 1.0)


@experiment(10, title="False", claim="Never", numbers=[at_most("x", 0, "why")], verdict=DOES_NOT_HOLD)
def false(run):
    run.judge("x", float("nan"))


@experiment(11, title="Changed", claim="Always", numbers=[at_most("x", 0, "why")])
def changed(run):
    run.judge("x", 1 + run.seed % 2 - 1)  # 0 for even seeds, 1 for odd ones


@experiment(12, title="Raises", claim="?", numbers=[at_most("x", 0, "why")])
def raises(run):
    run.judge("y", 0)


@experiment(13, title="Exits", claim="?", numbers=[at_most("x", 0, "why")])
def exits(run):
    raise SystemExit(0)


@experiment(14, title="Dies", claim="?", numbers=[at_most("x", 0, "why")])
def dies(run):
    os._exit(7)


@experiment(15, title="Crashes", claim="?", numbers=[at_most("x", 0, "why")])
def crashes(run):
    os.kill(os.getpid(), signal.SIGSEGV)


@experiment(16, title="Leaves its state behind", claim="?", numbers=[at_most("x", 0, "why")])
def leaves(run):
    tg.set_default_dtype(tg.float64)
    run.judge("x", 0)


@experiment(17, title="Draws", claim="?", numbers=[within("x", 0, 1, "uniform")])
def draws(run):
    run.judge("x", tg.rand(1).item())


@experiment(18, title="Sleeps", claim="?", numbers=[at_most("x", 0, "why")])
def sleeps(run):
    time.sleep(60)


OURS = {name: EXPERIMENTS.pop(name) for name in [*EXPERIMENTS] if name not in before}


def load() -> None:
    EXPERIMENTS.update(OURS)
