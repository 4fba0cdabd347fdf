"""Every module in PyTorch's own test database: constructed, called and refused as there."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.modules import LIMITS, REFUSALS, called

torch = pytest.importorskip("torch")
database = pytest.importorskip("torch.testing._internal.common_modules", reason="it needs expecttest", exc_type=ImportError)

DTYPE = torch.float64


def ours(value: Any, known: dict[int, Any]) -> Any:
    """An argument in this library's terms; `known`: tensors that were met before, since one may be passed twice."""
    if isinstance(value, torch.Tensor):
        if id(value) not in known:
            known[id(value)] = tg.from_numpy(value.detach().numpy().copy()).requires_grad_(value.requires_grad)
        return known[id(value)]
    if isinstance(value, torch.nn.TransformerEncoderLayer):
        attention, norm = value.self_attn, value.norm1
        return tg.nn.TransformerEncoderLayer(
            attention.embed_dim, attention.num_heads, value.linear1.out_features, value.dropout.p,
            ours(value.activation, known), norm.eps, attention.batch_first, value.norm_first, norm.bias is not None,
        )  # fmt: skip
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        return tg.nn.utils.rnn.PackedSequence(*[ours(v, known) for v in value])
    if isinstance(value, (tuple, list)):
        return type(value)(ours(v, known) for v in value)
    if isinstance(value, dict):
        return {name: ours(v, known) for name, v in value.items()}
    if isinstance(value, torch.nn.LinearCrossEntropyOptions):
        return tg.nn.LinearCrossEntropyOptions(**ours(dataclasses.asdict(value), known))
    if isinstance(value, torch.dtype):
        return getattr(tg, str(value).removeprefix("torch."))
    if isinstance(value, torch.device):
        return str(value)
    return getattr(tg.nn.functional, value.__name__) if callable(value) else value


def in_both(given: Any, known: dict[int, Any], **more: Any) -> list[tuple[Any, Any]]:
    """Positional and keyword arguments for PyTorch and for this library."""
    kwargs = {**more, **given.kwargs}
    return [(given.args, kwargs), (ours(given.args, known), ours(kwargs, known))]


def compared(info: Any, sample: Any, training: bool) -> None:
    known: dict[int, Any] = {}
    takes_dtype = "dtype" in inspect.signature(info.module_cls).parameters
    options = in_both(sample.constructor_input, known, **({"dtype": DTYPE} if takes_dtype else {}))
    inputs = in_both(sample.forward_input, known)
    classes = info.module_cls, getattr(tg.nn, info.module_cls.__name__)
    theirs, mine = (cls(*args, **kwargs).train(training) for cls, (args, kwargs) in zip(classes, options))
    theirs, mine = theirs.to(DTYPE), mine.to(tg.float64)
    if info.is_lazy:
        for module, (args, kwargs) in zip((theirs, mine), inputs):
            module(*args, **kwargs)
    assert repr(mine) == repr(theirs)
    state = theirs.state_dict()
    shapes = [[(key, value.dtype.itemsize, tuple(value.shape)) for key, value in s.items()] for s in (mine.state_dict(), state)]
    assert shapes[0] == shapes[1]
    mine.load_state_dict({key: value.numpy() for key, value in state.items()})
    twins = [copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))]
    got, want = (called(m, module, *arguments) for m, module, arguments in zip((tg, torch), (mine, theirs), inputs[::-1]))
    assert [name for name, _ in got] == [name for name, _ in want]
    for (name, x), (_, y) in zip(got, want):
        if x is None or y is None:  # a gradient that never came is one of zeros
            assert not np.any(0 if x is None else x), name
            assert not np.any(0 if y is None else y), name
            continue
        assert (x.dtype, x.shape) == (y.dtype, y.shape), name
        np.testing.assert_allclose(x, y, **LIMITS.get(x.dtype.name, {}), err_msg=name)
    for twin in twins:
        args, kwargs = inputs[1]
        for (name, x), (_, y) in zip(called(tg, twin, args, kwargs), got):
            np.testing.assert_equal(x, y, err_msg=f"the copy's {name}")


@pytest.mark.parametrize("info", database.module_db, ids=lambda info: info.module_cls.__name__)
# What PyTorch alone says: of two fast paths, and of its next major release.
@pytest.mark.filterwarnings("ignore:enable_nested_tensor", "ignore:linear_cross_entropy", "ignore:reduction.*total loss")
class TestEveryModule:
    @pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
    def test_results_gradients_state_and_repr_are_equal(self, info, training):
        torch.manual_seed(0)
        samples = info.module_inputs_func(info, device="cpu", dtype=DTYPE, requires_grad=True, training=training)
        for sample in samples[:: 7 if len(samples) > 400 else 1]:  # one module has as many as all others together
            compared(info, sample, training)

    def test_what_is_refused_there_is_refused_here(self, info):
        samples = info.module_error_inputs_func or (lambda *args, **kwargs: [])
        for sample in samples(info, device="cpu", dtype=DTYPE, requires_grad=True, training=True):
            at_forward = sample.error_on is database.ModuleErrorEnum.FORWARD_ERROR
            given, known = sample.module_error_input, {}
            options = in_both(given.constructor_input, known)
            inputs = in_both(given.forward_input, known) if at_forward else [None, None]
            for cls, (args, kwargs), arguments in zip((info.module_cls, getattr(tg.nn, info.module_cls.__name__)), options, inputs):
                with pytest.raises((*REFUSALS, NotImplementedError)):
                    module = cls(*args, **kwargs)
                    if at_forward:
                        module(*arguments[0], **arguments[1])
