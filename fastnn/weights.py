"""Weights: what a row's loss counts for in training, from sample_weight and class_weight.

Both multiply.  Without either there are none, and training holds one constant for all rows.
"""

import math
import reprlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastnn.backend import Array
from fastnn.checks import number
from fastnn.errors import ArgumentError, DataError, ShapeError
from fastnn.inputs import placed
from fastnn.losses import Loss, Targets, check_each


def weighted_by_sample(targets: Targets, sample_weight: Any, n: int, loss: Loss) -> Targets:
    """targets of n rows that count as sample_weight (n,) says.

    Raises ShapeError, DTypeError, DataError, DeviceError.
    """
    weights = placed(sample_weight, "sample_weight", loss.backend)
    if weights.shape != (n,):
        raise ShapeError(f"sample_weight is {weights.shape} for {n} rows of X, need ({n},)")
    check_each(weights, lambda w: (w >= 0) & (w < np.inf),
               "sample_weight has {}, need finite numbers >= 0")  # fmt: skip
    with np.errstate(over="ignore"):
        return replace(targets, weights=loss.there(weights, np.float64))


def ready(
    targets: Targets, class_weight: Any, class_names: Sequence[str] | None, loss: Loss
) -> Targets:
    """targets to train on: their weights times those of their classes and loss.factor.

    They are in the network's type then.  Raises ArgumentError, DataError.
    """
    factors = {}
    if targets.weights is not None:
        factors["sample_weight"] = targets.weights
    if class_weight is not None:
        factors["class_weight"] = _of_class(targets, class_weight, class_names, loss)
    if not factors:
        return targets
    names = " times ".join(factors)
    with np.errstate(over="ignore"):
        weights = loss.backend.asarray(math.prod(factors.values(), start=loss.factor))
    check_each(weights, np.isfinite, f"{names} goes beyond {loss.backend.dtype} and becomes {{}}")
    if not weights.any():
        raise DataError(f"{names} is 0 for each of the {len(weights)} rows to train on, need one "
                        "above 0")  # fmt: skip
    return replace(targets, weights=weights)


def has_classes(targets: Targets) -> bool:
    """Whether each row has one class; under cross-entropy a row may be shared among several."""
    Y = targets.values
    return targets.labels is not None and (Y.ndim == 1 or bool(((Y == 0) | (Y == 1)).all()))


def _of_class(
    targets: Targets, class_weight: Any, class_names: Sequence[str] | None, loss: Loss
) -> Array:
    """(n,) float64: the weight of each row's class."""
    is_balanced = isinstance(class_weight, str) and class_weight == "balanced"
    if not is_balanced and not isinstance(class_weight, dict):
        raise ArgumentError(f"class_weight is {reprlib.repr(class_weight)}, need a dict "
                            "{class: weight} or 'balanced'")  # fmt: skip
    if not has_classes(targets):
        raise ArgumentError("class_weight needs one class for each row, labels or rows with a "
                            "single 1, which Y does not have; use sample_weight")  # fmt: skip
    classes = 2 if loss.k == 1 and loss.output != "softmax" else loss.k
    if is_balanced:
        table = _balanced(loss.backend.asnumpy(targets.labels), classes)
    else:
        table = _table(class_weight, classes, class_names)
    return loss.backend.asarray(table, np.float64)[targets.labels]


def _balanced(labels: Array, classes: int) -> Array:
    """n / (k * count), with k the classes that occur: over the rows they average 1."""
    counts = np.bincount(labels, minlength=classes)
    return len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))


def _table(class_weight: dict[Any, Any], classes: int, names: Sequence[str] | None) -> Array:
    table, seen = np.ones(classes), set()
    for key, value in class_weight.items():
        place = _place(key, classes, names)
        if place in seen:
            raise ArgumentError(f"class_weight has class {place} twice, by index and by name; "
                                "keep one")  # fmt: skip
        seen.add(place)
        table[place] = number(f"class_weight[{key!r}]", value, ">= 0", lambda w: w >= 0)
    return table


def _place(key: Any, classes: int, names: Sequence[str] | None) -> int:
    if isinstance(key, str) and key in (names or ()):
        return list(names or ()).index(key)
    is_index = isinstance(key, int | np.integer) and not isinstance(key, bool)
    if is_index and 0 <= key < classes:
        return int(key)
    known = f", or a name: {', '.join(names)[:400]}" if names else ""
    raise ArgumentError(f"class_weight has class {reprlib.repr(key)}, need 0 to {classes - 1}"
                        f"{known}")  # fmt: skip
