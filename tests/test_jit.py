"""Compiled kernels on disk: found again, never trusted when damaged, and never needed."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core import codegen, config
from numba.core.serialize import dumps

from fastnn_kernels import cpu, jit

pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")

ROOT = Path(__file__).parent.parent
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")

PREDICT = """
import json
from numba.core import event
import fastnn
with event.install_recorder("numba:compile") as compiled:
    net = fastnn.MLP([4, 5, 3], seed=0)
    A = net.predict(fastnn.datasets.load_iris()[0])
starts = [e for _, e in compiled.buffer if e.is_start]
print(json.dumps({"compiled": len(starts), "answer": A.tolist()}))
"""


def predict(cache: Path, **environment: str) -> tuple[dict[str, Any], str]:
    """(answer of a new process with this cache, what it said on standard error)."""
    done = python(PREDICT, cache, **environment)
    return json.loads(done.stdout), done.stderr


def python(
    script: str, cache: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A script that has ended well, in a new process with this cache."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=os.environ | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")]),
            "FASTNN_CACHE": str(cache),
        } | environment,
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A cache folder that one process has filled, and that process's answer."""
    cache = tmp_path_factory.mktemp("cache") / "new"
    answer, said = predict(cache)
    assert said == ""
    return cache, answer


@pytest.fixture
def filled(cold: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A copy of the filled cache."""
    return Path(shutil.copytree(cold[0], tmp_path / "cache"))


def kernels(cache: Path) -> list[Path]:
    """The compiled kernels in a cache."""
    return sorted(path for path in cache.rglob("*") if path.is_file())


def test_a_first_process_fills_a_private_folder(cold: tuple[Path, dict[str, Any]]) -> None:
    cache, answer = cold

    files = kernels(cache)

    assert answer["compiled"] >= 2  # a hidden and an output layer
    assert 2 <= len(files) <= answer["compiled"]
    assert {path.parent.parent for path in files} == {cache / "kernels"}
    if os.name == "posix":
        assert files[0].parent.stat().st_mode & 0o777 == 0o700


def test_a_second_process_compiles_nothing(cold: tuple[Path, dict[str, Any]], filled: Path) -> None:
    answer, said = predict(filled)

    assert answer == {"compiled": 0, "answer": cold[1]["answer"]}
    assert said == ""


def test_damaged_kernels_are_compiled_again(
    cold: tuple[Path, dict[str, Any]], filled: Path
) -> None:
    good = {path: path.read_bytes() for path in kernels(filled)}
    for i, (path, content) in enumerate(good.items()):
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 1
        path.write_bytes([content[: len(content) // 2], bytes(flipped), b""][i % 3])

    again, said = predict(filled)
    after, _ = predict(filled)

    assert again == cold[1]
    assert said == ""
    assert after["compiled"] == 0


def test_a_cache_that_is_a_file_is_told_once_and_not_needed(
    cold: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    answer, said = predict(tmp_path / "file")

    assert answer == cold[1]
    assert said.count("RuntimeWarning") == 1
    assert "FASTNN_CACHE" in said


def test_kernels_run_without_compilation(cold: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    answer, said = predict(tmp_path / "cache", NUMBA_DISABLE_JIT="1")

    assert answer["compiled"] == 0
    assert said == ""
    assert kernels(tmp_path) == []
    # Probabilities in float32: each of two layers rounds a few times.
    np.testing.assert_allclose(answer["answer"], cold[1]["answer"], rtol=1e-5, atol=1e-6)


def doubled() -> Any:
    """A new dispatcher of one and the same small kernel."""

    @jit.jit
    def double(x, out):  # type: ignore[no-untyped-def]
        for i in range(x.size):
            out[i] = x[i] + x[i]

    return double


def run(kernel: Any) -> int:
    """How often the kernel came from disk in a call whose result is right."""
    x, out = np.arange(3.0), np.empty(3)

    kernel(x, out)

    np.testing.assert_array_equal(out, [0, 2, 4])
    return sum(kernel.stats.cache_hits.values())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of the kernels in this process, and no warning given yet."""
    path = tmp_path / "kernels" / "hash"
    monkeypatch.setattr(jit, "cache_folder", lambda: path)
    jit._warn_once.cache_clear()
    return path


def test_a_kernel_cut_off_or_flipped_anywhere_is_not_loaded(folder: Path) -> None:
    kernel = doubled()
    run(kernel)
    [path], [signature] = kernels(folder), kernel.signatures
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    lengths = {*range(70), *rng.integers(len(content), size=100), len(content) - 1}

    for length in lengths:
        path.write_bytes(content[:length])
        assert kernel._cache.load_overload(signature, kernel.targetctx) is None, length
    for place in rng.integers(len(content), size=200):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        assert kernel._cache.load_overload(signature, kernel.targetctx) is None, place

    assert run(doubled()) == 0
    assert path.read_bytes()[:32] == hashlib.sha256(path.read_bytes()[32:]).digest()
    assert run(doubled()) == 1


SOFTMAX = """
import itertools, sys
import numpy as np
from numba.core.bytecode import FunctionIdentity
from fastnn_kernels import cpu
Z, b, out = np.array([[-1.0, 0, 2]]), np.zeros(3), np.empty((1, 3))
FunctionIdentity._unique_ids = itertools.count(10**6)
for name in sys.argv[1:]:
    getattr(cpu, name)(Z, b, out)
np.testing.assert_allclose(out, np.exp(Z) / np.exp(Z).sum(), rtol=1e-14)
"""


def test_a_kernel_from_disk_calls_its_own_parts(tmp_path: Path) -> None:
    # bias_softmax calls bias_identity, and Numba counts what a process compiles.  In the second
    # process a kernel of the same factory has the number that bias_identity had in the first.
    python(SOFTMAX, tmp_path, "bias_identity", "bias_softmax")

    python(SOFTMAX, tmp_path, "bias_elu", "bias_softmax")


def test_every_kernel_has_a_name_of_its_own() -> None:
    names = [f.py_func.__qualname__ for f in vars(cpu).values() if hasattr(f, "py_func")]

    assert len(names) > 20
    assert len(set(names)) == len(names)


class Evil:
    """An object whose pickle makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.path),)


@POSIX
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_folder_that_others_can_write_is_not_used_and_told_once(
    mode: int, folder: Path, tmp_path: Path
) -> None:
    kernel = doubled()
    run(kernel)
    [path] = kernels(folder)
    payload = dumps(Evil(tmp_path / "read"))
    path.write_bytes(hashlib.sha256(payload).digest() + payload)
    folder.chmod(mode)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        hits = [run(doubled()), run(doubled())]

    assert hits == [0, 0]
    assert not (tmp_path / "read").exists()
    [warning] = caught
    assert warning.category is RuntimeWarning
    assert str(folder) in str(warning.message)
    assert "others can write" in str(warning.message)


@POSIX
@pytest.mark.parametrize("mode", [0o700, 0o755, 0o500])
def test_a_folder_that_others_only_read_is_used(mode: int, folder: Path) -> None:
    run(doubled())
    folder.chmod(mode)

    hits = run(doubled())

    folder.chmod(0o700)
    assert hits == 1


@POSIX
def test_a_folder_of_somebody_else_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(doubled())
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    with pytest.warns(RuntimeWarning, match="FASTNN_CACHE"):
        assert run(doubled()) == 0


def test_a_folder_that_cannot_be_written_is_told_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter("abcdef")

    def refuse(**_: Any) -> None:
        raise PermissionError(13, "Permission denied", str(folder / next(names)))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(doubled())
        run(doubled())

    assert len(caught) == 1
    assert "Permission denied" in str(caught[0].message)
    assert kernels(folder) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_kernel_that_cannot_be_kept_leaves_nothing_behind(
    error: BaseException, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(os, "replace", fail)

    if isinstance(error, OSError):
        with pytest.warns(RuntimeWarning, match="No space left"):
            run(doubled())
    else:
        with pytest.raises(KeyboardInterrupt):
            run(doubled())

    assert os.listdir(folder) == []


def folder_of(sources: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name that the cache folder has for these kernel sources."""
    monkeypatch.setattr(jit, "__file__", str(sources / "jit.py"))
    return jit.cache_folder.__wrapped__().name


def test_an_edit_of_any_source_names_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Path(jit.__file__).parent
    sources = Path(shutil.copytree(here, tmp_path / "sources"))
    names = [folder_of(here, monkeypatch), folder_of(sources, monkeypatch)]

    edited = []
    for path in sorted(sources.glob("*.py")):
        path.write_bytes(path.read_bytes() + b"#\n")
        edited.append(folder_of(sources, monkeypatch))

    assert names[0] == names[1]
    assert len(edited) >= 5
    assert len({names[0], *edited}) == 1 + len(edited)


def test_another_processor_has_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = jit.cache_folder.__wrapped__()
    monkeypatch.setattr(codegen, "get_host_cpu_features", lambda: "+other")

    assert jit.cache_folder.__wrapped__() != name


def test_the_folder_is_the_users_own_unless_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTNN_CACHE", str(tmp_path))
    named = jit.cache_folder.__wrapped__()
    monkeypatch.setenv("FASTNN_CACHE", "")
    own = jit.cache_folder.__wrapped__()

    assert named.parent == tmp_path / "kernels"
    assert own.is_absolute()
    assert "fastnn" in own.parts
    assert own.name == named.name
