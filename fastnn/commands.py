"""What the commands of fastnn do, with their arguments parsed: they print, and raise."""

import json
import os
import subprocess
import sys
import time
from argparse import Namespace
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from fastnn import datasets, files, gpu, plots
from fastnn.callbacks import Callback
from fastnn.datasets.tables import read_features
from fastnn.errors import ArgumentError, DataError, MissingLibraryError
from fastnn.history import History
from fastnn.loading import load
from fastnn.losses import default_loss
from fastnn.network import MLP
from fastnn.optimizers import BY_NAME, Optimizer
from fastnn.snapshots import is_begun
from fastnn.workloads import OUTPUT_OF, WORKLOADS, Workload, fitting, from_csv, labelled


def train(args: Namespace) -> None:
    """Train a network and tell how good it is."""
    backend = fastnn.get_backend(args.device, args.dtype)
    backend.rounding(args.precision)
    _check_targets(args)  # now, not after the training
    work = _workload(args)
    (X, y), (X_test, y_test) = (
        (X, fitting(y, work.output, work.sizes[-1])) for X, y in work.load(args.data_dir)
    )
    net = work.network(X, dtype=args.dtype, device=args.device, seed=args.seed)
    sizes, where = " -> ".join(map(str, net.sizes)), net.device
    if backend.device == "cpu" and args.device == "auto" and gpu.driver_version():
        where = "cpu, though there is an NVIDIA driver: fastnn doctor tells why"
    products = "" if args.precision == "float32" else f", products in {args.precision}"
    _say(args, f"{work.name}: {len(X):,} rows to train on, {len(X_test):,} to test; {sizes}, "
               f"{net.dtype}{products}, {where}, seed {net.seed}")  # fmt: skip
    began, onset = time.perf_counter(), _Onset(args)
    try:
        history = _fit(net, work, X, y, onset, args)
    except (KeyboardInterrupt, SystemExit):
        if net.steps:
            _save(net, args, f", as of step {net.steps}")
            if args.checkpoint is not None:
                _say(args, f"stopped after step {net.steps}; the same with --resume goes on")
        raise
    seconds = time.perf_counter() - began
    _save(net, args)
    _plot(history, work, args)
    samples = work.epochs * len(X) - onset.done
    _report(net, work, seconds, net.evaluate(X, y, work.loss),
            net.evaluate(X_test, y_test, work.loss), samples, onset.execution, args)  # fmt: skip


class _Onset(Callback):
    """Tells where a run goes on, and knows how many samples were done before."""

    def __init__(self, args: Namespace) -> None:
        self.args, self.done, self.execution = args, 0, ""

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        run = self.run
        self.execution = run.way.execution
        self.done = run.epoch * len(run.data) + run.rows
        if run.step:
            _say(self.args, f"going on after step {run.step}, {run.epoch} epochs")


def _fit(net: MLP, work: Workload, X: Any, y: Any, onset: _Onset, args: Namespace) -> History:
    """Train net; a quantity is learned as its distance from the mean in standard deviations,
    which the last layer then carries."""
    is_quantity = work.output == "identity"
    rows = y.reshape(len(y), -1)
    if is_quantity:
        _check_resolution(rows, net)
    offset, factor = datasets.standard_scaling(rows) if is_quantity else (0.0, 1.0)
    try:
        return net.fit(
            X, (rows - offset) * factor if is_quantity else y, **work.training,
            progress=False if args.quiet else None, execution=args.execution,
            precision=args.precision, callbacks=[onset], checkpoint=args.checkpoint,
            resume=args.resume,
        )  # fmt: skip
    finally:
        if is_quantity:
            params, last = net.get_params_dict(), len(net.sizes) - 1
            W, b = params[f"W{last}"], params[f"b{last}"]
            scaled = {f"W{last}": W / factor, f"b{last}": b / factor + offset}
            net.set_params_dict(params | scaled)


def _check_resolution(rows: Any, net: MLP) -> None:
    """Refuse what the network's numbers cannot tell apart, or square."""
    info, largest = np.finfo(net.dtype), np.abs(rows).max(axis=0)
    spread = rows.max(axis=0) - rows.min(axis=0)
    for j in range(rows.shape[1]):
        if largest[j] > float(info.max) ** 0.5 or 0 < spread[j] < 1e4 * info.eps * largest[j]:
            other = "other units" if net.dtype == np.float64 else "--dtype float64"
            raise DataError(f"target {j + 1} reaches {largest[j]:.4g} and spreads over "
                            f"{spread[j]:.4g}, beyond {net.dtype}: use {other}")  # fmt: skip


def _report(
    net: MLP, work: Workload, seconds: float, on_train: dict[str, float],
    on_test: dict[str, float], samples: int, execution: str, args: Namespace,
) -> None:  # fmt: skip
    rate, accuracy = samples / seconds, on_test.get("accuracy")
    right = "" if accuracy is None else f", test accuracy {accuracy:.2%}"
    speed = f" in {seconds:.2f} s, {rate:,.0f} samples/s" if samples else ", all done before"
    _say(args, f"epochs: {work.epochs}{speed}; train loss "
               f"{on_train['loss']:.4g}, test loss {on_test['loss']:.4g}{right}")  # fmt: skip
    if args.json:
        print(json.dumps({
            "dataset": work.name, "device": net.device, "execution": execution,
            "precision": args.precision, "sizes": net.sizes, "epochs": work.epochs,
            "batch_size": work.batch_size, "seed": net.seed, "seconds": seconds,
            "samples_per_second": rate, "train_loss": on_train["loss"],
            "test_loss": on_test["loss"], "test_accuracy": accuracy,
        }))  # fmt: skip


def _save(net: MLP, args: Namespace, remark: str = "") -> None:
    if args.save is not None:
        net.save(args.save)
        _say(args, f"saved to {args.save}{remark}")


def _check_targets(args: Namespace) -> None:
    if args.save and args.plot and os.path.realpath(args.save) == os.path.realpath(args.plot):
        raise ArgumentError(f"--save and --plot are both {args.plot}, need two files")
    if args.save is not None:
        files.check_target(args.save)
    if args.plot is not None:
        plots.check_target(args.plot)
    if args.resume and args.checkpoint is None:
        raise ArgumentError("--resume needs --checkpoint DIR, which holds what to go on from")
    if args.checkpoint is not None and not args.resume and is_begun(args.checkpoint):
        raise ArgumentError(f"{args.checkpoint} has a run already: give --resume to go on with "
                            "it, or another folder")  # fmt: skip


def _plot(history: History, work: Workload, args: Namespace) -> None:
    if args.plot is not None:
        ax = plots.learning_curve(history, loss=work.loss or default_loss(work.output))
        if work.output == "identity":  # see _fit
            ax.set_ylabel(f"{ax.get_ylabel()}\n(targets in standard deviations)")
        plots.save(ax, args.plot)
        _say(args, f"learning curve in {args.plot}")


def _say(args: Namespace, line: str) -> None:
    if not args.quiet:
        print(line)


def _workload(args: Namespace) -> Workload:
    """The named workload, or that of a file, with what the command line changes."""
    if args.dataset not in WORKLOADS:
        work = from_csv(_file(args.dataset, [*WORKLOADS]), args.target, args.loss)
    elif args.target:
        raise ArgumentError("--target is for CSV files")
    else:
        work = WORKLOADS[args.dataset]
        work = replace(work, output=OUTPUT_OF.get(args.loss, work.output))
    hidden = work.sizes[1:-1] if args.hidden is None else tuple(args.hidden)
    rates = {"learning_rate": args.learning_rate, "momentum": args.momentum,
             "weight_decay": args.weight_decay}  # fmt: skip
    given = {name: value for name, value in rates.items() if value is not None}
    changes = {"activation": args.activation, "loss": args.loss, "epochs": args.epochs,
               "batch_size": args.batch_size, "dropout": args.dropout}  # fmt: skip
    return replace(
        work, sizes=(work.sizes[0], *hidden, work.sizes[-1]),
        optimizer=_optimizer(work.optimizer, args.optimizer, given),
        **{name: value for name, value in changes.items() if value is not None},
    )  # fmt: skip


def _optimizer(usual: Optimizer, name: str | None, given: dict[str, float]) -> Optimizer:
    """The workload's usual one, or that of this name, with the numbers given."""
    kind = BY_NAME[name] if name else type(usual)
    other = given.keys() - kind.__dataclass_fields__.keys()
    if other:
        option = min(other).replace("_", "-")
        ours = next(name for name, each in BY_NAME.items() if each is kind)
        able = [name for name, each in BY_NAME.items() if min(other) in each.__dataclass_fields__]
        raise ArgumentError(f"--{option} is no number of the optimizer here, {ours}; try "
                            f"--optimizer {able[0]}")  # fmt: skip
    return replace(usual if type(usual) is kind else kind(), **given)


def evaluate(args: Namespace) -> None:
    """Print loss and accuracy of a saved network."""
    net = load(args.model, args.device)
    if args.dataset in WORKLOADS:
        _, (X, y) = WORKLOADS[args.dataset].load(args.data_dir)
    else:
        X, y = labelled(_file(args.dataset, [*WORKLOADS]), args.target, net.class_names)
    _check_width(args.dataset, X, net)
    figures = net.evaluate(X, fitting(y, net.output, net.sizes[-1]), args.loss)
    for name, value in figures.items():
        print(f"{name} {value:.6g}")


def predict(args: Namespace) -> None:
    """Print a saved network's answer to each row of a file."""
    net = load(args.model, args.device)
    X = _features(_file(args.file, []), net)
    if net.class_names is not None:
        lines = [net.class_names[i] for i in net.classify(X)]
    elif net.output == "softmax":
        lines = [str(i) for i in net.classify(X)]
    else:
        lines = [",".join(f"{value:.9g}" for value in row) for row in net.predict(X)]
    print("\n".join(lines))


def _features(path: str, net: MLP) -> Any:
    with open(path, "rb") as file:
        start = file.read(2)
    if start not in (b"\0\0", b"\x1f\x8b"):
        return read_features(path, net.sizes[0])
    images = datasets.read_idx(path)
    X = images.reshape(len(images), -1)
    _check_width(path, X, net)
    return X


def _check_width(path: str, X: Any, net: MLP) -> None:
    if X.shape[1] != net.sizes[0]:
        raise DataError(f"{path}: has {X.shape[1]} numbers in a row, need the network's "
                        f"{net.sizes[0]} inputs")  # fmt: skip


def _file(name: str, words: list[str]) -> str:
    """name, which is that of a file; words are what else it could have been."""
    if not os.path.exists(name):
        other = f", nor one of {', '.join(words)}" if words else ""
        raise FileNotFoundError(f"there is no file {name}{other}")
    files.open_regular(name, DataError).close()
    return name


def bench(args: Namespace) -> None:
    """Run the benchmarks of a checkout in a process of their own, which imports from there."""
    places = [Path(fastnn.__file__).parents[1], Path.cwd()]
    root = next((place for place in places if (place / "bench" / "run.py").is_file()), None)
    if root is None:
        raise ArgumentError("fastnn bench needs a checkout of fastnn: run it in its folder")
    if args.compare:
        if args.device or args.workload or args.quick or args.out is not None:
            raise ArgumentError("--compare reads two files and times nothing, need it alone")
        words = ["bench.compare", *(os.path.abspath(_file(name, [])) for name in args.compare)]
    elif not (find_spec("pytest_benchmark") and find_spec("matplotlib")):
        raise MissingLibraryError("fastnn bench needs pytest-benchmark and matplotlib, both; try, "
                                  'in the checkout: pip install ".[bench]"')  # fmt: skip
    else:
        out = os.path.abspath("bench-results" if args.out is None else args.out)
        words = ["bench.run", "--out", out, *["--quick"] * args.quick]
        for name, value in (("--device", args.device), ("--workload", args.workload)):
            words += [] if value is None else [name, value]
    paths = f"{root}{os.pathsep}{root / 'kernels'}"
    code = subprocess.run([sys.executable, "-m", *words], cwd=root, check=False,  # noqa: S603
                          env={**os.environ, "PYTHONPATH": paths}).returncode  # fmt: skip
    if code:
        raise SystemExit(code)


def devices(_: Namespace) -> None:
    """Print the usable devices."""
    print("\n".join(fastnn.devices()))


def doctor(args: Namespace) -> None:
    """Print what is installed, and what is wrong; compile what is to be compiled."""
    from fastnn.doctor import compile_kernels, report

    if args.compile:
        compile_kernels()
    print("\n".join(report()))
