"""Random generators of manufacturing draws: one for each chip and each named quantity."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from imccircuit.errors import UsageError


@dataclass(frozen=True)
class Draws:
    """All random numbers of one manufactured chip.

    Every quantity has a stream of its own, keyed by its name, so the same chip comes back in any
    order of points, workers and retries, and varying one more quantity shifts no other draw.

    Attributes
    ----------
    entropy : seed of the run.
    sample : index of the chip.
    point : index of the sweep point where every point is to have chips of its own; None where
        sample k is the same chip at every point.
    """

    entropy: int
    sample: int
    point: int | None = None

    def __post_init__(self) -> None:
        for name in ("entropy", "sample", "point"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise UsageError(f"{name} must not be negative, it is {value}")

    def generator(self, name: str) -> np.random.Generator:
        """Return a fresh generator of the stream of one quantity.

        Its seed is ``SeedSequence(entropy, spawn_key=(sample, crc32(name)))``, with the point
        appended where there is one. Two calls with the same name give the same numbers.

        Parameters
        ----------
        name : name of the quantity, such as ``"cell_conductance"``.
        """
        key: tuple[int, ...] = (self.sample, zlib.crc32(name.encode("utf-8")))
        if self.point is not None:
            key = (*key, self.point)
        sequence = np.random.SeedSequence(self.entropy, spawn_key=key)
        # Named, not default_rng: numpy may change its default, a stored seed may not.
        return np.random.Generator(np.random.PCG64(sequence))
