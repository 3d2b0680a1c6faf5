"""bench/contenders/limit.py: the work that no training of its kind can leave out."""

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
    assert limit.floor_seconds(job) > 0
    assert limit.copy_bandwidth(limit.CACHED) > 1e8
