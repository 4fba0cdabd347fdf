"""Files: `save` and `load` for state dicts and checkpoints, without pickle.

A name that ends in `.safetensors` selects that format, through its library (the extra `safetensors`). Any other name
gives an `.npz` archive, which `numpy.load` can read too: an array per tensor, named by its path (`model/0.weight`),
and a text that holds the rest as JSON."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays import Device, device_of, is_array, to_device, to_numpy
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.files import archive
from tinygrad_lite.files.atomic_write import written

SKELETON = "__skeleton__"
LONGEST = 1000  # maximal length of an array's name in a file
File = str | os.PathLike[str] | IO[bytes]


def save(obj: Any, f: File) -> None:
    """Write `obj` to a file. It may contain tensors and arrays in dicts, lists and tuples, along with numbers, strings,
    bools and None. For anything else `save` raises TypeError before touching the file.

    `f` is a name or an open binary file. A named file is written as a whole or not at all: `save` writes a temporary
    file beside it and moves that into place at the end, with the mode of the file that it replaces. After an error,
    an interrupt, a full disk or a kill the old file is intact; the next `save` to that name removes what a kill left
    behind. Symbolic links are followed. A file with several hard links keeps them: the finished temporary file is
    copied over its contents. A device or a pipe is written to directly, as by `open(f, "wb")`.

    >>> import io
    >>> import tinygrad_lite as tg
    >>> file = io.BytesIO()
    >>> save({"weight": tg.tensor([1.0, 2.0]), "epoch": 3}, file)
    >>> _ = file.seek(0)
    >>> load(file)
    {'weight': tensor([1., 2.]), 'epoch': 3}
    """
    name = _name(f)
    if name is None and not hasattr(f, "write"):
        raise AttributeError(f"save: expected a name, or a file with a `write` method, got {type(f).__name__}")
    arrays: dict[str, np.ndarray] = {}
    if _is_safetensors(f):
        contents = _flat(obj)

        def write(file: IO[bytes]) -> Any:
            return file.write(contents)
    else:
        import json  # 2 ms, which importing the package need not spend

        skeleton = _taken_apart(obj, "", arrays, ())
        arrays[SKELETON] = np.array(json.dumps(skeleton))

        def write(file: IO[bytes]) -> Any:
            archive.write(arrays, file.write)

    if name is None:
        write(f)  # type: ignore[arg-type]  # an open file
    else:
        written(name, write)


def load(f: File, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """Read what `save` wrote. Tensors go back to their device, or to the one that `map_location` names: a device, or a
    dict or function from the old device's name to the new one. The file contains no pickle, and `weights_only=False`
    does not make pickles readable. An open file is read from its current position.

    A file that is truncated, altered or of another kind raises ValueError and returns nothing: checksums cover every
    byte.

    >>> import io
    >>> import tinygrad_lite as tg
    >>> file = io.BytesIO()
    >>> tg.save({"w": tg.ones(2), "epoch": 3}, file)
    >>> _ = file.seek(0)
    >>> load(file)
    {'w': tensor([1., 1.]), 'epoch': 3}
    """
    name = _name(f)
    if name is None:
        if not hasattr(f, "read"):
            raise AttributeError(f"load: expected a name, or a file with a `read` method, got {type(f).__name__}")
        return _load_from(f, f, map_location)  # type: ignore[arg-type]  # an open file
    with open(name, "rb") as file:
        return _load_from(file, f, map_location)


def _load_from(file: IO[bytes], f: File, map_location: Any) -> Any:
    def place(array: np.ndarray, device: str = "cpu", requires_grad: bool = False) -> Tensor:
        tensor = traced(_placed(array, device, map_location))
        return tensor.requires_grad_() if requires_grad else tensor

    if _is_safetensors(f):
        return {key: place(array) for key, array in _unflattened(file, _called(f)).items()}
    import json

    try:
        arrays, sealed = archive.read(file)
        if not sealed and SKELETON not in arrays:  # a plain NumPy archive
            arrays = {key: _native(array) for key, array in arrays.items()}
            return {key: place(array) if array.dtype.kind in "biufc" else array for key, array in arrays.items()}
        skeleton = json.loads(str(arrays[SKELETON]))
        _put_together(skeleton, arrays, _checked)  # first, so that errors of place() are not taken for damage
    except (archive.Damaged, LookupError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"load: {_called(f)} is cut short, damaged, or not a file that save() writes: {error}") from error
    return _put_together(skeleton, arrays, place)


def _name(f: File) -> str | None:
    """The name of a file, or None for an open one."""
    return os.fsdecode(f) if isinstance(f, (str, bytes, os.PathLike)) else None


def _called(f: File) -> str:
    name = _name(f)
    return str(getattr(f, "name", "this file")) if name is None else name


def _is_safetensors(f: File) -> bool:
    return _called(f).endswith(".safetensors")


# -- structure ----------------------------------------------------------------------------------


def _taken_apart(value: Any, path: str, arrays: dict[str, np.ndarray], above: tuple[int, ...]) -> Any:
    """`value` with a reference in place of every array; the arrays go into `arrays`."""
    if isinstance(value, Tensor) or is_array(value):
        array = value.array if isinstance(value, Tensor) else value
        if array.dtype.hasobject:
            raise TypeError(f"save: the array at {path or 'the top'} holds Python objects")
        key = path if len(path) <= LONGEST and _is_unicode(path) and "\0" not in path else "array"
        key = key or "array"
        count = 1
        while (unique := key if count == 1 else f"{key}~{count}") in arrays or unique == SKELETON:
            count += 1
        arrays[unique] = to_numpy(array)
        kind = "tensor" if isinstance(value, Tensor) else "array"
        return {"is": kind, "at": unique, "device": str(device_of(array)), "requires_grad": getattr(value, "requires_grad", False)}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if id(value) in above:
        raise ValueError(f"save: what is at {path} contains itself")
    above = (*above, id(value))
    if isinstance(value, dict):
        if any(not isinstance(key, (str, int, float, bool)) for key in value):
            raise TypeError(f"save: the keys of the dict at {path or 'the top'} must be strings or numbers")
        items = [[key, _taken_apart(v, f"{path}/{key}" if path else str(key), arrays, above)] for key, v in value.items()]
        return {"is": "ordered" if isinstance(value, OrderedDict) else "dict", "items": items}
    if isinstance(value, (list, tuple)):
        parts = [_taken_apart(v, f"{path}/{i}" if path else str(i), arrays, above) for i, v in enumerate(value)]
        return {"is": "tuple" if isinstance(value, tuple) else "list", "items": parts}
    if isinstance(value, np.dtype):
        return {"is": "dtype", "name": value.name}
    raise TypeError(
        f"save: cannot write a {type(value).__name__} (at {path or 'the top'}) without pickle; "
        "save a state_dict() of tensors, dicts, lists, numbers and strings instead"
    )


def _is_unicode(text: str) -> bool:
    """Whether `text` can be encoded as UTF-8; a lone surrogate cannot."""
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


def _put_together(part: Any, arrays: dict[str, np.ndarray], place: Callable[..., Any]) -> Any:
    if not isinstance(part, dict):
        return part
    kind = part["is"]
    if kind == "array":
        return arrays[part["at"]]
    if kind == "tensor":
        return place(arrays[part["at"]], part["device"], part["requires_grad"])
    if kind == "dtype":
        return np.dtype(part["name"])
    if kind in ("dict", "ordered"):
        pairs = ((key, _put_together(value, arrays, place)) for key, value in part["items"])
        return OrderedDict(pairs) if kind == "ordered" else dict(pairs)
    items = [_put_together(value, arrays, place) for value in part["items"]]
    return {"list": list, "tuple": tuple}[kind](items)


def _checked(array: np.ndarray, device: str, requires_grad: bool) -> None:
    """Raise unless what a skeleton says about a tensor is possible."""
    Device(device)
    if array.dtype.kind not in "biufc" or (requires_grad and array.dtype.kind not in "fc"):
        raise ValueError(f"a tensor of dtype {array.dtype}" + " that requires grad" * bool(requires_grad))


def _native(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _placed(array: np.ndarray, device: str, map_location: Any) -> Any:
    if isinstance(map_location, dict):
        device = map_location.get(device, device)
    elif callable(map_location):
        moved = map_location(traced(array), device)
        return array if moved is None else moved.array
    elif map_location is not None:
        device = map_location
    return to_device(array, device)


# -- .safetensors -------------------------------------------------------------------------------


def _flat(obj: Any) -> bytes:
    """A dict of tensors, encoded as .safetensors."""
    if not isinstance(obj, dict) or not all(isinstance(k, str) and is_array(getattr(v, "array", v)) for k, v in obj.items()):
        raise TypeError("save: a .safetensors file holds a flat dict of tensors; use another ending for anything else")
    arrays = {name: np.asarray(to_numpy(getattr(v, "array", v)), order="C") for name, v in obj.items()}
    library = _safetensors()
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise TypeError(f"save: a .safetensors file has no {array.dtype}, as {name} is")
        if name == "__metadata__" or not _is_unicode(name):
            raise ValueError(f"save: a .safetensors file cannot have a tensor named {name!r}")
    return library.save(arrays)


def _unflattened(file: IO[bytes], name: str) -> dict[str, np.ndarray]:
    library = _safetensors()
    contents = file.read()
    try:
        return library.load(contents)
    except KeyError as error:
        raise ValueError(f"load: {name} has a tensor of dtype {error}, which NumPy lacks") from error
    except Exception as error:  # the library has its own exception types
        raise ValueError(f"load: {name} is not a whole .safetensors file: {error}") from error


def _safetensors() -> Any:
    try:
        import safetensors.numpy as library
    except ImportError as error:
        raise ImportError(".safetensors files need the library: pip install 'tinygrad_lite[safetensors]'") from error
    return library
