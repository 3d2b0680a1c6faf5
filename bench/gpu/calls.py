"""Calls: each kernel of the face with arguments of n rows and m columns, ready to be launched.

Run as a module it launches them all on small odd shapes, for a memory checker.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import fastnn
from fastnn.backend import Backend
from fastnn_kernels import face

Array = Any

SHAPES = [(1, 1), (5, 1), (3, 10), (33, 50), (2, 513)]


class Call(NamedTuple):
    """A kernel with its arguments, and the bytes that it reads and writes at least."""

    name: str
    launch: Callable[[], None]
    moved: int


def calls(backend: Backend, n: int, m: int) -> Iterator[Call]:
    """One per kernel, whose arrays live as long as it does."""
    for name, kind in inspect.get_annotations(face.Kernels).items():
        arguments, updated = _ARGUMENTS[kind](backend, n, m)
        arrays = [a for a in arguments if hasattr(a, "nbytes")] + updated
        kernel = getattr(backend.kernels, name)
        yield Call(name, functools.partial(kernel, *arguments), sum(a.nbytes for a in arrays))


def numbers(backend: Backend, n: int, m: int) -> Array:
    """(n, m), from -3 to 3, so that every branch of a kernel is taken."""
    whole = backend.xp.arange(n * m, dtype="int32") % 7 - 3
    return whole.astype(backend.dtype).reshape(n, m)


# Each gives the arguments, and those of them that are both read and written.


def _bias_activation(backend: Backend, n: int, m: int) -> tuple[list[Any], list[Array]]:
    return [numbers(backend, n, m), backend.zeros(m), numbers(backend, n, m)], []


def _activation_grad(backend: Backend, n: int, m: int) -> tuple[list[Any], list[Array]]:
    return [numbers(backend, n, m) for _ in range(3)], []


def _loss(backend: Backend, n: int, m: int, target: Array) -> tuple[list[Any], list[Array]]:
    T, dT = numbers(backend, n, m), numbers(backend, n, m)
    return [T, target, backend.zeros(n), 1 / n, dT, backend.zeros(n)], []


def _loss_from_rows(backend: Backend, n: int, m: int) -> tuple[list[Any], list[Array]]:
    return _loss(backend, n, m, numbers(backend, n, m))


def _loss_from_labels(backend: Backend, n: int, m: int) -> tuple[list[Any], list[Array]]:
    return _loss(backend, n, m, _labels(backend, n, m))


def _hits(backend: Backend, n: int, m: int) -> tuple[list[Any], list[Array]]:
    return [numbers(backend, n, m), _labels(backend, n, m), backend.zeros(n)], []


def _sgd(backend: Backend, n: int, m: int) -> tuple[list[Any], list[Array]]:
    p, g = backend.zeros(n * m), backend.zeros(n * m)
    return [p, g, 1e-3, 1e-4], [p]


def _sgd_momentum(backend: Backend, n: int, m: int) -> tuple[list[Any], list[Array]]:
    p, g, v = (backend.zeros(n * m) for _ in range(3))
    return [p, g, v, 1e-3, 0.9, 1e-4], [p, v]


def _adam(backend: Backend, n: int, m: int) -> tuple[list[Any], list[Array]]:
    p, g, mean, square = (backend.zeros(n * m) for _ in range(4))
    return [p, g, mean, square, 1e-3, 0.9, 0.999, 1e-8, 0.1, 1e-4, 1.0], [p, mean, square]


def _rmsprop(backend: Backend, n: int, m: int) -> tuple[list[Any], list[Array]]:
    p, g, square = (backend.zeros(n * m) for _ in range(3))
    return [p, g, square, 1e-3, 0.99, 1e-8, 1e-4], [p, square]


def _adagrad(backend: Backend, n: int, m: int) -> tuple[list[Any], list[Array]]:
    p, g, square = (backend.zeros(n * m) for _ in range(3))
    return [p, g, square, 1e-3, 1e-10, 1e-4], [p, square]


def _penalty(backend: Backend, n: int, m: int) -> tuple[list[Any], list[Array]]:
    g, p = backend.zeros(n * m), backend.zeros(n * m)
    return [g, p, 1e-5, 1e-4], [g]


def _average(backend: Backend, n: int, m: int) -> tuple[list[Any], list[Array]]:
    a, p = backend.zeros(n * m), backend.zeros(n * m)
    return [a, p, 0.999], [a]


def _philox_bits(backend: Backend, n: int, m: int) -> tuple[list[Any], list[Array]]:
    return [7, 3, 1, backend.xp.zeros(n * m, "uint32")], []


def _dropout(backend: Backend, n: int, m: int) -> tuple[list[Any], list[Array]]:
    return [numbers(backend, n, m), 7, 3, 1, 0.3, numbers(backend, n, m)], []


_ARGUMENTS: dict[type, Callable[[Backend, int, int], tuple[list[Any], list[Array]]]] = {
    face.BiasActivation: _bias_activation,
    face.ActivationGrad: _activation_grad,
    face.LossFromRows: _loss_from_rows,
    face.LossFromLabels: _loss_from_labels,
    face.Hits: _hits,
    face.Sgd: _sgd,
    face.SgdMomentum: _sgd_momentum,
    face.Adam: _adam,
    face.RmsProp: _rmsprop,
    face.AdaGrad: _adagrad,
    face.Penalty: _penalty,
    face.Average: _average,
    face.PhiloxBits: _philox_bits,
    face.Dropout: _dropout,
}


def _labels(backend: Backend, n: int, m: int) -> Array:
    return backend.xp.arange(n, dtype="int64") % m


def main() -> None:
    count = 0
    for dtype in ("float32", "float64"):
        backend = fastnn.get_backend("cuda", dtype)
        # The pool's blocks are larger than the arrays in them and would hide a step too far.
        backend.xp.cuda.set_allocator(None)
        for n, m in SHAPES:
            for call in calls(backend, n, m):
                call.launch()
                backend.synchronize()
                count += 1
    print(f"{count} launches")


if __name__ == "__main__":
    main()
