"""Progress: a bar with loss, accuracy and samples per second, for people only."""

import sys
import time
from types import TracebackType
from typing import Any, Self


class Progress:
    """A bar on standard error.  show None: on a terminal, once a second has passed."""

    def __init__(self, show: bool | None, samples: int, epochs: int) -> None:
        self._epochs, self._reported = epochs, time.monotonic()
        self._bar: Any = None
        if show or (show is None and sys.stderr is not None and sys.stderr.isatty()):
            from tqdm import tqdm

            self._bar = tqdm(
                total=samples, unit=" samples", unit_scale=True, dynamic_ncols=True,
                delay=0 if show else 1, desc=f"epoch 1/{epochs}",
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._bar is not None:
            self._bar.close()

    def advance(self, samples: int) -> None:
        """So many more samples have been trained on."""
        if self._bar is not None:
            self._bar.update(samples)

    def tell(self, what: str) -> None:
        """What is done before the first samples."""
        if self._bar is not None:
            self._bar.set_description(what)

    def is_due(self) -> bool:
        """Whether somebody looks on and has seen no new figures for half a second."""
        return self._bar is not None and time.monotonic() - self._reported > 0.5

    def report(self, epoch: int, figures: dict[str, float]) -> None:
        """Figures of an epoch (from 1), under way or over."""
        if self._bar is not None:
            self._reported = time.monotonic()
            self._bar.set_description(f"epoch {epoch}/{self._epochs}", False)
            self._bar.set_postfix({name: f"{x:.4g}" for name, x in figures.items()}, False)
