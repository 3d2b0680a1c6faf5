"""The command line: what it prints, what it saves, and the exit code of everything that fails."""

import contextlib
import io
import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

import fastnn
from fastnn import cli, datasets, plots
from fastnn.datasets.packaged import IRIS_NAMES
from fastnn.workloads import WORKLOADS
from fastnn_kernels import jit

ROOT = Path(__file__).parent.parent
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")]),
    "PYTHONUNBUFFERED": "1",
}
COMMAND = [sys.executable, "-m", "fastnn"]

JSON_KEYS = {
    "dataset", "device", "execution", "precision", "sizes", "epochs", "batch_size", "seed",
    "seconds", "samples_per_second", "train_loss", "test_loss", "test_accuracy",
}  # fmt: skip

# What the command line changes, and what must then be true of the saved network.
OPTIONS: dict[str, tuple[str, Any]] = {
    "--hidden": ("sizes", (4, 3)),
    "--hidden 7": ("sizes", (4, 7, 3)),
    "--hidden 7 6": ("sizes", (4, 7, 6, 3)),
    "--activation relu": ("activations", ("relu",)),
    "--hidden 2 2 --activation gelu": ("activations", ("gelu", "gelu")),
    "--dtype float64": ("dtype", np.dtype("float64")),
    "--seed 18446744073709551615": ("seed", 2**64 - 1),
    "--epochs 3": ("epochs", 3),
    "--batch-size 120": ("steps", 1),
    "--batch-size 1": ("steps", 120),
    "--device cpu": ("device", "cpu"),
    "--execution layers": ("steps", 8),
    "--optimizer sgd": ("output", "softmax"),
}
RATES = ["--learning-rate 0.01", "--momentum 0", "--weight-decay 0.1", "--loss squared_error"]

# Command line, exit code, and what the one line must say.  In the folder that `files` fills.
FAILURES = [
    ("train --hidden 0", 2, "sizes"),
    ("train --epochs 0", 2, "epochs is 0"),
    ("train --batch-size 0", 2, "batch_size is 0"),
    ("train --learning-rate -1", 2, "learning_rate"),
    ("train --learning-rate nan", 2, "learning_rate"),
    ("train --momentum 1", 2, "momentum"),
    (
        "train --optimizer adam --momentum 0.9",
        2,
        "--momentum is no number of the optimizer here, adam; try --optimizer sgd",
    ),
    ("train --optimizer newton", 2, "--optimizer"),
    ("train --seed -1", 2, "seed is -1"),
    ("train --activation step", 2, "step"),
    ("train --device gpu", 2, "'gpu'"),
    ("train iris --target 0", 2, "--target"),
    ("train iris --save .", 74, "regular file"),
    ("train iris --save", 2, "--save"),
    ("train iris --plot curve.jpg", 2, ".png, .svg, .pdf"),
    ("train iris --plot missing/curve.png", 74, "missing"),
    ("train iris --plot one.png --save folder/../one.png", 2, "need two files"),
    ("predict iris.net iris", 74, "no file iris"),
    ("train words.csv --target nosuch", 2, "nosuch"),
    ("train words.csv --target --5", 2, "--target"),
    ("train words.csv --target=--5", 2, "--5"),
    ("train words.csv --target 17", 2, "17"),
    ("train words.csv --target " + "9" * 5000, 2, "target"),
    ("evaluate iris.net iris --device gpu", 2, "'gpu'"),
    ("evaluate iris.net iris --loss nosuch", 2, "--loss"),
    ("train nan.csv", 65, "nan.csv:2:1"),
    ("train ragged.csv", 65, "ragged.csv:2"),
    ("train empty.csv", 65, "empty.csv"),
    ("train binary.csv", 65, "binary.csv"),
    ("train one-class.csv", 65, "one-class.csv"),
    ("train large.csv", 65, "column 0"),
    ("train folder", 65, "folder"),
    ("evaluate damaged.net iris", 65, "damaged.net"),
    ("evaluate words.csv iris", 65, "words.csv"),
    ("evaluate iris.net words.csv", 65, "words.csv"),
    ("evaluate iris.net unknown-class.csv", 65, "lily"),
    ("predict iris.net words.csv", 65, "words.csv"),
    ("predict iris.net nan.csv", 65, "nan.csv"),
    ("predict iris.net images.idx", 65, "images.idx"),
    ("predict iris.net cut.idx", 65, "cut.idx"),
    ("predict folder words.csv", 65, "folder"),
    ("train --device cuda:99", 69, "cuda:99"),
    ("evaluate iris.net iris --device cuda:99", 69, "cuda:99"),
    ("predict iris.net words.csv --device cuda:99", 69, "cuda:99"),
    ("train missing.csv", 74, "missing.csv"),
    ("train mnist --data-dir folder", 74, "folder"),
    ("train iris --save missing/iris.net", 74, "missing"),
    ("train iris --epochs 1 --save folder", 74, "folder"),
    ("train iris --dropout 1", 2, "dropout is 1.0"),
    ("train iris --resume", 2, "--resume needs --checkpoint DIR"),
    ("train iris --checkpoint missing/run", 74, "missing"),
    ("train iris --checkpoint numbers.csv", 74, "numbers.csv"),
    ("evaluate missing.net iris", 74, "missing.net"),
    ("evaluate iris.net missing.csv", 74, "missing.csv"),
    ("predict iris.net missing.csv", 74, "missing.csv"),
    ("train numbers.csv --learning-rate 1e6", 75, "learning rate"),
    ("train iris --learning-rate 1e38 --activation relu", 75, "learning rate"),
]


class Answer(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


class Command:
    """The command line inside this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *words: str | Path) -> Answer:
        """Its answer; a usage error of argparse counts as its exit code."""
        self.capsys.readouterr()
        try:
            code: Any = cli.main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code
        return Answer(code, *self.capsys.readouterr())

    def good(self, *words: str | Path) -> str:
        """What it printed; it must end well and be silent about it."""
        answer = self(*words)
        assert (answer.code, answer.err) == (0, "")
        return answer.out

    def json(self, *words: str | Path) -> dict[str, Any]:
        """The object on its last line."""
        last: dict[str, Any] = json.loads(self.good(*words, "--json").splitlines()[-1])
        return last


@pytest.fixture
def fastnn_command(capsys: pytest.CaptureFixture[str]) -> Command:
    """fastnn, as a function."""
    return Command(capsys)


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Handlers as they were, and no data folder from outside."""
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def idx(array: np.ndarray[Any, Any]) -> bytes:
    """uint8 numbers as an IDX file."""
    return struct.pack(f">I{array.ndim}I", 0x800 | array.ndim, *array.shape) + array.tobytes()


def csv(path: Path, rows: Any, header: str = "") -> Path:
    """rows as a CSV file."""
    lines = [",".join(map(str, row)) for row in rows]
    path.write_text("\n".join([header, *lines] if header else lines) + "\n")
    return path


def regression(n: int, targets: int = 1) -> np.ndarray[Any, Any]:
    """(n, 2 + targets): two features, and linear functions of them."""
    X = np.random.default_rng(0).normal(size=(n, 2))
    return np.hstack([X, *((X @ [k + 1.0, -1])[:, None] + 0.25 for k in range(targets))])


def iris_rows() -> list[list[Any]]:
    """Iris with the names of its classes."""
    X, y = datasets.load_iris()
    return [[*row, IRIS_NAMES[label]] for row, label in zip(X, y, strict=True)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good and bad files, which no test changes."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "folder").mkdir()
    csv(folder / "words.csv", [[1, "a"], [2, "b"]] * 10, "x,y")
    csv(folder / "nan.csv", [[1, 2, 3, 4], ["nan", 2, 3, 4]])
    csv(folder / "ragged.csv", [[1, 2], [1, 2, 3]])
    csv(folder / "empty.csv", [])
    csv(folder / "one-class.csv", [[1, "a"], [2, "a"]] * 5)
    csv(folder / "large.csv", [[1.7e308, "a"], [-1.7e308, "b"]] * 5)
    csv(folder / "unknown-class.csv", [[1, 2, 3, 4, "setosa"], [1, 2, 3, 4, "lily"]])
    csv(folder / "numbers.csv", regression(50))
    (folder / "binary.csv").write_bytes(bytes(range(256)))
    (folder / "images.idx").write_bytes(idx(np.zeros((3, 8, 8), np.uint8)))
    (folder / "cut.idx").write_bytes(idx(np.zeros((3, 2, 2), np.uint8))[:-1])
    X, y = datasets.load_iris()
    scaling = datasets.standard_scaling(X)
    net = fastnn.MLP([4, 5, 3], seed=0, input_scaling=scaling, class_names=IRIS_NAMES)
    net.fit(X, y, epochs=30, batch_size=8, optimizer=fastnn.SGD(0.1, momentum=0.9))
    net.save(folder / "iris.net")
    (folder / "damaged.net").write_bytes((folder / "iris.net").read_bytes()[:-1])
    return folder


def test_train_reaches_the_floor_of_digits_and_tells_it_in_json(
    fastnn_command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "digits.net"

    out = fastnn_command.good("train", "--json", "--save", path)
    found = json.loads(out.splitlines()[-1])
    evaluated = dict(
        line.split() for line in fastnn_command.good("evaluate", path, "digits").splitlines()
    )

    assert found.keys() == JSON_KEYS
    assert found["test_accuracy"] >= 0.96
    assert (found["dataset"], found["device"], found["seed"]) == ("digits", "cpu", 0)
    assert found["execution"] in ("layers", "fused")
    assert (found["sizes"], found["epochs"], found["batch_size"]) == ([64, 32, 10], 60, 32)
    assert found["samples_per_second"] * found["seconds"] == pytest.approx(60 * 1438)
    assert float(evaluated["loss"]) == pytest.approx(found["test_loss"], rel=1e-5)
    assert float(evaluated["accuracy"]) == pytest.approx(found["test_accuracy"], rel=1e-5)
    assert 0 < found["train_loss"] < found["test_loss"]
    assert f"test accuracy {found['test_accuracy']:.2%}" in out
    assert f"saved to {path}" in out


def test_json_without_quiet_is_the_last_line_and_with_it_the_only_one(
    fastnn_command: Command, tmp_path: Path
) -> None:
    train = ["train", "iris", "--epochs", "1", "--json", "--save", str(tmp_path / "iris.net")]

    loud, quiet = fastnn_command.good(*train), fastnn_command.good(*train, "--quiet")

    assert len(loud.splitlines()) == 4
    assert len(quiet.splitlines()) == 1
    for out in (loud, quiet):
        assert json.loads(out.splitlines()[-1]).keys() == JSON_KEYS


def test_quiet_prints_nothing(fastnn_command: Command, tmp_path: Path) -> None:
    path = tmp_path / "iris.net"

    out = fastnn_command.good("train", "iris", "--epochs", "1", "--quiet", "--save", path)

    assert out == ""
    assert path.exists()


def test_the_same_seed_trains_the_same_network(fastnn_command: Command, tmp_path: Path) -> None:
    train = ["train", "iris", "--epochs", "2", "--quiet", "--save"]
    for name in ("one", "two"):
        fastnn_command.good(*train, tmp_path / name)
    fastnn_command.good(*train, tmp_path / "three", "--seed", "1")

    one, two, three = (fastnn.load(tmp_path / name).params for name in ("one", "two", "three"))

    np.testing.assert_array_equal(one, two)
    assert (one != three).any()


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_is_what_the_network_gets(
    option: str, fastnn_command: Command, tmp_path: Path
) -> None:
    name, want = OPTIONS[option]
    path = tmp_path / "net"

    fastnn_command.good("train", "iris", "--epochs", "1", "--save", path, *option.split())

    assert getattr(fastnn.load(path), name) == want


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop", "adagrad"])
def test_an_optimizer_is_chosen_by_name(name: str, fastnn_command: Command, tmp_path: Path) -> None:
    train: list[str | Path] = ["train", "iris", "--epochs", "2", "--optimizer", name, "--save"]
    numbers = ["--learning-rate", "0.02", "--weight-decay", "0.001"]

    fastnn_command.good(*train, tmp_path / "net", *numbers)

    work = fastnn.workloads.WORKLOADS["iris"]
    (X, y), _ = work.load(None)
    twin = fastnn.MLP(work.sizes, seed=0, input_scaling=work.scaling(X))
    kind: Any = fastnn.optimizers.BY_NAME[name]
    momentum = {"momentum": 0.9} if name == "sgd" else {}
    twin.fit(X, y, epochs=2, batch_size=work.batch_size,
             optimizer=kind(learning_rate=0.02, weight_decay=0.001, **momentum))  # fmt: skip
    np.testing.assert_array_equal(fastnn.load(tmp_path / "net").params, twin.params)


@pytest.mark.parametrize("option", RATES)
def test_a_rate_changes_the_training(option: str, fastnn_command: Command, tmp_path: Path) -> None:
    train = ["train", "iris", "--epochs", "1", "--quiet", "--save"]

    fastnn_command.good(*train, tmp_path / "plain")
    fastnn_command.good(*train, tmp_path / "changed", *option.split())

    plain, changed = (fastnn.load(tmp_path / name) for name in ("plain", "changed"))
    assert (plain.params != changed.params).any()


def test_classes_may_be_words(fastnn_command: Command, tmp_path: Path) -> None:
    table, net = csv(tmp_path / "iris.csv", iris_rows(), "a,b,c,d,kind"), tmp_path / "net"

    found = fastnn_command.json("train", table, "--save", net)
    accuracy = fastnn_command.good("evaluate", net, table).split()[-1]
    features = csv(tmp_path / "features.csv", [row[:4] for row in iris_rows()])
    predicted = fastnn_command.good("predict", net, features).splitlines()

    assert found["sizes"] == [4, 32, 3]
    assert found["test_accuracy"] >= 0.9
    assert found["dataset"] == str(table)
    right = np.mean([word == row[4] for word, row in zip(predicted, iris_rows(), strict=True)])
    assert float(accuracy) == pytest.approx(right, rel=1e-5)
    assert right >= 0.95


def test_classes_may_be_any_integers_in_any_column(fastnn_command: Command, tmp_path: Path) -> None:
    X, y = datasets.load_iris()
    rows = [[10 * label - 10, *row] for row, label in zip(X, y, strict=True)]
    table, net = csv(tmp_path / "t.csv", rows, "kind,a,b,c,d"), tmp_path / "net"

    found = fastnn_command.json("train", table, "--target", "kind", "--save", net, "--epochs", "30")
    evaluated = fastnn_command.good("evaluate", net, table, "--target", "0")
    predicted = fastnn_command.good("predict", net, csv(tmp_path / "f.csv", X)).splitlines()

    assert found["sizes"] == [4, 32, 3]
    assert set(predicted) == {"-10", "0", "10"}
    right = np.mean([int(word) == row[0] for word, row in zip(predicted, rows, strict=True)])
    assert right >= 0.9
    assert float(evaluated.split()[-1]) == pytest.approx(right, rel=1e-5)


def test_a_class_is_found_where_a_file_lacks_others(
    fastnn_command: Command, files: Path, tmp_path: Path
) -> None:
    table = csv(tmp_path / "virginica.csv", iris_rows()[100:])

    accuracy = fastnn_command.good("evaluate", files / "iris.net", table).split()[-1]

    assert float(accuracy) >= 0.9


@pytest.mark.parametrize("targets", [1, 3])
def test_real_targets_make_a_regression(
    targets: int, fastnn_command: Command, tmp_path: Path
) -> None:
    rows = regression(200, targets)
    names = [f"t{k}" for k in range(targets)]
    table = csv(tmp_path / "t.csv", rows, ",".join(["a", "b", *names]))
    net, features = tmp_path / "net", csv(tmp_path / "f.csv", rows[:, :2])

    found = fastnn_command.json("train", table, "--target", *names, "--save", net)
    evaluated = fastnn_command.good("evaluate", net, table, "--target", *names).split()
    lines = fastnn_command.good("predict", net, features).splitlines()

    predicted = np.array([[float(x) for x in line.split(",")] for line in lines])
    error = np.mean((predicted - rows[:, 2:]) ** 2)
    assert found["sizes"] == [2, 32, targets]
    assert found["test_accuracy"] is None
    assert found["test_loss"] < 0.1
    assert evaluated[0::2] == ["loss"]
    assert float(evaluated[1]) == pytest.approx(error, rel=1e-4)


def test_a_quantity_far_from_zero_is_learned(fastnn_command: Command, tmp_path: Path) -> None:
    area, rooms = np.random.default_rng(0).uniform([30, 1], [150, 6], (200, 2)).T
    price = 3000 * area + 10_000 * rooms + 100_000.5
    table, net = csv(tmp_path / "t.csv", np.c_[area, rooms, price]), tmp_path / "net"

    found = fastnn_command.json("train", table, "--save", net)

    assert found["test_loss"] < 0.01 * price.var()  # 99 % of the variance is explained
    X, y = np.c_[area, rooms], price
    assert fastnn.load(net).evaluate(X, y)["loss"] < 0.01 * price.var()


@pytest.mark.parametrize(("offset", "scale"), [(1.7e9, 1), (0, 1e39), (0, 1e22)])
def test_a_quantity_beyond_float32_is_refused_before_training(
    offset: float, scale: float, fastnn_command: Command, tmp_path: Path
) -> None:
    x = np.linspace(-1, 1, 50)
    table, net = csv(tmp_path / "t.csv", np.c_[x, offset + scale * x]), tmp_path / "net"

    refused = fastnn_command("train", table, "--save", net)

    assert (refused.code, refused.err.count("\n")) == (65, 1)
    assert "--dtype float64" in refused.err
    assert not net.exists()
    found = fastnn_command.json("train", table, "--dtype", "float64", "--save", net)
    assert found["test_loss"] < 0.01 * scale**2


def test_words_are_no_truth_for_a_network_of_numbers(
    fastnn_command: Command, tmp_path: Path
) -> None:
    x, net = np.linspace(0.5, 9.5, 50), tmp_path / "net"
    fastnn_command.good("train", csv(tmp_path / "t.csv", np.c_[x, x]), "--save", net)

    answer = fastnn_command("evaluate", net, csv(tmp_path / "w.csv", [[1, "a"], [2, "b"]]))

    assert (answer.code, "has words such as 'a'" in answer.err) == (65, True)


@pytest.mark.parametrize(("word", "code"), [("New\xa0York", 0), ("a\x01", 65), ("NA", 65)])
def test_classes_are_plain_words(
    word: str, code: int, fastnn_command: Command, tmp_path: Path
) -> None:
    table = csv(tmp_path / "t.csv", [[1, word], [2, "Rome"]] * 10)

    assert fastnn_command("train", table, "--epochs", "1").code == code


@pytest.mark.parametrize("dataset", ["iris", "digits"])
def test_a_named_workload_may_have_sigmoid_outputs(
    dataset: str, fastnn_command: Command, tmp_path: Path
) -> None:
    found = fastnn_command.json("train", dataset, "--loss", "binary_cross_entropy", "--save",
                                tmp_path / "net")  # fmt: skip
    figures = fastnn_command.good("evaluate", tmp_path / "net", dataset).split()

    assert found["test_accuracy"] >= 0.95
    assert float(figures[3]) == pytest.approx(found["test_accuracy"], rel=1e-5)


def test_many_different_words_are_no_classes(fastnn_command: Command, tmp_path: Path) -> None:
    table = csv(tmp_path / "t.csv", [[i, f"id{i}"] for i in range(60)])

    answer = fastnn_command("train", table)

    assert answer.code == 65
    assert "60 different values in 60 rows" in answer.err


def test_too_few_rows_are_refused(fastnn_command: Command, tmp_path: Path) -> None:
    answer = fastnn_command("train", csv(tmp_path / "t.csv", [[1, "a"], [2, "b"]]))

    assert (answer.code, "has 2 rows, need 3" in answer.err) == (65, True)


def test_integers_are_a_quantity_under_a_loss_of_regression(
    fastnn_command: Command, tmp_path: Path
) -> None:
    rows = [[x, 3 * x] for x in range(-50, 50)]
    table, net = csv(tmp_path / "t.csv", rows), tmp_path / "net"

    refused = fastnn_command("train", table)
    found = fastnn_command.json("train", table, "--loss", "huber", "--save", net)

    assert refused.code == 65
    assert "--loss mean_squared_error" in refused.err
    assert found["sizes"] == [1, 32, 1]
    assert found["test_accuracy"] is None
    assert fastnn.load(net).class_names is None


@pytest.mark.parametrize(("classes", "outputs"), [(2, 1), (3, 3)])
def test_binary_cross_entropy_knows_classes(
    classes: int, outputs: int, fastnn_command: Command, tmp_path: Path
) -> None:
    rows = iris_rows()[: 50 * classes]
    table, net = csv(tmp_path / "t.csv", rows), tmp_path / "net"
    features = csv(tmp_path / "f.csv", [row[:4] for row in rows])

    found = fastnn_command.json("train", table, "--loss", "binary_cross_entropy", "--save", net)
    accuracy = fastnn_command.good("evaluate", net, table).split()[-1]
    predicted = fastnn_command.good("predict", net, features).splitlines()

    assert found["sizes"] == [4, 32, outputs]
    assert found["test_accuracy"] >= 0.9
    right = np.mean([word == row[4] for word, row in zip(predicted, rows, strict=True)])
    assert float(accuracy) == pytest.approx(right, rel=1e-5)
    assert fastnn.load(net).output == "sigmoid"


def test_predict_reads_idx_as_it_reads_csv(fastnn_command: Command, tmp_path: Path) -> None:
    X, y = datasets.load_digits()
    net, images = tmp_path / "net", tmp_path / "images"
    images.write_bytes(idx(X.reshape(-1, 8, 8).astype(np.uint8)))
    table = csv(tmp_path / "t.csv", X.astype(int))
    fastnn_command.good("train", "--save", net, "--epochs", "20", "--quiet")

    from_idx = fastnn_command.good("predict", net, images)
    from_csv = fastnn_command.good("predict", net, table)

    assert from_idx == from_csv
    assert np.mean(np.array(from_idx.split(), int) == y) >= 0.95


def test_mnist_is_read_from_the_folder_that_is_named(
    fastnn_command: Command, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for part, n in (("train", 40), ("t10k", 10)):
        images, labels = rng.integers(0, 256, (n, 28, 28)), rng.integers(0, 10, n)
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            (tmp_path / f"{part}-{kind}-ubyte").write_bytes(idx(values.astype(np.uint8)))

    found = fastnn_command.json("train", "mnist", "--data-dir", tmp_path, "--epochs", "1")

    assert found["sizes"] == list(WORKLOADS["mnist"].sizes)
    assert (found["dataset"], found["epochs"]) == ("mnist", 1)


@pytest.mark.parametrize(("line", "code", "word"), FAILURES, ids=[f[0][:50] for f in FAILURES])
def test_a_failure_has_its_exit_code_and_one_line(
    line: str, code: int, word: str, fastnn_command: Command, files: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(files)
    before = sorted(os.listdir())

    answer = fastnn_command(*line.split())

    assert answer.code == code
    (said,) = answer.err.splitlines()
    assert word in said
    assert said.startswith("fastnn: ")
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("words", ["", "nosuch", "train --nosuch", "train --hidden x", "predict"])
def test_a_usage_error_says_what_is_wrong_in_one_line(words: str, fastnn_command: Command) -> None:
    answer = fastnn_command(*words.split())

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("fastnn: ")
    assert answer.err.count("\n") == 1
    assert "--help" in answer.err


def test_an_error_without_words_is_told_by_its_name(
    fastnn_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(fastnn, "devices", no_memory)

    assert fastnn_command("devices") == (74, "", "fastnn: MemoryError\n")


def test_a_divergence_saves_nothing(fastnn_command: Command, files: Path, tmp_path: Path) -> None:
    path = tmp_path / "net"

    answer = fastnn_command(
        "train", files / "numbers.csv", "--learning-rate", "1e6", "--save", path
    )

    assert answer.code == 75
    assert not path.exists()


def test_the_plot_is_of_the_training(
    fastnn_command: Command, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    path, drawn, draw = tmp_path / "curve.png", [], plots.learning_curve

    def watched(*arguments: Any, **options: Any) -> Any:
        drawn.append(draw(*arguments, **options))
        return drawn[-1]

    monkeypatch.setattr(plots, "learning_curve", watched)

    for dataset in ("iris", files / "numbers.csv"):
        assert str(path) in fastnn_command.good("train", dataset, "--epochs", "3", "--plot", path)

    (X, y), _ = datasets.split(*datasets.load_iris())
    net = fastnn.MLP([4, 5, 3], seed=0, input_scaling=datasets.standard_scaling(X))
    history = net.fit(X, y, epochs=3, batch_size=16, optimizer=fastnn.SGD(0.1, momentum=0.9))
    of_classes, of_quantity = drawn
    np.testing.assert_array_equal(of_classes.lines[0].get_ydata(), history.loss)
    assert "cross entropy" in of_classes.get_ylabel()
    assert "standard deviations" in of_quantity.get_ylabel()
    assert path.read_bytes().startswith(b"\x89PNG")
    assert os.listdir(tmp_path) == [path.name]


def test_a_plot_without_matplotlib_is_refused_before_training(
    fastnn_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    answer = fastnn_command("train", "iris", "--plot", tmp_path / "curve.png")

    assert (answer.code, answer.out) == (2, "")
    assert "pip install matplotlib" in answer.err
    assert os.listdir(tmp_path) == []


def test_benchmarks_without_their_harness_are_refused(
    fastnn_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pytest_benchmark", None)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it takes an hour"))

    answer = fastnn_command("bench", "--out", tmp_path / "out")

    assert (answer.code, answer.out) == (2, "")
    assert 'pip install ".[bench]"' in answer.err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("given", "words"), [
    ([], ["--out", "{here}/bench-results"]),
    (["--out", "there", "--quick"], ["--out", "{here}/there", "--quick"]),
    (["--device", "cuda", "--workload", "iris"],
     ["--out", "{here}/bench-results", "--device", "cuda", "--workload", "iris"]),
])  # fmt: skip
def test_benchmarks_run_with_what_is_asked_for_alone(
    fastnn_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    given: list[str], words: list[str],
) -> None:  # fmt: skip
    ran: list[list[str]] = []

    def run(command: list[str], **_: Any) -> Any:
        ran.append(command)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    for library in ("pytest_benchmark", "matplotlib"):
        monkeypatch.setitem(sys.modules, library, SimpleNamespace(__spec__=True))
    monkeypatch.chdir(tmp_path)

    assert fastnn_command("bench", *given).code == 0

    (command,) = ran
    assert command[1:] == ["-m", "bench.run", *(word.format(here=tmp_path) for word in words)]


def test_results_that_are_none_are_not_compared(fastnn_command: Command, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text("not JSON")

    assert fastnn_command("bench", "--compare", file, file).code == 65


@pytest.mark.parametrize("words", [["--quick"], ["--out", ""], ["--device", "cpu"],
                                   ["--workload", "iris"]])  # fmt: skip
def test_what_is_compared_is_not_timed(fastnn_command: Command, words: list[str]) -> None:
    answer = fastnn_command("bench", *words, "--compare", "a.json", "b.json")

    assert answer.code == 2
    assert "--compare reads two files and times nothing, need it alone" in answer.err


def test_help_names_the_commands(fastnn_command: Command) -> None:
    answer = fastnn_command("--help")

    assert answer.code == 0
    for name in ("train", "evaluate", "predict", "devices", "doctor"):
        assert name in answer.out


def test_version(fastnn_command: Command) -> None:
    assert fastnn_command("--version") == (0, f"fastnn {fastnn.__version__}\n", "")


def test_devices_are_listed(fastnn_command: Command) -> None:
    assert fastnn_command.good("devices").splitlines() == fastnn.devices()


def test_doctor_names_all_that_matters(fastnn_command: Command) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [name.split(">")[0] for name in project["dependencies"]]

    lines = fastnn_command.good("doctor").splitlines()

    packages = next(line for line in lines if line.startswith("packages: "))
    for name in needed:
        assert f"{name} " in packages
        assert f"{name} missing" not in packages
    for topic in ("fastnn", "processor", "threads", "kernel cache", "MNIST", "devices", "CUDA"):
        assert any(line.startswith(topic) for line in lines), topic
    assert str(jit.cache_folder()) in "\n".join(lines)


def test_doctor_says_how_many_threads_there_are_to_be(
    fastnn_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wanted, said in (("3", "threads: fused training uses up to 3"),
                         ("abc", "threads: FASTNN_NUM_THREADS is 'abc', need an int")):  # fmt: skip
        monkeypatch.setenv("FASTNN_NUM_THREADS", wanted)
        assert said in fastnn_command.good("doctor")


def test_doctor_works_without_what_it_looks_for(
    fastnn_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    monkeypatch.delenv("FASTNN_DATA", raising=False)

    assert "MNIST: pooch, which would download it, is not installed" in fastnn_command.good(
        "doctor"
    )


def test_doctor_sees_a_cache_that_cannot_be_used(
    fastnn_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o770)

    said = []
    for folder in ("file/kernels", "shared", "new/kernels"):
        monkeypatch.setattr(jit, "cache_folder", lambda folder=folder: tmp_path / folder)
        said += [s for s in fastnn_command.good("doctor").splitlines() if "kernel cache" in s]

    assert "cannot be written" in said[0]
    assert "chmod 700" in said[1]
    assert "0 compiled kernels" in said[2]


class Terminal(io.StringIO):
    """Standard error that says it is a terminal."""

    def isatty(self) -> bool:
        """True."""
        return True


def test_a_run_of_less_than_a_second_shows_no_bar(
    fastnn_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)

    fastnn_command.good("train", "iris", "--epochs", "1")

    assert screen.getvalue() == ""


def test_a_bar_is_for_terminals_only(
    fastnn_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, screen = ["train", "iris", "--epochs", "2"], Terminal()
    monkeypatch.setattr("tqdm.std.time", Clock())  # so that seconds pass

    into_a_file = fastnn_command(*train)
    monkeypatch.setattr(sys, "stderr", screen)
    fastnn_command(*train)
    shown = screen.getvalue()
    fastnn_command(*train, "--quiet")

    assert into_a_file.err == ""
    assert "samples" in shown
    assert "epoch 2/2" in shown
    assert screen.getvalue() == shown


class Clock:
    """A clock that goes on by a second at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_a_process_trains_and_says_nothing_on_standard_error() -> None:
    done = subprocess.run(
        [*COMMAND, "train", "iris", "--epochs", "1", "--json"],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[-1]).keys() == JSON_KEYS


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX pipes")
def test_a_reader_who_goes_away_is_no_error_to_explain() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        [*COMMAND, "devices"],
        cwd=ROOT, env=ENVIRONMENT | {"PYTHONUNBUFFERED": ""}, stdout=writer,
        stderr=subprocess.PIPE, timeout=60, check=False,
    )  # fmt: skip
    os.close(writer)

    assert (done.returncode, done.stderr) == (74, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_told_in_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "devices"],
            cwd=ROOT, env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip

    assert done.returncode == 74
    assert done.stderr.decode().startswith("fastnn: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_a_closed_standard_output_is_silent() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" >&-', "sh", *COMMAND, "devices"],
        cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.PIPE, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, b"")


def read_until(terminal: int, word: bytes) -> bytes:
    """What appears on a terminal up to word, or up to its end or a long silence."""
    seen = b""
    with contextlib.suppress(OSError):  # a terminal ends so
        while word not in seen and select.select([terminal], [], [], 30)[0]:
            seen += os.read(terminal, 1000)
    return seen


SIGNALS = [(signal.SIGINT, 130, "fastnn: interrupted"), (signal.SIGTERM, 143, "fastnn: terminated")]


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo terminal")
@pytest.mark.parametrize(("number", "code", "said"), SIGNALS, ids=["SIGINT", "SIGTERM"])
def test_a_signal_saves_what_has_been_learned(
    number: signal.Signals, code: int, said: str, interruptible: None, tmp_path: Path
) -> None:
    import termios

    path, (terminal, end) = tmp_path / "net", os.openpty()
    termios.tcsetwinsize(end, (24, 200))
    process = subprocess.Popen(
        [*COMMAND, "train", "iris", "--epochs", "1000000", "--save", path],
        cwd=ROOT, env=ENVIRONMENT | {"TERM": "dumb"}, stdout=subprocess.PIPE, stderr=end,
    )  # fmt: skip
    os.close(end)

    bar = read_until(terminal, b"loss=")
    process.send_signal(number)
    rest = read_until(terminal, b"\0")
    out, _ = process.communicate(timeout=60)
    os.close(terminal)

    assert b"samples" in bar
    assert process.returncode == code
    assert rest.decode().splitlines()[-1] == said
    assert b"Traceback" not in rest
    assert out.decode().splitlines()[-1].startswith(f"saved to {path}, as of step ")
    net = fastnn.load(path)
    assert net.steps > 0
    X, y = datasets.load_iris()
    assert net.evaluate(X, y)["accuracy"] > 0.9
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize(("number", "code", "said"), SIGNALS, ids=["SIGINT", "SIGTERM"])
def test_a_signal_is_told_in_one_line(
    number: signal.Signals, code: int, said: str, interruptible: None
) -> None:
    process = subprocess.Popen(
        [*COMMAND, "train", "iris", "--epochs", "1000000"],
        cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None

    process.stdout.readline()  # it has begun
    process.send_signal(number)
    _, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (code, f"{said}\n")


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_command_goes_on_to_the_same_file(
    number: signal.Signals, interruptible: None, fastnn_command: Command, tmp_path: Path
) -> None:
    folder, whole, again = tmp_path / "run", tmp_path / "whole", tmp_path / "again"
    train = ["train", "iris", "--epochs", "8000", "--dropout", "0.1", "--optimizer", "adam",
             "--execution", "layers"]  # fmt: skip
    keep = [*train, "--checkpoint", str(folder)]
    process = subprocess.Popen([*COMMAND, *keep], cwd=ROOT, env=ENVIRONMENT,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
    while not folder.is_dir() or not [*folder.glob("step-*")]:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)

    assert process.returncode == {signal.SIGKILL: -9}.get(number, 128 + number)
    told = b"the same with --resume goes on" in out
    assert told is (number != signal.SIGKILL)
    refused = fastnn_command(*keep)
    assert refused.code == 2
    assert "has a run already" in refused.err
    fastnn_command.good(*keep, "--resume", "--save", again)
    fastnn_command.good(*train, "--save", whole)
    assert again.read_bytes() == whole.read_bytes()
    assert fastnn.load(again).epochs == 8000
