"""The stand-in's array: a NumPy array that behaves like CuPy's, without implicit conversion between the two."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from tests.standin.runtime import Device, alloc, current, current_stream, pool, transferred

KINDS = "biufc"
NUMBERS = (bool, int, float, complex, np.generic)


class Memory:
    """A block of device memory, held as long as an array uses it."""

    def __init__(self, array: np.ndarray, device: int):
        self.block = alloc(array.nbytes)
        self.array, self.size, self.device_id = array, array.nbytes, device


class MemoryPointer:
    def __init__(self, mem: Memory, offset: int):
        self.mem, self.device_id, self.ptr = mem, mem.device_id, offset


class Flags:
    def __init__(self, flags: Any, owndata: bool):
        self.c_contiguous, self.f_contiguous, self.owndata = flags.c_contiguous, flags.f_contiguous, owndata
        self.forc, self.fnc = flags.forc, flags.fnc


def unwrap(value: Any) -> Any:
    """The NumPy array behind an argument; refuses NumPy's own arrays, and arrays of a device other than the current one."""
    if type(value) is ndarray:
        if value._memory.device_id != current():
            raise ValueError(
                f"The device where the array resides ({value._memory.device_id}) is different from the current device "
                f"({current()}). Peer access is unavailable between these devices."
            )
        return value._array
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (tuple, list)):
        return type(value)(map(unwrap, value))
    return value


def wrap(result: Any, sources: tuple[Any, ...] = ()) -> Any:
    """The stand-in's form of a NumPy result; a view if it shares memory with one of `sources`."""
    if isinstance(result, (tuple, list)):
        return type(result)(wrap(r, sources) for r in result) if type(result) in (tuple, list) else tuple(wrap(r, sources) for r in result)
    if not isinstance(result, (np.ndarray, np.generic)):
        return result
    result = np.asarray(result)
    if result.dtype.kind not in KINDS or result.dtype.char in "gG":
        raise TypeError(f"Unsupported dtype {result.dtype}")
    if not result.flags.writeable and any(np.may_share_memory(result, s._memory.array) for s in sources):
        result.flags.writeable = True  # CuPy's views are
    if result.base is not None or not result.flags.owndata:
        for source in sources:
            if result is source._array:
                return source
            if result.size and np.may_share_memory(result, source._memory.array):
                return ndarray._of(result, source._memory, source if source.base is None else source.base)
        result = result.copy(order="K") if result.base is not None else result
    else:
        for source in sources:
            if result is source._array:
                return source
    return ndarray._of(result, Memory(result, current()), None)


def arrays_in(values: Any) -> list[Any]:
    found = []
    for value in values:
        if type(value) is ndarray:
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += arrays_in(value)
    return found


def through(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """NumPy's `function` on the arrays behind the arguments; like a GPU, it gives no warnings."""
    sources = tuple(arrays_in((*args, *kwargs.values())))
    if function in PRODUCTS and current_stream().is_capturing() and sources[0].dtype.kind in "fc":
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
    args, kwargs = unwrap(args), {name: unwrap(value) for name, value in kwargs.items()}
    return done(lambda: function(*args, **kwargs), sources)


PRODUCTS = (np.dot, np.matmul, np.ndarray.dot, np.tensordot, np.inner, np.vdot, np.einsum)


def done(work: Any, sources: tuple[Any, ...]) -> Any:
    """The result of `work` on `sources`. While the current stream captures, the work is for the graph: it is done for the form of
    the result alone."""
    graph = current_stream()._captured
    if graph is not None:
        for source in sources:
            _save(graph, source._memory)
    with np.errstate(all="ignore"):
        result = wrap(work(), sources)
    if graph is not None:
        known = {id(source._memory) for source in sources}
        new = [(i, array) for i, array in enumerate(leaves(result)) if type(array) is ndarray and id(array._memory) not in known]
        for _, array in new:
            _save(graph, array._memory, is_new=True)
        places = [(i, array._array) for i, array in new]

        def again() -> None:
            with np.errstate(all="ignore"):
                found = leaves(work())
            for i, place in places:
                place[...] = found[i]

        graph._work.append(again)
    return result


def leaves(result: Any) -> list[Any]:
    return [part for value in result for part in leaves(value)] if isinstance(result, (tuple, list)) else [result]


def _save(graph: Any, memory: Memory, is_new: bool = False) -> None:
    """Note that a graph that is being captured uses `memory`, and how to undo what is done to it for the time being."""
    if id(memory) in graph._memory:
        return
    alive, array = weakref.ref(memory), memory.array
    owner = getattr(memory.block, "pool", pool)
    own_pool = None if owner is pool else weakref.ref(owner)
    graph._memory[id(memory)] = lambda: alive() is not None or (own_pool is not None and own_pool() is not None)
    before = np.full_like(array, _WRONG[array.dtype.kind]) if is_new else array.copy("K")
    graph._undo.append(lambda: np.copyto(array, before))


class ndarray:
    __slots__ = ("__weakref__", "_array", "_memory", "base")
    __array_ufunc__ = None  # NumPy's functions refuse it, and NumPy's arrays leave operators to it
    __hash__ = None  # type: ignore[assignment]

    _array: np.ndarray
    _memory: Memory
    base: Any

    def __new__(cls, shape: Any, dtype: Any, memptr: MemoryPointer, strides: Any) -> ndarray:
        """A view without a reference to the owner of its memory; other forms are not needed."""
        self = cls._of(np.empty(0, dtype), memptr.mem, None)
        self._show(memptr.ptr, shape, strides)
        return self

    @classmethod
    def _of(cls, array: np.ndarray, memory: Memory, base: Any) -> ndarray:
        self = object.__new__(cls)
        self._array, self._memory, self.base = array, memory, base
        return self

    def _set_shape_and_strides(self, shape: Any, strides: Any, update_c_contiguity: bool, update_f_contiguity: bool) -> None:
        self._show(self._array.__array_interface__["data"][0], shape, strides)

    def _show(self, pointer: int, shape: Any, strides: Any) -> None:
        whole = self._memory.array
        start = pointer - whole.__array_interface__["data"][0]
        axes = sorted(range(whole.ndim), key=lambda d: -whole.strides[d])
        self._array = np.ndarray(shape, self._array.dtype, whole.transpose(axes).reshape(-1).view(np.uint8), start, strides)

    # -- what it is ---------------------------------------------------------------------------

    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    itemsize = property(lambda self: self._array.itemsize)
    nbytes = property(lambda self: self._array.nbytes)
    strides = property(lambda self: self._array.strides)
    flags = property(lambda self: Flags(self._array.flags, self.base is None))
    device = property(lambda self: Device(self._memory.device_id))
    data = property(lambda self: MemoryPointer(self._memory, self._array.__array_interface__["data"][0]))
    T = property(lambda self: self.transpose())
    mT = property(lambda self: self.swapaxes(-1, -2))
    real = property(lambda self: through(np.real, (self,), {}))
    imag = property(lambda self: through(np.imag, (self,), {}))

    def __len__(self) -> int:
        return len(self._array)

    def __repr__(self) -> str:
        return repr(self._array)

    def __iter__(self) -> Any:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __format__(self, form: str) -> str:
        return format(self.item(), form)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self._memory.device_id

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.view()

    def __reduce__(self) -> Any:
        raise TypeError("the stand-in's arrays are not pickled")

    # -- to the host --------------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
        )

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        transferred("get")
        return self._array.copy(order="K" if order == "A" else "C")

    def item(self) -> Any:
        transferred("item")
        return self._array.item()

    def tolist(self) -> Any:
        transferred("tolist")
        return self._array.tolist()

    def tobytes(self, order: str = "C") -> bytes:
        transferred("tobytes")
        return self._array.tobytes(order)  # type: ignore[arg-type]

    def _scalar(self, kind: Any) -> Any:
        if self.size != 1:
            raise ValueError("The truth value of an array with more than one element is ambiguous")
        transferred(kind.__name__)
        return kind(self._array.item())

    def __bool__(self) -> bool:
        return self._scalar(bool)

    def __int__(self) -> int:
        return self._scalar(int)

    def __float__(self) -> float:
        return self._scalar(float)

    def __complex__(self) -> complex:
        return self._scalar(complex)

    def __index__(self) -> int:
        if self.ndim or self.dtype.kind not in "iu":
            raise TypeError("only integer scalar arrays can be converted to a scalar index")
        return self._scalar(int)

    # -- indexing -----------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        found = _index(self, index)
        array = unwrap(self)
        if any(isinstance(i, np.ndarray) for i in found):
            return done(lambda: np.array(array[_open(_index(self, index))], copy=True), (self, *arrays_in(items_of(index))))
        return wrap(array[_open(found)], (self,))

    def __setitem__(self, index: Any, value: Any) -> None:
        found = _index(self, index, reading=False)
        if not isinstance(value, (ndarray, *NUMBERS)):
            raise TypeError(f"Unsupported type {type(value)}")
        if type(value) is ndarray and value.size != 1 and any(isinstance(i, np.ndarray) and i.dtype.kind == "b" for i in found):
            transferred("a mask that receives an array")
        given, array, value = value, unwrap(self), unwrap(value)
        if isinstance(value, np.ndarray):
            while value.ndim and value.shape[0] == 1 and value.ndim > array[_open(found)].ndim:
                value = value[0]

        def assign() -> None:
            found = _index(self, index, reading=False)  # the values of an index may be others at a launch
            poisoned = _named_twice(array, found, value)
            array[found] = value
            array.reshape(-1)[poisoned] = _WRONG[array.dtype.kind] if array.flags.c_contiguous else 0
            if not array.flags.c_contiguous and len(poisoned):
                array[np.unravel_index(poisoned, array.shape)] = _WRONG[array.dtype.kind]

        done(assign, (self, *arrays_in((*items_of(index), given))))

    def scatter_add(self, slices: Any, value: Any) -> None:
        array, added = unwrap(self), unwrap(value)
        done(lambda: np.add.at(array, _index(self, slices), added), (self, *arrays_in((*items_of(slices), value))))

    # -- arithmetic ---------------------------------------------------------------------------

    def __neg__(self) -> Any:
        return through(np.negative, (self,), {})

    def __pos__(self) -> Any:
        return through(np.positive, (self,), {})

    def __abs__(self) -> Any:
        return through(np.absolute, (self,), {})

    def __invert__(self) -> Any:
        return through(np.invert, (self,), {})


def _open(index: tuple[Any, ...]) -> tuple[Any, ...]:
    """`index` with an ellipsis: CuPy returns a view even where NumPy would return a scalar."""
    return index if any(i is Ellipsis for i in index) else (*index, ...)


_WRONG = {"f": np.nan, "c": np.nan, "i": 77, "u": 77, "b": True}


def items_of(index: Any) -> list[Any]:
    return list(index) if isinstance(index, tuple) else [index]


def _index(array: ndarray, index: Any, reading: bool = True) -> tuple[Any, ...]:
    """`index` for NumPy: integers out of range are wrapped, and host arrays that CuPy would copy are refused."""
    items = items_of(index)
    used = 0
    for item in items:
        if isinstance(item, (np.ndarray, list, tuple)):
            raise TypeError(f"an index from the host: {type(item)}; CuPy would copy it to the device at each use")
        if item is not None and item is not Ellipsis:
            used += item.ndim if type(item) is ndarray and item.dtype.kind == "b" else 1
    dim, found = 0, []
    for item in items:
        if item is None:
            found.append(item)
        elif item is Ellipsis:
            found.append(item)
            dim += array.ndim - used
        elif type(item) is ndarray:
            raw = unwrap(item)
            if raw.dtype.kind == "b":
                if reading:
                    transferred("the count of a mask")
                found.append(raw)
                dim += raw.ndim
                continue
            if raw.dtype.kind not in "iu":
                raise IndexError("arrays used as indices must be of integer or boolean type.")
            if dim >= array.ndim:
                raise IndexError("too many indices for array")
            size = array.shape[dim]
            if raw.size and not size:
                raise IndexError("cannot do a non-empty take from an empty axes.")
            found.append(np.asarray(raw.astype(np.int64) % size if size else raw.astype(np.int64)))
            dim += 1
        else:
            found.append(item)
            dim += 1
    return tuple(found)


def _named_twice(array: np.ndarray, index: tuple[Any, ...], value: Any) -> np.ndarray:
    """The flat positions assigned several different values, of which a GPU keeps an arbitrary one."""
    none = np.zeros(0, np.int64)
    if not any(isinstance(i, np.ndarray) and i.dtype.kind != "b" for i in index) or not np.ndim(value):
        return none
    places = np.arange(array.size).reshape(array.shape)[index]
    flat, values = places.reshape(-1), np.broadcast_to(value, places.shape).reshape(-1)
    order = np.argsort(flat, kind="stable")
    flat, values = flat[order], values[order]
    differ = (flat[1:] == flat[:-1]) & (values[1:] != values[:-1])
    return np.unique(flat[1:][differ])


def _operator(name: str, function: Any) -> None:
    def forward(self: Any, other: Any) -> Any:
        if not isinstance(other, (ndarray, np.ndarray, *NUMBERS)):
            return NotImplemented
        return through(function, (self, other), {})

    def reflected(self: Any, other: Any) -> Any:
        if not isinstance(other, (ndarray, np.ndarray, *NUMBERS)):
            return NotImplemented
        return through(function, (other, self), {})

    def in_place(self: Any, other: Any) -> Any:
        return through(function, (self, other), {"out": self})

    setattr(ndarray, f"__{name}__", forward)
    if name in COMPARISONS:
        return
    setattr(ndarray, f"__r{name}__", reflected)
    if name not in ("divmod",):
        setattr(ndarray, f"__i{name}__", in_place)


COMPARISONS = {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip
OPERATORS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide, "floordiv": np.floor_divide,
    "mod": np.remainder, "pow": np.power, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "lshift": np.left_shift, "rshift": np.right_shift, "matmul": np.matmul,
}  # fmt: skip
for _name, _function in {**OPERATORS, **COMPARISONS}.items():
    _operator(_name, _function)
