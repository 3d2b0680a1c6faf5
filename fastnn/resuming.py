"""Resuming: a run as tensors and a record, and back, so that it ends as if never stopped."""

import hashlib
import json
import re
import reprlib
import warnings
from collections import Counter
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.backend import Array, Backend
from fastnn.callbacks import Callback
from fastnn.checkpoint import Expected
from fastnn.data import Data
from fastnn.errors import ArgumentError, FastnnError
from fastnn.execution import chosen
from fastnn.history import History
from fastnn.snapshots import Snapshots

if TYPE_CHECKING:
    from fastnn.run import Run

_COUNTS = ("first_epoch", "first_step", "epoch", "batch", "step", "rows")


class OtherRun(FastnnError):
    """A snapshot of another run than the one that would go on."""


def save(run: "Run", snapshots: Snapshots) -> None:
    """Write where the run is."""
    kept, numbers = states(run)
    flats = vectors(run) | kept
    layout, asnumpy = run.net.layout, run.net.backend.asnumpy
    tensors = {
        f"{flat}.{name}": asnumpy(part).copy()
        for flat in flats for name, part in layout.views(flats[flat]).items()
    }  # fmt: skip
    tensors |= {"losses": asnumpy(run.losses[: run.rows]), "hits": asnumpy(run.hits[: run.rows])}
    columns = {name: np.array(x) for name, x in run.history.columns.items() if x}
    tensors |= {f"history.{name}": x for name, x in columns.items()}
    record = {name: getattr(run, name) for name in _COUNTS} | {
        "run": run.configuration, "vectors": list(flats), "columns": list(columns),
        "numbers": numbers, "stopped": run.history.stopped, "execution": run.way.execution,
        "stop_training": bool(run.net.stop_training and run.reason == "callback"),
    }  # fmt: skip
    snapshots.write(run.step, tensors, record)


def restore(run: "Run", snapshots: Snapshots) -> None:
    """Put the run where its last snapshot was, if there is one.

    Raises ArgumentError for a snapshot of another run, and as Snapshots.read; the network is
    then as it was.
    """
    try:
        found = snapshots.read(lambda record: _expected(run, record))
    except OtherRun as error:
        raise ArgumentError(f"{snapshots.folder} has another run: {error}; give the same, or "
                            "another folder") from None  # fmt: skip
    if found is None:
        return
    record, tensors = found
    _follow(run, record["execution"])
    layout, backend = run.net.layout, run.net.backend
    flats = {flat: backend.zeros(layout.size) for flat in record["vectors"]}
    for flat, vector in flats.items():
        for name, part in layout.views(vector).items():
            part[...] = backend.asarray(tensors[f"{flat}.{name}"])
    for name in _COUNTS[:-1]:
        setattr(run, name, record[name])
    run.losses[: record["rows"]] = backend.asarray(tensors["losses"])
    run.hits[: record["rows"]] = backend.asarray(tensors["hits"])
    columns = {name: tensors[f"history.{name}"].tolist() for name in record["columns"]}
    run.history = History.of_columns(columns, None, record["stopped"])
    run.net.epochs = run.first_epoch + run.epoch + (run.batch > 0)
    run.net.steps = run.first_step + run.step
    run.net.stop_training = record["stop_training"]
    for flat, vector in vectors(run).items():
        vector[...] = flats[flat]
    held = flats | record["numbers"]
    for place, callback in _places(run).items():
        start = f"{place}."
        callback.restore({name.removeprefix(start): value for name, value in held.items()
                          if name.startswith(start)})  # fmt: skip


def _follow(run: "Run", execution: str) -> None:
    """Go on in the way in which the run began; another one rounds otherwise."""
    if execution == run.way.execution:
        return
    try:
        run.way = chosen(run, execution)
    except ArgumentError as error:
        warnings.warn(f"going on by {run.way.execution}, so that the end is as if never stopped "
                      f"but for rounding: {error}", RuntimeWarning, stacklevel=2)  # fmt: skip


def vectors(run: "Run") -> dict[str, Array]:
    """All that a run holds of the shape of its parameters, apart from its callbacks."""
    own = {"params": run.net.params, "start": run.start} | run.state
    return own if run.trained is run.net.params else own | {"trained": run.trained}


def states(run: "Run") -> tuple[dict[str, Array], dict[str, float]]:
    """What the callbacks hold, as vectors like net.params and as numbers.

    Raises ArgumentError for anything else.
    """
    flats, numbers, like = dict[str, Array](), dict[str, float](), run.net.params
    for place, callback in _places(run).items():
        for name, value in callback.state().items():
            if isinstance(value, int | float):
                numbers[f"{place}.{name}"] = value
            elif all(getattr(value, x, None) == getattr(like, x) for x in ("shape", "dtype")):
                flats[f"{place}.{name}"] = value
            else:
                raise ArgumentError(f"state of {place} has {name}={reprlib.repr(value)}, need int, "
                                    f"float or a vector like net.params, {like.dtype}")  # fmt: skip
    return flats, numbers


def _places(run: "Run") -> dict[str, Callback]:
    """The callbacks as first, second, ... of their class: others may come and go on resuming."""
    counts, places = Counter[str](), dict[str, Callback]()
    for callback in run.callbacks:
        name = type(callback).__name__
        places[f"{name}.{counts[name]}"] = callback
        counts[name] += 1
    return places


def configuration(run: "Run") -> dict[str, Any]:
    """What must be the same for a run to go on, as JSON values."""
    net, settings = run.net, run.settings
    as_json = json.dumps({
        **net.architecture.as_json(), "dtype": str(net.dtype), "seed": run.seed,
        "input_scaling": net.scaling and _digest([net.scaling.offset, net.scaling.factor]),
        "loss": run.loss.name, "optimizer": _text(run.optimizer),
        "numbers of the first step": [
            run.optimizer.at(each.name, 0) for each in fields(run.optimizer)
            if callable(getattr(run.optimizer, each.name))
        ],
        "batch_size": _text(settings.batch_size), "first batch's size": run.batch_sizes[0],
        **{name: getattr(settings, name)
           for name in ("shuffle", "reduction", "l1", "l2", "label_smoothing")},
        **({} if settings.precision == "float32" else {"precision": settings.precision}),
        "training data": _fingerprint(run.data, net.backend),
        "validation data": run.held_out and _fingerprint(run.held_out, net.backend),
    })  # fmt: skip
    plain: dict[str, Any] = json.loads(as_json)  # lists where there were tuples, as in a file
    return plain


def _expected(run: "Run", record: Any) -> tuple[Any, Expected]:
    """What a snapshot says, checked, and the tensors that it must then have."""
    names = {*_COUNTS, "run", "vectors", "columns", "numbers", "stopped", "stop_training",
             "execution", "tensors"}  # fmt: skip
    if (
        not isinstance(record, dict)
        or record.keys() != names
        or not isinstance(record["run"], dict)
    ):
        raise ArgumentError(f"the run is {str(record)[:80]}, need {sorted(names)}")
    _compare(record["run"], run.configuration)
    if run.settings.execution not in ("auto", record["execution"]):
        raise OtherRun(f"execution is {record['execution']} there and {run.settings.execution} "
                       "here")  # fmt: skip
    for name in _COUNTS:
        if type(record[name]) is not int or not 0 <= record[name] < 2**63:
            raise ArgumentError(f"{name} is {record[name]!r:.40}, need an integer >= 0")
    flats, columns = record["vectors"], record["columns"]
    if missing := vectors(run).keys() - {*flats}:
        raise ArgumentError(f"it has no {', '.join(sorted(missing))}")
    is_text, is_flag = isinstance(record["stopped"], str), type(record["stop_training"]) is bool
    if record["rows"] > len(run.data) or not is_text or not is_flag:
        raise ArgumentError(
            f"rows, stopped or stop_training is not what it can be: "
            f"{[record[name] for name in ('rows', 'stopped', 'stop_training')]}"
        )
    numbers = record["numbers"]
    if type(numbers) is not dict or {type(x) for x in numbers.values()} - {int, float, bool}:
        raise ArgumentError("what a callback held is no number")
    epochs, wanted = record["epoch"] + (record["batch"] > 0), run.settings.epochs
    if epochs > wanted:
        raise OtherRun(f"it is in epoch {epochs}, and this one is to have {wanted}")
    dtype, rows = str(run.net.dtype), (record["rows"],)
    expected = {f"{flat}.{name}": (dtype, shape)
                for flat in flats for name, shape in run.net.layout.shapes.items()}  # fmt: skip
    expected |= {"losses": (dtype, rows), "hits": (dtype, rows)}
    expected |= {f"history.{name}": ("float64", (record["epoch"],)) for name in columns}
    return record, expected


def _compare(there: dict[str, Any], here: dict[str, Any]) -> None:
    differences = [
        f"other {name}" if "data" in name or name == "input_scaling" else
        f"{name} is {there.get(name)} there and {here.get(name)} here"
        for name in here if there.get(name) != here[name]
    ]  # fmt: skip
    if differences:
        raise OtherRun("; ".join(differences))


def _text(value: Any) -> str:
    """repr, the same in each process."""
    return re.sub(" at 0x[0-9A-Fa-f]+", "", repr(value))


def _fingerprint(data: Data, backend: Backend) -> str:
    targets = data.targets
    parts = [data.rows.X, targets.values, targets.labels, targets.weights]
    return _digest([None if x is None else backend.asnumpy(x) for x in parts])


def _digest(arrays: list[Any]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for x in arrays:
        if x is not None:
            digest.update(f"{x.dtype.str} {x.shape};".encode())
            digest.update(np.ascontiguousarray(x).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
