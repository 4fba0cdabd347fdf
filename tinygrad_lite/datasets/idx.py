"""The IDX format of MNIST: a header with the sizes, then the numbers. Files may be gzipped."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
LIMIT = 1 << 30  # default limit, in bytes of uncompressed contents


def read_idx(path: str | os.PathLike[str], limit: int = LIMIT) -> np.ndarray:
    """The array in an IDX file, in the machine's byte order.

    Raises ValueError, with the name of the file, if it is not IDX, is truncated or damaged, has trailing data, or
    announces more than `limit` bytes. Memory use is bounded by what the file really contains.

    >>> import pathlib
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "two-labels")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))  # bytes, one dim, of size 2: 7 and 9
    ...     print(read_idx(path))
    [7 9]
    """
    path = Path(path)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as opened:
        file = cast(BinaryIO, opened)
        try:
            return _read(path, file, limit)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: damaged or cut short: {error}") from error


def _read(path: Path, file: BinaryIO, limit: int) -> np.ndarray:
    header = file.read(4)
    if len(header) < 4 or header[:2] != b"\0\0" or header[2] not in _DTYPES:
        raise ValueError(f"{path}: not an IDX file, it begins with {header!r}")
    dtype, ndim = np.dtype(_DTYPES[header[2]]), header[3]
    sizes = file.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise ValueError(f"{path}: cut short within its header")
    shape = struct.unpack(f">{ndim}I", sizes)
    expected = math.prod(shape) * dtype.itemsize
    if expected > limit:
        raise ValueError(f"{path}: announces an array of shape {shape}, {expected} bytes, more than the limit of {limit}")
    data = bytearray()
    while chunk := file.read(min(1 << 20, expected + 1 - len(data))):
        data += chunk
    if len(data) != expected:
        what = "goes on after" if len(data) > expected else f"is cut short at {len(data)} bytes of"
        raise ValueError(f"{path}: {what} the {expected} bytes of an array of shape {shape}")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
