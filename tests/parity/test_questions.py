"""Queries of a tensor: every `is_...` that PyTorch's tensors have."""

from __future__ import annotations

import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")

QUESTIONS = [name for name in dir(torch.Tensor) if name.startswith("is_")]
NOT_HERE = {"is_coalesced": "an error, unless the tensor is sparse", "is_nonzero": "of one element", "is_set_to": "asks two tensors"}


@pytest.mark.parametrize("name", [name for name in QUESTIONS if name not in (*NOT_HERE, "is_same_size", "is_cpu", "is_cuda")])
def test_the_answer_is_pytorchs(name):
    answers = []
    for lib in (tg, torch):
        for x in (lib.ones(2), lib.ones(2, requires_grad=True) * 2, lib.tensor([1, 2]), lib.ones(2, 3).t()):
            value = getattr(x, name)
            answers.append(value() if callable(value) else value)
    assert answers[:4] == answers[4:]


def test_as_a_function():
    for name in ("is_complex", "is_conj", "is_distributed", "is_floating_point", "is_inference", "is_neg", "is_signed"):
        assert getattr(tg, name)(tg.ones(2)) is getattr(torch, name)(torch.ones(2))
    for lib in (tg, torch):
        x = lib.ones(2, 3)
        assert x.is_same_size(lib.zeros(2, 3)) and not lib.is_same_size(x, x.t())
