"""The handwritten digits that ship with scikit-learn, and a linear classifier of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import SetupError
from imccircuit.networks.paired import split_folds

_BRIGHTEST = 16.0


@dataclass(frozen=True)
class Digits:
    """Images as rows of 64 pixels from 0 to 1, with their classes, split in two.

    Attributes
    ----------
    train_x, test_x : (image, 64) brightness, 0 to 1.
    train_y, test_y : (image,) digit 0 to 9.
    """

    train_x: NDArray[np.float64]
    train_y: NDArray[np.int64]
    test_x: NDArray[np.float64]
    test_y: NDArray[np.int64]


def load_digits(test_images: int, seed: int) -> Digits:
    """The 1797 images of 8 × 8 pixels, split with equal shares of each digit.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
    Learning Repository, 1998; the test part, as shipped with scikit-learn.

    Raises
    ------
    SetupError : scikit-learn is not installed.
    """
    pixels, classes = _load()
    from sklearn.model_selection import train_test_split

    train_x, test_x, train_y, test_y = train_test_split(
        pixels, classes, test_size=test_images, random_state=seed, stratify=classes
    )
    return Digits(train_x, train_y, test_x, test_y)


def load_folds(folds: int, seed: int) -> tuple[Digits, ...]:
    """The images of `load_digits`, each tested once: cross-validation with balanced digits.

    Raises
    ------
    SetupError : scikit-learn is not installed.
    UsageError : fewer than 2 folds, or more than the rarest digit has images.
    """
    x, y = _load()
    return tuple(Digits(x[a], y[a], x[b], y[b]) for a, b in split_folds(y, folds, seed))


def _load() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Images (image, 64), 0 to 1, and their digits."""
    try:
        from sklearn.datasets import load_digits as load
    except ImportError:
        raise SetupError('scikit-learn is missing: pip install "imccircuit[digits]"') from None
    pixels, classes = load(return_X_y=True)
    return pixels / _BRIGHTEST, classes.astype(np.int64)


def train_linear(x: NDArray[np.float64], y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights (pixel, class) of a multinomial logistic regression without intercept.

    An intercept would need a row that is always on; the classifier does without.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(fit_intercept=False, C=1.0, max_iter=2000)
    model.fit(x, y)
    return np.asarray(model.coef_.T, dtype=np.float64)
