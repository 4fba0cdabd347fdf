"""How a wrong array differs from the right one, in words: a constant factor, the sign, transposed, missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Suspects:
    """What a wrong array is compared with. `counts`: numbers by which a mean or a sum may have gone wrong, with their names;
    `others`: arrays that it may have been mistaken for; `factors`: arrays that it may lack as a factor, or have too often;
    `terms`: arrays of which a multiple may have been added; `inputs`: arrays of the same shape whose sign may decide."""

    counts: Mapping[str, int] = field(default_factory=dict)
    others: Arrays = field(default_factory=dict)
    factors: Arrays = field(default_factory=dict)
    terms: Arrays = field(default_factory=dict)
    inputs: Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """How an array differs from the right one: `words` complete "the gradient ..."; `numbers` are the figures behind them."""

    words: str
    numbers: dict[str, float]


NOTHING = Suspects()


def close(found: Any, expected: Any, rtol: float, atol: float) -> bool:
    """Whether two arrays have one shape and agree everywhere."""
    return np.shape(found) == np.shape(expected) and bool(np.allclose(found, expected, rtol, atol, equal_nan=True))


def difference(found: Any, expected: Any, suspects: Suspects = NOTHING, rtol: float = 1e-5, atol: float = 1e-7) -> Difference | None:
    """How `found` differs from `expected`; None if it does not.

    >>> difference(np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0])).words
    'is wrong by a factor 2'
    """
    if found is None:
        return Difference("is missing", {}) if np.any(expected) else None
    if close(found, expected, rtol, atol):
        return None
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if a.shape != b.shape:
        return Difference(_of_shapes(a, b, suspects, rtol, atol), {})
    bad = ~np.isfinite(a) & np.isfinite(b)
    if bad.any():
        value = "nan" if np.isnan(a[bad]).any() else "infinite"
        return Difference(f"is {value} at {bad.sum()} of {bad.size} places, first at {_first(bad)}", {})
    with np.errstate(all="ignore"):
        wrong = ~np.isclose(a, b, rtol, atol, equal_nan=True)
        gap = np.where(wrong, np.abs(a - b), 0)
        scale = np.abs(b[np.isfinite(b)]).max(initial=0)
        words, factor = _in_words(a, b, wrong, suspects, rtol, max(atol, 1e-9 * scale))
    numbers = {"factor": factor} if factor is not None else {}
    worst = np.unravel_index(np.argmax(np.nan_to_num(gap, nan=np.inf)), gap.shape)
    if factor is None:
        numbers = {"found": float(a[worst]), "expected": float(b[worst])}
    return Difference(words, {**numbers, "largest difference": float(gap[worst])})


def _in_words(a: Any, b: Any, wrong: Any, suspects: Suspects, rtol: float, atol: float) -> tuple[str, float | None]:
    """The words for two arrays of one shape, and the constant factor between them, if there is one."""

    def agree(x: Any, y: Any) -> bool:
        return close(x, y, max(100 * rtol, 1e-4), 100 * atol)

    if not a.any():
        return "is zero everywhere", None
    if not np.any(np.abs(b) > atol):
        return "is not zero, as it should be", None
    factor = _factor(a, b)
    if factor and agree(a, factor * b):
        return _by_factor(factor, suspects.counts), factor
    for name, other in suspects.others.items():
        if agree(a, other):
            return f"is {name}", None
    if a.ndim >= 2 and a.shape[-1] == a.shape[-2] and agree(a.swapaxes(-1, -2), b):
        return "is transposed", None
    for name, value in suspects.factors.items():
        if _fits(value, b.shape):
            for plus in (1.0, -1.0):
                sign = " and has the wrong sign" if plus < 0 else ""
                if agree(plus * a * value, b):
                    return f"lacks the factor {name}{sign}", None
                if agree(plus * a, b * value):
                    return f"has the factor {name} once too often{sign}", None
    for name, term in suspects.terms.items():
        c = _factor(a - b, term) if term.shape == a.shape else None
        if c and agree(a - b, c * term):
            return f"contains {_number(c)} times {name}, which does not belong to it", None
    return _by_place(a, b, wrong, suspects, rtol, atol), None


def _by_place(a: Any, b: Any, wrong: Any, suspects: Suspects, rtol: float, atol: float) -> str:
    """The words for arrays that differ at some places, or everywhere in no simple way."""
    if a.size > 1 and close(np.sort(a, axis=None), np.sort(b, axis=None), max(rtol, 1e-4), 10 * atol):
        return "has the right numbers at the wrong places"
    shift = a - b
    if a.size > 1 and close(shift, np.full_like(shift, shift.flat[0]), 1e-4, 10 * atol):
        return f"is wrong by the constant {_number(float(shift.flat[0]))} that is added"
    if wrong.all() or wrong.size < 2:
        return "is wrong everywhere" if wrong.size > 1 else "is wrong"
    how = f"is wrong at {wrong.sum()} of {wrong.size} places"
    c = _factor(a[wrong], b[wrong])
    if wrong.sum() > 1 and c is not None and close(a[wrong], c * b[wrong], 1e-4, 10 * atol):
        how += " by a factor " + _number(c) if c else ", where it is zero"
    for name, x in suspects.inputs.items():
        if x.shape == wrong.shape:
            for text, where in (("negative", x < 0), ("positive", x > 0), ("zero", x == 0)):
                if np.array_equal(where, wrong):
                    return f"{how}: those where {name} is {text}"
    for dim, size in enumerate(wrong.shape):
        slices = [i for i in range(size) if wrong.take(i, dim).any()]
        if len(slices) == 1 and size > 1:
            return f"{how}: all at index {slices[0]} of dim {dim}"
    return f"{how}, first at {_first(wrong)}"


def _of_shapes(a: Any, b: Any, suspects: Suspects, rtol: float, atol: float) -> str:
    """The words for arrays of different shapes."""
    shapes = f"has shape {a.shape} instead of {b.shape}"
    if a.ndim == 2 and a.T.shape == b.shape:
        return f"{shapes}: it is transposed" + ("" if close(a.T, b, rtol, atol) else ", and its numbers are wrong too")
    if a.squeeze().shape == b.squeeze().shape:
        return f"{shapes}: reshape it" + ("" if close(a.squeeze(), b.squeeze(), rtol, atol) else "; its numbers are wrong too")
    for dim in range(a.ndim):
        if a.sum(dim).shape == b.shape:
            if close(a.sum(dim), b, rtol, atol):
                return f"{shapes}: it is not summed over dim {dim}"
            again = difference(a.sum(dim), b, suspects, rtol, atol)
            return f"{shapes}: it is not summed over dim {dim}, and then {again.words if again else ''}"
    return shapes


def _factor(a: Any, b: Any) -> float | None:
    """The c of least squares in a = c b."""
    a, b = np.ravel(a), np.ravel(b)
    known = np.isfinite(a) & np.isfinite(b)
    square = float(b[known] @ b[known])
    return float(a[known] @ b[known]) / square if square else None


def _by_factor(c: float, counts: Mapping[str, int]) -> str:
    if abs(c + 1) < 1e-3:
        return "has the wrong sign"
    sign = " and has the wrong sign" if c < 0 else ""
    for name, count in counts.items():
        if count > 2 and abs(abs(c) / count - 1) < 1e-3:
            return f"is wrong by a factor {count}{sign}: {name} (a sum where a mean is meant?)"
        if count > 2 and abs(abs(c) * count - 1) < 1e-3:
            return f"is wrong by a factor 1/{count}{sign}: {name} (a mean where a sum is meant?)"
    return f"is wrong by a factor {_number(abs(c))}{sign}"


def _number(c: float) -> str:
    """A number in short form: 2, 1/2, -0.3183."""
    near = Fraction(c).limit_denominator(64)
    if near and abs(float(near) / c - 1) < 1e-4:
        return str(near)
    return f"{c:.4g}"


def _fits(value: Any, shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(np.shape(value), shape) == shape
    except ValueError:
        return False


def _first(mask: Any) -> str:
    return str(tuple(int(i) for i in np.argwhere(mask)[0]))
