"""What training with the periphery is worth: right answers of every way, and what they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imccircuit.errors import UsageError
from imccircuit.networks.crossed import Estimate, estimate_mean
from imccircuit.networks.paired import compute_mcnemar


@dataclass(frozen=True)
class Way:
    """One way, over trainings, chips and images.

    Attributes
    ----------
    name : what was done.
    right : (seed, chip, image) whether an answer is right; one chip where none takes part. Each
        image is answered by the training of the fold that did not see it.
    """

    name: str
    right: NDArray[np.bool_]

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """(seed, chip) share of right answers, over all images."""
        return np.asarray(self.right.mean(axis=2))

    @property
    def mean(self) -> float:
        """Mean over seeds and chips."""
        return float(np.mean(self.right))

    @property
    def sigma(self) -> float:
        """Standard deviation over seeds and chips; NaN of one value."""
        found = self.accuracy
        return float(np.std(found, ddof=1)) if found.size > 1 else float("nan")

    @property
    def estimate(self) -> Estimate:
        """The mean with its standard error, from trainings, chips and images."""
        return estimate_mean(self.right)

    def interval(self) -> tuple[float, float]:
        """Ends of the mean's two-sided 95 % interval, within 0 and 1."""
        low, high = self.estimate.interval()
        return max(0.0, low), min(1.0, high)

    def median_chip(self) -> tuple[int, int]:
        """Seed and chip of the median accuracy; of an even number the lower of the two."""
        found = self.accuracy
        middle = np.argsort(found, axis=None, kind="stable")[(found.size - 1) // 2]
        seed, chip = np.unravel_index(middle, found.shape)
        return int(seed), int(chip)


@dataclass(frozen=True)
class Comparison:
    """What `imccircuit.networks.training_comparison.compare_training` found.

    Attributes
    ----------
    ways : ``float``, ``uniform converter``, ``naive``, ``population``, ``chip in the loop``,
        ``calibrated converter`` (the naive network), in this order.
    overhead : mode → time of an epoch over that of ``plain``, median over all trainings.
    conversions : of one image, the same in every way.
    conversion_j : energy of a conversion in J where it is known, else None.
    table_bits : bits of the table of one calibrated converter; looking it up, once a conversion, is
        in no energy here.
    converters : of a chip, one a column.
    steps : conversions that calibrate one converter.
    """

    ways: tuple[Way, ...]
    overhead: dict[str, float]
    conversions: int
    conversion_j: float | None
    table_bits: int
    converters: int
    steps: int

    @property
    def images(self) -> int:
        """Images of every way."""
        return int(self.ways[0].right.shape[2])

    @property
    def energy_j(self) -> float | None:
        """Of the conversions of an image in J."""
        return None if self.conversion_j is None else self.conversions * self.conversion_j

    @property
    def calibration_j(self) -> float | None:
        """Of the conversions that calibrate all converters of a chip, in J."""
        if self.conversion_j is None:
            return None
        return self.steps * self.converters * self.conversion_j

    @property
    def calibration_images(self) -> float:
        """Images of which the conversions take what calibrating a chip takes."""
        return self.steps * self.converters / self.conversions

    def way(self, name: str) -> Way:
        """The way of that name.

        Raises
        ------
        UsageError : there is none.
        """
        for way in self.ways:
            if way.name == name:
                return way
        raise UsageError(f"way {name!r}; allowed: {', '.join(way.name for way in self.ways)}")

    def has(self, name: str) -> bool:
        """Whether there is a way of that name."""
        return any(way.name == name for way in self.ways)

    def loss(self, name: str, reference: str = "float") -> Estimate:
        """Accuracy that a way loses against another, in pairs of training, chip and image.

        Raises
        ------
        UsageError : there is no such way.
        """
        lost = self.way(reference).right.astype(np.int8) - self.way(name).right
        return estimate_mean(lost)

    def p_value(self, name: str, reference: str) -> float:
        """McNemar's exact test of a way's median chip against another way, same seed and chip.

        One chip and one training of it: images are independent, answers of many chips are not.
        What all chips say together is `loss` with its interval.

        Raises
        ------
        UsageError : there is no such way.
        """
        way, other = self.way(name), self.way(reference)
        seed, chip = way.median_chip()
        of_other = other.right[seed, chip if other.right.shape[1] > 1 else 0]
        return compute_mcnemar(way.right[seed, chip], of_other)

    def rows(self) -> list[tuple[str, str, str]]:
        """Name, mean and σ of the accuracy in percent, for a table."""
        return [(w.name, f"{100 * w.mean:.1f} %", f"{100 * w.sigma:.1f} %") for w in self.ways]
