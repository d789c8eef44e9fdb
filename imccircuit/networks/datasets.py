"""Images and sounds as rows from 0 to 1: scikit-learn's digits, and files that are on this machine.

Nothing is downloaded. A file that is missing or not what it should be is one line.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import FileFormatError, SetupError, UsageError
from imccircuit.networks.models import Shape
from imccircuit.networks.restricted_pickle import load_plain

Floats = NDArray[np.float64]

_BRIGHTEST_DIGIT, _BRIGHTEST_BYTE = 16.0, 255.0
_IDX_IMAGES, _IDX_LABELS = 0x803, 0x801
_LARGEST = 1 << 30
_CIFAR = (32, 32, 3)


@dataclass(frozen=True)
class Samples:
    """Inputs with their classes.

    Attributes
    ----------
    x : (sample, pixel) 0 to 1; pixels in the order (height, width, channel).
    y : (sample,) class, from 0.
    shape : of one sample.
    classes : how many there are.
    """

    x: Floats
    y: NDArray[np.int64]
    shape: Shape
    classes: int


def load_digit_samples(images: int | None = None) -> Samples:
    """The first ``images`` of scikit-learn's 1797 handwritten digits of 8 × 8 pixels, or all.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
    Learning Repository, 1998; the test part, as shipped with scikit-learn.

    Raises
    ------
    SetupError : scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise SetupError('scikit-learn is missing: pip install "imccircuit[digits]"') from None
    pixels, classes = load_digits(return_X_y=True)
    used = slice(0, images)
    return Samples(
        np.asarray(pixels[used], dtype=np.float64) / _BRIGHTEST_DIGIT,
        np.asarray(classes[used], dtype=np.int64),
        Shape(8, 8),
        10,
    )


def load_mnist(images: Path, labels: Path) -> Samples:
    """MNIST, or any set in its format: an idx3 file of images and an idx1 file of labels.

    Format: big-endian magic number (0x803, 0x801) and sizes, then bytes; gzip or not. Source: Y.
    LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".

    Raises
    ------
    FileFormatError : a file is missing, torn or another, or the two do not match.
    """
    (count, height, width), pixels = _read_idx(Path(images), _IDX_IMAGES, 3)
    (numbers,), classes = _read_idx(Path(labels), _IDX_LABELS, 1)
    if numbers != count:
        raise FileFormatError(f"{labels}: {numbers} labels do not match {count} images")
    x = np.frombuffer(pixels, np.uint8).reshape(count, height * width) / _BRIGHTEST_BYTE
    y = np.frombuffer(classes, np.uint8).astype(np.int64)
    return Samples(x, y, Shape(height, width), _classes(labels, y, 10))


def load_cifar10(batches: Sequence[Path]) -> Samples:
    """CIFAR-10, from its files of the Python version, such as ``data_batch_1``.

    They are pickles, read by a reader that makes nothing but arrays, text, numbers, lists and
    tables. Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.

    Raises
    ------
    FileFormatError : a file is missing, holds anything else, or is torn.
    UsageError : no file is given.
    """
    if not batches:
        raise UsageError("no batch of CIFAR-10 is given")
    parts_x, parts_y = [], []
    for path in batches:
        table = load_plain(Path(path))
        try:
            pixels = np.asarray(table[b"data"])
            labels = np.asarray(table[b"labels"], dtype=np.int64)
        except (KeyError, TypeError, ValueError, IndexError):
            raise FileFormatError(f"{path}: no batch of CIFAR-10: no data, no labels") from None
        if pixels.dtype != np.uint8 or pixels.shape != (labels.size, math.prod(_CIFAR)):
            raise FileFormatError(
                f"{path}: pixels {pixels.shape} of {pixels.dtype} are not {labels.size} images of "
                f"{math.prod(_CIFAR)} bytes"
            )
        maps = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        parts_x.append(maps.reshape(len(maps), -1) / _BRIGHTEST_BYTE)
        parts_y.append(labels)
    y = np.concatenate(parts_y)
    return Samples(np.concatenate(parts_x), y, Shape(*_CIFAR), _classes(batches[0], y, 10))


def _classes(path: Path, y: NDArray[np.int64], most: int) -> int:
    """Refuse labels beyond the last class."""
    if y.size == 0 or np.min(y) < 0 or np.max(y) >= most:
        found = "none" if y.size == 0 else f"{np.min(y)} to {np.max(y)}"
        raise FileFormatError(f"{path}: classes do not match: {found}; allowed: 0 to {most - 1}")
    return most


def _read_idx(path: Path, magic: int, axes: int) -> tuple[list[int], bytes]:
    """Sizes, then the bytes, of an idx file."""
    data = read_bytes(path)
    if data[:2] == b"\x1f\x8b":
        try:
            unpacked = zlib.decompressobj(wbits=31)
            data = unpacked.decompress(data, _LARGEST)
        except zlib.error as error:
            raise FileFormatError(f"{path}: torn: {error}") from None
    header = 4 * (1 + axes)
    found = np.frombuffer(data[:header], ">u4") if len(data) >= header else np.zeros(1, ">u4")
    if int(found[0]) != magic:
        raise FileFormatError(f"{path}: no idx file of {axes} axes: it does not begin {magic:#x}")
    sizes = [int(size) for size in found[1:]]
    if len(data) - header != math.prod(sizes):
        raise FileFormatError(
            f"{path}: torn: {len(data) - header} bytes behind its header, which says {sizes}"
        )
    return sizes, data[header:]


def read_bytes(path: Path) -> bytes:
    """All bytes of a data file.

    Raises
    ------
    FileFormatError : it cannot be read, or is larger than 1 GiB.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise FileFormatError(f"{path}: larger than 1 GiB")
        return path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error.strerror}") from None
