"""Tensor: an array and its position on the tape.

The class holds what a Tensor is, its operators and its methods. Most methods are functions of ops/, one line each at the
end of the class; a new method gets a line there, and one that changes its tensor in place a second line with `in_place`.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from tinygrad_lite import hooks, ops, roots
from tinygrad_lite.arrays import Array, Device, deferred_checks, device_of, is_cupy, is_floating, to_device, to_numpy
from tinygrad_lite.arrays.errors import BadType, BadValue, Refusal, in_call_of
from tinygrad_lite.arrays.gpu import Symbol, tracing
from tinygrad_lite.arrays.memory import counted, owner_of, uncounted
from tinygrad_lite.arrays.signature import wraps
from tinygrad_lite.engine.tape import Leaf, Node, Traced, results_are, traced
from tinygrad_lite.ops import types
from tinygrad_lite.ops.arguments import canonical_dim
from tinygrad_lite.ops.creation import conversion, factories
from tinygrad_lite.ops.math import arithmetic
from tinygrad_lite.ops.movement import (
    broadcasting,
    casting,
    copying,
    diagonals,
    dtype_methods,
    flipping,
    indexing,
    inplace,
    joining,
    repeating,
    storage,
    strides,
    transposing,
)
from tinygrad_lite.ops.movement import shape as shaping
from tinygrad_lite.ops.movement.inplace import in_place
from tinygrad_lite.ops.random import sampling
from tinygrad_lite.ops.reduction import sums
from tinygrad_lite.ops.types import Size as Size


def _spread(function: Callable[..., Any]) -> Callable[..., Tensor]:
    """A method whose one argument may also be given as several: x.reshape(2, 3) as well as x.reshape((2, 3))."""
    function = function.__wrapped__  # type: ignore[attr-defined]
    names = function.__code__.co_varnames[: function.__code__.co_argcount]

    @wraps(function)
    def method(self: Tensor, *given: Any, **kwargs: Any) -> Any:
        if len(given) > 1:
            given = (given,)
        try:
            return function(self, *given, **kwargs)
        except Refusal as error:
            in_call_of(function.__name__, names, (self, *given), kwargs, error)
            raise

    return method


_Operator = Callable[["Tensor", Any], "Tensor"]

# What operators accept besides tensors; for anything else Python tries the other operand.
_OPERANDS = (Traced, float, int, complex, np.number, np.bool_, np.ndarray)
_MATRICES = (Traced, np.ndarray)


# `type(y) is Tensor` is tested first because the rest takes another 0.03 us.
def _operator(function: Callable[..., Any], takes: tuple[type, ...] = _OPERANDS) -> _Operator:
    """The operator that computes `function(x, y)`."""
    return wraps(function)(lambda x, y: function(x, y) if type(y) is Tensor or isinstance(y, takes) or is_cupy(y) else NotImplemented)


def _reflected(function: Callable[..., Any], takes: tuple[type, ...] = _OPERANDS) -> _Operator:
    """The operator that computes `function(y, x)` if y, on the left, is not a Tensor."""
    return wraps(function)(lambda x, y: function(y, x) if isinstance(y, takes) or is_cupy(y) else NotImplemented)


class Tensor(Traced):
    """An array with a position on the tape. Created by `tensor(...)`, `zeros(...)` and operations.

    `array` is the NumPy or CuPy array itself; `data` is a detached Tensor on the same memory.
    """

    __slots__ = ("__dict__",)
    __array_ufunc__ = None  # makes NumPy leave `array + tensor` to Tensor.__radd__

    def __init__(self, *given: Any, device: Any = None, size: Any = None, data: Any = None):
        """`Tensor(2, 3)` is uninitialized, `Tensor([2, 3])` holds the values; prefer `tensor()`."""
        self.array = conversion.legacy_array("Tensor", None, given, device, size, data)

    # -- properties ------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        return Size(self.array.shape)

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def device(self) -> Device:
        return device_of(self.array)

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def itemsize(self) -> int:
        return self.array.itemsize

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    @property
    def is_sparse(self) -> bool:
        """Always False."""
        return False

    is_sparse_csr = is_nested = is_quantized = is_meta = is_mkldnn = is_sparse  # nor are they on PyTorch's other devices:
    is_ipu = is_maia = is_mps = is_mtia = is_vulkan = is_xla = is_xpu = is_sparse

    @property
    def is_cuda(self) -> bool:
        return device_of(self.array).type == "cuda"

    @property
    def is_cpu(self) -> bool:
        return device_of(self.array).type == "cpu"

    def size(self, dim: int | None = None) -> Any:
        try:
            return self.shape if dim is None else self.array.shape[canonical_dim(dim, self.ndim)]
        except Refusal as error:
            error.called("size")
            raise

    def dim(self) -> int:
        return self.array.ndim

    ndimension = dim

    def numel(self) -> int:
        return self.array.size

    nelement = numel

    def element_size(self) -> int:
        return self.array.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """The distance in elements between neighbours along each dim (or along `dim`)."""
        strides = tuple(s // self.array.itemsize for s in self.array.strides)
        return strides if dim is None else strides[dim]

    def storage_offset(self) -> int:
        base = self.base
        return 0 if base is None else (ops.inplace.start_of(self.array) - ops.inplace.start_of(base.array)) // self.itemsize

    def data_ptr(self) -> int:
        return ops.inplace.start_of(self.array)

    def is_contiguous(self, memory_format: str = "contiguous_format") -> bool:
        """Whether the elements are in memory in the order of the dims ("channels_last": with dim 1 last)."""
        array = self.array
        if memory_format in ("channels_last", "channels_last_3d"):
            if array.ndim != (4 if memory_format == "channels_last" else 5):
                return False
            array = array.transpose(0, *range(2, array.ndim), 1)
        return array.flags.c_contiguous

    @property
    def layout(self) -> str:
        """Always "strided"."""
        return "strided"

    def share_memory_(self) -> Tensor:
        """This tensor: threads share all memory, and the library starts no processes."""
        return self

    # -- position on the tape --------------------------------------------------------------------

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient, or None. A gradient assigned to it must have the tensor's shape, dtype and device."""
        if self._grad is None and type(self.node) is Node and not hooks.retains_grad(self):
            warnings.warn(
                f"The .grad of a tensor that is not a leaf (the result of {self.node.name}) is being read: backward() does not "
                "fill it in. Call retain_grad() on the tensor before if you want it; if you meant a leaf, read that one's .grad",
                stacklevel=2,
            )
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(f"grad: expected a Tensor or None, got {type(value).__name__}")
        if value is self:
            raise RuntimeError("grad: a tensor cannot be its own gradient")
        for what in ("shape", "dtype", "device") if value is not None else ():
            if getattr(self, what) != getattr(value, what):
                raise RuntimeError(f"grad: expected the tensor's {what}, {getattr(self, what)}, got {getattr(value, what)}")
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    @property
    def requires_grad(self) -> bool:
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise TypeError(f"requires_grad: expected True or False, got {value!r}")
        if type(self.node) is Node:
            raise RuntimeError("requires_grad: only that of a leaf can be set; use detach() for a tensor that does not require grad")
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Start (or stop) recording for this tensor; only a leaf can stop."""
        if requires_grad:
            if not is_floating(self.array.dtype):
                raise RuntimeError(f"requires_grad_: only floating-point tensors can require gradients, this one is {self.array.dtype}")
            if self.node is None:
                self.node = self._leaf()
        elif type(self.node) is Node:
            raise RuntimeError("requires_grad_: only a leaf can stop requiring grad; use detach() for a tensor that does not")
        elif type(self.node) is Leaf:
            self.former, self.node = self.node, None
        return self

    def _leaf(self) -> Leaf:
        """The tape entry for a leaf: its previous one if `requires_grad` was only switched off, because earlier operations
        refer to that."""
        leaf = getattr(self, "former", None)
        if leaf is None:
            return Leaf(self)
        leaf.shape, leaf.dtype = self.array.shape, self.array.dtype
        return leaf

    @property
    def is_leaf(self) -> bool:
        """Whether the user created it, and not a recorded operation."""
        return type(self.node) is not Node

    @property
    def grad_fn(self) -> Node | None:
        """The operation on the tape that created this tensor."""
        return self.node if type(self.node) is Node else None

    @property
    def data(self) -> Tensor:
        """The same memory, off the tape. Changes of it are not tracked: a backward that needs the old values is silently
        wrong. `detach()` is safe."""
        return traced(uncounted(self.array))

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data: expected a Tensor, got {type(value).__name__}")
        before, self.array = self.array, counted(value.array)
        if owner_of(self.array) is not owner_of(before):
            self._leave_views()
        if type(self.node) is Leaf:
            self.node.shape, self.node.dtype = self.array.shape, self.array.dtype
            if self.node.array is not None:
                self.node.array = self.array

    def detach(self) -> Tensor:
        """The same memory, off the tape."""
        return traced(self.array)

    def detach_(self) -> Tensor:
        """Take this tensor off the tape, like `detach()`; if it is a view, its base stays there."""
        self._leave_base()
        if type(self.node) is Leaf:
            return self.requires_grad_(False)
        self.node = None
        return self

    def _leave_base(self) -> None:
        if self.base is not None:
            self.base.views[:] = [view for view in self.base.views if view() is not self]
            self.base = None

    def _leave_views(self) -> None:
        """Stop being a view or the base of views, because this tensor now has other memory."""
        self._leave_base()
        for reference in self.views or ():
            if (view := reference()) is not None:
                view.base = None
        self.views = None

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add the gradient of this tensor to the `.grad` of every leaf it depends on.

        `gradient`: the cotangent; not needed for a scalar. `retain_graph`: keep the graph for another backward.
        `create_graph`: record the computation of the gradients.

        >>> import tinygrad_lite as tg
        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([2., 4.])
        """
        roots.backward(self, gradient, retain_graph, create_graph, inputs)

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad()` was called on this tensor, the result of an operation."""
        return hooks.retains_grad(self)

    retain_grad = hooks.retain_grad
    register_hook = hooks.register_hook
    register_post_accumulate_grad_hook = hooks.register_post_accumulate_grad_hook

    # -- conversion -------------------------------------------------------------------------------

    def item(self) -> Any:
        """The value of a tensor with one element, as a Python number."""
        return self._number("item")

    def _number(self, wanted: str) -> Any:
        if self.array.size != 1:
            raise BadValue(f"only a tensor of one element can be converted, this one has shape {self.array.shape}", function=wanted)
        if deferred_checks.flags:
            deferred_checks.settle()
        if (trace := tracing.get()) is not None and trace.types_matter:
            trace.refuse("it may ask for the type() of a number; use isinstance")
        return self.array.item()

    def tolist(self) -> Any:
        if deferred_checks.flags:
            deferred_checks.settle()
        return self.array.tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The values as a NumPy array on the same memory.

        Raises for a tensor that requires grad or is on a GPU, unless `force` (which detaches and copies).
        """
        if not force:
            if self.node is not None:
                raise RuntimeError("numpy: this tensor requires grad; use detach().numpy(), or numpy(force=True)")
            if self.is_cuda:
                raise TypeError(f"numpy: this tensor is on {self.device}; use cpu().numpy(), or numpy(force=True)")
        if isinstance(self.array, Symbol) and (trace := tracing.get()) is not None:
            trace.refuse("the values of a tensor leave the computation; a program is the same for all values")
        return to_numpy(self.array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        return np.array(array, dtype=dtype, copy=copy)

    def __dlpack__(self, **kwargs: Any) -> Any:
        if self.node is not None:
            raise BufferError("__dlpack__: this tensor requires grad; detach() it first")
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise BadValue(f"a tensor of shape {self.array.shape} has no one truth value", function="bool", hint="use any() or all()")
        return bool(self.item())

    def __int__(self) -> int:
        return int(self._number("int"))

    def __float__(self) -> float:
        return float(self._number("float"))

    def __complex__(self) -> complex:
        return complex(self._number("complex"))

    def __index__(self) -> int:
        if self.array.size != 1 or self.array.dtype.kind not in "iub":
            raise TypeError(
                f"only integer tensors of one element can be an index, this one is {self.array.dtype} of shape {self.array.shape}"
            )
        return int(self.array.item())

    def __len__(self) -> int:
        if not self.array.ndim:
            raise TypeError("len: a 0-d tensor has no length")
        return len(self.array)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.array.ndim:
            raise TypeError("iteration: a 0-d tensor has nothing to iterate over")
        return iter(joining.unbind(self, 0))

    def __contains__(self, value: Any) -> bool:
        if not isinstance(value, (Traced, np.generic, int, float)):
            raise BadType(function="in", expected="a Tensor or a number", got=type(value).__name__)
        return bool((self == value).any())

    def __repr__(self) -> str:
        from tinygrad_lite.printing import represent  # 0.5 ms, which importing the package need not spend

        return represent(self)

    def _repr_html_(self) -> str:
        from tinygrad_lite.notebook import of_tensor  # for notebooks alone

        return of_tensor(self)

    def __format__(self, spec: str) -> str:
        """A 0-d tensor accepts number formats: f"{loss:.3f}"."""
        return object.__format__(self, spec) if self.array.ndim else format(self.item(), spec)

    # -- copies and pickles ----------------------------------------------------------------------

    def __copy__(self) -> Tensor:
        """A leaf on the same memory, with the same attributes, but no gradient."""
        result = type(self).__new__(type(self))
        result.array = self.array
        result.__dict__.update(self.__dict__)
        return result.requires_grad_(self.requires_grad)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Tensor:
        if type(self.node) is Node:
            raise RuntimeError(
                "deepcopy: Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol, "
                f"and this one is the result of {self.node.name}; copy what detach() gives, or clone() it"
            )
        result = type(self).__new__(type(self))
        memo[id(self)] = result
        result.array = self.array.copy()
        result.__dict__.update(copy.deepcopy(self.__dict__, memo))
        if self._grad is not None:
            result.grad = copy.deepcopy(self._grad, memo)
        return result.requires_grad_(self.requires_grad)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Unpickling always returns a leaf."""
        return _unpickled, (type(self), to_numpy(self.array), str(self.device), self.requires_grad, self.__dict__)

    # -- operators -------------------------------------------------------------------------------

    __hash__ = object.__hash__
    __getitem__ = indexing.getitem
    __setitem__ = inplace.setitem
    _rebase = inplace.place_after_change  # for the engine, after a Function's change in place

    __pos__: ClassVar[Callable[[Tensor], Tensor]] = ops.positive
    __neg__: ClassVar[Callable[[Tensor], Tensor]] = ops.neg
    __abs__: ClassVar[Callable[[Tensor], Tensor]] = ops.abs
    __invert__: ClassVar[Callable[[Tensor], Tensor]] = ops.bitwise_not

    __add__: ClassVar[_Operator] = _operator(arithmetic._add)
    __radd__: ClassVar[_Operator] = _reflected(arithmetic._add)
    __iadd__: ClassVar[_Operator] = _operator(in_place(arithmetic._add))
    __sub__: ClassVar[_Operator] = _operator(arithmetic._sub)
    __rsub__: ClassVar[_Operator] = _reflected(arithmetic._sub)
    __isub__: ClassVar[_Operator] = _operator(in_place(arithmetic._sub))
    __mul__: ClassVar[_Operator] = _operator(ops.mul)
    __rmul__: ClassVar[_Operator] = _reflected(ops.mul)
    __imul__: ClassVar[_Operator] = _operator(in_place(ops.mul))
    __truediv__: ClassVar[_Operator] = _operator(arithmetic._div)
    __rtruediv__: ClassVar[_Operator] = _reflected(arithmetic._div)
    __itruediv__: ClassVar[_Operator] = _operator(in_place(arithmetic._div))
    __floordiv__: ClassVar[_Operator] = _operator(ops.floor_divide)
    __rfloordiv__: ClassVar[_Operator] = _reflected(ops.floor_divide)
    __ifloordiv__: ClassVar[_Operator] = _operator(in_place(ops.floor_divide))
    __mod__: ClassVar[_Operator] = _operator(ops.remainder)
    __rmod__: ClassVar[_Operator] = _reflected(ops.remainder)
    __imod__: ClassVar[_Operator] = _operator(in_place(ops.remainder))
    __pow__: ClassVar[_Operator] = _operator(ops.pow)
    __rpow__: ClassVar[_Operator] = _reflected(ops.pow)
    __ipow__: ClassVar[_Operator] = _operator(in_place(ops.pow))
    __matmul__: ClassVar[_Operator] = _operator(ops.matmul, _MATRICES)
    __rmatmul__: ClassVar[_Operator] = _reflected(ops.matmul, _MATRICES)
    __and__: ClassVar[_Operator] = _operator(ops.bitwise_and)
    __rand__: ClassVar[_Operator] = _reflected(ops.bitwise_and)
    __iand__: ClassVar[_Operator] = _operator(in_place(ops.bitwise_and))
    __or__: ClassVar[_Operator] = _operator(ops.bitwise_or)
    __ror__: ClassVar[_Operator] = _reflected(ops.bitwise_or)
    __ior__: ClassVar[_Operator] = _operator(in_place(ops.bitwise_or))
    __xor__: ClassVar[_Operator] = _operator(ops.bitwise_xor)
    __rxor__: ClassVar[_Operator] = _reflected(ops.bitwise_xor)
    __ixor__: ClassVar[_Operator] = _operator(in_place(ops.bitwise_xor))
    __lshift__: ClassVar[_Operator] = _operator(ops.bitwise_left_shift)
    __rlshift__: ClassVar[_Operator] = _reflected(ops.bitwise_left_shift)
    __ilshift__: ClassVar[_Operator] = _operator(in_place(ops.bitwise_left_shift))
    __rshift__: ClassVar[_Operator] = _operator(ops.bitwise_right_shift)
    __rrshift__: ClassVar[_Operator] = _reflected(ops.bitwise_right_shift)
    __irshift__: ClassVar[_Operator] = _operator(in_place(ops.bitwise_right_shift))
    __eq__: ClassVar[_Operator] = _operator(ops.eq)  # type: ignore[assignment]
    __ne__: ClassVar[_Operator] = _operator(ops.ne)  # type: ignore[assignment]
    __lt__: ClassVar[_Operator] = _operator(ops.lt)
    __le__: ClassVar[_Operator] = _operator(ops.le)
    __gt__: ClassVar[_Operator] = _operator(ops.gt)
    __ge__: ClassVar[_Operator] = _operator(ops.ge)

    # -- methods whose arguments differ from the function's ---------------------------------------

    reshape, permute, expand = _spread(shaping.reshape), _spread(transposing.permute), _spread(broadcasting.expand)
    repeat, tile, flip = _spread(repeating.repeat), _spread(repeating.tile), _spread(flipping.flip)
    squeeze = _spread(shaping.squeeze)

    def split(self, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
        return joining.split(self, split_size, dim)

    def where(self, condition: Tensor, other: Any) -> Tensor:
        return ops.where(condition, self, other)

    def polygamma(self, n: int) -> Tensor:
        return ops.polygamma(n, self)

    polygamma_ = in_place(polygamma)

    def float_power_(self, exponent: Any) -> Tensor:
        """`float_power` in place, for a float64 tensor."""
        if self.array.dtype != np.float64:
            raise BadType(f"the result is float64, which cannot be put into a tensor of {self.array.dtype}", function="float_power_")
        return self.pow_(exponent)

    @property
    def real(self) -> Tensor:
        """The real part; a real tensor itself."""
        return ops.real(self)

    @property
    def T(self) -> Tensor:
        """All dims in reverse order."""
        return transposing.t_all(self)

    @property
    def mT(self) -> Tensor:
        """The last two dims swapped."""
        return transposing.adjoint(self)

    @property
    def H(self) -> Tensor:
        """The conjugate transpose of a matrix; a real tensor is its own conjugate."""
        return transposing.conjugate_transpose(self)

    @property
    def mH(self) -> Tensor:
        """As mT: a real tensor is its own conjugate."""
        return transposing.adjoint(self)

    # -- operations as methods -------------------------------------------------------------------

    abs = ops.abs
    abs_ = in_place(ops.abs)
    absolute = ops.absolute
    absolute_ = in_place(ops.absolute)
    acos = ops.acos
    acos_ = in_place(ops.acos)
    acosh = ops.acosh
    acosh_ = in_place(ops.acosh)
    add = ops.add
    add_ = in_place(ops.add)
    addbmm = ops.addbmm
    addbmm_ = in_place(ops.addbmm)
    addcdiv = ops.addcdiv
    addcdiv_ = in_place(ops.addcdiv)
    addcmul = ops.addcmul
    addcmul_ = in_place(ops.addcmul)
    addmm = ops.addmm
    addmm_ = in_place(ops.addmm)
    addmv = ops.addmv
    addmv_ = in_place(ops.addmv)
    addr = ops.addr
    addr_ = in_place(ops.addr)
    adjoint = ops.adjoint
    all = ops.all
    allclose = ops.allclose
    amax = ops.amax
    amin = ops.amin
    aminmax = ops.aminmax
    angle = ops.angle
    any = ops.any
    apply_ = storage.apply_
    arccos = ops.arccos
    arccos_ = in_place(ops.arccos)
    arccosh = ops.arccosh
    arccosh_ = in_place(ops.arccosh)
    arcsin = ops.arcsin
    arcsin_ = in_place(ops.arcsin)
    arcsinh = ops.arcsinh
    arcsinh_ = in_place(ops.arcsinh)
    arctan = ops.arctan
    arctan2 = ops.arctan2
    arctan2_ = in_place(ops.arctan2)
    arctan_ = in_place(ops.arctan)
    arctanh = ops.arctanh
    arctanh_ = in_place(ops.arctanh)
    argmax = ops.argmax
    argmin = ops.argmin
    argsort = ops.argsort
    argwhere = ops.argwhere
    as_strided = ops.as_strided
    as_strided_ = inplace.as_strided_
    as_strided_scatter = ops.as_strided_scatter
    asin = ops.asin
    asin_ = in_place(ops.asin)
    asinh = ops.asinh
    asinh_ = in_place(ops.asinh)
    atan = ops.atan
    atan2 = ops.atan2
    atan2_ = in_place(ops.atan2)
    atan_ = in_place(ops.atan)
    atanh = ops.atanh
    atanh_ = in_place(ops.atanh)
    baddbmm = ops.baddbmm
    baddbmm_ = in_place(ops.baddbmm)
    bernoulli = ops.bernoulli
    bernoulli_ = sampling.bernoulli_
    bincount = ops.bincount
    bitwise_and = ops.bitwise_and
    bitwise_and_ = in_place(ops.bitwise_and)
    bitwise_left_shift = ops.bitwise_left_shift
    bitwise_left_shift_ = in_place(ops.bitwise_left_shift)
    bitwise_not = ops.bitwise_not
    bitwise_not_ = in_place(ops.bitwise_not)
    bitwise_or = ops.bitwise_or
    bitwise_or_ = in_place(ops.bitwise_or)
    bitwise_right_shift = ops.bitwise_right_shift
    bitwise_right_shift_ = in_place(ops.bitwise_right_shift)
    bitwise_xor = ops.bitwise_xor
    bitwise_xor_ = in_place(ops.bitwise_xor)
    bmm = ops.bmm
    bool = dtype_methods.bool
    broadcast_to = ops.broadcast_to
    byte = dtype_methods.byte
    cauchy_ = sampling.cauchy_
    ceil = ops.ceil
    ceil_ = in_place(ops.ceil)
    char = dtype_methods.char
    cholesky = ops.cholesky
    cholesky_inverse = ops.cholesky_inverse
    cholesky_solve = ops.cholesky_solve
    chunk = ops.chunk
    clamp = ops.clamp
    clamp_ = in_place(ops.clamp)
    clamp_max = ops.clamp_max
    clamp_max_ = in_place(ops.clamp_max)
    clamp_min = ops.clamp_min
    clamp_min_ = in_place(ops.clamp_min)
    clip = ops.clip
    clip_ = in_place(ops.clip)
    clone = ops.clone
    conj = ops.conj
    conj_physical = ops.conj_physical
    conj_physical_ = in_place(ops.conj_physical)
    contiguous = copying.contiguous
    copy_ = inplace.copy_
    copysign = ops.copysign
    copysign_ = in_place(ops.copysign)
    corrcoef = ops.corrcoef
    cos = ops.cos
    cos_ = in_place(ops.cos)
    cosh = ops.cosh
    cosh_ = in_place(ops.cosh)
    count_nonzero = ops.count_nonzero
    cov = ops.cov
    cpu = casting.cpu
    cross = ops.cross
    cuda = casting.cuda
    cummax = ops.cummax
    cummin = ops.cummin
    cumprod = ops.cumprod
    cumprod_ = in_place(ops.cumprod)
    cumsum = ops.cumsum
    cumsum_ = in_place(ops.cumsum)
    deg2rad = ops.deg2rad
    deg2rad_ = in_place(ops.deg2rad)
    det = ops.det
    diag = ops.diag
    diag_embed = ops.diag_embed
    diagflat = ops.diagflat
    diagonal = ops.diagonal
    diagonal_scatter = ops.diagonal_scatter
    diff = ops.diff
    digamma = ops.digamma
    digamma_ = in_place(ops.digamma)
    dist = ops.dist
    div = ops.div
    div_ = in_place(ops.div)
    divide = ops.divide
    divide_ = in_place(ops.divide)
    dot = ops.dot
    double = dtype_methods.double
    dsplit = ops.dsplit
    eq = ops.eq
    eq_ = in_place(ops.eq)
    equal = ops.equal
    erf = ops.erf
    erf_ = in_place(ops.erf)
    erfc = ops.erfc
    erfc_ = in_place(ops.erfc)
    erfinv = ops.erfinv
    erfinv_ = in_place(ops.erfinv)
    exp = ops.exp
    exp2 = ops.exp2
    exp2_ = in_place(ops.exp2)
    exp_ = in_place(ops.exp)
    expand_as = broadcasting.expand_as
    expm1 = ops.expm1
    expm1_ = in_place(ops.expm1)
    exponential_ = sampling.exponential_
    fill_ = inplace.fill_
    fill_diagonal_ = diagonals.fill_diagonal_
    fix = ops.fix
    fix_ = in_place(ops.fix)
    flatten = ops.flatten
    fliplr = ops.fliplr
    flipud = ops.flipud
    float = dtype_methods.float
    float_power = ops.float_power
    floor = ops.floor
    floor_ = in_place(ops.floor)
    floor_divide = ops.floor_divide
    floor_divide_ = in_place(ops.floor_divide)
    fmax = ops.fmax
    fmin = ops.fmin
    fmod = ops.fmod
    fmod_ = in_place(ops.fmod)
    frac = ops.frac
    frac_ = in_place(ops.frac)
    frexp = ops.frexp
    gather = ops.gather
    gcd = ops.gcd
    gcd_ = in_place(ops.gcd)
    ge = ops.ge
    ge_ = in_place(ops.ge)
    geometric_ = sampling.geometric_
    ger = ops.ger
    get_device = casting.get_device
    greater = ops.greater
    greater_ = in_place(ops.greater)
    greater_equal = ops.greater_equal
    greater_equal_ = in_place(ops.greater_equal)
    gt = ops.gt
    gt_ = in_place(ops.gt)
    half = dtype_methods.half
    hardshrink = ops.hardshrink
    heaviside = ops.heaviside
    heaviside_ = in_place(ops.heaviside)
    histc = ops.histc
    histogram = ops.histogram
    hsplit = ops.hsplit
    hypot = ops.hypot
    hypot_ = in_place(ops.hypot)
    i0 = ops.i0
    i0_ = in_place(ops.i0)
    igamma = ops.igamma
    igamma_ = in_place(ops.igamma)
    igammac = ops.igammac
    igammac_ = in_place(ops.igammac)
    index_add = ops.index_add
    index_add_ = in_place(ops.index_add)
    index_copy = ops.index_copy
    index_copy_ = in_place(ops.index_copy)
    index_fill = ops.index_fill
    index_fill_ = in_place(ops.index_fill)
    index_put = ops.index_put
    index_put_ = in_place(ops.index_put)
    index_reduce = ops.index_reduce
    index_reduce_ = in_place(ops.index_reduce)
    index_select = ops.index_select
    inner = ops.inner
    int = dtype_methods.int
    inverse = ops.inverse
    is_complex = ops.is_complex
    is_conj = ops.is_conj
    is_distributed = ops.is_distributed
    is_floating_point = ops.is_floating_point
    is_inference = ops.is_inference
    is_neg = ops.is_neg
    is_nonzero = ops.is_nonzero
    is_pinned = types.is_pinned
    is_same_size = ops.is_same_size
    is_set_to = storage.is_set_to
    is_shared = types.is_shared
    is_signed = ops.is_signed
    isclose = ops.isclose
    isfinite = ops.isfinite
    isinf = ops.isinf
    isnan = ops.isnan
    isneginf = ops.isneginf
    isposinf = ops.isposinf
    isreal = ops.isreal
    kron = ops.kron
    kthvalue = ops.kthvalue
    lcm = ops.lcm
    lcm_ = in_place(ops.lcm)
    ldexp = ops.ldexp
    ldexp_ = in_place(ops.ldexp)
    le = ops.le
    le_ = in_place(ops.le)
    lerp = ops.lerp
    lerp_ = in_place(ops.lerp)
    less = ops.less
    less_ = in_place(ops.less)
    less_equal = ops.less_equal
    less_equal_ = in_place(ops.less_equal)
    lgamma = ops.lgamma
    lgamma_ = in_place(ops.lgamma)
    log = ops.log
    log10 = ops.log10
    log10_ = in_place(ops.log10)
    log1p = ops.log1p
    log1p_ = in_place(ops.log1p)
    log2 = ops.log2
    log2_ = in_place(ops.log2)
    log_ = in_place(ops.log)
    log_normal_ = sampling.log_normal_
    log_softmax = ops.log_softmax
    logaddexp = ops.logaddexp
    logaddexp2 = ops.logaddexp2
    logcumsumexp = ops.logcumsumexp
    logdet = ops.logdet
    logical_and = ops.logical_and
    logical_and_ = in_place(ops.logical_and)
    logical_not = ops.logical_not
    logical_not_ = in_place(ops.logical_not)
    logical_or = ops.logical_or
    logical_or_ = in_place(ops.logical_or)
    logical_xor = ops.logical_xor
    logical_xor_ = in_place(ops.logical_xor)
    logit = ops.logit
    logit_ = in_place(ops.logit)
    logsumexp = ops.logsumexp
    long = dtype_methods.long
    lt = ops.lt
    lt_ = in_place(ops.lt)
    lu_solve = ops.lu_solve
    map_ = storage.map_
    masked_fill = ops.masked_fill
    masked_fill_ = in_place(ops.masked_fill)
    masked_scatter = ops.masked_scatter
    masked_scatter_ = in_place(ops.masked_scatter)
    masked_select = ops.masked_select
    matmul = ops.matmul
    matrix_exp = ops.matrix_exp
    matrix_power = ops.matrix_power
    max = ops.max
    maximum = ops.maximum
    mean = ops.mean
    median = ops.median
    min = ops.min
    minimum = ops.minimum
    mm = ops.mm
    mode = ops.mode
    moveaxis = ops.moveaxis
    movedim = ops.movedim
    msort = ops.msort
    mul = ops.mul
    mul_ = in_place(ops.mul)
    multinomial = ops.multinomial
    multiply = ops.multiply
    multiply_ = in_place(ops.multiply)
    mv = ops.mv
    mvlgamma = ops.mvlgamma
    mvlgamma_ = in_place(ops.mvlgamma)
    nan_to_num = ops.nan_to_num
    nan_to_num_ = in_place(ops.nan_to_num)
    nanmean = ops.nanmean
    nanmedian = ops.nanmedian
    nanquantile = ops.nanquantile
    nansum = ops.nansum
    narrow = ops.narrow
    narrow_copy = ops.narrow_copy
    ne = ops.ne
    ne_ = in_place(ops.ne)
    neg = ops.neg
    neg_ = in_place(ops.neg)
    negative = ops.negative
    negative_ = in_place(ops.negative)
    new = conversion.new
    new_empty = factories.new_empty
    new_empty_strided = storage.new_empty_strided
    new_full = factories.new_full
    new_ones = factories.new_ones
    new_tensor = conversion.new_tensor
    new_zeros = factories.new_zeros
    nextafter = ops.nextafter
    nextafter_ = in_place(ops.nextafter)
    nonzero = ops.nonzero
    nonzero_static = ops.nonzero_static
    norm = ops.norm
    normal_ = sampling.normal_
    not_equal = ops.not_equal
    not_equal_ = in_place(ops.not_equal)
    orgqr = ops.orgqr
    outer = ops.outer
    pin_memory = casting.pin_memory
    pinverse = ops.pinverse
    positive = ops.positive
    pow = ops.pow
    pow_ = in_place(ops.pow)
    prelu = ops.prelu
    prod = ops.prod
    put = ops.put
    put_ = in_place(ops.put)
    qr = ops.qr
    quantile = ops.quantile
    rad2deg = ops.rad2deg
    rad2deg_ = in_place(ops.rad2deg)
    random_ = sampling.random_
    ravel = ops.ravel
    reciprocal = ops.reciprocal
    reciprocal_ = in_place(ops.reciprocal)
    relu = ops.relu
    relu_ = in_place(ops.relu)
    remainder = ops.remainder
    remainder_ = in_place(ops.remainder)
    renorm = ops.renorm
    renorm_ = in_place(ops.renorm)
    repeat_interleave = ops.repeat_interleave
    reshape_as = shaping.reshape_as
    resize_ = storage.resize_
    resize_as_ = storage.resize_as_
    resolve_conj = ops.resolve_conj
    resolve_neg = ops.resolve_neg
    roll = ops.roll
    rot90 = ops.rot90
    round = ops.round
    round_ = in_place(ops.round)
    rsqrt = ops.rsqrt
    rsqrt_ = in_place(ops.rsqrt)
    scatter = ops.scatter
    scatter_ = in_place(ops.scatter)
    scatter_add = ops.scatter_add
    scatter_add_ = in_place(ops.scatter_add)
    scatter_reduce = ops.scatter_reduce
    scatter_reduce_ = in_place(ops.scatter_reduce)
    select = ops.select
    select_scatter = ops.select_scatter
    set_ = storage.set_
    sgn = ops.sgn
    sgn_ = in_place(ops.sgn)
    short = dtype_methods.short
    sigmoid = ops.sigmoid
    sigmoid_ = in_place(ops.sigmoid)
    sign = ops.sign
    sign_ = in_place(ops.sign)
    signbit = ops.signbit
    sin = ops.sin
    sin_ = in_place(ops.sin)
    sinc = ops.sinc
    sinc_ = in_place(ops.sinc)
    sinh = ops.sinh
    sinh_ = in_place(ops.sinh)
    slice_scatter = ops.slice_scatter
    slogdet = ops.slogdet
    softmax = ops.softmax
    sort = ops.sort
    split_with_sizes = ops.split_with_sizes
    sqrt = ops.sqrt
    sqrt_ = in_place(ops.sqrt)
    square = ops.square
    square_ = in_place(ops.square)
    squeeze_ = inplace.squeeze_
    std = ops.std
    sub = ops.sub
    sub_ = in_place(ops.sub)
    subtract = ops.subtract
    subtract_ = in_place(ops.subtract)
    sum = ops.sum
    sum_to_size = sums.sum_to_size
    svd = ops.svd
    swapaxes = ops.swapaxes
    swapaxes_ = inplace.swapaxes_
    swapdims = ops.swapdims
    swapdims_ = inplace.swapdims_
    t = ops.t
    t_ = inplace.t_
    take = ops.take
    take_along_dim = ops.take_along_dim
    tan = ops.tan
    tan_ = in_place(ops.tan)
    tanh = ops.tanh
    tanh_ = in_place(ops.tanh)
    tensor_split = ops.tensor_split
    to = casting.to
    topk = ops.topk
    trace = ops.trace
    transpose = ops.transpose
    transpose_ = inplace.transpose_
    tril = ops.tril
    tril_ = in_place(ops.tril)
    triu = ops.triu
    triu_ = in_place(ops.triu)
    true_divide = ops.true_divide
    true_divide_ = in_place(ops.true_divide)
    trunc = ops.trunc
    trunc_ = in_place(ops.trunc)
    type = casting.type
    type_as = casting.type_as
    unbind = ops.unbind
    unflatten = ops.unflatten
    unfold = strides.unfold
    uniform_ = sampling.uniform_
    unique = ops.unique
    unique_consecutive = ops.unique_consecutive
    unsafe_chunk = ops.unsafe_chunk
    unsafe_split = ops.unsafe_split
    unsqueeze = ops.unsqueeze
    unsqueeze_ = inplace.unsqueeze_
    var = ops.var
    vdot = ops.vdot
    view = shaping.view
    view_as = shaping.view_as
    vsplit = ops.vsplit
    xlogy = ops.xlogy
    xlogy_ = in_place(ops.xlogy)
    zero_ = inplace.zero_


def _unpickled(cls: type[Tensor], array: Array, device: str, requires_grad: bool, attributes: dict[str, Any]) -> Tensor:
    tensor = cls.__new__(cls)
    tensor.array = to_device(array, device)
    tensor.__dict__.update(attributes)
    return tensor.requires_grad_(requires_grad)


results_are(Tensor)
