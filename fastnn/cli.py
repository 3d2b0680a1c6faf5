"""The command fastnn: train, evaluate, predict, bench, devices, doctor.

Exit codes: 0; 2 usage; 65 bad content of a file; 69 no such device; 74 the system refused
to read or write, or memory; 75 diverged; 130 Ctrl-C; 143 SIGTERM.
"""

import argparse
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import fastnn
from fastnn import commands
from fastnn.errors import CheckpointError, DataError, DeviceError, DivergenceError, FastnnError
from fastnn.losses import NAMES, STRAIGHT
from fastnn.optimizers import BY_NAME
from fastnn.precision import PRECISIONS
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
        return exit_code(error)
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130
    except SystemExit as end:  # of argparse, or _terminated
        if end.code == _SIGTERM:
            _complain("terminated")
        return int(end.code or 0)


def exit_code(error: Exception) -> int:
    """65, 69, 74, 75 or 2, as above, for a FastnnError, OSError or MemoryError."""
    if isinstance(error, DataError | CheckpointError):
        return 65
    if isinstance(error, DeviceError) and not isinstance(error, MemoryError):
        return 69
    if isinstance(error, DivergenceError):
        return 75
    return 74 if isinstance(error, OSError | MemoryError) else 2


def _terminated(*_: Any) -> None:
    raise SystemExit(_SIGTERM)


def _complain(message: Any) -> None:
    print(f"fastnn: {message}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        _complain(f"{message}; see {self.prog} --help")
        raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("fastnn", description="Train and run dense neural networks.")
    parser.add_argument("--version", action="version", version=f"fastnn {fastnn.__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    train = subparsers.add_parser("train", help="train a network and tell how good it is",
        description="What is not given comes from the data set's workload; of a CSV file, words "
        "and whole numbers in the target column are classes, other numbers a quantity.",
    )  # fmt: skip
    train.set_defaults(command=commands.train)
    add = train.add_argument
    add("dataset", nargs="?", default="digits", metavar="iris|digits|mnist|mnist-wide|FILE.csv",
        help="default: digits, which come with fastnn")  # fmt: skip
    add("--hidden", nargs="*", type=int, metavar="N", help="sizes of the hidden layers")
    add("--activation", choices=ELEMENTWISE, metavar="NAME",
        help=f"of the hidden layers: {', '.join(ELEMENTWISE)}")  # fmt: skip
    add("--optimizer", choices=BY_NAME, metavar="NAME", help=", ".join(BY_NAME))
    add("--learning-rate", type=float, metavar="X")
    add("--momentum", type=float, metavar="X", help="in [0, 1)")
    add("--weight-decay", type=float, metavar="X", help="default: 0")
    add("--dropout", type=float, metavar="X", help="of the hidden layers, in [0, 1)")
    losses = [name for name in NAMES if name not in STRAIGHT]  # whose outputs no workload has
    add("--loss", choices=losses, metavar="NAME", help=", ".join(losses))
    add("--target", nargs="+", metavar="COLUMN",
        help="of a CSV file: what to predict, by name or index (default: the last)")  # fmt: skip
    add("--epochs", type=int, metavar="N")
    add("--batch-size", type=int, metavar="N")
    add("--execution", choices=["auto", "layers", "fused"], default="auto")
    _add_device(train)
    add("--dtype", choices=["float32", "float64"], default="float32")
    add("--precision", choices=PRECISIONS, default="float32",
        help="of products in training on a GPU (default: float32)")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N", help="of weights and orders (default: 0)")
    add("--data-dir", metavar="DIR", help="folder with MNIST (default: FASTNN_DATA)")
    add("--save", metavar="MODEL", help="write the network there")
    add("--checkpoint", metavar="DIR", help="keep the state of this run in a folder of its own")
    add("--resume", action="store_true", help="go on from what --checkpoint holds")
    add("--plot", metavar="FILE", help="draw the learning curve there: .png, .svg or .pdf")
    add("--quiet", action="store_true", help="print nothing but --json's line")
    add("--json", action="store_true", help="end with one line of JSON")

    evaluate = subparsers.add_parser("evaluate", help="loss and accuracy of a saved network")
    evaluate.set_defaults(command=commands.evaluate)
    add = evaluate.add_argument
    add("model", metavar="MODEL")
    add("dataset", metavar="iris|digits|mnist|mnist-wide|FILE.csv",
        help="the test part of a data set, or all rows of a file")  # fmt: skip
    add("--target", nargs="+", metavar="COLUMN", help="as in train")
    add("--loss", choices=NAMES, metavar="NAME", help="default: the one that fits the output")
    add("--data-dir", metavar="DIR", help="folder with MNIST (default: FASTNN_DATA)")
    _add_device(evaluate)

    predict = subparsers.add_parser(
        "predict", help="a saved network's answer to each row of a file"
    )
    predict.set_defaults(command=commands.predict)
    predict.add_argument("model", metavar="MODEL")
    predict.add_argument("file", metavar="FILE", help="IDX, or CSV: the inputs, in their order")
    _add_device(predict)

    bench = subparsers.add_parser("bench", help="time it, beside others (from a checkout)")
    bench.set_defaults(command=commands.bench)
    add = bench.add_argument
    add("--device", choices=["cpu", "cuda"], help="default: cpu")
    add("--workload", choices=["iris", "digits", "mnist"], help="default: all")
    add("--quick", action="store_true", help="a part of the cases, in two minutes")
    add("--out", metavar="DIR", help="default: bench-results")
    add("--compare", nargs=2, metavar=("A.json", "B.json"), help="only tell what changed")

    subparsers.add_parser("devices", help="list the usable devices").set_defaults(
        command=commands.devices
    )
    doctor = subparsers.add_parser("doctor", help="what is installed, and what is wrong")
    doctor.set_defaults(command=commands.doctor)
    doctor.add_argument("--compile", action="store_true",
                        help="compile all fused kernels now, minutes of work")  # fmt: skip
    return parser


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default=None if os.environ.get("FASTNN_DEVICE") else "auto",
                        metavar="auto|cpu|cuda|cuda:N",
                        help="default: FASTNN_DEVICE, else auto")  # fmt: skip
