"""Networks in files: safetensors with the architecture in its metadata.

What is read is not trusted: the header is bounded, and every name, shape, type and byte
range is compared with the architecture before any array is made.  Nothing is unpickled.
"""

import json
import math
from collections.abc import Callable
from typing import Any, BinaryIO

from fastnn import files
from fastnn.errors import CheckpointError
from fastnn.files import PathLike

VERSION = 1
LONGEST_HEADER = 2**20  # bytes; a thousand layers need a tenth of it

Expected = dict[str, tuple[str, tuple[int, ...]]]  # name to (dtype, shape)
_CODES = {"float32": ("F32", 4), "float64": ("F64", 8)}


def write(path: PathLike, tensors: dict[str, Any], architecture: dict[str, Any]) -> None:
    """Tensors and architecture (JSON values) at path, the same bytes for the same of both.

    Raises as files.replace, and CheckpointError for what read would refuse.
    """
    import safetensors.numpy

    # One entry, because safetensors writes several in a random order.
    metadata = {"fastnn": json.dumps({"version": VERSION, **architecture})}
    content = safetensors.numpy.save(tensors, metadata)
    length = int.from_bytes(content[:8], "little")
    if length > LONGEST_HEADER:
        raise CheckpointError(f"{path} would need a header of {length} bytes, at most "
                              f"{LONGEST_HEADER} are read: shorten class_names")  # fmt: skip
    files.replace(path, content)


def read(
    path: PathLike, expect: Callable[[Any], tuple[Any, Expected]]
) -> tuple[Any, dict[str, Any]]:
    """(architecture, tensors) of a file that write made.

    expect gets the architecture from the file, checks it, and returns its own form of it
    and the tensors that belong to it.  Raises CheckpointError for a file that is anything
    else, and OSError where the system refuses to read.
    """
    import safetensors.numpy

    with files.open_regular(path, CheckpointError) as file:
        size = files.size(file)
        header, start = _read_header(path, file, size)
        metadata = header.pop("__metadata__", None)
        try:
            architecture, tensors = expect(_architecture(metadata))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise CheckpointError(
                f"{path} is not a network that fastnn saved: {str(error)[:400]}"
            ) from error
        _compare(path, header, tensors, size - start)
        file.seek(0)
        try:
            return architecture, safetensors.numpy.load(file.read())
        except safetensors.SafetensorError as error:  # stricter about JSON than Python's reader
            raise CheckpointError(f"{path} has a broken safetensors header: {error}") from error


def _architecture(metadata: Any) -> Any:
    if not isinstance(metadata, dict) or not isinstance(metadata.get("fastnn"), str):
        raise ValueError("its header has no entry of fastnn")
    saved = _json(metadata["fastnn"])
    version = saved.pop("version", None) if isinstance(saved, dict) else None
    if type(version) is not int or version != VERSION:
        raise ValueError(f"its format is version {version!r:.20}, this fastnn reads {VERSION}")
    return saved


def _read_header(path: PathLike, file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(LONGEST_HEADER, size - 8):
        raise CheckpointError(f"{path} is not a safetensors file of a network: its first 8 bytes "
                              f"announce a header of {length} bytes in {size}")  # fmt: skip
    try:
        header = _json(file.read(length).decode())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} has a broken safetensors header: {error}") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} has a broken safetensors header: not an object")
    return header, 8 + length


def _compare(path: PathLike, header: dict[str, Any], expected: Expected, size: int) -> None:
    faults = [f"no tensor {name}" for name in expected if name not in header]
    faults += [f"an unknown tensor {name[:40]!r}" for name in header if name not in expected]
    ranges = []
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
            ranges.append((span[0], span[1]))
    ends = [0, *(end for _, end in sorted(ranges))]
    if not faults and ([begin for begin, _ in sorted(ranges)] != ends[:-1] or ends[-1] != size):
        faults.append("its tensors do not fill the file exactly once")
    if faults:
        raise CheckpointError(f"{path} is damaged or foreign: it has {'; '.join(faults[:5])}")


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
