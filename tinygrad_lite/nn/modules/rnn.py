"""Recurrent layers over sequences, and cells for single steps."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadType, BadValue, Refusal
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn import init
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.packed_sequence import PackedSequence
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.ops.creation.factories import empty, zeros
from tinygrad_lite.ops.movement.joining import cat, stack
from tinygrad_lite.ops.nn.recurrent import _gru, _lstm, _rnn
from tinygrad_lite.ops.nn.recurrent_cells import gru_step, lstm_step, rnn_step

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
_STEPS: dict[str, Callable[..., Any]] = {"LSTM": lstm_step, "GRU": gru_step}
_SEQUENCES: dict[str, Callable[..., Any]] = {"LSTM": _lstm, "GRU": _gru}


def _run(mode: str, x: Tensor, states: tuple[Tensor, ...], weights: dict[str, Any], sizes: Any, reverse: bool) -> Any:
    """One layer in one direction over rows of steps (see ops/nn/recurrent.py): (outputs, *final states)."""
    if x.dtype == np.float16:  # accumulates in float32, as PyTorch does
        x, states = x.float(), tuple(s.float() for s in states)
        weights = {name: weight if weight is None else weight.float() for name, weight in weights.items()}
        return tuple(t.half() for t in _run(mode, x, states, weights, sizes, reverse))
    w = weights.get
    given: tuple[Any, ...] = (x, *states, w("weight_ih"), w("weight_hh"), w("bias_ih"), w("bias_hh"))
    if mode == "LSTM":
        given += (w("weight_hr"),)
    elif mode != "GRU":
        given += ("tanh" if mode == "RNN_TANH" else "relu",)
    if len(sizes) == 1:  # without preparations that pay only over many steps
        new = _STEPS.get(mode, rnn_step)(*given)
        return new[0], *new
    return _SEQUENCES.get(mode, _rnn)(*given, sizes, reverse)


class RNNBase(Module):
    """Base of RNN, LSTM and GRU. Parameters of layer k: `weight_ih_lk` (gates * hidden, input), `weight_hh_lk` (gates *
    hidden, hidden), `bias_ih_lk` and `bias_hh_lk` (gates * hidden,), with the suffix `_reverse` for the second
    direction. All start uniform in +-1 / sqrt(hidden_size).

    >>> from tinygrad_lite import nn
    >>> {name: p.shape for name, p in nn.GRU(3, 5, bias=False).named_parameters()}
    {'weight_ih_l0': (15, 3), 'weight_hh_l0': (15, 5)}
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        name = self._get_name()
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise BadValue(f"dropout should be a number in range [0, 1], got {dropout!r}", function=name, got=repr(dropout))
        if dropout > 0 and num_layers == 1:
            warnings.warn(f"{name}: dropout acts between layers; with num_layers=1 it does nothing", stacklevel=3)
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        for argument, value in {"bias": bias, "batch_first": batch_first, **sizes}.items():
            expected = int if argument in sizes else bool
            if not isinstance(value, expected):
                raise BadType(
                    f"{argument} should be of type {expected.__name__}, got {type(value).__name__}", function=name, got=type(value).__name__
                )
        for argument, size in sizes.items():
            if size <= 0:
                raise BadValue(f"{argument} must be greater than zero, got {size}", function=name, got=size)
        if not 0 <= proj_size < hidden_size:
            raise BadValue(f"proj_size must be from 0 to less than hidden_size, got {proj_size}", function=name, got=proj_size)
        if proj_size and mode != "LSTM":
            raise BadValue("proj_size argument is only supported for LSTM, not RNN or GRU", function=name)
        if mode not in _GATES:
            raise BadValue(function=name, argument="mode", expected=f"a mode among {', '.join(_GATES)}", got=repr(mode))
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        rows, out = _GATES[mode] * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else out * self._directions
            shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, out)}
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for suffix in self._suffixes(layer):
                for kind, shape in shapes.items():
                    setattr(self, kind + suffix, Parameter(empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"][: self._directions]

    def _weights(self, suffix: str) -> dict[str, Any]:
        kinds = ["weight_ih", "weight_hh"] + ["bias_ih", "bias_hh"] * self.bias + ["weight_hr"] * bool(self.proj_size)
        return {kind: getattr(self, kind + suffix) for kind in kinds}

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [list(self._weights(s).values()) for layer in range(self.num_layers) for s in self._suffixes(layer)]

    def flatten_parameters(self) -> None:
        """Does nothing; exists for programs that call it."""

    def reset_parameters(self) -> None:
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input: Any, hx: Any = None) -> Any:
        if isinstance(input, PackedSequence):
            data, batch_sizes, order, back = input
            sizes = tuple(batch_sizes.tolist())
            self._check(data, 2)
            out, states = self._over_layers(data, sizes, self._initial(data, sizes[0], hx, 3, order))
            if back is not None:
                states = [state[:, back] for state in states]
            return PackedSequence(out, batch_sizes, order, back), self._state(states)
        if not isinstance(input, Tensor) or input.ndim not in (2, 3):
            got = f"shape {tuple(input.shape)}" if isinstance(input, Tensor) else type(input).__name__
            raise BadValue(function=self._get_name(), argument="input", expected="input of 2 (unbatched) or 3 dimensions", got=got)
        self._check(input, input.ndim)
        batched = input.ndim == 3
        if batched and self.batch_first:
            input = input.transpose(0, 1)
        length, batch = input.shape[0], input.shape[1] if batched else 1
        if not length:
            raise Refusal(function=self._get_name(), expected="sequence length to be larger than 0")
        states = self._initial(input, batch, hx, input.ndim, None)
        out, states = self._over_layers(input.reshape(length * batch, self.input_size), (batch,) * length, states)
        if not batched:
            return out, self._state([state.squeeze(1) for state in states])
        out = out.reshape(length, batch, out.shape[1])
        return out.transpose(0, 1) if self.batch_first else out, self._state(states)

    def _check(self, input: Tensor, rank: int) -> None:
        name = self._get_name()
        if input.ndim != rank or input.shape[-1] != self.input_size:
            raise Refusal(
                function=name, argument="input", expected=f"input features {self.input_size} (the last dim)", got=tuple(input.shape)
            )
        dtype = self.weight_ih_l0.dtype
        if input.dtype != dtype:
            raise BadValue(f"the input's dtype {input.dtype} does not match the weights', {dtype}", function=name)

    def _initial(self, like: Tensor, batch: int, hx: Any, rank: int, order: Tensor | None) -> list[Tensor]:
        """The initial states, each (layers * directions, batch, size), in the order of the sequences."""
        widths = [self.proj_size or self.hidden_size, self.hidden_size][: 1 + (self.mode == "LSTM")]
        shapes = [(self.num_layers * self._directions, batch, width) for width in widths]
        if hx is None:
            return [zeros(shape, dtype=like.dtype, device=like.device) for shape in shapes]
        if self.mode != "LSTM":
            hx = (hx,)
        if not isinstance(hx, (tuple, list)) or len(hx) != len(shapes) or not all(isinstance(h, Tensor) for h in hx):
            expected = "a tuple (h_0, c_0)" if self.mode == "LSTM" else "a Tensor"
            raise BadType(function=self._get_name(), argument="hx", expected=expected)
        states = []
        for name, state, shape in zip("hc", hx, shapes):
            wanted = shape if rank == 3 else (shape[0], shape[2])
            if tuple(state.shape) != wanted:
                h = f"{name}_0"
                raise Refusal(function=self._get_name(), argument=h, expected=f"{h} of shape {wanted}", got=tuple(state.shape))
            state = state if rank == 3 else state.unsqueeze(1)
            states.append(state if order is None else state[:, order])
        return states

    def _over_layers(self, x: Tensor, sizes: tuple[int, ...], states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        final = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            outputs = []
            for direction, suffix in enumerate(self._suffixes(layer)):
                place = layer * self._directions + direction
                own = tuple(state[place] for state in states)
                out, *last = _run(self.mode, x, own, self._weights(suffix), sizes, direction == 1)
                outputs.append(out)
                final.append(last)
            x = outputs[0] if len(outputs) == 1 else cat(outputs, 1)
        return x, [stack(kind) for kind in zip(*final)]

    def _state(self, states: list[Tensor]) -> Any:
        return tuple(states) if self.mode == "LSTM" else states[0]

    def extra_repr(self) -> str:
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False}
        notes = [f"{name}={getattr(self, name)}" for name, default in defaults.items() if getattr(self, name) != default]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *notes])


class RNN(RNNBase):
    """h <- tanh(W_ih x + b_ih + W_hh h + b_hh), or relu; input (length, batch, input_size), or (batch, length, ...) if
    `batch_first`, -> (outputs, h_n) (Elman, 1990).

    `h_n` (layers * directions, batch, hidden_size) holds the final states.

    >>> from tinygrad_lite import nn, ones
    >>> out, h = nn.RNN(3, 5, batch_first=True)(ones(4, 7, 3))
    >>> out.shape, h.shape, bool((out[:, -1] == h[0]).all())
    ((4, 7, 5), (1, 4, 5), True)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ):
        if nonlinearity not in ("tanh", "relu"):
            raise BadValue(f"unknown nonlinearity {nonlinearity!r}, select from 'tanh' or 'relu'", function="RNN")
        mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype)
        self.nonlinearity = nonlinearity


class _Gated(RNNBase):
    """Base of LSTM and GRU: their arguments."""

    gates: str

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ):
        options = num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype
        super().__init__(self.gates, input_size, hidden_size, *options)


class LSTM(_Gated):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997): gates i, f, o and candidate g, each of W x + b + U h + b';
    c <- f c + i g, h = o tanh(c). Input (length, batch, input_size), or (batch, length, ...) if
    `batch_first`, or a PackedSequence -> (outputs, (h_n, c_n)).

    `proj_size`: h is projected to this size by `weight_hr_lk`.

    >>> from tinygrad_lite import nn, ones
    >>> out, (h, c) = nn.LSTM(3, 5, num_layers=2, bidirectional=True)(ones(7, 4, 3))
    >>> out.shape, h.shape
    ((7, 4, 10), (4, 4, 5))
    """

    gates = "LSTM"


class GRU(_Gated):
    """Gated recurrent units: r, z = sigmoid(W x + b + U h + b'), n = tanh(W x + b + r (U h + b')), h <- (1 - z) n + z h
    (Cho et al., 2014; there r scales h itself). Arguments and results are those of RNN.

    >>> from tinygrad_lite import nn, ones
    >>> out, h = nn.GRU(3, 5, num_layers=2)(ones(7, 4, 3))
    >>> out.shape, h.shape
    ((7, 4, 5), (2, 4, 5))
    """

    gates = "GRU"


class RNNCellBase(Module):
    """One step of a recurrent layer: (batch, input_size) or (input_size,), with the previous states (None: zeros).

    >>> from tinygrad_lite import nn
    >>> isinstance(nn.LSTMCell(3, 5), nn.RNNCellBase), nn.LSTMCell(3, 5).weight_ih.shape
    (True, (20, 3))
    """

    mode: str

    def __init__(self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(empty((rows, input_size), device=device, dtype=dtype))
        self.weight_hh = Parameter(empty((rows, hidden_size), device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty((rows,), device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _step(self, input: Tensor, states: Any, count: int) -> tuple[Tensor, ...]:
        name = self._get_name()
        if input.ndim not in (1, 2):
            raise BadValue(function=name, argument="input", expected="input of 1 or 2 dimensions", got=tuple(input.shape))
        if input.shape[-1] != self.input_size:
            raise Refusal(
                function=name, argument="input", expected=f"input features {self.input_size} (the last dim)", got=tuple(input.shape)
            )
        single = input.ndim == 1
        batch = 1 if single else input.shape[0]
        if states is None:
            states = (zeros((batch, self.hidden_size), dtype=input.dtype, device=input.device),) * count
        else:
            expected = (self.hidden_size,) if single else (batch, self.hidden_size)
            for state in states:
                if state.ndim not in (1, 2):
                    raise BadValue(function=name, expected="hidden states of 1 or 2 dimensions", got=tuple(state.shape))
                if tuple(state.shape) != expected:
                    raise Refusal(function=name, expected=f"a hidden state of shape {expected}", got=tuple(state.shape))
            states = tuple(state.unsqueeze(0) for state in states) if single else tuple(states)
        weights = {kind: getattr(self, kind) for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        _, *new = _run(self.mode, input.unsqueeze(0) if single else input, states, weights, (batch,), False)
        return tuple(state.squeeze(0) for state in new) if single else tuple(new)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(RNNCellBase):
    """One step of RNN: (input, h) -> h.

    >>> from tinygrad_lite import nn, ones
    >>> cell, h = nn.RNNCell(3, 5), None
    >>> for x in ones(7, 4, 3):
    ...     h = cell(x, h)
    >>> h.shape
    (4, 5)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise Refusal(f"unknown nonlinearity {self.nonlinearity!r}", function="RNNCell")
        return self._step(input, None if hx is None else (hx,), 1)[0]

    @property
    def mode(self) -> str:  # type: ignore[override]
        return f"RNN_{self.nonlinearity.upper()}"

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(RNNCellBase):
    """One step of LSTM: (input, (h, c)) -> (h, c).

    >>> from tinygrad_lite import nn, ones
    >>> cell = nn.LSTMCell(3, 5)
    >>> h, c = cell(ones(4, 3))
    >>> h, c = cell(ones(4, 3), (h, c))
    >>> h.shape, c.shape
    ((4, 5), (4, 5))
    """

    mode = "LSTM"

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, ...]:
        return self._step(input, hx, 2)


class GRUCell(RNNCellBase):
    """One step of GRU: (input, h) -> h.

    >>> from tinygrad_lite import nn, ones, zeros
    >>> nn.GRUCell(3, 5)(ones(4, 3), zeros(4, 5)).shape
    (4, 5)
    """

    mode = "GRU"

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step(input, None if hx is None else (hx,), 1)[0]
