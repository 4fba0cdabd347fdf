"""Writes random programs, mostly of statements that PyTorch accepts: it runs them as they are written."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Callable
from typing import Any

import torch

SHAPES = [(), (), (1,), (2,), (3,), (3,), (4,), (2, 3), (2, 3), (3, 2), (3, 3), (1, 3), (2, 1), (2, 2, 3), (2, 3, 2), (0,), (0, 3), (2, 0)]

# What a program may use by name besides the library itself; only what it uses is shown.
DEFINITIONS = {
    "Product": """class Product(t.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y
    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return (g * y).sum_to_size(x.shape), (g * x).sum_to_size(y.shape)""",
    "Sine": """class Sine(t.autograd.Function):
    @staticmethod
    def forward(x):
        return x.sin()
    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g * x.cos()""",
    "Exponential": """class Exponential(t.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y
    @staticmethod
    def backward(ctx, g):
        y, = ctx.saved_tensors
        return g * y""",
    "Same": """class Same(t.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x
    @staticmethod
    def backward(ctx, g):
        return g * 3""",
    "View": """class View(t.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view(-1)
    @staticmethod
    def backward(ctx, g):
        return g * 3
class Reshaped(t.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.shape = x.shape
        return x.view(-1)
    @staticmethod
    def backward(ctx, g):
        return (g * 3).reshape(ctx.shape)""",
    "Dirty": """class Dirty(t.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x
    @staticmethod
    def backward(ctx, g):
        return g * 2""",
    "DirtyAndMore": """class DirtyAndMore(t.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        x.add_(y)
        ctx.mark_dirty(x)
        ctx.save_for_backward(y)
        return x, y * y
    @staticmethod
    def backward(ctx, g, h):
        y, = ctx.saved_tensors
        return g, g.sum_to_size(y.shape) + 2 * y * h""",
    "Marked": """class Marked(t.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        sign = x.sign()
        ctx.mark_non_differentiable(sign)
        ctx.save_for_backward(sign)
        return x.abs(), sign
    @staticmethod
    def backward(ctx, g, _):
        sign, = ctx.saved_tensors
        return g * sign""",
    "Several": """class Several(t.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, y)
        return x * 2, x.sin(), y * 1
    @staticmethod
    def backward(ctx, g, h, k):
        x, y = ctx.saved_tensors
        if g is None and h is None:
            dx = None
        else:
            dx = (0 if g is None else g * 2) + (0 if h is None else h * x.cos())
        return dx, k""",
}


NAME = re.compile(r"\b[xp]\d+\b")


class Nothing(Exception):
    """There is no tensor of the kind that a statement needs."""


STATEMENTS: list[tuple[float, str, Callable[[Writer], Any]]] = []
PURE: list[tuple[float, str, Callable[[Writer], Any]]] = []  # statements that may be in a function's body


def statement(weight: float, pure: bool = False) -> Callable[[Any], Any]:
    """Register a function that writes one statement, or a list of several."""

    def register(function: Any) -> Any:
        STATEMENTS.append((weight, function.__name__, function))
        if pure:
            PURE.append((weight, function.__name__, function))
        return function

    return register


class Writer:
    """Writes statements and runs them in PyTorch, so that later ones fit."""

    def __init__(self, seed: int, start: Callable[[], dict[str, Any]]):
        self.r = random.Random(seed)
        self.env = start()
        self.names: list[str] = []
        self.count = 0
        self.prefix = "x"
        self.program: list[str] = []
        self.dtype = self.r.choice(["float64", "float64", "float32"])
        self.modules: list[str] = []
        self.handles: list[str] = []
        self.mode = ""
        self.mode_left = 0
        self.frozen: set[str] = set()  # names that a checkpoint looks up again in backward
        self.transformed = False  # whether this is the body of a function for a transform

    # -- choosing ---------------------------------------------------------------------------------

    def flip(self, chance: float = 0.5) -> bool:
        return self.r.random() < chance

    def one(self, *options: Any) -> Any:
        return self.r.choice(options)

    def maker(self, table: list[Any]) -> Any:
        return self.r.choices(table, [weight for weight, _, _ in table])[0][2]

    def new(self) -> str:
        """A name for a result, usually a new one."""
        if self.flip(0.1) and (mine := [n for n in self.names if n[0] == self.prefix and n not in self.frozen]):
            return self.r.choice(mine)
        self.count += 1
        return f"{self.prefix}{self.count}"

    def get(self, name: str) -> Any:
        return self.env[name]

    def tensor(self, *tests: Callable[[Any], bool], new: float = 0.5) -> str:
        """The name of a tensor that passes the tests; recent ones are more likely."""
        found = [n for n in self.names if usable(self.env[n]) and all(test(self.env[n]) for test in tests)]
        if not found:
            raise Nothing
        return found[-1 - min(int(self.r.expovariate(new)), len(found) - 1)] if self.flip(0.6) else self.r.choice(found)

    def floating(self, *tests: Callable[[Any], bool]) -> str:
        if self.flip(0.7):
            with contextlib.suppress(Nothing):
                return self.tensor(is_floating, lambda x: x.requires_grad, *tests)
        return self.tensor(is_floating, *tests)

    # -- text -------------------------------------------------------------------------------------

    def number(self, integer: float = 0.3) -> str:
        if self.flip(integer):
            return str(self.r.choice([-2, -1, 0, 1, 2, 2, 3]))
        return str(self.r.choice([-1, 1]) * self.r.randint(10, 200) / 100)

    def values(self, shape: tuple[int, ...], kind: str = "float") -> str:
        if not shape:
            return {"float": lambda: self.number(0), "int": lambda: str(self.r.randint(-3, 4)), "bool": lambda: str(self.flip())}[kind]()
        return "[" + ", ".join(self.values(shape[1:], kind) for _ in range(shape[0])) + "]"

    def constant(self, shape: tuple[int, ...], dtype: str | None = None) -> str:
        """The text of a new tensor."""
        dtype = dtype or self.float_dtype()
        kind = "float" if dtype.startswith("float") else "bool" if dtype == "bool" else "int"
        if 0 in shape:
            return f"t.zeros({shape}, dtype=t.{dtype})"
        return f"t.tensor({self.values(shape, kind)}, dtype=t.{dtype})"

    def float_dtype(self) -> str:
        return self.dtype if self.flip(0.9) else self.one("float64", "float32", "float32")

    def like(self, x: Any, grad: float = 0.5) -> str:
        """The text of something that broadcasts to the shape of `x`: a number, a new tensor, or an existing one."""
        shape = tuple(x.shape)
        if self.flip(0.6):
            with contextlib.suppress(Nothing):
                return self.tensor(is_floating, lambda y: into(y.shape, shape))
        if self.flip(0.4):
            return self.number()
        keep = shape[self.r.randint(0, len(shape)) :] if self.flip(0.3) else shape
        keep = tuple(1 if self.flip(0.2) else n for n in keep)
        return self.constant(keep, str(x.dtype)[6:] if is_floating(x) or self.flip() else None)

    def source(self, x: Any) -> str:
        """Something that can be written into `x`: `like` it, but in other memory, because otherwise PyTorch refuses it or
        reads what it has just written."""
        text = self.like(x)
        return text + ".clone()" if text in self.names and shares_memory(x, self.get(text)) else text

    def dim(self, x: Any) -> int:
        n = max(x.dim(), 1)
        return self.r.randint(-n, n - 1)

    def index(self, shape: tuple[int, ...], write: bool = False, advanced: float = 0.4) -> str:
        """The text of any kind of index that fits `shape`; for writing, without repeated positions."""
        items: list[str] = []
        dims = list(shape)
        ellipsis, arrays = False, 0
        use_arrays = self.flip(advanced)
        if use_arrays and shape and self.flip(0.25):
            return f"t.tensor({self.values(shape, 'bool')}, dtype=t.bool)" if 0 not in shape else "..."
        if not shape:
            return self.one("...", "()", "None", "..., None", "True", "t.tensor(True)")
        while dims:
            n = dims[0]
            roll = self.r.random()
            if roll < 0.08:
                items.append("None")
                continue
            if roll < 0.18 and not ellipsis:
                items.append("...")
                ellipsis = True
                del dims[: self.r.randint(0, len(dims))]
                continue
            if roll < 0.28 and items:
                break
            dims.pop(0)
            if roll < 0.5 and n:
                items.append(str(self.r.randint(-n, n - 1)))
            elif roll < 0.75 and use_arrays and n and not (write and arrays):
                arrays += 1
                if self.flip(0.3):
                    items.append(f"t.tensor({self.values((n,), 'bool')}, dtype=t.bool)")
                    continue
                places = self.r.sample(range(-n, 0), self.r.randint(1, n)) if write else [self.r.randint(-n, n - 1) for _ in range(self.r.randint(1, 3))]
                places = [p + n if p < 0 and self.flip() else p for p in places]
                items.append(str(places) if self.flip() else f"t.tensor({self.one(places, [places], [[p] for p in places])})")
            else:
                items.append(self.slice(n))
        text = ", ".join(items) or "..."
        return text

    def slice(self, n: int) -> str:
        ends = [str(self.r.randint(-n, n)) if self.flip(0.4) else "" for _ in range(2)]
        return ":".join(ends) + (f":{self.one(1, 2, 2, 3)}" if self.flip(0.3) else "")

    def expression(self, v: str, x: Any, depth: int = 2) -> str:
        """The text of a function of `v`, which resembles `x`, with its shape or one that broadcasts to it."""
        if not depth or self.flip(0.15):
            return v
        inner = self.expression(v, x, depth - 1)
        roll = self.r.random()
        if roll < 0.35:
            return f"{inner}.{self.one(*SMOOTH)}()"
        if roll < 0.6:
            return f"({inner} {self.one('*', '+', '-', '*')} {self.like(x)})"
        if roll < 0.75:
            return f"({inner} * {self.expression(v, x, depth - 1)})"
        if roll < 0.82:
            return f"({inner} ** {self.one(2, 3, 2.0)})"
        if roll < 0.88:
            return f"{inner}.clone().{self.one('mul_(2)', 'add_(1)', 'sin_()', 'tanh_()', f'mul_({v})')}"
        if roll < 0.92:
            return f"({inner} * {v}.sum())"
        return self.one(f"{inner}.detach()", f"({inner} * {inner}.detach())", f"t.where({inner} > 0, {inner}, {v})", f"({inner} + {inner}.mean())")

    def scalar(self, v: str, x: Any, depth: int = 2) -> str:
        text = self.expression(v, x, depth)
        return self.one(f"{text}.sum()", f"({text} * {v}).sum()", f"({text} ** 2).mean()", f"{text}.exp().sum()")

    # -- running ----------------------------------------------------------------------------------

    def try_out(self, text: str) -> str:
        """Run one statement: "" or the error."""
        try:
            exec(compiled(text), self.env)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        self.names = [n for n in self.names if isinstance(self.env.get(n), torch.Tensor)]
        self.names += [n for n in NAME.findall(text) if isinstance(self.env.get(n), torch.Tensor) and n not in self.names]
        return ""

    def sane(self, text: str) -> bool:
        """Whether no tensor has become too large, in shape or value, to be compared."""
        for n in dict.fromkeys(NAME.findall(text)):  # in order, for a seed is a program
            x = self.env.get(n)
            if isinstance(x, torch.Tensor) and usable(x):
                if x.numel() > 80 or x.dim() > 5:
                    return False
                if is_floating(x) and x.numel():
                    largest = x.detach().abs().max().item()
                    if "std" in text and x.detach().min() < 1e-3:
                        return False  # rounding decides whether it is zero
                    if not largest < 1e4 and not self.flip(0.05):
                        return False
        return True

    def add(self, text: str) -> None:
        """Add a statement to the program, usually only if PyTorch accepts it."""
        if self.mode and not text.startswith(("with", "def", "class", "@")) and "\n" not in text:
            text = f"{self.mode}: {text}"
        before = {n: self.env.get(n) for n in self.names}
        error = self.try_out(text)
        if error:
            halves = leaves_halves(text)
            if "NameError" not in error and "SyntaxError" not in error and self.flip(0.1 if halves else 0.2):
                self.program.append(text)
                if halves:
                    raise StopIteration
            return
        if not self.sane(text) and not re.search(r"_\(|\]\s=|\w=\s", text):  # a result that can be dropped
            for n in NAME.findall(text):
                if n in before:
                    self.env[n] = before[n]
                elif self.env.pop(n, None) is not None:
                    self.names.remove(n)
            return
        self.program.append(text)

    def write(self, table: list[Any] = STATEMENTS) -> None:
        for _ in range(20):
            with contextlib.suppress(Nothing):
                made = self.maker(table)(self)
                for text in [made] if isinstance(made, str) else made or []:
                    self.add(text)
                return

    def body(self, v: str, x: Any, size: int, last: Callable[[Writer, str, Any], str], transformed: bool = False) -> str:
        """The lines of a function of `v`, which will receive something like `x`."""
        inner = Writer(self.r.getrandbits(32), dict)
        inner.dtype = self.dtype
        inner.transformed = transformed
        inner.env = {n: self.env[n] for n in self.env}
        inner.names = [v]
        inner.prefix = "p"
        inner.count = self.count + 100
        inner.env[v] = x.detach().clone().requires_grad_(is_floating(x)) * 1 if x.dtype != torch.bool else x.clone()
        for _ in range(size):
            if transformed and self.flip(0.2) and self.names:
                captured = self.r.choice(self.names)
                if is_floating(self.env[captured]):
                    inner.names = [captured, *inner.names]  # may be read and written; a checkpoint, which runs twice, may not write
            inner.write(PURE)
        try:
            name = inner.tensor(is_floating, lambda y: y.requires_grad, new=3)
        except Nothing:
            name = v
        lines = [line for text in inner.program for line in text.splitlines()]
        return "\n".join(f"    {line}" for line in [*lines, f"return {last(inner, name, inner.env[name])}"])


def random_program(seed: int, start: Callable[[], dict[str, Any]]) -> list[str]:
    """The program of a seed: a list of statements. `start` gives the initial names, for PyTorch."""
    w = Writer(seed, start)
    length = w.r.randint(5, 25)
    with contextlib.suppress(StopIteration):
        for _ in range(w.r.randint(2, 4)):
            w.add(leaf(w))
        for _ in range(4 * length):
            if len(w.program) >= length:
                break
            if w.mode_left:
                w.mode_left -= 1
            else:
                w.mode = ""
                if w.flip(0.06):
                    w.mode, w.mode_left = w.one(*MODES), w.r.randint(1, 4)
            w.write()
        w.mode = ""
        for _ in range(w.r.randint(1, 3)):
            with contextlib.suppress(Nothing):
                w.add(backward(w))
    return w.program


def leaves_halves(text: str) -> bool:
    """Whether PyTorch, if it refuses this statement, has executed part of it: the backward up to the fault, a Function's
    forward."""
    return "backward(" in text or "autograd.grad(" in text or "Dirty" in text or "\n" in text


CODE: dict[str, Any] = {}


def compiled(text: str) -> Any:
    if text not in CODE:
        if len(CODE) > 2000:
            CODE.clear()
        CODE[text] = compile(text, "<program>", "exec")
    return CODE[text]


def is_floating(x: Any) -> bool:
    return x.is_floating_point()


def usable(x: Any) -> bool:
    """Whether PyTorch allows looking at a tensor: not at one of several views whose base was changed."""
    try:
        return x.is_leaf is not None
    except RuntimeError:
        return False


def shares_memory(x: Any, y: Any) -> bool:
    try:
        return bool(x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr())
    except RuntimeError:  # tensors kept from a transform's function
        return True


def into(shape: Any, other: Any) -> bool:
    """Whether `shape` broadcasts into `other`."""
    return len(shape) <= len(other) and all(n in (1, m) for n, m in zip(reversed(shape), reversed(other)))


def has_dims(x: Any) -> bool:
    return x.dim() > 0 and x.numel() > 0


# -- tables of names ------------------------------------------------------------------------------

PACK = "with t.autograd.graph.saved_tensors_hooks(lambda s: s.clone(), lambda s: s)"
MODES = [
    "with t.no_grad()",
    "with t.no_grad()",
    "with t.no_grad()",
    "with t.no_grad(), t.enable_grad()",
    "with t.enable_grad()",
    "with t.set_grad_enabled(False)",
    PACK,
    "with t.autograd.graph.saved_tensors_hooks(lambda s: s.detach().numpy().copy(), lambda s: t.from_numpy(s))",
]
SMOOTH = ["sin", "cos", "tanh", "sigmoid", "exp", "square", "atan", "sinh", "neg"]
UNARY = [
    *SMOOTH, *SMOOTH, "abs", "relu", "sqrt", "log", "reciprocal", "erf", "expm1", "log1p", "rsqrt", "sign", "floor", "round", "exp2",
    "asinh", "acos", "erfc", "softmax(-1)", "log_softmax(0)", "clamp(-1, 1)", "clamp(min=0.5)", "clamp(max=0.5)", "cumsum(-1)", "cumprod(0)",
    "nan_to_num()", "logit(0.1)", "flip(0)", "tril()", "triu(1)", "roll(1)", "positive()", "frac", "trunc", "deg2rad", "sinc", "pow(2)", "pow(3)",
    "logcumsumexp(0)", "clip(-0.5, 1.5)", "hardshrink()", "sgn", "lgamma", "digamma", "renorm(2, 0, 1.0)", "mul(2)", "add(1)", "sub(1, alpha=2)",
    "div(3)", "fmod(1)", "remainder(0.7)", "float_power(2)",
]  # fmt: skip
FUNCTIONS = [
    "F.relu", "F.gelu", "F.silu", "F.elu", "F.softplus", "F.leaky_relu", "F.hardtanh", "F.logsigmoid", "F.mish", "F.selu", "F.softsign",
    "F.tanhshrink", "F.relu6", "F.celu", "t.sin", "t.exp", "t.neg", "t.clone", "t.square", "t.special.expit",
    "F.softshrink", "F.threshold",
]  # fmt: skip
METHODS = ["maximum", "minimum", "fmax", "fmin", "hypot", "atan2", "add", "mul", "sub", "div", "logaddexp", "copysign", "xlogy", "pow", "dist", "mul", "fmod"]
IN_PLACE = [
    "exp_()", "sin_()", "cos_()", "tanh_()", "sigmoid_()", "neg_()", "abs_()", "relu_()", "square_()", "sqrt_()", "clamp_(-1, 1)", "clamp_(min=0)",
    "zero_()", "fill_(0.7)", "round_()", "floor_()", "reciprocal_()", "log1p_()", "erf_()", "tril_()", "triu_()", "cumsum_(0)", "pow_(2)", "sign_()",
    "frac_()", "clamp_max_(1)", "clamp_min_(-1)", "atan_()", "expm1_()", "fill_diagonal_(2)", "nan_to_num_()", "fmod_(1)", "remainder_(0.7)", "logit_(0.1)",
]  # fmt: skip
IN_PLACE_WITH = ["add_", "sub_", "mul_", "div_", "copy_", "add_", "mul_", "copy_", "atan2_", "fill_", "pow_", "lerp_", "addcmul_", "addcdiv_"]
IN_PLACE_VIEWS = ["t_()", "unsqueeze_(0)", "unsqueeze_(-1)", "squeeze_()", "transpose_(0, -1)", "squeeze_(0)", "swapaxes_(0, 1)"]


# -- tensors --------------------------------------------------------------------------------------


@statement(2)
def leaf(w: Writer) -> str:
    x, shape, dtype = w.new(), w.r.choice(SHAPES), w.float_dtype()
    roll = w.r.random()
    if roll < 0.45:
        text = w.constant(shape, dtype)
        return f"{x} = {text[:-1]}, requires_grad=True)"
    if roll < 0.6:
        return f"{x} = {w.constant(shape, dtype)}"
    if roll < 0.68:
        return f"{x} = {w.constant(shape, w.one('int64', 'int64', 'int32', 'bool'))}"
    if roll < 0.73:
        return f"{x} = nn.Parameter({w.constant(shape, dtype)})"
    view = [".t()" if len(shape) == 2 else ".mT" if len(shape) > 2 else "[::2]", "[::2]", "[1:]", f".expand(2, {', '.join(map(str, shape)) or '1'})", ".permute(1, 0)", "[0]", ".clone()"]
    return f"{x} = {w.constant(shape, dtype)}{w.r.choice(view)}" + w.one(".requires_grad_()", ".detach().requires_grad_()", ".detach().requires_grad_()", "")


@statement(3, pure=True)
def unary(w: Writer) -> str:
    x = w.floating()
    if w.flip(0.25):
        return f"{w.new()} = {w.r.choice(FUNCTIONS[:-1])}({x})"
    call = w.r.choice(UNARY)
    return f"{w.new()} = {x}.{call if call.endswith(')') else call + '()'}"


@statement(6, pure=True)
def binary(w: Writer) -> str:
    x = w.floating() if w.flip(0.85) else w.tensor()
    y = w.like(w.get(x))
    if w.flip(0.2):
        x, y = y, x
    if w.flip(0.25):
        return f"{w.new()} = {x}.{w.r.choice(METHODS)}({y})" if x[0] in "xp" else f"{w.new()} = {x} * {y}"
    return f"{w.new()} = {x} {w.one('+', '-', '*', '*', '/', '+', '*', '**', '%', '//')} {y}"


@statement(1, pure=True)
def ternary(w: Writer) -> str:
    x = w.floating()
    y, z = (w.like(w.get(x)) for _ in range(2))
    return f"{w.new()} = " + w.one(
        f"t.where({x} > {w.number()}, {x}, {y})",
        f"t.where({x} > {w.like(w.get(x))}, {y}, {z})",
        f"t.lerp({x}, {y}, {z})",
        f"t.addcmul({x}, {y}, {z})",
        f"t.addcdiv({x}, {y}, {z}, value=0.5)",
        f"t.clamp({x}, {y}, {z})",
        f"{x}.masked_fill({x} > {w.number()}, {w.number()})",
        f"{x}.masked_fill({x} > 0, {y})",
        f"t.add({x}, {y}, alpha=2)",
    )


@statement(0.6, pure=True)
def compare(w: Writer) -> str:
    x = w.tensor()
    return f"{w.new()} = " + w.one(f"{x} {w.one('>', '<', '>=', '==', '!=')} {w.like(w.get(x))}", f"{x}.isnan()", f"{x}.bool()", f"t.isfinite({x})", f"{x}.logical_not()")


@statement(0.8, pure=True)
def cast(w: Writer) -> str:
    x = w.tensor()
    return f"{w.new()} = {x}." + w.one(
        "to(t.float32)", "to(t.float64)", "float()", "double()", "long()", "int()", "bool()", f"to({w.tensor()})", f"type_as({w.tensor()})", "to(t.float64, copy=True)",
        "type(t.float64)",
    )  # fmt: skip


@statement(3, pure=True)
def reduction(w: Writer) -> str:
    x = w.floating()
    dim = w.dim(w.get(x))
    keep = w.one("", "", ", keepdim=True")
    whole = w.one("sum", "mean", "prod", "norm", "amax", "max", "min", "std", "var", "median", "logsumexp(0)", "sum", "sum", "nansum", "argmax", "count_nonzero")
    if w.flip(0.4):
        return f"{w.new()} = {x}.{whole}" + ("" if whole.endswith(")") else "()")
    return f"{w.new()} = {x}." + w.one(
        f"sum({dim}{keep})", f"sum({dim}{keep})", f"mean({dim}{keep})", f"prod({dim}{keep})", f"amax({dim}{keep})", f"amin({dim}{keep})", f"max({dim}{keep}).values",
        f"min({dim}{keep})[0]", f"logsumexp({dim}{keep})", f"norm(dim={dim}{keep})", f"var({dim}{keep})", f"std({dim}{keep})", f"median({dim}{keep}).values", f"norm(1, {dim}{keep})",
        f"sum((0, -1){keep})", f"mean((0, -1){keep})", f"argmax({dim}{keep})", f"sort({dim}).values", f"topk(1, {dim}).values", f"cummax({dim}).values", f"sort({dim}, descending=True)[0]",
        f"sum({dim}, dtype=t.float64)", f"norm(float('inf'), {dim}{keep})", f"diff(dim={dim})", f"softmax({dim})", f"log_softmax({dim})", f"kthvalue(1, {dim}{keep}).values",
        f"std({dim}, correction=0{keep})", "cov()" if w.get(x).dim() == 2 else "sum()", f"aminmax(dim={dim})[0]", f"argsort({dim})",
    )  # fmt: skip


@statement(1, pure=True)
def normalization(w: Writer) -> str:
    x = w.floating(has_dims)
    shape = tuple(w.get(x).shape)
    last = shape[-1:]
    return f"{w.new()} = " + w.one(
        f"F.layer_norm({x}, {last})",
        f"F.layer_norm({x}, {last}, {w.constant(last)}, {w.constant(last)})",
        f"F.normalize({x}, dim={w.dim(w.get(x))})",
        f"F.softmax({x}, {w.dim(w.get(x))})",
        f"F.log_softmax({x}, {w.dim(w.get(x))})",
        f"F.rms_norm({x}, {last})",
        f"F.mse_loss({x}, {x}.detach() * 2)",
        f"F.smooth_l1_loss({x}, {w.constant(shape)})",
        f"F.cross_entropy({x}, t.tensor({w.values((shape[0],), 'int') if len(shape) == 2 else '0'}) % {shape[-1]})",
        f"F.pad({x}, (1, 0))",
        f"F.pad({x}, (1, -1), value=2.0)",
        f"F.linear({x}, {w.constant((2, *last))}, {w.constant((2,))})",
        f"F.cosine_similarity({x}, {w.constant(shape)}, dim=-1)",
        f"F.dropout({x}, 0.5, training=False)",
        f"F.batch_norm({x}, None, None, training=True)",
        f"F.group_norm({x}, 1)",
        f"F.instance_norm({x})",
        f"F.l1_loss({x}, {w.constant(shape)})",
        f"t.cdist({x}, {x} * 2)",
        f"F.huber_loss({x}, {w.constant(shape)}, reduction='none')",
        f"F.avg_pool1d({x}, 2)",
        f"F.max_pool1d({x}, 2)",
        f"F.interpolate({x}[None, None], scale_factor=1)",
    )


@statement(1.5, pure=True)
def matmul(w: Writer) -> str:
    x = w.floating(lambda x: x.dim() > 0)
    a = w.get(x)
    dtype = str(a.dtype)[6:]
    n = a.shape[-1]
    options = [
        f"{x} @ {w.constant((n,), dtype)}", f"{x} @ {w.constant((n, 2), dtype)}", f"{x} @ {x}.mT", f"{x}.mT @ {x}", f"t.einsum('...i,...i->...', {x}, {x})",
        f"t.outer({x}, {x})", f"{x}.dot({w.constant((n,), dtype)})", f"{x}.mv({w.constant((n,), dtype)})", f"t.addmm({w.number()} * {x}[:1, :1], {x}, {x}.t())",
        f"t.tensordot({x}, {x}, 1)", f"{x}.mm({x}.t())", f"t.einsum('ij,kj->ik', {x}, {x})", f"t.bmm({x}, {x}.mT)", f"t.kron({x}, {w.constant((2,), dtype)})",
        f"t.linalg.vector_norm({x})", f"{x}.trace()", f"t.baddbmm({x} @ {x}.mT, {x}, {x}.mT, beta=0.5)", f"{x}.inner({x})", f"F.bilinear({x}, {x}, {w.constant((1, n, n), dtype)})",
    ]  # fmt: skip
    with contextlib.suppress(Nothing):
        y = w.floating(lambda y: y.dtype == a.dtype and y.dim() > 0 and y.shape[-min(2, y.dim())] == n)
        options += [f"{x} @ {y}", f"{x}.matmul({y})"] * 5
    return f"{w.new()} = {w.r.choice(options)}"


@statement(1.5, pure=True)
def join(w: Writer) -> str:
    x = w.floating()
    a = w.get(x)
    same = [w.tensor(lambda y: y.shape == a.shape) for _ in range(w.r.randint(1, 2))]
    dim = w.dim(a)
    return f"{w.new()} = " + w.one(
        f"t.stack([{', '.join([x, *same])}], {dim})",
        f"t.cat([{', '.join([x, *same])}], {dim})",
        f"t.cat([{x}, {x} * 2], {dim})",
        f"t.hstack([{x}, {same[0]}])",
        f"t.vstack([{x}, {x}, {same[0]}])",
        f"t.stack([{x}, {x}])",
        f"t.cat([{same[0]}], {dim})",
    )


@statement(1.5, pure=True)
def split(w: Writer) -> str:
    x = w.floating(has_dims)
    a = w.get(x)
    dim = w.dim(a)
    n = a.shape[dim]
    call = w.one(f"unbind({dim})", f"split(1, {dim})", f"split(2, {dim})", f"chunk(2, {dim})", f"tensor_split(2, {dim})", f"split([1, {n - 1}], {dim})")
    if w.flip(0.3):
        return f"{w.new()} = {x}.{call}[{w.one(0, -1)}]"
    first, second = w.new(), w.new()
    return f"{first}, *_, {second} = {x}.{call}" if first != second else f"{first} = {x}.{call}[0]"


@statement(5, pure=True)
def view(w: Writer) -> str:
    x = w.floating() if w.flip(0.9) else w.tensor()
    a = w.get(x)
    shape = tuple(a.shape)
    dims = a.dim()
    dim, other = w.dim(a), w.dim(a)
    order = list(range(dims))
    w.r.shuffle(order)
    n = shape[dim] if dims else 1
    start = w.r.randint(0, max(n - 1, 0))
    turned = tuple(shape[i] for i in order)
    half = [f"view({n}, -1)" for n in shape if n] + ["view(-1)"]
    new = max(dims, 1)
    options = [
        "t()", "mT", f"transpose({dim}, {other})", f"permute({tuple(order)})", w.r.choice(half), "reshape(-1)", f"reshape({turned})", f"view({shape})",
        f"narrow({dim}, {start}, {w.r.randint(0, max(n - start, 0))})", f"select({dim}, {start})", f"unsqueeze({w.r.randint(-new, new)})", f"squeeze({dim})",
        "squeeze()", f"expand({(w.r.randint(1, 2), *shape)})", f"diagonal(0, {dim}, {other})", f"unfold({dim}, {w.r.randint(1, max(n, 1))}, {w.r.randint(1, 2)})", "flatten()",
        f"unflatten({dim}, (-1, {w.one(1, n)}))", f"movedim({dim}, {other})", f"view_as({x})", f"expand_as({x})", f"swapaxes({dim}, {other})", "T", f"diagonal({w.one(-1, 1)})",
        "ravel()", f"broadcast_to({(2, *shape)})", "diag()", f"as_strided(({w.r.randint(1, 2)},), (1,))", "as_strided((2, 2), (1, 1))", "H" if dims == 2 else "view(-1)",
        f"index_select({dim}, t.tensor([{start}, {start}]))", f"repeat({(2, *[1] * dims)})", f"gather({dim}, t.zeros({shape}, dtype=t.int64))", f"take_along_dim(t.zeros({shape}, dtype=t.int64), {dim})",
        f"repeat_interleave(2, {dim})", f"tile(({w.one(1, 2)},))", "contiguous()", "clone()", f"masked_select({x} > 0)", "view(-1)", f"flip({dim})", "rot90()", "take(t.tensor([0]))", "diag_embed()",
    ]  # fmt: skip
    return f"{w.new()} = {x}.{w.r.choice(options)}"


@statement(3, pure=True)
def read(w: Writer) -> str:
    x = w.floating() if w.flip(0.9) else w.tensor()
    shape = tuple(w.get(x).shape)
    if w.flip(0.1):
        return f"{w.new()} = {x}[{w.tensor(lambda y: y.dtype in (torch.int64, torch.bool))}]"
    return f"{w.new()} = {x}[{w.index(shape)}]"


# -- changes in place -----------------------------------------------------------------------------


def target(w: Writer) -> str:
    """A tensor that may be changed: usually not a leaf that requires grad."""
    if w.flip(0.85):
        with contextlib.suppress(Nothing):
            return w.tensor(is_floating, lambda x: not (x.is_leaf and x.requires_grad) or not torch.is_grad_enabled())
    return w.floating() if w.flip(0.85) else w.tensor()


@statement(4, pure=True)
def write(w: Writer) -> str:
    x = target(w)
    a = w.get(x)
    index = w.index(tuple(a.shape), write=True)
    where = f"{x}[{index}]"
    if w.flip(0.1):
        where = f"{x}[{x} > {w.number()}]"
    try:
        region = eval(where, w.env)
    except Exception as error:
        raise Nothing from error
    value = w.source(region) if (is_floating(a) or w.flip()) and region.numel() else w.number()
    if w.flip(0.15):
        return f"{where} {w.one('+=', '*=', '-=')} {value}"
    if w.flip(0.05):
        return f"{where}.{w.one('mul_', 'copy_', 'add_')}({value})"
    return f"{where} = {value}"


@statement(4, pure=True)
def in_place(w: Writer) -> str:
    x = target(w)
    a = w.get(x)
    dim = w.dim(a)
    roll = w.r.random()
    name = f"{w.new()} = " if w.flip(0.15) else ""
    if roll < 0.35:
        return f"{name}{x}.{w.r.choice(IN_PLACE)}"
    if roll < 0.7:
        method = w.r.choice(IN_PLACE_WITH)
        more = {"lerp_": ", 0.3", "addcmul_": f", {w.source(a)}", "addcdiv_": f", {w.source(a)}, value=0.5"}.get(method, "")
        if method in ("add_", "sub_") and w.flip(0.2):
            more = ", alpha=2"
        return f"{name}{x}.{method}({w.source(a)}{more})"
    if roll < 0.8:
        mask = f"{x} > {w.number()}"
        return name + w.one(
            f"{x}.masked_fill_({mask}, {w.number()})",
            f"{x}.masked_fill_({mask}, {w.floating(lambda y: y.dim() == 0) if w.flip() else w.number()})",
            f"{x}.masked_scatter_({mask}, {w.constant(tuple(a.shape), str(a.dtype)[6:])})",
        )
    if roll < 0.9 and has_dims(a):
        n = a.shape[dim]
        i = w.r.randint(0, n - 1)
        source = f"{x}.select({dim}, {i}).unsqueeze({dim}) * 2"
        return name + w.one(
            f"{x}.index_add_({dim}, t.tensor([{i}]), {source})",
            f"{x}.index_copy_({dim}, t.tensor([{i}]), {source})",
            f"{x}.index_fill_({dim}, t.tensor([{i}]), {w.number()})",
            f"{x}.scatter_({dim}, t.zeros({(1,) * a.dim()}, dtype=t.int64), {w.number()})",
            f"{x}.scatter_add_({dim}, t.zeros({(1,) * a.dim()}, dtype=t.int64), {x}.detach() * 1)",
            f"{x}.index_put_((t.tensor([{w.r.randint(0, a.shape[0] - 1)}]),), {w.constant((), str(a.dtype)[6:])})",
            f"{x}.put_(t.tensor([0]), {w.constant((1,), str(a.dtype)[6:])})",
        )
    if roll < 0.95:
        if w.transformed:
            raise Nothing  # in autograd.functional PyTorch loses the gradient of some of them
        return f"{name}{x}.{w.r.choice(IN_PLACE_VIEWS)}"
    return name + w.one(
        f"F.relu({x}, inplace=True)", f"F.leaky_relu_({x})", f"F.elu({x}, inplace=True)", f"F.hardtanh_({x})", f"F.threshold_({x}, 0.1, 0.2)", f"t.relu_({x})",
        f"F.silu({x}, inplace=True)", f"nn.init.zeros_({x})", f"nn.init.constant_({x}, 0.3)",
    )  # fmt: skip


@statement(2, pure=True)
def augmented(w: Writer) -> str:
    x = target(w)
    if w.prefix == "p" and x[0] == "x":
        raise Nothing  # it would become a name of the function's own
    return f"{x} {w.one('+=', '-=', '*=', '/=', '*=', '+=', '**=')} {w.source(w.get(x))}"


# -- places on the tape ---------------------------------------------------------------------------


@statement(1.2, pure=True)
def detach(w: Writer) -> str:
    x = w.floating()
    if w.transformed:
        return f"{w.new()} = {x}.{w.one('detach()', 'clone()', 'contiguous()', 'detach().clone()')}"
    return f"{w.new()} = {x}.{w.one('detach()', 'detach()', 'data', 'clone()', 'contiguous()', 'detach().clone()', 'detach().requires_grad_()', 'clone().detach()')}"


@statement(1)
def data(w: Writer) -> str:
    x = w.floating()
    a = w.get(x)
    i = w.index(tuple(a.shape), write=True)
    return w.one(
        f"{x}.data.mul_({w.number()})", f"{x}.data[{i}] = {w.number()}", f"{x}.data.copy_({w.source(a)})", f"{x}.data = {x}.data * 2", f"{x}.data += {w.number()}", f"{x}.data = {w.constant(tuple(a.shape), str(a.dtype)[6:])}",
        f"{x}.detach().mul_(2)", f"{x}.detach()[{i}] = {w.number()}", f"{x}.data.zero_()", f"{x}.data.clamp_(-1, 1)", f"{x}.detach_()", f"{x}.detach_()", f"{x}.data[{i}] = {w.source(a)}",
    )  # fmt: skip


@statement(1.2)
def toggle(w: Writer) -> str:
    x = w.floating()
    if w.flip(0.6):
        x = w.tensor(is_floating, lambda y: y.is_leaf)
    return w.one(f"{x}.requires_grad_()", f"{x}.requires_grad_(False)", f"{x}.requires_grad = True", f"{x}.requires_grad = False", f"{x}.requires_grad_()", f"{x} = {x}.detach().requires_grad_()")


@statement(0.7)
def drop(w: Writer) -> str:
    x = w.tensor()
    if x in w.frozen:
        raise Nothing
    return f"del {x}"


@statement(1.2)
def retain(w: Writer) -> str:
    return f"{w.floating(lambda x: x.requires_grad)}.retain_grad()"


@statement(1.5)
def hook(w: Writer) -> str:
    if w.handles and w.flip(0.15):
        return f"{w.r.choice(w.handles)}.remove()"
    x = w.floating(lambda x: x.requires_grad)
    tag = f"hook of {x}, {len(w.program)}"
    if w.get(x).is_leaf and w.flip():
        text = f"{x}.register_post_accumulate_grad_hook(lambda p: " + w.one(f"log({tag!r}, p.grad)", f"log({tag!r}, p.grad, p)", "(p.grad.mul_(2), None)[1]", "setattr(p, 'grad', None)", "(p.grad.zero_(), None)[1]", "p.grad.mul_(2)") + ")"
    else:
        text = f"{x}.register_hook(lambda g: " + w.one(f"log({tag!r}, g)", f"log({tag!r}, g)", "g * 2", "g.clamp(-1, 1)", f"g * {x}.detach()", f"(log({tag!r}, g), g * 3)[1]") + ")"
    if w.flip(0.3):
        handle = f"h{len(w.program)}"
        w.handles.append(handle)
        return f"{handle} = {text}"
    return text


@statement(0.6)
def module(w: Writer) -> list[str]:
    x = w.floating()
    a = w.get(x)
    n = a.shape[-1] if a.dim() else 1
    name = f"m{len(w.program)}"
    made = w.one("nn.Identity()", "nn.Flatten(0)", "nn.ReLU(inplace=True)", "nn.ReLU()", "nn.Tanh()", "nn.Dropout(0.5).eval()", f"nn.Linear({n}, 2, dtype=t.{str(a.dtype)[6:]})", "nn.Sequential(nn.Tanh(), nn.ReLU(inplace=True))",
                 f"nn.LayerNorm({n}, dtype=t.{str(a.dtype)[6:]})", "nn.Softmax(-1)", "nn.ELU(inplace=True)")  # fmt: skip
    lines = [f"{name} = {made}"]
    if "Linear" in made:
        lines.append(f"{name}.load_state_dict({{'weight': {w.constant((2, n), str(a.dtype)[6:])}, 'bias': {w.constant((2,), str(a.dtype)[6:])}}})")
    tag = f"hook of {name}, {len(w.program)}"
    hooks = [
        f"{name}.register_full_backward_hook(lambda m, gi, go: log({tag!r}, *gi, *go))",
        f"{name}.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2,) if gi[0] is not None else None)",
        f"{name}.register_full_backward_pre_hook(lambda m, go: log({tag!r}, *go))",
        f"{name}.register_full_backward_pre_hook(lambda m, go: (go[0] * 2,))",
        f"{name}.register_forward_hook(lambda m, i, o: o * 2)",
        f"{name}.register_forward_pre_hook(lambda m, i: (i[0] * 2,))",
        f"{name}.register_forward_hook(lambda m, i, o: o.mul_(2))",
    ]
    lines += w.r.sample(hooks[: 4 if w.flip(0.8) else 7], w.r.randint(0, 2))
    y = w.new()
    lines.append(f"{y} = {name}({x})")
    if w.flip(0.3):
        lines.append(f"{w.one(x, y)}.{w.one('mul_(2)', 'add_(1)', 'zero_()')}")
    if w.flip(0.2):
        lines.append(f"{w.new()} = {name}({y})")
    if "Linear" in made:
        lines.append(f"{w.new()} = {name}.weight")
    return lines


@statement(1.5, pure=True)
def function(w: Writer) -> str:
    x = w.floating()
    a = w.get(x)
    if w.transformed:
        return f"{w.new()} = Sine.apply({x})"  # PyTorch's transforms take only those that have a setup_context
    y = w.like(a)
    if y[0] != "x" and y[0] != "p" and not y.startswith("t."):
        y = x
    z = w.new()
    both = z, w.new()
    return w.one(
        f"{z} = Product.apply({x}, {y})", f"{z} = Sine.apply({x})", f"{z} = Exponential.apply({x})", f"{z} = Same.apply({x})", f"{z} = Reshaped.apply({x})", f"{z} = Same.apply({x}.view(-1))", f"{z} = Dirty.apply({x})",
        f"{z} = Dirty.apply({x})", f"{', '.join(both)} = DirtyAndMore.apply({x}, {y})", f"{', '.join(both)} = Marked.apply({x})", f"{', '.join(both)}, _ = Several.apply({x}, {y})", f"_, {', '.join(both)} = Several.apply({x}, {y})",
        f"{z} = Dirty.apply({x}[{w.index(tuple(a.shape), advanced=0)}])", f"{z} = Several.apply({x}, {y})[{w.one(0, 1, 2)}]", f"{z} = Dirty.apply({x} * 1)",
    )  # fmt: skip


# -- gradients ------------------------------------------------------------------------------------


def loss_of(w: Writer, x: str) -> str:
    return w.one(f"{x}.sum()", f"{x}.sum()", f"({x} * {x}).sum()", f"({x} * {w.number(0)}).mean()", f"{x}.sin().sum()")


@statement(2)
def backward(w: Writer) -> str:
    x = w.tensor(is_floating, lambda x: x.requires_grad and (not x.is_leaf or w.flip(0.2)), new=0.3)
    a = w.get(x)
    rest = []
    if w.flip(0.6):
        rest.append("retain_graph=True")
    if w.flip(0.1):
        rest.append("create_graph=True")
    if w.flip(0.1):
        rest.append(f"inputs=[{', '.join(dict.fromkeys(w.floating(lambda y: y.requires_grad) for _ in range(w.r.randint(1, 2))))}]")
    roll = w.r.random()
    if roll < 0.2:
        same = w.constant(tuple(a.shape), str(a.dtype)[6:])
        if w.flip(0.3):
            with contextlib.suppress(Nothing):
                same = w.floating(lambda y: y.shape == a.shape and y.dtype == a.dtype) + ".detach().clone()"  # else PyTorch may take it as .grad itself, and hooks see that it requires grad
        return f"{x}.backward({', '.join([w.one('', 'gradient=') + same, *rest])})"
    if roll < 0.25:
        return f"t.autograd.backward([{loss_of(w, x)}, {loss_of(w, w.floating(lambda y: y.requires_grad))}]{''.join(', ' + r for r in rest)})"
    return f"{loss_of(w, x)}.backward({', '.join(rest)})"


@statement(1.2)
def grad_of(w: Writer) -> str:
    """What has a gradient is used again after this."""
    x = w.floating(lambda x: x.grad is not None) if w.flip(0.5) else w.tensor(lambda x: x.requires_grad and x.is_leaf)
    return w.one(
        f"{x}.grad = None", f"{x}.grad.zero_()", f"{x}.grad.mul_(2)", f"{w.new()} = {x}.grad", f"{w.new()} = {x}.grad.clone()", f"{x}.grad = {w.constant(tuple(w.get(x).shape), str(w.get(x).dtype)[6:])}",
        f"{x}.grad[{w.index(tuple(w.get(x).shape), write=True)}] = {w.number()}", f"with t.no_grad(): {x} -= 0.1 * {x}.grad", f"log('grad of {x}, {len(w.program)}', {x}.grad)", f"{x}.data -= 0.1 * {x}.grad",
        f"{w.new()} = {x} * {x}.grad",
    )  # fmt: skip


@statement(2)
def differentiate(w: Writer) -> str:
    x = w.tensor(is_floating, lambda x: x.requires_grad and not x.is_leaf)
    inputs = list(dict.fromkeys(w.floating(lambda y: y.requires_grad) for _ in range(w.r.randint(1, 2))))
    options = w.one("create_graph=True, allow_unused=True", "create_graph=True, allow_unused=True", "retain_graph=True, allow_unused=True", "allow_unused=True", "create_graph=True, materialize_grads=True", "create_graph=True", "retain_graph=True")
    call = f"t.autograd.grad({loss_of(w, x)}, [{', '.join(inputs)}], {options})"
    if w.flip(0.2):
        return f"log('grad, {len(w.program)}', *{call})"
    names = [w.new()]
    names += [w.new() for _ in inputs[1:]]
    return f"{', '.join(names)}, = {call}"


@statement(2.5)
def transform(w: Writer) -> str:
    if "saved_tensors_hooks" in w.mode:
        raise Nothing  # PyTorch does not support them in transforms
    x = w.floating(lambda x: 1 <= x.numel() <= 6 or (x.numel() == 0 and w.flip(0.1)))
    a = w.get(x)
    y = w.new()
    if not a.numel():
        return f"{y} = t.func.{w.one('grad', 'jacrev')}(lambda v: {w.scalar('v', a)})({x})"  # PyTorch's others fail for no elements
    e = lambda v="v": w.expression(v, a)
    s = lambda v="v": w.scalar(v, a)
    g = f"t.func.grad(lambda u: {s('u')})"
    tangent = w.one(f"t.ones_like({x})", f"{x}.detach()", x, f"t.full_like({x}, 0.5)")
    inner = w.one(
        "v",
        f"{g}(v)",
        f"{g}({e()})",
        f"t.func.grad(lambda u: ({e('u')} * v).sum())(v)",
        f"t.func.jvp(lambda u: {e('u')}, (v,), ({w.one('v', tangent)},))[1]",
        f"t.func.vjp(lambda u: {e('u')}, v)[1](t.ones_like(v))[0]",
    )
    f = f"lambda v: ({inner} * {e()})" if w.flip(0.6) else f"lambda v: {inner}"
    total = f"{f}.sum()" if w.flip(0.7) or a.dim() else f
    if not total.endswith("sum()"):
        total = f"lambda v: {s()}"
    if w.flip(0.3):
        f, total = f"lambda v: {e()}", f"lambda v: {s()}"
    if w.flip(0.2):
        name = f"f{len(w.program)}"
        definition = f"def {name}(v):\n{w.body('v', a, w.r.randint(1, 4), lambda inner, n, b: f'{n}.sum()' if w.flip(0.8) else n, transformed=True)}\n"
        f = total = name
    else:
        definition = ""
    return definition + f"{y} = " + w.one(
        f"t.func.grad({total})({x})", f"t.func.grad({total})({x})", f"t.func.grad({total})({x})", f"t.func.vjp({f}, {x})[1](t.ones_like({x}))[0]", f"t.func.jvp({f}, ({x},), ({tangent},))[1]", f"t.func.jacrev({f})({x})",
        f"t.func.jacfwd({f})({x})", f"t.func.hessian({total})({x})", f"t.func.jacrev(t.func.grad({total}))({x})", f"t.func.jacfwd(t.func.grad({total}))({x})", f"t.func.jvp(t.func.grad({total}), ({x},), ({tangent},))[1]",
        f"t.func.grad_and_value({total})({x})[0]", f"t.func.grad_and_value({total})({x})[1]", f"t.func.vmap({f})({x})" if not re.search(r"v: v$|return v$", definition + f, re.M) else f"t.func.vmap({total})({x})", f"t.func.vmap(t.func.grad({total}))({x})", f"t.func.jvp({f}, ({x},), ({tangent},))[0]",
        f"t.autograd.functional.jacobian({f}, {x}, create_graph={w.flip()})", f"t.autograd.functional.hessian({total}, {x})", f"t.autograd.functional.vjp({total}, {x}, create_graph={w.flip()})[1]",
        f"t.autograd.functional.hvp({total}, {x}, {tangent})[1]",
    )  # fmt: skip


@statement(1)
def checkpointed(w: Writer) -> str:
    x = w.floating()
    name = f"f{len(w.program)}"
    if w.flip(0.4):
        body = w.expression("v", w.get(x), 3)
        w.frozen |= set(NAME.findall(body))
        return f"{w.new()} = checkpoint(lambda v: {body}, {x}, use_reentrant=False)"
    body = w.body("v", w.get(x), w.r.randint(1, 5), lambda inner, n, b: n)
    w.frozen |= set(NAME.findall(body))
    y = w.new()
    call = w.one(f"checkpoint({name}, {x}, use_reentrant=False)", f"checkpoint({name}, {x}, use_reentrant=False)", f"{name}({x})")
    mode = w.one("", "", "", PACK + ": ", "with t.no_grad(): ")
    return f"def {name}(v):\n{body}\n{mode}{y} = {call}"
