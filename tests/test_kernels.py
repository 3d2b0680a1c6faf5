"""Every compiled kernel against its float64 definition, and each definition against mpmath.

`kernels` is each device's module: see conftest.
"""

import inspect
import re
import warnings
from types import ModuleType
from typing import Any

import mpmath
import numba
import numpy as np
import pytest

from fastnn_kernels import cpu, cuda, face, philox, reference, scalars
from fastnn_kernels.jit import OPTIONS

Array = np.ndarray[Any, Any]

KERNELS = inspect.get_annotations(face.Kernels)
ACTIVATIONS = [*face.ELEMENTWISE, "softmax"]
LOSSES = ["softmax_cross_entropy", "sigmoid_cross_entropy", "squared_error", "huber"]
SHAPES = [(0, 3), (1, 1), (1, 7), (5, 1), (3, 10), (2, 513)]
SPECIAL = [np.nan, np.inf, -np.inf, 1e4, -1e4, 90.0, -90.0, 0.0, -0.0, 1.0, -1.0]
DTYPES = [np.float32, np.float64]

# A kernel has an exponential of 1.1 units in the last place and a few operations more.
ULPS = 5


def exponent_error(name: str, z: Array) -> Any:
    """How many units in the last place exp(u) moves when u is rounded a few times: |u|."""
    z = np.nan_to_num(np.abs(z).astype(np.float64), posinf=0)
    return 3 * np.minimum(1.6 * (z + 0.045 * z**3), 90) if name == "gelu" else np.minimum(z, 90)


def assert_close(got: Array, want: Array, *, scale: Any = 1.0, ulps: Any = ULPS) -> None:
    """Equal NaN and infinities, the rest within ulps of the larger of want and scale."""
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite])
    scale, ulps = np.broadcast_to(scale, want.shape), np.broadcast_to(ulps, want.shape)
    size = np.maximum(np.abs(want[finite]), scale[finite])
    error = np.abs(got[finite].astype(np.float64) - want[finite])
    assert np.all(error <= ulps[finite] * np.finfo(got.dtype).eps * size), error / size


def draw(*shape: int, dtype: Any, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(0, 3, shape).astype(dtype)


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_every_module_has_the_face(name: str) -> None:
    parameters = list(inspect.signature(KERNELS[name].__call__).parameters)[1:]

    for module in (reference, cpu, cuda):
        assert list(inspect.signature(getattr(module, name)).parameters) == parameters


def test_modules_have_no_kernel_that_the_face_lacks() -> None:
    def names(module: ModuleType) -> set[str]:
        return {
            name for name in vars(module)
            if re.fullmatch(r"bias_\w+|[a-z]\w*_grad|sgd\w*|adam|rmsprop|adagrad|philox_bits|hits|"
                            r"dropout|penalty|average", name)
        }  # fmt: skip

    assert names(cpu) == names(reference) == names(cuda)
    assert names(cpu) <= set(KERNELS)


EXACT = {
    "identity": lambda z: z,
    "step": lambda z: mpmath.mpf(z > 0),
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "tanh": mpmath.tanh,
    "relu": lambda z: max(z, 0),
    "leaky_relu": lambda z: z if z > 0 else mpmath.mpf("0.01") * z,
    "elu": lambda z: z if z > 0 else mpmath.expm1(z),
    "softplus": lambda z: mpmath.log1p(mpmath.exp(z)),
    "gelu": lambda z: (
        z / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (z + mpmath.mpf("0.044715") * z**3)))
    ),
    "silu": lambda z: z / (1 + mpmath.exp(-z)),
}


@pytest.mark.parametrize("name", face.ELEMENTWISE)
def test_reference_is_the_textbook_formula(name: str) -> None:
    points = np.concatenate([np.linspace(-30, 30, 241), [1e-9, -1e-9, 700, -700]])

    points = points[points != 0]  # a kink of some
    with mpmath.workdps(60):
        exact = [mpmath.mpf(float(z)) for z in points]
        want = np.array([float(EXACT[name](z)) for z in exact])
        want_slope = np.array([float(mpmath.diff(EXACT[name], z)) for z in exact])
    got = getattr(reference, name)(points)
    slope = getattr(reference, f"{name}_slope")(points if name in ("gelu", "silu") else got)

    # gelu's formula cancels to 60 digits less its size; 3 |u| <= 2100 is its argument's rounding.
    tail = 1e-55 if name == "gelu" else 0
    np.testing.assert_allclose(got, want, rtol=2100 * 2.2e-16 if tail else 2e-15, atol=tail)
    # Slopes come from 1 - a or a + 1: right to one rounding of 1, times |z| for the gates.
    np.testing.assert_allclose(slope, want_slope, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_bias_activation(name: str, dtype: Any, shape: tuple[int, int], kernels: Any) -> None:
    Z, b = draw(*shape, dtype=dtype), draw(shape[1], dtype=dtype, seed=1)
    got, want = np.full(shape, np.nan, dtype), np.full(shape, np.nan)

    getattr(kernels, f"bias_{name}")(Z, b, got)
    getattr(reference, f"bias_{name}")(Z, b, want)

    if name == "softmax":  # z - max and the sum are rounded too, each once per column
        assert_close(got, want, ulps=ULPS + 40 + shape[1], scale=np.finfo(dtype).tiny)
    else:
        ulps = ULPS + exponent_error(name, Z + b)
        assert_close(got, want, ulps=ulps, scale=np.finfo(dtype).tiny / np.finfo(dtype).eps)
    if name == "softmax" and shape[0]:
        np.testing.assert_allclose(got.sum(axis=1), 1, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_grad(name: str, dtype: Any, shape: tuple[int, int], kernels: Any) -> None:
    Z, dA = draw(*shape, dtype=dtype), draw(*shape, dtype=dtype, seed=1)
    T = Z.copy()
    if name not in ("gelu", "silu"):
        getattr(kernels, f"bias_{name}")(Z, np.zeros(shape[1], dtype), T)
    got, want = np.full(shape, np.nan, dtype), np.full(shape, np.nan)

    getattr(kernels, f"{name}_grad")(T, dA, got)
    getattr(reference, f"{name}_grad")(T, dA, want)

    # 1 - a and a - 1 are exact to one rounding of 1, so the error is relative to dA; softmax
    # sums m products, gelu multiplies the rounding of s by |z|.
    scale = np.abs(dA) * (1 + np.abs(Z)) if name != "softmax" else np.abs(dA).max(initial=0)
    assert_close(got, want, scale=scale, ulps=ULPS + (shape[1] if name == "softmax" else 0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [f"bias_{n}" for n in ACTIVATIONS])
def test_special_values_pass_without_a_warning(name: str, dtype: Any, kernels: Any) -> None:
    Z, b = np.array(SPECIAL, dtype)[:, None], np.zeros(1, dtype)
    got, want = np.full_like(Z, np.nan), np.empty_like(Z)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(kernels, name)(Z, b, got)
        getattr(reference, name)(Z, b, want)

    assert np.isnan(got[0, 0])
    # Below the smallest normal number a kernel may give 0.
    assert_close(got, want, scale=np.finfo(dtype).tiny / np.finfo(dtype).eps, ulps=ULPS + 270)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", face.ELEMENTWISE)
def test_gradient_at_special_values(name: str, dtype: Any, kernels: Any) -> None:
    Z, one = np.array(SPECIAL, dtype)[:, None], np.ones((len(SPECIAL), 1), dtype)
    T = Z.copy()
    if name not in ("gelu", "silu"):
        getattr(reference, f"bias_{name}")(Z, np.zeros(1, dtype), T)
    got, want = np.full_like(Z, np.nan), np.empty_like(Z)

    getattr(kernels, f"{name}_grad")(T, one, got)
    getattr(reference, f"{name}_grad")(T, one, want)

    assert_close(got, want, scale=np.finfo(dtype).tiny / np.finfo(dtype).eps, ulps=ULPS + 270)
    assert np.isnan(got[0, 0]) == (name not in ("identity", "step"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["softmax_grad", *(f"{n}_grad" for n in face.ELEMENTWISE)])
def test_nan_in_the_gradient_stays(name: str, dtype: Any, kernels: Any) -> None:
    T, dA = np.full((1, 3), 0.3, dtype), np.array([[1, np.nan, 2]], dtype)

    getattr(kernels, name)(T, dA, dA)

    assert np.isnan(dA[0, 1])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_output_may_be_an_input(name: str, shape: tuple[int, int], kernels: Any) -> None:
    Z, b = draw(*shape, dtype=np.float32), draw(shape[1], dtype=np.float32)
    apart = np.full_like(Z, np.nan)
    activate, grad = getattr(kernels, f"bias_{name}"), getattr(kernels, f"{name}_grad")

    activate(Z, b, apart)
    in_place = Z.copy()
    activate(in_place, b, in_place)
    np.testing.assert_array_equal(in_place, apart)

    dA = draw(*shape, dtype=np.float32, seed=2)
    grad(Z, dA, apart)
    in_place = dA.copy()
    grad(Z, in_place, in_place)
    np.testing.assert_array_equal(in_place, apart)


def loss_arguments(name: str, shape: tuple[int, int], dtype: Any) -> tuple[Array, Array, Array]:
    T, rng = draw(*shape, dtype=dtype), np.random.default_rng(3)
    Y = rng.dirichlet(np.ones(shape[1]), shape[0]) if "entropy" in name else rng.normal(size=shape)
    return T, Y.astype(dtype).reshape(shape), rng.uniform(0.5, 2, shape[0]).astype(dtype)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_loss_from_rows(
    name: str, dtype: Any, shape: tuple[int, int], in_place: bool, kernels: Any
) -> None:
    T, Y, w = loss_arguments(name, shape, dtype)
    want_dT, want_loss = np.full(shape, np.nan), np.full(shape[0], np.nan)
    getattr(reference, name)(T, Y, w, 0.25, want_dT, want_loss)
    dT, loss = T if in_place else np.full(shape, np.nan, dtype), np.full(shape[0], np.nan, dtype)

    getattr(kernels, name)(T, Y, w, 0.25, dT, loss)

    # m terms, each as large as |z| or d^2 / 2 <= 100, are summed.
    assert_close(loss, want_loss, scale=100, ulps=ULPS + shape[1])
    assert_close(dT, want_dT, scale=2, ulps=ULPS + 20)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_labels_are_rows_of_ones(dtype: Any, shape: tuple[int, int], kernels: Any) -> None:
    T, _, w = loss_arguments("softmax_cross_entropy", shape, dtype)
    y = np.random.default_rng(0).integers(0, shape[1], shape[0])
    Y = (y[:, None] == np.arange(shape[1])).astype(dtype)
    want_dT, want_loss = np.empty(shape), np.empty(shape[0])
    reference.softmax_cross_entropy(T, Y, w, 0.5, want_dT, want_loss)

    for module in (kernels, reference):
        dT, loss = T.copy(), np.full(shape[0], np.nan, dtype)
        module.softmax_cross_entropy_labels(dT, y, w, 0.5, dT, loss)
        assert_close(loss, want_loss, scale=10)
        assert_close(dT, want_dT, scale=2, ulps=ULPS + 10)


def test_a_confidently_wrong_logit_keeps_its_gradient(kernels: Any) -> None:
    T, w = np.array([[200, 0]], np.float32), np.ones(1, np.float32)

    for module in (kernels, reference):
        dT, loss = np.full_like(T, np.nan), np.full(1, np.nan, np.float32)
        module.softmax_cross_entropy_labels(T, np.array([1]), w, 1.0, dT, loss)
        np.testing.assert_array_equal(dT, [[1, -1]])
        assert loss[0] == 200


def test_loss_of_a_uniform_guess_is_log_k(kernels: Any) -> None:
    T, w = np.zeros((5, 10)), np.ones(5)

    for module in (kernels, reference):
        dT, loss = np.full_like(T, np.nan), np.full(5, np.nan)
        module.softmax_cross_entropy(T, np.eye(10)[:5], w, 1.0, dT, loss)
        np.testing.assert_allclose(loss, np.log(10), rtol=1e-15)


@pytest.mark.parametrize("name", LOSSES)
def test_huge_and_nan_logits_in_a_loss(name: str, kernels: Any) -> None:
    T = np.array([[1e4, -1e4], [-1e4, 1e4], [np.nan, 0]], np.float32)
    Y, w = np.array([[1, 0], [1, 0], [1, 0]], np.float32), np.ones(3, np.float32)
    dT, loss, want_dT, want_loss = T * np.nan, w * np.nan, np.empty((3, 2)), np.empty(3)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(kernels, name)(T, Y, w, 1.0, dT, loss)
        getattr(reference, name)(T, Y, w, 1.0, want_dT, want_loss)

    assert_close(loss, want_loss)
    assert_close(dT, want_dT)
    assert np.isnan(loss[2])
    assert np.isnan(dT[2, 0])


def test_hits(kernels: Any) -> None:
    T = np.array([[1, 3, 3], [2, 1, 0], [0, 0, 1]], np.float32)
    one_column = np.array([[0.2], [-0.1], [np.nan]], np.float32)

    for module in (kernels, reference):
        out = np.full(3, np.nan, np.float32)
        module.hits(T, np.array([1, 1, 2]), out)
        np.testing.assert_array_equal(out, [1, 0, 1])  # a tie goes to the first
        module.hits(one_column, np.array([1, 0, 0]), out)
        np.testing.assert_array_equal(out, [1, 1, 1])


UPDATES: dict[str, tuple[int, tuple[float, ...]]] = {  # arrays, and the numbers that follow
    "sgd": (2, (0.1, 0.01)),
    "sgd_momentum": (3, (0.1, 0.9, 0.01)),
    "sgd_nesterov": (3, (0.1, 0.9, 0.01)),
    "adam": (4, (0.01, 0.9, 0.999, 1e-8, 0.05, 0.01, 0.98)),
    "rmsprop": (3, (0.01, 0.99, 1e-8, 0.01)),
    "adagrad": (3, (0.01, 1e-10, 0.01)),
    "penalty": (2, (0.03, 0.2)),
    "average": (2, (0.99,)),
}


@pytest.mark.parametrize("size", [0, 1, 1003])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UPDATES)
def test_updates(name: str, dtype: Any, size: int, kernels: Any) -> None:
    count, numbers = UPDATES[name]
    arrays = [draw(size, dtype=dtype, seed=seed) for seed in range(count)]
    if name in ("adam", "rmsprop", "adagrad"):
        arrays[-1] = arrays[-1] ** 2 + dtype(0.1)  # squares; away from 0, where 1 / sqrt is steep
    exact = [x.astype(np.float64) for x in arrays]

    getattr(kernels, name)(*arrays, *numbers)
    getattr(reference, name)(*exact, *numbers)

    for got, want in zip(arrays, exact, strict=True):
        assert_close(got, want, scale=10)


@pytest.mark.parametrize("dtype", DTYPES)
def test_penalty_by_hand(dtype: Any, kernels: Any) -> None:
    p = np.array([2, -4, 0.0, -0.0, np.nan, np.inf, -np.inf], dtype)

    for module in (kernels, reference):
        g = np.ones_like(p)
        module.penalty(g, p, 0.5, 0.25)
        np.testing.assert_array_equal(g, [2, -0.5, 1, 1, np.nan, np.inf, -np.inf])
        module.penalty(g, np.zeros_like(p), 0.5, 0.25)
        np.testing.assert_array_equal(g, [2, -0.5, 1, 1, np.nan, np.inf, -np.inf])


@pytest.mark.parametrize("dtype", DTYPES)
def test_average_by_hand(dtype: Any, kernels: Any) -> None:
    p = np.array([2, -4, 0, np.nan, 1], dtype)

    for module in (kernels, reference):
        a = np.array([1, 4, 8, 1, np.nan], dtype)
        module.average(a, p, 0.75)
        np.testing.assert_array_equal(a, [1.25, 2, 6, np.nan, np.nan])
        module.average(a, p, 0.0)
        np.testing.assert_array_equal(a, [2, -4, 0, np.nan, np.nan])


@pytest.mark.parametrize("dtype", DTYPES)
def test_average_of_constant_parameters_nears_them(dtype: Any, kernels: Any) -> None:
    p, a = draw(100, dtype=dtype), np.zeros(100, dtype)

    for _ in range(50):
        kernels.average(a, p, 0.9)

    # The weights 0.1 * 0.9^k sum to 1 - 0.9^50; decay and its complement are rounded, and a step
    # rounds three times, of which 10 steps last.
    assert_close(a, p.astype(np.float64) * (1 - 0.9**50), scale=0, ulps=50)


PHILOX = [  # counter, key, words: the known answers published with Random123
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([2**32 - 1] * 4, [2**32 - 1] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), PHILOX)
def test_philox_gives_the_published_words(
    counter: list[int], key: list[int], words: list[int]
) -> None:
    low, high = key
    arrays = tuple(np.array([c], np.uint64) for c in counter)
    assert [int(w[0]) for w in reference.philox4x32(arrays, (low, high))] == words

    compiled = numba.njit(scalars.philox4x32)
    assert list(compiled(*map(np.uint32, (*counter, *key)))) == words


@pytest.mark.parametrize("size", [0, 1, 3, 4, 6, 64, 1001])
def test_philox_bits_are_the_same_everywhere(size: int, kernels: Any) -> None:
    streams = [(0, 0, 0), (2**64 - 1, 2**63, 7), (123456789012345, 5, 2)]

    for seed, step, layer in streams:
        got, want = np.zeros(size, np.uint32), np.zeros(size, np.uint32)
        kernels.philox_bits(seed, step, layer, got)
        reference.philox_bits(seed, step, layer, want)
        np.testing.assert_array_equal(got, want)


def test_philox_bits_begin_with_the_published_words(kernels: Any) -> None:
    out = np.zeros(5, np.uint32)

    kernels.philox_bits(0, 0, 0, out)

    assert out[:4].tolist() == PHILOX[0][2]


DROPPED = [*SHAPES, (4, 16), (3, 50)]
STREAM = (2**63 + 11, 2**40 + 5, 3)  # a seed, a step and a layer, whose every word counts


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("shape", DROPPED)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout(dtype: Any, shape: tuple[int, int], in_place: bool, kernels: Any) -> None:
    A, want = draw(*shape, dtype=dtype), np.full(shape, np.nan)
    reference.dropout(A, *STREAM, 0.3, want)
    out = A if in_place else np.full(shape, np.nan, dtype)

    kernels.dropout(A, *STREAM, 0.3, out)

    assert_close(out, want, scale=0, ulps=2)  # the factor is rounded, and its product
    np.testing.assert_array_equal(out == 0, want == 0)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.999])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout_keeps_by_the_bits_of_philox(dtype: Any, rate: float, kernels: Any) -> None:
    bits, out = np.zeros(3 * 50, np.uint32), np.full((3, 50), np.nan, dtype)
    reference.philox_bits(*STREAM, bits)

    for module in (kernels, reference):
        module.dropout(np.ones_like(out), *STREAM, rate, out)
        kept = out.ravel() != 0
        assert kept.tolist() == [int(b) >= int(rate * 2**32) for b in bits]
        np.testing.assert_array_equal(out.ravel()[kept], dtype(1 / (1 - rate)))


def test_dropout_on_other_streams_keeps_others(kernels: Any) -> None:
    seed, step, layer = STREAM
    streams = [STREAM, (seed - 2**63, step, layer), (seed + 1, step, layer),
               (seed, step - 2**40, layer), (seed, step + 1, layer),
               (seed, step, layer + 1)]  # fmt: skip

    masks = set()
    for stream in streams:
        out = np.ones((8, 16), np.float32)
        kernels.dropout(out, *stream, 0.5, out)
        masks.add(out.tobytes())

    assert len(masks) == len(streams)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_its_share_and_the_mean(rate: float, kernels: Any) -> None:
    out = np.ones((60, 101))

    kernels.dropout(out, *STREAM, rate, out)

    # A share of n draws deviates by sqrt(rate (1 - rate) / n), the mean by 1 / (1 - rate) of it.
    deviation = np.sqrt(rate * (1 - rate) / out.size)
    assert abs((out != 0).mean() - (1 - rate)) < 5 * deviation
    assert abs(out.mean() - 1) < 5 * deviation / (1 - rate)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout_at_the_ends_of_the_rate(dtype: Any, kernels: Any) -> None:
    A = draw(5, 13, dtype=dtype)

    for module in (kernels, reference):
        for rate in (5e-324, 1e-17):  # too few for one of 2**32 words, and 1 - rate is 1
            out = np.full_like(A, np.nan)
            module.dropout(A, *STREAM, rate, out)
            np.testing.assert_array_equal(out, A)
        out = np.full_like(A, np.nan)
        module.dropout(A, *STREAM, float(np.nextafter(1, 0)), out)
        assert not out.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout_drops_nan_and_infinity_too(dtype: Any, kernels: Any) -> None:
    ones = np.ones((2, 33), dtype)
    reference.dropout(ones, *STREAM, 0.5, ones)

    for module in (kernels, reference):
        for value in (np.nan, np.inf, -np.inf):
            out = np.full_like(ones, value)
            module.dropout(out, *STREAM, 0.5, out)
            np.testing.assert_array_equal(out, np.where(ones != 0, value, 0))


@pytest.mark.parametrize(
    ("rate", "threshold"),
    [(0.0, 0), (2**-33, 0), (2**-32, 1), (0.5, 2**31), (np.nextafter(1, 0), 2**32 - 1)],
)
def test_threshold_is_the_rate_of_all_words(rate: float, threshold: int) -> None:
    assert philox.threshold(rate) == threshold


VECTORIZED = [
    *(f"bias_{n}" for n in ACTIVATIONS),
    *(f"{n}_grad" for n in face.ELEMENTWISE if n not in ("identity", "step")),
    *LOSSES, "softmax_cross_entropy_labels", *UPDATES,
]  # fmt: skip


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="kernels are interpreted")
@pytest.mark.parametrize("name", VECTORIZED)
def test_kernels_are_vectorized(name: str) -> None:
    body = getattr(cpu, name).py_func
    matrix, row = numba.float32[:, ::1], numba.float32[::1]
    rows = ["b", "w", "loss", "p", "g", "v", "mean", "square", "a"]
    types = {**dict.fromkeys(rows, row), "y": numba.int64[::1]}
    names = ["scale", "lr", "momentum", "weight_decay", "alpha", "beta1", "beta2", "epsilon",
             "root", "keep", "l1", "l2", "decay"]  # fmt: skip
    numbers = dict.fromkeys(names, numba.float64)
    signature = [(types | numbers).get(p, matrix) for p in inspect.signature(body).parameters]

    compiled = numba.njit(tuple(signature), nogil=True, **OPTIONS)(body)
    ir = compiled.inspect_llvm(compiled.signatures[0])

    assert re.search(r"= (fadd|fmul|fsub|select|fcmp)[^\n]*<\d+ x float>", ir)
    assert not re.search(r"= (fadd|fmul|fsub|fdiv)[^\n]* double ", ir)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="kernels are interpreted")
@pytest.mark.parametrize("name", ["_philox_bits", "_dropout"])
def test_philox_is_vectorized(name: str) -> None:
    body = getattr(cpu, name).py_func
    matrix = numba.float32[:, ::1]
    types = {"A": matrix, "factor": numba.float64,
             "out": matrix if name == "_dropout" else numba.uint32[::1]}  # fmt: skip
    signature = [types.get(p, numba.uint32) for p in inspect.signature(body).parameters]

    compiled = numba.njit(tuple(signature), nogil=True, **OPTIONS)(body)
    ir = compiled.inspect_llvm(compiled.signatures[0])

    assert re.search(r"= mul [^\n]*<\d+ x i64>", ir)
    assert not re.search(r"= (fadd|fmul|fsub|fdiv)[^\n]* double ", ir)
