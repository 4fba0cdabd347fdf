"""Second-order information in O(p) memory: matrix-vector products with a curvature matrix, and solvers built on them.

A vector here is a 1-d array of the entries of all parameters, concatenated (see flat.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lite.arrays import device_of, namespace_of, quietly, to_numpy
from tinygrad_lite.autograd.grad_mode import enable_grad
from tinygrad_lite.autograd.gradients import grad
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.ops.random.generators import source
from tinygrad_lite.optim.flat import Flat

Product = Callable[[Any], Any]  # v -> H v


class Hessian:
    """The Hessian of `loss` (a scalar Tensor) with respect to `params`, as the operator `hessian @ vector`.

    A product costs about two backward passes (Pearlmutter 1994). `gradient`: the gradient of the loss.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> hessian = Hessian((x**3).sum(), [x])
    >>> hessian @ np.array([1.0, 1.0], np.float32)
    array([ 6., 12.], dtype=float32)
    """

    def __init__(self, loss: Any, params: Sequence[Any]):
        self.flat = Flat(params)
        self._gradients = grad(loss, self.flat.params, create_graph=True, materialize_grads=True)
        self.gradient = self.flat.join([g.array for g in self._gradients])

    def __matmul__(self, vector: Any) -> Any:
        pairs = [(g, traced(v)) for g, v in zip(self._gradients, self.flat.split(vector)) if g.node is not None]
        if not pairs:  # a linear loss
            return 0 * vector
        gradients, vectors = zip(*pairs)
        products = grad(gradients, self.flat.params, vectors, retain_graph=True, materialize_grads=True)
        return self.flat.join([p.array for p in products])

    def matrix(self) -> Any:
        """The full matrix, from one product per column."""
        return matrix_of(self.__matmul__, self.gradient)


class GaussNewton:
    """The Gauss-Newton matrix J^T H J as the operator `matrix @ vector`, where J is the Jacobian of `outputs` with respect
    to `params` and H the Hessian of `loss(outputs)` with respect to the outputs. If the loss is convex in the outputs, the
    matrix is positive semidefinite for any model.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> GaussNewton(w * w, lambda y: (y * y).sum() / 2, [w]).matrix()  # J^T J, J = diag(2 w)
    array([[ 4.,  0.],
           [ 0., 16.]], dtype=float32)
    """

    def __init__(self, outputs: Any, loss: Callable[[Any], Any], params: Sequence[Any]):
        self.flat = Flat(params)
        self.outputs = outputs
        self._inner = outputs.detach().requires_grad_()
        with enable_grad():
            (self._slope,) = grad(loss(self._inner), self._inner, create_graph=True)
        back = grad(outputs, self.flat.params, self._slope.detach(), retain_graph=True, materialize_grads=True)
        self.gradient = self.flat.join([g.array for g in back])

    def __matmul__(self, vector: Any) -> Any:
        params, outputs = self.flat.params, self.outputs
        # J v is the gradient of (J^T u) v with respect to u
        u = traced(namespace_of(vector).zeros_like(outputs.array)).requires_grad_()
        back = grad(outputs, params, u, create_graph=True, materialize_grads=True)
        pairs = [(b, traced(v)) for b, v in zip(back, self.flat.split(vector)) if b.node is not None]
        gradients, vectors = zip(*pairs)
        (forward,) = grad(gradients, u, vectors)
        if self._slope.node is None:  # a loss that is linear in the outputs
            return 0 * vector
        (curved,) = grad(self._slope, self._inner, forward, retain_graph=True)
        products = grad(outputs, params, curved, retain_graph=True, materialize_grads=True)
        return self.flat.join([p.array for p in products])

    def matrix(self) -> Any:
        """The full matrix, from one product per column."""
        return matrix_of(self.__matmul__, self.gradient)


def matrix_of(product: Product, like: Any) -> Any:
    """The matrix of the linear map `product`, column by column.

    >>> import tinygrad_lite as tg
    >>> h = tg.tensor([[2.0, 1.0], [1.0, 3.0]]).numpy()
    >>> matrix_of(lambda v: h @ v, h[0])
    array([[2., 1.],
           [1., 3.]], dtype=float32)
    """
    xp = namespace_of(like)
    return xp.stack([product(column) for column in xp.eye(like.size, dtype=like.dtype)], axis=1)


def hvp(loss: Any, params: Sequence[Any], vectors: Sequence[Any]) -> list[Any]:
    """The product of the Hessian of `loss` with `vectors`; both hold one tensor per parameter.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> hvp((x**3).sum(), [x], [tg.tensor([1.0, 1.0])])
    [tensor([ 6., 12.])]
    """
    hessian = Hessian(loss, params)
    return list(map(traced, hessian.flat.split(hessian @ hessian.flat.join([v.array for v in vectors]))))


def diagonal(product: Product, like: Any, samples: int = 100, generator: Any = None) -> Any:
    """An estimate of the diagonal of the matrix behind `product`: the mean of z * (H z) over random sign vectors z
    (Hutchinson 1990; Bekas, Kokiopoulou, Saad 2007). `like`: an array of the vectors' size and dtype.

    >>> diagonal(lambda v: np.array([2.0, 3.0]) * v, np.zeros(2), samples=5)  # exact where there is nothing else
    array([2., 3.])
    """
    xp, total = namespace_of(like), 0
    for _ in range(samples):
        z = _signs(like, xp, generator)
        total = total + z * product(z)
    return total / samples


def _signs(like: Any, xp: Any, generator: Any) -> Any:
    return xp.asarray(2 * source(generator, device_of(like)).integers(0, 2, like.shape) - 1, dtype=like.dtype)


class Solution(NamedTuple):
    """The result of `conjugate_gradients`: the solution x, the number of steps, and whether all curvature met was positive.

    >>> import numpy as np
    >>> solution = conjugate_gradients(lambda v: 4.0 * v, np.array([8.0, 4.0]))
    >>> solution.x, solution.steps
    (array([2., 1.]), 1)
    """

    x: Any
    steps: int
    positive: bool


def conjugate_gradients(product: Product, b: Any, tolerance: float = 1e-10, most: int | None = None) -> Solution:
    """Solve H x = b using only products with H (Hestenes and Stiefel 1952).

    Stops when |H x - b| <= tolerance |b|, after `most` steps (default: twice the size), or at a direction of nonpositive
    curvature. Returns the current x then, or b if this is the first direction.

    >>> conjugate_gradients(lambda v: np.array([2.0, 4.0]) * v, np.array([2.0, 8.0])).x.round(6)
    array([1., 2.])
    """
    x, r, d = 0 * b, b, b
    square = first = float(r @ r)
    most = 2 * b.size if most is None else most
    for k in range(most):
        if square <= tolerance**2 * first:
            return Solution(x, k, True)
        h = product(d)
        curvature = float(d @ h)
        if not curvature > 0:
            return Solution(b if k == 0 else x, k, False)
        step = square / curvature
        x = x + step * d
        r = r - step * h
        before, square = square, float(r @ r)
        d = r + (square / before) * d
    return Solution(x, most, True)


class Spectrum(NamedTuple):
    """The extreme eigenvalues, `smallest` and `largest`, and the eigenvector `vector` of the largest.

    >>> import numpy as np
    >>> ends = spectrum(lambda v: np.array([1.0, 4.0]) * v, np.ones(2))
    >>> round(ends.smallest, 3), round(ends.largest, 3), round(ends.condition, 3)
    (1.0, 4.0, 4.0)
    """

    smallest: float
    largest: float
    vector: Any

    @property
    def condition(self) -> float:
        """The condition number, largest / smallest; infinite unless the smallest is positive."""
        return self.largest / self.smallest if self.smallest > 0 else float("inf")


@quietly
def spectrum(product: Product, like: Any, steps: int = 40, generator: Any = None) -> Spectrum:
    """The extreme eigenvalues of the symmetric matrix behind `product`, by the Lanczos iteration (1950) with full
    orthogonalization. `like`: an array of the vectors' size and dtype. The largest converges first; the smallest of an
    ill-conditioned matrix takes more steps. Both are nan if a product is not finite.

    >>> ends = spectrum(lambda v: np.array([1.0, 2.0, 50.0]) * v, np.zeros(3))
    >>> round(ends.smallest, 6), round(ends.largest, 6), round(ends.condition, 6)
    (1.0, 50.0, 50.0)
    """
    xp = namespace_of(like)
    q = xp.asarray(source(generator).normal(like.shape, np.dtype(np.float64)), dtype=like.dtype)
    basis = [q / xp.linalg.norm(q)]
    alphas: list[float] = []
    betas: list[float] = []
    for _ in range(min(steps, like.size)):
        h = product(basis[-1])
        alphas.append(float(basis[-1] @ h))
        for _ in range(2):  # one pass is not accurate enough
            for b in basis:
                h = h - float(b @ h) * b
        beta = float(xp.linalg.norm(h.astype("float64")))  # squares overflow in float32
        if not np.isfinite([alphas[-1], beta]).all():
            betas.append(beta)
            break
        if beta <= 1e-10 * max(map(abs, alphas)) or len(alphas) == like.size:
            break
        betas.append(beta)
        basis.append(h / beta)
    count = len(alphas)
    if not np.isfinite([*alphas, *betas]).all():  # a product overflowed
        return Spectrum(float("nan"), float("nan"), to_numpy(basis[0]))
    tridiagonal = np.diag(alphas) + np.diag(betas[: count - 1], 1) + np.diag(betas[: count - 1], -1)
    values, vectors = np.linalg.eigh(tridiagonal)
    top = sum(float(c) * b for c, b in zip(vectors[:, -1], basis))
    return Spectrum(float(values[0]), float(values[-1]), to_numpy(top))
