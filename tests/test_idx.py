"""IDX files: each good one comes back as it was written, and no damaged one comes through."""

import gzip
import math
import os
import re
import signal
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from fastnn.datasets import read_idx
from fastnn.errors import DataError, FastnnError

Array = np.ndarray[Any, Any]
Pack = Callable[[bytes], bytes]

# The type's byte, struct's letter for it, NumPy's native type, values that tell byte orders,
# signs and widths apart.
TYPES: list[tuple[int, str, str, list[float]]] = [
    (0x08, "B", "uint8", [0, 1, 127, 128, 254, 255]),
    (0x09, "b", "int8", [-128, -127, -1, 0, 1, 127]),
    (0x0B, "h", "int16", [-(2**15), -2, 0, 1, 0x0102, 2**15 - 1]),
    (0x0C, "i", "int32", [-(2**31), -2, 0, 1, 0x01020304, 2**31 - 1]),
    (0x0D, "f", "float32", [-0.0, 1.5, -3.25, math.inf, math.nan, 2.0**-149]),
    (0x0E, "d", "float64", [-0.0, 0.1, -1e300, -math.inf, math.nan, 5e-324]),
]
SHAPES = [(6,), (2, 3), (1, 6), (3, 1, 2), (1, 1, 1, 6), (6, *[1] * 63)]
HUGE = [
    (65536, 65536, 65536),  # 2**48, which is 0 in 32 bits
    (2**32 - 1,),
    (2**32 - 1, 2**32 - 1),
    (2**31 + 1,),
    (2**16, 2**15, 1),  # 2**31: not too large to read, but not there
    tuple([2**32 - 1] * 64),
]


def idx(code: int, letter: str, shape: Sequence[int], values: Sequence[float]) -> bytes:
    """The bytes of an IDX file by its definition, which knows of no arrays."""
    header = struct.pack(f">4B{len(shape)}I", 0, 0, code, len(shape), *shape)
    return header + struct.pack(f">{len(values)}{letter}", *values)


def plain(content: bytes) -> bytes:
    return content


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


PACKINGS = [pytest.param(plain, id="raw"), pytest.param(gzipped, id="gz")]
SMALL = idx(0x0B, "h", (3, 5), range(15))


def write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)  # twenty times as fast as to overwrite it, which ext4 flushes
    path.write_bytes(content)


def assert_refused(path: Path, content: bytes) -> None:
    """read_idx refuses the content, names the file and says at which byte."""
    write(path, content)

    with pytest.raises(DataError, match=r"byte \d+") as caught:
        read_idx(path)

    assert str(path) in str(caught.value)


def read_or_refused(path: Path) -> Array | None:
    """What read_idx reads, or None where it refuses and says at which byte."""
    try:
        return read_idx(path)
    except DataError as error:
        message = str(error)
    assert re.search(r"byte \d+", message)
    return None


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Fails what takes longer, even where it waits for the system."""

    def ring(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def memory_within(most: int) -> Iterator[None]:
    """Fails what holds more than so many bytes at a time."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= most, f"{peak:,} bytes"


@pytest.mark.parametrize("name", ["a.idx", "a.gz", "a", "a-idx3-ubyte.txt"])
@pytest.mark.parametrize("pack", PACKINGS)
@pytest.mark.parametrize(("code", "letter", "dtype", "values"), TYPES)
def test_every_type_comes_back_whatever_the_name(
    tmp_path: Path, code: int, letter: str, dtype: str, values: list[float], pack: Pack, name: str
) -> None:
    (tmp_path / name).write_bytes(pack(idx(code, letter, (2, 3), values)))

    array = read_idx(tmp_path / name)

    assert array.dtype == np.dtype(dtype)
    assert array.dtype.isnative
    assert array.shape == (2, 3)
    assert array.tobytes() == struct.pack(f"={len(values)}{letter}", *values)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_comes_back_in_rows(tmp_path: Path, shape: tuple[int, ...]) -> None:
    (tmp_path / "a").write_bytes(idx(0x0C, "i", shape, range(6)))

    array = read_idx(tmp_path / "a")

    assert array.shape == shape
    assert array.ravel().tolist() == list(range(6))


def test_the_array_may_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(SMALL)

    array = read_idx(tmp_path / "a")
    array[0, 0] = 7

    assert read_idx(tmp_path / "a")[0, 0] == 0


def test_a_path_may_be_a_string_or_a_link(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(SMALL)
    (tmp_path / "link").symlink_to(tmp_path / "a")

    array = read_idx(os.fspath(tmp_path / "link"))

    assert array.tolist() == np.arange(15).reshape(3, 5).tolist()


@pytest.mark.parametrize("size", [100_000, 1_000_000])
@pytest.mark.parametrize("level", [0, 1, 6])
def test_a_file_longer_than_a_chunk_comes_back(tmp_path: Path, size: int, level: int) -> None:
    values = np.random.default_rng(size).integers(0, 3, size, np.uint8)
    content = idx(0x08, "B", (size,), []) + values.tobytes()
    (tmp_path / "a").write_bytes(gzip.compress(content, level))

    array = read_idx(tmp_path / "a")

    np.testing.assert_array_equal(array, values)


@pytest.mark.parametrize("pack", PACKINGS)
def test_every_truncation_is_refused(tmp_path: Path, pack: Pack) -> None:
    content = pack(SMALL)

    for length in range(len(content)):
        assert_refused(tmp_path / "a", content[:length])


def test_every_truncation_before_compression_is_refused(tmp_path: Path) -> None:
    for length in range(len(SMALL)):
        assert_refused(tmp_path / "a", gzipped(SMALL[:length]))


@pytest.mark.parametrize("extra", [b"\0", b"x", SMALL, b"\0" * 100_000])
@pytest.mark.parametrize("pack", PACKINGS)
def test_trailing_bytes_are_refused(tmp_path: Path, pack: Pack, extra: bytes) -> None:
    assert_refused(tmp_path / "a", pack(SMALL) + extra)
    assert_refused(tmp_path / "a", pack(SMALL + extra))


def test_a_refusal_says_at_which_byte_the_rest_begins(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(SMALL + b"x")
    (tmp_path / "gz").write_bytes(gzipped(SMALL) + b"x")

    with pytest.raises(DataError, match=rf"byte {len(SMALL)}\b"):
        read_idx(tmp_path / "raw")
    with pytest.raises(DataError, match=rf"byte {len(gzipped(SMALL))}\b"):
        read_idx(tmp_path / "gz")


def test_what_follows_a_whole_number_of_chunks_is_refused(tmp_path: Path) -> None:
    content = idx(0x08, "B", (2**16,), []) + bytes(2**16)
    level_0 = gzip.compress(content, 0, mtime=0)
    padding = 2**17 - len(level_0)  # a name in the header: the data end where a chunk does
    padded = level_0[:3] + b"\x08" + level_0[4:10] + b"n" * (padding - 1) + b"\0" + level_0[10:]
    (tmp_path / "a").write_bytes(padded)
    assert len(padded) == 2**17
    assert read_idx(tmp_path / "a").shape == (2**16,)

    assert_refused(tmp_path / "a", padded + b"x")


@pytest.mark.parametrize("pack", PACKINGS)
def test_every_wrong_header_byte_is_refused_or_read_as_it_says(tmp_path: Path, pack: Pack) -> None:
    letters = {np.dtype(dtype): (code, letter) for code, letter, dtype, _ in TYPES}
    original, path = idx(0x08, "B", (2, 3), range(6)), tmp_path / "a"
    read = 0

    for place in range(12):
        for value in range(256):
            content = original[:place] + bytes([value]) + original[place + 1 :]
            write(path, pack(content))
            array = read_or_refused(path)
            if array is not None:
                code, letter = letters[array.dtype]
                assert idx(code, letter, array.shape, array.ravel().tolist()) == content
                read += 1

    # 12 times the original, once int8; every other change makes the sizes disagree.
    assert read == 13


def test_every_flipped_bit_of_a_gz_is_refused_or_harmless(tmp_path: Path) -> None:
    original, path = gzipped(SMALL), tmp_path / "a"
    harmless = set()

    for place in range(len(original)):
        for bit in range(8):
            content = bytearray(original)
            content[place] ^= 1 << bit
            write(path, bytes(content))
            array = read_or_refused(path)
            if array is not None:
                assert array.dtype == np.int16
                assert array.tolist() == np.arange(15).reshape(3, 5).tolist()
                harmless.add(place)

    assert harmless <= {3, 4, 5, 6, 7, 8, 9}  # flags, time, compressor and system


@pytest.mark.parametrize("place", range(-8, 0))
def test_a_wrong_checksum_or_length_is_refused(tmp_path: Path, place: int) -> None:
    content = bytearray(gzipped(SMALL))
    content[place] ^= 1

    assert_refused(tmp_path / "a", bytes(content))


def test_two_members_are_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path / "a", gzipped(SMALL[:20]) + gzipped(SMALL[20:]))
    assert_refused(tmp_path / "a", gzipped(SMALL) + gzipped(b""))


def test_a_gz_in_a_gz_is_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path / "a", gzipped(gzipped(SMALL)))


@pytest.mark.parametrize("shape", HUGE)
@pytest.mark.parametrize("pack", PACKINGS)
def test_huge_dimensions_are_refused_without_memory_for_them(
    tmp_path: Path, pack: Pack, shape: tuple[int, ...]
) -> None:
    content = pack(idx(0x0E, "d", shape, [1, 2]))

    with memory_within(2**20):
        assert_refused(tmp_path / "a", content)


@pytest.mark.parametrize("pack", PACKINGS)
def test_more_than_the_file_can_hold_is_not_even_begun(tmp_path: Path, pack: Pack) -> None:
    write(tmp_path / "a", pack(idx(0x08, "B", (2**15, 2**15), [1, 2])))

    with memory_within(2**20), pytest.raises(DataError, match="byte 4 announces") as caught:
        read_idx(tmp_path / "a")

    assert "(32768, 32768), 1,073,741,824 bytes" in str(caught.value)


@pytest.mark.parametrize("shape", [(), (0,), (0, 28, 28), (3, 0), (2**32 - 1, 0)])
def test_nothing_to_read_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    assert_refused(tmp_path / "a", idx(0x08, "B", shape, []))


def test_more_dimensions_than_an_array_can_have_are_refused(tmp_path: Path) -> None:
    for count in range(65, 256):
        assert_refused(tmp_path / "a", idx(0x08, "B", [1] * count, [7]))


@pytest.mark.parametrize("announced", [6, 2**31 + 1, 2**32 - 1])
def test_a_gzip_bomb_is_refused_at_once(tmp_path: Path, announced: int) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = idx(0x08, "B", (announced,), [])
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    megabyte = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    wrapper = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    (tmp_path / "a").write_bytes(wrapper + start + megabyte * 10_000)  # ten gigabytes in ten MB

    began = time.perf_counter()
    with memory_within(2**22), pytest.raises(DataError, match=r"byte \d+"):
        read_idx(tmp_path / "a")

    assert time.perf_counter() - began < 1


def test_memory_is_taken_for_what_is_there_not_for_what_is_announced(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(2**20)
    content = gzip.compress(idx(0x08, "B", (2**30,), []) + noise, 1)  # 2**30 could be in there

    with memory_within(2**23):
        assert_refused(tmp_path / "a", content)


def test_0_bytes_are_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path / "a", b"")


@pytest.mark.parametrize("content", [b"\x1f", b"\x1f\x8b", b"PK\x03\x04", b"<!DOCTYPE html>"])
def test_other_formats_are_refused(tmp_path: Path, content: bytes) -> None:
    assert_refused(tmp_path / "a", content)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(f"{tmp_path} is not a regular file")):
        read_idx(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with alarm(5), pytest.raises(DataError, match="pipe is not a regular file"):
        read_idx(tmp_path / "pipe")


def test_a_missing_file_is_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing") as caught:
        read_idx(tmp_path / "missing")

    assert not isinstance(caught.value, FastnnError)
