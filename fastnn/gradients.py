"""gradient_check: a gradient beside central differences of the loss, entry by entry.

For whoever writes an activation, a loss or a backward pass.  The differences know nothing
of the gradient: they run the network forward, in float64, twice per entry.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn.backend import Array
from fastnn.checks import count, number
from fastnn.errors import ArgumentError, ShapeError
from fastnn.inputs import placed
from fastnn.network import MLP
from fastnn.streams import checked_seed

STEP = math.cbrt(np.finfo(np.float64).eps)  # 6e-6
SMALL = 1e-3  # of the loss or of a tensor's largest slope: what is less is not told from rounding


@dataclass(frozen=True)
class GradientCheck:
    """The worst entry of a gradient; true where every entry looked at is within tolerance."""

    tensor: str  # "W2"
    index: tuple[int, ...]
    analytic: float
    numeric: float
    error: float  # relative, see gradient_check; NaN where either number is not finite
    tolerance: float
    wrong: int  # entries beyond the tolerance
    checked: int  # entries looked at
    size: int  # entries there are

    @property
    def ok(self) -> bool:
        """Whether none is wrong."""
        return self.wrong == 0

    def __bool__(self) -> bool:
        return self.ok

    @property
    def entry(self) -> str:
        """Where the worst entry is: "W2[3, 1]"."""
        return f"{self.tensor}[{', '.join(map(str, self.index))}]"

    def __str__(self) -> str:
        verdict = "right" if self.ok else f"wrong at {self.wrong:,}"
        looked_at = f"{self.checked:,} of {self.size:,} entries"
        return (
            f"{verdict} ({looked_at} checked); worst is {self.entry}: {self.analytic:.6g}, by "
            f"differences {self.numeric:.6g}, relative error {self.error:.2g} "
            f"(at most {self.tolerance:g})"
        )


def gradient_check(
    net: MLP, X: Any, Y: Any, loss: str | None = None, *, gradient: Any = None,
    reduction: str = "mean", entries: int | None = 100, tolerance: float = 1e-5,
    seed: int | None = 0,
) -> GradientCheck:  # fmt: skip
    """Compare net.gradient(X, Y, loss, reduction), or gradient, with central differences.

    gradient: yours instead, flat like net.params or {"W1": (d, m), "b1": (m,), ...}, all of it.
    entries: of each tensor, at most so many, drawn by seed; None is all.  A few rows of X do.
    The work is on a float64 copy of the network on the CPU; net stays as it is.

    With L the loss and x one parameter, g = dL/dx is compared with

        g' = (L(x + h) - L(x - h)) / 2h,    h = eps^(1/3) max(1, |x|)

    which balances what the difference cuts off, of order h^2, with its rounding, eps |L| / h:
    both are near eps^(2/3) = 4e-11.  Dennis and Schnabel (1983), Numerical methods for
    unconstrained optimization, 5.6.  The error of an entry is

        |g - g'| / max(|g|, |g'|, |L| / 1000, max |g'| of the tensor / 1000)

    and the tolerance of 1e-5 is 270 times the rounding of the smallest entries, which leaves
    room for wide layers and unscaled inputs; a wrong formula is off by 1e-3 or far more.  A
    gradient of yours in float32, 6e-8 of L, needs a tolerance of 1e-3 for the same reason.

    The limits: with a kink between x - h and x + h, as relu has where a row's Z is 0, the
    difference is no derivative, and a right gradient looks wrong: try other or fewer rows, or
    scaled inputs.  Where the loss is nearly 0 its rounding is more than eps |L|: check an
    untrained network.

    Raises as MLP.gradient; ArgumentError for names, ShapeError for shapes in gradient; and
    DataError for a network that is not finite.
    """
    tolerance = number("tolerance", tolerance, "> 0", lambda x: x > 0)
    entries = None if entries is None else count("entries", entries)
    rng = np.random.default_rng(checked_seed(seed))
    with net.backend.active():
        X, Y = (
            net.backend.asnumpy(placed(x, name, net.backend)) for x, name in ((X, "X"), (Y, "Y"))
        )
        twin = _float64_on_cpu(net)
        g = None if gradient is None else _by_name(gradient, net)
    own = twin.layout.views(twin.gradient(X, Y, loss, reduction)[1])
    rows = len(X) if reduction == "sum" else 1

    def L() -> float:
        return rows * twin.evaluate(X, Y, loss)["loss"]

    parts = [
        _Part.compared(name, x, (g or own)[name], L, _drawn(x.size, entries, rng))
        for name, x in twin.layout.views(twin.params).items()
    ]
    worst = max(parts, key=lambda part: np.nan_to_num(part.errors.max(), nan=math.inf))
    return worst.result(
        tolerance,
        wrong=sum(int((~(part.errors <= tolerance)).sum()) for part in parts),
        checked=sum(len(part.places) for part in parts), size=twin.layout.count,
    )  # fmt: skip


@dataclass(frozen=True)
class _Part:
    """The entries looked at in one tensor."""

    tensor: str
    shape: tuple[int, ...]
    places: Array  # in the raveled tensor
    analytic: Array
    numeric: Array
    errors: Array

    @classmethod
    def compared(
        cls, tensor: str, x: Array, g: Array, L: Callable[[], float], places: Array
    ) -> "_Part":
        """The tensor's gradient g beside differences of L, which sees x change."""
        flat = x.reshape(-1)  # a view: x is contiguous
        analytic = g.reshape(-1)[places]
        numeric = np.array([_slope(L, flat, i) for i in places])
        with np.errstate(all="ignore"):
            small = SMALL * max(abs(L()), np.abs(numeric).max())
            size = np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), small)
            errors = np.abs(analytic - numeric) / np.maximum(size, np.finfo(np.float64).tiny)
        return cls(tensor, x.shape, places, analytic, numeric, errors)

    def result(self, tolerance: float, **counts: int) -> GradientCheck:
        """This part's worst entry, and what is counted of all parts."""
        i = int(self.errors.argmax())  # the first NaN, where there is one
        index = tuple(map(int, np.unravel_index(self.places[i], self.shape)))
        return GradientCheck(
            self.tensor, index, float(self.analytic[i]), float(self.numeric[i]),
            float(self.errors[i]), tolerance, **counts,
        )  # fmt: skip


def _slope(L: Callable[[], float], x: Array, i: int) -> float:
    """dL/dx[i] by a central difference; x is as before afterwards."""
    at = float(x[i])
    h = STEP * max(1.0, abs(at))
    above, below = at + h, at - h  # what rounding made of them is what is divided by
    x[i] = above
    L_above = L()
    x[i] = below
    L_below = L()
    x[i] = at
    return (L_above - L_below) / (above - below)


def _drawn(size: int, entries: int | None, rng: np.random.Generator) -> Array:
    if entries is None or entries >= size:
        return np.arange(size)
    return np.sort(rng.choice(size, entries, replace=False))


def _float64_on_cpu(net: MLP) -> MLP:
    params = {name: x.astype(np.float64) for name, x in net.get_params_dict().items()}
    scaling = None if net.scaling is None else (net.scaling.offset, net.scaling.factor)
    return MLP.from_params(
        params, net.activations, net.output, device="cpu", seed=net.seed, input_scaling=scaling
    )


def _by_name(gradient: Any, net: MLP) -> dict[str, Array]:
    """A caller's gradient as float64 arrays in host memory, one per tensor of net."""
    shapes = net.layout.shapes
    if not isinstance(gradient, dict):
        flat = _placed(gradient, "gradient", net)
        if flat.shape != (net.layout.size,):
            raise ShapeError(f"gradient is {flat.shape}, need ({net.layout.size},) as net.params "
                             f"is, or a dict of {', '.join(shapes)}")  # fmt: skip
        return net.layout.views(flat)
    if gradient.keys() != shapes.keys():
        raise ArgumentError(f"gradient has {sorted(map(str, gradient))}, need {list(shapes)}")
    arrays = {name: _placed(gradient[name], f"gradient {name}", net) for name in shapes}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ShapeError(f"gradient {name} is {arrays[name].shape}, need {shape}")
    return arrays


def _placed(values: Any, name: str, net: MLP) -> Array:
    return net.backend.asnumpy(placed(values, name, net.backend)).astype(np.float64)
