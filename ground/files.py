"""Files that are whole or not there: atomic write, lock, state folder."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def write(path: Path, content: bytes | str, mode: int = 0o644, *, durable: bool = True) -> bool:
    """Write `content` whole or not at all; returns False, and touches nothing, when it already stands there.

    `durable`: it also outlives a power cut right afterwards. What can be made again at any time does without: a tree of
    thousands of files takes a tenth of the time.
    """
    data = content.encode() if isinstance(content, str) else content
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if path.read_bytes() == data and path.stat().st_mode & 0o7777 == mode:
            return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
            os.fchmod(stream.fileno(), mode)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    return True


@contextlib.contextmanager
def lock(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold an advisory lock on `path` (made when missing); it is freed when the process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def sha256(data: bytes) -> str:
    """The SHA-256 of `data`, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
