"""The summary: what the parts found, in a page, from their files in a folder."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bench.gpu.rule import threshold

Row = dict[str, Any]

APART = 1e-3  # of the largest weight, or in an output: more is no rounding
PARTS = ("machine", "accuracy", "throughput", "steps", "predictions", "launches", "barriers",
         "operations")  # fmt: skip


def summary(folder: Path) -> Iterator[str]:
    """Lines.  A part without a file, or with rows that failed, says so at the end."""
    found = {name: _load(folder / f"{name}.json") for name in PARTS}
    rows = {name: [row for row in part.get("rows", ()) if "error" not in row]
            for name, part in found.items()}  # fmt: skip
    yield ""
    for name, lines in _LINES.items():
        yield from lines(rows[name])
        if name == "machine":
            yield _tests(folder / "tests.xml")
    for name, part in found.items():
        failed = [row for row in part.get("rows", ()) if "error" in row]
        if not part.get("complete"):
            yield f"{name}: {'cut short' if part else 'nothing written'}"
        for row in failed[:5]:
            values = [value for key, value in row.items() if key != "error"]
            what = " ".join(str(value) for value in values if isinstance(value, str | int))
            yield f"{name} FAILED: {what}: {row['error'].splitlines()[0][:150]}"
        if failed[5:]:
            yield f"{name} FAILED: {len(failed) - 5} more"


def _load(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _machine(rows: list[Row]) -> Iterator[str]:
    by_name = {row["what"]: row for row in rows}
    if not by_name:
        return
    software = by_name.get("software", {})
    names = ("python", "numpy", "numba", "numba-cuda", "cupy-cuda13x", "cuda-core", "torch", "jax")
    yield "fastnn " + ", ".join(
        f"{name} {software[name]}" for name in ("commit", *names) if software.get(name)
    )
    for what in ("gpu", "clocks at rest", "clocks at work", "processor"):
        values = (f"{name} {value}" for name, value in by_name.get(what, {}).items()
                  if name not in ("what", "took"))  # fmt: skip
        yield f"{what}: {', '.join(values)}"


def _tests(path: Path) -> str:
    if not path.exists():
        return "tests: nothing written"
    suite = ElementTree.parse(path).getroot().find("testsuite")  # noqa: S314 (our own file)
    assert suite is not None
    return "tests: " + ", ".join(
        f"{suite.get(name)} {name}" for name in ("tests", "failures", "errors", "skipped")
    )


def _accuracy(rows: list[Row]) -> Iterator[str]:
    agree = [row for row in rows if row["what"] == "agreement"]
    for dtype in sorted({row["dtype"] for row in agree}):
        worst = max(row["difference"] for row in agree if row["dtype"] == dtype)
        yield f"400 steps, GPU from CPU: at most {worst:.1e} of the largest parameter in {dtype}"
    for row in rows:
        if row["what"] == "training":
            speeds = ", ".join(
                f"{name} {row[name]['test_accuracy']:.4f} in {row[name]['seconds']:.2f} s "
                f"({row[name]['samples_per_second']:,.0f} samples/s)"
                for name in ("cuda", "fused", "tf32", "bf16", "cpu")
            )  # fmt: skip
            yield (f"{row['workload']}, {row['epochs']} epochs, seed {row['seed']}: {speeds}; "
                   "the GPU twice: same bytes")  # fmt: skip


def _throughput(rows: list[Row]) -> Iterator[str]:
    timed = [row for row in rows if "samples_per_second" in row]
    if timed:
        yield "training, samples/s in float32 (median of turns, least to most):"
    for row in timed:
        speeds = "  ".join(
            f"{name} {s['median']:>10,.0f} ({s['least']:,.0f} to {s['most']:,.0f})"
            for name, s in row["samples_per_second"].items()
        )
        yield f"  {row['net']:>15} {row['batch_size']:>5} a batch: {speeds}{_remark(row)}"
    if same := [row for row in timed if not _remark(row)]:
        yield _rule(same)


def _remark(row: Row) -> str:
    """That the contenders of a row did not do the same, if so."""
    return "" if row["apart"] <= APART else f"  NOT THE SAME: {row['apart']:.1e} apart"


def _rule(timed: list[Row]) -> str:
    fused = threshold(timed, "fastnn cuda fused", "fastnn cuda layers")
    cpu = threshold(timed, "fastnn cpu fused", "fastnn cuda fused")
    return (f"the rule: fused up to {fused:.2e} operations a step, then layers; a CPU is faster "
            f"than fused up to {cpu:.2e}")  # fmt: skip


def _predictions(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        us = ", ".join(f"{name} {row[name]['median']:.1f} us" for name in ("layers", "fused"))
        yield (f"{row['net']:>15} {row['rows']:>6} rows, {row['place']}: {us} a prediction"
               f"{_remark(row)}")  # fmt: skip


def _steps(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        yield (
            f"{row['net']:>15} {row['batch_size']:>5} a batch: {row['us']['median']:.2f} us a "
            f"step, the first kernel {row['first_kernel_us']['median']:.2f} us; {row['way']}"
        )


def _launches(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        if row["what"] == "launch":
            yield (f"launch by {row['way']}: {row['host_us']['median']:.1f} us of the host, "
                   f"{row['back_to_back_us']['median']:.1f} us back to back")  # fmt: skip
        else:
            yield (f"graph of {row['nodes']} nodes of {row['blocks']} blocks: "
                   f"{row['us_per_node']:.2f} us a node (one by one {row['us_one_by_one']:.2f}), "
                   f"host {row['host_us']['median']:.1f} us a launch")  # fmt: skip


def _barriers(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        yield f"{row['what']} of {row['blocks']} blocks: {row['us']:.2f} us"


def _operations(rows: list[Row]) -> Iterator[str]:
    shares = defaultdict(list)
    for row in rows:
        if row["what"] == "copy":
            ways = (f"{name} {value['gb_s']:.1f}" for name, value in row.items() if " the " in name)
            yield f"copy of {row['bytes']:,} bytes, GB/s: {', '.join(ways)}"
        elif row["what"] == "copy on the GPU":
            yield f"copy of {row['bytes']:,} bytes on the GPU: {row['gb_s']:.0f} GB/s"
        elif row["what"] == "kernel":
            shares[row["rows"], row["columns"]].append((row["share"], row["kernel"]))
        elif row["rows"] in (100, 4096, 8192):
            us = (f"{name} {value['us']['median']:.1f} us" for name, value in row.items()
                  if isinstance(value, dict))  # fmt: skip
            yield (f"products of {row['rows']} rows, {row['inputs']} x {row['outputs']}: "
                   f"{', '.join(us)}")  # fmt: skip
    for (n, m), found in shares.items():
        least, median, most = min(found), sorted(found)[len(found) // 2], max(found)
        yield (f"kernels on {n} x {m}, share of the copy's bandwidth: median {median[0]:.2f}, "
               f"{least[1]} {least[0]:.2f}, {most[1]} {most[0]:.2f}")  # fmt: skip


_LINES = {
    "machine": _machine,
    "accuracy": _accuracy,
    "throughput": _throughput,
    "steps": _steps,
    "predictions": _predictions,
    "launches": _launches,
    "barriers": _barriers,
    "operations": _operations,
}


if __name__ == "__main__":
    print(*summary(Path(sys.argv[1])), sep="\n")
