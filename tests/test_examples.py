"""The examples run, and print what their readers are promised."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
needs_mnist = pytest.mark.skipif(
    "FASTNN_DATA" not in os.environ, reason="FASTNN_DATA names no folder with MNIST"
)


@pytest.fixture
def example(tmp_path: Path) -> Any:
    """Runs an example in an empty folder; what it prints."""

    def run(name: str, *arguments: str) -> str:
        path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
        return subprocess.run(
            [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments], cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": path, "MPLBACKEND": "agg"}, capture_output=True,
            text=True, timeout=500, check=True,
        ).stdout  # fmt: skip

    return run


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", text)]


def is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


def test_perceptron(example: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")

    said = example("perceptron.py")

    assert re.findall(r"\[[01 ]+\]", said) == ["[1 1 0 0]", "[1 1 1 0]", "[1 0 0 0]",
                                               "[1 0 0 0]", "[1 1 1 0]", "[0 1 1 1]"]  # fmt: skip
    assert "XOR: " in said
    assert "only what a straight line separates" in said
    (found,) = re.findall(r"from (\d+) of 100", said)
    assert int(found) >= 75
    assert is_picture(tmp_path / "xor.png")


def test_neuron(example: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")

    said = example("neuron.py")

    loss, forward = numbers(said.splitlines()[1])
    assert loss <= 1e-31
    assert forward == pytest.approx(0.7, abs=1e-15)
    assert numbers(said.splitlines()[2]) == [100]
    (line,) = (line for line in said.splitlines() if line.startswith("forward(1)"))
    assert numbers(line) == [pytest.approx(0.32, abs=1.5e-15)]
    assert "epoch    901" in said
    assert "epoch  1,000" in said
    assert is_picture(tmp_path / "neuron.png")


def test_train_and_query(example: Any) -> None:
    said = example("train_and_query.py")

    assert numbers(said.splitlines()[1])[2] == pytest.approx(0.87, abs=0.07)


def test_forward_pass(example: Any) -> None:
    outputs, softmax, large = map(numbers, example("forward_pass.py").splitlines())

    np.testing.assert_allclose(outputs, [0.31682708, 0.69627909], rtol=1e-7)
    np.testing.assert_allclose(softmax, [0.01821127, 0.24519181, 0.73659691, 1], rtol=1e-7)
    np.testing.assert_allclose(large, [9.99954600e-01, 4.53978686e-05, 2.06106005e-09], rtol=1e-8)


def test_iris(example: Any) -> None:
    median, worst, best = numbers(example("iris.py").splitlines()[-1])

    assert median >= 96
    assert worst >= 80
    assert best == 100


def test_iris_improved(example: Any) -> None:
    said = example("iris_improved.py").splitlines()

    assert len(said) == 5
    for line in said[1:]:
        assert numbers(line)[0] >= 93


@needs_mnist
def test_handwriting(example: Any, tmp_path: Path) -> None:
    Image = pytest.importorskip("PIL.Image")
    ink = np.full((120, 90), 255, np.uint8)
    ink[15:105, 40:52] = 10  # a one
    Image.fromarray(ink).save(tmp_path / "mine.png")

    said = example("handwriting.py", "mine.png").splitlines()

    assert [line.split(":")[0] for line in said[:5]] == [f"after epoch {k}" for k in range(1, 6)]
    assert numbers(said[4])[0] >= 97
    assert said[5].startswith("mine.png: 1, ")


@needs_mnist
def test_mnist_inference(example: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")

    said = example("mnist_inference.py").splitlines()

    assert said[0] == ("60,000 images of 784 pixels, from 0.0 to 1.0; the first one is a 5")
    one_by_one, in_batches = (numbers(line)[0] for line in said[1:3])
    assert one_by_one == in_batches >= 96
    assert [line.split()[-1] for line in said[3:]] == ["True", "True"]
    assert is_picture(tmp_path / "digits.png")
