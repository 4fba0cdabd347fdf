"""The elementwise part of one LSTM or GRU step."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import Array, namespace_of
from tinygrad_lite.arrays.gpu import kernel


def halves(xp: Any, dtype: Any) -> Array:
    """(1/2, 1/2, 1, 1/2): sigmoid(z) = 1/2 + tanh(z / 2) / 2, so that one tanh serves the gates i, f, o and the candidate
    g. NumPy's tanh of 16384 float32 takes 14 us, its exp alone 19 us (without AVX-512 42 and 21 us)."""
    half = xp.full((4, 1, 1), 0.5, dtype)
    half[2] = 1
    return half


@kernel
def lstm_cell(z: Any, c: Any) -> Any:
    """(h, c), the gates and tanh of the new c."""
    # z (B, 4 H): the inputs of i, f, g, o, which are saved as (4, B, H) with tanh of the new c.
    xp = namespace_of(z)
    half = halves(xp, z.dtype)
    gates = z.reshape(len(z), 4, z.shape[1] // 4).transpose(1, 0, 2) * half
    xp.tanh(gates, out=gates)
    gates *= half
    gates += 1 - half
    i, f, candidate, o = gates
    c = f * c
    c += i * candidate
    squashed = xp.tanh(c)
    return (o * squashed, c), gates, squashed


@kernel
def lstm_cell_gradient(g: Any, c: Any, gates: Any, squashed: Any) -> Any:
    """The gradients of z and c."""
    g_h, g_c = g
    i, f, candidate, o = gates
    d_o = g_h * squashed
    d_c = g_c + o * (g_h - d_o * squashed)
    xp = namespace_of(gates)
    d = xp.empty((len(c), 4, c.shape[1]), c.dtype)
    d[:, 0] = d_c * candidate * (i - i * i)
    d[:, 1] = d_c * c * (f - f * f)
    d[:, 2] = d_c * i * (1 - candidate * candidate)
    d[:, 3] = d_o * (o - o * o)
    return d.reshape(len(c), 4 * c.shape[1]), d_c * f


@kernel
def gru_cell(z: Any, v: Any, h: Any) -> Any:
    """h, the gates and the candidate."""
    # z (B, 3 H) from the input and v from h, for r, z and n; r multiplies the last part of v.
    xp = namespace_of(z)
    hidden = h.shape[1]
    gates = (z[:, : 2 * hidden] + v[:, : 2 * hidden]) * 0.5
    xp.tanh(gates, out=gates)
    gates *= 0.5
    gates += 0.5
    n = gates[:, :hidden] * v[:, 2 * hidden :]
    n += z[:, 2 * hidden :]
    xp.tanh(n, out=n)
    return n + gates[:, hidden:] * (h - n), gates, n


@kernel
def gru_cell_gradient(g: Any, v: Any, h: Any, gates: Any, candidate: Any) -> Any:
    """The gradients of z, v and h."""
    hidden = h.shape[1]
    r, u = gates[:, :hidden], gates[:, hidden:]
    d_n = g * (1 - u) * (1 - candidate * candidate)
    xp = namespace_of(gates)
    d_z = xp.empty_like(v)
    d_z[:, :hidden] = d_n * v[:, 2 * hidden :] * (r - r * r)
    d_z[:, hidden : 2 * hidden] = g * (h - candidate) * (u - u * u)
    d_z[:, 2 * hidden :] = d_n
    d_v = d_z.copy()
    d_v[:, 2 * hidden :] *= r
    return d_z, d_v, g * u
