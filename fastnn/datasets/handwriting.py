"""Handwriting: a picture of one digit as MNIST would show it.

MNIST has white digits on black: each was scaled to fit 20 x 20 pixels with its proportions kept,
and put into 28 x 28 so that its centre of mass is at pixel (14, 14), counted from 0.  LeCun et al.
(1998), Gradient-based learning applied to document recognition, III.A.
"""

from typing import Any, BinaryIO

import numpy as np
from scipy import ndimage

from fastnn.checks import flag
from fastnn.errors import DataError, MissingLibraryError
from fastnn.files import PathLike, open_regular

Array = np.ndarray[Any, Any]

SIDE, BOX = 28, 20  # pixels, of an image and of the digit in it
INK = 0.4  # of the darkest: from here on a pixel is of a pen, and not of paper or of its shade
SPECK = 0.05  # of the largest part in pixels: what has fewer is no part of the digit
FAINT = 10  # of 255 between light and dark: in less there is nothing to be seen


def load_image(path: PathLike, invert: bool | str = "auto") -> Array:
    """The picture as (784,) float32 from 0, the ground, to 1, as the rows of load_mnist are.

    A picture of any size that Pillow reads, with one digit on a ground that is lighter or darker
    all over.  Parts at the border and specks are left out.  invert: whether it is dark on light;
    "auto" finds out.

    Raises DataError for what is no picture or is empty, ArgumentError, OSError, and
    MissingLibraryError without Pillow.
    """
    with open_regular(path, DataError) as file:
        grey = _grey(file, path)
    ground = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    if invert == "auto":
        is_dark = ground - grey.min() > grey.max() - ground
    else:
        is_dark = flag("invert", invert)
    ink = np.maximum(ground - grey if is_dark else grey - ground, 0)
    if ink.max() < FAINT:
        than = "darker" if is_dark else "lighter"
        raise DataError(f"{path}: nothing in the picture is {than} than its ground, need a digit")
    return _centred(_scaled(_digit(ink / ink.max()))).reshape(-1)


def _grey(file: BinaryIO, path: PathLike) -> Array:
    """(rows, columns) 0..255; what is transparent is white, or black if all would be."""
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as error:
        raise MissingLibraryError(f"pictures are read by Pillow, which cannot be imported "
                                  f"({error}); try: pip install pillow") from error  # fmt: skip
    try:
        seen = ImageOps.exif_transpose(Image.open(file))  # as a camera was held
        deep = np.asarray(seen, np.float64) if seen.mode[0] in "IF" else None
        seen = seen.convert("RGBA")
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: is no picture that Pillow reads, need PNG, JPEG or the "
                        "like") from error  # fmt: skip
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: is a damaged picture ({error}), need a whole one") from error
    if deep is not None:  # of which RGBA would keep the darkest part alone
        span = deep.max() - deep.min()
        return np.asarray(255 * (deep - deep.min()) / (span or 1.0))
    for ground in ("white", "black"):
        under = Image.new("RGBA", seen.size, ground)
        grey = np.asarray(Image.alpha_composite(under, seen).convert("L"), np.float64)
        if np.ptp(grey) >= FAINT:
            break
    return grey


def _digit(ink: Array) -> Array:
    """The smallest part with the whole digit, and nothing else in it."""
    parts, count = ndimage.label(ink > INK, np.ones((3, 3)))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    inner = sizes.copy()
    inner[np.unique([*parts[0], *parts[-1], *parts[:, 0], *parts[:, -1]])] = 0
    if inner.any():  # else the digit itself reaches the border
        sizes = inner
    kept = np.isin(parts, np.flatnonzero(sizes >= SPECK * sizes.max()))
    kept[parts == 0] = False
    rows, columns = (np.flatnonzero(kept.any(axis=axis)) for axis in (1, 0))
    place = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    soft = max(1, max(kept[place].shape) // BOX)  # as wide as the rim of a line may be
    return np.where(ndimage.binary_dilation(kept, np.ones((3, 3)), soft), ink, 0)[place]


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
        first = min(max(round(SIDE / 2 - mass @ np.arange(n) / mass.sum()), 0), SIDE - n)
        places.append(slice(first, first + n))
    image[tuple(places)] = ink / ink.max()
    return image
