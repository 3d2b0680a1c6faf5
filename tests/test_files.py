"""Files are written whole or not at all."""

import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from fastnn import files
from fastnn.errors import DataError

STEPS = ["fdopen", "fsync", "chmod", "replace"]
FAILURES = [OSError(28, "No space left on device"), KeyboardInterrupt()]


@pytest.mark.parametrize("content", [b"", b"one", bytes(10**6)])
def test_what_is_written_is_read(tmp_path: Path, content: bytes) -> None:
    files.replace(tmp_path / "a", content)

    with files.open_regular(tmp_path / "a", DataError) as file:
        assert files.size(file) == len(content)
        assert file.read() == content


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old and longer")

    files.replace(os.fspath(tmp_path / "a"), b"new")

    assert (tmp_path / "a").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.skipif(os.name != "posix", reason="this system has no umask")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_file_has_the_rights_of_any_other(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        files.replace(tmp_path / "a", b"new")
        after = os.umask(umask)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask
    assert after == umask


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("failure", FAILURES, ids=["full", "interrupted"])
def test_a_failure_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, failure: BaseException
) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def fail(*args: Any) -> NoReturn:
        if step == "fdopen":
            os.close(args[0])
        raise failure

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(failure)):
        files.replace(tmp_path / "a", b"new")

    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_the_content_is_flushed_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    fsync, replace = os.fsync, os.replace

    def flush(descriptor: int) -> None:
        mode = os.fstat(descriptor).st_mode
        calls.append("folder" if stat.S_ISDIR(mode) else f"{os.fstat(descriptor).st_size} bytes")
        fsync(descriptor)

    def rename(old: str, new: str) -> None:
        calls.append("rename")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", rename)
    files.replace(tmp_path / "a", b"new")

    assert calls == ["3 bytes", "rename", "folder"]


def test_a_system_that_cannot_open_folders_flushes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    monkeypatch.setattr(files, "os", SimpleNamespace(**{**vars(os), "name": "nt"}))
    monkeypatch.setattr(files, "_flush", flushed.append)

    files.replace(tmp_path / "a", b"new")

    assert (tmp_path / "a").read_bytes() == b"new"
    assert flushed == []


def test_a_folder_that_is_not_there_is_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        files.replace(tmp_path / "missing" / "a", b"new")


@pytest.mark.parametrize("place", ["", "/dev/null"])
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, place: str) -> None:
    with pytest.raises(DataError, match="is not a regular file"):
        files.open_regular(tmp_path / place, DataError)
