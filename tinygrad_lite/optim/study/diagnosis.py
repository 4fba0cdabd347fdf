"""Diagnosis of a training: a report under the lecture's five letters (docs/lectures.md#item-56).

    I  computation: what a step costs, against samples times parameters
    T  iterations: progress, and the curvature, which limits the step
    S  saturation: layers whose derivatives have vanished, and with them the gradients below
    L  local minima: what kind of point this is
    O  overfitting: training against validation

    print(diagnose(model, loss_function, batches, validation))

It works before and after training, and changes nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from html import escape
from typing import Any

import numpy as np

from tinygrad_lite.autograd.grad_mode import enable_grad, no_grad
from tinygrad_lite.autograd.gradients import grad
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.notebook import panel, quiet
from tinygrad_lite.ops.random.generators import fork_rng
from tinygrad_lite.optim.curvature import Hessian, Spectrum, spectrum
from tinygrad_lite.optim.flat import Flat
from tinygrad_lite.optim.optimizer import Optimizer

SATURATED = 0.01  # a derivative below this counts as zero
VANISHED = 1e-3  # the first layer's gradient against the last layer's
EXPLODED = 1e6  # the gradient against its weight
LETTERS = {"I": "computation", "T": "iterations", "S": "saturation", "L": "local minima", "O": "overfitting"}


class Report:
    """`numbers[letter]` maps names to measurements, `words[letter]` is a list of sentences. A notebook shows it as tables."""

    def __init__(self) -> None:
        self.numbers: dict[str, dict[str, float]] = {letter: {} for letter in LETTERS}
        self.words: dict[str, list[str]] = {letter: [] for letter in LETTERS}

    def __str__(self) -> str:
        lines = []
        for letter, meaning in LETTERS.items():
            lines.append(f"{letter}  {meaning}")
            lines += [f"   {name:<44}{value:>12.4g}" for name, value in self.numbers[letter].items()]
            lines += [f"   {sentence}" for sentence in self.words[letter]]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = []
        for letter, meaning in LETTERS.items():
            lines = [
                f'<tr><td style="text-align: left">{escape(name)}</td><td style="text-align: right">{value:.4g}</td></tr>'
                for name, value in self.numbers[letter].items()
            ]
            parts.append(f'<div style="margin-top: 10px"><b>{letter}</b> {quiet(meaning)}</div><table>{"".join(lines)}</table>')
            parts += [f"<div>{escape(sentence)}</div>" for sentence in self.words[letter]]
        return panel("<b>Diagnosis</b>", *parts)


def diagnose(
    model: Any,
    loss: Callable[[Any, Any], Any],
    batches: Iterable[tuple[Any, Any]],
    validation: Iterable[tuple[Any, Any]] | None = None,
    *,
    optimizer: Any = None,
    start: Iterable[Any] | None = None,
    lanczos_steps: int = 20,
) -> Report:
    """Examine a Module, given a loss(model(x), y) and a few batches (x, y).

    `validation`: batches not trained on. `optimizer`: compares its rate with the largest stable one and its steps with the
    weights. `start`: the parameters' values before training.

    >>> from tinygrad_lite import nn, randn
    >>> batches = [(randn(8, 3), randn(8, 1)) for _ in range(2)]
    >>> report = diagnose(nn.Linear(3, 1), nn.functional.mse_loss, batches)
    >>> report.words["O"]
    ['No validation batches were given.']
    """
    batches = list(batches)
    if not batches:
        raise ValueError("diagnose: expected at least one batch (x, y)")
    report = Report()
    gradients = [p.grad for p in model.parameters()]
    buffers = [(buffer, buffer.array.copy()) for buffer in model.buffers()]
    try:
        for p in model.parameters():
            p.grad = None  # so that backward does not add to it
        with fork_rng():
            _cost(report, model, loss, *batches[0])
            ends = _curvature(report, model, loss, *batches[0], lanczos_steps)
            _progress(report, model, optimizer, start, ends)
            _saturation(report, model, batches, ends[0])
            _point(report, ends)
            _overfitting(report, model, loss, batches, validation)
    finally:
        for p, g in zip(model.parameters(), gradients):
            p.grad = g
        for buffer, values in buffers:
            buffer.array[...] = values
    return report


def _cost(report: Report, model: Any, loss: Callable[..., Any], x: Any, y: Any) -> None:
    def seconds(x: Any, y: Any) -> tuple[float, float]:
        best = [float("inf")] * 2
        for _ in range(3):
            begun = time.perf_counter()
            value = loss(model(x), y)
            between = time.perf_counter()
            value.backward()
            best = [min(best[0], between - begun), min(best[1], time.perf_counter() - between)]
        return best[0], best[1]

    n, p = len(x), sum(p.array.size for p in model.parameters())
    forward, backward = seconds(x, y)
    half = sum(seconds(x[: n // 2], y[: n // 2])) if n > 1 else float("nan")
    numbers = report.numbers["I"]
    numbers["parameters p"], numbers["samples n of a batch"] = p, n
    numbers["seconds of a step"] = forward + backward
    numbers["nanoseconds for each of n p"] = 1e9 * (forward + backward) / (n * p)
    numbers["backward / forward"] = backward / forward
    numbers["a whole batch / half a batch"] = (forward + backward) / half
    if (forward + backward) / half < 1.4:
        report.words["I"].append("Twice the samples cost hardly more: fixed costs dominate, so larger batches are cheap.")


def _trained(model: Any) -> list[tuple[str, Any]]:
    """The parameters that are not frozen, by name."""
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]


def _curvature(report: Report, model: Any, loss: Callable[..., Any], x: Any, y: Any, steps: int) -> tuple[Hessian, Spectrum]:
    with enable_grad():
        value = loss(model(x), y)
    report.numbers["T"]["loss of the first batch"] = value.item()
    if not np.isfinite(value.item()):
        report.words["T"].append("The loss is not finite.")
    hessian = Hessian(value, [p for _, p in _trained(model)])
    return hessian, spectrum(hessian.__matmul__, hessian.gradient, steps)


def _progress(report: Report, model: Any, optimizer: Any, start: Iterable[Any] | None, ends: tuple[Hessian, Spectrum]) -> None:
    hessian, (_, largest, _) = ends
    numbers, words = report.numbers["T"], report.words["T"]
    numbers["length of the gradient"] = _length(hessian.gradient)
    numbers["largest curvature"] = largest
    numbers["condition (largest / smallest found)"] = ends[1].condition
    if largest > 0:
        numbers["largest stable rate of gradient descent"] = 2 / largest
    if start is not None:
        flat = Flat(list(model.parameters()))
        before = flat.join([flat.xp.asarray(getattr(value, "array", value)) for value in start])
        numbers["distance from the start / its length"] = _length(flat.values() - before) / _length(before)
    if optimizer is not None:
        rate = float(optimizer.numbers_of(optimizer.param_groups[0])["lr"])
        numbers["rate of the optimizer"] = rate
        if largest > 0 and rate > 2 / largest:
            words.append("The rate is above 2 / curvature: plain gradient descent would diverge here.")
        _updates(report, model, optimizer, hessian)


def _updates(report: Report, model: Any, optimizer: Any, hessian: Hessian) -> None:
    """Compare the length of the optimizer's next step with the weights."""
    if type(optimizer).update is Optimizer.update:  # updates all parameters together
        return
    ratios, given = {}, {id(p) for group in optimizer.param_groups for p in group["params"]}
    for (name, p), g in zip(_trained(model), hessian.flat.split(hessian.gradient)):
        if id(p) in given:
            p.grad = traced(g)  # diagnose restores it
            length = _length(optimizer.explain_step(p).total.array)
            ratio = report.numbers["T"][f"|update| / |weight| of {name}"] = length / max(_length(p.array), 1e-30)
            if p.array.ndim > 1:  # a bias may start at 0
                ratios[name] = ratio
    if ratios and max(ratios.values()) > 0.1:
        worst = max(ratios, key=ratios.__getitem__)
        report.words["T"].append(f"One step changes {worst} by more than a tenth of its length: take a smaller rate.")
    elif ratios and max(ratios.values()) < 1e-6:
        report.words["T"].append("No weight moves by more than a millionth of its length in a step: take a larger rate.")


def _length(x: Any) -> float:
    x = x.astype("float64")  # squares overflow in float32
    return float((x * x).sum()) ** 0.5


def _saturation(report: Report, model: Any, batches: list[tuple[Any, Any]], hessian: Hessian) -> None:
    seen: dict[str, list[tuple[Any, Any]]] = {}
    with _watched(model, seen):
        for x, _ in batches:
            model(x)
    numbers, words = report.numbers["S"], report.words["S"]
    for name, calls in seen.items():
        slopes = [s for module, z in calls if (s := _slope(module, z)) is not None]
        if not slopes:
            continue
        flat = np.concatenate([abs(s).reshape(len(s), -1) for s in slopes])
        small = flat < SATURATED
        numbers[f"{name}: saturated"] = float(small.mean())
        numbers[f"{name}: dead units"] = float(small.all(axis=0).mean())
        if small.all(axis=0).mean() > 0.2:
            words.append(f"In {name} at least every fifth unit is dead: it responds to no sample and learns nothing.")
        elif small.mean() > 0.8:
            words.append(f"{name} is saturated: it passes on little of the gradient.")
    lengths, longest = {}, 0.0
    for (name, p), g in zip(_trained(model), hessian.flat.split(hessian.gradient)):
        if p.array.ndim > 1:
            lengths[name] = numbers[f"{name}: length of the gradient"] = _length(g)
            longest = max(longest, _length(g) / max(_length(p.array), 1e-30))
    words += _through_the_layers(lengths, longest)


def _through_the_layers(lengths: dict[str, float], longest: float) -> list[str]:
    """How gradients change on their way down, from their lengths at each weight (in forward order) and the largest ratio of
    a gradient to its weight."""
    if not np.isfinite(list(lengths.values())).all():
        return ["The gradients are not finite: they explode, or the loss is undefined here."]
    if not any(lengths.values()):
        return []
    shortest_name = min(lengths, key=lengths.__getitem__)
    (first, at_first), *_, (last, at_last) = [*lengths.items()] * 2
    words = []
    if at_first < VANISHED * at_last:
        words.append(
            f"The gradients vanish on the way down: {at_last:.2g} at {last}, {at_first:.2g} at {first}. Other activations, "
            "normalization, a variance-preserving initialization or skip connections help."
        )
    elif lengths[shortest_name] < VANISHED * max(at_first, at_last):
        words.append(f"Hardly any gradient arrives at {shortest_name}: {lengths[shortest_name]:.2g}.")
    if at_first * VANISHED > at_last or longest > EXPLODED:
        words.append(
            f"The gradients explode: {at_first:.2g} at {first}, {at_last:.2g} at {last}, up to {longest:.2g} times the weights. "
            "A variance-preserving initialization, normalization, inputs of a smaller scale or clipping help."
        )
    return words


@contextlib.contextmanager
def _watched(model: Any, seen: dict[str, list[tuple[Any, Any]]]) -> Iterator[None]:
    """Inside this block, record the input of each module without submodules."""
    handles = []
    for name, module in model.named_modules():
        if not list(module.children()) and not list(module.parameters()) and not list(module.buffers()):

            def note(module: Any, inputs: Any, output: Any, name: str = f"{name} ({type(module).__name__})") -> None:
                if len(inputs) == 1 and getattr(output, "shape", None) == inputs[0].shape:
                    seen.setdefault(name, []).append((module, inputs[0].detach()))

            handles.append(module.register_forward_hook(note))
    try:
        with no_grad():
            yield
    finally:
        for handle in handles:
            handle.remove()


def _slope(module: Any, z: Any) -> Any:
    """The derivative of an elementwise module at z; None for a module that is not elementwise."""
    if type(module).__name__.startswith(("Dropout", "Softmax", "LogSoftmax", "Identity", "Flatten", "AlphaDropout")):
        return None
    z = z.requires_grad_()
    with enable_grad():
        out = module.forward(z)
    return None if out.node is None else np.asarray(grad(out.sum(), z)[0].numpy())


def _point(report: Report, ends: tuple[Hessian, Spectrum]) -> None:
    _, (smallest, largest, _) = ends
    numbers, words = report.numbers["L"], report.words["L"]
    numbers["smallest curvature found"], numbers["largest curvature"] = smallest, largest
    scale = max(abs(smallest), abs(largest))
    if not np.isfinite(scale):
        words.append("The curvature is not finite: nothing can be said about this point.")
    elif scale == 0:
        words.append("No curvature at all: a plateau, or a linear loss.")
    elif smallest < -1e-3 * scale:
        words.append("There are directions of negative curvature: this is not a minimum, but near a saddle point.")
    else:
        words.append("No direction of negative curvature was found: the loss is bowl-shaped here.")


def _overfitting(report: Report, model: Any, loss: Callable[..., Any], batches: list[Any], validation: Iterable[Any] | None) -> None:
    numbers, words = report.numbers["O"], report.words["O"]
    training = model.training
    model.eval()
    try:
        with no_grad():
            numbers["training loss"] = train = float(np.mean([loss(model(x), y).item() for x, y in batches]))
            if validation is None:
                words.append("No validation batches were given.")
                return
            numbers["validation loss"] = other = float(np.mean([loss(model(x), y).item() for x, y in validation]))
    finally:
        model.train(training)
    numbers["validation / training"] = other / train if train else float("inf")
    if other > 1.5 * train:
        words.append("Much worse on the validation data: the model overfits (try weight decay, dropout, early stopping, more data).")
