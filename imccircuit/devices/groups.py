"""Uniform numbers for draws by inversion: independent, or correlated within groups.

Devices of one row, or all of one chip, may share part of their deviation. A Gaussian copula gives
that without touching any device's own law: with a normal number c for the group and one e for the
device, u = Φ(√ρ·c + √(1−ρ)·e) is uniform whatever ρ, and the normal scores of two devices of one
group have the correlation ρ. (The values themselves have it too where their law is normal; for a
lognormal law of log-deviation s it is (exp(ρs²) − 1)/(exp(s²) − 1), somewhat less.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import special

from imccircuit.errors import UsageError

Extent = Literal["row", "column", "chip"]


def uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Uniform numbers in (0, 1), both ends excluded so that every quantile is finite."""
    return np.maximum(rng.random(shape), 2.0**-54)


@dataclass(frozen=True)
class Group:
    """Devices that deviate together.

    Attributes
    ----------
    correlation : ρ of the normal scores of two devices of one group, 0 to 1.
    extent : what a group is in an array of devices (row, column): a ``row`` (the same index along
        the first axis), a ``column`` (along the last one), or the whole ``chip``. Devices in a
        plain list are one row.
    """

    correlation: float
    extent: Extent = "row"

    def __post_init__(self) -> None:
        if not 0 <= self.correlation <= 1:
            raise UsageError(
                f"a correlation within a group lies between 0 and 1, not {self.correlation!r}"
            )
        if self.extent not in get_args(Extent):
            known = ", ".join(get_args(Extent))
            raise UsageError(f"no group named {self.extent!r}; there are: {known}")

    def uniform(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Uniform numbers in (0, 1), those of one group correlated.

        The devices' own numbers are drawn first, so at ρ = 0 they are those of independent
        devices.
        """
        own = special.ndtri(uniform(rng, shape))
        shared = special.ndtri(uniform(rng, self._shape_of_groups(shape)))
        rho = self.correlation
        score = np.sqrt(rho) * shared + np.sqrt(1 - rho) * own
        # Φ of a large score rounds to 1, where a quantile would be infinite.
        return np.asarray(np.clip(special.ndtr(score), 2.0**-54, 1 - 2.0**-53))

    def _shape_of_groups(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape that broadcasts with ``shape``, one entry a group."""
        if self.extent == "chip" or len(shape) < 1:
            return (1,) * len(shape)
        if len(shape) == 1:
            return (1,) if self.extent == "row" else shape
        kept = 0 if self.extent == "row" else len(shape) - 1
        return tuple(size if axis == kept else 1 for axis, size in enumerate(shape))
