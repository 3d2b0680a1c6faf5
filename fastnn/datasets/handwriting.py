"""Handwriting: a picture of one digit as MNIST would show it.

MNIST has white digits on black: each was scaled to fit 20 x 20 pixels with its proportions kept,
and put into 28 x 28 with its centre of mass in the middle.  LeCun et al. (1998), Gradient-based
learning applied to document recognition, III.A.
"""

from typing import Any

import numpy as np

from fastnn.checks import flag
from fastnn.errors import DataError, MissingLibraryError
from fastnn.files import PathLike

Array = np.ndarray[Any, Any]

SIDE, BOX = 28, 20  # pixels, of an image and of the digit in it
INK = 0.2  # of the range of grey: from here on a pixel belongs to the digit


def load_image(path: PathLike, invert: bool | str = "auto") -> Array:
    """The picture as (784,) float32 from 0, the ground, to 1, as the rows of load_mnist are.

    A picture of any size that Pillow reads, with one digit on an even ground.  invert: whether
    it is dark on light; "auto" finds out by its border.

    Raises DataError for what is no picture or is empty, ArgumentError, OSError, and
    MissingLibraryError without Pillow.
    """
    ink = _grey(path)
    if invert == "auto":
        border = np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]])
        is_dark = np.median(border) > (ink.min() + ink.max()) / 2
    else:
        is_dark = flag("invert", invert)
    ink = ink.max() - ink if is_dark else ink - ink.min()
    if ink.max() < 10:  # of 255
        raise DataError(f"{path}: the picture is of one grey all over, need a digit on a ground")
    return _centred(_scaled(_cropped(ink / ink.max()))).reshape(-1)


def _grey(path: PathLike) -> Array:
    """(rows, columns) 0..255, what is transparent white."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingLibraryError(f"pictures are read by Pillow, which cannot be imported "
                                  f"({error}); try: pip install pillow") from error  # fmt: skip
    with open(path, "rb") as file:  # what else the system says is about the pixels
        try:
            seen = Image.open(file).convert("RGBA")
        except UnidentifiedImageError as error:
            raise DataError(f"{path}: is no picture that Pillow reads, need PNG, JPEG or the "
                            "like") from error  # fmt: skip
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(f"{path}: is a damaged picture ({error}), need a whole one") from error
    ground = Image.new("RGBA", seen.size, "white")
    return np.asarray(Image.alpha_composite(ground, seen).convert("L"), np.float64)


def _cropped(ink: Array) -> Array:
    """The smallest part with all that is not ground."""
    rows, columns = (np.flatnonzero((ink > INK).any(axis=axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _scaled(ink: Array) -> Array:
    """So that its longer side has BOX pixels."""
    from PIL import Image

    height, width = ink.shape
    scale = BOX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = Image.fromarray(ink.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    return np.clip(np.asarray(small, np.float64), 0, 1)


def _centred(ink: Array) -> Array:
    """In SIDE x SIDE pixels, its centre of mass in the middle as far as there is room."""
    image = np.zeros((SIDE, SIDE), np.float32)
    places = []
    for axis, n in enumerate(ink.shape):
        mass = ink.sum(axis=1 - axis)
        centre = (mass * (np.arange(n) + 0.5)).sum() / mass.sum()
        first = min(max(round(SIDE / 2 - centre), 0), SIDE - n)
        places.append(slice(first, first + n))
    image[tuple(places)] = ink / ink.max()
    return image
