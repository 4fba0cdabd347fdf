"""Each line of docs/behaviour.md, evaluated in PyTorch."""

from __future__ import annotations

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.test_docs import lines_of_behaviour  # noqa: E402

OTHERWISE = {
    "d(lambda x: x // 2, 5.0)": "PyTorch has no gradient there",
    "d(tg.sinc, 0.0), dd(lambda x: x.norm(), 0.0)": "PyTorch's second gradient is nan",
    "tg.zeros(1, dtype=tg.bfloat16)": "NumPy has no such dtype",
    "tg.jit.script(len) is len": "there is no script compiler here",
    "tg.nn.DataParallel(tg.nn.ReLU(), [0, 1])": "one device at a time here",
}


def derivative(function, point, order=1):
    x = torch.tensor(point, dtype=torch.float64, requires_grad=True)
    y = function(x)
    for _ in range(order):
        (y,) = torch.autograd.grad(y, x, create_graph=True, materialize_grads=True)
    return y.tolist()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("expression, value, refused", lines_of_behaviour(), ids=[line[0] for line in lines_of_behaviour()])
def test_a_line_of_the_table_in_pytorch(expression, value, refused):
    names = {
        "tg": torch, "np": np, "t": torch.tensor, "F": torch.nn.functional, "d": derivative, "g": derivative,
        "dd": lambda function, point: derivative(function, point, 2),
    }  # fmt: skip
    try:
        there = repr(eval(expression, names)).replace("torch.", "")
    except (TypeError, ValueError, RuntimeError, IndexError):
        there = "refused"
    here = refused or re.sub(r"dtype\('(\w+)'\)", r"\1", value)  # dtypes are NumPy's here
    assert (here == there) == (expression not in OTHERWISE)
