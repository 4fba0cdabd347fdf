"""Archives of arrays: NumPy's .npz format, uncompressed, with a seal.

An archive is a ZIP file (PKWARE's APPNOTE.TXT) with one .npy file per array. Each of these has its own checksum in
the archive's headers; the seal, in the archive's comment, is a checksum of all headers. So every altered byte is
detected, and no byte is summed twice."""

from __future__ import annotations

import ast
import functools
import io
import math
import re
import struct
import zlib
from collections.abc import Callable
from typing import IO, Any

import numpy as np

SEAL = b"tinygrad_lite "  # followed by eight hexadecimal digits
LIMIT = 0xFFFFFFFF  # sizes and offsets from here on go into ZIP64's extra fields
MANY = 0xFFFF  # the same for counts
MAGIC = b"\x93NUMPY"
PLAIN = re.compile(  # headers of arrays of numbers, as NumPy and `write` write them
    rb"\{'descr': '([<>|][biufc][0-9]{1,2})', 'fortran_order': (True|False), "
    rb"'shape': \(([0-9]{1,18},|[0-9]{1,18}(?:, [0-9]{1,18})+|)\), \} *\n"
)


class Damaged(ValueError):
    """The data is not an intact archive."""


# -- writing ------------------------------------------------------------------------------------


def write(arrays: dict[str, np.ndarray], write: Callable[[Any], Any]) -> None:
    """Pass an archive of `arrays` to `write`, piece by piece and in order, without seeking."""
    directory, seal, offset = [], 0, 0
    for key, array in arrays.items():
        name = f"{key}.npy".encode()
        # A copy, so that the checksum matches what is written even if another thread keeps training.
        parts = [_npy_header(array), array.tobytes("F" if _is_fortran(array) else "C")]
        size = sum(map(len, parts))
        crc = functools.reduce(lambda crc, part: zlib.crc32(part, crc), parts, 0)
        fields = (0x800, 0, 0, 33, crc)  # flags: the name is UTF-8; stored; 1 January 1980: equal contents give equal files
        extra, short = _zip64(size, size)
        header = struct.pack("<4s5H3I2H", b"PK\3\4", 45, *fields, *short, len(name), len(extra)) + name + extra
        extra, short = _zip64(size, size, offset)
        entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 45, 45, *fields, *short[:2], len(name), len(extra), 0, 0, 0, 0, short[2])
        directory.append(entry + name + extra)
        seal = zlib.crc32(header, seal)
        for part in (header, *parts):
            write(part)
        offset += len(header) + size
    end = _end(b"".join(directory), len(directory), offset)
    write(end + b"%08x" % zlib.crc32(end, seal))


def _zip64(*numbers: int) -> tuple[bytes, list[int]]:
    """The extra field with the numbers that need 64 bits, and the placeholders for them."""
    long = [n for n in numbers if n >= LIMIT]
    extra = struct.pack(f"<2H{len(long)}Q", 1, 8 * len(long), *long) if long else b""
    return extra, [n if n < LIMIT else 0xFFFFFFFF for n in numbers]


def _end(directory: bytes, count: int, offset: int) -> bytes:
    """The directory and what follows it, up to the digits of the seal."""
    size, more = len(directory), b""
    if count >= MANY or size >= LIMIT or offset >= LIMIT:
        more = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
        more += struct.pack("<4sIQI", b"PK\6\7", 0, offset + size, 1)
        count, size, offset = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    return directory + more + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, offset, len(SEAL) + 8) + SEAL


def _is_fortran(array: np.ndarray) -> bool:
    return array.flags.f_contiguous and not array.flags.c_contiguous


def _npy_header(array: np.ndarray) -> bytes:
    description = np.lib.format.dtype_to_descr(array.dtype)
    text = f"{{'descr': {description!r}, 'fortran_order': {_is_fortran(array)}, 'shape': {array.shape!r}, }}".encode()
    # Version 1 has two bytes for the length; version 3 has four, and UTF-8, for records with many or non-ASCII names.
    plain = text.isascii() and len(text) < 60000
    start = MAGIC + (b"\1\0" if plain else b"\3\0")
    length = struct.Struct("<H" if plain else "<I")
    padding = -(len(start) + length.size + len(text) + 1) % 64
    return start + length.pack(len(text) + padding + 1) + text + b" " * padding + b"\n"


# -- reading ------------------------------------------------------------------------------------


def read(file: IO[bytes]) -> tuple[dict[str, np.ndarray], bool]:
    """The arrays of an archive that starts at the current position of `file`, and whether `write` wrote it.

    Raises Damaged if anything is missing, altered, compressed, or of another kind. The arrays together are no larger
    than the file."""
    import zipfile  # 20 ms, a fifth of importing the package

    if not (hasattr(file, "seekable") and file.seekable()):
        file = io.BytesIO(_start(file) + file.read())
    begin = file.tell()
    _start(file)
    try:
        with zipfile.ZipFile(file) as archive:
            infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
            comment = archive.comment
        sealed = comment[:-8] == SEAL
        if not sealed:
            file.seek(-22, io.SEEK_END)
            end = file.read()
            count = int.from_bytes(end[10:12], "little")  # without it, an altered length hides what follows
            if comment or end[:4] != b"PK\5\6" or end[-2:] != b"\0\0" or count != min(len(infos), MANY):
                raise Damaged("its end is not that of an archive, or gives another number of arrays")
        length = file.seek(0, io.SEEK_END)
        if sum(info.file_size for info in infos) > length:
            raise Damaged("its arrays would be larger than the file")
        arrays, seal, offset = {}, 0, begin
        for info in infos:
            if sealed and info.header_offset != offset:
                raise Damaged(f"there is a gap before {info.filename}")
            file.seek(info.header_offset)
            header, key = _local_header(file, info)
            if key in arrays:
                raise Damaged(f"there are two arrays named {key}")
            seal = zlib.crc32(header, seal)
            arrays[key] = _array(file, info)
            offset = info.header_offset + len(header) + info.file_size
        if sealed:
            file.seek(offset)
            rest = file.read()
            if rest[-8:] != b"%08x" % zlib.crc32(rest[:-8], seal):
                raise Damaged("the checksum of its headers is wrong")
        return arrays, sealed
    except Damaged:
        raise
    except Exception as error:  # zipfile raises many types: BadZipFile, NotImplementedError, RuntimeError, struct.error ...
        raise Damaged(str(error) or type(error).__name__) from error


def _start(file: IO[bytes]) -> bytes:
    """The first four bytes, which distinguish an archive from an endless file such as /dev/zero."""
    start = file.read(4)
    if start[:2] != b"PK":
        raise Damaged(f"it begins with {start!r}" if start else "there is nothing left to read where the file stands")
    return start


def _local_header(file: IO[bytes], info: Any) -> tuple[bytes, str]:
    """The header before an array's contents, and the array's name."""
    header = file.read(30)
    signature, _, flags, method, *_, name_length, extra_length = struct.unpack("<4s5H3I2H", header)
    name, extra = file.read(name_length), file.read(extra_length)
    if signature != b"PK\3\4" or name.decode("utf-8" if flags & 0x800 else "cp437") != info.orig_filename:
        raise Damaged(f"there is no header of {info.filename} where it should be")
    if "data.pkl" in info.filename:
        raise Damaged("it is a pickle of PyTorch's; save the state dict there as .safetensors")
    if info.compress_type or method or flags & 1 or info.file_size != info.compress_size:
        raise Damaged(f"{info.filename} is compressed or encrypted, or its length is not what it claims")
    if not info.orig_filename.endswith(".npy"):
        raise Damaged(f"{info.filename} is not an array")
    return header + name + extra, info.orig_filename[: -len(".npy")]


def _array(file: IO[bytes], info: Any) -> np.ndarray:
    start = file.read(min(12, info.file_size))
    size = 2 if start[6:7] == b"\1" else 4
    if start[:6] != MAGIC or len(start) < 8 + size or start[6:8] not in (b"\1\0", b"\2\0", b"\3\0"):
        raise Damaged(f"{info.filename} is not an array")
    length = int.from_bytes(start[8 : 8 + size], "little")
    left = info.file_size - 8 - size - length
    if left < 0:
        raise Damaged(f"{info.filename} is shorter than its header")
    start += file.read(8 + size + length - len(start))
    shape, fortran, dtype = _parsed(start[6], start[8 + size :])
    if math.prod(shape) * dtype.itemsize != left:
        raise Damaged(f"{info.filename} does not have the contents its header claims")
    array = np.empty(shape[::-1] if fortran else shape, dtype)
    content = array.reshape(-1).view(np.uint8).data if left else memoryview(bytearray())
    _fill(file, content)
    if zlib.crc32(content, zlib.crc32(start)) != info.CRC:
        raise Damaged(f"the checksum of {info.filename} is wrong")
    return array.T if fortran else array


def _fill(file: IO[bytes], content: memoryview) -> None:
    if hasattr(file, "readinto"):
        while content and (count := file.readinto(content)):
            content = content[count:]
    elif len(data := file.read(len(content))) == len(content):
        content[:] = data
        return
    if content:
        raise Damaged("it ends too early")


@functools.lru_cache(256)
def _parsed(version: int, header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and dtype from the header of a .npy file."""
    if plain := PLAIN.fullmatch(header):  # 4 us, where literal_eval takes 30
        shape = tuple(int(n) for n in plain[3].split(b",") if n)
        return shape, plain[2] == b"True", np.dtype(plain[1].decode())
    if len(header) > 100_000:  # enough for thousands of fields, and too little to slow the parser down
        raise Damaged("the header of an array is too long")
    fields = ast.literal_eval(header.decode("utf-8" if version == 3 else "latin1"))
    if not isinstance(fields, dict) or fields.keys() != {"descr", "fortran_order", "shape"}:
        raise Damaged("the header of an array has other fields")
    shape, fortran = fields["shape"], fields["fortran_order"]
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape) or not isinstance(fortran, bool):
        raise Damaged("the header of an array has no shape")
    dtype = np.lib.format.descr_to_dtype(fields["descr"])
    if dtype.hasobject:
        raise Damaged("an array holds Python objects")
    return shape, fortran, dtype
