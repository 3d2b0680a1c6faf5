"""Interruption: Ctrl-C and SIGTERM that come while a step is half done wait until it is whole."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """`with interruption:` is a part that no signal splits; it is then handled at the end.

    Only in `with interruption.handled():` and in the main thread, where Python delivers signals,
    and only signals that have a handler in Python.  is_split: an exception has split one.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._came: tuple[int, FrameType | None] | None = None
        self._waits = self.is_split = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Stand before the handlers of SIGINT and SIGTERM."""
        if threading.current_thread() is threading.main_thread():
            for kind in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(kind)
                if callable(handler):
                    self._handlers[kind] = handler
                    signal.signal(kind, self._arrived)
        try:
            yield
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)

    def __enter__(self) -> Self:
        self._waits = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        self._waits, self.is_split = False, self.is_split or error is not None
        if self._came is not None:
            (number, frame), self._came = self._came, None
            self._handlers[number](number, frame)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self._waits:
            self._came = number, frame
        else:
            self._handlers[number](number, frame)
