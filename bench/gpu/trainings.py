"""Trainings: small networks of odd sizes, trained and asked on a GPU, for a memory checker."""

from typing import Any

import numpy as np

import fastnn

ROWS = 301
CASES: list[dict[str, Any]] = [
    {"sizes": (17, 21, 19, 3), "batch_size": 10},
    {"sizes": (600, 65, 5, 3), "batch_size": 33, "optimizer": fastnn.Adam(0.01)},
    {"sizes": (70, 65, 3), "batch_size": 300, "dropout": 0.3},
    {"sizes": (70, 65, 30, 3), "batch_size": 1},
    {"sizes": (17, 256, 3), "batch_size": 3},
]


def main() -> None:
    rng = np.random.default_rng(0)
    for dtype in ("float32", "float64"):
        # The pool's blocks are larger than the arrays in them and would hide a step too far.
        fastnn.get_backend("cuda", dtype).xp.cuda.set_allocator(None)
        for case in CASES:
            settings = dict(case)
            net = fastnn.MLP(settings.pop("sizes"), dropout=settings.pop("dropout", 0.0),
                             dtype=dtype, device="cuda", seed=0)  # fmt: skip
            X = rng.integers(0, 3, (ROWS, net.sizes[0])).astype(np.uint8)
            net.fit(X, np.arange(ROWS) % 3, execution="fused", progress=False, **settings)
            net.predict(X, execution="fused")
    print(f"{2 * len(CASES)} trainings")


if __name__ == "__main__":
    main()
