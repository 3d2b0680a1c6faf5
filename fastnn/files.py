"""Files: only regular ones are read, and a file is written whole or not at all."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

PathLike = str | os.PathLike[str]


def open_regular(path: PathLike, error: type[Exception]) -> BinaryIO:
    """path opened for reading; raises error for a folder, a pipe or a device, OSError as open."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # before open, which waits for a pipe's writer
        raise error(f"{os.fspath(path)} is not a regular file")
    return open(path, "rb")


def size(file: BinaryIO) -> int:
    """Bytes in an open file."""
    return os.fstat(file.fileno()).st_size


def replace(path: PathLike, content: bytes) -> None:
    """Make content the file at path: written beside it, flushed, renamed, the folder flushed.

    A crash leaves the old file or the new one.  Raises OSError, with the old one in place, or
    the new one if only the folder could not be flushed.
    """
    path = Path(path)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
    if os.name == "posix":
        _flush(path.parent)


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
