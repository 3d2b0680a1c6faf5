"""load_image: a picture of a digit becomes a row as MNIST has them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.datasets import load_digits, load_image
from fastnn.errors import ArgumentError, DataError

Image = pytest.importorskip("PIL.Image")
Array = np.ndarray[Any, Any]


def picture(
    path: Path, ink: Array, size: tuple[int, int] = (280, 200), at: tuple[int, int] = (40, 30),
    dark: bool = True, mode: str = "L",
) -> Path:  # fmt: skip
    """A file with ink (rows, columns) 0..1 drawn somewhere on an even ground."""
    canvas = np.full(size, 230.0 if dark else 20.0)
    rows, columns = ink.shape
    canvas[at[0] : at[0] + rows, at[1] : at[1] + columns] += (-200 if dark else 200) * ink
    Image.fromarray(canvas.astype(np.uint8)).convert(mode).save(path)
    return path


def seven(scale: int = 5) -> Array:
    """A thick 7, 24 x 16 times scale."""
    ink = np.zeros((24, 16))
    ink[:4] = 1
    for row in range(4, 24):
        right = 15 - (row - 4) * 10 // 20
        ink[row, right - 3 : right + 1] = 1
    return np.kron(ink, np.ones((scale, scale)))


def centre(image: Array) -> tuple[float, float]:
    rows, columns = (np.arange(28) + 0.5, np.arange(28) + 0.5)
    grid = image.reshape(28, 28)
    return (float(grid.sum(axis=1) @ rows / grid.sum()),
            float(grid.sum(axis=0) @ columns / grid.sum()))  # fmt: skip


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_digit_fills_20_pixels_around_its_centre_of_mass(
    ending: str, mode: str, tmp_path: Path
) -> None:
    image = load_image(picture(tmp_path / f"7.{ending}", seven(), mode=mode))

    assert (image.shape, image.dtype) == ((784,), np.dtype("float32"))
    assert (image.min(), image.max()) == (0, 1)
    rows = np.flatnonzero((image.reshape(28, 28) > 0.3).any(axis=1))
    assert 19 <= rows[-1] - rows[0] + 1 <= 20
    assert centre(image) == pytest.approx((14, 14), abs=0.55)  # half a pixel, and JPEG's haze


def test_size_place_and_ground_make_no_difference(tmp_path: Path) -> None:
    want = load_image(picture(tmp_path / "a.png", seven()))
    for name, options in {
        "b": {"at": (100, 60)}, "c": {"dark": False}, "d": {"size": (130, 90), "at": (5, 5)},
    }.items():  # fmt: skip
        got = load_image(picture(tmp_path / f"{name}.png", seven(), **options))  # type: ignore[arg-type]
        np.testing.assert_allclose(got, want, atol=1e-5)
    larger = load_image(picture(tmp_path / "e.png", seven(10), size=(600, 400)))
    np.testing.assert_allclose(larger, want, atol=0.01)  # the filter has other taps


def test_it_is_inverted_as_told(tmp_path: Path) -> None:
    dark, light = (picture(tmp_path / f"{d}.png", seven(), dark=d) for d in (True, False))

    np.testing.assert_array_equal(load_image(dark, invert=True), load_image(dark))
    np.testing.assert_array_equal(load_image(light, invert=False), load_image(light))
    assert load_image(dark, invert=False).mean() > 2 * load_image(dark).mean()
    with pytest.raises(ArgumentError, match="invert is 'no'"):
        load_image(dark, invert="no")


def test_what_is_transparent_is_ground(tmp_path: Path) -> None:
    ink = seven()
    rgba = np.zeros((*ink.shape, 4), np.uint8)
    rgba[..., 3] = 255 * ink
    Image.fromarray(np.pad(rgba, ((9, 9), (9, 9), (0, 0)))).save(tmp_path / "a.png")

    want = load_image(picture(tmp_path / "b.png", ink))
    np.testing.assert_allclose(load_image(tmp_path / "a.png"), want, atol=1e-5)


def test_a_digit_comes_out_as_it_went_in(tmp_path: Path) -> None:
    X, y = load_digits()
    (x, t), (x_test, t_test) = fastnn.datasets.split(X, y)
    one_size = np.stack([_through(row, tmp_path) for row in x])
    net = fastnn.MLP([784, 30, 10], seed=0)
    net.fit(one_size, t, optimizer=fastnn.Adam(0.01), epochs=15)

    right = [net.classify(_through(row, tmp_path)) == label
             for row, label in zip(x_test[:100], t_test, strict=False)]  # fmt: skip

    assert np.mean(right) > 0.9


def _through(row: Array, folder: Path) -> Array:
    ink = np.kron(row.reshape(8, 8) / 16, np.ones((12, 12)))
    return load_image(picture(folder / "digit.png", ink, size=(160, 150)))


@pytest.mark.parametrize(("content", "error", "message"), [
    (b"", DataError, "is no picture"), (b"label,pixel\n1,2\n", DataError, "is no picture"),
    ("empty", DataError, "one grey all over"), ("cut", DataError, "is a damaged picture"),
    (None, FileNotFoundError, "no.png"),
])  # fmt: skip
def test_what_is_no_digit_is_refused(
    content: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "no.png"
    if content == "empty":
        picture(path, np.zeros((5, 5)))
    elif content == "cut":
        whole = picture(path, seven()).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif content is not None:
        path.write_bytes(content)

    with pytest.raises(error, match=message):
        load_image(path)
