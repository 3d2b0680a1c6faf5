"""The named workloads: each fits together, and reaches the accuracy that it promises."""

from statistics import median

import numpy as np
import pytest

import fastnn
from fastnn.losses import Loss
from fastnn.workloads import WORKLOADS, Workload

PACKAGED = ["iris", "digits"]  # need no folder and no download
ROWS = {"iris": 150, "digits": 1797}
SEEDS = {"iris": range(10), "digits": range(3)}


def trained(work: Workload, seed: int) -> float:
    """The test accuracy of a network trained as the workload says."""
    (X, y), test = work.load(None)
    net = work.network(X, seed=seed)
    net.fit(X, y, **work.training)
    return net.evaluate(*test, work.loss)["accuracy"]


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_fits_together(name: str) -> None:
    work = WORKLOADS[name]
    X = np.ones((3, work.sizes[0]))

    net = work.network(X)
    loss = Loss(work.loss, work.output, work.sizes[-1], net.backend)

    assert work.name == name
    assert work.class_names is not None
    assert len(set(work.class_names)) == work.sizes[-1]
    assert loss.name == "cross_entropy"
    assert work.floor is not None
    assert 0.9 < work.floor < 1


@pytest.mark.parametrize("name", PACKAGED)
def test_the_data_fit_the_network(name: str) -> None:
    work = WORKLOADS[name]

    (X, y), (X_test, y_test) = work.load(None)

    assert X.shape[1:] == X_test.shape[1:] == (work.sizes[0],)
    assert (len(X), len(X_test)) == (len(y), len(y_test))
    assert len(X) + len(X_test) == ROWS[name]
    assert len(X_test) == round(0.2 * ROWS[name])
    for labels in (y, y_test):
        assert set(labels) == set(range(work.sizes[-1]))


@pytest.mark.parametrize("name", PACKAGED)
def test_rows_of_the_test_part_are_not_trained_on(name: str) -> None:
    load = {"iris": fastnn.datasets.load_iris, "digits": fastnn.datasets.load_digits}[name]
    whole, _ = load()

    (X, _), (X_test, _) = WORKLOADS[name].load(None)

    # Together they are the data, each row once (two flowers are equal in all they measured).
    parts = np.vstack([X, X_test])
    np.testing.assert_array_equal(parts[np.lexsort(parts.T)], whole[np.lexsort(whole.T)])


@pytest.mark.parametrize("name", PACKAGED)
def test_scaled_inputs_are_of_the_size_of_one(name: str) -> None:
    work = WORKLOADS[name]
    (X, _), _ = work.load(None)

    offset, factor = work.scaling(X)
    scaled = (X - offset) * factor

    assert np.abs(scaled).max() < 5
    assert 0.3 < scaled.std() < 1.5


@pytest.mark.parametrize("name", PACKAGED)
def test_a_workload_reaches_its_floor(name: str) -> None:
    work = WORKLOADS[name]

    accuracy = median(trained(work, seed) for seed in SEEDS[name])

    assert work.floor is not None
    assert accuracy >= work.floor >= {"iris": 0.95, "digits": 0.96}[name]
