"""Every optimizer with every set of options in PyTorch's own test database."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity import test_optim

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # the database's module imports it
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_optimizers import OptimizerErrorEnum, optim_db

torch.set_num_threads(1)

ENTRIES = [entry for entry in optim_db if entry.name != "SparseAdam"]
DTYPES = {str(dtype): dtype for dtype in (torch.float32, torch.float64, torch.int64)}


def options_of(entry):
    """The database's, those for a GPU among them, without the flag that says so."""
    seen = []
    for given in entry.optim_inputs_func("cpu") + entry.optim_inputs_func("cuda"):
        options = {name: value for name, value in given.kwargs.items() if name != "capturable"}
        if repr(options) not in seen:
            seen.append(repr(options))
            yield pytest.param(entry, options, id=f"{entry.name}-{given.desc}")


CASES = [case for entry in ENTRIES for case in options_of(entry)]
CASES += [
    pytest.param(entry, options, id=f"{entry.name}-{options}")
    for entry in ENTRIES
    for options in test_optim.CASES.get(entry.name, ())
    if options
]


def to_ours(value):
    return converted(value, torch.Tensor, lambda t: tg.tensor(t.detach().numpy().copy(), requires_grad=t.requires_grad))


def to_theirs(value):
    return converted(value, tg.Tensor, lambda t: torch.tensor(t.detach().numpy().copy()))


def converted(value, kind, convert):
    if isinstance(value, kind):
        return convert(value)
    if isinstance(value, dict):
        return {name: converted(entry, kind, convert) for name, entry in value.items()}
    return type(value)(converted(v, kind, convert) for v in value) if isinstance(value, (list, tuple)) else value


def parameters(lib, name):
    """0-d, empty and strided ones too, where PyTorch's optimizer has no trouble with them."""
    draw = np.random.default_rng(0)
    shapes = {"Muon": [(3, 4), (1, 1), (6, 2)], "Adafactor": [(3, 4), (5,), (), (2, 3, 2)]}
    arrays = [np.asarray(draw.normal(size=s)) for s in shapes.get(name, [(3, 4), (5,), (), (0, 4), (2, 3, 2)])]
    tensors = [lib.from_numpy(array) for array in arrays]
    if name != "LBFGS":
        tensors += [lib.from_numpy(draw.normal(size=(4, 3))).T, lib.from_numpy(draw.normal(size=(6, 4)))[::2]]
    assert name == "LBFGS" or not tensors[-1].is_contiguous()
    return [tensor.requires_grad_() for tensor in tensors]


class Training:
    """One library's side: a parameter goes without a gradient in one step of three, another is frozen for a while."""

    def __init__(self, lib, name, options):
        self.lib, self.name, self.options = lib, name, options
        self.params = parameters(lib, name)
        self.optimizer = self.made()

    def made(self, **more):
        groups = [{"params": self.params}]
        if self.name != "LBFGS":  # which takes one group
            groups = [{"params": self.params[:2], "lr": 0.02}, {"params": self.params[2:]}]
        return getattr(self.lib.optim, self.name)(groups, **{**self.options, **more})

    def step(self, k):
        self.params[1].requires_grad_(k < 2 or k > 4)
        used = [p for i, p in enumerate(self.params) if self.name == "LBFGS" or (i + k) % 3]

        def closure():
            self.optimizer.zero_grad(set_to_none=k != 6)
            bowls = (((p - i) ** 2).sum() + 0.1 * ((p - i) ** 4).sum() for i, p in enumerate(used))
            loss = sum(bowls) * (1 if self.name == "LBFGS" else 1 + 0.1 * k)
            loss.backward()
            return loss

        return self.optimizer.step(closure)

    def restore(self, state):
        self.optimizer = self.made(lr=0.5)
        self.optimizer.load_state_dict(state)

    def values(self):
        return [p.detach().numpy() for p in self.params]


def same_state(mine, other, tolerance, at=""):
    """The same keys, types, shapes and values. Numbers that are no count keep their dtype in a state that is loaded,
    where PyTorch gives them the parameter's; and LBFGS's step length is a float where PyTorch's is sometimes a tensor."""
    if isinstance(other, dict):
        assert mine.keys() == other.keys(), at
        for name in other:
            same_state(mine[name], other[name], tolerance, f"{at} {name}")
    elif isinstance(other, (list, tuple)):
        assert len(mine) == len(other), at
        for i, (a, b) in enumerate(zip(mine, other)):
            same_state(a, b, tolerance, f"{at} {i}")
    elif isinstance(other, torch.Tensor) and not at.endswith(" t"):
        assert isinstance(mine, tg.Tensor) and (tuple(mine.shape) == tuple(other.shape) or "betas" in at), at
        assert DTYPES[f"torch.{mine.dtype}"] == other.dtype or at.endswith((" eta", " mu", " mu_product")), at
        np.testing.assert_allclose(mine.numpy().reshape(other.shape), other.numpy(), tolerance, tolerance, err_msg=at)
    elif isinstance(other, (float, torch.Tensor)):
        assert mine == pytest.approx(float(other), rel=tolerance, abs=tolerance), at
    else:
        assert mine == other, at


@pytest.mark.parametrize(("entry", "options"), CASES)
def test_steps_and_state(entry, options):
    """On the way each goes on from the other's state, and later from its own."""
    ours, theirs = Training(tg, entry.name, to_ours(options)), Training(torch, entry.name, copy.deepcopy(options))
    # Where betas are tensors of float32, PyTorch computes 1 - beta^t in float32.
    # LBFGS's line search repeats its decisions only as well as sums of losses repeat.
    tolerance = 1e-6 if entry.name == "LBFGS" or "betas" in options else 1e-8
    for k in range(5 if entry.name == "LBFGS" else 12):
        mine, other = ours.step(k), theirs.step(k)
        assert mine.item() == pytest.approx(other.item(), rel=tolerance)
        for a, b in zip(ours.values(), theirs.values()):
            np.testing.assert_allclose(a, b, tolerance, tolerance, err_msg=f"step {k}")
        if k == 2:
            states = to_theirs(ours.optimizer.state_dict()), to_ours(theirs.optimizer.state_dict())
            theirs.restore(states[0])
            ours.restore(states[1])
        if k == 7:
            ours.restore(ours.optimizer.state_dict())
            theirs.restore(theirs.optimizer.state_dict())
    same_state(ours.optimizer.state_dict(), theirs.optimizer.state_dict(), tolerance)


FLAGS = [
    pytest.param(entry, {flag: value}, id=f"{entry.name}-{flag}={value}")
    for entry in ENTRIES
    for flag, value in (("foreach", True), ("foreach", False), ("fused", True), ("capturable", True))
    if flag in getattr(torch.optim, entry.name).__init__.__annotations__
]


@pytest.mark.parametrize(("entry", "flag"), FLAGS)
def test_flags_of_how_to_compute_change_nothing(entry, flag):
    plain, flagged = Training(tg, entry.name, {}), Training(tg, entry.name, flag)
    for k in range(4):
        plain.step(k)
        flagged.step(k)
    assert all((a == b).all() for a, b in zip(plain.values(), flagged.values()))


ERRORS = [
    pytest.param(entry, error, id=f"{entry.name}-{error.optimizer_error_input.desc}")
    for entry in ENTRIES
    for error in entry.optim_error_inputs_func("cpu", torch.float64)
    if "complex" not in error.optimizer_error_input.desc  # there is no complex training here
]


@pytest.mark.parametrize(("entry", "error"), ERRORS)
def test_refused(entry, error):
    """Where PyTorch only warns, of a parameter that is given twice, it is refused."""
    known = {}

    def once(t):  # the same tensor twice stays the same
        return known.setdefault(id(t), tg.tensor(t.detach().numpy().copy(), requires_grad=t.requires_grad))

    given = error.optimizer_error_input
    params = converted(given.params, torch.Tensor, once) or [tg.ones(2, 3, requires_grad=True)]
    assert error.error_on is OptimizerErrorEnum.CONSTRUCTION_ERROR
    with pytest.raises(ValueError if error.error_type is UserWarning else error.error_type, match=entry.name):
        getattr(tg.optim, entry.name)(params, **converted(given.kwargs, torch.Tensor, once))
