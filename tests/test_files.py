"""Files are written whole or not at all."""

import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from fastnn import files
from fastnn.errors import ArgumentError, DataError

STEPS = ["fdopen", "fsync", "replace"]
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


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for target in ("there", "folder/not-yet"):
        link = tmp_path / "link"
        link.symlink_to(tmp_path / target)
        files.replace(link, b"new")
        assert link.is_symlink()
        assert (tmp_path / target).read_bytes() == b"new"
        link.unlink()


def test_the_mode_of_a_file_is_kept_and_that_of_a_new_one_follows_the_umask(tmp_path: Path) -> None:
    (tmp_path / "secret").touch(mode=0o600)
    before = os.umask(0o027)
    try:
        files.replace(tmp_path / "secret", b"new")
        files.replace(tmp_path / "new", b"new")
    finally:
        os.umask(before)

    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("secret", "new")]
    assert modes == [0o600, 0o640]


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/null")

    with pytest.raises(OSError, match="is not a regular file"):
        files.replace(path, b"new")

    assert not path.is_file()
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("path", [None, 3, 5.5, b"a", "a\0b"])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(ArgumentError, match="the path is"):
        files.open_regular(path, DataError)
    with pytest.raises(ArgumentError, match="the path is"):
        files.replace(path, b"new")


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
