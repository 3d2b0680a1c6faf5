"""load_image: a picture of a digit becomes a row as MNIST has them."""

import os
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
    grid, places = image.reshape(28, 28), np.arange(28)
    return (float(grid.sum(axis=1) @ places / grid.sum()),
            float(grid.sum(axis=0) @ places / grid.sum()))  # fmt: skip


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
    with pytest.raises(DataError, match="nothing in the picture is lighter than its ground"):
        load_image(dark, invert=False)
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


def test_noise_shade_specks_and_an_edge_are_no_ink(tmp_path: Path) -> None:
    want = load_image(picture(tmp_path / "want.png", seven()))
    clean = np.asarray(Image.open(tmp_path / "want.png"), float)
    rng = np.random.default_rng(0)
    speck, edge = clean.copy(), clean.copy()
    speck[3:5, 190:192] = edge[:, :6] = 10
    for spoilt in (
        clean + rng.normal(0, 8, clean.shape), clean - np.linspace(0, 40, 200), speck, edge,
    ):  # fmt: skip
        Image.fromarray(np.clip(spoilt, 0, 255).astype(np.uint8)).save(tmp_path / "spoilt.png")
        got = load_image(tmp_path / "spoilt.png")
        assert np.abs(got - want).mean() < 0.02
        assert (got[want == 0] < 0.3).all()


def test_deep_pictures_and_white_ink_on_glass_are_read(tmp_path: Path) -> None:
    ink = np.pad(seven(), 20)
    want = load_image(picture(tmp_path / "want.png", ink))
    Image.fromarray((60_000 - 52_000 * ink).astype(np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray((1 - ink).astype(np.float32)).save(tmp_path / "float.tiff")
    glass = np.full((*ink.shape, 4), 255, np.uint8)
    glass[..., 3] = 255 * ink
    Image.fromarray(glass).save(tmp_path / "glass.png")

    for name in ("deep.png", "float.tiff", "glass.png"):
        np.testing.assert_allclose(load_image(tmp_path / name), want, atol=0.01)


def test_a_camera_that_was_turned_makes_no_difference(tmp_path: Path) -> None:
    upright = Image.open(picture(tmp_path / "a.png", seven()))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    upright.rotate(90, expand=True).save(tmp_path / "b.png", exif=exif)

    np.testing.assert_array_equal(load_image(tmp_path / "b.png"), load_image(tmp_path / "a.png"))


def test_mnist_s_own_images_come_back(tmp_path: Path) -> None:
    if "FASTNN_DATA" not in os.environ:
        pytest.skip("FASTNN_DATA names no folder with MNIST")
    (X, _), _ = fastnn.datasets.load_mnist(normalize=False)
    same = 0
    for row in X[:100]:
        Image.fromarray(row.reshape(28, 28)).save(tmp_path / "a.png")
        got = load_image(tmp_path / "a.png")
        same += np.abs(got - row / 255).mean() < 0.01

    assert same >= 90  # of the others a faint part is lost, or rounding moves them


@pytest.mark.parametrize(("content", "error", "message"), [
    (b"", DataError, "is no picture"), (b"label,pixel\n1,2\n", DataError, "is no picture"),
    ("empty", DataError, "nothing in the picture is lighter"),
    ("cut", DataError, "is a damaged picture"),
    (None, FileNotFoundError, "no.png"), ("folder", DataError, "is not a regular file"),
])  # fmt: skip
def test_what_is_no_digit_is_refused(
    content: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "no.png"
    if content == "empty":
        picture(path, np.zeros((5, 5)))
    elif content == "folder":
        path.mkdir()
    elif content == "cut":
        whole = picture(path, seven()).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif content is not None:
        path.write_bytes(content)

    with pytest.raises(error, match=message):
        load_image(path)


@pytest.mark.parametrize("path", [1, None, np.zeros((28, 28)), "a\0b"])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(ArgumentError, match="the path is"):
        load_image(path)
