"""Workloads: real training jobs, by name or from a CSV file, which double as benchmarks."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import datasets
from fastnn.architecture import is_plain
from fastnn.datasets.packaged import IRIS_NAMES
from fastnn.datasets.tables import read_csv
from fastnn.errors import DataError
from fastnn.files import PathLike
from fastnn.network import MLP
from fastnn.optimizers import SGD, Adam, Optimizer

Array = np.ndarray[Any, Any]
Pair = tuple[Array, Array]

_DIGITS = tuple("0123456789")
_SGD = SGD(learning_rate=0.1, momentum=0.9)
OUTPUT_OF = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}
_REGRESSION = ("squared_error", "mean_squared_error", "huber")


@dataclass(frozen=True)
class Workload:
    """Data, a network, and how it is trained."""

    name: str
    load: Callable[[PathLike | None], tuple[Pair, Pair]]  # data folder -> (X, y) of train, test
    scaling: Callable[[Array], tuple[Any, Any]]  # training X -> input_scaling
    class_names: tuple[str, ...] | None
    sizes: tuple[int, ...]
    activation: str = "sigmoid"
    output: str = "softmax"
    dropout: float = 0.0
    loss: str | None = None
    optimizer: Optimizer = _SGD
    epochs: int = 20
    batch_size: int | None = 32
    floor: float | None = None  # the test accuracy it must reach

    def network(self, X: Array, **named: Any) -> MLP:
        """An untrained network for training rows X; named: MLP's dtype, device and seed."""
        return MLP(
            self.sizes, self.activation, self.output, dropout=self.dropout,
            input_scaling=self.scaling(X), class_names=self.class_names, **named,
        )  # fmt: skip

    @property
    def training(self) -> dict[str, Any]:
        """The arguments of fit."""
        return {
            "loss": self.loss, "optimizer": self.optimizer, "epochs": self.epochs,
            "batch_size": self.batch_size,
        }  # fmt: skip


def _load_iris(_: PathLike | None) -> tuple[Pair, Pair]:
    return datasets.split(*datasets.load_iris())


def _load_digits(_: PathLike | None) -> tuple[Pair, Pair]:
    return datasets.split(*datasets.load_digits())


def _load_mnist(folder: PathLike | None) -> tuple[Pair, Pair]:
    return datasets.load_mnist(data_dir=folder, normalize=False)


WORKLOADS = {
    "iris": Workload(
        "iris", _load_iris, datasets.standard_scaling, IRIS_NAMES, (4, 5, 3),
        epochs=100, batch_size=16, floor=0.95,
    ),
    "digits": Workload(
        "digits", _load_digits, lambda _: (0, 1 / 16), _DIGITS, (64, 32, 10), epochs=60, floor=0.96,
    ),
    "mnist": Workload(
        "mnist", _load_mnist, lambda _: (0, 1 / 255), _DIGITS, (784, 200, 10), activation="relu",
        optimizer=SGD(learning_rate=0.05, momentum=0.9), batch_size=100, floor=0.98,
    ),
    "mnist-wide": Workload(
        "mnist-wide", _load_mnist, lambda _: (0, 1 / 255), _DIGITS, (784, 512, 512, 10),
        activation="relu", dropout=0.3, optimizer=Adam(ema=0.999), epochs=12, batch_size=100,
        floor=0.984,
    ),
}  # fmt: skip


def from_csv(path: PathLike, target: list[str] | None = None, loss: str | None = None) -> Workload:
    """A workload from a CSV file, a fifth of whose rows are held out.

    Words and whole numbers in the target column (default: the last) are classes, unless
    loss is one of regression; other numbers, and several columns, are real targets.
    Raises as datasets.load_csv, and DataError where there is no class to learn.
    """
    table = read_csv(path, target=_columns(target))
    y, names, n = table.Y, table.words, len(table.Y)
    if n < 3:
        raise DataError(f"{path}: has {n} rows, need 3 to train on some and test others")
    if names is None and y.dtype == np.int64 and loss not in _REGRESSION:
        values, y = np.unique(y, return_inverse=True)
        names = tuple(str(value) for value in values)
    if names is None:
        k = 1 if y.ndim == 1 else y.shape[1]
        output = "sigmoid" if loss == "binary_cross_entropy" else "identity"
    else:
        _check_classes(path, names, n)
        k = 1 if loss == "binary_cross_entropy" and len(names) == 2 else len(names)
        output = OUTPUT_OF.get(loss or "", "softmax")
    return Workload(
        str(path), lambda _: datasets.split(table.X, y), datasets.standard_scaling,
        names, (table.X.shape[1], 32, k), output=output, loss=loss, epochs=100,
    )  # fmt: skip


def labelled(path: PathLike, target: list[str] | None, names: tuple[str, ...] | None) -> Pair:
    """(X, y) of a CSV file, with y as the places of its words among a network's class names."""
    table = read_csv(path, target=_columns(target))
    if names is None and table.words is not None:
        raise DataError(f"{path}: the target has words such as {table.words[0]!r}, the network "
                        "predicts numbers")  # fmt: skip
    if names is None:
        return table.X, table.Y
    words, places = table.words, table.Y
    if words is None:
        values, places = np.unique(table.Y, return_inverse=True)
        words = tuple(str(value) for value in values)
    unknown = [word for word in words if word not in names]
    if unknown:
        raise DataError(f"{path}: has the class {unknown[0]!r}, the network knows "
                        f"{', '.join(names)[:400]}")  # fmt: skip
    return table.X, np.array([names.index(word) for word in words])[places]


def fitting(y: Array, output: str, k: int) -> Array:
    """Labels y (n,) as rows (n, k) where several sigmoids need them, anything else as it is."""
    return datasets.one_hot(y, k) if output == "sigmoid" and k > 1 and y.ndim == 1 else y


def _check_classes(path: PathLike, names: tuple[str, ...], n: int) -> None:
    if len(names) < 2:
        raise DataError(f"{path}: the target is always {names[0]!r}, need two classes or more")
    odd = [name for name in names if not is_plain(name)]
    if odd:
        raise DataError(f"{path}: the class {odd[0]!r} has a control character, need plain words")
    if len(names) > max(20, n // 2):
        raise DataError(f"{path}: the target has {len(names)} different values in {n} rows, too "
                        "many for classes; a quantity needs --loss mean_squared_error")  # fmt: skip


def _columns(names: list[str] | None) -> Any:
    """Columns as the command line names them: an integer is an index."""
    if names is None:
        return -1
    columns = [int(name) if re.fullmatch("-?[0-9]{1,9}", name) else name for name in names]
    return columns if len(columns) > 1 else columns[0]
