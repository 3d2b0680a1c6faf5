"""Workloads: real training jobs, by name or from a CSV file, which double as benchmarks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import datasets
from fastnn.datasets.packaged import IRIS_NAMES
from fastnn.datasets.tables import Column, read_csv
from fastnn.errors import ArgumentError, DataError
from fastnn.files import PathLike
from fastnn.optimizers import SGD

Array = np.ndarray[Any, Any]
Pair = tuple[Array, Array]

_DIGITS = tuple("0123456789")
_SGD = SGD(learning_rate=0.1, momentum=0.9)
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
    loss: str | None = None
    optimizer: SGD = _SGD
    epochs: int = 20
    batch_size: int | None = 32
    floor: float | None = None  # the test accuracy it must reach


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
}  # fmt: skip


def from_csv(
    path: PathLike, target: list[Column] | None = None, loss: str | None = None
) -> Workload:
    """A workload from a CSV file, a fifth of whose rows are held out.

    Words and whole numbers in the target column (default: the last) are classes, unless
    loss is one of regression; other numbers, and several columns, are real targets.
    Raises as datasets.load_csv, and DataError where there is no class to learn.
    """
    columns: Any = -1 if target is None else target[0] if len(target) == 1 else target
    table = read_csv(path, target=columns)
    if len(table.Y) < 3:
        raise DataError(f"{path}: has {len(table.Y)} rows, need 3 to train on some and test others")
    y, names, k = table.Y, table.words, 1 if table.Y.ndim == 1 else table.Y.shape[1]
    output = "sigmoid" if loss == "binary_cross_entropy" else "identity"
    if names is None and y.dtype == np.int64 and loss not in _REGRESSION:
        y, names = _classes(path, y)
    if names is not None:
        if len(names) < 2:
            raise DataError(f"{path}: the target is always {names[0]!r}, need two classes or more")
        k = len(names)
        if loss == "binary_cross_entropy" and k == 2:
            k = 1
        elif loss == "binary_cross_entropy":
            y = datasets.one_hot(y, k)
        elif loss not in _REGRESSION:
            output = "softmax"
    return Workload(
        str(path), lambda _: datasets.split(table.X, y), datasets.standard_scaling,
        names, (table.X.shape[1], 32, k), output=output, loss=loss, epochs=100,
        optimizer=SGD(learning_rate=0.1 if names else 0.01, momentum=0.9),
    )  # fmt: skip


def labels_of(path: PathLike, target: list[Column] | None, names: tuple[str, ...] | None) -> Pair:
    """(X, y) of a CSV file, with y as the numbers of a network's class names, if it has any."""
    columns: Any = -1 if target is None else target[0] if len(target) == 1 else target
    table = read_csv(path, target=columns)
    if names is None:
        return table.X, table.Y
    words = table.words or tuple(str(v) for v in np.unique(table.Y))
    unknown = [word for word in words if word not in names]
    if unknown:
        raise DataError(f"{path}: has the class {unknown[0]!r}, the network knows "
                        f"{', '.join(names)}")  # fmt: skip
    places = np.array([names.index(word) for word in words])
    return table.X, places[np.unique(table.Y, return_inverse=True)[1]]


def _classes(path: PathLike, y: Array) -> tuple[Array, tuple[str, ...]]:
    values, labels = np.unique(y, return_inverse=True)
    if len(values) > max(20, len(y) // 2):
        raise ArgumentError(f"{path}: the target has {len(values)} whole numbers in {len(y)} "
                            "rows, too many for classes; use loss mean_squared_error")  # fmt: skip
    return labels.astype(np.int64), tuple(str(v) for v in values)
