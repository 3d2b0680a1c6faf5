"""The command fastnn: train, evaluate, predict, devices, doctor.

Exit codes: 0; 2 usage; 65 bad content of a file; 69 no such device; 74 the system refused
to read or write; 75 diverged; 130 Ctrl-C; 143 SIGTERM.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import fastnn
from fastnn import datasets, files
from fastnn.datasets.tables import read_features
from fastnn.errors import (
    ArgumentError,
    CheckpointError,
    DataError,
    DeviceError,
    DivergenceError,
    FastnnError,
)
from fastnn.loading import load
from fastnn.losses import NAMES
from fastnn.network import MLP
from fastnn.workloads import OUTPUT_OF, WORKLOADS, Workload, fitting, from_csv, labelled
from fastnn_kernels.face import ELEMENTWISE

_SIGTERM = 143


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    if hasattr(sys.stdout, "reconfigure"):  # a class name may be beyond the terminal's encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminated)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: _complain(message)
            args = _parser().parse_args(argv)
            args.command(args)
        if sys.stdout is not None:  # None where it was closed before the start
            sys.stdout.flush()
        return 0
    except BrokenPipeError:  # the reader went away, as in `fastnn predict ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 74
    except (FastnnError, OSError, MemoryError) as error:
        _complain(str(error) or type(error).__name__)
        return _exit_code(error)
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130
    except SystemExit as end:  # of argparse, or _terminated
        if end.code == _SIGTERM:
            _complain("terminated")
        return int(end.code or 0)


def _exit_code(error: Exception) -> int:
    if isinstance(error, DataError | CheckpointError):
        return 65
    if isinstance(error, DeviceError):
        return 69
    if isinstance(error, DivergenceError):
        return 75
    return 74 if isinstance(error, OSError | MemoryError) else 2


def _terminated(*_: Any) -> None:
    raise SystemExit(_SIGTERM)


def _complain(message: Any) -> None:
    print(f"fastnn: {message}", file=sys.stderr)


def _train(args: argparse.Namespace) -> None:
    backend = fastnn.get_backend(args.device, args.dtype)
    if args.save is not None:
        files.check_target(args.save)  # now, not after the training
    work = _workload(args)
    train, test = work.load(args.data_dir)
    (X, y), (X_test, y_test) = (
        (X, fitting(y, work.output, work.sizes[-1])) for X, y in (train, test)
    )
    net = MLP(
        work.sizes, work.activation, work.output, dtype=args.dtype, device=backend.device,
        seed=args.seed, input_scaling=work.scaling(X), class_names=work.class_names,
    )  # fmt: skip
    sizes = " -> ".join(map(str, net.sizes))
    _say(args, f"{work.name}: {len(X):,} rows to train on, {len(X_test):,} to test; {sizes}, "
               f"{net.dtype}, {net.device}, seed {net.seed}")  # fmt: skip
    began = time.perf_counter()
    try:
        _fit(net, work, X, y, args)
    except (KeyboardInterrupt, SystemExit):
        if net.steps:
            _save(net, args, f", as of step {net.steps}")
        raise
    seconds = time.perf_counter() - began
    _save(net, args)
    _report(net, work, seconds, net.evaluate(X, y, work.loss),
            net.evaluate(X_test, y_test, work.loss), len(X), args)  # fmt: skip


def _fit(net: MLP, work: Workload, X: Any, y: Any, args: argparse.Namespace) -> None:
    """Train net; a quantity is learned as its distance from the mean in standard deviations,
    which the last layer then carries."""
    is_quantity = work.output == "identity"
    rows = y.reshape(len(y), -1)
    offset, factor = datasets.standard_scaling(rows) if is_quantity else (0.0, 1.0)
    try:
        net.fit(
            X, (rows - offset) * factor if is_quantity else y, loss=work.loss,
            optimizer=work.optimizer, epochs=work.epochs, batch_size=work.batch_size,
            progress=False if args.quiet else None, execution=args.execution,
        )  # fmt: skip
    finally:
        if is_quantity:
            net.weights[-1][...] /= factor
            net.biases[-1][...] = net.biases[-1] / factor + offset


def _report(
    net: MLP, work: Workload, seconds: float, on_train: dict[str, float],
    on_test: dict[str, float], n: int, args: argparse.Namespace,
) -> None:  # fmt: skip
    rate, accuracy = work.epochs * n / seconds, on_test.get("accuracy")
    right = "" if accuracy is None else f", test accuracy {accuracy:.2%}"
    _say(args, f"{work.epochs} epochs in {seconds:.2f} s, {rate:,.0f} samples/s; train loss "
               f"{on_train['loss']:.4g}, test loss {on_test['loss']:.4g}{right}")  # fmt: skip
    if args.json:
        print(json.dumps({
            "dataset": work.name, "device": net.device, "execution": "layers",
            "sizes": net.sizes, "epochs": work.epochs, "batch_size": work.batch_size,
            "seed": net.seed, "seconds": seconds, "samples_per_second": rate,
            "train_loss": on_train["loss"], "test_loss": on_test["loss"],
            "test_accuracy": accuracy,
        }))  # fmt: skip


def _save(net: MLP, args: argparse.Namespace, remark: str = "") -> None:
    if args.save is not None:
        net.save(args.save)
        _say(args, f"saved to {args.save}{remark}")


def _say(args: argparse.Namespace, line: str) -> None:
    if not args.quiet:
        print(line)


def _workload(args: argparse.Namespace) -> Workload:
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
               "batch_size": args.batch_size}  # fmt: skip
    return replace(
        work, sizes=(work.sizes[0], *hidden, work.sizes[-1]),
        optimizer=replace(work.optimizer, **given),
        **{name: value for name, value in changes.items() if value is not None},
    )  # fmt: skip


def _evaluate(args: argparse.Namespace) -> None:
    net = load(args.model, args.device)
    if args.dataset in WORKLOADS:
        _, (X, y) = WORKLOADS[args.dataset].load(args.data_dir)
    else:
        X, y = labelled(_file(args.dataset, [*WORKLOADS]), args.target, net.class_names)
    _check_width(args.dataset, X, net)
    figures = net.evaluate(X, fitting(y, net.output, net.sizes[-1]), args.loss)
    for name, value in figures.items():
        print(f"{name} {value:.6g}")


def _predict(args: argparse.Namespace) -> None:
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


def _devices(_: argparse.Namespace) -> None:
    print("\n".join(fastnn.devices()))


def _doctor(_: argparse.Namespace) -> None:
    from fastnn import doctor

    print("\n".join(doctor.report()))


class _Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        _complain(f"{message}; see {self.prog} --help")
        raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("fastnn", description="Train and run dense neural networks.")
    parser.add_argument("--version", action="version", version=f"fastnn {fastnn.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train a network and tell how good it is",
        description="What is not given comes from the data set's workload; of a CSV file, words "
        "and whole numbers in the target column are classes, other numbers a quantity.",
    )  # fmt: skip
    train.set_defaults(command=_train)
    add = train.add_argument
    add("dataset", nargs="?", default="digits", metavar="iris|digits|mnist|FILE.csv",
        help="default: digits, which come with fastnn")  # fmt: skip
    add("--hidden", nargs="*", type=int, metavar="N", help="sizes of the hidden layers")
    add("--activation", choices=ELEMENTWISE, metavar="NAME",
        help=f"of the hidden layers: {', '.join(ELEMENTWISE)}")  # fmt: skip
    add("--optimizer", choices=["sgd"], help="default: sgd")
    add("--learning-rate", type=float, metavar="X")
    add("--momentum", type=float, metavar="X", help="in [0, 1)")
    add("--weight-decay", type=float, metavar="X", help="default: 0")
    add("--loss", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    add("--target", nargs="+", metavar="COLUMN",
        help="of a CSV file: what to predict, by name or index (default: the last)")  # fmt: skip
    add("--epochs", type=int, metavar="N")
    add("--batch-size", type=int, metavar="N")
    add("--execution", choices=["auto", "layers", "fused"], default="auto")
    _add_device(train)
    add("--dtype", choices=["float32", "float64"], default="float32")
    add("--seed", type=int, default=0, metavar="N", help="of weights and orders (default: 0)")
    add("--data-dir", metavar="DIR", help="folder with MNIST (default: FASTNN_DATA)")
    add("--save", metavar="MODEL", help="write the network there")
    add("--quiet", action="store_true", help="print nothing but --json's line")
    add("--json", action="store_true", help="end with one line of JSON")

    evaluate = commands.add_parser("evaluate", help="loss and accuracy of a saved network")
    evaluate.set_defaults(command=_evaluate)
    add = evaluate.add_argument
    add("model", metavar="MODEL")
    add("dataset", metavar="iris|digits|mnist|FILE.csv",
        help="the test part of a data set, or all rows of a file")  # fmt: skip
    add("--target", nargs="+", metavar="COLUMN", help="as in train")
    add("--loss", choices=NAMES, metavar="NAME", help="default: the one that fits the output")
    add("--data-dir", metavar="DIR", help="folder with MNIST (default: FASTNN_DATA)")
    _add_device(evaluate)

    predict = commands.add_parser("predict", help="a saved network's answer to each row of a file")
    predict.set_defaults(command=_predict)
    predict.add_argument("model", metavar="MODEL")
    predict.add_argument("file", metavar="FILE", help="IDX, or CSV: the inputs, in their order")
    _add_device(predict)

    commands.add_parser("devices", help="list the usable devices").set_defaults(command=_devices)
    commands.add_parser("doctor", help="what is installed, and what is wrong").set_defaults(
        command=_doctor
    )
    return parser


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default=os.environ.get("FASTNN_DEVICE") or "auto",
                        metavar="auto|cpu|cuda|cuda:N",
                        help="default: FASTNN_DEVICE, else auto")  # fmt: skip
