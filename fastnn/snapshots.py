"""Snapshots: the last two states of a run, in a folder of its own.

Each is a safetensors file that is there whole or not at all (fastnn.files), so that a crash at
any time leaves the one before.
"""

import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastnn import checkpoint
from fastnn.errors import ArgumentError, CheckpointError
from fastnn.files import PathLike, checked_path

SECONDS = 1.0  # from one to the next
SHARE = 20  # of the time that writing may take: one in so many


class Snapshots:
    """The snapshots in a folder, which is made where it is not there."""

    def __init__(self, folder: PathLike, *, resume: bool) -> None:
        """Raises OSError, and ArgumentError where there are some and they are not wanted."""
        self.folder = Path(checked_path(folder))
        self.folder.mkdir(exist_ok=True)
        if not os.access(self.folder, os.W_OK):
            raise PermissionError(f"the folder {folder} is not writable")
        if not resume and self._paths():
            raise ArgumentError(f"{folder} has a run already: give resume=True to go on with it, "
                                "or another folder")  # fmt: skip
        for part in self.folder.glob(".step-*.part"):  # of a writer that was killed
            part.unlink(missing_ok=True)
        self._next = time.monotonic() + SECONDS

    def is_due(self) -> bool:
        """Whether it is time for the next."""
        return time.monotonic() >= self._next

    def write(self, step: int, tensors: dict[str, Any], record: dict[str, Any]) -> None:
        """Add one and drop all but the last two; a failure is a warning, as training goes on."""
        began = time.monotonic()
        try:
            checkpoint.write(self.folder / f"step-{step:015d}.safetensors", tensors, record)
            for old in self._paths()[:-2]:
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
        paths = self._paths()
        for path in reversed(paths):
            try:
                return checkpoint.read(path, expect, "run")
            except CheckpointError as error:
                if path == paths[0]:
                    raise
                warnings.warn(f"{error}; going on from the one before", RuntimeWarning,
                              stacklevel=2)  # fmt: skip
        return None

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.safetensors"))
