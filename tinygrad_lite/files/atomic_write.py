"""Replacing a file: as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import zlib
from collections.abc import Callable
from typing import IO, Any

try:
    import fcntl
except ImportError:  # on Windows an open file cannot be removed or replaced, so no lock is needed
    fcntl = None  # type: ignore[assignment]

FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def written(name: str, write: Callable[[IO[bytes]], Any]) -> None:
    """Call `write` with the file of that name, opened for writing; `save` describes what happens to an old file."""
    try:
        found = os.stat(name)
    except FileNotFoundError:
        found = None
    if (found is not None and not stat.S_ISREG(found.st_mode)) or not os.path.basename(name):
        with open(name, "wb") as file:
            write(file)
        return
    if found is not None:
        with open(name, "r+b"):  # is it writable? replacing it would not check
            pass
    _replace(name, os.path.realpath(name), found, write)


def _replace(name: str, target: str, found: os.stat_result | None, write: Callable[[IO[bytes]], Any]) -> None:
    folder, base = os.path.split(target)
    # The length is fixed, so that the target may have the longest name allowed.
    prefix = os.path.join(folder, f".save-{zlib.crc32(os.fsencode(base)):08x}-")
    temporary, file = "", None
    try:
        _clear(folder, os.path.basename(prefix))
        while file is None:
            temporary = prefix + os.urandom(6).hex()
            file = os.fdopen(os.open(temporary, FLAGS, _mode(found)), "wb")
            _lock(file, wait=True)
            if not os.path.exists(temporary):  # another save removed it as a leftover before it was locked
                file.close()
                file = None
        with file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            if found is not None:
                with contextlib.suppress(OSError, AttributeError):  # if the system has owners, and permits it
                    os.chown(temporary, found.st_uid, found.st_gid)
                os.chmod(temporary, _mode(found))  # ignoring the umask
            if fcntl is None:
                file.close()
            if found is not None and found.st_nlink > 1:
                _copy(temporary, target)
                os.remove(temporary)
            else:
                os.replace(temporary, target)  # while locked
    except BaseException as error:
        if isinstance(error, OSError) and error.filename in (temporary, folder):
            error.filename = name
            del error.filename2  # None would be shown
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise


def _copy(source: str, target: str) -> None:
    """Copy the contents into the existing file, because its other hard links must see them too."""
    import shutil  # only here, since it loads bz2 and lzma, for which `import tinygrad_lite` need not wait

    with open(source, "rb") as old, open(target, "r+b") as new:
        shutil.copyfileobj(old, new)
        new.truncate()
        new.flush()
        os.fsync(new.fileno())


def _mode(found: os.stat_result | None) -> int:
    return 0o666 if found is None else stat.S_IMODE(found.st_mode)


def _clear(folder: str, prefix: str) -> None:
    """Remove what killed saves to the same name left behind: their locks ended with them."""
    try:
        left = [os.path.join(folder, name) for name in os.listdir(folder) if name.startswith(prefix)]
    except PermissionError:  # the folder is writable but cannot be listed
        return
    for path in left:
        with contextlib.suppress(OSError):
            if not stat.S_ISREG(os.lstat(path).st_mode):  # not one of ours
                continue
            if fcntl is None:
                os.remove(path)
                continue
            with open(path, "rb") as file:
                if _lock(file, wait=False):
                    os.remove(path)


def _lock(file: IO[bytes], wait: bool) -> bool:
    """Whether the lock was acquired, after waiting if necessary; False if the file system has no locks."""
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return True
    except OSError:
        return False
