"""CSV files: what is written comes back to the last bit, and what is not a number never does."""

import os
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastnn.datasets import load_csv
from fastnn.datasets.tables import read_csv, read_features
from fastnn.errors import ArgumentError, DataError

Array = np.ndarray[Any, Any]

# The content, then where it goes wrong: line, or line:column, or byte.
FAULTS = [
    ("1,2\n3\n", ":2:"),
    ("1,2\n3,4,5\n", ":2:"),
    ("1,2\n3,4,\n", ":2:"),
    ("a,b\n1,2,3\n4,5,6\n", ":2:"),
    ("a,b,c\n1,2\n3,4\n", ":2:"),
    ("1,2\n\n3\n", ":3:"),
    ("1,2\n  \n3,4\n", ":2:"),
    ("a,b\r\n\r\n1,2\r\n3\r\n", ":4:"),
    ("1,2\n,4\n", ":2:1:"),
    ("1,2\n3,\n", ":2:2:"),
    ("1,a\n2,\n", ":2:2:"),
    ("1,a\n2,  \n3,b\n", ":2:2:"),
    ("1,a\n2,NaN\n", ":2:2:"),
    ("1,2\nnan,4\n", ":2:1:"),
    ("1,2\n3,nan\n", ":2:2:"),
    ("1,2\n3, -inf \n", ":2:2:"),
    ("1,2\nInfinity,4\n", ":2:1:"),
    ("1,2\nNA,4\n", ":2:1:"),
    ("1,2\n1e999,4\n", ":2:1:"),
    ("1,2\n3,-1e999\n", ":2:2:"),
    ("1,2,3\n4,0x1F,6\n", ":2:2:"),
    ("1,2\n1_000,4\n", ":2:1:"),
    ("1,2\n\u0661,4\n", ":2:1:"),  # an Arabic one
    ("1,2\n\uff11,4\n", ":2:1:"),  # a fullwidth one
    ("1,2\n\u22121,4\n", ":2:1:"),  # a minus sign that is no hyphen
    ("1,2\n1\u00a0000,4\n", ":2:1:"),  # a space that does not break
    ("1,2\n1d5,4\n", ":2:1:"),
    ("1,2\n1e,4\n", ":2:1:"),
    ("1,2\n.,4\n", ":2:1:"),
    ("1,2\n+-3,4\n", ":2:1:"),
    ("1,2\n- 3,4\n", ":2:1:"),
    ("1,2\n3 4,5\n", ":2:1:"),
    ("1,2\nTrue,4\n", ":2:1:"),
    ("1,2\n50%,4\n", ":2:1:"),
    ('1,2\n"1,5",4\n', ":2:1:"),
    ("1;2\n1,5;3\n", ":2:1:"),
    ("1;2\n3;1.000,5\n", ":2:2:"),
    ("1,5;2\n3,5;4\n", ":1:"),
    ("1\t2,5\n", ":1:"),
    ("\n\n1,2\n3,x\n", ":4:2:"),
    ("a,b\n1,2\n3,4\nx,5\n", ":4:1:"),
    ('a,b\n"1\n",2\nx,3\n', ":4:1:"),
    ("1,2\r3,4\r\nx,5\n", ":3:1:"),
    ('1,2\n"3,4\n', ":2:"),
    ('1,2\n"3"x,4\n', ":2:"),
    ('1,2\n"' + "9" * 200_000 + '",4\n', ":2:"),
    ("1,2\n3,4\0\n", "byte 7 "),
    (b"1,2\n3,\xff\n", "byte 6 "),
    (b"\xef\xbb\xbf1,2\n3,\xff\n", "byte 9 "),
    ("1,2\n".encode("utf-16"), "byte 3 "),
    ("1,2\n".encode("utf-16-le"), "byte 1 "),
]
EMPTY = ["", "\n", " \n\t\n", "\r\n\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"]
ONLY_A_HEADER = ["a,b", "a,b\n", "a,b\r\n\r\n", "\n\na,b\n \n", '"a\nb",c', '"a\nb",c\n']
# All the same numbers.
SPELLINGS = [
    "1,2,3\n4,5,6\n",
    "1,2,3\n4,5,6",
    "1;2;3\n4;5;6\n",
    "1\t2\t3\n4\t5\t6\n",
    "1,2,3\r\n4,5,6\r\n",
    "1,2,3\r4,5,6\r",
    "1,2,3\r4,5,6\r\n",
    "\n1,2,3\n\n\n4,5,6\n\n",
    "\ufeff1,2,3\n4,5,6\n",
    "a,b,c\n1,2,3\n4,5,6\n",
    "\ufeffa;b;c\r\n1;2;3\r\n4;5;6\r\n",
    '"a, b";b;c\n1;2;3\n4;5;6\n',
    '"a\nb",b,c\n1,2,3\n4,5,6\n',
    "\n\na,b,c\n\n1,2,3\n4,5,6\n",
    " 1, 2 ,3 \n4,5  ,6\n",
    '"1","2","3"\n"4","5","6"\n',
    '1,"2",3\n4,"5\n",6\n',
    "+1,2.,3\n4e0,.5E+1,6\n",
    "1.0,0.2e1,3\n400e-2,5.000,6\n",
]

thorough = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the file is written anew
)


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "table.csv"
    path.unlink(missing_ok=True)  # twenty times as fast as to overwrite it, which ext4 flushes
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(("content", "place"), FAULTS)
def test_a_fault_is_refused_with_its_place(
    tmp_path: Path, content: str | bytes, place: str
) -> None:
    path = write(tmp_path, content)

    with pytest.raises(DataError) as caught:
        load_csv(path)

    message = str(caught.value)
    if place.startswith(":"):
        found = re.match(r":\d+(:\d+)?:", message.removeprefix(str(path)))
        assert found is not None
        assert found[0] == place
    else:
        assert message.startswith(f"{path}: {place}")
    assert len(message) < len(str(path)) + 200


@pytest.mark.parametrize("content", EMPTY)
@pytest.mark.parametrize("header", [True, False, "auto"])
def test_an_empty_file_is_refused(tmp_path: Path, content: str | bytes, header: bool | str) -> None:
    path = write(tmp_path, content)

    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: is empty"):
        load_csv(path, header=header)


@pytest.mark.parametrize("content", ONLY_A_HEADER)
@pytest.mark.parametrize("header", [True, "auto"])
def test_a_header_alone_is_refused(tmp_path: Path, content: str, header: bool | str) -> None:
    path = write(tmp_path, content)

    with pytest.raises(DataError, match="has no rows of data"):
        load_csv(path, header=header)


@pytest.mark.parametrize("content", ["1,2", "1,2\n", '"1",2\n'])
def test_a_row_taken_for_the_header_is_not_data(tmp_path: Path, content: str) -> None:
    path = write(tmp_path, content)

    with pytest.raises(DataError, match="has no rows of data"):
        load_csv(path, header=True)


def test_a_long_cell_is_shown_in_part(tmp_path: Path) -> None:
    path = write(tmp_path, "1,2\n" + "x" * 1000 + ",3\n")

    with pytest.raises(DataError, match=r"'x{40}'"):
        load_csv(path)


def test_a_fault_names_its_column(tmp_path: Path) -> None:
    path = write(tmp_path, "width,length,kind\n1,2,a\n1,wide,b\n")

    with pytest.raises(DataError, match=r"csv:3:2: column 2 \(length\) is 'wide'"):
        load_csv(path)


def test_two_delimiters_are_both_named(tmp_path: Path) -> None:
    path = write(tmp_path, "1,5;2,5\n")

    with pytest.raises(DataError, match="has ',' and ';', need one"):
        load_csv(path)


@pytest.mark.parametrize("content", SPELLINGS)
def test_numbers_are_read_however_they_are_written(tmp_path: Path, content: str) -> None:
    X, y = load_csv(write(tmp_path, content))

    assert X.dtype == np.float64
    assert X.tolist() == [[1, 2], [4, 5]]
    assert y.dtype == np.int64
    assert y.tolist() == [3, 6]


@pytest.mark.parametrize(
    ("header", "content", "X"),
    [
        ("auto", "a,b\n1,2\n", [[1]]),
        ("auto", "1,2\n3,4\n", [[1], [3]]),
        ("auto", "1,b\n3,d\n", [[1], [3]]),
        (True, "a,b\n1,2\n", [[1]]),
        (True, "1,2\n3,4\n", [[3]]),
        (True, "\n1,2\n\n3,4\n", [[3]]),
        (False, "1,2\n3,4\n", [[1], [3]]),
        (False, "1,b\n", [[1]]),
    ],
)
def test_the_header_is_what_was_said_or_the_row_without_numbers(
    tmp_path: Path, header: bool | str, content: str, X: list[list[float]]
) -> None:
    features, _ = load_csv(write(tmp_path, content), header=header)

    assert features.tolist() == X


def test_a_header_that_is_denied_is_data(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n1,2\n")

    with pytest.raises(DataError, match=r":1:1: column 1 is 'a'"):
        load_csv(path, header=False)


@pytest.mark.parametrize("header", ["yes", "", None, 1, 0, 2, np.True_])
def test_another_header_is_refused(tmp_path: Path, header: Any) -> None:
    path = write(tmp_path, "1,2\n3,4\n")

    with pytest.raises(ArgumentError, match="need True, False or 'auto'"):
        load_csv(path, header=header)


@pytest.mark.parametrize(
    ("target", "X", "Y"),
    [
        (-1, [[1, 2], [4, 5]], [3, 6]),
        (0, [[2, 3], [5, 6]], [1, 4]),
        (2, [[1, 2], [4, 5]], [3, 6]),
        (-3, [[2, 3], [5, 6]], [1, 4]),
        (np.int64(1), [[1, 3], [4, 6]], [2, 5]),
        ("b", [[1, 3], [4, 6]], [2, 5]),
        (["b"], [[1, 3], [4, 6]], [[2], [5]]),
        (["c", "a"], [[2], [5]], [[3, 1], [6, 4]]),
        ((0, -1), [[2], [5]], [[1, 3], [4, 6]]),
        ([-1, "a"], [[2], [5]], [[3, 1], [6, 4]]),
    ],
)
@pytest.mark.parametrize("four", ["4", '"4"'])
def test_targets_are_chosen_by_name_or_place(
    tmp_path: Path, target: Any, X: list[list[float]], Y: list[Any], four: str
) -> None:
    features, targets = load_csv(write(tmp_path, f"a, b ,c\n1,2,3\n{four},5,6\n"), target=target)

    assert features.dtype == np.float64
    assert features.tolist() == X
    assert targets.dtype == (np.float64 if isinstance(target, list | tuple) else np.int64)
    assert targets.tolist() == Y


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("z", "'z'.*the columns a, b, b"),
        ("b", "'b'.*that name 2 times"),
        (3, "3.*has 3 columns"),
        (-4, "-4.*has 3 columns"),
        (1.0, "1.0, need a column's name or index"),
        (True, "True, need a column's name or index"),
        (None, "None, need a column's name or index"),
        ([], r"\[\], need different columns"),
        ([0, 0], "need different columns"),
        (["a", 0], "need different columns"),
        ([0, -3], "need different columns"),
        (["a", "z"], "'z'"),
    ],
)
def test_a_target_that_is_not_there_is_refused(tmp_path: Path, target: Any, words: str) -> None:
    path = write(tmp_path, "a,b,b\n1,2,3\n")

    with pytest.raises(ArgumentError, match=words):
        load_csv(path, target=target)


def test_a_name_needs_a_header(tmp_path: Path) -> None:
    path = write(tmp_path, "1,2\n")

    with pytest.raises(ArgumentError, match="has no header"):
        load_csv(path, target="a")


@pytest.mark.parametrize(("content", "target"), [("1\n2\n", -1), ("a\nb\n", 0), ("1,2\n", [0, 1])])
def test_targets_alone_are_refused(tmp_path: Path, content: str, target: Any) -> None:
    path = write(tmp_path, content)

    with pytest.raises(DataError, match="has no column besides the target's"):
        load_csv(path, target=target)


@pytest.mark.parametrize(
    ("cells", "Y", "words"),
    [
        (["b", "a", "b"], [1, 0, 1], ("a", "b")),
        (["b ", " a", "b"], [1, 0, 1], ("a", "b")),
        (['"b, c"', "a", "\u00e9"], [1, 0, 2], ("a", "b, c", "\u00e9")),
        (["a1", "1a", "0x1"], [2, 1, 0], ("0x1", "1a", "a1")),
        (["3", "1", "3"], [3, 1, 3], None),
        (["-2", "+7", "0"], [-2, 7, 0], None),
        (["007", "9007199254740993", "-999999999999999999"],
         [7, 2**53 + 1, -999999999999999999], None),
        (["3", "1.0", "3"], [3.0, 1.0, 3.0], None),
        (["0.1", "1e-3", "-5e-324"], [0.1, 1e-3, -5e-324], None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("one", ["1", '"1"'])
def test_the_target_is_words_or_integers_or_numbers(
    tmp_path: Path, cells: list[str], Y: list[float], words: tuple[str, ...] | None, one: str
) -> None:
    rows = "".join(f"{one},{cell}\n" for cell in cells)

    table = read_csv(write(tmp_path, rows), header=False)

    assert table.Y.dtype == (np.int64 if all(isinstance(v, int) for v in Y) else np.float64)
    assert table.Y.tolist() == Y
    assert table.words == words
    assert table.X.tolist() == [[1]] * 3


def test_a_word_among_numbers_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "1,2\n3,4\n5,six\n")

    with pytest.raises(DataError, match=r":3:2: column 2 is 'six'"):
        load_csv(path)


@pytest.mark.parametrize("content", ["1,2", "1,2\n", "a,b\n1,2"])
def test_one_row_has_two_dimensions(tmp_path: Path, content: str) -> None:
    X, y = load_csv(write(tmp_path, content))

    assert X.shape == (1, 1)
    assert y.shape == (1,)


@pytest.mark.parametrize(
    "cells",
    [("x" * 100_000, "a"), ("1" + " " * 100_000, "2"), ("0" * 100_000, "1")],
    ids=["word", "spaces", "zeros"],
)
def test_one_long_cell_does_not_make_all_long(tmp_path: Path, cells: tuple[str, str]) -> None:
    path = write(tmp_path, f"1,{cells[0]}\n" + f"2,{cells[1]}\n" * 999)

    tracemalloc.start()
    X, y = load_csv(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert X.shape == (1000, 1)
    assert y.shape == (1000,)
    assert peak < 2**23  # a thousand cells of that length are 400 MB


def test_features_alone_are_read(tmp_path: Path) -> None:
    X = read_features(write(tmp_path, "a,b\n1,2\n3,4\n"), 2)

    assert X.dtype == np.float64
    assert X.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("d", [1, 3])
def test_features_of_another_width_are_refused(tmp_path: Path, d: int) -> None:
    path = write(tmp_path, "1,2\n")

    with pytest.raises(DataError, match=f"has 2 columns, need the network's {d} inputs"):
        read_features(path, d)


def test_the_values_may_be_written_to(tmp_path: Path) -> None:
    X, y = load_csv(write(tmp_path, "1,2\n3,4\n"))

    X[0], y[0] = 9, 9

    assert (X[0, 0], y[0]) == (9, 9)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a regular file"):
        load_csv(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(DataError, match="is not a regular file"):
        load_csv(tmp_path / "pipe")


def test_a_missing_file_is_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        load_csv(tmp_path / "missing")


finite_tables = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=6),
    elements=st.floats(allow_nan=False, allow_infinity=False),
)


@thorough
@given(table=finite_tables, delimiter=st.sampled_from(",;\t"), is_quoted=st.booleans())
def test_every_finite_float64_comes_back_to_the_bit(
    tmp_path: Path, table: Array, delimiter: str, is_quoted: bool
) -> None:
    mark = '"' if is_quoted else ""
    rows = [delimiter.join(f"{mark}{v!r}{mark}" for v in row) for row in table.tolist()]
    path = write(tmp_path, "\n".join(rows))

    X, y = load_csv(path)

    assert X.shape == (len(table), table.shape[1] - 1)
    assert X.tobytes() == table[:, :-1].tobytes()
    assert y.tobytes() == table[:, -1].tobytes()


tokens = st.sampled_from([
    "1", "2", "-3.5", "1e9", "a", "b", ",", ",", ",", ";", "\t", "\n", "\n", "\n", "\r", '"', '""',
    " ", ".", "-", "e", "nan", "inf", "1e999", "_", "0x1", "\ufeff", "\v", "\x1c", "\x85", "\u2028",
    "\u0661", "\0", "#", "'",
])  # fmt: skip
texts = st.lists(tokens, max_size=20).map("".join) | st.text(max_size=20)


@settings(thorough, max_examples=1000)
@given(
    content=texts.map(lambda text: text.encode()) | st.binary(max_size=20),
    target=st.sampled_from([-1, 0, "a", [0], [-1, 0]]),
    header=st.sampled_from([True, False, "auto"]),
)
def test_any_text_is_refused_or_finite(
    tmp_path: Path, content: bytes, target: Any, header: bool | str
) -> None:
    path = write(tmp_path, content)

    try:
        X, Y = load_csv(path, target=target, header=header)
    except (DataError, ArgumentError):
        return

    assert X.ndim == 2
    assert X.size > 0
    assert Y.shape == (len(X), *([len(target)] if isinstance(target, list) else []))
    assert np.isfinite(X).all()
    assert np.isfinite(Y).all()


numerals = st.tuples(
    st.sampled_from(["", "", " ", "+", "-"]),
    st.integers(0, 10**20).map(str),
    st.sampled_from(["", "", ".", ".0", ".25", "e3", "E-7", ".5e+300", "e999", " "]),
).map("".join)
scraps = st.text("0123456789+-.eE ", max_size=6)


@thorough
@given(cells=st.tuples(*[numerals | numerals | scraps] * 4))
def test_numbers_and_words_are_read_by_the_same_grammar(
    tmp_path: Path, cells: tuple[str, str, str, str]
) -> None:
    def read(mark: str) -> tuple[Array, Array] | str:
        a, b, c, d = (mark + cell + mark for cell in cells)
        path = write(tmp_path, f"{a},{b}\n{c},{d}\n")
        try:
            return load_csv(path, header=False)
        except DataError as error:
            return str(error)

    plain, quoted = read(""), read('"')  # quotes keep a file from being parsed all at once

    if isinstance(plain, str) or isinstance(quoted, str):
        assert plain == quoted
        return
    for one, other in zip(plain, quoted, strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()
