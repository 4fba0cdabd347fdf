"""Downloads, kept in a cache folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def cache_folder() -> Path:
    """Where downloaded data is kept: `$TINYGRAD_LITE_CACHE`, or else the user's cache folder."""
    chosen = os.environ.get("TINYGRAD_LITE_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinygrad_lite"


def md5_of(path: Path) -> str:
    """The MD5 sum of a file: it detects damage, not forgery."""
    with open(path, "rb") as file:
        digest = hashlib.md5(usedforsecurity=False)
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def download(urls: list[str], path: Path, md5: str, timeout: float = 30) -> Path:
    """The file at `path`. If it is missing, fetch it from the first of `urls` that works.

    A partial download stays in `path`.part, and the next call continues it. `path` appears only once the checksum is
    right. Raises OSError if no URL answers, and ValueError if the checksum is wrong."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    problems = []
    for url in urls:
        if path.exists():
            break
        try:
            _fetch(url, part, timeout)
        except OSError as error:  # includes URLError, timeouts and broken connections
            problems.append(f"{url}: {error}")
            continue
        found = md5_of(part)
        if found == md5:
            os.replace(part, path)
        else:
            part.unlink()
            raise ValueError(f"{url}: the checksum of what was downloaded is {found}, expected {md5}; it was thrown away")
    if not path.exists():
        raise OSError(f"could not download {path.name}; " + "; ".join(problems))
    return path


def _fetch(url: str, part: Path, timeout: float) -> None:
    import http.client
    import urllib.error
    import urllib.request

    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the partial file is already complete
            return
        raise
    with answer, open(part, "ab" if answer.status == 206 else "wb") as file:
        try:
            while chunk := answer.read(1 << 16):
                file.write(chunk)
        except http.client.IncompleteRead as error:
            file.write(error.partial)
            raise ConnectionError(f"the connection broke: {error}") from error
        announced = answer.headers.get("Content-Length")
        begun = have if answer.status == 206 else 0
        if announced is not None and file.tell() != begun + int(announced):
            raise ConnectionError(f"{file.tell()} of {begun + int(announced)} bytes arrived")
