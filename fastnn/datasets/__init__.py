"""Data: iris and digits inside the package, MNIST from a folder or downloaded once; readers
for IDX and CSV files, and for pictures of digits; splitting, scaling, one-hot."""

from fastnn.datasets.handwriting import load_image
from fastnn.datasets.idx import read_idx
from fastnn.datasets.mnist import load_mnist
from fastnn.datasets.packaged import load_digits, load_iris
from fastnn.datasets.preparation import (
    minmax_scaling,
    one_hot,
    scale_minmax,
    split,
    standard_scaling,
    standardize,
)
from fastnn.datasets.tables import load_csv

__all__ = [
    "load_csv", "load_digits", "load_image", "load_iris", "load_mnist", "minmax_scaling", "one_hot",
    "read_idx", "scale_minmax", "split", "standard_scaling", "standardize",
]  # fmt: skip
