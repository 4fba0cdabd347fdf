"""Runs one program in both libraries from the same weights: the results must be equal."""

from __future__ import annotations

import importlib
import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch").set_num_threads(1)


class Start:
    """The initial weights and random numbers of every run: those of the first run."""

    def __init__(self):
        self.states = []

    def run(self, function, library):
        torch, nn, F = (importlib.import_module(library + part) for part in ("", ".nn", ".nn.functional"))
        self.torch, self.seen, self.rng = torch, 0, np.random.default_rng(0)
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(0)
        try:
            names = {"torch": torch, "nn": nn, "F": F, "start": self}
            results = function(*(names[name] for name in inspect.signature(function).parameters))
        finally:
            torch.set_default_dtype(before)
        return [r.detach().cpu().numpy() if isinstance(r, torch.Tensor) else r for r in results]

    def same(self, model):
        """The model with the first run's weights."""
        if self.seen == len(self.states):
            self.states.append({name: value.numpy().copy() for name, value in model.state_dict().items()})
        state = OrderedDict((k, self.torch.from_numpy(v.copy())) for k, v in self.states[self.seen].items())
        keys = model.load_state_dict(state)
        assert not keys.missing_keys and not keys.unexpected_keys
        self.seen += 1
        return model

    def normal(self, *shape):
        return self.torch.from_numpy(self.rng.standard_normal(shape))

    def below(self, n, *shape):
        return self.torch.tensor(self.rng.integers(0, n, shape), dtype=self.torch.long)


def check_program(function: Callable[..., Any]) -> None:
    start = Start()
    expected = start.run(function, "torch")
    results = start.run(function, "tinygrad_lite")
    assert len(results) == len(expected)
    for i, (result, wanted) in enumerate(zip(results, expected)):
        np.testing.assert_allclose(result, wanted, rtol=1e-8, atol=1e-10, err_msg=f"result {i}")
