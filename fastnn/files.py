"""Files: only regular ones are read, and a file is written whole or not at all."""

import contextlib
import os
import reprlib
import secrets
import stat
from pathlib import Path
from typing import BinaryIO

from fastnn.errors import ArgumentError

PathLike = str | os.PathLike[str]


def open_regular(path: PathLike, error: type[Exception]) -> BinaryIO:
    """path opened for reading; raises error for a folder, a pipe or a device, ArgumentError for
    what is no path, OSError as open."""
    if not stat.S_ISREG(os.stat(checked_path(path)).st_mode):  # before open, which waits for a pipe
        raise error(f"{os.fspath(path)} is not a regular file")
    return open(path, "rb")


def checked_path(path: PathLike) -> PathLike:
    """path, if it is one.  Raises ArgumentError."""
    if not isinstance(path, str | os.PathLike) or "\0" in os.fspath(path):
        raise ArgumentError(f"the path is {reprlib.repr(path)}, need a str or os.PathLike")
    return path


def size(file: BinaryIO) -> int:
    """Bytes in an open file."""
    return os.fstat(file.fileno()).st_size


def check_target(path: PathLike) -> None:
    """Raise the OSError that says why replace could not write to path, if that is plain to see.

    Raises ArgumentError for what is no path.
    """
    place = Path(os.path.realpath(checked_path(path)))
    if place.exists() and not place.is_file():
        kind = IsADirectoryError if place.is_dir() else FileExistsError
        raise kind(f"{os.fspath(path) or '.'} is there and is not a regular file")
    if not place.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {place.parent}")
    if not os.access(place.parent, os.W_OK):
        raise PermissionError(f"cannot write {path}: the folder {place.parent} is not writable")


def replace(path: PathLike, content: bytes | bytearray) -> None:
    """Make content the file at path: written beside it, flushed, renamed, the folder flushed.

    A symbolic link is followed.

    A crash leaves the old file or the new one.  Raises OSError, with the old one in place, or
    the new one if only the folder could not be flushed.
    """
    check_target(path)
    path = Path(os.path.realpath(path))
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666  # less the umask
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
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
