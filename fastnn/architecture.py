"""Architecture: what a network is, apart from its numbers; checked, and fit for JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn.errors import ArgumentError
from fastnn_kernels.face import ELEMENTWISE

MOST_PARAMETERS = 2**31  # 8 GiB of float32: beyond it a size is taken for a mistake
MOST_LAYERS = 2**12  # as many fit in the header of a checkpoint


@dataclass(frozen=True)
class Architecture:
    """Layer sizes, activations and class names.  Raises ArgumentError."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]  # of the hidden layers
    output: str
    bias: bool
    class_names: tuple[str, ...] | None

    @classmethod
    def checked(
        cls, sizes: Any, activation: Any, output: Any, bias: Any, class_names: Any
    ) -> "Architecture":
        """From what a user or a file says: activation is a name for all hidden layers, or one
        each, and is checked even where there is no hidden layer."""
        sizes = _sizes(sizes)
        output = _name("output", output, ("softmax", *ELEMENTWISE))
        if bias not in (True, False):
            raise ArgumentError(f"bias is {bias!r}, need True or False")
        activations = _activations(activation, len(sizes) - 2)
        names = _class_names(class_names, sizes[-1], output)
        return cls(sizes, activations, output, bool(bias), names)

    @classmethod
    def from_json(cls, values: Any) -> "Architecture":
        """From what as_json returned, or from anything at all: then it raises ArgumentError."""
        names = {"sizes", "activations", "output", "bias", "class_names"}
        if not isinstance(values, dict) or values.keys() != names:
            raise ArgumentError(f"the architecture is {str(values)[:80]}, need {sorted(names)}")
        return cls.checked(*(values[name] for name in cls.__dataclass_fields__))

    def as_json(self) -> dict[str, Any]:
        """Values that JSON knows."""
        return asdict(self)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """{"W1": (d, m), "b1": (m,), ...}"""
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (d, m) in enumerate(pairwise(self.sizes), start=1):
            shapes[f"W{layer}"] = (d, m)
            if self.bias:
                shapes[f"b{layer}"] = (m,)
        return shapes

    def __repr__(self) -> str:
        parts = [str(list(self.sizes))]
        if self.activations:
            one = len(set(self.activations)) == 1
            activation = self.activations[0] if one else list(self.activations)
            parts.append(f"activation={activation!r}")
        parts.append(f"output={self.output!r}")
        return ", ".join(parts if self.bias else [*parts, "bias=False"])


def _sizes(sizes: Any) -> tuple[int, ...]:
    good = isinstance(sizes, Sequence | np.ndarray) and not isinstance(sizes, str | bytes)
    if not good or len(sizes) < 2 or not all(
        isinstance(s, int | np.integer) and not isinstance(s, bool) and s >= 1 for s in sizes
    ):  # fmt: skip
        raise ArgumentError(f"sizes is {sizes!r}, need [inputs, ..., outputs], integers >= 1")
    if len(sizes) - 1 > MOST_LAYERS:
        raise ArgumentError(f"sizes has {len(sizes) - 1:,} layers, need at most {MOST_LAYERS:,}")
    checked = tuple(int(s) for s in sizes)
    count = sum((d + 1) * m for d, m in pairwise(checked))
    if count > MOST_PARAMETERS:
        raise ArgumentError(f"sizes {list(checked)} make {count:,} parameters, need at most "
                            f"{MOST_PARAMETERS:,}")  # fmt: skip
    return checked


def _activations(activation: Any, hidden: int) -> tuple[str, ...]:
    if isinstance(activation, str):
        return (_name("activation", activation, ELEMENTWISE),) * hidden
    if not isinstance(activation, Sequence) or len(activation) != hidden:
        raise ArgumentError(f"activation is {activation!r}, need a name, or a list of {hidden} "
                            "for the hidden layers")  # fmt: skip
    return tuple(_name("activation", a, ELEMENTWISE) for a in activation)


def _name(what: str, name: Any, allowed: tuple[str, ...]) -> str:
    if not isinstance(name, str) or name not in allowed:
        raise ArgumentError(f"{what} is {name!r}, need one of {', '.join(allowed)}")
    return name


def _class_names(names: Any, k: int, output: str) -> tuple[str, ...] | None:
    if names is None:
        return None
    classes = 2 if k == 1 and output != "softmax" else k
    good = isinstance(names, Sequence | np.ndarray) and not isinstance(names, str)
    if not good or len(names) != classes or not all(isinstance(name, str) for name in names):
        raise ArgumentError(f"class_names is {names!r}, need a list of {classes} names")
    if len(set(names)) != classes:
        raise ArgumentError(f"class_names is {names!r}, need names that differ")
    return tuple(str(name) for name in names)
