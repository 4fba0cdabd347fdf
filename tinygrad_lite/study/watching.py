"""`watch`: what the layers of a model do while it trains."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tinygrad_lite.arrays.gpu import tracing
from tinygrad_lite.autograd.observing import observe
from tinygrad_lite.engine.context import observers
from tinygrad_lite.nn import Module
from tinygrad_lite.optim import Optimizer
from tinygrad_lite.optim.diagnosis import Report, diagnose
from tinygrad_lite.study.collecting import Collected, StepObserver
from tinygrad_lite.study.measures import SeenLayer, SeenStep
from tinygrad_lite.study.training_events import Events
from tinygrad_lite.study.training_page import Page, html_of
from tinygrad_lite.study.training_plot import plot
from tinygrad_lite.study.training_words import table, words

MOST = 2000  # steps of the history


class watch:
    """Watch a model train: of every `every`-th step, from the first, keep what each layer did.

    `optimizer`: one, or a list of them; then a step ends when the last of the list has made its own. Layers are the modules
    that have parameters of their own or no submodules, and relu, tanh and sigmoid where they are called as functions of a
    layer's output. `history` is a list of `SeenStep`; its `layers` maps names to `SeenLayer`, whose fields are numbers. When
    it has 2,000 steps, every second one is dropped.

    Training is what it would be without, to the last bit. Forward passes under `no_grad` do not count, and nothing holds a
    graph; in a step that is not watched, the modules have no hooks. `tg.compile` runs functions without their programs as
    long as the thread that called them watches something.

    >>> import tinygrad_lite as tg
    >>> model = tg.nn.Sequential(tg.nn.Linear(2, 8), tg.nn.ReLU(), tg.nn.Linear(8, 1))
    >>> optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    >>> with tg.study.watch(model, optimizer, every=5) as watched:
    ...     for _ in range(20):
    ...         optimizer.zero_grad()
    ...         (model(tg.ones(4, 2)) ** 2).mean().backward()
    ...         optimizer.step()
    >>> [step.step for step in watched.history], list(watched.layers)
    ([0, 5, 10, 15], ['0', '1', '2'])
    >>> steps, ratios = watched.curve("0", "ratio")
    """

    def __init__(self, model: Module, optimizer: Optimizer | Iterable[Optimizer], *, every: int = 10):
        if not isinstance(model, Module):
            raise TypeError(f"watch: model must be a Module, got {type(model).__name__}")
        optimizers = [optimizer] if isinstance(optimizer, Optimizer) else optimizer
        self.optimizers = list(optimizers) if isinstance(optimizers, Iterable) else [optimizers]
        for each in self.optimizers:
            if not isinstance(each, Optimizer):
                raise TypeError(f"watch: optimizer must be an Optimizer or a list of them, got {type(each).__name__}")
        if not self.optimizers:
            raise ValueError("watch: optimizer is an empty list")
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ValueError(f"watch: every must be a whole number from 1 on, got {every!r}")
        self.model, self.every = model, every
        self.history: list[SeenStep] = []
        self.layers: dict[str, str] = {}  # the kind of each layer, by name, in the order in which they ran
        self.report: Report | None = None  # of the last `diagnose`
        self.closed = False
        self._alive: dict[str, Any] = {}
        self._sinks: list[Page | Events] = []
        self._count = 0
        self._observer = StepObserver()
        # Functions, not methods: copying a model copies its hooks, and would copy a method's object with them.
        pre, post = (lambda o, args, kwargs: self._before(o)), (lambda o, args, kwargs: self._after(o))
        self._handles = [each.register_step_pre_hook(pre) for each in self.optimizers]
        self._handles += [each.register_step_post_hook(post) for each in self.optimizers]
        self._begin()

    def __enter__(self) -> watch:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Watch no longer; write pages and event files for the last time."""
        if self.closed:
            return
        self.closed = True
        self._end()
        for handle in self._handles:
            handle.remove()
        self._observer.stop()
        for sink in self._sinks:
            sink.close(self)

    # -- the steps -------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._observer not in observers.get():  # in this thread
            observe(self._observer)
        if self._count % self.every == 0:
            self._observer.step = Collected(self.model)

    def _end(self) -> Collected | None:
        step, self._observer.step = self._observer.step, None
        if step is not None:
            step.detach()
        return step

    def _before(self, optimizer: Optimizer) -> None:
        if self._observer.step is not None and tracing.get() is None:
            self._observer.step.before(optimizer)

    def _after(self, optimizer: Optimizer) -> None:
        if optimizer is not self.optimizers[-1] or tracing.get() is not None:
            return
        step = self._end()
        if step is not None:
            self._keep(step.seen(optimizer.updates - 1, self._alive))
        self._count += 1
        self._begin()

    def _keep(self, seen: SeenStep) -> None:
        self.layers.update((name, layer.kind) for name, layer in seen.layers.items())
        if len(self.history) >= MOST:
            del self.history[1::2]
        self.history.append(seen)
        for sink in self._sinks:
            sink.seen(self, seen)

    # -- what there is to see --------------------------------------------------------------------

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"every {self.every} steps"
        return f"<watch of {type(self.model).__name__}, {state}: {len(self.history)} steps of {len(self.layers)} layers>"

    def curve(self, layer: str, what: str) -> tuple[list[int], list[float]]:
        """The steps in which a layer has the field `what` of `SeenLayer`, and the values there."""
        if layer not in self.layers:
            raise KeyError(f"watch: no layer is named {layer!r}; there are {', '.join(self.layers) or 'none yet'}")
        if what == "kind" or what not in SeenLayer.__dataclass_fields__:
            names = ", ".join(name for name in SeenLayer.__dataclass_fields__ if name != "kind")
            raise ValueError(f"watch: {what!r} is not among what is measured: {names}")
        found = [(seen.step, getattr(seen.layers[layer], what)) for seen in self.history if layer in seen.layers]
        known = [(step, value) for step, value in found if value is not None]
        return [step for step, _ in known], [value for _, value in known]

    def table(self, step: int = -1) -> str:
        """The layers in one entry of the history, the last by default, as text."""
        return table(self._at(step))

    def words(self, step: int = -1) -> list[str]:
        """Sentences on what is wrong in one entry of the history, the last by default; none if nothing is."""
        return words(self._at(step))

    def _at(self, step: int) -> SeenStep:
        if not self.history:
            raise RuntimeError("watch: no step has been watched yet: the optimizer's step() ends one")
        return self.history[step]

    def _repr_html_(self) -> str:
        return html_of(self)

    def plot(self, target: Any = None, what: Iterable[str] | None = None) -> Any:
        """Plot curves over the steps, a line for each layer, with matplotlib; returns the figure.

        `target`: the path of a picture, one axes, or as many as there are curves. `what`: "loss", "rate" and fields of
        `SeenLayer`, by default loss, std, gradient, ratio, saturated and dead.
        """
        return plot(self, target, what)

    def page(self, path: str | os.PathLike[str], *, seconds: float = 5.0) -> Path:
        """Write an HTML page of the training, one file that needs neither a server nor the network.

        From here on it is written again at the end of a watched step, at most every `seconds`, and less often if writing
        takes more than a fiftieth of the time. While the training lasts, the page reloads itself in the browser.
        """
        page = Page(path, seconds)
        page.write(self)
        if not self.closed:
            self._sinks.append(page)
        return page.path

    def tensorboard(self, folder: str | os.PathLike[str]) -> None:
        """Write what has been seen, and what will be, as event files for TensorBoard, with the package `tensorboard`.

        Scalars are named `ratio/0`: the field of `SeenLayer`, then the layer; and `loss`, `rate/0`, by parameter group.
        """
        events = Events(folder)
        for seen in self.history:
            events.seen(self, seen)
        if self.closed:
            events.close(self)
        else:
            self._sinks.append(events)

    def diagnose(self, loss: Callable[[Any, Any], Any], batches: Iterable[Any], validation: Any = None, **options: Any) -> Report:
        """`optim.diagnosis.diagnose` of the model, with the optimizer if there is one. What it runs is not watched, and its report
        is shown on the pages from here on."""
        if len(self.optimizers) == 1:
            options.setdefault("optimizer", self.optimizers[0])
        step = self._end()
        try:
            self.report = diagnose(self.model, loss, batches, validation, **options)
        finally:
            if step is not None:
                step.attach()
            self._observer.step = step
        for sink in self._sinks:
            if isinstance(sink, Page):
                sink.write(self)
        return self.report
