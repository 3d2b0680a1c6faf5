"""Saved networks: nothing is lost on the way, nothing in a file is trusted, and a file is whole."""

import contextlib
import copy
import json
import math
import os
import pickle
import re
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import fastnn
from fastnn.architecture import MOST_LAYERS
from fastnn.backend import ALIGNMENT
from fastnn.checkpoint import LONGEST_HEADER
from fastnn.errors import ArgumentError, CheckpointError, DataError, DeviceUnavailableError

Header = dict[str, Any]
Change = Callable[[Header, bytes], bytes]  # header and tensors of a good file -> a bad file

ROOT = Path(__file__).parent.parent
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}

NETWORKS: dict[str, dict[str, Any]] = {
    "plain": {"sizes": [2, 2]},
    "no hidden layer, float64": {"sizes": [1, 1], "dtype": "float64", "output": "sigmoid"},
    "no bias": {"sizes": [3, 4, 2], "bias": False},
    "scaling by numbers": {"sizes": [3, 4, 2], "input_scaling": (0.5, 1 / 3)},
    "scaling by arrays": {"sizes": [2, 3], "input_scaling": ([0.1, -5], [1e-300, 1e30])},
    "scaling by both": {"sizes": [2, 3], "input_scaling": (7, [1, 2]), "dtype": "float64"},
    "names": {"sizes": [2, 3], "class_names": ["Zürich", "a b", ""]},
    "names of one output": {"sizes": [2, 1], "output": "sigmoid", "class_names": ["no", "yes"]},
    "an activation each": {"sizes": [2, 3, 4, 5], "activation": ["gelu", "step"], "output": "elu"},
    "the largest seed": {"sizes": [2, 2], "seed": 2**64 - 1},
}

SIZES = [2, 3, 2]


def packed(header: Header | bytes, tensors: bytes) -> bytes:
    """A safetensors file, with the header as it stands or as JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def unpacked(content: bytes) -> tuple[Header, bytes]:
    """(header, tensors) of a safetensors file."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def says(text: str) -> Change:
    """A file whose description of the network is this text."""

    def change(header: Header, tensors: bytes) -> bytes:
        return packed(header | {"__metadata__": {"fastnn": text}}, tensors)

    return change


def network(**values: Any) -> Change:
    """A file that says something else of its network, under a name at either level."""

    def change(header: Header, tensors: bytes) -> bytes:
        saved = json.loads(header["__metadata__"]["fastnn"])
        for name, value in values.items():
            (saved if name in saved else saved["architecture"])[name] = value
        return says(json.dumps(saved))(header, tensors)

    return change


def tensor(name: str, **values: Any) -> Change:
    """A file that says something else of a tensor."""
    return lambda header, tensors: packed(header | {name: header[name] | values}, tensors)


def metadata(**values: Any) -> Change:
    """A file with other metadata."""
    return lambda header, tensors: packed(
        header | {"__metadata__": header["__metadata__"] | values}, tensors
    )


def number(name: str, value: float) -> Change:
    """A file in which the first number of a tensor is value."""

    def change(header: Header, tensors: bytes) -> bytes:
        begin, bits = header[name]["data_offsets"][0], int(header[name]["dtype"][1:])
        content = np.array([value], f"<f{bits // 8}").tobytes()
        return packed(header, tensors[:begin] + content + tensors[begin + len(content) :])

    return change


def without(name: str) -> Change:
    """A file that lacks a tensor, with no hole where it was."""

    def change(header: Header, tensors: bytes) -> bytes:
        begin, end = header.pop(name)["data_offsets"]
        for said in header.values():
            if said.get("data_offsets", [0])[0] >= end:
                said["data_offsets"] = [offset - (end - begin) for offset in said["data_offsets"]]
        return packed(header, tensors[:begin] + tensors[end:])

    return change


def with_extra(header: Header, tensors: bytes) -> bytes:
    span = [len(tensors), len(tensors) + 4]
    extra = {"W9": {"dtype": "F32", "shape": [1], "data_offsets": span}}
    return packed(header | extra, tensors + bytes(4))


def with_a_name_twice(header: Header, tensors: bytes) -> bytes:
    text = json.dumps(header)
    return packed((text[:-1] + ', "b1": ' + json.dumps(header["b1"]) + "}").encode(), tensors)


def with_a_hole(header: Header, tensors: bytes) -> bytes:
    last = max(header.keys() - {"__metadata__"}, key=lambda name: header[name]["data_offsets"])
    begin, end = header[last]["data_offsets"]
    moved = tensor(last, data_offsets=[begin + 4, end + 4])
    return moved(header, tensors[:begin] + bytes(4) + tensors[begin:])


def with_an_overlap(header: Header, tensors: bytes) -> bytes:
    # W1 and W2 have the same length, so each alone may lie where W1 is.
    return tensor("W2", data_offsets=header["W1"]["data_offsets"])(header, tensors)


def foreign(header: Header, tensors: bytes) -> bytes:
    return safetensors.numpy.save({"W1": np.zeros((2, 3), np.float32)}, {"format": "pt"})


HOSTILE: dict[str, Change] = {
    "nothing": lambda header, tensors: b"",
    "a header of 2**63 bytes": lambda header, tensors: (2**63).to_bytes(8, "little") + tensors,
    "a header longer than the file": lambda header, tensors: packed(header, b"")[:-1],
    "a header over the cap": lambda header, tensors: packed(
        json.dumps(header).encode().ljust(LONGEST_HEADER + 1), tensors
    ),
    "a header of no bytes": lambda header, tensors: packed(b"", tensors),
    "a header that is no object": lambda header, tensors: packed(b"[1, 2]", tensors),
    "a header that is no JSON": lambda header, tensors: packed(b"{'W1': 1}", tensors),
    "a header that is not UTF-8": lambda header, tensors: packed(b'{"\xff": 1}', tensors),
    "a deep header": lambda header, tensors: packed(b'{"a":' + b"[" * 500_000, tensors),
    "a deep description": says("[" * 500_000),
    "a deep object": says('{"a":' * 150_000),
    "a name twice": with_a_name_twice,
    "a name twice in the description": says('{"seed": 1, "seed": 2}'),
    "a description that is no object": says("[]"),
    "a description of nothing": says("{}"),
    "a description that is no JSON": says("MLP([2, 3, 2])"),
    "no metadata": lambda header, tensors: packed(
        {name: value for name, value in header.items() if name != "__metadata__"}, tensors
    ),
    "metadata that is no object": lambda header, tensors: packed(
        header | {"__metadata__": [1]}, tensors
    ),
    "metadata that is a number": metadata(epoch=3),
    "an entry of somebody else": metadata(note="mine"),
    "half a character": metadata(note="\ud800"),
    "no description": lambda header, tensors: packed(
        header | {"__metadata__": {"fastnn": "1"}}, tensors
    ),
    "a future version": network(version=2),
    "a version that is text": network(version="1"),
    "a version that is true": network(version=True),
    "an entry that is a number": metadata(fastnn=1),
    "a foreign file": foreign,
    "an endless tensor of a foreign type": tensor("W1", dtype="F8_E4M3"),
    "a wrong shape": tensor("W1", shape=[3, 2]),
    "a flat shape": tensor("W1", shape=[6]),
    "a negative shape": tensor("W1", shape=[-2, -3]),
    "a shape that overflows": tensor("W1", shape=[2**63, 2**63]),
    "a wrong type": tensor("W1", dtype="I32"),
    "a wider type": tensor("W1", dtype="F64"),
    "a field too many": tensor("W1", device="cuda"),
    "a tensor that is a number": lambda header, tensors: packed(header | {"W1": 3}, tensors),
    "offsets that are words": tensor("b1", data_offsets=["0", "12"]),
    "offsets that are fractions": tensor("b1", data_offsets=[0.0, 12.0]),
    "three offsets": tensor("b1", data_offsets=[0, 6, 12]),
    "negative offsets": tensor("b1", data_offsets=[-12, 0]),
    "offsets beyond the end": tensor("b1", data_offsets=[10**6, 10**6 + 12]),
    "offsets backwards": tensor("b1", data_offsets=[12, 0]),
    "huge offsets": tensor("b1", data_offsets=[2**64, 2**64 + 12]),
    "an overlap": with_an_overlap,
    "a hole": with_a_hole,
    "a byte too many": lambda header, tensors: packed(header, tensors + b"\0"),
    "a byte too few": lambda header, tensors: packed(header, tensors[:-1]),
    "no W1": without("W1"),
    "no b2": without("b2"),
    "no offset of the scaling": without("input_offset"),
    "a tensor too many": with_extra,
    "a larger network": network(sizes=[2, 4, 2]),
    "8 GB of parameters that are not there": network(sizes=[2, 1_000_000, 1_000]),
    "more parameters than memory": network(sizes=[2**40, 2**40, 2]),
    "layers without end": network(sizes=[1] * 300_000, activations="relu"),
    "a layer of nothing": network(sizes=[2, 0, 2]),
    "no layers": network(sizes=[2]),
    "sizes that are words": network(sizes="23"),
    "sizes that are fractions": network(sizes=[2, 3.0, 2]),
    "a size of 10000 digits": says('{"sizes": ' + "9" * 10_000 + "}"),
    "an unknown activation": network(activations=["os.system"]),
    "an activation too many": network(activations=["relu", "relu"]),
    "an unknown output": network(output="__import__"),
    "a bias of 2": network(bias=2),
    "a name too few": network(class_names=["a"]),
    "equal names": network(class_names=["a", "a"]),
    "names that are numbers": network(class_names=[1, 2]),
    "a long error": network(class_names=["a" * 1000] * 500),
    "float16": network(dtype="float16"),
    "a type that is a program": network(dtype="(1, 2)f4"),
    "a type that is a record": network(dtype={"names": ["a"], "formats": ["f4"]}),
    "a type that is missing": network(dtype=None),
    "a negative seed": network(seed=-1),
    "a seed of 65 bits": network(seed=2**64),
    "a seed that is missing": network(seed=None),
    "a fraction of an epoch": network(epochs=1.5),
    "infinite steps": network(steps=math.inf),
    "steps in words": network(steps="7"),
    "no scaling": network(scaling=None),
    "a scaling of a shape too few": network(scaling=[[]]),
    "a scaling of a wrong shape": network(scaling=[[], [3]]),
    "a scaling of a broken shape": network(scaling=[[2.0], [2.0]]),
    "a scaling of no shape": network(scaling=[[{}], 1]),
    "a NaN weight": number("W2", math.nan),
    "an infinite bias": number("b1", -math.inf),
    "a NaN offset": number("input_offset", math.nan),
    "an infinite factor": number("input_factor", math.inf),
    "a pickle": lambda header, tensors: pickle.dumps({"W1": 1}),
    "a gzip file": lambda header, tensors: b"\x1f\x8b\x08" + tensors,
    "zeros": lambda header, tensors: bytes(1000),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The content of a good file."""
    path = tmp_path_factory.mktemp("good") / "net.safetensors"
    fastnn.MLP(SIZES, seed=3, input_scaling=(1, [2, 3])).save(path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where to save."""
    return tmp_path / "net.safetensors"


@contextlib.contextmanager
def rejection(path: Path) -> Iterator[None]:
    """The block must raise CheckpointError with the path, in one short line, from little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=re.escape(str(path))) as caught:
            yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert isinstance(caught.value, OSError)
    assert len(str(caught.value)) < 700
    assert "\n" not in str(caught.value)
    # The text, what JSON makes of it, and a few copies of a description inside.
    assert peak < 2**20 + 8 * path.stat().st_size


def flat(net: fastnn.MLP) -> Any:
    """net.params in host memory."""
    return net.backend.asnumpy(net.params)


def assert_equal(got: fastnn.MLP, want: fastnn.MLP) -> None:
    assert got.architecture == want.architecture
    assert (got.seed, got.epochs, got.steps) == (want.seed, want.epochs, want.steps)
    assert got.dtype == want.dtype
    assert flat(got).tobytes() == flat(want).tobytes()
    assert (got.scaling is None) == (want.scaling is None)
    if got.scaling is not None and want.scaling is not None:
        for numbers, others in zip(
            vars(got.scaling).values(), vars(want.scaling).values(), strict=True
        ):
            np.testing.assert_array_equal(numbers, others, strict=True)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_loaded_network_is_bit_for_bit_the_saved_one(name: str, path: Path, device: str) -> None:
    net = fastnn.MLP(**{"seed": 5, **NETWORKS[name]})
    net.epochs, net.steps = 12, 2**40

    net.save(path)
    loaded = fastnn.load(path)

    assert_equal(loaded, net)
    assert loaded.device == device
    X = np.random.default_rng(0).normal(size=(7, net.sizes[0]))
    assert loaded.predict(X).tobytes() == net.predict(X).tobytes()


def test_a_network_goes_from_device_to_device_in_the_same_file(
    device: str, path: Path, tmp_path: Path
) -> None:
    X, y = fastnn.datasets.load_iris()
    net = fastnn.MLP([4, 5, 3], seed=1, dtype="float64", device="cpu", input_scaling=(5, 0.5))
    net.fit(X, y)

    net.save(path)
    there = fastnn.load(path, device=device)
    there.save(tmp_path / "there")
    back = fastnn.load(tmp_path / "there", device="cpu")

    assert (there.device, back.device) == (device, "cpu")
    assert_equal(there, net)
    assert_equal(back, net)
    assert (tmp_path / "there").read_bytes() == path.read_bytes()
    np.testing.assert_allclose(there.predict(X), net.predict(X), rtol=1e-13)
    assert back.predict(X).tobytes() == net.predict(X).tobytes()


def test_training_goes_on_after_loading_as_if_never_saved(path: Path, device: str) -> None:
    X, y = fastnn.datasets.load_iris()
    whole, part = (fastnn.MLP([4, 5, 3], seed=1) for _ in range(2))

    whole.fit(X, y, epochs=3)
    part.fit(X, y, epochs=2)
    part.save(path)
    resumed = fastnn.load(path)
    resumed.fit(X, y, epochs=1)

    assert_equal(resumed, whole)
    assert resumed.epochs == 3


def test_a_path_may_be_a_string_without_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    net = fastnn.MLP([2, 2], seed=1)

    net.save("net")

    assert_equal(fastnn.load("net"), net)
    assert os.listdir() == ["net"]


def test_other_readers_of_safetensors_see_named_tensors(path: Path, device: str) -> None:
    net = fastnn.MLP([3, 4, 2], seed=1, input_scaling=(2, [3, 4, 5]), dtype="float64")

    net.save(path)
    tensors = safetensors.numpy.load_file(path)

    assert tensors.keys() == {"W1", "b1", "W2", "b2", "input_offset", "input_factor"}
    for name, want in net.get_params_dict().items():
        np.testing.assert_array_equal(tensors[name], want, strict=True)
    np.testing.assert_array_equal(tensors["input_factor"], [3, 4, 5])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_save_did_not_write_is_rejected(name: str, saved: bytes, path: Path) -> None:
    content = HOSTILE[name](*unpacked(saved))
    path.write_bytes(content)

    with rejection(path):
        fastnn.load(path)


def test_the_corpus_differs_from_a_file_that_loads_in_one_thing_each(
    saved: bytes, path: Path
) -> None:
    path.write_bytes(packed(*unpacked(saved)))

    assert fastnn.load(path).sizes == tuple(SIZES)
    for change in (network(seed=4), number("W2", 2.0)):
        path.write_bytes(change(*unpacked(saved)))
        assert fastnn.load(path).sizes == tuple(SIZES)


def test_a_file_cut_off_anywhere_is_rejected(saved: bytes, path: Path) -> None:
    for length in range(len(saved)):
        path.write_bytes(saved[:length])
        with pytest.raises(CheckpointError, match=re.escape(str(path))):
            fastnn.load(path)


def test_a_file_with_flipped_bits_is_rejected_or_is_a_network(saved: bytes, path: Path) -> None:
    rng = np.random.default_rng(0)
    rejected = 0

    for _ in range(500):
        content = bytearray(saved)
        for place in rng.integers(len(saved), size=rng.integers(1, 4)):
            content[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        try:
            loaded = fastnn.load(path)
        except CheckpointError as error:
            assert str(path) in str(error)  # noqa: PT017
            rejected += 1
        else:
            assert np.isfinite(loaded.params).all()

    assert rejected > 250  # most of the file is its header


def test_a_missing_file_is_told_as_everywhere(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(str(path))):
        fastnn.load(path)


def test_a_folder_is_not_a_network(tmp_path: Path) -> None:
    with rejection(tmp_path):
        fastnn.load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_rejected_at_once(path: Path) -> None:
    def too_late(*_: Any) -> None:
        raise TimeoutError("load waits for somebody to write into the pipe")

    os.mkfifo(path)
    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(10)

    try:
        with rejection(path):
            fastnn.load(path)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("device", "error"), [("gpu", ArgumentError), ("cuda:99", DeviceUnavailableError)]
)
def test_a_wrong_device_is_not_blamed_on_the_file(
    device: str, error: type[Exception], saved: bytes, path: Path
) -> None:
    path.write_bytes(saved)

    with pytest.raises(error, match=device):
        fastnn.load(path, device=device)


AUDITED = """
import json, sys
import fastnn
good, *others = sys.argv[1:]
fastnn.load(good)  # imports what loading needs
events, watching = [], True
sys.addaudithook(lambda name, args: watching and events.append((name, str(args[0])[:200])))
outcomes = []
for path in [good, *others]:
    try:
        fastnn.load(path)
        outcomes.append("loaded")
    except fastnn.errors.CheckpointError:
        outcomes.append("rejected")
watching = False
print(json.dumps([outcomes, events]))
"""


class Bomb:
    """An object whose pickle runs a program when it is read."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("echo fastnn-read-a-pickle",)


def test_what_load_would_refuse_is_not_saved(path: Path, device: str) -> None:
    net = fastnn.MLP([2, 3], seed=0)
    net.save(path)
    before = path.read_bytes()
    net.params[0] = np.nan

    with pytest.raises(DataError, match="need finite ones to save"):
        net.save(path)

    assert path.read_bytes() == before


def test_the_same_network_makes_the_same_file(saved: bytes, tmp_path: Path, device: str) -> None:
    for path in [tmp_path / "one", tmp_path / "two"]:
        (tmp_path / "file").write_bytes(saved)
        fastnn.load(tmp_path / "file").save(path)
        assert path.read_bytes() == saved


def test_loading_imports_runs_and_unpickles_nothing(saved: bytes, tmp_path: Path) -> None:
    bombs = {
        "pickle": pickle.dumps(Bomb()),
        "name": network(activations=["os.system"])(*unpacked(saved)),
        "module": network(output="antigravity.sigmoid")(*unpacked(saved)),
        "type": network(dtype="(1, 2)f4")(*unpacked(saved)),
        "pickle in a field": metadata(fastnn="cos\nsystem\n(S'id'\ntR.")(*unpacked(saved)),
    }
    paths = [tmp_path / "good", *(tmp_path / name for name in bombs)]
    for path, content in zip(paths, [saved, *bombs.values()], strict=True):
        path.write_bytes(content)

    done = subprocess.run(
        [sys.executable, "-c", AUDITED, *paths],
        env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    outcomes, events = json.loads(done.stdout)

    assert outcomes == ["loaded", *["rejected"] * len(bombs)]
    assert [event for event in events if event[0] != "open"] == []
    assert {event[1] for event in events} <= {str(path) for path in paths}


WRITER = """
import os, random, signal, sys, time
import fastnn
path = sys.argv[1]
nets = [fastnn.MLP([60, 60, 10], seed=seed) for seed in (1, 2)]
nets[0].save(path)
rng, seeds = random.Random(0), []
for _ in range(40):
    child = os.fork()
    if child == 0:
        while True:
            nets[1].save(path)
            nets[0].save(path)
    time.sleep(rng.uniform(0.0005, 0.012))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    found = fastnn.load(path)
    assert found.params.tobytes() == nets[found.seed - 1].params.tobytes()
    seeds.append(found.seed)
print(len(seeds), sorted(set(seeds)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_writer_killed_at_any_moment_leaves_a_whole_file(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITER, path],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.stderr == ""
    assert done.stdout == "40 [1, 2]\n"


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    function: str, error: BaseException, saved: bytes, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    path.write_bytes(saved)
    monkeypatch.setattr(os, function, fail)

    with pytest.raises(type(error)):
        fastnn.MLP([2, 2]).save(path)

    assert path.read_bytes() == saved
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="folders are flushed on POSIX systems")
def test_a_folder_that_cannot_be_flushed_is_told_and_the_new_file_is_whole(
    saved: bytes, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(descriptor: int) -> None:
        if os.path.isdir(f"/dev/fd/{descriptor}"):
            raise OSError(5, "Input/output error")

    path.write_bytes(saved)
    net = fastnn.MLP([2, 2], seed=8)
    monkeypatch.setattr(os, "fsync", fsync)

    with pytest.raises(OSError, match="Input/output error"):
        net.save(path)

    assert_equal(fastnn.load(path), net)
    assert os.listdir(path.parent) == [path.name]


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fastnn.MLP([2, 2]).save(tmp_path / "missing" / "net")

    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write into any folder"
)
def test_a_folder_that_is_read_only_keeps_its_file(saved: bytes, path: Path) -> None:
    path.write_bytes(saved)
    path.parent.chmod(0o500)

    try:
        with pytest.raises(PermissionError):
            fastnn.MLP([2, 2]).save(path)
    finally:
        path.parent.chmod(0o700)

    assert path.read_bytes() == saved


def test_what_could_not_be_read_back_is_not_written(saved: bytes, path: Path) -> None:
    path.write_bytes(saved)
    names = [f"{i:0100}" for i in range(LONGEST_HEADER // 100)]

    with pytest.raises(CheckpointError, match="class_names"):
        fastnn.MLP([1, len(names)], class_names=names).save(path)

    assert path.read_bytes() == saved


def test_the_deepest_network_can_be_read_back(path: Path) -> None:
    net = fastnn.MLP([1] * (MOST_LAYERS + 1), "leaky_relu", init="zeros", seed=1)

    net.save(path)

    assert fastnn.load(path).architecture == net.architecture
    with pytest.raises(ArgumentError, match="layers"):
        fastnn.MLP([1] * (MOST_LAYERS + 2))


@pytest.mark.skipif(os.name != "posix", reason="needs a umask")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_mode_of_a_file_follows_the_umask(mask: int, mode: int, path: Path) -> None:
    before = os.umask(mask)

    try:
        fastnn.MLP([2, 2]).save(path)
        after = os.umask(mask)
    finally:
        os.umask(before)

    assert path.stat().st_mode & 0o777 == mode
    assert after == mask


COPIES: dict[str, Callable[[fastnn.MLP], fastnn.MLP]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
}


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_copy_is_a_network_of_its_own(name: str, dtype: str, device: str) -> None:
    net = fastnn.MLP([3, 5, 2], seed=1, dtype=dtype, input_scaling=(1, [1, 2, 3]))
    before = flat(net).tobytes()

    copied = COPIES[name](net)

    assert_equal(copied, net)
    assert copied.device == device
    copied.weights[0][...] = 9
    copied.fit(np.zeros((4, 3)), np.zeros(4, int))
    assert flat(net).tobytes() == before
    assert (net.epochs, copied.epochs) == (0, 1)
    W1 = copied.backend.asnumpy(copied.weights[0])
    assert copied.get_params_dict()["W1"].tobytes() == W1.tobytes()


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_copies_and_what_is_loaded_are_aligned_and_apart(name: str, dtype: str, path: Path) -> None:
    net = fastnn.MLP([3, 5, 2], seed=1, dtype=dtype)

    net.save(path)

    for other in (COPIES[name](net), fastnn.load(path)):
        assert other.params.ctypes.data % ALIGNMENT == 0
        assert not np.shares_memory(other.params, net.params)
