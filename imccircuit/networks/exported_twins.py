"""Whether one chip, exported as another target, still gives the same answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# All targets hold the same levels and matrices in double precision, so the codes are the same and
# the sums of codes are exact. One code of one column would be apart by far more: by 2^-bits of a
# full range, shared among the rows of a layer.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Twin:
    """The chip as a target beside the same chip as target ``numpy``.

    Attributes
    ----------
    model, target : the network, and what its chip was exported to.
    images : that both answered.
    different : images of another prediction.
    apart : largest difference of a logit.
    limit : what rounding can make of it: 1e-9 of the largest logit.
    """

    model: str
    target: str
    images: int
    different: int
    apart: float
    limit: float

    @property
    def agrees(self) -> bool:
        """No other prediction, and logits apart by rounding at most."""
        return self.different == 0 and self.apart <= self.limit

    def __str__(self) -> str:
        """One line of a report."""
        return (
            f"{self.model}: target {self.target} predicts {self.different} of {self.images} images "
            f"otherwise than target numpy; logits apart by {self.apart:.2g} of {self.limit:.2g}"
            + ("" if self.agrees else ": DISAGREES")
        )


def compare_twins(
    model: str, target: str, reference: NDArray[np.float64], logits: NDArray[np.float64]
) -> Twin:
    """Compare logits (image, class) of a target with those of target ``numpy``."""
    other = np.argmax(reference, axis=1) != np.argmax(logits, axis=1)
    apart = float(np.max(np.abs(reference - logits)))
    limit = _ROUNDING * float(np.max(np.abs(reference)))
    return Twin(model, target, len(reference), int(np.sum(other)), apart, limit)
