"""Networks and runs in files: safetensors with a record of what they are in the metadata.

What is read is not trusted: the header is bounded, and every name, shape, type and byte
range is compared with the record before any array is made.  Nothing is unpickled.
"""

import json
import math
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from fastnn import files
from fastnn.errors import CheckpointError
from fastnn.files import PathLike

VERSION = 1
LONGEST_HEADER = 2**23  # bytes; a run of four thousand layers needs half of it

Expected = dict[str, tuple[str, tuple[int, ...]]]  # name to (dtype, shape)
_CODES = {"float32": ("F32", 4), "float64": ("F64", 8)}


def write(path: PathLike, tensors: dict[str, Any], record: dict[str, Any]) -> None:
    """Tensors and a record (JSON values) of them, at path; the same bytes for the same of both.

    Raises as files.replace, and CheckpointError for what read would refuse.
    """
    import safetensors.numpy

    # One entry, because safetensors writes several in a random order.
    metadata = {"fastnn": json.dumps({"version": VERSION, **record})}
    content = safetensors.numpy.save(tensors, metadata)
    length = int.from_bytes(content[:8], "little")
    if length > LONGEST_HEADER:
        raise CheckpointError(f"{path} would need a header of {length} bytes, and at most "
                              f"{LONGEST_HEADER} are read: use fewer layers or shorter "
                              "class_names")  # fmt: skip
    files.replace(path, content)


def read(
    path: PathLike, expect: Callable[[Any], tuple[Any, Expected]], what: str = "network"
) -> tuple[Any, dict[str, Any]]:
    """(record, tensors) of a file that write made.

    expect gets the record from the file, checks it, and returns its own form of it and the
    tensors that belong to it.  Raises CheckpointError for a file that is anything
    else, and OSError where the system refuses to read.
    """
    with files.open_regular(path, CheckpointError) as file:
        size = files.size(file)
        header, start = _read_header(path, file, size)
        metadata = header.pop("__metadata__", None)
        try:
            record, tensors = expect(_record(metadata))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise CheckpointError(
                f"{path} is not a {what} that fastnn saved: {str(error)[:400]}"
            ) from error
        spans = _spans(path, header, tensors, size - start)
        content = file.read()
    return record, {
        name: np.frombuffer(content[begin:end], dtype).reshape(shape)
        for name, (dtype, shape) in tensors.items() for begin, end in [spans[name]]
    }  # fmt: skip


def _record(metadata: Any) -> Any:
    if not isinstance(metadata, dict) or metadata.keys() != {"fastnn"}:
        raise ValueError("its header has no entry of fastnn, or others too")
    if not isinstance(metadata["fastnn"], str):
        raise ValueError("its entry of fastnn is no text")
    saved = _json(metadata["fastnn"])
    version = saved.pop("version", None) if isinstance(saved, dict) else None
    if type(version) is not int or version != VERSION:
        raise ValueError(f"its format is version {version!r:.20}, this fastnn reads {VERSION}")
    return saved


def _read_header(path: PathLike, file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(LONGEST_HEADER, size - 8):
        raise CheckpointError(f"{path} is not a saved network: it does not begin with the length "
                              "of a safetensors header")  # fmt: skip
    try:
        header = _json(file.read(length).decode())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} has a broken safetensors header: {error}") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} has a broken safetensors header: not an object")
    return header, 8 + length


def _spans(
    path: PathLike, header: dict[str, Any], expected: Expected, size: int
) -> dict[str, tuple[int, int]]:
    """Where each tensor lies in the rest of the file, which they must fill."""
    faults = [f"it lacks tensor {name}" for name in expected if name not in header]
    faults += [f"it has an unknown tensor {name[:40]!r}" for name in header if name not in expected]
    spans = {}
    for name in expected.keys() & header.keys():
        dtype, shape = expected[name]
        code, itemsize = _CODES[dtype]
        said = header[name] if isinstance(header[name], dict) else {}
        span: Any = said.get("data_offsets")
        length = math.prod(shape) * itemsize
        if said != {"dtype": code, "shape": list(shape), "data_offsets": span}:
            faults.append(f"{name} is not {code} {list(shape)}")
        elif not _is_range(span, length, size):
            faults.append(f"{name} is not {length} bytes within the file")
        else:
            spans[name] = (span[0], span[1])
    begins = [begin for begin, _ in sorted(spans.values())]
    ends = [0, *(end for _, end in sorted(spans.values()))]
    if not faults and (begins != ends[:-1] or ends[-1] != size):
        faults.append("its tensors do not fill the file exactly once")
    if faults:
        raise CheckpointError(f"{path} is damaged or foreign: {'; '.join(faults[:5])}")
    return spans


def _is_range(span: Any, length: int, size: int) -> bool:
    return (
        isinstance(span, list) and len(span) == 2 and all(type(x) is int for x in span)
        and 0 <= span[0] <= span[1] <= size and span[1] - span[0] == length
    )  # fmt: skip


def _json(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a name occurs twice in its header")
        return dict(pairs)

    return json.loads(text, object_pairs_hook=unique)
