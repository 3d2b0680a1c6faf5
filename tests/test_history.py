"""History: a table of epochs that prints, slices, and is in a file what it was in memory."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.errors import ArgumentError, CheckpointError, DataError, MissingLibraryError
from fastnn.history import History


def five() -> History:
    return History(
        loss=[2.0, 1.25, 0.5, 0.0625, 1e-7], val_loss=[2.5, 1.5, 0.75, 123456.0, math.inf],
        seconds=[0.1, 0.2, 0.3, 0.4, 0.5], best_epoch=2, stopped="patience",
    )  # fmt: skip


def test_an_epoch_is_a_dict_of_what_there_is() -> None:
    history = five()

    assert history[0] == {"loss": 2.0, "val_loss": 2.5, "seconds": 0.1}
    assert history[-1] == history[np.int64(4)] == {"loss": 1e-7, "val_loss": math.inf,
                                                   "seconds": 0.5}  # fmt: skip
    assert [epoch["loss"] for epoch in history] == history["loss"] == history.loss


def test_columns_may_begin_and_end_at_any_epoch() -> None:
    history = History()
    first: dict[str, Any] = {"loss": 3, "z": np.float32(0.5), "a": math.inf, "seconds": 1.0}
    second: dict[str, Any] = {"val_loss": 2.0, "a": 1.0, "k": np.array(7), "seconds": 1.0}

    history.append(first)
    history.append(second)

    table = {"loss": [3.0, math.nan], "accuracy": [], "val_loss": [math.nan, 2.0],
             "val_accuracy": [], "z": [0.5, math.nan], "a": [math.inf, 1.0], "k": [math.nan, 7.0],
             "seconds": [1.0, 1.0]}  # fmt: skip
    np.testing.assert_equal(history.columns, table)
    assert [*history.columns] == [*table]
    assert {type(x) for column in history.columns.values() for x in column} == {float}


def test_epochs_may_come_in_columns() -> None:
    one_by_one, at_once = five(), five()
    columns = {"loss": [0.5, 0.25], "accuracy": [0.75, 1.0], "a": [1.0, 2.0], "seconds": [3.0, 4.0]}

    for epoch in range(2):
        one_by_one.append({name: column[epoch] for name, column in columns.items()})
    at_once.extend(columns)
    at_once.extend({"loss": []})

    np.testing.assert_equal(at_once.columns, one_by_one.columns)


@pytest.mark.parametrize(
    "value", ["1", None, True, np.bool_(1), 1j, [1.0], 10**400], ids=lambda x: repr(x)[:9]
)
def test_what_is_no_number_is_refused_as_a_whole(value: Any) -> None:
    history = five()

    with pytest.raises(ArgumentError, match=r"the figure 'f1' is .*, need a number"):
        history.append({"loss": 1.0, "f1": value})

    assert history == five()


@pytest.mark.parametrize("epoch", [5, -6])
def test_an_epoch_that_is_not_there_is_refused(epoch: int) -> None:
    with pytest.raises(IndexError, match=f"epoch {epoch} of a history of 5 epochs"):
        five()[epoch]


@pytest.mark.parametrize("key", ["los", "best_epoch", 1.5, None, "x" * 1000])
def test_a_column_that_is_not_there_is_refused(key: Any) -> None:
    with pytest.raises(KeyError, match=f"{key!r:.80}, need one of loss, accuracy, .*, seconds"):
        five()[key]


@pytest.mark.parametrize(
    ("part", "losses", "best"),
    [
        (slice(2, 5), [0.5, 0.0625, 1e-7], 0),
        (slice(1, 3), [1.25, 0.5], 1),
        (slice(3, None), [0.0625, 1e-7], None),
        (slice(None, None, -2), [1e-7, 0.5, 2.0], 1),
        (slice(9, None), [], None),
    ],
)
def test_a_slice_is_a_history_of_these_epochs(
    part: slice, losses: list[float], best: int | None
) -> None:
    sliced = five()[part]

    assert isinstance(sliced, History)
    assert sliced.loss == losses
    assert sliced.val_loss == five().val_loss[part]
    assert sliced.accuracy == []
    assert sliced.best_epoch == best
    assert sliced.stopped == "patience"


def test_a_slice_leaves_the_whole_alone() -> None:
    history = five()

    history[:2].loss[0] = 7.0

    assert history == five()


def test_str_is_an_aligned_row_an_epoch() -> None:
    assert str(five()).splitlines() == [
        "epoch       loss   val_loss  seconds",
        "    0      2.000      2.500   0.1000",
        "    1      1.250      1.500   0.2000",
        "    2     0.5000     0.7500   0.3000",
        "    3    0.06250  1.235e+05   0.4000",
        "    4  1.000e-07        inf   0.5000",
    ]
    assert str(History(loss=[1234.0])) == "epoch  loss\n    0  1234"
    assert str(History()) == "epoch"


def test_repr_is_one_line() -> None:
    assert repr(five()[:3]) == "History(3 epochs, loss=0.5, val_loss=0.75, stopped='patience')"


@pytest.mark.parametrize("history", [History(), five(), History(loss=[0.1 + 0.2], accuracy=[1.0])])
def test_a_file_gives_back_the_same_numbers(tmp_path: Path, history: History) -> None:
    history.save(tmp_path / "history.json")

    assert History.load(tmp_path / "history.json") == history
    json.loads((tmp_path / "history.json").read_text(), parse_constant=pytest.fail)


def test_a_fit_survives_its_file(tmp_path: Path) -> None:
    X, y = fastnn.datasets.load_iris()
    history = fastnn.MLP([4, 5, 3], seed=0).fit(X, y, epochs=3, validation=0.2, patience=9)

    history.save(tmp_path / "history.json")

    assert History.load(str(tmp_path / "history.json")) == history
    assert len(str(history).splitlines()) == 4


def test_nan_survives_a_file(tmp_path: Path) -> None:
    History(loss=[math.nan, -math.inf]).save(tmp_path / "history.json")

    loss = History.load(tmp_path / "history.json").loss

    assert math.isnan(loss[0])
    assert loss[1] == -math.inf


WHOLE: dict[str, Any] = {
    "fastnn_history": 1, "loss": [1, 0.5], "accuracy": [], "val_loss": [], "val_accuracy": [],
    "more": {}, "seconds": [], "best_epoch": None, "stopped": "epochs",
}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "Expecting value"),
        ("[" * 100_000, ""),
        ("[]", "need a JSON object"),
        ("{}", "need a JSON object of accuracy, best_epoch"),
        (json.dumps(WHOLE | {"others": 1}), "need a JSON object"),
        (json.dumps(WHOLE | {"more": 1}), "more is 1, need an object of lists"),
        (json.dumps(WHOLE | {"more": {"f1": [1]}}), "f1 are not of 2 epochs"),
        (json.dumps(WHOLE | {"more": {"loss": [1, 2]}}), "loss is among more"),
        (json.dumps(WHOLE | {"fastnn_history": 2}), "version 2, this fastnn reads 1"),
        (json.dumps(WHOLE | {"fastnn_history": True}), "version True"),
        (json.dumps(WHOLE | {"loss": 1}), "loss is not a list of numbers"),
        (json.dumps(WHOLE | {"loss": [True, False]}), "loss is not a list of numbers"),
        (json.dumps(WHOLE | {"loss": ["one", "0"]}), "loss is not a list of numbers"),
        (json.dumps(WHOLE | {"loss": [10**400, 1]}), "too large"),
        (json.dumps(WHOLE | {"loss": [math.nan, 1.0]}), "loss is not a list of numbers"),
        (json.dumps(WHOLE | {"seconds": [0.1]}), "seconds are not of 2 epochs"),
        (json.dumps(WHOLE | {"best_epoch": 2}), "best_epoch is 2"),
        (json.dumps(WHOLE | {"best_epoch": 0.0}), r"best_epoch is 0\.0"),
        (json.dumps(WHOLE | {"stopped": None}), "stopped is None"),
    ],
)
def test_what_is_no_history_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "history.json"
    path.write_text(content)

    with pytest.raises(CheckpointError, match=f"history.json is not a history.*{reason}"):
        History.load(path)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xfd")

    with pytest.raises(CheckpointError, match="is not a history"):
        History.load(tmp_path / "bytes")
    with pytest.raises(CheckpointError, match="not a regular file"):
        History.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        History.load(tmp_path / "none")
    with pytest.raises(ArgumentError):
        History.load(7)  # type: ignore[arg-type]


def test_what_load_would_refuse_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    five().save(path)

    with pytest.raises(DataError, match="cannot be saved: seconds are not of 2 epochs"):
        History(loss=[1.0, 2.0], seconds=[0.1]).save(path)

    assert History.load(path) == five()


def test_a_frame_has_a_row_an_epoch() -> None:
    pandas = pytest.importorskip("pandas")

    frame = five().to_frame()

    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == ["loss", "val_loss", "seconds"]
    assert frame.index.name == "epoch"
    assert list(frame.index) == [0, 1, 2, 3, 4]
    assert frame["val_loss"].to_list() == five().val_loss
    assert len(History().to_frame()) == 0


def test_without_pandas_a_frame_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(MissingLibraryError, match="try: pip install pandas"):
        five().to_frame()
