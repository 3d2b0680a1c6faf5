"""Clocks: microseconds on the GPU, on the host, and one by one in a CUDA graph.

Work is a function that puts the same on the current stream each time.  It is done once before
the clock runs, which compiles it.
"""

import statistics
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

Work = Callable[[], Any]


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and most, to four digits."""
    figures = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {name: rounded(value) for name, value in figures.items()}


def rounded(value: float) -> float:
    return float(f"{value:.4g}")


def gpu_us(cupy: ModuleType, work: Work, times: int = 1, repeats: int = 7) -> dict[str, float]:
    """Of one work among `times` in a row, between two events on the current stream.

    It is the host's time where the host puts work there more slowly than the GPU does it.
    """
    work()
    figures = []
    for _ in range(repeats):
        first, last = cupy.cuda.Event(), cupy.cuda.Event()
        first.record()
        for _ in range(times):
            work()
        last.record()
        last.synchronize()
        figures.append(cupy.cuda.get_elapsed_time(first, last) * 1e3 / times)
    return spread(figures)


def graph_us(
    cupy: ModuleType, work: Work, nodes: int, times: int = 1, repeats: int = 7
) -> dict[str, float]:
    """Of one work among `nodes` captured in a CUDA graph, which the host launches as one."""
    work()
    graph = captured(cupy.cuda.get_current_stream(), work, nodes)
    replayed = gpu_us(cupy, graph.launch, times, repeats)
    return {name: rounded(value / nodes) for name, value in replayed.items()}


def captured(stream: Any, work: Work, nodes: int) -> Any:
    """A graph of so many works; the current stream must be `stream`, and not the default one."""
    stream.begin_capture()
    for _ in range(nodes):
        work()
    graph = stream.end_capture()
    graph.upload(stream)
    return graph


def host_us(cupy: ModuleType, work: Work, times: int, repeats: int = 7) -> dict[str, float]:
    """Of one call, until it returns; few enough `times` that no queue fills up."""
    return _called(cupy, work, times, repeats, wait=False)


def together_us(cupy: ModuleType, work: Work, times: int, repeats: int = 7) -> dict[str, float]:
    """Of one call among many, until the GPU has done the last."""
    return _called(cupy, work, times, repeats, wait=True)


def _called(
    cupy: ModuleType, work: Work, times: int, repeats: int, *, wait: bool
) -> dict[str, float]:
    device = cupy.cuda.Device()
    work()
    figures = []
    for _ in range(repeats):
        device.synchronize()
        began = time.perf_counter()
        for _ in range(times):
            work()
        if wait:
            device.synchronize()
        figures.append((time.perf_counter() - began) * 1e6 / times)
    device.synchronize()
    return spread(figures)
