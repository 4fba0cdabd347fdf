"""Random programs, run with PyTorch and here: they must compute, record and refuse the same.

    python -m tests.parity.random_programs --seeds 0:100000 --jobs 2     a summary, and a minimal program of each kind
    python -m tests.parity.random_programs --seed 123                    one program, and what differs

A program is a list of Python statements (random_statements.py). A statement that either library refuses is skipped there
and the program continues, so it must not have changed anything. At the end all named tensors are compared (value, dtype,
shape, requires_grad, is_leaf, .grad), and so is everything that hooks and the program logged.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import functools
import importlib
import multiprocessing
import multiprocessing.connection
import re
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

import tinygrad_lite as tg
from tests.parity.random_statements import DEFINITIONS, compiled, leaves_halves, random_program

Program = list[str]

# What a program written for PyTorch catches. Any other error is a fault of the library.
REFUSALS = (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError)
TOLERANCE = {"float16": 2e-2, "float32": 1e-4, "float64": 1e-8}


class Difference(NamedTuple):
    kind: str
    where: str  # the statement, or the name of the tensor
    ours: str
    theirs: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}\n    here:    {self.ours}\n    PyTorch: {self.theirs}"


class Outcome(NamedTuple):
    """The outcome of a run: for each statement "" or its error; the facts by name; what was logged, by tag."""

    errors: list[str]
    tensors: dict[str, dict[str, Any]]
    logs: dict[str, list[Any]]


# -- one run --------------------------------------------------------------------------------------


def names_of(library: Any) -> dict[str, Any]:
    """The names of a library that a program may use, created once."""
    if library not in _names:
        name = library.__name__
        checkpoint = importlib.import_module(f"{name}.utils.checkpoint").checkpoint
        names = {"t": library, "nn": importlib.import_module(f"{name}.nn"), "F": importlib.import_module(f"{name}.nn.functional"), "checkpoint": checkpoint}
        for part in ("func", "autograd.functional", "autograd.graph"):
            importlib.import_module(f"{name}.{part}")
        for text in DEFINITIONS.values():
            exec(text, names)
        _names[library] = names
    return _names[library]


_names: dict[Any, dict[str, Any]] = {}


def start(library: Any, logs: dict[str, list[Any]]) -> dict[str, Any]:
    """The names that a run starts with."""

    def log(tag: str, *values: Any) -> None:
        if values[:1] == (None,):
            return  # PyTorch calls a hook on one of several results with None if no gradient reached it
        logs.setdefault(tag, []).append([snapshot(v) for v in values])

    return {**names_of(library), "log": log}


def run(program: Program, library: Any, names: dict[str, Any] | None = None, within: Callable[[str, dict[str, Any]], Any] | None = None) -> Outcome:
    """`names` replace names of the library; `within(statement, names)` is the context in which each statement runs."""
    logs: dict[str, list[Any]] = {}
    env = {**start(library, logs), **(names or {})}
    errors = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for text in program:
            try:
                with contextlib.nullcontext() if within is None else within(text, env):
                    exec(compiled(text), env)
                errors.append("")
            except (TimeoutError, KeyboardInterrupt):
                raise
            except Exception as error:
                crash = "" if isinstance(error, (*REFUSALS, NameError)) else "crash: "
                errors.append(f"{crash}{type(error).__name__}: {error}".split("\n")[0] + (f" [{place(error)}]" if crash else ""))
        tensors = {name: snapshot(value) for name, value in env.items() if isinstance(value, library.Tensor)}
    return Outcome(errors, tensors, logs)


def place(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"


def snapshot(x: Any) -> Any:
    """Everything compared about a tensor."""
    if not hasattr(x, "requires_grad"):
        return x
    try:
        facts = {"requires_grad": x.requires_grad, "is_leaf": x.is_leaf, "value": np.array(x.detach().numpy(force=True))}
        if x.grad is not None:
            facts |= {"grad": np.array(x.grad.detach().numpy(force=True)), "grad.requires_grad": x.grad.requires_grad}
    except Exception as error:  # PyTorch: one of several views of a changed tensor
        return {"unusable": f"{type(error).__name__}: {error}"}
    return facts


# -- two runs -------------------------------------------------------------------------------------


def difference(program: Program) -> Difference | None:
    """The first difference that is not a known one. A missing name is a NameError."""
    global _asked
    outermost = _asked is None
    asked = _asked = {} if _asked is None else _asked
    try:
        key = tuple(program)
        if key not in asked:
            asked[key] = _difference(program)
        return asked[key]
    finally:
        if outermost:
            _asked = None


# Cached differences of parts of a program: known differences are recognized by what differs without some statements.
_asked: dict[tuple[str, ...], Difference | None] | None = None


def _difference(program: Program) -> Difference | None:
    theirs = run(program, torch)
    for i, (text, error) in enumerate(zip(program, theirs.errors)):
        if error.startswith(("NameError", "UnboundLocalError")):
            raise NameError(error)
        if error and leaves_halves(text):
            return difference(program[:i]) or difference_of_refusal(program[: i + 1], theirs.errors[: i + 1])
    ours = run(program, tg)
    found = first(program, ours, theirs)
    return found and corrected(program, ours, found, theirs.errors)


def corrected(program: Program, ours: Outcome, found: Difference, refused: list[str]) -> Difference | None:
    """What still differs from PyTorch without its contradictions, with any of them corrected."""
    remains = None
    those = [c for c in CORRECTIONS if c.applies(found, program)]
    for some in ([], *[[c] for c in those], those):
        names = {name: value for c in some for name, value in c.names.items()}
        copies = any(c.copies for c in some)
        text = list(program)
        for c in some:
            text = [c.rewrite(statement) for statement in text]
        left = first(program, ours, run(text, torch, names, within=as_documented_with_copies if copies else as_documented))
        if left is None or (left.kind == "refused only here" and refused[program.index(left.where)]):
            return None
        remains = remains or left
    return remains


def difference_of_refusal(program: Program, refused: list[str]) -> Difference | None:
    """What differs if PyTorch, with its errors in `refused`, refuses the last statement when it has done half of it."""
    ours = run(program, tg)
    mine, theirs, text = ours.errors[-1], refused[-1], program[-1]
    if mine.startswith("crash") and not theirs.startswith("crash"):
        return unknown(Difference("crash", text, mine, theirs), program)
    if mine and "Dirty" not in text and "\n" not in text and "must return None" not in mine:
        found = next(compare(program, ours, run(program[:-1], tg)), None)
        return found and unknown(found._replace(kind="refused here, but changed: " + found.kind), program)
    return None if mine else corrected(program, ours, Difference("accepted only here", text, "accepts it", theirs), refused)


def first(program: Program, ours: Outcome, theirs: Outcome) -> Difference | None:
    """The first unexplained difference."""
    return next((d for d in compare(program, ours, theirs) if unknown(d, program)), None)


def unknown(found: Difference, program: Program) -> Difference | None:
    return None if any(explains(found, program) for _, explains in KNOWN) else found


def compare(program: Program, ours: Outcome, theirs: Outcome) -> Iterator[Difference]:
    for text, mine, your in zip(program, ours.errors, theirs.errors):
        if mine.startswith("crash") and not your.startswith("crash"):
            yield Difference("crash", text, mine, your or "accepts it")
        if bool(mine) != bool(your):
            yield Difference("refused only here" if mine else "accepted only here", text, mine or "accepts it", your or "accepts it")
            return
    coarse = any("float32" in text or ".float()" in text for text in program)
    for tag in theirs.logs | ours.logs:
        a, b = ours.logs.get(tag, []), theirs.logs.get(tag, [])
        if len(a) != len(b):
            yield Difference("calls of a hook", tag, f"{len(a)} calls", f"{len(b)} calls")
        for x, y in zip(a, b):
            for i, (mine, your) in enumerate(zip(x, y)):
                yield from compare_facts(f"log of {tag} [{i}]", mine, your, coarse, "logged ")
    for name in theirs.tensors | ours.tensors:
        mine, your = ours.tensors.get(name), theirs.tensors.get(name)
        yield from compare_facts(name, mine, your, coarse)


def compare_facts(name: str, mine: Any, your: Any, coarse: bool, prefix: str = "") -> Iterator[Difference]:
    if isinstance(your, dict) and "unusable" in your:
        return
    if isinstance(mine, dict) and "unusable" in mine:
        yield Difference("crash", name, mine["unusable"], "can be read")
        return
    if not isinstance(mine, dict) or not isinstance(your, dict):
        if mine != your:
            yield Difference(prefix + "presence", name, str(mine), str(your))
        return
    if mine["value"].dtype != your["value"].dtype:
        yield Difference(prefix + "dtype", name, str(mine["value"].dtype), str(your["value"].dtype))
    elif mine["value"].shape != your["value"].shape:
        yield Difference(prefix + "shape", name, str(mine["value"].shape), str(your["value"].shape))
    for fact in ("requires_grad", "is_leaf", "grad.requires_grad"):
        if fact in mine and fact in your and mine[fact] != your[fact]:
            yield Difference(prefix + fact, name, str(mine[fact]), str(your[fact]))
    if ("grad" in mine) != ("grad" in your):
        yield Difference(prefix + "presence of grad", name, str(mine.get("grad")), str(your.get("grad")))
    for fact in ("value", "grad"):
        if fact in mine and fact in your and not close(mine[fact], your[fact], coarse):
            yield Difference(prefix + fact, name, text_of(mine[fact]), text_of(your[fact]))


def text_of(a: np.ndarray) -> str:
    return f"{a.dtype} {np.array2string(a, precision=6, separator=', ')}".replace("\n", "")


def close(a: np.ndarray, b: np.ndarray, coarse: bool = False) -> bool:
    """`coarse`: float64 results may have gone through float32."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.tobytes() == b.tobytes():
        return True
    if a.dtype.kind != "f":
        return bool((a == b).all())
    tolerance = TOLERANCE["float32" if coarse else a.dtype.name]
    with np.errstate(all="ignore"):
        largest = np.abs(b[np.isfinite(b)]).max(initial=0)
        return np.allclose(a, b, rtol=tolerance, atol=tolerance * min(max(largest, 0.1), 1), equal_nan=True)


# -- known differences ----------------------------------------------------------------------------

# PyTorch contradicts itself in some respects. Programs that differ are compared again with a PyTorch without these
# contradictions.


@dataclasses.dataclass
class Correction:
    reason: str
    applies: Callable[[Difference, Program], bool]
    rewrite: Callable[[str], str] = str
    names: dict[str, Any] = dataclasses.field(default_factory=dict)
    copies: bool = False  # save copies of everything


class Wrapped:
    """A PyTorch module with some functions replaced."""

    def __init__(self, module: Any, **others: Any):
        self.module = module
        self.__dict__ |= others

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)


def copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        leaf = value.is_leaf and not torch._C._functorch.is_functorch_wrapped_tensor(value)  # it may carry a tangent
        copy = (value.detach() if leaf else value).clone(memory_format=torch.contiguous_format)
        return copy.requires_grad_() if leaf and value.requires_grad else copy
    return type(value)(map(copied, value)) if isinstance(value, (tuple, list)) else value


def giving_copies(function: Any) -> Any:
    """Makes gradients and transforms return ordinary tensors, not views of what PyTorch computed, expanded or under
    no_grad."""
    return lambda *args, **kwargs: copied(function(*args, **kwargs))


def transform_giving_copies(transform: Any) -> Any:
    return lambda *args, **kwargs: giving_copies(transform(*args, **kwargs))


def with_results_of_their_own() -> Any:
    func = {name: transform_giving_copies(getattr(torch.func, name)) for name in ("grad", "grad_and_value", "jacrev", "jacfwd", "hessian")}
    functional = {name: giving_copies(getattr(torch.autograd.functional, name)) for name in ("jacobian", "hessian", "vjp", "hvp")}
    autograd = Wrapped(torch.autograd, grad=giving_copies(torch.autograd.grad), functional=Wrapped(torch.autograd.functional, **functional))
    return Wrapped(torch, func=Wrapped(torch.func, jvp=giving_copies(torch.func.jvp), **func), autograd=autograd)


def keeping_gradients(function: Any) -> Any:
    """A Function that leaves the `.grad` of what it changes in place."""

    def apply(x: Any, *others: Any) -> Any:
        grad = x.grad
        result = function.apply(x, *others)
        x.grad = grad
        return result

    return Wrapped(function, apply=apply)


def made_under_no_grad(view: Any) -> bool:
    return torch._C._autograd._get_creation_meta(view) == torch._C._autograd.CreationMeta.NO_GRAD_MODE


@contextlib.contextmanager
def as_documented(text: str, names: dict[str, Any]) -> Iterator[None]:
    """According to the documentation, tensors computed under no_grad do not require grad. But a view then does, as a leaf."""
    try:
        yield
    finally:
        for name, x in names.items():
            if isinstance(x, torch.Tensor):
                with contextlib.suppress(RuntimeError):
                    if x.is_leaf and x._is_view() and (x._base.requires_grad or (made_under_no_grad(x) and not x.requires_grad)):
                        names[name] = x.detach()


@contextlib.contextmanager
def as_documented_with_copies(text: str, names: dict[str, Any]) -> Iterator[None]:
    """PyTorch refuses if a saved tensor was changed, even one it does not need. With copies of everything it need not."""
    hooks = contextlib.nullcontext() if "func" in text else torch.autograd.graph.saved_tensors_hooks(torch.clone, lambda saved: saved)
    with hooks, as_documented(text, names):
        yield


JITTERS = ([-3.0, 5.0, 2.0, -4.0, 3.0], [2.0, -1.0, -4.0, 1.0, -2.0], [1.0, 1.0, 1.0, 1.0, 1.0], [-1.0, 3.0, -1.0, 4.0, -5.0])


def jittered(sizes: list[float], values: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
    """`torch.tensor`, perturbed by `sizes` units in the last place."""
    x = torch.tensor(values, dtype=dtype)
    if x.is_floating_point():
        sizes = torch.finfo(x.dtype).eps * torch.tensor(sizes, dtype=x.dtype)
        x *= 1 + sizes.repeat(x.numel() // 5 + 1)[: x.numel()].reshape(x.shape)
    return x.requires_grad_() if requires_grad else x


def ill_conditioned(found: Difference, program: Program) -> bool:
    """Whether PyTorch's own result moves as much when its inputs move by a few units in the last place."""
    if found.kind not in ("value", "grad", "logged value", "logged grad"):
        return False
    plain = run(program, torch)
    for sizes in JITTERS:
        moved = run(program, torch, {"t": Wrapped(torch, tensor=functools.partial(jittered, sizes))})
        if any(d.kind == found.kind and d.where == found.where for d in compare(program, moved, plain)):
            return True
    return False


def has(kind: str, error: str) -> Callable[[Difference, Program], bool]:
    return lambda found, _: found.kind == kind and error in (found.theirs if kind == "accepted only here" else found.ours)


ABOUT_GRADIENTS = ("grad", "presence of grad", "logged value", "logged grad", "logged presence of grad", "value")

CORRECTIONS = [
    Correction(
        "a gradient, or what a transform returns, is a tensor as any other, not a view of what PyTorch worked out, expanded or under no_grad",
        lambda found, program: any("autograd.grad(" in text or "func" in text for text in program),
        names={"t": with_results_of_their_own()},
    ),
    Correction(
        "PyTorch refuses where a saved tensor was changed, also one that the gradient does not need",
        lambda found, program: "modified by an inplace operation" in found.theirs,
        copies=True,
    ),
    Correction(
        "a change through .data of what PyTorch saved changes its gradients; here others are saved",
        lambda found, program: found.kind in ABOUT_GRADIENTS and any(".data" in text or ".detach()" in text for text in program),
        copies=True,
    ),
    Correction(
        "a leaf that is a view of a tensor without a gradient: PyTorch loses its gradient when views of it are changed under no_grad",
        lambda found, program: found.kind in ABOUT_GRADIENTS,
        rewrite=lambda text: re.sub(r"^(x\d+)\.requires_grad( = True|_\(\))$", r"\1 = \1.detach().requires_grad_()", re.sub(r"(= t\..*)\.requires_grad_\(\)$", r"\1.detach().requires_grad_()", text)),
    ),
    Correction(
        "backward(inputs=...) adds only to these, says the documentation; but PyTorch adds to the retained gradient of the root, too",
        lambda found, program: found.kind in (*ABOUT_GRADIENTS, "calls of a hook"),
        rewrite=lambda text: re.sub(r"^(x\d+)(\.backward\(.*inputs=)", r"(\1 * 1)\2", text),
    ),
    Correction(
        "PyTorch forgets the retained gradient of what a Function changes in place",
        lambda found, program: found.kind in ("grad", "presence of grad") and any("Dirty" in text for text in program),
        names={name: keeping_gradients(names_of(torch)[name]) for name in ("Dirty", "DirtyAndMore")},
    ),
    Correction(
        "PyTorch makes a new place on the tape for a view whose memory was changed under no_grad, and no longer retains its gradient",
        lambda found, program: found.kind == "grad" and any(".retain_grad(" in text for text in program),
        rewrite=lambda text: re.sub(r"^with t\.(?:no_grad\(\)|set_grad_enabled\(False\)): (x\d+)(?=\[[^=]*\] [-+*/]?= | [-+*/]= |\.\w+_\()", r"\1.data", text),
    ),
    Correction(
        "elements that share memory are elements of their own for a transform",
        lambda found, program: found.kind in ABOUT_GRADIENTS and any(".unfold(" in text for text in program) and any(map(TRANSFORMS.search, program)),
        rewrite=lambda text: re.sub(r"(\.unfold\([^()]*\))", r"\1.clone()", text),
    ),
]

def of_nothing(found: Difference, program: Program) -> bool:
    """PyTorch checks no index, divisor, or dtype of a cumulative sum if the result is empty."""
    if found.kind != "refused only here" or not re.search("out of bounds for axis|the result is int64, which cannot be put|integers cannot be divided by zero", found.ours):
        return False
    result = run(program[: program.index(found.where) + 1], torch).tensors.get(found.where.split(" = ")[0].split(": ")[-1])
    return result is not None and not result["value"].size


def writes_data(text: str) -> bool:
    return bool(re.search(r"\.(data|detach\(\))(\.\w+_\(|\[.*\] = | [-+*]?= )", text))


def without(those: Callable[[str], bool], kinds: tuple[str, ...] = ABOUT_GRADIENTS) -> Callable[[Difference, Program], bool]:
    """Whether there are such statements, the difference is of one of these kinds, and without them there is none."""

    def explains(found: Difference, program: Program) -> bool:
        if found.kind not in kinds or not any(map(those, program)):
            return False
        rest = [text for text in program if not those(text)]
        while rest:
            try:
                return difference(rest) is None
            except NameError as error:  # nor without their results
                name = re.search(r"name '(\w+)'|variable '(\w+)'", str(error))
                if name is None:
                    return False
                rest = [text for text in rest if not re.search(rf"\b{name[1] or name[2]}\b", text)]
        return True

    return explains


def the_same_in_double(found: Difference, program: Program) -> bool:
    """Whether nothing differs in double precision."""
    if found.kind not in (*ABOUT_GRADIENTS, "value") or not any("float32" in text or ".float()" in text for text in program):
        return False
    with contextlib.suppress(NameError):
        return difference([text.replace("float32", "float64").replace(".float()", ".double()") for text in program]) is None
    return False


FORWARD = re.compile(r"jvp|jacfwd|hessian")
TRANSFORMS = re.compile(r"jvp|jacfwd|hessian|jacrev|jacobian|vjp|func\.grad")
OWN_VIEW = re.compile(r"\.(t|transpose|swapaxes|swapdims|squeeze|unsqueeze|as_strided)_\(")


def of_transforms(found: Difference, program: Program) -> bool:
    """Whether the program has transforms, and the difference is whether something depends on its input."""
    if not any(map(TRANSFORMS.search, program)):
        return False
    if found.kind in ("requires_grad", "is_leaf", "grad.requires_grad", "logged requires_grad"):
        return found.ours == str(found.kind == "is_leaf") != found.theirs
    if found.kind.removeprefix("logged ") in ("presence", "presence of grad"):
        return found.ours == "None" and not re.search(r"[1-9]", re.sub(r"dtype=\w+|float\d+", "", found.theirs))
    if found.kind == "calls of a hook":
        calls = run(program, torch).logs.get(found.where, [])
        return any(all(isinstance(x, dict) and not np.nan_to_num(x["value"]).any() for x in call) for call in calls)
    if found.kind == "accepted only here":
        return "requires_grad flags of leaf variables" in found.theirs
    return found.kind == "refused only here" and bool(re.search(r"not require grad|that requires grad|requires? grad;", found.ours))


CHANGE = re.compile(r"\w_\(|\] [-+*/]?=|\w [-+*/]\*?= |inplace=True")


def of_an_integer(found: Difference, program: Program) -> bool:
    """Whether the difference is the gradient of an integer tensor into which a tensor with a gradient was written."""
    if found.kind not in ("requires_grad", "is_leaf"):
        return False
    facts = run(program, tg).tensors.get(found.where, {})
    return "value" in facts and facts["value"].dtype.kind != "f" and not facts["requires_grad"]


def without_changes(found: Difference, program: Program) -> bool:
    """Whether nothing differs without the in-place changes."""
    kind = found.kind.removeprefix("logged ")
    return without(lambda text: bool(CHANGE.search(text)))(found._replace(kind="value" if kind == "presence" else kind), program)


def refused_inputs(found: Difference, program: Program) -> bool:
    """Whether the retained gradient is of a tensor among the inputs= of a backward that is refused, for another of them."""
    if found.kind != "presence of grad" or found.ours != "None":
        return False
    asked = [re.search(r"inputs=\[([^]]*)\]", text) for text in program]
    errors = run(program, tg).errors
    return any("every one of inputs" in error and found.where in those[1].split(", ") for error, those in zip(errors, asked) if those)


def walked_twice(found: Difference, program: Program) -> bool:
    return sum(len(re.findall(r"backward\(|autograd\.grad\(", text)) for text in program) > 1


def moves(text: str) -> bool:
    """Whether the statement makes a tensor its own view."""
    return bool(OWN_VIEW.search(text))


def of_one_bool(found: Difference, program: Program) -> bool:
    """Whether a single bool is summed up in place."""
    if found.kind != "refused only here" or not re.search(r"\.cumsum_\(", found.where) or "which cannot be put into a tensor of bool" not in found.ours:
        return False
    changed = run(program, torch).tensors.get(re.search(r"(\w+)\.cumsum_\(", found.where)[1])
    return changed is not None and changed["value"].size == 1


def of_the_sign_of_zero(found: Difference, program: Program) -> bool:
    """Whether the infinities are made of zeros that a transform or a remainder gave, and it is the same with + 0 for each."""
    done = any(re.fullmatch(r"(x\d+) = \1 \+ 0", text) for text in program)
    if done or found.kind not in ABOUT_GRADIENTS or "inf" not in found.ours + found.theirs:
        return False
    positive = []
    for text in program:
        result = re.match(r"(?:with [^:]*: )?(x\d+)(?:, =|,? =) .*" + f"({TRANSFORMS.pattern}| % |remainder)", text)
        positive += [text, f"{result[1]} = {result[1]} + 0"] if result else [text]
    return positive != program and difference(positive) is None


# Each with the reason why it is not a fault.
KNOWN: list[tuple[str, Callable[[Difference, Program], bool]]] = [
    ("rounding, made large by the program", ill_conditioned),
    ("an integer tensor has no gradient, whatever is written into it; PyTorch's says that it requires grad", of_an_integer),
    (
        "what a transform gives where it does not depend on the input does not require grad here; in PyTorch zeros times the input are added",
        of_transforms,
    ),
    (
        "what saves only numbers and shapes is not freed here, and its own set is PyTorch's; in both a second walk needs retain_graph",
        lambda found, program: walked_twice(found, program)
        and (
            (found.kind == "refused only here" and "were freed by an earlier backward" in found.ours)
            or (found.kind == "accepted only here" and "backward through the graph a second time" in found.theirs)
        ),
    ),
    ("a view that was returned with others may be changed through its views (docs/from-pytorch.md)", has("accepted only here", "returns multiple views")),
    ("a view of what a Function returned may be changed: the gradient goes through the Function", has("accepted only here", "created inside a custom Function")),
    ("a view made under no_grad may be changed (docs/from-pytorch.md)", has("accepted only here", "A view was created in no_grad mode")),
    (
        "a view made under no_grad follows what it shows when that is changed in place (docs/from-pytorch.md)",
        lambda found, program: found.kind in ("requires_grad", "is_leaf")
        and any("no_grad" in text or "enabled(False)" in text for text in program),
    ),
    (
        "a view of a leaf may become its own view: that moves no value (docs/from-pytorch.md)",
        lambda found, program: has("accepted only here", "a view of a leaf Variable")(found, program) and bool(OWN_VIEW.search(found.where)),
    ),
    (
        "a result of unbind or split may become its own view",
        lambda found, program: found.kind == "accepted only here" and "modified inplace" in found.theirs and bool(OWN_VIEW.search(found.where)),
    ),
    ("a view may be detached in place, as by detach()", has("accepted only here", "Can't detach views in-place")),
    ("PyTorch writes into memory that elements share, in an order of its own", has("refused only here", "several elements of this tensor share one place")),
    ("a write reads all values before it writes one, also where they share memory", has("accepted only here", "refer to a single memory location")),
    ("a bound of clamp may be a number beside a tensor", has("accepted only here", "clamp() received an invalid combination")),
    ("the inputs of a transformed function are not changed in place; those of PyTorch's jvp may be", has("refused only here", "an input of a transformed function cannot be changed")),
    (
        "the inputs of a transformed function are not changed in place; those of PyTorch's jvp may be",
        lambda found, program: has("refused only here", "a leaf that requires grad cannot be changed in place")(found, program)
        and bool(FORWARD.search(found.where)),
    ),
    ("a checkpoint notices that its second run has overwritten what is needed; PyTorch's does not", has("refused only here", "inside of a checkpoint")),
    (
        "a module's backward pre-hook stands behind its outputs: it is not met where these are the inputs= of the backward",
        lambda found, program: (found.kind == "calls of a hook" or found.kind.startswith("logged"))
        and any("full_backward_pre_hook" in text for text in program)
        and any("inputs=" in text for text in program),
    ),
    (
        "PyTorch makes a new place on the tape for a view whose memory was changed, and forgets the hooks of the old one",
        lambda found, program: without(lambda text: ".register_hook(" in text)(found, program),
    ),
    (
        "a backward that is refused on its way has called the hooks before that place; where no hook has a hand in it, it is refused first",
        lambda found, program: bool(re.match("refused here, but changed: (calls of a hook|presence of grad|grad)", found.kind))
        and any("hook" in text or "retain_grad" in text or "inputs=" in text for text in program),
    ),
    ("a hook of an accumulated gradient must return None; PyTorch does not always look", has("refused only here", "must return None")),
    ("zeros, or one number, may be written into memory that elements share", has("accepted only here", "more than one element of the written-to tensor")),
    ("a size of -1 is worked out where it can be, also beside one of 0", has("accepted only here", "unflatten got an unexpected error")),
    ("what is mapped over may be of another size for each of the batch", has("accepted only here", "Attempted to vmap over `mask`")),
    ("what is mapped over may be of another size for each of the batch", has("accepted only here", "operators that can support dynamic shape")),
    ("a tensor that was detached in place after it was saved is what it was then", has("accepted only here", "detached in-place")),
    ("a single value is converted where a mask says that it is written", has("accepted only here", "Index put requires the source and destination dtypes match")),
    ("a transform refuses to write what depends on its inputs into a captured tensor; numbers it lets pass", has("accepted only here", "would mutate a captured Tensor")),
    (
        "a view that a Function returned under no_grad is one of its input",
        lambda found, program: found.kind == "refused only here"
        and bool(re.search("view of a leaf that requires grad|view of a tensor that requires grad", found.ours))
        and any("apply(" in text and ("no_grad" in text or "enabled(False)" in text) for text in program),
    ),
    (
        "a difference of no elements: PyTorch's is a new leaf",
        lambda found, program: any(".diff(" in text for text in program) and ("[]" in found.theirs + found.ours or "None" in found.ours or any("zeros" in text for text in program)),
    ),
    ("what is mapped over has a dim less: PyTorch does not look at it everywhere", has("refused only here", "or more dimensions, got the shape")),
    ("kron takes tensors of any strides", has("accepted only here", "view size is not compatible")),
    (
        "the gradient of a filled tensor: zeros on the tape here, zeros off it in PyTorch",
        lambda found, program: found.kind.removeprefix("logged ") in ("grad.requires_grad", "requires_grad", "is_leaf")
        and found.ours != found.theirs
        and any("create_graph" in text or "zeros((" in text for text in program),
    ),
    ("equal values: which of them is the median, the smallest, the largest is open", lambda found, program: any(re.search(r"median|kthvalue|mode\(|sort|topk", text) for text in program) and found.kind in ABOUT_GRADIENTS and without(lambda text: bool(re.search(r"median|kthvalue|mode\(|sort|topk", text)))(found, program)),
    ("vmap of what does not depend on the batch: PyTorch's result is one value, expanded", lambda found, program: any("vmap" in text for text in program) and without_changes(found, program)),
    ("the norm at 0 has the second derivative 0 (docs/from-pytorch.md)", lambda found, program: "nan" in found.theirs and any("norm" in text or "dist" in text for text in program)),
    ("a Function may change a view and return several tensors", has("accepted only here", "modifies inplace an input that is a view")),
    (
        "PyTorch refuses where a saved tensor was changed, also one that the gradient does not need",
        has("accepted only here", "modified by an inplace operation"),
    ),
    (
        "PyTorch's forward derivatives of a 0-d float32 and a Python number are float64",
        lambda found, program: found.ours.startswith("float32") and found.theirs.startswith("float64") and any(map(FORWARD.search, program)),
    ),
    (
        "a view that was made before its tensor was asked to require grad: PyTorch's does too once the tensor was changed in place",
        lambda found, program: found.kind in ("refused only here", "requires_grad", "is_leaf")
        and (re.search("not require grad|must be a Tensor that requires grad", found.ours) or found.ours in ("False", "True"))
        and any(re.search(r"x\d+\.requires_grad(_\(\)| = True)$", text) for text in program),
    ),
    (
        "the gradients of elements that share memory: PyTorch gives each a part of their sum, once one was changed in place",
        lambda found, program: any("expand" in text or "as_strided" in text for text in program)
        and without(lambda text: "no_grad" in text or "enabled(False)" in text)(found, program),
    ),
    ("there are derivatives that PyTorch lacks (docs/from-pytorch.md)", has("accepted only here", "derivative for aten::")),
    (
        "a leaf that was detached, or stopped to require grad, has no gradient any more, and its hooks are not called",
        lambda found, program: (
            found.kind == "calls of a hook"
            or "moved into the graph interior" in found.theirs
            or (found.kind == "grad" and any("post_accumulate" in text for text in program))
        )
        and any(re.search(r"detach_\(|requires_grad(_\(| = )False", text) for text in program),
    ),
    (
        "PyTorch's forward derivatives are those of what runs under no_grad, too (docs/from-pytorch.md)",
        lambda found, program: found.kind in ABOUT_GRADIENTS and any(FORWARD.search(text) and re.search("no_grad|nn.init", text) for text in program),
    ),
    (
        "a leaf that the program dropped has its hooks, but not the gradient that it had",
        lambda found, program: found.kind.startswith("logged") and any("post_accumulate" in text for text in program)
        and any(re.match(r"del x|(x\d+)(, .*)? = ", text) for text in program),
    ),
    (
        "a transform hands out tensors of its own, also where that is its input or its tangent",
        lambda found, program: (found.kind in ("presence of grad", "is_leaf") or has("refused only here", "only a leaf can stop requiring grad")(found, program))
        and any(re.search(r"jvp\(|vmap\(", text) for text in program),
    ),
    ("an error of PyTorch's own", has("accepted only here", "INTERNAL ASSERT")),
    ("an error of PyTorch's own", has("accepted only here", "stack expects a non-empty TensorList")),
    ("there are forward derivatives that PyTorch lacks (docs/from-pytorch.md)", has("accepted only here", "Trying to use forward AD with")),
    ("what is mapped over is one of the batch: it takes the indices of a single element", has("refused only here", "takes one index")),
    (
        "a checkpoint runs its function again on an argument that it has changed itself",
        lambda found, program: found.kind == "refused only here" and any("checkpoint(" in text and re.search(r"\bv\.\w+_\(", text) for text in program),
    ),
    (
        "PyTorch's jvp lets its function change the tangents, and so the program's tensors",
        lambda found, program: found.kind == "value" and any("jvp(" in text and CHANGE.search(text) for text in program),
    ),
    (
        "a tensor that was given new .data is no view any more",
        lambda found, program: found.kind == "accepted only here" and "view of a leaf" in found.theirs and any(".data = " in text for text in program),
    ),
    (
        "a tensor that was given new .data is no view any more, and what shows its old memory is none of it",
        lambda found, program: bool(re.search("was changed in place by|does not require grad", found.ours)) and without(lambda text: ".data = " in text, ("refused only here",))(found, program),
    ),
    (
        "a part of what does not require grad may be written into, whatever it is a view of",
        lambda found, program: has("accepted only here", "a leaf Variable that requires grad is being used")(found, program) and "] " in found.where,
    ),
    (
        "PyTorch makes a new place on the tape for a view whose memory was changed; here it keeps its own where the change is not recorded",
        lambda found, program: has("accepted only here", "appears to not have been used in the graph")(found, program)
        and any("no_grad" in text or "enabled(False)" in text for text in program),
    ),
    (
        "the sign of a zero is open",
        lambda found, program: found.kind in ABOUT_GRADIENTS and without(lambda text: bool(re.search("atan2|arctan2|copysign|signbit", text)))(found, program),
    ),
    ("the gradient of huber_loss is of the dtype of its input; PyTorch refuses mixed ones", has("accepted only here", "Found dtype")),
    (
        "second gradients are finite where the limit is (docs/from-pytorch.md)",
        lambda found, program: found.kind in ABOUT_GRADIENTS and "nan" in found.theirs and "nan" not in found.ours and any("copysign" in text for text in program),
    ),
    (
        "PyTorch takes the old shape for the gradient of what became its own view under no_grad (docs/from-pytorch.md)",
        lambda found, program: has("accepted only here", "returned an invalid gradient")(found, program) and any(map(OWN_VIEW.search, program)),
    ),
    (
        "what a Function gives no gradient gets none; PyTorch goes on with zeros",
        lambda found, program: any("Several" in text for text in program)
        and (found.kind == "calls of a hook" or (found.kind == "presence of grad" and found.ours == "None" and not re.search("[1-9]", found.theirs))),
    ),
    ("a Function that changes what it has saved itself", has("refused only here", "saved by a Function was changed in place by Dirty")),
    (
        "a quotient by zero that is broadcast to no elements: here it is worked out before, and gives nan",
        lambda found, program: found.kind in ABOUT_GRADIENTS and "nan" in found.ours and any("addcdiv" in text for text in program),
    ),
    (
        "a checkpoint runs its function again on an argument that was detached since",
        lambda found, program: "were saved in the first run" in found.ours and any("detach_()" in text for text in program),
    ),
    (
        "a transform refuses to change a captured tensor, whatever is written there; PyTorch's lets pass what does not depend on the input",
        has("refused only here", "that it did not make itself"),
    ),
    (
        "PyTorch calls the hooks of all results of an operation, also of those that lead to none of inputs=",
        lambda found, program: found.kind in ("calls of a hook", "presence of grad", "grad")
        and any(re.search(r"inputs=|autograd\.grad\(", text) for text in program)
        and any(re.search(r"split|chunk|unbind|\.(sort|topk|max|min|median|mode|kthvalue)\(", text) for text in program),
    ),
    (
        "PyTorch calls the hooks of all results of an operation, also of those that lead to none of inputs=",
        lambda found, program: has("refused only here", "'NoneType'")(found, program)
        and ".grad" in found.where
        and any(re.search(r"inputs=|autograd\.grad\(", text) for text in program)
        and any(re.search(r"(DirtyAndMore|Marked|Several)\.apply\(", text) for text in program),
    ),
    ("a backward that is refused has retained nothing: PyTorch's has asked those of inputs= before the one that it refuses", refused_inputs),
    (
        "a sort gives its results in order in memory, PyTorch's in that of its input",
        lambda found, program: has("refused only here", "cannot be seen as")(found, program) and any(re.search("sort|topk", text) for text in program),
    ),
    (
        "elements that share memory are elements of their own for a transform",
        lambda found, program: found.kind in ABOUT_GRADIENTS and any(re.search("expand|as_strided", text) for text in program) and any(map(TRANSFORMS.search, program)),
    ),
    (
        "a view stays where it is on the tape when it becomes its own view",
        lambda found, program: "NoneType" in found.ours and any(map(OWN_VIEW.search, program)),
    ),
    (
        "a view stays where it is on the tape when its tensor becomes its own view; what is retained, and hooks, are of the tensor as it is then",
        lambda found, program: found.ours in ("None", "0 calls") and without(moves, ("presence of grad", "calls of a hook"))(found, program),
    ),
    ("on the tape, a strided view stays inside its tensor (docs/from-pytorch.md)", has("refused only here", "as_strided: the tensor is a view with gaps")),
    ("on the tape, a strided view stays inside its tensor (docs/from-pytorch.md)", has("refused only here", "reaches beyond")),
    ("an index that is out of range, and an in-place result of another dtype, are refused also where they are empty", of_nothing),
    ("PyTorch asks for a jvp of a Function's; here its backward is enough", has("accepted only here", "must implement the jvp function")),
    ("PyTorch asks for a vmap of a Function's; here it is run on each", has("accepted only here", "it does not have vmap support")),
    ("PyTorch's zeros that stand for no gradient cannot be written into", has("accepted only here", "ZeroTensors are immutable")),
    ("PyTorch does not look at a cotangent that no input of the function's depends on", has("refused only here", "the cotangents need the shapes of the outputs")),
    ("PyTorch's checkpoint runs the function again on an argument that it has changed itself", has("refused only here", "so that the function cannot be run on it again")),
    ("PyTorch calls a hook of one of several results with None where no gradient reached that one", has("accepted only here", "'NoneType'")),
    (
        "PyTorch makes a new place on the tape for a view whose memory was changed, and forgets the hooks of the old one",
        lambda found, program: found.kind == "calls of a hook" and int(found.ours.split()[0]) > int(found.theirs.split()[0]),
    ),
    (
        "the rule here has saved a value that PyTorch's formula does not need, and it was changed",
        has("refused only here", "has changed in place since; clone the tensor first"),
    ),
    ("what is mapped over sees one of the batch: a value of more dims does not fit into it", has("refused only here", "which does not fit into")),
    ("what was written into .data after it was saved, and only that, makes the gradient another", without(writes_data)),
    (
        "what was written into .data after it was saved, and only that, makes the gradient another",
        lambda found, program: any(re.search(r"= x\d+\.(data|detach\(\))$", text) for text in program) and without_changes(found, program),
    ),
    (
        "PyTorch gives the gradient of an input before its hooks, or after them, depending on whether it goes on below it",
        lambda found, program: any("autograd.grad(" in text or "inputs=" in text for text in program) and without(lambda text: ".register_hook(" in text)(found, program),
    ),
    (
        "PyTorch's forward derivatives of a 0-d float32 and a Python number are float64",
        lambda found, program: found.kind == "dtype" and found.ours == "float32" and any("jacfwd" in text or "jvp" in text or "hessian" in text for text in program),
    ),
    (
        "a tensor that became its own view under no_grad: PyTorch's gradient has the old shape",
        lambda found, program: without(moves, ("grad", "shape", "value"))(found, program),
    ),
    (
        "a tensor that became its own view has a retained gradient of the old shape: the next one cannot be added; PyTorch's still comes in that shape",
        lambda found, program: "could not be broadcast together" in found.ours and without(moves, ("refused only here",))(found, program),
    ),
    (
        "a leaf that became its own view under no_grad: the gradient of what was computed before is of the old shape; PyTorch takes it where it can be broadcast",
        lambda found, program: "returned a gradient of shape" in found.ours and without(moves, ("refused only here",))(found, program),
    ),
    ("cumsum_ gives integers, which a bool tensor cannot hold; PyTorch copies a single element as it is", of_one_bool),
    ("the bias of linear needs the dtype of the product; PyTorch looks at it only where the input is contiguous", has("refused only here", "linear: expected a bias of")),
    ("PyTorch's gradient of logaddexp subtracts: no bool tensors", lambda found, program: has("accepted only here", "Subtraction, the `-` operator, with a bool")(found, program) and any("logaddexp" in text for text in program)),
    (
        "PyTorch's vmap cannot flip a single element; outside of it that is no change",
        lambda found, program: has("accepted only here", "Dimension out of range (expected to be in range of [-1, 0]")(found, program) and "vmap" in found.where and ".flip(" in found.where,
    ),
    ("the sign of a zero is open", of_the_sign_of_zero),
    (
        "PyTorch's transforms find what they saved in new .data of a tensor",
        lambda found, program: found.kind in ABOUT_GRADIENTS and any(".data = " in text for text in program) and any("func" in text for text in program),
    ),
    (
        "PyTorch makes a new place on the tape for a view whose memory was changed; here it keeps its own where the change is not recorded",
        lambda found, program: found.kind.removeprefix("logged ") in ("presence", "presence of grad") and found.theirs == "None" and without_changes(found, program),
    ),
    (
        "whether reshape, flatten or contiguous give a view or a copy depends on the strides, which are not PyTorch's after every operation",
        lambda found, program: any(re.search(r"reshape|flatten|Flatten|contiguous|ravel", text) for text in program) and without_changes(found, program),
    ),
    (
        "a softmax is worked out by the largest of all rows where they are near enough: its rounding is by that",
        lambda found, program: found.kind in ABOUT_GRADIENTS and without(lambda text: bool(re.search("cross_entropy|softmax", text)))(found, program),
    ),
    ("rounding in single precision, made large by the program", the_same_in_double),
]


# -- fewer statements -----------------------------------------------------------------------------


def shrunk(program: Program, found: Difference) -> tuple[Program, Difference]:
    """The program without all statements, lines and modes that the difference does not need."""

    def still(candidate: Program) -> Difference | None:
        try:
            other = difference(candidate)
        except (SyntaxError, NameError):
            return None
        return other if other is not None and alike(other, found) else None

    size = max(len(program) // 2, 1)
    while size:
        i = len(program)
        while i > 0:
            candidate = program[: max(i - size, 0)] + program[i:]
            if candidate and (other := still(candidate)):
                program, found = candidate, other
            i -= size
        size //= 2
    for i in range(len(program) - 1, -1, -1):
        for simpler in simplifications(program[i]):
            candidate = [*program[:i], simpler, *program[i + 1 :]]
            if other := still(candidate):
                program, found = candidate, other
    return program, found


def simplifications(text: str) -> Iterator[str]:
    lines = text.splitlines()
    for j in range(len(lines) - 1, 0, -1):
        yield "\n".join(lines[:j] + lines[j + 1 :])
    if text.startswith("with "):
        yield re.sub(r"^with [^\n]*?: (?=\w)", "", text)


def alike(a: Difference, b: Difference) -> bool:
    return a.kind == b.kind and (message(a) == message(b))


def message(found: Difference) -> str:
    """The error message of a refusal, without numbers and names."""
    if found.kind not in ("refused only here", "accepted only here", "crash"):
        return ""
    text = found.theirs if found.kind == "accepted only here" else found.ours
    text = re.sub(r"(gradient of|saved by|which|in place by|Output \d+ of) \w+", r"\1 ...", text.splitlines()[0])
    text = re.sub(r"^(\w+: )\w+: ", r"\1", re.sub(r"^crash: ", "", text))
    return re.sub(r"0x\w+|\[[^\]]*\]|\([^)]*\)|\b[xphmf]?\d+\b|torch\.\w+|<\w+>", "#", text)[:110]


def verbs(program: Program) -> str:
    """Words for what a shrunk program does, by which programs of one kind can be found."""
    words: list[str] = []
    for text in program:
        text = re.sub(r"t\.tensor\([^()]*\)", "", text)
        words += re.findall(r"(?:no_grad|(?<=\.)\w+(?=\()|\bdel\b|\]\s[*+-]?=|(?<=\s)[*+/-]?\*?=(?= )(?<!\s=))", text)
    quiet = {"tensor", "sum", "backward", "requires_grad_", "mean"}
    return " ".join(sorted({w for w in words if w not in quiet}))


def listing(program: Program, header: bool = True) -> str:
    text = "\n".join(program)
    used = [definition for name, definition in DEFINITIONS.items() if re.search(rf"\b({name}|Reshaped)\b" if name == "View" else rf"\b{name}\b", text)]
    return "\n".join([*used, text])


# -- many programs --------------------------------------------------------------------------------


class Failure(NamedTuple):
    seed: int
    program: Program
    found: Difference


def program_of(seed: int) -> Program:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return random_program(seed, lambda: start(torch, {}))


def check(seed: int, shrink: bool = True) -> Failure | None:
    """The smallest program that differs in the same way as that of `seed`."""

    def too_long(*_: Any) -> None:
        raise TimeoutError

    program: Program = []
    found = None
    try:
        signal.signal(signal.SIGALRM, too_long)
        signal.setitimer(signal.ITIMER_REAL, 120)
        program = program_of(seed)
        with contextlib.suppress(NameError):
            found = difference(program)
        signal.setitimer(signal.ITIMER_REAL, 300)
        if found is not None and shrink:
            program, found = shrunk(program, found)
    except TimeoutError:
        found = Difference("too long", "", "more than 120 s", "")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return found and Failure(seed, program, found)


def check_many(seeds: range, report: Any) -> None:
    """Send (seed, None), then (seed, the result of `check`) for each seed."""
    torch.set_num_threads(1)
    for seed in seeds:
        report.send((seed, None))
        report.send((seed, check(seed)))


def failures(seeds: range, jobs: int) -> Iterator[tuple[int, Failure | None]]:
    """The result for each seed. The work runs in separate processes, because a program may kill its process."""
    context = multiprocessing.get_context("fork")
    parts = [seeds[i : i + 200] for i in range(0, len(seeds), 200)][::-1]
    running: dict[Any, Any] = {}  # by connection: the process, its seeds, the seed it is at
    while parts or running:
        while parts and len(running) < jobs:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=check_many, args=(parts[-1], theirs))
            process.start()
            theirs.close()
            running[ours] = [process, parts.pop(), None]
        for connection in multiprocessing.connection.wait(list(running)):
            process, part, at = running[connection]
            try:
                seed, failure = connection.recv()
            except EOFError:
                process.join()
                del running[connection]
                if at is not None:
                    yield at, died(at, context)
                    if rest := part[part.index(at) + 1 :]:
                        parts.append(rest)
                continue
            if at is None:
                running[connection][2] = seed
            else:
                running[connection][2] = None
                yield seed, failure


def died(seed: int, context: Any) -> Failure | None:
    """What the program of a seed did to the process: nothing to report if PyTorch alone does it too."""

    def run_theirs() -> None:
        torch.set_num_threads(1)  # a forked process does not have its parent's threads
        run(program_of(seed), torch)

    for _ in range(5):
        alone = context.Process(target=run_theirs)
        alone.start()
        alone.join(60)
        alone.kill()
        alone.join()
        if alone.exitcode:
            return None
    return Failure(seed, [f"# --seed {seed}"], Difference("died", "", "the process ended", "runs it"))


def summary(found: list[Failure]) -> str:
    """The failures by kind, with the shortest program of each."""
    kinds: dict[tuple[str, str], list[Failure]] = collections.defaultdict(list)
    for failure in found:
        kinds[failure.found.kind, message(failure.found) or verbs(failure.program)].append(failure)
    parts = []
    for (kind, what), those in sorted(kinds.items(), key=lambda item: -len(item[1])):
        best = min(those, key=lambda failure: sum(map(len, failure.program)))
        parts.append(f"### {len(those)} x {kind}: {what}\nseeds {', '.join(str(f.seed) for f in those[:6])}\n```\n{listing(best.program)}\n```\n{best.found}\n")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0:1000", help="first:last+1")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, help="show the program of one seed")
    args = parser.parse_args()
    if args.seed is not None:
        print(listing(program_of(args.seed)), end="\n\n")
        failure = check(args.seed)
        print(f"-- shrunk\n{listing(failure.program)}\n\n{failure.found}" if failure else "no difference")
        return
    first, last = map(int, args.seeds.split(":"))
    began, found = time.monotonic(), []
    for done, (seed, failure) in enumerate(failures(range(first, last), args.jobs), start=1):
        if failure:
            found.append(failure)
            print(f"seed {seed}: {failure.found.kind}", flush=True)
        if done % 1000 == 0:
            print(f"{done} programs, {len(found)} differ, {time.monotonic() - began:.0f} s", flush=True)
    print(f"\n{last - first} programs, {len(found)} differ\n\n{summary(found)}")
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
