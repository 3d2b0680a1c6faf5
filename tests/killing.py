"""A script: kills its own children while they write or train, and says what was lost.

It forks, which takes a millisecond where a new interpreter takes a second; so it has one thread.
"""

import hashlib
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from fastnn import snapshots

SHAPE = (64, 64)


def killed(work: Callable[[int], None], seconds: float) -> list[int]:
    """What a child wrote to its pipe, killed so long after it first did."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        try:
            work(writer)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    told = os.read(reader, 8)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    assert status in (0, signal.SIGKILL), "a child failed"
    while chunk := os.read(reader, 2**16):
        told += chunk
    os.close(reader)
    return [int.from_bytes(told[i : i + 8]) for i in range(0, len(told), 8)]


def tensors(step: int) -> dict[str, Any]:
    return {"x": np.full(SHAPE, step, np.float32)}


def write(folder: Path, writer: int) -> None:
    """Write snapshots for ever, and tell each that is there."""
    last, store = found(folder), snapshots.Snapshots(folder, resume=True)
    for step in range(last + 1, last + 10**6):
        store.write(step, tensors(step), {"step": step})
        os.write(writer, step.to_bytes(8))


def found(folder: Path) -> int:
    """The step of the last snapshot, all of whose numbers are right."""
    store = snapshots.Snapshots(folder, resume=True)
    read = store.read(lambda record: (record, {"x": ("float32", SHAPE)}))
    store.close()
    if read is None:
        return 0
    step: int = read[0]["step"]
    np.testing.assert_array_equal(read[1]["x"], tensors(step)["x"])
    return step


def kill_writers(times: int) -> None:
    """Nothing that was told is lost, and no more than three files stay."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        for _ in range(times):
            told = killed(lambda writer: write(folder, writer), rng.uniform(0, 0.01))
            assert found(folder) >= told[-1]
            assert len(list(folder.iterdir())) <= 3
    print(f"{told[-1]} snapshots, {times} writers killed, nothing lost")


def train(folder: Path | None, writer: int) -> None:
    """Train to the end, and tell the parameters."""
    os.write(writer, bytes(8))
    snapshots.SECONDS, snapshots.SHARE = 0.0, 0  # one after each step
    X, y = fastnn.datasets.load_iris()
    net = fastnn.MLP([4, 6, 3], dropout=0.2, seed=0, input_scaling=(3, 0.5))
    net.fit(X, y, epochs=20, batch_size=30, optimizer=fastnn.Adam(0.01, ema=0.9), patience=3,
            validation=0.2, checkpoint=folder, resume=folder is not None)  # fmt: skip
    os.write(writer, hashlib.sha256(net.params.tobytes()).digest()[:8])


def kill_training(times: int) -> None:
    """Runs that are killed over and over end as one that was not."""
    train(None, os.open(os.devnull, os.O_WRONLY))  # compiles, for the children too
    _, want = killed(lambda writer: train(None, writer), 5.0)
    rng, kills = random.Random(0), 0
    while kills < times:
        with tempfile.TemporaryDirectory() as name:
            told = [0]
            while len(told) == 1:
                told = killed(lambda writer: train(Path(name), writer), rng.uniform(0.01, 0.05))
                kills += len(told) == 1
            assert told[1] == want
    print(f"{kills} runs killed, the same bytes in the end")


if __name__ == "__main__":
    kill_writers(int(sys.argv[1]))
    kill_training(int(sys.argv[2]))
