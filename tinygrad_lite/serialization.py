"""Files: `save` and `load` state dicts and checkpoints, without pickle.

A name that ends in `.safetensors` gives a file in that format, through its library (the extra
`safetensors`); any other name gives an `.npz` archive, which `numpy.load` reads too: an array for
each tensor, named by its path (`model/0.weight`), and one text that holds the rest, as JSON.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np

from tinygrad_lite.arrays import device_of, is_array, to_device, to_numpy
from tinygrad_lite.autograd.node import traced
from tinygrad_lite.tensor import Tensor

SKELETON = "__skeleton__"
File = str | os.PathLike[str] | IO[bytes]
_NAMES = (str, os.PathLike)  # of files, in contrast to open ones


def save(obj: Any, f: File) -> None:
    """Write `obj` to a file: tensors and arrays in dicts, lists and tuples, with numbers, strings,
    bools and None among them. A name gets its file whole or not at all: it is written beside it
    and moved there at the end.

    >>> import tinygrad_lite as tg
    >>> file = io.BytesIO()
    >>> save({"weight": tg.tensor([1.0, 2.0]), "epoch": 3}, file)
    >>> _ = file.seek(0)
    >>> load(file)
    {'weight': tensor([1., 2.]), 'epoch': 3}
    """
    arrays: dict[str, np.ndarray] = {}
    skeleton = _taken_apart(obj, "", arrays)  # before anything is written: it may refuse
    if isinstance(f, _NAMES) and os.fspath(f).endswith(".safetensors"):
        if not isinstance(obj, dict) or not all(is_array(getattr(v, "array", v)) for v in obj.values()):
            raise TypeError("save: a .safetensors file holds a flat dict of tensors; use another ending for anything else")
        contents = _safetensors().save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        _written(f, lambda file: file.write(contents))
    else:
        import json  # 2 ms, which importing the package need not take

        arrays[SKELETON] = np.array(json.dumps(skeleton))
        _written(f, lambda file: np.savez(file, allow_pickle=False, **arrays))


def load(f: File, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """What `save` wrote to a file. Tensors go back to the device they were on, or to the one that
    `map_location` names: a device, or a dict or a function from the old one's name to the new. There is no
    pickle in such a file, and `weights_only=False` does not make one readable.

    A file that is cut short, altered or of another kind gives a ValueError, and nothing.

    >>> import io
    >>> import tinygrad_lite as tg
    >>> file = io.BytesIO()
    >>> tg.save({"w": tg.ones(2), "epoch": 3}, file)
    >>> _ = file.seek(0)
    >>> load(file)
    {'w': tensor([1., 1.]), 'epoch': 3}
    """
    name = os.fspath(f) if isinstance(f, _NAMES) else getattr(f, "name", "this file")
    if isinstance(f, _NAMES):
        with open(f, "rb") as file:
            return load_from(file, str(name), map_location)
    return load_from(f, str(name), map_location)


def load_from(file: IO[bytes], name: str, map_location: Any) -> Any:
    if name.endswith(".safetensors"):
        library = _safetensors()
        try:
            arrays = library.load(file.read())
        except Exception as error:  # of the library's own kinds
            raise ValueError(f"load: {name} is not a whole .safetensors file: {error}") from error
        return {key: traced(_placed(array, "cpu", map_location)) for key, array in arrays.items()}
    import json

    try:
        arrays = _members(file)
        skeleton = json.loads(str(arrays[SKELETON])) if SKELETON in arrays else None
        if skeleton is None:  # a plain archive of NumPy's
            return {key: traced(_placed(array, "cpu", map_location)) for key, array in arrays.items()}
        return _put_together(skeleton, arrays, map_location)
    except (zipfile().BadZipFile, EOFError, OSError, KeyError, ValueError, TypeError, RecursionError, SyntaxError) as error:
        raise ValueError(f"load: {name} is cut short, damaged, or not a file that save() writes: {error}") from error


# -- structure ----------------------------------------------------------------------------------


def _taken_apart(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """`value` with a reference in the place of every array, which goes into `arrays`."""
    if isinstance(value, Tensor) or is_array(value):
        array = value.array if isinstance(value, Tensor) else value
        if array.dtype.hasobject:
            raise TypeError(f"save: the array at {path or 'the top'} holds Python objects")
        key = path or "array"
        if key in arrays or key == SKELETON:
            raise ValueError(f"save: two values would be named {key!r} in the file")
        arrays[key] = to_numpy(array)
        kind = "tensor" if isinstance(value, Tensor) else "array"
        return {"is": kind, "at": key, "device": str(device_of(array)), "requires_grad": getattr(value, "requires_grad", False)}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        if any(not isinstance(key, (str, int, float, bool)) for key in value):
            raise TypeError(f"save: the keys of the dict at {path or 'the top'} must be strings or numbers")
        items = [[key, _taken_apart(v, f"{path}/{key}" if path else str(key), arrays)] for key, v in value.items()]
        return {"is": "ordered" if isinstance(value, OrderedDict) else "dict", "items": items}
    if isinstance(value, (list, tuple)):
        parts = [_taken_apart(v, f"{path}/{i}" if path else str(i), arrays) for i, v in enumerate(value)]
        return {"is": "tuple" if isinstance(value, tuple) else "list", "items": parts}
    if isinstance(value, np.dtype):
        return {"is": "dtype", "name": value.name}
    raise TypeError(
        f"save: cannot write a {type(value).__name__} (at {path or 'the top'}) without pickle; "
        "save a state_dict() of tensors, dicts, lists, numbers and strings instead"
    )


def _put_together(part: Any, arrays: dict[str, np.ndarray], map_location: Any) -> Any:
    if not isinstance(part, dict):
        return part
    kind = part["is"]
    if kind == "array":
        return arrays[part["at"]]
    if kind == "tensor":
        tensor = traced(_placed(arrays[part["at"]], part["device"], map_location))
        return tensor.requires_grad_() if part["requires_grad"] else tensor
    if kind == "dtype":
        return np.dtype(part["name"])
    if kind in ("dict", "ordered"):
        pairs = ((key, _put_together(value, arrays, map_location)) for key, value in part["items"])
        return OrderedDict(pairs) if kind == "ordered" else dict(pairs)
    items = [_put_together(value, arrays, map_location) for value in part["items"]]
    return {"list": list, "tuple": tuple}[kind](items)


def _placed(array: np.ndarray, device: str, map_location: Any) -> Any:
    if isinstance(map_location, dict):
        device = map_location.get(device, device)
    elif callable(map_location):
        moved = map_location(traced(array), device)
        return array if moved is None else moved.array
    elif map_location is not None:
        device = map_location
    return to_device(array, device)


# -- bytes --------------------------------------------------------------------------------------


def _members(file: IO[bytes]) -> dict[str, np.ndarray]:
    """The arrays of an archive, none of them larger than the file itself."""
    with zipfile().ZipFile(file) as archive:
        arrays = {}
        for info in archive.infolist():
            if info.compress_type or info.file_size != info.compress_size:
                raise ValueError(f"{info.filename} is compressed, or has not the length it claims")
            content = archive.read(info)  # compares its checksum
            stream = io.BytesIO(content)
            version = np.lib.format.read_magic(stream)
            header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
            shape, _, dtype = header(stream)
            if dtype.hasobject or int(np.prod(shape, dtype=object)) * dtype.itemsize != len(content) - stream.tell():
                raise ValueError(f"{info.filename} has not the contents its header claims")
            stream.seek(0)
            arrays[info.filename.removesuffix(".npy")] = np.lib.format.read_array(stream, allow_pickle=False)
    return arrays


def _written(f: File, write: Callable[[IO[bytes]], Any]) -> None:
    if not isinstance(f, _NAMES):
        write(f)
        return
    with _replacing(os.fspath(f)) as file:
        write(file)


@contextlib.contextmanager
def _replacing(name: str) -> Iterator[IO[bytes]]:
    """A file beside `name` that takes its place once it is written out."""
    import tempfile

    folder = os.path.dirname(os.path.abspath(name))
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{os.path.basename(name)}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # as open() would have made it; mkstemp is stricter
        os.replace(temporary, name)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        raise


def zipfile() -> Any:
    import zipfile as module  # 20 ms, a fifth of importing the package

    return module


def _safetensors() -> Any:
    try:
        import safetensors.numpy as library
    except ImportError as error:
        raise ImportError(".safetensors files need the library: pip install 'tinygrad_lite[safetensors]'") from error
    return library
