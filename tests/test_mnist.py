"""MNIST from folders and from mirrors: what is loaded is whole and right, or nothing is."""

import gzip
import hashlib
import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn.datasets import load_mnist, mnist
from fastnn.errors import DataError

Array = np.ndarray[Any, Any]
Pack = Callable[[bytes], bytes]

NAMES = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]
# Of the files as they were first published, once they are decompressed.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
N_TRAIN, N_TEST = 12, 5

MIRRORS = mnist.MIRRORS  # as they are before `nowhere` takes them away
REAL = os.environ.get("FASTNN_DATA")


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def plain(content: bytes) -> bytes:
    return content


def idx(*shape: int, values: bytes) -> bytes:
    """An IDX file of bytes, by its definition."""
    return struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + values


def pixels(n: int, seed: int) -> bytes:
    return np.random.default_rng(seed).bytes(n * 28 * 28)


def digits(n: int) -> bytes:
    return bytes((5 + i) % 10 for i in range(n))


CONTENT = {
    "train-images-idx3-ubyte": idx(N_TRAIN, 28, 28, values=pixels(N_TRAIN, 0)),
    "train-labels-idx1-ubyte": idx(N_TRAIN, values=digits(N_TRAIN)),
    "t10k-images-idx3-ubyte": idx(N_TEST, 28, 28, values=pixels(N_TEST, 1)),
    "t10k-labels-idx1-ubyte": idx(N_TEST, values=digits(N_TEST)),
}
# A file's new content, and what the refusal says beside its name.
WRONG = [
    ("train-labels-idx1-ubyte", idx(11, values=digits(11)), r"\(11,\).*need \(12,\)"),
    ("train-labels-idx1-ubyte", idx(12, 1, values=digits(12)), r"\(12, 1\).*need \(12,\)"),
    ("t10k-labels-idx1-ubyte", idx(N_TEST, values=bytes([0, 9, 10, 1, 2])), "up to 10"),
    ("t10k-labels-idx1-ubyte", CONTENT["t10k-images-idx3-ubyte"], r"\(5, 28, 28\)"),
    ("t10k-images-idx3-ubyte", CONTENT["t10k-labels-idx1-ubyte"], r"need \(n, 28, 28\) uint8"),
    ("t10k-images-idx3-ubyte", idx(N_TEST, 14, 56, values=pixels(N_TEST, 1)), "14, 56"),
    ("t10k-images-idx3-ubyte", idx(28, 28, N_TEST, values=pixels(N_TEST, 1)), "28, 28, 5"),
    ("t10k-images-idx3-ubyte", idx(N_TEST, 784, values=pixels(N_TEST, 1)), "5, 784"),
    ("t10k-images-idx3-ubyte", idx(N_TEST, 28, 28, 1, values=pixels(N_TEST, 1)), "28, 28, 1"),
    ("train-images-idx3-ubyte", b"\0\0\x09" + CONTENT["train-images-idx3-ubyte"][3:], "int8"),
    ("train-labels-idx1-ubyte", b"\0\0\x09" + CONTENT["train-labels-idx1-ubyte"][3:], "int8"),
    ("train-images-idx3-ubyte", CONTENT["train-images-idx3-ubyte"][:-1], r"byte \d+"),
    ("train-labels-idx1-ubyte", CONTENT["train-labels-idx1-ubyte"] + b"\0", r"byte \d+"),
]  # fmt: skip


def write(
    folder: Path, pack: Pack = plain, suffix: str = "", changed: dict[str, bytes] | None = None
) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in (CONTENT | (changed or {})).items():
        (folder / (name + suffix)).write_bytes(pack(content))


def assert_loaded(data: tuple[tuple[Array, Array], tuple[Array, Array]]) -> None:
    """load_mnist's arrays hold what CONTENT does."""
    for (x, t), n, seed in zip(data, (N_TRAIN, N_TEST), (0, 1), strict=True):
        assert x.shape == (n, 784)
        assert np.rint(x * 255).astype(np.uint8).tobytes() == pixels(n, seed)
        assert t.tobytes() == digits(n)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data of this machine, no network but this machine's."""
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    monkeypatch.setenv("FASTNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(mnist, "MIRRORS", ())


@pytest.mark.parametrize("place", ["", "mnist"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("pack", [plain, gzipped])
def test_the_files_may_be_raw_or_gz_in_the_folder_or_its_mnist(
    tmp_path: Path, pack: Pack, suffix: str, place: str
) -> None:
    write(tmp_path / place, pack, suffix)

    data = load_mnist(data_dir=tmp_path)

    assert_loaded(data)


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))

    data = load_mnist()

    assert_loaded(data)


def test_an_argument_goes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "missing"))

    data = load_mnist(data_dir=str(tmp_path))

    assert_loaded(data)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("flatten", [True, False])
@pytest.mark.parametrize("one_hot_label", [True, False])
def test_shapes_and_types_are_as_asked(
    tmp_path: Path, normalize: bool, flatten: bool, one_hot_label: bool
) -> None:
    write(tmp_path)

    data = load_mnist(
        data_dir=tmp_path, normalize=normalize, flatten=flatten, one_hot_label=one_hot_label
    )

    for (x, t), n, seed in zip(data, (N_TRAIN, N_TEST), (0, 1), strict=True):
        raw = list(pixels(n, seed))
        assert x.dtype == (np.float32 if normalize else np.uint8)
        assert x.shape == ((n, 784) if flatten else (n, 1, 28, 28))
        # float32's nearest to v / 255: both are exact in it, and division is rounded once.
        assert x.ravel().tolist() == [float(np.float32(v / 255)) if normalize else v for v in raw]
        assert t.dtype == (np.float32 if one_hot_label else np.uint8)
        labels = list(digits(n))
        ones = [[float(j == label) for j in range(10)] for label in labels]
        assert t.tolist() == (ones if one_hot_label else labels)


@pytest.mark.parametrize("flatten", [True, False])
def test_the_arrays_may_be_written_to(tmp_path: Path, flatten: bool) -> None:
    write(tmp_path)

    (x, t), _ = load_mnist(data_dir=tmp_path, normalize=False, flatten=flatten)
    x[:], t[:] = 0, 0

    assert_loaded(load_mnist(data_dir=tmp_path))


@pytest.mark.parametrize(("name", "content", "words"), WRONG)
@pytest.mark.parametrize("pack", [plain, gzipped])
def test_files_that_are_not_mnist_are_refused(
    tmp_path: Path, pack: Pack, name: str, content: bytes, words: str
) -> None:
    write(tmp_path, pack, changed={name: content})

    with pytest.raises(DataError, match=words) as caught:
        load_mnist(data_dir=tmp_path)

    assert str(tmp_path / name) in str(caught.value)


def test_fewer_images_than_labels_are_refused(tmp_path: Path) -> None:
    images = idx(11, 28, 28, values=pixels(11, 0))
    write(tmp_path, changed={"train-images-idx3-ubyte": images})

    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte: has \(12,\).*need \(11,\)"):
        load_mnist(data_dir=tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named_with_its_folders(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    (tmp_path / name).unlink()

    with pytest.raises(FileNotFoundError, match=f"no {name} or {name}.gz in ") as caught:
        load_mnist(data_dir=tmp_path)

    assert f"{tmp_path} or {tmp_path / 'mnist'};" in str(caught.value)


def test_a_missing_folder_is_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        load_mnist(data_dir=tmp_path / "missing")


def test_a_named_folder_is_not_filled_by_a_download(tmp_path: Path, mirrors: "Mirrors") -> None:
    with pytest.raises(FileNotFoundError):
        load_mnist(data_dir=tmp_path)

    assert mirrors.requests == []
    assert list(tmp_path.iterdir()) == []


class Mirrors:
    """Web servers of this machine: good/, and some with every fault, in folders of one."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        mirrors = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirrors.requests.append(self.path)
                _, fault, file = self.path.split("/")
                status, body, length = mirrors.answer(fault, file.removesuffix(".gz"))
                self.send_response(status)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def url(self, fault: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{fault}/"

    def answer(self, fault: str, name: str) -> tuple[int, bytes, int]:
        """(status, body, announced length)"""
        content = CONTENT[name]
        good = gzipped(content)
        flipped = content[:-1] + bytes([content[-1] ^ 1])
        status, body = {
            "good": (200, good),
            "other-compression": (200, gzip.compress(content, 1)),
            "missing": (404, good),
            "broken": (500, good),
            "empty": (200, b""),
            "web-page": (200, b"<!DOCTYPE html><p>Log in to use this network"),
            "raw": (200, content),
            "half": (200, good[: len(good) // 2]),
            "flipped-bit": (200, gzipped(flipped)),
            "flipped-checksum": (200, good[:-8] + bytes([good[-8] ^ 1]) + good[-7:]),
            "longer": (200, gzipped(content + b"\0")),
            "shorter": (200, gzipped(content[:-1])),
            "trailing": (200, good + b"\0"),
            "interrupted": (200, good[:-5]),
        }[fault]
        return status, body, len(good) if fault == "interrupted" else len(body)

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


FAULTS = [
    "missing", "broken", "empty", "web-page", "raw", "half", "flipped-bit",
    "flipped-checksum", "longer", "shorter", "trailing", "interrupted",
]  # fmt: skip


@pytest.fixture
def mirrors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrors]:
    known = {
        name: (hashlib.sha256(content).hexdigest(), len(content))
        for name, content in CONTENT.items()
    }
    monkeypatch.setattr(mnist, "FILES", known)
    servers = Mirrors()
    yield servers
    servers.close()


def folder_of(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "mnist"


def test_a_download_goes_on_to_the_next_mirror_and_is_kept(
    tmp_path: Path, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = tuple(mirrors.url(fault) for fault in ("missing", "flipped-bit", "good"))
    monkeypatch.setattr(mnist, "MIRRORS", urls)

    first = load_mnist()
    asked, mirrors.requests = mirrors.requests, []
    second = load_mnist()

    assert_loaded(first)
    assert_loaded(second)
    assert asked == [
        f"/{place}/{name}.gz" for name in NAMES for place in ("missing", "flipped-bit", "good")
    ]
    assert mirrors.requests == []
    assert sorted(p.name for p in folder_of(tmp_path).iterdir()) == sorted(NAMES)
    for name in NAMES:
        assert (folder_of(tmp_path) / name).read_bytes() == CONTENT[name]


def test_a_mirror_may_compress_in_its_own_way(
    mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist, "MIRRORS", (mirrors.url("other-compression"),))

    assert_loaded(load_mnist())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_mirror_leaves_no_file_and_is_told(
    tmp_path: Path, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(mnist, "MIRRORS", (mirrors.url(fault),))

    with pytest.raises(FileNotFoundError, match=re.escape(mirrors.url(fault))):
        load_mnist()

    assert mirrors.requests == [f"/{fault}/train-images-idx3-ubyte.gz"]
    assert list(folder_of(tmp_path).iterdir()) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_mirror_is_made_good_by_another(
    mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(mnist, "MIRRORS", (mirrors.url(fault), mirrors.url("good")))

    assert_loaded(load_mnist())


def test_an_interrupted_download_goes_on_with_what_is_missing(
    tmp_path: Path, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of(tmp_path).mkdir(parents=True)
    for name in NAMES[:3]:
        (folder_of(tmp_path) / name).write_bytes(CONTENT[name])
    monkeypatch.setattr(mnist, "MIRRORS", (mirrors.url("good"),))

    data = load_mnist()

    assert_loaded(data)
    assert mirrors.requests == [f"/good/{NAMES[3]}.gz"]


def test_no_route_names_the_files_the_folder_and_what_works_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        monkeypatch.setattr(mnist, "MIRRORS", (url, url))

        with pytest.raises(FileNotFoundError) as caught:
            load_mnist()

    message = str(caught.value)
    assert message.count(url) == 2
    assert str(folder_of(tmp_path)) in message
    assert all(f"{name}.gz" in message for name in NAMES)
    assert "data_dir" in message
    assert "FASTNN_DATA" in message
    assert "`fastnn train`" in message


def test_a_cache_that_cannot_be_made_is_an_oserror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FASTNN_CACHE", str(tmp_path / "file"))

    with pytest.raises(OSError, match="file"):
        load_mnist()


def test_the_cache_is_the_users_where_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTNN_CACHE")

    folder = mnist.cache_folder()

    assert folder.name == "mnist"
    assert "fastnn" in folder.parts
    assert folder.is_absolute()


def test_the_mirrors_are_reached_over_https_and_the_sums_are_mnists() -> None:
    assert all(url.startswith("https://") and url.endswith("/") for url in MIRRORS)
    assert {name: sha256 for name, (sha256, _) in mnist.FILES.items()} == SHA256
    assert [length for _, length in mnist.FILES.values()] == [
        16 + 60_000 * 784, 8 + 60_000, 16 + 10_000 * 784, 8 + 10_000
    ]  # fmt: skip


@pytest.mark.skipif(not REAL, reason="FASTNN_DATA names no folder with the MNIST files")
def test_the_real_mnist_is_read_to_the_bit() -> None:
    (x, t), (x_test, t_test) = load_mnist(data_dir=REAL, normalize=False)

    assert x.shape == (60_000, 784)
    assert x_test.shape == (10_000, 784)
    assert t[:5].tolist() == [5, 0, 4, 1, 9]
    # From the table of classes that everyone prints.
    assert np.bincount(t).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949
    ]  # fmt: skip
    assert np.bincount(t_test).sum() == 10_000
    arrays = [x.reshape(-1, 28, 28), t, x_test.reshape(-1, 28, 28), t_test]
    for name, array in zip(NAMES, arrays, strict=True):
        content = idx(*array.shape, values=array.tobytes())
        assert hashlib.sha256(content).hexdigest() == SHA256[name]
