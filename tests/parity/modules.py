"""Run the same module here and in PyTorch, from the same state: outputs, gradients, buffers, keys, repr."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.compare import Fixed

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

REFUSALS = (TypeError, ValueError, IndexError, RuntimeError, KeyError, AttributeError)
LIMITS = {"float32": {"rtol": 3e-5, "atol": 3e-5}, "float64": {"rtol": 5e-8, "atol": 1e-8}}


def built(library: Any, text: str) -> Any:
    """The module described by `text`, such as "Linear(3, 5)"."""
    return eval(text, {**vars(library.nn), "nn": library.nn, "m": library, "np": np})


def pair(text: str, dtype: str = "float64") -> tuple[Any, Any]:
    """The module in both libraries, with PyTorch's state in both."""
    torch.manual_seed(0)
    theirs = built(torch, text).to(getattr(torch, dtype))
    ours = built(tg, text).to(getattr(tg, dtype))
    assert repr(ours) == repr(theirs)
    expected, own = theirs.state_dict(), ours.state_dict()
    assert list(own) == list(expected)
    for key, value in expected.items():
        assert tuple(own[key].shape) == tuple(value.shape), key
        assert own[key].dtype.name == str(value.dtype).removeprefix("torch."), key
    names = [(name, p.requires_grad) for name, p in theirs.named_parameters()]
    assert [(name, p.requires_grad) for name, p in ours.named_parameters()] == names
    assert [name for name, _ in ours.named_buffers()] == [name for name, _ in theirs.named_buffers()]
    with torch.no_grad():  # zeros and ones hide mistakes
        for i, parameter in enumerate(theirs.parameters()):
            parameter.add_(0.1 * torch.cos(torch.arange(parameter.numel(), dtype=parameter.dtype) + i).reshape(parameter.shape))
    ours.load_state_dict({key: value.detach().numpy() for key, value in theirs.state_dict().items()})
    return ours, theirs


def compare_module(
    text: str, *inputs: Any, modes: Any = (True, False), dtype: str = "float64", steps: int = 1, **kwargs: Any
) -> None:
    """Call the module in training and in evaluation and compare everything.

    `inputs`: shapes (filled randomly) or arrays; floating-point ones are differentiated.
    """
    arrays = drawn(inputs)
    ours, theirs = pair(text, dtype)
    for training in modes:
        ours.train(training)
        theirs.train(training)
        for _ in range(steps):
            outcomes = [outcome(library, module, arrays, kwargs, dtype) for library, module in ((tg, ours), (torch, theirs))]
            assert len(outcomes[0]) == len(outcomes[1])
            for (name, got), (other, want) in zip(*outcomes):
                assert name == other
                what = f"{text}, {'training' if training else 'evaluation'}: {name}"
                if want is None or got is None:
                    assert got is None or not np.any(got), what
                    assert want is None or not np.any(want), what
                    continue
                assert (got.dtype, got.shape) == (want.dtype, want.shape), what
                np.testing.assert_allclose(got, want, **LIMITS.get(got.dtype.name, {}), err_msg=what)


def drawn(inputs: Any) -> list[Any]:
    """Replace shapes by normal random arrays."""
    draw = np.random.default_rng(3)
    shapes = [isinstance(x, tuple) and all(isinstance(n, int) for n in x) for x in inputs]
    return [draw.standard_normal(x) if is_shape else x for x, is_shape in zip(inputs, shapes)]


def outcome(library: Any, module: Any, arrays: Any, kwargs: Any, dtype: str) -> list[tuple[str, Any]]:
    """All results of a call of the module and its backward."""
    inputs = [given(library, a, dtype) for a in arrays]
    options = {key: given(library, value, dtype) for key, value in kwargs.items()}
    module.zero_grad()
    return called(library, module, inputs, options)


def called(library: Any, module: Any, inputs: Any, options: Any) -> list[tuple[str, Any]]:
    """The same, for tensors."""
    leaves = list({id(t): t for t in flat(library, inputs) if t is not None and t.requires_grad}.values())
    results = flat(library, module(*inputs, **options))
    named = [(f"result {i}", r) for i, r in enumerate(results)]
    roots = [r for r in results if r is not None and r.requires_grad]
    parameters = list(module.named_parameters())
    wanted = leaves + [p for _, p in parameters if p.requires_grad]
    gradients: Any = [None] * len(wanted)
    if roots and wanted:
        loss = sum((r * weights_like(library, r)).sum() for r in roots)
        gradients = library.autograd.grad(loss, wanted, allow_unused=True)
    named += [(f"gradient of input {i}", g) for i, g in enumerate(gradients[: len(leaves)])]
    named += [(f"gradient of {name}", g) for (name, _), g in zip(parameters, gradients[len(leaves) :])]
    named += [(name, b) for name, b in module.named_buffers()]
    return [(name, None if t is None else t.detach().numpy().copy()) for name, t in named]


def weights_like(library: Any, tensor: Any) -> Any:
    values = np.cos(np.arange(tensor.numel())).reshape(tuple(tensor.shape))
    return library.from_numpy(np.asarray(values)).to(tensor.dtype)


def given(library: Any, value: Any, dtype: str) -> Any:
    if isinstance(value, Fixed):
        return given(library, value.array, dtype).requires_grad_(False)
    if isinstance(value, np.ndarray):
        floating = value.dtype.kind == "f"
        array = value.astype(dtype) if floating else value.copy()
        return library.from_numpy(array).requires_grad_(floating)
    if isinstance(value, (tuple, list)):
        return type(value)(given(library, v, dtype) for v in value)
    return value


def flat(library: Any, value: Any) -> list[Any]:
    if isinstance(value, library.Tensor) or value is None:
        return [value]
    return [t for v in value for t in flat(library, v)] if isinstance(value, (tuple, list)) else []


def refused(text: str, *inputs: Any, **kwargs: Any) -> None:
    """Both libraries refuse to build the module, or to call it on these inputs."""
    for library, errors in ((tg, REFUSALS), (torch, (*REFUSALS, AssertionError, NotImplementedError))):
        with pytest.raises(errors):
            module = built(library, text)
            options = {name: given(library, value, "float32") for name, value in kwargs.items()}
            module(*[given(library, a, "float32") for a in drawn(inputs)], **options)
