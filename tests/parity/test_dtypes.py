"""The result dtype of two and three operands: tensors with dims, 0-d tensors and Python numbers, of every dtype.

A 0-d tensor ranks below one with dims, a number below both: each matters only if its category is higher. What PyTorch
refuses may be accepted here; what it accepts is accepted, with its dtype and values.
"""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn  # tg.nn
from tests.parity.compare import REFUSALS

torch = pytest.importorskip("torch")

DTYPES = ["float64", "float32", "float16", "int64", "int32", "uint8", "bool"]
OPERANDS = [(kind, dtype) for kind in ("dims", "0-d") for dtype in DTYPES] + [("number", kind) for kind in "fib"]
Operand = tuple[str, str]

TWO = """
m.add(a, b)  m.sub(a, b)  m.mul(a, b)  m.div(a, b)  m.true_divide(a, b)  m.floor_divide(a, b)  m.fmod(a, b)  m.remainder(a, b)
m.pow(a, b)  m.float_power(a, b)  m.atan2(a, b)  m.hypot(a, b)  m.copysign(a, b)  m.xlogy(a, b)  m.maximum(a, b)  m.minimum(a, b)
m.fmax(a, b)  m.fmin(a, b)  m.heaviside(a, b)  m.nextafter(a, b)  m.logaddexp(a, b)  m.logaddexp2(a, b)  m.eq(a, b)  m.lt(a, b)
m.bitwise_and(a, b)  m.bitwise_left_shift(a, b)  m.logical_and(a, b)  m.gcd(a, b)  m.isclose(a, b)  m.ldexp(a, b)  m.dot(a, b)
m.outer(a, b)  m.kron(a, b)  m.rsub(a, b)  m.clamp_min(a, b)  m.clamp_max(a, b)  m.igamma(a, b)  m.dist(a, b)  m.isin(a, b)
m.special.xlog1py(a, b)  m.special.zeta(a, b)  m.result_type(a, b)  m.searchsorted(a, b)  m.bucketize(a, b)
m.div(a, b, rounding_mode="floor")  m.div(a, b, rounding_mode="trunc")  m.add(a, b, alpha=2)  m.sub(a, b, alpha=2)  m.add(a, b, alpha=0.5)
a + b  a - b  a * b  a / b  a // b  a % b  a ** b  a & b  a << b  a == b  a < b
a.clone().add_(b)  a.clone().mul_(b)  a.clone().div_(b)  a.clone().pow_(b)  a.clone().floor_divide_(b)  a.clone().copy_(b)  a.clone().fill_(b)
a.clone().clamp_min_(b)  a.clone().copysign_(b)  a.clone().logical_and_(b)  a.type_as(b)
m.masked_fill(a, a == a, b)  m.masked_scatter(a, a == a, b)  m.index_fill(a, 0, m.tensor([0]), b)  m.scatter(a, 0, first(m, a), b)
m.index_add(a, 0, first(m, a), b)  m.index_copy(a, 0, first(m, a), b)  m.index_put(a, (m.tensor([0, 1, 2]),), b)
written(a, (...,), b)  written(a, (slice(0, 3),), b)  written(a, (a == a,), b)
m.cat([a, b])  m.stack([a, b])  m.hstack([a, b])  m.where(m.tensor([True, False, True]), a, b)  m.where(m.tensor(True), a, b)
m.lerp(a, b, 0.5)  m.clamp(a, b)  m.clamp(a, max=b)  m.linspace(a, b, 3)  m.full_like(a, b)  m.nan_to_num(a, b)  m.matmul(a, b)
m.nn.functional.mse_loss(a, b)  m.nn.functional.l1_loss(a, b)  m.nn.functional.huber_loss(a, b)
m.nn.functional.binary_cross_entropy_with_logits(a, b)  m.nn.functional.soft_margin_loss(a, b)  m.nn.functional.kl_div(a, b)
m.nn.functional.poisson_nll_loss(a, b)  m.nn.functional.hinge_embedding_loss(a, b)  m.nn.functional.cosine_similarity(a, b, dim=0)
m.nn.functional.pairwise_distance(a, b)  m.nn.functional.prelu(a, b)  m.nn.functional.threshold(a, 1, b)  m.nn.functional.softplus(a, b)
m.nn.functional.elu(a, b)  m.nn.functional.celu(a, b)  m.nn.functional.leaky_relu(a, b)  m.nn.functional.hardtanh(a, -1, b)
m.trapezoid(a, b)  m.bincount(a, b)  m.repeat_interleave(a, b)  m.diff(a, prepend=b)  m.quantile(a, b)  m.cross(a, b)
"""
THREE = """
m.clamp(a, b, c)  m.lerp(a, b, c)  m.addcmul(a, b, c)  m.addcdiv(a, b, c)  m.where(a, b, c)  m.where(a > 1, b, c)  m.addr(a, b, c)
m.addcmul(a, b, b, value=c)  m.addcdiv(a, b, b, value=c)  a.clone().clamp_(b, c)  a.clone().addcmul_(b, c)  a.clone().lerp_(b, c)
m.nn.functional.margin_ranking_loss(a, b, c)  m.nn.functional.gaussian_nll_loss(a, b, c)  m.cat([a, b, c])  m.nan_to_num(a, b, c)
m.addmm(a, b[:, None], c[None])  m.addmv(a, b[None], c)  m.isclose(a, b, rtol=c)  m.index_add(a, 0, first(m, a), b, alpha=c)
m.masked_fill(a, b, c)  m.nn.functional.hardtanh(a, b, c)  m.nn.functional.triplet_margin_loss(a, b, c)  m.arange(a, b, c)
"""
TWO, THREE = ([call for line in calls.strip().splitlines() for call in line.split("  ")] for calls in (TWO, THREE))


def operand(library: Any, what: Operand, seed: int) -> Any:
    kind, dtype = what
    if kind == "number":
        return {"f": 0.5, "i": 2, "b": True}[dtype]
    draw = np.random.default_rng(seed)
    values = draw.integers(1, 4, 3) if dtype != "bool" else draw.integers(0, 2, 3)
    tensor = library.tensor(values.tolist(), dtype=getattr(library, dtype))
    return tensor if kind == "dims" else tensor[0]


def first(library: Any, a: Any) -> Any:
    return library.arange(3) if a.ndim else library.tensor(0)


def written(a: Any, index: Any, value: Any) -> Any:
    a = a.clone()
    a[index] = value
    return a


def outcome(library: Any, call: str, operands: tuple[Operand, ...]) -> Any:
    values = dict(zip("abc", (operand(library, what, i) for i, what in enumerate(operands))))
    try:
        result = eval(call, {**values, "m": library, "first": first, "written": written})
    except (*REFUSALS, AttributeError) as error:
        return error
    if not isinstance(result, library.Tensor):
        return str(result).removeprefix("torch."), None
    return str(result.dtype).removeprefix("torch."), result.detach().numpy()


def differs(call: str, operands: tuple[Operand, ...]) -> bool:
    """What differs here."""
    kinds, dtypes = zip(*operands)
    integers = all(dtype[0] in "iub" for dtype in dtypes[:2])
    return (
        set(kinds) == {"number"}  # PyTorch makes a tensor of two numbers
        or (call == "m.add(a, b, alpha=2)" and set(dtypes) == {"bool", "b"})  # PyTorch stays with bools
        or ("lerp" in call and integers)  # PyTorch takes integers, where the weight is a 0-d float
        or ("margin_ranking" in call and integers)  # PyTorch takes the mean of integers
    )


def check(call: str, operands: tuple[Operand, ...]) -> None:
    theirs = outcome(torch, call, operands)
    if isinstance(theirs, Exception) or differs(call, operands):
        return
    mine = outcome(tg, call, operands)
    assert not isinstance(mine, Exception), f"{call} of {operands} is refused: {mine!r}"
    assert mine[0] == theirs[0], f"{call} of {operands}"
    if theirs[1] is not None:
        np.testing.assert_allclose(
            mine[1].astype("f8"), theirs[1].astype("f8"), rtol=2e-3, atol=1e-3, err_msg=f"{call} of {operands}"
        )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", TWO)
def test_of_two(call):
    for operands in itertools.product(OPERANDS, repeat=2):
        check(call, operands)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", THREE)
def test_of_three(call):
    everything = list(itertools.product(OPERANDS, repeat=3))
    for i in np.random.default_rng(1).permutation(len(everything))[:600]:
        check(call, everything[i])


def test_the_bounds_of_clamp_do_not_lower_its_dtype():
    x = tg.tensor(2.5, dtype=tg.float64)
    clamped = tg.clamp(x, tg.tensor(0), tg.tensor(2))
    assert (clamped.dtype, clamped.item()) == (tg.float64, 2.0)


def test_a_number_can_be_a_0_d_tensor_without_a_gradient():
    F, x = tg.nn.functional, tg.tensor([-1.0, 2.0])
    assert F.leaky_relu(x, tg.tensor(0.5, dtype=tg.float64)).tolist() == [-0.5, 2.0]
    for wrong in (tg.ones(2), tg.tensor(0.5, requires_grad=True)):
        with pytest.raises(TypeError, match="expected a number"):
            F.leaky_relu(x, wrong)


@pytest.mark.parametrize("library", [tg, torch], ids=["here", "PyTorch"])
def test_a_list_that_begins_with_a_number_has_the_dtype_of_its_tensors(library):
    assert library.tensor([0.5, library.tensor(2.0, dtype=library.float64)]).dtype == library.float64


@pytest.mark.parametrize("library", [tg, torch], ids=["here", "PyTorch"])
def test_targets_of_bytes_do_not_wrap_around(library):
    x, target = library.tensor([1.0, 2.0]), library.tensor([1, 1], dtype=library.uint8)
    assert library.nn.functional.soft_margin_loss(x, target) < 1


@pytest.mark.parametrize("library", [tg, torch], ids=["here", "PyTorch"])
def test_a_variance_that_is_a_number_beside_integers(library):
    x, target = library.tensor([1, 2]), library.tensor([1.0, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loss = library.nn.functional.gaussian_nll_loss(x, target, 0.5)
    assert abs(loss.item() - 0.5 * np.log(0.5)) < 1e-6
