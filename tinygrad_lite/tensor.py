"""Tensor: an array and its place on the tape.

What a Tensor is stands here; what can be done with one stands in ops/, family by family. Each
family lists which of its functions are also methods (METHODS) and which have an in-place form
(IN_PLACE); the loop at the end of this file binds them. With `results_are(Tensor)` beside it,
that is the one place where operations and Tensor meet.
"""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_lite import hooks, ops
from tinygrad_lite.arrays import Array, Device, deferred, device_of, is_cupy, is_floating, to_device, to_numpy
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.memory import counted, uncounted
from tinygrad_lite.engine.grad import backward
from tinygrad_lite.engine.tape import Leaf, Node, Traced, results_are, traced
from tinygrad_lite.ops import conversion, indexing, inplace, joining, repeating
from tinygrad_lite.ops import shape as shaping
from tinygrad_lite.ops.calling import canonical_dim
from tinygrad_lite.ops.inplace import in_place
from tinygrad_lite.ops.types import Size as Size
from tinygrad_lite.printing import represent


def _spread(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method whose one argument may be given as several: x.reshape(2, 3) as well as x.reshape((2, 3))."""
    function = function.__wrapped__  # type: ignore[attr-defined]

    @functools.wraps(function)
    def method(self: Tensor, *given: Any, **kwargs: Any) -> Any:
        if len(given) > 1:
            given = (given,)
        return function(self, *given, **kwargs)

    method.spread = True  # type: ignore[attr-defined]
    return method


class Tensor(Traced):
    """An array with a place on the tape. Made by `tensor(...)`, `zeros(...)` and the operations.

    `array` is the NumPy or CuPy array itself; `data` is a detached Tensor on the same memory.
    """

    __slots__ = ("__dict__",)
    __array_ufunc__ = None  # NumPy leaves `array + tensor` to Tensor.__radd__

    def __init__(self, *given: Any, device: Any = None, size: Any = None, data: Any = None):
        """`Tensor(2, 3)` is uninitialized, `Tensor([2, 3])` holds the values; `tensor()` is the plainer call."""
        self.array = conversion.legacy_array("Tensor", None, given, device, size, data)

    # -- what it is ------------------------------------------------------------------------------

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
        """False: no tensor is."""
        return False

    is_sparse_csr = is_nested = is_quantized = is_meta = is_mkldnn = is_sparse  # as little as of PyTorch's other devices:
    is_ipu = is_maia = is_mps = is_mtia = is_vulkan = is_xla = is_xpu = is_sparse

    @property
    def is_cuda(self) -> bool:
        return device_of(self.array).type == "cuda"

    @property
    def is_cpu(self) -> bool:
        return device_of(self.array).type == "cpu"

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.array.shape[canonical_dim("size", dim, self.ndim)]

    def dim(self) -> int:
        return self.array.ndim

    ndimension = dim

    def numel(self) -> int:
        return self.array.size

    nelement = numel

    def element_size(self) -> int:
        return self.array.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """How many elements lie between neighbours along each dim (or along `dim`)."""
        strides = tuple(s // self.array.itemsize for s in self.array.strides)
        return strides if dim is None else strides[dim]

    def storage_offset(self) -> int:
        base = self.base
        return 0 if base is None else (ops.inplace.start_of(self.array) - ops.inplace.start_of(base.array)) // self.itemsize

    def data_ptr(self) -> int:
        return ops.inplace.start_of(self.array)

    def is_contiguous(self, memory_format: str = "contiguous_format") -> bool:
        """Whether the elements lie in memory in the order of the dims ("channels_last": with dim 1 last)."""
        array = self.array
        if memory_format in ("channels_last", "channels_last_3d"):
            if array.ndim != (4 if memory_format == "channels_last" else 5):
                return False
            array = array.transpose(0, *range(2, array.ndim), 1)
        return array.flags.c_contiguous

    @property
    def layout(self) -> str:
        """Every tensor is "strided" here."""
        return "strided"

    def share_memory_(self) -> Tensor:
        """This tensor: threads share all memory, and nothing here starts processes."""
        return self

    # -- its place on the tape -------------------------------------------------------------------

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward has added up, or None. One that is set has the tensor's shape, dtype and device."""
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
        """Ask for (or give up) the gradient of this tensor, which must be a leaf to give it up."""
        if requires_grad:
            if not is_floating(self.array.dtype):
                raise RuntimeError(
                    f"requires_grad_: only floating-point tensors can require gradients, this one is {self.array.dtype}"
                )
            if self.node is None:
                self.node = self._leaf()
        elif type(self.node) is Node:
            raise RuntimeError("requires_grad_: only a leaf can stop requiring grad; use detach() for a tensor that does not")
        elif self.node is not None:
            self.former, self.node = self.node, None
        return self

    def _leaf(self) -> Leaf:
        """The place on the tape of a new leaf: the one it had, where `requires_grad` was only switched off, for
        what was recorded before leads there."""
        leaf = getattr(self, "former", None)
        if leaf is None:
            return Leaf(self)
        leaf.shape, leaf.dtype = self.array.shape, self.array.dtype
        return leaf

    @property
    def is_leaf(self) -> bool:
        """Whether the user made it: no recorded operation did."""
        return type(self.node) is not Node

    @property
    def grad_fn(self) -> Node | None:
        """The operation on the tape that made this tensor."""
        return self.node if type(self.node) is Node else None

    @property
    def data(self) -> Tensor:
        """The same memory with no place on the tape. Changes of it are not noticed: a backward that needs what was
        here before goes wrong silently. `detach()` is the safe one."""
        return traced(uncounted(self.array))

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data: expected a Tensor, got {type(value).__name__}")
        self.array = counted(value.array)
        if type(self.node) is Leaf:
            self.node.shape, self.node.dtype = self.array.shape, self.array.dtype
            if self.node.array is not None:
                self.node.array = self.array

    def detach(self) -> Tensor:
        """The same memory with no place on the tape."""
        return traced(self.array)

    def detach_(self) -> Tensor:
        """Take this tensor off the tape, as `detach()` does: what it was a view of, if anything, stays there."""
        if self.base is not None:
            self.base.views[:] = [view for view in self.base.views if view() is not self]
            self.base = None
        if type(self.node) is Leaf:
            return self.requires_grad_(False)
        self.node = None
        return self

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add the gradient of this tensor to the `.grad` of every leaf it depends on.

        `gradient`: the cotangent; not needed for a scalar. `retain_graph`: keep the graph for
        another backward. `create_graph`: record the gradients' own computation.

        >>> import tinygrad_lite as tg
        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([2., 4.])
        """
        backward(self, gradient, retain_graph, create_graph, inputs)

    retain_grad, retains_grad = hooks.retain_grad, property(hooks.retains_grad)
    register_hook = hooks.register_hook
    register_post_accumulate_grad_hook = hooks.register_post_accumulate_grad_hook

    # -- out of it -------------------------------------------------------------------------------

    def item(self) -> Any:
        """The value of a tensor of one element, as a Python number."""
        return self._number("item")

    def _number(self, wanted: str) -> Any:
        if self.array.size != 1:
            raise BadValue(f"{wanted}: only a tensor of one element can be converted, this one has shape {self.array.shape}")
        if deferred.flags:
            deferred.settle()
        return self.array.item()

    def tolist(self) -> Any:
        if deferred.flags:
            deferred.settle()
        return self.array.tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The values as a NumPy array on the same memory.

        A tensor that requires grad, or on a GPU, refuses unless `force` (detach and copy).
        """
        if not force:
            if self.node is not None:
                raise RuntimeError("numpy: this tensor requires grad; use detach().numpy(), or numpy(force=True)")
            if self.is_cuda:
                raise TypeError(f"numpy: this tensor is on {self.device}; use cpu().numpy(), or numpy(force=True)")
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
            raise BadValue(f"bool: a tensor of shape {self.array.shape} has no one truth value; use any() or all()")
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
            raise BadType(f"in: expected a Tensor or a number, got {type(value).__name__}")
        return bool((self == value).any())

    def __repr__(self) -> str:
        return represent(self)

    def __format__(self, spec: str) -> str:
        """A 0-d tensor takes the formats of numbers: f"{loss:.3f}"."""
        return object.__format__(self, spec) if self.array.ndim else format(self.item(), spec)

    # -- copies and pickles ----------------------------------------------------------------------

    def __copy__(self) -> Tensor:
        """A leaf on the same memory, with the same attributes, without the gradient."""
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
        """What comes out of a pickle is a leaf, whatever went in."""
        return _unpickled, (type(self), to_numpy(self.array), str(self.device), self.requires_grad, self.__dict__)

    # -- operators -------------------------------------------------------------------------------

    __hash__ = object.__hash__
    __getitem__ = indexing.getitem
    _rebase = inplace.place_after_change  # for the engine, after a Function's change in place
    __setitem__ = inplace.setitem

    # -- methods whose arguments are not the function's ------------------------------------------

    reshape, permute, expand = _spread(shaping.reshape), _spread(shaping.permute), _spread(shaping.expand)
    repeat, tile, flip = _spread(repeating.repeat), _spread(repeating.tile), _spread(repeating.flip)
    squeeze = _spread(shaping.squeeze)

    def split(self, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
        return joining.split(self, split_size, dim)

    def where(self, condition: Tensor, other: Any) -> Tensor:
        return ops.where(condition, self, other)

    def polygamma(self, n: int) -> Tensor:
        return ops.polygamma(n, self)

    polygamma_ = in_place(polygamma)

    def float_power_(self, exponent: Any) -> Tensor:
        """`float_power` in place, of a tensor in double precision."""
        if self.array.dtype != np.float64:
            raise BadType(f"float_power_: the result is float64, which cannot be put into a tensor of {self.array.dtype}")
        return self.pow_(exponent)

    real = property(lambda self: ops.real(self), doc="The real part: of real numbers, itself.")
    T = property(lambda self: shaping.t_all(self), doc="All dims reversed.")
    mT = property(lambda self: shaping.adjoint(self), doc="The last two dims exchanged.")
    H = property(lambda self: shaping.conjugate_transpose(self), doc="A matrix transposed: real numbers are their own conjugate.")
    mH = property(lambda self: shaping.adjoint(self), doc="As mT: real tensors are their own conjugate.")


def _unpickled(cls: type[Tensor], array: Array, device: str, requires_grad: bool, attributes: dict[str, Any]) -> Tensor:
    tensor = cls.__new__(cls)
    tensor.array = to_device(array, device)
    tensor.__dict__.update(attributes)
    return tensor.requires_grad_(requires_grad)


# For each operator its operation and its spellings: r (reflected: `1 - x`), i (in place: `x -= 1`).
OPERATORS = {
    "add": ("_add", "ri"), "sub": ("_sub", "ri"), "mul": ("mul", "ri"), "truediv": ("_div", "ri"),
    "floordiv": ("floor_divide", "ri"), "mod": ("remainder", "ri"), "pow": ("pow", "ri"), "matmul": ("matmul", "r"),
    "and": ("bitwise_and", "ri"), "or": ("bitwise_or", "ri"), "xor": ("bitwise_xor", "ri"),
    "lshift": ("bitwise_left_shift", "ri"), "rshift": ("bitwise_right_shift", "ri"),
    "eq": ("eq", ""), "ne": ("ne", ""), "lt": ("lt", ""), "le": ("le", ""), "gt": ("gt", ""), "ge": ("ge", ""),
    "pos": ("positive", ""), "neg": ("neg", ""), "abs": ("abs", ""), "invert": ("bitwise_not", ""),
}  # fmt: skip
UNARY = ("pos", "neg", "abs", "invert")


# What an operator takes beside tensors; to anything else Python lets the other operand answer, if it can.
NUMBERS = (float, int, complex, np.number, np.bool_)


def _bind() -> None:
    for family in ops.FAMILIES:
        for name in family.METHODS:
            if name not in Tensor.__dict__:  # some stand in the class, for their arguments
                setattr(Tensor, name, getattr(family, name))
        for name in family.IN_PLACE:
            setattr(Tensor, f"{name}_", in_place(getattr(family, name)))
    for operator, (name, forms) in OPERATORS.items():
        function = next((vars(family)[name] for family in ops.FAMILIES if name in vars(family)), None)
        if function is None:
            continue
        takes = (Traced, np.ndarray) if operator == "matmul" else (Traced, *NUMBERS, np.ndarray)
        setattr(Tensor, f"__{operator}__", function if operator in UNARY else _operator(function, takes))
        if "r" in forms:
            setattr(Tensor, f"__r{operator}__", _reflected(function, takes))
        if "i" in forms:
            setattr(Tensor, f"__i{operator}__", _operator(in_place(function), takes))


# `type(y) is Tensor` alone would not do, but is asked first: the rest takes another 0.03 us.
def _operator(function: Callable[..., Any], takes: tuple[type, ...]) -> Callable[[Any, Any], Any]:
    return lambda x, y: function(x, y) if type(y) is Tensor or isinstance(y, takes) or is_cupy(y) else NotImplemented


def _reflected(function: Callable[..., Any], takes: tuple[type, ...]) -> Callable[[Any, Any], Any]:
    return lambda x, y: function(y, x) if isinstance(y, takes) or is_cupy(y) else NotImplemented


_bind()
results_are(Tensor)
