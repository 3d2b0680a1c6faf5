"""Data that come with fastnn, as plain files beside this one.

iris.csv: R. A. Fisher (1936), The use of multiple measurements in taxonomic problems,
with the values of that paper; UCI Machine Learning Repository, CC BY 4.0.
digits-*.gz: E. Alpaydin, C. Kaynak (1998), Optical recognition of handwritten digits, its
test part; UCI Machine Learning Repository, CC BY 4.0.
"""

from pathlib import Path
from typing import Any

import numpy as np

from fastnn.datasets.idx import read_idx
from fastnn.datasets.tables import load_csv

IRIS_NAMES = ("setosa", "versicolor", "virginica")

_HERE = Path(__file__).parent


def load_iris() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """X (150, 4) float64: sepal length and width, petal length and width, in cm; y (150,)
    int64: 0 setosa, 1 versicolor, 2 virginica."""
    return load_csv(_HERE / "iris.csv")


def load_digits() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """X (1797, 64) float64: 8 x 8 pixels in 0..16; y (1797,) int64: the digit."""
    images, labels = read_idx(_HERE / "digits-images.gz"), read_idx(_HERE / "digits-labels.gz")
    return images.reshape(len(images), 64).astype(np.float64), labels.astype(np.int64)
