"""The command fastnn: train, evaluate, predict, devices, doctor.

Exit codes: 0; 2 usage; 65 bad content of a file; 69 no such device; 74 the system refused
to read or write; 75 diverged; 130 Ctrl-C; 143 SIGTERM.
"""

import argparse
import json
import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastnn
from fastnn import datasets
from fastnn.datasets.tables import read_features
from fastnn.errors import (
    CheckpointError,
    DataError,
    DeviceError,
    DivergenceError,
    FastnnError,
)
from fastnn.losses import NAMES
from fastnn.network import MLP, load
from fastnn.workloads import WORKLOADS, Workload, from_csv, labels_of
from fastnn_kernels.face import ELEMENTWISE

_SIGTERM = 143


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    args = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        args.command(args)
        if sys.stdout is not None:  # None where it was closed before the start
            sys.stdout.flush()
        return 0
    except BrokenPipeError:  # the reader went away, as in `fastnn predict ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 74
    except (FastnnError, OSError, MemoryError) as error:
        print(f"fastnn: {str(error) or type(error).__name__}", file=sys.stderr)
        return _exit_code(error)
    except KeyboardInterrupt:
        print("fastnn: interrupted", file=sys.stderr)
        return 130
    except SystemExit:
        print("fastnn: terminated", file=sys.stderr)
        return _SIGTERM


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


def _train(args: argparse.Namespace) -> None:
    backend = fastnn.get_backend(args.device, args.dtype)
    if args.save:
        _check_target(Path(args.save))
    work = _workload(args)
    (X, y), test = work.load(args.data_dir)
    net = MLP(
        work.sizes, work.activation, work.output, dtype=args.dtype, device=backend.device,
        seed=args.seed, input_scaling=work.scaling(X), class_names=work.class_names,
    )  # fmt: skip
    if not args.quiet:
        sizes = " -> ".join(map(str, net.sizes))
        print(f"{work.name}: {len(X):,} rows to train on, {len(test[0]):,} to test; {sizes}, "
              f"{net.dtype}, {net.device}, seed {net.seed}")  # fmt: skip
    began = time.perf_counter()
    try:
        net.fit(
            X, y, loss=work.loss, optimizer=work.optimizer, epochs=work.epochs,
            batch_size=work.batch_size, progress=False if args.quiet else None,
            execution=args.execution,
        )  # fmt: skip
    except (KeyboardInterrupt, SystemExit):
        if net.steps:
            _save(net, args)  # as of the last whole step
        raise
    seconds = time.perf_counter() - began
    _save(net, args)
    _report(net, work, (X, y), test, seconds, args)


def _report(
    net: MLP, work: Workload, train: Any, test: Any, seconds: float, args: argparse.Namespace
) -> None:
    on_train, on_test = (net.evaluate(X, y, work.loss) for X, y in (train, test))
    rate = work.epochs * len(train[0]) / seconds
    accuracy = on_test.get("accuracy")
    if not args.quiet:
        right = "" if accuracy is None else f", test accuracy {accuracy:.2%}"
        print(f"{work.epochs} epochs in {seconds:.2f} s, {rate:,.0f} samples/s; train loss "
              f"{on_train['loss']:.4f}, test loss {on_test['loss']:.4f}{right}")  # fmt: skip
    if args.json:
        print(json.dumps({
            "dataset": work.name, "device": net.device, "execution": "layers",
            "sizes": net.sizes, "epochs": work.epochs, "batch_size": work.batch_size,
            "seed": net.seed, "seconds": seconds, "samples_per_second": rate,
            "train_loss": on_train["loss"], "test_loss": on_test["loss"],
            "test_accuracy": accuracy,
        }))  # fmt: skip


def _check_target(path: Path) -> None:
    """Refuse now what could not be written after the training."""
    if path.is_dir():
        raise IsADirectoryError(f"--save {path} is a folder, need the name of a file")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--save {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"--save {path}: cannot write to {path.parent}")


def _save(net: MLP, args: argparse.Namespace) -> None:
    if args.save:
        net.save(args.save)
        if not args.quiet:
            print(f"saved to {args.save}")


def _workload(args: argparse.Namespace) -> Workload:
    """The named workload, or that of a file, with what the command line changes."""
    if args.dataset in WORKLOADS:
        if args.target:
            raise fastnn.errors.ArgumentError("--target is for CSV files")
        work = WORKLOADS[args.dataset]
    else:
        work = from_csv(_file(args.dataset), _columns(args.target), args.loss)
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
        X, y = labels_of(_file(args.dataset), _columns(args.target), net.class_names)
        _check_width(args.dataset, X, net)
    if net.output == "sigmoid" and net.sizes[-1] > 1 and y.ndim == 1:
        y = datasets.one_hot(y, net.sizes[-1])  # binary cross-entropy compares with rows
    for name, value in net.evaluate(X, y, args.loss).items():
        print(f"{name} {value:.6g}")


def _predict(args: argparse.Namespace) -> None:
    net = load(args.model, args.device)
    X = _features(args.file, net)
    if net.class_names is not None:
        lines = [net.class_names[i] for i in net.classify(X)]
    elif net.output == "softmax":
        lines = [str(i) for i in net.classify(X)]
    else:
        lines = [",".join(f"{value:.9g}" for value in row) for row in net.predict(X)]
    print("\n".join(lines))


def _features(path: str, net: MLP) -> Any:
    with open(_file(path), "rb") as file:
        start = file.read(2)
    if start in (b"\0\0", b"\x1f\x8b"):
        images = datasets.read_idx(path)
        X = images.reshape(len(images), -1)
        _check_width(path, X, net)
        return X
    return read_features(path, net.sizes[0])


def _check_width(path: str, X: Any, net: MLP) -> None:
    if X.shape[1] != net.sizes[0]:
        raise DataError(f"{path}: has {X.shape[1]} numbers in a row, need the network's "
                        f"{net.sizes[0]} inputs")  # fmt: skip


def _file(name: str) -> str:
    if not Path(name).exists():
        known = ", ".join(WORKLOADS)
        raise FileNotFoundError(f"{name} is neither a file nor one of {known}")
    if not Path(name).is_file():
        raise DataError(f"{name} is not a regular file")
    return name


def _columns(names: list[str] | None) -> list[int | str] | None:
    """Columns as the command line names them: an integer is an index."""
    if names is None:
        return None
    return [int(name) if re.fullmatch("-?[0-9]{1,9}", name) else name for name in names]


def _devices(_: argparse.Namespace) -> None:
    print("\n".join(fastnn.devices()))


def _doctor(_: argparse.Namespace) -> None:
    from fastnn import doctor

    print("\n".join(doctor.report()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("fastnn", description="Train and run dense neural networks.")
    parser.add_argument("--version", action="version", version=f"fastnn {fastnn.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train a network and tell how good it is")
    train.set_defaults(command=_train)
    train.add_argument("dataset", nargs="?", default="digits", metavar="iris|digits|mnist|FILE.csv")
    train.add_argument("--hidden", nargs="*", type=int, metavar="N", help="hidden layer sizes")
    train.add_argument("--activation", choices=ELEMENTWISE, help="of the hidden layers")
    train.add_argument("--optimizer", choices=["sgd"])
    train.add_argument("--learning-rate", type=float)
    train.add_argument("--momentum", type=float)
    train.add_argument("--weight-decay", type=float)
    train.add_argument("--loss", choices=NAMES)
    train.add_argument("--target", nargs="+", metavar="COLUMN", help="of a CSV file: to predict")
    train.add_argument("--epochs", type=int)
    train.add_argument("--batch-size", type=int)
    train.add_argument("--execution", choices=["auto", "layers", "fused"], default="auto")
    train.add_argument("--device", default="auto", metavar="auto|cpu|cuda|cuda:N")
    train.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--data-dir", help="folder with MNIST (default: FASTNN_DATA)")
    train.add_argument("--save", metavar="MODEL", help="write the network there")
    train.add_argument("--quiet", action="store_true", help="print nothing but --json's line")
    train.add_argument("--json", action="store_true", help="end with one line of JSON")

    evaluate = commands.add_parser("evaluate", help="loss and accuracy of a saved network")
    evaluate.set_defaults(command=_evaluate)
    evaluate.add_argument("model", metavar="MODEL")
    evaluate.add_argument("dataset", metavar="iris|digits|mnist|FILE.csv",
                          help="the test part of a data set, or all rows of a file")  # fmt: skip
    evaluate.add_argument("--target", nargs="+", metavar="COLUMN")
    evaluate.add_argument("--loss", choices=NAMES)
    evaluate.add_argument("--data-dir")
    evaluate.add_argument("--device", default="auto")

    predict = commands.add_parser("predict", help="a saved network's answer to each row of a file")
    predict.set_defaults(command=_predict)
    predict.add_argument("model", metavar="MODEL")
    predict.add_argument("file", metavar="FILE", help="CSV without the target, or IDX")
    predict.add_argument("--device", default="auto")

    commands.add_parser("devices", help="list the usable devices").set_defaults(command=_devices)
    commands.add_parser("doctor", help="what is installed, and what is wrong").set_defaults(
        command=_doctor
    )
    return parser
