"""Architecture: what a network is, apart from its numbers; checked, and fit for JSON."""

import reprlib
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn.checks import choice, flag, number
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
    dropout: tuple[float, ...]  # after each hidden layer

    @classmethod
    def checked(
        cls, sizes: Any, activation: Any, output: Any, bias: Any, class_names: Any, dropout: Any
    ) -> "Architecture":
        """From what a user or a file says: activation and dropout are one for all hidden layers,
        or one each, and are checked even where there is no hidden layer."""
        sizes = _sizes(sizes)
        output = choice("output", output, ("softmax", *ELEMENTWISE))
        bias = flag("bias", bias)
        activations = _activations(activation, len(sizes) - 2)
        names = _class_names(class_names, sizes[-1], output)
        return cls(sizes, activations, output, bias, names, _dropout(dropout, len(sizes) - 2))

    @classmethod
    def from_json(cls, values: Any) -> "Architecture":
        """From what as_json returned, or from anything at all: then it raises ArgumentError."""
        names = cls.__dataclass_fields__.keys()
        if not isinstance(values, dict) or values.keys() != names:
            raise ArgumentError(f"the architecture is {str(values)[:80]}, need {sorted(names)}")
        return cls.checked(*(values[name] for name in names))

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

    def table(self) -> str:
        """The layers, a line each: shape, activation, dropout and number of parameters."""
        rows = [("layer", "shape", "activation", "parameters")]
        dropped = [f", dropout {rate:g}" * (rate > 0) for rate in self.dropout]
        activations = [*map("".join, zip(self.activations, dropped, strict=True)), self.output]
        for k, (d, m) in enumerate(pairwise(self.sizes), start=1):
            count = d * m + (m if self.bias else 0)
            rows.append((f"{k}", f"{d} -> {m}", activations[k - 1], f"{count:,}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            f"{layer:{widths[0]}}  {shape:{widths[1]}}  {name:{widths[2]}}  {count:>{widths[3]}}"
            for layer, shape, name, count in rows
        )

    def __repr__(self) -> str:
        parts = [str(list(self.sizes))]
        if self.activations:
            one = len(set(self.activations)) == 1
            activation = self.activations[0] if one else list(self.activations)
            parts.append(f"activation={activation!r}")
        parts.append(f"output={self.output!r}")
        if any(self.dropout):
            one = len(set(self.dropout)) == 1
            parts.append(f"dropout={self.dropout[0] if one else list(self.dropout)}")
        return ", ".join(parts if self.bias else [*parts, "bias=False"])


def _sizes(sizes: Any) -> tuple[int, ...]:
    if not _is_list(sizes) or len(sizes) < 2 or not all(
        isinstance(s, int | np.integer) and not isinstance(s, bool) and s >= 1 for s in sizes
    ):  # fmt: skip
        raise ArgumentError(f"sizes is {reprlib.repr(sizes)}, need [inputs, ..., outputs], "
                            "integers >= 1")  # fmt: skip
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
        return (choice("activation", activation, ELEMENTWISE),) * hidden
    if not _is_list(activation) or len(activation) != hidden:
        raise ArgumentError(f"activation is {reprlib.repr(activation)}, need a name, or a list of "
                            f"{hidden} for the hidden layers")  # fmt: skip
    return tuple(choice("activation", a, ELEMENTWISE) for a in activation)


def _dropout(dropout: Any, hidden: int) -> tuple[float, ...]:
    if not _is_list(dropout):
        return (_rate(dropout),) * hidden
    if len(dropout) != hidden:
        raise ArgumentError(f"dropout is {reprlib.repr(dropout)}, need a number, or a list of "
                            f"{hidden} for the hidden layers")  # fmt: skip
    return tuple(map(_rate, dropout))


def _rate(value: Any) -> float:
    return number("dropout", value, "in [0, 1)", lambda rate: 0 <= rate < 1)


def _class_names(names: Any, k: int, output: str) -> tuple[str, ...] | None:
    if names is None:
        return None
    classes = 2 if k == 1 and output != "softmax" else k
    if not _is_list(names) or len(names) != classes or not all(isinstance(n, str) for n in names):
        raise ArgumentError(f"class_names is {reprlib.repr(names)}, need a list of {classes} names")
    if len(set(names)) != classes or not all(map(is_plain, names)):
        raise ArgumentError(f"class_names is {reprlib.repr(names)}, need names that differ, "
                            "without control characters")  # fmt: skip
    return tuple(str(name) for name in names)


def is_plain(name: str) -> bool:
    """Whether a name is one line of text: no control character, no half of a character."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in name)


def _is_list(values: Any) -> bool:
    if isinstance(values, np.ndarray):
        return values.ndim == 1
    return isinstance(values, Sequence) and not isinstance(values, str | bytes)
