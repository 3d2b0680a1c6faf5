"""Snapshots: the last two states of a run, in a folder of its own.

Each is a safetensors file that is there whole or not at all (fastnn.files), so that a crash at
any time leaves the one before.
"""

import hashlib
import json
import os
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import checkpoint
from fastnn.errors import ArgumentError, CheckpointError
from fastnn.files import PathLike, checked_path

SECONDS = 1.0  # from one to the next
SHARE = 20  # of the time that writing may take: one in so many


class Snapshots:
    """The snapshots in a folder, which is made where it is not there."""

    def __init__(self, folder: PathLike, *, resume: bool) -> None:
        """Raises OSError, and ArgumentError where there are some and they are not wanted, or where
        another run is at work there."""
        self.folder = Path(checked_path(folder))
        if not os.fspath(folder):
            raise ArgumentError("checkpoint is '', need the name of a folder")
        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(f"{folder} is there and is not a folder")
        self.folder.mkdir(exist_ok=True)
        if not os.access(self.folder, os.W_OK):
            raise PermissionError(f"the folder {folder} is not writable")
        if not resume and is_begun(folder):
            raise ArgumentError(f"{folder} has a run already: give resume=True to go on with it, "
                                "or another folder")  # fmt: skip
        self._lock = _locked(self.folder)
        for part in _named(self.folder, r"\.step-\d{15}\.safetensors\.[0-9a-f]{16}\.part"):
            part.unlink(missing_ok=True)  # of a writer that was killed
        self._next = time.monotonic() + SECONDS

    def close(self) -> None:
        """Let other runs have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def is_due(self) -> bool:
        """Whether it is time for the next."""
        return time.monotonic() >= self._next

    def write(self, step: int, tensors: dict[str, Any], record: dict[str, Any]) -> None:
        """Add one and drop all but the one before; a failure is a warning, as training goes on."""
        began, path = time.monotonic(), self.folder / f"step-{step:015d}.safetensors"
        record = record | {"tensors": _digest(tensors)}
        try:
            checkpoint.write(path, tensors, {"seal": _seal(record), "record": record})
            for old in [old for old in _paths(self.folder) if old < path][:-1]:
                old.unlink(missing_ok=True)
        except OSError as error:
            warnings.warn(f"no snapshot of step {step}: {error}", RuntimeWarning, stacklevel=2)
        now = time.monotonic()
        self._next = now + max(SECONDS, SHARE * (now - began))

    def read(
        self, expect: Callable[[Any], tuple[Any, checkpoint.Expected]]
    ) -> tuple[Any, dict[str, Any]] | None:
        """(record, tensors) of the last one that is sound, or None where there is none at all.

        Warns of one that is damaged.  Raises CheckpointError if all are, OSError, and what expect
        raises; see fastnn.checkpoint.read.
        """
        paths = _paths(self.folder)
        for path in reversed(paths):
            try:
                return _read(path, expect)
            except CheckpointError as error:
                if path == paths[0]:
                    raise
                warnings.warn(f"{error}; going on from the one before", RuntimeWarning,
                              stacklevel=2)  # fmt: skip
        return None


def is_begun(folder: PathLike) -> bool:
    """Whether it has a snapshot."""
    return bool(_paths(Path(folder)))


def _paths(folder: Path) -> list[Path]:
    return _named(folder, r"step-\d{15}\.safetensors")


def _named(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob("*step-*") if re.fullmatch(pattern, path.name))


def _locked(folder: Path) -> int | None:
    """An open lock of the folder, which goes with the process; None where there are none."""
    try:
        import fcntl
    except ImportError:
        return None
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if not isinstance(error, BlockingIOError):
            return None  # a file system without locks
        raise ArgumentError(f"another run is at work in {folder}: give another folder") from None
    return lock


def _read(
    path: Path, expect: Callable[[Any], tuple[Any, checkpoint.Expected]]
) -> tuple[Any, dict[str, Any]]:
    """What checkpoint.read gives, if not a byte of it has changed."""

    def sealed(sealed: Any) -> tuple[Any, checkpoint.Expected]:
        if not isinstance(sealed, dict) or sealed.keys() != {"seal", "record"}:
            raise ValueError("it is no state of a run, which fit(checkpoint=FOLDER) writes")
        if sealed["seal"] != _seal(sealed["record"]):
            raise ValueError("its record has changed")
        return expect(sealed["record"])

    record, tensors = checkpoint.read(path, sealed, "run")
    if record["tensors"] != _digest(tensors):
        raise CheckpointError(f"{path} is damaged: its tensors have changed")
    return record, tensors


def _seal(record: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(record, sort_keys=True).encode(), digest_size=16).hexdigest()


def _digest(tensors: dict[str, Any]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name]).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
