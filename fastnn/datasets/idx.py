"""IDX files, raw or gzip-compressed: the format of MNIST.

Two zero bytes, a type, the number of dimensions, the dimensions as big-endian uint32, the
numbers.  Whether a file is compressed is told by its first bytes, not by its name.
"""

import math
import zlib
from typing import Any, BinaryIO

import numpy as np

from fastnn import files
from fastnn.errors import DataError
from fastnn.files import PathLike

MOST_BYTES = 2**31  # of numbers: forty times MNIST
MOST_DIMENSIONS = 64  # NumPy's own limit
_CHUNK = 2**16
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: PathLike) -> np.ndarray[Any, Any]:
    """The array in an IDX file, in native byte order.

    Raises DataError for a file that is not exactly one, with the byte where it goes wrong,
    and OSError (FileNotFoundError) where the system refuses.  It takes memory for what the
    file really holds, whatever its header says.
    """
    with files.open_regular(path, DataError) as file:
        is_compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if is_compressed:
            return _parse(path, Inflated(path, file))
        return _parse(path, Raw(file))


class Raw:
    """A plain file as a source of bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.size = file, files.size(file)

    def read(self, count: int) -> bytearray:
        """Up to count bytes."""
        content = bytearray(min(count, self.size))
        del content[self.file.readinto(content) :]  # type: ignore[attr-defined]
        return content

    def could_hold(self, count: int) -> bool:
        """Whether so many bytes may be there."""
        return count <= self.size


class Inflated:
    """The content of a gzip file of one member, as a source of bytes."""

    def __init__(self, path: PathLike, file: BinaryIO) -> None:
        self.path, self.file, self.size = path, file, files.size(file)
        self.inflater = zlib.decompressobj(wbits=31)  # 31: a gzip header and checksum

    def read(self, count: int) -> bytearray:
        """Up to count bytes.  Raises DataError for a damaged file."""
        content = bytearray()
        while len(content) < count and not self.inflater.eof:
            packed = self.inflater.unconsumed_tail or self.file.read(_CHUNK)
            if not packed:
                raise DataError(f"{self.path}: the gzip file is cut off at byte {self.size}")
            try:
                content += self.inflater.decompress(packed, count - len(content))
            except zlib.error as error:
                raise DataError(f"{self.path}: the gzip file is damaged before byte "
                                f"{self.file.tell()} ({error})") from error  # fmt: skip
        if self.inflater.eof and (rest := self.inflater.unused_data or self.file.read(1)):
            raise DataError(f"{self.path}: there is more after the end of the gzip data at byte "
                            f"{self.file.tell() - len(rest)}")  # fmt: skip
        return content

    def could_hold(self, count: int) -> bool:
        """Whether so many bytes may be there: deflate shrinks to 1/1032 at best."""
        return count <= 1032 * self.size


def _parse(path: PathLike, source: Raw | Inflated) -> np.ndarray[Any, Any]:
    magic = source.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or magic[3] == 0:
        raise DataError(f"{path}: byte 0 begins with {magic.hex(' ') or 'nothing'}, need an IDX "
                        "header such as 00 00 08 03")  # fmt: skip
    if magic[3] > MOST_DIMENSIONS:
        raise DataError(f"{path}: byte 3 announces {magic[3]} dimensions, need at most "
                        f"{MOST_DIMENSIONS}")  # fmt: skip
    dimensions = source.read(4 * magic[3])
    if len(dimensions) < 4 * magic[3]:
        raise DataError(f"{path}: the header ends at byte {4 + len(dimensions)}, need "
                        f"{magic[3]} dimensions up to byte {4 + 4 * magic[3]}")  # fmt: skip
    shape = tuple(int(n) for n in np.frombuffer(dimensions, ">u4"))
    dtype = np.dtype(_TYPES[magic[2]])
    start, length = 4 + 4 * len(shape), math.prod(shape) * dtype.itemsize
    if length == 0 or length > MOST_BYTES or not source.could_hold(length):
        raise DataError(f"{path}: byte 4 announces {shape}, {length:,} bytes, need between 1 and "
                        f"{MOST_BYTES:,} and no more than the file can hold")  # fmt: skip
    content = source.read(length)
    if len(content) < length:
        raise DataError(f"{path}: ends at byte {start + len(content)}, need {shape}, "
                        f"{length} bytes from byte {start}")  # fmt: skip
    if source.read(1):
        raise DataError(f"{path}: has more than {shape} from byte {start + length} on")
    native = np.frombuffer(content, dtype).astype(dtype.newbyteorder("="), copy=False)
    return native.reshape(shape)
