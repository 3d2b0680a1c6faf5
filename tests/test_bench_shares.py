"""Shares of time: samples go to the kernel in whose code they fall."""

import numpy as np
import pytest
from numba.core import config

from bench import shares
from fastnn_kernels import cpu


def test_samples_are_counted_by_kernel() -> None:
    known = [(1000, "cpu.one"), (5000, "cpu.two")]
    samples = [(1000, "[unknown]"), (4999, "[unknown]"), (5000, "[unknown]"), (6000, "memcpy"),
               (5000 + shares.REACH, "[unknown]"), (10, "[unknown]")]  # fmt: skip

    counts = shares.shares(iter(samples), known)

    assert counts == {"cpu.one": 2, "cpu.two": 1, "memcpy": 1, "[unknown]": 2}


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")
def test_kernels_are_found_with_their_addresses() -> None:
    x = np.ones((1, 2), np.float32)
    cpu.bias_identity(x, x[0], x)

    found = shares.kernels()

    assert found == sorted(found)
    assert "cpu.bias_activation" in {name for _, name in found}
    assert min(place for place, _ in found) > 0


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")
def test_multiply_adds_are_possible() -> None:
    """Of so many vectors a second that a slip of a thousand would be seen."""
    assert 1e7 < shares.multiply_adds(12, 2, 50) < 3e10


@pytest.mark.parametrize("sizes", ["5-5", "64-x", "64", "64-0-10"])
def test_other_sizes_are_refused(sizes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        shares.main([sizes])

    assert f"sizes are '{sizes}', need those of" in capsys.readouterr().err
