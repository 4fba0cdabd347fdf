"""Evaluates the formulas of `study.formulas`: their lines run in Python, with NumPy's names."""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import scipy.linalg
import scipy.special

from tests.check_op import tensors
from tinygrad_lite.arrays.rules import Primitive
from tinygrad_lite.autograd import REGISTRY, grad
from tinygrad_lite.study.formulas import FORMULAS, lines_of
from tinygrad_lite.study.formulas.elementary import TABLE as ELEMENTWISE

TERMS = 30  # of an infinite series


class Padded(np.ndarray):
    """An array whose elements beyond its ends are 0."""

    def __getitem__(self, index: Any) -> Any:
        places = index if isinstance(index, tuple) else (index,)
        if all(isinstance(place, (int, np.integer)) for place in places) and not all(0 <= i < n for i, n in zip(places, self.shape)):
            return 0.0
        return super().__getitem__(index)

    def __iter__(self) -> Any:
        return iter(self.view(np.ndarray))

    def __matmul__(self, other: Any) -> Any:
        return 0.0 if isinstance(other, float) else super().__matmul__(other)  # an element beyond the ends


class Elements:
    """What lines such as `delta[t] = ...` and `delta[T] = 0` define, each element when it is first asked for."""

    __array_ufunc__ = None  # so that NumPy leaves products to this class

    def __init__(self, size: int):
        self.size = size
        self.known: dict[tuple[Any, ...], Any] = {}
        self.define: Callable[..., Any] | None = None
        self.rank = 0

    def __getitem__(self, index: Any) -> Any:
        place = tuple(map(int, index)) if isinstance(index, tuple) else (int(index),)
        if place not in self.known:
            if self.define is None or min(place) < 0:
                return 0.0
            self.known[place] = self.define(place)
        return self.known[place]

    def array(self, shape: tuple[int, ...]) -> np.ndarray:
        """The elements up to `shape`, of which a definition fixes as many dims as it has indices."""
        rank = self.rank or len(next(iter(self.known)))
        found = np.broadcast_arrays(*[self[place] for place in itertools.product(*map(range, shape[:rank]))])
        return np.array(found).reshape(shape[:rank] + found[0].shape)

    def __rmatmul__(self, other: Any) -> Any:
        return other @ self.array((self.size,) * self.rank)


def run(lines: Iterable[ast.Assign], names: dict[str, Any]) -> None:
    """Execute a formula's lines in a namespace."""
    for line in lines:
        (target,) = line.targets
        code = compile(ast.Expression(line.value), "<formula>", "eval")
        if not isinstance(target, ast.Subscript):
            value = eval(code, names)
            names.update(zip([each.id for each in target.elts], value) if isinstance(target, ast.Tuple) else [(target.id, value)])
            continue
        name = target.value.id
        if not isinstance(names.get(name), Elements):
            names[name] = Elements(names.get("n", 0))
        indices = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
        if all(isinstance(index, ast.Name) and index.id not in ("n", "T") for index in indices):
            variables = [index.id for index in indices]
            names[name].rank = len(variables)
            names[name].define = lambda place, code=code, variables=variables: eval(code, names | dict(zip(variables, place)))
        else:
            place = eval(compile(ast.Expression(ast.fix_missing_locations(ast.Tuple(indices, ast.Load()))), "<index>", "eval"), names)
            value = eval(code, names)
            names[name].known[place] = float(value) if isinstance(value, int) else value


# -- the names in a formula ------------------------------------------------------------------------


def over(reduce: Callable[..., Any], start: Any) -> Callable[..., Any]:
    """A reduction of a generator's elements or of an array, whose dims stay."""

    def call(first: Any, *rest: Any, axis: Any = ()) -> Any:
        if rest:
            return reduce([first, *rest], axis=0)
        if not isinstance(first, np.ndarray):
            found = list(first)
            return reduce(np.array(found), axis=0) if found else start
        return reduce(first) if axis == () else reduce(first, axis=axis, keepdims=True)

    return call


def integral(function: Callable[[Any], Any], start: float, end: float) -> Any:
    points, weights = np.polynomial.legendre.leggauss(300)
    u = (points + 1) / 2
    if end == math.inf:
        return (function(start + u / (1 - u)) / (1 - u) ** 2 * weights).sum() / 2
    return (function(start + (end - start) * u) * weights).sum() / 2 * (end - start)


def bounded(*bounds: float) -> range:
    return range(*[TERMS if bound == math.inf else int(bound) for bound in bounds])


def zeros_with(x: Any, shape: Any, index: Any) -> Any:
    out = np.zeros(shape)
    np.add.at(out, index, x)
    return out


def replaced(x: Any, value: Any, index: Any) -> Any:
    out = np.array(x)
    out[index] = value
    return out


def bessel(kind: str, x: Any) -> Any:
    return scipy.special.airy(x)[("ai", "aip").index(kind)] if kind[0] == "a" else getattr(scipy.special, kind)(x)


NAMES: dict[str, Any] = {name: getattr(np, name) for name in (
    "exp", "log", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "tanh", "sqrt", "abs", "sign", "floor", "ceil", "trunc", "round",
    "nextafter", "tril", "triu", "outer", "reshape", "argsort", "unique",
)}  # fmt: skip
NAMES |= {name: getattr(scipy.special, name) for name in ("erfc", "erfcx", "erfinv", "ndtri", "gamma", "zeta")}
NAMES |= {
    "pi": math.pi, "inf": math.inf, "range": bounded, "integral": integral, "factorial": math.factorial, "bessel": bessel,
    "sum": over(np.sum, 0), "prod": over(np.prod, 1), "max": over(np.max, -math.inf), "min": over(np.min, math.inf),
    "argmax": over(np.argmax, 0), "mean": over(np.mean, math.nan), "rowsums": lambda x: x.sum(-1, keepdims=True),
    "sigmoid": scipy.special.expit, "polygamma": lambda x, n: scipy.special.polygamma(n, x),
    "Phi": scipy.special.ndtr, "phi": lambda x: np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
    "softmax": lambda x: scipy.special.softmax(x, axis=-1),
    "permute": np.transpose, "expand": np.broadcast_to, "into_zeros": zeros_with, "replaced": replaced,
    "cat": lambda xs, dim: np.concatenate(xs, dim), "stack": lambda xs, dim: np.stack(xs, dim),
    "unstack": lambda x, dim: tuple(np.moveaxis(x, dim, 0)), "split": lambda x, sizes, dim: tuple(np.split(x, np.cumsum(sizes)[:-1], dim)),
    "contract": lambda x, y, spec: np.einsum(f"{spec[0]},{spec[1]}->{spec[2]}", x, y),
    "inv": np.linalg.inv, "pinv": np.linalg.pinv, "det": np.linalg.det, "eigh": np.linalg.eigh, "qr": np.linalg.qr,
    "svd": lambda a: np.linalg.svd(a, full_matrices=False), "cholesky": np.linalg.cholesky, "lu": scipy.linalg.lu,
    "diag": lambda x: np.diag(np.diag(x)), "gru_cell": lambda *xs: REGISTRY["gru_cell"].apply(*[np.asarray(x)[None] for x in xs])[0],
    "lstm_cell": lambda *xs: [x[0] for x in REGISTRY["lstm_cell"].apply(*[np.asarray(x)[None] for x in xs])], "matrix_power": np.linalg.matrix_power,
}  # fmt: skip
NAMES |= {f"{kind}{order}": getattr(scipy.special, f"{kind.lower()}{order}") for kind in "JYIK" for order in "01"}
NAMES |= {f"{kind}{order}e": getattr(scipy.special, f"{kind.lower()}{order}e") for kind in "IK" for order in "01"}
NAMES |= {"Ai": lambda x: scipy.special.airy(x)[0], "Aip": lambda x: scipy.special.airy(x)[1]}


# -- values and gradients --------------------------------------------------------------------------


def named(primitive: Primitive[..., Any], args: Any) -> dict[str, Any]:
    """The arguments by name; those of a star argument are a tuple."""
    if primitive.star is not None:
        args = (*args[: primitive.star], tuple(args[primitive.star :]))
    return dict(zip(primitive.arguments, args))


def prepared(name: str, args: Any, more: Callable[..., Mapping[str, Any]] | None) -> dict[str, Any]:
    """The names that a formula may use, at a point."""
    arguments = named(REGISTRY[name], args)
    first = next(value for value in args if isinstance(value, np.ndarray))
    reduced = reduced_shape(arguments)
    names = NAMES | {"n": first.size // math.prod(reduced) if reduced is not None else first.shape[-1] if first.ndim else 1}
    for key, value in arguments.items():
        if isinstance(value, np.ndarray):
            value = value.view(Padded)
            names[f"{key}_shape"] = value.shape
        names[key] = value
    names["I"] = np.eye(first.shape[-1] if first.ndim else 1)
    return names | dict(more(**arguments) if more is not None else {})


def reduced_shape(arguments: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The shape of a reduction's result with its dims kept; None for other operations."""
    if "keepdim" not in arguments:
        return None
    axes = next(arguments[name] for name in ("axes", "axis", "dims") if name in arguments)
    first = next(value for value in arguments.values() if isinstance(value, np.ndarray))
    dims = range(first.ndim) if axes is None else np.atleast_1d(axes) % first.ndim
    return tuple(1 if d in dims else n for d, n in enumerate(first.shape))


def value_of(name: str, args: Any, like: Any, more: Any = None) -> list[Any]:
    """A primitive's results by its formula, in the shapes of the results `like`."""
    lines = lines_of(FORMULAS[name].value, "result")
    if name in ELEMENTWISE:
        return [each_element(name, [lines], "result", args)]
    names = prepared(name, args, more)
    run(lines, names)
    found = [names[key] for key in results_of(lines) or ["result"]]
    if isinstance(found[0], tuple):
        found = list(found[0])
    return [x.array(np.shape(like[i])) if isinstance(x, Elements) else x for i, x in enumerate(found)]


def results_of(lines: list[ast.Assign]) -> list[str]:
    """The names that a formula gives to its results, if it does: the last line's."""
    last = lines[-1]
    (target,) = last.targets
    if isinstance(target, ast.Subscript):
        return [target.value.id]
    pair = target if isinstance(target, ast.Tuple) else last.value
    return [each.id for each in pair.elts if isinstance(each, ast.Name)] if isinstance(pair, ast.Tuple) else []


def rule_of(name: str, argument: str, args: Any, outs: list[Any], gradients: list[Any], more: Any = None) -> Any:
    """The gradient of an argument by its formula."""
    formula = FORMULAS[name]
    value, shared, lines = (lines_of(text, argument) for text in (formula.value, formula.shared, formula.rules[argument]))
    for line in lines:  # the argument's gradient has a name of its own
        (target,) = line.targets
        own = target.value if isinstance(target, ast.Subscript) else target
        if own.id == argument:
            own.id = "found"
    if name in ELEMENTWISE:
        return each_element(name, [value[:-1], shared, lines], "found", args, out=outs[0], g=gradients[0])
    names = prepared(name, args, more)
    shape = reduced_shape(named(REGISTRY[name], args))
    kept = [x if shape is None or x is None else x.reshape(shape) for x in (outs[0], gradients[0])]
    if not (isinstance(value[-1].targets[0], ast.Name) and len(value) == 1):
        run(lines_of(formula.value, "result"), names)
    for key, gradient in zip(results_of(value), gradients):
        names[f"{key}_bar"] = None if gradient is None else gradient.reshape(np.shape(names.get(key, gradient)) or gradient.shape).view(Padded)
    names["out"], g = (None if x is None else x.view(Padded) for x in kept)
    names["g"] = tuple(gradients) if g is not None and len(gradients) > 1 and all(x is not None for x in gradients) else g
    names |= {"lstm_cell_vjp": lambda h, c, t: lstm_cell_vjp(names, h, c, t), "gru_cell_vjp": lambda h, t: gru_cell_vjp(names, h, t)}
    run([*shared, *lines], names)
    found = names["found"]
    return found.array(np.shape(names[argument])) if isinstance(found, Elements) else found


def each_element(name: str, blocks: list[list[ast.Assign]], target: str, args: Any, **more: Any) -> Any:
    """An elementwise formula at every element."""
    arguments = named(REGISTRY[name], args) | more
    arrays = {key: value for key, value in arguments.items() if isinstance(value, np.ndarray)}

    def at(*elements: Any) -> Any:
        names = NAMES | arguments | dict(zip(arrays, elements))
        for lines in blocks:
            run(lines, names)
        return names[target]

    return np.vectorize(at, otypes=[float])(*arrays.values())


def lstm_cell_vjp(names: Mapping[str, Any], h: Any, c: Any, t: int) -> list[Any]:
    point = [np.asarray(x)[None] for x in (names["z"][t], names["s"][t - 1])]
    return [x[0] for x in actual("lstm_cell", point, [0, 1], [np.broadcast_to(x, point[1].shape) for x in (h, c)])[2]]


def gru_cell_vjp(names: Mapping[str, Any], h: Any, t: int) -> list[Any]:
    before = names["a"][t - 1]
    z, v = names["w_ih"] @ names["input"][t] + names["b_ih"], names["w_hh"] @ before + names["b_hh"]
    return [x[0] for x in actual("gru_cell", [np.asarray(x)[None] for x in (z, v, before)], [0, 1, 2], [np.asarray(h)[None]])[2]]


def actual(name: str, args: Any, chosen: list[int], gradients: Any = None) -> tuple[list[Any], list[Any], list[Any]]:
    """The primitive's results, the gradients given for them, and those of the `chosen` arguments."""
    inputs = tensors(args, "cpu", chosen)
    out = REGISTRY[name].apply(*inputs)
    outs = list(out) if isinstance(out, tuple) else [out]
    if gradients is None:
        draw = np.random.default_rng(3)
        gradients = [np.asarray(draw.standard_normal(o.array.shape)) if o.dtype.kind == "f" else None for o in outs]
    live = [(o, g) for o, g in zip(outs, gradients) if o.requires_grad and g is not None]
    weights = tensors([np.asarray(g) for _, g in live], "cpu")
    found = grad([o for o, _ in live], [inputs[i] for i in chosen], weights, allow_unused=True) if live and chosen else []
    return [o.array for o in outs], gradients, [None if x is None else x.array for x in found]
