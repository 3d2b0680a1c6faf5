"""bench/contenders/limit.py: the work that no training of its kind can leave out."""

import pytest

from bench.cases import Job
from bench.contenders import limit


def test_the_products_are_all_of_a_step_and_of_its_shapes() -> None:
    job = Job("digits", (64, 16, 12, 10), "relu", 100, 450, 1)
    products = limit.Products(job)

    products.train()

    assert len(products.products) == (3 * 3 - 1) * 5
    assert sum(A.shape[0] * A.shape[1] * B.shape[1] for A, B, _ in products.products) == (
        450 * (2 * 64 * 16 + 3 * (16 * 12 + 12 * 10))
    )


def test_the_traffic_is_all_weights_there_and_back_in_each_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = Job("digits", (64, 16, 10), "relu", 100, 450, 2)  # 5 steps an epoch
    monkeypatch.setattr(limit, "copy_bandwidth", lambda size: 1e9)

    assert limit.traffic_seconds(job) == 2 * 4 * (65 * 16 + 17 * 10) * 10 / 1e9


def test_copies_take_their_time() -> None:
    """Of caches and memory: no slower than a disk, no faster than registers."""
    assert 1e8 < limit.copy_bandwidth(limit.CACHED) < 1e13
