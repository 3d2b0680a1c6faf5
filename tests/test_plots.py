"""Plots: what is drawn is what was given, and what cannot be drawn is refused in words."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import datasets, plots
from fastnn.errors import ArgumentError, DataError, FastnnError, MissingLibraryError, ShapeError
from fastnn.history import History

figures = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")

STARTS = {".png": b"\x89PNG\r\n\x1a\n", ".svg": b"<?xml", ".pdf": b"%PDF"}
HISTORY = History(
    loss=[1.5, 0.75, 0.5], accuracy=[0.25, 0.5, 0.75], val_loss=[1.25, 1.0, 1.125],
    val_accuracy=[0.5, 0.5, 0.625],
)  # fmt: skip


@pytest.fixture
def iris() -> fastnn.MLP:
    """A network for iris, hardly trained, so that it errs."""
    X, y = datasets.load_iris()
    net = fastnn.MLP([4, 5, 3], seed=0, class_names=("setosa", "versicolor", "virginica"))
    net.fit(X, y, epochs=3)
    return net


def drawn(ax: Any) -> dict[str, Any]:
    """The numbers of each line by its name in the legend, on both axes of a learning curve."""
    lines = [line for axes in ax.figure.axes for line in axes.lines]
    return {line.get_label(): line.get_xydata() for line in lines}


def test_the_curve_is_the_history() -> None:
    ax = plots.learning_curve(HISTORY, loss="cross_entropy")

    want = {
        "training loss": HISTORY.loss, "validation loss": HISTORY.val_loss,
        "training accuracy": HISTORY.accuracy, "validation accuracy": HISTORY.val_accuracy,
    }  # fmt: skip
    lines, legend = drawn(ax), ax.get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == lines.keys() == want.keys()
    for name, values in want.items():
        np.testing.assert_array_equal(lines[name], np.column_stack([[1, 2, 3], values]))
    assert ax.get_ylabel() == "mean cross entropy per row (nats)"


@pytest.mark.parametrize("epochs", [1, 2, 400])
def test_a_curve_without_classes_has_one_axis_and_whole_epochs(epochs: int) -> None:
    ax = plots.learning_curve(History(loss=[1.0 / (k + 1) for k in range(epochs)]))

    ticks, (low, high) = ax.get_xticks(), ax.get_xlim()
    assert len(ax.figure.axes) == 1
    assert low < 1 <= epochs < high
    assert len(ticks) > 0
    assert all(tick == round(tick) and 1 <= tick <= epochs for tick in ticks)


def test_the_epoch_whose_weights_were_kept_is_marked() -> None:
    ax = plots.learning_curve(History(loss=[3.0, 1.0, 2.0], best_epoch=1))

    np.testing.assert_array_equal(drawn(ax)["weights kept"][:, 0], [2, 2])


@pytest.mark.parametrize(("largest", "scale"), [(0.9, "linear"), (1.1, "log")])
def test_losses_of_many_magnitudes_get_a_logarithmic_axis(largest: float, scale: str) -> None:
    ax = plots.learning_curve(History(loss=[largest, 0.01, 0.1]))

    assert ax.get_yscale() == scale


def test_the_matrix_counts_rows_of_a_class_down_and_predictions_across(iris: fastnn.MLP) -> None:
    X, y = datasets.load_iris()
    want = np.zeros((3, 3), int)
    for label, prediction in zip(y, iris.predict(X).argmax(axis=1), strict=True):
        want[label, prediction] += 1

    for truth in (y, datasets.one_hot(y, 3)):
        ax = plots.confusion_matrix(iris, X, truth)

        assert (want != want.T).any()
        np.testing.assert_array_equal(ax.images[0].get_array(), want)
        written = {text.get_position(): text.get_text() for text in ax.texts}
        assert written == {(j, i): str(want[i, j]) for i in range(3) for j in range(3)}
        for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
            assert tuple(label.get_text() for label in labels) == iris.class_names
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")


def test_the_matrix_of_one_output_has_two_classes() -> None:
    X, _ = datasets.load_iris()
    net = fastnn.MLP([4, 1], output="sigmoid", seed=0)

    counts = np.asarray(plots.confusion_matrix(net, X, net.classify(X)).images[0].get_array())

    assert counts.shape == (2, 2)
    assert np.trace(counts) == 150


def test_a_matrix_too_fine_for_numbers_has_a_colour_bar_instead() -> None:
    X = np.random.default_rng(0).normal(size=(50, 4))
    net = fastnn.MLP([4, 200], seed=0)

    ax = plots.confusion_matrix(net, X, net.classify(X))

    assert not ax.texts
    assert [axes.get_ylabel() for axes in ax.figure.axes[1:]] == ["rows"]


def test_a_class_name_is_no_formula(tmp_path: Path) -> None:
    net = fastnn.MLP([4, 2], seed=0, class_names=("$\\frac{$", "x" * 100))
    X = np.zeros((3, 4))

    ax = plots.confusion_matrix(net, X, net.classify(X))
    plots.save(ax, tmp_path / "matrix.png")

    assert [label.get_text() for label in ax.get_xticklabels()] == [
        "$\\frac{$",
        "x" * 16 + "…" + "x" * 7,
    ]


@pytest.mark.parametrize("d", [1, 64, 784])
def test_images_are_the_rows_from_left_to_right_and_downwards(d: int) -> None:
    X = np.random.default_rng(0).integers(0, 256, (7, d)).astype(np.uint8)

    ax = plots.show_digits(X, columns=3)

    assert len(ax.images) == 7
    for image, row in zip(ax.images, X, strict=True):
        np.testing.assert_array_equal(np.asarray(image.get_array()).ravel(), row)
        assert image.get_clim() == (X.min(), X.max())
    places = [(image.get_extent()[0], image.get_extent()[3]) for image in ax.images]
    assert places[:4] == [(0, 0), (1.1, 0), (2.2, 0), (0, 1.1)]


def test_a_wrong_prediction_is_framed_and_told() -> None:
    ax = plots.show_digits(np.eye(3, 64), [0, 1, 2], [0, 2, 2])

    assert [text.get_text() for text in ax.texts] == ["0", "2, is 1", "2"]
    assert [patch.get_xy() for patch in ax.patches] == [(1.1, 0)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("given", ["labels", "predicted"])
def test_labels_or_predictions_alone_are_captions(given: str) -> None:
    options: dict[str, Any] = {given: ["a", "b"]}

    ax = plots.show_digits(np.zeros((2, 64)), **options)

    assert [text.get_text() for text in ax.texts] == ["a", "b"]
    assert not ax.patches


@pytest.mark.parametrize("units", [1, 7])
def test_a_unit_is_drawn_by_its_incoming_weights_on_a_symmetric_scale(units: int) -> None:
    net = fastnn.MLP([64, units, 10], seed=0)
    W = net.get_params_dict()["W1"]

    ax, bar = plots.first_layer(net).axes

    assert len(ax.images) == units
    for j, image in enumerate(ax.images):
        np.testing.assert_array_equal(image.get_array(), W[:, j].reshape(8, 8))
        assert image.get_clim() == (-np.abs(W).max(), np.abs(W).max())
    assert bar.get_ylabel() == "weight"


def test_a_network_on_a_device_draws_as_one_on_the_cpu(standin: Any) -> None:
    X, y = datasets.load_iris()
    X = np.tile(X, (1, 4))
    here, there = (fastnn.MLP([16, 5, 3], seed=0, device=name) for name in ("cpu", "cuda"))

    for draw in (lambda net: plots.confusion_matrix(net, X, y).figure, plots.first_layer):
        one, other = draw(here).axes[0].images, draw(there).axes[0].images
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a.get_array(), b.get_array())


def test_it_draws_on_what_it_is_given_and_never_loads_pyplot(iris: fastnn.MLP) -> None:
    figure = figures.Figure()
    one, two, three = figure.subplots(1, 3)

    assert plots.learning_curve(HISTORY, one) is one
    assert plots.confusion_matrix(iris, *datasets.load_iris(), two) is two
    assert plots.show_digits(np.zeros((1, 64)), ax=three) is three
    assert plots.first_layer(iris, figure=figure) is figure
    code = ("import sys, numpy, fastnn\nfastnn.plots.show_digits(numpy.zeros((1, 64)))\n"
            "assert 'matplotlib.pyplot' not in sys.modules")  # fmt: skip
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


NET = fastnn.MLP([5, 3, 3], seed=0)
ROWS = np.zeros((2, 5))
REFUSED: list[tuple[Any, type[FastnnError], str]] = [
    (lambda: plots.learning_curve(History()), ArgumentError, "with an epoch"),
    (lambda: plots.learning_curve(HISTORY, loss="entropy"), ArgumentError, "loss is 'entropy'"),
    (lambda: plots.learning_curve(HISTORY, figures), ArgumentError, "need a matplotlib Axes"),
    (lambda: plots.confusion_matrix(NET, ROWS, [0, 3]), DataError, "labels from 0 to 2"),
    (lambda: plots.confusion_matrix(NET, ROWS, [0, 0.5]), DataError, "y has 0.5"),
    (lambda: plots.confusion_matrix(NET, ROWS, [0]), ShapeError, r"y is \(1,\)"),
    (lambda: plots.confusion_matrix(NET, ROWS[0], 0), ShapeError, r"rows of X \(n, d\)"),
    (lambda: plots.show_digits(ROWS), ShapeError, "rows of 5 numbers, need a square number"),
    (lambda: plots.show_digits(np.zeros((0, 64))), ShapeError, r"X is \(0, 64\)"),
    (lambda: plots.show_digits(np.zeros((2, 8, 8))), ShapeError, "reshape"),
    (lambda: plots.show_digits(np.full((1, 64), np.inf)), DataError, "infinity"),
    (lambda: plots.show_digits(np.zeros((2, 64)), [1]), ShapeError, r"labels is \(1,\)"),
    (lambda: plots.show_digits(np.zeros((1, 64)), ["1"], [1]), ArgumentError, "both as words"),
    (lambda: plots.show_digits(np.zeros((1, 64)), columns=0), ArgumentError, "columns is 0"),
    (lambda: plots.first_layer(NET), ShapeError, "network has 5 inputs, need a square number"),
    (lambda: plots.first_layer(fastnn.MLP([4, 2]), figure=figures), ArgumentError, "Figure"),
    (lambda: plots.save(figures.Figure(), "a.jpg"), ArgumentError, r"\.png, \.svg, \.pdf"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "said"), REFUSED)
def test_what_cannot_be_drawn_is_refused(call: Any, error: type[FastnnError], said: str) -> None:
    with pytest.raises(error, match=said):
        call()


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    for draw in (lambda: plots.learning_curve(HISTORY), lambda: plots.check_target("a.png")):
        with pytest.raises(MissingLibraryError, match="pip install matplotlib"):
            draw()


@pytest.mark.parametrize("ending", STARTS)
def test_the_same_picture_is_the_same_file(ending: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        plots.save(plots.learning_curve(HISTORY), tmp_path / f"{name}{ending.upper()}")

    one, two = (path.read_bytes() for path in tmp_path.iterdir())
    assert one.startswith(STARTS[ending])
    assert one == two


def test_regions_are_what_the_network_says() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    net = fastnn.MLP.from_params({"W1": [[1.0], [-1.0]], "b1": [0.0]}, output="sigmoid")
    X = np.array([[0.0, 1.0], [1.0, 0.0], [0.9, 0.1]])

    ax: Any = plots.decision_regions(net, X, [0, 1, 1])

    assert [len(points.get_offsets()) for points in ax.collections[-2:]] == [1, 2]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["0", "1"]
    # A pixel well to either side of the diagonal has the colour of its class.
    canvas: Any = FigureCanvasAgg(ax.figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[::-1]
    seen = [tuple(pixels[tuple(ax.transData.transform(place).astype(int)[::-1])][:3])
            for place in ([0.2, 0.8], [0.1, 0.6], [0.8, 0.2], [0.6, 0.1])]  # fmt: skip
    assert seen[0] == seen[1] != seen[2] == seen[3]
    for points, colour in zip(ax.collections[-2:], (seen[0], seen[2]), strict=True):
        strong = points.get_facecolor()[0][:3]
        np.testing.assert_allclose(np.array(colour) / 255, 0.25 * strong + 0.75, atol=0.02)


@pytest.mark.parametrize(("sizes", "X", "y", "message"), [
    ([3, 2], np.ones((2, 2)), [0, 1], "has 3 inputs"), ([2, 2], np.ones((2, 3)), [0, 1], "X is"),
    ([2, 2], np.ones((2, 2)), [0], r"y \(1,\)"),
    ([2, 2], np.ones((2, 2)), [0, 2], "classes 0 to 1"),
    ([2, 2], np.ones((0, 2)), np.ones(0), "classes 0 to 1"),
])  # fmt: skip
def test_what_has_no_plane_is_refused(sizes: list[int], X: Any, y: Any, message: str) -> None:
    with pytest.raises((ShapeError, DataError), match=message):
        plots.decision_regions(fastnn.MLP(sizes), X, y)
