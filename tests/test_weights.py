"""Weights: sample_weight and class_weight of fit, against repeated rows, PyTorch, scikit-learn."""

import itertools
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.errors import ArgumentError, DataError, DTypeError, ShapeError

pytestmark = pytest.mark.usefixtures("device")

NAN, INF = float("nan"), float("inf")
X, y = fastnn.datasets.load_iris()
SCALING = fastnn.datasets.standard_scaling(X)
NAMES = ("setosa", "versicolor", "virginica")
LOSSES = [
    ("softmax", "cross_entropy", y),
    ("softmax", "cross_entropy", np.eye(3)[y]),
    ("sigmoid", "binary_cross_entropy", np.eye(3)[y]),
    ("tanh", "squared_error", y),
    ("identity", "mean_squared_error", X[:, :3]),
    ("identity", "huber", X[:, :3]),
]


def iris_net(**changes: Any) -> fastnn.MLP:
    settings = {"seed": 0, "input_scaling": SCALING, "dtype": "float64", "class_names": NAMES}
    return fastnn.MLP([4, 5, 3], **{**settings, **changes})


def flat(net: fastnn.MLP) -> Any:
    """net.params in host memory."""
    return net.backend.asnumpy(net.params)


@pytest.mark.parametrize(("output", "loss", "Y"), LOSSES, ids=lambda v: str(v)[:20])
def test_a_weight_of_two_is_the_row_twice_and_of_zero_none(output: str, loss: str, Y: Any) -> None:
    weights = np.arange(150) % 4
    rows = np.repeat(np.arange(150), weights)
    weighted, repeated = iris_net(output=output), iris_net(output=output)
    how: Any = {"loss": loss, "optimizer": fastnn.SGD(1e-3, 0.9), "epochs": 5, "batch_size": None,
                "reduction": "sum"}  # fmt: skip

    history = weighted.fit(X, Y, sample_weight=weights, **how)
    same = repeated.fit(X[rows], Y[rows], **how)

    # Sums of 150 and of 224 terms near 1 in float64.
    np.testing.assert_allclose(flat(weighted), flat(repeated), rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        np.array(history.loss) * 150, np.array(same.loss) * len(rows), rtol=1e-12
    )


@pytest.mark.parametrize("batch_size", [1, 32, None])
def test_weights_of_one_change_nothing(batch_size: int | None) -> None:
    plain, sample, classes = iris_net(), iris_net(), iris_net()

    for net, how in [(plain, {}), (sample, {"sample_weight": np.ones(150)}),
                     (classes, {"class_weight": {}})]:  # fmt: skip
        net.fit(X, y, epochs=2, batch_size=batch_size, validation=0.2, **how)  # type: ignore[arg-type]

    assert flat(plain).tobytes() == flat(sample).tobytes() == flat(classes).tobytes()


def test_the_mean_is_over_rows_and_not_over_weights() -> None:
    once, thrice = iris_net(), iris_net()

    few = once.fit(X, y, optimizer=fastnn.SGD(0.3), batch_size=32)
    many = thrice.fit(X, y, optimizer=fastnn.SGD(0.1), batch_size=32, sample_weight=[3] * 150)

    np.testing.assert_allclose(flat(once), flat(thrice), rtol=0, atol=1e-12)
    np.testing.assert_allclose(many.loss, np.multiply(3, few.loss), rtol=1e-12)
    assert many.accuracy == few.accuracy


def test_a_class_is_named_by_index_or_name_and_others_count_once() -> None:
    by_name, by_index, by_row = iris_net(), iris_net(), iris_net()

    by_name.fit(X, y, class_weight={"virginica": 3, "setosa": 0.5})
    by_index.fit(X, np.eye(3)[y], class_weight={np.int8(2): 3, 0: np.float32(0.5)})
    by_row.fit(X, y, sample_weight=np.array([0.5, 1, 3])[y])

    assert flat(by_name).tobytes() == flat(by_row).tobytes()
    np.testing.assert_allclose(flat(by_index), flat(by_row), rtol=0, atol=1e-12)


def test_both_weights_multiply() -> None:
    sample = np.random.default_rng(0).uniform(0, 2, 150)
    both, product = iris_net(), iris_net()

    both.fit(X, y, sample_weight=sample, class_weight={1: 4})
    product.fit(X, y, sample_weight=sample * np.where(y == 1, 4, 1))

    assert flat(both).tobytes() == flat(product).tobytes()


def test_one_sigmoid_has_two_classes() -> None:
    nets = [fastnn.MLP([4, 1], output="sigmoid", seed=0, dtype="float64", input_scaling=SCALING)
            for _ in range(2)]  # fmt: skip

    nets[0].fit(X, y == 2, class_weight="balanced")
    nets[1].fit(X, y == 2, sample_weight=np.where(y == 2, 1.5, 0.75))

    np.testing.assert_allclose(flat(nets[0]), flat(nets[1]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rows", [slice(None), slice(20, 120), slice(40, 90)], ids=str)
def test_balanced_is_as_in_scikit_learn(rows: slice) -> None:
    """slice(40, 90) has no row of the third class."""
    theirs = pytest.importorskip("sklearn.utils.class_weight", reason="needs scikit-learn")
    want = theirs.compute_sample_weight("balanced", y[rows])
    balanced, by_row = iris_net(), iris_net()

    balanced.fit(X[rows], y[rows], class_weight="balanced")
    by_row.fit(X[rows], y[rows], sample_weight=want)

    np.testing.assert_allclose(flat(balanced), flat(by_row), rtol=0, atol=1e-12)


def split_by_hand(fraction: float) -> tuple[Any, Any]:
    """(rows to train on, rows held out), as fit with seed 0 divides them."""
    order = fastnn.streams.generator(0, fastnn.streams.Purpose.SPLIT).permutation(150)
    held = round(150 * fraction)
    return order[held:], order[:held]


def test_a_fraction_held_out_takes_its_weights_along_and_has_none() -> None:
    sample = np.random.default_rng(1).uniform(0, 2, 150)
    kept, held = split_by_hand(0.3)
    counts = np.bincount(y[kept])
    cut, by_hand = iris_net(), iris_net()
    how: Any = {"epochs": 3, "batch_size": 16}

    history = cut.fit(X, y, sample_weight=sample, class_weight="balanced", validation=0.3, **how)
    by_hand.fit(X[kept], y[kept], sample_weight=sample[kept],
                class_weight=dict(enumerate(len(kept) / (3 * counts))), **how)  # fmt: skip

    assert flat(cut).tobytes() == flat(by_hand).tobytes()
    figures = cut.evaluate(X[held], y[held])
    assert (history.val_loss[-1], history.val_accuracy[-1]) == tuple(figures.values())


def test_rows_keep_their_weights_when_shuffled_and_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = np.random.default_rng(2).uniform(0, 2, 150)
    shuffled, cut, by_hand = iris_net(), iris_net(), iris_net()
    orders = [
        fastnn.streams.generator(0, fastnn.streams.Purpose.ORDER, epoch).permutation(150)
        for epoch in range(2)
    ]

    shuffled.fit(X, y, sample_weight=sample, epochs=2, batch_size=7)
    for order in orders:
        by_hand.fit(X[order], y[order], sample_weight=sample[order], batch_size=7, shuffle=False)
    monkeypatch.setattr(type(cut.backend), "slab_bytes", 500)
    cut.fit(X, y, sample_weight=sample, epochs=2, batch_size=7)

    assert flat(shuffled).tobytes() == flat(by_hand).tobytes() == flat(cut).tobytes()


def ones_but(value: float) -> Any:
    weights = np.ones(150)
    weights[7] = value
    return weights


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"sample_weight": np.ones(149)}, ShapeError,
     r"sample_weight is \(149,\) for 150 rows of X, need \(150,\)"),
    ({"sample_weight": np.ones((150, 1))}, ShapeError, r"sample_weight is \(150, 1\)"),
    ({"sample_weight": 2.0}, ShapeError, r"sample_weight is \(\)"),
    ({"sample_weight": ["1"] * 150}, DTypeError, "sample_weight is <U1, need real numbers"),
    ({"sample_weight": ones_but(NAN)}, DataError,
     r"sample_weight has nan, need finite numbers >= 0 \(1 such, first at row 7\)"),
    ({"sample_weight": ones_but(INF)}, DataError, "sample_weight has inf, need finite"),
    ({"sample_weight": ones_but(-1e-9)}, DataError, "sample_weight has -1e-09, need"),
    ({"sample_weight": ones_but(1e300)}, DataError,
     "sample_weight goes beyond float32 and becomes inf .*row 7"),
    ({"sample_weight": ones_but(1e30), "class_weight": {0: 1e30}}, DataError,
     "sample_weight times class_weight goes beyond float32"),
    ({"sample_weight": np.zeros(150)}, DataError,
     "sample_weight is 0 for each of the 150 rows to train on, need one above 0"),
    ({"sample_weight": (y == 0), "class_weight": {0: 0}}, DataError,
     "sample_weight times class_weight is 0 for each"),
    ({"class_weight": {3: 1.0}}, ArgumentError,
     "class_weight has class 3, need 0 to 2, or a name: setosa, versicolor, virginica"),
    ({"class_weight": {-1: 1.0}}, ArgumentError, "class_weight has class -1"),
    ({"class_weight": {1.5: 1.0}}, ArgumentError, r"class_weight has class 1\.5"),
    ({"class_weight": {True: 1.0}}, ArgumentError, "class_weight has class True"),
    ({"class_weight": {"virginca": 1.0}}, ArgumentError, "class_weight has class 'virginca'"),
    ({"class_weight": {2: 1.0, "virginica": 2.0}}, ArgumentError, "has class 2 twice, by index"),
    ({"class_weight": {0: -1}}, ArgumentError,
     r"class_weight\[0\] is -1, need a finite number >= 0"),
    ({"class_weight": {"setosa": NAN}}, ArgumentError, r"class_weight\['setosa'\] is nan"),
    ({"class_weight": {0: 0, 1: 0, 2: 0}}, DataError, "class_weight is 0 for each"),
    ({"class_weight": "balance"}, ArgumentError,
     r"class_weight is 'balance', need a dict \{class: weight\} or 'balanced'"),
    ({"class_weight": [1, 2, 3]}, ArgumentError, r"class_weight is \[1, 2, 3\], need a dict"),
    ({"class_weight": np.ones(3)}, ArgumentError, "class_weight is array"),
]  # fmt: skip


@pytest.mark.parametrize(("how", "error", "words"), BAD)
def test_bad_weights_change_nothing(
    how: dict[str, Any], error: type[Exception], words: str
) -> None:
    net = iris_net(dtype="float32")
    before = flat(net).tobytes()

    with pytest.raises(error, match=words):
        net.fit(X, y, **how)

    assert (flat(net).tobytes(), net.epochs, net.steps) == (before, 0, 0)


def test_an_unnamed_class_is_refused_with_those_there_are() -> None:
    with pytest.raises(ArgumentError, match=r"class_weight has class 'a', need 0 to 2$"):
        iris_net(class_names=None).fit(X, y, class_weight={"a": 1})


@pytest.mark.parametrize(
    ("output", "Y"),
    [
        ("identity", X[:, :3]),
        ("sigmoid", np.full((150, 3), 0.5)),
        ("softmax", np.full((150, 3), 1 / 3)),
    ],
)
@pytest.mark.parametrize("class_weight", [{0: 2.0}, "balanced"], ids=str)
def test_class_weight_needs_classes(output: str, Y: Any, class_weight: Any) -> None:
    net = iris_net(output=output)
    before = flat(net).tobytes()

    with pytest.raises(ArgumentError, match="class_weight needs one class for each row"):
        net.fit(X, Y, class_weight=class_weight)

    assert flat(net).tobytes() == before


def test_what_is_held_out_may_not_have_all_the_weight() -> None:
    kept, _ = split_by_hand(0.2)
    sample = np.ones(150)
    sample[kept] = 0

    with pytest.raises(DataError, match="sample_weight is 0 for each of the 120 rows to train on"):
        iris_net().fit(X, y, sample_weight=sample, validation=0.2)


@pytest.mark.parametrize("output", ["softmax", "identity"])
def test_weighted_steps_follow_pytorch(output: str) -> None:
    """PyTorch's own weighted mean divides by the sum of weights, hence reduction="none"."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    sample, of_class = np.random.default_rng(5).uniform(0, 2, 150), np.array([0.5, 1, 3])
    net = iris_net(output=output)
    twin = [torch.tensor(p, requires_grad=True) for p in net.get_params_dict().values()]
    W1, b1, W2, b2 = twin
    inputs = torch.from_numpy((X - SCALING[0]) * SCALING[1])
    labels, rows = torch.from_numpy(y), torch.from_numpy(sample)
    weighted_entropy = torch.nn.CrossEntropyLoss(torch.from_numpy(of_class), reduction="none")
    optimizer = torch.optim.SGD(twin, lr=0.1, momentum=0.5)

    def loss_of(Z: Any, part: slice) -> Any:
        if output == "softmax":
            return weighted_entropy(Z, labels[part])
        squares = (Z - torch.nn.functional.one_hot(labels[part], 3)) ** 2
        return squares.mean(1) * torch.from_numpy(of_class[y[part]])

    net.fit(X, y, sample_weight=sample, class_weight=dict(enumerate(of_class)), epochs=10,
            batch_size=33, shuffle=False, optimizer=fastnn.SGD(0.1, 0.5))  # fmt: skip
    for _, start in itertools.product(range(10), range(0, 150, 33)):
        part = slice(start, start + 33)
        optimizer.zero_grad()
        Z = torch.sigmoid(inputs[part] @ W1 + b1) @ W2 + b2
        (loss_of(Z, part) * rows[part]).mean().backward()
        optimizer.step()

    for ours, theirs in zip(net.get_params_dict().values(), twin, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=0, atol=1e-12)
