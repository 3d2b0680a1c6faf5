"""MNIST: 70,000 handwritten digits of 28 x 28 pixels (LeCun, Cortes, Burges).

From a folder that is named, else from the user's cache, else downloaded once.  A download
gets its final name only after its content has the known SHA-256.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import files
from fastnn.datasets.idx import Inflated, read_idx
from fastnn.datasets.preparation import one_hot
from fastnn.errors import DataError

Array = np.ndarray[Any, Any]
Pair = tuple[Array, Array]

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)
# SHA-256 and length of each file's content; mirrors compress it in their own ways.
FILES = {
    "train-images-idx3-ubyte": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", 47_040_016),
    "train-labels-idx1-ubyte": (
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", 60_008),
    "t10k-images-idx3-ubyte": (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", 7_840_016),
    "t10k-labels-idx1-ubyte": (
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", 10_008),
}  # fmt: skip


def load_mnist(
    *, data_dir: str | os.PathLike[str] | None = None, normalize: bool = True,
    flatten: bool = True, one_hot_label: bool = False,
) -> tuple[Pair, Pair]:  # fmt: skip
    """(x_train, t_train), (x_test, t_test) of 60,000 and 10,000 images.

    normalize: float32 in [0, 1], else uint8 in 0..255.  flatten: (n, 784), else
    (n, 1, 28, 28).  one_hot_label: float32 (n, 10), else uint8 (n,).

    data_dir (None: FASTNN_DATA) is a folder with the four IDX files, raw or .gz, or with
    them in its mnist/.  Where none is named: the user's cache, filled by one download.
    Raises FileNotFoundError, DataError.
    """
    named = data_dir or os.environ.get("FASTNN_DATA")
    paths = _in_folder(Path(named)) if named else _in_cache()
    images, labels = paths["train-images-idx3-ubyte"], paths["train-labels-idx1-ubyte"]
    train = _read(images, labels, normalize, flatten, one_hot_label)
    images, labels = paths["t10k-images-idx3-ubyte"], paths["t10k-labels-idx1-ubyte"]
    return train, _read(images, labels, normalize, flatten, one_hot_label)


def cache_folder() -> Path:
    """Where downloads are kept: FASTNN_CACHE, else the user's cache folder."""
    import pooch

    return Path(os.environ.get("FASTNN_CACHE") or pooch.os_cache("fastnn")) / "mnist"


def _read(images: Path, labels: Path, normalize: bool, flatten: bool, one_hot_label: bool) -> Pair:
    x, t = read_idx(images), read_idx(labels)
    if x.dtype != np.uint8 or x.shape[1:] != (28, 28):
        raise DataError(f"{images}: has {x.shape} {x.dtype}, need (n, 28, 28) uint8")
    if t.dtype != np.uint8 or t.shape != (len(x),) or t.max() > 9:
        raise DataError(f"{labels}: has {t.shape} {t.dtype} up to {t.max()}, need ({len(x)},) "
                        "uint8 digits 0 to 9, one for each image")  # fmt: skip
    x = x.reshape(len(x), -1) if flatten else x[:, None]
    x = x.astype(np.float32) / 255 if normalize else x
    return x, one_hot(t, 10) if one_hot_label else t


def _in_folder(folder: Path) -> dict[str, Path]:
    found = {}
    for name in FILES:
        places = [place / (name + suffix) for place in (folder, folder / "mnist")
                  for suffix in ("", ".gz")]  # fmt: skip
        existing = [place for place in places if place.exists()]
        if not existing:
            raise FileNotFoundError(f"no {name} or {name}.gz in {folder} or {folder / 'mnist'}; "
                                    "put the four MNIST files there, or name no folder (data_dir, "
                                    "FASTNN_DATA) to have them downloaded")  # fmt: skip
        found[name] = existing[0]
    return found


def _in_cache() -> dict[str, Path]:
    folder = cache_folder()
    for name in FILES:
        if not (folder / name).exists():
            _download(name, folder)
    return {name: folder / name for name in FILES}


def _download(name: str, folder: Path) -> None:
    import pooch

    folder.mkdir(parents=True, exist_ok=True)
    fetch = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=30)
    failures = []
    for mirror in MIRRORS:
        with tempfile.TemporaryDirectory() as temporary:
            packed = Path(temporary) / f"{name}.gz"
            try:
                fetch(f"{mirror}{name}.gz", str(packed), None)
                files.replace(folder / name, _checked_content(name, packed))
                return
            except (OSError, ValueError) as error:  # requests' errors are OSErrors
                reason = error if isinstance(error, DataError) else type(error).__name__
                failures.append(f"{mirror}: {reason}")
    raise FileNotFoundError(
        f"MNIST is not in {folder} and could not be downloaded ({'; '.join(failures)}).  Put "
        f"{', '.join(f'{file}.gz' for file in FILES)} into a folder and name it (data_dir, "
        "--data-dir or FASTNN_DATA).  `fastnn train` works now, on digits that come with fastnn"
    )


def _checked_content(name: str, packed: Path) -> bytearray:
    sha256, length = FILES[name]
    with files.open_regular(packed, DataError) as file:
        content = Inflated(packed.name, file).read(length + 1)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(f"{name} has SHA-256 {found}, need {sha256}")
    return content
