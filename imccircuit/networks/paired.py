"""Comparing two ways of computing on the same images: folds, a paired test, and the logits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imccircuit.devices.draws import Draws
from imccircuit.errors import UsageError


def split_folds(
    classes: NDArray[np.int64], folds: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Images to train and to test with, ``folds`` times; each is tested once, classes balanced.

    Raises
    ------
    UsageError : fewer than 2 folds, or more than the rarest class has images.
    """
    counts = np.unique(classes, return_counts=True)[1]
    rarest = int(counts.min()) if len(counts) else 0
    if not 2 <= folds <= rarest:
        raise UsageError(f"{folds} folds; allowed: 2 to {rarest}, the images of the rarest class")
    order = Draws(seed, 0).generator("folds").permutation(len(classes))
    # Sorted by class, then dealt out: each class is spread as evenly as it can be.
    dealt = order[np.argsort(classes[order], kind="stable")]
    fold = np.empty(len(classes), dtype=np.int64)
    fold[dealt] = np.arange(len(classes)) % folds
    for number in range(folds):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def compute_mcnemar(right_a: ArrayLike, right_b: ArrayLike) -> float:
    """Probability of images this unequal if both ways are equally good: McNemar's exact test.

    Of the images that only one of the two has right, each is as likely one's as the other's; the
    two-sided binomial probability of the share that was found.

    Source: Q. McNemar, Psychometrika 12, 153, 1947; the exact form with the binomial law.

    Raises
    ------
    UsageError : not the same images.
    """
    from scipy.stats import binomtest

    a, b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    if a.shape != b.shape or a.ndim != 1:
        raise UsageError(f"a paired test needs the same images: {a.shape} and {b.shape}")
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    if only_a + only_b == 0:
        return 1.0
    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue)


def compute_logit_snr(reference: ArrayLike, found: ArrayLike) -> float:
    """Signal-to-noise ratio of logits (image, class) in dB; what all classes share counts not.

    ``10 log10(Σ r² / Σ (f − r)²)``, the mean over classes of each image taken off r and f first.

    Raises
    ------
    UsageError : shapes differ.
    """
    r, f = np.asarray(reference, dtype=np.float64), np.asarray(found, dtype=np.float64)
    if r.shape != f.shape or r.ndim != 2:
        raise UsageError(f"logits of {r.shape} and {f.shape} are not those of the same images")
    r = r - r.mean(axis=1, keepdims=True)
    f = f - f.mean(axis=1, keepdims=True)
    noise = float(np.sum((f - r) ** 2))
    return float("inf") if noise == 0 else float(10 * np.log10(np.sum(r**2) / noise))
