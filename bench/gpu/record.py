"""A record: what one part found, as a JSON file that is whole after each row.

A row that fails holds its reason, and the next one is tried.
"""

import json
import os
import time
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Record:
    """FOLDER/PART.json: {"part", "complete", "rows"}."""

    def __init__(self, folder: Path | str, part: str) -> None:
        self.path, self.part = Path(folder) / f"{part}.json", part
        self.rows: list[Row] = []
        self._write(complete=False)

    def row(self, **named: Any) -> "Row":
        """A row to fill inside a with block; it is written where that ends."""
        return Row(self, named)

    def close(self) -> int:
        """Say that all rows are there; the exit code, 1 where one failed."""
        self._write(complete=True)
        return int(any("error" in row for row in self.rows))

    def add(self, row: "Row") -> None:
        self.rows.append(row)
        self._write(complete=False)

    def _write(self, *, complete: bool) -> None:
        whole = {"part": self.part, "complete": complete, "rows": self.rows}
        beside = self.path.with_suffix(".part")
        beside.write_text(json.dumps(whole, indent=1, default=str) + "\n")
        os.replace(beside, self.path)


class Row(dict[str, Any]):
    """Names and values; an Exception in its with block becomes its "error"."""

    def __init__(self, record: Record, named: dict[str, Any]) -> None:
        super().__init__(named)
        self._record, self._began = record, time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:  # fmt: skip
        is_fault = isinstance(error, Exception)  # Ctrl-C is none
        if error is not None and is_fault:
            traceback.print_exception(error)
            self["error"] = f"{type(error).__name__}: {error}"[:1000]
        self["took"] = round(time.perf_counter() - self._began, 2)
        self._record.add(self)
        return is_fault
